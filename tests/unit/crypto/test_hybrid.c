/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages sealed by X25519 and ML-KEM-768 together. Where libsodium lacks X-Wing there is nothing
 * to test but that the build says so.
 */
#include "crypto/hybrid.h"
#include "tests/unit/crypto/vectors.h"

#define PLAIN "a key of the group, 32 bytes long"

static struct rn_channel_context context_of(uint32_t from, uint32_t to)
{
    struct rn_channel_context context = {.session = {1, 2}, .transcript = {3, 4}};
    context.from = from;
    context.to = to;
    return context;
}

static void skip_without(void)
{
    if (!rn_hybrid_here()) {
        print_message("libsodium is older than 1.0.22 and has no X-Wing\n");
        skip();
    }
}

/* The seeds and beginnings of X-Wing keys in libsodium's own tests of known answers. */
static void keys_are_xwings(void **state)
{
    (void)state;
    skip_without();
    static const char *const beginnings[] = {
        "3d209f716752f6408e7f89bceef97ac388530045377927644ef046c0a7cae978",
        "ec7b50cddc8360f98b189bac73d395ef947b37d8453886a253269f7b18b9eb78",
        "08118d8819772292c976ec971ee3039195800c823544484595cc63450b9db941",
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(beginnings); k++) {
        struct rn_secret32 seed;
        struct rn_hybrid_public key;
        memset(seed.bytes, (int)k, sizeof(seed.bytes));
        rn_hybrid_public_of(&seed, &key);
        assert_hex(&key, beginnings[k]);
        assert_true(rn_hybrid_public_valid(&key));
    }
}

struct letter {
    struct rn_secret32 secret, coins;
    struct rn_hybrid_public key;
    uint8_t sealed[sizeof(PLAIN) + RN_HYBRID_OVERHEAD];
};

static struct letter letter_of(unsigned recipient, const struct rn_channel_context *context)
{
    struct letter letter = {.secret = key_of(recipient), .coins = key_of(90)};
    rn_hybrid_public_of(&letter.secret, &letter.key);
    rn_hybrid_seal(&letter.key, &letter.coins, context, rn_view_of(PLAIN, sizeof(PLAIN)),
                   letter.sealed);
    return letter;
}

static rn_result open_as(const struct letter *letter, unsigned recipient,
                         const struct rn_channel_context *context, uint8_t *out)
{
    const struct rn_secret32 secret = key_of(recipient);
    return rn_hybrid_open(&secret, context, rn_view_of(letter->sealed, sizeof(letter->sealed)), out,
                          NULL);
}

static void there_and_back(void **state)
{
    (void)state;
    skip_without();
    const struct rn_channel_context context = context_of(0, 3);
    const struct letter letter = letter_of(7, &context);
    const struct letter again = letter_of(7, &context);
    uint8_t out[sizeof(PLAIN)];
    assert_memory_equal(letter.sealed, again.sealed, sizeof(letter.sealed));
    assert_ok(open_as(&letter, 7, &context, out));
    assert_memory_equal(out, PLAIN, sizeof(PLAIN));
}

/* One pair of coins, two recipients, two contexts: nothing in common but the length. */
static void coins_differ_by_context(void **state)
{
    (void)state;
    skip_without();
    const struct rn_channel_context first = context_of(0, 3);
    const struct rn_channel_context second = context_of(0, 4);
    const struct letter a = letter_of(7, &first);
    const struct letter b = letter_of(7, &second);
    const size_t curve = RN_HYBRID_CIPHERTEXT_BYTES - RN_CHANNEL_PUBLIC_BYTES;
    assert_memory_not_equal(a.sealed, b.sealed, 32);
    assert_memory_not_equal(a.sealed + curve, b.sealed + curve, RN_CHANNEL_PUBLIC_BYTES);
}

static void every_byte_counts(void **state)
{
    (void)state;
    skip_without();
    const struct rn_channel_context context = context_of(0, 3);
    struct letter letter = letter_of(7, &context);
    static const uint8_t zeros[sizeof(PLAIN)];
    uint8_t out[sizeof(PLAIN)];
    for (size_t at = 0; at < sizeof(letter.sealed); at++) {
        letter.sealed[at] ^= 4;
        memset(out, 0xee, sizeof(out));
        assert_code(open_as(&letter, 7, &context, out), RN_E_PEER_AUTH);
        assert_memory_equal(out, zeros, sizeof(out));
        letter.sealed[at] ^= 4;
    }
    assert_ok(open_as(&letter, 7, &context, out));
    assert_code(open_as(&letter, 8, &context, out), RN_E_PEER_AUTH);
    for (unsigned part = 0; part < 4; part++) {
        struct rn_channel_context other = context;
        other.from += part == 0;
        other.to += part == 1;
        other.session[31] = part == 2;
        other.transcript[31] = part == 3;
        assert_code(open_as(&letter, 7, &other, out), RN_E_PEER_AUTH);
    }
    memset(letter.sealed + RN_HYBRID_CIPHERTEXT_BYTES - RN_CHANNEL_PUBLIC_BYTES, 0,
           RN_CHANNEL_PUBLIC_BYTES); /* of low order */
    assert_code(open_as(&letter, 7, &context, out), RN_E_PEER_AUTH);
}

static void bad_keys_are_refused(void **state)
{
    (void)state;
    skip_without();
    const struct rn_secret32 secret = key_of(7);
    struct rn_hybrid_public key;
    rn_hybrid_public_of(&secret, &key);
    struct rn_hybrid_public bad = key;
    memset(bad.lattice.bytes, 0xff, 2); /* a coefficient of 4095 and above 3329 */
    assert_false(rn_hybrid_public_valid(&bad));
    bad = key;
    memset(bad.curve.bytes, 0, sizeof(bad.curve.bytes));
    assert_false(rn_hybrid_public_valid(&bad));
}

static void length_limits(void **state)
{
    (void)state;
    skip_without();
    static uint8_t sealed[RN_CHANNEL_PLAIN_MAX + 1 + RN_HYBRID_OVERHEAD];
    static uint8_t out[RN_CHANNEL_PLAIN_MAX + 1];
    const struct rn_secret32 secret = key_of(7);
    const struct rn_secret32 coins = key_of(90);
    const struct rn_channel_context context = context_of(0, 3);
    struct rn_hybrid_public key;
    assert_code(
        rn_hybrid_open(&secret, &context, rn_view_of(sealed, RN_HYBRID_OVERHEAD - 1), out, NULL),
        RN_E_PEER_FORMAT);
    assert_code(rn_hybrid_open(&secret, &context, rn_view_of(sealed, sizeof(sealed)), out, NULL),
                RN_E_PEER_LIMIT);
    rn_hybrid_public_of(&secret, &key);
    rn_hybrid_seal(&key, &coins, &context, rn_view_of(out, RN_CHANNEL_PLAIN_MAX), sealed);
    assert_ok(rn_hybrid_open(&secret, &context, rn_view_of(sealed, sizeof(sealed) - 1), out, NULL));
}

static void without_the_library(void)
{
    const struct rn_secret32 secret = key_of(7);
    struct rn_hybrid_public key;
    rn_hybrid_public_of(&secret, &key);
}

static void elsewhere_it_is_a_bug(void **state)
{
    (void)state;
    if (rn_hybrid_here()) {
        skip();
    }
    assert_aborts(without_the_library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_xwings),         cmocka_unit_test(there_and_back),
        cmocka_unit_test(coins_differ_by_context), cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(bad_keys_are_refused),    cmocka_unit_test(length_limits),
        cmocka_unit_test(elsewhere_it_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
