/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a plan: the active matrices of a round, quorum, threshold, floor, bit widths,
 * bytes and times, and whether the cohort can keep its promise.
 */
#include <math.h>

#include "base/guard.h"
#include "crypto/groupkey.h"
#include "crypto/secagg/params.h"
#include "crypto/secagg/spent.h"
#include "policy/plan.h"
#include "policy/sharedplan.h"

/* Shares, acks, upload, vote, unmask, receipts; or the abort in place of the last two. */
#define STAGES 6u

unsigned rn_plan_active(const struct rn_plan *plan, uint32_t round)
{
    if (round > plan->rounds) {
        return 0;
    }
    switch (plan->method) {
    case RN_METHOD_FFA_LORA:
        return RN_PLAN_MATRIX_B;
    case RN_METHOD_FEDAVG_LORA:
        return RN_PLAN_MATRIX_A | RN_PLAN_MATRIX_B;
    default:
        return round % 2 == 1 ? RN_PLAN_MATRIX_B : RN_PLAN_MATRIX_A;
    }
}

/* Each round may leave a session open in the ledger of spent updates; every summed one does. */
_Static_assert(RN_PLAN_ROUNDS_MAX + 1 <= RN_SA_SPENT_MAX, "a job could outgrow its ledger");

uint32_t rn_plan_last_round(const struct rn_plan *plan)
{
    return plan->rounds + (plan->evaluation.federated ? 1 : 0);
}

static uint64_t value_max(const struct rn_plan *plan)
{
    const uint64_t largest = ((uint64_t)1 << plan->secagg.bits) - 2;
    if (rn_plan_is_shared(plan)) {
        return 2 * rn_shared_reach(plan);
    }
    return plan->weights == RN_WEIGHTS_EXAMPLES ? plan->max_examples * largest : largest;
}

static uint32_t value_bits(const struct rn_plan *plan)
{
    uint32_t bits = plan->secagg.bits;
    while (rn_plan_is_shared(plan) && value_max(plan) >> bits != 0) {
        bits++;
    }
    return bits;
}

/* What secure aggregation must know to answer for quorum, floor and bits. */
static struct rn_sa_params params_of(const struct rn_plan *plan, uint32_t members)
{
    return (struct rn_sa_params){.members = members,
                                 .colluding = plan->secagg.colluding,
                                 .losses = plan->secagg.losses,
                                 .honest = plan->secagg.honest,
                                 .value_max = value_max(plan)};
}

static void numbers_fill(const struct rn_plan *plan, uint32_t members,
                         struct rn_plan_numbers *numbers)
{
    const struct rn_sa_params params = params_of(plan, members);
    struct rn_sa_graph_sizes graph;
    rn_sa_sizes(&params, &graph);
    *numbers = (struct rn_plan_numbers){
        .members = members,
        .quorum = rn_sa_quorum(&params),
        .threshold = graph.threshold,
        .neighbours = graph.degree,
        .floor = rn_sa_floor(&params, 0),
        .losses_max = rn_sa_spare(&params),
        .value_bits = value_bits(plan),
        .sum_bits = rn_sa_bits(&params),
        .value_max = params.value_max,
        .stage_seconds = STAGES * (uint64_t)plan->secagg.stage_hard_s,
    };
    numbers->lane_bits = numbers->sum_bits <= 32 ? 32 : 64;
    if (members > 0) {
        numbers->headroom = (ldexp(1.0, (int)numbers->sum_bits) - 1) /
                            ((double)members * (double)numbers->value_max);
    }
}

uint32_t rn_plan_floor(const struct rn_plan *plan, uint32_t members, uint32_t local_minimum)
{
    const struct rn_sa_params params = params_of(plan, members);
    return rn_sa_floor(&params, local_minimum);
}

rn_result rn_plan_feasible(const struct rn_plan *plan, uint32_t members,
                           struct rn_plan_numbers *out_numbers, struct rn_error *err)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    numbers_fill(plan, members, out_numbers);
    RN_ENSURE(members >= 3, err, RN_E_CONFIG,
              "%u member(s) cannot hide anyone: with two, each learns the other's update from the "
              "sum; at least 3 are needed (three survive no loss, four survive one)",
              members);
    RN_ENSURE(members <= RN_PLAN_MEMBERS_MAX, err, RN_E_CONFIG,
              "%u members are more than the %u of a plan", members, (unsigned)RN_PLAN_MEMBERS_MAX);
    RN_ENSURE(!rn_plan_is_hybrid(plan) || members <= RN_GROUP_HYBRID_MEMBERS_MAX, err, RN_E_CONFIG,
              "%u members are more than the %u of a plan with secagg.kem: hybrid, whose keys are "
              "long",
              members, (unsigned)RN_GROUP_HYBRID_MEMBERS_MAX);
    RN_ENSURE(members >= secagg->colluding + secagg->honest, err, RN_E_CONFIG,
              "%u members cannot include %u colluding ones (secagg.colluding) and still keep %u "
              "honest ones (secagg.honest)",
              members, secagg->colluding, secagg->honest);
    RN_ENSURE(members - secagg->losses >= out_numbers->floor && secagg->losses <= members, err,
              RN_E_CONFIG,
              "%u members with %u colluding survive at most %u loss(es), but secagg.losses is %u: "
              "a round needs %u of them (%u signatures certify the survivors, and %u colluding + "
              "%u honest must remain)",
              members, secagg->colluding, out_numbers->losses_max, secagg->losses,
              out_numbers->floor, out_numbers->quorum, secagg->colluding, secagg->honest);
    RN_ENSURE(
        out_numbers->sum_bits != 0, err, RN_E_CONFIG,
        "the sum over %u members of values up to max_examples times 2^secagg.bits does not fit "
        "%u bits: lower secagg.bits or max_examples",
        members, RN_SA_BITS_MAX);
    const struct rn_sa_params params = params_of(plan, members);
    return rn_sa_graph_check(&params, err);
}

rn_result rn_plan_examples_check(const struct rn_plan *plan, uint64_t examples,
                                 struct rn_error *err)
{
    RN_ENSURE(
        plan->weights != RN_WEIGHTS_EXAMPLES || examples <= plan->max_examples, err, RN_E_CONFIG,
        "%llu training examples, but the plan's max_examples is %llu: the operator raises it, "
        "or this site takes fewer",
        (unsigned long long)examples, (unsigned long long)plan->max_examples);
    return rn_ok();
}

uint64_t rn_plan_upload_bytes(const struct rn_plan_numbers *numbers, uint64_t elements)
{
    const struct rn_sa_params params = {.members = numbers->members,
                                        .value_max = numbers->value_max,
                                        .chunk_elements = rn_sa_chunk_elements(numbers->members)};
    const struct rn_sa_context context = {.elements = elements};
    struct rn_sa_layout layout;
    if (elements == 0 || elements > RN_SA_ELEMENTS_MAX) {
        return 0;
    }
    rn_sa_layout_init(&layout, &params, &context);
    return rn_sa_layout_vector_bytes(&layout);
}

/* A replay fetches every upload: as services/round/roundsession.c counts. */
uint64_t rn_plan_attempt_seconds(const struct rn_plan *plan, uint32_t members,
                                 uint64_t upload_bytes)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    const uint64_t upload = upload_bytes / secagg->upload_rate * 3 + 3;
    return secagg->train_hard_s + STAGES * (uint64_t)secagg->stage_hard_s +
           upload * (1 + (uint64_t)members);
}

uint32_t rn_plan_picks(const struct rn_plan *plan)
{
    return (uint32_t)round(plan->privacy.rate * plan->training.steps);
}
