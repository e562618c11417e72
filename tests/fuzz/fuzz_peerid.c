/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_peer_parse, rn_rpc_address_check and rn_tls_leaf_read: texts that a peer's certificate or a
 * configuration may hold.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/tlspolicy.h"
#include "services/rpc/rpc.h"

static void check_id(const char *text, size_t size)
{
    struct rn_peer peer;
    if (!rn_is_ok(rn_peer_parse(text, size, &peer, NULL))) {
        RN_BUG_IF(peer.role != RN_PEER_NONE || peer.id[0] != '\0');
        return;
    }
    /* The parts make the whole again. */
    char again[RN_PEER_ID_MAX + 1];
    const bool member = peer.role == RN_PEER_MEMBER;
    RN_BUG_IF(!member && peer.role != RN_PEER_COORDINATOR);
    RN_BUG_IF(!rn_text_format(again, sizeof(again), "spiffe://%s/%s%s", peer.federation,
                              member ? "member/" : "coordinator", peer.name));
    RN_BUG_IF(strcmp(again, peer.id) != 0 || strlen(again) != size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RN_CLEANUP(rn_free_cleanup) char *text = rn_text_copy((const char *)data, size);
    struct rn_tls_leaf leaf;
    check_id(text, size);
    (void)!rn_rpc_address_check(text, true, NULL).code;
    (void)!rn_tls_leaf_read(rn_view_of(data, size), &leaf, NULL).code;
    return 0;
}
