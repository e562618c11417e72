/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's service: attaches to the coordinator (or waits for it), trains each round on data
 * that never leaves, takes part in the secure aggregation, computes the next adapter itself from
 * the sum, and keeps it.
 */
#ifndef RN_SERVICES_TRAINER_MEMBERSERVICE_H
#define RN_SERVICES_TRAINER_MEMBERSERVICE_H

#include "services/host/service.h"

/* The program rondo-trainer. */
extern const struct rn_program rn_program_trainer;

/* Runs until the job is over, a signal, or a failure that a person must look at. RN_OK: the plan's
 * rounds are done, or a signal ended it in order (start it again to go on). RN_E_INCOMPLETE: the
 * coordinator ended the job early. Everything in state/ survives; a restart resumes. */
RN_MUST rn_result rn_member_service_run(const struct rn_service_options *options,
                                        struct rn_error *err);

#endif
