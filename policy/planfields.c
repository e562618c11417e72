/* SPDX-License-Identifier: Apache-2.0
 *
 * Every field of plan.yaml: where it stands, what it may hold, what a new plan holds, what it
 * means. The rules between fields are in plan.c.
 */
#include "policy/plan.h"

#include "base/guard.h"

/* ---- Words. */

const struct rn_word rn_plan_method_words[3] = {{"rolora", RN_METHOD_ROLORA},
                                                {"ffa-lora", RN_METHOD_FFA_LORA},
                                                {"fedavg-lora", RN_METHOD_FEDAVG_LORA}};
const struct rn_word rn_plan_weights_words[2] = {{"uniform", RN_WEIGHTS_UNIFORM},
                                                 {"examples", RN_WEIGHTS_EXAMPLES}};
const struct rn_word rn_plan_metrics_words[2] = {{"home", RN_METRICS_HOME},
                                                 {"summed", RN_METRICS_SUMMED}};
static const struct rn_word coordinators[] = {{"open", RN_PLAN_COORDINATOR_OPEN},
                                              {"blind", RN_PLAN_COORDINATOR_BLIND}};
static const struct rn_word kems[] = {{"none", RN_PLAN_KEM_NONE}, {"hybrid", RN_PLAN_KEM_HYBRID}};
static const struct rn_word tasks[] = {{"classification", RN_PLAN_CLASSIFICATION},
                                       {"regression", RN_PLAN_REGRESSION}};
static const struct rn_word metrics[] = {{"accuracy", RN_PLAN_METRIC_ACCURACY},
                                         {"f1", RN_PLAN_METRIC_F1},
                                         {"matthews", RN_PLAN_METRIC_MATTHEWS},
                                         {"pearson", RN_PLAN_METRIC_PEARSON},
                                         {"spearman", RN_PLAN_METRIC_SPEARMAN}};
static const struct rn_word inits[] = {{"kaiming", RN_PLAN_INIT_KAIMING},
                                       {"orthonormal", RN_PLAN_INIT_ORTHONORMAL}};
const struct rn_word rn_plan_head_words[3] = {{"frozen", RN_PLAN_HEAD_FROZEN},
                                              {"federated", RN_PLAN_HEAD_FEDERATED},
                                              {"local", RN_PLAN_HEAD_LOCAL}};
static const struct rn_word optimizers[] = {{"adamw", RN_PLAN_ADAMW}, {"sgd", RN_PLAN_SGD}};
static const struct rn_word privacy_modes[] = {{"local", RN_PLAN_PRIVACY_LOCAL},
                                               {"shared", RN_PLAN_PRIVACY_SHARED}};
static const struct rn_word samplings[] = {{"poisson", RN_PLAN_POISSON},
                                           {"allocation", RN_PLAN_ALLOCATION}};
static const struct rn_word clippings[] = {{"flat", RN_PLAN_CLIP_FLAT},
                                           {"automatic", RN_PLAN_CLIP_AUTOMATIC}};
static const struct rn_word schedules[] = {{"constant", RN_PLAN_SCHEDULE_CONSTANT},
                                           {"cosine", RN_PLAN_SCHEDULE_COSINE}};

/* ---- Where a value lies. */

#define PLAN(member) (((struct rn_plan *)NULL)->member)
#define AT(member) .offset = offsetof(struct rn_plan, member), .size = sizeof(PLAN(member))
#define LIST(member)                                                             \
    .offset = offsetof(struct rn_plan, member), .size = sizeof(PLAN(member)[0]), \
    .count_offset = offsetof(struct rn_plan, member##_count)
#define NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE_OF(table) .words = (table), .word_count = RN_ARRAY_LENGTH(table)

static const struct rn_field fields[] = {
    {"version", RN_FIELD_U32, AT(version), .least = RN_PLAN_VERSION, .most = RN_PLAN_VERSION,
     .fallback = "1", .meaning = "of the format"},
    {"federation", RN_FIELD_NAME, AT(federation),
     .meaning = "name of the federation: `a`-`z`, `0`-`9`, `-`, at most 63 characters; the same in "
                "roster, certificates and every site"},
    {"name", RN_FIELD_NAME, AT(name), .meaning = "name of this plan, same letters"},
    {"seed", RN_FIELD_U64, AT(seed), .most = 0x1p53, .fallback = "1",
     .meaning = "seed of adapter A, of a head that the checkpoint lacks, and of the order of "
                "batches; another one in every plan of a federation over the same model and data "
                "(SECURITY.md)"},
    {"rounds", RN_FIELD_U32, AT(rounds), .least = 1, .most = RN_PLAN_ROUNDS_MAX, .fallback = "8",
     .meaning = "rounds of the job, counted from 1"},
    {"method", RN_FIELD_WORD, AT(method), ONE_OF(rn_plan_method_words), .fallback = "rolora",
     .meaning = "`rolora` (B, A, B, A ...), `ffa-lora` (always B), `fedavg-lora` (both)"},
    {"weights", RN_FIELD_WORD, AT(weights), ONE_OF(rn_plan_weights_words), .fallback = "uniform",
     .meaning = "`uniform`, or `examples`: members weigh by their example count, inside the masked "
                "vector"},
    {"max_examples", RN_FIELD_U64, AT(max_examples), .optional = true, .most = 0x1p31,
     .fallback = "0", .meaning = "largest count a member may claim; 0 or absent with `uniform`"},
    {"metrics", RN_FIELD_WORD, AT(metrics), ONE_OF(rn_plan_metrics_words), .optional = true,
     .absent = "home", .fallback = "home",
     .meaning = "`home`: losses and counts stay at the site; `summed`: they are elements of the "
                "masked vector"},
    {"coordinator", RN_FIELD_WORD, AT(coordinator), ONE_OF(coordinators), .optional = true,
     .absent = "open", .fallback = "open",
     .meaning =
         "`open`: the coordinator sees every sum and adapter; `blind`: members alone do, and "
         "publish the adapter; all of them have to sign before round 1"},

    {"model.hash", RN_FIELD_HASH, AT(model.hash),
     .meaning = "base-model hash, 64 lower-case hex digits (`rondo model hash DIR`)"},
    {"model.max_length", RN_FIELD_U32, AT(model.max_length), .least = 8, .most = 32768,
     .fallback = "128", .unit = "tokens", .meaning = "tokens per example, special ones included"},

    {"task.kind", RN_FIELD_WORD, AT(task.kind), ONE_OF(tasks), .fallback = "classification",
     .meaning = "`classification` or `regression`"},
    {"task.labels", RN_FIELD_TEXTS, LIST(task.labels), .optional = true, .most = RN_PLAN_LABELS_MAX,
     .meaning = "class names in order, 2 to 256, each at most 63 bytes, distinct; absent or empty "
                "for regression"},
    {"task.metric", RN_FIELD_WORD, AT(task.metric), ONE_OF(metrics), .fallback = "accuracy",
     .meaning = "`accuracy`, `f1`, `matthews`; regression: `pearson`, `spearman`"},

    {"lora.rank", RN_FIELD_U32, AT(lora.rank), .least = 1, .most = 512, .fallback = "4",
     .meaning = "rank of the adapter"},
    {"lora.alpha", RN_FIELD_REAL, AT(lora.alpha), .least = 0x1p-10, .most = 0x1p14, .fallback = "8",
     .meaning = "scale is alpha / rank"},
    {"lora.rslora", RN_FIELD_SWITCH, AT(lora.rslora), .fallback = "false",
     .meaning = "`true`: scale is alpha / sqrt(rank)"},
    {"lora.init", RN_FIELD_WORD, AT(lora.init), ONE_OF(inits), .fallback = "kaiming",
     .meaning = "`kaiming` (as peft) or `orthonormal` rows of A; B starts at zero"},
    {"lora.targets", RN_FIELD_TEXTS, LIST(lora.targets), .least = 1, .most = RN_PLAN_TARGETS_MAX,
     .fallback = "[query, value]",
     .meaning = "1 to 32 module names, matched as in peft (suffix), or `all-linear` alone"},
    {"lora.layers", RN_FIELD_NUMBERS, LIST(lora.layers), .optional = true,
     .most = RN_PLAN_LAYERS_MAX, .fallback = "[]",
     .meaning = "layer numbers from 0, ascending; empty or absent: every layer"},
    {"lora.head", RN_FIELD_WORD, AT(lora.head), ONE_OF(rn_plan_head_words), .fallback = "federated",
     .meaning = "`frozen`, `federated` (summed with the active matrix) or `local` (never leaves)"},

    {"training.optimizer", RN_FIELD_WORD, AT(training.optimizer), ONE_OF(optimizers),
     .fallback = "adamw", .meaning = "`adamw` or `sgd`; its state is fresh in each round"},
    {"training.lr_a", RN_FIELD_REAL, AT(training.lr_a), .most = 100, .fallback = "0.001",
     .meaning = "learning rate of A"},
    {"training.lr_b", RN_FIELD_REAL, AT(training.lr_b), .most = 100, .fallback = "0.001",
     .meaning = "learning rate of B"},
    {"training.lr_head", RN_FIELD_REAL, AT(training.lr_head), .most = 100, .fallback = "0.001",
     .meaning = "learning rate of the head"},
    {"training.weight_decay", RN_FIELD_REAL, AT(training.weight_decay), .most = 1, .fallback = "0",
     .meaning = "weight decay; never touches a frozen matrix"},
    {"training.schedule", RN_FIELD_WORD, AT(training.schedule), ONE_OF(schedules),
     .fallback = "constant", .meaning = "`constant` or `cosine`, over one round"},
    {"training.warmup_steps", RN_FIELD_U32, AT(training.warmup_steps), .most = 1000000,
     .fallback = "0", .unit = "steps",
     .meaning = "steps of each round that warm up; at most `steps`"},
    {"training.clip", RN_FIELD_REAL, AT(training.clip), .most = 1000000, .fallback = "1",
     .meaning = "norm bound of the gradient; 0: none, as `privacy` wants it"},
    {"training.batch", RN_FIELD_U32, AT(training.batch), .least = 1, .most = 4096, .fallback = "32",
     .unit = "examples", .meaning = "examples of one step"},
    {"training.steps", RN_FIELD_U32, AT(training.steps), .least = 1, .most = 1000000,
     .fallback = "50", .unit = "steps", .meaning = "local steps of one round"},

    {"privacy", RN_FIELD_SECTION, .optional = true},
    {"privacy.mode", RN_FIELD_WORD, AT(privacy.mode), ONE_OF(privacy_modes), .fallback = "local",
     .meaning =
         "`local`: every member adds the whole noise to its own steps; `shared`: a round is one "
         "sum of clipped gradients, and `secagg.honest` of its members together add the noise"},
    {"privacy.sampling", RN_FIELD_WORD, AT(privacy.sampling), ONE_OF(samplings),
     .fallback = "poisson",
     .meaning =
         "`poisson`: each record is in a step's batch by chance, for itself; `allocation`: in "
         "`rate` times `steps` of a round's steps, chosen by chance"},
    {"privacy.rate", RN_FIELD_REAL, AT(privacy.rate), .least = 0x1p-64, .most = 1,
     .fallback = "0.01", .meaning = "how likely a record is in a step's batch"},
    {"privacy.noise", RN_FIELD_REAL, AT(privacy.noise), .least = 1e-6, .most = 512, .fallback = "1",
     .meaning = "noise multiplier: deviation of the noise on a step's sum, in units of `clip`"},
    {"privacy.clip", RN_FIELD_REAL, AT(privacy.clip), .least = 1e-9, .most = 1e9, .fallback = "1",
     .meaning = "most that one record's gradient is long"},
    {"privacy.clipping", RN_FIELD_WORD, AT(privacy.clipping), ONE_OF(clippings), .fallback = "flat",
     .meaning = "`flat`: longer gradients are cut to `clip`; `automatic`: every gradient is scaled "
                "to just below it"},
    {"privacy.denominator", RN_FIELD_REAL, AT(privacy.denominator), .least = 1, .most = 1e15,
     .fallback = "32",
     .meaning = "public number that a step's sum is divided by: `rate` times a public number of "
                "records"},
    {"privacy.retries", RN_FIELD_U32, AT(privacy.retries), .optional = true, .most = 100000,
     .absent = "0", .fallback = "2", .unit = "trainings",
     .meaning = "trainings beyond one a round that a member may begin in the whole job, after a "
                "crash for instance; they are charged with the plan"},
    {"privacy.reply_s", RN_FIELD_U32, AT(privacy.reply_s), .optional = true, .most = 86400,
     .absent = "0", .fallback = "0", .unit = "s",
     .meaning = "an update leaves only at a multiple of this after its offer, so that how long a "
                "training took is not told; 0: at once"},

    {"evaluation.federated", RN_FIELD_SWITCH, AT(evaluation.federated), .optional = true,
     .absent = "false", .fallback = "false",
     .meaning = "`true`: every member judges each round's adapter on its own development set; the "
                "results are elements of the masked vector, and their mean measures the adapter. "
                "Needs `metrics: summed`"},
    {"evaluation.keep_best", RN_FIELD_SWITCH, AT(evaluation.keep_best), .optional = true,
     .absent = "false", .fallback = "false",
     .meaning = "`true`: the adapter that measured best is kept beside the last"},
    {"evaluation.early_stop.patience", RN_FIELD_U32, AT(evaluation.early_stop.patience),
     .optional = true, .most = 100000, .absent = "0", .fallback = "0", .unit = "rounds",
     .meaning = "measured rounds without improvement after which the job ends; 0: never"},
    {"evaluation.early_stop.min_delta", RN_FIELD_REAL, AT(evaluation.early_stop.min_delta),
     .optional = true, .most = 2, .absent = "0", .fallback = "0",
     .meaning = "least change of the metric that counts as improvement"},

    {"secagg.colluding", RN_FIELD_U32, AT(secagg.colluding), .least = 1,
     .most = RN_PLAN_MEMBERS_MAX - 2, .fallback = "1",
     .meaning = "n_c: members that may work with the coordinator"},
    {"secagg.losses", RN_FIELD_U32, AT(secagg.losses), .most = RN_PLAN_MEMBERS_MAX - 3,
     .fallback = "0", .meaning = "D: members that may be absent from a round or get lost in it"},
    {"secagg.honest", RN_FIELD_U32, AT(secagg.honest), .least = 2, .most = RN_PLAN_MEMBERS_MAX - 1,
     .fallback = "2", .meaning = "h_min: honest contributors that must remain in a sum"},
    {"secagg.bits", RN_FIELD_U32, AT(secagg.bits), .least = 4, .most = 24, .fallback = "16",
     .unit = "bits", .meaning = "q: bits of one quantised value"},
    {"secagg.scale_a", RN_FIELD_REAL, AT(secagg.scale_a), .least = 0x1p-30, .most = 0x1p20,
     .fallback = "0.125",
     .meaning = "largest change of one element of A in a round; a power of two"},
    {"secagg.scale_b", RN_FIELD_REAL, AT(secagg.scale_b), .least = 0x1p-30, .most = 0x1p20,
     .fallback = "0.125",
     .meaning = "largest change of one element of B in a round; a power of two"},
    {"secagg.scale_head", RN_FIELD_REAL, AT(secagg.scale_head), .least = 0x1p-30, .most = 0x1p20,
     .fallback = "0.125",
     .meaning = "largest change of one element of the head in a round; a power of two"},
    {"secagg.train_soft_s", RN_FIELD_U32, AT(secagg.train_soft_s), .least = 1, .most = 604800,
     .fallback = "1800", .unit = "s",
     .meaning = "seconds after which a round goes on without stragglers (the Ready stage holds the "
                "training)"},
    {"secagg.train_hard_s", RN_FIELD_U32, AT(secagg.train_hard_s), .least = 1, .most = 604800,
     .fallback = "7200", .unit = "s",
     .meaning = "seconds after which a round is aborted, and for which members that were lost are "
                "waited for before the job ends; not below the soft one"},
    {"secagg.stage_soft_s", RN_FIELD_U32, AT(secagg.stage_soft_s), .least = 1, .most = 86400,
     .fallback = "30", .unit = "s",
     .meaning = "seconds after which any other stage goes on without stragglers"},
    {"secagg.stage_hard_s", RN_FIELD_U32, AT(secagg.stage_hard_s), .least = 1, .most = 86400,
     .fallback = "120", .unit = "s",
     .meaning = "seconds after which such a stage is aborted; not below the soft one"},
    {"secagg.upload_rate", RN_FIELD_U64, AT(secagg.upload_rate), .least = 1024, .most = 1e12,
     .fallback = "1000000", .unit = "bytes/s",
     .meaning = "bytes per second that every member can send; extends the upload stage"},
    {"secagg.attempts", RN_FIELD_U32, AT(secagg.attempts), .least = 1, .most = 100, .fallback = "3",
     .meaning = "sessions of a round before it is given up"},
    {"secagg.kem", RN_FIELD_WORD, AT(secagg.kem), ONE_OF(kems), .optional = true, .absent = "none",
     .fallback = "none",
     .meaning =
         "what seals the group key of a blind plan: `none`, X25519 alone; `hybrid`, ML-KEM-768 "
         "beside it, for at most 64 members; needs a build with libsodium 1.0.22"},

    {"roster.hash", RN_FIELD_HASH, AT(roster.hash), .fallback = NO_HASH,
     .meaning = "hash of the roster's exact bytes, hex; `rondo invite --accept` fills it in"},
    {"roster.coordinator", RN_FIELD_HASH, AT(roster.coordinator),
     .meaning = "coordinator's Ed25519 key, hex"},
};

static const struct rn_field_table table = {
    .fields = fields, .count = RN_ARRAY_LENGTH(fields), .bytes_max = RN_PLAN_BYTES_MAX};

const struct rn_field_table *rn_plan_fields(void)
{
    return &table;
}

void rn_plan_defaults(struct rn_plan *out_plan)
{
    *out_plan = (struct rn_plan){0};
    for (size_t i = 0; i < table.count; i++) {
        if (fields[i].fallback != NULL && strncmp(fields[i].path, "privacy.", 8) != 0) {
            const rn_result set = rn_field_set_text(&fields[i], out_plan, fields[i].fallback, NULL);
            RN_BUG_IF(!rn_is_ok(set));
        }
    }
}

/* ---- Texts. */

const char *rn_plan_method_name(enum rn_plan_method method)
{
    return rn_word_text(rn_plan_method_words, RN_ARRAY_LENGTH(rn_plan_method_words), method);
}

const char *rn_plan_weights_name(enum rn_plan_weights value)
{
    return rn_word_text(rn_plan_weights_words, RN_ARRAY_LENGTH(rn_plan_weights_words), value);
}

const char *rn_plan_metric_name(enum rn_plan_metric metric)
{
    return rn_word_text(metrics, RN_ARRAY_LENGTH(metrics), metric);
}

const char *rn_plan_head_name(enum rn_plan_head head)
{
    return rn_word_text(rn_plan_head_words, RN_ARRAY_LENGTH(rn_plan_head_words), head);
}
