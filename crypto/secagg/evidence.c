/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/evidence.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/actions.h"
#include "crypto/secagg/sessionproof.h"
#include "crypto/secagg/sumproof.h"

#define MAGIC 0x56454e52u /* "RNEV" */
#define VERSION 1u

void rn_sa_evidence_write(enum rn_sa_evidence_kind kind, struct rn_view first,
                          struct rn_view second, struct rn_buffer *out)
{
    if (kind == RN_SA_EVIDENCE_ENVELOPES) {
        first = rn_view_of(first.data, RN_SA_ENVELOPE_BYTES);
        second = rn_view_of(second.data, RN_SA_ENVELOPE_BYTES);
    }
    rn_buffer_u32(out, MAGIC);
    rn_buffer_u16(out, VERSION);
    rn_buffer_u16(out, (uint16_t)kind);
    rn_buffer_blob(out, first);
    rn_buffer_blob(out, second);
}

/* ---- Who signed */

static rn_result signer_key(const struct rn_roster *roster, const struct rn_sa_message *message,
                            const struct rn_identity_public **out, struct rn_error *err)
{
    const bool from_coordinator = rn_sa_type_from_coordinator(message->type);
    RN_ENSURE(from_coordinator ? message->sender == RN_SA_COORDINATOR
                               : message->sender < roster->count,
              err, RN_E_PEER_PROTOCOL, "evidence: a %s of somebody who does not send it",
              rn_sa_type_name(message->type));
    *out = from_coordinator ? &roster->coordinator : &roster->members[message->sender].key;
    return rn_ok();
}

static rn_result verify_whole(const struct rn_roster *roster, const struct rn_sa_message *message,
                              struct rn_error *err)
{
    const struct rn_identity_public *key = NULL;
    RN_TRY(signer_key(roster, message, &key, err));
    return rn_sa_message_verify(message, key, err);
}

static void blame(struct rn_sa_evidence *evidence, uint32_t sender)
{
    if (sender == RN_SA_COORDINATOR) {
        evidence->coordinator = true;
    } else {
        rn_sa_set_add(&evidence->members, sender);
    }
}

/* ---- Envelopes */

/* Messages of which a session has one by each signer and, of a share set, for each recipient. */
static bool is_single(enum rn_sa_type type)
{
    switch (type) {
    case RN_SA_READY:
    case RN_SA_READY_SET:
    case RN_SA_SHARES:
    case RN_SA_SHARES_SET:
    case RN_SA_ACK:
    case RN_SA_ACK_SET:
    case RN_SA_DONE:
    case RN_SA_SURVIVORS:
    case RN_SA_VOTE:
    case RN_SA_REVEAL:
    case RN_SA_RESULT:
    case RN_SA_RECEIPT:
        return true;
    default:
        return false;
    }
}

/* Both name the T2 of the session. */
static bool names_t2(enum rn_sa_type type)
{
    return type == RN_SA_SURVIVORS || type == RN_SA_CERTIFICATE;
}

static bool contradict(const struct rn_sa_message *a, const struct rn_sa_message *b)
{
    const bool differ = memcmp(a->envelope.data, b->envelope.data, RN_SA_HEADER_BYTES) != 0;
    const bool same_place = a->type == b->type && a->recipient == b->recipient;
    const bool two_t2 = names_t2(a->type) && names_t2(b->type) &&
                        memcmp(a->transcript, b->transcript, RN_HASH_BYTES) != 0;
    return differ && ((same_place && is_single(a->type)) || two_t2);
}

static rn_result check_envelopes(const struct rn_roster *roster, const struct rn_view bytes[2],
                                 struct rn_sa_evidence *out, struct rn_error *err)
{
    struct rn_sa_message messages[2];
    for (int i = 0; i < 2; i++) {
        const struct rn_identity_public *key = NULL;
        RN_TRY(rn_sa_envelope_parse(bytes[i], &messages[i], err));
        RN_TRY(signer_key(roster, &messages[i], &key, err));
        RN_TRY(rn_sa_envelope_verify(&messages[i], key, err));
        out->types[i] = messages[i].type;
    }
    RN_ENSURE(messages[0].sender == messages[1].sender &&
                  memcmp(messages[0].session, messages[1].session, RN_HASH_BYTES) == 0 &&
                  contradict(&messages[0], &messages[1]),
              err, RN_E_PEER_PROTOCOL, "evidence: the two messages do not contradict each other");
    memcpy(out->session, messages[0].session, RN_HASH_BYTES);
    out->round = messages[0].round;
    blame(out, messages[0].sender);
    return rn_ok();
}

/* ---- Certificates */

/* What each member voted, by a certificate; zero: nothing. */
struct ballots {
    uint8_t (*body_hash)[RN_HASH_BYTES]; /* [members] */
    struct rn_sa_set voted;
};

static void clear_ballots(struct ballots (*ballots)[2])
{
    rn_free((*ballots)[0].body_hash);
    rn_free((*ballots)[1].body_hash);
}

static rn_result read_ballots(const struct rn_roster *roster, const struct rn_sa_message *message,
                              struct ballots *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(message->body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count <= RN_SA_MEMBERS_MAX && rn_reader_left(&r) == (size_t)count * RN_SA_VOTE_BYTES,
              err, RN_E_PEER_FORMAT, "evidence: a certificate of wrong length");
    for (uint32_t k = 0; k < count; k++) {
        struct rn_sa_message vote;
        RN_TRY(rn_sa_message_parse(rn_read_view(&r, RN_SA_VOTE_BYTES), &vote, err));
        RN_ENSURE(vote.type == RN_SA_VOTE &&
                      memcmp(vote.session, message->session, RN_HASH_BYTES) == 0,
                  err, RN_E_PEER_PROTOCOL, "evidence: a vote belongs elsewhere");
        RN_TRY(verify_whole(roster, &vote, err));
        memcpy(out->body_hash[vote.sender], vote.body_hash, RN_HASH_BYTES);
        rn_sa_set_add(&out->voted, vote.sender);
    }
    return rn_ok();
}

static rn_result check_pair(const struct rn_sa_message messages[2], struct rn_error *err)
{
    const struct rn_sa_message *a = &messages[0];
    const struct rn_sa_message *b = &messages[1];
    for (int i = 0; i < 2; i++) {
        RN_ENSURE(messages[i].type == RN_SA_CERTIFICATE ||
                      messages[i].type == RN_SA_ABORT_CERTIFICATE,
                  err, RN_E_PEER_PROTOCOL, "evidence: not a certificate");
    }
    const bool exclude =
        a->type != b->type ||
        (a->type == RN_SA_CERTIFICATE && memcmp(a->transcript, b->transcript, RN_HASH_BYTES) != 0);
    RN_ENSURE(exclude && memcmp(a->session, b->session, RN_HASH_BYTES) == 0, err,
              RN_E_PEER_PROTOCOL, "evidence: the two certificates do not exclude each other");
    return rn_ok();
}

static rn_result check_certificates(const struct rn_roster *roster, const struct rn_view bytes[2],
                                    struct rn_sa_evidence *out, struct rn_error *err)
{
    struct rn_sa_message messages[2];
    struct ballots RN_CLEANUP(clear_ballots) ballots[2] = {{.voted = {{0}}}, {.voted = {{0}}}};
    for (int i = 0; i < 2; i++) {
        ballots[i].body_hash = rn_alloc(roster->count, RN_HASH_BYTES);
        RN_TRY(rn_sa_message_parse(bytes[i], &messages[i], err));
        out->types[i] = messages[i].type;
    }
    RN_TRY(check_pair(messages, err));
    for (int i = 0; i < 2; i++) {
        RN_TRY(verify_whole(roster, &messages[i], err));
        RN_TRY(read_ballots(roster, &messages[i], &ballots[i], err));
    }
    memcpy(out->session, messages[0].session, RN_HASH_BYTES);
    out->round = messages[0].round;
    blame(out, RN_SA_COORDINATOR);
    const struct rn_sa_set both = rn_sa_set_both(&ballots[0].voted, &ballots[1].voted);
    for (uint32_t i = rn_sa_set_next(&both, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&both, i + 1)) {
        if (memcmp(ballots[0].body_hash[i], ballots[1].body_hash[i], RN_HASH_BYTES) != 0) {
            blame(out, i);
        }
    }
    return rn_ok();
}

/* ---- Receipts */

static rn_result check_receipts(const struct rn_roster *roster, const struct rn_view bytes[2],
                                struct rn_sa_evidence *out, struct rn_error *err)
{
    struct rn_sa_message m[2];
    for (int i = 0; i < 2; i++) {
        RN_TRY(rn_sa_message_parse(bytes[i], &m[i], err));
        RN_ENSURE(m[i].type == RN_SA_RECEIPT && m[i].body.length == RN_SA_RECEIPT_BODY, err,
                  RN_E_PEER_PROTOCOL, "evidence: not a receipt");
        RN_TRY(verify_whole(roster, &m[i], err));
        out->types[i] = m[i].type;
        rn_sa_set_add(&out->one_of, m[i].sender);
    }
    const uint8_t *first = m[0].body.data;
    const uint8_t *second = m[1].body.data;
    RN_ENSURE(
        m[0].sender != m[1].sender && memcmp(m[0].session, m[1].session, RN_HASH_BYTES) == 0 &&
            memcmp(m[0].transcript, m[1].transcript, RN_HASH_BYTES) == 0 &&
            memcmp(first, second, RN_HASH_BYTES) == 0 &&
            memcmp(first + RN_HASH_BYTES, second + RN_HASH_BYTES, RN_HASH_BYTES) != 0,
        err, RN_E_PEER_PROTOCOL, "evidence: the two receipts do not name two adapters of one sum");
    memcpy(out->session, m[0].session, RN_HASH_BYTES);
    out->round = m[0].round;
    return rn_ok();
}

/* ---- Sum */

static rn_result check_sum(const struct rn_roster *roster, const struct rn_view parts[2],
                           struct rn_sa_evidence *out, struct rn_error *err)
{
    struct rn_sa_message result;
    RN_TRY(rn_sa_message_parse(parts[0], &result, err));
    RN_ENSURE(result.type == RN_SA_RESULT, err, RN_E_PEER_PROTOCOL, "evidence: not a result");
    RN_TRY(verify_whole(roster, &result, err));
    RN_TRY(rn_sa_sum_proof_check(roster, &result, parts[1], err));
    memcpy(out->session, result.session, RN_HASH_BYTES);
    out->round = result.round;
    out->types[0] = out->types[1] = result.type;
    blame(out, RN_SA_COORDINATOR);
    return rn_ok();
}

/* ---- Reveal */

/* The session id is the Reveal's own: which T2 it answers shows when the proof is read. */
static rn_result check_reveal(const struct rn_roster *roster, const struct rn_view parts[2],
                              struct rn_sa_evidence *out, struct rn_error *err)
{
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) t = {.peers = NULL};
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct rn_sa_message envelope;
    struct rn_reader blame = rn_reader_of(parts[0]);
    struct rn_reader session = rn_reader_of(parts[1]);
    struct rn_reader ahead = blame;
    uint32_t holder = 0;
    (void)rn_read_u32(&ahead); /* the dealer */
    RN_TRY(rn_sa_envelope_parse(rn_read_view(&ahead, RN_SA_ENVELOPE_BYTES), &envelope, err));
    RN_TRY(rn_sa_session_numbers_read(roster, &session, &params, &context, err));
    RN_TRY(rn_sa_session_rebuild(envelope.session, &params, &context, &session, &t, err));
    RN_TRY(rn_sa_blame_read(&t, &blame, &holder, err));
    RN_ENSURE(rn_reader_done(&blame) && rn_reader_done(&session), err, RN_E_PEER_FORMAT,
              "evidence: wrong length");
    memcpy(out->session, t.session, RN_HASH_BYTES);
    out->round = t.context.round;
    out->types[0] = out->types[1] = RN_SA_REVEAL;
    rn_sa_set_add(&out->members, holder);
    return rn_ok();
}

/* ---- Document */

rn_result rn_sa_evidence_check(struct rn_view bytes, const struct rn_roster *roster,
                               struct rn_sa_evidence *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(bytes);
    RN_ENSURE(rn_read_u32(&r) == MAGIC && rn_read_u16(&r) == VERSION, err, RN_E_PEER_FORMAT,
              "evidence: not such a document, or of another version");
    const uint16_t kind = rn_read_u16(&r);
    const struct rn_view messages[2] = {rn_read_blob(&r, RN_SA_MESSAGE_MAX),
                                        rn_read_blob(&r, RN_SA_SUM_PROOF_MAX)};
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "evidence: wrong length");
    struct rn_sa_evidence evidence = {.kind = (enum rn_sa_evidence_kind)kind};
    switch (kind) {
    case RN_SA_EVIDENCE_ENVELOPES:
        RN_TRY(check_envelopes(roster, messages, &evidence, err));
        break;
    case RN_SA_EVIDENCE_CERTIFICATES:
        RN_TRY(check_certificates(roster, messages, &evidence, err));
        break;
    case RN_SA_EVIDENCE_RECEIPTS:
        RN_TRY(check_receipts(roster, messages, &evidence, err));
        break;
    case RN_SA_EVIDENCE_REVEAL:
        RN_TRY(check_reveal(roster, messages, &evidence, err));
        break;
    case RN_SA_EVIDENCE_SUM:
        RN_TRY(check_sum(roster, messages, &evidence, err));
        break;
    default:
        return rn_fail(err, RN_E_PEER_FORMAT, "evidence: of no known kind");
    }
    *out = evidence;
    return rn_ok();
}
