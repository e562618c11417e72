/* SPDX-License-Identifier: Apache-2.0
 *
 * Every field of policy.yaml. The decisions are in decide.c.
 */
#include "policy/rules.h"

#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "policy/accountant/filter.h"
#include "policy/yamlfile.h"

#define POLICY(member) (((struct rn_policy *)NULL)->member)
#define AT(member) .offset = offsetof(struct rn_policy, member), .size = sizeof(POLICY(member))
#define LIST(member)                                                                 \
    .offset = offsetof(struct rn_policy, member), .size = sizeof(POLICY(member)[0]), \
    .count_offset = offsetof(struct rn_policy, member##_count)
#define ANY_OF(table) .words = (table), .word_count = RN_ARRAY_LENGTH(table)

#define ONE_OF(table) ANY_OF(table)

static const struct rn_word units[] = {{"record", RN_POLICY_UNIT_RECORD},
                                       {"person", RN_POLICY_UNIT_PERSON}};
static const struct rn_word zero_bs[] = {{"warn", RN_POLICY_ZERO_B_WARN},
                                         {"refuse", RN_POLICY_ZERO_B_REFUSE}};

#define PIN(member)                                      \
    .offset = offsetof(struct rn_policy_member, member), \
    .size = sizeof(((struct rn_policy_member *)NULL)->member)

static const struct rn_field pin_fields[] = {
    {"name", RN_FIELD_NAME, PIN(name)},
    {"key", RN_FIELD_HASH, PIN(key)},
};
static const struct rn_field_table pin_table = {.fields = pin_fields,
                                                .count = RN_ARRAY_LENGTH(pin_fields)};

/* A bound may be as wide as what it bounds and no wider; where a plan has a floor of its own
 * (3 members, 1 colluding, 2 honest) the policy cannot go below it. */
static const struct rn_field fields[] = {
    {"version", RN_FIELD_U32, AT(version), .least = RN_POLICY_VERSION, .most = RN_POLICY_VERSION,
     .meaning = "of the format"},
    {"federation", RN_FIELD_NAME, AT(federation),
     .meaning = "the only federation this member works for"},
    {"coordinator", RN_FIELD_HASH, AT(coordinator),
     .meaning = "the only coordinator key it works with, 64 hex digits"},
    {"plan.hashes", RN_FIELD_HASHES, LIST(plan.hashes), .most = RN_POLICY_HASHES_MAX,
     .meaning = "plan hashes that are allowed, at most 16; empty: any plan within the bounds"},
    {"plan.signers", RN_FIELD_U32, AT(plan.signers), .least = 1, .most = RN_PLAN_MEMBERS_MAX,
     .meaning = "members of the roster that must have signed the plan before it runs"},
    {"plan.signed_by", RN_FIELD_NAMES, LIST(plan.signed_by), .most = RN_POLICY_NAMES_MAX,
     .meaning = "names, as in `members`, whose keys must be among them, at most 32"},
    {"cohort.members_min", RN_FIELD_U32, AT(cohort.members_min), .least = 3,
     .most = RN_PLAN_MEMBERS_MAX, .meaning = "smallest roster"},
    {"cohort.members_max", RN_FIELD_U32, AT(cohort.members_max), .least = 3,
     .most = RN_PLAN_MEMBERS_MAX, .meaning = "largest roster, not below `members_min`"},
    {"cohort.colluding_min", RN_FIELD_U32, AT(cohort.colluding_min), .least = 1,
     .most = RN_PLAN_MEMBERS_MAX - 2, .meaning = "least `secagg.colluding`"},
    {"cohort.honest_min", RN_FIELD_U32, AT(cohort.honest_min), .least = 2,
     .most = RN_PLAN_MEMBERS_MAX - 1, .meaning = "least `secagg.honest`"},
    {"cohort.losses_max", RN_FIELD_U32, AT(cohort.losses_max), .most = RN_PLAN_MEMBERS_MAX - 3,
     .meaning = "most `secagg.losses`"},
    {"cohort.threshold_min", RN_FIELD_U32, AT(cohort.threshold_min), .least = 3,
     .most = RN_PLAN_MEMBERS_MAX,
     .meaning = "least share threshold t that follows from plan and roster"},
    {"cohort.survivors_min", RN_FIELD_U32, AT(cohort.survivors_min), .optional = true, .least = 3,
     .most = RN_PLAN_MEMBERS_MAX,
     .meaning = "raises the floor F on the members of a session, of its uploads and of its sum; "
                "absent: F as it follows from plan and roster"},
    {"cohort.blind", RN_FIELD_SWITCH, AT(cohort.blind), .optional = true, .absent = "false",
     .meaning = "`true`: only plans with `coordinator: blind`, in which the coordinator sees "
                "neither sums nor adapters"},
    {"method.allowed", RN_FIELD_WORDS, AT(method.allowed), ANY_OF(rn_plan_method_words),
     .meaning = "list of methods"},
    {"method.weights", RN_FIELD_WORDS, AT(method.weights), ANY_OF(rn_plan_weights_words),
     .meaning = "list of weight modes"},
    {"method.metrics", RN_FIELD_WORDS, AT(method.metrics), ANY_OF(rn_plan_metrics_words),
     .meaning = "list of `home`, `summed`"},
    {"method.evaluation", RN_FIELD_SWITCH, AT(method.evaluation), .optional = true,
     .absent = "false",
     .meaning = "`true`: plans with `evaluation.federated` may judge adapters on this site's "
                "development set, and sum what it says"},
    {"method.heads", RN_FIELD_WORDS, AT(method.heads), ANY_OF(rn_plan_head_words),
     .meaning = "list of head modes"},
    {"model.hashes", RN_FIELD_HASHES, LIST(model.hashes), .least = 1, .most = RN_POLICY_HASHES_MAX,
     .meaning = "base models that are allowed, 1 to 16 hashes"},
    {"model.max_length_max", RN_FIELD_U32, AT(model.max_length_max), .least = 8, .most = 32768,
     .meaning = "most `model.max_length`"},
    {"lora.targets", RN_FIELD_TEXTS, LIST(lora.targets), .least = 1, .most = RN_PLAN_TARGETS_MAX,
     .meaning = "target modules that are allowed, 1 to 32; `all-linear` allows every module"},
    {"lora.rank_max", RN_FIELD_U32, AT(lora.rank_max), .least = 1, .most = 512,
     .meaning = "most `lora.rank`"},
    {"training.rounds_max", RN_FIELD_U32, AT(training.rounds_max), .least = 1,
     .most = RN_PLAN_ROUNDS_MAX, .meaning = "most `rounds`"},
    {"training.steps_max", RN_FIELD_U32, AT(training.steps_max), .least = 1, .most = 1000000,
     .meaning = "most `training.steps`"},
    {"training.batch_max", RN_FIELD_U32, AT(training.batch_max), .least = 1, .most = 4096,
     .meaning = "most `training.batch`"},
    {"upload.bytes_max", RN_FIELD_U64, AT(upload.bytes_max), .least = 1, .most = 0x1p40,
     .meaning = "most bytes of masked input in one round"},
    {"upload.attempts_max", RN_FIELD_U32, AT(upload.attempts_max), .least = 1, .most = 100,
     .meaning = "most `secagg.attempts`"},
    {"upload.jobs_max", RN_FIELD_U32, AT(upload.jobs_max), .least = 1, .most = 1000,
     .fallback = "1",
     .meaning =
         "most jobs over one base model that this site's updates go into: a sum of each, over "
         "other members, differ by this site's contribution up to training noise"},
    {"privacy", RN_FIELD_SECTION, .optional = true},
    {"privacy.required", RN_FIELD_SWITCH, AT(privacy.required),
     .meaning = "`true`: only plans with a `privacy` section"},
    {"privacy.lineage", RN_FIELD_NAME, AT(privacy.lineage),
     .meaning = "name of this data; all plans over it share one ledger and one budget"},
    {"privacy.unit", RN_FIELD_WORD, AT(privacy.unit), ONE_OF(units),
     .meaning = "whose influence is bounded: of one `record`, or of one `person`"},
    {"privacy.rows", RN_FIELD_U32, AT(privacy.rows), .optional = true, .least = 1,
     .most = RN_PRIVACY_GROUP_MAX, .absent = "1",
     .meaning = "most records of one person; 1 with `record`"},
    {"privacy.records_max", RN_FIELD_U64, AT(privacy.records_max), .least = 1, .most = 1e9,
     .meaning = "public bound on the number of records, for ever"},
    {"privacy.epsilon", RN_FIELD_REAL, AT(privacy.epsilon), .least = 0x1p-10, .most = 100,
     .meaning = "most that everything ever released over this data may cost"},
    {"privacy.delta", RN_FIELD_REAL, AT(privacy.delta), .least = 1e-30, .most = 0.1,
     .meaning = "at this delta; at most `records_max` to the power of -1.1"},
    {"privacy.order", RN_FIELD_REAL, AT(privacy.order), .optional = true, .most = 30000,
     .absent = "0",
     .meaning = "order of the filter that keeps `epsilon` over plans chosen one after the other, "
                "above 1.01; 0: the best for Gaussian noise"},
    {"privacy.epsilon_plan", RN_FIELD_REAL, AT(privacy.epsilon_plan), .least = 0x1p-10, .most = 100,
     .meaning = "most that one plan may cost, with all its retries"},
    {"privacy.noise_min", RN_FIELD_REAL, AT(privacy.noise_min), .least = 1e-6, .most = 512,
     .meaning = "least `privacy.noise`"},
    {"privacy.rate_max", RN_FIELD_REAL, AT(privacy.rate_max), .least = 0x1p-64, .most = 1,
     .meaning = "most `privacy.rate`"},
    {"privacy.clip_max", RN_FIELD_REAL, AT(privacy.clip_max), .least = 1e-9, .most = 1e9,
     .meaning = "most `privacy.clip`"},
    {"privacy.shared_honest", RN_FIELD_U32, AT(privacy.shared_honest), .optional = true,
     .most = RN_POLICY_SHARED_MAX, .absent = "0",
     .meaning = "plans with `privacy.mode: shared` may count on the noise of so many honest "
                "members, this one included (`secagg.honest`): all the trust in others that the "
                "promise then rests on; 0: such plans are refused"},
    {"privacy.zero_b", RN_FIELD_WORD, AT(privacy.zero_b), ONE_OF(zero_bs), .optional = true,
     .absent = "warn",
     .meaning = "a round that trains A alone while B is zero spends budget on noise: `warn` in the "
                "log, or `refuse` to train"},
    {"members", RN_FIELD_ROWS, LIST(members), .optional = true, .most = RN_POLICY_PINS_MAX,
     .columns = &pin_table,
     .meaning =
         "the members of the roster: list of `name` and `key` (64 hex digits), at most 1024; "
         "written by `rondo join --roster`; without it nothing runs"},
};

static const struct rn_field_table table = {
    .fields = fields, .count = RN_ARRAY_LENGTH(fields), .bytes_max = RN_POLICY_BYTES_MAX};

const struct rn_field_table *rn_policy_fields(void)
{
    return &table;
}

static rn_result check_privacy(const struct rn_yaml_index *index,
                               const struct rn_policy_privacy *privacy, struct rn_error *err)
{
    const double delta_most = pow((double)privacy->records_max, -1.1);
    if (privacy->epsilon == 0) {
        return rn_ok(); /* absent */
    }
    if (privacy->unit == RN_POLICY_UNIT_RECORD && privacy->rows != 1) {
        return rn_yaml_fail(index, "privacy.rows", err, "only with unit: person");
    }
    if (privacy->delta > delta_most) {
        return rn_yaml_fail(index, "privacy.delta", err,
                            "exceeds records_max to the power of -1.1, %.3g here", delta_most);
    }
    if (privacy->order != 0 && privacy->order <= RN_RDP_ORDER_MIN) {
        return rn_yaml_fail(index, "privacy.order", err, "must be above %g, or 0",
                            RN_RDP_ORDER_MIN);
    }
    if (privacy->order != 0 &&
        rn_filter_bound(privacy->epsilon, privacy->delta, privacy->order) <= 0) {
        return rn_yaml_fail(index, "privacy.order", err,
                            "allows nothing at this epsilon and delta; 0 chooses one");
    }
    if (privacy->epsilon_plan > privacy->epsilon) {
        return rn_yaml_fail(index, "privacy.epsilon_plan", err, "must not exceed epsilon");
    }
    return rn_ok();
}

static rn_result policy_check(const struct rn_yaml_index *index, struct rn_policy *policy,
                              struct rn_error *err)
{
    RN_TRY(check_privacy(index, &policy->privacy, err));
    if (policy->cohort.members_max < policy->cohort.members_min) {
        return rn_yaml_fail(index, "cohort.members_max", err, "must not be below members_min");
    }
    for (uint32_t i = 0; i < policy->members_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(policy->members[i].name, policy->members[k].name) == 0 ||
                strcmp(policy->members[i].key, policy->members[k].key) == 0) {
                return rn_yaml_fail(index, "members", err,
                                    "entry %u has the name or key of entry %u", i + 1, k + 1);
            }
        }
    }
    return rn_ok();
}

rn_result rn_policy_parse(struct rn_view text, const char *source, struct rn_policy *out_policy,
                          struct rn_error *err)
{
    RN_CLEANUP(rn_yaml_index_clear) struct rn_yaml_index index = {0};
    rn_result result =
        rn_yaml_load(text, source, &table, out_policy, sizeof *out_policy, &index, err);
    if (rn_is_ok(result)) {
        result = policy_check(&index, out_policy, err);
    }
    if (!rn_is_ok(result)) {
        memset(out_policy, 0, sizeof *out_policy);
    }
    return result;
}
