/* SPDX-License-Identifier: Apache-2.0
 *
 * A step of random allocation, one record in one of `slots` steps, on a lattice of losses
 * (pldstep.h): from its law of the likelihood ratio (pldlaw.h).
 *
 * From above the law's lattice, which is finer, is sent to the step's by connecting the dots, as
 * everywhere. From below the law's cells are points (pldpoints.h) that pldlower books as it books
 * the density of other pairs.
 */
#ifndef RN_POLICY_PLDALLOCATION_H
#define RN_POLICY_PLDALLOCATION_H

#include "policy/accountant/pldstep.h"

/* Of the deviation of so many repetitions together: the first lattice that is tried where there
 * are allocations, coarse, but not as coarse as one repetition is wide. */
double rn_pld_allocation_places(double repeats);

/* As rn_pld_step_above and _below, which call them for a mix with slots. */
RN_MUST rn_result rn_pld_allocation_above(struct rn_pld_step *step, const struct rn_pld_mix *mix,
                                          double h, double tail, uint32_t bins_max,
                                          struct rn_error *err);
RN_MUST rn_result rn_pld_allocation_below(struct rn_pld_step *step, const struct rn_pld_mix *mix,
                                          double h, double tail, uint32_t bins_max,
                                          struct rn_error *err);

#endif
