/* SPDX-License-Identifier: Apache-2.0
 *
 * clip_add, rows_store and noisy_mean of every backend: whatever the gradient, the integer vector
 * is no longer than the grid; it is the clipped gradient to within a unit; sums are exact; an
 * example's vector does not know its neighbours. The same of vectors with parts that are products
 * of two rows, which are those of the stored elements. RONDO_LONG: a million random cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

/* The body below computes norms that are wrong by this factor. */
static double norm_error = 1.0;
#define sqrt(x) (norm_error * (sqrt)(x))
#define RN_SET_SCALAR
#include "trainer/kernels/cpu/cpu_dp.body.h"
#undef sqrt

enum { LONGEST = 5000, TABLES = 4 };

#define FLAT(norm_, grid_) (&(struct rn_clip){.norm = (norm_), .grid = (grid_)})
#define AUTOMATIC(norm_, grid_) (&(struct rn_clip){.norm = (norm_), .grid = (grid_), .gamma = 0.01})

/* Of the body that is included for its inner branch. */
static void (*const unused[])(void) = {(void (*)(void))rows_store, (void (*)(void))noisy_mean};

static const double grids[] = {1.0, 1000.0, 0x1p20, 0x1p23};

/* ref first, then the sets of the CPU that this machine has. */
static size_t tables(const struct rn_kernels *out[TABLES])
{
    size_t count = 0;
    out[count++] = rn_kernels_ref();
    for (int set = RN_CPU_SCALAR; set <= RN_CPU_AVX512; set++) {
        const struct rn_kernels *table = rn_kernels_cpu_of((enum rn_cpu_set)set);
        if (table != NULL) {
            out[count++] = table;
        }
    }
    return count;
}

static __int128 whole_squares(const int64_t *v, size_t n)
{
    __int128 sum = 0;
    for (size_t j = 0; j < n; j++) {
        sum += (__int128)v[j] * v[j];
    }
    return sum;
}

/* One gradient through every table: lengths within the grid, the tables agree. privacy case 13 */
static void check_rule(const float *g, size_t n, const struct rn_clip *rule)
{
    const double clip = rule->norm;
    const double grid = rule->grid;
    static int64_t first[LONGEST];
    static int64_t other[LONGEST];
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    double norm = NAN;
    double other_norm = NAN;
    memset(first, 0, n * sizeof(int64_t));
    table[0]->clip_add(NULL, 1, n, g, n, rule, first, &norm);
    assert_true(whole_squares(first, n) <= (__int128)grid * (__int128)grid);
    const double factor = rule->gamma > 0.0 ? clip / (norm + rule->gamma) : fmin(1.0, clip / norm);
    const double scale = (norm > 0.0 ? factor : 1.0) * (grid / clip);
    for (size_t j = 0; j < n && isfinite(norm); j++) {
        const double want = (double)g[j] * scale;
        assert_true(fabs((double)first[j]) <= fabs(want) * (1.0 + 1e-12) + 1e-9);
        assert_true(fabs((double)first[j] - want) < 1.0 + fabs(want) * 1e-12);
    }
    for (size_t t = 1; t < count; t++) {
        memset(other, 0, n * sizeof(int64_t));
        table[t]->clip_add(NULL, 1, n, g, n, rule, other, &other_norm);
        assert_true(whole_squares(other, n) <= (__int128)grid * (__int128)grid);
        assert_true(norm == other_norm || fabs(norm - other_norm) <= 1e-13 * norm);
        for (size_t j = 0; j < n; j++) {
            assert_true(llabs(first[j] - other[j]) <= 1);
            assert_true(isfinite(norm) || other[j] == 0);
        }
    }
}

static void check_one(const float *g, size_t n, double clip, double grid)
{
    check_rule(g, n, FLAT(clip, grid));
    check_rule(g, n, AUTOMATIC(clip, grid));
}

static uint32_t word(uint64_t index, uint32_t lane)
{
    const struct rn_generator generator = rn_generator_of(3, "cases");
    uint32_t words[4];
    rn_generator_words(&generator, index, 0, words);
    return words[lane];
}

/* Lengths, magnitudes from subnormal to overflowing, clip norms below, at and above the norm. */
static void random_gradients(void **state)
{
    (void)state;
    const uint64_t cases = getenv("RONDO_LONG") != NULL ? 1000000 : 100000;
    static float g[LONGEST];
    for (uint64_t i = 0; i < cases; i++) {
        const size_t n = i % 500 == 0 ? 900 + word(i, 0) % 4000 : 1 + word(i, 0) % 40;
        const struct rn_generator values = {i, 1};
        const double power = (double)(word(i, 1) % 80) - 42.0;
        rn_generator_normal(&values, 1.0, n, g);
        for (size_t j = 0; j < n; j++) {
            g[j] = (float)((double)g[j] * pow(10.0, i % 3 == 0 ? power : -2.0));
        }
        const double clip = i % 5 == 0 ? fmax(1e-6, fabs((double)g[0])) : 0.01 + word(i, 2) * 1e-10;
        check_one(g, n, clip, grids[word(i, 3) % 4]);
    }
}

/* Integer vectors whose length is a whole number, at a clip norm that is that number, a hair less,
 * a hair more: the exact sum of squares stands at the limit. */
static void whole_lengths(void **state)
{
    (void)state;
    static const struct {
        float v[4];
        double norm;
    } seeds[] = {{{3, 4, 0, 0}, 5},    {{5, 12, 0, 0}, 13}, {{8, 15, 0, 0}, 17}, {{1, 2, 2, 0}, 3},
                 {{2, 3, 6, 0}, 7},    {{1, 4, 8, 0}, 9},   {{1, 1, 1, 1}, 2},   {{2, 4, 5, 6}, 9},
                 {{20, 21, 0, 0}, 29}, {{1, 1, 3, 5}, 6}};
    static float g[LONGEST];
    for (size_t s = 0; s < RN_ARRAY_LENGTH(seeds); s++) {
        for (size_t copies = 1; copies <= 1024; copies *= 4) { /* square numbers of copies */
            const size_t n = 4 * copies;
            const double norm = seeds[s].norm * sqrt((double)copies);
            for (size_t j = 0; j < n; j++) {
                g[j] = seeds[s].v[j % 4] * (j % 8 < 4 ? 1.0f : -1.0f);
            }
            const double clips[] = {norm, norm * (1.0 - 0x1p-52), norm * (1.0 + 0x1p-52),
                                    norm * (1.0 - 0x1p-30), norm / 3.0};
            for (size_t c = 0; c < RN_ARRAY_LENGTH(clips); c++) {
                check_one(g, n, clips[c], norm);
                check_one(g, n, clips[c], 1024.0 * norm);
            }
        }
    }
}

static void one_great_element(void **state)
{
    (void)state;
    static float g[LONGEST];
    static const float values[] = {FLT_MAX, -FLT_MAX, FLT_MIN, 0x1p-149f, 1.0f, 0.0f};
    for (size_t v = 0; v < RN_ARRAY_LENGTH(values); v++) {
        for (size_t n = 1; n <= 4100; n = n * 3 + 1) {
            memset(g, 0, n * sizeof(float));
            g[n - 1] = values[v];
            for (size_t k = 0; k < RN_ARRAY_LENGTH(grids); k++) {
                check_one(g, n, 1.0, grids[k]);
                check_one(g, n, 1e-12, grids[k]);
                check_one(g, n, 1e12, grids[k]);
            }
        }
    }
}

static void not_finite_is_the_zero_vector(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static float g[LONGEST];
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    for (size_t b = 0; b < 3; b++) {
        for (size_t at = 0; at < 3; at++) {
            const size_t places[] = {0, 2047, 4999};
            for (size_t j = 0; j < LONGEST; j++) {
                g[j] = 1.0f;
            }
            g[places[at]] = bad[b];
            check_one(g, LONGEST, 1.0, 0x1p20);
            for (size_t t = 0; t < count; t++) {
                double norm = 0.0;
                int64_t *sum = rn_alloc(LONGEST, sizeof(int64_t));
                table[t]->clip_add(NULL, 1, LONGEST, g, LONGEST, FLAT(1.0, 0x1p20), sum, &norm);
                assert_true(norm == INFINITY);
                assert_true(whole_squares(sum, LONGEST) == 0);
                rn_free(sum);
            }
        }
    }
}

/* The sum of many is the sum of each alone, in any company and order; strides may have gaps. */
static void neighbours_do_not_matter(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    static const size_t sizes[] = {1, 15, 16, 17, 31, 1023, 1024, 1025, 2049, 4097};
    const struct rn_kernels *table[TABLES];
    const size_t tables_count = tables(table);
    for (size_t s = 0; s < RN_ARRAY_LENGTH(sizes); s++) {
        const size_t n = sizes[s];
        const size_t stride = n + s % 3;
        float *g = rn_alloc(COUNT * stride, sizeof(float));
        const struct rn_generator values = rn_generator_of(s, "gradients");
        rn_generator_normal(&values, 0.1, COUNT * stride, g);
        g[7 * stride] = NAN;
        int64_t *together = rn_alloc(n, sizeof(int64_t));
        int64_t *alone = rn_alloc(n, sizeof(int64_t));
        double norms[COUNT];
        double norm = 0.0;
        for (size_t t = 0; t < tables_count; t++) {
            memset(together, 0, n * sizeof(int64_t));
            memset(alone, 0, n * sizeof(int64_t));
            table[t]->clip_add(NULL, COUNT, n, g, stride, FLAT(1.0, 0x1p20), together, norms);
            for (size_t i = COUNT; i-- > 0;) {
                table[t]->clip_add(NULL, 1, n, g + i * stride, stride, FLAT(1.0, 0x1p20), alone,
                                   &norm);
                assert_memory_equal(&norm, &norms[i], sizeof(norm));
            }
            assert_memory_equal(together, alone, n * sizeof(int64_t));
            table[t]->clip_add(NULL, 0, n, g, stride, FLAT(1.0, 0x1p20), together, NULL);
            assert_memory_equal(together, alone, n * sizeof(int64_t));
        }
        rn_free(g);
        rn_free(together);
        rn_free(alone);
    }
}

/* By hand: a norm of 1 becomes 1 / 1.01 of the clip norm, one of 0.01 half of it, nothing stays
 * nothing; the same everywhere, products of rows included. */
static void automatic_clipping_is_its_formula(void **state)
{
    (void)state;
    static const struct {
        float g;
        int64_t want; /* trunc(2^20 |g| / (|g| + 0.01)) */
    } cases[] = {
        {1.0f, 1038194}, {-1.0f, -1038194}, {0.0f, 0}, {0x1p-7f, 459901}, {3e38f, 1048575}};
    const struct rn_outer_part part = {.u = 0, .v = 1, .rows = 1, .cols = 1};
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    for (size_t t = 0; t < count; t++) {
        for (size_t c = 0; c < RN_ARRAY_LENGTH(cases); c++) {
            const float row[2] = {cases[c].g, 1.0f};
            const struct rn_example_rows rows = {
                .rows = row, .stride = 2, .parts = &part, .part_count = 1};
            for (int power = -9; power <= 9; power++) { /* no matter what the clip norm is */
                int64_t sum[2] = {0};
                const double clip = pow(10.0, power);
                table[t]->clip_add(NULL, 1, 1, row, 1, AUTOMATIC(clip, 0x1p20), &sum[0], NULL);
                table[t]->clip_add_outer(NULL, 1, &rows, AUTOMATIC(clip, 0x1p20), &sum[1], NULL);
                assert_true(llabs(sum[0] - cases[c].want) <= 1);
                assert_int_equal(sum[1], sum[0]);
                assert_true(llabs(sum[0]) <= 0x1p20);
            }
        }
    }
}

static void instruction_sets_agree(void **state)
{
    (void)state;
    static float g[LONGEST];
    const struct rn_generator values = rn_generator_of(1, "sets");
    rn_generator_normal(&values, 0.1, LONGEST, g);
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    int64_t *first = rn_alloc(LONGEST, sizeof(int64_t));
    int64_t *other = rn_alloc(LONGEST, sizeof(int64_t));
    table[1]->clip_add(NULL, 1, LONGEST, g, LONGEST, FLAT(0.3, 0x1p23), first, NULL);
    for (size_t t = 2; t < count; t++) {
        memset(other, 0, LONGEST * sizeof(int64_t));
        table[t]->clip_add(NULL, 1, LONGEST, g, LONGEST, FLAT(0.3, 0x1p23), other, NULL);
        assert_memory_equal(first, other, LONGEST * sizeof(int64_t));
    }
    rn_free(first);
    rn_free(other);
}

/* The branch that a good norm never takes: a factor that is too great by a little, or absurd. */
static void too_long_is_shortened(void **state)
{
    (void)state;
    (void)unused;
    static const double wrong[] = {1.0 + 0x1p-40, 1.0 + 0x1p-20, 1.001};
    static float g[LONGEST];
    static int64_t sum[LONGEST];
    const struct rn_generator values = rn_generator_of(1, "long");
    rn_generator_normal(&values, 0.1, LONGEST, g);
    const struct rn_example_rows rows = {.rows = g, .stride = LONGEST, .stored = LONGEST};
    const double f = 0.25 / norm_of(&rows, g);
    const double unit = 0x1p23 / 0.25;
    for (size_t w = 0; w < RN_ARRAY_LENGTH(wrong); w++) {
        for (size_t j = 0; j < LONGEST; j++) {
            sum[j] = (int64_t)j;
        }
        quantise(g, LONGEST, f * wrong[w] * unit, 1, sum);
        shorten(&rows, g, f * wrong[w], unit, (unsigned __int128)1 << 46, sum);
        for (size_t j = 0; j < LONGEST; j++) {
            sum[j] -= (int64_t)j;
        }
        const __int128 square = whole_squares(sum, LONGEST);
        assert_true(square <= (__int128)1 << 46);
        assert_true((double)square >= 0x1p46 * (1.0 - 0x1p-12)); /* no shorter than needed */
    }
    assert_true(quantise(g, LONGEST, 1e30, 0, sum) > (unsigned __int128)1 << 46);
    assert_true(quantise(g, LONGEST, INFINITY, 0, sum) > (unsigned __int128)1 << 46);
}

/* A norm that comes out too small does not make a vector too long: the exact check is the last
 * word, for every example of a call. */
static void a_wrong_norm_does_no_harm(void **state)
{
    (void)state;
    enum { COUNT = 70, N = 1500 };
    static const double errors[] = {1.0, 1.0 - 0x1p-45, 1.0 - 0x1p-19, 0.999};
    float *g = rn_alloc((size_t)COUNT * N, sizeof(float));
    int64_t *sum = rn_alloc(N, sizeof(int64_t));
    const struct rn_generator values = rn_generator_of(2, "wrong");
    rn_generator_normal(&values, 0.1, (size_t)COUNT * N, g);
    for (size_t e = 0; e < RN_ARRAY_LENGTH(errors); e++) {
        int64_t *before = rn_alloc(N, sizeof(int64_t));
        norm_error = errors[e];
        for (uint32_t count = 0; count <= COUNT; count++) { /* one more each time */
            memset(sum, 0, N * sizeof(int64_t));
            clip_add(NULL, count, N, g, N, FLAT(0.25, 0x1p23), sum, NULL);
            for (size_t j = 0; j < N; j++) {
                before[j] = sum[j] - before[j];
            }
            assert_true(whole_squares(before, N) <= (__int128)1 << 46);
            assert_true(count == 0 || whole_squares(before, N) > (__int128)1 << 45);
            memcpy(before, sum, N * sizeof(int64_t));
        }
        norm_error = 1.0;
        rn_free(before);
    }
    rn_free(g);
    rn_free(sum);
}

/* Vectors of some stored numbers and two parts: in a row the first bias, the second bias and v of
 * both parts, as the head's are. */
enum { OUTER_STORED = 23, OUTER_FREE = 7, OUTER_ROW = 23 + 37 + 1030, OUTER_COUNT = 70 };
static const struct rn_outer_part outer_parts[] = {
    {.u = OUTER_FREE, .v = OUTER_STORED, .rows = 11, .cols = 37},
    {.u = OUTER_FREE + 11, .v = OUTER_STORED + 37, .rows = 5, .cols = 1030}};
enum { OUTER_ELEMENTS = 23 + 11 * 37 + 5 * 1030 };

static struct rn_example_rows outer_rows(const float *rows)
{
    return (struct rn_example_rows){.rows = rows,
                                    .stride = OUTER_ROW,
                                    .stored = OUTER_STORED,
                                    .parts = outer_parts,
                                    .part_count = RN_ARRAY_LENGTH(outer_parts)};
}

/* Every element, as exact as it is. */
static void outer_vector(const float *row, double out[OUTER_ELEMENTS])
{
    size_t at = 0;
    for (; at < OUTER_STORED; at++) {
        out[at] = (double)row[at];
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(outer_parts); i++) {
        for (size_t p = 0; p < outer_parts[i].rows; p++) {
            for (size_t c = 0; c < outer_parts[i].cols; c++) {
                out[at++] = (double)row[outer_parts[i].u + p] * (double)row[outer_parts[i].v + c];
            }
        }
    }
}

static double outer_norm(const double vector[OUTER_ELEMENTS])
{
    long double sum = 0.0L;
    for (size_t j = 0; j < OUTER_ELEMENTS; j++) {
        sum += (long double)vector[j] * (long double)vector[j];
    }
    return (double)sqrtl(sum);
}

/* Random numbers of some size, or small whole ones, whose products float32 holds. */
static float *outer_make(uint64_t seed, size_t count, double size, bool whole)
{
    float *rows = rn_alloc(count * OUTER_ROW, sizeof(float));
    const struct rn_generator values = rn_generator_of(seed, "outer");
    rn_generator_normal(&values, whole ? 5.0 : size, count * OUTER_ROW, rows);
    for (size_t j = 0; j < count * OUTER_ROW && whole; j++) {
        rows[j] = rintf(rows[j]);
    }
    return rows;
}

/* privacy case 12. The clipped vector to within a unit, no longer than the grid, with the norm, by
 * every table; the sets of the CPU give one result. */
static void products_are_clipped(void **state)
{
    (void)state;
    static const double sizes[] = {1e-30, 1e-3, 1.0, 1e6, 1e18};
    static const double clips[] = {1e-3, 0.5, 1e5};
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    static int64_t v[2][OUTER_ELEMENTS];
    static double want[OUTER_ELEMENTS];
    for (size_t k = 0; k < RN_ARRAY_LENGTH(sizes) * RN_ARRAY_LENGTH(clips) * 2; k++) {
        const double clip = clips[k / 2 % RN_ARRAY_LENGTH(clips)];
        const double grid = k % 2 == 0 ? 0x1p20 : 0x1p23;
        float *row = outer_make(k, 1, sizes[k / 2 / RN_ARRAY_LENGTH(clips)], false);
        const struct rn_example_rows rows = outer_rows(row);
        outer_vector(row, want);
        const double exact = outer_norm(want);
        const double scale = (exact > clip ? clip / exact : 1.0) * (grid / clip);
        for (size_t t = 0; t < count; t++) {
            int64_t *to = v[t > 1];
            double norm = NAN;
            memset(to, 0, sizeof(v[0]));
            table[t]->clip_add_outer(NULL, 1, &rows, FLAT(clip, grid), to, &norm);
            assert_true(fabs(norm - exact) <= 1e-12 * exact);
            assert_true(whole_squares(to, OUTER_ELEMENTS) <= (__int128)grid * (__int128)grid);
            for (size_t j = 0; j < OUTER_ELEMENTS; j++) {
                const double x = want[j] * scale;
                assert_true(fabs((double)to[j] - x) < 1.0 + fabs(x) * 1e-11);
                assert_true(fabs((double)to[j]) <= fabs(x) * (1.0 + 1e-11) + 1e-9);
            }
            assert_true(t < 2 || memcmp(v[0], v[1], sizeof(v[0])) == 0);
        }
        rn_free(row);
    }
}

/* Where nothing is rounded on either way the whole numbers are those of the stored elements, bit
 * for bit, and so are the norms. */
static void products_are_the_stored_elements(void **state)
{
    (void)state;
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    static int64_t formed[OUTER_ELEMENTS];
    static int64_t stored[OUTER_ELEMENTS];
    static double vector[OUTER_ELEMENTS];
    static float whole[OUTER_ELEMENTS];
    for (uint64_t seed = 0; seed < 20; seed++) {
        float *row = outer_make(seed, 1, 0.0, true);
        const struct rn_example_rows rows = outer_rows(row);
        outer_vector(row, vector);
        for (size_t j = 0; j < OUTER_ELEMENTS; j++) {
            whole[j] = (float)vector[j];
        }
        for (size_t t = 0; t < count; t++) {
            for (int clipped = 0; clipped < 2; clipped++) {
                const double clip = clipped == 0 ? 0x1p17 : 100.0; /* norms are some thousands */
                double norms[2];
                memset(formed, 0, sizeof(formed));
                memset(stored, 0, sizeof(stored));
                table[t]->clip_add_outer(NULL, 1, &rows, FLAT(clip, 0x1p20), formed, &norms[0]);
                table[t]->clip_add(NULL, 1, OUTER_ELEMENTS, whole, OUTER_ELEMENTS,
                                   FLAT(clip, 0x1p20), stored, &norms[1]);
                assert_true(norms[0] == norms[1]);
                for (size_t j = 0; j < OUTER_ELEMENTS; j++) {
                    assert_true(llabs(formed[j] - stored[j]) <= clipped);
                }
            }
        }
        rn_free(row);
    }
}

/* A row that is not finite anywhere is the zero vector; every other one keeps its bits in any
 * company. */
static void products_do_not_know_their_neighbours(void **state)
{
    (void)state;
    static const struct {
        uint32_t example;
        size_t at;
        float value;
    } bad[] = {{3, 2, NAN},                        /* stored alone */
               {17, OUTER_FREE + 4, INFINITY},     /* a bias, and u of the first part */
               {18, OUTER_FREE + 12, NAN},         /* u of the second */
               {40, OUTER_STORED + 36, -INFINITY}, /* v of the first */
               {69, OUTER_ROW - 1, NAN}};          /* v of the second */
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    float *g = outer_make(5, OUTER_COUNT, 0.1, false);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        g[bad[i].example * OUTER_ROW + bad[i].at] = bad[i].value;
    }
    const struct rn_example_rows all = outer_rows(g);
    static int64_t together[OUTER_ELEMENTS];
    static int64_t apart[OUTER_ELEMENTS];
    static int64_t one[OUTER_ELEMENTS];
    for (size_t t = 0; t < count; t++) {
        double norms[OUTER_COUNT];
        memset(together, 0, sizeof(together));
        memset(apart, 0, sizeof(apart));
        table[t]->clip_add_outer(NULL, OUTER_COUNT, &all, FLAT(0.5, 0x1p20), together, norms);
        for (uint32_t i = OUTER_COUNT; i-- > 0;) {
            const struct rn_example_rows alone = outer_rows(g + i * OUTER_ROW);
            double norm = 0.0;
            memset(one, 0, sizeof(one));
            table[t]->clip_add_outer(NULL, 1, &alone, FLAT(0.5, 0x1p20), one, &norm);
            assert_memory_equal(&norm, &norms[i], sizeof(norm));
            assert_true((whole_squares(one, OUTER_ELEMENTS) == 0) == !isfinite(norm));
            for (size_t j = 0; j < OUTER_ELEMENTS; j++) {
                apart[j] += one[j];
            }
        }
        assert_memory_equal(together, apart, sizeof(together));
        for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
            assert_true(norms[bad[i].example] == INFINITY);
        }
    }
    rn_free(g);
}

/* The exact check is the last word for products too. */
static void a_wrong_norm_of_products_does_no_harm(void **state)
{
    (void)state;
    float *g = outer_make(6, OUTER_COUNT, 0.1, false);
    const struct rn_example_rows rows = outer_rows(g);
    static int64_t sum[OUTER_ELEMENTS];
    static int64_t before[OUTER_ELEMENTS];
    memset(before, 0, sizeof(before));
    norm_error = 1.0 - 0x1p-19;
    for (uint32_t count = 0; count <= OUTER_COUNT; count++) { /* one more each time */
        memset(sum, 0, sizeof(sum));
        clip_add_outer(NULL, count, &rows, FLAT(0.05, 0x1p23), sum, NULL);
        for (size_t j = 0; j < OUTER_ELEMENTS; j++) {
            before[j] = sum[j] - before[j];
        }
        assert_true(whole_squares(before, OUTER_ELEMENTS) <= (__int128)1 << 46);
        assert_true(count == 0 || whole_squares(before, OUTER_ELEMENTS) > (__int128)1 << 45);
        memcpy(before, sum, sizeof(sum));
    }
    norm_error = 1.0;
    rn_free(g);
}

static void rows_and_means(void **state)
{
    (void)state;
    const struct rn_kernels *table[TABLES];
    const size_t count = tables(table);
    for (size_t t = 0; t < count; t++) {
        const bool wide = table[t]->narrow == RN_F64;
        double of_ref[6] = {1.5, -2, 3, 4, 5, 6};
        float of_cpu[6] = {1.5f, -2, 3, 4, 5, 6};
        const struct rn_mat m = {wide ? (void *)of_ref : (void *)of_cpu, 2, 2, 3, table[t]->narrow};
        float out[8] = {9, 9, 9, 9, 9, 9, 9, 9};
        table[t]->rows_store(NULL, m, 5, out);
        const float want[8] = {1.5f, -2, 9, 9, 9, 4, 5, 9};
        assert_memory_equal(out, want, sizeof(want));
        if (!wide) { /* a row of the stream between layers may be half as wide */
            const uint16_t halves[6] = {0x3fc0, 0xc000, 0x4040, 0x4080, 0x40a0, 0x40c0};
            const struct rn_mat narrow = {(void *)(uintptr_t)halves, 2, 2, 3, RN_BF16};
            float from_halves[8] = {9, 9, 9, 9, 9, 9, 9, 9};
            table[t]->rows_store(NULL, narrow, 5, from_halves);
            assert_memory_equal(from_halves, want, sizeof(want));
        }
        const int64_t sum[3] = {1 << 20, -3, INT64_C(1) << 52};
        const int64_t noise[3] = {-1, 3, 1 - (INT64_C(1) << 52)};
        float g[3];
        table[t]->noisy_mean(NULL, 3, sum, noise, 0.25, g);
        assert_true(g[0] == 262143.75f && g[1] == 0.0f && g[2] == 0.25f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_clipped),
        cmocka_unit_test(products_are_the_stored_elements),
        cmocka_unit_test(products_do_not_know_their_neighbours),
        cmocka_unit_test(a_wrong_norm_of_products_does_no_harm),
        cmocka_unit_test(rows_and_means),
        cmocka_unit_test(random_gradients),
        cmocka_unit_test(whole_lengths),
        cmocka_unit_test(one_great_element),
        cmocka_unit_test(not_finite_is_the_zero_vector),
        cmocka_unit_test(neighbours_do_not_matter),
        cmocka_unit_test(automatic_clipping_is_its_formula),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(too_long_is_shortened),
        cmocka_unit_test(a_wrong_norm_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
