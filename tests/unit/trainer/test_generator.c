/* SPDX-License-Identifier: Apache-2.0
 *
 * The counter-based generator: known answers of Philox4x32-10 (Random123's kat_vectors), pinned
 * values of the distributions, orthonormal rows, permutations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "trainer/ground/generator.h"

static void philox_known_answers(void **state)
{
    (void)state;
    uint32_t out[4];
    const struct rn_generator zero = {0, 0};
    rn_generator_words(&zero, 0, 0, out);
    const uint32_t expected0[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    assert_memory_equal(out, expected0, sizeof(out));
    const struct rn_generator ones = {UINT64_MAX, UINT64_MAX};
    rn_generator_words(&ones, UINT64_MAX, 0, out);
    const uint32_t expected1[4] = {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu};
    assert_memory_equal(out, expected1, sizeof(out));
    const struct rn_generator pi = {0x299f31d0a4093822u, 0x0370734413198a2eu};
    rn_generator_words(&pi, 0x85a308d3243f6a88u, 0, out);
    const uint32_t expected2[4] = {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u};
    assert_memory_equal(out, expected2, sizeof(out));
}

static void streams_and_seeds_differ(void **state)
{
    (void)state;
    float a[8];
    float b[8];
    const struct rn_generator one = rn_generator_of(1, "x");
    const struct rn_generator seed = rn_generator_of(2, "x");
    const struct rn_generator stream = rn_generator_of(1, "y");
    rn_generator_uniform(&one, 1.0, 8, a);
    rn_generator_uniform(&seed, 1.0, 8, b);
    assert_memory_not_equal(a, b, sizeof(a));
    rn_generator_uniform(&stream, 1.0, 8, b);
    assert_memory_not_equal(a, b, sizeof(a));
}

static void moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    float *x = rn_alloc(N, sizeof(float));
    const struct rn_generator generator = rn_generator_of(3, "moments");
    double mean = 0.0;
    double square = 0.0;
    rn_generator_uniform(&generator, 0.5, N, x);
    for (size_t i = 0; i < N; i++) {
        assert_true(x[i] >= -0.5f && x[i] <= 0.5f);
        mean += (double)x[i] / N;
        square += (double)x[i] * (double)x[i] / N;
    }
    assert_true(fabs(mean) < 0.005 && fabs(square - 1.0 / 12.0) < 0.002);
    rn_generator_normal(&generator, 2.0, N, x);
    double fourth = 0.0;
    mean = 0.0;
    square = 0.0;
    for (size_t i = 0; i < N; i++) {
        mean += (double)x[i] / N;
        square += (double)x[i] * (double)x[i] / N;
        fourth += pow((double)x[i], 4.0) / N;
    }
    assert_true(fabs(mean) < 0.03 && fabs(square - 4.0) < 0.1 && fabs(fourth - 48.0) < 3.0);
    rn_free(x);
}

/* All sites must make the same adapter: these bits are part of the format. */
static void bits_are_pinned(void **state)
{
    (void)state;
    float x[6];
    const struct rn_generator generator = rn_generator_of(42, "pinned");
    rn_generator_uniform(&generator, 0.25, 3, x);
    rn_generator_normal(&generator, 0.02, 3, x + 3);
    uint32_t bits[6];
    memcpy(bits, x, sizeof(bits));
    const uint32_t expected[6] = {0x3df59e88u, 0xbd544238u, 0xbcb724f0u,
                                  0xbcc84a06u, 0x3b067eaeu, 0x3cb52054u};
    assert_memory_equal(bits, expected, sizeof(bits));
}

static void rows_are_orthonormal(void **state)
{
    (void)state;
    enum { ROWS = 7, COLS = 7 };
    float x[ROWS * COLS];
    const struct rn_generator generator = rn_generator_of(4, "rows");
    rn_generator_orthonormal(&generator, ROWS, COLS, x);
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < ROWS; j++) {
            double s = 0.0;
            for (int c = 0; c < COLS; c++) {
                s += (double)x[i * COLS + c] * (double)x[j * COLS + c];
            }
            assert_true(fabs(s - (i == j ? 1.0 : 0.0)) < 1e-6);
        }
    }
}

static void permutations(void **state)
{
    (void)state;
    uint32_t first_places[5] = {0};
    for (uint32_t seed = 0; seed < 5000; seed++) {
        uint32_t order[5];
        bool seen[5] = {false};
        const struct rn_generator generator = rn_generator_of(seed, "order");
        rn_generator_permutation(&generator, 5, order);
        for (int i = 0; i < 5; i++) {
            assert_true(order[i] < 5 && !seen[order[i]]);
            seen[order[i]] = true;
        }
        first_places[order[0]]++;
    }
    for (int i = 0; i < 5; i++) {
        assert_true(first_places[i] > 850 && first_places[i] < 1150);
    }
    uint32_t one = 7;
    const struct rn_generator generator = rn_generator_of(0, "order");
    rn_generator_permutation(&generator, 1, &one);
    assert_int_equal(one, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(streams_and_seeds_differ),
        cmocka_unit_test(moments),
        cmocka_unit_test(bits_are_pinned),
        cmocka_unit_test(rows_are_orthonormal),
        cmocka_unit_test(permutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
