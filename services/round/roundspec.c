/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundspec.h"

#include <string.h>

#include "base/bytes.h"
#include "base/guard.h"
#include "crypto/quantise.h"
#include "crypto/sha256.h"
#include "policy/plan.h"
#include "policy/sharedplan.h"
#include "services/round/roundmeasure.h"

static void shared_fill(const struct rn_plan *plan, struct rn_round_spec *spec)
{
    if (!rn_plan_is_shared(plan)) {
        return;
    }
    spec->shared = true;
    spec->reach = rn_shared_reach(plan);
    spec->step[0] = rn_shared_step(plan, plan->training.lr_a);
    spec->step[1] = rn_shared_step(plan, plan->training.lr_b);
    spec->step[2] = rn_shared_step(plan, plan->training.lr_head);
}

rn_result rn_round_spec_derive(const struct rn_plan *plan, uint32_t round, uint32_t start_round,
                               struct rn_round_spec *out_spec, struct rn_error *err)
{
    RN_ENSURE(round >= 1 && round <= rn_plan_last_round(plan), err, RN_E_CONFIG,
              "round %u is not one of the plan's %u", (unsigned)round,
              (unsigned)rn_plan_last_round(plan));
    struct rn_round_spec spec = {
        .round = round,
        .active = rn_plan_active(plan, round),
        .with_head = plan->lora.head == RN_PLAN_HEAD_FEDERATED && round <= plan->rounds,
        .bits = plan->secagg.bits,
        .weighted = plan->weights == RN_WEIGHTS_EXAMPLES,
        .weight_max = plan->weights == RN_WEIGHTS_EXAMPLES ? plan->max_examples : 1,
        .metrics = plan->metrics == RN_METRICS_SUMMED,
        .evaluation = rn_round_is_measured(plan, round, start_round),
    };
    const double scales[3] = {plan->secagg.scale_a, plan->secagg.scale_b, plan->secagg.scale_head};
    for (int i = 0; i < 3; i++) {
        RN_TRY(rn_quantiser_exponent(scales[i], &spec.exponent[i], err));
        const struct rn_quantiser quantiser = {spec.bits, spec.exponent[i]};
        RN_TRY(rn_quantiser_check(&quantiser, err));
    }
    RN_ENSURE(spec.weight_max >= 1 && spec.weight_max <= UINT32_MAX, err, RN_E_CONFIG,
              "plan: max_examples must be between 1 and %u", (unsigned)UINT32_MAX);
    shared_fill(plan, &spec);
    *out_spec = spec;
    return rn_ok();
}

uint64_t rn_round_value_max(const struct rn_round_spec *spec)
{
    if (spec->shared) {
        return 2 * spec->reach;
    }
    return spec->weight_max * (((uint64_t)1 << spec->bits) - 2);
}

uint32_t rn_round_parts(const struct rn_round_spec *spec)
{
    return spec->active | (spec->with_head ? RN_ROUND_HEAD : 0u) |
           (spec->evaluation ? RN_ROUND_MEASURE : 0u);
}

const char *rn_round_phase_name(unsigned active)
{
    switch (active) {
    case RN_ROUND_A:
        return "A";
    case RN_ROUND_B:
        return "B";
    case RN_ROUND_A | RN_ROUND_B:
        return "AB";
    default:
        return "-";
    }
}

void rn_round_spec_hash(const struct rn_round_spec *spec, uint8_t out_hash[static 32])
{
    uint8_t bytes[96];
    struct rn_writer writer = rn_writer_to(bytes, sizeof(bytes));
    rn_write_u32(&writer, spec->active);
    rn_write_u8(&writer, spec->with_head);
    rn_write_u32(&writer, spec->bits);
    for (int i = 0; i < 3; i++) {
        rn_write_u32(&writer, (uint32_t)spec->exponent[i]);
    }
    rn_write_u8(&writer, spec->weighted);
    rn_write_u64(&writer, spec->weight_max);
    rn_write_u8(&writer, spec->metrics);
    rn_write_u8(&writer, spec->evaluation);
    if (spec->shared) { /* a session of another kind keeps its bytes */
        rn_write_u64(&writer, spec->reach);
        for (int i = 0; i < 3; i++) {
            uint64_t bits = 0;
            memcpy(&bits, &spec->step[i], sizeof bits);
            rn_write_u64(&writer, bits);
        }
    }
    RN_BUG_IF(!rn_writer_done(&writer));
    const struct rn_view view = rn_view_of(bytes, writer.position);
    rn_sha256(out_hash, "rondo/v1 round spec", &view, 1);
}
