/* SPDX-License-Identifier: Apache-2.0
 *
 * Exponential tilting of a list of steps: where the composed loss has its mass, and Chernoff
 * bounds.
 *
 * K(mu) = sum_j T_j ln sum_i p_ji exp(mu l_ji) is the cumulant of the composed loss (infinity
 * apart), convex. Under tilting by lambda the mean is K'(lambda), and
 *
 *     P~[l >= x] <= exp(K(mu) - K(lambda) - (mu - lambda) x)    for mu >= lambda,
 *     P~[l <= x] <= the same                                    for mu <= lambda.
 */
#ifndef RN_POLICY_PLDTILT_H
#define RN_POLICY_PLDTILT_H

#include "policy/accountant/pldstep.h"

#include <stddef.h>

struct rn_pld_steps {
    double h;
    size_t count;
    struct rn_pld_step *step;
};

struct rn_pld_cumulant {
    double value, first, second; /* K, K', K'' */
};
struct rn_pld_cumulant rn_pld_cumulant(const struct rn_pld_steps *steps, double mu);
/* ln sum_i p_i exp(mu l_i) of one step. */
double rn_pld_log_moment(const struct rn_pld_step *step, double mu);
/* The place of its largest p_i exp(mu l_i). */
uint32_t rn_pld_peak(const struct rn_pld_step *step, double mu);

/* Least and greatest composed loss. */
double rn_pld_least(const struct rn_pld_steps *steps);
double rn_pld_most(const struct rn_pld_steps *steps);

/* lambda >= 0 with K'(lambda) = loss, or nearly (no bound depends on how nearly); 0 where K'(0) is
 * beyond the loss already. */
double rn_pld_tilt(const struct rn_pld_steps *steps, double loss);
/* The x beyond which (above: x >= K'(lambda), else below) the tilted mass is at most exp(-cost). */
double rn_pld_edge(const struct rn_pld_steps *steps, double lambda, double cost, bool above);

#endif
