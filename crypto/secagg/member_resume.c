/* SPDX-License-Identifier: Apache-2.0
 *
 * A member after a restart. The secrets of the session are gone, so it has no part any more but
 * for one thing: an answer that was journalled is sent again, byte for byte. A journalled vote or
 * Done is sent again too; a session without a vote may still get ABORT.
 */
#include "base/guard.h"
#include "crypto/roster.h"
#include "crypto/secagg/member_state.h"

#include <string.h>

static rn_result parse_own(const struct rn_sa_member *m, struct rn_view bytes, enum rn_sa_type type,
                           struct rn_sa_message *out, struct rn_error *err)
{
    const bool good =
        rn_is_ok(rn_sa_message_parse(bytes, out, NULL)) && out->type == type &&
        (m->t.level == RN_SA_LEVEL_NONE || memcmp(out->session, m->t.session, RN_HASH_BYTES) == 0);
    RN_ENSURE(good, err, RN_E_DATA, "journal: a record of this session is damaged");
    return rn_ok();
}

static rn_result load_joined(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    (void)rn_read_view(r, RN_HASH_BYTES + 8 + 4);
    const struct rn_view offer = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    (void)rn_read_blob(r, RN_SA_MESSAGE_MAX); /* Ready: not sent again, its keys are gone */
    struct rn_sa_message message;
    RN_TRY(parse_own(m, offer, RN_SA_OFFER, &message, err));
    RN_TRY(rn_sa_offer_apply(&m->t, &message, err));
    rn_buffer_append(&m->heard[RN_SA_OFFER], offer.data, offer.length);
    m->joined = true;
    return rn_ok();
}

static rn_result load_dealt(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    const struct rn_view set = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    RN_TRY(parse_own(m, set, RN_SA_READY_SET, &message, err));
    RN_TRY(rn_sa_ready_set_apply(&m->t, message.body, err));
    memcpy(m->seen[RN_SA_READY_SET], message.envelope.data, RN_SA_ENVELOPE_BYTES);
    m->seen_set[RN_SA_READY_SET] = true;
    rn_buffer_append(&m->heard[RN_SA_READY_SET], set.data, set.length);
    return rn_ok();
}

static rn_result load_spent(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    (void)rn_read_view(r, 2 * RN_HASH_BYTES + 4 + 8 + RN_HASH_BYTES + 4 + RN_SA_SET_BYTES);
    rn_read_copy(r, m->own_t1, RN_HASH_BYTES);
    const struct rn_view done = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    RN_TRY(parse_own(m, done, RN_SA_DONE, &message, err));
    m->spent = true;
    rn_buffer_append(&m->done, done.data, done.length);
    rn_buffer_clear(&m->outbox);
    rn_buffer_append(&m->outbox, done.data, done.length);
    return rn_ok();
}

static rn_result load_voted(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    const uint32_t vote = rn_read_u32(r);
    const struct rn_view bytes = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    RN_TRY(parse_own(m, bytes, RN_SA_VOTE, &message, err));
    RN_ENSURE(vote == RN_SA_VOTE_SURVIVORS || vote == RN_SA_VOTE_ABORT, err, RN_E_DATA,
              "journal: a vote is damaged");
    m->vote = (enum rn_sa_vote)vote;
    rn_buffer_clear(&m->outbox);
    rn_buffer_append(&m->outbox, bytes.data, bytes.length);
    return rn_ok();
}

static rn_result load_revealed(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    rn_read_copy(r, m->own_t2, RN_HASH_BYTES);
    const struct rn_view bytes = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    RN_TRY(parse_own(m, bytes, RN_SA_REVEAL, &message, err));
    m->revealed = true;
    rn_buffer_append(&m->reveal, bytes.data, bytes.length);
    rn_buffer_clear(&m->outbox);
    rn_buffer_append(&m->outbox, bytes.data, bytes.length);
    return rn_ok();
}

static rn_result load_receipted(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    const struct rn_view bytes = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    RN_TRY(parse_own(m, bytes, RN_SA_RECEIPT, &message, err));
    m->receipted = true;
    rn_buffer_append(&m->receipt, bytes.data, bytes.length);
    rn_buffer_clear(&m->outbox);
    rn_buffer_append(&m->outbox, bytes.data, bytes.length);
    return rn_ok();
}

/* The ledger's; written in the middle of a session. */
static rn_result load_blamed(struct rn_reader *r)
{
    (void)rn_read_view(r, RN_HASH_BYTES + RN_SA_SET_BYTES);
    (void)rn_read_blob(r, RN_SA_MESSAGE_MAX);
    return rn_ok();
}

static rn_result load_closed(struct rn_sa_member *m, struct rn_reader *r, struct rn_error *err)
{
    const struct rn_view bytes = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    RN_TRY(parse_own(m, bytes, RN_SA_ABORT_CERTIFICATE, &message, err));
    rn_sa_member_keep_certificate(m, &message);
    return rn_ok();
}

static rn_result load_record(struct rn_sa_member *m, struct rn_view bytes, bool *out_closed,
                             struct rn_error *err)
{
    struct rn_sa_record record;
    RN_TRY(rn_sa_record_read(bytes, &record, err));
    RN_ENSURE((record.kind == RN_SA_RECORD_JOINED) == (m->t.level == RN_SA_LEVEL_NONE), err,
              RN_E_DATA, "journal: a session does not begin with joining it");
    rn_result result = rn_ok();
    switch (record.kind) {
    case RN_SA_RECORD_JOINED:
        result = load_joined(m, &record.body, err);
        break;
    case RN_SA_RECORD_DEALT:
        result = load_dealt(m, &record.body, err);
        break;
    case RN_SA_RECORD_SPENT:
        result = load_spent(m, &record.body, err);
        break;
    case RN_SA_RECORD_VOTED:
        result = load_voted(m, &record.body, err);
        break;
    case RN_SA_RECORD_REVEALED:
        result = load_revealed(m, &record.body, err);
        break;
    case RN_SA_RECORD_RECEIPTED:
        result = load_receipted(m, &record.body, err);
        break;
    case RN_SA_RECORD_BLAMED:
        result = load_blamed(&record.body);
        break;
    case RN_SA_RECORD_CLOSED:
        result = load_closed(m, &record.body, err);
        *out_closed = true;
        break;
    default:
        result = rn_fail(err, RN_E_DATA, "journal: a record that a member does not write");
        break;
    }
    if (rn_class_of(result) ==
        RN_CLASS_PEER) { /* whoever signed it: what stands in the own journal is data */
        (void)rn_fail_context(err, result, "journal");
        return (rn_result){RN_E_DATA};
    }
    RN_TRY(result);
    RN_ENSURE(rn_reader_done(&record.body) &&
                  memcmp(record.session, m->t.session, RN_HASH_BYTES) == 0,
              err, RN_E_DATA, "journal: a record is damaged or of another session");
    return rn_ok();
}

static void free_member(struct rn_sa_member **member)
{
    rn_sa_member_free(*member);
}

rn_result rn_sa_member_resume(const struct rn_sa_member_config *config,
                              const struct rn_view *records, size_t count, uint64_t now_ms,
                              struct rn_sa_actions *out_actions, struct rn_sa_member **out,
                              struct rn_error *err)
{
    RN_ENSURE(count > 0, err, RN_E_DATA, "journal: nothing to resume");
    struct rn_sa_member *RN_CLEANUP(free_member) m = NULL;
    RN_TRY(rn_sa_member_new(config, &m, err));
    rn_sa_member_erase(m);
    bool closed = false;
    for (size_t i = 0; i < count; i++) {
        RN_TRY(load_record(m, records[i], &closed, err));
    }
    m->now_ms = now_ms;
    m->closed = closed;
    if (closed) {
        rn_sa_member_go_aborted(m, RN_SA_REASON_COORDINATOR, true, out_actions);
    } else if (m->vote == RN_SA_VOTE_ABORT) {
        rn_sa_member_enter(m, m->spent ? RN_SA_M_ABORTING : RN_SA_M_FOLLOWING, out_actions);
    } else {
        rn_sa_actions_add(out_actions, RN_SA_FOLLOWING)->reason = RN_SA_REASON_RESTART;
        rn_sa_member_enter(m, RN_SA_M_FOLLOWING, out_actions);
    }
    rn_sa_member_resend(m, now_ms, out_actions);
    *out = RN_TAKE(m);
    return rn_ok();
}
