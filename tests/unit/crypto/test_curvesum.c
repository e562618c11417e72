/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over public elements against libsodium's, and the field below them: what decodes, what comes
 * out, that torsion changes nothing, and values at the limits of their limbs.
 */
#include "crypto/curvesum.h"
#include "tests/unit/crypto/ristrettovectors.h"
#include "tests/unit/crypto/vectors.h"

#define LIMB ((UINT64_C(1) << 51) - 1)
#define LOOSE ((UINT64_C(1) << 55) - 1)

static struct rn_stream stream;

static struct rn_field drawn(uint64_t largest)
{
    struct rn_field out;
    rn_stream_read(&stream, out.v, sizeof out.v);
    for (unsigned k = 0; k < 5; k++) {
        out.v[k] &= largest;
    }
    return out;
}

/* The same value, with limbs below 2^51. */
static struct rn_field settled(const struct rn_field *a)
{
    uint8_t bytes[RN_FIELD_BYTES];
    struct rn_field out;
    rn_field_write(a, bytes);
    rn_field_parse(bytes, &out);
    return out;
}

static const struct rn_field edges[] = {
    {{0}},
    {{1}},
    {{LIMB - 18, LIMB, LIMB, LIMB, LIMB}}, /* p */
    {{LIMB - 19, LIMB, LIMB, LIMB, LIMB}}, /* p - 1 */
    {{LIMB, LIMB, LIMB, LIMB, LIMB}},      /* p + 18 */
    {{LIMB + (1 << 16), LIMB + (1 << 16), LIMB + (1 << 16), LIMB + (1 << 16), LIMB + (1 << 16)}},
    {{LOOSE, LOOSE, LOOSE, LOOSE, LOOSE}},
    {{LOOSE, 0, 0, 0, LOOSE}},
    {{0, 0, 0, 0, LOOSE}},
};
#define EDGES RN_ARRAY_LENGTH(edges)

static void check_pair(const struct rn_field *a, const struct rn_field *b)
{
    const struct rn_field x = settled(a);
    const struct rn_field y = settled(b);
    struct rn_field left, right, part;
    rn_field_mul(a, b, &left);
    rn_field_mul(&x, &y, &right);
    assert_true(rn_field_equal(&left, &right));
    for (unsigned k = 0; k < 5; k++) {
        assert_true(left.v[k] <= LIMB + (1 << 16));
    }
    rn_field_add(&x, &y, &left); /* (x + y)^2 - x^2 - y^2 = 2 x y, and (x - y)(x + y) = x^2 - y^2 */
    rn_field_square(&left, &part);
    rn_field_square(a, &left);
    rn_field_sub(&part, &left, &part);
    rn_field_square(b, &left);
    rn_field_sub(&part, &left, &part);
    rn_field_add(&right, &right, &right);
    assert_true(rn_field_equal(&part, &right));
    rn_field_add(&x, &y, &left);
    rn_field_sub(&x, &y, &part);
    rn_field_mul(&left, &part, &left);
    rn_field_square(&x, &part);
    rn_field_square(&y, &right);
    rn_field_sub(&part, &right, &part);
    assert_true(rn_field_equal(&left, &part));
}

static void limbs_at_their_limits(void **state)
{
    (void)state;
    static const uint8_t zero[RN_FIELD_BYTES] = {0};
    uint8_t bytes[RN_FIELD_BYTES];
    for (size_t i = 0; i < EDGES; i++) {
        for (size_t j = 0; j < EDGES; j++) {
            check_pair(&edges[i], &edges[j]);
        }
        const struct rn_field other = drawn(LOOSE);
        check_pair(&edges[i], &other);
    }
    rn_field_write(&edges[2], bytes);
    assert_memory_equal(bytes, zero, sizeof bytes);
    rn_field_write(&edges[4], bytes);
    assert_int_equal(bytes[0], 18);
    assert_memory_equal(bytes + 1, zero, sizeof bytes - 1);
    assert_false(rn_field_is_negative(&edges[2]));
    assert_true(rn_field_is_zero(&edges[2]));
    struct rn_field minus = edges[1];
    rn_field_absolute(&minus); /* 1 is negative: p - 1 */
    assert_true(rn_field_equal(&minus, &edges[3]));
}

static void roots(void **state)
{
    (void)state;
    struct rn_field out, t;
    unsigned squares = 0;
    for (unsigned k = 0; k < 100; k++) {
        const struct rn_field a = drawn(LOOSE);
        const bool square = rn_field_inverse_root(&a, &out);
        assert_false(rn_field_is_negative(&out));
        rn_field_square(&out, &t);
        rn_field_mul(&t, &a, &t);
        assert_int_equal(square, rn_field_equal(&t, &edges[1]));
        rn_field_square(&t, &t); /* 1, or sqrt(-1)^2 */
        assert_true(rn_field_equal(&t, square ? &edges[1] : &edges[3]));
        squares += square;
    }
    assert_in_range(squares, 25, 75);
    assert_false(rn_field_inverse_root(&edges[0], &out));
    assert_true(rn_field_is_zero(&out));
}

static struct rn_point draw_point(void)
{
    struct rn_scalar scalar;
    struct rn_point out;
    rn_scalar_draw(&stream, &scalar);
    rn_point_of_scalar(&scalar, &out);
    return out;
}

static struct rn_curve_point decoded(const struct rn_point *point)
{
    struct rn_curve_point out;
    assert_true(rn_curve_decode(point->bytes, &out));
    return out;
}

static void assert_encodes(const struct rn_curve_point *a, const struct rn_point *wanted)
{
    struct rn_point out;
    rn_curve_encode(a, &out);
    assert_memory_equal(out.bytes, wanted->bytes, RN_POINT_BYTES);
}

/* case 26 */
static void what_decodes(void **state)
{
    (void)state;
    struct rn_point point;
    struct rn_curve_point out;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(multiples); k++) {
        (void)from_hex(point.bytes, multiples[k]);
        out = decoded(&point);
        assert_encodes(&out, &point);
        point.bytes[RN_POINT_BYTES - 1] |= 0x80;
        assert_false(rn_curve_decode(point.bytes, &out));
    }
    for (size_t k = 0; k < RN_ARRAY_LENGTH(refused); k++) {
        (void)from_hex(point.bytes, refused[k]); /* the first is the identity */
        assert_int_equal(rn_curve_decode(point.bytes, &out), k == 0);
    }
    unsigned taken = 0;
    for (unsigned k = 0; k < 2000; k++) {
        rn_stream_read(&stream, point.bytes, sizeof point.bytes);
        point.bytes[RN_POINT_BYTES - 1] &= k % 7 == 0 ? 0xff : 0x7f;
        point.bytes[0] &= k % 5 == 0 ? 0xff : 0xfe;
        struct rn_point parsed;
        const bool good = rn_is_ok(rn_point_parse(point.bytes, &parsed, NULL));
        assert_int_equal(rn_curve_decode(point.bytes, &out), good);
        taken += good;
    }
    assert_in_range(taken, 200, 1000);
}

/* Sums, among them with the identity, with itself and with the opposite. */
static void sums_are_libsodiums(void **state)
{
    (void)state;
    const struct rn_point zero = {{0}};
    struct rn_scalar minus, one;
    struct rn_point wanted;
    rn_scalar_from_u64(0, &minus);
    rn_scalar_from_u64(1, &one);
    rn_scalar_sub(&minus, &one, &minus);
    for (unsigned k = 0; k < 50; k++) {
        const struct rn_point p = draw_point();
        struct rn_point others[] = {draw_point(), p, zero, {{0}}};
        assert_ok(rn_point_multiply(&minus, &p, &others[3], NULL));
        for (unsigned m = 0; m < RN_ARRAY_LENGTH(others); m++) {
            struct rn_curve_point a = decoded(&p);
            const struct rn_curve_point b = decoded(&others[m]);
            rn_curve_add(&a, &b, &a);
            assert_ok(rn_point_add(&p, &others[m], &wanted, NULL));
            assert_encodes(&a, &wanted);
            rn_curve_add(&a, &b, &a); /* Z is not 1 now */
            assert_ok(rn_point_add(&wanted, &others[m], &wanted, NULL));
            assert_encodes(&a, &wanted);
        }
    }
}

static void multiples_are_libsodiums(void **state)
{
    (void)state;
    static const uint32_t factors[] = {1, 2, 3, 4, 7, 1023, 1024, 1025, 1u << 20, UINT32_MAX};
    const struct rn_point p = draw_point();
    const struct rn_point zero = {{0}};
    struct rn_curve_point a = decoded(&p);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(factors); k++) {
        struct rn_scalar factor;
        struct rn_point wanted;
        struct rn_curve_point out;
        rn_scalar_from_u64(factors[k], &factor);
        assert_ok(rn_point_multiply(&factor, &p, &wanted, NULL));
        rn_curve_times(&a, factors[k], &out);
        assert_encodes(&out, &wanted);
        const struct rn_curve_point none = decoded(&zero);
        rn_curve_times(&none, factors[k], &out);
        assert_encodes(&out, &zero);
    }
    rn_curve_times(&a, 0, &a);
    assert_encodes(&a, &zero);
}

/* Whatever points of the curve stand for two elements, their sum stands for the elements' sum. */
static void torsion_changes_nothing(void **state)
{
    (void)state;
    struct rn_field root; /* of -1: 1 / sqrt(-1), up to its sign */
    assert_true(rn_field_inverse_root(&edges[3], &root));
    struct rn_curve_point turns[4];
    for (unsigned k = 0; k < 4; k++) {
        rn_curve_identity(&turns[k]);
    }
    turns[1].y = edges[3]; /* (0, -1) */
    turns[2].y = turns[3].y = edges[0];
    turns[2].x = root; /* (i, 0), (-i, 0) */
    rn_field_sub(&edges[0], &root, &turns[3].x);
    turns[3].x = settled(&turns[3].x);
    for (unsigned k = 0; k < 16; k++) {
        const struct rn_point p = draw_point();
        const struct rn_point q = draw_point();
        struct rn_point wanted;
        struct rn_curve_point a = decoded(&p);
        struct rn_curve_point b = decoded(&q);
        rn_curve_add(&a, &turns[k % 4], &a);
        assert_encodes(&a, &p);
        rn_curve_add(&b, &turns[k / 4], &b);
        assert_encodes(&b, &q);
        rn_curve_add(&a, &b, &a);
        assert_ok(rn_point_add(&p, &q, &wanted, NULL));
        assert_encodes(&a, &wanted);
    }
}

int main(void)
{
    const struct rn_secret32 key = key_of(91);
    rn_stream_init(&stream, &key);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limbs_at_their_limits),
        cmocka_unit_test(roots),
        cmocka_unit_test(what_decodes),
        cmocka_unit_test(sums_are_libsodiums),
        cmocka_unit_test(multiples_are_libsodiums),
        cmocka_unit_test(torsion_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
