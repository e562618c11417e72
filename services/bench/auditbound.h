/* SPDX-License-Identifier: Apache-2.0
 *
 * From guesses about who was in the data to a lower bound of epsilon: one-run audits (Steinke, Nasr
 * and Jagielski 2023, "Privacy auditing with one (1) training run", theorem 5.2 and its algorithm).
 *
 * m canaries are in the data or not, each by a fair coin of its own. Somebody who sees what the
 * mechanism released guesses about r of them, and is right v times. If the mechanism is
 * (epsilon, delta)-DP, v is no greater than a binomial variable of r trials with probability
 * 1 / (1 + e^-epsilon), but for a probability of at most 2 m delta max over i >= 1 of
 * P[v - i <= Bin < v] / i.
 *
 * Where the trade-off between false and true positives of every record is that of a Gaussian of
 * distance mu, as where every record is in every step (mu^2 = steps / noise^2), less is lost
 * (Mahloujifar, Melis and Chaudhuri 2024, "Auditing f-differential privacy in one run"): with
 * p_j = P[j right], r_i = sum over j >= i of j/m p_j and h_i = sum over j >= i of (r - j)/m p_j
 * every i has r_(i+1) <= Phi(Phi^-1(h_i) + mu). Of all p with P[v or more right] = p the least
 * total follows from the top down; p is refused when it is above 1.
 */
#ifndef RN_SERVICES_BENCH_AUDITBOUND_H
#define RN_SERVICES_BENCH_AUDITBOUND_H

#include <stdint.h>

/* At most the probability of `right` or more right guesses of `guesses` about `canaries` canaries
 * under (epsilon, delta); at most 1. right <= guesses <= canaries. */
double rn_audit_p_value(uint32_t canaries, uint32_t guesses, uint32_t right, double epsilon,
                        double delta);
/* The greatest epsilon (to 1e-6, rounded down) that is refused at this p-value, 0 < p < 1; 0 when
 * none is. */
double rn_audit_epsilon(uint32_t canaries, uint32_t guesses, uint32_t right, double delta,
                        double p);

/* The greatest mu (to 1e-6, rounded down) that is refused at this p-value; 0 when none is. */
double rn_audit_mu(uint32_t canaries, uint32_t guesses, uint32_t right, double p);
/* epsilon at delta of a Gaussian of distance mu (Balle and Wang 2018), 0 < delta < 1, to 1e-9. */
double rn_audit_gaussian_epsilon(double mu, double delta);

#endif
