/* SPDX-License-Identifier: Apache-2.0
 *
 * Input for benchmarks, from a seed: a RoBERTa encoder with random weights and a small vocabulary
 * of one token a word, and labelled texts of given lengths. Other programs read the same files:
 * a Hugging Face directory and TSV. Services get this header through trainer/trainer.h.
 */
#ifndef RN_TRAINER_RANDOMINPUT_H
#define RN_TRAINER_RANDOMINPUT_H

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_RANDOM_WORDS 1000
#define RN_RANDOM_LENGTH_LEAST 5
#define RN_RANDOM_LENGTH_MOST 128

struct rn_random_model {
    uint32_t layers; /* 1..RN_TRAINER_LAYERS_MAX */
    uint32_t hidden; /* a multiple of heads, at most 32768 */
    uint32_t heads;
    uint32_t intermediate; /* at most 32768 */
    uint64_t seed;
};

/* False stops: RN_E_ROUND_ABORTED. Bytes written so far, of all. */
typedef bool (*rn_random_progress_fn)(void *context, uint64_t done, uint64_t total);

/* Bytes of model.safetensors' tensors. */
uint64_t rn_random_model_bytes(const struct rn_random_model *model);

/* Parameters inside the products that a token passes: P of 2 P operations a token and forward
 * pass. */
uint64_t rn_random_model_product_parameters(const struct rn_random_model *model);

/* Writes config.json (dropout 0, two labels), tokenizer.json and model.safetensors (float32;
 * LayerNorm 1 and 0, everything else uniform with deviation 0.02) into a directory that exists.
 * config.json comes last, so that a directory with one is whole. RN_E_IO when the disk is full. */
RN_MUST rn_result rn_random_model_write(const struct rn_random_model *model, const char *dir,
                                        rn_random_progress_fn progress, void *context,
                                        struct rn_error *err);

/* True when the directory's config.json is the one that write would make and model.safetensors has
 * the right size: a kept directory can be used again. */
bool rn_random_model_matches(const struct rn_random_model *model, const char *dir);

/* Lengths in tokens, special ones included: log-normal, median 24, sigma 0.7, clamped to
 * RN_RANDOM_LENGTH_LEAST..MOST, as texts of GLUE are. */
void rn_random_lengths(uint64_t seed, size_t count, uint32_t *out);

/* A TSV with header "text<tab>label": text i takes lengths[i] tokens (at least 3), labels
 * alternate. */
RN_MUST rn_result rn_random_texts_write(uint64_t seed, const uint32_t *lengths, size_t count,
                                        const char *path, struct rn_error *err);

#endif
