/* SPDX-License-Identifier: Apache-2.0
 *
 * What the simulation remembers as valid (verifyonce.h) is that alone: whatever differs in a byte
 * is refused, before and after, as often as it is asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "crypto/channel.h"
#include "crypto/group.h"
#include "crypto/identity.h"

#include <string.h>

#define TAG "rondo/v1 test"
#define TIMES 3

struct signed_thing {
    struct rn_identity_public key;
    uint8_t message[40], signature[RN_SIGNATURE_BYTES];
    size_t length;
};

static rn_result asked(const struct signed_thing *s, const char *tag)
{
    return rn_identity_verify(&s->key, tag, rn_view_of(s->message, s->length), s->signature, NULL);
}

typedef void signer(const struct rn_identity *identity, const char *tag, struct rn_view message,
                    uint8_t out_signature[static RN_SIGNATURE_BYTES]);
signer __real_rn_identity_sign; /* of which nobody hears */

static struct signed_thing thing(signer *sign)
{
    struct signed_thing s = {.message = "what all members look at", .length = 24};
    const struct rn_secret32 seed = {{sign == rn_identity_sign ? 7 : 8}};
    struct rn_identity *identity = rn_identity_from_seed(&seed);
    s.key = *rn_identity_public_of(identity);
    sign(identity, TAG, rn_view_of(s.message, s.length), s.signature);
    rn_identity_free(identity);
    return s;
}

static void check_others(const struct signed_thing *s)
{
    for (int k = 0; k < TIMES; k++) {
        struct signed_thing other = *s;
        other.key.bytes[5] ^= 1;
        assert_false(rn_is_ok(asked(&other, TAG)));
        other = *s;
        other.message[23] ^= 1;
        assert_false(rn_is_ok(asked(&other, TAG)));
        other = *s;
        other.signature[40] ^= 1;
        assert_false(rn_is_ok(asked(&other, TAG)));
        other = *s;
        other.length++;
        assert_false(rn_is_ok(asked(&other, TAG)));
        assert_int_equal(asked(s, TAG "s").code, RN_E_PEER_AUTH);
    }
}

static void test_signatures(void **state)
{
    (void)state;
    signer *const signers[] = {__real_rn_identity_sign, rn_identity_sign};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(signers); i++) {
        const struct signed_thing s = thing(signers[i]);
        check_others(&s);
        for (int k = 0; k < TIMES; k++) {
            assert_true(rn_is_ok(asked(&s, TAG)));
            check_others(&s);
        }
    }
}

/* The identity element is all zero, as a place is that was never used. */
static void test_points(void **state)
{
    (void)state;
    const uint8_t identity[RN_POINT_BYTES] = {0};
    struct rn_scalar five;
    struct rn_point point, out;
    rn_scalar_from_u64(5, &five);
    rn_point_of_scalar(&five, &point);
    for (int k = 0; k < TIMES; k++) {
        memset(&out, 0, sizeof out);
        assert_true(rn_is_ok(rn_point_parse(point.bytes, &out, NULL)));
        assert_true(rn_point_equal(&out, &point));
        assert_false(rn_is_ok(rn_point_parse(identity, &out, NULL)));
        struct rn_point high = point; /* RFC 9496, 4.3.1: another encoding of the same */
        high.bytes[RN_POINT_BYTES - 1] |= 0x80;
        assert_false(rn_is_ok(rn_point_parse(high.bytes, &out, NULL)));
    }
}

static void test_channel_keys(void **state)
{
    (void)state;
    const struct rn_channel_public low = {{0}};
    const struct rn_secret32 secret = {{9}};
    struct rn_channel_public key;
    rn_channel_public_of(&secret, &key);
    for (int k = 0; k < TIMES; k++) {
        assert_true(rn_channel_public_valid(&key));
        assert_false(rn_channel_public_valid(&low));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_points),
        cmocka_unit_test(test_channel_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
