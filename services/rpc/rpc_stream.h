/* SPDX-License-Identifier: Apache-2.0
 *
 * The struct behind a stream, shared by rpc_streambatch.c (what core is asked to do), rpc_stream.c
 * (life) and rpc_streamuse.c (what the user and the loop may do with it), and what the files above
 * need of it. A dialled stream tells its dialler through struct rn_rpc_dial; it knows no more of
 * it.
 */
#ifndef RN_SERVICES_RPC_STREAM_H
#define RN_SERVICES_RPC_STREAM_H

#include "services/rpc/rpc_core.h"

#define RN_RPC_STREAM_MAGIC 0x7274736dU

/* What the outstanding send batch carries. */
enum rn_rpc_sending {
    RN_RPC_SEND_NOTHING = 0,
    RN_RPC_SEND_METADATA,
    RN_RPC_SEND_MESSAGE,
    RN_RPC_SEND_FINISH
};

/* How a stream is dialled, and who hears of it. */
struct rn_rpc_dial {
    struct rn_rpc_link *link; /* first argument of both; what rn_rpc_stream_link returns */
    grpc_channel *channel;
    enum rn_rpc_kind kind;
    const char *expected_id; /* the peer's; lives as long as the stream */
    uint64_t deadline_ms;    /* core cuts the stream then, whatever it is doing */
    void (*opened)(struct rn_rpc_link *link, struct rn_rpc_stream *stream); /* before on_open */
    /* After on_closed; lived_ms is 0 for a stream that never opened. */
    void (*ended)(struct rn_rpc_link *link, struct rn_rpc_stream *stream,
                  const struct rn_rpc_end *end, uint64_t lived_ms);
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
    struct rn_rpc_dial dial; /* dial.link is NULL when accepted */
    const struct rn_rpc_method *method;
    enum rn_rpc_kind kind;
    uint64_t number;
    struct rn_peer peer;
    void *user;
    uint64_t born_ms;
    uint64_t closing_ms;
    uint64_t renewed_ms;
    uint64_t moved_ms; /* a message last arrived or left */

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

/* Takes ownership of call and metadata. */
void rn_rpc_stream_accept(struct rn_rpc *rpc, grpc_call *call, grpc_metadata_array metadata,
                          const struct rn_rpc_method *method);
struct rn_rpc_stream *rn_rpc_stream_dial(struct rn_rpc *rpc, const struct rn_rpc_dial *dial);

/* Nothing queued, and nothing arrived or left within quiet_ms. */
bool rn_rpc_stream_is_idle(const struct rn_rpc_stream *stream, uint64_t quiet_ms);
void rn_rpc_streams_cancel_all(struct rn_rpc *rpc);
/* Dates, renewal of authorisation, calls beyond their time. */
void rn_rpc_streams_inspect(struct rn_rpc *rpc);

#endif
