/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/participationstate.h"

void rn_part_forget_upload(struct rn_participation *p)
{
    struct rn_part_session *session = &p->session;
    rn_round_encoder_clear(&session->encoder);
    if (session->uploading) {
        session->uploading = false;
        rn_effects_add(p->out, RN_EFFECT_BULK_STOP)->peer = RN_SA_COORDINATOR;
    }
}

struct rn_job_event rn_part_session_event(const struct rn_participation *p,
                                          enum rn_job_event_kind kind)
{
    const struct rn_part_session *session = &p->session;
    return (struct rn_job_event){.kind = kind,
                                 .round = session->round,
                                 .attempt = session->attempt,
                                 .phase = rn_round_phase_name(session->layout.spec.active),
                                 .stage = session->stage};
}

static struct rn_record_key key_of(const struct rn_participation *p, enum rn_record_kind kind)
{
    struct rn_record_key key = {
        .kind = kind, .round = p->session.round, .attempt = p->session.attempt};
    memcpy(key.session, p->session.id, sizeof(key.session));
    return key;
}

void rn_part_commit(struct rn_participation *p, const struct rn_record_key *key,
                    const struct rn_buffer *bytes)
{
    struct rn_buffer *body = rn_job_batch_write(rn_effects_commit(p->out), key);
    rn_buffer_append(body, bytes->data, bytes->length);
    RN_BUG_IF(body->failed); /* a record holds a few messages */
}

static void persist(struct rn_participation *p, const struct rn_sa_action *action)
{
    struct rn_record_key key = key_of(p, RN_RECORD_MEMBER);
    rn_part_commit(p, &key, &action->bytes);
    if (action->keep) {
        key.kind = RN_RECORD_SPENT;
        rn_part_commit(p, &key, &action->bytes);
    }
}

/* Told before anything of the stage is sent, so that whoever watches the log sees it first. */
static void tell_stages(struct rn_participation *p, const struct rn_sa_actions *actions)
{
    struct rn_part_session *session = &p->session;
    for (size_t i = 0; i < actions->count; i++) {
        const struct rn_sa_action *action = &actions->items[i];
        if (action->kind != RN_SA_STAGE || action->stage == session->stage) {
            continue;
        }
        session->stage = action->stage;
        session->stage_since_ms = p->now.monotonic_ms;
        struct rn_job_event event = rn_part_session_event(p, RN_JOB_STAGE);
        event.members = rn_sa_set_count(&action->expected);
        if (action->stage == RN_SA_STAGE_SHARES) {
            session->joined = event.members;
        }
        rn_part_event(p, event);
    }
}

void rn_part_tell_following(struct rn_participation *p)
{
    const struct rn_part_session *session = &p->session;
    if (session->following) {
        rn_part_send_status(p, &(struct rn_wire_status){.round = session->round,
                                                        .attempt = session->attempt,
                                                        .stage = session->stage,
                                                        .reason = RN_E_ROUND_ABORTED});
    }
}

static void ask_for_upload(struct rn_participation *p, const struct rn_sa_action *action)
{
    struct rn_effect *effect = rn_effects_add(p->out, RN_EFFECT_BULK);
    effect->peer = RN_SA_COORDINATOR;
    effect->chunks = action->chunks;
    memcpy(effect->session, p->session.id, sizeof(effect->session));
    rn_buffer_append(&effect->bytes, action->bytes.data, action->bytes.length);
    p->session.uploading = true;
}

static void on_following(struct rn_participation *p, const struct rn_sa_action *action)
{
    struct rn_part_session *session = &p->session;
    rn_part_forget_upload(p);
    session->following = true;
    session->wants_input = false;
    struct rn_job_event event = rn_part_session_event(p, RN_JOB_FOLLOW);
    event.reason = session->late ? "late" : rn_sa_reason_name(action->reason);
    rn_part_event(p, event);
    rn_part_tell_following(p);
}

static void on_aborted(struct rn_participation *p, const struct rn_sa_action *action)
{
    p->session.over = true;
    p->session.wants_input = false;
    struct rn_job_event event = rn_part_session_event(p, RN_JOB_ABORTED);
    event.outcome = RN_E_ROUND_ABORTED;
    event.reason = rn_sa_reason_name(action->reason);
    struct rn_error detail = {0};
    (void)rn_text_format(detail.text, sizeof(detail.text), "%s",
                         action->certified ? "certified" : "not certified");
    rn_part_event_err(p, event, &detail);
}

/* What follows from the sum goes into the receipt; nothing moves before the others agree. */
static rn_result on_sum(struct rn_participation *p, struct rn_sa_actions *more,
                        struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    RN_TRY(rn_part_preview_sum(p, hash, err));
    return rn_sa_member_adapter(p->session.machine, hash, p->now.monotonic_ms, more, err);
}

/* A quorum says which adapter follows. One that would not follow here is not taken. */
static rn_result take_agreed(struct rn_participation *p, uint8_t out_hash[static RN_HASH_BYTES],
                             struct rn_error *err)
{
    struct rn_sa_sum_info info;
    RN_TRY(rn_sa_member_sum_info(p->session.machine, &info, err));
    RN_TRY(rn_part_preview_sum(p, out_hash, err));
    if (memcmp(out_hash, info.adapter_hash, RN_HASH_BYTES) != 0) {
        return rn_ok(); /* the machine says so */
    }
    return rn_part_take_sum(p, out_hash, err);
}

static rn_result on_apply(struct rn_participation *p, struct rn_sa_actions *more,
                          struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    uint8_t hash[RN_HASH_BYTES];
    rn_result result = take_agreed(p, hash, err);
    if (rn_is_ok(result)) {
        result = rn_sa_member_applied(session->machine, hash, p->now.monotonic_ms, more, err);
    }
    if (rn_is_ok(result)) {
        return result;
    }
    session->over = true; /* the adapter stays; the next offer starts from it */
    struct rn_job_event event = rn_part_session_event(p, RN_JOB_SUM_REFUSED);
    event.outcome = result.code;
    rn_part_event_err(p, event, err);
    return rn_class_of(result) == RN_CLASS_STOP ? result : rn_ok();
}

static rn_result execute_one(struct rn_participation *p, const struct rn_sa_action *action,
                             struct rn_sa_actions *more, struct rn_error *err)
{
    struct rn_record_key key;
    switch (action->kind) {
    case RN_SA_PERSIST:
        persist(p, action);
        break;
    case RN_SA_SEND:
        rn_part_send_secagg(p, rn_buffer_view(&action->bytes));
        break;
    case RN_SA_SEND_BULK:
        ask_for_upload(p, action);
        break;
    case RN_SA_WANT_INPUT:
        p->session.wants_input = true;
        break;
    case RN_SA_FOLLOWING:
        on_following(p, action);
        break;
    case RN_SA_SUM:
        return on_sum(p, more, err);
    case RN_SA_APPLY:
        return on_apply(p, more, err);
    case RN_SA_FINISHED:
        p->session.over = true;
        break;
    case RN_SA_ABORTED:
        on_aborted(p, action);
        break;
    case RN_SA_EVIDENCE:
        rn_job_evidence_add(&p->evidence, p->config.basis->roster, rn_buffer_view(&action->bytes));
        key = key_of(p, RN_RECORD_EVIDENCE);
        rn_part_commit(p, &key, &action->bytes);
        rn_part_event(p, rn_part_session_event(p, RN_JOB_EVIDENCE));
        break;
    case RN_SA_STAGE:
    case RN_SA_SEND_SHARES: /* the coordinator's alone */
        break;
    }
    return rn_ok();
}

rn_result rn_part_execute(struct rn_participation *p, struct rn_sa_actions *actions,
                          struct rn_error *err)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
    rn_result result = rn_ok();
    tell_stages(p, actions);
    for (size_t i = 0; i < actions->count && rn_is_ok(result); i++) {
        result = execute_one(p, &actions->items[i], &more, err);
    }
    rn_sa_actions_clear(actions);
    RN_TRY(result);
    if (more.count > 0) {
        RN_TRY(rn_part_execute(p, &more, err)); /* the receipt: no deeper than this */
    }
    /* From its vote on nobody may ask this member for chunks again. */
    if (rn_sa_member_stage(p->session.machine) >= RN_SA_STAGE_VOTE) {
        rn_part_forget_upload(p);
    }
    return rn_ok();
}
