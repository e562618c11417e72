/* SPDX-License-Identifier: Apache-2.0
 *
 * The walks through a layer's steps against the golden files of tests/parity/generate.py, in
 * float32 and in seconds: logits and every gradient, on the short way and on the plain one, from
 * memory that holds another block's values. test_parity_encoder does the same on every backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/guard.h"
#include "tests/unit/trainer/goldencases.h"

#define TOLERANCE 1e-4

static void check(const struct golden_bench *b, const char *name, const float *found, size_t count)
{
    float *wanted = rn_alloc(count, sizeof(float));
    golden_read(b, name, count, wanted);
    double error = 0.0;
    double size = 0.0;
    for (size_t i = 0; i < count; i++) {
        error += pow((double)found[i] - (double)wanted[i], 2.0);
        size += pow((double)wanted[i], 2.0);
    }
    rn_free(wanted);
    if (!(error <= TOLERANCE * TOLERANCE * size)) {
        fail_msg("%s, %s: relative error %g", b->c->name, name, sqrt(error / size));
    }
}

static void run_block(struct rn_pass *pass, enum rn_task task, const struct rn_example *examples)
{
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_error err;
    rn_pass_load(pass, examples, 4);
    rn_pass_forward(pass);
    rn_pass_loss(pass, task, 0.25f, true);
    rn_pass_backward(pass, &active);
    must(rn_pass_losses(pass, &err), &err);
}

/* Gradients of the mean loss over the first four examples, after a block of others. */
static void check_gradients(struct golden_bench *b, struct rn_pass *pass, bool plain)
{
    const struct rn_adapter *adapter = pass->adapter;
    struct rn_example examples[8];
    for (size_t i = 0; i < 8; i++) {
        examples[i] = rn_dataset_at(b->data, i);
    }
    pass->options.switches.plain_last_layer = plain;
    run_block(pass, b->c->task, examples + 4);
    run_block(pass, b->c->task, examples);
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        char name[RN_SEGMENT_NAME_MAX + 16];
        assert_true(rn_text_format(name, sizeof(name), "gradient.%s", segment->name));
        check(b, name, pass->gradient + adapter->places[i], segment->count);
    }
}

static void check_logits(struct golden_bench *b, struct rn_pass *pass)
{
    const size_t count = rn_dataset_count(b->data);
    const size_t labels = pass->adapter->label_count;
    float *logits = rn_alloc(count * labels, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        const struct rn_example example = rn_dataset_at(b->data, i);
        struct rn_error err;
        rn_pass_load(pass, &example, 1);
        rn_pass_forward(pass);
        must(rn_pass_logits(pass, &err), &err);
        memcpy(logits + i * labels, pass->host_logits, labels * sizeof(float));
    }
    check(b, "logits", logits, count * labels);
    rn_free(logits);
}

static void logits_and_gradients(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        struct golden_bench b;
        struct rn_error err;
        golden_open(&b, &golden_cases[i], "golden.safetensors", "cpu", 1, RN_HEAD_FEDERATED);
        must(rn_trainer_prepare(b.trainer, true, 0, &err), &err);
        struct rn_pass *pass = &b.trainer->lanes.passes[0];
        check_logits(&b, pass);
        check_gradients(&b, pass, false);
        check_gradients(&b, pass, true);
        golden_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_and_gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
