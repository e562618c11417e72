/* SPDX-License-Identifier: Apache-2.0
 *
 * R5 at the coordinator: members that replay the sum are given the uploads again, and a quorum of
 * receipts over one adapter fixes it.
 *
 * What can be pulled of a session is numbered: the chunks of the sum, then for each chunk the
 * uploads of it, member by member, then the leaves of each member's upload.
 */
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/evidence.h"

#include <string.h>

static uint32_t upload_piece(const struct rn_sa_aggregator *a, uint32_t chunk, uint32_t member)
{
    return a->t.layout.chunks + chunk * a->config.params.members + member;
}

static uint32_t leaves_piece(const struct rn_sa_aggregator *a, uint32_t member)
{
    return upload_piece(a, a->t.layout.chunks, member);
}

_Static_assert((uint64_t)RN_SA_CHUNKS_MAX * (RN_SA_MEMBERS_MAX + 1) + RN_SA_MEMBERS_MAX <
                   UINT32_MAX,
               "pieces have numbers");

static void want(uint8_t *bits, uint32_t piece)
{
    bits[piece / 8] |= (uint8_t)(1u << (piece % 8));
}

static void want_all(const struct rn_sa_aggregator *a, const struct rn_sa_audit_request *request,
                     uint8_t *bits)
{
    const struct rn_sa_set *members = &request->members;
    for (uint32_t i = rn_sa_set_next(members, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(members, i + 1)) {
        want(bits, request->leaves ? leaves_piece(a, i) : upload_piece(a, request->chunk, i));
    }
}

rn_result rn_sa_aggregator_on_audit(struct rn_sa_aggregator *a, const struct rn_sa_message *message,
                                    struct rn_sa_actions *actions, struct rn_error *err)
{
    struct rn_sa_audit_request request;
    RN_TRY(rn_sa_audit_read(&a->t, message->body, &request, err));
    struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_SEND_BULK);
    action->to = rn_sa_set_only(message->sender);
    action->audit = true;
    action->chunks = leaves_piece(a, a->config.params.members);
    uint8_t *bits = rn_buffer_grow(&action->bytes, ((size_t)action->chunks + 7) / 8);
    RN_BUG_IF(bits == NULL);
    memset(bits, 0, ((size_t)action->chunks + 7) / 8);
    want_all(a, &request, bits);
    return rn_ok();
}

rn_result rn_sa_aggregator_piece(struct rn_sa_aggregator *a, uint32_t piece, struct rn_buffer *out,
                                 struct rn_error *err)
{
    const uint32_t chunks = a->t.layout.chunks;
    const uint32_t members = a->config.params.members;
    const uint32_t chunk = (piece - chunks) / members;
    const uint32_t member = (piece - chunks) % members;
    RN_ENSURE(a->stage == RN_SA_STAGE_SUM && piece >= chunks && chunk <= chunks &&
                  rn_sa_set_has(&a->t.survivors, member),
              err, RN_E_USAGE, "there is no such piece of the uploads");
    RN_TRY(rn_sa_upload_find(a, member, err));
    if (chunk < chunks) {
        return rn_sa_upload_fetch(a, member, chunk, out, err);
    }
    rn_sa_leaves_write(&a->t, member, a->uploads[member].leaves, a->config.identity, out);
    return rn_ok();
}

/* ---- Receipts */

/* Where a receipt in the inbox names the adapter. */
static const uint8_t *adapter_of(const struct rn_sa_aggregator *a, uint32_t member)
{
    return a->inbox[RN_SA_RECEIPT][member].data + RN_SA_ENVELOPE_BYTES + RN_HASH_BYTES;
}

void rn_sa_aggregator_receipts(const struct rn_sa_aggregator *a,
                               const uint8_t adapter_hash[static RN_HASH_BYTES],
                               struct rn_sa_set *out_agreeing, struct rn_sa_set *out_differing)
{
    const struct rn_sa_set *got = &a->got[RN_SA_RECEIPT];
    *out_agreeing = *out_differing = (struct rn_sa_set){{0}};
    for (uint32_t i = rn_sa_set_next(got, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(got, i + 1)) {
        const bool agrees = memcmp(adapter_of(a, i), adapter_hash, RN_HASH_BYTES) == 0;
        rn_sa_set_add(agrees ? out_agreeing : out_differing, i);
    }
}

struct rn_sa_set rn_sa_receipts_agreeing(const struct rn_sa_aggregator *a)
{
    const struct rn_sa_set *got = &a->got[RN_SA_RECEIPT];
    struct rn_sa_set most = {{0}};
    for (uint32_t i = rn_sa_set_next(got, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(got, i + 1)) {
        struct rn_sa_set agreeing, differing;
        rn_sa_aggregator_receipts(a, adapter_of(a, i), &agreeing, &differing);
        most = rn_sa_set_count(&agreeing) > rn_sa_set_count(&most) ? agreeing : most;
    }
    return most;
}

rn_result rn_sa_aggregator_on_receipt(struct rn_sa_aggregator *a,
                                      const struct rn_sa_message *message,
                                      struct rn_sa_actions *actions, struct rn_error *err)
{
    uint8_t adapter[RN_HASH_BYTES];
    RN_TRY(rn_sa_receipt_read(&a->t, message->body, adapter, err));
    const uint32_t first = rn_sa_set_next(&a->got[RN_SA_RECEIPT], 0);
    if (first < RN_SA_MEMBERS_MAX &&
        memcmp(adapter_of(a, first), adapter, RN_HASH_BYTES) != 0) { /* two adapters of one sum */
        struct rn_sa_action *action = rn_sa_actions_add(actions, RN_SA_EVIDENCE);
        rn_sa_evidence_write(RN_SA_EVIDENCE_RECEIPTS,
                             rn_buffer_view(&a->inbox[RN_SA_RECEIPT][first]), message->whole,
                             &action->bytes);
    }
    rn_sa_aggregator_keep(a, message);
    const struct rn_sa_set late = rn_sa_set_only(message->sender);
    rn_sa_aggregator_send(a, RN_SA_RECEIPTS, &late, actions); /* if they stand already */
    return rn_ok();
}

void rn_sa_receipts_close(struct rn_sa_aggregator *a, const struct rn_sa_set *agreeing,
                          struct rn_sa_actions *actions)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_sa_receipts_write(a->inbox[RN_SA_RECEIPT], agreeing, &body);
    const rn_result applied = rn_sa_receipts_apply(&a->t, rn_buffer_view(&body), NULL);
    RN_BUG_IF(!rn_is_ok(applied)); /* every receipt was checked when it came */
    rn_sa_aggregator_broadcast(a, RN_SA_RECEIPTS, rn_buffer_view(&body));
    struct rn_buffer *record = rn_sa_aggregator_record(a, RN_SA_RECORD_RECEIPTS, actions);
    rn_buffer_blob(record, rn_buffer_view(&a->sent[RN_SA_RECEIPTS]));
    rn_sa_uploads_forget(a);
    rn_sa_actions_add(actions, RN_SA_APPLY);
    const struct rn_sa_set all = rn_sa_set_first(a->config.params.members);
    rn_sa_aggregator_send(a, RN_SA_RECEIPTS, &all, actions);
    rn_sa_aggregator_enter(a, RN_SA_STAGE_FINISHED, actions);
    rn_sa_actions_add(actions, RN_SA_FINISHED)->blamed = a->blamed;
}
