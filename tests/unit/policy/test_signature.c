/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures over a plan: who counts, and what is refused.
 */
#include "policy/signature.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MEMBERS 3

static struct rn_identity *identities[MEMBERS + 2]; /* 0: coordinator, last: a stranger */
static struct rn_roster roster;
static struct rn_plan_signatures signatures, other;
static struct rn_plan_signers signers;
static struct rn_buffer text;
static struct rn_error error;
static const struct rn_plan plan = {.hash = {1, 2, 3}};
static const struct rn_plan other_plan = {.hash = {1, 2, 4}};

static int set_up(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < RN_ARRAY_LENGTH(identities); i++) {
        struct rn_secret32 seed = {{0}};
        seed.bytes[0] = (uint8_t)(i + 1);
        identities[i] = rn_identity_from_seed(&seed);
    }
    (void)rn_text_format(roster.federation, sizeof roster.federation, "clinics");
    roster.coordinator = *rn_identity_public_of(identities[0]);
    roster.count = MEMBERS;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        (void)rn_text_format(roster.members[i].name, sizeof roster.members[i].name, "m%u", i);
        roster.members[i].key = *rn_identity_public_of(identities[i + 1]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(identities); i++) {
        rn_identity_free(identities[i]);
    }
    rn_buffer_clear(&text);
    return 0;
}

static void sign_by(struct rn_plan_signatures *set, size_t who)
{
    assert_true(rn_is_ok(rn_signatures_add(set, set->plan_hash[2] == 3 ? &plan : &other_plan,
                                           identities[who], &error)));
}

static rn_result verify(const struct rn_plan_signatures *set)
{
    return rn_signatures_verify(set, &plan, &roster, &signers, &error);
}

static void counts_who_signed(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &plan);
    assert_true(rn_is_ok(verify(&signatures)));
    assert_false(signers.coordinator);
    assert_int_equal(signers.member_count, 0);
    sign_by(&signatures, 3);
    sign_by(&signatures, 0);
    sign_by(&signatures, 3); /* again: replaced */
    assert_int_equal(signatures.count, 2);
    assert_true(rn_is_ok(verify(&signatures)));
    assert_true(signers.coordinator);
    assert_int_equal(signers.member_count, 1);
    assert_false(signers.members[0]);
    assert_true(signers.members[2]);
}

static void refuses_what_does_not_hold(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &other_plan);
    sign_by(&signatures, 1);
    assert_int_equal(verify(&signatures).code, RN_E_PEER_AUTH);
    /* A signature over another plan, carried over. */
    memcpy(signatures.plan_hash, plan.hash, 32);
    assert_int_equal(verify(&signatures).code, RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "'m0'"));
    /* One bit. */
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, 1);
    for (size_t byte = 0; byte < RN_SIGNATURE_BYTES; byte += 21) {
        signatures.entries[0].bytes[byte] ^= 1;
        assert_int_equal(verify(&signatures).code, RN_E_PEER_AUTH);
        signatures.entries[0].bytes[byte] ^= 1;
    }
    /* Somebody else's key under the signature, and a stranger. */
    signatures.entries[0].key = roster.members[1].key;
    assert_int_equal(verify(&signatures).code, RN_E_PEER_AUTH);
    sign_by(&signatures, MEMBERS + 1);
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, MEMBERS + 1);
    assert_int_equal(verify(&signatures).code, RN_E_PEER_AUTH);
    assert_int_equal(signers.member_count, 0);
}

static void text_round_trip(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, 2);
    sign_by(&signatures, 0);
    sign_by(&signatures, 1);
    assert_true(rn_is_ok(rn_signatures_write(&signatures, &roster, &text, &error)));
    const char *written = rn_buffer_text(&text);
    assert_non_null(strstr(written, "\ncoordinator "));
    assert_true(strstr(written, "\ncoordinator ") < strstr(written, "\nm0 "));
    assert_true(strstr(written, "\nm0 ") < strstr(written, "\nm1 "));
    assert_true(rn_is_ok(rn_signatures_parse(rn_buffer_view(&text), "sigs", &other, &error)));
    assert_int_equal(other.count, 3);
    assert_true(rn_is_ok(verify(&other)));
    assert_int_equal(signers.member_count, 2);
    /* The same set in another order has the same bytes. */
    struct rn_buffer again = {0};
    assert_true(rn_is_ok(rn_signatures_write(&other, &roster, &again, &error)));
    assert_true(rn_view_equal(rn_buffer_view(&text), rn_buffer_view(&again)));
    rn_buffer_clear(&again);
}

static void text_refusals(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, 1);
    assert_true(rn_is_ok(rn_signatures_write(&signatures, &roster, &text, &error)));
    const size_t length = text.length;
    /* Every cut is refused, but for the two that end a line behind the second. */
    for (size_t cut = 0; cut < length; cut++) {
        const rn_result result =
            rn_signatures_parse(rn_view_of(text.data, cut), "sigs", &other, &error);
        const bool whole_lines =
            cut > 40 && text.data[cut - 1] == '\n'; /* no signature at all is a valid file */
        assert_int_equal(rn_is_ok(result), whole_lines);
    }
    /* The same line twice. */
    char *twice = rn_alloc(2 * length, 1);
    const char *line = strstr(rn_buffer_text(&text), "\nm0 ") + 1;
    memcpy(twice, text.data, length);
    memcpy(twice + length, line, strlen(line));
    assert_int_equal(
        rn_signatures_parse(rn_view_of(twice, length + strlen(line)), "sigs", &other, &error).code,
        RN_E_DATA);
    assert_non_null(strstr(error.text, "sigs:4: a second signature"));
    assert_int_equal(other.count, 0);
    rn_free(twice);
}

static void merges(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, 1);
    rn_signatures_init(&other, &plan);
    sign_by(&other, 1);
    sign_by(&other, 2);
    assert_true(rn_is_ok(rn_signatures_merge(&signatures, &other, &error)));
    assert_int_equal(signatures.count, 2);
    rn_signatures_init(&other, &other_plan);
    assert_int_equal(rn_signatures_merge(&signatures, &other, &error).code, RN_E_DATA);
}

/* Text in one step: all of it is checked before any of it is taken. */
static void takes_what_holds(void **state)
{
    (void)state;
    uint32_t fresh = 9;
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, 0);
    sign_by(&signatures, 1);
    rn_signatures_init(&other, &plan);
    sign_by(&other, 1);
    sign_by(&other, 3);
    assert_true(rn_is_ok(rn_signatures_write(&other, &roster, &text, &error)));
    assert_true(rn_is_ok(rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, &signatures,
                                            &fresh, &signers, &error)));
    assert_int_equal(fresh, 1);
    assert_int_equal(signatures.count, 3);
    assert_true(signers.coordinator && signers.members[0] && signers.members[2]);
    assert_true(rn_is_ok(rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, &signatures,
                                            &fresh, &signers, &error)));
    assert_int_equal(fresh, 0);

    sign_by(&other, 2);
    other.entries[0].bytes[5] ^= 1; /* one that does not hold takes the good ones with it */
    assert_true(rn_is_ok(rn_signatures_write(&other, &roster, &text, &error)));
    const struct rn_plan_signatures before = signatures;
    assert_int_equal(rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, &signatures, &fresh,
                                        &signers, &error)
                         .code,
                     RN_E_PEER_AUTH);
    assert_non_null(strstr(error.text, "sigs: "));
    rn_signatures_init(&other, &other_plan);
    sign_by(&other, 2);
    assert_true(rn_is_ok(rn_signatures_write(&other, &roster, &text, &error)));
    assert_int_equal(rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, &signatures, &fresh,
                                        &signers, &error)
                         .code,
                     RN_E_PEER_AUTH);
    assert_memory_equal(&before, &signatures, sizeof signatures);
    assert_int_equal(fresh, 0);
    assert_int_equal(signers.member_count, 2);
}

static void refused_by_take(void)
{
    uint32_t fresh = 9;
    static struct rn_plan_signatures before;
    before = signatures;
    assert_true(rn_is_ok(rn_signatures_write(&other, &roster, &text, &error)));
    assert_int_equal(rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, &signatures, &fresh,
                                        &signers, &error)
                         .code,
                     RN_E_PEER_AUTH);
    assert_memory_equal(&before, &signatures, sizeof signatures);
    assert_int_equal(fresh, 9);
}

/* What is held vouches for its own bytes under its own key and plan, and for nothing else. */
static void what_is_held_vouches_for_nothing_else(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &plan);
    sign_by(&signatures, 1);
    other = signatures;
    other.entries[0].key = roster.members[1].key; /* held bytes under another key */
    refused_by_take();
    for (size_t byte = 0; byte < RN_SIGNATURE_BYTES; byte += 9) {
        other = signatures;
        other.entries[0].bytes[byte] ^= 1;
        refused_by_take();
    }
    other = signatures; /* a new key beside what is held */
    sign_by(&other, 2);
    other.entries[1].bytes[40] ^= 1;
    refused_by_take();
    other = signatures; /* held entries under another plan's name */
    memcpy(other.plan_hash, other_plan.hash, 32);
    refused_by_take();
    rn_buffer_clear(&text); /* a stranger, whom write refuses too */
    const struct rn_identity_public kept = roster.members[2].key;
    roster.members[2].key = *rn_identity_public_of(identities[MEMBERS + 1]);
    other = signatures;
    sign_by(&other, MEMBERS + 1);
    assert_true(rn_is_ok(rn_signatures_write(&other, &roster, &text, &error)));
    roster.members[2].key = kept;
    uint32_t fresh = 9;
    assert_int_equal(rn_signatures_take(rn_buffer_view(&text), "sigs", &roster, &signatures, &fresh,
                                        &signers, &error)
                         .code,
                     RN_E_PEER_AUTH);
}

static void names_who_is_missing(void **state)
{
    (void)state;
    char names[RN_ROSTER_NAMES_MIN];
    rn_signatures_init(&signatures, &plan);
    assert_true(rn_is_ok(verify(&signatures)));
    rn_signatures_missing(&signers, &roster, names, sizeof names);
    assert_string_equal(names, "m0, m1, m2");
    sign_by(&signatures, 2);
    assert_true(rn_is_ok(verify(&signatures)));
    rn_signatures_missing(&signers, &roster, names, sizeof names);
    assert_string_equal(names, "m0, m2");
    sign_by(&signatures, 1);
    sign_by(&signatures, 3);
    assert_true(rn_is_ok(verify(&signatures)));
    rn_signatures_missing(&signers, &roster, names, sizeof names);
    assert_string_equal(names, "");
}

/* A roster of the most members with the longest names, all of whom and the coordinator signed: the
 * text is within its limit and reads back in the order of the roster; one line more is refused. */
static void the_largest_roster_signs(void **state)
{
    (void)state;
    static struct rn_roster large;
    static struct rn_identity *all[RN_SIGNATURES_MAX];
    large = (struct rn_roster){.count = RN_ROSTER_MEMBERS_MAX};
    rn_signatures_init(&signatures, &plan);
    for (uint32_t i = RN_SIGNATURES_MAX; i-- > 0;) { /* the last place first */
        const struct rn_secret32 seed = {{(uint8_t)i, (uint8_t)(i >> 8), 1}};
        all[i] = rn_identity_from_seed(&seed);
        assert_true(rn_is_ok(rn_signatures_add(&signatures, &plan, all[i], &error)));
        struct rn_identity_public *key = i == 0 ? &large.coordinator : &large.members[i - 1].key;
        *key = *rn_identity_public_of(all[i]);
        if (i > 0) {
            (void)rn_text_format(large.members[i - 1].name, RN_NAME_MAX + 1, "%063u", i - 1);
        }
    }
    assert_int_equal(signatures.count, RN_SIGNATURES_MAX);
    assert_true(rn_is_ok(rn_signatures_write(&signatures, &large, &text, &error)));
    assert_true(text.length <= RN_SIGNATURES_BYTES_MAX);
    assert_true(rn_is_ok(rn_signatures_parse(rn_buffer_view(&text), "file", &other, &error)));
    assert_int_equal(other.count, RN_SIGNATURES_MAX);
    for (uint32_t i = 0; i < RN_SIGNATURES_MAX; i++) {
        assert_true(rn_identity_public_equal(&other.entries[i].key, rn_identity_public_of(all[i])));
        rn_identity_free(all[i]);
    }
    char *more = rn_alloc(text.length + 300, 1);
    memcpy(more, text.data, text.length);
    memcpy(more + text.length, more + text.length - 257, 257); /* a line, of another key */
    memcpy(more + text.length + 64, "ee", 2);
    const struct rn_view longer = rn_view_of(more, text.length + 257);
    assert_int_equal(rn_signatures_parse(longer, "file", &other, &error).code, RN_E_DATA);
    assert_non_null(strstr(error.text, "more than 1025 signatures"));
    rn_free(more);
}

static void count_limit(void **state)
{
    (void)state;
    rn_signatures_init(&signatures, &plan);
    for (uint32_t i = 0; i < RN_SIGNATURES_MAX; i++) {
        signatures.entries[i].key.bytes[0] = (uint8_t)i;
        signatures.entries[i].key.bytes[1] = 0xee;
    }
    signatures.count = RN_SIGNATURES_MAX - 1;
    sign_by(&signatures, 1);
    assert_int_equal(rn_signatures_add(&signatures, &plan, identities[2], &error).code,
                     RN_E_CONFIG);
    assert_int_equal(signatures.count, RN_SIGNATURES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_who_signed),
        cmocka_unit_test(refuses_what_does_not_hold),
        cmocka_unit_test(text_round_trip),
        cmocka_unit_test(text_refusals),
        cmocka_unit_test(merges),
        cmocka_unit_test(takes_what_holds),
        cmocka_unit_test(what_is_held_vouches_for_nothing_else),
        cmocka_unit_test(names_who_is_missing),
        cmocka_unit_test(the_largest_roster_signs),
        cmocka_unit_test(count_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
