/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a lineage's terms and a plan's numbers (privacyledger.h): the mechanism as the
 * accountants see it, and what cutting large draws can add to delta. Ranges of both.
 */
#ifndef RN_POLICY_PRIVACYTERMS_H
#define RN_POLICY_PRIVACYTERMS_H

#include "policy/ledger/privacyrecord.h"

#define RN_PRIVACY_APART (1.0 / 1024) /* share of delta that the filter leaves */

/* Checks the terms by their ranges and fills version and bound. RN_E_CONFIG. */
RN_MUST rn_result rn_privacy_terms_derive(struct rn_privacy_terms *terms, struct rn_error *err);
/* Each by its range; derived fields are not looked at. RN_E_CONFIG. */
RN_MUST rn_result rn_privacy_terms_check(const struct rn_privacy_terms *terms,
                                         struct rn_error *err);
RN_MUST rn_result rn_privacy_plan_check(const struct rn_privacy_terms *terms,
                                        const struct rn_privacy_plan *plan, struct rn_error *err);
/* The same terms? RN_E_CONFIG with the first that differs; commitment is not compared. */
RN_MUST rn_result rn_privacy_terms_equal(const struct rn_privacy_terms *kept,
                                         const struct rn_privacy_terms *wanted,
                                         struct rn_error *err);

/* delta * (1 - RN_PRIVACY_APART): at which the filter and every epsilon are computed. */
double rn_privacy_terms_delta(const struct rn_privacy_terms *terms);
/* delta * RN_PRIVACY_APART */
double rn_privacy_terms_apart(const struct rn_privacy_terms *terms);
/* B = rn_filter_bound at that delta. */
double rn_privacy_terms_bound(const struct rn_privacy_terms *terms);

/* q = threshold / 2^64 as a double, rounded up. */
double rn_privacy_rate(uint64_t threshold);
/* Of a step of the plan: q of its sampler, rounded up. */
double rn_privacy_plan_rate(const struct rn_privacy_plan *plan);
/* Deviation of one member's share of the noise, a whole number: noise * grid / sqrt(honest),
 * rounded up. */
double rn_privacy_share(double noise, uint32_t grid, uint32_t honest);
/* `count` steps of the plan as the accountants see them: GAUSSIAN, POISSON or, with a group, GROUP;
 * with shares SHARED, which claims no sampling for a group; of ALLOCATION the whole trainings that
 * they are. */
struct rn_privacy_event rn_privacy_plan_event(const struct rn_privacy_terms *terms,
                                              const struct rn_privacy_plan *plan, uint64_t count);
/* Renyi divergence of one step of the plan at the terms' order; of ALLOCATION a training's share of
 * it, which no step has for itself. +inf where there is none. */
double rn_privacy_plan_divergence(const struct rn_privacy_terms *terms,
                                  const struct rn_privacy_plan *plan);
/* Renyi divergence of an event at the terms' order; +inf where there is none. */
double rn_privacy_divergence(const struct rn_privacy_terms *terms, struct rn_privacy_event event);
/* (1 + e^epsilon) * trainings * steps * (P[Bin(records_max, q) > cap] + dimension * eta), from
 * above: the mechanism that the accountants know differs with at most that probability on either of
 * two neighbours. eta = (noise * grid + 1) 2^-108 is the distance of one value's noise from its law
 * (crypto/noise.h); of a share of discrete noise 2^-183 for each of `honest` (discretenoise.h). */
double rn_privacy_plan_cut(const struct rn_privacy_terms *terms,
                           const struct rn_privacy_plan *plan);
/* P[Bin(n, q) > cap] from above: the first term of the tail over 1 minus the ratio of its first
 * two, since the ratios fall. 1 where cap is below the mean. n at most RN_PRIVACY_RECORDS_MAX. */
double rn_privacy_tail(uint64_t n, double q, uint64_t cap);

#endif
