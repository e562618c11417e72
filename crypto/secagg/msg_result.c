/* SPDX-License-Identifier: Apache-2.0
 *
 * R5. Result, coordinator to all: the root of the sum's chunks, the opened secrets, proofs of
 * blame.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/messages.h"

#include <string.h>

bool rn_sa_secret_matches(const struct rn_sa_transcript *transcript, uint32_t member,
                          const struct rn_scalar *secret)
{
    const struct rn_sa_peer *peer = &transcript->peers[member];
    const bool survivor = rn_sa_set_has(&transcript->survivors, member);
    return rn_point_matches(survivor ? &peer->self : &peer->mask, secret);
}

void rn_sa_result_write(const struct rn_sa_transcript *transcript,
                        const uint8_t root[static RN_HASH_BYTES], const struct rn_scalar *secrets,
                        const struct rn_sa_proofs *proofs, struct rn_buffer *out_body)
{
    rn_buffer_append(out_body, root, RN_HASH_BYTES);
    rn_buffer_u32(out_body, rn_sa_set_count(&transcript->linked));
    for (uint32_t i = rn_sa_set_next(&transcript->linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->linked, i + 1)) {
        const bool survivor = rn_sa_set_has(&transcript->survivors, i);
        rn_buffer_u32(out_body, i);
        rn_buffer_u32(out_body, (uint32_t)(survivor ? RN_SA_KIND_B : RN_SA_KIND_S));
        rn_buffer_append(out_body, secrets[i].bytes, RN_SCALAR_BYTES);
    }
    rn_buffer_u32(out_body, proofs->count);
    rn_buffer_append(out_body, proofs->bytes.data, proofs->bytes.length);
}

size_t rn_sa_result_room(const struct rn_sa_transcript *transcript)
{
    const size_t secrets = (size_t)rn_sa_set_count(&transcript->linked) * RN_SA_RESULT_ENTRY;
    return RN_SA_MESSAGE_MAX - RN_SA_ENVELOPE_BYTES - RN_HASH_BYTES - 2 * 4 - secrets;
}

static rn_result read_secrets(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                              struct rn_scalar *out, struct rn_error *err)
{
    const uint32_t count = rn_read_u32(r);
    RN_ENSURE(count == rn_sa_set_count(&transcript->linked) &&
                  rn_reader_left(r) >= (size_t)count * RN_SA_RESULT_ENTRY,
              err, RN_E_PEER_FORMAT, "result: not one secret per member");
    for (uint32_t i = rn_sa_set_next(&transcript->linked, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&transcript->linked, i + 1)) {
        const uint32_t member = rn_read_u32(r);
        const uint32_t kind = rn_read_u32(r);
        RN_ENSURE(member == i && kind == (uint32_t)rn_sa_kind_due(transcript, i), err,
                  RN_E_PEER_PROTOCOL, "result: the wrong secret of member %u is opened", i);
        RN_TRY(rn_scalar_parse(rn_read_view(r, RN_SCALAR_BYTES).data, false, &out[i], err));
        RN_ENSURE(rn_sa_secret_matches(transcript, i, &out[i]), err, RN_E_PEER_PROTOCOL,
                  "result: the secret of member %u is not the one it published", i);
    }
    return rn_ok();
}

/* A proof that proves nothing is the coordinator's fault, like any other false statement. */
static rn_result read_proofs(const struct rn_sa_transcript *transcript, struct rn_reader *r,
                             struct rn_sa_set *out_blamed, struct rn_error *err)
{
    const uint32_t count = rn_read_u32(r);
    RN_ENSURE(!r->failed && count <= rn_sa_set_count(&transcript->survivors), err, RN_E_PEER_FORMAT,
              "result: more proofs of blame than members");
    uint32_t least = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t holder = 0;
        RN_TRY(rn_sa_blame_read(transcript, r, &holder, err));
        RN_ENSURE(holder >= least, err, RN_E_PEER_PROTOCOL,
                  "result: blamed members repeat or are out of order");
        rn_sa_set_add(out_blamed, holder);
        least = holder + 1;
    }
    return rn_ok();
}

rn_result rn_sa_result_apply(struct rn_sa_transcript *transcript, struct rn_view body,
                             struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    uint8_t root[RN_HASH_BYTES];
    rn_read_copy(&r, root, sizeof root);
    struct rn_sa_set blamed = {{0}};
    struct rn_scalar *RN_CLEANUP(rn_free_cleanup) opened =
        rn_alloc(transcript->graph.members, sizeof *opened);
    RN_TRY(read_secrets(transcript, &r, opened, err));
    RN_TRY(read_proofs(transcript, &r, &blamed, err));
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "result: wrong length");
    memcpy(transcript->sum_root, root, sizeof root);
    transcript->blamed = blamed;
    for (uint32_t i = 0; i < transcript->graph.members; i++) {
        transcript->peers[i].opened = opened[i];
    }
    transcript->level = RN_SA_LEVEL_RESULT;
    return rn_ok();
}
