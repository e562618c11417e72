/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_policy_check: one small function per concern, in the order in which a person would ask. The
 * first broken rule is reported.
 */
#include <inttypes.h>
#include <string.h>

#include "base/guard.h"
#include "policy/pins.h"

struct decision {
    const struct rn_policy *policy;
    const struct rn_plan *plan;
    const struct rn_roster *roster;
    const struct rn_policy_facts *facts;
    struct rn_plan_numbers numbers;
    enum rn_policy_reason *out_reason;
    struct rn_error *err;
};

static const char *const reason_names[RN_POLICY_REASON_COUNT_] = {
    [RN_POLICY_ACCEPTED] = "accepted",
    [RN_POLICY_FEDERATION] = "policy-federation",
    [RN_POLICY_COORDINATOR] = "policy-coordinator",
    [RN_POLICY_ROSTER] = "policy-roster",
    [RN_POLICY_NOT_IN_ROSTER] = "policy-not-in-roster",
    [RN_POLICY_MEMBERS] = "policy-members",
    [RN_POLICY_PLAN_NOT_PINNED] = "policy-plan-not-pinned",
    [RN_POLICY_INFEASIBLE] = "policy-infeasible",
    [RN_POLICY_COHORT_TOO_SMALL] = "policy-cohort-too-small",
    [RN_POLICY_COHORT_TOO_LARGE] = "policy-cohort-too-large",
    [RN_POLICY_COLLUDING_TOO_FEW] = "policy-colluding-too-few",
    [RN_POLICY_HONEST_TOO_FEW] = "policy-honest-too-few",
    [RN_POLICY_LOSSES_TOO_MANY] = "policy-losses-too-many",
    [RN_POLICY_THRESHOLD_TOO_LOW] = "policy-threshold-too-low",
    [RN_POLICY_NOT_BLIND] = "policy-not-blind",
    [RN_POLICY_METHOD] = "policy-method",
    [RN_POLICY_WEIGHTS] = "policy-weights",
    [RN_POLICY_METRICS] = "policy-metrics",
    [RN_POLICY_EVALUATION] = "policy-evaluation",
    [RN_POLICY_HEAD] = "policy-head",
    [RN_POLICY_MODEL] = "policy-model",
    [RN_POLICY_MODEL_MISMATCH] = "policy-model-mismatch",
    [RN_POLICY_LENGTH_TOO_LARGE] = "policy-length-too-large",
    [RN_POLICY_TARGET] = "policy-target",
    [RN_POLICY_RANK_TOO_LARGE] = "policy-rank-too-large",
    [RN_POLICY_ROUNDS_TOO_MANY] = "policy-rounds-too-many",
    [RN_POLICY_STEPS_TOO_MANY] = "policy-steps-too-many",
    [RN_POLICY_BATCH_TOO_LARGE] = "policy-batch-too-large",
    [RN_POLICY_UPLOAD_TOO_LARGE] = "policy-upload-too-large",
    [RN_POLICY_ATTEMPTS_TOO_MANY] = "policy-attempts-too-many",
    [RN_POLICY_PRIVACY_REQUIRED] = "policy-privacy-required",
    [RN_POLICY_PRIVACY_UNSET] = "policy-privacy-unset",
    [RN_POLICY_SHARED_TRUST] = "policy-shared-trust",
    [RN_POLICY_NOISE_TOO_LOW] = "policy-noise-too-low",
    [RN_POLICY_RATE_TOO_LARGE] = "policy-rate-too-large",
    [RN_POLICY_CLIP_TOO_LARGE] = "policy-clip-too-large",
    [RN_POLICY_CAP_TOO_SMALL] = "policy-cap-too-small",
    [RN_POLICY_NOT_ACCOUNTABLE] = "policy-not-accountable",
    [RN_POLICY_EPSILON_PLAN] = "policy-epsilon-plan",
    [RN_POLICY_EPSILON_SPENT] = "policy-epsilon-spent",
    [RN_POLICY_UNSIGNED] = "policy-unsigned",
    [RN_POLICY_SIGNERS_TOO_FEW] = "policy-signers-too-few",
    [RN_POLICY_SIGNER_MISSING] = "policy-signer-missing",
};

const char *rn_policy_reason_name(enum rn_policy_reason reason)
{
    return (unsigned)reason < RN_POLICY_REASON_COUNT_ ? reason_names[reason] : "policy-unknown";
}

bool rn_policy_reason_waits(enum rn_policy_reason reason)
{
    return reason == RN_POLICY_SIGNERS_TOO_FEW || reason == RN_POLICY_SIGNER_MISSING;
}

#define REFUSE_UNLESS(decision, condition, code, ...)                   \
    do {                                                                \
        if (!(condition)) {                                             \
            *(decision)->out_reason = (code);                           \
            return rn_fail((decision)->err, RN_E_REFUSED, __VA_ARGS__); \
        }                                                               \
    } while (0)

static bool hash_listed(const char (*hashes)[RN_PLAN_HASH_TEXT + 1], uint32_t count,
                        const char *hash)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(hashes[i], hash) == 0) {
            return true;
        }
    }
    return false;
}

/* Is it our federation, our coordinator, the plan's roster, and do we belong to it? */
static rn_result decide_parties(struct decision *d)
{
    const struct rn_policy *policy = d->policy;
    const struct rn_plan *plan = d->plan;
    uint8_t roster_hash[RN_HASH_BYTES];
    rn_roster_hash(d->facts->roster_bytes, roster_hash);
    REFUSE_UNLESS(d,
                  strcmp(policy->federation, plan->federation) == 0 &&
                      strcmp(plan->federation, d->roster->federation) == 0,
                  RN_POLICY_FEDERATION,
                  "the plan is for federation '%s', the policy allows '%s' only", plan->federation,
                  policy->federation);
    REFUSE_UNLESS(d,
                  strcmp(policy->coordinator, plan->roster.coordinator) == 0 &&
                      memcmp(plan->coordinator_key, d->roster->coordinator.bytes, 32) == 0,
                  RN_POLICY_COORDINATOR,
                  "the plan's coordinator key %.12s... is not the one the policy allows (%.12s...)",
                  plan->roster.coordinator, policy->coordinator);
    REFUSE_UNLESS(
        d, memcmp(plan->roster_hash, roster_hash, sizeof roster_hash) == 0, RN_POLICY_ROSTER,
        "the plan is for another roster (%.12s...) than the one held here", plan->roster.hash);
    REFUSE_UNLESS(d, rn_roster_find_key(d->roster, &d->facts->self_key) >= 0,
                  RN_POLICY_NOT_IN_ROSTER, "this member's identity key is not in the roster");
    return rn_ok();
}

/* Are the others who this organisation says they are? */
static rn_result decide_members(struct decision *d)
{
    const rn_result pinned = rn_pins_check(d->policy, d->roster, d->err);
    if (!rn_is_ok(pinned)) {
        *d->out_reason = RN_POLICY_MEMBERS;
    }
    return pinned;
}

static rn_result decide_pin(struct decision *d)
{
    char hash[RN_PLAN_HASH_TEXT + 1];
    rn_hex_encode(hash, d->plan->hash, sizeof d->plan->hash);
    REFUSE_UNLESS(d,
                  d->policy->plan.hashes_count == 0 ||
                      hash_listed(d->policy->plan.hashes, d->policy->plan.hashes_count, hash),
                  RN_POLICY_PLAN_NOT_PINNED, "plan %.12s... is not among the policy's plan.hashes",
                  hash);
    return rn_ok();
}

static rn_result decide_numbers(struct decision *d)
{
    const rn_result feasible = rn_plan_feasible(d->plan, d->roster->count, &d->numbers, d->err);
    if (!rn_is_ok(feasible)) {
        *d->out_reason = RN_POLICY_INFEASIBLE;
        return (rn_result){RN_E_REFUSED};
    }
    return rn_ok();
}

static rn_result decide_cohort(struct decision *d)
{
    const struct rn_policy_cohort *bound = &d->policy->cohort;
    const struct rn_plan_secagg *secagg = &d->plan->secagg;
    const uint32_t members = d->roster->count;
    RN_TRY(decide_numbers(d));
    REFUSE_UNLESS(d, members >= bound->members_min, RN_POLICY_COHORT_TOO_SMALL,
                  "%u members are fewer than cohort.members_min %u", members, bound->members_min);
    REFUSE_UNLESS(d, members <= bound->members_max, RN_POLICY_COHORT_TOO_LARGE,
                  "%u members are more than cohort.members_max %u", members, bound->members_max);
    REFUSE_UNLESS(d, secagg->colluding >= bound->colluding_min, RN_POLICY_COLLUDING_TOO_FEW,
                  "the plan withstands %u colluding members, cohort.colluding_min is %u",
                  secagg->colluding, bound->colluding_min);
    REFUSE_UNLESS(d, secagg->honest >= bound->honest_min, RN_POLICY_HONEST_TOO_FEW,
                  "the plan keeps %u honest members, cohort.honest_min is %u", secagg->honest,
                  bound->honest_min);
    REFUSE_UNLESS(d, secagg->losses <= bound->losses_max, RN_POLICY_LOSSES_TOO_MANY,
                  "the plan goes on after %u losses, cohort.losses_max is %u", secagg->losses,
                  bound->losses_max);
    REFUSE_UNLESS(d, d->numbers.threshold >= bound->threshold_min, RN_POLICY_THRESHOLD_TOO_LOW,
                  "the plan's share threshold is %u, cohort.threshold_min is %u",
                  d->numbers.threshold, bound->threshold_min);
    REFUSE_UNLESS(d,
                  members - secagg->losses >= rn_plan_floor(d->plan, members, bound->survivors_min),
                  RN_POLICY_LOSSES_TOO_MANY,
                  "the plan lets a round end with %u members, cohort.survivors_min is %u",
                  members - secagg->losses, bound->survivors_min);
    REFUSE_UNLESS(
        d, !bound->blind || rn_plan_is_blind(d->plan), RN_POLICY_NOT_BLIND,
        "the plan's coordinator sees every sum and adapter, and cohort.blind asks for one "
        "that does not: `coordinator: blind`");
    return rn_ok();
}

static rn_result decide_method(struct decision *d)
{
    const struct rn_policy_method *allowed = &d->policy->method;
    const struct rn_plan *plan = d->plan;
    REFUSE_UNLESS(d, allowed->allowed & RN_POLICY_BIT(plan->method), RN_POLICY_METHOD,
                  "method %s is not in method.allowed", rn_plan_method_name(plan->method));
    REFUSE_UNLESS(d, allowed->weights & RN_POLICY_BIT(plan->weights), RN_POLICY_WEIGHTS,
                  "weights %s are not in method.weights", rn_plan_weights_name(plan->weights));
    REFUSE_UNLESS(d, allowed->metrics & RN_POLICY_BIT(plan->metrics), RN_POLICY_METRICS,
                  "the plan wants metrics %s, which method.metrics does not allow",
                  plan->metrics == RN_METRICS_SUMMED ? "summed" : "home");
    REFUSE_UNLESS(d, allowed->evaluation || !plan->evaluation.federated, RN_POLICY_EVALUATION,
                  "the plan judges adapters on this site's development set, which "
                  "method.evaluation does not allow");
    REFUSE_UNLESS(d, allowed->heads & RN_POLICY_BIT(plan->lora.head), RN_POLICY_HEAD,
                  "a %s head is not in method.heads", rn_plan_head_name(plan->lora.head));
    return rn_ok();
}

static rn_result decide_model(struct decision *d)
{
    const struct rn_policy_model *allowed = &d->policy->model;
    const struct rn_plan *plan = d->plan;
    REFUSE_UNLESS(d, hash_listed(allowed->hashes, allowed->hashes_count, plan->model.hash),
                  RN_POLICY_MODEL, "base model %.12s... is not in model.hashes", plan->model.hash);
    REFUSE_UNLESS(d, d->facts->model_known, RN_POLICY_MODEL_MISMATCH,
                  "the base model of this site could not be hashed");
    REFUSE_UNLESS(
        d, memcmp(d->facts->model_hash, plan->model_hash, 32) == 0, RN_POLICY_MODEL_MISMATCH,
        "the files in this site's model directory are not base model %.12s...", plan->model.hash);
    REFUSE_UNLESS(d, plan->model.max_length <= allowed->max_length_max, RN_POLICY_LENGTH_TOO_LARGE,
                  "examples of %u tokens exceed model.max_length_max %u", plan->model.max_length,
                  allowed->max_length_max);
    return rn_ok();
}

static bool target_allowed(const struct rn_policy_lora *allowed, const char *target)
{
    for (uint32_t i = 0; i < allowed->targets_count; i++) {
        if (strcmp(allowed->targets[i], "all-linear") == 0 ||
            strcmp(allowed->targets[i], target) == 0) {
            return true;
        }
    }
    return false;
}

static rn_result decide_lora(struct decision *d)
{
    const struct rn_policy_lora *allowed = &d->policy->lora;
    const struct rn_plan_lora *lora = &d->plan->lora;
    for (uint32_t i = 0; i < lora->targets_count; i++) {
        REFUSE_UNLESS(d, target_allowed(allowed, lora->targets[i]), RN_POLICY_TARGET,
                      "target module '%s' is not in lora.targets", lora->targets[i]);
    }
    REFUSE_UNLESS(d, lora->rank <= allowed->rank_max, RN_POLICY_RANK_TOO_LARGE,
                  "rank %u exceeds lora.rank_max %u", lora->rank, allowed->rank_max);
    return rn_ok();
}

static rn_result decide_effort(struct decision *d)
{
    const struct rn_policy *policy = d->policy;
    const struct rn_plan *plan = d->plan;
    REFUSE_UNLESS(d, plan->rounds <= policy->training.rounds_max, RN_POLICY_ROUNDS_TOO_MANY,
                  "%u rounds exceed training.rounds_max %u", plan->rounds,
                  policy->training.rounds_max);
    REFUSE_UNLESS(d, plan->training.steps <= policy->training.steps_max, RN_POLICY_STEPS_TOO_MANY,
                  "%u local steps exceed training.steps_max %u", plan->training.steps,
                  policy->training.steps_max);
    REFUSE_UNLESS(d, plan->training.batch <= policy->training.batch_max, RN_POLICY_BATCH_TOO_LARGE,
                  "a batch of %u exceeds training.batch_max %u", plan->training.batch,
                  policy->training.batch_max);
    REFUSE_UNLESS(d, plan->secagg.attempts <= policy->upload.attempts_max,
                  RN_POLICY_ATTEMPTS_TOO_MANY, "%u attempts a round exceed upload.attempts_max %u",
                  plan->secagg.attempts, policy->upload.attempts_max);
    return rn_ok();
}

static bool has_signed(const struct decision *d, int place)
{
    return place >= 0 && d->facts->signed_by != NULL && d->facts->signed_by[place];
}

static rn_result decide_signers(struct decision *d)
{
    const struct rn_policy_plan *wanted = &d->policy->plan;
    uint32_t count = 0;
    REFUSE_UNLESS(d, d->facts->coordinator_signed, RN_POLICY_UNSIGNED,
                  "the coordinator has not signed the plan");
    REFUSE_UNLESS(
        d, has_signed(d, rn_roster_find_key(d->roster, &d->facts->self_key)), RN_POLICY_UNSIGNED,
        "this member has not signed the plan: read it with `rondo plan show`, then `rondo "
        "plan sign`");
    for (uint32_t i = 0; i < d->roster->count; i++) {
        count += has_signed(d, (int)i) ? 1 : 0;
    }
    REFUSE_UNLESS(d, count >= d->numbers.quorum, RN_POLICY_SIGNERS_TOO_FEW,
                  "%u member(s) have signed the plan, its quorum is %u", count, d->numbers.quorum);
    REFUSE_UNLESS(d, count >= wanted->signers, RN_POLICY_SIGNERS_TOO_FEW,
                  "%u member(s) have signed the plan, the policy's plan.signers wants %u", count,
                  wanted->signers);
    for (uint32_t i = 0; i < wanted->signed_by_count; i++) {
        const int place = rn_pin_place(d->policy, d->roster, wanted->signed_by[i]);
        REFUSE_UNLESS(d, has_signed(d, place), RN_POLICY_SIGNER_MISSING,
                      "'%s' has not signed the plan, but is in the policy's plan.signed_by",
                      wanted->signed_by[i]);
    }
    return rn_ok();
}

rn_result rn_policy_check(const struct rn_policy *policy, const struct rn_plan *plan,
                          const struct rn_roster *roster, const struct rn_policy_facts *facts,
                          enum rn_policy_stage stage, enum rn_policy_reason *out_reason,
                          struct rn_error *err)
{
    struct decision d = {.policy = policy,
                         .plan = plan,
                         .roster = roster,
                         .facts = facts,
                         .out_reason = out_reason,
                         .err = err};
    *out_reason = RN_POLICY_ACCEPTED;
    RN_TRY(decide_parties(&d));
    RN_TRY(decide_members(&d));
    RN_TRY(decide_pin(&d));
    RN_TRY(decide_cohort(&d));
    RN_TRY(decide_method(&d));
    RN_TRY(decide_model(&d));
    RN_TRY(decide_lora(&d));
    RN_TRY(decide_effort(&d));
    RN_TRY(rn_policy_check_privacy(policy, plan, &facts->spent, out_reason, err));
    if (stage == RN_POLICY_RUN) {
        RN_TRY(decide_signers(&d));
    }
    return rn_ok();
}

rn_result rn_policy_check_signers(const struct rn_policy *policy, const struct rn_plan *plan,
                                  const struct rn_roster *roster,
                                  const struct rn_policy_facts *facts,
                                  enum rn_policy_reason *out_reason, struct rn_error *err)
{
    struct decision d = {.policy = policy,
                         .plan = plan,
                         .roster = roster,
                         .facts = facts,
                         .out_reason = out_reason,
                         .err = err};
    *out_reason = RN_POLICY_ACCEPTED;
    RN_TRY(decide_numbers(&d));
    return decide_signers(&d);
}

rn_result rn_policy_check_upload(const struct rn_policy *policy, uint64_t upload_bytes,
                                 enum rn_policy_reason *out_reason, struct rn_error *err)
{
    *out_reason = RN_POLICY_ACCEPTED;
    if (upload_bytes > policy->upload.bytes_max) {
        *out_reason = RN_POLICY_UPLOAD_TOO_LARGE;
        return rn_fail(err, RN_E_REFUSED,
                       "a round uploads %" PRIu64 " bytes, upload.bytes_max is %" PRIu64,
                       upload_bytes, policy->upload.bytes_max);
    }
    return rn_ok();
}
