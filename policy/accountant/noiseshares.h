/* SPDX-License-Identifier: Apache-2.0
 *
 * Noise that several parties add in shares, on an integer grid: what a sum of discrete Gaussians
 * (Kairouz, Liu, Steinke 2021) or of Skellams (Agarwal, Kairouz, Liu 2021) promises, what sampling
 * may be claimed on top, and shares that stay enough when parties are lost (Dordis, EuroSys 2024).
 *
 * Norms, deviations and variances are in units of the grid. Who drops out or tells the others its
 * share adds nothing: count the honest that are sure to stay, oneself included, never the roster.
 */
#ifndef RN_POLICY_NOISESHARES_H
#define RN_POLICY_NOISESHARES_H

#include <stdint.h>

#define RN_SHARES_ORDER_MAX 1024u /* integer orders of rn_shares_sampled_rdp */

/* How far one record can move the integer vector. */
struct rn_shares_query {
    double norm1, norm2;
    double dimension;
};

/* norm1 where norm2 is all that is known: of integers, at most norm2 min(sqrt(dimension), norm2).
 */
double rn_shares_norm1(double norm2, double dimension);
/* norm2 after stochastic rounding that is drawn again until the result obeys it; beta, 0 < beta <
 * 1, is the largest probability of drawing again (Kairouz et al. 2021, proposition 22). Rounding
 * toward zero adds nothing. */
double rn_shares_rounded_norm2(double norm2, double dimension, double beta);

/* ---- Discrete Gaussians ---- */

/* Deviation of each of `honest` shares that together have deviation `total`. */
double rn_shares_deviation(double total, uint32_t honest);
/* How far a sum of `shares` >= 1 discrete Gaussians, `deviation` each, is from one:
 * 10 sum_{k < shares} exp(-2 pi^2 deviation^2 k / (k + 1)). */
double rn_shares_ddgauss_tau(uint32_t shares, double deviation);
/* Renyi divergence, order > 1: the least of the three bounds of theorem 2. */
double rn_shares_ddgauss_rdp(const struct rn_shares_query *query, uint32_t shares, double deviation,
                             double order);

/* ---- Skellam ---- */

/* Renyi divergence of integer order >= 2; `variance` of the sum, since Skellams add to one. */
double rn_shares_skellam_rdp(const struct rn_shares_query *query, double variance, uint32_t order);

/* ---- Sampling ---- */

/* Divergence at each integer order 2 .. the one asked for. */
typedef double (*rn_shares_rdp_fn)(const void *context, uint32_t order);

/* Poisson sampling of ANY mechanism (Zhu and Wang 2019, theorem 5), never more than without: a
 * factor of 3 that only the exact Gaussian is known not to need. 0 < rate <= 1, order 2 ..
 * RN_SHARES_ORDER_MAX. */
double rn_shares_sampled_rdp(rn_shares_rdp_fn rdp, const void *context, double rate,
                             uint32_t order);

/* ---- Shares for the worst case, removed later (XNoise) ---- */

/* Variance of component k, 0 .. parties - 1, of one party's noise, for `variance` in the end. With
 * D parties lost (by the certified set of survivors, nobody's word) the seeds of components k > D
 * are opened; each survivor keeps components 0 .. D, variance / (parties - D) together. */
double rn_shares_xnoise_component(double variance, uint32_t parties, uint32_t k);

#endif
