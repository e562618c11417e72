/* SPDX-License-Identifier: Apache-2.0
 *
 * The seed of the sparse graph: reveals that are withheld, wrong or given to some, and a
 * coordinator with a corrupt member that shows two sets of commitments.
 */
#include "crypto/secagg/epochentry.h"
#include "tests/unit/crypto/epochworld.h"

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
        cmocka_unit_test(reveal_withheld),         cmocka_unit_test(reveals_without_one),
        cmocka_unit_test(reveal_changed),          cmocka_unit_test(copied_commitment),
        cmocka_unit_test(two_sets_of_one_attempt), cmocka_unit_test(attempts_go_up),
        cmocka_unit_test(reveals_sent_to_half),    cmocka_unit_test(not_the_own_commitment),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_free();
    return failed;
}
