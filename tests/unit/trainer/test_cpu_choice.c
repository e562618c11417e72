/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bfloat16 backends multiply with: the rule on made-up processors, and that this process
 * follows it, never takes what is slower than float32, and says what it took.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "trainer/kernels/cpu/cpu_choice.h"
#include "trainer/kernels/cpu/cpu_features.h"

static void the_rule(void **state)
{
    (void)state;
    static const struct {
        struct rn_cpu_rates rates; /* amx, onednn, float32 */
        enum rn_cpu_candidate wanted;
    } cases[] = {
        {{{0, 0, 0}}, RN_CPU_BY_FLOAT32},        /* nothing measured */
        {{{0, 0, 90}}, RN_CPU_BY_FLOAT32},       /* AVX-512 alone */
        {{{0, 220, 105}}, RN_CPU_BY_ONEDNN},     /* dot products at twice the rate */
        {{{0, 85, 160}}, RN_CPU_BY_FLOAT32},     /* at half of it */
        {{{1300, 1000, 160}}, RN_CPU_BY_AMX},    /* tiles */
        {{{1000, 1100, 160}}, RN_CPU_BY_AMX},    /* the library within the margin */
        {{{1000, 1199, 160}}, RN_CPU_BY_AMX},    /* just inside */
        {{{1000, 1200, 160}}, RN_CPU_BY_ONEDNN}, /* at it */
        {{{1000, 85, 160}}, RN_CPU_BY_AMX},      /* the library without AMX */
        {{{0, 119, 100}}, RN_CPU_BY_FLOAT32},    /* hardly faster than float32 */
        {{{0, 120, 100}}, RN_CPU_BY_ONEDNN},     /* at the margin */
        {{{119, 121, 100}}, RN_CPU_BY_ONEDNN},   /* the preferred one is out */
        {{{90, 95, 100}}, RN_CPU_BY_FLOAT32},    /* both slower */
        {{{1300, 0, 160}}, RN_CPU_BY_AMX},       /* the library refused */
        {{{0, 1000, 160}}, RN_CPU_BY_ONEDNN},    /* no tiles of our own */
        {{{0, 50, 0}}, RN_CPU_BY_ONEDNN},        /* float32 not measured */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (rn_cpu_choose(&cases[i].rates) != cases[i].wanted) {
            fail_msg("case %zu: %s", i, rn_cpu_candidate_name(rn_cpu_choose(&cases[i].rates)));
        }
    }
}

static void this_process_follows_it(void **state)
{
    (void)state;
    struct rn_cpu_rates rates;
    const enum rn_cpu_candidate choice = rn_cpu_choice(&rates);
    assert_int_equal(choice, rn_cpu_choose(&rates));
    assert_int_equal(choice, rn_cpu_choice(NULL));
    assert_true(rates.rate[choice] >= rates.rate[RN_CPU_BY_FLOAT32]);
    assert_ptr_equal(rn_kernels_cpu_bf16(false), rn_kernels_cpu_bf16_by(choice, false));
    assert_ptr_equal(rn_kernels_cpu_bf16(true), rn_kernels_cpu_bf16_by(choice, true));
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) { /* measured is what is there and may be chosen */
        const bool there = rn_kernels_cpu_bf16_by((enum rn_cpu_candidate)i, false) != NULL &&
                           !(i == RN_CPU_BY_ONEDNN && rn_cpu_features()->amx);
        assert_int_equal(rates.rate[i] > 0.0, there && rn_cpu_features()->avx512_bf16);
    }
    assert_int_equal(rn_kernels_cpu_bf16_by(RN_CPU_BY_AMX, true) != NULL, rn_cpu_features()->amx);
    assert_non_null(rn_kernels_cpu_bf16_by(RN_CPU_BY_FLOAT32, true));
}

static void what_is_named_is_taken(void **state)
{
    (void)state;
    static const char *const names[] = {"amx", "onednn", "float32"};
    const struct rn_kernels *table = NULL;
    struct rn_error err;
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
        for (int f32 = 0; f32 < 2; f32++) {
            const char *backend = f32 ? "cpu-bf16-residual-f32" : "cpu-bf16";
            const struct rn_kernels *there =
                rn_kernels_cpu_bf16_by((enum rn_cpu_candidate)i, f32 == 1);
            const rn_result result = rn_kernels_find_by(backend, names[i], &table, &err);
            assert_int_equal(result.code, there != NULL ? RN_OK : RN_E_UNSUPPORTED);
            assert_ptr_equal(table, there);
        }
        assert_int_equal(rn_kernels_find_by("cpu", names[i], &table, &err).code, RN_E_USAGE);
        assert_int_equal(rn_kernels_find_by("ref", names[i], &table, &err).code, RN_E_USAGE);
    }
    assert_int_equal(rn_kernels_find_by("cpu-bf16", "fast", &table, &err).code, RN_E_USAGE);
    assert_true(rn_is_ok(rn_kernels_find_by("cpu", "auto", &table, &err)));
    assert_ptr_equal(table, rn_kernels_cpu());
    assert_true(rn_is_ok(rn_kernels_find_by("cpu-bf16", NULL, &table, &err)));
    assert_ptr_equal(table, rn_kernels_cpu_bf16(false));
}

static void what_was_measured_is_said(void **state)
{
    (void)state;
    char text[RN_KERNELS_MEASURED_MAX];
    struct rn_cpu_rates rates;
    (void)rn_cpu_choice(&rates);
    rn_kernels_measured(rn_kernels_cpu(), text);
    assert_string_equal(text, "");
    rn_kernels_measured(rn_kernels_cpu_bf16(false), text);
    for (int i = 0; i < RN_CPU_CANDIDATES; i++) {
        const bool said = strstr(text, rn_cpu_candidate_name((enum rn_cpu_candidate)i)) != NULL;
        assert_int_equal(said, rates.rate[i] > 0.0);
    }
    assert_int_equal(strstr(text, "GFLOP/s a thread") != NULL, text[0] != '\0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_named_is_taken),
        cmocka_unit_test(what_was_measured_is_said),
        cmocka_unit_test(the_rule),
        cmocka_unit_test(this_process_follows_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
