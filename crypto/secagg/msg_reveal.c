/* SPDX-License-Identifier: Apache-2.0
 *
 * R4. Reveal, member to coordinator, under a certificate alone: for every member of U2 in the own
 * circle of the graph exactly one share: of the self seed b of a survivor, of the mask secret s of
 * a lost member. The other share is erased before the first byte leaves.
 */
#include "base/guard.h"
#include "crypto/secagg/messages.h"

#include <string.h>

struct rn_sa_set rn_sa_reveal_members(const struct rn_sa_transcript *transcript, uint32_t holder)
{
    const struct rn_sa_set circle = rn_sa_transcript_circle(transcript, holder);
    return rn_sa_set_both(&transcript->linked, &circle);
}

void rn_sa_reveal_write(const struct rn_sa_transcript *transcript, uint32_t self,
                        const struct rn_sa_secrets *secrets, const struct rn_identity *identity,
                        struct rn_buffer *out)
{
    static const uint8_t none[32] = {0};
    const struct rn_sa_set members = rn_sa_reveal_members(transcript, self);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, rn_sa_set_count(&members));
    for (uint32_t i = rn_sa_set_next(&members, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&members, i + 1)) {
        const struct rn_sa_slot *slot = rn_sa_secrets_slot(secrets, i);
        RN_BUG_IF(slot->state == RN_SA_SLOT_BOTH);
        const bool s = slot->state == RN_SA_SLOT_KEPT_S;
        const bool b = slot->state == RN_SA_SLOT_KEPT_B;
        const enum rn_sa_kind kind = s ? RN_SA_KIND_S : b ? RN_SA_KIND_B : RN_SA_KIND_NONE;
        rn_buffer_u32(&body, i);
        rn_buffer_u32(&body, (uint32_t)kind);
        rn_buffer_append(&body, s ? slot->share_s.bytes : b ? slot->share_b.bytes : none, 32);
    }
    RN_BUG_IF(body.failed);
    const struct rn_sa_draft draft = {
        .type = RN_SA_REVEAL,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t2,
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_reveal_read(const struct rn_sa_transcript *transcript, uint32_t sender,
                            struct rn_view body, struct rn_sa_revealed *out, struct rn_error *err)
{
    memset(out, 0, transcript->graph.members * sizeof *out);
    const struct rn_sa_set members = rn_sa_reveal_members(transcript, sender);
    struct rn_reader r = rn_reader_of(body);
    const uint32_t count = rn_read_u32(&r);
    RN_ENSURE(count == rn_sa_set_count(&members) &&
                  rn_reader_left(&r) == (size_t)count * RN_SA_REVEAL_ENTRY,
              err, RN_E_PEER_FORMAT, "reveal: not one entry per member");
    for (uint32_t i = rn_sa_set_next(&members, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&members, i + 1)) {
        const uint32_t member = rn_read_u32(&r);
        const uint32_t kind = rn_read_u32(&r);
        const struct rn_view share = rn_read_view(&r, 32);
        const bool holds = rn_sa_set_has(&transcript->peers[i].holders, sender);
        const enum rn_sa_kind due = holds ? rn_sa_kind_due(transcript, i) : RN_SA_KIND_NONE;
        RN_ENSURE(member == i && kind == (uint32_t)due, err, RN_E_PEER_PROTOCOL,
                  "reveal: not the share of member %u that the certificate asks for", i);
        if (holds) {
            RN_TRY(rn_scalar_parse(share.data, true, &out[i].share, err));
            out[i].held = true;
        }
    }
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "reveal: wrong length");
    return rn_ok();
}
