/* SPDX-License-Identifier: Apache-2.0 */
#include "services/rpc/rpc_methods.h"

#include "services/rpc/rpc.h"
#include "services/wire/wire.h"

_Static_assert(RN_WIRE_CHUNK_MAX + RN_WIRE_CHUNK_HEAD_MAX <= RN_RPC_CHUNK_MAX + 4096,
               "a chunk fits");
_Static_assert(RN_WIRE_SECAGG_MAX + 16 <= RN_RPC_MESSAGE_MAX, "a protocol message fits");

const struct rn_rpc_method rn_rpc_methods[RN_RPC_METHODS] = {
    [RN_RPC_ON_SESSION] = {.path = "/rondo.v1.Federation/Session",
                           .handler = RN_RPC_ON_SESSION,
                           .streaming = true,
                           .remote = true,
                           .message_max = RN_RPC_MESSAGE_MAX,
                           .slots = 8,
                           .seconds_max = 2 * 3600},
    [RN_RPC_ON_BULK] = {.path = "/rondo.v1.Federation/Bulk",
                        .handler = RN_RPC_ON_BULK,
                        .streaming = true,
                        .remote = true,
                        .message_max = RN_RPC_CHUNK_MAX + 4096,
                        .slots = 8,
                        .seconds_max = 2 * 3600},
    [RN_RPC_ON_HEALTH] = {.path = "/grpc.health.v1.Health/Check",
                          .handler = RN_RPC_ON_HEALTH,
                          .remote = true,
                          .local = true,
                          .message_max = 256,
                          .slots = 2,
                          .seconds_max = 10},
    [RN_RPC_ON_ADMIN] = {.path = "/rondo.v1.Admin/Get",
                         .handler = RN_RPC_ON_ADMIN,
                         .local = true,
                         .message_max = 256,
                         .slots = 2,
                         .seconds_max = 10},
};
