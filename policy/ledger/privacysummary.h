/* SPDX-License-Identifier: Apache-2.0
 *
 * What a privacy ledger adds up to (privacyledger.h), by both accountants.
 *
 * The guarantee is the header's (epsilon, delta), kept by the filter however the plans were chosen.
 * Everything else is a reading: epsilon by PLD of all plans, each charged whole, is exact where the
 * list of plans was fixed before the first one (so always with one plan); between plans it is an
 * odometer.
 */
#ifndef RN_POLICY_PRIVACYSUMMARY_H
#define RN_POLICY_PRIVACYSUMMARY_H

#include "policy/ledger/privacyledger.h"

struct rn_privacy_summary {
    double bound;           /* B, computed */
    double filter_begun;    /* the filter's sum of all begun */
    double filter_reserved; /* with what the open plan may begin */
    double filter_epsilon;  /* what filter_reserved says at the filter's order */
    /* All plans charged whole, and all releases, at rn_privacy_terms_delta. Upper values. */
    double pld, pld_lower; /* NaN where no PLD can be computed */
    double rdp, rdp_order; /* at its best order */
    /* The same of what was begun alone. */
    double begun_pld;
    uint64_t trainings; /* begun */
    uint64_t steps;     /* of these */
    uint64_t outputs;
};

/* RN_E_DATA or what an accountant says; pld is NaN where that is RN_E_DATA or RN_E_UNSUPPORTED. */
RN_MUST rn_result rn_privacy_summarise(const struct rn_privacy_ledger *ledger,
                                       struct rn_privacy_summary *out, struct rn_error *err);

/* The largest rate of true alarms of any test whether one unit's data were in, at a rate of false
 * alarms: by PLD, of all plans charged whole (a reading, as above). NaN where PLD cannot say. What
 * is kept apart moves both rates by at most that much. */
RN_MUST rn_result rn_privacy_attack(const struct rn_privacy_ledger *ledger, double false_rate,
                                    double *out_true_rate, struct rn_error *err);
/* The same from (epsilon, delta) alone (Kairouz, Oh, Viswanath 2015), which is the guarantee:
 * min(e^epsilon fpr + delta, 1 - e^-epsilon (1 - delta - fpr), 1). */
double rn_privacy_attack_bound(double epsilon, double delta, double false_rate);

/* Four decimals, never below the value; "none" where it is not finite. */
#define RN_PRIVACY_NUMBER_TEXT 40
void rn_privacy_number_up(double value, char out[static RN_PRIVACY_NUMBER_TEXT]);

#endif
