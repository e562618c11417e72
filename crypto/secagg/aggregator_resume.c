/* SPDX-License-Identifier: Apache-2.0
 *
 * The coordinator after a restart: every decision that was sent is in the journal and is taken
 * again by the same code; messages that had come but decided nothing come again from the members.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"

#include <string.h>

/* A journalled broadcast: kept for resends, its body handed back. */
static rn_result load_message(struct rn_sa_aggregator *a, struct rn_reader *r, enum rn_sa_type type,
                              struct rn_view *out_body, struct rn_error *err)
{
    const struct rn_view bytes = rn_read_blob(r, RN_SA_MESSAGE_MAX);
    struct rn_sa_message message;
    const bool good = rn_is_ok(rn_sa_message_parse(bytes, &message, NULL)) &&
                      message.type == type &&
                      memcmp(message.session, a->t.session, RN_HASH_BYTES) == 0;
    RN_ENSURE(good, err, RN_E_DATA, "journal: a broadcast of this session is damaged");
    rn_buffer_clear(&a->sent[type]);
    rn_buffer_append(&a->sent[type], bytes.data, bytes.length);
    *out_body = message.body;
    return rn_ok();
}

static rn_result load_offer(struct rn_sa_aggregator *a, struct rn_reader *r, struct rn_error *err)
{
    rn_read_copy(r, a->config.nonce, sizeof a->config.nonce);
    RN_ENSURE(!r->failed, err, RN_E_DATA, "journal: an offer is cut short");
    rn_sa_transcript_start(&a->t, a->config.nonce);
    rn_sa_offer_write(&a->t, a->config.nonce, a->config.identity, &a->sent[RN_SA_OFFER]);
    a->stage = RN_SA_STAGE_READY;
    return rn_ok();
}

static rn_result load_ready_set(struct rn_sa_aggregator *a, struct rn_reader *r,
                                struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_READY_SET, &body, err));
    RN_TRY(rn_sa_ready_set_apply(&a->t, body, err));
    a->got[RN_SA_READY] = a->t.joined;
    a->stage = RN_SA_STAGE_SHARES;
    return rn_ok();
}

static rn_result load_shares(struct rn_sa_aggregator *a, struct rn_reader *r, struct rn_error *err)
{
    const uint32_t count = rn_read_u32(r);
    RN_ENSURE(count <= a->t.n, err, RN_E_DATA, "journal: more shares than members");
    for (uint32_t k = 0; k < count; k++) {
        const struct rn_view bytes = rn_read_blob(r, RN_SA_MESSAGE_MAX);
        struct rn_sa_message message;
        const bool good = rn_is_ok(rn_sa_message_parse(bytes, &message, NULL)) &&
                          message.type == RN_SA_SHARES &&
                          rn_sa_set_has(&a->t.joined, message.sender) &&
                          a->dealings[message.sender].leaves == NULL;
        RN_ENSURE(good, err, RN_E_DATA, "journal: shares of this session are damaged");
        struct rn_sa_dealing *dealing = &a->dealings[message.sender];
        const struct rn_sa_set holders = rn_sa_transcript_holders(&a->t, message.sender);
        dealing->leaves = rn_alloc(rn_sa_set_count(&holders), RN_HASH_BYTES);
        RN_TRY(rn_sa_shares_check(&a->t, &message, dealing->leaves, err));
        rn_buffer_append(&dealing->message, bytes.data, bytes.length);
        memcpy(a->t.peers[message.sender].shares_envelope, bytes.data, RN_SA_ENVELOPE_BYTES);
        rn_sa_set_add(&a->t.dealers, message.sender);
    }
    a->got[RN_SA_SHARES] = a->t.dealers;
    a->t.handed = a->t.joined;
    a->stage = RN_SA_STAGE_ACKS;
    return rn_ok();
}

static rn_result load_ack_set(struct rn_sa_aggregator *a, struct rn_reader *r, struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_ACK_SET, &body, err));
    RN_TRY(rn_sa_ack_set_apply(&a->t, body, err));
    rn_sa_vector_init(&a->vector, &a->t.layout);
    a->stage = RN_SA_STAGE_UPLOAD;
    return rn_ok();
}

static rn_result load_vector(struct rn_sa_aggregator *a, struct rn_reader *r, struct rn_error *err)
{
    rn_sa_vector_clear(&a->vector);
    rn_sa_vector_init(&a->vector, &a->t.layout);
    for (uint32_t i = 0; i < a->t.layout.chunks; i++) {
        const struct rn_view packed = rn_read_view(r, rn_sa_layout_chunk_bytes(&a->t.layout, i));
        RN_ENSURE(!r->failed, err, RN_E_DATA, "journal: a sum is cut short");
        RN_TRY(rn_sa_vector_add(&a->vector, i, packed, err));
    }
    return rn_ok();
}

static rn_result load_survivors(struct rn_sa_aggregator *a, struct rn_reader *r,
                                struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_SURVIVORS, &body, err));
    RN_TRY(rn_sa_survivors_apply(&a->t, body, err));
    a->complete = a->t.survivors;
    a->stage = RN_SA_STAGE_VOTE;
    return load_vector(a, r, err);
}

static rn_result load_certificate(struct rn_sa_aggregator *a, struct rn_reader *r,
                                  struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_CERTIFICATE, &body, err));
    RN_TRY(rn_sa_certificate_apply(&a->t, body, err));
    a->stage = RN_SA_STAGE_UNMASK;
    return rn_ok();
}

static rn_result load_result(struct rn_sa_aggregator *a, struct rn_reader *r, struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_RESULT, &body, err));
    RN_TRY(rn_sa_result_apply(&a->t, body, err));
    a->blamed = a->t.blamed;
    a->stage = RN_SA_STAGE_SUM;
    return load_vector(a, r, err);
}

static rn_result load_receipts(struct rn_sa_aggregator *a, struct rn_reader *r,
                               struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_RECEIPTS, &body, err));
    RN_TRY(rn_sa_receipts_apply(&a->t, body, err));
    a->stage = RN_SA_STAGE_FINISHED;
    return rn_ok();
}

static rn_result load_abort_call(struct rn_sa_aggregator *a, struct rn_reader *r,
                                 struct rn_error *err)
{
    const uint32_t reason = rn_read_u32(r);
    RN_ENSURE(reason < RN_SA_REASON_LAST_, err, RN_E_DATA, "journal: an abort is damaged");
    a->reason = (enum rn_sa_reason)reason;
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_ABORT_CALL, &body, err));
    if (rn_reader_left(r) > 0) { /* records of earlier versions end here */
        a->silent = rn_sa_set_read(r);
    }
    const bool votes = a->sent[RN_SA_ACK_SET].length > 0 && a->t.level < RN_SA_LEVEL_CERTIFIED;
    a->stage = votes ? RN_SA_STAGE_ABORTING : RN_SA_STAGE_ABORTED;
    return rn_ok();
}

static rn_result load_abort_certificate(struct rn_sa_aggregator *a, struct rn_reader *r,
                                        struct rn_error *err)
{
    struct rn_view body;
    RN_TRY(load_message(a, r, RN_SA_ABORT_CERTIFICATE, &body, err));
    a->stage = RN_SA_STAGE_ABORTED;
    return rn_ok();
}

/* Which record follows on which stage. */
static const struct {
    enum rn_sa_record_kind kind;
    enum rn_sa_stage least, most;
    rn_result (*load)(struct rn_sa_aggregator *a, struct rn_reader *r, struct rn_error *err);
} loaders[] = {
    {RN_SA_RECORD_OFFER, RN_SA_STAGE_OFFER, RN_SA_STAGE_OFFER, load_offer},
    {RN_SA_RECORD_READY_SET, RN_SA_STAGE_READY, RN_SA_STAGE_READY, load_ready_set},
    {RN_SA_RECORD_SHARES, RN_SA_STAGE_SHARES, RN_SA_STAGE_SHARES, load_shares},
    {RN_SA_RECORD_ACK_SET, RN_SA_STAGE_ACKS, RN_SA_STAGE_ACKS, load_ack_set},
    {RN_SA_RECORD_SURVIVORS, RN_SA_STAGE_UPLOAD, RN_SA_STAGE_UPLOAD, load_survivors},
    {RN_SA_RECORD_CERTIFICATE, RN_SA_STAGE_VOTE, RN_SA_STAGE_VOTE, load_certificate},
    {RN_SA_RECORD_RESULT, RN_SA_STAGE_UNMASK, RN_SA_STAGE_UNMASK, load_result},
    {RN_SA_RECORD_RECEIPTS, RN_SA_STAGE_SUM, RN_SA_STAGE_SUM, load_receipts},
    {RN_SA_RECORD_ABORT_CALL, RN_SA_STAGE_READY, RN_SA_STAGE_SUM, load_abort_call},
    {RN_SA_RECORD_ABORT_CERTIFICATE, RN_SA_STAGE_ABORTING, RN_SA_STAGE_ABORTED,
     load_abort_certificate},
};

static rn_result load_record(struct rn_sa_aggregator *a, struct rn_view bytes, struct rn_error *err)
{
    struct rn_sa_record record;
    RN_TRY(rn_sa_record_read(bytes, &record, err));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(loaders); i++) {
        if (loaders[i].kind != record.kind) {
            continue;
        }
        RN_ENSURE(a->stage >= loaders[i].least && a->stage <= loaders[i].most, err, RN_E_DATA,
                  "journal: the records of this session are out of order");
        const rn_result loaded = loaders[i].load(a, &record.body, err);
        if (rn_class_of(loaded) ==
            RN_CLASS_PEER) { /* whoever signed it: what stands in the own journal is data */
            (void)rn_fail_context(err, loaded, "journal");
            return (rn_result){RN_E_DATA};
        }
        RN_TRY(loaded);
        RN_ENSURE(rn_reader_done(&record.body) &&
                      memcmp(record.session, a->t.session, RN_HASH_BYTES) == 0,
                  err, RN_E_DATA, "journal: a record is damaged or of another session");
        return rn_ok();
    }
    return rn_fail(err, RN_E_DATA, "journal: a record that a coordinator does not write");
}

/* Of a session that was over before. */
static void say_end(const struct rn_sa_aggregator *a, struct rn_sa_actions *actions)
{
    if (a->stage == RN_SA_STAGE_FINISHED) {
        rn_sa_actions_add(actions, RN_SA_FINISHED)->blamed = a->blamed;
    }
    if (a->stage == RN_SA_STAGE_ABORTED) {
        rn_sa_aggregator_tell_aborted(a, a->reason, actions);
    }
}

static void free_aggregator(struct rn_sa_aggregator **aggregator)
{
    rn_sa_aggregator_free(*aggregator);
}

rn_result rn_sa_aggregator_resume(const struct rn_sa_aggregator_config *config,
                                  const struct rn_view *records, size_t count, uint64_t now_ms,
                                  struct rn_sa_actions *out_actions, struct rn_sa_aggregator **out,
                                  struct rn_error *err)
{
    RN_ENSURE(count > 0, err, RN_E_DATA, "journal: nothing to resume");
    struct rn_sa_aggregator *RN_CLEANUP(free_aggregator) a = NULL;
    RN_TRY(rn_sa_aggregator_new(config, &a, err));
    for (size_t i = 0; i < count; i++) {
        RN_TRY(load_record(a, records[i], err));
    }
    a->now_ms = now_ms;
    a->retry_at_ms = now_ms + config->params.retry_ms;
    rn_sa_aggregator_enter(a, a->stage, out_actions);
    if (a->stage == RN_SA_STAGE_FINISHED) {
        rn_sa_actions_add(out_actions, RN_SA_APPLY);
    }
    for (uint32_t i = 0; i < config->params.members; i++) {
        rn_sa_aggregator_resend(a, i, out_actions);
        if (a->stage == RN_SA_STAGE_UPLOAD && rn_sa_set_has(&a->t.linked, i)) {
            rn_sa_aggregator_send_need(a, i, out_actions); /* all: memory did not survive */
        }
    }
    say_end(a, out_actions);
    *out = RN_TAKE(a);
    return rn_ok();
}
