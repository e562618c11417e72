/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of one training call, shared by the loop over one data set (trainloop.c) and the loop
 * over several clients at once (trainclients.c).
 */
#ifndef RN_TRAINER_TRAINLOOP_H
#define RN_TRAINER_TRAINLOOP_H

#include "trainer/learn/learn.h"

struct rn_dp;

/* A run of trained elements with one learning rate. */
struct rn_loop_range {
    size_t offset;
    size_t count;
    double lr;
};

struct rn_loop {
    struct rn_lanes *lanes;
    struct rn_state *state;
    bool head; /* trains */
    const struct rn_train_spec *spec;
    const struct rn_dataset *data;
    struct rn_pass_active active;
    struct rn_loop_range ranges[3];
    size_t range_count;
    uint32_t steps; /* of this call */
    size_t examples;
    uint32_t *order; /* permutation of the present epoch */
    uint64_t order_epoch;
    bool order_valid;
    struct rn_dp *dp; /* NULL = plain */
    /* The present step. */
    struct rn_example *batch;
    uint32_t batch_count;
    uint32_t *block_first;
    uint32_t block_count;
    double *loss; /* [batch] */
};

/* Takes all memory of the loop; fresh optimiser state unless the specification goes on. lanes,
 * state, head, spec and data are set. */
void rn_loop_start(struct rn_loop *loop);
void rn_loop_clear(struct rn_loop *loop);
/* Batch of a step (from 0), cut into blocks. */
void rn_loop_take(struct rn_loop *loop, uint32_t step);
/* Adds a block's gradient to a sum of the same layout. */
void rn_loop_add(const struct rn_loop *loop, struct rn_lane *lane, const float *gradient,
                 float *sum);
/* With the batch's gradient in state->gradient and its losses in `loss`: clips, updates,
 * reports. */
RN_MUST rn_result rn_loop_finish(struct rn_loop *loop, uint32_t step,
                                 struct rn_train_report *report, struct rn_error *err);

/* RN_E_ROUND_NUMERIC when a value that trains is not finite: the last update is looked at by no
 * loss. */
RN_MUST rn_result rn_loop_values_finite(const struct rn_loop *loop, struct rn_error *err);

/* Factor of the learning rate at a step (from 0), as transformers'
 * get_constant_schedule_with_warmup, get_linear_schedule_with_warmup,
 * get_cosine_schedule_with_warmup. */
double rn_schedule_factor(enum rn_schedule schedule, uint64_t step, uint64_t warmup,
                          uint64_t total);

#endif
