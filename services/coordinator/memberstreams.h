/* SPDX-License-Identifier: Apache-2.0
 *
 * Which streams the coordinator takes, and which it opens itself: the members' of the roster.
 */
#ifndef RN_SERVICES_COORDINATOR_MEMBERSTREAMS_H
#define RN_SERVICES_COORDINATOR_MEMBERSTREAMS_H

#include "services/host/jobhost.h"

/* RN_E_PEER_AUTH for whoever is not a member of the roster today. */
RN_MUST rn_result rn_memberstreams_authorize(struct rn_jobhost *host, const struct rn_peer *peer);
/* Place in the roster, or -1. */
int rn_memberstreams_find(struct rn_jobhost *host, const struct rn_peer *peer);
/* Links to the members that site.yaml gives an address for. */
RN_MUST rn_result rn_memberstreams_dial(struct rn_jobhost *host, struct rn_error *err);

#endif
