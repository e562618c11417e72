/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/sharedplan.h"

#include "crypto/discretenoise.h"
#include "policy/privacyquote.h"

uint32_t rn_shared_deviation(const struct rn_plan *plan)
{
    return (uint32_t)rn_privacy_share(plan->privacy.noise, RN_PRIVACY_GRID, plan->secagg.honest);
}

uint64_t rn_shared_reach(const struct rn_plan *plan)
{
    return (uint64_t)plan->training.batch * RN_PRIVACY_GRID +
           (uint64_t)RN_DISCRETE_NOISE_REACH * rn_shared_deviation(plan);
}

double rn_shared_step(const struct rn_plan *plan, double rate)
{
    return rate * plan->privacy.clip / (RN_PRIVACY_GRID * plan->privacy.denominator);
}
