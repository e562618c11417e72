/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/planoptions.h"

#include <inttypes.h>
#include <string.h>

#include "base/guard.h"
#include "services/cli/kit/bounds.h"
#include "trainer/trainer.h"

const struct rn_option rn_plan_job_options[] = {
    {"name", RN_OPT_TEXT(struct rn_plan_options, name, "NAME"), .help = "the plan's name"},
    {"labels", RN_OPT_TEXT(struct rn_plan_options, labels, "NAME,..."),
     .help = "class names in order"},
    {"task", RN_OPT_CHOICE(struct rn_plan_options, task, RN_CHOICES_TASK),
     .fallback = "classification", .help = "what the label column holds"},
    {"metric",
     RN_OPT_CHOICE(struct rn_plan_options, metric, "accuracy|f1|matthews|pearson|spearman"),
     .fallback = "accuracy", .help = "what is reported"},
    {"rounds", RN_OPT_COUNT(struct rn_plan_options, rounds, "N"), .fallback = "8", RN_BOUNDS_ROUNDS,
     .help = "rounds of the job"},
    {"method", RN_OPT_CHOICE(struct rn_plan_options, method, RN_CHOICES_METHOD),
     .fallback = "rolora", .help = "which matrices a round trains"},
    {"weights", RN_OPT_CHOICE(struct rn_plan_options, weights, RN_CHOICES_WEIGHTS),
     .fallback = "uniform", .help = "how members weigh in the mean"},
    {"max-examples", RN_OPT_COUNT(struct rn_plan_options, max_examples, "N"), .least = 0,
     .most = 0x1p31, .help = "with --weights examples: most that a member may claim"},
    {"metrics", RN_OPT_CHOICE(struct rn_plan_options, metrics, "home|summed"), .fallback = "home",
     .help = "whether losses and counts are summed inside the masked vector"},
    {"coordinator", RN_OPT_CHOICE(struct rn_plan_options, coordinator, "open|blind"),
     .fallback = "open", .help = "blind: members alone see sums and the adapter, and publish it"},
    {"kem", RN_OPT_CHOICE(struct rn_plan_options, kem, "none|hybrid"), .fallback = "none",
     .help = "hybrid, with --coordinator blind: ML-KEM-768 beside X25519"},
    {"evaluation", RN_OPT_FLAG(struct rn_plan_options, evaluation),
     .help = "measure each round on the members' development sets, inside the masked vector"},
    {"keep-best", RN_OPT_FLAG(struct rn_plan_options, keep_best),
     .help = "with --evaluation: keep the adapter that measured best beside the last"},
    {"patience", RN_OPT_COUNT(struct rn_plan_options, patience, "N"), .fallback = "0",
     .most = 100000, .help = "with --evaluation: end after N measures without improvement"},
    {"min-delta", RN_OPT_NUMBER(struct rn_plan_options, min_delta, "X"), .fallback = "0", .most = 2,
     .help = "and the least change that is one"},
    {"seed", RN_OPT_COUNT(struct rn_plan_options, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "seed of adapter, head and batches"},
    {"max-length", RN_OPT_COUNT(struct rn_plan_options, max_length, "N"), .fallback = "128",
     RN_BOUNDS_LENGTH, .help = "tokens per record, special ones included"},
    {NULL}};

const struct rn_option rn_plan_adapter_options[] = {
    {"rank", RN_OPT_COUNT(struct rn_plan_options, rank, "N"), .fallback = "4", RN_BOUNDS_RANK,
     .help = "of the LoRA matrices"},
    {"alpha", RN_OPT_NUMBER(struct rn_plan_options, alpha, "X"), .fallback = "8", RN_BOUNDS_ALPHA,
     .help = "scaling is alpha / rank"},
    {"rslora", RN_OPT_FLAG(struct rn_plan_options, rslora),
     .help = "scaling is alpha / sqrt(rank)"},
    {"init", RN_OPT_CHOICE(struct rn_plan_options, init, RN_CHOICES_INIT), .fallback = "kaiming",
     .help = "start of A; B starts at zero (of rondo-mlp: as A does)"},
    {"targets", RN_OPT_TEXT(struct rn_plan_options, targets, "NAME,..."), .fallback = "query,value",
     .help = "modules to adapt, as in peft, or all-linear"},
    {"head", RN_OPT_CHOICE(struct rn_plan_options, head, "frozen|federated|local"),
     .fallback = "federated", .help = "what happens to the classifier"},
    {NULL}};

const struct rn_option rn_plan_training_options[] = {
    {"optimizer", RN_OPT_CHOICE(struct rn_plan_options, optimizer, RN_CHOICES_OPTIMIZER),
     .fallback = "adamw", .help = "update rule of the local steps"},
    {"lr", RN_OPT_NUMBER(struct rn_plan_options, lr, "X"), .fallback = "0.001", RN_BOUNDS_RATE,
     .help = "learning rate of A, B and head"},
    {"lr-head", RN_OPT_NUMBER(struct rn_plan_options, lr_head, "X"), RN_BOUNDS_RATE,
     .help = "of the head, where it differs"},
    {"weight-decay", RN_OPT_NUMBER(struct rn_plan_options, weight_decay, "X"), .fallback = "0",
     RN_BOUNDS_DECAY, .help = "decoupled for adamw"},
    {"schedule", RN_OPT_CHOICE(struct rn_plan_options, schedule, "constant|cosine"),
     .fallback = "constant", .help = "of the learning rate, over a round"},
    {"warmup-steps", RN_OPT_COUNT(struct rn_plan_options, warmup_steps, "N"), .fallback = "0",
     RN_BOUNDS_WARMUP, .help = "of each round, in which the rate rises"},
    {"clip", RN_OPT_NUMBER(struct rn_plan_options, clip, "X"), .fallback = "1", RN_BOUNDS_CLIP,
     .help = "bound of the gradient's norm; 0: none"},
    {"batch", RN_OPT_COUNT(struct rn_plan_options, batch, "N"), .fallback = "32", RN_BOUNDS_BATCH,
     .help = "records per step"},
    {"steps", RN_OPT_COUNT(struct rn_plan_options, steps, "N"), .fallback = "50", RN_BOUNDS_STEPS,
     .help = "local steps a round"},
    {NULL}};

const struct rn_option rn_plan_privacy_options[] = {
    {"dp-sampling-rate", RN_OPT_NUMBER(struct rn_plan_options, dp_rate, "Q"), .least = 0x1p-64,
     .most = 1,
     .help =
         "DP-SGD at every member: how likely a record is in a step's batch; --batch is then the "
         "most of one (`rondo privacy plan` finds these numbers)"},
    {"dp-mode", RN_OPT_CHOICE(struct rn_plan_options, dp_mode, "local|shared"), .fallback = "local",
     .help = "shared: a round is one sum of gradients, with --steps 1 and --optimizer sgd, whose "
             "noise --honest members add together; each member's policy has to allow it"},
    {"dp-noise", RN_OPT_NUMBER(struct rn_plan_options, dp_noise, "SIGMA"), .fallback = "1",
     .least = 1e-6, .most = RN_DP_NOISE_MAX, .help = "noise multiplier of a step"},
    {"dp-clip", RN_OPT_NUMBER(struct rn_plan_options, dp_clip, "C"), .fallback = "1",
     .least = RN_DP_CLIP_MIN, .most = RN_DP_CLIP_MAX,
     .help = "most that one record's gradient is long"},
    {"dp-clipping", RN_OPT_CHOICE(struct rn_plan_options, dp_clipping, "flat|automatic"),
     .fallback = "flat", .help = "automatic: every gradient is scaled to just below --dp-clip"},
    {"dp-denominator", RN_OPT_NUMBER(struct rn_plan_options, dp_denominator, "X"), .fallback = "32",
     .least = 1, .most = RN_DP_DENOMINATOR_MAX,
     .help = "public number that a step's sum is divided by"},
    {"dp-retries", RN_OPT_COUNT(struct rn_plan_options, dp_retries, "N"), .fallback = "2",
     .most = 100000,
     .help = "trainings of the whole job beyond one a round; charged with the plan"},
    {"dp-reply", RN_OPT_COUNT(struct rn_plan_options, dp_reply, "S"), .fallback = "0",
     .most = 86400, .help = "updates leave at multiples of S seconds after the offer"},
    {NULL}};

const struct rn_option rn_plan_secagg_options[] = {
    {"colluding", RN_OPT_COUNT(struct rn_plan_options, colluding, "N"), .fallback = "1", .least = 1,
     .most = RN_PLAN_MEMBERS_MAX - 2, .help = "members that may work with the coordinator"},
    {"losses", RN_OPT_COUNT(struct rn_plan_options, losses, "N"), .most = RN_PLAN_MEMBERS_MAX - 3,
     .help = "losses that a round survives; without: as many as the members allow"},
    {"honest", RN_OPT_COUNT(struct rn_plan_options, honest, "N"), .fallback = "2", .least = 2,
     .most = RN_PLAN_MEMBERS_MAX - 1, .help = "honest contributors that must remain"},
    {"bits", RN_OPT_COUNT(struct rn_plan_options, bits, "N"), .fallback = "16", .least = 4,
     .most = 24, .help = "of one quantised value"},
    {"scale", RN_OPT_NUMBER(struct rn_plan_options, scale, "X"), .fallback = "0.125",
     RN_BOUNDS_SCALE, .help = "largest change of one element in a round, a power of two"},
    {"train-soft", RN_OPT_COUNT(struct rn_plan_options, train_soft, "S"), .fallback = "1800",
     .least = 1, .most = 604800,
     .help = "seconds of training after which stragglers are left behind"},
    {"train-hard", RN_OPT_COUNT(struct rn_plan_options, train_hard, "S"), .fallback = "7200",
     .least = 1, .most = 604800, .help = "and after which a round is given up"},
    {"stage-soft", RN_OPT_COUNT(struct rn_plan_options, stage_soft, "S"), .fallback = "30",
     .least = 1, .most = 86400, .help = "the same for every other stage"},
    {"stage-hard", RN_OPT_COUNT(struct rn_plan_options, stage_hard, "S"), .fallback = "120",
     .least = 1, .most = 86400, .help = "and its end"},
    {"upload-rate", RN_OPT_COUNT(struct rn_plan_options, upload_rate, "BYTES"),
     .fallback = "1000000", .least = 1024, .most = 1e12,
     .help = "bytes per second that every member can send"},
    {"attempts", RN_OPT_COUNT(struct rn_plan_options, attempts, "N"), .fallback = "3", .least = 1,
     .most = 100, .help = "sessions of a round before it is given up"},
    {NULL}};

/* ---- Which fields they set, in the order in which they are applied. */

struct origin {
    const char *option;
    const char *paths[4];
};

static const struct origin origins[] = {
    {"name", {"name"}},
    {"seed", {"seed"}},
    {"rounds", {"rounds"}},
    {"method", {"method"}},
    {"weights", {"weights"}},
    {"max-examples", {"max_examples"}},
    {"metrics", {"metrics"}},
    {"coordinator", {"coordinator"}},
    {"kem", {"secagg.kem"}},
    {"evaluation", {"evaluation.federated"}},
    {"keep-best", {"evaluation.keep_best"}},
    {"patience", {"evaluation.early_stop.patience"}},
    {"min-delta", {"evaluation.early_stop.min_delta"}},
    {"max-length", {"model.max_length"}},
    {"task", {"task.kind"}},
    {"labels", {"task.labels"}},
    {"metric", {"task.metric"}},
    {"rank", {"lora.rank"}},
    {"alpha", {"lora.alpha"}},
    {"rslora", {"lora.rslora"}},
    {"init", {"lora.init"}},
    {"targets", {"lora.targets"}},
    {"head", {"lora.head"}},
    {"optimizer", {"training.optimizer"}},
    {"lr", {"training.lr_a", "training.lr_b", "training.lr_head"}},
    {"lr-head", {"training.lr_head"}},
    {"weight-decay", {"training.weight_decay"}},
    {"schedule", {"training.schedule"}},
    {"warmup-steps", {"training.warmup_steps"}},
    {"clip", {"training.clip"}},
    {"batch", {"training.batch"}},
    {"steps", {"training.steps"}},
    {"dp-sampling-rate", {"privacy.rate"}},
    {"dp-mode", {"privacy.mode"}},
    {"dp-noise", {"privacy.noise"}},
    {"dp-clip", {"privacy.clip"}},
    {"dp-clipping", {"privacy.clipping"}},
    {"dp-denominator", {"privacy.denominator"}},
    {"dp-retries", {"privacy.retries"}},
    {"dp-reply", {"privacy.reply_s"}},
    {"colluding", {"secagg.colluding"}},
    {"losses", {"secagg.losses"}},
    {"honest", {"secagg.honest"}},
    {"bits", {"secagg.bits"}},
    {"scale", {"secagg.scale_a", "secagg.scale_b", "secagg.scale_head"}},
    {"train-soft", {"secagg.train_soft_s"}},
    {"train-hard", {"secagg.train_hard_s"}},
    {"stage-soft", {"secagg.stage_soft_s"}},
    {"stage-hard", {"secagg.stage_hard_s"}},
    {"upload-rate", {"secagg.upload_rate"}},
    {"attempts", {"secagg.attempts"}},
};

const char *const *rn_plan_option_paths(const char *option)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(origins); i++) {
        if (strcmp(origins[i].option, option) == 0) {
            return origins[i].paths;
        }
    }
    return NULL;
}

static const struct rn_option *option_find(const char *name)
{
    static const struct rn_option *const tables[] = {
        rn_plan_job_options, rn_plan_adapter_options, rn_plan_training_options,
        rn_plan_privacy_options, rn_plan_secagg_options};
    for (size_t t = 0; t < RN_ARRAY_LENGTH(tables); t++) {
        for (const struct rn_option *option = tables[t]; option->name != NULL; option++) {
            if (strcmp(option->name, name) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

/* "a,b": each entry as it stands, whatever it looks like. */
static rn_result list_set(const struct rn_field *field, const char *list, struct rn_plan *plan,
                          struct rn_error *err)
{
    rn_field_reset(field, plan);
    for (const char *at = list; *at != '\0';) {
        char entry[128];
        const size_t length = strcspn(at, ",");
        RN_ENSURE(rn_text_format(entry, sizeof entry, "%.*s", (int)length, at), err, RN_E_CONFIG,
                  "an entry is too long");
        RN_TRY(rn_field_set(field, plan, entry, true, err));
        at += length + (at[length] == ',' ? 1 : 0);
    }
    return rn_ok();
}

/* The option's value as it would stand in the file. */
static const char *value_text(const struct rn_option *option, const void *options,
                              char out[static 64])
{
    const void *at = (const char *)options + option->offset;
    switch (option->kind) {
    case RN_OPTION_COUNT:
        (void)rn_text_format(out, 64, "%" PRIu64, *(const uint64_t *)at);
        return out;
    case RN_OPTION_NUMBER:
        (void)rn_text_format(out, 64, "%.17g", *(const double *)at);
        return out;
    case RN_OPTION_FLAG:
        return *(const bool *)at ? "true" : "false";
    default:
        return *(const char *const *)at;
    }
}

static rn_result path_set(const char *path, const char *text, struct rn_plan *plan,
                          struct rn_error *err)
{
    const struct rn_field *field = rn_field_find(rn_plan_fields(), path);
    return rn_field_is_list(field) ? list_set(field, text, plan, err)
                                   : rn_field_set(field, plan, text, false, err);
}

/* --dp-sampling-rate begins the section: what was not said is as in a new file; each record is
 * clipped instead of the sum. The others need it. */
static rn_result privacy_begin(const struct rn_command *command, struct rn_plan *plan,
                               struct rn_error *err)
{
    const bool given = rn_command_given(command, "dp-sampling-rate");
    for (const struct rn_option *option = rn_plan_privacy_options; option->name != NULL; option++) {
        RN_ENSURE(given || rn_plan_is_private(plan) || !rn_command_given(command, option->name),
                  err, RN_E_USAGE, "--%s needs --dp-sampling-rate", option->name);
    }
    if (given && !rn_plan_is_private(plan)) {
        for (size_t i = 0; i < rn_plan_fields()->count; i++) {
            const struct rn_field *field = &rn_plan_fields()->fields[i];
            if (strncmp(field->path, "privacy.", 8) == 0) {
                RN_TRY(rn_field_set_text(field, plan, field->fallback, err));
            }
        }
    }
    if (given && !rn_command_given(command, "clip")) {
        plan->training.clip = 0;
    }
    return rn_ok();
}

rn_result rn_plan_options_apply(const struct rn_command *command,
                                const struct rn_plan_options *options, struct rn_plan *plan,
                                struct rn_error *err)
{
    char text[64];
    RN_TRY(privacy_begin(command, plan, err));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(origins); i++) {
        if (!rn_command_given(command, origins[i].option)) {
            continue;
        }
        const char *value = value_text(option_find(origins[i].option), options, text);
        for (const char *const *path = origins[i].paths; *path != NULL; path++) {
            RN_ENSURE(rn_is_ok(path_set(*path, value, plan, err)), err, RN_E_USAGE, "--%s: %s",
                      origins[i].option, err == NULL ? "" : err->text);
        }
    }
    return rn_ok();
}

rn_result rn_plan_length_fit(const char *model, struct rn_plan *plan, struct rn_error *err)
{
    struct rn_model_facts facts;
    RN_TRY(rn_model_facts_read(model, &facts, err));
    if (facts.length_max > 0 && facts.length_max < plan->model.max_length) {
        plan->model.max_length = facts.length_max;
    }
    return rn_ok();
}
