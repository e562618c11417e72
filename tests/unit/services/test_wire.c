/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire messages: round trips, agreement with nanopb's own decoder, limits at and beyond, and
 * every truncation and bit flip of good messages.
 */
#include <pb_decode.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/epoch.h"
#include "policy/signature.h"
#include "policy/tlog/tlogupdate.h"
#include "services/federation/epochmessage.h"
#include "services/federation/jobstop.h"
#include "services/wire/rondo.pb.h"
#include "services/wire/wire.h"

extern char **environ;

static struct rn_wire_envelope hello_make(void)
{
    struct rn_wire_envelope envelope = {.body = RN_WIRE_HELLO};
    struct rn_wire_hello *hello = &envelope.as.hello;
    hello->protocol = RN_WIRE_PROTOCOL;
    memset(hello->name, 'n', RN_WIRE_NAME_MAX);
    memset(hello->software, 's', RN_WIRE_SOFTWARE_MAX);
    hello->plan_hash.present = true;
    memset(hello->plan_hash.bytes, 0xa1, RN_WIRE_HASH_BYTES);
    hello->roster_hash.present = true;
    memset(hello->roster_hash.bytes, 0xa2, RN_WIRE_HASH_BYTES);
    hello->next_round = UINT64_MAX;
    hello->waits = true;
    memset(hello->incarnation, 0x17, RN_WIRE_INCARNATION_BYTES);
    return envelope;
}

static void round_trip(const struct rn_wire_envelope *envelope, struct rn_wire_envelope *out,
                       struct rn_buffer *bytes)
{
    rn_buffer_clear(bytes);
    assert_true(rn_is_ok(rn_wire_envelope_encode(envelope, bytes, NULL)));
    assert_true(rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(bytes), out, NULL)));
    assert_int_equal(out->body, envelope->body);
}

static void test_envelopes(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = hello_make();
    round_trip(&in, &out, &bytes);
    assert_string_equal(out.as.hello.name, in.as.hello.name);
    assert_string_equal(out.as.hello.software, in.as.hello.software);
    assert_true(out.as.hello.plan_hash.present);
    assert_false(out.as.hello.adapter_hash.present);
    assert_memory_equal(out.as.hello.roster_hash.bytes, in.as.hello.roster_hash.bytes, 32);
    assert_int_equal(out.as.hello.next_round, UINT64_MAX);
    assert_memory_equal(out.as.hello.incarnation, in.as.hello.incarnation, 16);
    assert_true(out.as.hello.waits);
    assert_true(bytes.length <= RN_WIRE_ENVELOPE_MAX);

    in = (struct rn_wire_envelope){
        .body = RN_WIRE_WELCOME,
        .as.welcome = {.round = 3, .attempt = 1, .members = 128, .joined_late = true, .summed = 2}};
    in.as.welcome.adapter_hash.present = true;
    in.as.welcome.adapter_hash.bytes[31] = 7;
    round_trip(&in, &out, &bytes);
    assert_int_equal(out.as.welcome.round, 3);
    assert_int_equal(out.as.welcome.attempt, 1);
    assert_int_equal(out.as.welcome.members, 128);
    assert_int_equal(out.as.welcome.summed, 2);
    assert_true(out.as.welcome.joined_late && out.as.welcome.adapter_hash.present);
    assert_int_equal(out.as.welcome.adapter_hash.bytes[31], 7);

    in = (struct rn_wire_envelope){.body = RN_WIRE_CLOSING,
                                   .as.closing = {.reason = RN_E_INCOMPLETE, .job_done = true}};
    round_trip(&in, &out, &bytes);
    assert_memory_equal(&out.as.closing, &in.as.closing, sizeof(in.as.closing));

    in = (struct rn_wire_envelope){
        .body = RN_WIRE_SUMMARY,
        .as.summary = {.round = 9, .phase = 2, .included = 3, .lost = 1, .milliseconds = 77}};
    in.as.summary.adapter_hash.present = true;
    in.as.summary.adapter_hash.bytes[31] = 9;
    round_trip(&in, &out, &bytes);
    assert_int_equal(out.as.summary.lost, 1);
    assert_int_equal(out.as.summary.milliseconds, 77);
    assert_int_equal(out.as.summary.adapter_hash.bytes[31], 9);

    in = (struct rn_wire_envelope){
        .body = RN_WIRE_STATUS,
        .as.status = {.round = 1, .attempt = 2, .stage = 3, .beats = 4, .reason = 6}};
    round_trip(&in, &out, &bytes);
    assert_memory_equal(&out.as.status, &in.as.status, sizeof(in.as.status));

    /* All defaults: an empty body is still that body. */
    in = (struct rn_wire_envelope){.body = RN_WIRE_STATUS};
    round_trip(&in, &out, &bytes);
}

static void test_secagg(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    uint8_t *message = rn_alloc(RN_WIRE_SECAGG_MAX + 1, 1);
    memset(message, 0x5a, RN_WIRE_SECAGG_MAX + 1);
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = {.body = RN_WIRE_SECAGG};
    for (size_t length = 1; length <= RN_WIRE_SECAGG_MAX; length = length * 4 - 1 + length % 2) {
        in.as.secagg = rn_view_of(message, length);
        round_trip(&in, &out, &bytes);
        assert_true(rn_view_equal(out.as.secagg, in.as.secagg));
        assert_true(out.as.secagg.data > bytes.data); /* borrowed */
    }
    in.as.secagg = rn_view_of(message, RN_WIRE_SECAGG_MAX);
    round_trip(&in, &out, &bytes);
    in.as.secagg.length++;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    in.as.secagg.length = 0;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);

    /* One byte beyond the limit, written by hand: 7a, length 2^21 + 1. */
    rn_buffer_clear(&bytes);
    rn_buffer_append(&bytes, "\x7a\x81\x80\x80\x01", 5);
    rn_buffer_append(&bytes, message, RN_WIRE_SECAGG_MAX + 1);
    assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_LIMIT);
    rn_free(message);
}

/* As long as the file may be, and one byte more: on the way out, and from a peer. */
static void test_signatures(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    uint8_t *text = rn_alloc(RN_WIRE_SIGNATURES_MAX + 1, 1);
    memset(text, 'a', RN_WIRE_SIGNATURES_MAX + 1);
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = {.body = RN_WIRE_SIGNATURES};
    assert_int_equal(RN_WIRE_SIGNATURES_MAX, RN_SIGNATURES_BYTES_MAX);
    for (size_t length = 1; length <= RN_WIRE_SIGNATURES_MAX; length *= 16) {
        in.as.signatures = rn_view_of(text, length);
        round_trip(&in, &out, &bytes);
        assert_true(rn_view_equal(out.as.signatures, in.as.signatures));
        assert_true(out.as.signatures.data > bytes.data); /* borrowed */
    }
    in.as.signatures.length = RN_WIRE_SIGNATURES_MAX + 1;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    in.as.signatures.length = 0;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);

    for (size_t more = 0; more < 2; more++) { /* by hand: 72, length 2^19, 2^19 + 1 */
        rn_buffer_clear(&bytes);
        rn_buffer_append(&bytes, more == 0 ? "\x72\x80\x80\x20" : "\x72\x81\x80\x20", 4);
        rn_buffer_append(&bytes, text, RN_WIRE_SIGNATURES_MAX + more);
        assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                         more == 0 ? RN_OK : RN_E_PEER_LIMIT);
    }
    rn_free(text);
}

/* A message of the epoch, as long as one may be and one byte more; and what stands in it. */
static void test_epoch(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    uint8_t *message = rn_alloc(RN_WIRE_EPOCH_MAX + 1, 1);
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = {.body = RN_WIRE_EPOCH};
    assert_int_equal(RN_WIRE_EPOCH_MAX, RN_EPOCH_HEAD_BYTES + RN_SA_EPOCH_DOCUMENT_MAX);
    in.as.epoch = rn_view_of(message, RN_WIRE_EPOCH_MAX);
    round_trip(&in, &out, &bytes);
    assert_true(rn_view_equal(out.as.epoch, in.as.epoch));
    in.as.epoch.length = RN_WIRE_EPOCH_MAX + 1;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    in.as.epoch.length = 0;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    for (size_t more = 0; more < 2; more++) { /* by hand: field 13, length 102488, 102489 */
        rn_buffer_clear(&bytes);
        rn_buffer_append(&bytes, more == 0 ? "\x6a\xd8\xa0\x06" : "\x6a\xd9\xa0\x06", 4);
        rn_buffer_append(&bytes, message, RN_WIRE_EPOCH_MAX + more);
        assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                         more == 0 ? RN_OK : RN_E_PEER_LIMIT);
    }
    rn_free(message);
}

/* The longest stop, and one byte more. */
static void test_stop(void **state)
{
    (void)state;
    static const uint8_t stop[RN_WIRE_STOP_MAX + 1] = {1};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = {.body = RN_WIRE_STOP};
    assert_int_equal(RN_WIRE_STOP_MAX, RN_JOB_STOP_BYTES_MAX);
    in.as.stop = rn_view_of(stop, RN_WIRE_STOP_MAX);
    round_trip(&in, &out, &bytes);
    assert_true(rn_view_equal(out.as.stop, in.as.stop));
    in.as.stop.length = RN_WIRE_STOP_MAX + 1;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    in.as.stop.length = 0;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    for (size_t more = 0; more < 2; more++) { /* by hand: field 12, length 304, 305 */
        rn_buffer_clear(&bytes);
        rn_buffer_append(&bytes, more == 0 ? "\x62\xb0\x02" : "\x62\xb1\x02", 3);
        rn_buffer_append(&bytes, stop, RN_WIRE_STOP_MAX + more);
        assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                         more == 0 ? RN_OK : RN_E_PEER_LIMIT);
    }
}

static void check_log(enum rn_wire_body body, size_t most)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = {.body = body};
    uint8_t *text = rn_alloc(most + 1, 1);
    struct rn_view *at = body == RN_WIRE_LOG ? &in.as.log : &in.as.log_report;
    *at = rn_view_of(text, most);
    round_trip(&in, &out, &bytes);
    assert_true(rn_view_equal(body == RN_WIRE_LOG ? out.as.log : out.as.log_report, *at));
    at->length = most + 1;
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    rn_buffer_clear(&bytes); /* by hand: the field, one byte too many */
    rn_buffer_u8(&bytes, (uint8_t)((unsigned)body << 3 | 2));
    for (size_t rest = most + 1; rest > 0; rest >>= 7) {
        rn_buffer_u8(&bytes, (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0)));
    }
    rn_buffer_append(&bytes, text, most + 1);
    assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_LIMIT);
    rn_free(text);
}

/* The longest of both, and one byte more. */
static void test_log(void **state)
{
    (void)state;
    assert_int_equal(RN_WIRE_LOG_MAX, RN_TLOG_UPDATE_MAX);
    assert_int_equal(RN_WIRE_LOG_REPORT_MAX, RN_TLOG_REPORT_MAX);
    check_log(RN_WIRE_LOG, RN_WIRE_LOG_MAX);
    check_log(RN_WIRE_LOG_REPORT, RN_WIRE_LOG_REPORT_MAX);
}

static enum rn_code read_epoch(uint32_t kind, uint32_t attempt, size_t length)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_epoch_message message;
    rn_buffer_u32(&bytes, kind);
    rn_buffer_u32(&bytes, attempt);
    if (length > 0) {
        (void)rn_buffer_grow(&bytes, length);
    }
    return rn_epoch_message_read(rn_buffer_view(&bytes), &message, NULL).code;
}

/* Kinds, attempts and lengths at their limits and beyond. */
static void test_epoch_messages(void **state)
{
    (void)state;
    static const struct {
        uint32_t kind;
        size_t least, most;
    } rows[] = {
        {RN_EPOCH_CALL, 0, 0},
        {RN_EPOCH_DRAWN, 0, 0},
        {RN_EPOCH_COMMITMENT, RN_SA_EPOCH_ENTRY_BYTES, RN_SA_EPOCH_ENTRY_BYTES},
        {RN_EPOCH_REVEAL, RN_SA_EPOCH_ENTRY_BYTES, RN_SA_EPOCH_ENTRY_BYTES},
        {RN_EPOCH_SET, RN_SA_EPOCH_SET_HEAD, RN_SA_EPOCH_DOCUMENT_MAX},
        {RN_EPOCH_REVEALS, RN_SA_EPOCH_REVEALS_HEAD, RN_SA_EPOCH_DOCUMENT_MAX},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        const bool document = rows[i].least != rows[i].most;
        assert_int_equal(read_epoch(rows[i].kind, 1, rows[i].least), RN_OK);
        assert_int_equal(read_epoch(rows[i].kind, RN_SA_EPOCH_ATTEMPTS_MAX, rows[i].most), RN_OK);
        assert_int_equal(read_epoch(rows[i].kind, 1, rows[i].most + 1),
                         document ? RN_E_PEER_LIMIT : RN_E_PEER_FORMAT);
        assert_true(rows[i].least == 0 ||
                    read_epoch(rows[i].kind, 1, rows[i].least - 1) == RN_E_PEER_FORMAT);
        assert_int_equal(read_epoch(rows[i].kind, 0, rows[i].least), RN_E_PEER_FORMAT);
        assert_int_equal(read_epoch(rows[i].kind, RN_SA_EPOCH_ATTEMPTS_MAX + 1, rows[i].least),
                         RN_E_PEER_LIMIT);
    }
    assert_int_equal(read_epoch(RN_EPOCH_ASK, 0, 0), RN_OK);
    assert_int_equal(read_epoch(RN_EPOCH_ASK, 1, 0), RN_E_PEER_FORMAT);
    assert_int_equal(read_epoch(0, 1, 0), RN_E_PEER_FORMAT);
    assert_int_equal(read_epoch(RN_EPOCH_DRAWN + 1, 1, 0), RN_E_PEER_FORMAT);
    assert_int_equal(
        rn_epoch_message_read(rn_view_of("\1\0\0\0\0\0\0", 7), &(struct rn_epoch_message){0}, NULL)
            .code,
        RN_E_PEER_FORMAT);
}

static void test_malformed_envelopes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"", 0},                  /* nothing */
        {"\x7a", 1},              /* tag alone */
        {"\x7a\x00", 2},          /* empty secagg */
        {"\x7a\x02x", 3},         /* length beyond the end */
        {"\x7a\x01xy", 4},        /* something after it */
        {"\x7a\x01x\x2a\x00", 5}, /* a second body after it */
        {"\x2a\x00\x7a\x01x", 5}, /* ... or before it */
        {"\x62\x00", 2},          /* empty stop */
        {"\x62\x01x\x2a\x00", 5}, /* a body after it */
        {"\x2a\x00\x62\x01x", 5}, /* ... or before */
        {"\x6a\x00", 2},          /* empty message of the epoch */
        {"\x6a\x01x\x2a\x00", 5}, /* a body after it */
        {"\x2a\x00\x6a\x01x", 5}, /* ... or before */
        {"\x72\x00", 2},          /* empty signatures */
        {"\x72\x01x\x2a\x00", 5}, /* a body after them */
        {"\x2a\x00\x72\x01x", 5}, /* ... or before */
        {"\xb8\x3e\x05", 3},      /* only an unknown field */
        {"\x0a\x02\x08\x01", 4},  /* hello without incarnation */
        {"\x2a\x7f", 2},          /* status longer than the message */
        {"\x00\x00", 2},          /* field number 0 */
    };
    struct rn_wire_envelope out;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        const struct rn_view in = rn_view_of(rows[i].bytes, rows[i].length);
        if (rn_wire_envelope_decode(in, &out, NULL).code != RN_E_PEER_FORMAT) {
            fail_msg("row %zu was accepted", i);
        }
    }
    /* A long pile of fields is refused before it is walked. */
    uint8_t *pile = rn_alloc(RN_WIRE_ENVELOPE_MAX + 1, 1);
    for (size_t i = 0; i + 1 < RN_WIRE_ENVELOPE_MAX; i += 2) {
        pile[i] = 0x50; /* unknown field 10, varint */
    }
    assert_int_equal(
        rn_wire_envelope_decode(rn_view_of(pile, RN_WIRE_ENVELOPE_MAX), &out, NULL).code,
        RN_E_PEER_FORMAT);
    pile[RN_WIRE_ENVELOPE_MAX] = 0;
    assert_int_equal(
        rn_wire_envelope_decode(rn_view_of(pile, RN_WIRE_ENVELOPE_MAX + 1), &out, NULL).code,
        RN_E_PEER_LIMIT);
    rn_free(pile);
}

/* Texts of a peer go to logs: nothing but printable ASCII. */
static void test_hello_fields(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_wire_envelope out;
    struct rn_wire_envelope in = hello_make();
    assert_true(rn_is_ok(rn_wire_envelope_encode(&in, &bytes, NULL)));
    uint8_t *name = memchr(bytes.data, 'n', bytes.length);
    assert_non_null(name);
    *name = '\n';
    assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT);
    *name = 0xc3;
    assert_int_equal(rn_wire_envelope_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT);
    in.as.hello.name[0] = '\x1b';
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
    in = hello_make();
    memset(in.as.hello.name, 'n', sizeof(in.as.hello.name)); /* not terminated: 64 characters */
    assert_int_equal(rn_wire_envelope_encode(&in, &bytes, NULL).code, RN_E_USAGE);
}

/* case 44 */
static void test_versions(void **state)
{
    (void)state;
    struct rn_wire_envelope in = hello_make();
    struct rn_error err = {""};
    assert_true(rn_is_ok(rn_wire_hello_check(&in.as.hello, &err)));
    in.as.hello.protocol = RN_WIRE_PROTOCOL + 1;
    assert_int_equal(rn_wire_hello_check(&in.as.hello, &err).code, RN_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "upgrade this program"));
    in.as.hello.protocol = 0;
    assert_int_equal(rn_wire_hello_check(&in.as.hello, &err).code, RN_E_PEER_FORMAT);
}

static void chunk_write(const struct rn_wire_chunk *chunk, struct rn_buffer *out)
{
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    rn_buffer_clear(out);
    assert_true(rn_is_ok(rn_wire_chunk_head(chunk, head, &length, NULL)));
    rn_buffer_append(out, head, length);
    rn_buffer_append(out, chunk->data.data, chunk->data.length);
}

static bool count_bytes(pb_istream_t *stream, const pb_field_t *field, void **argument)
{
    (void)field;
    *(size_t *)*argument = stream->bytes_left;
    return pb_read(stream, NULL, stream->bytes_left);
}

static void test_chunks(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    uint8_t *data = rn_alloc(RN_WIRE_CHUNK_MAX + 1, 1);
    struct rn_wire_chunk out;
    struct rn_wire_chunk in = {.content = RN_WIRE_MASKED_INPUT,
                               .sender = UINT32_MAX,
                               .first_element = UINT64_MAX,
                               .count = UINT32_MAX,
                               .data = rn_view_of(data, RN_WIRE_CHUNK_MAX)};
    memset(in.session, 0xee, sizeof(in.session));
    chunk_write(&in, &bytes);
    assert_true(rn_is_ok(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL)));
    assert_memory_equal(out.session, in.session, sizeof(in.session));
    assert_int_equal(out.content, in.content);
    assert_int_equal(out.sender, in.sender);
    assert_true(out.first_element == in.first_element);
    assert_int_equal(out.count, in.count);
    assert_int_equal(out.data.length, RN_WIRE_CHUNK_MAX);
    assert_ptr_equal(out.data.data, bytes.data + bytes.length - RN_WIRE_CHUNK_MAX);

    /* Any protobuf reader sees the same message. */
    size_t seen = 0;
    rondo_v1_BulkChunk plain = rondo_v1_BulkChunk_init_zero;
    plain.data.funcs.decode = count_bytes;
    plain.data.arg = &seen;
    pb_istream_t stream = pb_istream_from_buffer(bytes.data, bytes.length);
    assert_true(pb_decode(&stream, rondo_v1_BulkChunk_fields, &plain));
    assert_int_equal(seen, RN_WIRE_CHUNK_MAX);
    assert_int_equal(plain.session.size, 32);
    assert_true(plain.first_element == in.first_element);

    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    in = (struct rn_wire_chunk){
        .content = RN_WIRE_SUM, .count = 1, .data = rn_view_of(data, RN_WIRE_CHUNK_MAX + 1)};
    assert_int_equal(rn_wire_chunk_head(&in, head, &length, NULL).code, RN_E_USAGE);
    in.data.length = 0;
    assert_int_equal(rn_wire_chunk_head(&in, head, &length, NULL).code, RN_E_USAGE);
    in = (struct rn_wire_chunk){.content = (enum rn_wire_content)9};
    assert_int_equal(rn_wire_chunk_head(&in, head, &length, NULL).code, RN_E_USAGE);

    /* A sender that writes one byte more than the limit. */
    in = (struct rn_wire_chunk){.content = RN_WIRE_SUM, .count = 1, .data = rn_view_of(data, 1)};
    assert_true(rn_is_ok(rn_wire_chunk_head(&in, head, &length, NULL)));
    rn_buffer_clear(&bytes);
    rn_buffer_append(&bytes, head, length - 1);
    rn_buffer_append(&bytes, "\x81\x90\x40", 3);
    rn_buffer_append(&bytes, data, RN_WIRE_CHUNK_MAX + 1);
    assert_int_equal(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_LIMIT);
    rn_free(data);
}

/* Every prefix and every flipped bit: refused or read, never out of bounds (run under ASan). */
static void test_damage(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    struct rn_wire_envelope envelope = hello_make();
    struct rn_wire_chunk chunk = {.content = RN_WIRE_SUM,
                                  .sender = 3,
                                  .first_element = 1000,
                                  .count = 16,
                                  .data = rn_view_text("0123456789abcdef")};
    struct rn_wire_envelope envelope_out;
    struct rn_wire_chunk chunk_out;
    for (unsigned which = 0; which < 2; which++) {
        if (which == 0) {
            assert_true(rn_is_ok(rn_wire_envelope_encode(&envelope, &bytes, NULL)));
        } else {
            chunk_write(&chunk, &bytes);
        }
        for (size_t bit = 0; bit < bytes.length * 8; bit++) {
            /* An exact copy on the heap, so that a read beyond it is seen. */
            uint8_t *copy = rn_alloc(bytes.length, 1);
            memcpy(copy, bytes.data, bytes.length);
            copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            const struct rn_view flipped = rn_view_of(copy, bytes.length);
            (void)!rn_wire_envelope_decode(flipped, &envelope_out, NULL).code;
            (void)!rn_wire_chunk_decode(flipped, &chunk_out, NULL).code;
            rn_free(copy);
        }
        for (size_t length = 0; length < bytes.length; length++) {
            const struct rn_view cut = rn_view_of(bytes.data, length);
            if (which == 0) {
                assert_int_equal(rn_wire_envelope_decode(cut, &envelope_out, NULL).code,
                                 RN_E_PEER_FORMAT);
            } else {
                assert_int_equal(rn_wire_chunk_decode(cut, &chunk_out, NULL).code,
                                 RN_E_PEER_FORMAT);
            }
        }
    }
}

/* A chunk up to its data. */
static void head_write(struct rn_buffer *bytes)
{
    const struct rn_wire_chunk chunk = {
        .content = RN_WIRE_SUM, .first_element = 1, .count = 1, .data = rn_view_text("x")};
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    assert_true(rn_is_ok(rn_wire_chunk_head(&chunk, head, &length, NULL)));
    rn_buffer_clear(bytes);
    rn_buffer_append(bytes, head, length - 2); /* the data's tag and length */
}

/* Duplicate fields, a wrong order, a header without end. */
static void test_malformed_chunks(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    const struct rn_wire_chunk in = {
        .content = RN_WIRE_SUM, .first_element = 1, .count = 1, .data = rn_view_text("x")};
    struct rn_wire_chunk out;
    head_write(&bytes);
    rn_buffer_append(&bytes, "\x20\x02\x7a\x01x", 5); /* first_element again */
    assert_int_equal(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT);
    head_write(&bytes);
    rn_buffer_append(&bytes, "\x7a\x01x\x28\x01", 5); /* data, then count */
    assert_int_equal(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT);
    head_write(&bytes);
    rn_buffer_append(&bytes, "\x80\x01\x05\x7a\x01x", 6); /* an unknown field is skipped */
    assert_true(rn_is_ok(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL)));
    head_write(&bytes);
    assert_int_equal(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT); /* no data */
    for (unsigned i = 0; i < 40; i++) {
        rn_buffer_append(&bytes, "\x80\x01\x05", 3);
    }
    rn_buffer_append(&bytes, "\x7a\x01x", 3);
    assert_int_equal(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT);
    rn_buffer_clear(&bytes);
    chunk_write(&in, &bytes);
    bytes.data[35] = 3; /* content: a number that an earlier version used */
    assert_int_equal(rn_wire_chunk_decode(rn_buffer_view(&bytes), &out, NULL).code,
                     RN_E_PEER_FORMAT);
    assert_int_equal(rn_wire_chunk_decode(rn_view_of(NULL, 0), &out, NULL).code, RN_E_PEER_FORMAT);
}

/* The committed generated files are current. */
static void test_generated(void **state)
{
    (void)state;
    const char *arguments[] = {RN_SOURCE_DIR "/tests/lint/check_proto.sh", NULL};
    pid_t child = 0;
    int status = 0;
    assert_int_equal(
        posix_spawn(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments, environ),
        0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelopes),
        cmocka_unit_test(test_secagg),
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_epoch_messages),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_malformed_envelopes),
        cmocka_unit_test(test_hello_fields),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_malformed_chunks),
        cmocka_unit_test(test_generated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
