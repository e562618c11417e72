/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger of spent updates (PROTOCOL.md, rule A9), one per member identity, and the rule that
 * (round, attempt) of a plan only goes up. Pure logic over journal records that the member machine
 * made durable (RN_SA_PERSIST with keep set).
 *
 * An update is named by (base hash, adapter hash, active parts), and two updates with one part in
 * common are the same one. From the moment Done is in the journal it is spent: it is encoded again
 * only after an abort certificate for each session that spent it.
 */
#ifndef RN_CRYPTO_SECAGG_SPENT_H
#define RN_CRYPTO_SECAGG_SPENT_H

#include "crypto/secagg/actions.h"
#include "crypto/secagg/params.h"

struct rn_sa_spent;

/* Open (not abort-certified) sessions that one ledger holds. A round of a plan leaves at most one
 * open, because as long as it is, later attempts would encode the same update; so this is the most
 * rounds that a plan can ask for, measuring round included (policy/plannumbers.c holds them
 * against each other). What look-ups cost: spentsessions.h. */
#define RN_SA_SPENT_MAX 100001u
/* Plans that its sessions are of, and rosters with proofs of blame: one each in a journal of the
 * services. */
#define RN_SA_SPENT_PLANS_MAX 1000u

struct rn_sa_spent *rn_sa_spent_new(void);
void rn_sa_spent_free(struct rn_sa_spent *spent);

/* Every journal record of this identity, in the order written, at program start. Records of other
 * kinds are skipped. RN_E_DATA for a damaged one, or one beyond the limits above. */
RN_MUST rn_result rn_sa_spent_load(struct rn_sa_spent *spent, struct rn_view record,
                                   struct rn_error *err);

/* RN_E_ROUND_STALE when (round, attempt) does not go up under the context's plan: a session that
 * was joined may not begin again, or its member could vote in it twice. RN_E_ROUND_SPENT for a plan
 * beyond RN_SA_SPENT_PLANS_MAX. */
RN_MUST rn_result rn_sa_spent_check_order(const struct rn_sa_spent *spent,
                                          const struct rn_sa_context *context,
                                          struct rn_error *err);

/* May the update of this context be encoded? RN_E_ROUND_SPENT when a session spent it or
 * RN_SA_SPENT_MAX are open, or as rn_sa_spent_check_order. */
RN_MUST rn_result rn_sa_spent_check(const struct rn_sa_spent *spent,
                                    const struct rn_sa_context *context, struct rn_error *err);

/* An abort certificate that arrives when the session's machine is gone. Verifies it, and returns a
 * PERSIST action that must be executed. RN_OK without action when the session is not open here. */
RN_MUST rn_result rn_sa_spent_receive(struct rn_sa_spent *spent, const struct rn_roster *roster,
                                      struct rn_view message, struct rn_sa_actions *out_actions,
                                      struct rn_error *err);

/* Number of sessions with a Done and without an abort certificate. */
size_t rn_sa_spent_open(const struct rn_sa_spent *spent);

#endif
