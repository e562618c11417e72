/* SPDX-License-Identifier: Apache-2.0
 *
 * Every operation of the CPU backend's three instruction sets against the float64 reference on the
 * same random input, and the sets against each other bit for bit. Odd sizes throughout.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "tests/unit/trainer/kernelcases.h"

static double relative_error(const struct result *a, const struct result *b)
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

static void cpu_agrees_with_the_reference(void **state)
{
    (void)state;
    struct run reference;
    run_all(&reference, rn_kernels_ref(), false);
    for (int set = RN_CPU_SCALAR; set <= RN_CPU_AVX512; set++) {
        const struct rn_kernels *k = rn_kernels_cpu_of((enum rn_cpu_set)set);
        if (k == NULL) {
            continue;
        }
        struct run run;
        run_all(&run, k, false);
        assert_int_equal(run.count, reference.count);
        for (size_t i = 0; i < run.count; i++) {
            const double error = relative_error(&run.results[i], &reference.results[i]);
            if (!(error <= 1e-6)) {
                fail_msg("set %d, %s: relative error %g", set, run.results[i].name, error);
            }
        }
        run_free(&run);
    }
    run_free(&reference);
}

static void sets_agree_bit_for_bit(void **state)
{
    (void)state;
    struct run scalar;
    run_all(&scalar, rn_kernels_cpu_of(RN_CPU_SCALAR), false);
    for (int set = RN_CPU_AVX2; set <= RN_CPU_AVX512; set++) {
        const struct rn_kernels *k = rn_kernels_cpu_of((enum rn_cpu_set)set);
        if (k == NULL) {
            continue;
        }
        struct run run;
        run_all(&run, k, false);
        for (size_t i = 0; i < run.count; i++) {
            if (memcmp(run.results[i].values, scalar.results[i].values,
                       run.results[i].count * sizeof(float)) != 0) {
                fail_msg("set %d, %s: other bits than the scalar code", set, run.results[i].name);
            }
        }
        run_free(&run);
    }
    run_free(&scalar);
}

/* How many values of the output and its log sums are no finite numbers when one query, or one key,
 * is a NaN. */
static size_t not_finite_after(const struct rn_kernels *k, bool key)
{
    struct run run;
    run_open(&run, k, false);
    const struct rn_attention a = {
        .sequences = sequences, .heads = HEADS, .head_dim = WIDTH, .scale = 0.35355339f};
    struct rn_mat q = wide(&run, "q", T, D);
    struct rn_mat keys = wide(&run, "k", T, D);
    struct rn_mat v = wide(&run, "v", T, D);
    struct rn_mat out = wide(&run, NULL, T, D);
    struct rn_mat lse = narrow(&run, NULL, T, HEADS);
    rn_row_f32(key ? keys : q, 0)[0] = NAN;
    k->attention(run.lane, &a, q, keys, v, out, lse);
    size_t count = 0;
    for (size_t i = 0; i < (size_t)T * D; i++) {
        count += !isfinite(((const float *)out.data)[i]);
    }
    struct rn_mat *const mats[] = {&q, &keys, &v, &out, &lse};
    for (size_t i = 0; i < sizeof(mats) / sizeof(mats[0]); i++) {
        rn_free(mats[i]->data);
    }
    run_free(&run);
    return count;
}

/* A score that is no number must not become an even share of attention: the loss would look sound.
 */
static void attention_keeps_a_nan(void **state)
{
    (void)state;
    for (int set = RN_CPU_SCALAR; set <= RN_CPU_AVX512; set++) {
        const struct rn_kernels *k = rn_kernels_cpu_of((enum rn_cpu_set)set);
        if (k == NULL) {
            continue;
        }
        /* one head of one row; one head of every row of the first sequence */
        assert_int_equal(not_finite_after(k, false), WIDTH);
        assert_int_equal(not_finite_after(k, true), WIDTH * (size_t)sequences.cu_host[1]);
    }
}

/* Tests that run in every class lean on it. */
static void a_lower_class_is_what_is_chosen(void **state)
{
    (void)state;
    for (int level = RN_CPU_CLASS_SCALAR; level <= RN_CPU_CLASS_AVX512; level++) {
        const enum rn_cpu_set set = (enum rn_cpu_set)level;
        const bool there = rn_kernels_cpu_of(set) != NULL;
        assert_int_equal(rn_cpu_class_take((enum rn_cpu_class)level) == RN_CPU_TAKEN, there);
        if (there) {
            assert_ptr_equal(rn_kernels_cpu(), rn_kernels_cpu_of(set));
            assert_ptr_equal(rn_kernels_cpu_bf16(false), rn_kernels_cpu_typed(set, RN_CPU_BF16));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lower_class_is_what_is_chosen),
        cmocka_unit_test(cpu_agrees_with_the_reference),
        cmocka_unit_test(sets_agree_bit_for_bit),
        cmocka_unit_test(attention_keeps_a_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
