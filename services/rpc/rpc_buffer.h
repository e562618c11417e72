/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages between gRPC's slices and plain bytes.
 */
#ifndef RN_SERVICES_RPC_BUFFER_H
#define RN_SERVICES_RPC_BUFFER_H

#include <grpc/grpc.h>

#include "base/bytes.h"

enum rn_rpc_receipt { RN_RPC_MESSAGE, RN_RPC_CLEAN_END, RN_RPC_BROKEN };
/* The one place that tells a message from a clean end and from a lost peer. */
enum rn_rpc_receipt rn_rpc_receipt_of(grpc_call *call, bool ok, const grpc_byte_buffer *message);
/* Copies into out; RN_E_PEER_LIMIT when longer than capacity, RN_E_PEER_FORMAT when compressed. */
RN_MUST rn_result rn_rpc_flatten(grpc_byte_buffer *message, uint8_t *out, size_t capacity,
                                 size_t *out_length);
grpc_byte_buffer *rn_rpc_buffer_of(struct rn_view head, struct rn_view body);

#endif
