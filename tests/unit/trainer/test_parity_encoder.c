/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden files of tests/parity/generate.py (transformers + peft in float64): token ids, logits,
 * loss and every adapter gradient within 1e-5 relative (Frobenius), adapters after 10 AdamW steps
 * within 1e-4; on the reference and the CPU backend. The bfloat16 backends within bounds of their
 * own.
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
#include "base/file.h"
#include "base/guard.h"
#include "trainer/safetensors.h"
#include "trainer/trainerstate.h"

#define TOLERANCE 1e-5
#define TOLERANCE_STEPS 1e-4
/* bfloat16 keeps eight bits: logits and loss by value, gradients by direction. These models are so
 * small and random that rounding averages out badly; the real encoder has tighter bounds. */
#define TOLERANCE_BF16 3e-2
#define COSINE_BF16 0.99

struct golden_case {
    const char *name;
    enum rn_task task;
    uint32_t max_length;
    bool pairs;
};

static const struct golden_case cases[] = {
    {"roberta-24", RN_TASK_CLASSIFICATION, 20, true},
    {"bert-40", RN_TASK_CLASSIFICATION, 23, true},
    {"bert-24", RN_TASK_CLASSIFICATION, 17, false}, /* the pooler is adapted */
    {"roberta-56", RN_TASK_REGRESSION, 31, false},
};

static const char *const backends[] = {"ref", "cpu"};
static const char *const bf16_backends[] = {"cpu-bf16", "cpu-bf16-residual-f32"};

struct bench {
    const struct golden_case *c;
    struct rn_safetensors *golden;
    struct rn_trainer *trainer;
    struct rn_dataset *data;
};

static void must(rn_result result, const struct rn_error *err)
{
    if (!rn_is_ok(result)) {
        fail_msg("%s", err->text);
    }
}

static void bench_open(struct bench *b, const struct golden_case *c, const char *backend,
                       enum rn_head_mode head)
{
    char path[4][RN_PATH_MAX];
    static const char *const names[4] = {"model", "adapter", "data.tsv", "golden.safetensors"};
    for (int i = 0; i < 4; i++) {
        assert_true(rn_text_format(path[i], RN_PATH_MAX, "%s/tests/parity/golden/%s/%s",
                                   RN_SOURCE_DIR, c->name, names[i]));
    }
    struct rn_error err;
    static const char *const labels2[] = {"0", "1"};
    static const char *const labels3[] = {"0", "1", "2"};
    const bool three = strcmp(c->name, "roberta-24") == 0;
    const bool regression = c->task == RN_TASK_REGRESSION;
    const struct rn_trainer_spec spec = {.model_dir = path[0],
                                         .adapter_dir = path[1],
                                         .max_length = c->max_length,
                                         .task = c->task,
                                         .labels = regression ? NULL
                                                   : three    ? labels3
                                                              : labels2,
                                         .label_count = regression ? 0
                                                        : three    ? 3
                                                                   : 2,
                                         .head = head,
                                         .backend = backend,
                                         .threads = 2};
    const struct rn_data_spec data = {.path = path[2],
                                      .text_column = "text",
                                      .pair_column = c->pairs ? "pair" : NULL,
                                      .label_column = "label"};
    *b = (struct bench){.c = c};
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

static float *golden(const struct bench *b, const char *name, size_t count)
{
    const struct rn_tensor *tensor = rn_safetensors_find(b->golden, name);
    if (tensor == NULL || tensor->elements != count) {
        fail_msg("%s: golden tensor %s is missing or has another size", b->c->name, name);
        return NULL;
    }
    float *out = rn_alloc(count, sizeof(float));
    struct rn_error err;
    must(rn_tensor_read(tensor, tensor->dimensions, tensor->shape, out, &err), &err);
    return out;
}

static void check(const struct bench *b, const char *name, const float *found, size_t count,
                  double tolerance)
{
    float *expected = golden(b, name, count);
    double difference = 0.0;
    double size = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)found[i] - (double)expected[i];
        difference += d * d;
        size += (double)expected[i] * (double)expected[i];
    }
    rn_free(expected);
    const double error = sqrt(difference / size);
    if (!(error <= tolerance)) {
        fail_msg("%s, %s, %s: relative error %g", b->c->name, b->trainer->kernels->name, name,
                 error);
    }
}

static void check_ids(const struct bench *b)
{
    const size_t count = rn_dataset_count(b->data);
    float *ids = golden(b, "ids", rn_dataset_tokens(b->data));
    float *lengths = golden(b, "lengths", count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct rn_example example = rn_dataset_at(b->data, i);
        assert_int_equal(example.length, (uint32_t)lengths[i]);
        for (uint32_t t = 0; t < example.length; t++) {
            assert_int_equal(example.ids[t], (uint32_t)ids[at++]);
        }
    }
    rn_free(ids);
    rn_free(lengths);
}

struct collected {
    float *logits;
    size_t used;
};

static bool collect(void *context, const struct rn_prediction *prediction)
{
    struct collected *c = context;
    memcpy(c->logits + c->used, prediction->logits, prediction->logit_count * sizeof(float));
    c->used += prediction->logit_count;
    return true;
}

static void check_logits_and_loss(const struct bench *b, double tolerance)
{
    const size_t count = rn_dataset_count(b->data);
    const size_t labels = b->trainer->label_count;
    struct rn_error err;
    struct collected c = {.logits = rn_alloc(count * labels, sizeof(float))};
    must(rn_trainer_predict(b->trainer, b->data, collect, &c, &err), &err);
    check(b, "logits", c.logits, count * labels, tolerance);
    rn_free(c.logits);
    struct rn_metrics metrics;
    must(rn_trainer_evaluate(b->trainer, b->data, NULL, NULL, &metrics, &err), &err);
    float *loss = golden(b, "loss", count);
    double mean = 0.0;
    for (size_t i = 0; i < count; i++) {
        mean += (double)loss[i] / (double)count;
    }
    rn_free(loss);
    assert_true(fabs(metrics.loss - mean) <= tolerance * fabs(mean));
}

/* The gradient's direction: cosine with the golden one. */
static void check_direction(const struct bench *b, const char *name, const float *found,
                            size_t count)
{
    float *expected = golden(b, name, count);
    double product = 0.0;
    double sizes[2] = {0.0, 0.0};
    for (size_t i = 0; i < count; i++) {
        product += (double)found[i] * (double)expected[i];
        sizes[0] += (double)found[i] * (double)found[i];
        sizes[1] += (double)expected[i] * (double)expected[i];
    }
    rn_free(expected);
    const double cosine = product / sqrt(sizes[0] * sizes[1]);
    if (!(cosine >= COSINE_BF16)) {
        fail_msg("%s, %s, %s: cosine %g", b->c->name, b->trainer->kernels->name, name, cosine);
    }
}

/* Gradients of the mean loss over the first four examples, in one block. */
static void check_gradients(const struct bench *b, bool plain_last_layer, bool direction)
{
    struct rn_error err;
    struct rn_trainer *trainer = b->trainer;
    must(rn_trainer_prepare(trainer, true, &err), &err);
    struct rn_pass *pass = &trainer->passes[0];
    pass->options.switches.plain_last_layer = plain_last_layer;
    struct rn_example examples[4];
    for (size_t i = 0; i < 4; i++) {
        examples[i] = rn_dataset_at(b->data, i);
    }
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    rn_pass_load(pass, examples, 4);
    rn_pass_forward(pass);
    rn_pass_loss(pass, trainer->task, 0.25f, true);
    rn_pass_backward(pass, &active);
    for (size_t i = 0; i < trainer->adapter.segment_count; i++) {
        const struct rn_segment *segment = &trainer->adapter.segments[i];
        char name[RN_SEGMENT_NAME_MAX + 16];
        assert_true(rn_text_format(name, sizeof(name), "gradient.%s", segment->name));
        const float *found = pass->gradient + trainer->adapter.places[i];
        if (direction) {
            check_direction(b, name, found, segment->count);
        } else {
            check(b, name, found, segment->count, TOLERANCE);
        }
    }
}

static void logits_loss_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            struct bench b;
            bench_open(&b, &cases[i], backends[j], RN_HEAD_FEDERATED);
            check_ids(&b);
            check_logits_and_loss(&b, TOLERANCE);
            check_gradients(&b, false, false);
            check_gradients(&b, true, false);
            bench_close(&b);
        }
    }
}

static void bf16_logits_loss_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(bf16_backends); j++) {
            struct bench b;
            bench_open(&b, &cases[i], bf16_backends[j], RN_HEAD_FEDERATED);
            check_logits_and_loss(&b, TOLERANCE_BF16);
            check_gradients(&b, false, true);
            bench_close(&b);
        }
    }
}

/* Ten steps; the tensors that train against the golden ones, the others against their old bytes. */
static void check_steps(const struct golden_case *c, const char *backend, const char *setting,
                        enum rn_matrix active, enum rn_head_mode head)
{
    struct bench b;
    bench_open(&b, c, backend, head);
    const struct rn_adapter *adapter = &b.trainer->adapter;
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
    struct rn_error err;
    struct rn_train_report report;
    float *before = rn_alloc(adapter->count, sizeof(float));
    float *after = rn_alloc(adapter->count, sizeof(float));
    must(rn_trainer_get(b.trainer, RN_MATRIX_AB, true, before, adapter->count, &err), &err);
    must(rn_trainer_train(b.trainer, b.data, &spec, NULL, NULL, &report, &err), &err);
    must(rn_trainer_get(b.trainer, RN_MATRIX_AB, true, after, adapter->count, &err), &err);
    assert_int_equal(report.steps, 10);
    assert_int_equal(report.examples, 36);
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, active, head != RN_HEAD_FROZEN)) {
            char name[RN_SEGMENT_NAME_MAX + 16];
            assert_true(rn_text_format(name, sizeof(name), "%s.%s", setting, segment->name));
            check(&b, name, after + segment->offset, segment->count, TOLERANCE_STEPS);
        } else {
            assert_memory_equal(before + segment->offset, after + segment->offset,
                                segment->count * sizeof(float));
        }
    }
    rn_free(before);
    rn_free(after);
    bench_close(&b);
}

static void ten_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            check_steps(&cases[i], backends[j], "both", RN_MATRIX_AB, RN_HEAD_FEDERATED);
            check_steps(&cases[i], backends[j], "a", RN_MATRIX_A, RN_HEAD_FROZEN);
            check_steps(&cases[i], backends[j], "b", RN_MATRIX_B, RN_HEAD_FROZEN);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_loss_gradients),
        cmocka_unit_test(bf16_logits_loss_gradients),
        cmocka_unit_test(ten_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
