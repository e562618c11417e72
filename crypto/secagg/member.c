/* SPDX-License-Identifier: Apache-2.0
 *
 * The member machine: life cycle, table of states, calls of the service. What each message does
 * stands in member_steps.c.
 */
#include "crypto/secagg/member.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "crypto/secagg/evidence.h"
#include "crypto/secagg/member_state.h"

#include <string.h>

const struct rn_sa_member_rule rn_sa_member_rules[] = {
    {RN_SA_M_IDLE, RN_SA_OFFER, rn_sa_member_on_offer, RN_SA_M_TRAINING},

    {RN_SA_M_READY, RN_SA_READY_SET, rn_sa_member_on_ready_set, RN_SA_M_DEALT},
    {RN_SA_M_DEALT, RN_SA_SHARES_SET, rn_sa_member_on_shares_set, RN_SA_M_ACKED},
    {RN_SA_M_ACKED, RN_SA_ACK_SET, rn_sa_member_on_ack_set, RN_SA_M_UPLOADING},
    {RN_SA_M_DONE, RN_SA_NEED, rn_sa_member_on_need, RN_SA_M_DONE},
    {RN_SA_M_UPLOADING, RN_SA_SURVIVORS, rn_sa_member_on_survivors, RN_SA_M_FOLLOWING},
    {RN_SA_M_DONE, RN_SA_SURVIVORS, rn_sa_member_on_survivors, RN_SA_M_VOTED},
    {RN_SA_M_VOTED, RN_SA_CERTIFICATE, rn_sa_member_on_certificate, RN_SA_M_REVEALED},
    {RN_SA_M_REVEALED, RN_SA_RESULT, rn_sa_member_on_result, RN_SA_M_FETCHING},
    {RN_SA_M_FETCHING, RN_SA_SUM_CHUNK, rn_sa_member_on_sum_chunk, RN_SA_M_FETCHING},
    {RN_SA_M_AUDITING, RN_SA_LEAVES, rn_sa_member_on_leaves, RN_SA_M_AUDITING},
    {RN_SA_M_AUDITING, RN_SA_CHUNK, rn_sa_member_on_upload_chunk, RN_SA_M_AUDITING},
    {RN_SA_M_FETCHING, RN_SA_RECEIPTS, rn_sa_member_on_receipts, RN_SA_M_FETCHING},
    {RN_SA_M_AUDITING, RN_SA_RECEIPTS, rn_sa_member_on_receipts, RN_SA_M_SUMMED},
    {RN_SA_M_RECEIPTED, RN_SA_RECEIPTS, rn_sa_member_on_receipts, RN_SA_M_SUMMED},

    {RN_SA_M_FOLLOWING, RN_SA_READY_SET, rn_sa_member_on_follow, RN_SA_M_FOLLOWING},
    {RN_SA_M_FOLLOWING, RN_SA_ACK_SET, rn_sa_member_on_follow, RN_SA_M_FOLLOWING},
    {RN_SA_M_FOLLOWING, RN_SA_SURVIVORS, rn_sa_member_on_follow, RN_SA_M_FOLLOWING},
    {RN_SA_M_FOLLOWING, RN_SA_CERTIFICATE, rn_sa_member_on_follow, RN_SA_M_FOLLOWING},
    {RN_SA_M_FOLLOWING, RN_SA_RESULT, rn_sa_member_on_result, RN_SA_M_FETCHING},

    {RN_SA_M_TRAINING, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTED},
    {RN_SA_M_READY, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTED},
    {RN_SA_M_DEALT, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTED},
    {RN_SA_M_ACKED, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTED},
    {RN_SA_M_UPLOADING, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTED},
    {RN_SA_M_FOLLOWING, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTED},
    {RN_SA_M_DONE, RN_SA_ABORT_CALL, rn_sa_member_on_abort_call, RN_SA_M_ABORTING},
    {RN_SA_M_VOTED, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_VOTED},
    {RN_SA_M_REVEALED, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_REVEALED},
    {RN_SA_M_FETCHING, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_FETCHING},
    {RN_SA_M_AUDITING, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_AUDITING},
    {RN_SA_M_RECEIPTED, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_RECEIPTED},
    {RN_SA_M_ABORTING, RN_SA_ABORT_CALL, rn_sa_member_on_late_abort, RN_SA_M_ABORTING},

    {RN_SA_M_DONE, RN_SA_ABORT_CERTIFICATE, rn_sa_member_on_abort_certificate, RN_SA_M_ABORTED},
    {RN_SA_M_VOTED, RN_SA_ABORT_CERTIFICATE, rn_sa_member_on_abort_certificate, RN_SA_M_ABORTED},
    {RN_SA_M_FOLLOWING, RN_SA_ABORT_CERTIFICATE, rn_sa_member_on_abort_certificate,
     RN_SA_M_ABORTED},
    {RN_SA_M_ABORTING, RN_SA_ABORT_CERTIFICATE, rn_sa_member_on_abort_certificate, RN_SA_M_ABORTED},
    {RN_SA_M_ABORTED, RN_SA_ABORT_CERTIFICATE, rn_sa_member_on_abort_certificate, RN_SA_M_ABORTED},
    {RN_SA_M_REVEALED, RN_SA_ABORT_CERTIFICATE, rn_sa_member_on_abort_certificate,
     RN_SA_M_REVEALED},
    {RN_SA_M_LAST_, RN_SA_TYPE_LAST_, NULL, RN_SA_M_LAST_},
};

const char *rn_sa_member_state_name(enum rn_sa_member_state state)
{
    static const char *const names[RN_SA_M_LAST_] = {
        [RN_SA_M_IDLE] = "idle",         [RN_SA_M_TRAINING] = "training",
        [RN_SA_M_READY] = "ready",       [RN_SA_M_DEALT] = "dealt",
        [RN_SA_M_ACKED] = "acked",       [RN_SA_M_UPLOADING] = "uploading",
        [RN_SA_M_DONE] = "done",         [RN_SA_M_VOTED] = "voted",
        [RN_SA_M_REVEALED] = "revealed", [RN_SA_M_FOLLOWING] = "following",
        [RN_SA_M_FETCHING] = "fetching", [RN_SA_M_SUMMED] = "summed",
        [RN_SA_M_AUDITING] = "auditing", [RN_SA_M_RECEIPTED] = "receipted",
        [RN_SA_M_FINISHED] = "finished", [RN_SA_M_ABORTING] = "aborting",
        [RN_SA_M_ABORTED] = "aborted",
    };
    return names[state];
}

static struct rn_sa_vault *new_vault(const struct rn_sa_transcript *t, uint32_t self)
{
    const struct rn_sa_set circle = rn_sa_transcript_circle(t, self);
    const size_t slots = rn_sa_set_count(&circle) * sizeof(struct rn_sa_slot);
    struct rn_sa_vault *vault = rn_secret_alloc(sizeof *vault + slots);
    rn_sa_secrets_init(&vault->session, &circle, vault->slots);
    return vault;
}

rn_result rn_sa_member_new(const struct rn_sa_member_config *config, struct rn_sa_member **out,
                           struct rn_error *err)
{
    RN_TRY(rn_sa_params_check(&config->params, err));
    RN_TRY(rn_sa_context_check(&config->params, &config->context, err));
    const uint32_t threshold = rn_sa_threshold(&config->params);
    RN_ENSURE(threshold >= config->threshold_min, err, RN_E_REFUSED,
              "secagg: %u shares rebuild a secret, this member's policy wants at least %u",
              threshold, config->threshold_min);
    RN_ENSURE(config->self < config->params.members && config->identity != NULL &&
                  config->spent != NULL && config->seed != NULL,
              err, RN_E_USAGE, "secagg member: identity, place, ledger or seed is missing");
    RN_ENSURE((config->group != NULL) == config->context.blind, err, RN_E_USAGE,
              "secagg member: a blind session, and no other, has a group key");
    const struct rn_identity_public *listed = &config->context.roster->members[config->self].key;
    RN_ENSURE(rn_identity_public_equal(listed, rn_identity_public_of(config->identity)), err,
              RN_E_IDENTITY, "the roster has another key for this member");
    struct rn_sa_member *m = rn_alloc(1, sizeof *m);
    m->config = *config;
    m->config.seed = NULL;
    rn_sa_transcript_init(&m->t, &config->params, &config->context);
    m->vault = new_vault(&m->t, config->self);
    m->vault->seed = *config->seed;
    *out = m;
    return rn_ok();
}

void rn_sa_member_erase(struct rn_sa_member *m)
{
    rn_secret_free(RN_TAKE(m->vault));
    rn_mask_set_free(RN_TAKE(m->masks));
}

void rn_sa_member_free(struct rn_sa_member *member)
{
    if (member == NULL) {
        return;
    }
    rn_sa_member_erase(member);
    rn_sa_transcript_clear(&member->t);
    rn_buffer_clear(&member->shares);
    rn_buffer_clear(&member->done);
    rn_buffer_clear(&member->reveal);
    rn_buffer_clear(&member->receipt);
    for (uint32_t type = 0; type < RN_SA_TYPE_LAST_; type++) {
        rn_buffer_clear(&member->heard[type]);
    }
    rn_buffer_clear(&member->certificate);
    rn_buffer_clear(&member->outbox);
    rn_free(member->leaves);
    rn_free(member->leaf_set);
    rn_sa_vector_clear(&member->sum);
    rn_free(member->sum_leaves);
    rn_free(member->sum_bits);
    rn_sa_audit_free(member->audit);
    rn_free(member);
}

enum rn_sa_stage rn_sa_member_stage(const struct rn_sa_member *member)
{
    static const enum rn_sa_stage stages[RN_SA_M_LAST_] = {
        [RN_SA_M_IDLE] = RN_SA_STAGE_OFFER,        [RN_SA_M_TRAINING] = RN_SA_STAGE_READY,
        [RN_SA_M_READY] = RN_SA_STAGE_READY,       [RN_SA_M_DEALT] = RN_SA_STAGE_SHARES,
        [RN_SA_M_ACKED] = RN_SA_STAGE_ACKS,        [RN_SA_M_UPLOADING] = RN_SA_STAGE_UPLOAD,
        [RN_SA_M_DONE] = RN_SA_STAGE_UPLOAD,       [RN_SA_M_VOTED] = RN_SA_STAGE_VOTE,
        [RN_SA_M_REVEALED] = RN_SA_STAGE_UNMASK,   [RN_SA_M_FETCHING] = RN_SA_STAGE_SUM,
        [RN_SA_M_AUDITING] = RN_SA_STAGE_SUM,      [RN_SA_M_RECEIPTED] = RN_SA_STAGE_SUM,
        [RN_SA_M_SUMMED] = RN_SA_STAGE_SUM,        [RN_SA_M_FINISHED] = RN_SA_STAGE_FINISHED,
        [RN_SA_M_ABORTING] = RN_SA_STAGE_ABORTING, [RN_SA_M_ABORTED] = RN_SA_STAGE_ABORTED,
    };
    static const enum rn_sa_stage levels[] = {
        [RN_SA_LEVEL_NONE] = RN_SA_STAGE_OFFER,     [RN_SA_LEVEL_SESSION] = RN_SA_STAGE_READY,
        [RN_SA_LEVEL_JOINED] = RN_SA_STAGE_SHARES,  [RN_SA_LEVEL_LINKED] = RN_SA_STAGE_UPLOAD,
        [RN_SA_LEVEL_SURVIVORS] = RN_SA_STAGE_VOTE, [RN_SA_LEVEL_CERTIFIED] = RN_SA_STAGE_UNMASK,
        [RN_SA_LEVEL_RESULT] = RN_SA_STAGE_SUM,     [RN_SA_LEVEL_RECEIPTED] = RN_SA_STAGE_SUM,
    };
    return member->state == RN_SA_M_FOLLOWING ? levels[member->t.level] : stages[member->state];
}

/* How long a member waits in a state before it gives up; after Done it never does. */
static uint64_t patience(const struct rn_sa_member *m, enum rn_sa_member_state state)
{
    const struct rn_sa_params *p = &m->config.params;
    switch (state) {
    case RN_SA_M_READY:
        return 2 * p->ready.hard_ms;
    case RN_SA_M_DEALT:
        return 2 * p->shares.hard_ms;
    case RN_SA_M_ACKED:
        return 2 * p->acks.hard_ms;
    case RN_SA_M_UPLOADING:
        return 2 * p->upload.hard_ms;
    default:
        return 0;
    }
}

void rn_sa_member_enter(struct rn_sa_member *m, enum rn_sa_member_state state,
                        struct rn_sa_actions *actions)
{
    const bool moved = m->state != state;
    const enum rn_sa_stage before = rn_sa_member_stage(m);
    m->state = state;
    if (moved) {
        const uint64_t wait = patience(m, state);
        m->deadline_ms = wait == 0 ? 0 : m->now_ms + wait;
    }
    if (rn_sa_member_stage(m) != before) {
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_STAGE);
        action->stage = rn_sa_member_stage(m);
        action->expected = m->t.survivors;
        if (m->t.level < RN_SA_LEVEL_SURVIVORS) {
            action->expected = m->t.level >= RN_SA_LEVEL_LINKED ? m->t.linked : m->t.joined;
        }
    }
}

void rn_sa_member_send(struct rn_sa_member *m, const struct rn_buffer *message,
                       struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
    rn_buffer_append(&action->bytes, message->data, message->length);
    if (message != &m->outbox) {
        rn_buffer_clear(&m->outbox);
        rn_buffer_append(&m->outbox, message->data, message->length);
    }
    m->retry_at_ms = m->now_ms + m->config.params.retry_ms;
}

void rn_sa_member_persist(const struct rn_sa_member *m, enum rn_sa_record_kind kind,
                          const struct rn_buffer *message, struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_PERSIST);
    rn_sa_record_begin(&action->bytes, kind, m->t.session);
    rn_buffer_blob(&action->bytes, rn_buffer_view(message));
}

void rn_sa_member_ask(struct rn_sa_member *m, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    if (m->audit != NULL) {
        const struct rn_sa_audit_request wanted = rn_sa_audit_wanted(m->audit);
        rn_sa_audit_write(&m->t, m->config.self, &wanted, m->config.identity, &message);
    } else {
        const uint8_t *bits = m->t.level >= RN_SA_LEVEL_RESULT ? m->sum_bits : NULL;
        rn_sa_follow_write(&m->t, m->config.self, bits, m->config.identity, &message);
    }
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND);
    action->bytes = message;
    message = (struct rn_buffer){0};
    m->retry_at_ms = m->now_ms + m->config.params.retry_ms;
}

void rn_sa_member_go_following(struct rn_sa_member *m, enum rn_sa_reason reason,
                               struct rn_sa_actions *actions)
{
    rn_sa_member_erase(m);
    if (!m->spent) {
        rn_buffer_clear(&m->outbox);
    }
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_FOLLOWING);
    action->reason = reason;
    m->next = RN_SA_M_FOLLOWING;
    rn_sa_member_ask(m, actions);
}

void rn_sa_member_go_aborted(struct rn_sa_member *m, enum rn_sa_reason reason, bool certified,
                             struct rn_sa_actions *actions)
{
    rn_sa_member_erase(m);
    m->next = RN_SA_M_ABORTED;
    rn_sa_member_enter(m, RN_SA_M_ABORTED, actions);
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_ABORTED);
    action->reason = reason;
    action->certified = certified || !m->spent;
}

/* Broadcasts of which a session has one. */
static bool is_unique(enum rn_sa_type type)
{
    return type == RN_SA_READY_SET || type == RN_SA_SHARES_SET || type == RN_SA_ACK_SET ||
           type == RN_SA_SURVIVORS || type == RN_SA_RESULT;
}

void rn_sa_member_give_evidence(struct rn_sa_member *m, enum rn_sa_type type, struct rn_view second,
                                struct rn_sa_actions *actions)
{
    if (m->caught[type]) {
        return;
    }
    m->caught[type] = true;
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
    rn_sa_evidence_write(RN_SA_EVIDENCE_ENVELOPES, rn_view_of(m->seen[type], RN_SA_ENVELOPE_BYTES),
                         second, &action->bytes);
}

void rn_sa_member_keep_certificate(struct rn_sa_member *m, const struct rn_sa_message *message)
{
    if (m->certificate.length == 0) {
        rn_buffer_append(&m->certificate, message->whole.data, message->whole.length);
    }
}

/* Two that exclude each other: more than n_c members voted twice, and the votes in them say who. */
static void compare_certificates(struct rn_sa_member *m, const struct rn_sa_message *message,
                                 struct rn_sa_actions *actions)
{
    const bool certificate =
        message->type == RN_SA_CERTIFICATE || message->type == RN_SA_ABORT_CERTIFICATE;
    if (!certificate || m->certificate.length == 0 || m->caught[RN_SA_CERTIFICATE]) {
        return;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    struct rn_sa_evidence evidence;
    rn_sa_evidence_write(RN_SA_EVIDENCE_CERTIFICATES, rn_buffer_view(&m->certificate),
                         message->whole, &document);
    if (rn_is_ok(rn_sa_evidence_check(rn_buffer_view(&document), m->t.context.roster, &evidence,
                                      NULL))) {
        m->caught[RN_SA_CERTIFICATE] = true;
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
        rn_buffer_append(&action->bytes, document.data, document.length);
    }
}

/* A message of which one like it was accepted before: the same is harmless, another is evidence. */
static rn_result check_repeated(struct rn_sa_member *m, const struct rn_sa_message *message,
                                bool *out_repeated, struct rn_sa_actions *actions,
                                struct rn_error *err)
{
    const enum rn_sa_type type = message->type;
    *out_repeated = false;
    if (is_unique(type) && m->seen_set[type]) {
        *out_repeated = memcmp(m->seen[type], message->envelope.data, RN_SA_ENVELOPE_BYTES) == 0;
        if (!*out_repeated) {
            rn_sa_member_give_evidence(m, type, message->envelope, actions);
            return rn_fail(err, RN_E_PEER_PROTOCOL, "%s: contradicts an earlier one",
                           rn_sa_type_name(type));
        }
    }
    const bool other_survivors = type == RN_SA_CERTIFICATE && m->seen_set[RN_SA_SURVIVORS] &&
                                 memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) != 0;
    if (other_survivors) {
        rn_sa_member_give_evidence(m, RN_SA_SURVIVORS, message->envelope, actions);
        return rn_fail(err, RN_E_PEER_PROTOCOL, "certificate: over other survivors");
    }
    return rn_ok();
}

/* Another member's Chunk, for the replay. Its body is held against the leaf that Done signs. */
static rn_result check_upload_frame(const struct rn_sa_member *m,
                                    const struct rn_sa_message *message, struct rn_error *err)
{
    RN_ENSURE(rn_sa_set_has(&m->t.survivors, message->sender) &&
                  memcmp(message->session, m->t.session, RN_HASH_BYTES) == 0 &&
                  memcmp(message->transcript, m->t.t1, RN_HASH_BYTES) == 0,
              err, RN_E_PEER_PROTOCOL, "chunk: not one that is in this sum");
    return rn_sa_envelope_verify(message, rn_sa_transcript_key(&m->t, message->sender), err);
}

static rn_result check_frame(const struct rn_sa_member *m, const struct rn_sa_message *message,
                             struct rn_error *err)
{
    if (m->t.level >= RN_SA_LEVEL_RESULT && message->type == RN_SA_CHUNK) {
        return check_upload_frame(m, message, err);
    }
    RN_ENSURE(rn_sa_type_from_coordinator(message->type) && message->sender == RN_SA_COORDINATOR,
              err, RN_E_PEER_PROTOCOL, "%s: not a message of a coordinator",
              rn_sa_type_name(message->type));
    RN_ENSURE(message->recipient == RN_SA_EVERYONE || message->recipient == m->config.self, err,
              RN_E_PEER_PROTOCOL, "%s: for another member", rn_sa_type_name(message->type));
    if (m->t.level != RN_SA_LEVEL_NONE) {
        RN_ENSURE(memcmp(message->session, m->t.session, RN_HASH_BYTES) == 0 &&
                      message->round == m->t.context.round,
                  err, RN_E_PEER_REPLAY, "%s: of another session", rn_sa_type_name(message->type));
    }
    return rn_sa_message_verify(message, &m->t.context.roster->coordinator, err);
}

static const struct rn_sa_member_rule *find_rule(const struct rn_sa_member *m, enum rn_sa_type type)
{
    for (const struct rn_sa_member_rule *rule = rn_sa_member_rules; rule->handle != NULL; rule++) {
        if (rule->state == m->state && rule->type == type) {
            return rule;
        }
    }
    return NULL;
}

static void keep_heard(struct rn_sa_member *m, const struct rn_sa_message *message)
{
    const enum rn_sa_type type = message->type;
    struct rn_buffer *kept = &m->heard[type];
    const bool wanted = type == RN_SA_OFFER || type == RN_SA_READY_SET || type == RN_SA_ACK_SET ||
                        type == RN_SA_SURVIVORS || type == RN_SA_RESULT;
    if (wanted && kept->length == 0) {
        rn_buffer_append(kept, message->whole.data, message->whole.length);
    }
}

rn_result rn_sa_member_receive(struct rn_sa_member *m, struct rn_view bytes, uint64_t now_ms,
                               struct rn_sa_actions *out_actions, struct rn_error *err)
{
    struct rn_sa_message message;
    RN_TRY(rn_sa_message_parse(bytes, &message, err));
    RN_TRY(check_frame(m, &message, err));
    bool repeated = false;
    compare_certificates(m, &message, out_actions);
    RN_TRY(check_repeated(m, &message, &repeated, out_actions, err));
    const struct rn_sa_member_rule *rule = find_rule(m, message.type);
    if (repeated || rule == NULL) {
        return rn_ok(); /* late or early: late is done already, early comes again when asked for */
    }
    m->now_ms = now_ms;
    m->next = rule->next;
    m->ignored = false;
    RN_TRY(rule->handle(m, &message, out_actions, err));
    if ((is_unique(message.type) || message.type == RN_SA_CERTIFICATE) && !m->ignored) {
        memcpy(m->seen[message.type], message.envelope.data, RN_SA_ENVELOPE_BYTES);
        m->seen_set[message.type] = true;
    }
    if (!m->ignored) {
        keep_heard(m, &message);
    }
    rn_sa_member_enter(m, m->next, out_actions);
    return rn_ok();
}

/* States in which the last message waits for an answer. */
static bool is_waiting(const struct rn_sa_member *m)
{
    return m->state == RN_SA_M_READY || m->state == RN_SA_M_DEALT || m->state == RN_SA_M_ACKED ||
           m->state == RN_SA_M_DONE || m->state == RN_SA_M_VOTED || m->state == RN_SA_M_REVEALED ||
           m->state == RN_SA_M_ABORTING || m->state == RN_SA_M_FOLLOWING ||
           m->state == RN_SA_M_RECEIPTED;
}

static void send_again(struct rn_sa_member *m, struct rn_sa_actions *actions)
{
    if (is_waiting(m) && m->outbox.length > 0) {
        rn_sa_member_send(m, &m->outbox, actions);
    }
    if (m->state == RN_SA_M_FOLLOWING || m->state == RN_SA_M_FETCHING ||
        m->state == RN_SA_M_AUDITING) {
        rn_sa_member_ask(m, actions);
    }
}

void rn_sa_member_tick(struct rn_sa_member *m, uint64_t now_ms, struct rn_sa_actions *out_actions)
{
    m->now_ms = now_ms;
    if (m->deadline_ms != 0 && now_ms >= m->deadline_ms) {
        /* Without a part, but not blind: the others may well bring the session to its sum. */
        rn_sa_member_go_following(m, RN_SA_REASON_TIMEOUT, out_actions);
        rn_sa_member_enter(m, RN_SA_M_FOLLOWING, out_actions);
        return;
    }
    const bool sending = m->state == RN_SA_M_DONE && m->sending;
    if (m->config.params.retry_ms != 0 && now_ms >= m->retry_at_ms && !sending) {
        send_again(m, out_actions);
    }
}

void rn_sa_member_resend(struct rn_sa_member *m, uint64_t now_ms, struct rn_sa_actions *out_actions)
{
    m->now_ms = now_ms;
    m->sending = false; /* the transport that had them is gone */
    send_again(m, out_actions);
    if (m->state == RN_SA_M_FINISHED && m->receipted) {
        rn_sa_member_send(m, &m->receipt, out_actions);
    }
    if (m->state == RN_SA_M_UPLOADING) {
        struct rn_sa_action *action = rn_sa_actions_add(out_actions, RN_SA_SEND_BULK);
        action->chunks = m->t.layout.chunks;
        uint8_t *bits = rn_buffer_grow(&action->bytes, rn_sa_bits_bytes(&m->t));
        memset(bits, 0xff, rn_sa_bits_bytes(&m->t));
    }
}

rn_result rn_sa_member_input(struct rn_sa_member *m, uint64_t now_ms,
                             struct rn_sa_actions *out_actions, struct rn_error *err)
{
    RN_ENSURE(m->state == RN_SA_M_TRAINING, err, RN_E_USAGE, "no input is wanted now");
    RN_TRY(rn_sa_spent_check(m->config.spent, &m->t.context, err));
    m->config.follows = false; /* it takes part after all */
    m->now_ms = now_ms;
    rn_sa_secrets_draw(&m->vault->session, &m->vault->seed, m->t.session);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) ready = {0};
    rn_sa_ready_write(&m->t, m->config.self, &m->vault->session, m->config.identity, &ready);
    rn_sa_spent_join(m->config.spent, &m->t, rn_buffer_view(&m->heard[RN_SA_OFFER]),
                     rn_buffer_view(&ready), out_actions);
    m->joined = true;
    rn_sa_member_send(m, &ready, out_actions);
    rn_sa_member_enter(m, RN_SA_M_READY, out_actions);
    return rn_ok();
}

void rn_sa_member_follow(struct rn_sa_member *m, uint64_t now_ms, struct rn_sa_actions *out_actions)
{
    if (m->state >= RN_SA_M_TRAINING && m->state <= RN_SA_M_UPLOADING) {
        m->now_ms = now_ms;
        rn_sa_member_go_following(m, m->input_failed ? RN_SA_REASON_INPUT : RN_SA_REASON_DECLINED,
                                  out_actions);
        rn_sa_member_enter(m, RN_SA_M_FOLLOWING, out_actions);
    }
}

static rn_result read_input(const struct rn_sa_member *m, uint32_t chunk, uint64_t *values,
                            struct rn_error *err)
{
    const uint32_t count = rn_sa_layout_chunk_elements(&m->t.layout, chunk);
    const uint64_t first = (uint64_t)chunk * m->t.layout.chunk_elements;
    RN_TRY(m->config.input.read(m->config.input.context, first, count, values, err));
    for (uint32_t i = 0; i < count; i++) {
        RN_ENSURE(values[i] <= m->config.params.value_max, err, RN_E_ROUND_NUMERIC,
                  "own update: an element exceeds the plan's largest value");
    }
    return rn_ok();
}

rn_result rn_sa_member_chunk(struct rn_sa_member *m, uint32_t chunk, struct rn_buffer *out,
                             struct rn_error *err)
{
    RN_ENSURE(m->masks != NULL && chunk < m->t.layout.chunks, err, RN_E_USAGE,
              "no upload is asked for");
    const size_t size = rn_sa_layout_chunk_bytes(&m->t.layout, chunk);
    uint64_t *RN_CLEANUP(rn_free_cleanup) values =
        rn_alloc(m->t.layout.chunk_elements, sizeof *values);
    uint8_t *RN_CLEANUP(rn_free_cleanup) packed = rn_alloc(size, 1);
    rn_result result = read_input(m, chunk, values, err);
    m->input_failed = !rn_is_ok(result);
    if (rn_is_ok(result)) {
        result = rn_sa_chunk_mask(&m->t.layout, chunk, values, m->masks, packed, err);
    }
    rn_secret_wipe(values, m->t.layout.chunk_elements * sizeof *values); /* the plain update */
    RN_TRY(result);
    const struct rn_sa_chunk part = {chunk, rn_view_of(packed, size)};
    uint8_t leaf[RN_HASH_BYTES];
    rn_sa_chunk_leaf(&m->t, m->config.self, &part, leaf);
    uint8_t *known = m->leaves + (size_t)chunk * RN_HASH_BYTES;
    /* Two different vectors under one mask would show their difference (A11). */
    RN_ENSURE(m->leaf_set[chunk] == 0 || memcmp(known, leaf, RN_HASH_BYTES) == 0, err,
              RN_E_INTERNAL, "own update: it changed between two reads");
    memcpy(known, leaf, RN_HASH_BYTES);
    m->leaf_set[chunk] = 1;
    rn_sa_chunk_write(&m->t, m->config.self, chunk, part.packed, m->config.identity, out);
    return rn_ok();
}

rn_result rn_sa_member_bulk_sent(struct rn_sa_member *m, uint64_t now_ms,
                                 struct rn_sa_actions *out_actions, struct rn_error *err)
{
    m->now_ms = now_ms;
    if (m->state == RN_SA_M_DONE && m->sending) {
        m->sending = false;
        rn_sa_member_send(m, &m->outbox, out_actions);
    }
    if (m->state != RN_SA_M_UPLOADING) {
        return rn_ok();
    }
    if (!rn_sa_spent_current(m->config.spent, m->t.session)) {
        rn_sa_member_go_aborted(m, RN_SA_REASON_DECLINED, false, out_actions);
        return rn_ok();
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) unused = {0};
    for (uint32_t chunk = 0; chunk < m->t.layout.chunks; chunk++) {
        if (m->leaf_set[chunk] == 0) {
            RN_TRY(rn_sa_member_chunk(m, chunk, &unused, err));
        }
    }
    uint8_t root[RN_HASH_BYTES];
    rn_sa_chunk_root(&m->t, m->config.self, m->leaves, root);
    rn_sa_done_write(&m->t, m->config.self, root, m->config.identity, &m->done);
    RN_TRY(rn_sa_spent_spend(m->config.spent, &m->t, rn_buffer_view(&m->done), out_actions, err));
    m->spent = true;
    memcpy(m->own_t1, m->t.t1, RN_HASH_BYTES);
    rn_sa_member_send(m, &m->done, out_actions);
    rn_sa_member_enter(m, RN_SA_M_DONE, out_actions);
    return rn_ok();
}
