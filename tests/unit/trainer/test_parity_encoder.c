/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden files of tests/parity/generate.py (transformers + peft in float64): token ids, logits,
 * loss and every adapter gradient within 1e-5 relative (Frobenius), adapters after 10 AdamW steps
 * within 1e-4; on the reference and the CPU backend. The bfloat16 backends within the bounds of
 * bf16bounds.h, on every class of processor that this machine has, and in plain C with the sums of
 * those that it lacks.
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
#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldencases.h"

#define TOLERANCE 1e-5
#define TOLERANCE_STEPS 1e-4

static const char *const backends[] = {"cpu", "ref"};
static const char *const bf16_backends[] = {"cpu-bf16", "cpu-bf16-residual-f32"};

static float *golden(const struct golden_bench *b, const char *name, size_t count)
{
    float *out = rn_alloc(count, sizeof(float));
    golden_read(b, name, count, out);
    return out;
}

static void check(const struct golden_bench *b, const char *name, const float *found, size_t count,
                  double tolerance)
{
    float *expected = golden(b, name, count);
    const double error = bf16_relative_error(found, expected, count);
    rn_free(expected);
    if (!(error <= tolerance)) {
        fail_msg("%s, %s, %s: relative error %g", b->c->name, b->trainer->lanes.kernels->name, name,
                 error);
    }
}

static void check_ids(const struct golden_bench *b)
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

/* Loss of one example from its logits, in float64. */
static double loss_of(const struct rn_example *example, const float *logits, size_t labels)
{
    if (example->label < 0) {
        return pow((double)logits[0] - (double)example->target, 2.0);
    }
    double sum = 0.0;
    for (size_t c = 0; c < labels; c++) {
        sum += exp((double)logits[c] - (double)logits[example->label]);
    }
    return log(sum);
}

/* The evaluation's loss is that of its own logits, in any arithmetic: float64 sums of float32. */
static void check_loss(const struct golden_bench *b, const float *logits)
{
    const size_t count = rn_dataset_count(b->data);
    const size_t labels = b->trainer->settled.label_count;
    struct rn_error err;
    struct rn_metrics metrics;
    must(rn_trainer_evaluate(b->trainer, b->data, NULL, NULL, &metrics, &err), &err);
    double mean = 0.0;
    for (size_t i = 0; i < count; i++) {
        const struct rn_example example = rn_dataset_at(b->data, i);
        mean += loss_of(&example, logits + i * labels, labels) / (double)count;
    }
    assert_true(fabs(metrics.loss - mean) <= 1e-6 * mean);
}

static void add_error(const struct golden_bench *b, const char *name, const float *found,
                      size_t count, struct bf16_errors *errors)
{
    float *expected = golden(b, name, count);
    bf16_error_add(errors, name, found, expected, count);
    rn_free(expected);
}

/* again: the same logits come again, which they do not where chance is in it. */
static void logits_error(const struct golden_bench *b, bool again, struct bf16_errors *errors)
{
    const size_t count = rn_dataset_count(b->data) * b->trainer->settled.label_count;
    struct rn_error err;
    struct collected c = {.logits = rn_alloc(count, sizeof(float))};
    must(rn_trainer_predict(b->trainer, b->data, collect, &c, &err), &err);
    add_error(b, "logits", c.logits, count, errors);
    if (again) {
        check_loss(b, c.logits);
    }
    rn_free(c.logits);
}

/* Gradients of the mean loss over the first four examples, in one block. */
static void gradient_errors(const struct golden_bench *b, bool plain_last_layer,
                            struct bf16_errors *errors)
{
    struct rn_error err;
    struct rn_trainer *trainer = b->trainer;
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    struct rn_pass *pass = &trainer->lanes.passes[0];
    pass->options.switches.plain_last_layer = plain_last_layer;
    struct rn_example examples[4];
    for (size_t i = 0; i < 4; i++) {
        examples[i] = rn_dataset_at(b->data, i);
    }
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    rn_pass_load(pass, examples, 4);
    rn_pass_forward(pass);
    rn_pass_loss(pass, trainer->settled.task, 0.25f, true);
    rn_pass_backward(pass, &active);
    for (size_t i = 0; i < trainer->adapter.segment_count; i++) {
        const struct rn_segment *segment = &trainer->adapter.segments[i];
        char name[RN_SEGMENT_NAME_MAX + 16];
        assert_true(rn_text_format(name, sizeof(name), "gradient.%s", segment->name));
        add_error(b, name, pass->gradient + trainer->adapter.places[i], segment->count, errors);
    }
}

static void logits_loss_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            if (cpu_class_leaves_out(backends[j])) {
                continue;
            }
            struct golden_bench b;
            struct bf16_errors errors = {0};
            golden_open(&b, &golden_cases[i], "golden.safetensors", backends[j], 2,
                        RN_HEAD_FEDERATED);
            check_ids(&b);
            logits_error(&b, true, &errors);
            gradient_errors(&b, false, &errors);
            gradient_errors(&b, true, &errors);
            golden_close(&b);
            bf16_errors_check(&errors, TOLERANCE, golden_cases[i].name, backends[j]);
        }
    }
}

static struct bf16_bounds bounds[GOLDEN_CASES]; /* filled before the classes run */

static void model_errors(const struct golden_case *c, enum bf16_order order,
                         enum bf16_rounding rounding, uint64_t seed, struct bf16_errors *errors)
{
    struct golden_bench b;
    *errors = (struct bf16_errors){0};
    golden_open(&b, c, "golden.safetensors", "ref", 1, RN_HEAD_FEDERATED);
    bf16_model_use(b.trainer, order, rounding, seed);
    logits_error(&b, rounding == BF16_NEAREST && order != BF16_ANY, errors);
    gradient_errors(&b, false, errors);
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

static void bf16_logits_loss_gradients(void **state)
{
    (void)state;
    static struct bf16_errors errors;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(bf16_backends); j++) {
            struct golden_bench b;
            errors = (struct bf16_errors){0};
            golden_open(&b, &golden_cases[i], "golden.safetensors", bf16_backends[j], 2,
                        RN_HEAD_FEDERATED);
            logits_error(&b, true, &errors);
            gradient_errors(&b, false, &errors);
            golden_close(&b);
            bf16_bounds_check(&bounds[i], &errors, golden_cases[i].name, bf16_backends[j]);
        }
    }
}

/* Ten steps; the tensors that train against the golden ones, the others against their old bytes. */
static void check_steps(const struct golden_case *c, const char *backend, const char *setting,
                        enum rn_matrix active, enum rn_head_mode head)
{
    struct golden_bench b;
    golden_open(&b, c, "golden.safetensors", backend, 2, head);
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
    golden_close(&b);
}

static void ten_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(backends); j++) {
            if (cpu_class_leaves_out(backends[j])) {
                continue;
            }
            check_steps(&golden_cases[i], backends[j], "both", RN_MATRIX_AB, RN_HEAD_FEDERATED);
            check_steps(&golden_cases[i], backends[j], "a", RN_MATRIX_A, RN_HEAD_FROZEN);
            check_steps(&golden_cases[i], backends[j], "b", RN_MATRIX_B, RN_HEAD_FROZEN);
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
        cmocka_unit_test(logits_loss_gradients),
        cmocka_unit_test(bf16_logits_loss_gradients),
        cmocka_unit_test(ten_steps),
    };
    return cmocka_run_group_tests(once, NULL, NULL) +
           RUN_IN_CLASSES(CPU_CLASSES_ALL, "encoder", tests);
}
