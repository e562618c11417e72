/* SPDX-License-Identifier: Apache-2.0
 *
 * R3. Survivors, coordinator to all: every signed Done of U3; it defines T2. Vote, member to
 * coordinator: this T2, or ABORT, one per session. Certificate and abort certificate, coordinator
 * to all: Q equal votes. Abort call, coordinator to all: please vote ABORT.
 *
 * 2Q > n_max + n_c, and an honest member votes once: two different certificates of one session, of
 * either kind, cannot both exist.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/messages.h"

#include <string.h>

static void write_all(const struct rn_buffer *messages, const struct rn_sa_set *set,
                      struct rn_buffer *out_body)
{
    rn_buffer_u32(out_body, rn_sa_set_count(set));
    for (uint32_t i = rn_sa_set_next(set, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(set, i + 1)) {
        rn_buffer_append(out_body, messages[i].data, messages[i].length);
    }
}

void rn_sa_survivors_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                           struct rn_buffer *out_body)
{
    write_all(messages, set, out_body);
}

rn_result rn_sa_survivors_allowed(const struct rn_sa_transcript *transcript,
                                  const struct rn_sa_set *set, struct rn_error *err)
{
    RN_ENSURE(rn_sa_set_within(set, &transcript->linked), err, RN_E_PEER_PROTOCOL,
              "survivors: some are not among the members that may upload");
    const uint32_t count = rn_sa_set_count(set);
    const uint32_t floor = rn_sa_floor(&transcript->params, 0);
    RN_ENSURE(count >= floor, err, RN_E_PEER_PROTOCOL, "survivors: %u members are below %u", count,
              floor);
    for (uint32_t i = rn_sa_set_next(&transcript->linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->linked, i + 1)) {
        const struct rn_sa_set left = rn_sa_set_both(&transcript->peers[i].holders, set);
        RN_ENSURE(rn_sa_set_count(&left) >= transcript->threshold, err, RN_E_PEER_PROTOCOL,
                  "survivors: of the holders of member %u's shares too few are left", i);
    }
    return rn_ok();
}

rn_result rn_sa_survivors_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count <= transcript->n && rn_reader_left(&r) == (size_t)count * RN_SA_DONE_BYTES, err,
              RN_E_PEER_FORMAT, "survivors: wrong length");
    struct rn_view *RN_CLEANUP(rn_free_cleanup) done =
        rn_alloc(transcript->graph.members, sizeof *done);
    struct rn_sa_set survivors = {{0}};
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct rn_sa_message message;
        RN_TRY(rn_sa_message_parse(rn_read_view(&r, RN_SA_DONE_BYTES), &message, err));
        RN_TRY(rn_sa_transcript_nested(transcript, &message, RN_SA_DONE, transcript->t1, err));
        RN_ENSURE(message.sender >= least, err, RN_E_PEER_PROTOCOL,
                  "survivors: members repeat or are out of order");
        uint8_t root[RN_HASH_BYTES];
        RN_TRY(rn_sa_done_read(transcript, message.body, root, err));
        done[message.sender] = message.whole;
        rn_sa_set_add(&survivors, message.sender);
        least = message.sender + 1;
    }
    RN_TRY(rn_sa_survivors_allowed(transcript, &survivors, err));
    for (uint32_t i = rn_sa_set_next(&survivors, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&survivors, i + 1)) {
        memcpy(transcript->peers[i].done, done[i].data, RN_SA_DONE_BYTES);
    }
    const struct rn_view chain[] = {rn_view_of(transcript->t1, RN_HASH_BYTES), body};
    rn_sha256(transcript->t2, "rondo/v1 secagg T2", chain, RN_ARRAY_LENGTH(chain));
    transcript->survivors = survivors;
    transcript->level = RN_SA_LEVEL_SURVIVORS;
    return rn_ok();
}

void rn_sa_vote_write(const struct rn_sa_transcript *transcript, uint32_t self,
                      enum rn_sa_vote vote, const struct rn_identity *identity,
                      struct rn_buffer *out)
{
    static const uint8_t none[RN_HASH_BYTES] = {0};
    uint8_t body[RN_SA_VOTE_BODY];
    struct rn_writer w = rn_writer_to(body, sizeof body);
    rn_write_u32(&w, (uint32_t)vote);
    rn_write_bytes(&w, vote == RN_SA_VOTE_SURVIVORS ? transcript->t2 : none, RN_HASH_BYTES);
    RN_BUG_IF(!rn_writer_done(&w) || w.position != sizeof body);
    const struct rn_sa_draft draft = {
        .type = RN_SA_VOTE,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t0,
        .body = rn_view_of(body, sizeof body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

static rn_result read_vote(struct rn_view body, const uint8_t *t2, enum rn_sa_vote *out_vote,
                           struct rn_error *err)
{
    static const uint8_t none[RN_HASH_BYTES] = {0};
    struct rn_reader r = rn_reader_of(body);
    const uint32_t vote = rn_read_u32(&r);
    uint8_t hash[RN_HASH_BYTES];
    rn_read_copy(&r, hash, sizeof hash);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "vote: wrong length");
    const bool survivors =
        vote == RN_SA_VOTE_SURVIVORS && t2 != NULL && memcmp(hash, t2, RN_HASH_BYTES) == 0;
    const bool abort = vote == RN_SA_VOTE_ABORT && memcmp(hash, none, RN_HASH_BYTES) == 0;
    RN_ENSURE(survivors || abort, err, RN_E_PEER_PROTOCOL,
              "vote: neither for these survivors nor for an abort");
    *out_vote = (enum rn_sa_vote)vote;
    return rn_ok();
}

rn_result rn_sa_vote_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                          enum rn_sa_vote *out_vote, struct rn_error *err)
{
    const uint8_t *t2 = transcript->level >= RN_SA_LEVEL_SURVIVORS ? transcript->t2 : NULL;
    return read_vote(body, t2, out_vote, err);
}

void rn_sa_votes_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                       struct rn_buffer *out_body)
{
    write_all(messages, set, out_body);
}

/* A list of votes of one kind by distinct members of a set, at least quorum of them. */
struct vote_list {
    const struct rn_sa_abort_claim *claim;
    const struct rn_sa_set *allowed;
    enum rn_sa_vote kind;
    const uint8_t *t2;
};

static rn_result check_votes(const struct vote_list *list, struct rn_view body,
                             struct rn_error *err)
{
    const struct rn_sa_abort_claim *claim = list->claim;
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count <= RN_SA_MEMBERS_MAX && rn_reader_left(&r) == (size_t)count * RN_SA_VOTE_BYTES,
              err, RN_E_PEER_FORMAT, "certificate: wrong length");
    RN_ENSURE(count >= claim->quorum, err, RN_E_PEER_PROTOCOL,
              "certificate: %u votes, %u are needed", count, claim->quorum);
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct rn_sa_message message;
        RN_TRY(rn_sa_message_parse(rn_read_view(&r, RN_SA_VOTE_BYTES), &message, err));
        RN_ENSURE(message.type == RN_SA_VOTE && message.recipient == RN_SA_COORDINATOR &&
                      message.round == claim->round &&
                      memcmp(message.session, claim->session, RN_HASH_BYTES) == 0 &&
                      memcmp(message.transcript, claim->t0, RN_HASH_BYTES) == 0,
                  err, RN_E_PEER_REPLAY, "certificate: a vote belongs elsewhere");
        RN_ENSURE(message.sender >= least && message.sender < claim->roster->count &&
                      rn_sa_set_has(list->allowed, message.sender),
                  err, RN_E_PEER_PROTOCOL,
                  "certificate: voters repeat, are out of order or not entitled");
        RN_TRY(rn_sa_message_verify(&message, &claim->roster->members[message.sender].key, err));
        enum rn_sa_vote vote = RN_SA_VOTE_NONE;
        RN_TRY(read_vote(message.body, list->t2, &vote, err));
        RN_ENSURE(vote == list->kind, err, RN_E_PEER_PROTOCOL, "certificate: votes differ");
        least = message.sender + 1;
    }
    return rn_ok();
}

rn_result rn_sa_certificate_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                                  struct rn_error *err)
{
    struct rn_sa_abort_claim claim = {
        .roster = transcript->context.roster,
        .round = transcript->context.round,
        .quorum = transcript->quorum,
    };
    memcpy(claim.session, transcript->session, RN_HASH_BYTES);
    memcpy(claim.t0, transcript->t0, RN_HASH_BYTES);
    const struct vote_list list = {&claim, &transcript->survivors, RN_SA_VOTE_SURVIVORS,
                                   transcript->t2};
    RN_TRY(check_votes(&list, body, err));
    transcript->level = RN_SA_LEVEL_CERTIFIED;
    return rn_ok();
}

rn_result rn_sa_abort_certificate_check(const struct rn_sa_abort_claim *claim, struct rn_view body,
                                        struct rn_error *err)
{
    const struct vote_list list = {claim, &claim->joined, RN_SA_VOTE_ABORT, NULL};
    return check_votes(&list, body, err);
}

void rn_sa_abort_call_write(const struct rn_sa_transcript *transcript, uint32_t reason, bool last,
                            const struct rn_identity *identity, struct rn_buffer *out)
{
    uint8_t body[RN_SA_ABORT_CALL_BODY];
    struct rn_writer w = rn_writer_to(body, sizeof body);
    rn_write_u32(&w, reason);
    rn_write_u32(&w, last ? 1 : 0);
    const struct rn_sa_draft draft = {
        .type = RN_SA_ABORT_CALL,
        .sender = RN_SA_COORDINATOR,
        .recipient = RN_SA_EVERYONE,
        .hash = transcript->session,
        .body = rn_view_of(body, sizeof body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_abort_call_read(struct rn_view body, bool *out_last, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    (void)rn_read_u32(&r); /* the reason is the coordinator's word */
    const uint32_t last = rn_read_u32(&r);
    RN_ENSURE(rn_reader_done(&r) && last <= 1, err, RN_E_PEER_FORMAT, "abort call: wrong form");
    *out_last = last == 1;
    return rn_ok();
}
