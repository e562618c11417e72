/* SPDX-License-Identifier: Apache-2.0
 *
 * Batch invariance of the bfloat16 backends' products, on every class of processor that this
 * machine has and by the stand-in: a row has the same bits in every count of rows from one to three
 * strips and one more, at both ends of them, before and after products of other shapes, in a fresh
 * lane, and beside rows that are not finite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "trainer/ground/generator.h"
#include "trainer/kernels/cpu/cpu_strip.h"
#include "trainer/kernels/host.h"

enum { ROWS = 3 * RN_STRIP_MAX + 1, SHAPES = 3 };

#ifdef __SANITIZE_ADDRESS__
enum { COUNT_STEP = 16 }; /* the bits are looked at without the sanitizer; here it is memory */
#else
enum { COUNT_STEP = 1 };
#endif

static const uint32_t shapes[SHAPES][2] = {{64, 96}, {33, 70}, {80, 32}}; /* n, k */

struct bench {
    const struct rn_kernels *k;
    struct rn_device *device;
    struct rn_lane *lane;
    struct rn_weight *weights[SHAPES];
    uint16_t *x[SHAPES];      /* [ROWS][k] */
    uint16_t *wanted[SHAPES]; /* [ROWS][n], of all rows at once */
    uint16_t *y;
};

static float *values(const char *name, size_t count)
{
    float *out = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(11, name);
    rn_generator_uniform(&generator, 1.0, count, out);
    return out;
}

static void lane_open(struct bench *b)
{
    const struct rn_lane_limits limits = {
        .tokens = ROWS, .sequences = 1, .length = 1, .width = 128, .heads = 1, .head_dim = 16};
    assert_true(rn_is_ok(b->k->lane_new(b->device, &limits, &b->lane, NULL)));
}

/* Rows first .. first+count-1 of a shape to y. */
static void multiply(struct bench *b, size_t shape, uint32_t first, uint32_t count)
{
    static const struct rn_epilogue none;
    const uint32_t n = shapes[shape][0];
    const uint32_t k = shapes[shape][1];
    const struct rn_mat x = {b->x[shape] + (size_t)first * k, count, k, k, RN_BF16};
    memset(b->y, 0xff, sizeof(*b->y) * ROWS * 128);
    b->k->linear(b->lane, b->weights[shape], x, &none, (struct rn_mat){b->y, count, n, n, RN_BF16});
}

/* What follows the rows is as it was. */
static void check_behind(const struct bench *b, size_t rows, size_t n)
{
    for (size_t i = rows * n; i < (size_t)ROWS * 128; i++) {
        assert_int_equal(b->y[i], 0xffff);
    }
}

static void shape_open(struct bench *b, size_t shape)
{
    const uint32_t n = shapes[shape][0];
    const uint32_t k = shapes[shape][1];
    float *w = values("w", (size_t)n * k);
    float *x = values("x", (size_t)ROWS * k);
    b->x[shape] = rn_alloc((size_t)ROWS * k, sizeof(uint16_t));
    for (size_t i = 0; i < (size_t)ROWS * k; i++) {
        b->x[shape][i] = rn_bf16_of(x[i]);
    }
    assert_true(rn_is_ok(b->k->weight_new(b->device, w, n, k, &b->weights[shape], NULL)));
    rn_free(w);
    rn_free(x);
}

static void bench_open(struct bench *b)
{
    *b = (struct bench){.k = rn_kernels_cpu_bf16(false)};
    assert_true(rn_is_ok(b->k->device_open(&b->device, NULL)));
    b->y = rn_alloc((size_t)ROWS * 128, sizeof(uint16_t));
    for (size_t i = 0; i < SHAPES; i++) {
        shape_open(b, i);
    }
    lane_open(b);
    for (size_t i = 0; i < SHAPES; i++) {
        const size_t elements = (size_t)ROWS * shapes[i][0];
        multiply(b, i, 0, ROWS);
        b->wanted[i] = rn_alloc(elements, sizeof(uint16_t));
        memcpy(b->wanted[i], b->y, elements * sizeof(uint16_t));
    }
}

static void bench_close(struct bench *b)
{
    for (size_t i = 0; i < SHAPES; i++) {
        b->k->weight_free(b->device, b->weights[i]);
        rn_free(b->x[i]);
        rn_free(b->wanted[i]);
    }
    b->k->lane_free(b->lane);
    b->k->device_close(b->device);
    rn_free(b->y);
}

static void check(struct bench *b, size_t shape, uint32_t first, uint32_t count)
{
    const size_t n = shapes[shape][0];
    multiply(b, shape, first, count);
    if (memcmp(b->y, b->wanted[shape] + first * n, count * n * sizeof(uint16_t)) != 0) {
        fail_msg("%s, shape %zu: %u rows from %u on change their bits",
                 b->k->device_describe(b->device), shape, count, first);
    }
    check_behind(b, count, n);
}

static void every_count_of_rows(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    for (size_t shape = 0; shape < SHAPES; shape++) {
        for (uint32_t count = 1; count <= ROWS; count += COUNT_STEP) {
            check(&b, shape, 0, count);
            check(&b, shape, ROWS - count, count);
        }
    }
    bench_close(&b);
}

/* The other shapes come between with every count, so that whatever a product leaves behind meets
 * the next one. */
static void other_shapes_between(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    for (uint32_t count = 1; count <= ROWS; count += COUNT_STEP) {
        check(&b, count % SHAPES, 0, count);
        check(&b, (count + 1) % SHAPES, ROWS - count, count);
        check(&b, (count + 2) % SHAPES, count / 2, ROWS - count);
    }
    bench_close(&b);
}

static void a_lane_of_its_own(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b);
    for (uint32_t count = 1; count <= ROWS; count += 37) {
        b.k->lane_free(b.lane);
        lane_open(&b);
        check(&b, count % SHAPES, ROWS - count, count);
    }
    bench_close(&b);
}

/* A row of NaN or infinity changes no other, nor what comes after it: nothing of one row enters
 * another's sums, not even as zero times it. */
static void rows_that_are_not_finite_stay_alone(void **state)
{
    (void)state;
    static const uint16_t poisons[] = {0x7f80, 0xff80, 0x7fc0};
    struct bench b;
    bench_open(&b);
    for (uint32_t at = ROWS - 1; at < ROWS; at -= 6 * COUNT_STEP + 1) {
        const size_t shape = at % SHAPES;
        const size_t n = shapes[shape][0];
        const size_t k = shapes[shape][1];
        uint16_t *row = b.x[shape] + at * k;
        uint16_t kept[128];
        memcpy(kept, row, k * sizeof(*row));
        for (size_t i = 0; i < k; i++) {
            row[i] = poisons[(at + i) % RN_ARRAY_LENGTH(poisons)];
        }
        multiply(&b, shape, 0, ROWS);
        memcpy(row, kept, k * sizeof(*row));
        assert_memory_equal(b.y, b.wanted[shape], at * n * sizeof(uint16_t));
        assert_memory_equal(b.y + (at + 1) * n, b.wanted[shape] + (at + 1) * n,
                            (ROWS - 1 - at) * n * sizeof(uint16_t));
        check(&b, (shape + 1) % SHAPES, 0, ROWS);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_count_of_rows),
        cmocka_unit_test(other_shapes_between),
        cmocka_unit_test(a_lane_of_its_own),
        cmocka_unit_test(rows_that_are_not_finite_stay_alone),
    };
    return RUN_IN_CLASSES(CPU_CLASSES_ALL, "strips", tests);
}
