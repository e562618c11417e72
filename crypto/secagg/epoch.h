/* SPDX-License-Identifier: Apache-2.0
 *
 * The seed of the sparse graph, by commit and reveal. PROTOCOL.md, "Epoch", has the bytes, the
 * claim and why it holds. Pure: messages in, messages out; no state but what the caller keeps.
 *
 * An epoch is where the members of a roster sit on the ring (crypto/secagg/graph.h) for one plan.
 * It is made once, after the plan is signed by all and before its first round, and stands for every
 * session of the plan; a plan whose graph is complete needs none. One attempt at it:
 *
 *     member        rn_sa_epoch_commit      its commitment, to the coordinator
 *     coordinator   rn_sa_epoch_commitment_check, rn_sa_epoch_set_write
 *                                           the set of signed commitments, to all
 *     member        rn_sa_epoch_set_read    checks all of it
 *                   rn_sa_epoch_reveal      its contribution, to the coordinator; what it
 *                                           revealed under is durable before that leaves
 *     coordinator   rn_sa_epoch_reveal_check, rn_sa_epoch_reveals_write
 *                                           all reveals, to all
 *     all           rn_sa_epoch_seed, rn_sa_epoch_permutation
 *
 * The set lists the members of the epoch: who is not listed takes no part in the plan's sessions,
 * keeps its position on the ring and counts as absent (D). A listed member whose reveal is missing
 * or wrong voids the attempt: no seed comes out, and the coordinator makes the next attempt without
 * it. At most RN_SA_EPOCH_ATTEMPTS_MAX attempts a plan, because each is a draw that a coordinator
 * may throw away; a member reveals under one set an attempt, and never in an earlier one again.
 *
 * Secret until revealed: the contribution. All else is public.
 */
#ifndef RN_CRYPTO_SECAGG_EPOCH_H
#define RN_CRYPTO_SECAGG_EPOCH_H

#include "base/bytes.h"
#include "crypto/identity.h"
#include "crypto/secagg/graph.h"
#include "crypto/sha256.h"

/* Attempts of a plan count from 1. The tails of the graph are divided by this number. */
#define RN_SA_EPOCH_ATTEMPTS_MAX 16u
/* Signed: place u32, commitment or contribution 32, signature 64. */
#define RN_SA_EPOCH_ENTRY_BYTES 100u
#define RN_SA_EPOCH_SET_HEAD 80u
#define RN_SA_EPOCH_REVEALS_HEAD 44u
/* The longer of the two documents, at RN_SA_GRAPH_MEMBERS_MAX members. */
#define RN_SA_EPOCH_DOCUMENT_MAX \
    (RN_SA_EPOCH_SET_HEAD + RN_SA_GRAPH_MEMBERS_MAX * RN_SA_EPOCH_ENTRY_BYTES)

/* The caller's own values, never a message's. */
struct rn_sa_epoch_context {
    uint8_t plan_hash[RN_HASH_BYTES];
    uint8_t roster_hash[RN_HASH_BYTES];
    uint32_t members;                      /* of the roster, <= RN_SA_GRAPH_MEMBERS_MAX */
    uint32_t least;                        /* members that a set has to list: F (rn_sa_floor) */
    const struct rn_identity_public *keys; /* by place; borrowed */
};

/* ---- One member's part */

/* A member's contribution to an attempt: always the same 32 bytes for one identity, plan, roster
 * and attempt, so that a restart has nothing to remember and cannot choose again; and to everybody
 * else as good as random. HKDF of a deterministic signature under a tag that nothing else has: the
 * identity signs, here as everywhere, and its key is not converted. */
void rn_sa_epoch_contribution(const struct rn_sa_epoch_context *context,
                              const struct rn_identity *identity, uint32_t attempt,
                              struct rn_secret32 *out);

/* The signed commitment of the member at place, whose identity this is. RN_E_PEER_LIMIT when
 * attempt is 0 or beyond the last. May be asked for again: same bytes. */
RN_MUST rn_result rn_sa_epoch_commit(const struct rn_sa_epoch_context *context,
                                     const struct rn_identity *identity, uint32_t place,
                                     uint32_t attempt, uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES],
                                     struct rn_error *err);

/* Is this a commitment for that attempt, signed by the member that it names? RN_E_PEER_FORMAT,
 * _LIMIT (attempt), _PROTOCOL (no member), _AUTH. */
RN_MUST rn_result rn_sa_epoch_commitment_check(const struct rn_sa_epoch_context *context,
                                               uint32_t attempt, struct rn_view entry,
                                               uint32_t *out_place, struct rn_error *err);

/* ---- The set of commitments */

/* 37 KB of plain data. */
struct rn_sa_epoch_set {
    uint8_t hash[RN_HASH_BYTES]; /* of the document's exact bytes */
    uint32_t attempt;
    uint32_t count;
    uint32_t places[RN_SA_GRAPH_MEMBERS_MAX]; /* listed, going up */
    uint8_t commitments[RN_SA_GRAPH_MEMBERS_MAX][RN_HASH_BYTES];
};

/* Appends the document. entries: by place, checked; an empty view where a member sent none or is
 * left out. RN_E_ROUND_QUORUM when fewer than context->least are there. */
RN_MUST rn_result rn_sa_epoch_set_write(const struct rn_sa_epoch_context *context, uint32_t attempt,
                                        const struct rn_view *entries, struct rn_buffer *out,
                                        struct rn_error *err);

/* Checks the whole document: plan, roster, attempt, order, number, every signature (46 us each).
 * RN_E_PEER_FORMAT, _LIMIT, _PROTOCOL, _AUTH; *out is then undefined. */
RN_MUST rn_result rn_sa_epoch_set_read(const struct rn_sa_epoch_context *context,
                                       struct rn_view bytes, struct rn_sa_epoch_set *out,
                                       struct rn_error *err);

/* Is the member in the epoch? */
bool rn_sa_epoch_set_has(const struct rn_sa_epoch_set *set, uint32_t place);

/* ---- Reveals */

/* What a member revealed last, for one plan; zeros before that. The caller has it durable before a
 * reveal leaves, and back after a restart. */
struct rn_sa_epoch_revealed {
    uint32_t attempt;
    uint8_t set_hash[RN_HASH_BYTES];
};

/* The signed reveal under a set that rn_sa_epoch_set_read accepted, and what to make durable first.
 * RN_E_PEER_PROTOCOL when the set does not list this member with the commitment that is its own;
 * RN_E_PEER_REPLAY when it revealed under another set of this attempt, or in a later attempt:
 * *revealed is unchanged then. The same set again gives the same bytes. */
RN_MUST rn_result rn_sa_epoch_reveal(const struct rn_sa_epoch_context *context,
                                     const struct rn_identity *identity, uint32_t place,
                                     const struct rn_sa_epoch_set *set,
                                     struct rn_sa_epoch_revealed *revealed,
                                     uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES],
                                     struct rn_error *err);

/* Is this the reveal of a listed member under this set? RN_E_PEER_FORMAT; _AUTH: not signed by the
 * member named, so not its fault; _PROTOCOL: not listed, or signed and not what it committed to:
 * leave it out of the next attempt. */
RN_MUST rn_result rn_sa_epoch_reveal_check(const struct rn_sa_epoch_context *context,
                                           const struct rn_sa_epoch_set *set, struct rn_view entry,
                                           uint32_t *out_place, struct rn_error *err);

/* Appends the document. entries: by place, checked. RN_E_ROUND_QUORUM, and the first such place in
 * *out_missing, when a listed member's is an empty view: the attempt is void. */
RN_MUST rn_result rn_sa_epoch_reveals_write(const struct rn_sa_epoch_context *context,
                                            const struct rn_sa_epoch_set *set,
                                            const struct rn_view *entries, struct rn_buffer *out,
                                            uint32_t *out_missing, struct rn_error *err);

/* Checks the whole document of reveals against the set: every listed member, in order, signed and
 * as committed; and gives the seed. Errors as of rn_sa_epoch_reveal_check, or RN_E_PEER_FORMAT;
 * there is no seed then. */
RN_MUST rn_result rn_sa_epoch_seed(const struct rn_sa_epoch_context *context,
                                   const struct rn_sa_epoch_set *set, struct rn_view bytes,
                                   uint8_t out_seed[static RN_HASH_BYTES], struct rn_error *err);

/* out[p] is the member at position p, for every place of the roster, listed or not: Fisher and
 * Yates' shuffle of 0 .. members - 1, from the end, by rn_stream_below. */
void rn_sa_epoch_permutation(const uint8_t seed[static RN_HASH_BYTES], uint32_t members,
                             uint32_t out[]);

#endif
