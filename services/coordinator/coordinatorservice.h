/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator's service: gathers the members, runs the plan's rounds as aggregator, publishes
 * each sum, and computes the adapter from it exactly as every member does. It never sees an update.
 */
#ifndef RN_SERVICES_COORDINATOR_COORDINATORSERVICE_H
#define RN_SERVICES_COORDINATOR_COORDINATORSERVICE_H

#include "services/host/service.h"

/* The program rondo-coordinator. */
extern const struct rn_program rn_program_coordinator;

/* Runs until the plan's last round is over, a signal, or a failure that a person must look at.
 * RN_OK: done, or ended in order by a signal (start it again to go on). RN_E_INCOMPLETE: a round
 * was lost in a way that leaves nothing to go on with (PROTOCOL.md, A9). Writes below state/:
 * adapters/round-NNNN and adapters/final (PEFT directories), rounds.csv, rounds.jsonl. */
RN_MUST rn_result rn_coordinator_service_run(const struct rn_service_options *options,
                                             struct rn_error *err);

#endif
