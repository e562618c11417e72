/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of DP-SGD: who is in a batch (dpsample.c) and the noisy mean of clipped gradients
 * (dpstep.c). What it means stands in trainer/dpwords.h.
 */
#ifndef RN_TRAINER_DP_H
#define RN_TRAINER_DP_H

#include "trainer/jobwords.h"
#include "trainer/pass/lanes.h"

struct rn_dp;

/* Checks the dp part of a training; head: whether the head trains. */
RN_MUST rn_result rn_dp_check(const struct rn_kernels *kernels, bool head,
                              const struct rn_train_spec *spec, struct rn_error *err);
/* How a lane keeps gradients of examples: the head's matrices as factors where the backend can clip
 * such a vector, and unless the whole is wished (rn_trainer_switches.whole_examples). */
void rn_dp_plan(const struct rn_adapter *adapter, const struct rn_pass_active *active, bool whole,
                struct rn_pass_examples *out);
/* Memory for `steps` steps with these active parts; draws the noise pool. The lanes (borrowed,
 * prepared for training) form gradients of examples until the owner frees. */
RN_MUST rn_result rn_dp_new(struct rn_lanes *lanes, const struct rn_train_spec *spec,
                            const struct rn_pass_active *active, uint32_t steps, struct rn_dp **out,
                            struct rn_error *err);
void rn_dp_free(struct rn_dp *dp); /* accepts NULL */

/* Noise of the next step; before its records are chosen. */
void rn_dp_begin_step(struct rn_dp *dp);
/* ALLOCATION: which records each of `steps` steps gets; once, before the first step. For the other
 * ways to sample it does nothing. RN_E_CONFIG when the data are too many. */
RN_MUST rn_result rn_dp_allocate(struct rn_dp *dp, size_t records, uint32_t steps,
                                 struct rn_error *err);
/* At most spec->batch examples of the data, drawn for the step that was begun last; returns how
 * many. Not for BATCHES. */
uint32_t rn_dp_sample(struct rn_dp *dp, const struct rn_dataset *data, struct rn_example *batch);
/* Leaves the noisy mean over any number of examples (none is well) in the active parts of a vector
 * of the adapter's layout. */
RN_MUST rn_result rn_dp_gradient(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                                 float *out_gradient, struct rn_error *err);

/* The sum of the clipped whole vectors of a batch as host numbers [elements of the active parts in
 * the order of rn_pass_examples], without noise: what the proof of the sensitivity speaks of. For
 * tests. */
RN_MUST rn_result rn_dp_sum(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                            int64_t *out, struct rn_error *err);
size_t rn_dp_elements(const struct rn_dp *dp);
/* The same sum with the noise of the step that was begun last, which is used up. */
RN_MUST rn_result rn_dp_noisy_sum(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                                  int64_t *out, struct rn_error *err);
/* Such a sum [rn_dp_elements] in the order of the layout's selection of what trains. */
void rn_dp_flatten(const struct rn_dp *dp, const int64_t *sum, int64_t *out);

/* Who is in a batch: numbers of the chosen records, most at most, in a random order when there were
 * more. chosen has room for `records`. Returns how many were drawn before the cut. */
size_t rn_dp_choose(const struct rn_dp_spec *spec, size_t records, uint32_t most, uint32_t *chosen);

/* Records of each step of a random allocation: step s gets records[first[s]] to before
 * first[s + 1], ascending. Secret: what sampling adds to the privacy rests on nobody knowing. */
struct rn_dp_allocation {
    uint32_t steps;
    size_t *first;     /* [steps + 1] */
    uint32_t *records; /* [records * picks] */
};
/* Each of `records` records is put into spec->picks different steps. RN_E_CONFIG beyond
 * RN_DP_ALLOCATION_PICKS_MAX. */
RN_MUST rn_result rn_dp_allocation_draw(const struct rn_dp_spec *spec, size_t records,
                                        uint32_t steps, struct rn_dp_allocation *out,
                                        struct rn_error *err);
void rn_dp_allocation_clear(struct rn_dp_allocation *allocation); /* wipes */
/* As rn_dp_choose, for a step of the allocation; chosen has room for all records. */
size_t rn_dp_allocation_choose(const struct rn_dp_spec *spec,
                               const struct rn_dp_allocation *allocation, uint32_t step,
                               uint32_t most, uint32_t *chosen);

#endif
