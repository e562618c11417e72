/* SPDX-License-Identifier: Apache-2.0
 *
 * The replay of a sum by one member (PROTOCOL.md, "The sum is checked"): chunk by chunk it adds the
 * uploads that T2 fixed, takes off the masks of the opened secrets, and compares with the announced
 * sum. It holds one chunk of every upload, and the hashes of all. Pure; what comes in is not
 * trusted.
 *
 *   rn_sa_audit_new() -> while not rn_sa_audit_done(): rn_sa_audit_wanted(), send it,
 *   rn_sa_audit_leaves() and rn_sa_audit_chunk() as they come, in any order -> rn_sa_audit_free()
 */
#ifndef RN_CRYPTO_SECAGG_AUDIT_H
#define RN_CRYPTO_SECAGG_AUDIT_H

#include "base/parallel.h"
#include "crypto/secagg/messages.h"

/* Does this member of the roster replay this chunk? Any n_max consecutive chunks are spread evenly;
 * T2 says where they begin, so that nobody knows before the uploads are fixed. */
bool rn_sa_audit_has(const struct rn_sa_transcript *transcript, uint32_t member, uint32_t chunk);

/* Most bytes of a proof, and of the uploads that are kept for one. */
#define RN_SA_SUM_PROOF_MAX ((size_t)64 << 20)

struct rn_sa_audit;

/* Of a transcript at level RESULT, by member self of its roster. Pointers are borrowed; sum_leaves
 * are the layout.chunks leaves of the announced sum, which give its root. parallel: what taking
 * masks off is split over; NULL: the calling thread alone. */
RN_MUST rn_result rn_sa_audit_new(const struct rn_sa_transcript *transcript, uint32_t self,
                                  const uint8_t *sum_leaves, const struct rn_parallel *parallel,
                                  struct rn_sa_audit **out, struct rn_error *err);
/* NULL is fine. */
void rn_sa_audit_free(struct rn_sa_audit *audit);

/* Every chunk of the member's part is the sum of the uploads. */
bool rn_sa_audit_done(const struct rn_sa_audit *audit);
/* What is missing next; not once it is done. */
struct rn_sa_audit_request rn_sa_audit_wanted(const struct rn_sa_audit *audit);

/* Body of a Leaves. Class PEER: refused, nothing changed. */
RN_MUST rn_result rn_sa_audit_leaves(struct rn_sa_audit *audit, struct rn_view body,
                                     struct rn_error *err);
/* A survivor's Chunk, of which the leaf is checked and nothing else needs to be. One that is not
 * wanted now is ignored. *out_forged: the announced sum is not the sum of the uploads; the replay
 * then stays at this chunk. Class PEER: refused, nothing changed. */
RN_MUST rn_result rn_sa_audit_chunk(struct rn_sa_audit *audit, const struct rn_sa_message *message,
                                    bool *out_forged, struct rn_error *err);

/* ---- For a proof (sumproof.h) */
const struct rn_sa_transcript *rn_sa_audit_transcript(const struct rn_sa_audit *audit);
/* All leaves of the sum, then for each survivor its leaves and its upload of the chunk as a blob.
 * False: they are more than a proof takes. */
bool rn_sa_audit_write_chunk(const struct rn_sa_audit *audit, struct rn_buffer *out);
/* Replays one chunk from what rn_sa_audit_write_chunk wrote behind the leaves of the sum, which
 * must be all that is left. */
RN_MUST rn_result rn_sa_audit_read_chunk(struct rn_sa_audit *audit, uint32_t chunk,
                                         struct rn_reader *r, bool *out_forged,
                                         struct rn_error *err);

#endif
