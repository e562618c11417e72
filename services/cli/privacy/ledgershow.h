/* SPDX-License-Identifier: Apache-2.0
 *
 * What a privacy ledger says and what a verifier found in it, for people and as JSON.
 */
#ifndef RN_SERVICES_CLI_PRIVACY_LEDGERSHOW_H
#define RN_SERVICES_CLI_PRIVACY_LEDGERSHOW_H

#include "policy/ledger/privacyverify.h"

struct json_t;

void rn_ledgershow_text(const struct rn_privacy_ledger *ledger,
                        const struct rn_privacy_summary *summary);
/* A new value. */
struct json_t *rn_ledgershow_json(const struct rn_privacy_ledger *ledger,
                                  const struct rn_privacy_summary *summary);

void rn_ledgershow_report_text(const struct rn_privacy_ledger *ledger,
                               const struct rn_privacy_report *report);
struct json_t *rn_ledgershow_report_json(const struct rn_privacy_ledger *ledger,
                                         const struct rn_privacy_report *report);

/* A number as JSON; null where it is not finite. */
struct json_t *rn_ledgershow_number(double value);
/* 32 bytes as hex. */
struct json_t *rn_ledgershow_hash(const uint8_t hash[static 32]);

#endif
