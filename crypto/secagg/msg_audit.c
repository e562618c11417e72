/* SPDX-License-Identifier: Apache-2.0
 *
 * R5. Audit, member to coordinator: what it wants to replay. Leaves, coordinator to one: the hashes
 * of one upload's chunks, which its Done signs. The chunks themselves come as their members sent
 * them (msg_upload.c).
 */
#include "base/guard.h"
#include "crypto/secagg/messages.h"

#include <string.h>

enum { WANTS_LEAVES = 1, WANTS_CHUNKS = 2 };

void rn_sa_audit_write(const struct rn_sa_transcript *transcript, uint32_t self,
                       const struct rn_sa_audit_request *request,
                       const struct rn_identity *identity, struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, request->leaves ? WANTS_LEAVES : WANTS_CHUNKS);
    rn_buffer_u32(&body, request->chunk);
    rn_sa_set_write(&body, &request->members);
    const struct rn_sa_draft draft = {
        .type = RN_SA_AUDIT,
        .sender = self,
        .recipient = RN_SA_COORDINATOR,
        .hash = transcript->t2,
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

rn_result rn_sa_audit_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                           struct rn_sa_audit_request *out, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t wants = rn_read_u32(&r);
    const uint32_t chunk = rn_read_u32(&r);
    const struct rn_sa_set members = rn_sa_set_read(&r);
    RN_ENSURE(rn_reader_done(&r) && (wants == WANTS_LEAVES || wants == WANTS_CHUNKS), err,
              RN_E_PEER_FORMAT, "audit: asks for no known thing");
    RN_ENSURE(chunk < transcript->layout.chunks && (wants == WANTS_CHUNKS || chunk == 0) &&
                  rn_sa_set_within(&members, &transcript->survivors),
              err, RN_E_PEER_PROTOCOL, "audit: of chunks or members that are not in the sum");
    *out = (struct rn_sa_audit_request){wants == WANTS_LEAVES, chunk, members};
    return rn_ok();
}

void rn_sa_leaves_write(const struct rn_sa_transcript *transcript, uint32_t member,
                        const uint8_t *leaves, const struct rn_identity *identity,
                        struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_u32(&body, member);
    rn_buffer_append(&body, leaves, (size_t)transcript->layout.chunks * RN_HASH_BYTES);
    const struct rn_sa_draft draft = {
        .type = RN_SA_LEAVES,
        .sender = RN_SA_COORDINATOR,
        .recipient = RN_SA_EVERYONE,
        .hash = transcript->t2,
        .body = rn_buffer_view(&body),
    };
    rn_sa_transcript_write(transcript, &draft, identity, out);
}

void rn_sa_done_root(const struct rn_sa_transcript *transcript, uint32_t member,
                     uint8_t out[static RN_HASH_BYTES])
{
    const uint8_t *done = transcript->peers[member].done;
    memcpy(out, done + RN_SA_DONE_BYTES - RN_HASH_BYTES, RN_HASH_BYTES);
}

rn_result rn_sa_leaves_read(const struct rn_sa_transcript *transcript, struct rn_view body,
                            uint32_t *out_member, struct rn_view *out_leaves, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(body);
    const uint32_t member = rn_read_u32(&r);
    const struct rn_view leaves =
        rn_read_view(&r, (size_t)transcript->layout.chunks * RN_HASH_BYTES);
    RN_ENSURE(rn_reader_done(&r), err, RN_E_PEER_FORMAT, "leaves: wrong length");
    RN_ENSURE(rn_sa_set_has(&transcript->survivors, member), err, RN_E_PEER_PROTOCOL,
              "leaves: of a member that is not in the sum");
    uint8_t root[RN_HASH_BYTES];
    uint8_t signed_root[RN_HASH_BYTES];
    rn_sa_chunk_root(transcript, member, leaves.data, root);
    rn_sa_done_root(transcript, member, signed_root);
    RN_ENSURE(memcmp(root, signed_root, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "leaves: not the ones that member %u signed", member);
    *out_member = member;
    *out_leaves = leaves;
    return rn_ok();
}
