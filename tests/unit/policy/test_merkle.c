/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 6962: roots that certificate transparency's own tests state, and every proof of small trees:
 * each holds, and none holds for another entry, place, size, root, or with a hash changed, dropped
 * or added.
 */
#include "tlogworld.h"

#define TREES 40u

static struct rn_hash *leaves;

static rn_result leaf_range(void *context, uint32_t level, uint64_t index, struct rn_hash *out,
                            struct rn_error *err)
{
    (void)context;
    (void)err;
    log_root(leaves + (index << level), (uint64_t)1 << level, out);
    return rn_ok();
}

static const struct rn_merkle_source source = {leaf_range, NULL};

static void test_roots_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *root;
    } rows[] = {
        {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
        {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
        {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
        {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
        {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
        {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
        {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
        {"606162636465666768696a6b6c6d6e6f",
         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
    };
    struct rn_hash hashes[RN_ARRAY_LENGTH(rows)];
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        uint8_t entry[16];
        struct rn_hash root;
        struct rn_hash wanted;
        const size_t length = strlen(rows[k].entry) / 2;
        assert_true(rn_hex_decode(entry, length, rows[k].entry));
        assert_true(rn_hex_decode(wanted.bytes, RN_HASH_BYTES, rows[k].root));
        rn_merkle_leaf(rn_view_of(entry, length), &hashes[k]);
        leaves = hashes;
        assert_true(rn_is_ok(rn_merkle_range(&source, 0, k + 1, &root, NULL)));
        assert_memory_equal(&root, &wanted, sizeof root);
    }
}

static void test_the_tree_of_none(void **state)
{
    (void)state;
    struct rn_hash root;
    struct rn_hash wanted;
    assert_true(rn_hex_decode(wanted.bytes, RN_HASH_BYTES,
                              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    assert_true(rn_is_ok(rn_merkle_range(&source, 0, 0, &root, NULL)));
    assert_memory_equal(&root, &wanted, sizeof root);
}

static void roots_of(struct rn_hash roots[static TREES + 1])
{
    for (uint64_t size = 0; size <= TREES; size++) {
        log_root(leaves, size, &roots[size]);
    }
}

static void inclusion_spoilt(uint64_t index, uint64_t size, struct rn_merkle_proof proof,
                             const struct rn_hash *root)
{
    assert_false(
        rn_merkle_inclusion_holds(&leaves[(index + 1) % TREES], index, size, &proof, root));
    for (uint64_t other = 0; other < size; other++) {
        assert_true(other == index ||
                    !rn_merkle_inclusion_holds(&leaves[index], other, size, &proof, root));
    }
    for (uint32_t k = 0; k < proof.count; k++) {
        proof.hashes[k].bytes[k] ^= 1;
        assert_false(rn_merkle_inclusion_holds(&leaves[index], index, size, &proof, root));
        proof.hashes[k].bytes[k] ^= 1;
    }
    proof.count++;
    assert_false(rn_merkle_inclusion_holds(&leaves[index], index, size, &proof, root));
    proof.count = RN_MERKLE_PROOF_MAX + 1;
    assert_false(rn_merkle_inclusion_holds(&leaves[index], index, size, &proof, root));
}

static void test_every_inclusion(void **state)
{
    (void)state;
    struct rn_hash roots[TREES + 1];
    leaves = log_leaves(TREES);
    roots_of(roots);
    for (uint64_t size = 1; size <= TREES; size++) {
        for (uint64_t index = 0; index < size; index++) {
            struct rn_merkle_proof proof = {0};
            assert_true(rn_is_ok(rn_merkle_inclusion(&source, index, size, &proof, NULL)));
            assert_true(
                rn_merkle_inclusion_holds(&leaves[index], index, size, &proof, &roots[size]));
            assert_false(
                rn_merkle_inclusion_holds(&leaves[index], index, size, &proof, &roots[size - 1]));
            inclusion_spoilt(index, size, proof, &roots[size]);
        }
    }
    struct rn_merkle_proof proof;
    assert_int_equal(rn_merkle_inclusion(&source, TREES, TREES, &proof, NULL).code, RN_E_USAGE);
    rn_free(leaves);
}

static void consistency_spoilt(uint64_t before, uint64_t size, struct rn_merkle_proof proof,
                               const struct rn_hash *roots)
{
    assert_false(
        rn_merkle_consistency_holds(before, &roots[before], size, &roots[size - 1], &proof));
    if (before > 0 && before < size) {
        assert_false(
            rn_merkle_consistency_holds(before, &roots[before - 1], size, &roots[size], &proof));
    }
    for (uint32_t k = 0; k < proof.count; k++) {
        proof.hashes[k].bytes[31] ^= 0x80;
        assert_false(
            rn_merkle_consistency_holds(before, &roots[before], size, &roots[size], &proof));
        proof.hashes[k].bytes[31] ^= 0x80;
    }
    proof.count++;
    assert_false(rn_merkle_consistency_holds(before, &roots[before], size, &roots[size], &proof));
}

static void test_every_consistency(void **state)
{
    (void)state;
    struct rn_hash roots[TREES + 1];
    leaves = log_leaves(TREES);
    roots_of(roots);
    for (uint64_t size = 1; size <= TREES; size++) {
        for (uint64_t before = 0; before <= size; before++) {
            struct rn_merkle_proof proof = {0};
            assert_true(rn_is_ok(rn_merkle_consistency(&source, before, size, &proof, NULL)));
            assert_true(
                rn_merkle_consistency_holds(before, &roots[before], size, &roots[size], &proof));
            if (before > 0) {
                consistency_spoilt(before, size, proof, roots);
            }
        }
    }
    struct rn_merkle_proof proof = {0};
    assert_int_equal(rn_merkle_consistency(&source, 2, 1, &proof, NULL).code, RN_E_USAGE);
    assert_false(rn_merkle_consistency_holds(2, &roots[2], 1, &roots[1], &proof));
    assert_false(rn_merkle_consistency_holds(0, &roots[1], 2, &roots[2], &proof));
    rn_free(leaves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roots_of_others),
        cmocka_unit_test(test_the_tree_of_none),
        cmocka_unit_test(test_every_inclusion),
        cmocka_unit_test(test_every_consistency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
