/* SPDX-License-Identifier: Apache-2.0
 *
 * What a training, an evaluation or a prediction is told and tells: the words of the rooms learn
 * and privacy. Part of trainer/trainer.h, which says what is done with them.
 */
#ifndef RN_TRAINER_JOBWORDS_H
#define RN_TRAINER_JOBWORDS_H

#include "trainer/dpwords.h"
#include "trainer/words.h"

/* ---- Training ---- */

enum rn_optimizer { RN_OPTIMIZER_SGD, RN_OPTIMIZER_ADAMW };
enum rn_schedule { RN_SCHEDULE_CONSTANT, RN_SCHEDULE_LINEAR, RN_SCHEDULE_COSINE };

/* A value of 0 means what is written in brackets. */
struct rn_train_spec {
    enum rn_matrix active; /* matrices that train; NONE = the head alone. A frozen matrix keeps its
                              bytes: no gradient, decay or momentum reaches it */
    enum rn_optimizer optimizer; /* ADAMW as torch.optim.AdamW: betas 0.9, 0.999, eps 1e-8; state
                                    is fresh in every call */
    double lr_a, lr_b, lr_head;  /* lr_head [max of lr_a and lr_b] */
    double weight_decay;         /* decoupled for AdamW, added to the gradient for SGD */
    enum rn_schedule schedule;   /* factor after warm-up as in transformers' get_*_schedule */
    uint32_t warmup_steps;
    uint32_t schedule_steps;  /* steps that the schedule spans [this call's steps] */
    uint32_t schedule_offset; /* steps of the schedule done in earlier calls */
    double clip;              /* global norm bound over all trained values [no clipping] */
    uint32_t batch;  /* 1..RN_TRAINER_BATCH_MAX examples; the last of an epoch is smaller */
    uint32_t steps;  /* this call's optimiser steps [epochs over the data] */
    uint32_t epochs; /* used when steps is 0; at least 1 then */
    bool shuffle;    /* a fresh permutation per epoch from seed; false = file order */
    uint64_t seed;
    uint64_t stream_offset; /* batches of the endless stream of epochs to skip first: round r of s
                               steps each passes r * s, so rounds see different batches */
    uint32_t first_step;    /* steps of this call that a stopped call has done: goes on with
                               adapter and moments as they are [a fresh start]; no dp */
    const struct rn_dp_spec *dp; /* NULL = plain; else clip must be 0 */
};

struct rn_train_progress {
    uint32_t step;  /* finished steps, from 1 */
    uint32_t steps; /* of this call */
    double loss;    /* mean over the step's batch */
    uint64_t tokens;
    const struct rn_train_report *report; /* of this call so far; NULL with several clients */
};
/* Called after every step in the caller's thread; false stops: RN_E_ROUND_ABORTED, and the adapter
 * is left as after that step. The callback may read the trainer: rn_trainer_get, _optimizer_get,
 * _save. */
typedef bool (*rn_train_progress_fn)(void *context, const struct rn_train_progress *progress);

struct rn_train_report {
    double loss_sum;   /* over all examples seen, each at the adapter of its step */
    double loss_first; /* mean loss of the first batch */
    double loss_last;  /* mean loss of the last batch */
    uint32_t steps;
    uint64_t examples;
    uint64_t tokens;
    double seconds; /* wall time of the steps */
};

/* One of several simulated clients that train at once. */
#define RN_TRAINER_CLIENTS_MAX 256
struct rn_client {
    const struct rn_dataset *data;
    uint64_t seed;
    uint64_t stream_offset;
    float *values;                 /* layout of (AB, with head): the start, then the result */
    struct rn_train_report report; /* out; seconds: of all clients together */
};

/* ---- Evaluation and prediction ---- */

/* NaN where the task has no such metric. */
struct rn_metrics {
    double loss; /* mean */
    double accuracy;
    double f1; /* of class 1 with two classes, macro mean otherwise */
    double matthews;
    double pearson;
    double spearman;
    uint64_t count;
    uint64_t tokens;
    double seconds;
};
/* Asked before each block of examples, from any of the trainer's threads; false stops:
 * RN_E_ROUND_ABORTED. */
typedef bool (*rn_evaluate_go_fn)(void *context);
struct rn_prediction {
    size_t index;        /* example number from 0 */
    uint32_t label;      /* class with the greatest logit (the first of equals); regression: 0 */
    const char *name;    /* of the class; regression: NULL */
    const float *logits; /* [logit_count], valid during the call */
    size_t logit_count;
};
/* Called in file order; false stops with RN_E_ROUND_ABORTED. */
typedef bool (*rn_prediction_fn)(void *context, const struct rn_prediction *prediction);

#endif
