/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/ledger/privacyterms.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/discretenoise.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "policy/accountant/accountant.h"
#include "policy/accountant/filter.h"

/* Of one draw of the noise, in total variation: (s + 1) 2^-108 at deviation s (crypto/noise.h). */
#define SAMPLER_DISTANCE 0x1p-108
/* Of one draw of a share (crypto/discretenoise.h). */
#define SHARE_DISTANCE 0x1p-183

double rn_privacy_terms_delta(const struct rn_privacy_terms *terms)
{
    return terms->delta * (1 - RN_PRIVACY_APART);
}

double rn_privacy_terms_apart(const struct rn_privacy_terms *terms)
{
    return terms->delta * RN_PRIVACY_APART;
}

double rn_privacy_terms_bound(const struct rn_privacy_terms *terms)
{
    return rn_filter_bound(terms->epsilon, rn_privacy_terms_delta(terms), terms->order);
}

/* ---- Ranges. */

static rn_result unit_check(const struct rn_privacy_terms *terms, struct rn_error *err)
{
    RN_ENSURE(terms->unit <= RN_PRIVACY_UNIT_PERSON && terms->adjacency <= RN_PRIVACY_ADD_REMOVE,
              err, RN_E_CONFIG, "the privacy unit or adjacency is none that is known");
    RN_ENSURE(terms->group >= 1 && terms->group <= RN_PRIVACY_GROUP_MAX, err, RN_E_CONFIG,
              "the privacy group is %" PRIu32 " records: 1 to %u are possible", terms->group,
              RN_PRIVACY_GROUP_MAX);
    RN_ENSURE(terms->unit == RN_PRIVACY_UNIT_PERSON || terms->group == 1, err, RN_E_CONFIG,
              "the privacy unit is a record, so its group is 1; set the unit to person");
    RN_ENSURE(terms->records_max >= 1 && terms->records_max <= RN_PRIVACY_RECORDS_MAX, err,
              RN_E_CONFIG, "the bound of records is %" PRIu64 ": 1 to %llu are possible",
              terms->records_max, RN_PRIVACY_RECORDS_MAX);
    return rn_ok();
}

rn_result rn_privacy_terms_check(const struct rn_privacy_terms *terms, struct rn_error *err)
{
    RN_TRY(unit_check(terms, err));
    RN_ENSURE(rn_name_valid(terms->lineage), err, RN_E_CONFIG,
              "a lineage's name has 1 to %d of the characters a-z, 0-9 and -", RN_PRIVACY_NAME_MAX);
    RN_ENSURE(terms->epsilon > 0 && terms->epsilon <= RN_PRIVACY_EPSILON_MAX, err, RN_E_CONFIG,
              "epsilon of the lineage is %g: more than 0, at most %g", terms->epsilon,
              RN_PRIVACY_EPSILON_MAX);
    const double delta_max = pow((double)terms->records_max, -1.1);
    RN_ENSURE(terms->delta >= 1e-300 && terms->delta < 1 && terms->delta <= delta_max, err,
              RN_E_CONFIG,
              "delta of the lineage is %g: at most %g = n_max^-1.1, so that it cannot stand for "
              "whole records",
              terms->delta, delta_max);
    RN_ENSURE(terms->order >= RN_RDP_ORDER_MIN && terms->order <= RN_RDP_ORDER_MAX, err,
              RN_E_CONFIG, "the filter's order is %g: %g to %g are possible", terms->order,
              RN_RDP_ORDER_MIN, RN_RDP_ORDER_MAX);
    RN_ENSURE(rn_privacy_terms_bound(terms) > 0, err, RN_E_CONFIG,
              "at order %g the filter allows nothing within epsilon %g and delta %g: take a larger "
              "order",
              terms->order, terms->epsilon, terms->delta);
    return rn_ok();
}

rn_result rn_privacy_terms_derive(struct rn_privacy_terms *terms, struct rn_error *err)
{
    RN_TRY(rn_privacy_terms_check(terms, err));
    terms->version = RN_PRIVACY_VERSION;
    terms->bound = rn_privacy_terms_bound(terms);
    return rn_ok();
}

static rn_result length_check(const struct rn_privacy_plan *plan, struct rn_error *err)
{
    RN_ENSURE(rn_name_valid(plan->name) && plan->method <= RN_METHOD_FEDAVG_LORA, err, RN_E_CONFIG,
              "the plan's name or method is none that a ledger can hold");
    RN_ENSURE(plan->rounds >= 1 && plan->rounds <= RN_PLAN_ROUNDS_MAX, err, RN_E_CONFIG,
              "a plan has 1 to %u rounds", RN_PLAN_ROUNDS_MAX);
    RN_ENSURE(plan->trainings >= plan->rounds && plan->trainings <= RN_PRIVACY_TRAININGS_MAX, err,
              RN_E_CONFIG, "a plan of %" PRIu32 " rounds has %" PRIu32 " to %u trainings",
              plan->rounds, plan->rounds, RN_PRIVACY_TRAININGS_MAX);
    RN_ENSURE(plan->steps >= 1 && plan->steps <= RN_PRIVACY_STEPS_MAX, err, RN_E_CONFIG,
              "a training has 1 to %u steps", RN_PRIVACY_STEPS_MAX);
    return rn_ok();
}

static rn_result sampler_check(const struct rn_privacy_plan *plan, struct rn_error *err)
{
    const bool all = plan->threshold == UINT64_MAX;
    RN_ENSURE(plan->cap >= 1, err, RN_E_CONFIG, "the largest batch is 0 records");
    if (plan->sampler == RN_PRIVACY_SAMPLER_ALLOCATION) {
        RN_ENSURE(
            plan->threshold >= 1 && plan->threshold <= plan->steps, err, RN_E_CONFIG,
            "the sampler allocation goes with a threshold of 1 to its steps: how many of them "
            "take a record");
        return rn_ok();
    }
    RN_ENSURE(plan->sampler <= RN_PRIVACY_SAMPLER_ALL && plan->threshold >= 1 &&
                  all == (plan->sampler == RN_PRIVACY_SAMPLER_ALL),
              err, RN_E_CONFIG,
              "the sampler and its threshold do not fit: all goes with 2^64 - 1, poisson with 1 to "
              "2^64 - 2");
    return rn_ok();
}

/* A round is one step: what leaves is its sum. */
static rn_result shares_check(const struct rn_privacy_plan *plan, struct rn_error *err)
{
    if (plan->honest == 0) {
        return rn_ok();
    }
    RN_ENSURE(plan->honest <= RN_PRIVACY_SHARES_MAX, err, RN_E_CONFIG,
              "at most %u members can share noise", RN_PRIVACY_SHARES_MAX);
    RN_ENSURE(plan->steps == 1, err, RN_E_CONFIG, "a training with shares of noise has one step");
    RN_ENSURE(plan->sampler != RN_PRIVACY_SAMPLER_ALLOCATION, err, RN_E_CONFIG,
              "noise in shares goes with the samplers poisson and all");
    RN_ENSURE(plan->dimension >= 1 && plan->dimension < (UINT64_C(1) << 53), err, RN_E_CONFIG,
              "with shares of noise the number of trained values must be stated");
    RN_ENSURE(rn_privacy_share(plan->noise, plan->grid, plan->honest) <=
                  RN_DISCRETE_NOISE_DEVIATION_MAX,
              err, RN_E_CONFIG, "a share of the noise is larger than %u steps of the grid",
              RN_DISCRETE_NOISE_DEVIATION_MAX);
    return rn_ok();
}

static bool within(double value, double least, double most)
{
    return value >= least && value <= most; /* not so for NaN */
}

rn_result rn_privacy_plan_check(const struct rn_privacy_terms *terms,
                                const struct rn_privacy_plan *plan, struct rn_error *err)
{
    RN_TRY(length_check(plan, err));
    RN_TRY(sampler_check(plan, err));
    RN_ENSURE(plan->sampler != RN_PRIVACY_SAMPLER_ALLOCATION || terms->group == 1, err, RN_E_CONFIG,
              "the sampler allocation is accounted for one record at a time: take the unit record, "
              "or poisson");
    RN_ENSURE(plan->grid >= 1 && plan->grid <= RN_PRIVACY_GRID_MAX, err, RN_E_CONFIG,
              "the grid is %" PRIu32 ": 1 to %u are possible", plan->grid, RN_PRIVACY_GRID_MAX);
    RN_ENSURE(within(plan->noise, RN_PRIVACY_NOISE_MIN * terms->group, RN_PRIVACY_NOISE_MAX), err,
              RN_E_CONFIG, "the noise multiplier is %g: %g to %g are possible", plan->noise,
              RN_PRIVACY_NOISE_MIN * terms->group, RN_PRIVACY_NOISE_MAX);
    RN_ENSURE(within(plan->clip, 1e-9, 1e9) && within(plan->denominator, 1, 1e15), err, RN_E_CONFIG,
              "the clip norm or the denominator is out of range (1e-9 to 1e9, 1 to 1e15)");
    RN_ENSURE(within(plan->epsilon, 0, 1e6), err, RN_E_CONFIG,
              "the plan's own epsilon is %g: it says nothing", plan->epsilon);
    return shares_check(plan, err);
}

/* ---- Equal for life. */

static rn_result numbers_equal(const struct rn_privacy_terms *kept,
                               const struct rn_privacy_terms *wanted, struct rn_error *err)
{
    const struct {
        const char *name;
        double kept, wanted;
    } each[] = {{"epsilon", kept->epsilon, wanted->epsilon},
                {"delta", kept->delta, wanted->delta},
                {"order of the filter", kept->order, wanted->order},
                {"bound of records", (double)kept->records_max, (double)wanted->records_max},
                {"group of records", kept->group, wanted->group},
                {"unit (0 record, 1 person)", kept->unit, wanted->unit},
                {"adjacency (0 zero-out, 1 add-remove)", kept->adjacency, wanted->adjacency}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(each); i++) {
        RN_ENSURE(
            !(each[i].kept < each[i].wanted) && !(each[i].kept > each[i].wanted), err, RN_E_CONFIG,
            "the privacy ledger of lineage %s began with %s %.17g, the policy says %.17g: the "
            "terms hold for the lineage's whole life; put %.17g back",
            kept->lineage, each[i].name, each[i].kept, each[i].wanted, each[i].kept);
    }
    return rn_ok();
}

rn_result rn_privacy_terms_equal(const struct rn_privacy_terms *kept,
                                 const struct rn_privacy_terms *wanted, struct rn_error *err)
{
    RN_ENSURE(strcmp(kept->lineage, wanted->lineage) == 0, err, RN_E_CONFIG,
              "the privacy ledger is of lineage %s, the policy names %s", kept->lineage,
              wanted->lineage);
    return numbers_equal(kept, wanted, err);
}

/* ---- The mechanism. */

double rn_privacy_rate(uint64_t threshold)
{
    double whole = (double)threshold;
    if (whole < 0x1p64 && (uint64_t)whole < threshold) {
        whole = nextafter(whole, INFINITY);
    }
    return whole * 0x1p-64;
}

double rn_privacy_share(double noise, uint32_t grid, uint32_t honest)
{
    return fmax(1, ceil(noise * grid / sqrt(honest)));
}

static struct rn_privacy_event shared_event(const struct rn_privacy_terms *terms,
                                            const struct rn_privacy_plan *plan, uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_SHARED,
        .count = count,
        .rate = terms->group == 1 ? rn_privacy_rate(plan->threshold) : 1,
        .share = rn_privacy_share(plan->noise, plan->grid, plan->honest),
        .shares = plan->honest,
        .grid = (double)plan->grid * terms->group,
        .dimension = fmax(1, (double)plan->dimension), /* not stated yet: 0 */
    };
}

double rn_privacy_plan_rate(const struct rn_privacy_plan *plan)
{
    if (plan->sampler == RN_PRIVACY_SAMPLER_ALLOCATION) {
        const double rate = (double)plan->threshold / plan->steps;
        return rate < 1 ? nextafter(rate, INFINITY) : 1;
    }
    return rn_privacy_rate(plan->threshold);
}

struct rn_privacy_event rn_privacy_plan_event(const struct rn_privacy_terms *terms,
                                              const struct rn_privacy_plan *plan, uint64_t count)
{
    struct rn_privacy_event event = {.count = count, .noise = plan->noise, .rate = 1};
    if (plan->honest > 0) {
        return shared_event(terms, plan, count);
    }
    if (plan->sampler == RN_PRIVACY_SAMPLER_ALL) {
        event.kind = RN_PRIVACY_GAUSSIAN;
        event.noise = plan->noise / terms->group; /* of a sum that moves by group * clip */
        return event;
    }
    if (plan->sampler == RN_PRIVACY_SAMPLER_ALLOCATION) {
        event.kind = RN_PRIVACY_ALLOCATION;
        event.count = count / plan->steps;
        event.picks = (uint32_t)plan->threshold;
        event.slots = plan->steps;
        return event;
    }
    event.kind = terms->group == 1 ? RN_PRIVACY_POISSON : RN_PRIVACY_GROUP;
    event.rate = rn_privacy_rate(plan->threshold);
    event.group = terms->group;
    return event;
}

double rn_privacy_divergence(const struct rn_privacy_terms *terms, struct rn_privacy_event event)
{
    double divergence = 0;
    if (event.kind == RN_PRIVACY_EPSILON_DELTA) {
        event.delta = 0; /* kept apart */
    }
    if (event.count == 0) {
        return 0;
    }
    return rn_rdp_event(&event, terms->order, &divergence) ? divergence : INFINITY;
}

double rn_privacy_plan_divergence(const struct rn_privacy_terms *terms,
                                  const struct rn_privacy_plan *plan)
{
    const bool allocated = plan->sampler == RN_PRIVACY_SAMPLER_ALLOCATION;
    const uint32_t steps = allocated ? plan->steps : 1;
    return rn_privacy_divergence(terms, rn_privacy_plan_event(terms, plan, steps)) / steps;
}

/* ---- Cutting. */

static double choose_log(double n, double k)
{
    int sign;
    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

double rn_privacy_tail(uint64_t n, double q, uint64_t cap)
{
    const double k = (double)cap + 1; /* the first draw that is cut */
    const double total = (double)n;
    if (cap >= n) {
        return 0;
    }
    if (q >= 1 || k <= total * q) {
        return 1;
    }
    const double ratio = (total - k) / (k + 1) * (q / (1 - q));
    const double first = choose_log(total, k) + k * log(q) + (total - k) * log1p(-q);
    if (ratio >= 1) {
        return 1;
    }
    /* lgamma is good to 1e-15 of at most 2e10 in each of three places. */
    return fmin(1, exp(first) / (1 - ratio) * (1 + 1e-4));
}

double rn_privacy_plan_cut(const struct rn_privacy_terms *terms, const struct rn_privacy_plan *plan)
{
    const double tail = rn_privacy_tail(terms->records_max, rn_privacy_plan_rate(plan), plan->cap);
    const double events = (double)plan->trainings * plan->steps;
    const double value = plan->honest > 0 ? plan->honest * SHARE_DISTANCE
                                          : (plan->noise * plan->grid + 1) * SAMPLER_DISTANCE;
    const double sampler = (double)plan->dimension * value;
    return (1 + exp(terms->epsilon)) * events * (tail + sampler);
}
