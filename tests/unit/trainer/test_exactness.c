/* SPDX-License-Identifier: Apache-2.0
 *
 * Bits that must not move: packed = one by one, one thread = two, the short last layer = the plain
 * one, every instruction set; an example's own gradient when others join or leave; a frozen matrix
 * over a round.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#include "tests/unit/trainer/cpuclasses.h"
#include "tests/unit/trainer/goldenmodel.h"

static const char *const folders[] = {"roberta-24", "bert-40"};
static const char *const backends[] = {"cpu", "cpu-bf16", "cpu-bf16-residual-f32"};

/* Each backend on one of the models where a sanitizer looks on. */
static bool is_spared(size_t f)
{
    return CPU_CLASSES_SANITIZED &&
           f % RN_ARRAY_LENGTH(folders) == f / RN_ARRAY_LENGTH(folders) % 2;
}

static struct rn_pass *pass_of(struct rn_trainer *trainer)
{
    struct rn_error err;
    must(rn_trainer_prepare(trainer, true, 0, &err), &err);
    return &trainer->lanes.passes[0];
}

/* Logits and gradient of examples[0 .. count-1] as one block. */
static void run_block(struct rn_pass *pass, const struct rn_example *examples, uint32_t count)
{
    const struct rn_pass_active active = {RN_MATRIX_AB, true};
    struct rn_error err;
    rn_pass_load(pass, examples, count);
    rn_pass_forward(pass);
    must(rn_pass_logits(pass, &err), &err);
    rn_pass_loss(pass, RN_TASK_CLASSIFICATION, 0.25f, true);
    rn_pass_backward(pass, &active);
    must(rn_pass_losses(pass, &err), &err);
}

static void packed_equals_one_by_one(void **state)
{
    (void)state;
    for (size_t f = 0; f < RN_ARRAY_LENGTH(folders) * RN_ARRAY_LENGTH(backends); f++) {
        const char *folder = folders[f % RN_ARRAY_LENGTH(folders)];
        const char *backend = backends[f / RN_ARRAY_LENGTH(folders)];
        if (cpu_class_leaves_out(backend) || is_spared(f)) {
            continue;
        }
        struct rn_trainer *trainer = golden_trainer(folder, backend, 1, RN_HEAD_FEDERATED);
        struct rn_dataset *data = golden_data(trainer, folder);
        struct rn_pass *pass = pass_of(trainer);
        const size_t labels = trainer->settled.label_count;
        struct rn_example all[18];
        float logits[18 * 3];
        double loss[18];
        for (size_t i = 0; i < 18; i++) {
            all[i] = rn_dataset_at(data, i);
        }
        run_block(pass, all, 18);
        memcpy(logits, pass->host_logits, 18 * labels * sizeof(float));
        memcpy(loss, pass->host_loss, sizeof(loss));
        for (size_t i = 0; i < 18; i++) {
            run_block(pass, &all[i], 1);
            assert_memory_equal(pass->host_logits, logits + i * labels, labels * sizeof(float));
            assert_memory_equal(pass->host_loss, &loss[i], sizeof(double));
        }
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
}

/* Gradient of a block = the sum over examples of each one's own gradient, in example order, where
 * each one's own comes from a block of its own: so no other example touches its bits. */
static void check_gradients_of_examples(const char *backend)
{
    struct rn_trainer *trainer = golden_trainer("bert-40", backend, 1, RN_HEAD_FROZEN);
    struct rn_dataset *data = golden_data(trainer, "bert-40");
    struct rn_pass *pass = pass_of(trainer);
    const size_t count = trainer->adapter.head_first;
    struct rn_example some[3] = {rn_dataset_at(data, 9), rn_dataset_at(data, 2),
                                 rn_dataset_at(data, 17)};
    float *sum = rn_alloc(count, sizeof(float));
    for (size_t i = 0; i < 3; i++) {
        run_block(pass, &some[i], 1);
        for (size_t j = 0; j < count; j++) {
            sum[j] += pass->gradient[j];
        }
    }
    run_block(pass, some, 3);
    assert_memory_equal(sum, pass->gradient, count * sizeof(float));
    rn_free(sum);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
}

static void gradients_of_examples_keep_their_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(backends); i++) {
        if (!cpu_class_leaves_out(backends[i])) {
            check_gradients_of_examples(backends[i]);
        }
    }
}

static void short_last_layer_equals_the_plain_one(void **state)
{
    (void)state;
    for (size_t f = 0; f < RN_ARRAY_LENGTH(folders) * RN_ARRAY_LENGTH(backends); f++) {
        const char *folder = folders[f % RN_ARRAY_LENGTH(folders)];
        const char *backend = backends[f / RN_ARRAY_LENGTH(folders)];
        if (cpu_class_leaves_out(backend) || is_spared(f)) {
            continue;
        }
        struct rn_trainer *trainer = golden_trainer(folder, backend, 1, RN_HEAD_FEDERATED);
        struct rn_dataset *data = golden_data(trainer, folder);
        struct rn_pass *pass = pass_of(trainer);
        const size_t count = trainer->adapter.count;
        struct rn_example examples[5];
        for (size_t i = 0; i < 5; i++) {
            examples[i] = rn_dataset_at(data, 3 * i);
        }
        float *gradient = rn_alloc(count, sizeof(float));
        run_block(pass, examples, 5);
        memcpy(gradient, pass->gradient, count * sizeof(float));
        float logits[15];
        memcpy(logits, pass->host_logits, 5 * trainer->settled.label_count * sizeof(float));
        pass->options.switches.plain_last_layer = true;
        run_block(pass, examples, 5);
        assert_memory_equal(logits, pass->host_logits,
                            5 * trainer->settled.label_count * sizeof(float));
        for (size_t j = 0; j < count; j++) { /* -0 and 0 are one value */
            assert_true(gradient[j] == pass->gradient[j]);
        }
        rn_free(gradient);
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
}

static const struct rn_train_spec training = {.active = RN_MATRIX_AB,
                                              .optimizer = RN_OPTIMIZER_ADAMW,
                                              .lr_a = 3e-3,
                                              .lr_b = 5e-3,
                                              .weight_decay = 0.1,
                                              .schedule = RN_SCHEDULE_COSINE,
                                              .warmup_steps = 1,
                                              .clip = 0.5,
                                              .batch = 13,
                                              .steps = 6,
                                              .shuffle = true,
                                              .seed = 5};

/* The adapter and head after training; the caller frees. */
static float *trained(const char *folder, const char *backend, uint32_t threads,
                      const struct rn_train_spec *spec, enum rn_head_mode head, size_t *out_count)
{
    struct rn_trainer *trainer = golden_trainer(folder, backend, threads, head);
    struct rn_dataset *data = golden_data(trainer, folder);
    struct rn_error err;
    must(rn_trainer_train(trainer, data, spec, NULL, NULL, NULL, &err), &err);
    *out_count = trainer->adapter.count;
    float *out = rn_alloc(*out_count, sizeof(float));
    must(rn_trainer_get(trainer, RN_MATRIX_AB, true, out, *out_count, &err), &err);
    rn_trainer_data_close(data);
    rn_trainer_close(trainer);
    return out;
}

static void threads_do_not_change_bits(void **state)
{
    (void)state;
    for (size_t f = 0; f < RN_ARRAY_LENGTH(folders) * RN_ARRAY_LENGTH(backends); f++) {
        const char *folder = folders[f % RN_ARRAY_LENGTH(folders)];
        const char *backend = backends[f / RN_ARRAY_LENGTH(folders)];
        if (cpu_class_leaves_out(backend) || is_spared(f)) {
            continue;
        }
        size_t count = 0;
        float *one = trained(folder, backend, 1, &training, RN_HEAD_FEDERATED, &count);
        for (uint32_t threads = CPU_CLASSES_SANITIZED ? 5 : 2; threads <= 5; threads++) {
            float *more = trained(folder, backend, threads, &training, RN_HEAD_FEDERATED, &count);
            assert_memory_equal(one, more, count * sizeof(float));
            rn_free(more);
        }
        rn_free(one);
    }
}

/* Every set without bfloat16 instructions trains the same bits. */
static void check_sets(const char *backend)
{
    size_t count = 0;
    assert_int_equal(rn_cpu_class_take(RN_CPU_CLASS_SCALAR), RN_CPU_TAKEN);
    float *first = trained("bert-40", backend, 2, &training, RN_HEAD_FEDERATED, &count);
    for (int level = RN_CPU_CLASS_AVX2; level <= RN_CPU_CLASS_AVX512; level++) {
        if (rn_cpu_class_take((enum rn_cpu_class)level) == RN_CPU_TAKEN) {
            float *other = trained("bert-40", backend, 2, &training, RN_HEAD_FEDERATED, &count);
            assert_memory_equal(first, other, count * sizeof(float));
            rn_free(other);
        }
    }
    rn_free(first);
}

static void instruction_sets_do_not_change_bits(void **state)
{
    (void)state;
    check_sets("cpu");
}

/* Own products over bfloat16 storage, where the machine has no bfloat16 instructions. */
static void bf16_without_its_instructions_keeps_bits(void **state)
{
    (void)state;
    check_sets("cpu-bf16");
    check_sets("cpu-bf16-residual-f32");
}

/* The comparison path by OpenBLAS computes the same model. */
static void openblas_agrees(void **state)
{
    (void)state;
    size_t count = 0;
    float *own = trained("bert-40", "cpu", 2, &training, RN_HEAD_FEDERATED, &count);
    float *blas = trained("bert-40", "cpu-openblas", 2, &training, RN_HEAD_FEDERATED, &count);
    double difference = 0.0;
    double size = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)own[i] - (double)blas[i], 2.0);
        size += pow((double)own[i], 2.0);
    }
    assert_true(sqrt(difference / size) < 1e-4);
    assert_memory_not_equal(own, blas, count * sizeof(float)); /* or nobody asked OpenBLAS */
    rn_free(own);
    rn_free(blas);
}

/* One round of one matrix: the other and a frozen head keep their bytes, whatever the optimiser. */
static void frozen_bytes_stay(void **state)
{
    (void)state;
    static const enum rn_matrix active[] = {RN_MATRIX_A, RN_MATRIX_B, RN_MATRIX_NONE};
    static const char *const all[] = {"cpu", "cpu-bf16", "cpu-bf16-residual-f32", "ref"};
    for (size_t n = 0; n < 6 * RN_ARRAY_LENGTH(all); n++) {
        const size_t i = n % 6;
        const bool none = active[i / 2] == RN_MATRIX_NONE;
        const bool spared = CPU_CLASSES_SANITIZED && (i / 2 + i + n / 6) % 2 == 0;
        if (cpu_class_leaves_out(all[n / 6]) || spared) {
            continue; /* under a sanitizer one optimiser a matrix, the other one by the next backend
                       */
        }
        struct rn_trainer *trainer =
            golden_trainer("roberta-24", all[n / 6], 2, none ? RN_HEAD_LOCAL : RN_HEAD_FROZEN);
        struct rn_dataset *data = golden_data(trainer, "roberta-24");
        struct rn_train_spec spec = training;
        spec.active = active[i / 2];
        spec.optimizer = i % 2 == 0 ? RN_OPTIMIZER_ADAMW : RN_OPTIMIZER_SGD;
        const struct rn_adapter *adapter = &trainer->adapter;
        float *before = rn_alloc(adapter->count, sizeof(float));
        memcpy(before, trainer->state.values, adapter->count * sizeof(float));
        struct rn_error err;
        must(rn_trainer_train(trainer, data, &spec, NULL, NULL, NULL, &err), &err);
        for (size_t s = 0; s < adapter->segment_count; s++) {
            const struct rn_segment *segment = &adapter->segments[s];
            const int same =
                memcmp(before + adapter->places[s], trainer->state.values + adapter->places[s],
                       segment->count * sizeof(float));
            assert_int_equal(same != 0, rn_segment_chosen(segment, spec.active, none));
        }
        rn_free(before);
        rn_trainer_data_close(data);
        rn_trainer_close(trainer);
    }
}

int main(void)
{
    const struct CMUnitTest once[] = {
        cmocka_unit_test(instruction_sets_do_not_change_bits),
        cmocka_unit_test(bf16_without_its_instructions_keeps_bits),
        cmocka_unit_test(openblas_agrees),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_equals_one_by_one),
        cmocka_unit_test(gradients_of_examples_keep_their_bits),
        cmocka_unit_test(short_last_layer_equals_the_plain_one),
        cmocka_unit_test(threads_do_not_change_bits),
        cmocka_unit_test(frozen_bytes_stay),
    };
    /* the classes first: oneDNN takes no lower one after its first use, in a child neither */
    const int failed = RUN_IN_CLASSES(CPU_CLASSES_ALL, "exactness", tests);
    return failed + cmocka_run_group_tests(once, NULL, NULL);
}
