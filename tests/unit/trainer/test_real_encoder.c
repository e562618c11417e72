/* SPDX-License-Identifier: Apache-2.0
 *
 * The real encoder on real data: the CPU backend agrees with the reference, and a few steps bring
 * the training loss down. Needs the folder of real data (RONDO_DATA, or shared/data beside the
 * source); skipped without it.
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

#include "base/alloc.h"
#include "base/guard.h"

#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldenmodel.h"

/* Relative errors of bfloat16, by the arithmetic. A rounding errs by 2^-7 / sqrt(12) of the
 * mantissa's one, root mean square; over log-uniform mantissas 0.74 of that. A
 * layer has 16 rounding points on the way to its output (six weights, query, key, value, shares,
 * attention's output, two sums, two normalised sums, the feed-forward's inside), and 12 more on the
 * way back; none reaches the next layer magnified, since LayerNorm brings every sum to one size.
 * They are independent, so squares add; SLACK is for what of them is not. */
#define ROUNDING (0.74 * 0x1p-7 / 3.4641)
#define POINTS_FORWARD 16.0
#define POINTS_BACK 12.0
#define SLACK 1.5

static double error_of_points(double points)
{
    return SLACK * ROUNDING * sqrt(points);
}

static char data_dir[RN_PATH_MAX];

static bool find_data(void)
{
    const char *named = getenv("RONDO_DATA");
    char config[RN_PATH_MAX];
    const bool fits = named != NULL ? rn_text_format(data_dir, sizeof(data_dir), "%s", named)
                                    : rn_text_format(data_dir, sizeof(data_dir),
                                                     "%s/../shared/data", RN_SOURCE_DIR);
    return fits &&
           rn_is_ok(rn_path_join(config, data_dir, "encoder-small/model.safetensors", NULL)) &&
           rn_file_exists(config);
}

static struct rn_trainer *open_real(const char *backend, bool pairs, struct rn_dataset **out_data)
{
    struct rn_error err;
    char model[RN_PATH_MAX];
    char file[RN_PATH_MAX];
    must(rn_path_join(model, data_dir, "encoder-small", &err), &err);
    must(rn_path_join(file, data_dir, pairs ? "glue-rte/dev.tsv.gz" : "glue-sst2/dev.tsv.gz", &err),
         &err);
    static const char *const rte[] = {"entailment", "not_entailment"};
    static const char *const sst2[] = {"0", "1"};
    static const char *const targets[] = {"query", "value"};
    const struct rn_trainer_spec spec = {
        .model_dir = model,
        .max_length = 96,
        .labels = pairs ? rte : sst2,
        .label_count = 2,
        .lora = {.rank = 4, .alpha = 8, .targets = targets, .target_count = 2},
        .head = RN_HEAD_FEDERATED,
        .seed = 3,
        .backend = backend,
        .threads = 2,
        .for_training = true};
    const struct rn_data_spec data = {.path = file,
                                      .text_column = pairs ? "sentence1" : "sentence",
                                      .pair_column = pairs ? "sentence2" : NULL,
                                      .label_column = "label"};
    struct rn_trainer *trainer = NULL;
    must(rn_trainer_open(&spec, &trainer, &err), &err);
    must(rn_trainer_data_open(trainer, &data, out_data, &err), &err);
    assert_int_equal(rn_trainer_data_count(*out_data), pairs ? 277 : 872);
    return trainer;
}

static void cpu_agrees_with_the_reference(void **state)
{
    (void)state;
    float logits[2][2 * 2];
    static const char *const backends[] = {"ref", "cpu"};
    if (cpu_class_leaves_out("cpu")) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct rn_error err;
        struct rn_dataset *data = NULL;
        struct rn_trainer *trainer = open_real(backends[i], true, &data);
        must(rn_trainer_prepare(trainer, false, 0, &err), &err);
        struct rn_pass *pass = &trainer->lanes.passes[0];
        const struct rn_example examples[2] = {rn_dataset_at(data, 0), rn_dataset_at(data, 4)};
        rn_pass_load(pass, examples, 2);
        rn_pass_forward(pass);
        must(rn_pass_logits(pass, &err), &err);
        memcpy(logits[i], pass->host_logits, sizeof(logits[i]));
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
    for (int i = 0; i < 4; i++) {
        assert_true(fabsf(logits[0][i] - logits[1][i]) <= 1e-5f * fabsf(logits[0][i]) + 1e-6f);
    }
}

/* Gradients and layer inputs of one block of four examples. */
struct block_values {
    float *gradient;
    size_t count;
    float *inputs; /* [layers][tokens][hidden] */
    size_t layers, plane;
};

static struct block_values block_of(const char *backend)
{
    struct rn_error err;
    struct rn_dataset *data = NULL;
    struct rn_trainer *trainer = open_real(backend, true, &data);
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    struct rn_pass *pass = &trainer->lanes.passes[0];
    struct rn_example examples[4];
    for (size_t i = 0; i < 4; i++) {
        examples[i] = rn_dataset_at(data, i);
    }
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    rn_pass_load(pass, examples, 4);
    rn_pass_forward(pass);
    rn_pass_loss(pass, RN_TASK_CLASSIFICATION, 0.25f, true);
    rn_pass_backward(pass, &active);
    must(rn_pass_losses(pass, &err), &err);
    struct block_values out = {.count = trainer->adapter.count,
                               .layers = trainer->encoder.config.layers,
                               .plane =
                                   (size_t)pass->sequences.tokens * trainer->encoder.config.hidden};
    out.gradient = rn_alloc(out.count, sizeof(float));
    out.inputs = rn_alloc(out.layers * out.plane, sizeof(float));
    memcpy(out.gradient, pass->gradient, out.count * sizeof(float));
    for (size_t i = 0; i < out.layers; i++) {
        trainer->lanes.kernels->read_mat(
            pass->lane, rn_mat_rows(pass->layers[i].slot[RN_SLOT_IN], 0, pass->sequences.tokens),
            out.inputs + i * out.plane);
    }
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    return out;
}

static void block_free(struct block_values *values)
{
    rn_free(values->gradient);
    rn_free(values->inputs);
}

static void products_of(const float *a, const float *b, size_t n, double out[3])
{
    memset(out, 0, 3 * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        out[0] += (double)a[i] * (double)b[i];
        out[1] += (double)a[i] * (double)a[i];
        out[2] += (double)b[i] * (double)b[i];
    }
}

static double gradient_error(size_t layers)
{
    return error_of_points(1.0 + (POINTS_FORWARD + POINTS_BACK) * (double)layers);
}

/* Every layer's input and the gradient within what their rounding points give. */
static void bf16_follows_float32(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu-bf16", "cpu-bf16-residual-f32"};
    struct block_values wanted = block_of("cpu");
    for (size_t b = 0; b < 2; b++) {
        struct block_values found = block_of(backends[b]);
        double p[3];
        products_of(found.gradient, wanted.gradient, wanted.count, p);
        const double off = sqrt(fmax(0.0, p[1] + p[2] - 2.0 * p[0]) / p[2]);
        if (!(off <= gradient_error(wanted.layers))) {
            fail_msg("%s: the gradient is off by %g", backends[b], off);
        }
        for (size_t i = 0; i < wanted.layers; i++) {
            products_of(found.inputs + i * wanted.plane, wanted.inputs + i * wanted.plane,
                        wanted.plane, p);
            const double error = sqrt(fmax(0.0, p[1] + p[2] - 2.0 * p[0]) / p[2]);
            if (!(error <= error_of_points(1.0 + POINTS_FORWARD * (double)i))) {
                fail_msg("%s: input of layer %zu is off by %g", backends[b], i, error);
            }
        }
        block_free(&found);
    }
    block_free(&wanted);
}

#define CURVE_STEPS 200
#define CURVE_BATCH 8
#define CURVE_WINDOW 20 /* steps whose mean loss is compared: one batch alone is noise */

static bool note_loss(void *context, const struct rn_train_progress *progress)
{
    ((double *)context)[(progress->step - 1) / CURVE_WINDOW] += progress->loss / CURVE_WINDOW;
    return true;
}

static void curve_of(const char *backend, double out[CURVE_STEPS / CURVE_WINDOW])
{
    struct rn_error err;
    struct rn_dataset *data = NULL;
    struct rn_trainer *trainer = open_real(backend, false, &data);
    const struct rn_train_spec spec = {.active = RN_MATRIX_AB,
                                       .optimizer = RN_OPTIMIZER_ADAMW,
                                       .lr_a = 5e-4,
                                       .lr_b = 5e-4,
                                       .clip = 1.0,
                                       .batch = CURVE_BATCH,
                                       .steps = CURVE_STEPS,
                                       .shuffle = true,
                                       .seed = 1};
    memset(out, 0, CURVE_STEPS / CURVE_WINDOW * sizeof(double));
    must(rn_trainer_train(trainer, data, &spec, note_loss, out, NULL, &err), &err);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

/* Of float32, whose bits no class changes (test_exactness). */
static double wanted[CURVE_STEPS / CURVE_WINDOW];

static void float32_learns(void **state)
{
    (void)state;
    curve_of("cpu", wanted);
}

static void bf16_learns_as_float32_does(void **state)
{
    (void)state;
    double found[CURVE_STEPS / CURVE_WINDOW];
    curve_of("cpu-bf16", found);
    /* The way that training went is off by the gradient's error, and so is the loss that it won;
     * the loss of each of a window's examples by the logits' error, these being independent. */
    const double error = gradient_error(4);
    for (size_t i = 0; i < CURVE_STEPS / CURVE_WINDOW; i++) {
        const double won = fmax(0.0, wanted[0] - wanted[i]);
        const double bound = error * (won + wanted[i] / sqrt(CURVE_WINDOW * CURVE_BATCH));
        if (!(fabs(found[i] - wanted[i]) <= bound)) {
            fail_msg("loss of steps %zu to %zu: %g, not %g", i * CURVE_WINDOW + 1,
                     (i + 1) * CURVE_WINDOW, found[i], wanted[i]);
        }
    }
}

static void training_lowers_the_loss(void **state)
{
    (void)state;
    struct rn_error err;
    struct rn_dataset *data = NULL;
    if (cpu_class_leaves_out("cpu")) {
        return;
    }
    struct rn_trainer *trainer = open_real("cpu", false, &data);
    struct rn_metrics before;
    struct rn_metrics after;
    must(rn_trainer_evaluate(trainer, data, NULL, NULL, &before, &err), &err);
    const struct rn_train_spec spec = {.active = RN_MATRIX_AB,
                                       .optimizer = RN_OPTIMIZER_ADAMW,
                                       .lr_a = 2e-3,
                                       .lr_b = 2e-3,
                                       .clip = 1.0,
                                       .batch = 32,
                                       .epochs = 1,
                                       .shuffle = true,
                                       .seed = 1};
    struct rn_train_report report;
    must(rn_trainer_train(trainer, data, &spec, NULL, NULL, &report, &err), &err);
    assert_int_equal(report.steps, 28);
    assert_int_equal(report.examples, 872);
    must(rn_trainer_evaluate(trainer, data, NULL, NULL, &after, &err), &err);
    assert_true(after.loss < before.loss);
    assert_true(after.accuracy > 0.5 && after.accuracy <= 1.0);
    assert_int_equal(after.count, 872);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

int main(void)
{
    if (!find_data()) {
        printf("skipped: the real data directory is not here (set RONDO_DATA)\n");
        return 77;
    }
    const struct CMUnitTest once[] = {cmocka_unit_test(float32_learns)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_agrees_with_the_reference),
        cmocka_unit_test(bf16_follows_float32),
        cmocka_unit_test(bf16_learns_as_float32_does),
        cmocka_unit_test(training_lowers_the_loss),
    };
    return cmocka_run_group_tests(once, NULL, NULL) +
           RUN_IN_CLASSES(CPU_CLASSES_UNLIKE, "real encoder", tests);
}
