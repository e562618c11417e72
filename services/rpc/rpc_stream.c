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
#include "base/clock.h"
#include "services/rpc/rpc_internal.h"

#define STREAM_MAGIC 0x7274736dU
/* A dialled stream that its peer has not accepted by then is given up. */
#define OPEN_MS_MAX 20000U
/* After an orderly close the peer may take this long to finish its side. */
#define CLOSE_MS_MAX 30000U
/* authorize(renewal) about once in so long. */
#define RENEWAL_MS 60000U

/* What the outstanding send batch carries. */
enum sending { SEND_NOTHING = 0, SEND_METADATA, SEND_MESSAGE, SEND_FINISH };

struct outgoing {
    struct outgoing *next;
    grpc_byte_buffer *buffer;
    size_t bytes;
};

struct rn_rpc_stream {
    uint32_t magic;
    struct rn_rpc *rpc;
    struct rn_rpc_stream *previous;
    struct rn_rpc_stream *next;
    struct rn_rpc_link *link; /* NULL when accepted */
    const struct rn_rpc_method *method;
    enum rn_rpc_kind kind;
    uint64_t number;
    struct rn_peer peer;
    void *user;
    uint64_t born_ms;
    uint64_t closing_ms;
    uint64_t renewed_ms;

    grpc_call *call;
    unsigned references; /* one until reported, one for each batch */
    struct rn_rpc_tag open_tag;
    struct rn_rpc_tag receive_tag;
    struct rn_rpc_tag send_tag;
    struct rn_rpc_tag end_tag;

    bool opened;    /* on_open was called */
    bool receiving; /* a receive batch is outstanding */
    enum sending sending;
    bool paused;
    bool input_done;  /* no message will come any more */
    bool input_clean; /* ... because the peer said so */
    bool closing;     /* send what is queued, then end in order */
    bool finishing;   /* half-close or status is on its way */
    bool failed;      /* ends now, drop everything */
    bool local;       /* this side ended it */
    bool ended;       /* the end tag came */
    bool reported;    /* ... and its user knows */
    rn_result close_result;

    struct outgoing *first; /* in flight when SEND_MESSAGE */
    struct outgoing *last;
    size_t queued_messages;
    size_t queued_bytes;
    uint64_t sent_bytes;
    uint64_t received_bytes;

    grpc_byte_buffer *incoming;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code status;
    grpc_slice status_text;
    int cancelled;
};

/* --- memory ----------------------------------------------------------------------------------- */

static void queue_pop(struct rn_rpc_stream *stream)
{
    struct outgoing *head = stream->first;
    stream->first = head->next;
    if (stream->first == NULL) {
        stream->last = NULL;
    }
    stream->queued_messages--;
    stream->queued_bytes -= head->bytes;
    grpc_byte_buffer_destroy(head->buffer);
    rn_free(head);
}

static void stream_release(struct rn_rpc_stream *stream)
{
    if (--stream->references > 0) {
        return;
    }
    while (stream->first != NULL) {
        queue_pop(stream);
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

static struct rn_rpc_stream *stream_of(void *owner)
{
    struct rn_rpc_stream *stream = owner;
    RN_BUG_IF(stream->magic != STREAM_MAGIC);
    return stream;
}

/* --- batches ---------------------------------------------------------------------------------- */

static void batch(struct rn_rpc_stream *stream, const grpc_op *ops, size_t count,
                  struct rn_rpc_tag *tag)
{
    stream->references++;
    /* A refused batch delivers no tag, so a wait for one would never end. Only misuse is refused.
     */
    RN_BUG_IF(grpc_call_start_batch(stream->call, ops, count, tag, NULL) != GRPC_CALL_OK);
}

static void receive_start(struct rn_rpc_stream *stream)
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
    batch(stream, &op, 1, &stream->receive_tag);
}

static void send_head(struct rn_rpc_stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_MESSAGE;
    op.data.send_message.send_message = stream->first->buffer;
    stream->sending = SEND_MESSAGE;
    batch(stream, &op, 1, &stream->send_tag);
}

static void send_half_close(struct rn_rpc_stream *stream)
{
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    stream->sending = SEND_FINISH;
    stream->finishing = true;
    batch(stream, &op, 1, &stream->send_tag);
}

/* Ends an accepted stream. with_initial: it was refused before it was opened. */
static void send_status(struct rn_rpc_stream *stream, rn_result result, bool with_initial)
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
    stream->sending = SEND_FINISH;
    stream->finishing = true;
    batch(stream, ops, count, &stream->send_tag);
}

/* Sends the next thing that is due. */
static void pump(struct rn_rpc_stream *stream)
{
    if (stream->sending != SEND_NOTHING || stream->finishing || stream->ended || stream->failed) {
        return;
    }
    if (stream->first != NULL) {
        send_head(stream);
    } else if (stream->closing && stream->link != NULL) {
        send_half_close(stream);
    } else if (stream->closing) {
        send_status(stream, rn_ok(), false);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static struct rn_rpc_end end_of(const struct rn_rpc_stream *stream)
{
    struct rn_rpc_end end = {.local = stream->local, .grpc_status = (int)stream->status};
    if (stream->link != NULL) {
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
    if (stream->link != NULL) {
        rn_rpc_link_stream_ended(stream->link, stream, &end, stream->opened ? lived : 0);
    }
    stream_release(stream);
}

/* Ends the stream now. On an accepted stream the peer learns the reason if the send side is free.
 */
static void fail(struct rn_rpc_stream *stream, rn_result result)
{
    if (stream->failed || stream->ended) {
        return;
    }
    stream->failed = true;
    stream->close_result = result;
    if (stream->link == NULL && stream->sending == SEND_NOTHING && !stream->finishing) {
        send_status(stream, result, false);
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
        pump(stream);
    } else {
        fail(stream, result);
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
    stream_release(stream);
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
        stream->local = true;
        fail(stream, rn_is_ok(read) ? (rn_result){RN_E_PEER_PROTOCOL} : read);
        return;
    }
    stream->received_bytes += length;
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
        stream->closing = stream->closing || stream->link == NULL;
        pump(stream);
        break;
    case RN_RPC_BROKEN:
    default:
        stream->input_done = true;
        if (stream->link == NULL && !stream->ended) {
            fail(stream, (rn_result){RN_E_UNAVAILABLE});
        }
        break;
    }
    receive_start(stream);
    report_when_over(stream);
    stream_release(stream);
}

static void on_send(void *owner, bool ok)
{
    struct rn_rpc_stream *stream = stream_of(owner);
    const enum sending done = stream->sending;
    stream->sending = SEND_NOTHING;
    if (done == SEND_MESSAGE) {
        stream->sent_bytes += ok ? stream->first->bytes : 0;
        queue_pop(stream);
    }
    /* A failed send means that the call is over: the end tag says how. */
    if (ok && done != SEND_FINISH) {
        pump(stream);
        const struct rn_rpc_callbacks *callbacks = &stream->rpc->config.callbacks;
        if (stream->first == NULL && stream->opened && !stream->closing && !stream->failed &&
            !stream->ended && callbacks->on_writable != NULL) {
            callbacks->on_writable(callbacks->user, stream);
        }
    }
    stream_release(stream);
}

static void open_now(struct rn_rpc_stream *stream)
{
    const struct rn_rpc_callbacks *callbacks = &stream->rpc->config.callbacks;
    stream->opened = true;
    stream->renewed_ms = rn_rpc_now_ms();
    if (stream->link != NULL) {
        rn_rpc_link_stream_open(stream->link, stream);
    }
    if (callbacks->on_open != NULL) {
        callbacks->on_open(callbacks->user, stream);
    }
}

static rn_result may_open(struct rn_rpc_stream *stream)
{
    const struct rn_rpc *rpc = stream->rpc;
    const bool dialled = stream->link != NULL;
    RN_TRY(rn_rpc_peer_identify(rpc, stream->call, dialled, &stream->peer));
    if (stream->peer.role == RN_PEER_LOCAL && !stream->method->local) {
        return (rn_result){RN_E_PEER_AUTH};
    }
    if (dialled && strcmp(stream->peer.id, rn_rpc_link_expected(stream->link)->id) != 0) {
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
            fail(stream, allowed);
        }
    }
    receive_start(stream);
    stream_release(stream);
}

/* --- beginning -------------------------------------------------------------------------------- */

static struct rn_rpc_stream *stream_new(struct rn_rpc *rpc, grpc_call *call, enum rn_rpc_kind kind)
{
    struct rn_rpc_stream *stream = rn_alloc(1, sizeof(*stream));
    stream->magic = STREAM_MAGIC;
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
    stream->sending = SEND_METADATA;
    batch(stream, &op, 1, &stream->send_tag);
}

void rn_rpc_stream_accept(struct rn_rpc *rpc, struct rn_rpc_incoming *incoming)
{
    const enum rn_rpc_kind kind =
        incoming->method->handler == RN_RPC_ON_BULK ? RN_RPC_BULK : RN_RPC_SESSION;
    struct rn_rpc_stream *stream = stream_new(rpc, incoming->call, kind);
    grpc_metadata_array_destroy(&stream->initial);
    stream->initial = incoming->metadata;
    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
    op.data.recv_close_on_server.cancelled = &stream->cancelled;
    batch(stream, &op, 1, &stream->end_tag);

    const rn_result allowed = rpc->stopping ? (rn_result){RN_E_UNAVAILABLE} : may_open(stream);
    if (!rn_is_ok(allowed)) {
        stream->local = true;
        stream->failed = true;
        stream->close_result = allowed;
        send_status(stream, allowed, true);
        return;
    }
    send_acceptance(stream);
    open_now(stream);
    receive_start(stream);
}

struct rn_rpc_stream *rn_rpc_stream_dial(struct rn_rpc *rpc, struct rn_rpc_link *link,
                                         grpc_channel *channel, enum rn_rpc_kind kind)
{
    grpc_slice path = grpc_slice_from_static_string(rn_rpc_methods[kind].path);
    grpc_call *call = grpc_channel_create_call(
        channel, NULL, GRPC_PROPAGATE_DEFAULTS, rpc->queue, path, NULL,
        rn_rpc_deadline((uint64_t)rpc->config.stream_seconds * 1000U), NULL);
    struct rn_rpc_stream *stream = stream_new(rpc, call, kind);
    stream->link = link;

    grpc_op op;
    memset(&op, 0, sizeof(op));
    op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op.data.recv_status_on_client.trailing_metadata = &stream->trailing;
    op.data.recv_status_on_client.status = &stream->status;
    op.data.recv_status_on_client.status_details = &stream->status_text;
    batch(stream, &op, 1, &stream->end_tag);

    grpc_op both[2];
    memset(both, 0, sizeof(both));
    both[0].op = GRPC_OP_SEND_INITIAL_METADATA;
    both[1].op = GRPC_OP_RECV_INITIAL_METADATA;
    both[1].data.recv_initial_metadata.recv_initial_metadata = &stream->initial;
    batch(stream, both, 2, &stream->open_tag);
    return stream;
}

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
    struct outgoing *last = rn_alloc(1, sizeof(*last));
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
    pump(stream);
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
    receive_start(stream);
}

/* --- looking after them ----------------------------------------------------------------------- */

static void inspect(struct rn_rpc_stream *stream, uint64_t now)
{
    const struct rn_rpc_callbacks *callbacks = &stream->rpc->config.callbacks;
    const uint64_t age = now - stream->born_ms;
    if (stream->local && now - stream->closing_ms > CLOSE_MS_MAX) {
        fail(stream, (rn_result){RN_E_TIMEOUT});
        return;
    }
    if ((!stream->opened && age > OPEN_MS_MAX) ||
        (stream->link == NULL && age > (uint64_t)stream->method->seconds_max * 1000U)) {
        rn_rpc_stream_close(stream, (rn_result){RN_E_TIMEOUT});
        return;
    }
    if (!stream->opened || now - stream->renewed_ms < RENEWAL_MS) {
        return;
    }
    stream->renewed_ms = now;
    rn_result allowed = {RN_E_PEER_AUTH};
    if (rn_rpc_peer_in_date(&stream->peer, rn_clock_wall_ms())) {
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
    return stream->link;
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
