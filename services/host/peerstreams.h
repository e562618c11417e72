/* SPDX-License-Identifier: Apache-2.0
 *
 * The peers' streams between rpc and the executor: what arrives becomes inputs, and SEND, CLOSE and
 * chunks go out. A session stream's connection number is rpc's stream number. While a
 * peer's part of the executor's inbox is full none of its streams is read; the others' are.
 *
 * Bulk: of two streams of one peer, the older one is used up to its end (a second process with the
 * same certificate must not take it over), unless its peer's session was replaced, or `newest` is
 * set. Chunks that no stream has taken wait here, at most RN_EXECUTOR_BULK_CHUNKS of a peer.
 *
 * Threads: the loop's, but for the functions under "From the executor's thread".
 */
#ifndef RN_SERVICES_HOST_PEERSTREAMS_H
#define RN_SERVICES_HOST_PEERSTREAMS_H

#include "services/host/executor.h"
#include "services/host/loopmeter.h"
#include "services/rpc/rpc.h"
#include "services/wire/wire.h"

/* Queued bytes on a Bulk stream above which no further chunk is sent: its part of
 * RN_STREAM_BULK_BYTES, at most RN_STREAM_BULK_WINDOW. A stream holds one chunk more than that. */
#define RN_STREAM_BULK_WINDOW ((size_t)2 << 20)
#define RN_STREAM_BULK_BYTES ((size_t)64 << 20)
size_t rn_peerstreams_window(uint32_t peers);

struct rn_peerstreams;

struct rn_peerstreams_config {
    struct rn_executor *executor; /* borrowed */
    struct rn_loopmeter *meter;   /* borrowed */
    uint32_t peers;               /* 1: the one peer is RN_SA_COORDINATOR */
    bool newest;
    enum rn_wire_content content; /* of the chunks that go out */
    uint32_t sender;              /* in their heads; RN_SA_COORDINATOR: the peer they go to */
    /* The peer that a proved identity is, or -1. */
    int (*find)(void *context, const struct rn_peer *peer);
    void *context;
};

struct rn_peerstreams *rn_peerstreams_new(const struct rn_peerstreams_config *config);
/* Before rn_rpc_run. */
void rn_peerstreams_set_rpc(struct rn_peerstreams *streams, struct rn_rpc *rpc);
/* After rn_rpc_close. NULL is fine. */
void rn_peerstreams_free(struct rn_peerstreams *streams);

void rn_peerstreams_opened(struct rn_peerstreams *streams, struct rn_rpc_stream *stream);
void rn_peerstreams_message(struct rn_peerstreams *streams, struct rn_rpc_stream *stream,
                            struct rn_view message);
void rn_peerstreams_writable(struct rn_peerstreams *streams, struct rn_rpc_stream *stream);
void rn_peerstreams_closed(struct rn_peerstreams *streams, struct rn_rpc_stream *stream,
                           const struct rn_rpc_end *end);

/* ---- From the executor's thread, in order */

/* Takes the bytes over. */
void rn_peerstreams_send(struct rn_peerstreams *streams, uint64_t connection,
                         struct rn_buffer *bytes);
void rn_peerstreams_close(struct rn_peerstreams *streams, uint64_t connection, rn_result result);
/* Takes the chunk over. */
void rn_peerstreams_chunk(struct rn_peerstreams *streams, struct rn_executor_chunk *chunk);
/* The inbox has room for the peer again. */
void rn_peerstreams_resume(struct rn_peerstreams *streams, uint32_t peer);
/* Stops the transport behind all of the above. */
void rn_peerstreams_stop(struct rn_peerstreams *streams, uint32_t grace_ms);

#endif
