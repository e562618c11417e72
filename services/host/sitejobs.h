/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that lie in a member's state (state/journal.db the one of its plan, state/jobs/HASH the
 * earlier ones) held against its jobs.ledger: what was sent from here has to stand there.
 */
#ifndef RN_SERVICES_HOST_SITEJOBS_H
#define RN_SERVICES_HOST_SITEJOBS_H

#include "base/result.h"
#include "policy/jobledger.h"

/* RN_E_DATA, with the job and what to do, when a session of a job was joined and the ledger lacks
 * its plan: both copies are gone, or are older ones. A job whose journal says that no session was
 * joined may be missing; one whose journal is gone or cannot be read may not. */
RN_MUST rn_result rn_sitejobs_check(const char *state, const struct rn_job_ledger *ledger,
                                    struct rn_error *err);

#endif
