/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundmeasure.h"

#include "policy/plan.h"

bool rn_round_is_measured(const struct rn_plan *plan, uint32_t round, uint32_t start_round)
{
    return plan->evaluation.federated && round == start_round + 1;
}

bool rn_round_judgement_take(struct rn_round_judgement *judgement, const struct rn_plan *plan,
                             uint32_t round, const struct rn_round_measure *measure)
{
    const struct rn_plan_early_stop *stop = &plan->evaluation.early_stop;
    if (!measure->valid) {
        return false;
    }
    const bool better =
        !judgement->measured || measure->metric > judgement->best_metric + stop->min_delta;
    judgement->measured = true;
    if (better) {
        judgement->best_round = round - 1;
        judgement->best_metric = measure->metric;
    }
    judgement->since = better ? 0 : judgement->since + 1;
    if (stop->patience > 0 && judgement->since >= stop->patience && !judgement->stopped) {
        judgement->stopped = true;
        judgement->stopped_round = round;
    }
    return better;
}
