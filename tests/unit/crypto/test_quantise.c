/* SPDX-License-Identifier: Apache-2.0
 *
 * The quantiser: exact where the header says exact, unbiased elsewhere, the same for any split, and
 * its mean formula against exact integer arithmetic.
 */
#include "crypto/maskstream.h"
#include "crypto/quantise.h"
#include "crypto/random.h"
#include "tests/unit/crypto/vectors.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const struct rn_quantiser q16 = {16, -3}; /* c = 1/8 */

static uint32_t one(const struct rn_quantiser *quantiser, float x, unsigned fill)
{
    const struct rn_secret32 key = key_of(fill);
    uint32_t out = 0;
    assert_ok(rn_quantise_u32(quantiser, &key, &x, 0, 1, &out, NULL, NULL));
    return out;
}

static void parameters(void **state)
{
    (void)state;
    assert_ok(rn_quantiser_check(&q16, NULL));
    assert_int_equal(rn_quantiser_zero(&q16), 32767);
    assert_int_equal(rn_quantiser_largest(&q16), 65534);
    assert_true(rn_quantiser_scale(&q16) == 0.125);
    assert_true(rn_quantiser_step(&q16) == 0.125 / 32767);
    static const struct rn_quantiser good[] = {{RN_QUANTISE_BITS_MIN, 0},
                                               {RN_QUANTISE_BITS_MAX, 0},
                                               {16, RN_QUANTISE_EXPONENT_MIN},
                                               {16, RN_QUANTISE_EXPONENT_MAX}};
    static const struct rn_quantiser bad[] = {{RN_QUANTISE_BITS_MIN - 1, 0},
                                              {RN_QUANTISE_BITS_MAX + 1, 0},
                                              {0, 0},
                                              {16, RN_QUANTISE_EXPONENT_MIN - 1},
                                              {16, RN_QUANTISE_EXPONENT_MAX + 1}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(good); k++) {
        assert_ok(rn_quantiser_check(&good[k], NULL));
    }
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        assert_code(rn_quantiser_check(&bad[k], NULL), RN_E_CONFIG);
    }
}

static void scales_are_powers_of_two(void **state)
{
    (void)state;
    int32_t exponent = 99;
    assert_ok(rn_quantiser_exponent(0.125, &exponent, NULL));
    assert_int_equal(exponent, -3);
    assert_ok(rn_quantiser_exponent(1.0, &exponent, NULL));
    assert_int_equal(exponent, 0);
    assert_ok(rn_quantiser_exponent(0x1p64, &exponent, NULL));
    assert_int_equal(exponent, 64);
    assert_ok(rn_quantiser_exponent(0x1p-64, &exponent, NULL));
    assert_int_equal(exponent, -64);
    const double bad[] = {0.1,    3,       0,        -0.125, (double)NAN, (double)INFINITY,
                          0x1p65, 0x1p-65, 0x1p-1074};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        assert_code(rn_quantiser_exponent(bad[k], &exponent, NULL), RN_E_CONFIG);
    }
}

/* case 29. Whatever the random words are. */
static void grid_values_are_exact(void **state)
{
    (void)state;
    for (unsigned bits = RN_QUANTISE_BITS_MIN; bits <= RN_QUANTISE_BITS_MAX; bits++) {
        for (int32_t exponent = -20; exponent <= 20; exponent += 5) {
            const struct rn_quantiser quantiser = {bits, exponent};
            const uint32_t zero = rn_quantiser_zero(&quantiser);
            const float scale = ldexpf(1.0f, exponent);
            for (unsigned fill = 0; fill < 8; fill++) {
                assert_int_equal(one(&quantiser, 0.0f, fill), zero);
                assert_int_equal(one(&quantiser, -0.0f, fill), zero);
                assert_int_equal(one(&quantiser, scale, fill), 2 * zero);
                assert_int_equal(one(&quantiser, -scale, fill), 0);
                assert_int_equal(one(&quantiser, FLT_MAX, fill), 2 * zero);
                assert_int_equal(one(&quantiser, -FLT_MAX, fill), 0);
                assert_int_equal(one(&quantiser, nextafterf(scale, INFINITY), fill), 2 * zero);
            }
        }
    }
}

static void neighbours_only(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(1);
    float values[4096];
    uint32_t out[4096];
    for (unsigned k = 0; k < 4096; k++) {
        values[k] = ((float)k - 2048.0f) / 16384.0f * 1.001f;
    }
    uint64_t clipped = 5;
    assert_ok(rn_quantise_u32(&q16, &key, values, 0, 4096, out, &clipped, NULL));
    uint64_t beyond = 5; /* the count is added to */
    for (unsigned k = 0; k < 4096; k++) {
        const double y = (double)values[k] * 32767.0 * 8.0;
        const double u = (double)out[k] - 32767.0;
        beyond += fabsf(values[k]) > 0.125f;
        assert_true(out[k] <= 65534);
        assert_true(fabs(u - fmax(-32767.0, fmin(32767.0, y))) < 1.0);
    }
    assert_true(clipped == beyond);
    uint64_t looked = 5; /* the same count, of every kind of range */
    assert_ok(rn_quantise_look(&q16, values, 0, 1001, &looked, NULL));
    assert_ok(rn_quantise_look(&q16, values + 1001, 1001, 3095, &looked, NULL));
    assert_true(looked == beyond);
    assert_true(clipped > 5);
}

/* case 29 */
static void tiny_values_round_to_neighbours(void **state)
{
    (void)state;
    const float tiny[] = {FLT_MIN, -FLT_MIN, 0x1p-149f, -0x1p-149f};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(tiny); k++) {
        for (unsigned fill = 0; fill < 20; fill++) {
            assert_int_equal(one(&q16, tiny[k], fill), 32767); /* another has chance 2^-100 */
        }
    }
}

/* case 37. Unbiased within 5 sigma over 1e7 draws in all; the variance of one draw is f (1 - f). */
static void rounding_is_unbiased(void **state)
{
    (void)state;
    enum { DRAWS = 625000 };
    static float values[DRAWS];
    static uint32_t out[DRAWS];
    static const double fractions[] = {0.5, 0.25, 0.75, 0.1, 0.9, 0.001, 0.999, 0.3333};
    const struct rn_quantiser quantiser = {12, 2}; /* step 4 / 2047 */
    for (size_t f = 0; f < RN_ARRAY_LENGTH(fractions); f++) {
        for (int sign = -1; sign <= 1; sign += 2) {
            const float x = (float)(sign * (17 + fractions[f]) * rn_quantiser_step(&quantiser));
            const double y = (double)x * 2047.0 / 4.0;
            const struct rn_secret32 key = key_of((unsigned)(40 + 2 * f + (sign > 0)));
            for (size_t k = 0; k < DRAWS; k++) {
                values[k] = x;
            }
            assert_ok(rn_quantise_u32(&quantiser, &key, values, 0, DRAWS, out, NULL, NULL));
            double sum = 0;
            double squares = 0;
            for (size_t k = 0; k < DRAWS; k++) {
                const double error = (double)out[k] - 2047.0 - y;
                sum += error;
                squares += error * error;
            }
            const double variance = (y - floor(y)) * (1 - (y - floor(y)));
            assert_true(fabs(sum / DRAWS) < 5 * sqrt(variance / DRAWS));
            assert_true(fabs(squares / DRAWS - variance) < 5 * sqrt(0.25 / DRAWS));
        }
    }
}

/* case 37: the same key gives the same integers for any split. */
static void any_split_gives_the_same(void **state)
{
    (void)state;
    enum { LENGTH = 2000 };
    const struct rn_secret32 key = key_of(8);
    const struct rn_secret32 other = key_of(9);
    float values[LENGTH];
    uint32_t whole[LENGTH];
    uint32_t part[LENGTH];
    uint64_t wide[LENGTH];
    for (unsigned k = 0; k < LENGTH; k++) {
        values[k] = sinf((float)k) * 0.1f;
    }
    assert_ok(rn_quantise_u32(&q16, &key, values, 1000, LENGTH, whole, NULL, NULL));
    assert_ok(rn_quantise_u64(&q16, &key, values, 1000, LENGTH, wide, NULL, NULL));
    for (unsigned k = 0; k < LENGTH; k++) {
        assert_true(whole[k] == wide[k]);
    }
    static const size_t pieces[] = {1, 7, 511, 512, 513, 1999};
    for (size_t p = 0; p < RN_ARRAY_LENGTH(pieces); p++) {
        for (size_t at = 0; at < LENGTH; at += pieces[p]) {
            const size_t count = LENGTH - at < pieces[p] ? LENGTH - at : pieces[p];
            assert_ok(
                rn_quantise_u32(&q16, &key, values + at, 1000 + at, count, part + at, NULL, NULL));
        }
        assert_memory_equal(part, whole, sizeof(whole));
    }
    assert_ok(rn_quantise_u32(&q16, &other, values, 1000, LENGTH, part, NULL, NULL));
    assert_memory_not_equal(part, whole, sizeof(whole));
    assert_ok(rn_quantise_u32(&q16, &key, values, 1001, LENGTH, part, NULL, NULL));
    assert_memory_not_equal(part, whole, sizeof(whole));
    assert_ok(rn_quantise_u32(&q16, &key, NULL, 0, 0, NULL, NULL, NULL)); /* empty tensor */
}

/* case 37: the definition in the header, one element after the other. */
static uint32_t defined(const struct rn_quantiser *quantiser, float x, uint64_t word)
{
    const double zero = (double)rn_quantiser_zero(quantiser);
    const double clipped =
        fmin(fmax((double)x * (zero / rn_quantiser_scale(quantiser)), -zero), zero);
    const double uniform = (double)(int64_t)(word >> 11) * 0x1p-53;
    const double up = uniform < clipped - floor(clipped) ? 1.0 : 0.0;
    return (uint32_t)(floor(clipped) + up + zero);
}

static void every_element_as_defined(void **state)
{
    (void)state;
    enum { LENGTH = 10007 };
    static float values[LENGTH];
    static uint32_t out[LENGTH];
    static uint64_t words[LENGTH];
    for (unsigned bits = RN_QUANTISE_BITS_MIN; bits <= RN_QUANTISE_BITS_MAX; bits++) {
        const struct rn_quantiser quantiser = {bits, (int32_t)bits - 16};
        const struct rn_secret32 key = key_of(bits);
        struct rn_stream stream;
        rn_stream_init(&stream, &key);
        rn_stream_words(&stream, words, LENGTH);
        for (unsigned k = 0; k < LENGTH; k++) {
            const double part = (double)(int32_t)((k + bits) * 2654435761u) * 0x1p-31;
            values[k] = (float)(1.05 * part * rn_quantiser_scale(&quantiser));
        }
        assert_ok(rn_quantise_u32(&quantiser, &key, values, 0, LENGTH, out, NULL, NULL));
        for (unsigned k = 0; k < LENGTH; k++) {
            assert_int_equal(out[k], defined(&quantiser, values[k], words[k]));
        }
    }
}

/* case 37: what a peer knows of a mask says nothing about the rounding, even under one key. */
static void rounding_is_no_mask_stream(void **state)
{
    (void)state;
    enum { LENGTH = 100000 };
    static float values[LENGTH];
    static uint32_t rounded[LENGTH];
    static uint64_t mask[LENGTH];
    const struct rn_secret32 key = key_of(1);
    for (unsigned k = 0; k < LENGTH; k++) {
        values[k] = (float)(0.5 * rn_quantiser_step(&q16)); /* up or down with equal chance */
    }
    assert_ok(rn_quantise_u32(&q16, &key, values, 0, LENGTH, rounded, NULL, NULL));
    assert_ok(rn_mask_add_u64(mask, 0, LENGTH, &key, 1, NULL));
    for (unsigned bit = 0; bit < 64; bit++) {
        int agree = 0;
        for (unsigned k = 0; k < LENGTH; k++) {
            agree += (rounded[k] & 1) == (mask[k] >> bit & 1) ? 1 : -1;
        }
        assert_true(abs(agree) < 5 * sqrt(LENGTH));
    }
}

/* case 29 */
static void not_finite_is_refused(void **state)
{
    (void)state;
    const struct rn_secret32 key = key_of(1);
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        for (size_t place = 0; place < 700; place += 233) {
            float values[700] = {0};
            uint32_t out[700] = {0};
            uint64_t clipped = 0;
            struct rn_error err = {""};
            char index[32];
            values[place] = bad[k];
            assert_code(rn_quantise_u32(&q16, &key, values, 1000, 700, out, &clipped, &err),
                        RN_E_ROUND_NUMERIC);
            assert_code(rn_quantise_look(&q16, values, 1000, 700, &clipped, NULL),
                        RN_E_ROUND_NUMERIC);
            (void)rn_text_format(index, sizeof(index), "element %zu ", 1000 + place);
            assert_non_null(strstr(err.text, index));
            assert_true(rn_secret_is_zero(out, sizeof(out)));
            assert_true(clipped == 0);
        }
    }
}

static void mean_is_the_formula(void **state)
{
    (void)state;
    const uint64_t n = 10;
    const uint64_t zero = 32767;
    const uint64_t sums[] = {0, n * zero, 2 * n * zero, n * zero + 1, n * zero - 1, 123456, 654321};
    float out[RN_ARRAY_LENGTH(sums)];
    assert_ok(rn_quantise_mean(&q16, sums, RN_ARRAY_LENGTH(sums), n, out, NULL));
    assert_true(out[0] == -0.125f);
    assert_true(out[1] == 0.0f && !signbit(out[1]));
    assert_true(out[2] == 0.125f);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sums); k++) {
        const double centred = (double)sums[k] - (double)(n * zero);
        assert_true(out[k] == (float)(centred * 0.125 / 327670.0));
    }
}

static void mean_of_grid_points_is_exact(void **state)
{
    (void)state;
    for (unsigned bits = RN_QUANTISE_BITS_MIN; bits <= RN_QUANTISE_BITS_MAX; bits++) {
        const struct rn_quantiser quantiser = {bits, 5};
        const uint64_t zero = rn_quantiser_zero(&quantiser);
        const uint64_t most = (RN_QUANTISE_SUM_MAX - 1) / (2 * zero + 1);
        const uint64_t weights[] = {1, 2, 3, 1000, most};
        for (size_t w = 0; w < RN_ARRAY_LENGTH(weights); w++) {
            const uint64_t n = weights[w];
            if (n > most) {
                continue;
            }
            const uint64_t sums[3] = {0, n * zero, 2 * n * zero};
            float out[3];
            assert_ok(rn_quantise_mean(&quantiser, sums, 3, n, out, NULL));
            assert_true(out[0] == -32.0f && out[1] == 0.0f && out[2] == 32.0f);
        }
    }
}

static void mean_refusals(void **state)
{
    (void)state;
    float out[2] = {7, 7};
    const uint64_t good[2] = {0, 3 * 65534};
    const uint64_t bad[2] = {0, 3 * 65534 + 1};
    const uint64_t huge[1] = {UINT64_MAX};
    assert_ok(rn_quantise_mean(&q16, good, 2, 3, out, NULL));
    out[0] = out[1] = 7;
    assert_code(rn_quantise_mean(&q16, bad, 2, 3, out, NULL), RN_E_ROUND_SUM);
    assert_true(out[0] == 7.0f && out[1] == 7.0f);
    assert_code(rn_quantise_mean(&q16, huge, 1, 3, out, NULL), RN_E_ROUND_SUM);
    assert_code(rn_quantise_mean(&q16, good, 2, 0, out, NULL), RN_E_ROUND_NUMERIC);
    const uint64_t most = (RN_QUANTISE_SUM_MAX - 1) / 65535;
    assert_ok(rn_quantise_mean(&q16, good, 2, most, out, NULL));
    assert_code(rn_quantise_mean(&q16, good, 2, most + 1, out, NULL), RN_E_CONFIG);
    assert_code(rn_quantise_mean(&q16, good, 2, UINT64_MAX, out, NULL), RN_E_CONFIG);
}

/* The error of the mean over n members is below one step, and its deviation below
 * step / (2 sqrt n). */
static void mean_of_members_is_close(void **state)
{
    (void)state;
    enum { MEMBERS = 10, LENGTH = 20000 };
    static float values[LENGTH];
    static uint32_t rounded[LENGTH];
    static uint64_t sums[LENGTH];
    static double exact[LENGTH];
    static float mean[LENGTH];
    for (unsigned m = 0; m < MEMBERS; m++) {
        const struct rn_secret32 key = key_of(m);
        for (unsigned k = 0; k < LENGTH; k++) {
            values[k] = 0.12f * sinf((float)(k * 7 + m * 31));
            exact[k] += (double)values[k] / MEMBERS;
        }
        assert_ok(rn_quantise_u32(&q16, &key, values, 0, LENGTH, rounded, NULL, NULL));
        for (unsigned k = 0; k < LENGTH; k++) {
            sums[k] += rounded[k];
        }
    }
    assert_ok(rn_quantise_mean(&q16, sums, LENGTH, MEMBERS, mean, NULL));
    const double step = rn_quantiser_step(&q16);
    double squares = 0;
    for (unsigned k = 0; k < LENGTH; k++) {
        const double error = (double)mean[k] - exact[k];
        assert_true(fabs(error) < step);
        squares += error * error;
    }
    assert_true(sqrt(squares / LENGTH) < step / (2 * sqrt((double)MEMBERS)));
}

static void invalid_quantiser(void)
{
    const struct rn_quantiser quantiser = {31, 0};
    const struct rn_secret32 key = key_of(1);
    const float x = 0;
    uint32_t out = 0;
    (void)!rn_is_ok(rn_quantise_u32(&quantiser, &key, &x, 0, 1, &out, NULL, NULL));
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(invalid_quantiser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters),
        cmocka_unit_test(scales_are_powers_of_two),
        cmocka_unit_test(grid_values_are_exact),
        cmocka_unit_test(neighbours_only),
        cmocka_unit_test(tiny_values_round_to_neighbours),
        cmocka_unit_test(rounding_is_unbiased),
        cmocka_unit_test(any_split_gives_the_same),
        cmocka_unit_test(every_element_as_defined),
        cmocka_unit_test(rounding_is_no_mask_stream),
        cmocka_unit_test(not_finite_is_refused),
        cmocka_unit_test(mean_is_the_formula),
        cmocka_unit_test(mean_of_grid_points_is_exact),
        cmocka_unit_test(mean_refusals),
        cmocka_unit_test(mean_of_members_is_close),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
