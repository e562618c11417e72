/* SPDX-License-Identifier: Apache-2.0
 *
 * One repetition of an event on a lattice of losses l_i = offset + (first + i) h, from above or
 * from below. Masses are of P, kept as logarithms (tilting multiplies them by hundreds of powers of
 * e).
 *
 * From above (Doroshenko et al. 2022, connect the dots): a loss l between l_i and l_(i+1) sends the
 * share (1 - exp(-(l - l_i))) / (1 - exp(-h)) of its mass up and the rest down, which keeps P-mass
 * and Q-mass and only spreads their ratio. It is integrated as it stands, density times share,
 * every term positive; the usual second differences of delta(epsilon) lose eps / h. The mass beyond
 * the upper end of the range goes to infinity, that below the lower end to the lowest loss.
 *
 * From below: the line is cut into bins, which is post-processing. A bin with masses P and Q whose
 * ln(P / Q) is at least l_i is booked as P-mass Q exp(l_i) at l_i: the rest of P is dropped, and
 * delta(epsilon) of what is left is never above the truth, also after composition. The bins' edges
 * are solved one after the other from either end, so that a bin drops next to nothing, towards the
 * heaviest one (which reaches to where the losses end, where that is near), and the offset so that
 * that one drops nothing either. Both bounds are off by O(h^2).
 *
 * Relative accuracy of a mass: RN_PLD_STEP_ROUNDING, from the exponentials of the densities; of a
 * random allocation (pldallocation.h) that of its law too.
 */
#ifndef RN_POLICY_PLDSTEP_H
#define RN_POLICY_PLDSTEP_H

#include "policy/accountant/pldmix.h"

/* Losses of all steps of a list together, and places of a composition: 64 MiB for the steps, five
 * times that while they are composed. */
#define RN_PLD_BINS_MAX (1u << 23)
#define RN_PLD_STEP_ROUNDING 0x1p-47
/* The coarsest lattice, for the panels of the quadrature; the finest, far below any epsilon that
 * means something. */
#define RN_PLD_LATTICE_MAX 16.0
#define RN_PLD_LATTICE_MIN 1e-11

struct rn_pld_step {
    double repeats;
    double h, offset;
    double first; /* a whole number */
    uint32_t count;
    double *log_mass;
    double infinity;
    double rounding; /* relative accuracy of a mass */
};

/* A step for the mix, RN_PLD_LATTICE_MIN <= h <= RN_PLD_LATTICE_MAX; `tail` is the mass that may be
 * lost or go to infinity at either end. The owner calls rn_pld_step_free, after a failure too.
 * RN_E_DATA when more than bins_max losses are needed: take a greater h. */
RN_MUST rn_result rn_pld_step_above(struct rn_pld_step *step, const struct rn_pld_mix *mix,
                                    double h, double tail, uint32_t bins_max, struct rn_error *err);
RN_MUST rn_result rn_pld_step_below(struct rn_pld_step *step, const struct rn_pld_mix *mix,
                                    double h, double tail, uint32_t bins_max, struct rn_error *err);
void rn_pld_step_free(struct rn_pld_step *step);

/* For the two builders: room for masses at the lattice places of the mix's whole range, zeroed, and
 * the turn from masses to logarithms. */
RN_MUST rn_result rn_pld_step_room(struct rn_pld_step *step, const struct rn_pld_mix *mix, double h,
                                   double tail, uint32_t bins_max, struct rn_error *err);
void rn_pld_step_book(struct rn_pld_step *step, double place, double mass);
void rn_pld_step_close(struct rn_pld_step *step);

#endif
