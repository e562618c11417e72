/* SPDX-License-Identifier: Apache-2.0
 *
 * The seed of the sparse graph: what honest members make of it, its limits, and documents that are
 * malformed. What coordinator and members can try with reveals: test_epoch_faces.c.
 */
#include "tests/unit/crypto/epochworld.h"

/* tests/parity/make_epoch_golden.py */
#define GOLDEN_CONTRIBUTION "ff78f3b8214033084eace62ae4d8741b5687503efc4d2d9167e3014ab9299d33"
#define GOLDEN_COMMITMENT "3e930b7d8bbdb11b0d80c0005b64368335c176d6e38534655461468bf0eb940b"
#define GOLDEN_SET "d871605e9d870a06d91f1c1af3f1e6d6408ec113a0e55a8129cc4efb06c33185"
#define GOLDEN_SEED "040296321dd7298da0a3f8d114ff2b9b49672a408b2ea7a06b2f4fc0d665c79c"
#define GOLDEN_SEED_WITHOUT "714abdf64c49ca4a23f17f6bda8decc7db0fd3d749897ca84e2e36d36d3f7a46"
static const uint32_t golden_permutation[10] = {8, 1, 7, 6, 5, 3, 4, 0, 9, 2};

/* ---- Honest attempts */

/* case 55. The same after a restart; another one for every attempt, member, plan and roster. */
static void contributions_are_derived(void **state)
{
    (void)state;
    world_make(3, 3);
    uint8_t seen[6][RN_SECRET_BYTES];
    contribution_of(0, 1, seen[0]);
    contribution_of(0, 2, seen[1]);
    contribution_of(1, 1, seen[2]);
    w.context.plan_hash[31] ^= 1;
    contribution_of(0, 1, seen[3]);
    w.context.plan_hash[31] ^= 1;
    w.context.roster_hash[31] ^= 1;
    contribution_of(0, 1, seen[4]);
    w.context.roster_hash[31] ^= 1;
    rn_identity_free(w.identities[0]);
    w.identities[0] = identity_of(0);
    contribution_of(0, 1, seen[5]);
    assert_memory_equal(seen[0], seen[5], RN_SECRET_BYTES);
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = 0; b < a; b++) {
            assert_memory_not_equal(seen[a], seen[b], RN_SECRET_BYTES);
        }
    }
}

/* case 55. What Python computes from PROTOCOL.md, "Epoch"; a second attempt without member 1. */
static void known_answers(void **state)
{
    (void)state;
    world_make(SMALL, LEAST);
    uint8_t value[RN_HASH_BYTES];
    uint8_t seed[RN_HASH_BYTES];
    uint32_t permutation[10];
    contribution_of(2, 1, value);
    assert_hex(value, GOLDEN_CONTRIBUTION);
    whole_attempt(1, 0, seed);
    assert_hex(w.set.commitments[2], GOLDEN_COMMITMENT);
    assert_hex(w.set.hash, GOLDEN_SET);
    assert_hex(seed, GOLDEN_SEED);
    whole_attempt(2, 1u << 1, seed);
    assert_hex(seed, GOLDEN_SEED_WITHOUT);
    rn_sa_epoch_permutation(seed, 10, permutation);
    assert_memory_equal(permutation, golden_permutation, sizeof permutation);
}

/* case 55. Everybody who has the two documents has the same ring: the coordinator, a member, one
 * that was restarted. At the largest roster, with one left out, who keeps a position. */
static void permutation_is_equal_everywhere(void **state)
{
    (void)state;
    static uint32_t permutations[2][RN_SA_GRAPH_MEMBERS_MAX];
    static struct rn_sa_epoch_set again;
    uint8_t seeds[2][RN_HASH_BYTES];
    world_make(RN_SA_GRAPH_MEMBERS_MAX, 600);
    whole_attempt(1, 1u << 7, seeds[0]);
    assert_int_equal(w.set.count, RN_SA_GRAPH_MEMBERS_MAX - 1);
    assert_true(w.document.length < RN_SA_EPOCH_DOCUMENT_MAX);
    assert_false(rn_sa_epoch_set_has(&w.set, 7));
    assert_true(rn_sa_epoch_set_has(&w.set, 8));
    assert_ok(rn_sa_epoch_set_read(&w.context, rn_buffer_view(&w.document), &again, NULL));
    assert_ok(rn_sa_epoch_seed(&w.context, &again, rn_buffer_view(&w.reveals), seeds[1], NULL));
    bool seated[RN_SA_GRAPH_MEMBERS_MAX] = {false};
    for (unsigned k = 0; k < 2; k++) {
        rn_sa_epoch_permutation(seeds[k], RN_SA_GRAPH_MEMBERS_MAX, permutations[k]);
    }
    assert_memory_equal(permutations[0], permutations[1], sizeof permutations[0]);
    for (uint32_t p = 0; p < RN_SA_GRAPH_MEMBERS_MAX; p++) {
        assert_false(seated[permutations[0][p]]);
        seated[permutations[0][p]] = true;
    }
    world_free();
}

/* All 24 orders of four come equally often: chi-square with 23 degrees, 5 in 10^6 above 60. */
static void permutations_are_uniform(void **state)
{
    (void)state;
    unsigned counts[256] = {0};
    for (uint32_t trial = 0; trial < 24000; trial++) {
        uint8_t seed[RN_HASH_BYTES] = {(uint8_t)trial, (uint8_t)(trial >> 8)};
        uint32_t order[4];
        rn_sa_epoch_permutation(seed, 4, order);
        counts[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
    }
    double chi_square = 0;
    unsigned orders = 0;
    for (unsigned k = 0; k < 256; k++) {
        if (counts[k] > 0) {
            orders++;
            chi_square += ((double)counts[k] - 1000) * ((double)counts[k] - 1000) / 1000;
        }
    }
    assert_int_equal(orders, 24);
    assert_true(chi_square < 60);
}

/* ---- Limits and malformed documents */

/* case 55. Attempts 1 and 16 are there, 0 and 17 are refused, on every way. */
static void seventeenth_attempt(void **state)
{
    (void)state;
    static const uint32_t beyond[] = {0, RN_SA_EPOCH_ATTEMPTS_MAX + 1, UINT32_MAX};
    uint8_t seed[RN_HASH_BYTES];
    world_make(SMALL, LEAST);
    for (uint32_t attempt = 1; attempt <= RN_SA_EPOCH_ATTEMPTS_MAX; attempt++) {
        whole_attempt(attempt, 0, seed);
    }
    make_set(16, 0);
    for (uint32_t i = 0; i < SMALL; i++) {
        commit(i, 16);
    }
    for (size_t k = 0; k < RN_ARRAY_LENGTH(beyond); k++) {
        uint32_t place = 0;
        uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
        assert_code(rn_sa_epoch_commit(&w.context, w.identities[0], 0, beyond[k], entry, NULL),
                    RN_E_PEER_LIMIT);
        assert_code(rn_sa_epoch_commitment_check(&w.context, beyond[k], w.views[0], &place, NULL),
                    RN_E_PEER_LIMIT);
        assert_code(rn_sa_epoch_set_write(&w.context, beyond[k], w.views, &w.reveals, NULL),
                    RN_E_PEER_LIMIT);
        struct rn_writer attempt = rn_writer_to(w.document.data + 72, 4);
        rn_write_u32(&attempt, beyond[k]);
        assert_int_equal(set_code(rn_buffer_view(&w.document)), RN_E_PEER_LIMIT);
    }
}

static void largest_context(void)
{
    w.context.members = RN_SA_GRAPH_MEMBERS_MAX + 1;
    (void)set_code(rn_buffer_view(&w.document));
}

/* Sets of least - 1, least, all members, and one more. */
static void how_many_a_set_lists(void **state)
{
    (void)state;
    world_make(SMALL, LEAST);
    make_set(1, 1u << 0 | 1u << 5);
    assert_int_equal(w.set.count, LEAST);
    for (uint32_t i = 0; i < LEAST - 1; i++) {
        commit(i, 1);
    }
    rn_buffer_clear(&w.document);
    assert_code(rn_sa_epoch_set_write(&w.context, 1, w.views, &w.document, NULL),
                RN_E_ROUND_QUORUM);
    w.context.least = LEAST - 1; /* a coordinator with other numbers */
    assert_ok(rn_sa_epoch_set_write(&w.context, 1, w.views, &w.document, NULL));
    w.context.least = LEAST;
    assert_int_equal(set_code(rn_buffer_view(&w.document)), RN_E_PEER_PROTOCOL);
    make_set(1, 0);
    w.context.members = SMALL - 1;
    assert_int_equal(set_code(rn_buffer_view(&w.document)), RN_E_PEER_PROTOCOL);
    assert_aborts(largest_context);
    w.context.members = SMALL;
}

/* Any byte changed, cut off or added. */
static void every_byte_counts(void **state)
{
    (void)state;
    uint8_t seed[RN_HASH_BYTES];
    world_make(SMALL, LEAST);
    whole_attempt(1, 1u << 3, seed);
    for (size_t k = 0; k < w.document.length; k++) {
        w.document.data[k] ^= 1;
        assert_int_not_equal(set_code(rn_buffer_view(&w.document)), RN_OK);
        w.document.data[k] ^= 1;
        assert_int_not_equal(set_code(rn_view_of(w.document.data, k)), RN_OK);
    }
    for (size_t k = 0; k < w.reveals.length; k++) {
        w.reveals.data[k] ^= 1;
        assert_int_not_equal(seed_code(rn_buffer_view(&w.reveals)), RN_OK);
        w.reveals.data[k] ^= 1;
        assert_int_not_equal(seed_code(rn_view_of(w.reveals.data, k)), RN_OK);
    }
    rn_buffer_u8(&w.document, 0);
    rn_buffer_u8(&w.reveals, 0);
    assert_int_equal(set_code(rn_buffer_view(&w.document)), RN_E_PEER_FORMAT);
    assert_int_equal(seed_code(rn_buffer_view(&w.reveals)), RN_E_PEER_FORMAT);
}

static void swap_entries(struct rn_buffer *document, size_t head)
{
    uint8_t kept[RN_SA_EPOCH_ENTRY_BYTES];
    uint8_t *first = document->data + head;
    memcpy(kept, first, sizeof kept);
    memcpy(first, first + sizeof kept, sizeof kept);
    memcpy(first + sizeof kept, kept, sizeof kept);
}

/* One member twice, or two in the wrong order: every entry by itself is right. */
static void lists_go_up(void **state)
{
    (void)state;
    uint8_t seed[RN_HASH_BYTES];
    world_make(SMALL, LEAST);
    whole_attempt(1, 0, seed);
    swap_entries(&w.document, RN_SA_EPOCH_SET_HEAD);
    assert_int_equal(set_code(rn_buffer_view(&w.document)), RN_E_PEER_PROTOCOL);
    swap_entries(&w.document, RN_SA_EPOCH_SET_HEAD);
    memcpy(w.document.data + RN_SA_EPOCH_SET_HEAD,
           w.document.data + RN_SA_EPOCH_SET_HEAD + RN_SA_EPOCH_ENTRY_BYTES,
           RN_SA_EPOCH_ENTRY_BYTES);
    assert_int_equal(set_code(rn_buffer_view(&w.document)), RN_E_PEER_PROTOCOL);
    swap_entries(&w.reveals, RN_SA_EPOCH_REVEALS_HEAD);
    assert_int_equal(seed_code(rn_buffer_view(&w.reveals)), RN_E_PEER_PROTOCOL);
}

/* Commitments of another plan, roster or attempt; a member's under another member's name. */
static void borrowed_commitments(void **state)
{
    (void)state;
    world_make(SMALL, LEAST);
    uint32_t place = 0;
    commit(1, 3);
    assert_ok(rn_sa_epoch_commitment_check(&w.context, 3, w.views[1], &place, NULL));
    assert_int_equal(place, 1);
    assert_code(rn_sa_epoch_commitment_check(&w.context, 4, w.views[1], &place, NULL),
                RN_E_PEER_AUTH);
    for (unsigned k = 0; k < 2; k++) {
        uint8_t *hash = k == 0 ? w.context.plan_hash : w.context.roster_hash;
        hash[0] ^= 1;
        assert_code(rn_sa_epoch_commitment_check(&w.context, 3, w.views[1], &place, NULL),
                    RN_E_PEER_AUTH);
        hash[0] ^= 1;
    }
    w.entries[1][0] = 2;
    assert_code(rn_sa_epoch_commitment_check(&w.context, 3, w.views[1], &place, NULL),
                RN_E_PEER_AUTH);
    w.entries[1][0] = SMALL;
    assert_code(rn_sa_epoch_commitment_check(&w.context, 3, w.views[1], &place, NULL),
                RN_E_PEER_PROTOCOL);
    const struct rn_view cut = rn_view_of(w.entries[1], RN_SA_EPOCH_ENTRY_BYTES - 1);
    assert_code(rn_sa_epoch_commitment_check(&w.context, 3, cut, &place, NULL), RN_E_PEER_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contributions_are_derived),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(permutation_is_equal_everywhere),
        cmocka_unit_test(permutations_are_uniform),
        cmocka_unit_test(seventeenth_attempt),
        cmocka_unit_test(how_many_a_set_lists),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(lists_go_up),
        cmocka_unit_test(borrowed_commitments),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_free();
    return failed;
}
