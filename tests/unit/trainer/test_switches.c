/* SPDX-License-Identifier: Apache-2.0
 *
 * Each exact saving against the plain way, bit for bit, on every backend: logits, and adapter and
 * head after several steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/savingmodel.h"

static const struct rn_trainer_switches plain[] = {
    {.plain_last_layer = true},
    {.full_backward = true},
    {.all_gradients = true},
    {.plain_last_layer = true, .full_backward = true, .all_gradients = true},
};

static struct rn_train_spec training(enum rn_matrix active)
{
    return (struct rn_train_spec){.active = active,
                                  .optimizer = RN_OPTIMIZER_ADAMW,
                                  .lr_a = 3e-3,
                                  .lr_b = 5e-3,
                                  .weight_decay = 0.1,
                                  .clip = 0.5,
                                  .batch = 7,
                                  .steps = 4,
                                  .shuffle = true,
                                  .seed = 5};
}

struct outcome {
    float *values, *logits;
    size_t value_count, logit_count;
};

static struct outcome outcome_of(const struct rn_trainer_spec *spec, const char *folder,
                                 const struct rn_train_spec *train)
{
    struct rn_trainer *trainer = saving_open(spec);
    struct rn_dataset *data = golden_data(trainer, folder);
    struct rn_error err;
    must(rn_trainer_train(trainer, data, train, NULL, NULL, NULL, &err), &err);
    struct outcome out = {0};
    out.values = saving_values(trainer, &out.value_count);
    out.logits = saving_predict(trainer, data, &out.logit_count);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    return out;
}

static void outcome_clear(struct outcome *outcome)
{
    rn_free(outcome->values);
    rn_free(outcome->logits);
}

static void compare(const char *folder, const char *backend, bool top_layer, enum rn_matrix active)
{
    char model[RN_PATH_MAX];
    struct rn_trainer_spec spec = saving_spec(model, folder, backend, top_layer);
    const struct rn_train_spec train = training(active);
    struct outcome fast = outcome_of(&spec, folder, &train);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(plain); i++) {
        spec.switches = plain[i];
        struct outcome slow = outcome_of(&spec, folder, &train);
        assert_memory_equal(fast.values, slow.values, fast.value_count * sizeof(float));
        assert_memory_equal(fast.logits, slow.logits, fast.logit_count * sizeof(float));
        outcome_clear(&slow);
    }
    outcome_clear(&fast);
}

static void savings_do_not_change_bits(void **state)
{
    (void)state;
    static const enum rn_matrix active[] = {RN_MATRIX_AB, RN_MATRIX_A, RN_MATRIX_B, RN_MATRIX_NONE};
    for (size_t b = 0; b < SAVING_BACKENDS; b++) {
        if (cpu_class_leaves_out(saving_backends[b])) {
            continue;
        }
        for (size_t i = 0; i < 8; i++) {
            compare("roberta-24", saving_backends[b], i % 2 == 0, active[i / 2]);
        }
        compare("bert-40", saving_backends[b], true, RN_MATRIX_AB);
    }
}

/* Another cut: the same logits to the bit, the same sum of gradients but for its association. */
static void plain_batches_agree(void **state)
{
    (void)state;
    for (size_t b = 0; b < SAVING_BACKENDS; b++) {
        if (cpu_class_leaves_out(saving_backends[b])) {
            continue;
        }
        char model[RN_PATH_MAX];
        struct rn_trainer_spec spec = saving_spec(model, "bert-40", saving_backends[b], false);
        struct rn_train_spec train = training(RN_MATRIX_AB);
        train.optimizer = RN_OPTIMIZER_SGD;
        train.steps = 1;
        train.batch = 18;
        train.clip = 0;
        struct outcome even = outcome_of(&spec, "bert-40", &train);
        spec.switches.plain_batches = true;
        struct outcome full = outcome_of(&spec, "bert-40", &train);
        for (size_t i = 0; i < even.value_count; i++) {
            const double size = fabs((double)even.values[i]) + 1e-3;
            assert_true(fabs((double)even.values[i] - (double)full.values[i]) <= 1e-6 * size);
        }
        outcome_clear(&full);
        train.lr_a = train.lr_b = train.lr_head = 1e-30; /* the adapters are equal */
        full = outcome_of(&spec, "bert-40", &train);
        outcome_clear(&even);
        spec.switches.plain_batches = false;
        even = outcome_of(&spec, "bert-40", &train);
        assert_memory_equal(even.logits, full.logits, even.logit_count * sizeof(float));
        outcome_clear(&full);
        outcome_clear(&even);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(savings_do_not_change_bits),
        cmocka_unit_test(plain_batches_agree),
    };
    return RUN_IN_CLASSES(CPU_CLASSES_UNLIKE, "switches", tests);
}
