/* SPDX-License-Identifier: Apache-2.0
 *
 * The group key of a blind job: the same document again, opened by each member alone, and no
 * document that lies.
 */
#include "crypto/groupkey.h"
#include "crypto/maskkey.h"

#include "base/guard.h"
#include "crypto/setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 4u

static struct rn_identity *identities[RN_ROSTER_MEMBERS_MAX];
static struct rn_roster roster;
static struct rn_group_keys keys;
static const uint8_t plan_hash[RN_HASH_BYTES] = {1, 2, 3};
static struct rn_buffer document;
static struct rn_error error;

static void make_members(uint32_t count)
{
    roster.count = keys.count = count;
    keys.hybrid = false;
    for (uint32_t i = 0; i < count; i++) {
        struct rn_secret32 seed = {{(uint8_t)(i + 1)}};
        struct rn_secret32 secret;
        rn_identity_free(identities[i]);
        identities[i] = rn_identity_from_seed(&seed);
        (void)rn_text_format(roster.members[i].name, sizeof roster.members[i].name, "m%u", i);
        roster.members[i].key = *rn_identity_public_of(identities[i]);
        rn_group_member_key(identities[i], plan_hash, &secret, &keys.keys[i]);
    }
}

static int set_up(void **state)
{
    (void)state;
    make_members(MEMBERS);
    rn_group_document_write(identities[0], &keys, plan_hash, &document);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < RN_ROSTER_MEMBERS_MAX; i++) {
        rn_identity_free(identities[i]);
        identities[i] = NULL;
    }
    rn_buffer_clear(&document);
    return 0;
}

static rn_result check(void)
{
    return rn_group_document_check(rn_buffer_view(&document), &roster, &keys, plan_hash, &error);
}

static rn_result open_as(uint32_t self, uint32_t identity, struct rn_secret32 *out)
{
    return rn_group_document_open(rn_buffer_view(&document), &keys, identities[identity], self, out,
                                  &error);
}

/* The maker's signature over what stands there now. */
static void sign_again(void)
{
    const size_t length = document.length - RN_SIGNATURE_BYTES;
    rn_identity_sign(identities[0], "rondo/v1 group key", rn_view_of(document.data, length),
                     document.data + length);
}

static void every_member_opens_its_box_alone(void **state)
{
    (void)state;
    struct rn_secret32 first;
    struct rn_secret32 group;
    assert_true(rn_is_ok(check()));
    assert_int_equal(document.length, RN_GROUP_DOCUMENT_BYTES(MEMBERS));
    assert_true(rn_is_ok(open_as(0, 0, &first)));
    for (uint32_t self = 0; self < MEMBERS; self++) {
        for (uint32_t who = 0; who < MEMBERS; who++) {
            const rn_result opened = open_as(self, who, &group);
            assert_int_equal(opened.code, self == who ? RN_OK : RN_E_PEER_AUTH);
            assert_int_equal(rn_secret_equal(&first, &group, sizeof group), self == who);
            assert_true(self == who || rn_secret_is_zero(&group, sizeof group));
        }
    }
    assert_null(memmem(document.data, document.length, first.bytes, sizeof first.bytes));
}

/* Nothing to lose: the maker writes it again, byte for byte; another plan has another key. */
static void the_same_again(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    const uint8_t other_plan[RN_HASH_BYTES] = {1, 2, 4};
    struct rn_group_keys other_keys = {.count = MEMBERS};
    struct rn_secret32 secret;
    struct rn_secret32 group;
    struct rn_secret32 other;
    rn_group_document_write(identities[0], &keys, plan_hash, &again);
    assert_true(rn_view_equal(rn_buffer_view(&document), rn_buffer_view(&again)));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        rn_group_member_key(identities[i], other_plan, &secret, &other_keys.keys[i]);
        assert_memory_not_equal(&other_keys.keys[i], &keys.keys[i], RN_CHANNEL_PUBLIC_BYTES);
    }
    rn_group_document_write(identities[0], &other_keys, other_plan, &again);
    assert_true(rn_is_ok(open_as(1, 1, &group)));
    assert_true(rn_is_ok(rn_group_document_open(rn_buffer_view(&again), &other_keys, identities[1],
                                                1, &other, NULL)));
    assert_false(rn_secret_equal(&group, &other, sizeof group));
}

static void every_byte_is_signed(void **state)
{
    (void)state;
    for (size_t at = 0; at < document.length; at++) {
        document.data[at] ^= 0x10;
        assert_int_equal(rn_class_of(check()), RN_CLASS_PEER);
        document.data[at] ^= 0x10;
    }
    assert_true(rn_is_ok(check()));
}

/* Signed by the maker, but for another plan, other keys, or as another maker's. */
static void what_the_maker_signs_wrongly(void **state)
{
    (void)state;
    static const size_t fields[] = {8, 40, 104, 108}; /* plan, keys, maker, count */
    for (size_t k = 0; k < RN_ARRAY_LENGTH(fields); k++) {
        document.data[fields[k]] ^= 1;
        sign_again();
        assert_int_equal(rn_class_of(check()), RN_CLASS_PEER);
        document.data[fields[k]] ^= 1;
    }
    sign_again();
    assert_true(rn_is_ok(check()));
    keys.keys[2].bytes[0] ^= 1; /* a member signed for another key */
    assert_int_equal(check().code, RN_E_PEER_PROTOCOL);
    keys.keys[2].bytes[0] ^= 1;
}

/* One member's box does not open, or holds another key than the others': it says so and has none;
 * the others have theirs. */
static void a_maker_that_seals_garbage(void **state)
{
    (void)state;
    struct rn_secret32 group;
    const size_t box = 112 + 2 * RN_GROUP_BOX_BYTES;
    document.data[box + 5] ^= 1;
    sign_again();
    assert_true(rn_is_ok(check()));
    assert_int_equal(open_as(2, 2, &group).code, RN_E_PEER_AUTH);
    assert_true(rn_secret_is_zero(&group, sizeof group));
    assert_true(rn_is_ok(open_as(1, 1, &group)));

    struct rn_channel_context context = {.from = 0, .to = 2};
    struct rn_secret32 own;
    struct rn_channel_public unused;
    const uint8_t other[RN_SECRET_BYTES] = {9};
    memcpy(context.session, plan_hash, RN_HASH_BYTES);
    memcpy(context.transcript, document.data + 40, RN_HASH_BYTES);
    rn_group_member_key(identities[0], plan_hash, &own, &unused);
    assert_true(
        rn_is_ok(rn_channel_seal(&own, &keys.keys[2], &context, rn_view_of(other, sizeof other),
                                 document.data + box, NULL)));
    sign_again();
    assert_true(rn_is_ok(check()));
    assert_int_equal(open_as(2, 2, &group).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "another key than the others'"));
    assert_true(rn_secret_is_zero(&group, sizeof group));
}

/* As many members as a roster may have, and what is longer, shorter or counts more. */
static void lengths(void **state)
{
    (void)state;
    make_members(RN_ROSTER_MEMBERS_MAX);
    rn_group_document_write(identities[0], &keys, plan_hash, &document);
    assert_int_equal(document.length, RN_GROUP_DOCUMENT_BYTES(RN_ROSTER_MEMBERS_MAX));
    assert_true(rn_is_ok(check()));
    struct rn_secret32 group;
    assert_true(rn_is_ok(open_as(RN_ROSTER_MEMBERS_MAX - 1, RN_ROSTER_MEMBERS_MAX - 1, &group)));
    const uint32_t beyond = RN_ROSTER_MEMBERS_MAX + 1;
    document.data[108] = (uint8_t)beyond; /* the count, at limit + 1 */
    document.data[109] = (uint8_t)(beyond >> 8);
    rn_buffer_append(&document, (const uint8_t[RN_GROUP_BOX_BYTES]){0}, RN_GROUP_BOX_BYTES);
    sign_again();
    assert_int_equal(check().code, RN_E_PEER_FORMAT);
    const struct rn_view whole = rn_buffer_view(&document);
    for (size_t length = 0; length < 300; length++) {
        assert_int_equal(rn_group_document_check(rn_view_of(whole.data, length), &roster, &keys,
                                                 plan_hash, &error)
                             .code,
                         RN_E_PEER_FORMAT);
    }
}

/* ---- Hybrid */

static void make_hybrid(uint32_t count)
{
    make_members(count);
    keys.hybrid = true;
    for (uint32_t i = 0; i < count; i++) {
        struct rn_hybrid_public key;
        struct rn_secret32 secret;
        rn_group_member_hybrid_key(identities[i], plan_hash, &secret, &key);
        assert_true(rn_hybrid_public_valid(&key));
        keys.lattices[i] = key.lattice;
        keys.keys[i] = key.curve;
    }
    rn_group_document_write(identities[0], &keys, plan_hash, &document);
}

static bool cannot(void)
{
    if (!rn_hybrid_here()) {
        print_message("libsodium is older than 1.0.22 and has no X-Wing\n");
    }
    return !rn_hybrid_here();
}

static void hybrid_boxes_open_for_their_members(void **state)
{
    if (cannot()) {
        skip();
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    make_hybrid(MEMBERS);
    assert_true(rn_is_ok(check()));
    assert_int_equal(document.length, RN_GROUP_HYBRID_DOCUMENT_BYTES(MEMBERS));
    rn_group_document_write(identities[0], &keys, plan_hash, &again);
    assert_true(rn_view_equal(rn_buffer_view(&document), rn_buffer_view(&again)));
    struct rn_secret32 first;
    struct rn_secret32 group;
    assert_true(rn_is_ok(open_as(0, 0, &first)));
    for (uint32_t self = 0; self < MEMBERS; self++) {
        for (uint32_t who = 0; who < MEMBERS; who++) {
            assert_int_equal(open_as(self, who, &group).code, self == who ? RN_OK : RN_E_PEER_AUTH);
            assert_int_equal(rn_secret_equal(&first, &group, sizeof group), self == who);
        }
    }
    every_byte_is_signed(state);
    what_the_maker_signs_wrongly(state);
    keys.lattices[2].bytes[0] ^= 1; /* a member signed for another key */
    assert_int_equal(check().code, RN_E_PEER_PROTOCOL);
    keys.lattices[2].bytes[0] ^= 1;
    document.data[112 + 2 * RN_GROUP_HYBRID_BOX_BYTES + 5] ^= 1;
    sign_again();
    assert_true(rn_is_ok(check()));
    assert_int_equal(open_as(2, 2, &group).code, RN_E_PEER_AUTH);
    assert_true(rn_is_ok(open_as(1, 1, &group)));
}

/* A document of one kind in a plan of the other. */
static void kinds_are_not_mixed(void **state)
{
    (void)state;
    keys.hybrid = true;
    assert_int_equal(check().code, RN_E_PEER_PROTOCOL);
    assert_non_null(strstr(error.text, "secagg.kem"));
    keys.hybrid = false;
    if (rn_hybrid_here()) {
        make_hybrid(MEMBERS);
        keys.hybrid = false;
        assert_int_equal(check().code, RN_E_PEER_PROTOCOL);
    }
}

/* As many members as a hybrid plan may have, and a count of one more. */
static void hybrid_lengths(void **state)
{
    (void)state;
    if (cannot()) {
        skip();
    }
    struct rn_secret32 group;
    make_hybrid(RN_GROUP_HYBRID_MEMBERS_MAX);
    assert_int_equal(document.length, RN_GROUP_DOCUMENT_MAX);
    assert_true(rn_is_ok(check()));
    const uint32_t last = RN_GROUP_HYBRID_MEMBERS_MAX - 1;
    assert_true(rn_is_ok(open_as(last, last, &group)));
    document.data[108] = RN_GROUP_HYBRID_MEMBERS_MAX + 1;
    rn_buffer_append(&document, (const uint8_t[RN_GROUP_HYBRID_BOX_BYTES]){0},
                     RN_GROUP_HYBRID_BOX_BYTES);
    sign_again();
    assert_int_equal(check().code, RN_E_PEER_FORMAT);
}

/* Streams of two members, of two sessions, and of two T1 of one have nothing to do with each other.
 */
static void every_member_has_its_own_stream(void **state)
{
    (void)state;
    struct rn_secret32 group = {{7}};
    struct rn_secret32 all[12];
    for (uint32_t k = 0; k < 12; k++) {
        const struct rn_mask_context context = {.session = {(uint8_t)(k % 2)},
                                                .transcript = {(uint8_t)(k / 2 % 2)}};
        rn_mask_key_blind(&context, &group, k / 4, &all[k]);
        for (uint32_t i = 0; i < k; i++) {
            assert_false(rn_secret_equal(&all[i], &all[k], sizeof all[k]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_member_opens_its_box_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_byte_is_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_maker_signs_wrongly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_maker_that_seals_garbage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hybrid_boxes_open_for_their_members, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kinds_are_not_mixed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hybrid_lengths, set_up, tear_down),
        cmocka_unit_test(every_member_has_its_own_stream),
    };
    struct rn_error err;
    return rn_is_ok(rn_crypto_setup(&err)) ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
