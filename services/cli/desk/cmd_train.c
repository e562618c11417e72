/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo train: LoRA fine-tuning on one machine, with the trainer that a member runs.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/desk/metricstext.h"
#include "services/cli/desk/privatetrain.h"
#include "services/cli/desk/trainrun.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIVERGED_TIMES 4.0 /* a batch's loss scatters, but not so much */

struct train_settings {
    struct rn_desk desk;
    struct rn_private_train dp;
    uint64_t rank;
    const char *init;
    const char *head;
    const char *active;
    const char *optimizer;
    const char *schedule;
    double lr, lr_a, lr_b, lr_head; /* the others: where given */
    double weight_decay, clip;
    uint64_t warmup, batch, steps, epochs;
    bool no_shuffle, overwrite, resume;
    uint64_t checkpoint_every;
    const char *dev;
    const char *out;
};

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
    RN_ENSURE(!s->desk.new_head || !from_adapter, err, RN_E_USAGE,
              "--new-head and --init-adapter exclude each other: an adapter's classes are its own");
    s->desk.for_training = true;
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
                         struct rn_desk_session *session, const struct rn_train_report *report,
                         const struct rn_metrics *dev)
{
    const double mean = report->examples == 0 ? NAN : report->loss_sum / (double)report->examples;
    const double speed = report->seconds > 0 ? (double)report->tokens / report->seconds : 0;
    struct rn_trainer_facts facts;

    rn_trainer_facts(session->trainer, &facts);
    if (command->json) {
        printf("{");
        rn_desk_warnings_print(session);
        printf("\"steps\": %u, \"examples\": %llu, \"tokens\": %llu, \"seconds\": %.3f, "
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
        printf(", \"kernels\": ");
        rn_json_text_print(facts.kernels);
        printf(", \"measured\": ");
        rn_json_text_print(facts.measured);
        printf("}\n");
        return;
    }
    if (s->dp.on) {
        printf("DP-SGD, charged to no ledger: no epsilon is claimed. For your screen alone:\n"
               "%llu of %llu records clipped, %llu not finite, %llu batches empty, %llu cut\n",
               (unsigned long long)s->dp.seen.clipped, (unsigned long long)s->dp.seen.examples,
               (unsigned long long)s->dp.seen.not_finite,
               (unsigned long long)s->dp.seen.empty_batches,
               (unsigned long long)s->dp.seen.cut_batches);
    }
    printf("trained %u steps, %llu examples, %.0f tokens/s\n", report->steps,
           (unsigned long long)report->examples, speed);
    printf("loss: first batch %.4f, last batch %.4f, mean %.4f\n", report->loss_first,
           report->loss_last, mean);
    if (dev != NULL) {
        rn_metrics_print_text(dev);
    }
    printf("kernels: %s %s%s%s\n", facts.backend, facts.kernels,
           facts.measured[0] != '\0' ? ", measured " : "", facts.measured);
    printf("adapter: %s\n", s->out);
}

/* Far above both where it began and what guessing gives. */
static bool diverged(const struct rn_train_report *report, size_t classes)
{
    const double guess = classes > 1 ? log((double)classes) : 0.0;
    return report->loss_last > DIVERGED_TIMES * fmax(report->loss_first, guess);
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
            " DP-SGD with %s clipping to norm %g and noise multiplier %g; without an accountant, "
            "so no epsilon is claimed.",
            s->dp.clipping, s->dp.clip, s->dp.noise);
    }
    RN_ENSURE(!out->failed, err, RN_E_INTERNAL, "the provenance text is too long");
    return rn_ok();
}

/* Options that may differ between a training and its going on. */
static const char *const free_options[] = {"out",
                                           "dev",
                                           "overwrite",
                                           "checkpoint-every",
                                           "resume",
                                           "threads",
                                           "prefix-cache",
                                           "prefix-cache-dir",
                                           "plain",
                                           "prefix-cache-keep",
                                           NULL};

static rn_result finish(const struct train_settings *s, const struct rn_command *command,
                        struct rn_desk_session *session, const struct rn_train_report *trained,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer provenance = {0};
    struct rn_metrics dev;
    RN_TRY(provenance_text(s, trained, &provenance, err));
    RN_TRY(rn_trainer_save(session->trainer, s->out, rn_buffer_text(&provenance), err));
    if (s->dev != NULL) {
        RN_TRY(evaluate_dev(s, session, &dev, err));
    }
    const struct rn_train_report report = rn_private_train_report(&s->dp, trained);
    if (diverged(&report, session->labels.count)) {
        rn_command_note(command,
                        "training diverged: the loss went from %.4g to %.4g; the adapter is of no "
                        "use. Try a lower --lr, --warmup-steps or --clip",
                        report.loss_first, report.loss_last);
    }
    print_report(s, command, session, &report, s->dev == NULL ? NULL : &dev);
    return rn_ok();
}

static rn_result train(struct train_settings *s, const struct rn_command *command,
                       struct rn_error *err)
{
    RN_CLEANUP(rn_desk_close) struct rn_desk_session session = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer settings = {0};
    struct rn_train_report report;
    struct rn_trainer_facts facts;

    rn_command_settings_text(command, free_options, &settings);
    RN_TRY(settle_adapter(s, command, err));
    struct rn_train_spec spec = train_spec(s, command);
    RN_TRY(rn_private_train_settle(&s->dp, command, &spec, err));
    s->batch = spec.batch;
    s->desk.labels_public = s->desk.for_dp = s->dp.on;
    RN_TRY(rn_desk_open(&s->desk, &session, err));
    RN_ENSURE(
        !s->dp.on || spec.active != RN_MATRIX_A || !rn_trainer_b_is_zero(session.trainer), err,
        RN_E_USAGE,
        "--active A with --dp-clip: every B is zero, and so is the gradient of A: noise alone "
        "would come of it; train B first");
    rn_trainer_facts(session.trainer, &facts);
    s->dp.source.threads = facts.threads;
    rn_desk_notes(&s->desk, &session, command, s->desk.head == RN_HEAD_FROZEN);
    rn_buffer_format(&settings, "records in the data=%zu\n", rn_trainer_data_count(session.data));
    RN_TRY(rn_train_run_folder(s->out, s->overwrite, s->resume, err)); /* before the work */
    const struct rn_train_run run = {.session = &session,
                                     .spec = &spec,
                                     .settings = rn_buffer_text(&settings),
                                     .out = s->out,
                                     .every = s->checkpoint_every,
                                     .with_head = s->desk.head != RN_HEAD_FROZEN,
                                     .resume = s->resume,
                                     .quiet = command->quiet};
    RN_TRY(rn_train_run(&run, &report, err));
    RN_TRY(finish(s, command, &session, &report, err));
    rn_train_run_done(&run);
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct train_settings *s = command->settings;
    const rn_result result = train(s, command, err);
    rn_private_train_clear(&s->dp);
    return result;
}

static const struct rn_option output_options[] = {
    {"out", RN_OPT_DIRECTORY(struct train_settings, out), .required = true,
     .help = "PEFT directory to write"},
    {"overwrite", RN_OPT_FLAG(struct train_settings, overwrite),
     .help = "write into a folder that holds files"},
    {"checkpoint-every", RN_OPT_COUNT(struct train_settings, checkpoint_every, "N"),
     RN_BOUNDS_STEPS,
     .help = "steps after which a checkpoint is written into the output folder; Ctrl-C writes one "
             "in any case"},
    {"resume", RN_OPT_FLAG(struct train_settings, resume),
     .help = "go on from the checkpoint in the output folder, to the same bytes as without a stop"},
    {"dev", RN_OPT_FILE(struct train_settings, dev), .help = "evaluate on this file afterwards"},
    {NULL}};

static const struct rn_option adapter_options[] = {
    {"init-adapter", RN_OPT_DIRECTORY(struct train_settings, desk.adapter),
     .help = "PEFT directory to start from; then rank, alpha and targets are its own"},
    {"rank", RN_OPT_COUNT(struct train_settings, rank, "N"), .fallback = "8", RN_BOUNDS_RANK,
     .help = "of the LoRA matrices"},
    {"alpha", RN_OPT_NUMBER(struct train_settings, desk.lora.alpha, "X"), .fallback = "16",
     RN_BOUNDS_ALPHA, .help = "scaling is alpha / rank"},
    {"rslora", RN_OPT_FLAG(struct train_settings, desk.lora.use_rslora),
     .help = "scaling is alpha / sqrt(rank)"},
    {"init", RN_OPT_CHOICE(struct train_settings, init, RN_CHOICES_INIT), .fallback = "kaiming",
     .help = "start of A; B starts at zero (of rondo-mlp: as A does)"},
    {"head", RN_OPT_CHOICE(struct train_settings, head, "frozen|local"), .fallback = "local",
     .help = "whether the classifier is trained"},
    {"new-head", RN_OPT_FLAG(struct train_settings, desk.new_head),
     .help =
         "begin with a new classifier though the model has one: for other classes than its own"},
    {"active", RN_OPT_CHOICE(struct train_settings, active, "both|A|B"), .fallback = "both",
     .help = "which LoRA matrices are trained"},
    {NULL}};

static const struct rn_option step_options[] = {
    {"optimizer", RN_OPT_CHOICE(struct train_settings, optimizer, RN_CHOICES_OPTIMIZER),
     .fallback = "adamw", .help = "update rule"},
    {"lr", RN_OPT_NUMBER(struct train_settings, lr, "X"), .fallback = "0.001", RN_BOUNDS_RATE,
     .help = "learning rate"},
    {"lr-a", RN_OPT_NUMBER(struct train_settings, lr_a, "X"), RN_BOUNDS_RATE,
     .help = "of A, where it differs"},
    {"lr-b", RN_OPT_NUMBER(struct train_settings, lr_b, "X"), RN_BOUNDS_RATE,
     .help = "of B, where it differs"},
    {"lr-head", RN_OPT_NUMBER(struct train_settings, lr_head, "X"), RN_BOUNDS_RATE,
     .help = "of the head, where it differs"},
    {"weight-decay", RN_OPT_NUMBER(struct train_settings, weight_decay, "X"), .fallback = "0",
     RN_BOUNDS_DECAY, .help = "decoupled for adamw"},
    {"schedule", RN_OPT_CHOICE(struct train_settings, schedule, "constant|linear|cosine"),
     .fallback = "linear", .help = "of the learning rate"},
    {"warmup-steps", RN_OPT_COUNT(struct train_settings, warmup, "N"), .fallback = "0",
     RN_BOUNDS_WARMUP, .help = "in which the rate rises"},
    {"clip", RN_OPT_NUMBER(struct train_settings, clip, "X"), .fallback = "1", RN_BOUNDS_CLIP,
     .help = "bound of the gradient's norm; 0: none"},
    {"batch", RN_OPT_COUNT(struct train_settings, batch, "N"), .fallback = "32", RN_BOUNDS_BATCH,
     .help = "records per step"},
    {"steps", RN_OPT_COUNT(struct train_settings, steps, "N"), RN_BOUNDS_STEPS,
     .help = "steps to train"},
    {"epochs", RN_OPT_COUNT(struct train_settings, epochs, "N"), .least = 1, .most = 1000000,
     .help = "passes over the data, instead of --steps; without both: 1"},
    {"no-shuffle", RN_OPT_FLAG(struct train_settings, no_shuffle), .help = "batches in file order"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Model", rn_desk_model_options, offsetof(struct train_settings, desk)},
    {"Data", rn_labelled_data_options, offsetof(struct train_settings, desk.columns)},
    {"Result", output_options, 0},
    {"Adapter", adapter_options, 0},
    {"Adapter", rn_desk_lora_options, offsetof(struct train_settings, desk)},
    {"Training", step_options, 0},
    {"Differential privacy", rn_private_train_options, offsetof(struct train_settings, dp)},
    {"Labels and length", rn_desk_options, offsetof(struct train_settings, desk)},
    {"Machine", rn_desk_machine_options, offsetof(struct train_settings, desk)},
    {"Frozen layers", rn_desk_cache_options, offsetof(struct train_settings, desk)},
    {NULL}};

static const struct rn_option_renamed renamed[] = {
    {"target", "targets"}, {"warmup", "warmup-steps"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_train = {
    .name = "train",
    .summary = "fine-tune a LoRA adapter on one machine",
    .groups = groups,
    .settings_size = sizeof(struct train_settings),
    .renamed = renamed,
    .exits = RN_DESK_EXITS,
    .detail =
        "Writes a PEFT directory that `peft` loads. Without --no-shuffle the batches are "
        "drawn by the seed, with it they follow the file. The same options give the same "
        "bytes, except with --dp-clip: its noise and its sampling come from the system's "
        "randomness. The first Ctrl-C or SIGTERM writes a checkpoint and ends with exit code "
        "82; the same command with --resume goes on. With --backend cuda two variables of the "
        "environment are read: RONDO_CUDA_PLANS=FILE keeps the fastest algorithm of every "
        "product in a file, RONDO_CUDA_GRAPHS=off issues every operation by itself.",
    .examples = "  rondo train --model encoder --data train.tsv.gz --text sentence \\\n"
                "      --label label --rank 4 --alpha 8 --steps 300 --dev dev.tsv.gz \\\n"
                "      --out adapter\n"
                "  rondo train --model encoder --data rte.tsv --text sentence1,sentence2 \\\n"
                "      --label label --head frozen --active B --epochs 3 --out adapter\n"
                "  rondo train --model encoder --data train.tsv.gz --text sentence \\\n"
                "      --label label --epochs 3 --out adapter --resume",
    .run = run,
};
