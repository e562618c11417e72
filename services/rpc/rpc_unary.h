/* SPDX-License-Identifier: Apache-2.0
 *
 * Unary calls from their acceptance to their end, and the bodies of health and admin.
 */
#ifndef RN_SERVICES_RPC_UNARY_H
#define RN_SERVICES_RPC_UNARY_H

#include "services/rpc/rpc_core.h"

/* Takes ownership of the call. method NULL: nobody registered it, the call is refused. */
void rn_rpc_unary_accept(struct rn_rpc *rpc, grpc_call *call, const struct rn_rpc_method *method);
void rn_rpc_unaries_cancel_all(struct rn_rpc *rpc);
/* Cuts calls beyond their time. */
void rn_rpc_unaries_inspect(struct rn_rpc *rpc);

/* rpc_health.c: answer bytes for a request; RN_E_NO_INPUT for an unknown service. */
RN_MUST rn_result rn_rpc_health_answer(const struct rn_rpc *rpc, struct rn_view request,
                                       struct rn_buffer *answer);
RN_MUST rn_result rn_rpc_admin_answer(const struct rn_rpc *rpc, struct rn_view request,
                                      struct rn_buffer *answer);

#endif
