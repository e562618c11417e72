/* SPDX-License-Identifier: Apache-2.0
 *
 * The aggregator: life cycle, table of stages, calls of the service. When a stage closes and what
 * happens then stands in aggregator_stages.c, what a message adds in aggregator_steps.c.
 */
#include "crypto/secagg/aggregator.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/evidence.h"

#include <string.h>

const struct rn_sa_aggregator_rule rn_sa_aggregator_rules[] = {
    {RN_SA_STAGE_READY, RN_SA_READY, rn_sa_aggregator_on_ready, RN_SA_STAGE_SHARES},
    {RN_SA_STAGE_SHARES, RN_SA_SHARES, rn_sa_aggregator_on_shares, RN_SA_STAGE_ACKS},
    {RN_SA_STAGE_ACKS, RN_SA_ACK, rn_sa_aggregator_on_ack, RN_SA_STAGE_UPLOAD},
    {RN_SA_STAGE_UPLOAD, RN_SA_CHUNK, rn_sa_aggregator_on_chunk, RN_SA_STAGE_UPLOAD},
    {RN_SA_STAGE_UPLOAD, RN_SA_DONE, rn_sa_aggregator_on_done, RN_SA_STAGE_VOTE},
    {RN_SA_STAGE_VOTE, RN_SA_VOTE, rn_sa_aggregator_on_vote, RN_SA_STAGE_UNMASK},
    {RN_SA_STAGE_UNMASK, RN_SA_REVEAL, rn_sa_aggregator_on_reveal, RN_SA_STAGE_SUM},
    {RN_SA_STAGE_SUM, RN_SA_AUDIT, rn_sa_aggregator_on_audit, RN_SA_STAGE_SUM},
    {RN_SA_STAGE_SUM, RN_SA_RECEIPT, rn_sa_aggregator_on_receipt, RN_SA_STAGE_FINISHED},
    {RN_SA_STAGE_FINISHED, RN_SA_RECEIPT, rn_sa_aggregator_on_receipt, RN_SA_STAGE_FINISHED},
    {RN_SA_STAGE_ABORTING, RN_SA_VOTE, rn_sa_aggregator_on_vote, RN_SA_STAGE_ABORTED},
    {RN_SA_STAGE_ABORTED, RN_SA_VOTE, rn_sa_aggregator_on_vote, RN_SA_STAGE_ABORTED},
    {RN_SA_STAGE_LAST_, RN_SA_TYPE_LAST_, NULL, RN_SA_STAGE_LAST_},
};

/* What there is of each member. */
static void make_room(struct rn_sa_aggregator *a)
{
    const size_t members = a->config.params.members;
    for (uint32_t type = 0; type < RN_SA_TYPE_LAST_; type++) {
        a->inbox[type] = rn_alloc(members, sizeof *a->inbox[type]);
    }
    a->dealings = rn_alloc(members, sizeof *a->dealings);
    a->uploads = rn_alloc(members, sizeof *a->uploads);
    a->answers = rn_alloc(members, sizeof *a->answers);
    a->secrets = rn_alloc(members, sizeof *a->secrets);
    a->available = rn_alloc(members, sizeof *a->available);
    a->blamed_for = rn_alloc(members, sizeof *a->blamed_for);
}

static void free_room(struct rn_sa_aggregator *a)
{
    for (uint32_t i = 0; i < a->config.params.members; i++) {
        for (uint32_t type = 0; type < RN_SA_TYPE_LAST_; type++) {
            rn_buffer_clear(&a->inbox[type][i]);
        }
        rn_sa_upload_free(a, i);
        rn_buffer_clear(&a->dealings[i].message);
        rn_free(a->dealings[i].leaves);
        rn_free(a->answers[i]);
    }
    for (uint32_t type = 0; type < RN_SA_TYPE_LAST_; type++) {
        rn_free(a->inbox[type]);
    }
    rn_free(a->dealings);
    rn_free(a->uploads);
    rn_free(a->answers);
    rn_free(a->secrets);
    rn_free(a->available);
    rn_free(a->blamed_for);
}

rn_result rn_sa_aggregator_new(const struct rn_sa_aggregator_config *config,
                               struct rn_sa_aggregator **out, struct rn_error *err)
{
    RN_TRY(rn_sa_params_check(&config->params, err));
    RN_TRY(rn_sa_context_check(&config->params, &config->context, err));
    RN_ENSURE(config->identity != NULL, err, RN_E_USAGE, "secagg: no identity");
    RN_ENSURE(rn_identity_public_equal(&config->context.roster->coordinator,
                                       rn_identity_public_of(config->identity)),
              err, RN_E_IDENTITY, "the roster has another key for the coordinator");
    struct rn_sa_aggregator *a = rn_alloc(1, sizeof *a);
    a->config = *config;
    make_room(a);
    if (a->config.spool_bytes_max == 0) {
        a->config.spool_bytes_max = RN_SA_SPOOL_BYTES_DEFAULT;
    }
    rn_sa_transcript_init(&a->t, &config->params, &config->context);
    if (config->spool == NULL &&
        rn_sa_layout_vector_bytes(&a->t.layout) > a->config.spool_bytes_max) {
        rn_sa_aggregator_free(a);
        return rn_fail(err, RN_E_MEMORY, "one upload is larger than the memory for uploads");
    }
    *out = a;
    return rn_ok();
}

void rn_sa_aggregator_free(struct rn_sa_aggregator *a)
{
    if (a == NULL) {
        return;
    }
    free_room(a);
    for (uint32_t type = 0; type < RN_SA_TYPE_LAST_; type++) {
        rn_buffer_clear(&a->sent[type]);
    }
    rn_sa_transcript_clear(&a->t);
    rn_sa_vector_clear(&a->vector);
    rn_free(a);
}

enum rn_sa_stage rn_sa_aggregator_stage(const struct rn_sa_aggregator *a)
{
    return a->stage;
}

void rn_sa_aggregator_session(const struct rn_sa_aggregator *a, uint8_t out[static RN_HASH_BYTES])
{
    memcpy(out, a->t.session, RN_HASH_BYTES);
}

void rn_sa_aggregator_start(struct rn_sa_aggregator *a, uint64_t now_ms,
                            struct rn_sa_actions *out_actions)
{
    RN_BUG_IF(a->stage != RN_SA_STAGE_OFFER);
    a->now_ms = now_ms;
    rn_sa_transcript_start(&a->t, a->config.nonce);
    rn_sa_offer_write(&a->t, a->config.nonce, a->config.identity, &a->sent[RN_SA_OFFER]);
    struct rn_buffer *record = rn_sa_aggregator_record(a, RN_SA_RECORD_OFFER, out_actions);
    rn_buffer_append(record, a->config.nonce, sizeof a->config.nonce);
    const struct rn_sa_set offered = rn_sa_aggregator_expected_ready(a);
    rn_sa_aggregator_send(a, RN_SA_OFFER, &offered, out_actions);
    a->retry_at_ms = now_ms + a->config.params.retry_ms;
    rn_sa_aggregator_enter(a, RN_SA_STAGE_READY, out_actions);
}

/* A clock that goes back must not look like a time-out. */
static void set_time(struct rn_sa_aggregator *a, uint64_t now_ms)
{
    a->now_ms = now_ms > a->now_ms ? now_ms : a->now_ms;
}

/* The transcript hash that a member's message of the type carries; NULL while there is none. */
static const uint8_t *hash_of(const struct rn_sa_aggregator *a, enum rn_sa_type type)
{
    const enum rn_sa_level level = a->t.level;
    switch (type) {
    case RN_SA_READY:
    case RN_SA_FOLLOW:
        return level >= RN_SA_LEVEL_SESSION ? a->t.session : NULL;
    case RN_SA_SHARES:
    case RN_SA_ACK:
    case RN_SA_VOTE:
        return level >= RN_SA_LEVEL_JOINED ? a->t.t0 : NULL;
    case RN_SA_CHUNK:
    case RN_SA_DONE:
        return level >= RN_SA_LEVEL_LINKED ? a->t.t1 : NULL;
    default:
        return level >= RN_SA_LEVEL_SURVIVORS ? a->t.t2 : NULL;
    }
}

static rn_result check_frame(const struct rn_sa_aggregator *a, uint32_t from,
                             const struct rn_sa_message *message, struct rn_error *err)
{
    const char *name = rn_sa_type_name(message->type);
    RN_ENSURE(!rn_sa_type_from_coordinator(message->type) && message->sender == from &&
                  from < a->config.params.members,
              err, RN_E_PEER_AUTH, "%s: not from the member who sent it", name);
    RN_ENSURE(message->recipient == RN_SA_COORDINATOR, err, RN_E_PEER_PROTOCOL,
              "%s: not for the coordinator", name);
    RN_ENSURE(memcmp(message->session, a->t.session, RN_HASH_BYTES) == 0 &&
                  message->round == a->t.context.round,
              err, RN_E_PEER_REPLAY, "%s: of another session", name);
    const uint8_t *hash = hash_of(a, message->type);
    RN_ENSURE(hash != NULL && memcmp(hash, message->transcript, RN_HASH_BYTES) == 0, err,
              RN_E_PEER_PROTOCOL, "%s: follows another transcript", name);
    return rn_ok();
}

static bool has_sum(const struct rn_sa_aggregator *a)
{
    return a->t.level >= RN_SA_LEVEL_RESULT;
}

static rn_result on_follow(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                           struct rn_sa_actions *actions, struct rn_error *err)
{
    enum rn_sa_level level;
    struct rn_view bits;
    RN_TRY(rn_sa_follow_read(&a->t, message->body, &level, &bits, err));
    static const enum rn_sa_type steps[] = {
        [RN_SA_LEVEL_SESSION] = RN_SA_READY_SET, [RN_SA_LEVEL_JOINED] = RN_SA_ACK_SET,
        [RN_SA_LEVEL_LINKED] = RN_SA_SURVIVORS,  [RN_SA_LEVEL_SURVIVORS] = RN_SA_CERTIFICATE,
        [RN_SA_LEVEL_CERTIFIED] = RN_SA_RESULT,
    };
    const struct rn_sa_set to = rn_sa_set_only(message->sender);
    for (uint32_t l = level; l <= RN_SA_LEVEL_CERTIFIED; l++) {
        rn_sa_aggregator_send(a, steps[l], &to, actions);
    }
    rn_sa_aggregator_send(a, RN_SA_RECEIPTS, &to, actions);
    rn_sa_aggregator_send(a, RN_SA_ABORT_CALL, &to, actions);
    rn_sa_aggregator_send(a, RN_SA_ABORT_CERTIFICATE, &to, actions);
    if (level == RN_SA_LEVEL_RESULT && has_sum(a)) {
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND_BULK);
        action->to = to;
        action->chunks = a->t.layout.chunks;
        rn_buffer_append(&action->bytes, bits.data, bits.length);
    }
    return rn_ok();
}

/* The same message as before is answered again; another one in its place is evidence. */
static rn_result check_repeated(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                bool *out_repeated, struct rn_sa_actions *actions,
                                struct rn_error *err)
{
    const struct rn_buffer *first = &a->inbox[message->type][message->sender];
    *out_repeated = first->length > 0 && rn_view_equal(rn_buffer_view(first), message->whole);
    if (first->length == 0 || *out_repeated) {
        return rn_ok();
    }
    const struct rn_identity_public *key = rn_sa_transcript_key(&a->t, message->sender);
    RN_TRY(rn_sa_message_verify(message, key, err));
    const bool same_head = memcmp(first->data, message->envelope.data, RN_SA_ENVELOPE_BYTES) == 0;
    /* Shares: a broken body under the right head proves nothing. One proof is enough: whoever signs
     * a thousand versions shall not fill the journal with them. */
    if (!same_head && !rn_sa_set_has(&a->caught[message->type], message->sender)) {
        rn_sa_set_add(&a->caught[message->type], message->sender);
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
        rn_sa_evidence_write(RN_SA_EVIDENCE_ENVELOPES, rn_buffer_view(first), message->envelope,
                             &action->bytes);
    }
    return rn_fail(err, RN_E_PEER_PROTOCOL, "%s: differs from the one sent before",
                   rn_sa_type_name(message->type));
}

static const struct rn_sa_aggregator_rule *find_rule(const struct rn_sa_aggregator *a,
                                                     enum rn_sa_type type)
{
    for (const struct rn_sa_aggregator_rule *rule = rn_sa_aggregator_rules; rule->handle != NULL;
         rule++) {
        if (rule->stage == a->stage && rule->type == type) {
            return rule;
        }
    }
    return NULL;
}

rn_result rn_sa_aggregator_receive(struct rn_sa_aggregator *a, uint32_t from, struct rn_view bytes,
                                   uint64_t now_ms, struct rn_sa_actions *out_actions,
                                   struct rn_error *err)
{
    struct rn_sa_message message;
    RN_TRY(rn_sa_message_parse(bytes, &message, err));
    RN_TRY(check_frame(a, from, &message, err));
    bool repeated = false;
    RN_TRY(check_repeated(a, &message, &repeated, out_actions, err));
    set_time(a, now_ms);
    if (repeated) {
        rn_sa_aggregator_reply(a, message.type, from, out_actions);
        return rn_ok();
    }
    RN_TRY(rn_sa_message_verify(&message, rn_sa_transcript_key(&a->t, from), err));
    if (message.type == RN_SA_FOLLOW) {
        return on_follow(a, &message, out_actions, err);
    }
    const struct rn_sa_aggregator_rule *rule = find_rule(a, message.type);
    if (rule == NULL) { /* late: unread, but its sender learns how it went on */
        rn_sa_aggregator_reply(a, message.type, from, out_actions);
        return rn_ok();
    }
    const struct rn_sa_set before = rn_sa_aggregator_arrived(a);
    const rn_result taken = rule->handle(a, &message, out_actions, err);
    if (a->spoiled && a->stage == RN_SA_STAGE_UPLOAD) {
        rn_sa_aggregator_call_off(a, RN_SA_REASON_SPOOL, out_actions);
    }
    RN_TRY(taken);
    const struct rn_sa_set after = rn_sa_aggregator_arrived(a);
    if (!rn_sa_set_equal(&before, &after)) {
        rn_sa_aggregator_progress(a, out_actions);
    }
    rn_sa_aggregator_advance(a, out_actions);
    return rn_ok();
}

/* Offers, and calls for abort votes, go again to those who have not answered. */
static void send_again(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    if (a->stage == RN_SA_STAGE_READY) {
        const struct rn_sa_set offered = rn_sa_aggregator_expected_ready(a);
        const struct rn_sa_set missing = rn_sa_set_minus(&offered, &a->got[RN_SA_READY]);
        rn_sa_aggregator_send(a, RN_SA_OFFER, &missing, actions);
    } else if (a->stage == RN_SA_STAGE_ABORTING) {
        const struct rn_sa_set missing = rn_sa_set_minus(&a->t.joined, &a->for_abort);
        rn_sa_aggregator_send(a, RN_SA_ABORT_CALL, &missing, actions);
    }
    a->retry_at_ms = a->now_ms + a->config.params.retry_ms;
}

void rn_sa_aggregator_tick(struct rn_sa_aggregator *a, uint64_t now_ms,
                           struct rn_sa_actions *out_actions)
{
    set_time(a, now_ms);
    if (a->config.params.retry_ms != 0 && now_ms >= a->retry_at_ms) {
        send_again(a, out_actions);
    }
    rn_sa_aggregator_advance(a, out_actions);
}

/* What opened the stages that went on without an answer of the member: it takes one step after the
 * other, and may have been away for several. */
static void resend_passed(const struct rn_sa_aggregator *a, uint32_t member,
                          struct rn_sa_actions *actions)
{
    static const struct {
        enum rn_sa_stage stage;
        enum rn_sa_type opening, answer;
    } steps[] = {
        {RN_SA_STAGE_VOTE, RN_SA_SURVIVORS, RN_SA_VOTE},
        {RN_SA_STAGE_UNMASK, RN_SA_CERTIFICATE, RN_SA_REVEAL},
    };
    const struct rn_sa_set to = rn_sa_set_only(member);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(steps); i++) {
        if (a->stage > steps[i].stage && a->stage <= RN_SA_STAGE_FINISHED &&
            rn_sa_set_has(&a->t.joined, member) &&
            !rn_sa_set_has(&a->got[steps[i].answer], member)) {
            rn_sa_aggregator_send(a, steps[i].opening, &to, actions);
        }
    }
}

void rn_sa_aggregator_resend(struct rn_sa_aggregator *a, uint32_t member,
                             struct rn_sa_actions *out_actions)
{
    if (member >= a->config.params.members) {
        return;
    }
    const struct rn_sa_set to = rn_sa_set_only(member);
    /* With a sum also to a member that was ready: one whose state was lost can follow from it. */
    if (a->stage == RN_SA_STAGE_SUM || a->stage == RN_SA_STAGE_FINISHED ||
        (!rn_sa_set_has(&a->got[RN_SA_READY], member) &&
         !rn_sa_set_has(&a->config.excluded, member))) {
        rn_sa_aggregator_send(a, RN_SA_OFFER, &to, out_actions);
    }
    static const enum rn_sa_type opening[RN_SA_STAGE_LAST_] = {
        [RN_SA_STAGE_SHARES] = RN_SA_READY_SET,    [RN_SA_STAGE_UPLOAD] = RN_SA_ACK_SET,
        [RN_SA_STAGE_VOTE] = RN_SA_SURVIVORS,      [RN_SA_STAGE_UNMASK] = RN_SA_CERTIFICATE,
        [RN_SA_STAGE_SUM] = RN_SA_RESULT,          [RN_SA_STAGE_FINISHED] = RN_SA_RESULT,
        [RN_SA_STAGE_ABORTING] = RN_SA_ABORT_CALL, [RN_SA_STAGE_ABORTED] = RN_SA_ABORT_CALL,
    };
    resend_passed(a, member, out_actions);
    if (a->stage == RN_SA_STAGE_ACKS) {
        rn_sa_aggregator_send_shares(a, &to, out_actions);
    } else if (opening[a->stage] != 0) {
        rn_sa_aggregator_send(a, opening[a->stage], &to, out_actions);
    }
    rn_sa_aggregator_send(a, RN_SA_RECEIPTS, &to, out_actions);
    rn_sa_aggregator_send(a, RN_SA_ABORT_CERTIFICATE, &to, out_actions);
}

void rn_sa_aggregator_abort(struct rn_sa_aggregator *a, uint64_t now_ms,
                            struct rn_sa_actions *out_actions)
{
    set_time(a, now_ms);
    if (a->stage >= RN_SA_STAGE_READY && a->stage < RN_SA_STAGE_UNMASK) {
        rn_sa_aggregator_call_off(a, RN_SA_REASON_OPERATOR, out_actions);
    }
}

rn_result rn_sa_aggregator_chunk(struct rn_sa_aggregator *a, uint32_t chunk, struct rn_buffer *out,
                                 struct rn_error *err)
{
    RN_ENSURE(has_sum(a), err, RN_E_USAGE, "there is no sum yet");
    if (chunk >= a->t.layout.chunks) {
        return rn_sa_aggregator_piece(a, chunk, out, err);
    }
    const size_t size = rn_sa_layout_chunk_bytes(&a->t.layout, chunk);
    uint8_t *RN_CLEANUP(rn_free_cleanup) packed = rn_alloc(size, 1);
    rn_sa_vector_pack(&a->vector, chunk, packed);
    rn_sa_chunk_write(&a->t, RN_SA_COORDINATOR, chunk, rn_view_of(packed, size), a->config.identity,
                      out);
    return rn_ok();
}

rn_result rn_sa_aggregator_sum_info(const struct rn_sa_aggregator *a, struct rn_sa_sum_info *out,
                                    struct rn_error *err)
{
    RN_ENSURE(has_sum(a), err, RN_E_USAGE, "there is no sum yet");
    *out = (struct rn_sa_sum_info){
        .elements = a->t.layout.elements,
        .survivors = a->t.survivors,
        .contributors = rn_sa_set_count(&a->t.survivors),
        .blamed = a->t.blamed,
    };
    memcpy(out->transcript, a->t.t2, RN_HASH_BYTES);
    memcpy(out->sum_hash, a->t.sum_root, RN_HASH_BYTES);
    memcpy(out->adapter_hash, a->t.adapter, RN_HASH_BYTES);
    return rn_ok();
}

rn_result rn_sa_aggregator_sum_read(const struct rn_sa_aggregator *a, uint64_t first,
                                    uint32_t count, uint64_t *out, struct rn_error *err)
{
    RN_ENSURE(has_sum(a) && first <= a->t.layout.elements && count <= a->t.layout.elements - first,
              err, RN_E_USAGE, "there is no such part of a sum");
    rn_sa_vector_read(&a->vector, first, count, out);
    return rn_ok();
}
