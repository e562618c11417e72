/* SPDX-License-Identifier: Apache-2.0
 *
 * R5 at a member: it fetches the sum, replays its part of it, says in a receipt which adapter
 * follows, and takes that adapter once a quorum of receipts agrees (PROTOCOL.md, "The sum is
 * checked"). Whoever comes when the quorum stands replays nothing: the others did.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/maskkey.h"
#include "crypto/secagg/evidence.h"
#include "crypto/secagg/member_state.h"
#include "crypto/secagg/sumproof.h"

#include <string.h>

static const uint8_t *root_of(const struct rn_buffer *receipt)
{
    return receipt->data + RN_SA_ENVELOPE_BYTES;
}

static const uint8_t *adapter_of(const struct rn_buffer *receipt)
{
    return root_of(receipt) + RN_HASH_BYTES;
}

/* One that only follows has nothing in its journal; but what it signs or finds proven it has to
 * know after a restart, and a session begins with joining it. */
static void join(struct rn_sa_member *m, struct rn_sa_actions *actions)
{
    if (!m->joined) {
        rn_sa_spent_join(m->config.spent, &m->t, rn_buffer_view(&m->heard[RN_SA_OFFER]),
                         (struct rn_view){0}, actions);
        m->joined = true;
    }
}

rn_result rn_sa_member_on_result(struct rn_sa_member *m, const struct rn_sa_message *message,
                                 struct rn_sa_actions *actions, struct rn_error *err)
{
    if (m->t.level != RN_SA_LEVEL_CERTIFIED) {
        m->next = m->state; /* early, for a follower */
        m->ignored = true;
        return rn_ok();
    }
    RN_ENSURE(memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "result: of another T2");
    RN_TRY(rn_sa_result_apply(&m->t, message->body, err));
    if (m->receipted && memcmp(root_of(&m->receipt), m->t.sum_root, RN_HASH_BYTES) != 0) {
        m->t.level = RN_SA_LEVEL_CERTIFIED;
        return rn_fail(err, RN_E_PEER_PROTOCOL, "result: not the sum that got the receipt");
    }
    if (!rn_sa_set_empty(&m->t.blamed)) {
        join(m, actions);
        rn_sa_spent_blame(m->config.spent, &m->t, message->whole, actions);
    }
    const struct rn_sa_layout *layout = &m->t.layout;
    rn_sa_vector_init(&m->sum, layout);
    m->sum_leaves = rn_alloc(layout->chunks, RN_HASH_BYTES);
    m->sum_bits = rn_alloc(rn_sa_bits_bytes(&m->t), 1);
    for (uint32_t i = 0; i < layout->chunks; i++) {
        m->sum_bits[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    m->sum_left = layout->chunks;
    rn_sa_member_ask(m, actions);
    return rn_ok();
}

static void leave_audit(struct rn_sa_member *m)
{
    rn_sa_audit_free(RN_TAKE(m->audit));
}

static void give_receipt(struct rn_sa_member *m, const uint8_t *adapter_hash,
                         struct rn_sa_actions *actions)
{
    join(m, actions);
    rn_sa_receipt_write(&m->t, m->config.self, adapter_hash, m->config.identity, &m->receipt);
    m->receipted = true;
    rn_sa_member_persist(m, RN_SA_RECORD_RECEIPTED, &m->receipt, actions);
    rn_sa_member_send(m, &m->receipt, actions);
}

/* The certificate says which adapter follows. Nothing does from a sum that is out of its range; the
 * others have seen the same, or one of us is wrong. */
static void take_adapter(struct rn_sa_member *m, struct rn_sa_actions *actions)
{
    leave_audit(m);
    if (m->out_of_range) {
        const bool stays = memcmp(m->t.adapter, m->t.context.adapter_hash, RN_HASH_BYTES) == 0;
        rn_sa_member_go_aborted(m, stays ? RN_SA_REASON_RANGE : RN_SA_REASON_ADAPTER_DIFFERS, false,
                                actions);
        return;
    }
    m->next = RN_SA_M_SUMMED;
    rn_sa_actions_add(actions, RN_SA_APPLY);
}

/* Every chunk of the own part was right. The coordinator of a blind job learns from the receipts
 * alone that a sum is out of its range: they name the adapter as it is. */
static void finish_audit(struct rn_sa_member *m, struct rn_sa_actions *actions)
{
    leave_audit(m);
    if (m->out_of_range) {
        give_receipt(m, m->t.context.adapter_hash, actions);
        m->next = RN_SA_M_RECEIPTED;
        return;
    }
    m->next = RN_SA_M_SUMMED;
    rn_sa_actions_add(actions, RN_SA_SUM);
}

static rn_result begin_audit(struct rn_sa_member *m, struct rn_sa_actions *actions,
                             struct rn_error *err)
{
    RN_TRY(
        rn_sa_audit_new(&m->t, m->config.self, m->sum_leaves, m->config.parallel, &m->audit, err));
    m->next = RN_SA_M_AUDITING;
    if (rn_sa_audit_done(m->audit)) {
        finish_audit(m, actions);
    } else {
        rn_sa_member_ask(m, actions);
    }
    return rn_ok();
}

/* Takes the streams of U3 off: what is left is the sum. */
static void unblind(struct rn_sa_member *m)
{
    const struct rn_sa_set *survivors = &m->t.survivors;
    struct rn_mask_set *RN_CLEANUP(rn_mask_set_free_cleanup) masks =
        rn_mask_set_new(rn_sa_set_count(survivors));
    struct rn_secret32 RN_CLEANUP(rn_secret32_clear) key = {{0}};
    struct rn_mask_context context;
    memcpy(context.session, m->t.session, RN_HASH_BYTES);
    memcpy(context.transcript, m->t.t1, RN_HASH_BYTES);
    rn_result done = rn_ok();
    for (uint32_t i = rn_sa_set_next(survivors, 0); i < RN_SA_MEMBERS_MAX && rn_is_ok(done);
         i = rn_sa_set_next(survivors, i + 1)) {
        rn_mask_key_blind(&context, m->config.group, i, &key);
        done = rn_mask_set_insert(masks, &key, -1, NULL);
    }
    done = rn_is_ok(done) ? rn_sa_vector_mask(&m->sum, masks, NULL) : done;
    RN_BUG_IF(!rn_is_ok(done)); /* the cipher does not fail */
}

/* All chunks came: the root, then every element's range. */
static rn_result finish_sum(struct rn_sa_member *m, struct rn_sa_actions *actions,
                            struct rn_error *err)
{
    uint8_t root[RN_HASH_BYTES];
    rn_sa_chunk_root(&m->t, RN_SA_COORDINATOR, m->sum_leaves, root);
    const uint64_t largest = rn_sa_set_count(&m->t.survivors) * m->config.params.value_max;
    const bool same = memcmp(root, m->t.sum_root, RN_HASH_BYTES) == 0;
    const bool blind = m->t.context.blind;
    if (same && blind) {
        unblind(m);
    }
    rn_sa_vector_reduce(&m->sum);
    const bool in_range = same && rn_sa_vector_in_range(&m->sum, largest);
    m->out_of_range = same && blind && !in_range;
    if (!same || (!in_range && !blind)) {
        rn_sa_member_go_aborted(m, RN_SA_REASON_RANGE, false, actions);
        return rn_ok();
    }
    if (m->t.level == RN_SA_LEVEL_RECEIPTED) {
        take_adapter(m, actions);
        return rn_ok();
    }
    if (m->receipted) { /* before a restart: replayed then */
        m->next = RN_SA_M_RECEIPTED;
        rn_sa_member_send(m, &m->receipt, actions);
        return rn_ok();
    }
    return begin_audit(m, actions, err);
}

rn_result rn_sa_member_on_sum_chunk(struct rn_sa_member *m, const struct rn_sa_message *message,
                                    struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_ENSURE(memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "sum chunk: of another T2");
    struct rn_sa_chunk part;
    RN_TRY(rn_sa_chunk_read(&m->t, message->body, &part, err));
    const uint8_t bit = (uint8_t)(1u << (part.chunk % 8));
    if ((m->sum_bits[part.chunk / 8] & bit) == 0) {
        return rn_ok(); /* came before */
    }
    RN_TRY(rn_sa_vector_add(&m->sum, part.chunk, part.packed, err));
    rn_sa_chunk_leaf(&m->t, RN_SA_COORDINATOR, &part,
                     m->sum_leaves + (size_t)part.chunk * RN_HASH_BYTES);
    m->sum_bits[part.chunk / 8] &= (uint8_t)~bit;
    m->sum_left--;
    return m->sum_left == 0 ? finish_sum(m, actions, err) : rn_ok();
}

/* ---- Replay ---- */

/* Something came: what is asked for next, or no need to ask again yet. */
static void go_on(struct rn_sa_member *m, const struct rn_sa_audit_request *before,
                  struct rn_sa_actions *actions)
{
    const struct rn_sa_audit_request now = rn_sa_audit_wanted(m->audit);
    if (now.leaves != before->leaves || now.chunk != before->chunk) {
        rn_sa_member_ask(m, actions);
    } else if (!rn_sa_set_equal(&now.members, &before->members)) {
        m->retry_at_ms = m->now_ms + m->config.params.retry_ms;
    }
}

rn_result rn_sa_member_on_leaves(struct rn_sa_member *m, const struct rn_sa_message *message,
                                 struct rn_sa_actions *actions, struct rn_error *err)
{
    RN_ENSURE(memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "leaves: of another T2");
    const struct rn_sa_audit_request before = rn_sa_audit_wanted(m->audit);
    RN_TRY(rn_sa_audit_leaves(m->audit, message->body, err));
    go_on(m, &before, actions);
    return rn_ok();
}

/* Whoever has the roster can see it from this; but for a proof that would be too large. */
static void give_proof(struct rn_sa_member *m, struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) proof = {0};
    if (rn_sa_sum_proof_write(m->audit, m->heard, &proof)) {
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
        rn_sa_evidence_write(RN_SA_EVIDENCE_SUM, rn_buffer_view(&m->heard[RN_SA_RESULT]),
                             rn_buffer_view(&proof), &action->bytes);
    }
}

rn_result rn_sa_member_on_upload_chunk(struct rn_sa_member *m, const struct rn_sa_message *message,
                                       struct rn_sa_actions *actions, struct rn_error *err)
{
    bool forged = false;
    const struct rn_sa_audit_request before = rn_sa_audit_wanted(m->audit);
    RN_TRY(rn_sa_audit_chunk(m->audit, message, &forged, err));
    if (forged) {
        give_proof(m, actions);
        leave_audit(m);
        rn_sa_member_go_aborted(m, RN_SA_REASON_SUM_FORGED, false, actions);
    } else if (rn_sa_audit_done(m->audit)) {
        finish_audit(m, actions);
    } else {
        go_on(m, &before, actions);
    }
    return rn_ok();
}

/* ---- Receipts ---- */

rn_result rn_sa_member_adapter(struct rn_sa_member *m,
                               const uint8_t adapter_hash[static RN_HASH_BYTES], uint64_t now_ms,
                               struct rn_sa_actions *out_actions, struct rn_error *err)
{
    RN_ENSURE(m->state == RN_SA_M_SUMMED && !m->receipted, err, RN_E_USAGE,
              "no receipt is wanted now");
    m->now_ms = now_ms;
    give_receipt(m, adapter_hash, out_actions);
    rn_sa_member_enter(m, RN_SA_M_RECEIPTED, out_actions);
    return rn_ok();
}

/* The own receipt and one of the others', which name two adapters of one sum. */
static void give_receipts(struct rn_sa_member *m, struct rn_view body,
                          struct rn_sa_actions *actions)
{
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
    rn_sa_evidence_write(RN_SA_EVIDENCE_RECEIPTS, rn_buffer_view(&m->receipt),
                         rn_view_of(body.data + 4, RN_SA_RECEIPT_BYTES), &action->bytes);
}

rn_result rn_sa_member_on_receipts(struct rn_sa_member *m, const struct rn_sa_message *message,
                                   struct rn_sa_actions *actions, struct rn_error *err)
{
    if (m->t.level != RN_SA_LEVEL_RESULT) {
        return rn_ok(); /* they stand already */
    }
    RN_ENSURE(memcmp(message->transcript, m->t.t2, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "receipts: of another T2");
    RN_TRY(rn_sa_receipts_apply(&m->t, message->body, err));
    if (m->receipted && memcmp(adapter_of(&m->receipt), m->t.adapter, RN_HASH_BYTES) != 0) {
        give_receipts(m, message->body, actions);
        rn_sa_member_go_aborted(m, RN_SA_REASON_ADAPTER_DIFFERS, false, actions);
    } else if (m->state != RN_SA_M_FETCHING) {
        take_adapter(m, actions);
    }
    return rn_ok();
}

rn_result rn_sa_member_applied(struct rn_sa_member *m,
                               const uint8_t adapter_hash[static RN_HASH_BYTES], uint64_t now_ms,
                               struct rn_sa_actions *out_actions, struct rn_error *err)
{
    RN_ENSURE(m->state == RN_SA_M_SUMMED && m->t.level == RN_SA_LEVEL_RECEIPTED, err, RN_E_USAGE,
              "no adapter is wanted now");
    m->now_ms = now_ms;
    if (memcmp(adapter_hash, m->t.adapter, RN_HASH_BYTES) != 0) {
        rn_sa_member_go_aborted(m, RN_SA_REASON_ADAPTER_DIFFERS, false, out_actions);
        return rn_ok();
    }
    rn_sa_member_enter(m, RN_SA_M_FINISHED, out_actions);
    rn_sa_actions_add(out_actions, RN_SA_FINISHED)->blamed = m->t.blamed;
    return rn_ok();
}

/* ---- What the service reads ---- */

static bool has_sum(const struct rn_sa_member *m)
{
    return m->state == RN_SA_M_SUMMED || m->state == RN_SA_M_RECEIPTED ||
           m->state == RN_SA_M_FINISHED;
}

rn_result rn_sa_member_sum_info(const struct rn_sa_member *m, struct rn_sa_sum_info *out,
                                struct rn_error *err)
{
    RN_ENSURE(has_sum(m), err, RN_E_USAGE, "there is no sum yet");
    *out = (struct rn_sa_sum_info){
        .elements = m->t.layout.elements,
        .survivors = m->t.survivors,
        .contributors = rn_sa_set_count(&m->t.survivors),
        .blamed = m->t.blamed,
    };
    memcpy(out->transcript, m->t.t2, RN_HASH_BYTES);
    memcpy(out->sum_hash, m->t.sum_root, RN_HASH_BYTES);
    memcpy(out->adapter_hash, m->t.adapter, RN_HASH_BYTES);
    return rn_ok();
}

rn_result rn_sa_member_sum_read(const struct rn_sa_member *m, uint64_t first, uint32_t count,
                                uint64_t *out, struct rn_error *err)
{
    RN_ENSURE(has_sum(m) && first <= m->t.layout.elements && count <= m->t.layout.elements - first,
              err, RN_E_USAGE, "there is no such part of a sum");
    rn_sa_vector_read(&m->sum, first, count, out);
    return rn_ok();
}
