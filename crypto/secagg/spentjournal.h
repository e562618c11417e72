/* SPDX-License-Identifier: Apache-2.0
 *
 * The member machine's side of the ledger of spent updates (spent.h): what it writes and when.
 */
#ifndef RN_CRYPTO_SECAGG_SPENTJOURNAL_H
#define RN_CRYPTO_SECAGG_SPENTJOURNAL_H

#include "crypto/secagg/messages.h"
#include "crypto/secagg/sarecord.h"
#include "crypto/secagg/spent.h"

/* Before Ready: this session is the one that may upload from now on. */
void rn_sa_spent_join(struct rn_sa_spent *spent, const struct rn_sa_transcript *transcript,
                      struct rn_view offer, struct rn_view ready,
                      struct rn_sa_actions *out_actions);
/* Is it still this one? */
bool rn_sa_spent_current(const struct rn_sa_spent *spent,
                         const uint8_t session[static RN_HASH_BYTES]);
/* Before Done. */
RN_MUST rn_result rn_sa_spent_spend(struct rn_sa_spent *spent,
                                    const struct rn_sa_transcript *transcript, struct rn_view done,
                                    struct rn_sa_actions *out_actions, struct rn_error *err);
/* With a verified abort certificate. */
void rn_sa_spent_close(struct rn_sa_spent *spent, const uint8_t session[static RN_HASH_BYTES],
                       struct rn_view certificate, struct rn_sa_actions *out_actions);

/* Members of this roster that a Result proved faulty, with the message that proves it. */
void rn_sa_spent_blame(struct rn_sa_spent *spent, const struct rn_sa_transcript *transcript,
                       struct rn_view result, struct rn_sa_actions *out_actions);
struct rn_sa_set rn_sa_spent_blamed(const struct rn_sa_spent *spent,
                                    const uint8_t roster_hash[static RN_HASH_BYTES]);

#endif
