/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation that the tests of crypto/secagg/epoch.h share: its members, and whole attempts of
 * them.
 */
#ifndef RN_TESTS_UNIT_CRYPTO_EPOCHWORLD_H
#define RN_TESTS_UNIT_CRYPTO_EPOCHWORLD_H

#include "crypto/secagg/epoch.h"
#include "tests/unit/crypto/vectors.h"

#define SMALL 6
#define LEAST 4

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

__attribute__((unused)) static enum rn_code seed_code(struct rn_view bytes)
{
    uint8_t seed[RN_HASH_BYTES];
    return rn_sa_epoch_seed(&w.context, &w.set, bytes, seed, NULL).code;
}

__attribute__((unused)) static enum rn_code set_code(struct rn_view bytes)
{
    static struct rn_sa_epoch_set set;
    return rn_sa_epoch_set_read(&w.context, bytes, &set, NULL).code;
}

static void contribution_of(uint32_t member, uint32_t attempt, uint8_t out[static RN_SECRET_BYTES])
{
    struct rn_secret32 secret;
    rn_sa_epoch_contribution(&w.context, w.identities[member], attempt, &secret);
    memcpy(out, secret.bytes, RN_SECRET_BYTES);
}

#endif
