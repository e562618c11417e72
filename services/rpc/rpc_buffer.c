/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages between gRPC's slices and plain bytes.
 */
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <string.h>

#include "base/guard.h"
#include "services/rpc/rpc_buffer.h"

enum rn_rpc_receipt rn_rpc_receipt_of(grpc_call *call, bool ok, const grpc_byte_buffer *message)
{
    if (!ok) {
        return RN_RPC_BROKEN;
    }
    if (message != NULL) {
        return RN_RPC_MESSAGE;
    }
    /* A killed peer looks just like a finished one, but for this. */
    return grpc_call_failed_before_recv_message(call) != 0 ? RN_RPC_BROKEN : RN_RPC_CLEAN_END;
}

rn_result rn_rpc_flatten(grpc_byte_buffer *message, uint8_t *out, size_t capacity,
                         size_t *out_length)
{
    *out_length = 0;
    if (message->type != GRPC_BB_RAW || message->data.raw.compression != GRPC_COMPRESS_NONE) {
        return (rn_result){RN_E_PEER_FORMAT};
    }
    const size_t total = grpc_byte_buffer_length(message);
    if (total > capacity) {
        return (rn_result){RN_E_PEER_LIMIT};
    }
    grpc_byte_buffer_reader reader;
    if (grpc_byte_buffer_reader_init(&reader, message) == 0) {
        return (rn_result){RN_E_PEER_FORMAT};
    }
    size_t at = 0;
    grpc_slice *slice = NULL;
    while (grpc_byte_buffer_reader_peek(&reader, &slice) != 0) {
        const size_t length = GRPC_SLICE_LENGTH(*slice);
        RN_BUG_IF(length > total - at);
        memcpy(out + at, GRPC_SLICE_START_PTR(*slice), length);
        at += length;
    }
    grpc_byte_buffer_reader_destroy(&reader);
    *out_length = at;
    return rn_ok();
}

grpc_byte_buffer *rn_rpc_buffer_of(struct rn_view head, struct rn_view body)
{
    grpc_slice slice = grpc_slice_malloc(head.length + body.length);
    uint8_t *out = GRPC_SLICE_START_PTR(slice);
    if (head.length > 0) {
        memcpy(out, head.data, head.length);
    }
    if (body.length > 0) {
        memcpy(out + head.length, body.data, body.length);
    }
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return message;
}
