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
#include "tests/unit/trainer/bf16bounds.h"
#include "tests/unit/trainer/cpuclasses.h"
#include "trainer/dp.h"
#include "trainer/safetensors.h"

#define TOLERANCE 1e-5

static void must(rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", err->text);
    }
}

struct golden_case {
    const char *name;
    enum rn_task task;
    uint32_t max_length;
    uint32_t labels;
    bool pairs;
};

static const struct golden_case cases[] = {
    {"roberta-24", RN_TASK_CLASSIFICATION, 20, 3, true},
    {"bert-40", RN_TASK_CLASSIFICATION, 23, 2, true},
    {"bert-24", RN_TASK_CLASSIFICATION, 17, 2, false},
    {"roberta-56", RN_TASK_REGRESSION, 31, 0, false},
};

struct bench {
    struct rn_safetensors *golden;
    struct rn_trainer *trainer;
    struct rn_dataset *data;
};

static void bench_open(struct bench *b, const struct golden_case *c, const char *backend,
                       uint32_t threads)
{
    char path[4][RN_PATH_MAX];
    static const char *const names[] = {"model", "adapter", "data.tsv", "clipped.safetensors"};
    static const char *const labels[] = {"0", "1", "2"};
    for (int i = 0; i < 4; i++) {
        assert_true(rn_text_format(path[i], RN_PATH_MAX, "%s/tests/parity/golden/%s/%s",
                                   RN_SOURCE_DIR, c->name, names[i]));
    }
    struct rn_error err;
    const struct rn_trainer_spec spec = {.model_dir = path[0],
                                         .adapter_dir = path[1],
                                         .max_length = c->max_length,
                                         .task = c->task,
                                         .labels = c->labels == 0 ? NULL : labels,
                                         .label_count = c->labels,
                                         .head = RN_HEAD_FEDERATED,
                                         .backend = backend,
                                         .threads = threads};
    const struct rn_data_spec data = {.path = path[2],
                                      .text_column = "text",
                                      .pair_column = c->pairs ? "pair" : NULL,
                                      .label_column = "label"};
    must(rn_safetensors_open(path[3], &b->golden, &err), &err);
    must(rn_trainer_open(&spec, &b->trainer, &err), &err);
    must(rn_trainer_data_open(b->trainer, &data, &b->data, &err), &err);
}

static void bench_close(struct bench *b)
{
    rn_trainer_data_close(b->data);
    rn_trainer_close(b->trainer);
    rn_safetensors_free(b->golden);
}

static void golden(const struct bench *b, const char *name, size_t count, float *out)
{
    const struct rn_tensor *tensor = rn_safetensors_find(b->golden, name);
    if (tensor == NULL || tensor->elements != count) {
        fail_msg("golden tensor %s is missing or has another size", name);
        return;
    }
    struct rn_error err;
    must(rn_tensor_read(tensor, tensor->dimensions, tensor->shape, out, &err), &err);
}

/* The golden sum in the order of the compact vector. */
static float *golden_sum(const struct bench *b, const struct rn_pass_examples *plan)
{
    const struct rn_adapter *adapter = &b->trainer->adapter;
    float *out = rn_alloc(plan->count, sizeof(float));
    for (size_t i = 0; i < adapter->segment_count; i++) {
        char name[RN_SEGMENT_NAME_MAX + 16];
        assert_true(rn_text_format(name, sizeof(name), "sum.%s", adapter->segments[i].name));
        for (size_t r = 0; r < plan->run_count; r++) {
            const struct rn_pass_run *run = &plan->runs[r];
            if (adapter->places[i] - run->place < run->count) {
                golden(b, name, adapter->segments[i].count,
                       out + run->compact + (adapter->places[i] - run->place));
            }
        }
    }
    return out;
}

enum { EXAMPLES = 18 };

/* Relative errors of the examples' norms, each in a batch of its own, and of the batch's sum. */
static void case_errors(const struct bench *b, struct bf16_errors *errors)
{
    struct rn_example examples[EXAMPLES];
    float norms[EXAMPLES];
    float found[EXAMPLES];
    float clip = 0.0f;
    *errors = (struct bf16_errors){0};
    golden(b, "norms", EXAMPLES, norms);
    golden(b, "clip", 1, &clip);
    struct rn_dp_diagnostics seen;
    const struct rn_dp_spec mechanism = {.clip_norm = (double)clip,
                                         .grid = RN_DP_GRID_MAX,
                                         .denominator = 1.0,
                                         .diagnostics = &seen};
    const struct rn_train_spec spec = {.batch = EXAMPLES, .steps = 1, .dp = &mechanism};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_dp *dp = NULL;
    struct rn_error err;
    must(rn_trainer_prepare(b->trainer, true, &err), &err);
    must(rn_dp_new(b->trainer, &spec, &active, 1, &dp, &err), &err);
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
    float *want = golden_sum(b, &b->trainer->passes[0].each);
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
    struct bench b;
    bench_open(&b, c, backend, 2);
    case_errors(&b, errors);
    bench_close(&b);
}

/* `ref` last: it is the same in every class. */
static void clipped_sums(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu", "ref"};
    static struct bf16_errors errors;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends) - !cpu_class_lowest(); j++) {
            backend_errors(&cases[i], backends[j], &errors);
            for (size_t n = 0; n < errors.count; n++) {
                if (!(errors.error[n] <= TOLERANCE)) {
                    fail_msg("%s, %s, %s: relative error %g", cases[i].name, backends[j],
                             errors.name[n], errors.error[n]);
                }
            }
        }
    }
}

static struct bf16_bounds bounds[RN_ARRAY_LENGTH(cases)]; /* filled before the classes run */

static void model_errors(const struct golden_case *c, enum bf16_order order,
                         enum bf16_rounding rounding, uint64_t seed, struct bf16_errors *errors)
{
    struct bench b;
    bench_open(&b, c, "ref", 1);
    bf16_model_use(b.trainer, order, rounding, seed);
    case_errors(&b, errors);
    bench_close(&b);
}

static void bf16_bounds_are_formed(void **state)
{
    (void)state;
    static struct bf16_errors errors;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (uint64_t seed = 0; seed < BF16_SAMPLES; seed++) {
            model_errors(&cases[i], BF16_FLOAT64, BF16_EITHER, seed, &errors);
            bf16_bounds_add(&bounds[i], &errors);
        }
    }
}

/* Sums in the order of every processor, whether this machine has it or not. */
static void bf16_bounds_hold_in_every_order(void **state)
{
    (void)state;
    static struct bf16_errors errors;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (int order = 0; order < BF16_ORDERS; order++) {
            model_errors(&cases[i], (enum bf16_order)order, BF16_NEAREST, 0, &errors);
            bf16_bounds_check(&bounds[i], &errors, cases[i].name, bf16_order_names[order]);
        }
    }
}

static void clipped_sums_in_bf16(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu-bf16", "cpu-bf16-residual-f32"};
    static struct bf16_errors errors;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            backend_errors(&cases[i], backends[j], &errors);
            bf16_bounds_check(&bounds[i], &errors, cases[i].name, backends[j]);
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
