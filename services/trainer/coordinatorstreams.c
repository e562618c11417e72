/* SPDX-License-Identifier: Apache-2.0 */
#include "services/trainer/coordinatorstreams.h"

#include <string.h>

#include "base/log.h"

int rn_coordinatorstreams_find(struct rn_jobhost *host, const struct rn_peer *peer)
{
    char expected[RN_PEER_ID_MAX + 1];
    rn_site_files_peer_id(host->site, RN_SA_COORDINATOR, expected);
    return peer->role == RN_PEER_COORDINATOR && strcmp(peer->id, expected) == 0 ? 0 : -1;
}

rn_result rn_coordinatorstreams_authorize(struct rn_jobhost *host, const struct rn_peer *peer)
{
    return rn_coordinatorstreams_find(host, peer) == 0
               ? rn_ok()
               : rn_fail(NULL, RN_E_PEER_AUTH, "not the coordinator");
}

rn_result rn_coordinatorstreams_dial(struct rn_jobhost *host, struct rn_error *err)
{
    const char *address = host->site->site.network.dial;
    rn_log(RN_LOG_INFO, "dial", RN_LOG_TEXT(RN_F_ADDRESS, address));
    return rn_jobhost_link(host, address, RN_SA_COORDINATOR, err);
}
