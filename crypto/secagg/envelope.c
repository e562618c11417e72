/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/envelope.h"

#include "base/guard.h"
#include "crypto/secagg/params.h"

#include <string.h>

#define MAGIC 0x41534e52u /* "RNSA" */

#define N RN_SA_MEMBERS_MAX
#define CHUNK_BODY_MAX \
    (RN_SA_CHUNK_HEAD + (RN_SA_CHUNK_ELEMENTS_MAX + RN_SA_CANARIES) * RN_SA_BITS_MAX / 8u + 1u)
#define NEED_BODY_MAX (4u + RN_SA_CHUNKS_MAX / 8u)
#define LEAVES_BODY_MAX (4u + RN_SA_CHUNKS_MAX * RN_HASH_BYTES)
/* Commitments to two polynomials; t <= N. */
#define COEFFICIENTS_MAX (2u * (N - 1u) * 32u)
#define BODY_MAX ((uint32_t)(RN_SA_MESSAGE_MAX - RN_SA_ENVELOPE_BYTES))

/* What the frame checks of each type; the handlers check the exact length. */
static const struct {
    const char *name;
    bool from_coordinator;
    uint32_t body_min;
    uint32_t body_max;
} types[RN_SA_TYPE_LAST_] = {
    [RN_SA_OFFER] = {"offer", true, RN_SA_OFFER_BODY, RN_SA_OFFER_BODY},
    [RN_SA_READY] = {"ready", false, RN_SA_READY_BODY, RN_SA_READY_BODY},
    [RN_SA_READY_SET] = {"ready-set", true, 4, 4 + N *RN_SA_READY_BYTES},
    [RN_SA_SHARES] = {"shares", false, RN_SA_SEALED_BYTES,
                      COEFFICIENTS_MAX + N *RN_SA_SEALED_BYTES},
    [RN_SA_SHARES_SET] = {"shares-set", true, 4, BODY_MAX},
    [RN_SA_ACK] = {"ack", false, RN_SA_ACK_BODY, RN_SA_ACK_BODY},
    [RN_SA_ACK_SET] = {"ack-set", true, 8, 8 + N *(RN_SA_ENVELOPE_BYTES + RN_SA_ACK_BYTES)},
    [RN_SA_CHUNK] = {"chunk", false, RN_SA_CHUNK_HEAD + 1, CHUNK_BODY_MAX},
    [RN_SA_DONE] = {"done", false, RN_SA_DONE_BODY, RN_SA_DONE_BODY},
    [RN_SA_NEED] = {"need", true, 5, NEED_BODY_MAX},
    [RN_SA_SURVIVORS] = {"survivors", true, 4, 4 + N *RN_SA_DONE_BYTES},
    [RN_SA_VOTE] = {"vote", false, RN_SA_VOTE_BODY, RN_SA_VOTE_BODY},
    [RN_SA_CERTIFICATE] = {"certificate", true, 4, 4 + N *RN_SA_VOTE_BYTES},
    [RN_SA_ABORT_CALL] = {"abort-call", true, RN_SA_ABORT_CALL_BODY, RN_SA_ABORT_CALL_BODY},
    [RN_SA_ABORT_CERTIFICATE] = {"abort-certificate", true, 4, 4 + N *RN_SA_VOTE_BYTES},
    [RN_SA_REVEAL] = {"reveal", false, 4, 4 + N *RN_SA_REVEAL_ENTRY},
    [RN_SA_RESULT] = {"result", true, 32 + 4 + 4, BODY_MAX},
    [RN_SA_SUM_CHUNK] = {"sum-chunk", true, RN_SA_CHUNK_HEAD + 1, CHUNK_BODY_MAX},
    [RN_SA_RECEIPT] = {"receipt", false, RN_SA_RECEIPT_BODY, RN_SA_RECEIPT_BODY},
    [RN_SA_FOLLOW] = {"follow", false, 4, 4 + NEED_BODY_MAX},
    [RN_SA_AUDIT] = {"audit", false, RN_SA_AUDIT_BODY, RN_SA_AUDIT_BODY},
    [RN_SA_LEAVES] = {"leaves", true, 4 + RN_HASH_BYTES, LEAVES_BODY_MAX},
    [RN_SA_RECEIPTS] = {"receipts", true, 4, 4 + N *RN_SA_RECEIPT_BYTES},
};

_Static_assert(CHUNK_BODY_MAX + RN_SA_ENVELOPE_BYTES <= RN_SA_MESSAGE_MAX, "chunks fit");
_Static_assert(LEAVES_BODY_MAX + RN_SA_ENVELOPE_BYTES <= RN_SA_MESSAGE_MAX, "leaves fit");
_Static_assert(N *(RN_SA_ENVELOPE_BYTES + RN_SA_ACK_BYTES) + 1024 <= RN_SA_MESSAGE_MAX,
               "the longest list of messages fits; share sets: rn_sa_params_check");

const char *rn_sa_type_name(enum rn_sa_type type)
{
    return types[type].name;
}

bool rn_sa_type_from_coordinator(enum rn_sa_type type)
{
    return types[type].from_coordinator;
}

static rn_result parse(struct rn_view bytes, bool with_body, struct rn_sa_message *out,
                       struct rn_error *err)
{
    RN_ENSURE(bytes.length >= RN_SA_ENVELOPE_BYTES, err, RN_E_PEER_FORMAT,
              "message: shorter than its frame");
    RN_ENSURE(bytes.length <= RN_SA_MESSAGE_MAX, err, RN_E_PEER_LIMIT,
              "message: more than %zu bytes", RN_SA_MESSAGE_MAX);
    struct rn_reader r = rn_reader_of(bytes);
    struct rn_sa_message m = {0};
    RN_ENSURE(rn_read_u32(&r) == MAGIC, err, RN_E_PEER_FORMAT, "message: no secagg message");
    RN_ENSURE(rn_read_u16(&r) == RN_SA_VERSION, err, RN_E_PEER_FORMAT,
              "message: of another protocol version; this build speaks %u", RN_SA_VERSION);
    const uint16_t type = rn_read_u16(&r);
    RN_ENSURE(type >= 1 && type < RN_SA_TYPE_LAST_, err, RN_E_PEER_FORMAT,
              "message: of no known type");
    m.type = (enum rn_sa_type)type;
    rn_read_copy(&r, m.session, sizeof m.session);
    m.round = rn_read_u64(&r);
    const uint32_t reserved = rn_read_u32(&r);
    m.sender = rn_read_u32(&r);
    m.recipient = rn_read_u32(&r);
    rn_read_copy(&r, m.transcript, sizeof m.transcript);
    const uint32_t length = rn_read_u32(&r);
    rn_read_copy(&r, m.body_hash, sizeof m.body_hash);
    RN_ENSURE(reserved == 0, err, RN_E_PEER_FORMAT, "message: reserved bits are set");
    RN_ENSURE(length >= types[type].body_min && length <= types[type].body_max, err,
              RN_E_PEER_LIMIT, "message %s: body of impossible length", types[type].name);
    m.envelope = rn_view_of(bytes.data, RN_SA_ENVELOPE_BYTES);
    m.whole = bytes;
    (void)rn_read_view(&r, RN_SIGNATURE_BYTES);
    if (with_body) {
        m.body = rn_read_view(&r, length);
    }
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT,
              "message %s: length differs from its frame", types[type].name);
    *out = m;
    return rn_ok();
}

rn_result rn_sa_message_parse(struct rn_view bytes, struct rn_sa_message *out, struct rn_error *err)
{
    return parse(bytes, true, out, err);
}

rn_result rn_sa_envelope_parse(struct rn_view bytes, struct rn_sa_message *out,
                               struct rn_error *err)
{
    return parse(bytes, false, out, err);
}

rn_result rn_sa_envelope_verify(const struct rn_sa_message *message,
                                const struct rn_identity_public *key, struct rn_error *err)
{
    const struct rn_view header = rn_view_of(message->envelope.data, RN_SA_HEADER_BYTES);
    const rn_result verified = rn_identity_verify(key, "rondo/v1 secagg message", header,
                                                  message->envelope.data + RN_SA_HEADER_BYTES, err);
    return rn_is_ok(verified)
               ? verified
               : rn_fail_context(err, verified, "message %s", types[message->type].name);
}

static void hash_body(struct rn_view body, uint8_t out[static RN_HASH_BYTES])
{
    rn_sha256(out, "rondo/v1 secagg body", &body, 1);
}

rn_result rn_sa_message_verify(const struct rn_sa_message *message,
                               const struct rn_identity_public *key, struct rn_error *err)
{
    RN_TRY(rn_sa_envelope_verify(message, key, err));
    if (message->type != RN_SA_SHARES) {
        uint8_t hash[RN_HASH_BYTES];
        hash_body(message->body, hash);
        RN_ENSURE(rn_view_equal(rn_view_of(hash, sizeof hash),
                                rn_view_of(message->body_hash, sizeof message->body_hash)),
                  err, RN_E_PEER_AUTH, "message %s: the body is not the signed one",
                  types[message->type].name);
    }
    return rn_ok();
}

void rn_sa_message_write(const struct rn_sa_outgoing *message, const struct rn_identity *identity,
                         struct rn_buffer *out)
{
    uint8_t hash[RN_HASH_BYTES];
    if (message->body_hash != NULL) {
        memcpy(hash, message->body_hash, sizeof hash);
    } else {
        hash_body(message->body, hash);
    }
    uint8_t header[RN_SA_HEADER_BYTES];
    struct rn_writer w = rn_writer_to(header, sizeof header);
    rn_write_u32(&w, MAGIC);
    rn_write_u16(&w, RN_SA_VERSION);
    rn_write_u16(&w, (uint16_t)message->type);
    rn_write_bytes(&w, message->session, RN_HASH_BYTES);
    rn_write_u64(&w, message->round);
    rn_write_u32(&w, 0);
    rn_write_u32(&w, message->sender);
    rn_write_u32(&w, message->recipient);
    rn_write_bytes(&w, message->transcript, RN_HASH_BYTES);
    rn_write_u32(&w, (uint32_t)message->body.length);
    rn_write_bytes(&w, hash, sizeof hash);
    RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof header);
    uint8_t signature[RN_SIGNATURE_BYTES];
    rn_identity_sign(identity, "rondo/v1 secagg message", rn_view_of(header, sizeof header),
                     signature);
    rn_buffer_clear(out);
    rn_buffer_init(out, RN_SA_MESSAGE_MAX);
    rn_buffer_append(out, header, sizeof header);
    rn_buffer_append(out, signature, sizeof signature);
    rn_buffer_append(out, message->body.data, message->body.length);
    RN_BUG_IF(out->failed);
}
