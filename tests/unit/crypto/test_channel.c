/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed messages open for their recipient in their context and for nobody else.
 */
#include "crypto/channel.h"
#include "tests/unit/crypto/vectors.h"

#define PLAIN "two shares and their openings"
#define PLAIN_LENGTH (sizeof(PLAIN) - 1)
#define SEALED_LENGTH (PLAIN_LENGTH + RN_CHANNEL_OVERHEAD)

struct party {
    struct rn_secret32 secret;
    struct rn_channel_public public_key;
};

static struct party party_of(unsigned fill)
{
    struct party party;
    party.secret = key_of(fill);
    rn_channel_public_of(&party.secret, &party.public_key);
    return party;
}

static struct rn_channel_context context_of(uint32_t from, uint32_t to)
{
    struct rn_channel_context context = {{0}, {0}, from, to};
    memset(context.session, 0x51, sizeof(context.session));
    memset(context.transcript, 0x70, sizeof(context.transcript));
    return context;
}

static rn_result seal(const struct party *author, const struct party *recipient,
                      const struct rn_channel_context *context, uint8_t out[static SEALED_LENGTH])
{
    return rn_channel_seal(&author->secret, &recipient->public_key, context, rn_view_text(PLAIN),
                           out, NULL);
}

static rn_result open_as(const struct party *recipient, const struct party *author,
                         const struct rn_channel_context *context, const uint8_t *sealed,
                         uint8_t *out)
{
    return rn_channel_open(&recipient->secret, &author->public_key, context,
                           rn_view_of(sealed, SEALED_LENGTH), out, NULL);
}

/* RFC 7748, section 6.1. */
static void public_keys_of_rfc7748(void **state)
{
    (void)state;
    struct rn_secret32 secret;
    struct rn_channel_public public_key;
    (void)from_hex(secret.bytes,
                   "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    rn_channel_public_of(&secret, &public_key);
    assert_hex(public_key.bytes,
               "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

static void generated_from_the_stream(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(1);
    struct rn_stream stream;
    struct party a;
    struct party b;
    rn_stream_init(&stream, &key);
    rn_channel_generate(&stream, &a.secret, &a.public_key);
    rn_channel_generate(&stream, &b.secret, &b.public_key);
    assert_false(rn_secret_equal(&a.secret, &b.secret, sizeof(a.secret)));
    assert_true(rn_channel_public_valid(&a.public_key));
    rn_stream_seek(&stream, 0);
    rn_channel_generate(&stream, &b.secret, &b.public_key);
    assert_memory_equal(&a.public_key, &b.public_key, sizeof(a.public_key));
}

static void sealed_opens_and_is_repeatable(void **state)
{
    (void)state;
    const struct party a = party_of(1);
    const struct party b = party_of(2);
    const struct rn_channel_context context = context_of(4, 9);
    uint8_t sealed[SEALED_LENGTH];
    uint8_t again[SEALED_LENGTH];
    uint8_t plain[PLAIN_LENGTH];
    assert_ok(seal(&a, &b, &context, sealed));
    assert_ok(seal(&a, &b, &context, again));
    assert_memory_equal(sealed, again, sizeof(sealed));
    assert_ok(open_as(&b, &a, &context, sealed, plain));
    assert_memory_equal(plain, PLAIN, sizeof(plain));
}

/* case 16 */
static void bound_to_context_and_direction(void **state)
{
    (void)state;
    const struct party a = party_of(1);
    const struct party b = party_of(2);
    const struct party c = party_of(3);
    const struct rn_channel_context context = context_of(4, 9);
    uint8_t sealed[SEALED_LENGTH];
    uint8_t plain[PLAIN_LENGTH];
    assert_ok(seal(&a, &b, &context, sealed));

    struct rn_channel_context wrong = context_of(9, 4); /* reflected to its author */
    assert_code(open_as(&a, &b, &wrong, sealed, plain), RN_E_PEER_AUTH);
    assert_true(rn_secret_is_zero(plain, sizeof(plain)));
    assert_code(open_as(&c, &a, &context, sealed, plain), RN_E_PEER_AUTH);
    assert_code(open_as(&b, &c, &context, sealed, plain), RN_E_PEER_AUTH);
    wrong = context_of(4, 8);
    assert_code(open_as(&b, &a, &wrong, sealed, plain), RN_E_PEER_AUTH);
    wrong = context_of(5, 9);
    assert_code(open_as(&b, &a, &wrong, sealed, plain), RN_E_PEER_AUTH);
    wrong = context_of(4, 9);
    wrong.session[31] ^= 1; /* another session */
    assert_code(open_as(&b, &a, &wrong, sealed, plain), RN_E_PEER_AUTH);
    wrong = context_of(4, 9);
    wrong.transcript[0] ^= 1; /* other participants */
    assert_code(open_as(&b, &a, &wrong, sealed, plain), RN_E_PEER_AUTH);
}

/* case 16 */
static void any_bit_flip_is_refused(void **state)
{
    (void)state;
    const struct party a = party_of(1);
    const struct party b = party_of(2);
    const struct rn_channel_context context = context_of(0, 1);
    uint8_t sealed[SEALED_LENGTH];
    uint8_t plain[PLAIN_LENGTH];
    assert_ok(seal(&a, &b, &context, sealed));
    for (unsigned bit = 0; bit < 8 * SEALED_LENGTH; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_code(open_as(&b, &a, &context, sealed, plain), RN_E_PEER_AUTH);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void length_limits(void **state)
{
    (void)state;
    const struct party a = party_of(1);
    const struct party b = party_of(2);
    const struct rn_channel_context context = context_of(0, 1);
    static uint8_t plain[RN_CHANNEL_PLAIN_MAX + 1];
    static uint8_t sealed[RN_CHANNEL_PLAIN_MAX + 1 + RN_CHANNEL_OVERHEAD];
    for (size_t length = 0; length < RN_CHANNEL_OVERHEAD; length++) {
        assert_code(rn_channel_open(&b.secret, &a.public_key, &context, rn_view_of(sealed, length),
                                    plain, NULL),
                    RN_E_PEER_FORMAT);
    }
    assert_code(rn_channel_open(&b.secret, &a.public_key, &context,
                                rn_view_of(sealed, sizeof(sealed)), plain, NULL),
                RN_E_PEER_LIMIT);
    static const size_t lengths[] = {0, 1, RN_CHANNEL_PLAIN_MAX};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(lengths); k++) {
        plain[0] = 77;
        assert_ok(rn_channel_seal(&a.secret, &b.public_key, &context, rn_view_of(plain, lengths[k]),
                                  sealed, NULL));
        plain[0] = 0;
        assert_ok(rn_channel_open(&b.secret, &a.public_key, &context,
                                  rn_view_of(sealed, lengths[k] + RN_CHANNEL_OVERHEAD), plain,
                                  NULL));
        assert_int_equal(plain[0], lengths[k] > 0 ? 77 : 0);
    }
}

/* case 26. Orders 1, 2, 4 and 8 of the curve and its twist; then numbers that have a smaller
 * encoding. */
static void bad_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0900000000000000000000000000000000000000000000000000000000000080",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    const struct party own = party_of(5);
    const struct rn_channel_context context = context_of(0, 1);
    uint8_t sealed[SEALED_LENGTH];
    uint8_t plain[PLAIN_LENGTH];
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        struct party peer = own;
        (void)from_hex(peer.public_key.bytes, bad[k]);
        assert_false(rn_channel_public_valid(&peer.public_key));
        assert_code(seal(&own, &peer, &context, sealed), RN_E_PEER_FORMAT);
        memset(sealed, 0, sizeof(sealed));
        assert_code(open_as(&own, &peer, &context, sealed, plain), RN_E_PEER_FORMAT);
    }
    struct rn_channel_public good = {{9}};
    assert_true(rn_channel_public_valid(&good));
    (void)from_hex(good.bytes, "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    assert_true(rn_channel_public_valid(&good)); /* p - 2 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_keys_of_rfc7748),
        cmocka_unit_test(generated_from_the_stream),
        cmocka_unit_test(sealed_opens_and_is_repeatable),
        cmocka_unit_test(bound_to_context_and_direction),
        cmocka_unit_test(any_bit_flip_is_refused),
        cmocka_unit_test(length_limits),
        cmocka_unit_test(bad_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
