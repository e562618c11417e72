/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/budget.h"

static void fill(struct rn_budget *budget, uint64_t now_ms)
{
    const uint64_t passed_us = (now_ms - budget->at_ms) * UINT64_C(1000);
    budget->used_us = passed_us < budget->used_us ? budget->used_us - passed_us : 0;
    budget->at_ms = now_ms;
}

bool rn_budget_take_part(struct rn_budget *budget, const struct rn_budget_rate *rate, uint32_t part,
                         uint32_t whole, uint64_t now_ms)
{
    const uint64_t unit_us = rate->every_ms * UINT64_C(1000);
    const uint64_t cost_us = unit_us * part / whole;
    fill(budget, now_ms);
    if (budget->used_us + cost_us > rate->burst * unit_us) {
        return false;
    }
    budget->used_us += cost_us;
    return true;
}

bool rn_budget_take(struct rn_budget *budget, const struct rn_budget_rate *rate, uint64_t now_ms)
{
    return rn_budget_take_part(budget, rate, 1, 1, now_ms);
}
