/* SPDX-License-Identifier: Apache-2.0 */
#include "services/coordinator/memberstreams.h"

#include <string.h>

#include "base/guard.h"

int rn_memberstreams_find(struct rn_jobhost *host, const struct rn_peer *peer)
{
    return rn_roster_find_name(&host->site->roster, peer->name);
}

rn_result rn_memberstreams_authorize(struct rn_jobhost *host, const struct rn_peer *peer)
{
    const struct rn_roster *roster = &host->site->roster;
    const int place = peer->role == RN_PEER_MEMBER ? rn_roster_find_name(roster, peer->name) : -1;
    if (place < 0 || strcmp(peer->federation, roster->federation) != 0) {
        return rn_fail(NULL, RN_E_PEER_AUTH, "not a member of the roster");
    }
    return rn_ok();
}

rn_result rn_memberstreams_dial(struct rn_jobhost *host, struct rn_error *err)
{
    const struct rn_site_network *network = &host->site->site.network;
    for (uint32_t i = 0; i < network->peers_count; i++) {
        const int place = rn_roster_find_name(&host->site->roster, network->peers[i].name);
        RN_ENSURE(place >= 0, err, RN_E_CONFIG,
                  "%s/site.yaml: network.peers: %s is not in the roster", host->site->directory,
                  network->peers[i].name);
        RN_TRY(rn_jobhost_link(host, network->peers[i].address, (uint32_t)place, err));
    }
    return rn_ok();
}
