/* SPDX-License-Identifier: Apache-2.0
 *
 * The accountants: from a list of events to epsilon at a delta, or back. The roof of this folder:
 *
 *     privacyevent.h  what happened
 *     normal.h        tails of the normal distribution; the analytic Gaussian mechanism
 *     sampledgauss.h  Renyi divergence of one sampled step, by quadrature
 *     allocgauss.h    Renyi divergence of random allocation
 *     ordersearch.h   the best Renyi order
 *     rdp.h           Renyi divergences of lists, and what they say of (epsilon, delta)
 *     pld.h           privacy-loss distributions: certified from above and below
 *     filter.h        the rule that bounds a whole life of plans chosen one after the other
 *     noiseshares.h   sums of discrete Gaussian and Skellam shares
 *     sharednoise.h   Renyi divergence of a sampled step with such noise, at any order
 *
 * PLD is the headline where the list was fixed before the first event (one signed plan); its lower
 * value is certified too, so the two bound the truth. RDP is the independent second computation and
 * not below PLD wherever PLD's two values lie close together. Sans-I/O, no state, deterministic:
 * the same bits on every machine with IEEE doubles and the same libm. Lists are checked here; a
 * list without events costs nothing.
 */
#ifndef RN_POLICY_ACCOUNTANT_H
#define RN_POLICY_ACCOUNTANT_H

#include "base/result.h"
#include "policy/accountant/privacyevent.h"

enum rn_accountant { RN_ACCOUNTANT_PLD = 0, RN_ACCOUNTANT_RDP };

struct rn_privacy_value {
    double upper; /* the guarantee: never below the truth; +inf where there is none */
    double lower; /* certified lower value (PLD); NaN where the accountant has none */
    double order; /* RDP: of the best bound; NaN otherwise */
};

/* Checks every field of every event by its kind. RN_E_CONFIG with the event's number from 1. */
RN_MUST rn_result rn_privacy_events_check(const struct rn_privacy_event *events, size_t count,
                                          struct rn_error *err);

/* epsilon at delta, 0 < delta < 1; delta at epsilon >= 0. RN_E_UNSUPPORTED when an event is of a
 * kind that the accountant does not know (RDP: TRUNCATED; PLD: SHARED), RN_E_DATA when numerical
 * errors cannot be bounded well enough to say anything (pld.h). */
RN_MUST rn_result rn_account_epsilon(const struct rn_privacy_event *events, size_t count,
                                     double delta, enum rn_accountant accountant,
                                     struct rn_privacy_value *out, struct rn_error *err);
RN_MUST rn_result rn_account_delta(const struct rn_privacy_event *events, size_t count,
                                   double epsilon, enum rn_accountant accountant,
                                   struct rn_privacy_value *out, struct rn_error *err);

/* Least noise multiplier, rounded up to 6 digits, at which `steps` POISSON steps (GAUSSIAN at rate
 * 1) cost at most epsilon: never overshoots. RN_E_REFUSED when RN_PRIVACY_NOISE_MAX is not enough.
 */
RN_MUST rn_result rn_account_sigma(double rate, uint64_t steps, double delta, double epsilon,
                                   enum rn_accountant accountant, double *out,
                                   struct rn_error *err);
/* Most steps that cost at most epsilon; 0 when one is too many. */
RN_MUST rn_result rn_account_steps(double rate, double noise, double delta, double epsilon,
                                   enum rn_accountant accountant, uint64_t *out,
                                   struct rn_error *err);
/* The same for any one event: its noise or its count is not looked at, but sought. */
RN_MUST rn_result rn_account_event_noise(const struct rn_privacy_event *event, double delta,
                                         double epsilon, enum rn_accountant accountant, double *out,
                                         struct rn_error *err);
RN_MUST rn_result rn_account_event_count(const struct rn_privacy_event *event, double delta,
                                         double epsilon, enum rn_accountant accountant,
                                         uint64_t *out, struct rn_error *err);

/* The largest true-positive rate of any test for a record's membership whose false-positive rate is
 * fpr, 0 < fpr < 1: from above, by PLD, both directions. */
RN_MUST rn_result rn_account_attack(const struct rn_privacy_event *events, size_t count, double fpr,
                                    double *out_tpr, struct rn_error *err);

#endif
