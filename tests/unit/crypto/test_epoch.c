/* SPDX-License-Identifier: Apache-2.0
 *
 * The seed of the sparse graph: commitments, reveals, who is left out, and what a coordinator with
 * corrupt members can make of them. Values: tests/parity/make_epoch_golden.py.
 */
#include "crypto/random.h"
#include "crypto/secagg/epoch.h"
#include "crypto/secagg/epochentry.h"
#include "tests/unit/crypto/vectors.h"

#define SMALL 6
#define LEAST 4

/* tests/parity/make_epoch_golden.py */
#define GOLDEN_CONTRIBUTION "6d958aa80b758085f816c12b591d7db6102557a589b46a686bf84896a0904022"
#define GOLDEN_COMMITMENT "1eb980b8897cbdbb07e411f8c57e8b55e032e4c8cfc5a64275d8b5e6c558a376"
#define GOLDEN_SET "f30b8f177f5faac03f9cf22129df13b901a9778bf45e46a23b5fa22dd00f2a73"
#define GOLDEN_SEED "6086cf0c82dfe874ebfa6551d2c994edb7a77bb73fe1ddf83201e93efb0e6470"
#define GOLDEN_SEED_WITHOUT "17cbdd553969a12b8463b4bed8ed072744f670f1fcb66286fa43d957c8cd9e1f"
static const uint32_t golden_permutation[10] = {4, 0, 1, 5, 6, 8, 3, 9, 2, 7};

/* A federation of up to RN_SA_GRAPH_MEMBERS_MAX members with fixed identities, of which the first
 * few are kept: each takes a page of locked memory. */
struct world {
    struct rn_sa_epoch_context context;
    struct rn_identity *identities[SMALL];
    struct rn_identity_public keys[RN_SA_GRAPH_MEMBERS_MAX];
    uint8_t entries[RN_SA_GRAPH_MEMBERS_MAX][RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_view views[RN_SA_GRAPH_MEMBERS_MAX];
    struct rn_sa_epoch_set set;
    struct rn_sa_epoch_revealed revealed[RN_SA_GRAPH_MEMBERS_MAX];
    struct rn_buffer document;
    struct rn_buffer reveals;
};

static struct world w;

/* Member i has the seed 32 * (1 + i mod 256), with i div 256 in its first byte. */
static struct rn_identity *identity_of(uint32_t member)
{
    struct rn_secret32 seed;
    memset(seed.bytes, (int)(1 + member % 256), sizeof seed.bytes);
    seed.bytes[0] = (uint8_t)(member / 256);
    return rn_identity_from_seed(&seed);
}

static void world_free(void)
{
    for (uint32_t i = 0; i < SMALL; i++) {
        rn_identity_free(w.identities[i]);
    }
    rn_buffer_clear(&w.document);
    rn_buffer_clear(&w.reveals);
    memset(&w, 0, sizeof w);
}

static void world_make(uint32_t members, uint32_t least)
{
    world_free();
    w.context.members = members;
    w.context.least = least;
    w.context.keys = w.keys;
    memset(w.context.plan_hash, 0xa1, RN_HASH_BYTES);
    memset(w.context.roster_hash, 0xa2, RN_HASH_BYTES);
    for (uint32_t i = 0; i < members; i++) {
        struct rn_identity *identity = identity_of(i);
        w.keys[i] = *rn_identity_public_of(identity);
        if (i < SMALL) {
            w.identities[i] = RN_TAKE(identity);
        }
        rn_identity_free(identity);
    }
}

static void drop_entries(void)
{
    memset(w.views, 0, sizeof w.views);
}

static void commit(uint32_t member, uint32_t attempt)
{
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = identity_of(member);
    assert_ok(rn_sa_epoch_commit(&w.context, identity, member, attempt, w.entries[member], NULL));
    w.views[member] = rn_view_of(w.entries[member], RN_SA_EPOCH_ENTRY_BYTES);
}

/* All commit but those with a bit in out; the set is made and read. */
static void make_set(uint32_t attempt, uint32_t out)
{
    drop_entries();
    for (uint32_t i = 0; i < w.context.members; i++) {
        if (i >= 32 || !(out >> i & 1)) {
            commit(i, attempt);
        }
    }
    rn_buffer_clear(&w.document);
    assert_ok(rn_sa_epoch_set_write(&w.context, attempt, w.views, &w.document, NULL));
    assert_ok(rn_sa_epoch_set_read(&w.context, rn_buffer_view(&w.document), &w.set, NULL));
    drop_entries();
}

static void reveal(uint32_t member)
{
    RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *identity = identity_of(member);
    assert_ok(rn_sa_epoch_reveal(&w.context, identity, member, &w.set, &w.revealed[member],
                                 w.entries[member], NULL));
    w.views[member] = rn_view_of(w.entries[member], RN_SA_EPOCH_ENTRY_BYTES);
}

static rn_result write_reveals(uint32_t *out_missing)
{
    rn_buffer_clear(&w.reveals);
    return rn_sa_epoch_reveals_write(&w.context, &w.set, w.views, &w.reveals, out_missing, NULL);
}

/* An attempt that everybody who is not in out goes through. */
static void whole_attempt(uint32_t attempt, uint32_t out, uint8_t seed[static RN_HASH_BYTES])
{
    uint32_t missing = 0;
    make_set(attempt, out);
    for (uint32_t k = 0; k < w.set.count; k++) {
        reveal(w.set.places[k]);
    }
    assert_ok(write_reveals(&missing));
    assert_ok(rn_sa_epoch_seed(&w.context, &w.set, rn_buffer_view(&w.reveals), seed, NULL));
}

static enum rn_code seed_code(struct rn_view bytes)
{
    uint8_t seed[RN_HASH_BYTES];
    return rn_sa_epoch_seed(&w.context, &w.set, bytes, seed, NULL).code;
}

static enum rn_code set_code(struct rn_view bytes)
{
    static struct rn_sa_epoch_set set;
    return rn_sa_epoch_set_read(&w.context, bytes, &set, NULL).code;
}

/* ---- Honest attempts */

static void contribution_of(uint32_t member, uint32_t attempt, uint8_t out[static RN_SECRET_BYTES])
{
    struct rn_secret32 secret;
    rn_sa_epoch_contribution(&w.context, w.identities[member], attempt, &secret);
    memcpy(out, secret.bytes, RN_SECRET_BYTES);
}

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

/* ---- Reveals that are withheld, wrong or given to some */

/* case 55. Whoever does not reveal: no document, no seed; the next attempt goes without it, and it
 * has no part in it. */
static void reveal_withheld(void **state)
{
    (void)state;
    uint8_t seed[RN_HASH_BYTES];
    for (uint32_t silent = 0; silent < SMALL; silent++) {
        world_make(SMALL, LEAST);
        uint32_t missing = UINT32_MAX;
        make_set(1, 0);
        for (uint32_t i = 0; i < SMALL; i++) {
            if (i != silent) {
                reveal(i);
            }
        }
        assert_code(write_reveals(&missing), RN_E_ROUND_QUORUM);
        assert_int_equal(missing, silent);
        assert_int_equal(w.reveals.length, 0);
        whole_attempt(2, 1u << silent, seed);
        assert_false(rn_sa_epoch_set_has(&w.set, silent));
        uint8_t out[RN_SA_EPOCH_ENTRY_BYTES];
        assert_code(rn_sa_epoch_reveal(&w.context, w.identities[silent], silent, &w.set,
                                       &w.revealed[silent], out, NULL),
                    RN_E_PEER_PROTOCOL);
    }
}

/* case 55. A document that leaves out any one reveal, with the count to match or not, is none. */
static void reveals_without_one(void **state)
{
    (void)state;
    uint8_t seed[RN_HASH_BYTES];
    world_make(SMALL, LEAST);
    whole_attempt(1, 0, seed);
    for (uint32_t out = 0; out < SMALL; out++) {
        for (uint32_t count = SMALL - 1; count <= SMALL; count++) {
            struct rn_buffer forged = {0};
            rn_buffer_append(&forged, w.reveals.data, RN_SA_EPOCH_REVEALS_HEAD - 4);
            rn_buffer_u32(&forged, count);
            for (uint32_t i = 0; i < SMALL; i++) {
                const uint32_t from = i == out && count == SMALL ? (i + 1) % SMALL : i;
                if (i != out || count == SMALL) {
                    rn_buffer_append(&forged, w.entries[from], RN_SA_EPOCH_ENTRY_BYTES);
                }
            }
            assert_int_not_equal(seed_code(rn_buffer_view(&forged)), RN_OK);
            rn_buffer_clear(&forged);
        }
    }
}

/* An entry that its member signs under the set, whatever it says. */
static void forge_reveal(uint32_t member, const uint8_t value[static RN_HASH_BYTES])
{
    struct rn_sa_epoch_entry entry = {.place = member};
    uint8_t message[RN_HASH_BYTES + 4 + RN_HASH_BYTES];
    struct rn_writer writer = rn_writer_to(message, sizeof message);
    memcpy(entry.value, value, RN_HASH_BYTES);
    rn_write_bytes(&writer, w.set.hash, RN_HASH_BYTES);
    rn_write_u32(&writer, member);
    rn_write_bytes(&writer, value, RN_HASH_BYTES);
    rn_identity_sign(w.identities[member], "rondo/v1 secagg epoch reveal",
                     rn_view_of(message, sizeof message), entry.signature);
    rn_sa_epoch_entry_write(&entry, w.entries[member]);
}

/* case 55. Changed on the way: nobody's fault that it names. Changed by its member: that one's. */
static void reveal_changed(void **state)
{
    (void)state;
    uint8_t seed[RN_HASH_BYTES];
    uint8_t value[RN_HASH_BYTES];
    uint32_t place = 0;
    world_make(SMALL, LEAST);
    whole_attempt(1, 0, seed);
    assert_ok(rn_sa_epoch_reveal_check(&w.context, &w.set, w.views[4], &place, NULL));
    assert_int_equal(place, 4);
    contribution_of(4, 1, value);
    forge_reveal(4, value); /* as it is: the forger signs as members do */
    assert_ok(rn_sa_epoch_reveal_check(&w.context, &w.set, w.views[4], &place, NULL));
    w.entries[4][10] ^= 1;
    assert_code(rn_sa_epoch_reveal_check(&w.context, &w.set, w.views[4], &place, NULL),
                RN_E_PEER_AUTH);
    contribution_of(4, 2, value);
    forge_reveal(4, value);
    assert_code(rn_sa_epoch_reveal_check(&w.context, &w.set, w.views[4], &place, NULL),
                RN_E_PEER_PROTOCOL);
    assert_ok(write_reveals(&place)); /* a coordinator that hands it on all the same */
    assert_int_equal(seed_code(rn_buffer_view(&w.reveals)), RN_E_PEER_PROTOCOL);
}

/* A member that commits to what another one committed to cannot open it, when it has seen the
 * other's reveal: the place is in the commitment. */
static void copied_commitment(void **state)
{
    (void)state;
    world_make(SMALL, LEAST);
    make_set(1, 0);
    uint8_t value[RN_HASH_BYTES];
    uint32_t place = 0;
    memcpy(w.set.commitments[5], w.set.commitments[0], RN_HASH_BYTES);
    contribution_of(0, 1, value);
    forge_reveal(5, value);
    assert_code(rn_sa_epoch_reveal_check(&w.context, &w.set,
                                         rn_view_of(w.entries[5], RN_SA_EPOCH_ENTRY_BYTES), &place,
                                         NULL),
                RN_E_PEER_PROTOCOL);
}

/* ---- Two faces */

/* Member 5's other commitment to attempt 1, properly signed: that of a second identity that has
 * its name in this world alone. */
static void second_commitment_of_5(void)
{
    struct rn_sa_epoch_entry entry = {.place = 5, .value = {7}};
    uint8_t message[2 * RN_HASH_BYTES + 4 + 4 + RN_HASH_BYTES];
    struct rn_writer writer = rn_writer_to(message, sizeof message);
    rn_write_bytes(&writer, w.context.plan_hash, RN_HASH_BYTES);
    rn_write_bytes(&writer, w.context.roster_hash, RN_HASH_BYTES);
    rn_write_u32(&writer, 1);
    rn_write_u32(&writer, 5);
    rn_write_bytes(&writer, entry.value, RN_HASH_BYTES);
    rn_identity_sign(w.identities[5], "rondo/v1 secagg epoch commit",
                     rn_view_of(message, sizeof message), entry.signature);
    rn_sa_epoch_entry_write(&entry, w.entries[5]);
}

static rn_result try_reveal(uint32_t member, uint8_t out[static RN_SA_EPOCH_ENTRY_BYTES])
{
    return rn_sa_epoch_reveal(&w.context, w.identities[member], member, &w.set, &w.revealed[member],
                              out, NULL);
}

/* case 55. A corrupt member signs two commitments, and the coordinator shows one set to some and
 * the other to the rest. Nobody reveals under both, also not after a restart, which has only what
 * is durable; a reveal under one set is none under the other; so neither has all reveals. */
static void two_sets_of_one_attempt(void **state)
{
    (void)state;
    world_make(SMALL, LEAST);
    make_set(1, 0);
    const struct rn_sa_epoch_set first = w.set;
    for (uint32_t i = 0; i < 3; i++) {
        reveal(i);
    }
    uint8_t kept[3][RN_SA_EPOCH_ENTRY_BYTES];
    memcpy(kept, w.entries, sizeof kept);
    for (uint32_t i = 0; i < 5; i++) {
        commit(i, 1);
    }
    second_commitment_of_5();
    w.views[5] = rn_view_of(w.entries[5], RN_SA_EPOCH_ENTRY_BYTES);
    rn_buffer_clear(&w.document);
    assert_ok(rn_sa_epoch_set_write(&w.context, 1, w.views, &w.document, NULL));
    assert_ok(rn_sa_epoch_set_read(&w.context, rn_buffer_view(&w.document), &w.set, NULL));
    assert_memory_not_equal(w.set.hash, first.hash, RN_HASH_BYTES);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t place = 0;
        uint8_t out[RN_SA_EPOCH_ENTRY_BYTES];
        const struct rn_sa_epoch_revealed before = w.revealed[i];
        assert_code(try_reveal(i, out), RN_E_PEER_REPLAY);
        assert_memory_equal(&before, &w.revealed[i], sizeof before);
        assert_code(rn_sa_epoch_reveal_check(&w.context, &w.set,
                                             rn_view_of(kept[i], sizeof kept[i]), &place, NULL),
                    RN_E_PEER_AUTH);
    }
    reveal(3);
    reveal(4);
    w.set = first;
    uint8_t out[RN_SA_EPOCH_ENTRY_BYTES];
    assert_code(try_reveal(3, out), RN_E_PEER_REPLAY);
    assert_ok(try_reveal(2, out)); /* again, under the set that it revealed under */
    assert_memory_equal(out, kept[2], sizeof out);
}

/* case 55. Attempts go up: after attempt 3 nothing is revealed in 1, 2. */
static void attempts_go_up(void **state)
{
    (void)state;
    uint8_t out[RN_SA_EPOCH_ENTRY_BYTES];
    world_make(SMALL, LEAST);
    make_set(3, 0);
    reveal(0);
    for (uint32_t attempt = 1; attempt < 3; attempt++) {
        make_set(attempt, 0);
        assert_code(try_reveal(0, out), RN_E_PEER_REPLAY);
        assert_int_equal(w.revealed[0].attempt, 3);
    }
    make_set(4, 0);
    assert_ok(try_reveal(0, out));
    assert_int_equal(w.revealed[0].attempt, 4);
}

/* case 55. All reveals reach half of the members: the others have no seed, and there is no other
 * document to give them; when they get this one they have the same. */
static void reveals_sent_to_half(void **state)
{
    (void)state;
    uint8_t seed[RN_HASH_BYTES];
    uint8_t later[RN_HASH_BYTES];
    world_make(SMALL, LEAST);
    whole_attempt(1, 0, seed);
    const struct rn_sa_epoch_set first = w.set;
    struct rn_buffer kept = {0};
    rn_buffer_append(&kept, w.reveals.data, w.reveals.length);
    whole_attempt(2, 1u << 0, later); /* the attempt after it, without member 0 */
    assert_memory_not_equal(seed, later, sizeof seed);
    assert_int_equal(seed_code(rn_buffer_view(&kept)), RN_E_PEER_PROTOCOL);
    w.set = first;
    assert_int_equal(seed_code(rn_buffer_view(&w.reveals)), RN_E_PEER_PROTOCOL);
    assert_ok(rn_sa_epoch_seed(&w.context, &first, rn_buffer_view(&kept), later, NULL));
    assert_memory_equal(seed, later, sizeof seed);
    rn_buffer_clear(&kept);
}

/* A set that lists this member with a commitment that is not its own: another process with its
 * identity, or one that a thief signed. It reveals nothing under it. */
static void not_the_own_commitment(void **state)
{
    (void)state;
    uint8_t out[RN_SA_EPOCH_ENTRY_BYTES];
    world_make(SMALL, LEAST);
    make_set(1, 0);
    w.set.commitments[2][0] ^= 1;
    assert_code(try_reveal(2, out), RN_E_PEER_PROTOCOL);
    assert_int_equal(w.revealed[2].attempt, 0);
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
        cmocka_unit_test(reveal_withheld),
        cmocka_unit_test(reveals_without_one),
        cmocka_unit_test(reveal_changed),
        cmocka_unit_test(copied_commitment),
        cmocka_unit_test(two_sets_of_one_attempt),
        cmocka_unit_test(attempts_go_up),
        cmocka_unit_test(reveals_sent_to_half),
        cmocka_unit_test(not_the_own_commitment),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_free();
    return failed;
}
