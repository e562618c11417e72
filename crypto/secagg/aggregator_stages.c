/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages of the coordinator: when a stage closes, and what is then fixed. What is fixed is
 * journalled before it is sent, so that a restarted coordinator never says two different things.
 */
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"

#include <string.h>

/* ---- closing ---- */

static struct rn_buffer *record_message(struct rn_sa_aggregator *a, enum rn_sa_record_kind kind,
                                        enum rn_sa_type type, struct rn_sa_actions *actions)
{
    struct rn_buffer *record = rn_sa_aggregator_record(a, kind, actions);
    rn_buffer_blob(record, rn_buffer_view(&a->sent[type]));
    return record;
}

static void record_vector(const struct rn_sa_aggregator *a, struct rn_buffer *record)
{
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        uint8_t *out = rn_buffer_grow(record, rn_sa_layout_chunk_bytes(&a->t.layout, i));
        RN_BUG_IF(out == NULL);
        rn_sa_vector_pack(&a->vector, i, out);
    }
}

static void close_ready(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_ready_set_write(a->inbox[RN_SA_READY], &a->got[RN_SA_READY], &body);
    const rn_result applied = rn_sa_ready_set_apply(&a->t, rn_buffer_view(&body), NULL);
    RN_BUG_IF(!rn_is_ok(applied)); /* every part was checked when it came */
    rn_sa_aggregator_broadcast(a, RN_SA_READY_SET, rn_buffer_view(&body));
    record_message(a, RN_SA_RECORD_READY_SET, RN_SA_READY_SET, actions);
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    rn_sa_aggregator_send(a, RN_SA_READY_SET, &all, actions);
    rn_sa_aggregator_enter(a, RN_SA_STAGE_SHARES, actions);
}

static void close_shares(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer *record = rn_sa_aggregator_record(a, RN_SA_RECORD_SHARES, actions);
    const struct rn_sa_set *dealers = &a->got[RN_SA_SHARES];
    rn_buffer_u32(record, rn_sa_set_count(dealers));
    for (uint32_t i = rn_sa_set_next(dealers, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(dealers, i + 1)) {
        rn_buffer_blob(record, rn_buffer_view(&a->dealings[i].message));
        memcpy(a->t.peers[i].shares_envelope, a->dealings[i].message.data, RN_SA_ENVELOPE_BYTES);
    }
    a->t.dealers = *dealers;
    a->t.handed = a->t.joined;
    for (uint32_t i = rn_sa_set_next(&a->t.joined, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&a->t.joined, i + 1)) {
        rn_sa_aggregator_send_shares(a, i, actions);
    }
    rn_sa_aggregator_enter(a, RN_SA_STAGE_ACKS, actions);
}

static void close_acks(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_ack_set_write(&a->t, a->inbox[RN_SA_ACK], &a->got[RN_SA_ACK], &body);
    const rn_result applied = rn_sa_ack_set_apply(&a->t, rn_buffer_view(&body), NULL);
    RN_BUG_IF(!rn_is_ok(applied));
    rn_sa_aggregator_broadcast(a, RN_SA_ACK_SET, rn_buffer_view(&body));
    record_message(a, RN_SA_RECORD_ACK_SET, RN_SA_ACK_SET, actions);
    rn_sa_aggregator_send(a, RN_SA_ACK_SET, &a->t.joined, actions);
    rn_sa_vector_init(&a->vector, &a->t.layout);
    rn_sa_aggregator_enter(a, RN_SA_STAGE_UPLOAD, actions);
}

/* The others are kept for the replay. */
static void forget_half_uploads(struct rn_sa_aggregator *a)
{
    for (uint32_t i = 0; i < a->config.params.members; i++) {
        if (!a->uploads[i].complete) {
            rn_sa_upload_clear(a, i);
        }
    }
}

static void close_upload(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_survivors_write(a->inbox[RN_SA_DONE], &a->complete, &body);
    const rn_result applied = rn_sa_survivors_apply(&a->t, rn_buffer_view(&body), NULL);
    RN_BUG_IF(!rn_is_ok(applied));
    forget_half_uploads(a);
    rn_sa_aggregator_broadcast(a, RN_SA_SURVIVORS, rn_buffer_view(&body));
    record_vector(a, record_message(a, RN_SA_RECORD_SURVIVORS, RN_SA_SURVIVORS, actions));
    rn_sa_aggregator_send(a, RN_SA_SURVIVORS, &a->t.joined, actions);
    rn_sa_aggregator_enter(a, RN_SA_STAGE_VOTE, actions);
}

static void close_vote(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_votes_write(a->inbox[RN_SA_VOTE], &a->for_survivors, &body);
    const rn_result applied = rn_sa_certificate_apply(&a->t, rn_buffer_view(&body), NULL);
    RN_BUG_IF(!rn_is_ok(applied));
    rn_sa_aggregator_broadcast(a, RN_SA_CERTIFICATE, rn_buffer_view(&body));
    record_message(a, RN_SA_RECORD_CERTIFICATE, RN_SA_CERTIFICATE, actions);
    rn_sa_aggregator_send(a, RN_SA_CERTIFICATE, &a->t.joined, actions);
    rn_sa_aggregator_enter(a, RN_SA_STAGE_UNMASK, actions);
}

static void clear_proofs(struct rn_sa_proofs *proofs)
{
    rn_buffer_clear(&proofs->bytes);
}

static void close_unmask(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    uint8_t root[RN_HASH_BYTES];
    rn_sa_aggregator_sum_root(a, root);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_sa_proofs RN_CLEANUP(clear_proofs) proofs = {0};
    rn_sa_aggregator_prove(a, actions);
    rn_sa_aggregator_write_blame(a, &proofs);
    rn_sa_result_write(&a->t, root, a->secrets, &proofs, &body);
    const rn_result applied = rn_sa_result_apply(&a->t, rn_buffer_view(&body), NULL);
    RN_BUG_IF(!rn_is_ok(applied));
    rn_sa_aggregator_broadcast(a, RN_SA_RESULT, rn_buffer_view(&body));
    record_vector(a, record_message(a, RN_SA_RECORD_RESULT, RN_SA_RESULT, actions));
    rn_sa_aggregator_send(a, RN_SA_RESULT, &a->t.joined, actions);
    rn_sa_aggregator_enter(a, RN_SA_STAGE_SUM, actions);
}

/* ---- ending without a sum ---- */

static void record_abort_call(struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                              struct rn_sa_actions *actions)
{
    a->silent = rn_sa_aggregator_silent(a, reason); /* a restart would not know it any more */
    struct rn_buffer *record = rn_sa_aggregator_record(a, RN_SA_RECORD_ABORT_CALL, actions);
    rn_buffer_u32(record, (uint32_t)reason);
    rn_buffer_blob(record, rn_buffer_view(&a->sent[RN_SA_ABORT_CALL]));
    rn_sa_set_write(record, &a->silent);
}

/* So that no update counts as spent: an abort certificate, or no T1 under which to upload. */
static bool is_repeatable(const struct rn_sa_aggregator *a)
{
    return a->sent[RN_SA_ABORT_CERTIFICATE].length > 0 || a->sent[RN_SA_ACK_SET].length == 0;
}

void rn_sa_aggregator_tell_aborted(const struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                                   struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_ABORTED);
    action->reason = reason;
    action->blamed = a->blamed;
    action->silent = a->silent;
    action->certified = is_repeatable(a);
}

void rn_sa_aggregator_end(struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                          struct rn_sa_actions *actions)
{
    if (!is_repeatable(a)) { /* nobody shall wait for a certificate that does not come */
        rn_sa_abort_call_write(&a->t, (uint32_t)reason, true, a->config.identity,
                               &a->sent[RN_SA_ABORT_CALL]);
        rn_sa_aggregator_send(a, RN_SA_ABORT_CALL, &a->t.joined, actions);
    }
    rn_sa_aggregator_enter(a, RN_SA_STAGE_ABORTED, actions);
    rn_sa_aggregator_tell_aborted(a, reason, actions);
}

/* After the certificate. Made durable: a restarted coordinator must not collect shares or receipts
 * for a sum that it gave up. */
static void give_up(struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                    struct rn_sa_actions *actions)
{
    if (a->stage == RN_SA_STAGE_UNMASK) { /* else it was done with the result */
        rn_sa_aggregator_prove(a, actions);
    }
    rn_sa_uploads_forget(a);
    rn_sa_abort_call_write(&a->t, (uint32_t)reason, true, a->config.identity,
                           &a->sent[RN_SA_ABORT_CALL]);
    record_abort_call(a, reason, actions);
    rn_sa_aggregator_end(a, reason, actions);
}

void rn_sa_aggregator_call_off(struct rn_sa_aggregator *a, enum rn_sa_reason reason,
                               struct rn_sa_actions *actions)
{
    a->reason = reason;
    rn_sa_uploads_forget(a);
    rn_sa_abort_call_write(&a->t, (uint32_t)reason, false, a->config.identity,
                           &a->sent[RN_SA_ABORT_CALL]);
    record_abort_call(a, reason, actions);
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    rn_sa_aggregator_send(a, RN_SA_ABORT_CALL, &all, actions);
    if (a->sent[RN_SA_ACK_SET].length == 0) { /* no T1, so nobody has uploaded anything */
        rn_sa_aggregator_end(a, reason, actions);
    } else {
        rn_sa_aggregator_enter(a, RN_SA_STAGE_ABORTING, actions);
    }
}

static void certify_abort(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_votes_write(a->inbox[RN_SA_VOTE], &a->for_abort, &body);
    rn_sa_aggregator_broadcast(a, RN_SA_ABORT_CERTIFICATE, rn_buffer_view(&body));
    record_message(a, RN_SA_RECORD_ABORT_CERTIFICATE, RN_SA_ABORT_CERTIFICATE, actions);
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    rn_sa_aggregator_send(a, RN_SA_ABORT_CERTIFICATE, &all, actions);
    rn_sa_aggregator_end(a, a->reason, actions);
}

/* ---- when does a stage close? ---- */

static struct rn_sa_timeout timeout_of(const struct rn_sa_aggregator *a)
{
    const struct rn_sa_params *p = &a->config.params;
    switch (a->stage) {
    case RN_SA_STAGE_READY:
        return p->ready;
    case RN_SA_STAGE_SHARES:
        return p->shares;
    case RN_SA_STAGE_ACKS:
        return p->acks;
    case RN_SA_STAGE_UPLOAD:
        return p->upload;
    case RN_SA_STAGE_UNMASK:
        return p->unmask;
    case RN_SA_STAGE_SUM:
        return p->receipts;
    default: /* votes, abort votes */
        return p->vote;
    }
}

/* Would the session stay within its rules if the stage closed now? */
static bool may_close(const struct rn_sa_aggregator *a)
{
    struct rn_sa_set set = rn_sa_aggregator_arrived(a);
    switch (a->stage) {
    case RN_SA_STAGE_READY:
    case RN_SA_STAGE_SHARES:
        return rn_sa_set_count(&set) >= rn_sa_floor(&a->t.params, 0);
    case RN_SA_STAGE_ACKS:
        set = rn_sa_ack_linked(&a->t, a->inbox[RN_SA_ACK], &a->got[RN_SA_ACK]);
        return rn_sa_set_count(&set) >= rn_sa_floor(&a->t.params, 0);
    case RN_SA_STAGE_UPLOAD:
        return rn_is_ok(rn_sa_survivors_allowed(&a->t, &set, NULL));
    default:
        return true;
    }
}

/* One of the stages that wait for everybody, or for soft_ms and the rules. */
static bool close_collecting(struct rn_sa_aggregator *a, bool soft, bool hard,
                             struct rn_sa_actions *actions)
{
    static const struct {
        void (*close)(struct rn_sa_aggregator *a, struct rn_sa_actions *actions);
        enum rn_sa_reason reason;
    } collecting[RN_SA_STAGE_LAST_] = {
        [RN_SA_STAGE_READY] = {close_ready, RN_SA_REASON_READY_QUORUM},
        [RN_SA_STAGE_SHARES] = {close_shares, RN_SA_REASON_SHARES_QUORUM},
        [RN_SA_STAGE_ACKS] = {close_acks, RN_SA_REASON_ACKS_QUORUM},
        [RN_SA_STAGE_UPLOAD] = {close_upload, RN_SA_REASON_UPLOAD_QUORUM},
    };
    const struct rn_sa_set expected = rn_sa_aggregator_expected(a);
    const struct rn_sa_set arrived = rn_sa_aggregator_arrived(a);
    const bool all = rn_sa_set_within(&expected, &arrived);
    if ((all || soft) && may_close(a)) {
        collecting[a->stage].close(a, actions);
        return true;
    }
    if (hard || all) {
        rn_sa_aggregator_call_off(a, collecting[a->stage].reason, actions);
        return true;
    }
    return false;
}

static bool close_voting(struct rn_sa_aggregator *a, bool hard, struct rn_sa_actions *actions)
{
    if (rn_sa_set_count(&a->for_survivors) >= a->t.quorum) {
        close_vote(a, actions);
        return true;
    }
    const struct rn_sa_set lost = rn_sa_set_both(&a->for_abort, &a->t.survivors);
    if (hard || rn_sa_set_count(&a->t.survivors) - rn_sa_set_count(&lost) < a->t.quorum) {
        rn_sa_aggregator_call_off(a, RN_SA_REASON_VOTE_QUORUM, actions);
        return true;
    }
    return false;
}

static bool close_unmasking(struct rn_sa_aggregator *a, bool hard, struct rn_sa_actions *actions)
{
    switch (rn_sa_aggregator_unmask(a)) {
    case RN_SA_UNMASK_DONE:
        close_unmask(a, actions);
        return true;
    case RN_SA_UNMASK_RANGE:
        give_up(a, RN_SA_REASON_RANGE, actions);
        return true;
    case RN_SA_UNMASK_WAIT:
        break;
    }
    if (hard || rn_sa_set_within(&a->t.survivors, &a->got[RN_SA_REVEAL])) {
        give_up(a, RN_SA_REASON_UNMASK_QUORUM, actions);
        return true;
    }
    return false;
}

/* Whoever took part gets time to replay; without a quorum of receipts no adapter moves. */
static bool close_sum(struct rn_sa_aggregator *a, bool soft, bool hard,
                      struct rn_sa_actions *actions)
{
    const struct rn_sa_set *got = &a->got[RN_SA_RECEIPT];
    const bool all = rn_sa_set_within(&a->t.survivors, got);
    if ((all || soft) && rn_sa_set_count(got) >= a->t.quorum) {
        const struct rn_sa_set agreeing = rn_sa_receipts_agreeing(a);
        if (rn_sa_set_count(&agreeing) >= a->t.quorum) {
            rn_sa_receipts_close(a, &agreeing, actions);
            return true;
        }
    }
    if (hard) {
        give_up(a, RN_SA_REASON_RECEIPT_QUORUM, actions);
        return true;
    }
    return false;
}

static bool close_aborting(struct rn_sa_aggregator *a, bool hard, struct rn_sa_actions *actions)
{
    if (rn_sa_set_count(&a->for_abort) >= a->t.quorum) {
        certify_abort(a, actions);
        return true;
    }
    if (hard && a->stage == RN_SA_STAGE_ABORTING) {
        rn_sa_aggregator_end(a, a->reason, actions);
        return true;
    }
    return false;
}

static bool close_stage(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    const struct rn_sa_timeout timeout = timeout_of(a);
    const uint64_t waited = a->now_ms - a->stage_since_ms;
    const bool soft = waited >= timeout.soft_ms;
    const bool hard = waited >= timeout.hard_ms;
    switch (a->stage) {
    case RN_SA_STAGE_READY:
    case RN_SA_STAGE_SHARES:
    case RN_SA_STAGE_ACKS:
    case RN_SA_STAGE_UPLOAD:
        return close_collecting(a, soft, hard, actions);
    case RN_SA_STAGE_VOTE:
        return close_voting(a, hard, actions);
    case RN_SA_STAGE_UNMASK:
        return close_unmasking(a, hard, actions);
    case RN_SA_STAGE_SUM:
        return close_sum(a, soft, hard, actions);
    case RN_SA_STAGE_ABORTING:
        return close_aborting(a, hard, actions);
    case RN_SA_STAGE_ABORTED: /* late votes may still certify a called off session */
        if (a->sent[RN_SA_ACK_SET].length > 0 && a->t.level < RN_SA_LEVEL_CERTIFIED &&
            a->sent[RN_SA_ABORT_CERTIFICATE].length == 0) {
            return close_aborting(a, false, actions);
        }
        return false;
    default:
        return false;
    }
}

void rn_sa_aggregator_advance(struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    while (close_stage(a, actions)) {
    }
}
