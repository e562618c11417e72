/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounded Gaussian noise: cells against exact probabilities at deviations where rounding shows,
 * moments and tails at 2^20, the fast way against the definition, words chosen to stand at an edge,
 * a draw as a function of (key, index). Fixed keys; gates at p = 1e-6 or rarer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/noise.h"

static struct rn_secret32 key_of(uint8_t byte)
{
    struct rn_secret32 key;
    memset(key.bytes, byte, sizeof(key.bytes));
    return key;
}

static void draw(uint8_t key_byte, size_t n, double deviation, int64_t *out)
{
    const struct rn_secret32 key = key_of(key_byte);
    RN_CLEANUP(rn_noise_clear) struct rn_noise noise;
    rn_noise_init(&noise, &key);
    rn_noise_draw(&noise, n, deviation, out);
}

static double upper_tail(double z)
{
    return 0.5 * erfc(z * sqrt(0.5));
}

/* Wilson and Hilferty: the normal deviate of a chi-square value. */
static double chi_deviate(double chi, double freedom)
{
    const double spread = 2.0 / (9.0 * freedom);
    return (cbrt(chi / freedom) - (1.0 - spread)) / sqrt(spread);
}

/* case 39; privacy case 20 */
static void cells_have_their_probabilities(void **state)
{
    (void)state;
    static const double deviations[] = {0.5, 0.7, 1.0, 1.3, 2.0, 3.3, 5.0};
    enum { N = 2000000, REACH = 60 };
    int64_t *x = rn_alloc(N, sizeof(*x));
    for (size_t d = 0; d < RN_ARRAY_LENGTH(deviations); d++) {
        const double s = deviations[d];
        double seen[2 * REACH + 1] = {0};
        draw((uint8_t)(d + 1), N, s, x);
        for (size_t i = 0; i < N; i++) {
            assert_true(x[i] >= -REACH && x[i] <= REACH);
            seen[x[i] + REACH] += 1.0;
        }
        double chi = 0.0;
        double cells = 0.0;
        double rest_seen = 0.0;
        double rest = 0.0;
        for (int k = -REACH; k <= REACH; k++) {
            const double want =
                N * (upper_tail((abs(k) - 0.5) / s) - upper_tail((abs(k) + 0.5) / s));
            if (want < 20.0) { /* small cells together */
                rest += want;
                rest_seen += seen[k + REACH];
                continue;
            }
            chi += pow(seen[k + REACH] - want, 2.0) / want;
            cells += 1.0;
        }
        chi += rest > 1.0 ? pow(rest_seen - rest, 2.0) / rest : 0.0;
        assert_true(fabs(chi_deviate(chi, cells - (rest > 1.0 ? 0.0 : 1.0))) < 5.0);
    }
    rn_free(x);
}

/* case 39; privacy case 19. At the grid's usual deviation: mean, variance, skewness, kurtosis,
 * 4-sigma tails, neighbours, low bits. */
static void moments_and_tails(void **state)
{
    (void)state;
    const double n = 10000000.0;
    const double s = 0x1p20 * 1.1;
    int64_t *x = rn_alloc((size_t)n, sizeof(*x));
    double m[5] = {0};
    double far = 0.0;
    double together = 0.0;
    double bits[8] = {0};
    draw(77, (size_t)n, s, x);
    for (size_t i = 0; i < (size_t)n; i++) {
        const double z = (double)x[i] / s;
        double power = 1.0;
        for (int k = 1; k <= 4; k++) {
            power *= z;
            m[k] += power;
        }
        far += fabs(z) > 4.0;
        together += i > 0 ? z * ((double)x[i - 1] / s) : 0.0;
        for (int b = 0; b < 8; b++) {
            bits[b] += (double)((uint64_t)x[i] >> b & 1);
        }
    }
    assert_true(fabs(m[1]) < 5.0 * sqrt(n));
    assert_true(fabs(m[2] - n) < 5.0 * sqrt(2.0 * n)); /* the deviation within 0.06 % */
    assert_true(fabs(m[3]) < 5.0 * sqrt(15.0 * n));
    assert_true(fabs(m[4] - 3.0 * n) < 5.0 * sqrt(96.0 * n));
    assert_true(fabs(together) < 5.0 * sqrt(n));
    const double want = 2.0 * upper_tail(4.0) * n;
    assert_true(fabs(far - want) < 5.0 * sqrt(want));
    for (int b = 0; b < 8; b++) { /* no holes: every low bit is a fair coin */
        assert_true(fabs(bits[b] - 0.5 * n) < 2.5 * sqrt(n));
    }
    rn_free(x);
}

/* case 39. Where the fast way answers, it is the definition's answer, whatever the second word. */
static void fast_equals_exact(void **state)
{
    (void)state;
    static const double deviations[] = {RN_NOISE_DEVIATION_MIN, 0.5, 3.0, 0x1p20, 0x1p27,
                                        RN_NOISE_DEVIATION_MAX};
    const size_t blocks = getenv("RONDO_LONG") != NULL ? 400 : 4;
    const struct rn_secret32 key = key_of(5);
    RN_CLEANUP(rn_stream_clear) struct rn_stream stream;
    rn_stream_init(&stream, &key);
    uint64_t words[RN_NOISE_BLOCK];
    int64_t fast[RN_NOISE_BLOCK];
    uint32_t hard[RN_NOISE_BLOCK];
    for (size_t d = 0; d < RN_ARRAY_LENGTH(deviations); d++) {
        for (size_t b = 0; b < blocks; b++) {
            rn_stream_words(&stream, words, RN_NOISE_BLOCK);
            for (size_t i = 0; i < RN_NOISE_BLOCK; i++) { /* the tails too */
                words[i] &=
                    ~(UINT64_MAX >> 1 >> (i % 3 == 0 ? i / 3 % 25 : 0)) | words[i] >> i % 25;
            }
            const size_t count = rn_noise_fast(words, RN_NOISE_BLOCK, deviations[d], fast, hard);
            assert_true(count < RN_NOISE_BLOCK / 2); /* the fast way answers at all */
            for (size_t i = 0, c = 0; i < RN_NOISE_BLOCK; i++) {
                if (c < count && hard[c] == i) {
                    c++;
                    continue;
                }
                assert_int_equal(fast[i], rn_noise_exact(words[i], 0, deviations[d]));
                assert_int_equal(fast[i], rn_noise_exact(words[i], UINT64_MAX, deviations[d]));
            }
        }
    }
}

/* Words on both sides of an edge, found by bisection: the fast way declines, the second word
 * decides. */
static void words_at_an_edge_are_decided_by_the_rest(void **state)
{
    (void)state;
    static const double deviations[] = {0.5, 1.0, 3.7, 1000.0, 0x1p20, 0x1p23};
    for (size_t d = 0; d < RN_ARRAY_LENGTH(deviations); d++) {
        const double s = deviations[d];
        for (int64_t k = 1; (double)k < 6.0 * s; k = k * 3 + 1) {
            /* The word at the edge between k - 1 and k, by bisection of the definition. */
            uint64_t low = 0;
            uint64_t high = UINT64_MAX >> 1;
            while (high - low > 1) {
                const uint64_t middle = low + (high - low) / 2;
                if (rn_noise_exact(middle, 0, s) >= k) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            int64_t out[2];
            uint32_t hard[RN_NOISE_BLOCK];
            const uint64_t words[2] = {low, low | UINT64_C(1) << 63};
            assert_int_equal(rn_noise_fast(words, 2, s, out, hard), 2);
            assert_int_equal(rn_noise_exact(low, 0, s), k);
            /* Below the edge at the first bit of the rest, beyond it with all of them or not: the
             * second word decides in one place. */
            uint64_t from = 0;
            uint64_t to = UINT64_MAX;
            if (rn_noise_exact(low, to, s) < k) {
                while (to - from > 1) {
                    const uint64_t middle = from + (to - from) / 2;
                    if (rn_noise_exact(low, middle, s) >= k) {
                        from = middle;
                    } else {
                        to = middle;
                    }
                }
                assert_int_equal(rn_noise_exact(low, from, s), k);
                assert_int_equal(rn_noise_exact(low, to, s), k - 1);
                assert_int_equal(rn_noise_exact(low | UINT64_C(1) << 63, to, s), 1 - k);
            }
            assert_int_equal(rn_noise_exact(low + 1, 0, s), k - 1);
        }
    }
}

static void extremes(void **state)
{
    (void)state;
    int64_t out[3];
    uint32_t hard[RN_NOISE_BLOCK];
    const uint64_t words[3] = {0, UINT64_C(1) << 63, UINT64_MAX >> 1};
    assert_true(rn_noise_fast(words, 3, 0x1p20, out, hard) == 2); /* the tail's end is hard */
    assert_int_equal(out[2], 0);
    const int64_t most = rn_noise_exact(0, 0, 0x1p20); /* P = 2^-129 */
    assert_true(most > (int64_t)(13.0 * 0x1p20) && most < (int64_t)(13.2 * 0x1p20));
    assert_int_equal(rn_noise_exact(UINT64_C(1) << 63, 0, 0x1p20), -most);
    assert_int_equal(rn_noise_exact(UINT64_MAX >> 1, UINT64_MAX, 0x1p20), 0);
    assert_int_equal(rn_noise_exact(0, 0, RN_NOISE_DEVIATION_MIN), 0);
}

/* Splitting the draws does not change them, nor which of them are hard; keys differ. */
static void a_draw_is_a_function_of_key_and_index(void **state)
{
    (void)state;
    enum { N = 5000 };
    static int64_t all[N];
    static int64_t parts[N];
    static int64_t other[N];
    const double deviations[] = {3.0, 0x1p20, RN_NOISE_DEVIATION_MAX}; /* the last: many hard */
    for (size_t d = 0; d < 3; d++) {
        draw(9, N, deviations[d], all);
        const struct rn_secret32 key = key_of(9);
        RN_CLEANUP(rn_noise_clear) struct rn_noise noise;
        rn_noise_init(&noise, &key);
        for (size_t at = 0, step = 1; at < N; at += step, step = step * 2 % 701 + 1) {
            rn_noise_draw(&noise, N - at < step ? N - at : step, deviations[d], parts + at);
        }
        assert_memory_equal(all, parts, sizeof(all));
        draw(10, N, deviations[d], other);
        size_t equal = 0;
        for (size_t i = 0; i < N; i++) {
            equal += all[i] == other[i];
        }
        assert_true(equal < (d == 0 ? N / 5 : 3));
    }
}

/* Any number of threads, before and after other draws: the same draws, and the same are next. */
static void threads_do_not_change_a_draw(void **state)
{
    (void)state;
    enum { N = 200000 };
    static const uint32_t threads[] = {0, 1, 2, 3, 7, RN_NOISE_THREADS_MAX, 1000};
    static const size_t sizes[] = {0, 1, 16383, 16384, 70001, N};
    const struct rn_secret32 key = key_of(9);
    int64_t *want = rn_alloc(N, sizeof(*want));
    int64_t *got = rn_alloc(N, sizeof(*got));
    for (size_t t = 0; t < RN_ARRAY_LENGTH(threads); t++) {
        RN_CLEANUP(rn_noise_clear) struct rn_noise alone;
        RN_CLEANUP(rn_noise_clear) struct rn_noise wide;
        rn_noise_init(&alone, &key);
        rn_noise_init(&wide, &key);
        for (size_t s = 0; s < RN_ARRAY_LENGTH(sizes); s++) {
            rn_noise_draw(&alone, sizes[s], RN_NOISE_DEVIATION_MAX, want); /* many hard ones */
            rn_noise_draw_wide(&wide, sizes[s], RN_NOISE_DEVIATION_MAX, got, threads[t]);
            assert_memory_equal(want, got, sizes[s] * sizeof(*want));
        }
    }
    rn_free(want);
    rn_free(got);
}

/* privacy case 20; tests/parity/make_noise_vectors.py */
static void vectors_of_another_implementation(void **state)
{
    (void)state;
    static const struct {
        uint64_t high, low;
        double deviation;
        int64_t want;
    } vectors[] = {
        {0x0000000000000001u, 0x9531985d5d9dc9f8u, 0x1.0000000000000p-1, 5},
        {0xf2a74de452e6b438u, 0xe8e25d940ed90475u, 0x1.0000000000000p-1, 0},
        {0x6513270e269e0d37u, 0x36f675cc81e74ef5u, 0x1.0000000000000p-1, 0},
        {0x00c5c7fda6a3a450u, 0x1600a35a099950d8u, 0x1.0000000000000p-1, 1},
        {0x00000d23128b2f33u, 0x6b0d549b6f03675au, 0x1.0000000000000p-1, 2},
        {0x80000000892f902bu, 0x3d9c172411e20b8fu, 0x1.0000000000000p-1, -3},
        {0x0000000000000001u, 0x953f48f1a09f76b5u, 0x1.6000000000000p+1, 25},
        {0x8d116ece1738f7d9u, 0x0fd630f1f29d0da9u, 0x1.6000000000000p+1, -4},
        {0x0f21ddb66cad4a26u, 0x95e60af593bd04cfu, 0x1.6000000000000p+1, 4},
        {0x090c192cd3ac94afu, 0x0cb1e29c658cda14u, 0x1.6000000000000p+1, 5},
        {0x00000f281fb17c23u, 0x3898d190f9ebdaccu, 0x1.6000000000000p+1, 13},
        {0x8000000239263059u, 0x8e81973e0becd7b0u, 0x1.6000000000000p+1, -17},
        {0x0000000000000001u, 0xae97ba94d0eda82fu, 0x1.0000000000000p+20, 9461706},
        {0x2217beaddbc496cbu, 0x1a61dbe22e44158bu, 0x1.0000000000000p+20, 1165501},
        {0x6b4cb2424a23d596u, 0x923a736994e3bf91u, 0x1.0000000000000p+20, 214011},
        {0x08a6a63e24ede6a4u, 0x301850c5a38fd547u, 0x1.0000000000000p+20, 1916544},
        {0x000009221e27a1c0u, 0x18f135d25f557203u, 0x1.0000000000000p+20, 5111677},
        {0x800000024ef8aa38u, 0xb64ce4228c38fb29u, 0x1.0000000000000p+20, -6394071},
        {0x0000000000000001u, 0x7731af10506bf2efu, 0x1.199999999999ap+23, 83402067},
        {0x907a70c31012f037u, 0xec66a78795e761d1u, 0x1.199999999999ap+23, -14017475},
        {0x9e7769b10f4205b4u, 0x5c90a9587403e430u, 0x1.199999999999ap+23, -10887973},
        {0x07f1505234b9b5dfu, 0x3f98e2774cbd87adu, 0x1.199999999999ap+23, 17217768},
        {0x00000881ae2eb154u, 0x2e05319acb5c7427u, 0x1.199999999999ap+23, 45112080},
        {0x800000036d76b07eu, 0xc7a2ea20b2f14c94u, 0x1.199999999999ap+23, -55681721},
        {0x0000000000000001u, 0x9be4bcfc49b64a08u, 0x1.0000000000000p+32, 38776025714},
        {0x14f4733f3e7d1bfbu, 0x12bd4acefaecbd38u, 0x1.0000000000000p+32, 5981608066},
        {0x4cdd2055930d6eafu, 0x830e07bc1e398f10u, 0x1.0000000000000p+32, 2249206312},
        {0x07ebff2086734721u, 0x2a3af4d46b0a18e8u, 0x1.0000000000000p+32, 8019074379},
        {0x0000057ee00902c7u, 0x5790f82ec1d3fcffu, 0x1.0000000000000p+32, 21364088707},
        {0x80000001babced20u, 0xeeeacbe226e87555u, 0x1.0000000000000p+32, -26387730805},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(vectors); i++) {
        int64_t fast = 0;
        uint32_t hard[RN_NOISE_BLOCK];
        const int64_t exact = rn_noise_exact(vectors[i].high, vectors[i].low, vectors[i].deviation);
        assert_int_equal(exact, vectors[i].want);
        if (rn_noise_fast(&vectors[i].high, 1, vectors[i].deviation, &fast, hard) == 0) {
            assert_int_equal(fast, vectors[i].want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_have_their_probabilities),
        cmocka_unit_test(moments_and_tails),
        cmocka_unit_test(fast_equals_exact),
        cmocka_unit_test(words_at_an_edge_are_decided_by_the_rest),
        cmocka_unit_test(extremes),
        cmocka_unit_test(a_draw_is_a_function_of_key_and_index),
        cmocka_unit_test(threads_do_not_change_a_draw),
        cmocka_unit_test(vectors_of_another_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
