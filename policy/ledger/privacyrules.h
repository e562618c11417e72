/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of a privacy ledger (privacyledger.h), the same for a record that is read and for one
 * that is about to be written. For privacyledger.c alone.
 */
#ifndef RN_POLICY_PRIVACYRULES_H
#define RN_POLICY_PRIVACYRULES_H

#include "policy/ledger/privacyledger.h"

/* Doubles that another machine or version computed may differ by this, relatively. */
#define RN_PRIVACY_SLACK 1e-9

/* Writes the derived fields; values and order have been checked. */
void rn_privacy_rules_derive(const struct rn_privacy_ledger *ledger,
                             struct rn_privacy_record *record);

/* RN_E_CONFIG. */
RN_MUST rn_result rn_privacy_rules_values(const struct rn_privacy_ledger *ledger,
                                          const struct rn_privacy_record *record,
                                          struct rn_error *err);
/* RN_E_REFUSED. Derived counters aside. */
RN_MUST rn_result rn_privacy_rules_order(const struct rn_privacy_ledger *ledger,
                                         const struct rn_privacy_record *record,
                                         struct rn_error *err);
/* Does the record, of which `derived` is the same with its derived fields written, state them?
 * RN_E_DATA. */
RN_MUST rn_result rn_privacy_rules_derived(const struct rn_privacy_record *record,
                                           const struct rn_privacy_record *derived,
                                           struct rn_error *err);
/* slack: 0 for a record that is to be written. RN_E_REFUSED. */
RN_MUST rn_result rn_privacy_rules_budget(const struct rn_privacy_ledger *ledger,
                                          const struct rn_privacy_record *record, double slack,
                                          struct rn_error *err);

/* Brings the ledger forward by a record that passed all of them. */
void rn_privacy_rules_apply(struct rn_privacy_ledger *ledger,
                            const struct rn_privacy_record *record);

#endif
