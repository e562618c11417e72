/* SPDX-License-Identifier: Apache-2.0
 *
 * Renyi divergence of the Poisson-sampled Gaussian mechanism by quadrature (Mironov, Talwar, Zhang
 * 2019, section 3.3; of a person with several records: Ganesh 2024, a mixture of Gaussians).
 *
 * With x ~ N(0, noise^2) and 1 + u(x) the likelihood ratio of the mixture of N(j, noise^2), j
 * binomial, and N(0, noise^2), E[u] = 0, so
 *
 *     exp((order - 1) D) - 1 = E[(1 + u)^order - 1 - order u],
 *
 * where nothing is negative. The trapezoid rule converges geometrically: the nearest singularities,
 * zeros of 1 + u, lie pi noise^2 off the real line. Relative error below 1e-12.
 */
#ifndef RN_POLICY_SAMPLEDGAUSS_H
#define RN_POLICY_SAMPLEDGAUSS_H

#include <stdint.h>

/* Nodes of one quadrature: 1 to 10 ms. Where more would be needed (order near 3e4 at noise 1, 300
 * at noise 0.1) the divergence without sampling, which is an upper bound, stands in. */
#define RN_SAMPLED_GAUSS_NODES_MAX 131072u

/* rate RN_PRIVACY_RATE_MIN .. 1, noise as in privacyevent.h, group 1 .. RN_PRIVACY_GROUP_MAX
 * records of one person, order > 1. The larger direction of adjacency: with one record that is the
 * mixture against N(0) (Mironov et al. 2019, theorem 5); with more both are computed. */
double rn_sampled_gauss_rdp(double rate, double noise, uint32_t group, double order);

#endif
