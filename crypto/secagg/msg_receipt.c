/* SPDX-License-Identifier: Apache-2.0
 *
 * R5. Receipt, member to coordinator: I replayed my part of this sum, and this adapter follows from
 * it. Receipts, coordinator to all: a quorum of them over one sum and one adapter, under which alone
 * an adapter is taken.
 */
#include "base/guard.h"
#include "crypto/secagg/messages.h"

#include <string.h>

void rn_sa_receipt_write(const struct rn_sa_transcript *transcript, uint32_t self,
                         const uint8_t adapter_hash[static RN_HASH_BYTES],
                         const struct rn_identity *identity, struct rn_buffer *out)
{
    uint8_t body[RN_SA_RECEIPT_BODY];
    struct rn_writer w = rn_writer_to(body, sizeof body);
    rn_write_bytes(&w, transcript->sum_root, RN_HASH_BYTES);
    rn_write_bytes(&w, adapter_hash, RN_HASH_BYTES);
    const struct rn_sa_draft draft = {
        .type = RN_SA_RECEIPT,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t2,
        .body = rn_view_of(body, sizeof body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_receipt_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                             uint8_t out_adapter_hash[static RN_HASH_BYTES], struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    uint8_t root[RN_HASH_BYTES];
    rn_read_copy(&r, root, sizeof root);
    rn_read_copy(&r, out_adapter_hash, RN_HASH_BYTES);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "receipt: wrong length");
    RN_ENSURE(memcmp(root, transcript->sum_root, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "receipt: for another sum");
    return rn_ok();
}

void rn_sa_receipts_write(const struct rn_buffer *messages, const struct rn_sa_set *set,
                          struct rn_buffer *out_body)
{
    rn_buffer_u32(out_body, rn_sa_set_count(set));
    for (uint32_t i = rn_sa_set_next(set, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(set, i + 1)) {
        rn_buffer_append(out_body, messages[i].data, messages[i].length);
    }
}

/* One receipt of the certificate; least: senders go up. */
static rn_result read_one(const struct rn_sa_transcript *transcript, struct rn_view bytes,
                          uint32_t least, uint32_t *out_sender,
                          uint8_t out_adapter_hash[static RN_HASH_BYTES], struct rn_error *err)
{
    struct rn_sa_message message;
    RN_TRY(rn_sa_message_parse(bytes, &message, err));
    RN_TRY(
        rn_sa_transcript_nested(transcript, &message, RN_SA_RECEIPT, transcript->t2, err));
    RN_ENSURE(message.sender >= least, err, RN_E_PEER_PROTOCOL,
              "receipts: members repeat or are out of order");
    *out_sender = message.sender;
    return rn_sa_receipt_read(transcript, message.body, out_adapter_hash, err);
}

rn_result rn_sa_receipts_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                               struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(!r.failed && count <= RN_SA_MEMBERS_MAX &&
                  rn_reader_left(&r) == (size_t)count * RN_SA_RECEIPT_BYTES,
              err, RN_E_PEER_FORMAT, "receipts: wrong length");
    RN_ENSURE(count >= transcript->quorum, err, RN_E_PEER_PROTOCOL,
              "receipts: %u of them; an adapter needs %u", count, transcript->quorum);
    uint8_t first[RN_HASH_BYTES];
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint8_t adapter[RN_HASH_BYTES];
        uint32_t sender = 0;
        RN_TRY(read_one(transcript, rn_read_view(&r, RN_SA_RECEIPT_BYTES), least, &sender, adapter,
                        err));
        least = sender + 1;
        if (k == 0) {
            memcpy(first, adapter, sizeof first);
        }
        RN_ENSURE(memcmp(first, adapter, sizeof first) == 0, err, RN_E_PEER_PROTOCOL,
                  "receipts: for different adapters");
    }
    memcpy(transcript->adapter, first, sizeof first);
    transcript->level = RN_SA_LEVEL_RECEIPTED;
    return rn_ok();
}
