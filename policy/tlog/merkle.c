/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/tlog/merkle.h"

#include "base/guard.h"

void rn_merkle_leaf(struct rn_view entry, struct rn_hash *out)
{
    const struct rn_view parts[] = {rn_view_of("\x00", 1), entry};
    rn_sha256_plain_parts(out->bytes, parts, RN_ARRAY_LENGTH(parts));
}

void rn_merkle_node(const struct rn_hash *left, const struct rn_hash *right, struct rn_hash *out)
{
    const struct rn_view parts[] = {rn_view_of("\x01", 1), rn_view_of(left->bytes, RN_HASH_BYTES),
                                    rn_view_of(right->bytes, RN_HASH_BYTES)};
    rn_sha256_plain_parts(out->bytes, parts, RN_ARRAY_LENGTH(parts));
}

/* Where a tree of `size` > 1 entries splits: the largest power of two below size. */
static uint64_t split_of(uint64_t size)
{
    return (uint64_t)1 << (63 - __builtin_clzll(size - 1));
}

static bool is_power(uint64_t size)
{
    return (size & (size - 1)) == 0;
}

/* ---- Made ---- */

rn_result rn_merkle_range(const struct rn_merkle_source *source, uint64_t begin, uint64_t end,
                          struct rn_hash *out, struct rn_error *err)
{
    RN_BUG_IF(begin > end || end > RN_MERKLE_SIZE_MAX);
    const uint64_t size = end - begin;
    if (size == 0) {
        rn_sha256_plain(out->bytes, rn_view_of(NULL, 0));
        return rn_ok();
    }
    if (is_power(size)) {
        const uint32_t level = (uint32_t)__builtin_ctzll(size);
        return source->hash(source->context, level, begin >> level, out, err);
    }
    struct rn_hash left;
    struct rn_hash right;
    const uint64_t middle = begin + split_of(size);
    RN_TRY(rn_merkle_range(source, begin, middle, &left, err));
    RN_TRY(rn_merkle_range(source, middle, end, &right, err));
    rn_merkle_node(&left, &right, out);
    return rn_ok();
}

/* The range that a step of a path leaves aside, from the root down. */
struct range {
    uint64_t begin, end;
};

/* Fills the proof from the last range, nearest to the leaf, to the first. */
static rn_result hash_ranges(const struct rn_merkle_source *source, const struct range *ranges,
                             uint32_t count, struct rn_merkle_proof *out, struct rn_error *err)
{
    out->count = count;
    for (uint32_t k = 0; k < count; k++) {
        const struct range *range = &ranges[count - 1 - k];
        RN_TRY(rn_merkle_range(source, range->begin, range->end, &out->hashes[k], err));
    }
    return rn_ok();
}

rn_result rn_merkle_inclusion(const struct rn_merkle_source *source, uint64_t index, uint64_t size,
                              struct rn_merkle_proof *out, struct rn_error *err)
{
    RN_ENSURE(index < size && size <= RN_MERKLE_SIZE_MAX, err, RN_E_USAGE,
              "The log has no entry %llu: it has %llu.", (unsigned long long)index,
              (unsigned long long)size);
    struct range aside[RN_MERKLE_PROOF_MAX];
    uint32_t count = 0;
    struct range tree = {0, size};
    while (tree.end - tree.begin > 1) {
        const uint64_t middle = tree.begin + split_of(tree.end - tree.begin);
        const bool left = index < middle;
        aside[count++] =
            left ? (struct range){middle, tree.end} : (struct range){tree.begin, middle};
        tree = left ? (struct range){tree.begin, middle} : (struct range){middle, tree.end};
    }
    return hash_ranges(source, aside, count, out, err);
}

/* SUBPROOF of RFC 6962, section 2.1.2, from the root down: at the end stands a subtree that both
 * trees have whole; it is named unless it is the old tree itself, whose hash the verifier has. */
rn_result rn_merkle_consistency(const struct rn_merkle_source *source, uint64_t before,
                                uint64_t size, struct rn_merkle_proof *out, struct rn_error *err)
{
    RN_ENSURE(before <= size && size <= RN_MERKLE_SIZE_MAX, err, RN_E_USAGE,
              "A log of %llu entries cannot continue one of %llu.", (unsigned long long)size,
              (unsigned long long)before);
    out->count = 0;
    if (before == 0 || before == size) {
        return rn_ok();
    }
    struct range aside[RN_MERKLE_PROOF_MAX + 1];
    uint32_t count = 0;
    struct range tree = {0, size};
    while (tree.end != before) {
        const uint64_t middle = tree.begin + split_of(tree.end - tree.begin);
        const bool left = before <= middle;
        aside[count++] =
            left ? (struct range){middle, tree.end} : (struct range){tree.begin, middle};
        tree = left ? (struct range){tree.begin, middle} : (struct range){middle, tree.end};
    }
    if (tree.begin != 0) {
        aside[count++] = tree;
    }
    return hash_ranges(source, aside, count, out, err);
}

/* ---- Checked (RFC 9162, sections 2.1.3.2 and 2.1.4.2) ---- */

bool rn_merkle_inclusion_holds(const struct rn_hash *leaf, uint64_t index, uint64_t size,
                               const struct rn_merkle_proof *proof, const struct rn_hash *root)
{
    if (index >= size || size > RN_MERKLE_SIZE_MAX || proof->count > RN_MERKLE_PROOF_MAX) {
        return false;
    }
    uint64_t node = index;
    uint64_t last = size - 1;
    struct rn_hash hash = *leaf;
    for (uint32_t k = 0; k < proof->count; k++) {
        if (last == 0) {
            return false;
        }
        if ((node & 1) != 0 || node == last) {
            rn_merkle_node(&proof->hashes[k], &hash, &hash);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            rn_merkle_node(&hash, &proof->hashes[k], &hash);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && rn_hash_equal(&hash, root);
}

/* Both roots out of one path: `old` goes along where the path's hash stands to the left. */
static bool fold(uint64_t before, uint64_t size, const struct rn_hash *first,
                 const struct rn_hash *path, uint32_t count, const struct rn_hash *root_before,
                 const struct rn_hash *root)
{
    uint64_t node = before - 1;
    uint64_t last = size - 1;
    while ((node & 1) != 0) {
        node >>= 1;
        last >>= 1;
    }
    struct rn_hash old = *first;
    struct rn_hash new = *first;
    for (uint32_t k = 0; k < count; k++) {
        if (last == 0) {
            return false;
        }
        if ((node & 1) != 0 || node == last) {
            rn_merkle_node(&path[k], &old, &old);
            rn_merkle_node(&path[k], &new, &new);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            rn_merkle_node(&new, &path[k], &new);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && rn_hash_equal(&old, root_before) && rn_hash_equal(&new, root);
}

bool rn_merkle_consistency_holds(uint64_t before, const struct rn_hash *root_before, uint64_t size,
                                 const struct rn_hash *root, const struct rn_merkle_proof *proof)
{
    if (before > size || size > RN_MERKLE_SIZE_MAX || proof->count > RN_MERKLE_PROOF_MAX) {
        return false;
    }
    if (before == 0) {
        struct rn_hash empty;
        rn_sha256_plain(empty.bytes, rn_view_of(NULL, 0));
        return proof->count == 0 && rn_hash_equal(root_before, &empty) &&
               (size > 0 || rn_hash_equal(root, &empty));
    }
    if (before == size) {
        return proof->count == 0 && rn_hash_equal(root_before, root);
    }
    if (is_power(before)) {
        return fold(before, size, root_before, proof->hashes, proof->count, root_before, root);
    }
    return proof->count > 0 && fold(before, size, &proof->hashes[0], proof->hashes + 1,
                                    proof->count - 1, root_before, root);
}
