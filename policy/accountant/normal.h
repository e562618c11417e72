/* SPDX-License-Identifier: Apache-2.0
 *
 * The normal distribution's tails in logarithms, and the Gaussian mechanism exactly (Balle and Wang
 * 2018). Nothing is subtracted that nearly cancels: relative errors stay near 1e-14 where the
 * probabilities themselves are far below the least double.
 *
 * mu is sensitivity over deviation: 1 / noise for one release, sqrt(sum of 1 / noise_i^2) for
 * several. The pair is N(mu, 1) against N(0, 1); it looks the same from both directions.
 */
#ifndef RN_POLICY_NORMAL_H
#define RN_POLICY_NORMAL_H

/* e^(x^2) erfc(x); +inf below -26.6. */
double rn_erfcx(double x);
/* -d erfcx / dx = 2 / sqrt(pi) - 2 x erfcx(x), positive. */
double rn_erfcx_slope(double x);

/* ln P[N(0, 1) <= x] and ln P[N(0, 1) > x]. */
double rn_normal_log_cdf(double x);
double rn_normal_log_upper(double x);

/* H(eps) = Phi(mu / 2 - eps / mu) - e^eps Phi(-mu / 2 - eps / mu), the least delta at eps; any real
 * eps (negative ones occur inside a subsampled mechanism), mu >= 0, both may be infinite. */
double rn_gauss_log_delta(double mu, double eps);
double rn_gauss_delta(double mu, double eps);

/* Least eps >= 0 with delta(eps) <= delta, 0 < delta < 1: the larger neighbour of the crossing. */
double rn_gauss_epsilon(double mu, double delta);
/* Least noise (1 / mu) with delta(eps) <= delta, eps >= 0, 0 < delta < 1; 0 where eps is infinite.
 * The larger neighbour of the crossing. */
double rn_gauss_noise(double eps, double delta);

#endif
