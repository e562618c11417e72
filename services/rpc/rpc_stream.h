/* SPDX-License-Identifier: Apache-2.0
 *
 * The struct behind a stream, shared by rpc_stream.c (life), rpc_streambatch.c (what core is asked
 * to do) and rpc_streamuse.c (what the user and the loop may do with it).
 */
#ifndef RN_SERVICES_RPC_STREAM_H
#define RN_SERVICES_RPC_STREAM_H

#include "services/rpc/rpc_internal.h"

#define RN_RPC_STREAM_MAGIC 0x7274736dU

/* What the outstanding send batch carries. */
enum rn_rpc_sending {
    RN_RPC_SEND_NOTHING = 0,
    RN_RPC_SEND_METADATA,
    RN_RPC_SEND_MESSAGE,
    RN_RPC_SEND_FINISH
};

struct rn_rpc_outgoing {
    struct rn_rpc_outgoing *next;
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
    enum rn_rpc_sending sending;
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

    struct rn_rpc_outgoing *first; /* in flight when RN_RPC_SEND_MESSAGE */
    struct rn_rpc_outgoing *last;
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

/* Drops one reference; the last frees. */
void rn_rpc_stream_release(struct rn_rpc_stream *stream);
/* Drops the head of the outgoing queue. */
void rn_rpc_stream_queue_pop(struct rn_rpc_stream *stream);

/* Hands a batch to core and holds a reference until its tag comes. */
void rn_rpc_stream_batch(struct rn_rpc_stream *stream, const grpc_op *ops, size_t count,
                         struct rn_rpc_tag *tag);
/* Asks for the next message, unless paused, over or already asked. */
void rn_rpc_stream_receive_start(struct rn_rpc_stream *stream);
/* Ends an accepted stream. with_initial: it was refused before it was opened. */
void rn_rpc_stream_status_send(struct rn_rpc_stream *stream, rn_result result, bool with_initial);
/* Sends the next thing that is due. */
void rn_rpc_stream_pump(struct rn_rpc_stream *stream);
/* Ends the stream now. On an accepted stream the peer learns the reason if the send side is free.
 */
void rn_rpc_stream_fail(struct rn_rpc_stream *stream, rn_result result);

#endif
