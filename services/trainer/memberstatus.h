/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a member stands, for `rondo status` and the log.
 */
#ifndef RN_SERVICES_TRAINER_MEMBERSTATUS_H
#define RN_SERVICES_TRAINER_MEMBERSTATUS_H

#include "services/host/jobhost.h"

/* As struct rn_jobhost_program wants it. */
bool rn_member_status(struct rn_jobhost *host, struct rn_now now, struct rn_buffer *out);
void rn_member_log_start(struct rn_jobhost *host);

#endif
