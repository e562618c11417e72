/* SPDX-License-Identifier: Apache-2.0
 *
 * Several passes at work: a lane is a thread of the team with a pass of its own. What trains,
 * evaluates or predicts cuts its examples into blocks and gives the lanes one function for a block;
 * which lane takes which block changes no bit.
 *
 * Life cycle: rn_lanes_init -> rn_lanes_prepare (more than once; takes what is not there yet) ->
 * rn_lanes_bind, rn_lanes_run -> rn_lanes_clear. Nothing is allocated between.
 */
#ifndef RN_TRAINER_LANES_H
#define RN_TRAINER_LANES_H

#include "trainer/adapter/state.h"
#include "trainer/ground/team.h"
#include "trainer/pass/pass.h"

#define RN_BLOCK_SEQUENCES_MAX 512

struct rn_lanes {
    const struct rn_kernels *kernels; /* borrowed, with device and adapter */
    struct rn_device *device;
    const struct rn_adapter *adapter;
    struct rn_lane *lane; /* for work between passes */
    struct rn_team *team;
    enum rn_task task;
    uint32_t count;                 /* threads */
    struct rn_pass_options options; /* of the passes there are; before: limits and switches alone */
    struct rn_pass *passes;         /* [count]; NULL until prepared */
    rn_result *failed;              /* [count], of the present run */
    struct rn_error *errors;        /* [count] */
};

/* Limits of a pass for examples of at most so many tokens; neither training nor a cache. */
struct rn_pass_options rn_pass_options_for(const struct rn_kernels *kernels, uint32_t max_length,
                                           const struct rn_trainer_switches *switches);

/* Threads and a lane for work between passes. The caller sets adapter, and clears on failure too.
 */
RN_MUST rn_result rn_lanes_init(struct rn_lanes *out, const struct rn_kernels *kernels,
                                struct rn_device *device, uint32_t count,
                                const struct rn_pass_options *options, enum rn_task task,
                                struct rn_error *err);
void rn_lanes_clear(struct rn_lanes *lanes);

/* Whether there are passes for this. */
bool rn_lanes_ready(const struct rn_lanes *lanes, bool training, uint32_t pieces);
/* Passes with gradients or without, for blocks of so many pieces (0 = 1), over a cache or none; at
 * failure there are none. Passes that are there are given back first. */
RN_MUST rn_result rn_lanes_prepare(struct rn_lanes *lanes, bool training, uint32_t pieces,
                                   struct rn_prefix_cache *cache, struct rn_error *err);
/* Gives the passes back. */
void rn_lanes_release(struct rn_lanes *lanes);

/* Which values the passes compute with: adapter i's at values + i * adapter.count, and transposed
 * alike. One adapter: rn_lanes_bind(lanes, state.values, state.transposed). */
void rn_lanes_bind(struct rn_lanes *lanes, const float *values, const float *transposed);

/* Cuts examples in order into blocks; out_first holds count + 1 numbers, the last is count. Returns
 * the number of blocks. The cut depends on the lengths, the options and the backend alone, never on
 * the threads; a batch's gradient is the sum over its blocks in order, of each block's sum over its
 * examples in order, so its bits too are a function of the batch. */
uint32_t rn_blocks_cut(const struct rn_lanes *lanes, const struct rn_example *examples,
                       uint32_t count, uint32_t *out_first);

/* Work on blocks 0 .. count - 1. */
struct rn_work {
    void *context;
    uint32_t count;
    /* May be NULL: once in every lane, before its first block, also when there is none. */
    rn_result (*begin)(void *context, struct rn_pass *pass, uint32_t lane, struct rn_error *err);
    /* In any lane, at any time. */
    rn_result (*block)(void *context, struct rn_pass *pass, uint32_t lane, uint32_t block,
                       struct rn_error *err);
    /* May be NULL: after its block in the same lane, one at a time, in the order of the blocks.
     * What it asks of the device is done before the next one. */
    void (*commit)(void *context, struct rn_pass *pass, uint32_t block);
};
/* The first lane's failure, if any. A lane that failed does no further block; the others go on. */
RN_MUST rn_result rn_lanes_run(struct rn_lanes *lanes, const struct rn_work *work,
                               struct rn_error *err);

#endif
