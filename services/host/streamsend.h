/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending on the two streams: envelopes on a Session, and chunks on a Bulk stream, pulled one by
 * one as the stream takes them, so that nothing is copied before it can go out.
 */
#ifndef RN_SERVICES_HOST_STREAMSEND_H
#define RN_SERVICES_HOST_STREAMSEND_H

#include "crypto/secagg/actions.h"
#include "crypto/sha256.h"
#include "services/rpc/rpc.h"
#include "services/wire/wire.h"

/* Queued bytes on a Bulk stream above which no further chunk is pulled. */
#define RN_STREAM_BULK_WINDOW ((size_t)2 << 20)

/* All return false when the stream is NULL or did not take the message. */
bool rn_stream_send(struct rn_rpc_stream *stream, const struct rn_wire_envelope *envelope);
bool rn_stream_send_secagg(struct rn_rpc_stream *stream, struct rn_view message);
/* A signed message on the Bulk stream, behind the chunks already queued there. */
bool rn_stream_send_bulk(struct rn_rpc_stream *stream, const uint8_t session[static 32],
                         enum rn_wire_content content, uint32_t sender, uint64_t chunk,
                         struct rn_view message);

/* Chunks still to be sent to one peer. Zero-initialise. */
struct rn_stream_bulk {
    uint8_t session[RN_HASH_BYTES];
    uint8_t *wanted; /* one byte per chunk */
    uint32_t chunks;
    uint32_t left;
    uint32_t next;
};

/* Adds the chunks that a SEND_BULK action wants; another session's are forgotten. */
void rn_stream_bulk_add(struct rn_stream_bulk *bulk, const uint8_t session[static 32],
                        const struct rn_sa_action *action);
void rn_stream_bulk_clear(struct rn_stream_bulk *bulk);

typedef rn_result (*rn_stream_chunk_fn)(void *context, uint32_t chunk, struct rn_buffer *out,
                                        struct rn_error *err);
/* Sends what the stream takes now. RN_OK with left == 0: all handed over; otherwise call again from
 * on_writable. A failure is that of the chunk function. */
RN_MUST rn_result rn_stream_bulk_pump(struct rn_stream_bulk *bulk, struct rn_rpc_stream *stream,
                                      enum rn_wire_content content, uint32_t sender,
                                      rn_stream_chunk_fn chunk, void *context,
                                      struct rn_error *err);

#endif
