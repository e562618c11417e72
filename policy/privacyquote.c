/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/privacyquote.h"

#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "policy/accountant/filter.h"

uint64_t rn_privacy_threshold(double rate)
{
    const double scaled = ldexp(rate, 64); /* exact */
    if (scaled >= 0x1p64) {
        return UINT64_MAX;
    }
    return scaled < 1.0 ? 1 : (uint64_t)scaled;
}

double rn_privacy_delta_default(uint64_t records)
{
    const double most = pow((double)records, -1.1);
    const double digit = pow(10.0, floor(log10(most)) - 2.0);
    return fmin(0.1, floor(most / digit) * digit);
}

void rn_privacy_terms_of(const struct rn_policy_privacy *privacy, struct rn_privacy_terms *out)
{
    const bool person = privacy->unit == RN_POLICY_UNIT_PERSON;
    const double delta = (1.0 - RN_PRIVACY_APART) * privacy->delta;
    *out = (struct rn_privacy_terms){
        .unit = person ? RN_PRIVACY_UNIT_PERSON : RN_PRIVACY_UNIT_RECORD,
        .group = privacy->rows,
        .records_max = privacy->records_max,
        .adjacency = RN_PRIVACY_ADD_REMOVE,
        .epsilon = privacy->epsilon,
        .delta = privacy->delta,
        .order = privacy->order != 0 ? privacy->order
                                     : rn_filter_order(NULL, 0, privacy->epsilon, delta),
    };
    memcpy(out->lineage, privacy->lineage, sizeof out->lineage);
}

void rn_privacy_plan_of(const struct rn_plan *plan, struct rn_privacy_plan *out)
{
    const bool allocated = plan->privacy.sampling == RN_PLAN_ALLOCATION;
    const uint64_t threshold =
        allocated ? rn_plan_picks(plan) : rn_privacy_threshold(plan->privacy.rate);
    *out = (struct rn_privacy_plan){
        .method = plan->method,
        .rounds = plan->rounds,
        .trainings = (uint32_t)rn_plan_trainings(plan),
        .steps = plan->training.steps,
        .sampler = allocated                 ? RN_PRIVACY_SAMPLER_ALLOCATION
                   : threshold == UINT64_MAX ? RN_PRIVACY_SAMPLER_ALL
                                             : RN_PRIVACY_SAMPLER_POISSON,
        .threshold = threshold,
        .cap = plan->training.batch,
        .noise = plan->privacy.noise,
        .clip = plan->privacy.clip,
        .grid = RN_PRIVACY_GRID,
        .denominator = plan->privacy.denominator,
        .honest = rn_plan_is_shared(plan) ? plan->secagg.honest : 0,
    };
    memcpy(out->hash, plan->hash, sizeof out->hash);
    memcpy(out->name, plan->name, sizeof out->name);
}

rn_result rn_privacy_quote(const struct rn_plan *plan, const struct rn_policy *policy,
                           struct rn_privacy_quote *out, struct rn_error *err)
{
    RN_BUG_IF(!rn_plan_is_private(plan) || policy->privacy.epsilon == 0);
    rn_privacy_terms_of(&policy->privacy, &out->terms);
    rn_privacy_plan_of(plan, &out->plan);
    /* An element of the upload has secagg.bits bits or more. */
    out->plan.dimension = policy->upload.bytes_max * 8 / plan->secagg.bits + 1;
    RN_TRY(rn_privacy_terms_derive(&out->terms, err));
    const uint64_t events = (uint64_t)out->plan.trainings * out->plan.steps;
    const struct rn_privacy_event event = rn_privacy_plan_event(&out->terms, &out->plan, events);
    const double apart = rn_privacy_terms_apart(&out->terms);
    RN_ENSURE(out->plan.sampler != RN_PRIVACY_SAMPLER_ALLOCATION || out->terms.group == 1, err,
              RN_E_UNSUPPORTED,
              "privacy: allocation is accounted for one record at a time, and the policy protects "
              "persons: the plan needs sampling poisson");
    RN_ENSURE(rn_rdp_event(&event, out->terms.order, &out->cost), err, RN_E_UNSUPPORTED,
              "privacy: the filter does not know this sampling");
    out->apart = rn_privacy_plan_cut(&out->terms, &out->plan);
    out->epsilon = (struct rn_privacy_value){.upper = INFINITY, .lower = 0, .order = NAN};
    if (out->cost > out->terms.bound) { /* too much, whatever its own epsilon is */
        return rn_ok();
    }
    const enum rn_accountant by =
        event.kind == RN_PRIVACY_SHARED ? RN_ACCOUNTANT_RDP : RN_ACCOUNTANT_PLD;
    RN_TRY(
        rn_account_epsilon(&event, 1, rn_privacy_terms_delta(&out->terms), by, &out->epsilon, err));
    out->epsilon.lower = isnan(out->epsilon.lower) ? 0 : out->epsilon.lower; /* RDP has none */
    out->plan.epsilon = out->epsilon.upper;
    RN_ENSURE(out->apart <= apart, err, RN_E_REFUSED,
              "with up to %llu records a step would draw more than training.batch, %u, too often "
              "(%.3g of delta, %.3g is left for it): the plan needs a larger training.batch or a "
              "smaller privacy.rate",
              (unsigned long long)out->terms.records_max, (unsigned)plan->training.batch,
              out->apart, apart);
    return rn_ok();
}
