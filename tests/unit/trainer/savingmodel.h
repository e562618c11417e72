/* SPDX-License-Identifier: Apache-2.0
 *
 * The golden models with adapters on chosen layers, on every backend, to compare ways of computing
 * the same thing.
 */
#ifndef RN_TESTS_UNIT_TRAINER_SAVINGMODEL_H
#define RN_TESTS_UNIT_TRAINER_SAVINGMODEL_H

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"

#include "tests/unit/trainer/goldenmodel.h"

static const char *const saving_backends[] = {"ref", "cpu", "cpu-bf16"};
#define SAVING_BACKENDS RN_ARRAY_LENGTH(saving_backends)

/* Rank 3 on query, value and output.dense of layer 1 alone, or of all layers. */
static inline struct rn_trainer_spec saving_spec(char model[static RN_PATH_MAX], const char *folder,
                                                 const char *backend, bool top_layer)
{
    static const char *const labels[] = {"0", "1", "2"};
    static const char *const targets[] = {"query", "value", "output.dense"};
    static const uint32_t layers[] = {1};
    return (struct rn_trainer_spec){.model_dir = golden_path(model, folder, "model"),
                                    .labels = labels,
                                    .label_count = folder[0] == 'b' ? 2 : 3,
                                    .lora = {.rank = 3,
                                             .alpha = 6,
                                             .targets = targets,
                                             .target_count = 3,
                                             .layers = layers,
                                             .layer_count = top_layer ? 1 : 0},
                                    .head = RN_HEAD_LOCAL,
                                    .seed = 11,
                                    .backend = backend,
                                    .threads = 2,
                                    .for_training = true};
}

/* Opens with B of random values, so that every gradient is there from the first step. */
static inline struct rn_trainer *saving_open(const struct rn_trainer_spec *spec)
{
    struct rn_error err;
    struct rn_trainer *trainer = NULL;
    must(rn_trainer_open(spec, &trainer, &err), &err);
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    size_t count = 0;
    must(rn_trainer_layout(trainer, RN_MATRIX_B, false, &segments, &segment_count, &count), &err);
    float *b = rn_alloc(count, sizeof(float));
    const struct rn_generator generator = rn_generator_of(spec->seed, "b");
    rn_generator_uniform(&generator, 0.1, count, b);
    must(rn_trainer_set(trainer, RN_MATRIX_B, false, b, count, &err), &err);
    rn_free(b);
    return trainer;
}

/* Adapter and head; the caller frees. */
static inline float *saving_values(struct rn_trainer *trainer, size_t *out_count)
{
    struct rn_error err;
    *out_count = trainer->adapter.count;
    float *out = rn_alloc(*out_count, sizeof(float));
    must(rn_trainer_get(trainer, RN_MATRIX_AB, true, out, *out_count, &err), &err);
    return out;
}

struct saving_logits {
    float *values;
    size_t used;
};

static inline bool saving_collect(void *context, const struct rn_prediction *prediction)
{
    struct saving_logits *logits = context;
    memcpy(logits->values + logits->used, prediction->logits,
           prediction->logit_count * sizeof(float));
    logits->used += prediction->logit_count;
    return true;
}

/* Logits of all examples; the caller frees. */
static inline float *saving_predict(struct rn_trainer *trainer, const struct rn_dataset *data,
                                    size_t *out_count)
{
    struct rn_error err;
    *out_count = rn_dataset_count(data) * trainer->settled.label_count;
    struct saving_logits logits = {.values = rn_alloc(*out_count, sizeof(float))};
    must(rn_trainer_predict(trainer, data, saving_collect, &logits, &err), &err);
    return logits.values;
}

#endif
