/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/peerstreams.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

/* One open stream of either kind. */
struct connection {
    struct rn_rpc_stream *stream;
    uint32_t place;
    bool lost; /* a message found no room */
    struct connection *next;
};

struct peer {
    struct rn_rpc_stream *bulk;
    struct rn_rpc_stream *bulk_next; /* a newer one, used when the older has ended */
    struct rn_executor_chunk outbox[RN_EXECUTOR_BULK_CHUNKS];
    unsigned waiting;
    bool paused; /* none of its streams is read */
};

struct rn_peerstreams {
    struct rn_peerstreams_config config;
    struct rn_rpc *rpc;
    struct connection *connections;
    struct peer *peers;
    size_t window; /* of each bulk stream */
};

size_t rn_peerstreams_window(uint32_t peers)
{
    const size_t part = RN_STREAM_BULK_BYTES / peers;
    return part < RN_STREAM_BULK_WINDOW ? part : RN_STREAM_BULK_WINDOW;
}

struct rn_peerstreams *rn_peerstreams_new(const struct rn_peerstreams_config *config)
{
    struct rn_peerstreams *streams = rn_alloc(1, sizeof(*streams));
    streams->config = *config;
    streams->peers = rn_alloc(config->peers, sizeof(*streams->peers));
    streams->window = rn_peerstreams_window(config->peers);
    return streams;
}

void rn_peerstreams_set_rpc(struct rn_peerstreams *streams, struct rn_rpc *rpc)
{
    streams->rpc = rpc;
}

void rn_peerstreams_free(struct rn_peerstreams *streams)
{
    if (streams == NULL) {
        return;
    }
    for (uint32_t i = 0; i < streams->config.peers; i++) {
        for (unsigned chunk = 0; chunk < streams->peers[i].waiting; chunk++) {
            rn_buffer_clear(&streams->peers[i].outbox[chunk].message);
        }
    }
    rn_free(streams->peers);
    rn_free(streams);
}

static uint32_t place_of(const struct rn_peerstreams *streams, uint32_t peer)
{
    return streams->config.peers == 1 ? 0 : peer;
}

static uint32_t peer_number(const struct rn_peerstreams *streams, uint32_t place)
{
    return streams->config.peers == 1 ? RN_SA_COORDINATOR : place;
}

/* ---- Inputs */

static void pause_peer(struct rn_peerstreams *streams, uint32_t place)
{
    if (!streams->peers[place].paused) {
        streams->peers[place].paused = true;
        for (const struct connection *c = streams->connections; c != NULL; c = c->next) {
            if (c->place == place) {
                rn_rpc_stream_pause(c->stream);
            }
        }
    }
}

static void post(struct rn_peerstreams *streams, struct rn_input input, uint32_t place)
{
    input.peer = peer_number(streams, place);
    if (!rn_executor_post(streams->config.executor, &input)) {
        pause_peer(streams, place);
    }
}

/* ---- Bulk */

static bool has_room(const struct rn_peerstreams *streams, const struct rn_rpc_stream *stream)
{
    size_t messages = 0;
    size_t bytes = 0;
    rn_rpc_stream_queued(stream, &messages, &bytes);
    return bytes < streams->window;
}

static rn_result send_chunk(const struct rn_peerstreams *streams, struct rn_rpc_stream *stream,
                            const struct rn_executor_chunk *chunk)
{
    const struct rn_peerstreams_config *config = &streams->config;
    struct rn_wire_chunk piece = {
        .content = config->content,
        .sender = config->sender == RN_SA_COORDINATOR ? chunk->peer : config->sender,
        .first_element = chunk->chunk,
        .count = 1,
        .data = rn_buffer_view(&chunk->message),
    };
    memcpy(piece.session, chunk->session, sizeof(piece.session));
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    RN_TRY(rn_wire_chunk_head(&piece, head, &length, NULL));
    return rn_rpc_stream_send2(stream, rn_view_of(head, length), piece.data);
}

static void flush(struct rn_peerstreams *streams, uint32_t place)
{
    struct peer *peer = &streams->peers[place];
    while (peer->waiting > 0 && peer->bulk != NULL && has_room(streams, peer->bulk)) {
        const rn_result sent = send_chunk(streams, peer->bulk, &peer->outbox[0]);
        if (sent.code == RN_E_BUSY || sent.code == RN_E_UNAVAILABLE) {
            return; /* until the stream is writable, or another one comes */
        }
        /* One that no stream would take is dropped: the peer asks again for what it lacks. */
        rn_buffer_clear(&peer->outbox[0].message);
        peer->waiting--;
        memmove(&peer->outbox[0], &peer->outbox[1], peer->waiting * sizeof(peer->outbox[0]));
        rn_executor_room(streams->config.executor, peer_number(streams, place), 1);
    }
}

static void use_bulk(struct rn_peerstreams *streams, uint32_t place, struct rn_rpc_stream *stream)
{
    streams->peers[place].bulk = stream;
    if (stream != NULL) {
        post(streams, (struct rn_input){.kind = RN_INPUT_BULK_OPENED}, place);
        flush(streams, place);
    }
}

static void replace(struct rn_rpc_stream *stream)
{
    rn_rpc_stream_close(stream, rn_fail(NULL, RN_E_PEER_REPLAY, "replaced"));
}

static void bulk_opened(struct rn_peerstreams *streams, uint32_t place,
                        struct rn_rpc_stream *stream)
{
    struct peer *peer = &streams->peers[place];
    struct rn_rpc_stream *old = peer->bulk;
    if (old == NULL || streams->config.newest) {
        use_bulk(streams, place, stream);
    } else {
        old = peer->bulk_next;
        peer->bulk_next = stream;
    }
    if (old != NULL) {
        replace(old);
    }
}

/* The peer's session was replaced: its older bulk stream is as dead as that. */
static void promote(struct rn_peerstreams *streams, uint32_t place)
{
    struct peer *peer = &streams->peers[place];
    struct rn_rpc_stream *old = peer->bulk;
    struct rn_rpc_stream *next = peer->bulk_next;
    if (next != NULL) {
        peer->bulk_next = NULL;
        use_bulk(streams, place, next);
        replace(old);
    }
}

static void bulk_closed(struct rn_peerstreams *streams, uint32_t place,
                        const struct rn_rpc_stream *stream)
{
    struct peer *peer = &streams->peers[place];
    if (stream == peer->bulk_next) {
        peer->bulk_next = NULL;
    } else if (stream == peer->bulk) {
        struct rn_rpc_stream *next = peer->bulk_next;
        peer->bulk_next = NULL;
        use_bulk(streams, place, next);
    }
}

/* ---- Streams */

void rn_peerstreams_opened(struct rn_peerstreams *streams, struct rn_rpc_stream *stream)
{
    const int place = streams->config.find(streams->config.context, rn_rpc_stream_peer(stream));
    if (place < 0) {
        rn_rpc_stream_close(stream, rn_fail(NULL, RN_E_PEER_AUTH, "not in the roster"));
        return;
    }
    struct connection *connection = rn_alloc(1, sizeof(*connection));
    connection->stream = stream;
    connection->place = (uint32_t)place;
    connection->next = streams->connections;
    streams->connections = connection;
    rn_rpc_stream_set_user(stream, connection);
    if (streams->peers[connection->place].paused) {
        rn_rpc_stream_pause(stream);
    }
    if (rn_rpc_stream_kind(stream) == RN_RPC_SESSION) {
        post(streams,
             (struct rn_input){.kind = RN_INPUT_OPENED, .connection = rn_rpc_stream_number(stream)},
             connection->place);
    } else {
        bulk_opened(streams, connection->place, stream);
    }
}

void rn_peerstreams_message(struct rn_peerstreams *streams, struct rn_rpc_stream *stream,
                            struct rn_view message)
{
    const struct connection *connection = rn_rpc_stream_user(stream);
    const bool session = rn_rpc_stream_kind(stream) == RN_RPC_SESSION;
    if (connection != NULL) {
        post(streams,
             (struct rn_input){.kind = session ? RN_INPUT_MESSAGE : RN_INPUT_BULK,
                               .connection = session ? rn_rpc_stream_number(stream) : 0,
                               .bytes = message},
             connection->place);
    }
}

void rn_peerstreams_writable(struct rn_peerstreams *streams, struct rn_rpc_stream *stream)
{
    struct connection *connection = rn_rpc_stream_user(stream);
    if (connection == NULL) {
        return;
    }
    if (stream == streams->peers[connection->place].bulk) {
        flush(streams, connection->place);
    } else if (connection->lost) {
        connection->lost = false;
        post(streams,
             (struct rn_input){.kind = RN_INPUT_LOST, .connection = rn_rpc_stream_number(stream)},
             connection->place);
    }
}

void rn_peerstreams_closed(struct rn_peerstreams *streams, struct rn_rpc_stream *stream,
                           const struct rn_rpc_end *end)
{
    struct connection *connection = rn_rpc_stream_user(stream);
    if (connection == NULL) {
        return;
    }
    const uint32_t place = connection->place;
    struct connection **link = &streams->connections;
    while (*link != connection) {
        link = &(*link)->next;
    }
    *link = connection->next;
    rn_free(connection);
    rn_rpc_stream_set_user(stream, NULL);
    if (rn_rpc_stream_kind(stream) == RN_RPC_SESSION) {
        post(streams,
             (struct rn_input){.kind = RN_INPUT_GONE,
                               .connection = rn_rpc_stream_number(stream),
                               .code = end->result.code},
             place);
    } else {
        bulk_closed(streams, place, stream);
    }
}

/* ---- From the executor's thread */

enum order_kind { SEND, CLOSE, CHUNK, RESUME, STOP };

struct order {
    struct rn_peerstreams *streams;
    enum order_kind kind;
    uint64_t connection;
    struct rn_buffer bytes;
    rn_result result;
    struct rn_executor_chunk chunk;
    uint32_t peer;
    uint32_t grace_ms;
};

static struct connection *find_connection(const struct rn_peerstreams *streams, uint64_t number)
{
    struct connection *connection = streams->connections;
    while (connection != NULL && rn_rpc_stream_number(connection->stream) != number) {
        connection = connection->next;
    }
    return connection;
}

static void send(struct order *order)
{
    struct connection *connection = find_connection(order->streams, order->connection);
    if (connection != NULL &&
        rn_rpc_stream_send(connection->stream, rn_buffer_view(&order->bytes)).code == RN_E_BUSY) {
        connection->lost = true;
    }
}

static void close_connection(struct order *order)
{
    const struct connection *connection = find_connection(order->streams, order->connection);
    if (connection != NULL) {
        const uint32_t place = connection->place;
        rn_rpc_stream_close(connection->stream, order->result);
        if (!rn_is_ok(order->result)) {
            promote(order->streams, place);
        }
    }
}

static void take_chunk(struct order *order)
{
    struct rn_peerstreams *streams = order->streams;
    const uint32_t place = place_of(streams, order->chunk.peer);
    struct peer *peer = &streams->peers[place];
    RN_BUG_IF(peer->waiting >= RN_EXECUTOR_BULK_CHUNKS);
    peer->outbox[peer->waiting++] = order->chunk;
    order->chunk.message = (struct rn_buffer){0};
    flush(streams, place);
}

static void resume_peer(struct rn_peerstreams *streams, uint32_t place)
{
    streams->peers[place].paused = false;
    for (const struct connection *c = streams->connections; c != NULL; c = c->next) {
        if (c->place == place) {
            rn_rpc_stream_resume(c->stream);
        }
    }
}

static void free_order(struct order *order)
{
    rn_buffer_clear(&order->bytes);
    rn_buffer_clear(&order->chunk.message);
    rn_free(order);
}

static void carry_out(void *argument)
{
    struct order *order = argument;
    switch (order->kind) {
    case SEND:
        send(order);
        break;
    case CLOSE:
        close_connection(order);
        break;
    case CHUNK:
        take_chunk(order);
        break;
    case RESUME:
        resume_peer(order->streams, place_of(order->streams, order->peer));
        break;
    case STOP:
        rn_rpc_stop(order->streams->rpc, order->grace_ms);
        break;
    }
    free_order(order);
}

static void give(struct rn_peerstreams *streams, struct order order)
{
    struct order *copy = rn_alloc(1, sizeof(*copy));
    *copy = order;
    copy->streams = streams;
    if (!rn_loopmeter_post(streams->config.meter, streams->rpc, carry_out, copy)) {
        free_order(copy); /* the loop has stopped: everything is gone */
    }
}

void rn_peerstreams_send(struct rn_peerstreams *streams, uint64_t connection,
                         struct rn_buffer *bytes)
{
    const struct rn_buffer taken = *bytes;
    *bytes = (struct rn_buffer){0};
    give(streams, (struct order){.kind = SEND, .connection = connection, .bytes = taken});
}

void rn_peerstreams_close(struct rn_peerstreams *streams, uint64_t connection, rn_result result)
{
    give(streams, (struct order){.kind = CLOSE, .connection = connection, .result = result});
}

void rn_peerstreams_chunk(struct rn_peerstreams *streams, struct rn_executor_chunk *chunk)
{
    const struct rn_executor_chunk taken = *chunk;
    chunk->message = (struct rn_buffer){0};
    give(streams, (struct order){.kind = CHUNK, .chunk = taken});
}

void rn_peerstreams_resume(struct rn_peerstreams *streams, uint32_t peer)
{
    give(streams, (struct order){.kind = RESUME, .peer = peer});
}

void rn_peerstreams_stop(struct rn_peerstreams *streams, uint32_t grace_ms)
{
    give(streams, (struct order){.kind = STOP, .grace_ms = grace_ms});
}
