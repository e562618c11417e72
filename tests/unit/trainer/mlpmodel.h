/* SPDX-License-Identifier: Apache-2.0
 *
 * The network of tests/parity/golden/mlp-37 (make_mlp_golden.py) with its adapter and its data.
 */
#ifndef RN_TESTS_UNIT_TRAINER_MLPMODEL_H
#define RN_TESTS_UNIT_TRAINER_MLPMODEL_H

#include "tests/unit/trainer/goldencases.h"

enum { MLP_WIDTH = 37, MLP_CLASSES = 5, MLP_RANK = 3, MLP_RECORDS = 18 };

static const struct golden_case mlp_case = {"mlp-37", RN_TASK_CLASSIFICATION, 0, MLP_CLASSES,
                                            false};

static inline struct rn_trainer_spec mlp_spec(char model[static RN_PATH_MAX], const char *backend,
                                              enum rn_head_mode head)
{
    return (struct rn_trainer_spec){.model_dir = golden_path(model, "mlp-37", "model"),
                                    .label_count = MLP_CLASSES,
                                    .head = head,
                                    .backend = backend,
                                    .threads = 2,
                                    .for_training = true};
}

/* Opens with the golden adapter. */
static inline void mlp_open(struct golden_bench *b, const struct rn_trainer_spec *spec)
{
    char path[RN_PATH_MAX];
    struct rn_error err;
    struct rn_trainer_spec with = *spec;
    const struct rn_data_spec data = {.path = path, .text_column = "*", .label_column = "label"};
    *b = (struct golden_bench){.c = &mlp_case};
    must(rn_safetensors_open(golden_path(path, "mlp-37", "golden.safetensors"), &b->golden, &err),
         &err);
    with.adapter_dir = golden_path(path, "mlp-37", "adapter");
    must(rn_trainer_open(&with, &b->trainer, &err), &err);
    (void)golden_path(path, "mlp-37", "data.csv");
    must(rn_trainer_data_open(b->trainer, &data, &b->data, &err), &err);
    assert_int_equal(rn_dataset_count(b->data), MLP_RECORDS);
}

/* Adapter and head; the caller frees. */
static inline float *mlp_values(struct rn_trainer *trainer, size_t *out_count)
{
    struct rn_error err;
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    must(rn_trainer_layout(trainer, RN_MATRIX_AB, true, &segments, &segment_count, out_count),
         &err);
    float *values = rn_alloc(*out_count, sizeof(float));
    must(rn_trainer_get(trainer, RN_MATRIX_AB, true, values, *out_count, &err), &err);
    return values;
}

#endif
