/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes: their memory, and the one loop over blocks.
 */
#include "trainer/pass/lanes.h"

#include "base/alloc.h"
#include "base/guard.h"

struct rn_pass_options rn_pass_options_for(const struct rn_kernels *kernels, uint32_t max_length,
                                           const struct rn_trainer_switches *switches)
{
    const uint32_t liked = kernels->block_tokens;
    const uint32_t tokens = liked > max_length ? liked : max_length;
    return (struct rn_pass_options){
        .tokens = tokens,
        .sequences = tokens < RN_BLOCK_SEQUENCES_MAX ? tokens : RN_BLOCK_SEQUENCES_MAX,
        .length = max_length,
        .switches = *switches};
}

rn_result rn_lanes_init(struct rn_lanes *out, const struct rn_kernels *kernels,
                        struct rn_device *device, uint32_t count,
                        const struct rn_pass_options *options, enum rn_task task,
                        struct rn_error *err)
{
    *out = (struct rn_lanes){
        .kernels = kernels, .device = device, .count = count, .options = *options, .task = task};
    out->failed = rn_alloc(count, sizeof(*out->failed));
    out->errors = rn_alloc(count, sizeof(*out->errors));
    const struct rn_lane_limits limits = {1, 1, 1, 1, 1, 1, 1};
    RN_TRY(kernels->lane_new(device, &limits, &out->lane, err));
    return rn_team_new(count, &out->team, err);
}

void rn_lanes_clear(struct rn_lanes *lanes)
{
    if (lanes->kernels == NULL) {
        return;
    }
    rn_lanes_release(lanes);
    rn_team_free(lanes->team);
    lanes->kernels->lane_free(lanes->lane);
    rn_free(lanes->failed);
    rn_free(lanes->errors);
    *lanes = (struct rn_lanes){0};
}

bool rn_lanes_ready(const struct rn_lanes *lanes, bool training, uint32_t pieces)
{
    return lanes->passes != NULL &&
           (!training || (lanes->options.training && lanes->passes[0].piece_max >= pieces));
}

void rn_lanes_release(struct rn_lanes *lanes)
{
    for (uint32_t i = 0; lanes->passes != NULL && i < lanes->count; i++) {
        rn_pass_clear(&lanes->passes[i]);
    }
    rn_free(lanes->passes);
    lanes->passes = NULL;
}

rn_result rn_lanes_prepare(struct rn_lanes *lanes, bool training, uint32_t pieces,
                           struct rn_prefix_cache *cache, struct rn_error *err)
{
    rn_lanes_release(lanes);
    lanes->options.training = training;
    lanes->options.pieces = pieces;
    lanes->options.cache = cache;
    lanes->passes = rn_alloc(lanes->count, sizeof(*lanes->passes));
    for (uint32_t i = 0; i < lanes->count; i++) {
        const rn_result result =
            rn_pass_init(&lanes->passes[i], lanes->adapter, lanes->device, &lanes->options, err);
        if (!rn_is_ok(result)) {
            rn_lanes_release(lanes);
            return result;
        }
    }
    return rn_ok();
}

void rn_lanes_bind(struct rn_lanes *lanes, const float *values, const float *transposed)
{
    for (uint32_t i = 0; i < lanes->count; i++) {
        struct rn_pass *pass = &lanes->passes[i];
        pass->values = values;
        pass->transposed = transposed;
        pass->values_stride = lanes->adapter->count;
        pass->transposed_stride = lanes->adapter->transposed_count;
    }
}

struct run {
    struct rn_lanes *lanes;
    const struct rn_work *work;
};

/* A block of this lane, unless it has failed, and its turn to commit, which it takes in any case:
 * the others wait for it. */
static rn_result one_block(const struct run *run, uint32_t lane, uint32_t block, rn_result result,
                           struct rn_error *err)
{
    const struct rn_work *work = run->work;
    struct rn_lanes *lanes = run->lanes;
    struct rn_pass *pass = &lanes->passes[lane];
    if (rn_is_ok(result)) {
        result = work->block(work->context, pass, lane, block, err);
    }
    if (work->commit == NULL) {
        return result;
    }
    rn_team_commit_begin(lanes->team, block);
    if (rn_is_ok(result)) {
        work->commit(work->context, pass, block);
        result = lanes->kernels->sync(pass->lane, err);
    }
    rn_team_commit_end(lanes->team, block);
    return result;
}

static void one_lane(void *context, uint32_t lane)
{
    const struct run *run = context;
    const struct rn_work *work = run->work;
    struct rn_lanes *lanes = run->lanes;
    rn_result result = rn_ok();
    if (work->begin != NULL) {
        result = work->begin(work->context, &lanes->passes[lane], lane, &lanes->errors[lane]);
    }
    for (;;) {
        const uint32_t block = rn_team_queue_next(lanes->team);
        if (block >= work->count) {
            break;
        }
        result = one_block(run, lane, block, result, &lanes->errors[lane]);
    }
    lanes->failed[lane] = result;
}

rn_result rn_lanes_run(struct rn_lanes *lanes, const struct rn_work *work, struct rn_error *err)
{
    struct run run = {.lanes = lanes, .work = work};
    rn_team_queue_reset(lanes->team);
    rn_team_run(lanes->team, one_lane, &run);
    for (uint32_t i = 0; i < lanes->count; i++) {
        RN_ENSURE(rn_is_ok(lanes->failed[i]), err, lanes->failed[i].code, "%s",
                  lanes->errors[i].text);
    }
    return rn_ok();
}
