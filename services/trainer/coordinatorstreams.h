/* SPDX-License-Identifier: Apache-2.0
 *
 * Which streams a member takes, and which it opens itself: the one coordinator's.
 */
#ifndef RN_SERVICES_TRAINER_COORDINATORSTREAMS_H
#define RN_SERVICES_TRAINER_COORDINATORSTREAMS_H

#include "services/host/jobhost.h"

/* RN_E_PEER_AUTH for anybody else. */
RN_MUST rn_result rn_coordinatorstreams_authorize(struct rn_jobhost *host,
                                                  const struct rn_peer *peer);
/* 0, or -1. */
int rn_coordinatorstreams_find(struct rn_jobhost *host, const struct rn_peer *peer);
RN_MUST rn_result rn_coordinatorstreams_dial(struct rn_jobhost *host, struct rn_error *err);

#endif
