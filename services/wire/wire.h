/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of rondo.proto as plain structs: encode into a bounded buffer, decode from a view,
 * limits checked in both directions. Nothing is allocated while decoding, and the payload of a
 * secagg or epoch message, of a stop, of signatures or of a bulk chunk is borrowed from the input,
 * not copied.
 *
 * Decoding accepts what any protobuf library writes for these messages (unknown fields are
 * skipped), with two restrictions: a secagg message stands alone in its envelope, and so do a stop,
 * an epoch message and signatures; and a chunk's data comes last.
 */
#ifndef RN_SERVICES_WIRE_WIRE_H
#define RN_SERVICES_WIRE_WIRE_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Both sides must name the same number. */
#define RN_WIRE_PROTOCOL 4
#define RN_WIRE_NAME_MAX 63
#define RN_WIRE_SOFTWARE_MAX 63
#define RN_WIRE_HASH_BYTES 32
#define RN_WIRE_INCARNATION_BYTES 16
/* One signed protocol message: RN_SA_MESSAGE_MAX of crypto/secagg/envelope.h, for the share set of
 * 128 members. */
#define RN_WIRE_SECAGG_MAX ((size_t)2 << 20)
/* The plan's signatures as text: RN_SIGNATURES_BYTES_MAX of policy/signature.h. */
#define RN_WIRE_SIGNATURES_MAX ((size_t)512 << 10)
/* One message of the epoch: its head and RN_SA_EPOCH_DOCUMENT_MAX of crypto/secagg/epoch.h. */
#define RN_WIRE_EPOCH_MAX ((size_t)8 + 80 + 1024 * 100)
/* A member's stop: RN_JOB_STOP_BYTES_MAX of federation/jobstop.h. */
#define RN_WIRE_STOP_MAX ((size_t)304)
/* Updates of the federation's log and reports on it: RN_TLOG_UPDATE_MAX and RN_TLOG_REPORT_MAX of
 * policy/tlog/tlogupdate.h. */
#define RN_WIRE_LOG_MAX (((size_t)128 << 10) + 1036)
#define RN_WIRE_LOG_REPORT_MAX ((size_t)846)
/* Payload of one chunk: 1 MiB of lanes and the signed message's header around them. */
#define RN_WIRE_CHUNK_MAX (((size_t)1 << 20) + 2048)
/* Room for a chunk's fields before its data. */
#define RN_WIRE_CHUNK_HEAD_MAX 96
/* An envelope without secagg, stop, epoch and signatures. */
#define RN_WIRE_ENVELOPE_MAX 1024

enum rn_wire_body {
    RN_WIRE_HELLO = 1,
    RN_WIRE_WELCOME = 2,
    RN_WIRE_CLOSING = 3,
    RN_WIRE_SUMMARY = 4,
    RN_WIRE_STATUS = 5,
    RN_WIRE_LOG = 10,
    RN_WIRE_LOG_REPORT = 11,
    RN_WIRE_STOP = 12,
    RN_WIRE_EPOCH = 13,
    RN_WIRE_SIGNATURES = 14,
    RN_WIRE_SECAGG = 15,
};

/* A hash that may be absent on the wire. */
struct rn_wire_hash {
    bool present;
    uint8_t bytes[RN_WIRE_HASH_BYTES];
};

struct rn_wire_hello {
    uint32_t protocol;
    char name[RN_WIRE_NAME_MAX + 1]; /* "" for a coordinator */
    struct rn_wire_hash plan_hash;
    struct rn_wire_hash roster_hash;
    char software[RN_WIRE_SOFTWARE_MAX + 1];
    uint64_t next_round; /* first round the sender has no finished record of */
    struct rn_wire_hash adapter_hash;
    uint8_t incarnation[RN_WIRE_INCARNATION_BYTES]; /* random per process */
    bool waits; /* takes no offer before it holds more signatures of the plan */
};

struct rn_wire_welcome {
    uint64_t round;
    uint64_t attempt;
    uint32_t members;
    bool joined_late;
    struct rn_wire_hash adapter_hash;
    uint64_t summed;
};

struct rn_wire_closing {
    uint32_t reason; /* enum rn_code */
    bool job_done;
};

struct rn_wire_summary {
    uint64_t round;
    uint64_t attempt;
    uint32_t phase;
    uint32_t outcome; /* 0 summed, else enum rn_code */
    uint32_t included;
    uint32_t lost;
    struct rn_wire_hash adapter_hash;
    uint64_t milliseconds;
};

struct rn_wire_status {
    uint64_t round;
    uint64_t attempt;
    uint32_t stage;
    uint64_t beats; /* grows while training gets on */
    uint32_t reason;
};

struct rn_wire_envelope {
    enum rn_wire_body body;
    union {
        struct rn_wire_hello hello;
        struct rn_wire_welcome welcome;
        struct rn_wire_closing closing;
        struct rn_wire_summary summary;
        struct rn_wire_status status;
        struct rn_view log;        /* borrowed; policy/tlog/tlogupdate.h */
        struct rn_view log_report; /* borrowed; the same */
        struct rn_view stop;       /* borrowed; federation/jobstop.h */
        struct rn_view epoch;      /* borrowed; federation/epochmessage.h */
        struct rn_view signatures; /* borrowed; unchecked text */
        struct rn_view secagg;     /* borrowed */
    } as;
};

enum rn_wire_content {
    RN_WIRE_MASKED_INPUT = 1,
    RN_WIRE_SUM = 2,
};

struct rn_wire_chunk {
    uint8_t session[RN_WIRE_HASH_BYTES];
    enum rn_wire_content content;
    uint32_t sender; /* roster index of the member whose vector it is */
    uint64_t first_element;
    uint32_t count;
    struct rn_view data; /* borrowed; 1 to RN_WIRE_CHUNK_MAX bytes */
};

/* Appends the encoded envelope. RN_E_USAGE when a field is beyond its limit (out is unchanged
 * then). */
RN_MUST rn_result rn_wire_envelope_encode(const struct rn_wire_envelope *envelope,
                                          struct rn_buffer *out, struct rn_error *err);
/* RN_E_PEER_FORMAT for anything malformed, RN_E_PEER_LIMIT for a secagg or epoch message, a
 * stop or signatures that are too long. */
RN_MUST rn_result rn_wire_envelope_decode(struct rn_view in, struct rn_wire_envelope *out,
                                          struct rn_error *err);

/* The fields before the data: send head and chunk->data as one message (rn_rpc_stream_send2).
 * *out_length is what was written. */
RN_MUST rn_result rn_wire_chunk_head(const struct rn_wire_chunk *chunk,
                                     uint8_t out[static RN_WIRE_CHUNK_HEAD_MAX], size_t *out_length,
                                     struct rn_error *err);
RN_MUST rn_result rn_wire_chunk_decode(struct rn_view in, struct rn_wire_chunk *out,
                                       struct rn_error *err);

/* Says who must upgrade when the protocols differ: RN_E_UNSUPPORTED. */
RN_MUST rn_result rn_wire_hello_check(const struct rn_wire_hello *theirs, struct rn_error *err);

#endif
