/* SPDX-License-Identifier: Apache-2.0
 *
 * jobs.ledger of a member (policy/jobledger.h), held by the one service that may run with its
 * identity. Two copies, each enough: one beside identity.key, which finds a state directory that
 * was lost or replaced, and one in the state directory, which outlives a site directory that is
 * made anew at each start (a Secret in memory). What either has counts.
 */
#ifndef RN_SERVICES_HOST_SITELEDGER_H
#define RN_SERVICES_HOST_SITELEDGER_H

#include "base/result.h"
#include "crypto/identity.h"
#include "policy/jobledger.h"

#define RN_SITE_LEDGER "jobs.ledger"

/* Borrowed. */
struct rn_siteledger_place {
    const char *directory; /* of identity.key */
    const char *state;
    const struct rn_identity_public *identity;
};

struct rn_siteledger;

/* What lies there; empty when nothing does. For commands that look. */
RN_MUST rn_result rn_siteledger_read(const struct rn_siteledger_place *place,
                                     struct rn_job_ledger *out, struct rn_error *err);

/* What state/ holds of the plan's job. */
struct rn_siteledger_state {
    bool bound; /* it is this plan's, which is durable before the first session */
    bool spent; /* records of the ledger of spent updates */
};

/* Takes the lock beside the identity (RN_E_BUSY: another service runs with it) and checks that
 * updates may go into the plan, and that ledger and state fit: RN_E_DATA when one of them was lost,
 * earlier jobs in state included (sitejobs.h). Then a copy that lacks what the other one has is
 * written again. plan is borrowed. */
RN_MUST rn_result rn_siteledger_open(const struct rn_siteledger_place *place,
                                     const struct rn_plan *plan, uint32_t jobs_max,
                                     struct rn_siteledger_state state, struct rn_siteledger **out,
                                     struct rn_error *err);
/* The plan is in both copies, durable; in the one beside the identity only where that directory can
 * be written. Called before the first record of a session is durable; cheap when it is there
 * already. */
RN_MUST rn_result rn_siteledger_charge(struct rn_siteledger *ledger, struct rn_error *err);
/* What it holds; borrowed. */
const struct rn_job_ledger *rn_siteledger_jobs(const struct rn_siteledger *ledger);

/* Appends the object "ledger" of `rondo status` and `rondo doctor` (FORMATS.md, "jobs.ledger"). */
void rn_siteledger_json(const struct rn_job_ledger *jobs, uint32_t jobs_max, struct rn_buffer *out);

/* NULL is fine. */
void rn_siteledger_free(struct rn_siteledger *ledger);

#endif
