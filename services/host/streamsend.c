/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/streamsend.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

bool rn_stream_send(struct rn_rpc_stream *stream, const struct rn_wire_envelope *envelope)
{
    if (stream == NULL) {
        return false;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    return rn_is_ok(rn_wire_envelope_encode(envelope, &bytes, NULL)) &&
           rn_is_ok(rn_rpc_stream_send(stream, rn_buffer_view(&bytes)));
}

bool rn_stream_send_secagg(struct rn_rpc_stream *stream, struct rn_view message)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG, .as.secagg = message};
    return rn_stream_send(stream, &envelope);
}

bool rn_stream_send_bulk(struct rn_rpc_stream *stream, const uint8_t session[static 32],
                         enum rn_wire_content content, uint32_t sender, uint64_t chunk,
                         struct rn_view message)
{
    if (stream == NULL) {
        return false;
    }
    struct rn_wire_chunk piece = {
        .content = content, .sender = sender, .first_element = chunk, .count = 1, .data = message};
    memcpy(piece.session, session, sizeof(piece.session));
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    return rn_is_ok(rn_wire_chunk_head(&piece, head, &length, NULL)) &&
           rn_is_ok(rn_rpc_stream_send2(stream, rn_view_of(head, length), message));
}

void rn_stream_bulk_clear(struct rn_stream_bulk *bulk)
{
    rn_free(bulk->wanted);
    *bulk = (struct rn_stream_bulk){0};
}

void rn_stream_bulk_add(struct rn_stream_bulk *bulk, const uint8_t session[static 32],
                        const struct rn_sa_action *action)
{
    if (memcmp(bulk->session, session, sizeof(bulk->session)) != 0 ||
        bulk->chunks != action->chunks) {
        rn_stream_bulk_clear(bulk);
        memcpy(bulk->session, session, sizeof(bulk->session));
        bulk->chunks = action->chunks;
        bulk->wanted = rn_alloc(action->chunks, 1);
    }
    for (uint32_t chunk = 0; chunk < action->chunks; chunk++) {
        if (rn_sa_action_wants(action, chunk) && !bulk->wanted[chunk]) {
            bulk->wanted[chunk] = 1;
            bulk->left++;
        }
    }
    bulk->next = 0;
}

static bool has_room(const struct rn_rpc_stream *stream)
{
    size_t messages = 0;
    size_t bytes = 0;
    rn_rpc_stream_queued(stream, &messages, &bytes);
    return bytes < RN_STREAM_BULK_WINDOW;
}

rn_result rn_stream_bulk_pump(struct rn_stream_bulk *bulk, struct rn_rpc_stream *stream,
                              enum rn_wire_content content, uint32_t sender,
                              rn_stream_chunk_fn chunk, void *context, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    while (bulk->left > 0 && stream != NULL && has_room(stream)) {
        while (!bulk->wanted[bulk->next]) {
            bulk->next++;
        }
        RN_TRY(chunk(context, bulk->next, &bytes, err));
        if (!rn_stream_send_bulk(stream, bulk->session, content, sender, bulk->next,
                                 rn_buffer_view(&bytes))) {
            break;
        }
        bulk->wanted[bulk->next++] = 0;
        bulk->left--;
    }
    return rn_ok();
}
