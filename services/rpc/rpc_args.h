/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel arguments, all of them.
 */
#ifndef RN_SERVICES_RPC_ARGS_H
#define RN_SERVICES_RPC_ARGS_H

#include "services/rpc/rpc_core.h"

#define RN_RPC_ARGS_MAX 32
struct rn_rpc_args {
    grpc_arg items[RN_RPC_ARGS_MAX];
    grpc_channel_args list; /* points into items */
};
void rn_rpc_args_server(const struct rn_rpc *rpc, struct rn_rpc_args *out);
void rn_rpc_args_client(const struct rn_rpc *rpc, struct rn_rpc_args *out);

#endif
