/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a stream. The identity is the one SPIFFE URI of the peer's
 * certificate:
 *
 *     spiffe://<federation>/coordinator
 *     spiffe://<federation>/member/<name>
 *
 * It serves transport and access; the protocol's own messages are signed with Ed25519 keys of the
 * roster and do not lean on it.
 */
#ifndef RN_SERVICES_RPC_PEER_H
#define RN_SERVICES_RPC_PEER_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_PEER_FEDERATION_MAX 63
#define RN_PEER_NAME_MAX 63
#define RN_PEER_ID_MAX 160
#define RN_PEER_HASH_BYTES 32

enum rn_peer_role {
    RN_PEER_NONE = 0,
    RN_PEER_COORDINATOR = 1,
    RN_PEER_MEMBER = 2,
    RN_PEER_LOCAL = 3, /* a process on this machine, through the unix socket; has no name */
};

struct rn_peer {
    enum rn_peer_role role;
    char id[RN_PEER_ID_MAX + 1]; /* the whole URI; "" for RN_PEER_LOCAL */
    char federation[RN_PEER_FEDERATION_MAX + 1];
    char name[RN_PEER_NAME_MAX + 1];       /* member's name; "" for a coordinator */
    uint8_t leaf_hash[RN_PEER_HASH_BYTES]; /* SHA-256 of the certificate (DER) */
    uint64_t not_before_ms;                /* wall time of the certificate's validity */
    uint64_t not_after_ms;
};

/* Fills role, id, federation and name from a URI of exactly the two forms above. Federation: 1 to
 * RN_PEER_FEDERATION_MAX of a-z 0-9 . - _ ; name: 1 to RN_PEER_NAME_MAX of a-z 0-9 . - _ , both
 * starting with a letter or digit. RN_E_PEER_AUTH otherwise (out is zeroed then). */
RN_MUST rn_result rn_peer_parse(const char *uri, size_t length, struct rn_peer *out,
                                struct rn_error *err);

#endif
