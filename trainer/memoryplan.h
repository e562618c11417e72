/* SPDX-License-Identifier: Apache-2.0
 *
 * What a trainer will take, before it takes anything. Included by trainer/trainer.h.
 *
 * The sizes follow from config.json and the specification; the weights are not read (one matrix of
 * each shape is packed from zeros to learn its packed size). So a plan is ready at once, also on a
 * machine that the model does not fit.
 */
#ifndef RN_TRAINER_MEMORYPLAN_H
#define RN_TRAINER_MEMORYPLAN_H

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

struct rn_trainer_spec;

/* What no line counts: the program, its libraries, tokenizer and lists. */
#define RN_MEMORY_SLACK_BYTES ((uint64_t)96 << 20)

enum rn_memory_arena {
    RN_MEMORY_WEIGHTS,  /* frozen model in the backend's form, embedding tables */
    RN_MEMORY_STEP,     /* activations, gradients and scratch of all lanes */
    RN_MEMORY_ADAPTER,  /* values; in training gradient and moments too, of each client its own */
    RN_MEMORY_CACHE,    /* the budget of the prefix cache, or what the data can fill of it */
    RN_MEMORY_DATA,     /* token ids, when the request says how many */
    RN_MEMORY_EXAMPLES, /* with dp: gradients of examples, sums and noise, at the most */
    RN_MEMORY_PROGRAM,  /* RN_MEMORY_SLACK_BYTES */
    RN_MEMORY_ARENAS
};

enum rn_memory_device { RN_MEMORY_HOST, RN_MEMORY_ACCELERATOR, RN_MEMORY_DISK };

struct rn_memory_line {
    enum rn_memory_arena arena;
    enum rn_memory_device device;
    uint64_t bytes;
};
#define RN_MEMORY_LINES_MAX 16

struct rn_memory_request {
    bool training;         /* otherwise evaluation and prediction alone */
    bool dp;               /* with training: DP-SGD */
    uint32_t clients;      /* with training: several at once (rn_trainer_train_clients); 0 = none */
    uint64_t data_records; /* 0 = not known */
    uint64_t data_tokens;
};

struct rn_memory_plan {
    struct rn_memory_line lines[RN_MEMORY_LINES_MAX];
    uint32_t line_count;
    uint64_t host; /* sum of the host lines */
    uint64_t accelerator;
    uint64_t disk;
    uint64_t available; /* host memory that may be taken: spec.memory_limit or what is free */
    uint64_t accelerator_available; /* device memory that is free; 0 where that is not known */
    uint32_t lanes;
    uint32_t max_length;
    char kernels[48]; /* what computes here, and what the choice rests on: as in trainer's facts */
    char measured[96];
};

/* Errors as rn_trainer_open's for the same specification; never RN_E_MEMORY. */
RN_MUST rn_result rn_trainer_memory_plan(const struct rn_trainer_spec *spec,
                                         const struct rn_memory_request *request,
                                         struct rn_memory_plan *out, struct rn_error *err);

/* RN_E_MEMORY when the host's lines exceed what is available, or the accelerator's what is free
 * there, with a sentence that says what to change. rn_trainer_open asks this too, with what its
 * specification says it is for. */
RN_MUST rn_result rn_memory_plan_check(const struct rn_memory_plan *plan, struct rn_error *err);

/* "weights", "step", ...; "host", "accelerator", "disk" */
const char *rn_memory_arena_name(enum rn_memory_arena arena);
const char *rn_memory_device_name(enum rn_memory_device device);

#endif
