/* SPDX-License-Identifier: Apache-2.0
 *
 * One round without masks: the members chosen for it train, each update becomes the integers of the
 * round's vector, the integers are added, and the sum becomes the next adapter - each step by the
 * function that the services call. What masks add to a round is not there: keys, votes, losses.
 */
#ifndef RN_SERVICES_SIMULATE_SIMROUND_H
#define RN_SERVICES_SIMULATE_SIMROUND_H

#include "services/federation/jobsum.h"
#include "services/simulate/simworld.h"

/* Trains `count` members (ascending) in `round` and moves world->model. out_result: as a service
 * records it; milliseconds and uplink_bytes are left at 0. */
RN_MUST rn_result rn_sim_round(struct rn_sim_world *world, uint32_t round, const uint32_t *members,
                               uint32_t count, rn_train_progress_fn progress, void *context,
                               struct rn_job_result *out_result, struct rn_error *err);

/* The members of a round when `sample` of them take part: a draw without replacement by (seed,
 * round), ascending. out_members has world->clients elements; returns how many are set. sample 0:
 * everybody. */
uint32_t rn_sim_sample(const struct rn_sim_world *world, uint32_t sample, uint64_t seed,
                       uint32_t round, uint32_t *out_members);

#endif
