/* SPDX-License-Identifier: Apache-2.0
 *
 * The bfloat16 backends: every operation against the float64 reference on the same rounded input;
 * a row of a product has the same bits whatever the number of rows, its place and the thread;
 * conversions at their edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/trainer/kernelcases.h"

#define PRODUCT 4e-3 /* relative error (Frobenius) of what a product or attention stores */
/* Gradients through attention read its output, which the forward pass rounded. */
#define ATTENTION_BACK 1e-2
#define UNIT 0x1p-8 /* unit in the last place, of the value */

static double frobenius(const struct result *a, const struct result *b)
{
    double difference = 0.0;
    double size = 0.0;
    for (size_t i = 0; i < a->count; i++) {
        const double d = (double)a->values[i] - (double)b->values[i];
        difference += d * d;
        size += (double)b->values[i] * (double)b->values[i];
    }
    return sqrt(difference) / (sqrt(size) + 1e-30);
}

/* Results of one rounding: each element within one unit of the reference (near zero: of 2^-6). */
static bool one_rounding(const char *name)
{
    static const char *const names[] = {"linear",
                                        "linear, rank update",
                                        "linear, residual",
                                        "linear, all at once",
                                        "linear, gelu",
                                        "linear, tanh",
                                        "linear back",
                                        "linear back onto itself",
                                        "embed",
                                        "norm",
                                        "norm back",
                                        "gather"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void check_units(const char *table, const struct result *found, const struct result *wanted)
{
    for (size_t i = 0; i < found->count; i++) {
        const double size = fabs((double)wanted->values[i]);
        const double unit = UNIT * (size > 0x1p-6 ? size : 0x1p-6);
        const double off = fabs((double)found->values[i] - (double)wanted->values[i]);
        if (!(off <= unit)) {
            fail_msg("%s, %s: element %zu is %g, not %g", table, found->name, i,
                     (double)found->values[i], (double)wanted->values[i]);
        }
    }
}

static void operations_agree_with_the_reference(void **state)
{
    (void)state;
    struct run reference;
    run_all(&reference, rn_kernels_ref(), true);
    for (int set = RN_CPU_SCALAR; set < RN_CPU_SETS; set++) {
        for (int types = RN_CPU_BF16; types < RN_CPU_TYPES; types++) {
            const struct rn_kernels *k =
                rn_kernels_cpu_typed((enum rn_cpu_set)set, (enum rn_cpu_types)types);
            if (k == NULL) {
                continue;
            }
            struct run run;
            run_all(&run, k, true);
            assert_int_equal(run.count, reference.count);
            for (size_t i = 0; i < run.count; i++) {
                const double error = frobenius(&run.results[i], &reference.results[i]);
                const bool back = strncmp(run.results[i].name, "attention back", 14) == 0;
                if (!(error <= (back ? ATTENTION_BACK : PRODUCT))) {
                    fail_msg("set %d, %s, %s: relative error %g", set, k->name, run.results[i].name,
                             error);
                }
                if (one_rounding(run.results[i].name)) {
                    check_units(k->name, &run.results[i], &reference.results[i]);
                }
            }
            run_free(&run);
        }
    }
    run_free(&reference);
}

/* GELU and its slope over the whole range, through a product with a one by one matrix. */
static void gelu_follows_erf(void **state)
{
    (void)state;
    enum { N = 2600 };
    const struct rn_kernels *k = rn_kernels_cpu_bf16(false);
    const struct rn_lane_limits limits = {
        .tokens = N, .sequences = 1, .length = 1, .width = 16, .heads = 1, .head_dim = 16};
    struct run run = {.k = k};
    assert_true(rn_is_ok(k->device_open(&run.device, NULL)));
    assert_true(rn_is_ok(k->lane_new(run.device, &limits, &run.lane, NULL)));
    const float one = 1.0f;
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(k->weight_new(run.device, &one, 1, 1, &weight, NULL)));
    struct rn_mat x = wide(&run, NULL, N, 1);
    struct rn_mat y = wide(&run, NULL, N, 1);
    struct rn_mat pre = wide(&run, NULL, N, 1);
    for (int i = 0; i < N; i++) {
        ((uint16_t *)x.data)[i] = rn_bf16_of(((float)i - N / 2) * 0.01f);
    }
    k->linear(run.lane, weight, x,
              &(struct rn_epilogue){.pre = pre, .activation = RN_ACTIVATION_GELU}, y);
    for (int i = 0; i < N; i++) {
        const double at = (double)rn_bf16_value(((uint16_t *)x.data)[i]);
        const double phi = 0.5 * erfc(-at * M_SQRT1_2);
        const double slope = phi + at * exp(-0.5 * at * at) * 0.39894228040143268;
        const double off = fabs((double)rn_bf16_value(((uint16_t *)y.data)[i]) - at * phi);
        assert_true(off <= 0x1p-8 * fabs(at * phi) + 1e-36);
        const double slope_off = fabs((double)rn_bf16_value(((uint16_t *)pre.data)[i]) - slope);
        assert_true(slope_off <= 0x1p-8 * fabs(slope) + 3e-5);
    }
    k->weight_free(run.device, weight);
    rn_free(x.data);
    rn_free(y.data);
    rn_free(pre.data);
    run_free(&run);
}

/* A product both ways on a lane of its own: rows first .. of x. */
struct part {
    const struct rn_kernels *k;
    struct rn_device *device;
    const struct rn_weight *weight;
    bool back;
    struct rn_mat x, residual, y;
};

static void *compute(void *context)
{
    const struct part *p = context;
    const struct rn_lane_limits limits = {
        .tokens = 200, .sequences = 1, .length = 1, .width = 4096, .heads = 1, .head_dim = 16};
    struct rn_lane *lane = NULL;
    assert_true(rn_is_ok(p->k->lane_new(p->device, &limits, &lane, NULL)));
    const struct rn_epilogue e = {.residual = p->residual};
    if (p->back) {
        p->k->linear_back(lane, p->weight, p->x, &e, p->y);
    } else {
        p->k->linear(lane, p->weight, p->x, &e, p->y);
    }
    p->k->lane_free(lane);
    return NULL;
}

/* Rows first .. first+count-1 computed alone equal the same rows of `all`. */
static void check_rows(struct run *run, struct part p, uint32_t first_row, uint32_t count,
                       struct rn_mat all)
{
    p.x = rn_mat_rows(p.x, first_row, count);
    p.residual = rn_mat_rows(p.residual, first_row, count);
    p.y = rn_mat_rows(p.y, 0, count);
    const struct rn_epilogue e = {.residual = p.residual};
    if (p.back) {
        run->k->linear_back(run->lane, p.weight, p.x, &e, p.y);
    } else {
        run->k->linear(run->lane, p.weight, p.x, &e, p.y);
    }
    const size_t bytes = (size_t)count * all.cols * rn_element_size(all.type);
    if (memcmp(p.y.data, rn_row(all, first_row), bytes) != 0) {
        fail_msg("%s: %u rows from %u of [%u x %u] change their bits", run->k->name, count,
                 first_row, all.cols, p.x.cols);
    }
}

static void check_shape(struct run *run, uint32_t n, uint32_t k_size, bool back, uint32_t rows)
{
    const struct rn_kernels *k = run->k;
    float *w = host("w", (size_t)n * k_size);
    struct rn_weight *weight = NULL;
    assert_true(rn_is_ok(k->weight_new(run->device, w, n, k_size, &weight, NULL)));
    rn_free(w);
    const uint32_t in = back ? n : k_size;
    const uint32_t out = back ? k_size : n;
    struct rn_mat all = stream(run, NULL, rows, out);
    struct rn_mat other = stream(run, NULL, rows, out);
    struct part p = {
        k,  run->device, weight, back, wide(run, "x", rows, in), stream(run, "residual", rows, out),
        all};
    struct part q = p;
    q.y = other;
    pthread_t threads[2];
    assert_int_equal(pthread_create(&threads[0], NULL, compute, &p), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, compute, &q), 0);
    assert_int_equal(pthread_join(threads[0], NULL), 0);
    assert_int_equal(pthread_join(threads[1], NULL), 0);
    assert_memory_equal(all.data, other.data, (size_t)rows * out * rn_element_size(all.type));
    for (uint32_t count = 1; count <= rows; count++) {
        check_rows(run, q, 0, count, all);
        check_rows(run, q, rows - count, count, all);
    }
    k->weight_free(run->device, weight);
    rn_free(p.x.data);
    rn_free(p.residual.data);
    rn_free(all.data);
    rn_free(other.data);
}

static void rows_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    static const uint32_t shapes[][3] = {{24, 24, 200},   {40, 56, 200},    {33, 1, 70},
                                         {1, 97, 70},     {384, 384, 200},  {1040, 70, 130},
                                         {70, 2050, 100}, {1024, 1024, 130}};
    for (int types = RN_CPU_BF16; types < RN_CPU_TYPES; types++) {
        struct run run = {.k = rn_kernels_cpu_bf16(types == RN_CPU_BF16_RESIDUAL_F32)};
        const struct rn_lane_limits limits = {
            .tokens = 200, .sequences = 1, .length = 1, .width = 2050, .heads = 1, .head_dim = 16};
        assert_true(rn_is_ok(run.k->device_open(&run.device, NULL)));
        assert_true(rn_is_ok(run.k->lane_new(run.device, &limits, &run.lane, NULL)));
        for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
            const bool oneself = shapes[i][0] == 1024;
            check_shape(&run, shapes[i][0], shapes[i][1], types == RN_CPU_BF16, shapes[i][2]);
            if (!oneself) {
                check_shape(&run, shapes[i][0], shapes[i][1], types != RN_CPU_BF16, shapes[i][2]);
            }
        }
        run_free(&run);
    }
}

static void conversions_round_to_the_nearest_even(void **state)
{
    (void)state;
    static const struct {
        uint32_t from;
        uint16_t to;
    } cases[] = {{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81},
                 {0x3f818000, 0x3f82}, {0x3f817fff, 0x3f81}, {0xbf818000, 0xbf82},
                 {0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80},
                 {0x80000000, 0x8000}, {0x00000000, 0x0000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        float x;
        memcpy(&x, &cases[i].from, sizeof(x));
        assert_int_equal(rn_bf16_of(x), cases[i].to);
    }
    assert_true(isnan(rn_bf16_value(rn_bf16_of(NAN))));
    const uint32_t low_nan = 0x7f800001; /* its payload is below bfloat16's */
    float x;
    memcpy(&x, &low_nan, sizeof(x));
    assert_true(isnan(rn_bf16_value(rn_bf16_of(x))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_agree_with_the_reference),
        cmocka_unit_test(gelu_follows_erf),
        cmocka_unit_test(rows_do_not_depend_on_the_batch),
        cmocka_unit_test(conversions_round_to_the_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
