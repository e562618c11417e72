/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's product with a frozen matrix is, bit for bit, the scalar chain of fmaf over
 * rising k, for every instruction set, number of rows and blocking; every other operation gives the
 * same bits on every instruction set.
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
#include "trainer/ground/generator.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

struct backend {
    const struct rn_kernels *k;
    struct rn_device *device;
    struct rn_lane *lane;
};

static const struct rn_lane_limits limits = {.tokens = 600,
                                             .sequences = 64,
                                             .length = 300,
                                             .width = 1200,
                                             .heads = 8,
                                             .head_dim = 64,
                                             .rank = 16};

static void backend_open(struct backend *b, const struct rn_kernels *k)
{
    *b = (struct backend){.k = k};
    assert_true(rn_is_ok(k->device_open(&b->device, NULL)));
    assert_true(rn_is_ok(k->lane_new(b->device, &limits, &b->lane, NULL)));
}

static void backend_close(struct backend *b)
{
    b->k->lane_free(b->lane);
    b->k->device_close(b->device);
}

static float *values(const char *name, size_t count)
{
    float *out = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(1, name);
    rn_generator_uniform(&generator, 1.0, count, out);
    return out;
}

static struct rn_mat mat(float *data, size_t rows, size_t cols)
{
    return (struct rn_mat){data, (uint32_t)rows, (uint32_t)cols, cols, RN_F32};
}

/* y = x w^T (or dy w) for m rows against the chain; rows are taken from the end, so that their
 * place in the tile differs from case to case. */
static void check_shape(struct backend *b, size_t m, size_t k, size_t n)
{
    float *x = values("x", m * k);
    float *w = values("w", n * k);
    float *y = rn_alloc(m * n, sizeof(float));
    struct rn_weight *weight = NULL;
    const struct rn_epilogue none = {0};
    assert_true(rn_is_ok(b->k->weight_new(b->device, w, (uint32_t)n, (uint32_t)k, &weight, NULL)));
    b->k->linear(b->lane, weight, mat(x, m, k), &none, mat(y, m, n));
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            float s = 0.0f;
            for (size_t c = 0; c < k; c++) {
                s = fmaf(x[i * k + c], w[j * k + c], s);
            }
            assert_memory_equal(&s, &y[i * n + j], sizeof(s));
        }
    }
    float *dx = rn_alloc(m * k, sizeof(float));
    b->k->linear_back(b->lane, weight, mat(y, m, n), &none, mat(dx, m, k));
    for (size_t i = 0; i < m; i++) {
        for (size_t c = 0; c < k; c++) {
            float s = 0.0f;
            for (size_t j = 0; j < n; j++) {
                s = fmaf(y[i * n + j], w[j * k + c], s);
            }
            assert_memory_equal(&s, &dx[i * k + c], sizeof(s));
        }
    }
    b->k->weight_free(b->device, weight);
    rn_free(x);
    rn_free(w);
    rn_free(y);
    rn_free(dx);
}

static void product_is_the_fmaf_chain(void **state)
{
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1},    {1, 24, 7},    {5, 40, 33},   {13, 56, 97},
                                       {12, 32, 32}, {25, 513, 40}, {200, 64, 70}, {3, 1100, 5}};
    for (int set = RN_CPU_SCALAR; set <= RN_CPU_AVX512; set++) {
        const struct rn_kernels *k = rn_kernels_cpu_of((enum rn_cpu_set)set);
        if (k == NULL) {
            continue;
        }
        struct backend b;
        backend_open(&b, k);
        const size_t blocks[] = {b.lane->block_k, 128}; /* the machine's, and many passes over k */
        for (size_t i = 0; i < 2 * sizeof(shapes) / sizeof(shapes[0]); i++) {
            const size_t *shape = shapes[i / 2];
            b.lane->block_k = blocks[i % 2];
            check_shape(&b, shape[0], shape[1], shape[2]);
        }
        backend_close(&b);
    }
}

/* A row's bits must not depend on how many rows there are or where it stands. */
static void check_rows(const struct rn_kernels *k)
{
    enum { M = 230, K = 96, N = 75, R = 4 };
    struct backend b;
    backend_open(&b, k);
    float *x = values("x", M * K);
    float *w = values("w", N * K);
    float *bias = values("bias", N);
    float *h = values("h", M * R);
    float *rb = values("rb", R * N);
    float *all = rn_alloc(M * N, sizeof(float));
    float *one = rn_alloc(N, sizeof(float));
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(b.k->weight_new(b.device, w, N, K, &weight, NULL)));
    struct rn_epilogue e = {
        .bias = bias, .rank_h = mat(h, M, R), .rank_b = rb, .activation = RN_ACTIVATION_GELU};
    b.k->linear(b.lane, weight, mat(x, M, K), &e, mat(all, M, N));
    for (size_t i = 0; i < M; i++) {
        e.rank_h = mat(h + i * R, 1, R);
        b.k->linear(b.lane, weight, mat(x + i * K, 1, K), &e, mat(one, 1, N));
        assert_memory_equal(one, all + i * N, N * sizeof(float));
    }
    b.k->weight_free(b.device, weight);
    backend_close(&b);
    rn_free(x);
    rn_free(w);
    rn_free(bias);
    rn_free(h);
    rn_free(rb);
    rn_free(all);
    rn_free(one);
}

static void rows_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    for (int set = RN_CPU_SCALAR; set <= RN_CPU_AVX512; set++) {
        const struct rn_kernels *k = rn_kernels_cpu_of((enum rn_cpu_set)set);
        if (k != NULL) {
            check_rows(k);
        }
    }
}

static void blocks_fit_the_cache(void **state)
{
    (void)state;
    static const size_t caches[][2] = {{0, 256},          {256 << 10, 256}, {512 << 10, 512},
                                       {1 << 20, 1024},   {2 << 20, 2048},  {4 << 20, 2048},
                                       {1280 << 10, 1280}};
    for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++) {
        assert_int_equal(rn_cpu_block_k(caches[i][0]), caches[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_fit_the_cache),
        cmocka_unit_test(product_is_the_fmaf_chain),
        cmocka_unit_test(rows_do_not_depend_on_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
