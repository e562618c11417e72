/* SPDX-License-Identifier: Apache-2.0
 *
 * The Merkle tree of RFC 6962, section 2.1, over SHA-256: hashes, audit paths (inclusion) and
 * consistency proofs, made from stored hashes and checked without them.
 *
 *     leaf = SHA-256(0x00 || entry)      node = SHA-256(0x01 || left || right)
 *
 * A tree of n > 1 entries splits at the largest power of two below n. The tree of none has the hash
 * of the empty text.
 */
#ifndef RN_POLICY_MERKLE_H
#define RN_POLICY_MERKLE_H

#include "crypto/sha256.h"

/* A tree of at most 2^63 - 1 entries has no longer proof. */
#define RN_MERKLE_PROOF_MAX 63
#define RN_MERKLE_SIZE_MAX ((uint64_t)INT64_MAX)

void rn_merkle_leaf(struct rn_view entry, struct rn_hash *out);
void rn_merkle_node(const struct rn_hash *left, const struct rn_hash *right, struct rn_hash *out);

/* From the leaf's side to the root's. */
struct rn_merkle_proof {
    uint32_t count;
    struct rn_hash hashes[RN_MERKLE_PROOF_MAX];
};

/* Where hashes come from: that of the full subtree of 2^level entries that begins at entry
 * index * 2^level. Fails where it is not there (RN_E_DATA) or cannot be read. */
struct rn_merkle_source {
    rn_result (*hash)(void *context, uint32_t level, uint64_t index, struct rn_hash *out,
                      struct rn_error *err);
    void *context;
};

/* Hash of the tree over entries [begin, end), begin a multiple of the largest power of two that is
 * not above end - begin (begin 0 always is). */
RN_MUST rn_result rn_merkle_range(const struct rn_merkle_source *source, uint64_t begin,
                                  uint64_t end, struct rn_hash *out, struct rn_error *err);
/* RN_E_USAGE unless index < size. */
RN_MUST rn_result rn_merkle_inclusion(const struct rn_merkle_source *source, uint64_t index,
                                      uint64_t size, struct rn_merkle_proof *out,
                                      struct rn_error *err);
/* RN_E_USAGE unless before <= size. Empty where before is 0 or size. */
RN_MUST rn_result rn_merkle_consistency(const struct rn_merkle_source *source, uint64_t before,
                                        uint64_t size, struct rn_merkle_proof *out,
                                        struct rn_error *err);

/* Whether the entry with this leaf hash stands at index in the tree of `size` with this root. */
RN_MUST bool rn_merkle_inclusion_holds(const struct rn_hash *leaf, uint64_t index, uint64_t size,
                                       const struct rn_merkle_proof *proof,
                                       const struct rn_hash *root);
/* Whether the tree of `before` entries is a beginning of the one of `size`. Of no entries every
 * tree is: then the proof is empty and root_before the empty tree's. */
RN_MUST bool rn_merkle_consistency_holds(uint64_t before, const struct rn_hash *root_before,
                                         uint64_t size, const struct rn_hash *root,
                                         const struct rn_merkle_proof *proof);

#endif
