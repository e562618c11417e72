/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done with an open stream: sending, pausing, inspection by the loop, facts.
 */
#include "base/alloc.h"
#include "services/rpc/rpc_buffer.h"
#include "services/rpc/rpc_peer.h"
#include "services/rpc/rpc_stream.h"

/* A dialled stream that its peer has not accepted by then is given up. */
#define OPEN_MS_MAX 20000U
/* After an orderly close the peer may take this long to finish its side. */
#define CLOSE_MS_MAX 30000U
/* authorize(renewal) about once in so long. */
#define RENEWAL_MS 60000U

/* --- sending ---------------------------------------------------------------------------------- */

rn_result rn_rpc_stream_send2(struct rn_rpc_stream *stream, struct rn_view head,
                              struct rn_view body)
{
    const size_t bytes = head.length + body.length;
    if (!stream->opened || stream->closing || stream->failed || stream->ended) {
        return (rn_result){RN_E_UNAVAILABLE};
    }
    if (head.length > RN_RPC_MESSAGE_MAX || body.length > RN_RPC_MESSAGE_MAX ||
        bytes > RN_RPC_MESSAGE_MAX) {
        return (rn_result){RN_E_PEER_LIMIT};
    }
    if (stream->queued_messages >= RN_RPC_QUEUE_MESSAGES_MAX ||
        stream->queued_bytes + bytes > RN_RPC_QUEUE_BYTES_MAX) {
        return (rn_result){RN_E_BUSY};
    }
    struct rn_rpc_outgoing *last = rn_alloc(1, sizeof(*last));
    last->buffer = rn_rpc_buffer_of(head, body);
    last->bytes = bytes;
    if (stream->last != NULL) {
        stream->last->next = last;
    } else {
        stream->first = last;
    }
    stream->last = last;
    stream->queued_messages++;
    stream->queued_bytes += bytes;
    rn_rpc_stream_pump(stream);
    return rn_ok();
}

rn_result rn_rpc_stream_send(struct rn_rpc_stream *stream, struct rn_view message)
{
    return rn_rpc_stream_send2(stream, message, rn_view_of(NULL, 0));
}

void rn_rpc_stream_queued(const struct rn_rpc_stream *stream, size_t *out_messages,
                          size_t *out_bytes)
{
    *out_messages = stream->queued_messages;
    *out_bytes = stream->queued_bytes;
}

void rn_rpc_stream_pause(struct rn_rpc_stream *stream)
{
    stream->paused = !stream->ended;
}

void rn_rpc_stream_resume(struct rn_rpc_stream *stream)
{
    stream->paused = false;
    rn_rpc_stream_receive_start(stream);
}

/* --- looking after them ----------------------------------------------------------------------- */

static void inspect(struct rn_rpc_stream *stream, uint64_t now)
{
    const struct rn_rpc_callbacks *callbacks = &stream->rpc->config.callbacks;
    const uint64_t age = now - stream->born_ms;
    if (stream->local && now - stream->closing_ms > CLOSE_MS_MAX) {
        rn_rpc_stream_fail(stream, (rn_result){RN_E_TIMEOUT});
        return;
    }
    if ((!stream->opened && age > OPEN_MS_MAX) ||
        (stream->dial.link == NULL && age > (uint64_t)stream->method->seconds_max * 1000U)) {
        rn_rpc_stream_close(stream, (rn_result){RN_E_TIMEOUT});
        return;
    }
    if (!stream->opened || now - stream->renewed_ms < RENEWAL_MS) {
        return;
    }
    stream->renewed_ms = now;
    rn_result allowed = {RN_E_PEER_AUTH};
    if (rn_rpc_peer_in_date(&stream->peer, rn_rpc_wall_ms(stream->rpc))) {
        allowed = callbacks->authorize(callbacks->user, &stream->peer, stream->kind, true);
    }
    if (!rn_is_ok(allowed)) {
        rn_rpc_stream_close(stream, allowed);
    }
}

void rn_rpc_streams_inspect(struct rn_rpc *rpc)
{
    const uint64_t now = rn_rpc_now_ms();
    struct rn_rpc_stream *next = NULL;
    /* Nothing here frees a stream: that happens on tags alone. */
    for (struct rn_rpc_stream *stream = rpc->streams; stream != NULL; stream = next) {
        next = stream->next;
        if (!stream->failed && !stream->ended) {
            inspect(stream, now);
        }
    }
}

bool rn_rpc_stream_is_idle(const struct rn_rpc_stream *stream, uint64_t quiet_ms)
{
    return stream->queued_messages == 0 && rn_rpc_now_ms() - stream->moved_ms >= quiet_ms;
}

void rn_rpc_streams_cancel_all(struct rn_rpc *rpc)
{
    struct rn_rpc_stream *next = NULL;
    for (struct rn_rpc_stream *stream = rpc->streams; stream != NULL; stream = next) {
        next = stream->next;
        stream->paused = false;
        rn_rpc_stream_close(stream, (rn_result){RN_E_UNAVAILABLE});
        /* A status that the peer does not read would hold up the shutdown. */
        if (!stream->ended) {
            grpc_call_cancel(stream->call, NULL);
        }
    }
}

/* --- facts ------------------------------------------------------------------------------------ */

const struct rn_peer *rn_rpc_stream_peer(const struct rn_rpc_stream *stream)
{
    return &stream->peer;
}

enum rn_rpc_kind rn_rpc_stream_kind(const struct rn_rpc_stream *stream)
{
    return stream->kind;
}

struct rn_rpc_link *rn_rpc_stream_link(const struct rn_rpc_stream *stream)
{
    return stream->dial.link;
}

uint64_t rn_rpc_stream_number(const struct rn_rpc_stream *stream)
{
    return stream->number;
}

void rn_rpc_stream_set_user(struct rn_rpc_stream *stream, void *user)
{
    stream->user = user;
}

void *rn_rpc_stream_user(const struct rn_rpc_stream *stream)
{
    return stream->user;
}

void rn_rpc_stream_traffic(const struct rn_rpc_stream *stream, uint64_t *out_sent,
                           uint64_t *out_received)
{
    *out_sent = stream->sent_bytes;
    *out_received = stream->received_bytes;
}
