/* SPDX-License-Identifier: Apache-2.0
 *
 * The noisy mean of clipped gradients. Lanes take blocks of examples in any order and add to whole
 * numbers of their own, since whole numbers do not care; the lanes' sums are then added slice by
 * slice.
 */
#include "trainer/privacy/dp.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <string.h>

#define SLICE 4096 /* elements of the sum that one worker adds over the lanes at once */

struct part {
    float *gradients; /* device [block examples][stride] */
    int64_t *sum;     /* device [count] */
    double *norms;    /* device [block examples] */
    double *host_norms;
    struct rn_dp_diagnostics seen; /* of the present batch */
};

struct rn_dp {
    struct rn_lanes *lanes;
    const struct rn_train_spec *spec;
    struct rn_pass_active active;
    struct rn_pass_examples plan; /* all but the memory */
    struct rn_clip clip;
    uint32_t block_examples; /* most examples of a block */
    uint32_t part_count;
    struct part *parts;
    int64_t *noise;      /* device [count]: of the present step */
    int64_t *pool;       /* host [pool_steps][count] */
    uint32_t pool_steps; /* 1: drawn step by step */
    uint32_t pool_next;
    bool fresh;       /* the noise of the present step has not been added yet */
    uint32_t *chosen; /* [records]; unless BATCHES */
    size_t records;
    struct rn_dp_allocation allocation;
    uint32_t begun; /* steps */
    /* The present batch. */
    const struct rn_example *batch;
    uint32_t *block_first; /* [batch + 1] */
    uint32_t *whole_first; /* [batch + 1]: before the cut to block_examples */
    uint32_t block_count;
};

static rn_result check_sampling(const struct rn_train_spec *spec, struct rn_error *err)
{
    const struct rn_dp_spec *dp = spec->dp;
    switch (dp->sampling) {
    case RN_DP_BATCHES:
        return rn_ok();
    case RN_DP_POISSON:
        RN_ENSURE(dp->threshold > 0, err, RN_E_CONFIG, "training: dp sampling has no rate");
        return rn_ok();
    case RN_DP_ALLOCATION:
        RN_ENSURE(spec->steps <= RN_DP_ALLOCATION_STEPS_MAX, err, RN_E_CONFIG,
                  "training: dp allocation takes at most %u steps", RN_DP_ALLOCATION_STEPS_MAX);
        RN_ENSURE(dp->picks >= 1 && dp->picks <= spec->steps, err, RN_E_CONFIG,
                  "training: dp picks must be 1 to the number of steps");
        return rn_ok();
    default:
        return rn_fail(err, RN_E_CONFIG, "training: dp sampling is not known");
    }
}

rn_result rn_dp_check(const struct rn_kernels *kernels, bool head, const struct rn_train_spec *spec,
                      struct rn_error *err)
{
    const struct rn_dp_spec *dp = spec->dp;
    RN_ENSURE(kernels->clip_add != NULL, err, RN_E_UNSUPPORTED,
              "training: backend %s has no differential privacy", kernels->name);
    RN_ENSURE(spec->clip == 0.0, err, RN_E_CONFIG,
              "training: clip is of plain training; dp clips each record");
    RN_ENSURE(dp->clip_norm >= RN_DP_CLIP_MIN && dp->clip_norm <= RN_DP_CLIP_MAX, err, RN_E_CONFIG,
              "training: dp clip norm must be %g to %g", RN_DP_CLIP_MIN, RN_DP_CLIP_MAX);
    RN_ENSURE(dp->noise_multiplier >= 0.0 && dp->noise_multiplier <= RN_DP_NOISE_MAX, err,
              RN_E_CONFIG, "training: dp noise multiplier must be 0 to %g", RN_DP_NOISE_MAX);
    RN_ENSURE(dp->grid <= RN_DP_GRID_MAX, err, RN_E_CONFIG, "training: dp grid must be 1 to %u",
              RN_DP_GRID_MAX);
    RN_ENSURE(dp->denominator >= 1.0 && dp->denominator <= RN_DP_DENOMINATOR_MAX, err, RN_E_CONFIG,
              "training: dp denominator must be 1 to %g", RN_DP_DENOMINATOR_MAX);
    RN_ENSURE(dp->noise != NULL || dp->noise_multiplier == 0.0, err, RN_E_CONFIG,
              "training: dp has no source of noise");
    RN_ENSURE(head || ((unsigned)spec->active & RN_MATRIX_AB) != RN_MATRIX_NONE, err, RN_E_CONFIG,
              "training: dp has nothing to train");
    RN_ENSURE(dp->clipping == RN_DP_CLIP_FLAT || dp->clipping == RN_DP_CLIP_AUTOMATIC, err,
              RN_E_CONFIG, "training: dp clipping must be flat or automatic");
    if (dp->sampling != RN_DP_BATCHES) {
        RN_ENSURE(dp->uniform != NULL, err, RN_E_CONFIG,
                  "training: dp sampling has no source of random numbers");
        RN_ENSURE(spec->steps > 0, err, RN_E_CONFIG,
                  "training: dp needs a number of steps: epochs would tell the size of the data");
    }
    return check_sampling(spec, err);
}

static void part_clear(struct rn_dp *dp, struct part *part)
{
    struct rn_device *device = dp->lanes->device;
    dp->lanes->kernels->memory_free(device, part->gradients);
    dp->lanes->kernels->memory_free(device, part->sum);
    dp->lanes->kernels->memory_free(device, part->norms);
    rn_free(part->host_norms);
}

void rn_dp_free(struct rn_dp *dp)
{
    if (dp == NULL) {
        return;
    }
    for (uint32_t i = 0; i < dp->part_count; i++) {
        dp->lanes->passes[i].each = (struct rn_pass_examples){0};
        part_clear(dp, &dp->parts[i]);
    }
    if (dp->pool != NULL) { /* who knows the noise sees through it */
        explicit_bzero(dp->pool, dp->pool_steps * dp->plan.count * sizeof(int64_t));
    }
    if (dp->noise != NULL) {
        dp->lanes->kernels->zero(dp->lanes->lane, dp->noise, dp->plan.count * sizeof(int64_t));
    }
    dp->lanes->kernels->memory_free(dp->lanes->device, dp->noise);
    rn_free(dp->parts);
    rn_free(dp->pool);
    rn_dp_allocation_clear(&dp->allocation);
    rn_free(dp->chosen);
    rn_free(dp->block_first);
    rn_free(dp->whole_first);
    rn_free(dp);
}

void rn_dp_plan(const struct rn_adapter *adapter, const struct rn_pass_active *active, bool whole,
                struct rn_pass_examples *out)
{
    const bool parts = adapter->encoder->kernels->clip_add_outer != NULL && !whole;
    rn_pass_examples_plan(adapter, active, parts, out);
}

static rn_result take_device(struct rn_dp *dp, struct rn_error *err)
{
    const struct rn_kernels *k = dp->lanes->kernels;
    struct rn_device *device = dp->lanes->device;
    const size_t count = dp->plan.count;
    const size_t examples = dp->block_examples;
    for (uint32_t i = 0; i < dp->part_count; i++) {
        struct part *part = &dp->parts[i];
        part->host_norms = rn_alloc(examples, sizeof(double));
        RN_TRY(k->memory_new(device, examples * dp->plan.stride * sizeof(float),
                             (void **)&part->gradients, err));
        RN_TRY(k->memory_new(device, count * sizeof(int64_t), (void **)&part->sum, err));
        RN_TRY(k->memory_new(device, examples * sizeof(double), (void **)&part->norms, err));
        struct rn_pass_examples *each = &dp->lanes->passes[i].each;
        *each = dp->plan;
        each->gradients = part->gradients;
    }
    return k->memory_new(device, count * sizeof(int64_t), (void **)&dp->noise, err);
}

/* Noise of one step into host memory; zeros without a multiplier. */
static void draw(struct rn_dp *dp, int64_t *out)
{
    const struct rn_dp_spec *spec = dp->spec->dp;
    if (spec->noise_multiplier > 0.0) {
        spec->noise(spec->context, dp->plan.count, spec->noise_multiplier * dp->clip.grid, out);
    }
}

static void fill_pool(struct rn_dp *dp, uint32_t steps)
{
    const size_t bytes = dp->plan.count * sizeof(int64_t);
    dp->pool_steps = steps <= RN_DP_POOL_BYTES_MAX / bytes ? steps : 1;
    dp->pool = rn_alloc(dp->plan.count * dp->pool_steps, sizeof(int64_t));
    for (uint32_t i = 0; i < dp->pool_steps && dp->pool_steps > 1; i++) {
        draw(dp, dp->pool + i * dp->plan.count);
    }
}

rn_result rn_dp_new(struct rn_lanes *lanes, const struct rn_train_spec *spec,
                    const struct rn_pass_active *active, uint32_t steps, struct rn_dp **out,
                    struct rn_error *err)
{
    struct rn_dp *dp = rn_alloc(1, sizeof(*dp));
    dp->lanes = lanes;
    dp->spec = spec;
    dp->active = *active;
    dp->clip.norm = spec->dp->clip_norm;
    dp->clip.grid = (double)(spec->dp->grid != 0 ? spec->dp->grid : RN_DP_GRID_DEFAULT);
    dp->clip.gamma = spec->dp->clipping == RN_DP_CLIP_AUTOMATIC ? RN_DP_GAMMA : 0.0;
    rn_dp_plan(lanes->adapter, active, lanes->options.switches.whole_examples, &dp->plan);
    RN_BUG_IF(dp->plan.count == 0);
    const size_t fit = RN_DP_GRADIENTS_BYTES_MAX / (dp->plan.stride * sizeof(float));
    const size_t most = lanes->passes[0].options.sequences;
    dp->block_examples = (uint32_t)(fit < 1 ? 1 : fit < most ? fit : most);
    dp->part_count = lanes->count;
    dp->parts = rn_alloc(dp->part_count, sizeof(*dp->parts));
    dp->block_first = rn_alloc((size_t)spec->batch + 1, sizeof(*dp->block_first));
    dp->whole_first = rn_alloc((size_t)spec->batch + 1, sizeof(*dp->whole_first));
    if (spec->dp->diagnostics != NULL) {
        *spec->dp->diagnostics = (struct rn_dp_diagnostics){.loss_first = NAN, .loss_last = NAN};
    }
    const rn_result result = take_device(dp, err);
    if (!rn_is_ok(result)) {
        rn_dp_free(dp);
        return result;
    }
    fill_pool(dp, steps);
    *out = dp;
    return rn_ok();
}

size_t rn_dp_elements(const struct rn_dp *dp)
{
    return dp->plan.count;
}

void rn_dp_begin_step(struct rn_dp *dp)
{
    if (dp->pool_steps == 1) {
        draw(dp, dp->pool);
    }
    RN_BUG_IF(dp->pool_steps > 1 && dp->pool_next == dp->pool_steps); /* never twice the same */
    const uint32_t at = dp->pool_steps > 1 ? dp->pool_next++ : 0;
    dp->lanes->kernels->upload(dp->lanes->lane, dp->noise, dp->pool + at * dp->plan.count,
                               dp->plan.count * sizeof(int64_t));
    dp->fresh = true;
    dp->begun++;
}

rn_result rn_dp_allocate(struct rn_dp *dp, size_t records, uint32_t steps, struct rn_error *err)
{
    const struct rn_dp_spec *spec = dp->spec->dp;
    if (spec->sampling != RN_DP_ALLOCATION) {
        return rn_ok();
    }
    RN_BUG_IF(dp->allocation.steps != 0 || dp->begun != 0);
    return rn_dp_allocation_draw(spec, records, steps, &dp->allocation, err);
}

static size_t choose(struct rn_dp *dp, size_t records)
{
    const struct rn_dp_spec *spec = dp->spec->dp;
    if (spec->sampling == RN_DP_ALLOCATION) {
        return rn_dp_allocation_choose(spec, &dp->allocation, dp->begun - 1, dp->spec->batch,
                                       dp->chosen);
    }
    return rn_dp_choose(spec, records, dp->spec->batch, dp->chosen);
}

uint32_t rn_dp_sample(struct rn_dp *dp, const struct rn_dataset *data, struct rn_example *batch)
{
    const size_t records = rn_dataset_count(data);
    if (dp->records < records) {
        rn_free(dp->chosen);
        dp->chosen = rn_alloc(records, sizeof(*dp->chosen));
        dp->records = records;
    }
    const size_t drawn = choose(dp, records);
    const uint32_t count = drawn < dp->spec->batch ? (uint32_t)drawn : dp->spec->batch;
    for (uint32_t i = 0; i < count; i++) {
        batch[i] = rn_dataset_at(data, dp->chosen[i]);
    }
    if (dp->spec->dp->diagnostics != NULL) {
        dp->spec->dp->diagnostics->cut_batches += drawn > count;
    }
    return count;
}

/* Blocks of the batch, none with more examples than the gradients' memory holds. */
static void cut(struct rn_dp *dp, const struct rn_example *batch, uint32_t count)
{
    dp->batch = batch;
    dp->block_count = 0;
    dp->block_first[0] = 0;
    if (count == 0) {
        return;
    }
    RN_BUG_IF(count > dp->spec->batch);
    uint32_t *whole = dp->whole_first;
    const uint32_t blocks = rn_blocks_cut(dp->lanes, batch, count, whole);
    for (uint32_t b = 0; b < blocks; b++) {
        for (uint32_t i = whole[b]; i < whole[b + 1]; i += dp->block_examples) {
            dp->block_first[dp->block_count++] = i;
        }
    }
    dp->block_first[dp->block_count] = count;
}

/* Losses and norms of a block, for the diagnostics. */
static rn_result look(struct rn_dp *dp, struct part *part, struct rn_pass *pass, uint32_t count,
                      struct rn_error *err)
{
    struct rn_dp_diagnostics *seen = &part->seen;
    dp->lanes->kernels->download(pass->lane, part->host_norms, part->norms, count * sizeof(double));
    RN_TRY(rn_pass_losses(pass, err)); /* waits */
    for (uint32_t i = 0; i < count; i++) {
        const double norm = part->host_norms[i];
        seen->loss_sum += isfinite(pass->host_loss[i]) ? pass->host_loss[i] : 0.0;
        seen->norm_sum += isfinite(norm) ? norm : 0.0;
        seen->not_finite += !isfinite(norm);
        seen->clipped += isfinite(norm) && norm + dp->clip.gamma > dp->clip.norm;
    }
    seen->examples += count;
    seen->tokens += (uint64_t)pass->host_cu[count];
    return rn_ok();
}

/* Adds the block's clipped vectors to the lane's sum. */
static void clip_block(struct rn_dp *dp, struct part *part, struct rn_pass *pass, uint32_t count)
{
    const struct rn_pass_examples *plan = &dp->plan;
    if (plan->part_count == 0) {
        pass->kernels->clip_add(pass->lane, count, plan->count, part->gradients, plan->stride,
                                &dp->clip, part->sum, part->norms);
        return;
    }
    const struct rn_example_rows rows = {.rows = part->gradients,
                                         .stride = plan->stride,
                                         .stored = plan->stored,
                                         .parts = plan->parts,
                                         .part_count = plan->part_count};
    pass->kernels->clip_add_outer(pass->lane, count, &rows, &dp->clip, part->sum, part->norms);
}

static rn_result one_block(void *context, struct rn_pass *pass, uint32_t number, uint32_t block,
                           struct rn_error *err)
{
    struct rn_dp *dp = context;
    struct part *part = &dp->parts[number];
    const uint32_t first = dp->block_first[block];
    const uint32_t count = dp->block_first[block + 1] - first;
    rn_pass_load(pass, dp->batch + first, count);
    rn_pass_step(pass, dp->lanes->task, 1.0f, &dp->active);
    clip_block(dp, part, pass, count);
    return look(dp, part, pass, count, err);
}

static rn_result begin_lane(void *context, struct rn_pass *pass, uint32_t number,
                            struct rn_error *err)
{
    struct rn_dp *dp = context;
    struct part *part = &dp->parts[number];
    part->seen = (struct rn_dp_diagnostics){0};
    pass->kernels->zero(pass->lane, part->sum, dp->plan.count * sizeof(int64_t));
    return pass->kernels->sync(pass->lane, err);
}

/* Adds the lanes' sums to the first one's. */
static rn_result one_slice(void *context, struct rn_pass *pass, uint32_t number, uint32_t slice,
                           struct rn_error *err)
{
    struct rn_dp *dp = context;
    const struct rn_kernels *k = pass->kernels;
    const size_t first = (size_t)slice * SLICE;
    const size_t n = dp->plan.count - first < SLICE ? dp->plan.count - first : SLICE;
    int64_t total[SLICE];
    int64_t part[SLICE];
    (void)number;
    k->download(pass->lane, total, dp->parts[0].sum + first, n * sizeof(int64_t));
    for (uint32_t i = 1; i < dp->part_count; i++) {
        k->download(pass->lane, part, dp->parts[i].sum + first, n * sizeof(int64_t));
        for (size_t j = 0; j < n; j++) {
            total[j] += part[j];
        }
    }
    k->upload(pass->lane, dp->parts[0].sum + first, total, n * sizeof(int64_t));
    return k->sync(pass->lane, err);
}

static void add_diagnostics(struct rn_dp *dp, uint32_t count)
{
    struct rn_dp_diagnostics *all = dp->spec->dp->diagnostics;
    if (all == NULL) {
        return;
    }
    double loss = 0.0;
    for (uint32_t i = 0; i < dp->part_count; i++) {
        const struct rn_dp_diagnostics *seen = &dp->parts[i].seen;
        all->examples += seen->examples;
        all->tokens += seen->tokens;
        all->clipped += seen->clipped;
        all->not_finite += seen->not_finite;
        all->norm_sum += seen->norm_sum;
        loss += seen->loss_sum;
    }
    all->loss_sum += loss;
    all->empty_batches += count == 0;
    if (count > 0) {
        all->loss_last = loss / count;
        all->loss_first = isnan(all->loss_first) ? all->loss_last : all->loss_first;
    }
}

/* The batch's sum into the first lane's. */
static rn_result sum_batch(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                           struct rn_error *err)
{
    cut(dp, batch, count);
    const struct rn_work blocks = {
        .context = dp, .count = dp->block_count, .begin = begin_lane, .block = one_block};
    RN_TRY(rn_lanes_run(dp->lanes, &blocks, err));
    if (dp->part_count > 1) {
        const struct rn_work slices = {.context = dp,
                                       .count = (uint32_t)((dp->plan.count + SLICE - 1) / SLICE),
                                       .block = one_slice};
        RN_TRY(rn_lanes_run(dp->lanes, &slices, err));
    }
    add_diagnostics(dp, count);
    return rn_ok();
}

rn_result rn_dp_gradient(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                         float *out_gradient, struct rn_error *err)
{
    const struct rn_lanes *lanes = dp->lanes;
    const struct rn_dp_spec *spec = dp->spec->dp;
    const double factor = spec->clip_norm / (dp->clip.grid * spec->denominator);
    RN_BUG_IF(!dp->fresh); /* the difference of two sums with one noise has none */
    dp->fresh = false;
    RN_TRY(sum_batch(dp, batch, count, err));
    for (size_t i = 0; i < dp->plan.run_count; i++) {
        const struct rn_pass_run *run = &dp->plan.runs[i];
        lanes->kernels->noisy_mean(lanes->lane, run->count, dp->parts[0].sum + run->compact,
                                   dp->noise + run->compact, factor, out_gradient + run->place);
    }
    return lanes->kernels->sync(lanes->lane, err);
}

rn_result rn_dp_sum(struct rn_dp *dp, const struct rn_example *batch, uint32_t count, int64_t *out,
                    struct rn_error *err)
{
    const struct rn_lanes *lanes = dp->lanes;
    RN_TRY(sum_batch(dp, batch, count, err));
    lanes->kernels->download(lanes->lane, out, dp->parts[0].sum, dp->plan.count * sizeof(int64_t));
    return lanes->kernels->sync(lanes->lane, err);
}

rn_result rn_dp_noisy_sum(struct rn_dp *dp, const struct rn_example *batch, uint32_t count,
                          int64_t *out, struct rn_error *err)
{
    const uint32_t at = dp->pool_steps > 1 ? dp->pool_next - 1 : 0;
    const int64_t *noise = dp->pool + at * dp->plan.count;
    RN_BUG_IF(!dp->fresh);
    dp->fresh = false;
    RN_TRY(rn_dp_sum(dp, batch, count, out, err));
    for (size_t i = 0; i < dp->plan.count; i++) {
        out[i] += noise[i];
    }
    return rn_ok();
}

static size_t compact_of(const struct rn_dp *dp, size_t place)
{
    for (size_t i = 0; i < dp->plan.run_count; i++) {
        const struct rn_pass_run *run = &dp->plan.runs[i];
        if (place >= run->place && place - run->place < run->count) {
            return run->compact + (place - run->place);
        }
    }
    RN_BUG_IF(true); /* what trains has a run */
    return 0;
}

void rn_dp_flatten(const struct rn_dp *dp, const int64_t *sum, int64_t *out)
{
    const struct rn_adapter *adapter = dp->lanes->adapter;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, dp->active.matrices, dp->active.head)) {
            memcpy(out, sum + compact_of(dp, adapter->places[i]), segment->count * sizeof(*out));
            out += segment->count;
        }
    }
}
