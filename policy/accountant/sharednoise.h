/* SPDX-License-Identifier: Apache-2.0
 *
 * Renyi divergence, at any order, of a step whose noise is a sum of discrete Gaussian shares
 * (noiseshares.h has the bounds, of integer orders where records are sampled).
 *
 * (order - 1) D(order) is the logarithm of a moment, so it is convex in the order, and 0 at order
 * 1: between two whole orders the chord is an upper bound (Wang, Balle, Kasiviswanathan 2019,
 * corollary 10), below 2 the one from order 1. Above RN_SHARES_ORDER_MAX, and for a unit of several
 * records, the divergence without sampling stands in, which is an upper bound too.
 */
#ifndef RN_POLICY_SHAREDNOISE_H
#define RN_POLICY_SHAREDNOISE_H

#include "policy/accountant/privacyevent.h"

/* One repetition of a checked SHARED event; order > 1. */
double rn_shared_noise_rdp(const struct rn_privacy_event *event, double order);

#endif
