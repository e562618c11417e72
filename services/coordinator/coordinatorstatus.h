/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the coordinator stands, for `rondo status` and the log.
 */
#ifndef RN_SERVICES_COORDINATOR_COORDINATORSTATUS_H
#define RN_SERVICES_COORDINATOR_COORDINATORSTATUS_H

#include "services/host/jobhost.h"

/* As struct rn_jobhost_program wants it. */
bool rn_coordinator_status(struct rn_jobhost *host, struct rn_now now, struct rn_buffer *out);
void rn_coordinator_log_start(struct rn_jobhost *host);

#endif
