/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_policy_check_privacy: what a member promises about its records, against what a plan would do.
 */
#include "policy/privacyquote.h"

#include "base/guard.h"

struct question {
    const struct rn_policy_privacy *policy;
    const struct rn_plan_privacy *plan;
    uint32_t honest; /* whose shares of noise count; 0: none but one's own */
    enum rn_policy_reason *out_reason;
    struct rn_error *err;
};

#define REFUSE_UNLESS(question, condition, code, ...)                   \
    do {                                                                \
        if (!(condition)) {                                             \
            *(question)->out_reason = (code);                           \
            return rn_fail((question)->err, RN_E_REFUSED, __VA_ARGS__); \
        }                                                               \
    } while (0)

static rn_result decide_bounds(const struct question *q)
{
    REFUSE_UNLESS(
        q, q->policy->epsilon > 0, RN_POLICY_PRIVACY_UNSET,
        "the plan spends a privacy budget, and the policy has none: its section `privacy` "
        "is missing");
    REFUSE_UNLESS(q, q->honest == 0 || q->policy->shared_honest > 0, RN_POLICY_SHARED_TRUST,
                  "the plan's noise is shared: what this member promises would rest on %u honest "
                  "members, itself included, adding theirs. privacy.shared_honest says how many "
                  "it counts on, and is not set",
                  q->honest);
    REFUSE_UNLESS(q, q->honest <= q->policy->shared_honest, RN_POLICY_SHARED_TRUST,
                  "the plan's noise counts on %u honest members (secagg.honest), "
                  "privacy.shared_honest allows %u",
                  q->honest, q->policy->shared_honest);
    REFUSE_UNLESS(q, q->plan->noise >= q->policy->noise_min, RN_POLICY_NOISE_TOO_LOW,
                  "noise %g is below privacy.noise_min %g", q->plan->noise, q->policy->noise_min);
    REFUSE_UNLESS(q, q->plan->rate <= q->policy->rate_max, RN_POLICY_RATE_TOO_LARGE,
                  "rate %g exceeds privacy.rate_max %g", q->plan->rate, q->policy->rate_max);
    REFUSE_UNLESS(q, q->plan->clip <= q->policy->clip_max, RN_POLICY_CLIP_TOO_LARGE,
                  "clip %g exceeds privacy.clip_max %g", q->plan->clip, q->policy->clip_max);
    return rn_ok();
}

static rn_result decide_cost(const struct question *q, const struct rn_privacy_quote *quote,
                             const struct rn_policy_spent *spent)
{
    const double apart = rn_privacy_terms_apart(&quote->terms);
    REFUSE_UNLESS(q, spent->filter + quote->cost <= quote->terms.bound, RN_POLICY_EPSILON_SPENT,
                  "the plan costs %.4g of the budget at order %g, of which %.4g of %.4g is spent "
                  "(`rondo ledger show`)",
                  quote->cost, quote->terms.order, spent->filter, quote->terms.bound);
    REFUSE_UNLESS(q, quote->epsilon.upper <= q->policy->epsilon_plan, RN_POLICY_EPSILON_PLAN,
                  "the plan costs epsilon %.4g at delta %g, privacy.epsilon_plan is %g",
                  quote->epsilon.upper, quote->terms.delta, q->policy->epsilon_plan);
    REFUSE_UNLESS(q, spent->apart + quote->apart <= apart, RN_POLICY_EPSILON_SPENT,
                  "the plan's draws could be cut with %.3g of delta, and of the %.3g that is set "
                  "apart for it %.3g is spent: a larger training.batch costs less",
                  quote->apart, apart, spent->apart);
    return rn_ok();
}

rn_result rn_policy_check_privacy(const struct rn_policy *policy, const struct rn_plan *plan,
                                  const struct rn_policy_spent *spent,
                                  enum rn_policy_reason *out_reason, struct rn_error *err)
{
    struct rn_privacy_quote quote;
    const struct question q = {&policy->privacy, &plan->privacy,
                               rn_plan_is_shared(plan) ? plan->secagg.honest : 0, out_reason, err};
    *out_reason = RN_POLICY_ACCEPTED;
    if (!rn_plan_is_private(plan)) {
        REFUSE_UNLESS(&q, !policy->privacy.required, RN_POLICY_PRIVACY_REQUIRED,
                      "the plan adds no noise, and privacy.required is true");
        return rn_ok();
    }
    RN_TRY(decide_bounds(&q));
    const rn_result quoted = rn_privacy_quote(plan, policy, &quote, err);
    if (!rn_is_ok(quoted)) {
        *out_reason =
            quoted.code == RN_E_REFUSED ? RN_POLICY_CAP_TOO_SMALL : RN_POLICY_NOT_ACCOUNTABLE;
        return (rn_result){RN_E_REFUSED};
    }
    return decide_cost(&q, &quote, spent);
}
