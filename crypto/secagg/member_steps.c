/* SPDX-License-Identifier: Apache-2.0
 *
 * What a member does with each message of the coordinator, in the order of the wire. Frames were
 * checked; a handler that fails has changed nothing.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/maskkey.h"
#include "crypto/roster.h"
#include "crypto/secagg/member_state.h"
#include "crypto/secret.h"

#include <string.h>

/* Does the member's own policy forbid so few contributors? */
static bool below_minimum(const struct rn_sa_member *m, const struct rn_sa_set *set)
{
    return rn_sa_set_count(set) < rn_sa_floor(&m->config.params, m->config.local_minimum);
}

rn_result rn_sa_member_on_offer(struct rn_sa_member *m, const struct rn_sa_message *message,
                                struct rn_sa_actions *actions, struct rn_error *err)
{
    /* rn_sa_member_input looks once more at what is spent. */
    RN_TRY(m->config.follows ? rn_sa_spent_check_order(m->config.spent, &m->t.context, err)
                             : rn_sa_spent_check(m->config.spent, &m->t.context, err));
    RN_TRY(rn_sa_offer_apply(&m->t, message, err));
    rn_sa_actions_add(actions, RN_SA_WANT_INPUT);
    return rn_ok();
}

static bool own_keys_unchanged(const struct rn_sa_member *m, const struct rn_sa_transcript *t)
{
    struct rn_channel_public channel;
    rn_channel_public_of(&m->vault->session.channel, &channel);
    const struct rn_sa_peer *own = &t->peers[m->config.self];
    return memcmp(own->channel.bytes, channel.bytes, sizeof channel.bytes) == 0 &&
           rn_point_matches(&own->mask, &m->vault->session.mask_secret) &&
           rn_point_matches(&own->self, &m->vault->session.self_seed);
}

static rn_result deal(struct rn_sa_member *m, const struct rn_sa_message *message,
                      struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_TRY(rn_sa_shares_write(&m->t, m->config.self, &m->vault->session, m->config.identity,
                              &m->shares, err));
    struct rn_buffer set = {.data = NULL};
    rn_buffer_append(&set, message->whole.data, message->whole.length);
    rn_sa_member_persist(m, RN_SA_RECORD_DEALT, &set, actions);
    rn_buffer_clear(&set);
    rn_sa_member_send(m, &m->shares, actions);
    return rn_ok();
}

rn_result rn_sa_member_on_ready_set(struct rn_sa_member *m, const struct rn_sa_message *message,
                                    struct rn_sa_actions *actions, struct rn_error *err)
{
    struct rn_sa_transcript *t = &m->t;
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) before = rn_sa_transcript_copy(t);
    RN_TRY(rn_sa_ready_set_apply(t, message->body, err));
    const struct rn_sa_set blamed = rn_sa_spent_blamed(m->config.spent, t->roster_hash);
    const struct rn_sa_set faulty = rn_sa_set_both(&t->joined, &blamed);
    const bool joined = rn_sa_set_has(&t->joined, m->config.self);
    rn_result result = rn_ok();
    if (memcmp(message->transcript, t->t0, RN_HASH_BYTES) != 0) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL, "ready set: does not hash to its T0");
    } else if (joined && !own_keys_unchanged(m, t)) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL,
                         "ready set: a key of this member was replaced; is another trainer running "
                         "with the same identity?");
    } else if (!rn_sa_set_empty(&faulty)) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL,
                         "ready set: member %u gave a false share in an earlier session, as this "
                         "member can prove, and is in this one",
                         rn_sa_set_next(&faulty, 0));
    }
    if (!rn_is_ok(result)) {
        rn_sa_transcript_become(t, &before);
        return result;
    }
    if (!rn_sa_set_has(&t->dealing, m->config.self)) {
        rn_sa_member_go_following(m, RN_SA_REASON_EXCLUDED, actions);
        return rn_ok();
    }
    if (below_minimum(m, &t->joined)) {
        rn_sa_member_go_following(m, RN_SA_REASON_POLICY, actions);
        return rn_ok();
    }
    result = deal(m, message, actions, err);
    if (!rn_is_ok(result)) {
        rn_sa_transcript_become(t, &before);
    }
    return result;
}

rn_result rn_sa_member_on_shares_set(struct rn_sa_member *m, const struct rn_sa_message *message,
                                     struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_ENSURE(message->recipient == m->config.self &&
                  memcmp(message->transcript, m->t.t0, RN_HASH_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL, "share set: for another member or session");
    const struct rn_view own = rn_view_of(m->shares.data, RN_SA_ENVELOPE_BYTES);
    RN_TRY(rn_sa_shares_set_apply(&m->t, message->body, m->config.self, &m->vault->session, own,
                                  &m->valid, err));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) ack = {0};
    rn_sa_ack_write(&m->t, m->config.self, &m->valid, m->config.identity, &ack);
    rn_sa_member_send(m, &ack, actions);
    return rn_ok();
}

/* Keys of the own upload: the self mask, a pair mask with every neighbour in U2 and, in a blind
 * job, the stream that hides the sum from the coordinator. */
static rn_result make_masks(struct rn_sa_member *m, struct rn_mask_set **out, struct rn_error *err)
{
    const struct rn_sa_transcript *t = &m->t;
    const struct rn_sa_secrets *secrets = &m->vault->session;
    struct rn_mask_context context;
    memcpy(context.session, t->session, RN_HASH_BYTES);
    memcpy(context.transcript, t->t1, RN_HASH_BYTES);
    const struct rn_sa_set linked = rn_sa_set_both(&t->linked, &secrets->circle);
    struct rn_mask_set *RN_CLEANUP(rn_mask_set_free_cleanup) masks =
        rn_mask_set_new(rn_sa_set_count(&linked) + (size_t)t->context.blind);
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    for (uint32_t i = rn_sa_set_next(&linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&linked, i + 1)) {
        int sign = 1;
        if (i == m->config.self) {
            rn_mask_key_self(&context, &secrets->self_seed, i, &key);
        } else {
            sign = rn_mask_sign(m->config.self, i);
            RN_TRY(rn_mask_key_pair(&context, &secrets->mask_secret, m->config.self,
                                    &t->peers[i].mask, i, &key, err));
        }
        RN_TRY(rn_mask_set_insert(masks, &key, sign, err));
    }
    if (t->context.blind) {
        rn_mask_key_blind(&context, m->config.group, m->config.self, &key);
        RN_TRY(rn_mask_set_insert(masks, &key, 1, err));
    }
    *out = RN_TAKE(masks);
    return rn_ok();
}

static void ask_for_chunks(const struct rn_sa_member *m, const uint8_t *bits,
                           struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND_BULK);
    action->chunks = m->t.layout.chunks;
    const size_t size = rn_sa_bits_bytes(&m->t);
    uint8_t *wanted = rn_buffer_grow(&action->bytes, size);
    RN_BUG_IF(wanted == NULL);
    if (bits == NULL) {
        memset(wanted, 0xff, size);
    } else {
        memcpy(wanted, bits, size);
    }
}

/* The Ack set, checked against the hash it claims and, after a restart, the own T1. */
static rn_result apply_ack_set(struct rn_sa_member *m, const struct rn_sa_message *message,
                               struct rn_error *err)
{
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) before =
        rn_sa_transcript_copy(&m->t);
    RN_TRY(rn_sa_ack_set_apply(&m->t, message->body, err));
    rn_result result = rn_ok();
    if (memcmp(message->transcript, m->t.t1, RN_HASH_BYTES) != 0) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL, "ack set: does not hash to its T1");
    } else if (m->spent && memcmp(m->own_t1, m->t.t1, RN_HASH_BYTES) != 0) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL, "ack set: not the one under which Done was sent");
    }
    if (!rn_is_ok(result)) {
        rn_sa_transcript_become(&m->t, &before);
    }
    return result;
}

rn_result rn_sa_member_on_ack_set(struct rn_sa_member *m, const struct rn_sa_message *message,
                                  struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_TRY(apply_ack_set(m, message, err));
    if (!rn_sa_set_has(&m->t.linked, m->config.self)) {
        rn_sa_member_go_following(m, RN_SA_REASON_EXCLUDED, actions);
        return rn_ok();
    }
    if (below_minimum(m, &m->t.linked)) {
        rn_sa_member_go_following(m, RN_SA_REASON_POLICY, actions);
        return rn_ok();
    }
    const rn_result made = make_masks(m, &m->masks, NULL);
    RN_BUG_IF(!rn_is_ok(made)); /* every key was checked in R0 */
    m->leaves = rn_alloc(m->t.layout.chunks, RN_HASH_BYTES);
    m->leaf_set = rn_alloc(m->t.layout.chunks, 1);
    rn_buffer_clear(&m->outbox); /* the Ack is answered; Done follows after the upload */
    ask_for_chunks(m, NULL, actions);
    return rn_ok();
}

rn_result rn_sa_member_on_need(struct rn_sa_member *m, const struct rn_sa_message *message,
                               struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_ENSURE(message->recipient == m->config.self &&
                  memcmp(message->transcript, m->t.t1, RN_HASH_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL, "need: for another member or session");
    struct rn_view bits;
    RN_TRY(rn_sa_need_read(&m->t, message->body, &bits, err));
    if (m->masks != NULL) {
        /* Done overtaking the chunks would ask for them again: it follows them. */
        m->sending = !rn_secret_is_zero(bits.data, bits.length);
        if (m->sending) {
            ask_for_chunks(m, bits.data, actions);
        } else {
            rn_sa_member_send(m, &m->outbox, actions);
        }
    }
    return rn_ok();
}

static rn_result apply_survivors(struct rn_sa_member *m, const struct rn_sa_message *message,
                                 struct rn_error *err)
{
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) before =
        rn_sa_transcript_copy(&m->t);
    RN_TRY(rn_sa_survivors_apply(&m->t, message->body, err));
    /* One that follows and knows of no Done of its own has lost its state: what bears its signature
     * is its own, and it has no secret here that could be asked for. */
    const bool lost = m->state == RN_SA_M_FOLLOWING && m->done.length == 0;
    const bool own = rn_sa_set_has(&m->t.survivors, m->config.self) && !lost;
    rn_result result = rn_ok();
    if (memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) != 0) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL, "survivors: do not hash to their T2");
    } else if (own &&
               !rn_view_equal(rn_buffer_view(&m->done),
                              rn_view_of(m->t.peers[m->config.self].done, RN_SA_DONE_BYTES))) {
        result = rn_fail(err, RN_E_PEER_PROTOCOL, "survivors: this member's Done is not its own");
    }
    if (!rn_is_ok(result)) {
        rn_sa_transcript_become(&m->t, &before);
    }
    return result;
}

/* The one vote of this member in this session: durable before it is sent. */
static void cast_vote(struct rn_sa_member *m, enum rn_sa_vote vote, struct rn_sa_actions *actions)
{
    RN_BUG_IF(m->vote != RN_SA_VOTE_NONE || m->revealed);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    rn_sa_vote_write(&m->t, m->config.self, vote, m->config.identity, &message);
    m->vote = vote;
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_PERSIST);
    rn_sa_record_begin(&action->bytes, RN_SA_RECORD_VOTED, m->t.session);
    rn_buffer_u32(&action->bytes, (uint32_t)vote);
    rn_buffer_blob(&action->bytes, rn_buffer_view(&message));
    rn_sa_member_send(m, &message, actions);
}

rn_result rn_sa_member_on_survivors(struct rn_sa_member *m, const struct rn_sa_message *message,
                                    struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_TRY(apply_survivors(m, message, err));
    if (!rn_sa_set_has(&m->t.survivors, m->config.self)) {
        rn_sa_member_go_following(m, RN_SA_REASON_EXCLUDED, actions);
        return rn_ok();
    }
    if (below_minimum(m, &m->t.survivors)) {
        rn_sa_member_go_following(m, RN_SA_REASON_POLICY, actions);
        return rn_ok();
    }
    cast_vote(m, RN_SA_VOTE_SURVIVORS, actions);
    return rn_ok();
}

static rn_result apply_certificate(struct rn_sa_member *m, const struct rn_sa_message *message,
                                   struct rn_error *err)
{
    RN_ENSURE(memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "certificate: over another T2");
    RN_TRY(rn_sa_certificate_apply(&m->t, message->body, err));
    rn_sa_member_keep_certificate(m, message);
    return rn_ok();
}

rn_result rn_sa_member_on_certificate(struct rn_sa_member *m, const struct rn_sa_message *message,
                                      struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_BUG_IF(m->vote != RN_SA_VOTE_SURVIVORS || m->vault == NULL);
    RN_TRY(apply_certificate(m, message, err));
    struct rn_sa_secrets *secrets = &m->vault->session;
    rn_sa_slots_choose(&m->t, secrets);
    rn_sa_reveal_write(&m->t, m->config.self, secrets, m->config.identity, &m->reveal);
    rn_sa_member_erase(m); /* before the first byte leaves */
    m->revealed = true;
    memcpy(m->own_t2, m->t.t2, RN_HASH_BYTES);
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_PERSIST);
    rn_sa_record_begin(&action->bytes, RN_SA_RECORD_REVEALED, m->t.session);
    rn_buffer_append(&action->bytes, m->own_t2, RN_HASH_BYTES);
    rn_buffer_blob(&action->bytes, rn_buffer_view(&m->reveal));
    rn_sa_member_send(m, &m->reveal, actions);
    return rn_ok();
}

/* One step of the public transcript for a member without a part; out of order is ignored. */
rn_result rn_sa_member_on_follow(struct rn_sa_member *m, const struct rn_sa_message *message,
                                 struct rn_sa_actions *actions, struct rn_error *err)
{
    struct rn_sa_transcript *t = &m->t;
    if (message->type == RN_SA_READY_SET && t->level == RN_SA_LEVEL_SESSION) {
        RN_TRY(rn_sa_ready_set_apply(t, message->body, err));
    } else if (message->type == RN_SA_ACK_SET && t->level == RN_SA_LEVEL_JOINED) {
        RN_TRY(apply_ack_set(m, message, err));
    } else if (message->type == RN_SA_SURVIVORS && t->level == RN_SA_LEVEL_LINKED) {
        RN_TRY(apply_survivors(m, message, err));
    } else if (message->type == RN_SA_CERTIFICATE && t->level == RN_SA_LEVEL_SURVIVORS) {
        RN_TRY(apply_certificate(m, message, err));
        if (m->revealed && memcmp(m->own_t2, t->t2, RN_HASH_BYTES) == 0) {
            rn_sa_member_send(m, &m->reveal, actions); /* the bytes of before the restart */
        }
    } else {
        m->ignored = true;
    }
    return rn_ok();
}

rn_result rn_sa_member_on_abort_call(struct rn_sa_member *m, const struct rn_sa_message *message,
                                     struct rn_sa_actions *actions, struct rn_error *err)
{
    bool last = false;
    RN_TRY(rn_sa_abort_call_read(message->body, &last, err));
    /* One that began as a follower has no ballot: if its keys are in the set, it lost the state in
     * which it may have voted. */
    const bool may_vote = !m->config.follows && m->t.level >= RN_SA_LEVEL_JOINED &&
                          m->t.level < RN_SA_LEVEL_CERTIFIED &&
                          rn_sa_set_has(&m->t.joined, m->config.self) &&
                          m->vote == RN_SA_VOTE_NONE && !m->revealed && !m->receipted;
    if (m->t.level >= RN_SA_LEVEL_CERTIFIED && !last) {
        m->next = m->state; /* too late: the survivors are certified */
        return rn_ok();
    }
    rn_sa_member_erase(m);
    if (may_vote) {
        cast_vote(m, RN_SA_VOTE_ABORT, actions);
    }
    if (m->spent && !last) {
        m->next = m->vote == RN_SA_VOTE_ABORT ? RN_SA_M_ABORTING : m->state;
        return rn_ok();
    }
    rn_sa_member_go_aborted(m, RN_SA_REASON_COORDINATOR, false, actions);
    return rn_ok();
}

/* The vote is cast: say so again, or end with the coordinator. */
rn_result rn_sa_member_on_late_abort(struct rn_sa_member *m, const struct rn_sa_message *message,
                                     struct rn_sa_actions *actions, struct rn_error *err)
{
    bool last = false;
    RN_TRY(rn_sa_abort_call_read(message->body, &last, err));
    if (last) {
        rn_sa_member_go_aborted(m, RN_SA_REASON_COORDINATOR, false, actions);
    } else if (m->outbox.length > 0) {
        rn_sa_member_send(m, &m->outbox, actions);
    }
    return rn_ok();
}

rn_result rn_sa_member_on_abort_certificate(struct rn_sa_member *m,
                                            const struct rn_sa_message *message,
                                            struct rn_sa_actions *actions, struct rn_error *err)
{
    if (m->t.level < RN_SA_LEVEL_JOINED || m->closed ||
        (m->state == RN_SA_M_ABORTED && !m->spent)) {
        m->next = m->state;
        return rn_ok();
    }
    struct rn_sa_abort_claim claim = {
        .roster = m->t.context.roster,
        .round = m->t.context.round,
        .joined = m->t.joined,
        .quorum = m->t.quorum,
    };
    memcpy(claim.session, m->t.session, RN_HASH_BYTES);
    memcpy(claim.t0, m->t.t0, RN_HASH_BYTES);
    RN_TRY(rn_sa_abort_certificate_check(&claim, message->body, err));
    if (m->t.level >= RN_SA_LEVEL_CERTIFIED) { /* more than n_c members voted twice */
        return rn_fail(err, RN_E_PEER_PROTOCOL, "abort certificate: the survivors are certified");
    }
    rn_sa_member_keep_certificate(m, message);
    m->closed = true;
    if (m->spent) {
        rn_sa_spent_close(m->config.spent, m->t.session, message->whole, actions);
    }
    rn_sa_member_go_aborted(m, RN_SA_REASON_COORDINATOR, true, actions);
    return rn_ok();
}
