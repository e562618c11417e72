/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening side: its end in three steps (rpc.h has the beginning).
 */
#ifndef RN_SERVICES_RPC_SERVER_H
#define RN_SERVICES_RPC_SERVER_H

#include "services/rpc/rpc_core.h"

/* Accepts nothing from here on; server_down turns true when the last call is gone. */
void rn_rpc_server_shutdown(struct rn_rpc *rpc);
void rn_rpc_server_cancel_all(struct rn_rpc *rpc);
void rn_rpc_server_destroy(struct rn_rpc *rpc);

#endif
