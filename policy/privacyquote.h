/* SPDX-License-Identifier: Apache-2.0
 *
 * What a private plan would cost a member under its policy: one function for `rondo policy check`,
 * signing and the start of the service; the ledger computes the same when the plan begins.
 *
 * The plan is one list of identical events, fixed before data is touched: rounds + retries
 * trainings of `steps` steps. Off delta goes RN_PRIVACY_APART of it for what no accountant of
 * Gaussian events can say: that a drawn batch is larger than training.batch and cut
 * (privacyledger.h), and the distance of the noise's sampler from its law, (1 + e^epsilon) events
 * dimensions eta (crypto/noise.h).
 */
#ifndef RN_POLICY_PRIVACYQUOTE_H
#define RN_POLICY_PRIVACYQUOTE_H

#include "policy/accountant/accountant.h"
#include "policy/ledger/privacyterms.h"
#include "policy/rules.h"

#define RN_PRIVACY_GRID (1u << 20) /* whole steps in one clip (trainer/dpwords.h) */

struct rn_privacy_quote {
    struct rn_privacy_terms terms; /* with the filter's order and bound */
    struct rn_privacy_plan plan;   /* with the plan's own epsilon, by PLD; shares: RDP */
    struct rn_privacy_value epsilon;
    double cost;  /* the whole plan's divergence at the filter's order */
    double apart; /* what it takes of the share of delta that is set apart */
};

/* The sampler's threshold: a record is in when its 64 bits are below; UINT64_MAX: always. */
uint64_t rn_privacy_threshold(double rate);

/* The largest delta that a policy may hold for so many records, rounded down to three digits. */
double rn_privacy_delta_default(uint64_t records);

/* What the policy promises as a ledger's terms; identity, commitment and derived fields are left
 * zero. order: the policy's, or where it says 0 the best for Gaussian noise. */
void rn_privacy_terms_of(const struct rn_policy_privacy *privacy, struct rn_privacy_terms *out);
/* The plan as the ledger keeps it; epsilon and derived fields are left zero. */
void rn_privacy_plan_of(const struct rn_plan *plan, struct rn_privacy_plan *out);

/* RN_E_REFUSED when batches would be cut too often (raise training.batch). A plan that costs more
 * than the filter's bound has no epsilon computed: it is infinite then. The plan is private and the
 * policy's section is there. */
RN_MUST rn_result rn_privacy_quote(const struct rn_plan *plan, const struct rn_policy *policy,
                                   struct rn_privacy_quote *out, struct rn_error *err);

#endif
