/* SPDX-License-Identifier: Apache-2.0
 *
 * Results on the wire: gRPC status, fixed text, reason code by name.
 */
#ifndef RN_SERVICES_RPC_STATUS_H
#define RN_SERVICES_RPC_STATUS_H

#include <grpc/grpc.h>

#include "base/bytes.h"

#define RN_RPC_REASON_KEY "rondo-reason"
/* Present in the initial metadata of a stream that was accepted. */
#define RN_RPC_OPEN_KEY "rondo-open"

/* gRPC status and fixed public text of a result. */
grpc_status_code rn_rpc_status_of(rn_result result);
const char *rn_rpc_status_text(rn_result result);
/* Reason code of a name; RN_OK for an unknown one. */
enum rn_code rn_rpc_code_of_name(struct rn_view name);
/* What a status means on the dialling side. */
rn_result rn_rpc_result_of(grpc_status_code status, enum rn_code peer_said);
/* Value of the first metadata item with this key; an empty view when there is none. */
struct rn_view rn_rpc_metadata_find(const grpc_metadata_array *array, const char *key);

#endif
