/* SPDX-License-Identifier: Apache-2.0
 *
 * One stream's life, the same for both directions once it is open. Four tags: open (dialled:
 * initial metadata), receive, send, end (dialled: status; accepted: close). At most one batch of
 * each is outstanding. The stream is reported closed when `end` came and no receive is outstanding,
 * and freed when core holds no batch any more.
 */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <string.h>

#include "base/alloc.h"
#include "services/rpc/rpc_buffer.h"
#include "services/rpc/rpc_peer.h"
#include "services/rpc/rpc_status.h"
#include "services/rpc/rpc_stream.h"

static struct rn_rpc_stream *stream_of(void *owner)
{
    struct rn_rpc_stream *stream = owner;
    RN_BUG_IF(stream->magic != RN_RPC_STREAM_MAGIC);
    return stream;
}

/* --- the end ---------------------------------------------------------------------------------- */

static struct rn_rpc_end end_of(const struct rn_rpc_stream *stream)
{
    struct rn_rpc_end end = {.local = stream->local, .grpc_status = (int)stream->status};
    if (stream->dial.link != NULL) {
        end.peer_said =
            rn_rpc_code_of_name(rn_rpc_metadata_find(&stream->trailing, RN_RPC_REASON_KEY));
        end.clean = stream->status == GRPC_STATUS_OK && !stream->failed;
        end.result = rn_rpc_result_of(stream->status, end.peer_said);
    } else {
        const bool ordered = stream->input_clean || stream->closing;
        end.clean = ordered && stream->cancelled == 0 && !stream->failed;
        end.result = end.clean ? rn_ok() : (rn_result){RN_E_UNAVAILABLE};
    }
    if (stream->local && !rn_is_ok(stream->close_result)) {
        end.result = stream->close_result;
        end.clean = false;
    }
    return end;
}

static void report_when_over(struct rn_rpc_stream *stream)
{
    if (!stream->ended || stream->receiving || stream->reported) {
        return;
    }
    stream->reported = true;
    struct rn_rpc *rpc = stream->rpc;
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        rpc->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    const struct rn_rpc_end end = end_of(stream);
    const uint64_t lived = rn_rpc_now_ms() - stream->born_ms;
    if (stream->opened && rpc->config.callbacks.on_closed != NULL) {
        rpc->config.callbacks.on_closed(rpc->config.callbacks.user, stream, &end);
    }
    if (stream->dial.link != NULL) {
        stream->dial.ended(stream->dial.link, stream, &end, stream->opened ? lived : 0);
    }
    rn_rpc_stream_release(stream);
}

/* Ends the stream now. On an accepted stream the peer learns the reason if the send side is free.
 */
void rn_rpc_stream_fail(struct rn_rpc_stream *stream, rn_result result)
{
    if (stream->failed || stream->ended) {
        return;
    }
    stream->failed = true;
    stream->close_result = result;
    if (stream->dial.link == NULL && stream->sending == RN_RPC_SEND_NOTHING && !stream->finishing) {
        rn_rpc_stream_status_send(stream, result, false);
    } else {
        grpc_call_cancel_with_status(stream->call, rn_rpc_status_of(result),
                                     rn_rpc_status_text(result), NULL);
    }
}

void rn_rpc_stream_close(struct rn_rpc_stream *stream, rn_result result)
{
    if (stream->failed || stream->ended) {
        return;
    }
    stream->local = true;
    stream->closing_ms = rn_rpc_now_ms();
    if (rn_is_ok(result)) {
        stream->closing = true;
        rn_rpc_stream_pump(stream);
    } else {
        rn_rpc_stream_fail(stream, result);
    }
}

/* --- tags ------------------------------------------------------------------------------------- */

static void on_end(void *owner, bool ok)
{
    (void)ok; /* always true; the status tells */
    struct rn_rpc_stream *stream = stream_of(owner);
    stream->ended = true;
    stream->paused = false;
    report_when_over(stream);
    rn_rpc_stream_release(stream);
}

static void deliver(struct rn_rpc_stream *stream)
{
    struct rn_rpc *rpc = stream->rpc;
    size_t length = 0;
    const rn_result read =
        rn_rpc_flatten(stream->incoming, rpc->inbox, stream->method->message_max, &length);
    grpc_byte_buffer_destroy(RN_TAKE(stream->incoming));
    if (stream->failed) {
        return;
    }
    if (!rn_is_ok(read) || !stream->opened) {
        const rn_result too_early = {RN_E_PEER_PROTOCOL};
        stream->local = true;
        rn_rpc_stream_fail(stream, rn_is_ok(read) ? too_early : read);
        return;
    }
    stream->received_bytes += length;
    stream->moved_ms = rn_rpc_now_ms();
    if (rpc->config.callbacks.on_message != NULL) {
        rpc->config.callbacks.on_message(rpc->config.callbacks.user, stream,
                                         rn_view_of(rpc->inbox, length));
    }
}

static void on_receive(void *owner, bool ok)
{
    struct rn_rpc_stream *stream = stream_of(owner);
    stream->receiving = false;
    switch (rn_rpc_receipt_of(stream->call, ok, stream->incoming)) {
    case RN_RPC_MESSAGE:
        deliver(stream);
        break;
    case RN_RPC_CLEAN_END:
        stream->input_done = true;
        stream->input_clean = true;
        stream->closing = stream->closing || stream->dial.link == NULL;
        rn_rpc_stream_pump(stream);
        break;
    case RN_RPC_BROKEN:
    default:
        stream->input_done = true;
        if (stream->dial.link == NULL && !stream->ended) {
            rn_rpc_stream_fail(stream, (rn_result){RN_E_UNAVAILABLE});
        }
        break;
    }
    rn_rpc_stream_receive_start(stream);
    report_when_over(stream);
    rn_rpc_stream_release(stream);
}

static void on_send(void *owner, bool ok)
{
    struct rn_rpc_stream *stream = stream_of(owner);
    const enum rn_rpc_sending done = stream->sending;
    stream->sending = RN_RPC_SEND_NOTHING;
    if (done == RN_RPC_SEND_MESSAGE) {
        stream->sent_bytes += ok ? stream->first->bytes : 0;
        stream->moved_ms = rn_rpc_now_ms();
        rn_rpc_stream_queue_pop(stream);
    }
    /* A failed send means that the call is over: the end tag says how. */
    if (ok && done != RN_RPC_SEND_FINISH) {
        rn_rpc_stream_pump(stream);
        const struct rn_rpc_callbacks *callbacks = &stream->rpc->config.callbacks;
        if (stream->first == NULL && stream->opened && !stream->closing && !stream->failed &&
            !stream->ended && callbacks->on_writable != NULL) {
            callbacks->on_writable(callbacks->user, stream);
        }
    }
    rn_rpc_stream_release(stream);
}

static void open_now(struct rn_rpc_stream *stream)
{
    const struct rn_rpc_callbacks *callbacks = &stream->rpc->config.callbacks;
    stream->opened = true;
    stream->renewed_ms = rn_rpc_now_ms();
    if (stream->dial.link != NULL) {
        stream->dial.opened(stream->dial.link, stream);
    }
    if (callbacks->on_open != NULL) {
        callbacks->on_open(callbacks->user, stream);
    }
}

static rn_result may_open(struct rn_rpc_stream *stream)
{
    const struct rn_rpc *rpc = stream->rpc;
    const bool dialled = stream->dial.link != NULL;
    RN_TRY(rn_rpc_peer_identify(rpc, stream->call, dialled, &stream->peer));
    if (stream->peer.role == RN_PEER_LOCAL && !stream->method->local) {
        return (rn_result){RN_E_PEER_AUTH};
    }
    if (dialled && strcmp(stream->peer.id, stream->dial.expected_id) != 0) {
        return (rn_result){RN_E_PEER_AUTH};
    }
    return rpc->config.callbacks.authorize(rpc->config.callbacks.user, &stream->peer, stream->kind,
                                           false);
}

/* Dialled: the peer's initial metadata is here. */
static void on_open(void *owner, bool ok)
{
    struct rn_rpc_stream *stream = stream_of(owner);
    const struct rn_view accepted = rn_rpc_metadata_find(&stream->initial, RN_RPC_OPEN_KEY);
    /* Without the key the peer refused; its status is under way. */
    if (ok && accepted.length > 0 && !stream->failed && !stream->ended) {
        const rn_result allowed = may_open(stream);
        if (rn_is_ok(allowed)) {
            open_now(stream);
        } else {
            stream->local = true;
            rn_rpc_stream_fail(stream, allowed);
        }
    }
    rn_rpc_stream_receive_start(stream);
    rn_rpc_stream_release(stream);
}

/* --- beginning -------------------------------------------------------------------------------- */

static struct rn_rpc_stream *stream_new(struct rn_rpc *rpc, grpc_call *call, enum rn_rpc_kind kind)
{
    struct rn_rpc_stream *stream = rn_alloc(1, sizeof(*stream));
    stream->magic = RN_RPC_STREAM_MAGIC;
    stream->rpc = rpc;
    stream->kind = kind;
    stream->method = &rn_rpc_methods[kind];
    stream->number = ++rpc->last_stream;
    stream->born_ms = rn_rpc_now_ms();
    stream->call = call;
    stream->references = 1;
    stream->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    rn_rpc_tag_init(&stream->open_tag, stream, on_open);
    rn_rpc_tag_init(&stream->receive_tag, stream, on_receive);
    rn_rpc_tag_init(&stream->send_tag, stream, on_send);
    rn_rpc_tag_init(&stream->end_tag, stream, on_end);
    stream->next = rpc->streams;
    if (stream->next != NULL) {
        stream->next->previous = stream;
    }
    rpc->streams = stream;
    rpc->live_calls++;
    return stream;
}

static void send_acceptance(struct rn_rpc_stream *stream)
{
    grpc_metadata accepted;
    memset(&accepted, 0, sizeof(accepted));
    accepted.key = grpc_slice_from_static_string(RN_RPC_OPEN_KEY);
    accepted.value = grpc_slice_from_static_string("1");
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_INITIAL_METADATA;
    op.data.send_initial_metadata.count = 1;
    op.data.send_initial_metadata.metadata = &accepted;
    stream->sending = RN_RPC_SEND_METADATA;
    rn_rpc_stream_batch(stream, &op, 1, &stream->send_tag);
}

void rn_rpc_stream_accept(struct rn_rpc *rpc, grpc_call *call, grpc_metadata_array metadata,
                          const struct rn_rpc_method *method)
{
    const enum rn_rpc_kind kind = method->handler == RN_RPC_ON_BULK ? RN_RPC_BULK : RN_RPC_SESSION;
    struct rn_rpc_stream *stream = stream_new(rpc, call, kind);
    grpc_metadata_array_destroy(&stream->initial);
    stream->initial = metadata;
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &stream->cancelled;
    rn_rpc_stream_batch(stream, &op, 1, &stream->end_tag);

    const rn_result stopping = {RN_E_UNAVAILABLE};
    const rn_result allowed = rpc->stopping ? stopping : may_open(stream);
    if (!rn_is_ok(allowed)) {
        stream->local = true;
        stream->failed = true;
        stream->close_result = allowed;
        rn_rpc_stream_status_send(stream, allowed, true);
        return;
    }
    send_acceptance(stream);
    open_now(stream);
    rn_rpc_stream_receive_start(stream);
}

struct rn_rpc_stream *rn_rpc_stream_dial(struct rn_rpc *rpc, const struct rn_rpc_dial *dial)
{
    grpc_slice path = grpc_slice_from_static_string(rn_rpc_methods[dial->kind].path);
    grpc_call *call =
        grpc_channel_create_call(dial->channel, NULL, GRPC_PROPAGATE_DEFAULTS, rpc->queue, path,
                                 NULL, rn_rpc_deadline(dial->deadline_ms), NULL);
    struct rn_rpc_stream *stream = stream_new(rpc, call, dial->kind);
    stream->dial = *dial;

    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &stream->trailing;
    op.data.recv_status_on_client.status = &stream->status;
    op.data.recv_status_on_client.status_details = &stream->status_text;
    rn_rpc_stream_batch(stream, &op, 1, &stream->end_tag);

    grpc_op both[2];
    memset(both, 0, sizeof(both));
    both[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    both[1].op = GRPC_OP_RECV_INITIAL_METADATA;
    both[1].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
    rn_rpc_stream_batch(stream, both, 2, &stream->open_tag);
    return stream;
}
