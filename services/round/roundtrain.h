/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan says to the trainer, once for the services and for the simulation: how the model is
 * opened, what one member's training of one round is, and which of the metrics is the plan's own.
 */
#ifndef RN_SERVICES_ROUND_ROUNDTRAIN_H
#define RN_SERVICES_ROUND_ROUNDTRAIN_H

#include "policy/plan.h"
#include "services/round/roundmodel.h"
#include "trainer/trainer.h"

/* Memory that a specification of the plan borrows, beside the plan itself. */
struct rn_round_names {
    const char *labels[RN_PLAN_LABELS_MAX];
    const char *targets[RN_PLAN_TARGETS_MAX];
};

/* The plan's part of the specification: task, labels, LoRA, head, length, seed. Model directory,
 * machine and purpose are the caller's. Borrows from plan and names. */
void rn_round_trainer_spec(const struct rn_plan *plan, struct rn_round_names *names,
                           struct rn_trainer_spec *out_spec);

/* The training of one member (its place in the roster) in one round: optimiser state and schedule
 * are fresh in every round, batches go on where the round before stopped, and every member shuffles
 * by its own seed. */
struct rn_train_spec rn_round_train_spec(const struct rn_plan *plan, uint32_t member,
                                         uint32_t round);

/* Layouts and start of the shared adapter out of a trainer opened by the plan; cleared by the
 * caller, on failure too. RN_E_CONFIG when the adapter is none or too large. */
RN_MUST rn_result rn_round_model_open(struct rn_trainer *trainer, const struct rn_plan *plan,
                                      struct rn_round_model *out_model, struct rn_error *err);

/* The plan's own metric out of all. */
double rn_plan_metric_value(const struct rn_plan *plan, const struct rn_metrics *metrics);

#endif
