/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream's memory, its outgoing queue, and the batches it asks of core.
 */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <string.h>

#include "base/alloc.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/rpc_stream.h"

/* --- memory ----------------------------------------------------------------------------------- */

void rn_rpc_stream_queue_pop(struct rn_rpc_stream *stream)
{
    struct rn_rpc_outgoing *head = stream->first;
    stream->first = head->next;
    if (stream->first == NULL) {
        stream->last = NULL;
    }
    stream->queued_messages--;
    stream->queued_bytes -= head->bytes;
    grpc_byte_buffer_destroy(head->buffer);
    rn_free(head);
}

void rn_rpc_stream_release(struct rn_rpc_stream *stream)
{
    if (--stream->references > 0) {
        return;
    }
    while (stream->first != NULL) {
        rn_rpc_stream_queue_pop(stream);
    }
    if (stream->incoming != NULL) {
        grpc_byte_buffer_destroy(stream->incoming);
    }
    grpc_metadata_array_destroy(&stream->initial);
    grpc_metadata_array_destroy(&stream->trailing);
    grpc_slice_unref(stream->status_text);
    grpc_call_unref(stream->call);
    stream->rpc->live_calls--;
    stream->magic = 0;
    rn_free(stream);
}

/* --- batches ---------------------------------------------------------------------------------- */

void rn_rpc_stream_batch(struct rn_rpc_stream *stream, const grpc_op *ops, size_t count,
                         struct rn_rpc_tag *tag)
{
    stream->references++;
    /* A refused batch delivers no tag, so a wait for one would never end. Only misuse is refused.
     */
    RN_BUG_IF(grpc_call_start_batch(stream->call, ops, count, tag, NULL) != GRPC_CALL_OK);
}

void rn_rpc_stream_receive_start(struct rn_rpc_stream *stream)
{
    if (stream->receiving || stream->paused || stream->input_done || stream->reported) {
        return;
    }
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_MESSAGE;
    op.data.recv_message.recv_message = &stream->incoming;
    stream->incoming = NULL;
    stream->receiving = true;
    rn_rpc_stream_batch(stream, &op, 1, &stream->receive_tag);
}

static void send_head(struct rn_rpc_stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = stream->first->buffer;
    stream->sending = RN_RPC_SEND_MESSAGE;
    rn_rpc_stream_batch(stream, &op, 1, &stream->send_tag);
}

static void send_half_close(struct rn_rpc_stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    stream->sending = RN_RPC_SEND_FINISH;
    stream->finishing = true;
    rn_rpc_stream_batch(stream, &op, 1, &stream->send_tag);
}

void rn_rpc_stream_status_send(struct rn_rpc_stream *stream, rn_result result, bool with_initial)
{
    grpc_slice text = grpc_slice_from_static_string(rn_rpc_status_text(result));
    grpc_metadata reason;
    memset(&reason, 0, sizeof(reason));
    reason.key = grpc_slice_from_static_string(RN_RPC_REASON_KEY);
    reason.value = grpc_slice_from_static_string(rn_code_name(result.code));
    grpc_op ops[2];
    memset(ops, 0, sizeof(ops));
    size_t count = 0;
    if (with_initial) {
        ops[count++].op = GRPC_OP_SEND_INITIAL_METADATA;
    }
    ops[count].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    ops[count].data.send_status_from_server.status = rn_rpc_status_of(result);
    ops[count].data.send_status_from_server.status_details = &text;
    ops[count].data.send_status_from_server.trailing_metadata = &reason;
    ops[count].data.send_status_from_server.trailing_metadata_count = 1;
    count++;
    stream->status = rn_rpc_status_of(result);
    stream->sending = RN_RPC_SEND_FINISH;
    stream->finishing = true;
    rn_rpc_stream_batch(stream, ops, count, &stream->send_tag);
}

void rn_rpc_stream_pump(struct rn_rpc_stream *stream)
{
    if (stream->sending != RN_RPC_SEND_NOTHING || stream->finishing || stream->ended ||
        stream->failed) {
        return;
    }
    if (stream->first != NULL) {
        send_head(stream);
    } else if (stream->closing && stream->dial.link != NULL) {
        send_half_close(stream);
    } else if (stream->closing) {
        rn_rpc_stream_status_send(stream, rn_ok(), false);
    }
}
