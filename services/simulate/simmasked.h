/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole job with secure aggregation in one process: the coordinator's and every member's machine,
 * as in the services, with real keys, shares and masks; stores and streams in memory, and a clock
 * that goes on by itself only where everybody waits. Trainings that are ordered at one time go
 * through the base together. The adapters are those of rn_sim_round, bit for bit.
 */
#ifndef RN_SERVICES_SIMULATE_SIMMASKED_H
#define RN_SERVICES_SIMULATE_SIMMASKED_H

#include "services/federation/jobrecord.h"
#include "services/simulate/simworld.h"

/* After each round, when world->model is its adapter; a failure ends the job with it. */
typedef rn_result (*rn_sim_summed_fn)(void *context, const struct rn_job_result *result,
                                      struct rn_error *err);

/* RN_E_CONFIG when the plan is infeasible for so many members (rn_plan_feasible), RN_E_UNSUPPORTED
 * for a blind coordinator; else as the machines end. */
RN_MUST rn_result rn_sim_masked(struct rn_sim_world *world, rn_train_progress_fn progress,
                                rn_sim_summed_fn summed, void *context, struct rn_error *err);

#endif
