/* SPDX-License-Identifier: Apache-2.0
 *
 * rn_sa_epoch_set_read and rn_sa_epoch_seed, on the federation of test_epoch.c: all that they
 * accept is what its members signed, byte for byte.
 */
#include "base/guard.h"
#include "crypto/secagg/epoch.h"

#include <string.h>

#define MEMBERS 6u

static struct rn_identity_public keys[MEMBERS];
static struct rn_sa_epoch_context context = {.members = MEMBERS, .least = 4, .keys = keys};
static struct rn_sa_epoch_set set;
static struct rn_buffer documents[2];

/* What the members say in attempt 1. */
static void start(void)
{
    uint8_t entries[MEMBERS][RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_view views[MEMBERS];
    struct rn_identity *identities[MEMBERS];
    memset(context.plan_hash, 0xa1, RN_HASH_BYTES);
    memset(context.roster_hash, 0xa2, RN_HASH_BYTES);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct rn_secret32 seed = {{0}};
        memset(seed.bytes + 1, (int)(1 + i), sizeof seed.bytes - 1);
        identities[i] = rn_identity_from_seed(&seed);
        keys[i] = *rn_identity_public_of(identities[i]);
        views[i] = rn_view_of(entries[i], sizeof entries[i]);
        RN_BUG_IF(!rn_is_ok(rn_sa_epoch_commit(&context, identities[i], i, 1, entries[i], NULL)));
    }
    RN_BUG_IF(!rn_is_ok(rn_sa_epoch_set_write(&context, 1, views, &documents[0], NULL)));
    RN_BUG_IF(!rn_is_ok(rn_sa_epoch_set_read(&context, rn_buffer_view(&documents[0]), &set, NULL)));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct rn_sa_epoch_revealed revealed = {0};
        RN_BUG_IF(!rn_is_ok(
            rn_sa_epoch_reveal(&context, identities[i], i, &set, &revealed, entries[i], NULL)));
        rn_identity_free(identities[i]);
    }
    uint32_t missing = 0;
    RN_BUG_IF(
        !rn_is_ok(rn_sa_epoch_reveals_write(&context, &set, views, &documents[1], &missing, NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rn_sa_epoch_set read;
    uint8_t seed[RN_HASH_BYTES];
    struct rn_error err;
    const struct rn_view in = rn_view_of(data, size);
    if (documents[0].length == 0) {
        start();
    }
    if (rn_is_ok(rn_sa_epoch_set_read(&context, in, &read, &err))) {
        RN_BUG_IF(!rn_view_equal(in, rn_buffer_view(&documents[0])));
    }
    if (rn_is_ok(rn_sa_epoch_seed(&context, &set, in, seed, &err))) {
        RN_BUG_IF(!rn_view_equal(in, rn_buffer_view(&documents[1])));
    }
    return 0;
}
