/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_plan_parse: what it accepts has every number in range and a finite cohort calculation.
 */
#include "base/guard.h"
#include "policy/plan.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_plan plan;
    static const struct rn_plan zero;
    struct rn_error err = {{0}};
    struct rn_plan_numbers numbers;
    if (!rn_is_ok(rn_plan_parse(rn_view_of(data, size), "plan", &plan, &err))) {
        RN_BUG_IF(err.text[0] == '\0' || memcmp(&plan, &zero, sizeof zero) != 0);
        return 0;
    }
    RN_BUG_IF(plan.version != RN_PLAN_VERSION || plan.rounds == 0 || plan.lora.rank == 0);
    RN_BUG_IF(plan.task.labels_count > RN_PLAN_LABELS_MAX ||
              plan.lora.targets_count > RN_PLAN_TARGETS_MAX ||
              plan.lora.layers_count > RN_PLAN_LAYERS_MAX);
    RN_BUG_IF(!isfinite(plan.lora.alpha) || !isfinite(plan.secagg.scale_a));
    for (uint32_t members = 0; members <= RN_PLAN_MEMBERS_MAX + 1; members += 43) {
        if (rn_is_ok(rn_plan_feasible(&plan, members, &numbers, NULL))) {
            RN_BUG_IF(numbers.sum_bits == 0 || numbers.floor > members);
            (void)rn_plan_attempt_seconds(&plan, members, rn_plan_upload_bytes(&numbers, 1000));
        }
    }
    return 0;
}
