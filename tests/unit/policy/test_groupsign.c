/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of a blind plan: members sign their group key with it, and the document of the group
 * key counts beside all of them alone.
 */
#include "policy/groupsign.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 3u

static struct rn_identity *identities[RN_ROSTER_MEMBERS_MAX + 1]; /* last: the coordinator */
static struct rn_roster roster;
static struct rn_plan blind = {.hash = {1, 2, 3}, .coordinator = RN_PLAN_COORDINATOR_BLIND};
static struct rn_plan plain = {.hash = {1, 2, 3}};
static struct rn_plan_signatures set, other;
static struct rn_plan_signers signers;
static struct rn_buffer text;
static struct rn_error error;

static void make_roster(uint32_t members)
{
    roster = (struct rn_roster){.federation = "clinics", .count = members};
    for (uint32_t i = 0; i <= members; i++) {
        const uint32_t at = i == members ? RN_ROSTER_MEMBERS_MAX : i;
        struct rn_secret32 seed = {
            {(uint8_t)(i + 1), (uint8_t)(i == members), (uint8_t)((i + 1) >> 8)}};
        rn_identity_free(identities[at]);
        identities[at] = rn_identity_from_seed(&seed);
    }
    roster.coordinator = *rn_identity_public_of(identities[RN_ROSTER_MEMBERS_MAX]);
    memcpy(blind.coordinator_key, roster.coordinator.bytes, 32);
    for (uint32_t i = 0; i < members; i++) {
        (void)rn_text_format(roster.members[i].name, sizeof roster.members[i].name,
                             members > 10 ? "%060u" : "m%u", i);
        roster.members[i].key = *rn_identity_public_of(identities[i]);
    }
}

static void sign_all(struct rn_plan_signatures *out, const struct rn_plan *plan)
{
    rn_signatures_init(out, plan);
    assert_true(rn_is_ok(rn_signatures_add(out, plan, identities[RN_ROSTER_MEMBERS_MAX], &error)));
    for (uint32_t i = 0; i < roster.count; i++) {
        assert_true(rn_is_ok(rn_signatures_add(out, plan, identities[i], &error)));
    }
}

static int set_up(void **state)
{
    (void)state;
    make_roster(MEMBERS);
    sign_all(&set, &blind);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(identities); i++) {
        rn_identity_free(identities[i]);
        identities[i] = NULL;
    }
    rn_buffer_clear(&text);
    return 0;
}

static rn_result verify(const struct rn_plan_signatures *signatures, const struct rn_plan *plan)
{
    return rn_signatures_verify(signatures, plan, &roster, &signers, &error);
}

static rn_result take_text(struct rn_plan_signatures *into)
{
    uint32_t fresh = 0;
    return rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, into, &fresh, &signers,
                              &error);
}

static void write_text(const struct rn_plan_signatures *from)
{
    assert_true(rn_is_ok(rn_signatures_write(from, &roster, &text, &error)));
}

static void members_bring_keys_and_the_coordinator_none(void **state)
{
    (void)state;
    struct rn_group_keys keys;
    assert_true(rn_is_ok(verify(&set, &blind)));
    assert_int_equal(signers.member_count, MEMBERS);
    assert_false(signers.group);
    assert_true(rn_signatures_group_keys(&set, &roster, &keys));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct rn_secret32 secret;
        struct rn_channel_public public_key;
        rn_group_member_key(identities[i], blind.hash, &secret, &public_key);
        assert_memory_equal(&public_key, &keys.keys[i], sizeof public_key);
    }
    assert_true(rn_secret_is_zero(&set.entries[0].group, sizeof set.entries[0].group));
    set.count--;
    assert_false(rn_signatures_group_keys(&set, &roster, &keys));
}

/* What has a key where none belongs, or none where one does, counts for nothing. */
static void keys_and_plan_fit(void **state)
{
    (void)state;
    sign_all(&other, &plain);
    assert_true(rn_is_ok(verify(&other, &plain)));
    assert_int_equal(verify(&other, &blind).code, RN_E_PEER_AUTH);
    assert_int_equal(verify(&set, &plain).code, RN_E_PEER_AUTH);
    other.blind = true; /* open signatures under a blind set's head */
    assert_int_equal(verify(&other, &blind).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "brings no group key"));
    set.blind = false;
    assert_int_equal(verify(&set, &plain).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "brings a group key"));
    set.blind = true;
    set.entries[0].group = set.entries[1].group; /* the coordinator with a key */
    assert_int_equal(verify(&set, &blind).code, RN_E_PEER_AUTH);
    sign_all(&set, &blind);
    set.entries[1].group = set.entries[2].group; /* another member's, not signed for */
    assert_int_equal(verify(&set, &blind).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "does not hold"));
    sign_all(&set, &blind);
    memset(&set.entries[1].group, 0xff, sizeof set.entries[1].group);
    assert_int_equal(verify(&set, &blind).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "low order"));
}

static void text_there_and_back(void **state)
{
    (void)state;
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    assert_false(rn_signatures_group_make(&set, &roster, identities[0], 0)); /* it is there */
    write_text(&set);
    rn_signatures_init(&other, &blind);
    assert_true(rn_is_ok(take_text(&other)));
    assert_true(signers.group && signers.coordinator && signers.member_count == MEMBERS);
    assert_memory_equal(other.document, set.document, sizeof set.document);
    uint8_t hash[RN_HASH_BYTES];
    uint8_t again[RN_HASH_BYTES];
    struct rn_secret32 group;
    struct rn_secret32 same;
    rn_signatures_group_hash(&set, hash);
    rn_signatures_group_hash(&other, again);
    assert_memory_equal(hash, again, RN_HASH_BYTES);
    assert_true(
        rn_is_ok(rn_signatures_group_open(&set, &roster, identities[0], 0, &group, &error)));
    assert_true(
        rn_is_ok(rn_signatures_group_open(&other, &roster, identities[2], 2, &same, &error)));
    assert_true(rn_secret_equal(&group, &same, sizeof group));
    assert_true(rn_is_ok(verify(&other, &blind)));
}

static void the_maker_alone_makes_it_and_with_all_signatures(void **state)
{
    (void)state;
    struct rn_secret32 group;
    assert_false(rn_signatures_group_make(&set, &roster, identities[1], 1));
    assert_int_equal(rn_signatures_group_open(&set, &roster, identities[1], 1, &group, &error).code,
                     RN_E_NO_INPUT);
    set.count--;
    assert_false(rn_signatures_group_make(&set, &roster, identities[0], 0));
    sign_all(&other, &plain);
    assert_false(rn_signatures_group_make(&other, &roster, identities[0], 0));
    sign_all(&set, &blind);
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    set.count--; /* the document without one signature */
    write_text(&set);
    rn_signatures_init(&other, &blind);
    assert_int_equal(take_text(&other).code, RN_E_PEER_PROTOCOL);
    assert_int_equal(other.count, 0);
    assert_int_equal(verify(&set, &blind).code, RN_E_PEER_PROTOCOL);
}

/* Two documents of one maker: the first stays. */
static void a_second_document_is_refused(void **state)
{
    (void)state;
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    other = set;
    const size_t box = 112;
    other.document[box] ^= 1;
    const size_t length = other.document_bytes - RN_SIGNATURE_BYTES;
    rn_identity_sign(identities[0], "rondo/v1 group key", rn_view_of(other.document, length),
                     other.document + length);
    assert_true(rn_is_ok(verify(&other, &blind)));
    write_text(&other);
    const struct rn_plan_signatures before = set;
    assert_int_equal(take_text(&set).code, RN_E_DATA);
    assert_non_null(strstr(error.text, "second, different group key document"));
    assert_memory_equal(&before, &set, sizeof set);
    assert_int_equal(rn_signatures_merge(&set, &other, &error).code, RN_E_DATA);
}

static void forged_documents_are_refused(void **state)
{
    (void)state;
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    set.document[200] ^= 1;
    write_text(&set);
    rn_signatures_init(&other, &blind);
    assert_int_equal(take_text(&other).code, RN_E_PEER_AUTH);
    assert_int_equal(other.count + other.document_bytes, 0);
}

/* One that signs two group keys is named, whoever hands the second one on; nothing is taken. */
static void two_group_keys_name_their_signer(void **state)
{
    (void)state;
    rn_signatures_init(&other, &blind);
    assert_true(rn_is_ok(rn_signatures_add(&other, &blind, identities[1], &error)));
    other.entries[0].group.bytes[0] ^= 2;
    const uint32_t before = set.count;
    assert_int_equal(rn_signatures_merge(&set, &other, &error).code, RN_E_DATA);
    assert_non_null(strstr(error.text, "signed two group keys"));
    assert_int_equal(set.count, before);
}

static void append_document(size_t bytes)
{
    rn_buffer_append(&text, "group ", 6);
    for (size_t i = 0; i < bytes; i++) {
        rn_buffer_append(&text, "00", 2);
    }
    rn_buffer_append(&text, "\n", 1);
}

/* ---- Hybrid plans */

static struct rn_plan hybrid = {.hash = {1, 2, 3},
                                .coordinator = RN_PLAN_COORDINATOR_BLIND,
                                .secagg = {.kem = RN_PLAN_KEM_HYBRID}};

static bool cannot(void)
{
    memcpy(hybrid.coordinator_key, roster.coordinator.bytes, 32);
    if (!rn_hybrid_here()) {
        print_message("libsodium is older than 1.0.22 and has no X-Wing\n");
    }
    return !rn_hybrid_here();
}

static void hybrid_text_there_and_back(void **state)
{
    (void)state;
    if (cannot()) {
        skip();
    }
    struct rn_secret32 group;
    struct rn_secret32 same;
    sign_all(&set, &hybrid);
    assert_true(rn_is_ok(verify(&set, &hybrid)));
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    write_text(&set);
    rn_signatures_init(&other, &hybrid);
    assert_true(rn_is_ok(take_text(&other)));
    assert_true(rn_is_ok(take_text(&other))); /* all of it held already */
    assert_true(signers.group && signers.coordinator && signers.member_count == MEMBERS);
    assert_true(
        rn_is_ok(rn_signatures_group_open(&set, &roster, identities[0], 0, &group, &error)));
    assert_true(
        rn_is_ok(rn_signatures_group_open(&other, &roster, identities[2], 2, &same, &error)));
    assert_true(rn_secret_equal(&group, &same, sizeof group));
    rn_signatures_init(&other, &blind); /* of another kind of plan */
    assert_int_equal(take_text(&other).code, RN_E_PEER_AUTH);
    assert_int_equal(verify(&set, &blind).code, RN_E_PEER_AUTH);
}

static void hybrid_keys_and_plan_fit(void **state)
{
    (void)state;
    if (cannot()) {
        skip();
    }
    sign_all(&set, &hybrid);
    set.lattices[1] = set.lattices[2]; /* another member's, not signed for */
    assert_int_equal(verify(&set, &hybrid).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "does not hold"));
    memset(&set.lattices[1], 0xff, sizeof set.lattices[1]);
    assert_int_equal(verify(&set, &hybrid).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "not canonical"));
    memset(&set.lattices[1], 0, sizeof set.lattices[1]);
    assert_int_equal(verify(&set, &hybrid).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "brings no ML-KEM key"));
    sign_all(&set, &hybrid);
    set.lattices[0] = set.lattices[1]; /* the coordinator with a key */
    assert_int_equal(verify(&set, &hybrid).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "which is a member's"));
    sign_all(&set, &hybrid);
    rn_signatures_init(&other, &hybrid);
    assert_true(rn_is_ok(rn_signatures_add(&other, &hybrid, identities[1], &error)));
    other.lattices[0].bytes[0] ^= 2;
    assert_int_equal(rn_signatures_merge(&set, &other, &error).code, RN_E_DATA);
    assert_non_null(strstr(error.text, "signed two group keys"));
}

/* The largest roster of a hybrid plan; one signature, one word and one byte too many. */
static void hybrid_lengths_and_lines(void **state)
{
    (void)state;
    if (cannot()) {
        skip();
    }
    make_roster(RN_GROUP_HYBRID_MEMBERS_MAX);
    memcpy(hybrid.coordinator_key, roster.coordinator.bytes, 32);
    sign_all(&set, &hybrid);
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    assert_int_equal(set.document_bytes, RN_GROUP_DOCUMENT_MAX);
    write_text(&set);
    assert_true(text.length <= RN_SIGNATURES_BYTES_MAX);
    rn_signatures_init(&other, &hybrid);
    assert_true(rn_is_ok(take_text(&other)));
    struct rn_secret32 seed = {{200, 200}};
    struct rn_identity *stranger = rn_identity_from_seed(&seed);
    assert_int_equal(rn_signatures_add(&other, &hybrid, stranger, &error).code, RN_E_CONFIG);
    rn_identity_free(stranger);
    make_roster(MEMBERS);
    memcpy(hybrid.coordinator_key, roster.coordinator.bytes, 32);
    sign_all(&set, &hybrid);
    write_text(&set);
    text.data[17] = '2'; /* a blind plan's file has no such word */
    rn_signatures_init(&other, &blind);
    assert_int_equal(take_text(&other).code, RN_E_DATA);
    text.data[17] = '3';
    text.length--;
    rn_buffer_append(&text, "00\n", 3); /* one byte of a key too many */
    rn_signatures_init(&other, &hybrid);
    assert_int_equal(take_text(&other).code, RN_E_DATA);
}

/* The largest file there is fits its limit; a document of one byte more than the limit, one of
 * another length, and lines that are none are refused. */
static void lengths_and_lines(void **state)
{
    (void)state;
    make_roster(RN_ROSTER_MEMBERS_MAX);
    sign_all(&set, &blind);
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    assert_int_equal(set.document_bytes, RN_GROUP_DOCUMENT_BYTES(RN_ROSTER_MEMBERS_MAX));
    write_text(&set);
    assert_true(text.length <= RN_SIGNATURES_BYTES_MAX);
    rn_signatures_init(&other, &blind);
    assert_true(rn_is_ok(take_text(&other)));
    text.length -= 3; /* one byte of the document fewer than its count says */
    rn_buffer_append(&text, "\n", 1);
    rn_signatures_init(&other, &blind);
    assert_int_equal(take_text(&other).code, RN_E_PEER_FORMAT);
    make_roster(MEMBERS);
    sign_all(&set, &blind);
    write_text(&set);
    append_document(RN_GROUP_DOCUMENT_MAX);
    rn_signatures_init(&other, &blind);
    assert_int_equal(take_text(&other).code, RN_E_PEER_FORMAT);
    write_text(&set);
    append_document(RN_GROUP_DOCUMENT_MAX + 1);
    rn_signatures_init(&other, &blind);
    assert_int_equal(take_text(&other).code, RN_E_DATA);
    assert_true(rn_signatures_group_make(&set, &roster, identities[0], 0));
    write_text(&set);
    rn_buffer_append(&text, "group 00\n", 9);
    assert_int_equal(take_text(&other).code, RN_E_DATA);
    write_text(&set);
    text.data[17] = '1'; /* an open plan's file has no such line */
    assert_int_equal(take_text(&other).code, RN_E_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_bring_keys_and_the_coordinator_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(keys_and_plan_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_maker_alone_makes_it_and_with_all_signatures, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_document_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forged_documents_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_group_keys_name_their_signer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lengths_and_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hybrid_text_there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hybrid_keys_and_plan_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hybrid_lengths_and_lines, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
