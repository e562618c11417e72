/* SPDX-License-Identifier: Apache-2.0
 *
 * A privacy ledger judged by somebody who has its bytes alone, and maybe the member's key from
 * another channel. What the ledger's own replay found, line by line, and what both accountants say
 * of the whole. Every finding has a verdict; a reason says why not.
 */
#ifndef RN_POLICY_PRIVACYVERIFY_H
#define RN_POLICY_PRIVACYVERIFY_H

#include "policy/ledger/privacysummary.h"

enum rn_privacy_verdict {
    RN_PRIVACY_PASS = 0,
    RN_PRIVACY_FAIL,
    RN_PRIVACY_STOPPED /* not looked at, since something before it failed */
};

struct rn_privacy_finding {
    const char *name; /* "chain" */
    const char *what; /* what holds where it passes */
    enum rn_privacy_verdict verdict;
    char reason[RN_ERROR_TEXT_MAX]; /* of FAIL; else empty */
};

#define RN_PRIVACY_FINDINGS_MAX (RN_PRIVACY_CHECKS + 4)
struct rn_privacy_report {
    struct rn_privacy_finding findings[RN_PRIVACY_FINDINGS_MAX];
    uint32_t count;
    bool passed;  /* all of them */
    bool claimed; /* and something can be claimed (rn_privacy_ledger_claimable) */
    struct rn_privacy_summary summary; /* where the replay passed; else zeros */
};

/* ledger: as the replay of all bytes left it; replayed and said: what that replay returned;
 * unfinished: bytes without a line end follow; key: 32 bytes, or NULL. RN_OK with a report whatever
 * the verdicts are. */
RN_MUST rn_result rn_privacy_verify(const struct rn_privacy_ledger *ledger, rn_result replayed,
                                    const struct rn_error *said, bool unfinished,
                                    const uint8_t *key, struct rn_privacy_report *out,
                                    struct rn_error *err);

#endif
