/* SPDX-License-Identifier: Apache-2.0
 *
 * Composition: the transform of each tilted step to its power, their product, and back, on a window
 * of losses around the tilted mean. With lambda where the composed loss of interest is, what counts
 * stands near the top of the array and not 1e-29 below it, so the transform's rounding is small
 * against it. Every error is bounded, scaled back by exp(K - lambda l), and booked:
 *
 *     rounding  each place of the tilted array is off by at most `noise`, the mean over frequencies
 * of [sum_j T_j e_j / |F_j| + 2 e] prod_j |F_j|^T_j: first order in errors of e_j = 4 u (2 + r_j
 * (log2 n + 1)) of each transform, whose heaviest place is added as it is and whose rest r_j is
 * transformed, and e = 4 u (log2 n + 1) on the way back, u = 2^-53; the 4 is measured and not
 * proved (FFTW's own is below 1) window    tilted mass beyond the window on either side is at most
 * exp(-cost) each; it wraps around and may stand anywhere in the array; from above what it should
 * have added is added, from below what it may have added is taken off masses    relative,
 * the steps' own `rounding`, and for losses that far from 0
 *
 * From above and from below are the same array read with the bounds on either side.
 */
#ifndef RN_POLICY_PLDCOMPOSE_H
#define RN_POLICY_PLDCOMPOSE_H

#include "policy/accountant/pldtilt.h"

struct rn_pld_composed {
    double h, offset, first; /* l_m = offset + (first + m) h, m = 0 .. n - 1 */
    size_t n;
    double *mass; /* tilted; n + 2 doubles */
    double lambda, cumulant;
    double noise;
    double beyond; /* bound on the tilted mass beyond the window, each side */
    double infinity;
    double relative; /* error of all finite mass, relative */
};

/* `around` is the epsilon of interest, `delta` the size of what is asked for there. The owner calls
 * rn_pld_composed_free. RN_E_DATA: the window takes more than RN_PLD_BINS_MAX places. */
RN_MUST rn_result rn_pld_compose(struct rn_pld_composed *out, const struct rn_pld_steps *steps,
                                 double around, double delta, struct rn_error *err);
void rn_pld_composed_free(struct rn_pld_composed *composed);

/* What a composed list says. `error` is the part of it that bounds of the transform and the window
 * make up. */
struct rn_pld_reading {
    double value;
    double error;
    bool inside; /* epsilon: the place lies within the window; else the window's lower end */
};

/* delta(epsilon), from above or from below. Any epsilon. */
struct rn_pld_reading rn_pld_read_delta(const struct rn_pld_composed *composed, double epsilon,
                                        bool above);
/* From above: an epsilon >= 0 at which delta(epsilon) is at most delta; +inf where infinity alone
 * is more. From below: one at which it is more, or 0. `error` is that of delta there. */
struct rn_pld_reading rn_pld_read_epsilon(const struct rn_pld_composed *composed, double delta,
                                          bool above);

/* The least, over all epsilon >= 0 of the window's places, of a bound that epsilon and
 * delta(epsilon) from above give at `fpr`; `epsilon` is where. */
struct rn_pld_least {
    double value, epsilon;
};
typedef double rn_pld_bound(double epsilon, double delta, double fpr);
struct rn_pld_least rn_pld_read_least(const struct rn_pld_composed *composed, rn_pld_bound *bound,
                                      double fpr);

#endif
