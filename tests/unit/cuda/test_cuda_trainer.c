/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole trainer on the CUDA backend, opened at run time as a shared object: logits, gradients
 * and training against the golden files of tests/parity/generate.py and the reference backend,
 * within bf16; packed equals one by one and two runs are equal, bit for bit; a frozen matrix keeps
 * its bytes.
 *
 * Runs on the emulated library always, and on the real one when its device answers (else it says
 * why it does not).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "tests/unit/trainer/bf16bounds.h"
#include "trainer/ground/safetensors.h"

struct model {
    const char *name;
    enum rn_task task;
    uint32_t max_length, labels;
    bool pairs;
    bool rows; /* numbers, in data.csv */
};

static const struct model models[] = {
    {"roberta-24", RN_TASK_CLASSIFICATION, 20, 3, true, false},
    {"bert-40", RN_TASK_CLASSIFICATION, 23, 2, true, false},
    {"roberta-56", RN_TASK_REGRESSION, 31, 1, false, false},
    {"mlp-40", RN_TASK_CLASSIFICATION, 0, 5, false, true},
};

struct bench {
    const struct model *model;
    struct rn_trainer *trainer;
    struct rn_dataset *data;
};

static void must(rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", err->text);
    }
}

static void path_of(const struct model *m, const char *name, char out[RN_PATH_MAX])
{
    /* On another machine than it was built on, this runs from the top of a copy. */
    const char *source = access(RN_SOURCE_DIR, R_OK) == 0 ? RN_SOURCE_DIR : ".";
    assert_true(
        rn_text_format(out, RN_PATH_MAX, "%s/tests/parity/golden/%s/%s", source, m->name, name));
}

static void open_bench(struct bench *b, const struct model *m, const char *backend,
                       enum rn_head_mode head)
{
    static const char *const labels[] = {"0", "1", "2", "3", "4"};
    char model[RN_PATH_MAX], adapter[RN_PATH_MAX], file[RN_PATH_MAX];
    const bool regression = m->task == RN_TASK_REGRESSION;
    struct rn_error err;
    path_of(m, "model", model);
    path_of(m, "adapter", adapter);
    path_of(m, m->rows ? "data.csv" : "data.tsv", file);
    const struct rn_trainer_spec spec = {.model_dir = model,
                                         .adapter_dir = adapter,
                                         .max_length = m->max_length,
                                         .task = m->task,
                                         .labels = regression ? NULL : labels,
                                         .label_count = regression ? 0 : m->labels,
                                         .head = head,
                                         .backend = backend,
                                         .threads = 1,
                                         .for_training = true};
    const struct rn_data_spec data = {.path = file,
                                      .text_column = m->rows ? "*" : "text",
                                      .pair_column = m->pairs ? "pair" : NULL,
                                      .label_column = "label"};
    *b = (struct bench){.model = m};
    must(rn_trainer_open(&spec, &b->trainer, &err), &err);
    must(rn_trainer_data_open(b->trainer, &data, &b->data, &err), &err);
}

static void close_bench(struct bench *b)
{
    rn_trainer_data_close(b->data);
    rn_trainer_close(b->trainer);
}

static double distance(const float *a, const float *b, size_t n)
{
    double difference = 0.0, size = 0.0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(difference / size);
}

static float *golden(const struct model *m, const char *name, size_t count)
{
    char path[RN_PATH_MAX];
    struct rn_error err;
    struct rn_safetensors *file = NULL;
    path_of(m, "golden.safetensors", path);
    must(rn_safetensors_open(path, &file, &err), &err);
    const struct rn_tensor *tensor = rn_safetensors_find(file, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->elements, count);
    float *out = rn_alloc(count, sizeof(float));
    must(rn_tensor_read(tensor, tensor->dimensions, tensor->shape, out, &err), &err);
    rn_safetensors_free(file);
    return out;
}

/* Logits of examples first .. first+count-1 in one block, forward only. */
static void logits_of(struct bench *b, size_t first, uint32_t count, float *out)
{
    struct rn_error err;
    struct rn_example examples[64];
    struct rn_pass *pass = &b->trainer->lanes.passes[0];
    assert_true(count <= 64);
    for (uint32_t i = 0; i < count; i++) {
        examples[i] = rn_dataset_at(b->data, first + i);
    }
    rn_pass_load(pass, examples, count);
    rn_pass_forward(pass);
    must(rn_pass_logits(pass, &err), &err);
    memcpy(out, pass->host_logits, count * b->trainer->settled.label_count * sizeof(float));
}

/* The gradient of `scale` times the loss of the same examples, in the order of the segments. */
static float *gradient_of(struct bench *b, size_t first, uint32_t count, float scale)
{
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    const size_t n = b->trainer->adapter.count;
    struct rn_pass *pass = &b->trainer->lanes.passes[0];
    float *logits = rn_alloc((size_t)count * b->trainer->settled.label_count, sizeof(float));
    float *out = rn_alloc(n, sizeof(float));
    const struct rn_adapter *adapter = &b->trainer->adapter;
    logits_of(b, first, count, logits);
    rn_pass_loss(pass, b->trainer->settled.task, scale, true);
    rn_pass_backward(pass, &active);
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *s = &adapter->segments[i];
        b->trainer->lanes.kernels->download(pass->lane, out + s->offset,
                                            pass->gradient + adapter->places[i],
                                            s->count * sizeof(float));
    }
    rn_free(logits);
    return out;
}

/* Against float64: logits, each tensor's gradient, the whole. */
static void golden_errors(struct bench *b, struct bf16_errors *errors)
{
    struct rn_error err;
    *errors = (struct bf16_errors){0};
    must(rn_trainer_prepare(b->trainer, true, 0, &err), &err);
    const size_t count = rn_dataset_count(b->data) * b->trainer->settled.label_count;
    float *logits = rn_alloc(count, sizeof(float));
    logits_of(b, 0, (uint32_t)rn_dataset_count(b->data), logits);
    float *wanted = golden(b->model, "logits", count);
    bf16_error_add(errors, "logits", logits, wanted, count);
    rn_free(wanted);
    rn_free(logits);
    float *gradient = gradient_of(b, 0, 4, 0.25f);
    float *whole = rn_alloc(b->trainer->adapter.count, sizeof(float));
    for (size_t i = 0; i < b->trainer->adapter.segment_count; i++) {
        const struct rn_segment *s = &b->trainer->adapter.segments[i];
        char name[RN_SEGMENT_NAME_MAX + 16];
        assert_true(rn_text_format(name, sizeof(name), "gradient.%s", s->name));
        wanted = golden(b->model, name, s->count);
        memcpy(whole + s->offset, wanted, s->count * sizeof(float));
        bf16_error_add(errors, name, gradient + s->offset, wanted, s->count);
        rn_free(wanted);
    }
    bf16_error_add(errors, "whole gradient", gradient, whole, b->trainer->adapter.count);
    rn_free(whole);
    rn_free(gradient);
}

/* The device rounds where the CPU's bfloat16 backends do. */
static void values_are_those_of_peft(void **state)
{
    (void)state;
    static struct bf16_errors errors;
    for (size_t m = 0; m < RN_ARRAY_LENGTH(models); m++) {
        struct bench b;
        struct bf16_bounds bounds = {0};
        for (uint64_t seed = 0; seed < BF16_SAMPLES; seed++) {
            open_bench(&b, &models[m], "ref", RN_HEAD_FEDERATED);
            bf16_model_use(b.trainer, BF16_FLOAT64, BF16_EITHER, seed);
            golden_errors(&b, &errors);
            bf16_bounds_add(&bounds, &errors);
            close_bench(&b);
        }
        open_bench(&b, &models[m], "cuda", RN_HEAD_FEDERATED);
        golden_errors(&b, &errors);
        bf16_bounds_check(&bounds, &errors, models[m].name, "cuda");
        close_bench(&b);
    }
}

static void packed_equals_one_by_one(void **state)
{
    (void)state;
    for (size_t m = 0; m < RN_ARRAY_LENGTH(models); m++) {
        struct bench b;
        struct rn_error err;
        open_bench(&b, &models[m], "cuda", RN_HEAD_FEDERATED);
        must(rn_trainer_prepare(b.trainer, true, 0, &err), &err);
        const size_t count = rn_dataset_count(b.data), labels = b.trainer->settled.label_count;
        float *packed = rn_alloc(count * labels, sizeof(float));
        float *alone = rn_alloc(count * labels, sizeof(float));
        logits_of(&b, 0, (uint32_t)count, packed);
        for (size_t i = 0; i < count; i++) {
            logits_of(&b, i, 1, alone + i * labels);
        }
        assert_memory_equal(packed, alone, count * labels * sizeof(float));
        rn_free(packed);
        rn_free(alone);
        close_bench(&b);
    }
}

/* What differential privacy rests on: an example's gradient has the same bits whoever is beside it,
 * so the batch's gradient is exactly the sum of the gradients alone, in their order. */
static void a_gradient_keeps_its_bits_in_company(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    for (size_t m = 0; m < RN_ARRAY_LENGTH(models); m++) {
        struct bench b;
        struct rn_error err;
        open_bench(&b, &models[m], "cuda", RN_HEAD_FEDERATED);
        must(rn_trainer_prepare(b.trainer, true, 0, &err), &err);
        const size_t n = b.trainer->adapter.count;
        float *together = gradient_of(&b, 3, COUNT, 0.125f);
        float *sum = rn_alloc(n, sizeof(float));
        for (size_t i = 0; i < COUNT; i++) {
            float *alone = gradient_of(&b, 3 + i, 1, 0.125f);
            for (size_t e = 0; e < n; e++) {
                sum[e] += alone[e];
            }
            rn_free(alone);
        }
        for (size_t e = 0; e < n; e++) {
            assert_true(sum[e] == together[e]); /* -0 equals 0 */
        }
        rn_free(together);
        rn_free(sum);
        close_bench(&b);
    }
}

/* Ten steps; returns the adapter and the mean loss of the last batch. */
static float *train(const struct model *m, const char *backend, enum rn_matrix active,
                    enum rn_head_mode head, size_t *out_count, double *out_loss)
{
    const struct rn_train_spec spec = {.active = active,
                                       .optimizer = RN_OPTIMIZER_ADAMW,
                                       .lr_a = 5e-3,
                                       .lr_b = 5e-3,
                                       .weight_decay = 0.05,
                                       .schedule = RN_SCHEDULE_LINEAR,
                                       .warmup_steps = 2,
                                       .clip = 1.0,
                                       .batch = 4,
                                       .steps = 10};
    struct bench b;
    struct rn_error err;
    struct rn_train_report report;
    open_bench(&b, m, backend, head);
    const struct rn_adapter *adapter = &b.trainer->adapter;
    const size_t count = adapter->count;
    float *before = rn_alloc(count, sizeof(float)), *after = rn_alloc(count, sizeof(float));
    must(rn_trainer_get(b.trainer, RN_MATRIX_AB, true, before, count, &err), &err);
    must(rn_trainer_train(b.trainer, b.data, &spec, NULL, NULL, &report, &err), &err);
    must(rn_trainer_get(b.trainer, RN_MATRIX_AB, true, after, count, &err), &err);
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *s = &adapter->segments[i];
        const bool same =
            memcmp(before + s->offset, after + s->offset, s->count * sizeof(float)) == 0;
        assert_int_equal(same, !rn_segment_chosen(s, active, head != RN_HEAD_FROZEN));
    }
    rn_free(before);
    close_bench(&b);
    *out_count = count;
    *out_loss = report.loss_last;
    return after;
}

#ifdef __SANITIZE_ADDRESS__
#define NEAR_STEP \
    (RN_ARRAY_LENGTH(models) - 1) /* the first model and the last: it is memory here */
#else
#define NEAR_STEP 1
#endif

static void training_is_near_the_reference(void **state)
{
    (void)state;
    static const struct {
        enum rn_matrix active;
        enum rn_head_mode head;
    } settings[] = {{RN_MATRIX_AB, RN_HEAD_FEDERATED},
                    {RN_MATRIX_A, RN_HEAD_FROZEN},
                    {RN_MATRIX_B, RN_HEAD_FROZEN}};
    for (size_t m = 0; m < RN_ARRAY_LENGTH(models); m += NEAR_STEP) {
        for (size_t s = 0; s < RN_ARRAY_LENGTH(settings); s++) {
            size_t n = 0;
            double loss[2];
            float *once =
                train(&models[m], "cuda", settings[s].active, settings[s].head, &n, &loss[0]);
            float *wanted =
                train(&models[m], "ref", settings[s].active, settings[s].head, &n, &loss[1]);
            assert_true(distance(once, wanted, n) <= 2e-2);
            assert_true(fabs(loss[0] - loss[1]) <= 0.1 * fabs(loss[1]));
            rn_free(once);
            rn_free(wanted);
        }
    }
}

static void training_repeats(void **state)
{
    (void)state;
    size_t n = 0;
    double loss = 0.0;
    float *once = train(&models[2], "cuda", RN_MATRIX_AB, RN_HEAD_FEDERATED, &n, &loss);
    float *again = train(&models[2], "cuda", RN_MATRIX_AB, RN_HEAD_FEDERATED, &n, &loss);
    assert_memory_equal(once, again, n * sizeof(float));
    rn_free(once);
    rn_free(again);
}

/* Rows rounded up, as for recording, against exactly the block's: the same bits. */
static void rounded_rows_change_no_bit(void **state)
{
    (void)state;
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    for (size_t m = 0; m < RN_ARRAY_LENGTH(models); m++) {
        struct bench b;
        struct rn_error err;
        struct rn_example examples[5];
        open_bench(&b, &models[m], "cuda", RN_HEAD_FEDERATED);
        must(rn_trainer_prepare(b.trainer, true, 0, &err), &err);
        const size_t n = b.trainer->adapter.count;
        struct rn_pass *pass = &b.trainer->lanes.passes[0];
        float *bits[2] = {rn_alloc(n, sizeof(float)), rn_alloc(n, sizeof(float))};
        for (uint32_t i = 0; i < 5; i++) {
            examples[i] = rn_dataset_at(b.data, i);
        }
        for (int exact = 0; exact < 2; exact++) {
            rn_pass_load(pass, examples, 5);
            assert_true(pass->sequences.tokens > (uint32_t)pass->host_cu[5]);
            pass->sequences.tokens = exact ? (uint32_t)pass->host_cu[5] : pass->sequences.tokens;
            rn_pass_step(pass, b.trainer->settled.task, 0.2f, &active);
            b.trainer->lanes.kernels->download(pass->lane, bits[exact], pass->gradient,
                                               n * sizeof(float));
        }
        assert_memory_equal(bits[0], bits[1], n * sizeof(float));
        rn_free(bits[0]);
        rn_free(bits[1]);
        close_bench(&b);
    }
}

static void no_noise(void *context, size_t n, double deviation, int64_t *out)
{
    (void)context;
    (void)deviation;
    memset(out, 0, n * sizeof(*out));
}

/* Steps that differ in everything a key must say: plain, with whole-number gradients of examples,
 * one matrix or both, batches of different sizes and lengths. */
static float *varied_training(const char *mode, size_t *out_count)
{
    static const struct rn_dp_spec dp = {
        .clip_norm = 0.5, .grid = 1 << 20, .denominator = 4.0, .noise = no_noise};
    struct bench b;
    struct rn_error err;
    (void)(mode != NULL ? setenv("RONDO_CUDA_GRAPHS", mode, 1) : unsetenv("RONDO_CUDA_GRAPHS"));
    open_bench(&b, &models[0], "cuda", RN_HEAD_FEDERATED);
    for (uint32_t i = 0; i < 6; i++) {
        const struct rn_train_spec spec = {.active = i % 3 == 0   ? RN_MATRIX_A
                                                     : i % 3 == 1 ? RN_MATRIX_B
                                                                  : RN_MATRIX_AB,
                                           .optimizer = RN_OPTIMIZER_SGD,
                                           .lr_a = 1e-2,
                                           .lr_b = 1e-2,
                                           .batch = 3 + i % 2,
                                           .steps = 4,
                                           .shuffle = true,
                                           .seed = i,
                                           .dp = i >= 3 ? &dp : NULL};
        must(rn_trainer_train(b.trainer, b.data, &spec, NULL, NULL, NULL, &err), &err);
    }
    *out_count = b.trainer->adapter.count;
    float *out = rn_alloc(*out_count, sizeof(float));
    must(rn_trainer_get(b.trainer, RN_MATRIX_AB, true, out, *out_count, &err), &err);
    close_bench(&b);
    (void)unsetenv("RONDO_CUDA_GRAPHS");
    return out;
}

static void recorded_steps_leave_the_same_bits(void **state)
{
    (void)state;
    size_t n = 0;
    float *issued = varied_training("off", &n);
    float *checked = varied_training("check", &n); /* fails when a key leaves something out */
    float *recorded = varied_training(NULL, &n);
    assert_memory_equal(issued, checked, n * sizeof(float));
    assert_memory_equal(issued, recorded, n * sizeof(float));
    rn_free(issued);
    rn_free(checked);
    rn_free(recorded);
}

static int run_with(const char *library)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_peft),
        cmocka_unit_test(packed_equals_one_by_one),
        cmocka_unit_test(a_gradient_keeps_its_bits_in_company),
        cmocka_unit_test(training_is_near_the_reference),
        cmocka_unit_test(training_repeats),
        cmocka_unit_test(rounded_rows_change_no_bit),
        cmocka_unit_test(recorded_steps_leave_the_same_bits),
    };
    printf("library: %s\n", library != NULL ? library : "beside this program");
    rn_kernels_cuda_library(library);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const struct rn_kernels *kernels = NULL;
    struct rn_error err;
    const char *device = access(RN_CUDA_LIBRARY, R_OK) == 0 ? RN_CUDA_LIBRARY : NULL;
    int failures = 0;
    if (access(RN_CUDA_EMULATED_LIBRARY, R_OK) == 0) {
        failures += run_with(RN_CUDA_EMULATED_LIBRARY);
    }
    rn_kernels_cuda_library(device);
    if (rn_is_ok(rn_kernels_cuda(&kernels, &err))) {
        failures += run_with(device);
    } else {
        printf("on a device: skipped: %s\n", err.text);
    }
    return failures;
}
