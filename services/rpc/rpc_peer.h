/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a call.
 */
#ifndef RN_SERVICES_RPC_RPC_PEER_H
#define RN_SERVICES_RPC_RPC_PEER_H

#include "services/rpc/rpc_core.h"

/* Reads the identity of the call's other end and checks the rules for it: one SPIFFE id, TLS with a
 * fresh handshake, dates, federation. A process on the unix socket comes back as RN_PEER_LOCAL.
 * RN_E_PEER_AUTH otherwise. */
RN_MUST rn_result rn_rpc_peer_identify(const struct rn_rpc *rpc, grpc_call *call, bool dialled,
                                       struct rn_peer *out);
/* The certificate's dates against the wall clock. */
bool rn_rpc_peer_in_date(const struct rn_peer *peer, uint64_t now_wall_ms);

#endif
