/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan's schema, its ranges and the rules between its fields.
 */
#include "policy/plan.h"

#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/sha256.h"
#include "policy/yamlfile.h"

#define PLAN_TAG "rondo/v1 plan"

/* ---- Words. */

static const cyaml_strval_t booleans[] = {{"false", 0}, {"true", 1}};
static const cyaml_strval_t methods[] = {{"rolora", RN_METHOD_ROLORA},
                                         {"ffa-lora", RN_METHOD_FFA_LORA},
                                         {"fedavg-lora", RN_METHOD_FEDAVG_LORA}};
static const cyaml_strval_t weights[] = {{"uniform", RN_WEIGHTS_UNIFORM},
                                         {"examples", RN_WEIGHTS_EXAMPLES}};
static const cyaml_strval_t metrics_places[] = {{"home", RN_METRICS_HOME},
                                                {"summed", RN_METRICS_SUMMED}};
static const cyaml_strval_t tasks[] = {{"classification", RN_PLAN_CLASSIFICATION},
                                       {"regression", RN_PLAN_REGRESSION}};
static const cyaml_strval_t metrics[] = {{"accuracy", RN_PLAN_METRIC_ACCURACY},
                                         {"f1", RN_PLAN_METRIC_F1},
                                         {"matthews", RN_PLAN_METRIC_MATTHEWS},
                                         {"pearson", RN_PLAN_METRIC_PEARSON},
                                         {"spearman", RN_PLAN_METRIC_SPEARMAN}};
static const cyaml_strval_t inits[] = {{"kaiming", RN_PLAN_INIT_KAIMING},
                                       {"orthonormal", RN_PLAN_INIT_ORTHONORMAL}};
static const cyaml_strval_t heads[] = {{"frozen", RN_PLAN_HEAD_FROZEN},
                                       {"federated", RN_PLAN_HEAD_FEDERATED},
                                       {"local", RN_PLAN_HEAD_LOCAL}};
static const cyaml_strval_t optimizers[] = {{"adamw", RN_PLAN_ADAMW}, {"sgd", RN_PLAN_SGD}};
static const cyaml_strval_t schedules[] = {{"constant", RN_PLAN_SCHEDULE_CONSTANT},
                                           {"cosine", RN_PLAN_SCHEDULE_COSINE}};

/* ---- Schema. */

#define NEED CYAML_FLAG_STRICT
#define MAY (CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL)
#define WORD(key, flags, type, member, words) \
    CYAML_FIELD_ENUM(key, flags, type, member, words, RN_ARRAY_LENGTH(words))
#define WHOLE(type, member) CYAML_FIELD_UINT(#member, NEED, type, member)
#define REAL(type, member) CYAML_FIELD_FLOAT(#member, NEED, type, member)

static const cyaml_schema_value_t label_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_DEFAULT, char[RN_PLAN_LABEL_MAX + 1], 1, RN_PLAN_LABEL_MAX)};
static const cyaml_schema_value_t target_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_DEFAULT, char[RN_PLAN_TARGET_MAX + 1], 1, RN_PLAN_TARGET_MAX)};
static const cyaml_schema_value_t layer_entry = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};

static const cyaml_schema_field_t model_fields[] = {
    CYAML_FIELD_STRING("hash", NEED, struct rn_plan_model, hash, RN_PLAN_HASH_TEXT),
    WHOLE(struct rn_plan_model, max_length),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t task_fields[] = {
    WORD("kind", NEED, struct rn_plan_task_spec, kind, tasks),
    CYAML_FIELD_SEQUENCE("labels", MAY, struct rn_plan_task_spec, labels, &label_entry, 0,
                         RN_PLAN_LABELS_MAX),
    WORD("metric", NEED, struct rn_plan_task_spec, metric, metrics),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t lora_fields[] = {
    WHOLE(struct rn_plan_lora, rank),
    REAL(struct rn_plan_lora, alpha),
    WORD("rslora", NEED, struct rn_plan_lora, rslora, booleans),
    WORD("init", NEED, struct rn_plan_lora, init, inits),
    CYAML_FIELD_SEQUENCE("targets", NEED, struct rn_plan_lora, targets, &target_entry, 1,
                         RN_PLAN_TARGETS_MAX),
    CYAML_FIELD_SEQUENCE("layers", MAY, struct rn_plan_lora, layers, &layer_entry, 0,
                         RN_PLAN_LAYERS_MAX),
    WORD("head", NEED, struct rn_plan_lora, head, heads),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t training_fields[] = {
    WORD("optimizer", NEED, struct rn_plan_training, optimizer, optimizers),
    REAL(struct rn_plan_training, lr_a),
    REAL(struct rn_plan_training, lr_b),
    REAL(struct rn_plan_training, lr_head),
    REAL(struct rn_plan_training, weight_decay),
    WORD("schedule", NEED, struct rn_plan_training, schedule, schedules),
    WHOLE(struct rn_plan_training, warmup_steps),
    REAL(struct rn_plan_training, clip),
    WHOLE(struct rn_plan_training, batch),
    WHOLE(struct rn_plan_training, steps),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t secagg_fields[] = {
    WHOLE(struct rn_plan_secagg, colluding),    WHOLE(struct rn_plan_secagg, losses),
    WHOLE(struct rn_plan_secagg, honest),       WHOLE(struct rn_plan_secagg, bits),
    REAL(struct rn_plan_secagg, scale_a),       REAL(struct rn_plan_secagg, scale_b),
    REAL(struct rn_plan_secagg, scale_head),    WHOLE(struct rn_plan_secagg, train_soft_s),
    WHOLE(struct rn_plan_secagg, train_hard_s), WHOLE(struct rn_plan_secagg, stage_soft_s),
    WHOLE(struct rn_plan_secagg, stage_hard_s), WHOLE(struct rn_plan_secagg, upload_rate),
    WHOLE(struct rn_plan_secagg, attempts),     CYAML_FIELD_END,
};

static const cyaml_schema_field_t roster_fields[] = {
    CYAML_FIELD_STRING("hash", NEED, struct rn_plan_roster, hash, RN_PLAN_HASH_TEXT),
    CYAML_FIELD_STRING("coordinator", NEED, struct rn_plan_roster, coordinator, RN_PLAN_HASH_TEXT),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t plan_fields[] = {
    WHOLE(struct rn_plan, version),
    CYAML_FIELD_STRING("federation", NEED, struct rn_plan, federation, 1),
    CYAML_FIELD_STRING("name", NEED, struct rn_plan, name, 1),
    WHOLE(struct rn_plan, seed),
    WHOLE(struct rn_plan, rounds),
    WORD("method", NEED, struct rn_plan, method, methods),
    WORD("weights", NEED, struct rn_plan, weights, weights),
    CYAML_FIELD_UINT("max_examples", MAY, struct rn_plan, max_examples),
    WORD("metrics", MAY, struct rn_plan, metrics, metrics_places),
    CYAML_FIELD_MAPPING("model", NEED, struct rn_plan, model, model_fields),
    CYAML_FIELD_MAPPING("task", NEED, struct rn_plan, task, task_fields),
    CYAML_FIELD_MAPPING("lora", NEED, struct rn_plan, lora, lora_fields),
    CYAML_FIELD_MAPPING("training", NEED, struct rn_plan, training, training_fields),
    CYAML_FIELD_MAPPING("secagg", NEED, struct rn_plan, secagg, secagg_fields),
    CYAML_FIELD_MAPPING("roster", NEED, struct rn_plan, roster, roster_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t plan_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rn_plan, plan_fields)};

/* ---- Ranges. */

#define U32(field, member, least, most)                                    \
    {                                                                      \
        field, RN_LIMIT_U32, offsetof(struct rn_plan, member), least, most \
    }
#define U64(field, member, least, most)                                    \
    {                                                                      \
        field, RN_LIMIT_U64, offsetof(struct rn_plan, member), least, most \
    }
#define F64(field, member, least, most)                                     \
    {                                                                       \
        field, RN_LIMIT_REAL, offsetof(struct rn_plan, member), least, most \
    }

static const struct rn_limit limits[] = {
    U32("version", version, RN_PLAN_VERSION, RN_PLAN_VERSION),
    U64("seed", seed, 0, 0x1p53),
    U32("rounds", rounds, 1, 100000),
    U64("max_examples", max_examples, 0, 0x1p31),
    U32("model.max_length", model.max_length, 8, 32768),
    U32("lora.rank", lora.rank, 1, 512),
    F64("lora.alpha", lora.alpha, 0x1p-10, 0x1p14),
    F64("training.lr_a", training.lr_a, 0, 100),
    F64("training.lr_b", training.lr_b, 0, 100),
    F64("training.lr_head", training.lr_head, 0, 100),
    F64("training.weight_decay", training.weight_decay, 0, 1),
    U32("training.warmup_steps", training.warmup_steps, 0, 1000000),
    F64("training.clip", training.clip, 0, 1000000),
    U32("training.batch", training.batch, 1, 4096),
    U32("training.steps", training.steps, 1, 1000000),
    U32("secagg.colluding", secagg.colluding, 1, RN_PLAN_MEMBERS_MAX - 2),
    U32("secagg.losses", secagg.losses, 0, RN_PLAN_MEMBERS_MAX - 3),
    U32("secagg.honest", secagg.honest, 2, RN_PLAN_MEMBERS_MAX - 1),
    U32("secagg.bits", secagg.bits, 4, 24),
    F64("secagg.scale_a", secagg.scale_a, 0x1p-30, 0x1p20),
    F64("secagg.scale_b", secagg.scale_b, 0x1p-30, 0x1p20),
    F64("secagg.scale_head", secagg.scale_head, 0x1p-30, 0x1p20),
    U32("secagg.train_soft_s", secagg.train_soft_s, 1, 604800),
    U32("secagg.train_hard_s", secagg.train_hard_s, 1, 604800),
    U32("secagg.stage_soft_s", secagg.stage_soft_s, 1, 86400),
    U32("secagg.stage_hard_s", secagg.stage_hard_s, 1, 86400),
    U64("secagg.upload_rate", secagg.upload_rate, 1024, 1e12),
    U32("secagg.attempts", secagg.attempts, 1, 100),
};

const struct rn_limit *rn_plan_limits(size_t *out_count)
{
    *out_count = RN_ARRAY_LENGTH(limits);
    return limits;
}

/* ---- Rules between fields. */

static rn_result check_hash(const struct rn_yaml_index *index, const char *field, const char *text,
                            uint8_t out[static 32], struct rn_error *err)
{
    if (strspn(text, "0123456789abcdef") != RN_PLAN_HASH_TEXT || !rn_hex_decode(out, 32, text)) {
        return rn_yaml_fail(index, field, err, "expected %d lower-case hex digits",
                            RN_PLAN_HASH_TEXT);
    }
    return rn_ok();
}

static rn_result check_names(const struct rn_yaml_index *index, struct rn_plan *plan,
                             struct rn_error *err)
{
    static const char rule[] = "may only hold a-z, 0-9 and '-', at most 63 characters";
    if (!rn_name_valid(plan->federation)) {
        return rn_yaml_fail(index, "federation", err, "%s", rule);
    }
    if (!rn_name_valid(plan->name)) {
        return rn_yaml_fail(index, "name", err, "%s", rule);
    }
    RN_TRY(check_hash(index, "model.hash", plan->model.hash, plan->model_hash, err));
    RN_TRY(check_hash(index, "roster.hash", plan->roster.hash, plan->roster_hash, err));
    return check_hash(index, "roster.coordinator", plan->roster.coordinator, plan->coordinator_key,
                      err);
}

static rn_result check_task(const struct rn_yaml_index *index, const struct rn_plan *plan,
                            struct rn_error *err)
{
    const struct rn_plan_task_spec *task = &plan->task;
    const bool correlates =
        task->metric == RN_PLAN_METRIC_PEARSON || task->metric == RN_PLAN_METRIC_SPEARMAN;
    if (task->kind == RN_PLAN_REGRESSION) {
        if (task->labels_count != 0) {
            return rn_yaml_fail(index, "task.labels", err, "a regression has no labels");
        }
        if (!correlates) {
            return rn_yaml_fail(index, "task.metric", err,
                                "a regression is measured by pearson or spearman");
        }
        return rn_ok();
    }
    if (task->labels_count < 2) {
        return rn_yaml_fail(index, "task.labels", err, "a classification needs at least 2 labels");
    }
    if (correlates) {
        return rn_yaml_fail(index, "task.metric", err,
                            "a classification is measured by accuracy, f1 or matthews");
    }
    for (uint32_t i = 0; i < task->labels_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(task->labels[i], task->labels[j]) == 0) {
                return rn_yaml_fail(index, "task.labels", err, "entries %u and %u are the same",
                                    j + 1, i + 1);
            }
        }
    }
    return rn_ok();
}

static rn_result check_lora(const struct rn_yaml_index *index, struct rn_plan *plan,
                            struct rn_error *err)
{
    struct rn_plan_lora *lora = &plan->lora;
    for (uint32_t i = 0; i < lora->targets_count; i++) {
        lora->all_linear |= strcmp(lora->targets[i], "all-linear") == 0;
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(lora->targets[i], lora->targets[j]) == 0) {
                return rn_yaml_fail(index, "lora.targets", err, "entries %u and %u are the same",
                                    j + 1, i + 1);
            }
        }
    }
    if (lora->all_linear && lora->targets_count != 1) {
        return rn_yaml_fail(index, "lora.targets", err, "'all-linear' must stand alone");
    }
    RN_TRY(rn_yaml_check_whole(index, "lora.layers", err));
    for (uint32_t i = 1; i < lora->layers_count; i++) {
        if (lora->layers[i] <= lora->layers[i - 1]) {
            return rn_yaml_fail(index, "lora.layers", err, "must ascend");
        }
    }
    return rn_ok();
}

static rn_result check_scale(const struct rn_yaml_index *index, const char *field, double value,
                             struct rn_error *err)
{
    int exponent;
    if (frexp(value, &exponent) != 0.5) {
        return rn_yaml_fail(index, field, err, "must be a power of two, such as 0.0625");
    }
    return rn_ok();
}

static rn_result check_secagg(const struct rn_yaml_index *index, const struct rn_plan *plan,
                              struct rn_error *err)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    RN_TRY(check_scale(index, "secagg.scale_a", secagg->scale_a, err));
    RN_TRY(check_scale(index, "secagg.scale_b", secagg->scale_b, err));
    RN_TRY(check_scale(index, "secagg.scale_head", secagg->scale_head, err));
    if (secagg->train_hard_s < secagg->train_soft_s) {
        return rn_yaml_fail(index, "secagg.train_hard_s", err, "must not be below train_soft_s");
    }
    if (secagg->stage_hard_s < secagg->stage_soft_s) {
        return rn_yaml_fail(index, "secagg.stage_hard_s", err, "must not be below stage_soft_s");
    }
    return rn_ok();
}

static rn_result check_rest(const struct rn_yaml_index *index, const struct rn_plan *plan,
                            struct rn_error *err)
{
    if (plan->weights == RN_WEIGHTS_EXAMPLES && plan->max_examples == 0) {
        return rn_yaml_fail(index, "weights", err,
                            "'examples' needs max_examples, the largest count of one member");
    }
    if (plan->weights == RN_WEIGHTS_UNIFORM && plan->max_examples != 0) {
        return rn_yaml_fail(index, "max_examples", err, "only with weights: examples");
    }
    if (plan->training.warmup_steps > plan->training.steps) {
        return rn_yaml_fail(index, "training.warmup_steps", err, "must not exceed steps");
    }
    return rn_ok();
}

static rn_result plan_check(const struct rn_yaml_index *index, struct rn_plan *plan,
                            struct rn_error *err)
{
    RN_TRY(rn_yaml_check_limits(index, plan, limits, RN_ARRAY_LENGTH(limits), err));
    RN_TRY(check_names(index, plan, err));
    RN_TRY(check_task(index, plan, err));
    RN_TRY(check_lora(index, plan, err));
    RN_TRY(check_secagg(index, plan, err));
    return check_rest(index, plan, err);
}

void rn_plan_hash(struct rn_view exact, uint8_t out_hash[static 32])
{
    rn_sha256(out_hash, PLAN_TAG, &exact, 1);
}

rn_result rn_plan_parse(struct rn_view exact, const char *source, struct rn_plan *out_plan,
                        struct rn_error *err)
{
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    rn_result result =
        rn_yaml_load(exact, source, &plan_schema, out_plan, sizeof *out_plan, &index, err);
    if (rn_is_ok(result)) {
        result = plan_check(&index, out_plan, err);
    }
    if (!rn_is_ok(result)) {
        memset(out_plan, 0, sizeof *out_plan);
        return result;
    }
    rn_plan_hash(exact, out_plan->hash);
    return rn_ok();
}

/* ---- Texts. */

static const char *word_of(const cyaml_strval_t *words, size_t count, int64_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].val == value) {
            return words[i].str;
        }
    }
    return "?";
}

const char *rn_plan_method_name(enum rn_plan_method method)
{
    return word_of(methods, RN_ARRAY_LENGTH(methods), method);
}

const char *rn_plan_weights_name(enum rn_plan_weights value)
{
    return word_of(weights, RN_ARRAY_LENGTH(weights), value);
}

const char *rn_plan_metric_name(enum rn_plan_metric metric)
{
    return word_of(metrics, RN_ARRAY_LENGTH(metrics), metric);
}

const char *rn_plan_head_name(enum rn_plan_head head)
{
    return word_of(heads, RN_ARRAY_LENGTH(heads), head);
}
