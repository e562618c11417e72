/* SPDX-License-Identifier: Apache-2.0
 *
 * Privacy-loss distributions (Doroshenko et al. 2022: connect the dots), composed by FFT after
 * exponential tilting, in both directions of adjacency; certified from above (upper) and below
 * (lower). Every numerical error is bounded and added; where the bounds are worth nothing the
 * answer is RN_E_DATA and not a number.
 *
 * The lattice is refined until the bounds are 1e-3 of epsilon apart and at most 2e-4 (5e-4 with
 * random allocations), or 4e-4 of delta, or as far as RN_PLD_BINS_MAX places (pldstep.h) allow;
 * what was reached stands in the value. Events that are the same mechanism are put together:
 * neither their order nor how a count is split changes a bit of the answer. The kinds'
 * distributions stand in pldmix.h. ALLOCATION is split into single picks (pldevents.h), whose law
 * is that of a sum of exponentials (pldlaw.h).
 *
 * The files: pldpair (one pair of Gaussians' mixtures), pldmix (an event's mixture of pairs),
 * pldlaw, pldpoints and pldallocation (random
 * allocation), pldstep and pldlower (one repetition on a lattice), pldevents (a list of them),
 * pldtilt and pldcompose (composition), pldread (what an array says), pld and pldattack (the
 * questions).
 */
#ifndef RN_POLICY_PLD_H
#define RN_POLICY_PLD_H

#include "base/result.h"
#include "policy/accountant/privacyevent.h"

struct rn_pld_value {
    double upper;
    double lower;
};

/* Events are checked. */
RN_MUST rn_result rn_pld_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                                 struct rn_pld_value *out, struct rn_error *err);
RN_MUST rn_result rn_pld_delta(const struct rn_privacy_event *events, size_t count, double epsilon,
                               struct rn_pld_value *out, struct rn_error *err);
/* Upper bound of the true-positive rate, at a false-positive rate fpr, of any test that says "this
 * record is in": the least, over epsilon >= 0, of exp(epsilon) fpr + delta(epsilon) by REMOVE (the
 * record's presence is P) and of 1 - (1 - fpr - delta(epsilon)) exp(-epsilon) by ADD. Without a
 * lower value: each lattice gives a bound, and it is refined until it stands still. */
RN_MUST rn_result rn_pld_attack(const struct rn_privacy_event *events, size_t count, double fpr,
                                double *out_tpr, struct rn_error *err);

#endif
