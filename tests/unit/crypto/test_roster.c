/* SPDX-License-Identifier: Apache-2.0
 *
 * The roster: one text for one roster, every rule refused at its limit plus one.
 */
#include "base/alloc.h"
#include "crypto/roster.h"
#include "tests/unit/crypto/vectors.h"

/* Public keys of RFC 8032 and RFC 8410. */
#define KEY_C "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_0 "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define KEY_1 "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
#define HEAD "rondo-roster 2\nfederation north-sea\ncoordinator ed25519 " KEY_C "\n"
#define MEMBER_0 "member 0 alpha ed25519 " KEY_0 "\n"
#define MEMBER_1 "member 1 beta-2 ed25519 " KEY_1 "\n"
#define GOOD HEAD MEMBER_0 MEMBER_1

static rn_result parse(const char *text, struct rn_roster *out, struct rn_error *err)
{
    return rn_roster_parse(rn_view_text(text), out, err);
}

static void good_text(void **state)
{
    (void)state;
    struct rn_roster roster;
    struct rn_error err = {""};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    assert_ok(parse(GOOD, &roster, &err));
    assert_string_equal(roster.federation, "north-sea");
    assert_hex(roster.coordinator.bytes, KEY_C);
    assert_int_equal(roster.count, 2);
    assert_string_equal(roster.members[1].name, "beta-2");
    assert_hex(roster.members[1].key.bytes, KEY_1);
    assert_ok(rn_roster_write(&roster, &again, &err));
    assert_string_equal(rn_buffer_text(&again), GOOD);

    assert_int_equal(rn_roster_find_name(&roster, "beta-2"), 1);
    assert_int_equal(rn_roster_find_name(&roster, "beta"), -1);
    assert_int_equal(rn_roster_find_key(&roster, &roster.members[0].key), 0);
    assert_int_equal(rn_roster_find_key(&roster, &roster.coordinator), -1);
}

static void hash_is_of_the_bytes(void **state)
{
    (void)state;
    uint8_t a[RN_HASH_BYTES];
    uint8_t b[RN_HASH_BYTES];
    const struct rn_view view = rn_view_text(GOOD);
    rn_roster_hash(view, a);
    rn_sha256(b, "rondo/v1 roster", &view, 1);
    assert_memory_equal(a, b, sizeof(a));
    struct rn_roster roster;
    assert_ok(parse(GOOD, &roster, NULL));
    rn_roster_hash_of(&roster, b);
    assert_memory_equal(a, b, sizeof(a));
    rn_roster_hash(rn_view_text(HEAD MEMBER_0), b);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "rondo-roster 2",
        "rondo-roster 1\nfederation north-sea\ncoordinator ed25519 " KEY_C "\n" MEMBER_0,
        HEAD,                   /* no members */
        HEAD MEMBER_1,          /* does not begin at 0 */
        HEAD MEMBER_0 MEMBER_0, /* place repeated */
        GOOD "\n",              /* something after the end */
        GOOD " ",               /* the same */
        "\xef\xbb\xbf" GOOD,    /* byte order mark */
        HEAD "member 00 alpha ed25519 " KEY_0 "\n",
        HEAD "member 0  alpha ed25519 " KEY_0 "\n",
        HEAD "member 0 alpha ed25519 " KEY_0 " \n",
        HEAD "member 0 alpha ed25519 " KEY_0 "\r\n",
        HEAD "member 0 alpha ed25519 " KEY_0, /* no line feed */
        HEAD "member 0 alpha ed25519 " KEY_0 "\tx\n",
        HEAD "Member 0 alpha ed25519 " KEY_0 "\n",
        HEAD "member 0 Alpha ed25519 " KEY_0 "\n",
        HEAD "member 0 al_pha ed25519 " KEY_0 "\n",
        HEAD "member 0 al\xc3\xa4 ed25519 " KEY_0 "\n",
        HEAD "member 0 ../a ed25519 " KEY_0 "\n",
        HEAD "member 0 alpha x25519 " KEY_0 "\n",
        HEAD "member 0 alpha ed25519 3D4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af46"
             "60c\n",
        HEAD "member 0 alpha ed25519 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af46"
             "60\n",
        HEAD "member 0 alpha ed25519 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af46"
             "60cc\n",
        HEAD "member 0 alpha ed25519 01000000000000000000000000000000000000000000000000000000000000"
             "00\n", /* small order */
        HEAD "member 0 alpha ed25519 02000000000000000000000000000000000000000000000000000000000000"
             "00\n", /* no point */
        HEAD "member 0 alpha ed25519 95999999999999999999999999999999999999999999999999999999999999"
             "99\n",                                                     /* mixed order */
        HEAD "member 0 alpha ed25519 " KEY_0 " 2026-01-01 2027-12-31\n", /* version 1 had dates */
        HEAD "member 0 alpha ed25519 " KEY_C "\n",                       /* coordinator's key */
        HEAD MEMBER_0 "member 1 alpha ed25519 " KEY_1 "\n",
        HEAD MEMBER_0 "member 1 beta ed25519 " KEY_0 "\n",
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        struct rn_roster roster;
        struct rn_error err = {""};
        memset(&roster, 7, sizeof(roster));
        assert_code(parse(bad[k], &roster, &err), RN_E_DATA);
        assert_true(strncmp(err.text, "roster", 6) == 0);
        assert_true(rn_secret_is_zero(&roster, sizeof(roster)));
    }
}

static void sentences_name_the_line(void **state)
{
    (void)state;
    struct rn_roster roster;
    struct rn_error err = {""};
    assert_code(parse(HEAD MEMBER_0 "member 1 BETA ed25519 ", &roster, &err), RN_E_DATA);
    assert_non_null(strstr(err.text, "line 5"));
    assert_null(strstr(err.text, "BETA"));
    assert_code(parse("rondo-roster 2\nfederation x y\n", &roster, &err), RN_E_DATA);
    assert_non_null(strstr(err.text, "line 2"));
}

/* No prefix is a roster except where a member line ends, and no changed byte keeps the text's
 * meaning: it is refused, or it is another roster whose exact text it is. */
static void truncations_and_changes(void **state)
{
    (void)state;
    static struct rn_roster roster;
    const size_t length = strlen(GOOD);
    for (size_t cut = 0; cut < length; cut++) {
        const rn_result result = rn_roster_parse(rn_view_of(GOOD, cut), &roster, NULL);
        assert_int_equal(result.code, cut == strlen(HEAD MEMBER_0) ? RN_OK : RN_E_DATA);
    }
    RN_CLEANUP(rn_free_cleanup) char *text = rn_text_copy(GOOD, length);
    for (size_t place = 0; place < length; place++) {
        for (unsigned byte = 0; byte < 256; byte += 3) {
            const char kept = text[place];
            text[place] = (char)byte;
            if (rn_is_ok(rn_roster_parse(rn_view_of(text, length), &roster, NULL))) {
                RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
                assert_ok(rn_roster_write(&roster, &again, NULL));
                assert_int_equal(again.length, length);
                assert_memory_equal(again.data, text, length);
            }
            text[place] = kept;
        }
    }
}

static void name_limits(void **state)
{
    (void)state;
    char name[RN_NAME_MAX + 2];
    memset(name, 'a', sizeof(name));
    name[RN_NAME_MAX] = '\0';
    assert_true(rn_name_valid(name));
    name[RN_NAME_MAX] = 'a';
    name[RN_NAME_MAX + 1] = '\0';
    assert_false(rn_name_valid(name));
    assert_true(rn_name_valid("0"));
    assert_true(rn_name_valid("-"));
    static const char *const bad[] = {"", "A", "a b", "a.b", "a/b", "a_b", "\x80", "a\n"};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        assert_false(rn_name_valid(bad[k]));
    }
}

/* A roster of count members with the longest names and distinct keys. */
static void fill(struct rn_roster *roster, uint32_t count)
{
    memset(roster, 0, sizeof(*roster));
    memset(roster->federation, 'f', RN_NAME_MAX);
    for (uint32_t k = 0; k <= count; k++) {
        struct rn_secret32 seed = {{(uint8_t)k, (uint8_t)(k >> 8)}};
        RN_CLEANUP(rn_identity_free_cleanup)
        struct rn_identity *identity = rn_identity_from_seed(&seed);
        if (k == count) {
            roster->coordinator = *rn_identity_public_of(identity);
            break;
        }
        struct rn_roster_member *member = &roster->members[k];
        memset(member->name, 'n', RN_NAME_MAX);
        (void)rn_text_format(member->name + RN_NAME_MAX - 4, 5, "%04u", k);
        member->key = *rn_identity_public_of(identity);
    }
    roster->count = count;
}

static void member_count_limits(void **state)
{
    (void)state;
    static struct rn_roster roster;
    static struct rn_roster again;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_error err = {""};
    fill(&roster, RN_ROSTER_MEMBERS_MAX);
    assert_ok(rn_roster_write(&roster, &text, &err));
    assert_true(text.length <= RN_ROSTER_BYTES_MAX);
    assert_ok(rn_roster_parse(rn_buffer_view(&text), &again, &err));
    assert_memory_equal(&again, &roster, sizeof(roster));

    rn_buffer_format(&text, "member %u last ed25519 " KEY_0 "\n", RN_ROSTER_MEMBERS_MAX);
    assert_false(text.failed);
    assert_code(rn_roster_parse(rn_buffer_view(&text), &again, &err), RN_E_DATA);
    assert_non_null(strstr(err.text, "more than 1024"));
    roster.count = RN_ROSTER_MEMBERS_MAX + 1;
    assert_code(rn_roster_write(&roster, &text, &err), RN_E_DATA);
    roster.count = 0;
    assert_code(rn_roster_write(&roster, &text, &err), RN_E_DATA);

    static uint8_t large[RN_ROSTER_BYTES_MAX + 1];
    assert_code(rn_roster_parse(rn_view_of(large, sizeof(large)), &again, &err), RN_E_DATA);
    assert_non_null(strstr(err.text, "larger than the limit"));
}

/* As many names as fit, and how many more: the longest names, and buffers to the byte. */
static void names_are_listed(void **state)
{
    (void)state;
    static struct rn_roster roster;
    char out[256];
    char expected[256];
    fill(&roster, 4);
    bool listed[4] = {false, true, true, true};
    const char *a = roster.members[1].name;
    const char *b = roster.members[2].name;
    const char *c = roster.members[3].name;
    const size_t all = 3 * (size_t)RN_NAME_MAX + 4 + 1;
    rn_roster_names(&roster, listed, out, all);
    (void)rn_text_format(expected, sizeof(expected), "%s, %s, %s", a, b, c);
    assert_string_equal(out, expected);
    rn_roster_names(&roster, listed, out, all - 1);
    (void)rn_text_format(expected, sizeof(expected), "%s, %s and 1 more", a, b);
    assert_string_equal(out, expected);
    rn_roster_names(&roster, listed, out, RN_ROSTER_NAMES_MIN);
    (void)rn_text_format(expected, sizeof(expected), "%s and 2 more", a);
    assert_string_equal(out, expected);
    listed[1] = listed[2] = false;
    rn_roster_names(&roster, listed, out, RN_ROSTER_NAMES_MIN);
    assert_string_equal(out, c);
    listed[3] = false;
    rn_roster_names(&roster, listed, out, RN_ROSTER_NAMES_MIN);
    assert_string_equal(out, "");
}

static void writing_refuses_what_parsing_refuses(void **state)
{
    (void)state;
    static struct rn_roster good;
    static struct rn_roster roster;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    fill(&good, 3);
    assert_ok(rn_roster_write(&good, &text, NULL));
    roster = good;
    roster.members[2].key = roster.members[0].key;
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
    roster = good;
    roster.members[2].key = roster.coordinator;
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
    roster = good;
    memset(roster.members[1].key.bytes, 0, 32);
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
    roster = good;
    memset(roster.coordinator.bytes, 0, 32);
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
    roster = good;
    roster.federation[0] = ' ';
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
    roster = good;
    memcpy(roster.members[1].name, roster.members[0].name, sizeof(roster.members[0].name));
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
    roster = good;
    roster.members[1].name[0] = '\0';
    assert_code(rn_roster_write(&roster, &text, NULL), RN_E_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_text),
        cmocka_unit_test(hash_is_of_the_bytes),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(sentences_name_the_line),
        cmocka_unit_test(truncations_and_changes),
        cmocka_unit_test(name_limits),
        cmocka_unit_test(member_count_limits),
        cmocka_unit_test(names_are_listed),
        cmocka_unit_test(writing_refuses_what_parsing_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
