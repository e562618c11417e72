/* SPDX-License-Identifier: Apache-2.0
 *
 * Envelopes through nanopb's generated tables; the messages with a large payload by hand, so
 * that the payload stays where it is.
 */
#include "services/wire/wire.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "base/guard.h"
#include "services/wire/rondo.pb.h"

_Static_assert(rondo_v1_Envelope_hello_tag == RN_WIRE_HELLO, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_welcome_tag == RN_WIRE_WELCOME, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_closing_tag == RN_WIRE_CLOSING, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_summary_tag == RN_WIRE_SUMMARY, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_status_tag == RN_WIRE_STATUS, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_log_tag == RN_WIRE_LOG, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_log_report_tag == RN_WIRE_LOG_REPORT, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_stop_tag == RN_WIRE_STOP, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_epoch_tag == RN_WIRE_EPOCH, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_signatures_tag == RN_WIRE_SIGNATURES, "schema and wire.h");
_Static_assert(rondo_v1_Envelope_secagg_tag == RN_WIRE_SECAGG, "schema and wire.h");
_Static_assert(sizeof(((rondo_v1_Hello *)0)->name) == RN_WIRE_NAME_MAX + 1, "options and wire.h");
_Static_assert(sizeof(((rondo_v1_Hello *)0)->software) == RN_WIRE_SOFTWARE_MAX + 1,
               "options and wire.h");
_Static_assert(rondo_v1_Hello_size + 16 <= RN_WIRE_ENVELOPE_MAX, "an envelope fits");
_Static_assert(rondo_v1_RoundSummary_size + 16 <= RN_WIRE_ENVELOPE_MAX, "an envelope fits");

/* All bytes fields of 32 have the same shape as this one, under different type names. */
#define HASH_OUT(field, hash)                                    \
    do {                                                         \
        (field).size = (hash).present ? RN_WIRE_HASH_BYTES : 0;  \
        memcpy((field).bytes, (hash).bytes, RN_WIRE_HASH_BYTES); \
    } while (0)
#define HASH_IN(hash, field, ok)                                     \
    do {                                                             \
        (hash).present = (field).size == RN_WIRE_HASH_BYTES;         \
        (ok) = (ok) && ((field).size == 0 || (hash).present);        \
        if ((hash).present) {                                        \
            memcpy((hash).bytes, (field).bytes, RN_WIRE_HASH_BYTES); \
        }                                                            \
    } while (0)

/* Names and versions end up in logs: printable ASCII only. */
static bool text_is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool hello_out(const struct rn_wire_hello *in, rondo_v1_Hello *out)
{
    const size_t name = strnlen(in->name, sizeof(in->name));
    const size_t software = strnlen(in->software, sizeof(in->software));
    if (name == sizeof(in->name) || software == sizeof(in->software)) {
        return false;
    }
    out->protocol = in->protocol;
    memcpy(out->name, in->name, name);
    memcpy(out->software, in->software, software);
    HASH_OUT(out->plan_hash, in->plan_hash);
    HASH_OUT(out->roster_hash, in->roster_hash);
    HASH_OUT(out->adapter_hash, in->adapter_hash);
    out->next_round = in->next_round;
    out->incarnation.size = RN_WIRE_INCARNATION_BYTES;
    memcpy(out->incarnation.bytes, in->incarnation, RN_WIRE_INCARNATION_BYTES);
    out->waits = in->waits;
    return text_is_plain(out->name) && text_is_plain(out->software);
}

static bool hello_in(const rondo_v1_Hello *in, struct rn_wire_hello *out)
{
    bool ok = in->incarnation.size == RN_WIRE_INCARNATION_BYTES && text_is_plain(in->name) &&
              text_is_plain(in->software);
    out->protocol = in->protocol;
    memcpy(out->name, in->name,
           strlen(in->name)); /* nanopb closes it; a repeated field may trail */
    memcpy(out->software, in->software, strlen(in->software));
    HASH_IN(out->plan_hash, in->plan_hash, ok);
    HASH_IN(out->roster_hash, in->roster_hash, ok);
    HASH_IN(out->adapter_hash, in->adapter_hash, ok);
    out->next_round = in->next_round;
    memcpy(out->incarnation, in->incarnation.bytes, RN_WIRE_INCARNATION_BYTES);
    out->waits = in->waits;
    return ok;
}

static void welcome_out(const struct rn_wire_welcome *in, rondo_v1_Welcome *out)
{
    out->round = in->round;
    out->attempt = in->attempt;
    out->members = in->members;
    out->joined_late = in->joined_late;
    HASH_OUT(out->adapter_hash, in->adapter_hash);
    out->summed = in->summed;
}

static bool welcome_in(const rondo_v1_Welcome *in, struct rn_wire_welcome *out)
{
    bool ok = true;
    *out = (struct rn_wire_welcome){.round = in->round,
                                    .attempt = in->attempt,
                                    .members = in->members,
                                    .joined_late = in->joined_late,
                                    .summed = in->summed};
    HASH_IN(out->adapter_hash, in->adapter_hash, ok);
    return ok;
}

static void summary_out(const struct rn_wire_summary *in, rondo_v1_RoundSummary *out)
{
    out->round = in->round;
    out->attempt = in->attempt;
    out->phase = in->phase;
    out->outcome = in->outcome;
    out->included = in->included;
    out->lost = in->lost;
    HASH_OUT(out->adapter_hash, in->adapter_hash);
    out->milliseconds = in->milliseconds;
}

static bool summary_in(const rondo_v1_RoundSummary *in, struct rn_wire_summary *out)
{
    bool ok = true;
    *out = (struct rn_wire_summary){.round = in->round,
                                    .attempt = in->attempt,
                                    .phase = in->phase,
                                    .outcome = in->outcome,
                                    .included = in->included,
                                    .lost = in->lost,
                                    .milliseconds = in->milliseconds};
    HASH_IN(out->adapter_hash, in->adapter_hash, ok);
    return ok;
}

static bool body_out(const struct rn_wire_envelope *in, rondo_v1_Envelope *out)
{
    out->which_body = (pb_size_t)in->body;
    switch (in->body) {
    case RN_WIRE_HELLO:
        return hello_out(&in->as.hello, &out->body.hello);
    case RN_WIRE_WELCOME:
        welcome_out(&in->as.welcome, &out->body.welcome);
        return true;
    case RN_WIRE_CLOSING:
        out->body.closing = (rondo_v1_Closing){
            .reason = in->as.closing.reason,
            .job_done = in->as.closing.job_done,
        };
        return true;
    case RN_WIRE_SUMMARY:
        summary_out(&in->as.summary, &out->body.summary);
        return true;
    case RN_WIRE_STATUS:
        out->body.status = (rondo_v1_Status){
            .round = in->as.status.round,
            .attempt = in->as.status.attempt,
            .stage = in->as.status.stage,
            .beats = in->as.status.beats,
            .reason = in->as.status.reason,
        };
        return true;
    case RN_WIRE_LOG:
    case RN_WIRE_LOG_REPORT:
    case RN_WIRE_STOP:
    case RN_WIRE_EPOCH:
    case RN_WIRE_SIGNATURES:
    case RN_WIRE_SECAGG:
    default:
        return false;
    }
}

static bool body_in(const rondo_v1_Envelope *in, struct rn_wire_envelope *out)
{
    out->body = (enum rn_wire_body)in->which_body;
    switch (in->which_body) {
    case rondo_v1_Envelope_hello_tag:
        return hello_in(&in->body.hello, &out->as.hello);
    case rondo_v1_Envelope_welcome_tag:
        return welcome_in(&in->body.welcome, &out->as.welcome);
    case rondo_v1_Envelope_closing_tag:
        out->as.closing = (struct rn_wire_closing){
            .reason = in->body.closing.reason,
            .job_done = in->body.closing.job_done,
        };
        return true;
    case rondo_v1_Envelope_summary_tag:
        return summary_in(&in->body.summary, &out->as.summary);
    case rondo_v1_Envelope_status_tag:
        out->as.status = (struct rn_wire_status){
            .round = in->body.status.round,
            .attempt = in->body.status.attempt,
            .stage = in->body.status.stage,
            .beats = in->body.status.beats,
            .reason = in->body.status.reason,
        };
        return true;
    default:
        return false;
    }
}

/* Tag and length of a bytes field. */
static bool field_open(pb_ostream_t *stream, uint32_t tag, size_t length)
{
    return pb_encode_tag(stream, PB_WT_STRING, tag) && pb_encode_varint(stream, length);
}

/* A body that is one field of bytes, and stands alone in its envelope. */
struct payload {
    enum rn_wire_body body;
    size_t max;
    const char *name;
};

static const struct payload *payload_of(uint32_t tag)
{
    static const struct payload payloads[] = {
        {RN_WIRE_LOG, RN_WIRE_LOG_MAX, "an update of the log"},
        {RN_WIRE_LOG_REPORT, RN_WIRE_LOG_REPORT_MAX, "a report on the log"},
        {RN_WIRE_STOP, RN_WIRE_STOP_MAX, "a stop"},
        {RN_WIRE_EPOCH, RN_WIRE_EPOCH_MAX, "a message of the epoch"},
        {RN_WIRE_SIGNATURES, RN_WIRE_SIGNATURES_MAX, "plan signatures"},
        {RN_WIRE_SECAGG, RN_WIRE_SECAGG_MAX, "a protocol message"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(payloads); i++) {
        if (payloads[i].body == tag) {
            return &payloads[i];
        }
    }
    return NULL;
}

/* Where the payload stands in an envelope of that body. */
static struct rn_view *payload_place(struct rn_wire_envelope *envelope)
{
    switch (envelope->body) {
    case RN_WIRE_LOG:
        return &envelope->as.log;
    case RN_WIRE_LOG_REPORT:
        return &envelope->as.log_report;
    case RN_WIRE_STOP:
        return &envelope->as.stop;
    case RN_WIRE_EPOCH:
        return &envelope->as.epoch;
    case RN_WIRE_SIGNATURES:
        return &envelope->as.signatures;
    default:
        return &envelope->as.secagg;
    }
}

static rn_result payload_encode(const struct payload *payload, struct rn_view bytes,
                                struct rn_buffer *out, struct rn_error *err)
{
    RN_ENSURE(bytes.length > 0 && bytes.length <= payload->max, err, RN_E_USAGE,
              "%s of %zu bytes: outside the wire's limit (%zu)", payload->name, bytes.length,
              payload->max);
    uint8_t head[16];
    pb_ostream_t stream = pb_ostream_from_buffer(head, sizeof(head));
    RN_BUG_IF(!field_open(&stream, (uint32_t)payload->body, bytes.length));
    rn_buffer_append(out, head, stream.bytes_written);
    rn_buffer_append(out, bytes.data, bytes.length);
    RN_ENSURE(!out->failed, err, RN_E_USAGE, "the output buffer is too small for a message");
    return rn_ok();
}

rn_result rn_wire_envelope_encode(const struct rn_wire_envelope *envelope, struct rn_buffer *out,
                                  struct rn_error *err)
{
    const struct payload *payload = payload_of((uint32_t)envelope->body);
    if (payload != NULL) {
        struct rn_wire_envelope copy = *envelope;
        return payload_encode(payload, *payload_place(&copy), out, err);
    }
    rondo_v1_Envelope message = rondo_v1_Envelope_init_zero;
    RN_ENSURE(body_out(envelope, &message), err, RN_E_USAGE,
              "an envelope of kind %d holds a field beyond its limit", (int)envelope->body);
    uint8_t bytes[RN_WIRE_ENVELOPE_MAX];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));
    RN_ENSURE(pb_encode(&stream, rondo_v1_Envelope_fields, &message), err, RN_E_INTERNAL,
              "an envelope of kind %d could not be encoded", (int)envelope->body);
    rn_buffer_append(out, bytes, stream.bytes_written);
    RN_ENSURE(!out->failed, err, RN_E_USAGE, "the output buffer is too small for a message");
    return rn_ok();
}

/* When the first field is the payload field `tag`, leaves *out at its bytes; they must be all the
 * rest. */
static bool payload_take(pb_istream_t *stream, struct rn_view in, struct rn_view *out)
{
    uint32_t length = 0;
    if (!pb_decode_varint32(stream, &length) || length != stream->bytes_left) {
        return false;
    }
    *out = rn_view_of(in.data + (in.length - length), length);
    return true;
}

static rn_result payload_decode(const struct payload *payload, pb_istream_t *stream,
                                struct rn_view in, struct rn_wire_envelope *out,
                                struct rn_error *err)
{
    struct rn_view bytes = {0};
    RN_ENSURE(payload_take(stream, in, &bytes) && bytes.length > 0, err, RN_E_PEER_FORMAT,
              "%s: the envelope is not filled", payload->name);
    RN_ENSURE(bytes.length <= payload->max, err, RN_E_PEER_LIMIT, "%s of %zu bytes (limit %zu)",
              payload->name, bytes.length, payload->max);
    out->body = payload->body;
    *payload_place(out) = bytes;
    return rn_ok();
}

/* A payload beside another body. */
static bool refuse_field(pb_istream_t *stream, const pb_field_t *field, void **argument)
{
    (void)stream;
    (void)field;
    (void)argument;
    return false;
}

rn_result rn_wire_envelope_decode(struct rn_view in, struct rn_wire_envelope *out,
                                  struct rn_error *err)
{
    memset(out, 0, sizeof(*out));
    pb_istream_t stream = pb_istream_from_buffer(in.data, in.length);
    pb_wire_type_t type = PB_WT_VARINT;
    uint32_t tag = 0;
    bool eof = false;
    RN_ENSURE(pb_decode_tag(&stream, &type, &tag, &eof), err, RN_E_PEER_FORMAT,
              "an envelope is empty or malformed");
    const struct payload *payload = payload_of(tag);
    if (payload != NULL && type == PB_WT_STRING) {
        return payload_decode(payload, &stream, in, out, err);
    }
    /* Nothing but a payload is this long; a pile of unknown fields need not be walked. */
    RN_ENSURE(in.length <= RN_WIRE_ENVELOPE_MAX, err, RN_E_PEER_LIMIT,
              "an envelope has %zu bytes (limit %d)", in.length, RN_WIRE_ENVELOPE_MAX);
    rondo_v1_Envelope message = rondo_v1_Envelope_init_zero;
    message.secagg.funcs.decode = refuse_field;
    message.log.funcs.decode = refuse_field;
    message.log_report.funcs.decode = refuse_field;
    message.stop.funcs.decode = refuse_field;
    message.epoch.funcs.decode = refuse_field;
    message.signatures.funcs.decode = refuse_field;
    stream = pb_istream_from_buffer(in.data, in.length);
    RN_ENSURE(pb_decode(&stream, rondo_v1_Envelope_fields, &message) && body_in(&message, out), err,
              RN_E_PEER_FORMAT, "an envelope is malformed");
    return rn_ok();
}

static bool chunk_is_sound(const struct rn_wire_chunk *chunk)
{
    return (chunk->content == RN_WIRE_MASKED_INPUT || chunk->content == RN_WIRE_SUM) &&
           chunk->count > 0 && chunk->data.length > 0 && chunk->data.length <= RN_WIRE_CHUNK_MAX;
}

static bool number_out(pb_ostream_t *stream, uint32_t tag, uint64_t value)
{
    return value == 0 ||
           (pb_encode_tag(stream, PB_WT_VARINT, tag) && pb_encode_varint(stream, value));
}

rn_result rn_wire_chunk_head(const struct rn_wire_chunk *chunk,
                             uint8_t out[static RN_WIRE_CHUNK_HEAD_MAX], size_t *out_length,
                             struct rn_error *err)
{
    RN_ENSURE(chunk_is_sound(chunk), err, RN_E_USAGE,
              "a chunk of %zu bytes for %u elements is outside its limits", chunk->data.length,
              (unsigned)chunk->count);
    pb_ostream_t stream = pb_ostream_from_buffer(out, RN_WIRE_CHUNK_HEAD_MAX);
    const bool ok =
        field_open(&stream, rondo_v1_BulkChunk_session_tag, RN_WIRE_HASH_BYTES) &&
        pb_write(&stream, chunk->session, RN_WIRE_HASH_BYTES) &&
        number_out(&stream, rondo_v1_BulkChunk_content_tag, (uint64_t)chunk->content) &&
        number_out(&stream, rondo_v1_BulkChunk_sender_tag, chunk->sender) &&
        number_out(&stream, rondo_v1_BulkChunk_first_element_tag, chunk->first_element) &&
        number_out(&stream, rondo_v1_BulkChunk_count_tag, chunk->count) &&
        field_open(&stream, rondo_v1_BulkChunk_data_tag, chunk->data.length);
    RN_BUG_IF(!ok);
    *out_length = stream.bytes_written;
    return rn_ok();
}

static bool session_in(pb_istream_t *stream, uint8_t out[static RN_WIRE_HASH_BYTES])
{
    uint32_t length = 0;
    return pb_decode_varint32(stream, &length) && length == RN_WIRE_HASH_BYTES &&
           pb_read(stream, out, RN_WIRE_HASH_BYTES);
}

/* One field of a chunk; false for anything that cannot be. */
static bool chunk_field(pb_istream_t *stream, struct rn_view in, uint32_t tag, pb_wire_type_t type,
                        struct rn_wire_chunk *out)
{
    uint32_t content = 0;
    const bool number = type == PB_WT_VARINT;
    switch (tag) {
    case rondo_v1_BulkChunk_session_tag:
        return type == PB_WT_STRING && session_in(stream, out->session);
    case rondo_v1_BulkChunk_content_tag:
        if (!number || !pb_decode_varint32(stream, &content) || content > RN_WIRE_SUM) {
            return false;
        }
        out->content = (enum rn_wire_content)content;
        return true;
    case rondo_v1_BulkChunk_sender_tag:
        return number && pb_decode_varint32(stream, &out->sender);
    case rondo_v1_BulkChunk_first_element_tag:
        return number && pb_decode_varint(stream, &out->first_element);
    case rondo_v1_BulkChunk_count_tag:
        return number && pb_decode_varint32(stream, &out->count);
    case rondo_v1_BulkChunk_data_tag:
        return type == PB_WT_STRING && payload_take(stream, in, &out->data);
    default:
        return pb_skip_field(stream, type);
    }
}

rn_result rn_wire_chunk_decode(struct rn_view in, struct rn_wire_chunk *out, struct rn_error *err)
{
    memset(out, 0, sizeof(*out));
    pb_istream_t stream = pb_istream_from_buffer(in.data, in.length);
    unsigned seen = 0;
    while (out->data.length == 0 && stream.bytes_left > 0) {
        pb_wire_type_t type = PB_WT_VARINT;
        uint32_t tag = 0;
        bool eof = false;
        RN_ENSURE(in.length - stream.bytes_left <= RN_WIRE_CHUNK_HEAD_MAX, err, RN_E_PEER_FORMAT,
                  "a chunk's header is longer than %d bytes", RN_WIRE_CHUNK_HEAD_MAX);
        RN_ENSURE(pb_decode_tag(&stream, &type, &tag, &eof) &&
                      chunk_field(&stream, in, tag, type, out),
                  err, RN_E_PEER_FORMAT, "a chunk is malformed");
        RN_ENSURE(tag >= 16 || (seen & (1U << tag)) == 0, err, RN_E_PEER_FORMAT,
                  "a chunk has a field twice");
        seen |= tag < 16 ? 1U << tag : 0;
    }
    RN_ENSURE(out->data.length <= RN_WIRE_CHUNK_MAX, err, RN_E_PEER_LIMIT,
              "a chunk has %zu bytes (limit %zu)", out->data.length, (size_t)RN_WIRE_CHUNK_MAX);
    RN_ENSURE((seen & (1U << rondo_v1_BulkChunk_session_tag)) != 0 && chunk_is_sound(out), err,
              RN_E_PEER_FORMAT, "a chunk lacks a field or holds one too many");
    return rn_ok();
}

rn_result rn_wire_hello_check(const struct rn_wire_hello *theirs, struct rn_error *err)
{
    RN_ENSURE(theirs->protocol != 0, err, RN_E_PEER_FORMAT, "a hello names no protocol version");
    RN_ENSURE(theirs->protocol == RN_WIRE_PROTOCOL, err, RN_E_UNSUPPORTED,
              "the peer speaks wire protocol %u, this program speaks %d: upgrade %s",
              (unsigned)theirs->protocol, RN_WIRE_PROTOCOL,
              theirs->protocol < RN_WIRE_PROTOCOL ? "the peer" : "this program");
    return rn_ok();
}
