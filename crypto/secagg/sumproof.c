/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/sumproof.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/sessionproof.h"

#include <string.h>

bool rn_sa_sum_proof_write(const struct rn_sa_audit *audit,
                           const struct rn_buffer heard[static RN_SA_TYPE_LAST_],
                           struct rn_buffer *out)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) proof = {0};
    rn_buffer_init(&proof, RN_SA_SUM_PROOF_MAX);
    const struct rn_sa_transcript *t = rn_sa_audit_transcript(audit);
    rn_sa_session_numbers_write(t, &proof);
    rn_buffer_u32(&proof, rn_sa_audit_wanted(audit).chunk);
    if (!rn_sa_session_broadcasts_write(heard, &proof) || !rn_sa_audit_write_chunk(audit, &proof) ||
        heard[RN_SA_RESULT].length == 0) {
        return false;
    }
    rn_buffer_append(out, proof.data, proof.length);
    return !out->failed;
}

/* The transcript up to Result, and the reader behind it. */
static rn_result rebuild(const struct rn_roster *roster, const struct rn_sa_message *result,
                         struct rn_reader *r, uint32_t *out_chunk, struct rn_sa_transcript *t,
                         struct rn_error *err)
{
    struct rn_sa_params params;
    struct rn_sa_context context;
    RN_TRY(rn_sa_session_numbers_read(roster, r, &params, &context, err));
    *out_chunk = rn_read_u32(r);
    RN_TRY(rn_sa_session_rebuild(result->session, &params, &context, r, t, err));
    RN_ENSURE(memcmp(result->transcript, t->t2, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "proof: the result is of another T2");
    RN_ENSURE(*out_chunk < t->layout.chunks, err, RN_E_PEER_PROTOCOL, "proof: no such chunk");
    return rn_sa_result_apply(t, result->body, err);
}

static void free_audit(struct rn_sa_audit **audit)
{
    rn_sa_audit_free(*audit);
}

rn_result rn_sa_sum_proof_check(const struct rn_roster *roster, const struct rn_sa_message *result,
                                struct rn_view proof, struct rn_error *err)
{
    struct rn_reader r = rn_reader_of(proof);
    struct rn_sa_transcript RN_CLEANUP(rn_sa_transcript_clear) transcript = {.peers = NULL};
    struct rn_sa_transcript *t = &transcript;
    struct rn_sa_audit *RN_CLEANUP(free_audit) audit = NULL;
    uint32_t chunk = 0;
    bool forged = false;
    RN_TRY(rebuild(roster, result, &r, &chunk, t, err));
    const size_t leaves = (size_t)t->layout.chunks * RN_HASH_BYTES;
    const struct rn_view sum_leaves = rn_read_view(&r, leaves);
    RN_ENSURE(!r.failed, err, RN_E_PEER_FORMAT, "proof: wrong length");
    uint8_t root[RN_HASH_BYTES];
    rn_sa_chunk_root(t, RN_SA_COORDINATOR, sum_leaves.data, root);
    RN_ENSURE(memcmp(root, t->sum_root, RN_HASH_BYTES) == 0, err, RN_E_PEER_PROTOCOL,
              "proof: not the leaves of the announced sum");
    RN_TRY(rn_sa_audit_new(t, 0, sum_leaves.data, NULL, &audit, err));
    RN_TRY(rn_sa_audit_read_chunk(audit, chunk, &r, &forged, err));
    RN_ENSURE(forged, err, RN_E_PEER_PROTOCOL, "proof: the announced sum is right");
    return rn_ok();
}
