/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden files of tests/parity/make_dp_golden.py (torch, one example at a time in float64):
 * the examples' norms and the sum of clipped gradients within 1e-5 relative on the float32 and
 * float64 backends; on the bfloat16 ones within the bounds of bf16bounds.h, on every class of
 * processor that this machine has, and in plain C with the sums of those that it lacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldencases.h"
#include "trainer/privacy/dp.h"

#define TOLERANCE 1e-5

/* The golden sum in the order of the compact vector. */
static float *golden_sum(const struct golden_bench *b, const struct rn_pass_examples *plan)
{
    const struct rn_adapter *adapter = &b->trainer->adapter;
    float *out = rn_alloc(plan->count, sizeof(float));
    for (size_t i = 0; i < adapter->segment_count; i++) {
        char name[RN_SEGMENT_NAME_MAX + 16];
        assert_true(rn_text_format(name, sizeof(name), "sum.%s", adapter->segments[i].name));
        for (size_t r = 0; r < plan->run_count; r++) {
            const struct rn_pass_run *run = &plan->runs[r];
            if (adapter->places[i] - run->place < run->count) {
                golden_read(b, name, adapter->segments[i].count,
                            out + run->compact + (adapter->places[i] - run->place));
            }
        }
    }
    return out;
}

enum { EXAMPLES = 18 };

/* Relative errors of the examples' norms, each in a batch of its own, and of the batch's sum. */
static void case_errors(const struct golden_bench *b, struct bf16_errors *errors)
{
    struct rn_example examples[EXAMPLES];
    float norms[EXAMPLES];
    float found[EXAMPLES];
    float clip = 0.0f;
    *errors = (struct bf16_errors){0};
    golden_read(b, "norms", EXAMPLES, norms);
    golden_read(b, "clip", 1, &clip);
    struct rn_dp_diagnostics seen;
    const struct rn_dp_spec mechanism = {.clip_norm = (double)clip,
                                         .grid = RN_DP_GRID_MAX,
                                         .denominator = 1.0,
                                         .diagnostics = &seen};
    const struct rn_train_spec spec = {.batch = EXAMPLES, .steps = 1, .dp = &mechanism};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_dp *dp = NULL;
    struct rn_error err;
    must(rn_trainer_prepare(b->trainer, true, 0, &err), &err);
    must(rn_dp_new(&b->trainer->lanes, &spec, &active, 1, &dp, &err), &err);
    const size_t count = rn_dp_elements(dp);
    int64_t *sum = rn_alloc(count, sizeof(int64_t));
    for (size_t i = 0; i < EXAMPLES; i++) {
        examples[i] = rn_dataset_at(b->data, i);
        seen.norm_sum = 0.0;
        must(rn_dp_sum(dp, &examples[i], 1, sum, &err), &err);
        found[i] = (float)seen.norm_sum;
    }
    bf16_error_add(errors, "norms", found, norms, EXAMPLES);
    must(rn_dp_sum(dp, examples, EXAMPLES, sum, &err), &err);
    float *want = golden_sum(b, &b->trainer->lanes.passes[0].each);
    float *got = rn_alloc(count, sizeof(float));
    for (size_t j = 0; j < count; j++) {
        got[j] = (float)((double)sum[j] * mechanism.clip_norm / RN_DP_GRID_MAX);
    }
    bf16_error_add(errors, "clipped sum", got, want, count);
    rn_free(want);
    rn_free(got);
    rn_free(sum);
    rn_dp_free(dp);
}

static void backend_errors(const struct golden_case *c, const char *backend,
                           struct bf16_errors *errors)
{
    struct golden_bench b;
    golden_open(&b, c, "clipped.safetensors", backend, 2, RN_HEAD_FEDERATED);
    case_errors(&b, errors);
    golden_close(&b);
}

static void clipped_sums(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu", "ref"};
    static struct bf16_errors errors;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            if (cpu_class_leaves_out(backends[j])) {
                continue;
            }
            backend_errors(&golden_cases[i], backends[j], &errors);
            bf16_errors_check(&errors, TOLERANCE, golden_cases[i].name, backends[j]);
        }
    }
}

static struct bf16_bounds bounds[GOLDEN_CASES]; /* filled before the classes run */

static void model_errors(const struct golden_case *c, enum bf16_order order,
                         enum bf16_rounding rounding, uint64_t seed, struct bf16_errors *errors)
{
    struct golden_bench b;
    golden_open(&b, c, "clipped.safetensors", "ref", 1, RN_HEAD_FEDERATED);
    bf16_model_use(b.trainer, order, rounding, seed);
    case_errors(&b, errors);
    golden_close(&b);
}

static void bf16_bounds_are_formed(void **state)
{
    (void)state;
    golden_bounds_form(bounds, model_errors);
}

static void bf16_bounds_hold_in_every_order(void **state)
{
    (void)state;
    golden_bounds_hold(bounds, model_errors);
}

static void clipped_sums_in_bf16(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu-bf16", "cpu-bf16-residual-f32"};
    static struct bf16_errors errors;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            backend_errors(&golden_cases[i], backends[j], &errors);
            bf16_bounds_check(&bounds[i], &errors, golden_cases[i].name, backends[j]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest once[] = {
        cmocka_unit_test(bf16_bounds_are_formed),
        cmocka_unit_test(bf16_bounds_hold_in_every_order),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clipped_sums),
        cmocka_unit_test(clipped_sums_in_bf16),
    };
    return cmocka_run_group_tests(once, NULL, NULL) +
           RUN_IN_CLASSES(CPU_CLASSES_ALL, "clipping", tests);
}
