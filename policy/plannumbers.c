/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a plan: the active matrices of a round, quorum, threshold, floor, bit widths,
 * bytes and times, and whether the cohort can keep its promise.
 */
#include <math.h>

#include "base/guard.h"
#include "policy/plan.h"

unsigned rn_plan_active(const struct rn_plan *plan, uint32_t round)
{
    switch (plan->method) {
    case RN_METHOD_FFA_LORA:
        return RN_PLAN_MATRIX_B;
    case RN_METHOD_FEDAVG_LORA:
        return RN_PLAN_MATRIX_A | RN_PLAN_MATRIX_B;
    default:
        return round % 2 == 1 ? RN_PLAN_MATRIX_B : RN_PLAN_MATRIX_A;
    }
}

static uint32_t bits_of(uint64_t value)
{
    uint32_t bits = 0;
    for (; value != 0; value >>= 1) {
        bits++;
    }
    return bits;
}

static void numbers_fill(const struct rn_plan *plan, uint32_t members,
                         struct rn_plan_numbers *numbers)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    const uint32_t honest_floor = secagg->colluding + secagg->honest;
    *numbers = (struct rn_plan_numbers){.members = members, .value_bits = secagg->bits};
    numbers->quorum = (members + secagg->colluding) / 2 + 1;
    numbers->threshold = numbers->quorum;
    numbers->floor = numbers->quorum > honest_floor ? numbers->quorum : honest_floor;
    numbers->losses_max = members > numbers->floor ? members - numbers->floor : 0;
    /* The largest sum is below n (2^q - 1), so bits_of(n (2^q - 1)) = ceil(log2(n (2^q - 1) + 1)).
     */
    const uint64_t range = ((uint64_t)1 << secagg->bits) - 1;
    numbers->value_max = range - 1;
    numbers->sum_bits = bits_of(members * range) + 1;
    numbers->lane_bits = numbers->sum_bits <= 32 ? 32 : 64;
    if (members > 0) {
        numbers->headroom = (ldexp(1.0, (int)numbers->sum_bits) - 1) /
                            ((double)members * (double)numbers->value_max);
    }
    numbers->stage_seconds = 5 * (uint64_t)secagg->stage_hard_s;
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
              "%u members are more than the %d that the complete share graph carries", members,
              RN_PLAN_MEMBERS_MAX);
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
    return rn_ok();
}

uint64_t rn_plan_upload_bytes(const struct rn_plan_numbers *numbers, uint64_t elements)
{
    /* Elements times bits may pass 64 bits for absurd counts only: whole bytes first. */
    return elements / 8 * numbers->sum_bits + (elements % 8 * numbers->sum_bits + 7) / 8;
}

uint64_t rn_plan_attempt_seconds(const struct rn_plan *plan, uint64_t upload_bytes)
{
    const struct rn_plan_secagg *secagg = &plan->secagg;
    const uint64_t upload = upload_bytes / secagg->upload_rate * 3 + 3;
    return secagg->train_hard_s + 5 * (uint64_t)secagg->stage_hard_s + upload;
}
