/* SPDX-License-Identifier: Apache-2.0
 *
 * The models of tests/parity/golden against their golden files, for tests of parity: one case
 * opened on one backend, and bounds for bfloat16 formed and held by whatever the test measures.
 */
#ifndef RN_TESTS_UNIT_TRAINER_GOLDENCASES_H
#define RN_TESTS_UNIT_TRAINER_GOLDENCASES_H

#include "base/alloc.h"
#include "tests/unit/trainer/bf16bounds.h"
#include "tests/unit/trainer/goldenmodel.h"
#include "trainer/ground/safetensors.h"

struct golden_case {
    const char *name;
    enum rn_task task;
    uint32_t max_length;
    uint32_t labels;
    bool pairs;
};

enum { GOLDEN_CASES = 4 };

static const struct golden_case golden_cases[GOLDEN_CASES] = {
    {"roberta-24", RN_TASK_CLASSIFICATION, 20, 3, true},
    {"bert-40", RN_TASK_CLASSIFICATION, 23, 2, true},
    {"bert-24", RN_TASK_CLASSIFICATION, 17, 2, false}, /* the pooler is adapted */
    {"roberta-56", RN_TASK_REGRESSION, 31, 0, false},
};

struct golden_bench {
    const struct golden_case *c;
    struct rn_safetensors *golden;
    struct rn_trainer *trainer;
    struct rn_dataset *data;
};

/* With the golden file of this name. */
static inline void golden_open(struct golden_bench *b, const struct golden_case *c,
                               const char *file, const char *backend, uint32_t threads,
                               enum rn_head_mode head)
{
    char model[RN_PATH_MAX];
    char adapter[RN_PATH_MAX];
    char path[RN_PATH_MAX];
    struct rn_error err;
    static const char *const labels[] = {"0", "1", "2"};
    const struct rn_trainer_spec spec = {.model_dir = golden_path(model, c->name, "model"),
                                         .adapter_dir = golden_path(adapter, c->name, "adapter"),
                                         .max_length = c->max_length,
                                         .task = c->task,
                                         .labels = c->labels == 0 ? NULL : labels,
                                         .label_count = c->labels,
                                         .head = head,
                                         .backend = backend,
                                         .threads = threads,
                                         .for_training = true};
    *b = (struct golden_bench){.c = c};
    must(rn_safetensors_open(golden_path(path, c->name, file), &b->golden, &err), &err);
    must(rn_trainer_open(&spec, &b->trainer, &err), &err);
    const struct rn_data_spec data = {.path = golden_path(path, c->name, "data.tsv"),
                                      .text_column = "text",
                                      .pair_column = c->pairs ? "pair" : NULL,
                                      .label_column = "label"};
    must(rn_trainer_data_open(b->trainer, &data, &b->data, &err), &err);
}

static inline void golden_close(struct golden_bench *b)
{
    rn_trainer_data_close(b->data);
    rn_trainer_close(b->trainer);
    rn_safetensors_free(b->golden);
}

static inline void golden_read(const struct golden_bench *b, const char *name, size_t count,
                               float *out)
{
    const struct rn_tensor *tensor = rn_safetensors_find(b->golden, name);
    if (tensor == NULL || tensor->elements != count) {
        fail_msg("%s: golden tensor %s is missing or has another size", b->c->name, name);
        return;
    }
    struct rn_error err;
    must(rn_tensor_read(tensor, tensor->dimensions, tensor->shape, out, &err), &err);
}

/* What the test measures of one case in the arithmetic of bf16model.h. */
typedef void (*golden_measure)(const struct golden_case *c, enum bf16_order order,
                               enum bf16_rounding rounding, uint64_t seed,
                               struct bf16_errors *errors);

static inline void golden_bounds_form(struct bf16_bounds bounds[static GOLDEN_CASES],
                                      golden_measure measure)
{
    static struct bf16_errors errors;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (uint64_t seed = 0; seed < BF16_SAMPLES; seed++) {
            measure(&golden_cases[i], BF16_FLOAT64, BF16_EITHER, seed, &errors);
            bf16_bounds_add(&bounds[i], &errors);
        }
    }
}

/* Sums in the order of every processor, whether this machine has it or not. */
static inline void golden_bounds_hold(const struct bf16_bounds bounds[static GOLDEN_CASES],
                                      golden_measure measure)
{
    static struct bf16_errors errors;
    for (size_t i = 0; i < GOLDEN_CASES; i++) {
        for (int order = 0; order < BF16_ORDERS; order++) {
            measure(&golden_cases[i], (enum bf16_order)order, BF16_NEAREST, 0, &errors);
            bf16_bounds_check(&bounds[i], &errors, golden_cases[i].name, bf16_order_names[order]);
        }
    }
}

#endif
