/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden files of tests/parity/make_dp_golden.py (torch, one example at a time in float64):
 * each example's norm and the sum of clipped gradients within 1e-5 relative on the float32 and
 * float64 backends, by direction on the bfloat16 ones.
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
#include "trainer/dp.h"
#include "trainer/safetensors.h"

#define TOLERANCE 1e-5
/* Norms of 18 clipped examples in bfloat16: by direction and size of the whole. */
#define TOLERANCE_BF16 5e-2
#define COSINE_BF16 0.99

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

static void bench_open(struct bench *b, const struct golden_case *c, const char *backend)
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
                                         .threads = 2};
    const struct rn_data_spec data = {.path = path[2],
                                      .text_column = "text",
                                      .pair_column = c->pairs ? "pair" : NULL,
                                      .label_column = "label"};
    must(rn_safetensors_open(path[3], &b->golden, &err), &err);
    must(rn_trainer_open(&spec, &b->trainer, &err), &err);
    must(rn_trainer_data_open(b->trainer, &data, &b->data, &err), &err);
    must(rn_trainer_prepare(b->trainer, true, &err), &err);
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

static void check_case(const struct golden_case *c, const char *backend, double tolerance,
                       double cosine)
{
    struct bench b;
    bench_open(&b, c, backend);
    struct rn_example examples[18];
    float norms[18];
    float clip = 0.0f;
    golden(&b, "norms", 18, norms);
    golden(&b, "clip", 1, &clip);
    struct rn_dp_diagnostics seen;
    const struct rn_dp_spec mechanism = {.clip_norm = (double)clip,
                                         .grid = RN_DP_GRID_MAX,
                                         .denominator = 1.0,
                                         .diagnostics = &seen};
    const struct rn_train_spec spec = {.batch = 18, .steps = 1, .dp = &mechanism};
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_dp *dp = NULL;
    struct rn_error err;
    must(rn_dp_new(b.trainer, &spec, &active, 1, &dp, &err), &err);
    int64_t *sum = rn_alloc(rn_dp_elements(dp), sizeof(int64_t));
    for (size_t i = 0; i < 18; i++) {
        examples[i] = rn_dataset_at(b.data, i);
        seen.norm_sum = 0.0;
        must(rn_dp_sum(dp, &examples[i], 1, sum, &err), &err);
        if (!(fabs(seen.norm_sum - (double)norms[i]) <= tolerance * (double)norms[i])) {
            fail_msg("%s, %s, example %zu: norm %g, not %g", c->name, backend, i, seen.norm_sum,
                     (double)norms[i]);
        }
    }
    must(rn_dp_sum(dp, examples, 18, sum, &err), &err);
    float *want = golden_sum(&b, &b.trainer->passes[0].each);
    double difference = 0.0;
    double product = 0.0;
    double sizes[2] = {0.0, 0.0};
    for (size_t j = 0; j < rn_dp_elements(dp); j++) {
        const double found = (double)sum[j] * mechanism.clip_norm / RN_DP_GRID_MAX;
        difference += pow(found - (double)want[j], 2.0);
        product += found * (double)want[j];
        sizes[0] += found * found;
        sizes[1] += (double)want[j] * (double)want[j];
    }
    const double error = sqrt(difference / sizes[1]);
    if (!(cosine > 0.0 ? product / sqrt(sizes[0] * sizes[1]) >= cosine : error <= tolerance)) {
        fail_msg("%s, %s: clipped sum: relative error %g", c->name, backend, error);
    }
    rn_free(want);
    rn_free(sum);
    rn_dp_free(dp);
    bench_close(&b);
}

static void clipped_sums(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        check_case(&cases[i], "ref", TOLERANCE, 0.0);
        check_case(&cases[i], "cpu", TOLERANCE, 0.0);
    }
}

static void clipped_sums_in_bf16(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        check_case(&cases[i], "cpu-bf16", TOLERANCE_BF16, COSINE_BF16);
        check_case(&cases[i], "cpu-bf16-residual-f32", TOLERANCE_BF16, COSINE_BF16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clipped_sums),
        cmocka_unit_test(clipped_sums_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
