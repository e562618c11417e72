/* SPDX-License-Identifier: Apache-2.0
 *
 * One dominating pair on the real line: a mixture of Gaussians with and without the record's part.
 *
 * Coordinates are in units of the noise: with shift a = 1 / noise multiplier the output is N(j a,
 * 1) with probability w_j (j records of the person drawn) against N(0, 1). Its loss
 *
 *     L(y) = ln sum_j w_j exp(j a y - j^2 a^2 / 2)
 *
 * increases in y. REMOVE is the mixture (P) against N(0, 1) (Q), loss L(y); ADD is the other way
 * round, loss -L(y). Both are walked along v, in which the loss increases: y = v, or y = -v.
 *
 * Losses are accurate near 0 too: relative to the rate, not to 1 (log1p of a sum of expm1).
 */
#ifndef RN_POLICY_PLDPAIR_H
#define RN_POLICY_PLDPAIR_H

#include "policy/accountant/privacyevent.h"

#include <stdbool.h>

enum rn_pld_direction { RN_PLD_REMOVE = 0, RN_PLD_ADD };
#define RN_PLD_DIRECTIONS 2

struct rn_pld_points; /* pldpoints.h */

struct rn_pld_pair {
    const struct rn_pld_points
        *points; /* not NULL: the pair is these, borrowed; only direction counts */
    enum rn_pld_direction direction;
    double shift;   /* a */
    unsigned least; /* first j with w_j > 0 */
    unsigned most;  /* last j */
    double weight[RN_PRIVACY_GROUP_MAX + 1];
    double log_weight[RN_PRIVACY_GROUP_MAX + 1];
};

/* w_j = P[Bin(group, rate) = j]; rate in (0, 1], group 1 .. RN_PRIVACY_GROUP_MAX. */
void rn_pld_pair_init(struct rn_pld_pair *pair, double noise, double rate, unsigned group,
                      enum rn_pld_direction direction);

/* The loss at v. */
double rn_pld_pair_loss(const struct rn_pld_pair *pair, double v);
/* Density of P at v. That of Q is it times exp(-loss). */
double rn_pld_pair_density(const struct rn_pld_pair *pair, double v);
/* Where the loss is `loss`, between `low` and `high`; the nearer end where it is not between. */
double rn_pld_pair_inverse(const struct rn_pld_pair *pair, double loss, double low, double high);
/* P-masses below and above v. */
double rn_pld_pair_below(const struct rn_pld_pair *pair, double v);
double rn_pld_pair_above(const struct rn_pld_pair *pair, double v);
/* The range outside of which P has at most `tail` on either side, 0 < tail < 1. */
void rn_pld_pair_range(const struct rn_pld_pair *pair, double tail, double *low, double *high);

/* Quadrature, Gauss-Legendre on panels so short that its error is far below the rounding of a sum,
 * for functions of v and of exp(-loss), when the losses between low and high differ by at most
 * `losses` (0: where only v matters). Calls `node` with P-mass and loss of each node. */
typedef void rn_pld_node(void *context, double mass, double loss);
void rn_pld_pair_walk(const struct rn_pld_pair *pair, double low, double high, double losses,
                      rn_pld_node *node, void *context);

#endif
