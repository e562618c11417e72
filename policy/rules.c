/* SPDX-License-Identifier: Apache-2.0
 *
 * The policy's schema and ranges. The decisions are in decide.c.
 */
#include "policy/rules.h"

#include <string.h>

#include "base/guard.h"
#include "policy/yamlfile.h"

#define NEED CYAML_FLAG_STRICT
#define WHOLE(type, member) CYAML_FIELD_UINT(#member, NEED, type, member)
#define WORDS(type, member, words) \
    CYAML_FIELD_FLAGS(#member, NEED, type, member, words, RN_ARRAY_LENGTH(words))
#define LIST(type, member, entry, least, most) \
    CYAML_FIELD_SEQUENCE(#member, NEED, type, member, entry, least, most)

static const cyaml_strval_t methods[] = {{"rolora", RN_POLICY_BIT(RN_METHOD_ROLORA)},
                                         {"ffa-lora", RN_POLICY_BIT(RN_METHOD_FFA_LORA)},
                                         {"fedavg-lora", RN_POLICY_BIT(RN_METHOD_FEDAVG_LORA)}};
static const cyaml_strval_t weights[] = {{"uniform", RN_POLICY_BIT(RN_WEIGHTS_UNIFORM)},
                                         {"examples", RN_POLICY_BIT(RN_WEIGHTS_EXAMPLES)}};
static const cyaml_strval_t metrics[] = {{"home", RN_POLICY_BIT(RN_METRICS_HOME)},
                                         {"summed", RN_POLICY_BIT(RN_METRICS_SUMMED)}};
static const cyaml_strval_t heads[] = {{"frozen", RN_POLICY_BIT(RN_PLAN_HEAD_FROZEN)},
                                       {"federated", RN_POLICY_BIT(RN_PLAN_HEAD_FEDERATED)},
                                       {"local", RN_POLICY_BIT(RN_PLAN_HEAD_LOCAL)}};

static const cyaml_schema_value_t hash_entry = {CYAML_VALUE_STRING(
    CYAML_FLAG_DEFAULT, char[RN_PLAN_HASH_TEXT + 1], RN_PLAN_HASH_TEXT, RN_PLAN_HASH_TEXT)};
static const cyaml_schema_value_t name_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_DEFAULT, char[RN_NAME_MAX + 1], 1, RN_NAME_MAX)};
static const cyaml_schema_value_t target_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_DEFAULT, char[RN_PLAN_TARGET_MAX + 1], 1, RN_PLAN_TARGET_MAX)};

static const cyaml_schema_field_t plan_fields[] = {
    LIST(struct rn_policy_plan, hashes, &hash_entry, 0, RN_POLICY_HASHES_MAX),
    WHOLE(struct rn_policy_plan, signers),
    LIST(struct rn_policy_plan, signed_by, &name_entry, 0, RN_POLICY_NAMES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t cohort_fields[] = {
    WHOLE(struct rn_policy_cohort, members_min),   WHOLE(struct rn_policy_cohort, members_max),
    WHOLE(struct rn_policy_cohort, colluding_min), WHOLE(struct rn_policy_cohort, honest_min),
    WHOLE(struct rn_policy_cohort, losses_max),    WHOLE(struct rn_policy_cohort, threshold_min),
    WHOLE(struct rn_policy_cohort, survivors_min), CYAML_FIELD_END,
};
static const cyaml_schema_field_t method_fields[] = {
    WORDS(struct rn_policy_method, allowed, methods),
    WORDS(struct rn_policy_method, weights, weights),
    WORDS(struct rn_policy_method, metrics, metrics),
    WORDS(struct rn_policy_method, heads, heads),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t model_fields[] = {
    LIST(struct rn_policy_model, hashes, &hash_entry, 1, RN_POLICY_HASHES_MAX),
    WHOLE(struct rn_policy_model, max_length_max),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t lora_fields[] = {
    LIST(struct rn_policy_lora, targets, &target_entry, 1, RN_PLAN_TARGETS_MAX),
    WHOLE(struct rn_policy_lora, rank_max),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t training_fields[] = {
    WHOLE(struct rn_policy_training, rounds_max),
    WHOLE(struct rn_policy_training, steps_max),
    WHOLE(struct rn_policy_training, batch_max),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t upload_fields[] = {
    WHOLE(struct rn_policy_upload, bytes_max),
    WHOLE(struct rn_policy_upload, attempts_max),
    WHOLE(struct rn_policy_upload, repeats_max),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t policy_fields[] = {
    WHOLE(struct rn_policy, version),
    CYAML_FIELD_STRING("federation", NEED, struct rn_policy, federation, 1),
    CYAML_FIELD_STRING("coordinator", NEED, struct rn_policy, coordinator, RN_PLAN_HASH_TEXT),
    CYAML_FIELD_MAPPING("plan", NEED, struct rn_policy, plan, plan_fields),
    CYAML_FIELD_MAPPING("cohort", NEED, struct rn_policy, cohort, cohort_fields),
    CYAML_FIELD_MAPPING("method", NEED, struct rn_policy, method, method_fields),
    CYAML_FIELD_MAPPING("model", NEED, struct rn_policy, model, model_fields),
    CYAML_FIELD_MAPPING("lora", NEED, struct rn_policy, lora, lora_fields),
    CYAML_FIELD_MAPPING("training", NEED, struct rn_policy, training, training_fields),
    CYAML_FIELD_MAPPING("upload", NEED, struct rn_policy, upload, upload_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t policy_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct rn_policy, policy_fields)};

#define U32(field, least, most)                                              \
    {                                                                        \
#field, RN_LIMIT_U32, offsetof(struct rn_policy, field), least, most \
    }
#define U64(field, least, most)                                              \
    {                                                                        \
#field, RN_LIMIT_U64, offsetof(struct rn_policy, field), least, most \
    }

/* A bound may be as wide as what it bounds and no wider; where a plan has a floor of its own
 * (3 members, 1 colluding, 2 honest) the policy cannot go below it. */
static const struct rn_limit limits[] = {
    U32(version, RN_POLICY_VERSION, RN_POLICY_VERSION),
    U32(plan.signers, 1, RN_PLAN_MEMBERS_MAX),
    U32(cohort.members_min, 3, RN_PLAN_MEMBERS_MAX),
    U32(cohort.members_max, 3, RN_PLAN_MEMBERS_MAX),
    U32(cohort.colluding_min, 1, RN_PLAN_MEMBERS_MAX - 2),
    U32(cohort.honest_min, 2, RN_PLAN_MEMBERS_MAX - 1),
    U32(cohort.losses_max, 0, RN_PLAN_MEMBERS_MAX - 3),
    U32(cohort.threshold_min, 3, RN_PLAN_MEMBERS_MAX),
    U32(cohort.survivors_min, 3, RN_PLAN_MEMBERS_MAX),
    U32(model.max_length_max, 8, 32768),
    U32(lora.rank_max, 1, 512),
    U32(training.rounds_max, 1, 100000),
    U32(training.steps_max, 1, 1000000),
    U32(training.batch_max, 1, 4096),
    U64(upload.bytes_max, 1, 0x1p40),
    U32(upload.attempts_max, 1, 100),
    U32(upload.repeats_max, 0, 0), /* the protocol offers none yet (PROTOCOL.md, rule A9) */
};

const struct rn_limit *rn_policy_limits(size_t *out_count)
{
    *out_count = RN_ARRAY_LENGTH(limits);
    return limits;
}

static bool hash_text_valid(const char *text)
{
    return strlen(text) == RN_PLAN_HASH_TEXT &&
           strspn(text, "0123456789abcdef") == RN_PLAN_HASH_TEXT;
}

static rn_result check_hashes(const struct rn_yaml_index *index, const char *field,
                              char (*hashes)[RN_PLAN_HASH_TEXT + 1], uint32_t count,
                              struct rn_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!hash_text_valid(hashes[i])) {
            return rn_yaml_fail(index, field, err, "entry %u: expected %d lower-case hex digits",
                                i + 1, RN_PLAN_HASH_TEXT);
        }
    }
    return rn_ok();
}

static rn_result check_words(const struct rn_yaml_index *index, const struct rn_policy *policy,
                             struct rn_error *err)
{
    const struct {
        const char *field;
        uint32_t mask;
    } lists[] = {{"method.allowed", policy->method.allowed},
                 {"method.weights", policy->method.weights},
                 {"method.metrics", policy->method.metrics},
                 {"method.heads", policy->method.heads}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lists); i++) {
        if (lists[i].mask == 0) {
            return rn_yaml_fail(index, lists[i].field, err, "allows nothing: name at least one");
        }
    }
    return rn_ok();
}

static rn_result policy_check(const struct rn_yaml_index *index, struct rn_policy *policy,
                              struct rn_error *err)
{
    RN_TRY(rn_yaml_check_limits(index, policy, limits, RN_ARRAY_LENGTH(limits), err));
    if (!rn_name_valid(policy->federation)) {
        return rn_yaml_fail(index, "federation", err, "may only hold a-z, 0-9 and '-'");
    }
    if (!hash_text_valid(policy->coordinator)) {
        return rn_yaml_fail(index, "coordinator", err, "expected %d lower-case hex digits",
                            RN_PLAN_HASH_TEXT);
    }
    RN_TRY(check_hashes(index, "plan.hashes", policy->plan.hashes, policy->plan.hashes_count, err));
    RN_TRY(
        check_hashes(index, "model.hashes", policy->model.hashes, policy->model.hashes_count, err));
    for (uint32_t i = 0; i < policy->plan.signed_by_count; i++) {
        if (!rn_name_valid(policy->plan.signed_by[i])) {
            return rn_yaml_fail(index, "plan.signed_by", err, "entry %u is no member's name",
                                i + 1);
        }
    }
    if (policy->cohort.members_max < policy->cohort.members_min) {
        return rn_yaml_fail(index, "cohort.members_max", err, "must not be below members_min");
    }
    return check_words(index, policy, err);
}

rn_result rn_policy_parse(struct rn_view text, const char *source, struct rn_policy *out_policy,
                          struct rn_error *err)
{
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    rn_result result =
        rn_yaml_load(text, source, &policy_schema, out_policy, sizeof *out_policy, &index, err);
    if (rn_is_ok(result)) {
        result = policy_check(&index, out_policy, err);
    }
    if (!rn_is_ok(result)) {
        memset(out_policy, 0, sizeof *out_policy);
    }
    return result;
}
