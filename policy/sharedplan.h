/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers of a plan with `privacy.mode: shared`: every round is one pooled sum of clipped
 * gradients, and its noise is what the honest members in it add together. All of it follows from
 * the plan's bytes, so it is the same at every site.
 *
 * The share. F, the floor of every sum, is at least secagg.colluding + secagg.honest (plan.h), so
 * secagg.honest members of a sum are honest, whichever they are, oneself included. Each adds
 * discrete Gaussian noise of deviation s = ceil(noise G / sqrt(honest)), G = RN_PRIVACY_GRID: those
 * alone reach the plan's multiplier.
 *
 * The range. A member's value is at most Z = batch G + 16 s in magnitude: at most `batch` records,
 * each of norm and so of every value at most G, and no draw is longer than 16 s
 * (crypto/discretenoise.h). What is sent is value + Z, in 0 .. 2 Z; the sum over n members is at
 * most 2 n Z < 2^b (crypto/secagg/params.h): no sum of honest members wraps.
 *
 * The step. With the sum K over n contributors, next = value - rate clip K / (G denominator n): the
 * denominator is of one member, as with noise of its own.
 */
#ifndef RN_POLICY_SHAREDPLAN_H
#define RN_POLICY_SHAREDPLAN_H

#include "policy/plan.h"

/* Deviation s of a member's share. */
uint32_t rn_shared_deviation(const struct rn_plan *plan);
/* Z. */
uint64_t rn_shared_reach(const struct rn_plan *plan);
/* rate * clip / (G denominator), by which the mean of the members' values moves a parameter of this
 * learning rate. */
double rn_shared_step(const struct rn_plan *plan, double rate);

#endif
