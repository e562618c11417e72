/* SPDX-License-Identifier: Apache-2.0
 *
 * Renyi divergence of random allocation with Gaussian noise: each record in exactly `picks` of
 * `slots` steps. With S, the likelihood ratio of one pick of t slots (pldlaw.h), under Q:
 *
 *     REMOVE  E S^n, n whole: n! / t^n times the coefficient of z^n in
 *             (sum_k exp(a^2 k (k - 1) / 2) z^k / k!)^t             (moments of a sum; all
 * positive) ADD     E S^-b = 1 / Gamma(b) integral_0^inf u^(b - 1) E[exp(-u X / t)]^t du, by
 * quadrature
 *
 * (order - 1) times the divergence is convex in the order, so between whole orders a straight line
 * is a bound (Wang, Balle, Kasiviswanathan 2019, corollary 10); and a pick costs no more than its
 * step unsampled. The greater of both directions; k picks are k times single ones (pldevents.h).
 */
#ifndef RN_POLICY_ALLOCGAUSS_H
#define RN_POLICY_ALLOCGAUSS_H

#include <stdint.h>

/* Above this order and below this noise only the bound without sampling is used. */
#define RN_ALLOCATION_ORDER_MAX 256u
#define RN_ALLOCATION_NOISE_MIN 0.25

/* 1 <= picks <= slots, noise and order as in privacyevent.h and rdp.h. Never below the truth by
 * more than rounding, which 1e-12 a pick is added for. */
double rn_allocation_gauss_rdp(double noise, uint32_t picks, uint32_t slots, double order);

#endif
