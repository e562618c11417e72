/* SPDX-License-Identifier: Apache-2.0
 *
 * ristretto255: the vectors of RFC 9496, appendix A, scalar arithmetic, and refusal of every
 * encoding that is not the canonical one.
 */
#include "crypto/group.h"
#include "tests/unit/crypto/ristrettovectors.h"
#include "tests/unit/crypto/vectors.h"

#define ORDER "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
#define ORDER_MINUS_1 "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"
#define ORDER_PLUS_1 "eed3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"

static struct rn_scalar scalar_of(const char *hex)
{
    struct rn_scalar scalar;
    uint8_t bytes[RN_SCALAR_BYTES];
    (void)from_hex(bytes, hex);
    assert_ok(rn_scalar_parse(bytes, true, &scalar, NULL));
    return scalar;
}

static struct rn_scalar drawn(unsigned fill)
{
    const struct rn_secret32 key = key_of(fill);
    struct rn_stream stream;
    struct rn_scalar scalar;
    rn_stream_init(&stream, &key);
    rn_scalar_draw(&stream, &scalar);
    return scalar;
}

/* case 34 */
static void multiples_of_the_generator(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(multiples); k++) {
        struct rn_scalar scalar;
        struct rn_point point;
        struct rn_point parsed;
        rn_scalar_from_u64(k + 1, &scalar);
        rn_point_of_scalar(&scalar, &point);
        assert_hex(point.bytes, multiples[k]);
        assert_ok(rn_point_parse(point.bytes, &parsed, NULL));
        assert_true(rn_point_equal(&point, &parsed));
        assert_true(rn_point_matches(&parsed, &scalar));
        rn_scalar_from_u64(k + 2, &scalar);
        assert_false(rn_point_matches(&parsed, &scalar));
        rn_scalar_from_u64(0, &scalar);
        assert_false(rn_point_matches(&parsed, &scalar));
    }
}

/* case 26 */
static void bad_points_are_refused(void **state)
{
    (void)state;
    const struct rn_scalar own = drawn(1);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(refused); k++) {
        struct rn_point point;
        struct rn_point parsed;
        struct rn_secret32 shared = key_of(1);
        (void)from_hex(point.bytes, refused[k]);
        assert_code(rn_point_parse(point.bytes, &parsed, NULL), RN_E_PEER_FORMAT);
        assert_code(rn_point_agree(&own, &point, &shared, NULL), RN_E_PEER_FORMAT);
        assert_true(rn_secret_is_zero(&shared, sizeof(shared)));
    }
}

/* case 26. With the top bit the same numbers again: a second encoding of each point, if it were
 * one.
 */
static void points_have_one_encoding(void **state)
{
    (void)state;
    const struct rn_scalar own = drawn(1);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(multiples); k++) {
        struct rn_point point;
        struct rn_point twin;
        struct rn_point out;
        struct rn_secret32 shared = key_of(1);
        (void)from_hex(point.bytes, multiples[k]);
        twin = point;
        twin.bytes[RN_POINT_BYTES - 1] |= 0x80;
        assert_ok(rn_point_parse(point.bytes, &out, NULL));
        assert_code(rn_point_parse(twin.bytes, &out, NULL), RN_E_PEER_FORMAT);
        assert_code(rn_point_add(&point, &twin, &out, NULL), RN_E_PEER_FORMAT);
        assert_code(rn_point_add(&twin, &point, &out, NULL), RN_E_PEER_FORMAT);
        assert_code(rn_point_multiply(&own, &twin, &out, NULL), RN_E_PEER_FORMAT);
        assert_code(rn_point_agree(&own, &twin, &shared, NULL), RN_E_PEER_FORMAT);
        assert_true(rn_secret_is_zero(&shared, sizeof(shared)));
    }
}

static void agreement(void **state)
{
    (void)state;
    const struct rn_scalar a = drawn(1);
    const struct rn_scalar b = drawn(2);
    struct rn_point big_a;
    struct rn_point big_b;
    struct rn_secret32 ab;
    struct rn_secret32 ba;
    rn_point_of_scalar(&a, &big_a);
    rn_point_of_scalar(&b, &big_b);
    assert_ok(rn_point_agree(&a, &big_b, &ab, NULL));
    assert_ok(rn_point_agree(&b, &big_a, &ba, NULL));
    assert_true(rn_secret_equal(&ab, &ba, sizeof(ab)));
    struct rn_scalar product;
    struct rn_point wanted;
    rn_scalar_mul(&a, &b, &product);
    rn_point_of_scalar(&product, &wanted);
    assert_memory_equal(ab.bytes, wanted.bytes, sizeof(wanted.bytes));
    struct rn_scalar zero;
    rn_scalar_from_u64(0, &zero);
    assert_code(rn_point_agree(&zero, &big_a, &ab, NULL), RN_E_PEER_FORMAT);
}

/* case 26 */
static void scalars_are_canonical(void **state)
{
    (void)state;
    uint8_t bytes[RN_SCALAR_BYTES];
    struct rn_scalar scalar;
    static const char *const bad[] = {
        ORDER,
        ORDER_PLUS_1,
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000020",
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        memset(&scalar, 7, sizeof(scalar));
        (void)from_hex(bytes, bad[k]);
        assert_code(rn_scalar_parse(bytes, true, &scalar, NULL), RN_E_PEER_FORMAT);
        assert_true(rn_scalar_is_zero(&scalar));
    }
    (void)from_hex(bytes, ORDER_MINUS_1);
    assert_ok(rn_scalar_parse(bytes, false, &scalar, NULL));
    assert_hex(scalar.bytes, ORDER_MINUS_1);
    memset(bytes, 0, sizeof(bytes));
    assert_ok(rn_scalar_parse(bytes, true, &scalar, NULL));
    assert_code(rn_scalar_parse(bytes, false, &scalar, NULL), RN_E_PEER_FORMAT);
}

static void arithmetic(void **state)
{
    (void)state;
    const struct rn_scalar last = scalar_of(ORDER_MINUS_1);
    struct rn_scalar one;
    struct rn_scalar a;
    struct rn_scalar b;
    rn_scalar_from_u64(1, &one);
    rn_scalar_add(&last, &one, &a); /* wraps */
    assert_true(rn_scalar_is_zero(&a));
    rn_scalar_sub(&a, &one, &a);
    assert_true(rn_scalar_equal(&a, &last));
    rn_scalar_mul(&last, &last, &a); /* (-1)^2 */
    assert_true(rn_scalar_equal(&a, &one));
    rn_scalar_from_u64(UINT64_MAX, &a);
    rn_scalar_from_u64(UINT64_MAX, &b);
    rn_scalar_mul(&a, &b, &a); /* 2^128 - 2^65 + 1 */
    assert_hex(a.bytes, "0100000000000000feffffffffffffff00000000000000000000000000000000");
    for (unsigned k = 1; k < 20; k++) {
        const struct rn_scalar x = drawn(k);
        const struct rn_scalar y = drawn(k + 100);
        rn_scalar_invert(&x, &a);
        rn_scalar_mul(&a, &x, &a);
        assert_true(rn_scalar_equal(&a, &one));
        rn_scalar_add(&x, &y, &a); /* (x + y)(x - y) = x^2 - y^2 */
        rn_scalar_sub(&x, &y, &b);
        rn_scalar_mul(&a, &b, &a);
        struct rn_scalar xx;
        struct rn_scalar yy;
        rn_scalar_mul(&x, &x, &xx);
        rn_scalar_mul(&y, &y, &yy);
        rn_scalar_sub(&xx, &yy, &b);
        assert_true(rn_scalar_equal(&a, &b));
        assert_false(rn_scalar_equal(&a, &x));
    }
}

static void drawing_is_deterministic(void **state)
{
    (void)state;
    const struct rn_scalar a = drawn(4);
    const struct rn_scalar b = drawn(4);
    const struct rn_scalar c = drawn(5);
    assert_true(rn_scalar_equal(&a, &b));
    assert_false(rn_scalar_equal(&a, &c));
    struct rn_scalar parsed;
    assert_ok(rn_scalar_parse(a.bytes, false, &parsed, NULL));
}

static void invert_zero(void)
{
    struct rn_scalar zero;
    rn_scalar_from_u64(0, &zero);
    rn_scalar_invert(&zero, &zero);
}
static void point_of_zero(void)
{
    struct rn_scalar zero;
    struct rn_point point;
    rn_scalar_from_u64(0, &zero);
    rn_point_of_scalar(&zero, &point);
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(invert_zero);
    assert_aborts(point_of_zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiples_of_the_generator), cmocka_unit_test(bad_points_are_refused),
        cmocka_unit_test(points_have_one_encoding),   cmocka_unit_test(agreement),
        cmocka_unit_test(scalars_are_canonical),      cmocka_unit_test(arithmetic),
        cmocka_unit_test(drawing_is_deterministic),   cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
