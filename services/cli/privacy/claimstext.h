/* SPDX-License-Identifier: Apache-2.0
 *
 * The claims page of a lineage: what its privacy ledger lets its owner say, in the order in which
 * NIST SP 800-226 asks: unit, neighbours, mechanism, epsilon and delta, sampling, who is kept out,
 * what an attacker can do at most, hazards, and what is not protected. Every number comes from the
 * ledger.
 */
#ifndef RN_SERVICES_CLI_PRIVACY_CLAIMSTEXT_H
#define RN_SERVICES_CLI_PRIVACY_CLAIMSTEXT_H

#include "policy/ledger/privacysummary.h"

struct json_t;

struct rn_claims {
    const struct rn_privacy_ledger *ledger;
    struct rn_privacy_summary summary;
    double bound[2]; /* true alarms at 1 % and 0.1 % false ones, by (epsilon, delta) */
    double
        reading[2]; /* the same by PLD of all plans, had they been fixed in advance; may be NaN */
};

/* RN_E_REFUSED where nothing can be claimed; ledger is borrowed. */
RN_MUST rn_result rn_claims_take(const struct rn_privacy_ledger *ledger, struct rn_claims *out,
                                 struct rn_error *err);
/* Appends the page in Markdown. */
void rn_claims_text(const struct rn_claims *claims, struct rn_buffer *out);
/* A new value. */
struct json_t *rn_claims_json(const struct rn_claims *claims);

#endif
