/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo train: LoRA fine-tuning on one machine, with the trainer that a member runs.
 */
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/desk/metricstext.h"
#include "services/cli/desk/privatetrain.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"
#include "services/cli/kit/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct train_settings {
    struct rn_desk desk;
    struct rn_private_train dp;
    uint64_t rank;
    const char *init;
    const char *head;
    const char *active;
    const char *optimizer;
    const char *schedule;
    double lr, lr_a, lr_b, lr_head;
    double weight_decay, clip;
    uint64_t warmup, batch, steps, epochs;
    bool no_shuffle;
    const char *dev;
    const char *out;
};

static void set_defaults(struct train_settings *s)
{
    rn_desk_init(&s->desk);
    s->desk.lora.alpha = 16;
    s->desk.targets = "query,value";
    s->desk.cache = "auto";
    s->desk.for_training = true;
    s->rank = 8;
    s->init = "kaiming";
    s->head = "local";
    s->active = "both";
    s->optimizer = "adamw";
    s->schedule = "linear";
    s->lr = 1e-3;
    s->lr_a = s->lr_b = s->lr_head = NAN; /* as lr */
    s->clip = 1.0;
    s->batch = 32;
}

static struct rn_train_spec train_spec(const struct train_settings *s,
                                       const struct rn_command *command)
{
    const bool a = strcmp(s->active, "B") != 0;
    const bool b = strcmp(s->active, "A") != 0;
    const bool steps = rn_command_given(command, "steps");

    return (struct rn_train_spec){
        .active = a && b ? RN_MATRIX_AB
                  : a    ? RN_MATRIX_A
                         : RN_MATRIX_B,
        .optimizer = strcmp(s->optimizer, "sgd") == 0 ? RN_OPTIMIZER_SGD : RN_OPTIMIZER_ADAMW,
        .lr_a = rn_command_given(command, "lr-a") ? s->lr_a : s->lr,
        .lr_b = rn_command_given(command, "lr-b") ? s->lr_b : s->lr,
        .lr_head = rn_command_given(command, "lr-head") ? s->lr_head : s->lr,
        .weight_decay = s->weight_decay,
        .schedule = strcmp(s->schedule, "cosine") == 0   ? RN_SCHEDULE_COSINE
                    : strcmp(s->schedule, "linear") == 0 ? RN_SCHEDULE_LINEAR
                                                         : RN_SCHEDULE_CONSTANT,
        .warmup_steps = (uint32_t)s->warmup,
        .clip = s->clip,
        .batch = (uint32_t)s->batch,
        .steps = steps ? (uint32_t)s->steps : 0,
        .epochs = steps ? 0 : (uint32_t)(s->epochs == 0 ? 1 : s->epochs),
        .shuffle = !s->no_shuffle,
        .seed = s->desk.seed,
    };
}

/* What the options say about the adapter; with --init-adapter only what is given counts. */
static rn_result settle_adapter(struct train_settings *s, const struct rn_command *command,
                                struct rn_error *err)
{
    const bool from_adapter = s->desk.adapter != NULL;

    RN_ENSURE(!rn_command_given(command, "steps") || !rn_command_given(command, "epochs"), err,
              RN_E_USAGE, "--steps and --epochs exclude each other");
    s->desk.head = strcmp(s->head, "frozen") == 0 ? RN_HEAD_FROZEN : RN_HEAD_LOCAL;
    s->desk.lora.init = strcmp(s->init, "orthonormal") == 0 ? RN_LORA_ORTHONORMAL : RN_LORA_KAIMING;
    s->desk.lora.rank = (uint32_t)s->rank;
    RN_ENSURE(s->desk.cache_dir != NULL || !s->desk.cache_keep, err, RN_E_USAGE,
              "--prefix-cache-keep needs --prefix-cache-dir");
    /* Steps may or may not pass over the data twice; what is not seen again costs little. */
    s->desk.cache_pays =
        s->epochs > 1 || rn_command_given(command, "steps") || s->desk.cache_dir != NULL;
    if (from_adapter && !rn_command_given(command, "rank")) {
        s->desk.lora.rank = 0;
        s->desk.lora.alpha = 0;
        s->desk.targets = NULL;
    }
    return rn_ok();
}

static bool show_step(void *context, const struct rn_train_progress *step)
{
    struct rn_progress *progress = context;
    char note[64];

    if (step->step == 1) {
        progress->total = step->steps;
    }
    (void)rn_text_format(note, sizeof note, "loss %.4f", step->loss);
    rn_progress_show(progress, step->step, isnan(step->loss) ? "" : note);
    return true;
}

/* null where no record was seen. */
static void print_loss(const char *name, double loss)
{
    if (isfinite(loss)) {
        printf(", \"loss_%s\": %.9g", name, loss);
    } else {
        printf(", \"loss_%s\": null", name);
    }
}

static void print_report(const struct train_settings *s, const struct rn_command *command,
                         const struct rn_train_report *report, const struct rn_metrics *dev)
{
    const double mean = report->examples == 0 ? NAN : report->loss_sum / (double)report->examples;
    const double speed = report->seconds > 0 ? (double)report->tokens / report->seconds : 0;

    if (command->json) {
        printf("{\"steps\": %u, \"examples\": %llu, \"tokens\": %llu, \"seconds\": %.3f, "
               "\"tokens_per_second\": %.1f",
               report->steps, (unsigned long long)report->examples,
               (unsigned long long)report->tokens, report->seconds, speed);
        print_loss("first", report->loss_first);
        print_loss("last", report->loss_last);
        print_loss("mean", mean);
        printf(", \"dev\": ");
        if (dev == NULL) {
            printf("null");
        } else {
            rn_metrics_print_json(dev);
        }
        printf(", \"adapter\": ");
        rn_json_text_print(s->out);
        printf("}\n");
        return;
    }
    if (s->dp.on) {
        printf(
            "DP-SGD, experimental: no accountant, no epsilon is claimed. For your screen alone:\n"
            "%llu of %llu records clipped, %llu not finite, %llu batches empty, %llu cut\n",
            (unsigned long long)s->dp.seen.clipped, (unsigned long long)s->dp.seen.examples,
            (unsigned long long)s->dp.seen.not_finite, (unsigned long long)s->dp.seen.empty_batches,
            (unsigned long long)s->dp.seen.cut_batches);
    }
    printf("trained %u steps, %llu examples, %.0f tokens/s\n", report->steps,
           (unsigned long long)report->examples, speed);
    printf("loss: first batch %.4f, last batch %.4f, mean %.4f\n", report->loss_first,
           report->loss_last, mean);
    if (dev != NULL) {
        rn_metrics_print_text(dev);
    }
    printf("adapter: %s\n", s->out);
}

static rn_result evaluate_dev(const struct train_settings *s, struct rn_desk_session *session,
                              struct rn_metrics *out, struct rn_error *err)
{
    struct rn_data_columns columns = s->desk.columns;
    struct rn_data_spec spec;
    struct rn_dataset *data = NULL;

    columns.path = s->dev;
    RN_TRY(rn_data_columns_spec(&columns, &spec, err));
    RN_TRY(rn_trainer_data_open(session->trainer, &spec, &data, err));
    const rn_result result = rn_trainer_evaluate(session->trainer, data, NULL, NULL, out, err);
    rn_trainer_data_close(data);
    return result;
}

static rn_result provenance_text(const struct train_settings *s,
                                 const struct rn_train_report *report, struct rn_buffer *out,
                                 struct rn_error *err)
{
    rn_buffer_format(out,
                     "Made by `rondo train` %s: %u steps of batches of %llu, %s, learning rate "
                     "%g, matrices %s, head %s, seed %llu.",
                     RN_VERSION, report->steps, (unsigned long long)s->batch, s->optimizer, s->lr,
                     s->active, s->head, (unsigned long long)s->desk.seed);
    if (s->dp.on) {
        rn_buffer_format(
            out,
            " DP-SGD with clip norm %g and noise multiplier %g; without an accountant, "
            "so no epsilon is claimed.",
            s->dp.clip, s->dp.noise);
    }
    RN_ENSURE(!out->failed, err, RN_E_INTERNAL, "the provenance text is too long");
    return rn_ok();
}

static rn_result train(struct train_settings *s, const struct rn_command *command,
                       struct rn_error *err)
{
    RN_CLEANUP(rn_desk_close) struct rn_desk_session session = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer provenance = {0};
    struct rn_train_report report = {0};
    struct rn_metrics dev;
    struct rn_progress progress;

    RN_TRY(settle_adapter(s, command, err));
    struct rn_train_spec spec = train_spec(s, command);
    RN_TRY(rn_private_train_settle(&s->dp, command, &spec, err));
    s->batch = spec.batch;
    s->desk.labels_public = s->dp.on;
    RN_TRY(rn_desk_open(&s->desk, &session, err));
    RN_TRY(rn_directory_make(s->out, 0755, err)); /* before the work, not after it */
    rn_progress_init(&progress, "train", spec.steps, command->quiet);
    const rn_result trained =
        rn_trainer_train(session.trainer, session.data, &spec, show_step, &progress, &report, err);
    rn_progress_done(&progress);
    RN_TRY(trained);
    RN_TRY(provenance_text(s, &report, &provenance, err));
    RN_TRY(rn_trainer_save(session.trainer, s->out, rn_buffer_text(&provenance), err));
    if (s->dev != NULL) {
        RN_TRY(evaluate_dev(s, &session, &dev, err));
    }
    report = rn_private_train_report(&s->dp, &report);
    print_report(s, command, &report, s->dev == NULL ? NULL : &dev);
    return rn_ok();
}

static const char detail[] =
    "Writes a PEFT directory that `peft` loads. Without --no-shuffle the batches are drawn by\n"
    "the seed, with it they follow the file. The same options give the same bytes, except\n"
    "with --dp-clip: its noise and its sampling come from the system's randomness.";

static const char examples[] =
    "  rondo train --model encoder --data train.tsv.gz --text sentence --label label \\\n"
    "      --rank 4 --alpha 8 --steps 300 --dev dev.tsv.gz --out adapter\n"
    "  rondo train --model encoder --data rte.tsv --text sentence1,sentence2 --label label \\\n"
    "      --head frozen --active B --epochs 3 --out adapter";

int rn_cmd_train(int argc, char **argv)
{
    struct train_settings s = {0};
    struct rn_command command;
    struct rn_error err = {{0}};

    set_defaults(&s);
    const struct rn_option options[] = {
        RN_DESK_MODEL_OPTION(s.desk),
        RN_DATA_OPTIONS(s.desk.columns),
        RN_LABEL_OPTION(s.desk.columns, true),
        {"out", "DIR", RN_OPTION_TEXT, &s.out, .required = true, .help = "PEFT directory to write"},
        {"dev", "FILE", RN_OPTION_TEXT, &s.dev, .help = "evaluate on this file afterwards"},
        {"init-adapter", "DIR", RN_OPTION_TEXT, &s.desk.adapter,
         .help = "PEFT directory to start from; then rank, alpha and targets are its own"},
        {"rank", "N", RN_OPTION_COUNT, &s.rank, .least = 1, .most = RN_TRAINER_RANK_MAX,
         .help = "of the LoRA matrices"},
        {"alpha", "X", RN_OPTION_NUMBER, &s.desk.lora.alpha, .least = 1e-6, .most = 1048576,
         .help = "scaling is alpha / rank"},
        {"rslora", NULL, RN_OPTION_FLAG, &s.desk.lora.use_rslora,
         .help = "scaling is alpha / sqrt(rank)"},
        {"init", NULL, RN_OPTION_CHOICE, &s.init, .choices = "kaiming|orthonormal",
         .help = "start of A; B starts at zero"},
        {"target", "NAME,NAME", RN_OPTION_TEXT, &s.desk.targets,
         .help = "modules to adapt, as in peft, or all-linear"},
        {"layers", "N,N", RN_OPTION_TEXT, &s.desk.layers, .help = "layers to adapt; all otherwise"},
        {"head", NULL, RN_OPTION_CHOICE, &s.head, .choices = "frozen|local",
         .help = "whether the classifier is trained"},
        {"active", NULL, RN_OPTION_CHOICE, &s.active, .choices = "both|A|B",
         .help = "which LoRA matrices are trained"},
        {"optimizer", NULL, RN_OPTION_CHOICE, &s.optimizer, .choices = "adamw|sgd",
         .help = "update rule"},
        {"lr", "X", RN_OPTION_NUMBER, &s.lr, .least = 0, .most = 1000, .help = "learning rate"},
        {"lr-a", "X", RN_OPTION_NUMBER, &s.lr_a, .least = 0, .most = 1000,
         .help = "of A, where it differs"},
        {"lr-b", "X", RN_OPTION_NUMBER, &s.lr_b, .least = 0, .most = 1000,
         .help = "of B, where it differs"},
        {"lr-head", "X", RN_OPTION_NUMBER, &s.lr_head, .least = 0, .most = 1000,
         .help = "of the head, where it differs"},
        {"weight-decay", "X", RN_OPTION_NUMBER, &s.weight_decay, .least = 0, .most = 1000,
         .help = "decoupled for adamw"},
        {"schedule", NULL, RN_OPTION_CHOICE, &s.schedule, .choices = "constant|linear|cosine",
         .help = "of the learning rate"},
        {"warmup", "N", RN_OPTION_COUNT, &s.warmup, .most = 100000000,
         .help = "steps in which the rate rises"},
        {"clip", "X", RN_OPTION_NUMBER, &s.clip, .least = 0, .most = 1e9,
         .help = "bound of the gradient's norm; 0: none"},
        {"batch", "N", RN_OPTION_COUNT, &s.batch, .least = 1, .most = RN_TRAINER_BATCH_MAX,
         .help = "records per step"},
        {"steps", "N", RN_OPTION_COUNT, &s.steps, .least = 1, .most = 100000000,
         .help = "steps to train"},
        {"epochs", "N", RN_OPTION_COUNT, &s.epochs, .least = 1, .most = 1000000,
         .help = "passes over the data, instead of --steps; without both: 1"},
        {"no-shuffle", NULL, RN_OPTION_FLAG, &s.no_shuffle, .help = "batches in file order"},
        RN_PRIVATE_TRAIN_OPTIONS(s.dp),
        RN_DESK_OPTIONS(s.desk),
        RN_DESK_CACHE_OPTIONS(s.desk),
        RN_DESK_PLAIN_OPTION(s.desk),
    };
    const struct rn_command_text text = {
        .name = "train",
        .summary = "fine-tune a LoRA adapter on one machine",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .detail = detail,
        .examples = examples,
    };
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    const rn_result result = train(&s, &command, &err);
    rn_private_train_clear(&s.dp);
    return rn_command_end(&command, result, &err);
}
