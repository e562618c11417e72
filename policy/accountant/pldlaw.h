/* SPDX-License-Identifier: Apache-2.0
 *
 * The law of the likelihood ratio of random allocation, one record in one of t steps, certified
 * from above and from below.
 *
 * With a = 1 / noise multiplier, Q the record left out (t outputs N(0, 1)) and P its presence in a
 * step chosen uniformly (Feldman and Shenfeld 2025; Dong, Shenfeld, Feldman and others 2026, arXiv
 * 2602.17284), dP / dQ is
 *
 *     S = (X_1 + ... + X_t) / t,    X_i = exp(a y_i - a^2 / 2),   y_i independent N(0, 1) under Q.
 *
 * Every divergence that delta is made of is E_Q f(S) of a convex f (REMOVE: (s - e^epsilon)+, ADD:
 * (1 - e^epsilon s)+), and sums of independent variables keep the convex order. So:
 *
 *     above   every X, and every sum of two laws, is sent to the two neighbouring places of a
 *             geometric lattice with its mean kept. What lies below the lattice goes to 0 and its
 *             lowest place, what lies above it to its highest, and the mean that is missed there is
 *             `lost`: mass of P that Q does not have.
 *     below   every X, and every pair of values, is put together with others into cells, and a cell
 *             stands at its mean (Jensen). Any grouping is right; near ones lose least.
 *
 * Both are off by the square of the lattice. Sums are formed by doubling; the sum of m may have a
 * lattice coarser by sqrt(t / m) than the last one, since t / m of them are averaged. All terms are
 * positive, so masses have relative errors however small they are: `rounding`.
 */
#ifndef RN_POLICY_PLDLAW_H
#define RN_POLICY_PLDLAW_H

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

/* Noise below this has ratios beyond what a double holds. */
#define RN_PLD_LAW_NOISE_MIN 0.05
/* Places of one law: a doubling passes the square of them. */
#define RN_PLD_LAW_PLACES_MAX (1u << 14)

struct rn_pld_law {
    double h;     /* of the lattice in ln(sum of X) */
    double first; /* place of the first, a whole number */
    uint32_t count;
    double *mass;  /* under Q */
    double *value; /* of the sum of X; above: exp((first + i) h) */
    double zero;   /* above: mass under Q at sum 0 */
    double lost;   /* above: of the mean of the sum */
    double rounding;
};

/* Of the sum of all X; and the coarsest that any sum may have (where the last is not coarser). */
struct rn_pld_law_lattice {
    double last, first;
};

/* The sum of `slots` X, at least 2. tail: what may lie beyond a lattice at either end, all sums
 * together. The owner calls rn_pld_law_free,
 * after a failure too. RN_E_DATA: more than RN_PLD_LAW_PLACES_MAX places; RN_E_UNSUPPORTED: less
 * noise than RN_PLD_LAW_NOISE_MIN. */
RN_MUST rn_result rn_pld_law_init(struct rn_pld_law *law, double noise, uint32_t slots, bool above,
                                  const struct rn_pld_law_lattice *lattice, double tail,
                                  struct rn_error *err);
void rn_pld_law_free(struct rn_pld_law *law);

/* About the deviation of ln S; for choosing a lattice only. */
double rn_pld_law_width(double noise, uint32_t slots);

#endif
