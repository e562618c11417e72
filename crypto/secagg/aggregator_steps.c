/* SPDX-License-Identifier: Apache-2.0
 *
 * What each message of a member adds at the coordinator, and how the coordinator answers.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/evidence.h"

#include <string.h>

/* ---- sending ---- */

struct rn_buffer *rn_sa_aggregator_record(const struct rn_sa_aggregator *a,
                                          enum rn_sa_record_kind kind,
                                          struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_PERSIST);
    rn_sa_record_begin(&action->bytes, kind, a->t.session);
    return &action->bytes;
}

void rn_sa_aggregator_broadcast(struct rn_sa_aggregator *a, enum rn_sa_type type,
                                struct rn_view body)
{
    const struct rn_sa_draft draft = {
        .type = type,
        .sender = RN_SA_COORDINATOR,
        .recipient = RN_SA_EVERYONE,
        .hash = type == RN_SA_ABORT_CERTIFICATE ? a->t.t0 : rn_sa_transcript_hash(&a->t),
        .body = body,
    };
    rn_sa_transcript_write(&a->t, &draft, a->config.identity, &a->sent[type]);
}

void rn_sa_aggregator_send(const struct rn_sa_aggregator *a, enum rn_sa_type type,
                           const struct rn_sa_set *to, struct rn_sa_actions *actions)
{
    if (a->sent[type].length > 0 && !rn_sa_set_empty(to)) {
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
        action->to = *to;
        rn_buffer_append(&action->bytes, a->sent[type].data, a->sent[type].length);
    }
}

void rn_sa_aggregator_send_shares(const struct rn_sa_aggregator *a, uint32_t member,
                                  struct rn_sa_actions *actions)
{
    if (rn_sa_set_empty(&a->t.dealers) || !rn_sa_set_has(&a->t.joined, member)) {
        return;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_shares_set_write(&a->t, a->dealings, &a->t.dealers, member, &body);
    const struct rn_sa_draft draft = {
        .type = RN_SA_SHARES_SET,
        .sender = RN_SA_COORDINATOR,
        .recipient = member,
        .hash = a->t.t0,
        .body = rn_buffer_view(&body),
    };
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
    action->to = rn_sa_set_only(member);
    rn_sa_transcript_write(&a->t, &draft, a->config.identity, &action->bytes);
}

void rn_sa_aggregator_send_need(const struct rn_sa_aggregator *a, uint32_t member,
                                struct rn_sa_actions *actions)
{
    const struct rn_sa_upload *upload = &a->uploads[member];
    uint8_t *RN_CLEANUP(rn_free_cleanup) bits = rn_alloc(rn_sa_bits_bytes(&a->t), 1);
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        if (!upload->open || !upload->held[i]) {
            bits[i / 8] |= (uint8_t)(1u << (i % 8));
        }
    }
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
    action->to = rn_sa_set_only(member);
    rn_sa_need_write(&a->t, member, bits, a->config.identity, &action->bytes);
}

void rn_sa_aggregator_reply(const struct rn_sa_aggregator *a, enum rn_sa_type type, uint32_t member,
                            struct rn_sa_actions *actions)
{
    const struct rn_sa_set to = rn_sa_set_only(member);
    const bool over = a->stage == RN_SA_STAGE_ABORTING || a->stage == RN_SA_STAGE_ABORTED;
    if (a->sent[RN_SA_ABORT_CERTIFICATE].length > 0) {
        rn_sa_aggregator_send(a, RN_SA_ABORT_CERTIFICATE, &to, actions);
        return;
    }
    /* A vote is the answer to the first call: no echo. */
    if (over && (type != RN_SA_VOTE || a->stage == RN_SA_STAGE_ABORTED)) {
        rn_sa_aggregator_send(a, RN_SA_ABORT_CALL, &to, actions);
        return;
    }
    switch (type) {
    case RN_SA_READY:
        rn_sa_aggregator_send(a, RN_SA_READY_SET, &to, actions);
        return;
    case RN_SA_SHARES:
        rn_sa_aggregator_send_shares(a, member, actions);
        return;
    case RN_SA_ACK:
        rn_sa_aggregator_send(a, RN_SA_ACK_SET, &to, actions);
        return;
    case RN_SA_DONE:
        if (a->stage == RN_SA_STAGE_UPLOAD && !a->uploads[member].complete) {
            rn_sa_aggregator_send_need(a, member, actions);
        }
        rn_sa_aggregator_send(a, RN_SA_SURVIVORS, &to, actions);
        return;
    case RN_SA_VOTE:
        rn_sa_aggregator_send(a, RN_SA_CERTIFICATE, &to, actions);
        return;
    case RN_SA_REVEAL:
        rn_sa_aggregator_send(a, RN_SA_RESULT, &to, actions);
        return;
    case RN_SA_RECEIPT:
    case RN_SA_AUDIT:
        rn_sa_aggregator_send(a, RN_SA_RECEIPTS, &to, actions);
        return;
    default:
        return;
    }
}

/* ---- what each message adds ---- */

void rn_sa_aggregator_keep(struct rn_sa_aggregator *a, const struct rn_sa_message *message)
{
    struct rn_buffer *slot = &a->inbox[message->type][message->sender];
    rn_buffer_clear(slot);
    rn_buffer_append(slot, message->whole.data, message->whole.length);
    rn_sa_set_add(&a->got[message->type], message->sender);
}

/* A key that another member announced already, of whatever use, would let T0 name one key twice. */
rn_result rn_sa_aggregator_on_ready(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                    struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    RN_ENSURE(!rn_sa_set_has(&a->config.excluded, message->sender), err, RN_E_PEER_PROTOCOL,
              "ready: its sender is left out of this session for what it did in an earlier one");
    RN_TRY(rn_sa_ready_check(message, err));
    const struct rn_sa_set *got = &a->got[RN_SA_READY];
    for (uint32_t i = rn_sa_set_next(got, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(got, i + 1)) {
        const uint8_t *other = a->inbox[RN_SA_READY][i].data + RN_SA_ENVELOPE_BYTES;
        for (uint32_t pair = 0; pair < 9; pair++) { /* of three keys each */
            RN_ENSURE(memcmp(other + pair / 3 * 32u, message->body.data + pair % 3 * 32u, 32) != 0,
                      err, RN_E_PEER_PROTOCOL, "ready: a key of member %u is announced again", i);
        }
    }
    rn_sa_aggregator_keep(a, message);
    return rn_ok();
}

rn_result rn_sa_aggregator_on_shares(struct rn_sa_aggregator *a,
                                     const struct rn_sa_message *message,
                                     struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    const uint32_t member = message->sender;
    RN_ENSURE(rn_sa_set_has(&a->t.joined, member), err, RN_E_PEER_PROTOCOL,
              "shares: their sender is not of this session");
    const struct rn_sa_set holders = rn_sa_transcript_holders(&a->t, member);
    uint8_t *RN_CLEANUP(rn_free_cleanup) leaves =
        rn_alloc(rn_sa_set_count(&holders), RN_HASH_BYTES);
    RN_TRY(rn_sa_shares_check(&a->t, message, leaves, err));
    a->dealings[member].leaves = RN_TAKE(leaves);
    rn_buffer_append(&a->dealings[member].message, message->whole.data, message->whole.length);
    rn_sa_aggregator_keep(a, message);
    return rn_ok();
}

rn_result rn_sa_aggregator_on_ack(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                  struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    RN_ENSURE(rn_sa_set_has(&a->t.joined, message->sender), err, RN_E_PEER_PROTOCOL,
              "ack: its sender is not of this session");
    RN_TRY(rn_sa_ack_check(&a->t, message, err));
    rn_sa_aggregator_keep(a, message);
    return rn_ok();
}

rn_result rn_sa_aggregator_on_vote(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                   struct rn_sa_actions *actions, struct rn_error *err)
{
    (void)actions;
    const uint32_t member = message->sender;
    enum rn_sa_vote vote = RN_SA_VOTE_NONE;
    RN_TRY(rn_sa_vote_read(&a->t, message->body, &vote, err));
    const struct rn_sa_set *entitled =
        vote == RN_SA_VOTE_SURVIVORS ? &a->t.survivors : &a->t.joined;
    RN_ENSURE(rn_sa_set_has(entitled, member), err, RN_E_PEER_PROTOCOL,
              "vote: its sender is not entitled to it");
    rn_sa_aggregator_keep(a, message);
    rn_sa_set_add(vote == RN_SA_VOTE_SURVIVORS ? &a->for_survivors : &a->for_abort, member);
    return rn_ok();
}
