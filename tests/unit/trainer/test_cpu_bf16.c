/* SPDX-License-Identifier: Apache-2.0
 *
 * The bfloat16 backends, on every class of processor that this machine has: every operation against
 * the float64 reference on the same rounded input; a row of a product has the same bits whatever
 * the number of rows, its place and the thread; conversions at their edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/trainer/bf16bounds.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/kernelcases.h"

/* Half a unit in the last place of a bfloat16 number is at most 2^-8 of it. */
#define HALF_UNIT 0x1p-8
/* GELU, its slope and exponentials are polynomials (cpu_fused.body.h, cpu_attention_dot.body.h): at
 * most 2e-4 of the value, and 3e-5 where the slope is near zero. */
#define POLYNOMIAL 2e-4
#define POLYNOMIAL_ZERO 3e-5
/* A sum of at most F float32 terms (of D for the other side) errs by at most F 2^-24 of the sum of
 * their sizes. Relative to a whole result that is F 2^-24, nothing much cancelling in it; for one
 * element the terms are products of numbers of deviation 0.7, of sizes that add up to below 57. */
#define SUM (F * 0x1p-24)
#define SUM_ELEMENT (SUM * 57.0)

/* Results of one rounding: each element within half a unit of what float32 gave. */
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
        const double bound = (HALF_UNIT + POLYNOMIAL) * size + SUM_ELEMENT;
        const double off = fabs((double)found->values[i] - (double)wanted->values[i]);
        if (!(off <= bound)) {
            fail_msg("%s, %s: element %zu is %g, not %g", table, found->name, i,
                     (double)found->values[i], (double)wanted->values[i]);
        }
    }
}

static struct run reference;       /* filled before the classes run, as the squares are */
static double square_sum[RESULTS]; /* of relative errors, over the samples */

/* Relative errors of every operation of a table; the caller frees nothing. */
static void table_errors(const struct rn_kernels *k, struct run *run, double errors[RESULTS])
{
    run_all(run, k, true);
    assert_int_equal(run->count, reference.count);
    for (size_t i = 0; i < run->count; i++) {
        errors[i] = bf16_relative_error(run->results[i].values, reference.results[i].values,
                                        run->results[i].count);
    }
}

static void check_errors(const char *table, const struct run *run, const double errors[RESULTS])
{
    for (size_t i = 0; i < run->count; i++) {
        const double bound = BF16_SLACK * sqrt(square_sum[i] / BF16_SAMPLES) + SUM;
        if (!(errors[i] <= bound)) {
            fail_msg("%s, %s: relative error %g, bound %g", table, run->results[i].name, errors[i],
                     bound);
        }
        if (one_rounding(run->results[i].name)) {
            check_units(table, &run->results[i], &reference.results[i]);
        }
    }
}

static void bounds_are_formed(void **state)
{
    (void)state;
    run_all(&reference, rn_kernels_ref(), true);
    for (uint64_t seed = 0; seed < BF16_SAMPLES; seed++) {
        struct run run;
        double errors[RESULTS];
        table_errors(bf16_model_table(BF16_FLOAT64, BF16_EITHER, seed), &run, errors);
        for (size_t i = 0; i < run.count; i++) {
            square_sum[i] += errors[i] * errors[i];
        }
        run_free(&run);
    }
}

/* Sums in the order of every processor, whether this machine has it or not. */
static void bounds_hold_in_every_order(void **state)
{
    (void)state;
    for (int order = 0; order < BF16_ORDERS; order++) {
        struct run run;
        double errors[RESULTS];
        table_errors(bf16_model_table((enum bf16_order)order, BF16_NEAREST, 0), &run, errors);
        check_errors(bf16_order_names[order], &run, errors);
        run_free(&run);
    }
}

static void operations_agree_with_the_reference(void **state)
{
    (void)state;
    for (int residual_f32 = 0; residual_f32 < 2; residual_f32++) {
        const struct rn_kernels *k = rn_kernels_cpu_bf16(residual_f32 == 1);
        struct run run;
        double errors[RESULTS];
        table_errors(k, &run, errors);
        check_errors(k->name, &run, errors);
        run_free(&run);
    }
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
        assert_true(off <= (HALF_UNIT + POLYNOMIAL) * fabs(at * phi) + 1e-36);
        const double slope_off = fabs((double)rn_bf16_value(((uint16_t *)pre.data)[i]) - slope);
        assert_true(slope_off <= (HALF_UNIT + POLYNOMIAL) * fabs(slope) + POLYNOMIAL_ZERO);
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

#ifdef __SANITIZE_ADDRESS__
#define COUNT_STEP 13u /* the bits are looked at without the sanitizer; here it is memory */
#else
#define COUNT_STEP 1u
#endif

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
    for (uint32_t count = 1; count <= rows; count += COUNT_STEP) {
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
            if (cpu_class_lowest() && (size_t)shapes[i][0] * shapes[i][1] > 64 * 64) {
                continue; /* minutes of scalar code, with the bits of AVX2 */
            }
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
    const struct CMUnitTest once[] = {
        cmocka_unit_test(bounds_are_formed),
        cmocka_unit_test(bounds_hold_in_every_order),
        cmocka_unit_test(conversions_round_to_the_nearest_even),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_agree_with_the_reference),
        cmocka_unit_test(gelu_follows_erf),
        cmocka_unit_test(rows_do_not_depend_on_the_batch),
    };
    const int failed = cmocka_run_group_tests(once, NULL, NULL) +
                       RUN_IN_CLASSES(CPU_CLASSES_ALL, "bfloat16", tests);
    run_free(&reference);
    return failed;
}
