/* SPDX-License-Identifier: Apache-2.0
 *
 * The training loop. A batch is cut into blocks; each lane takes whole blocks through forward and
 * backward; the blocks' gradients are added in the order of the blocks, whichever lane was faster.
 */
#include "trainer/learn/trainloop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "trainer/ground/generator.h"
#include "trainer/privacy/dp.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RN_ADAM_BETA1 0.9
#define RN_ADAM_BETA2 0.999
#define RN_ADAM_EPS 1e-8

void rn_loop_clear(struct rn_loop *loop)
{
    rn_dp_free(loop->dp);
    rn_free(loop->order);
    rn_free(loop->batch);
    rn_free(loop->block_first);
    rn_free(loop->loss);
}

rn_result rn_learn_check(const struct rn_lanes *lanes, bool head, const struct rn_dataset *data,
                         const struct rn_train_spec *spec, struct rn_error *err)
{
    RN_ENSURE(rn_dataset_count(data) > 0, err, RN_E_DATA, "training: the data has no example");
    RN_TRY(rn_learn_data_fits(lanes, data, true, "training", err));
    RN_ENSURE(spec->batch >= 1 && spec->batch <= RN_TRAINER_BATCH_MAX, err, RN_E_CONFIG,
              "training: batch must be 1 to %d", RN_TRAINER_BATCH_MAX);
    RN_ENSURE(spec->steps > 0 || spec->epochs > 0, err, RN_E_CONFIG,
              "training: neither steps nor epochs given");
    const double values[] = {spec->lr_a, spec->lr_b, spec->lr_head, spec->weight_decay, spec->clip};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(values); i++) {
        RN_ENSURE(
            isfinite(values[i]) && values[i] >= 0.0, err, RN_E_CONFIG,
            "training: learning rates, weight decay and clip must be finite and not negative");
    }
    RN_ENSURE(lanes->adapter->config.rank != 0 || head, err, RN_E_CONFIG,
              "training: neither an adapter nor a head trains");
    RN_ENSURE(spec->first_step == 0 || spec->dp == NULL, err, RN_E_UNSUPPORTED,
              "training: dp does not go on with a stopped call");
    return spec->dp == NULL ? rn_ok() : rn_dp_check(lanes->kernels, head, spec, err);
}

static double rate_of(const struct rn_train_spec *spec, enum rn_segment_kind kind)
{
    if (kind == RN_SEGMENT_HEAD) {
        return spec->lr_head > 0.0 ? spec->lr_head : fmax(spec->lr_a, spec->lr_b);
    }
    return kind == RN_SEGMENT_A ? spec->lr_a : spec->lr_b;
}

/* Trained runs of the device vector (adapter.h), neighbours with the same rate merged. */
static void find_ranges(struct rn_loop *loop)
{
    const struct rn_adapter *adapter = loop->lanes->adapter;
    for (int kind = RN_SEGMENT_A; kind <= RN_SEGMENT_HEAD; kind++) {
        struct rn_loop_range run = {.lr = rate_of(loop->spec, (enum rn_segment_kind)kind)};
        for (size_t i = 0; i < adapter->segment_count; i++) {
            const struct rn_segment *segment = &adapter->segments[i];
            if ((int)segment->kind == kind &&
                rn_segment_chosen(segment, loop->active.matrices, loop->active.head)) {
                run.offset = run.count == 0 ? adapter->places[i] : run.offset;
                run.count += segment->count;
            }
        }
        struct rn_loop_range *last =
            loop->range_count > 0 ? &loop->ranges[loop->range_count - 1] : NULL;
        if (last != NULL && last->offset + last->count == run.offset && last->lr == run.lr) {
            last->count += run.count;
        } else if (run.count > 0) {
            loop->ranges[loop->range_count++] = run;
        }
    }
}

void rn_loop_start(struct rn_loop *loop)
{
    const struct rn_train_spec *spec = loop->spec;
    const struct rn_adapter *adapter = loop->lanes->adapter;
    loop->examples = rn_dataset_count(loop->data);
    const uint64_t per_epoch = (loop->examples + spec->batch - 1) / spec->batch;
    const uint64_t steps = spec->steps > 0 ? spec->steps : spec->epochs * per_epoch;
    loop->steps = steps > UINT32_MAX ? UINT32_MAX : (uint32_t)steps;
    loop->active.matrices = adapter->config.rank != 0
                                ? (enum rn_matrix)((unsigned)spec->active & RN_MATRIX_AB)
                                : RN_MATRIX_NONE;
    loop->active.head = loop->head;
    find_ranges(loop);
    loop->order = rn_alloc(loop->examples, sizeof(*loop->order));
    loop->batch = rn_alloc(spec->batch, sizeof(*loop->batch));
    loop->block_first = rn_alloc(spec->batch + 1, sizeof(*loop->block_first));
    loop->loss = rn_alloc(spec->batch, sizeof(*loop->loss));
    if (spec->first_step > 0) {
        return; /* the moments are those of the call that goes on */
    }
    const size_t bytes = adapter->count * sizeof(float);
    loop->lanes->kernels->zero(loop->lanes->lane, loop->state->moment1, bytes);
    loop->lanes->kernels->zero(loop->lanes->lane, loop->state->moment2, bytes);
}

/* The order of one epoch: file order, or a permutation from (seed, epoch). */
static void order_for(struct rn_loop *loop, uint64_t epoch)
{
    if (loop->order_valid && loop->order_epoch == epoch) {
        return;
    }
    if (loop->spec->shuffle) {
        char stream[48];
        rn_text_format(stream, sizeof(stream), "shuffle.%llu", (unsigned long long)epoch);
        const struct rn_generator generator = rn_generator_of(loop->spec->seed, stream);
        rn_generator_permutation(&generator, loop->examples, loop->order);
    } else if (!loop->order_valid) {
        for (size_t i = 0; i < loop->examples; i++) {
            loop->order[i] = (uint32_t)i;
        }
    }
    loop->order_valid = true;
    loop->order_epoch = epoch;
}

/* Batch `number` of the endless stream of epochs; an epoch's last batch may be smaller. */
static void take_batch(struct rn_loop *loop, uint64_t number)
{
    const uint32_t size = loop->spec->batch;
    const uint64_t per_epoch = (loop->examples + size - 1) / size;
    order_for(loop, number / per_epoch);
    const size_t first = (size_t)(number % per_epoch) * size;
    const size_t left = loop->examples - first;
    loop->batch_count = left < size ? (uint32_t)left : size;
    for (uint32_t i = 0; i < loop->batch_count; i++) {
        loop->batch[i] = rn_dataset_at(loop->data, loop->order[first + i]);
    }
    loop->block_count =
        rn_blocks_cut(loop->lanes, loop->batch, loop->batch_count, loop->block_first);
}

void rn_loop_take(struct rn_loop *loop, uint32_t step)
{
    take_batch(loop, loop->spec->stream_offset + step);
}

static rn_result one_block(void *context, struct rn_pass *pass, uint32_t lane, uint32_t block,
                           struct rn_error *err)
{
    const struct rn_loop *loop = context;
    (void)lane;
    const uint32_t first = loop->block_first[block];
    const uint32_t count = loop->block_first[block + 1] - first;
    rn_pass_load(pass, loop->batch + first, count);
    rn_pass_step(pass, loop->lanes->task, (float)(1.0 / (double)loop->batch_count), &loop->active);
    RN_TRY(rn_pass_losses(pass, err));
    memcpy(loop->loss + first, pass->host_loss, count * sizeof(double));
    return rn_ok();
}

void rn_loop_add(const struct rn_loop *loop, struct rn_lane *lane, const float *gradient,
                 float *sum)
{
    for (size_t i = 0; i < loop->range_count; i++) {
        const struct rn_loop_range *range = &loop->ranges[i];
        loop->lanes->kernels->vector_add(lane, range->count, gradient + range->offset,
                                         sum + range->offset);
    }
}

static void commit(void *context, struct rn_pass *pass, uint32_t block)
{
    const struct rn_loop *loop = context;
    (void)block;
    rn_loop_add(loop, pass->lane, pass->gradient, loop->state->gradient);
}

/* Sum of the batch's gradients into the state's. */
static rn_result gradient_of_batch(struct rn_loop *loop, struct rn_error *err)
{
    struct rn_lanes *lanes = loop->lanes;
    lanes->kernels->zero(lanes->lane, loop->state->gradient, lanes->adapter->count * sizeof(float));
    RN_TRY(lanes->kernels->sync(lanes->lane, err));
    const struct rn_work work = {
        .context = loop, .count = loop->block_count, .block = one_block, .commit = commit};
    return rn_lanes_run(lanes, &work, err);
}

/* The update of a step, with the present learning rates. */
static struct rn_update update_of(const struct rn_loop *loop, uint32_t step)
{
    const struct rn_state *state = loop->state;
    const struct rn_train_spec *spec = loop->spec;
    const bool adamw = spec->optimizer != RN_OPTIMIZER_SGD;
    const uint64_t total = spec->schedule_steps > 0 ? spec->schedule_steps : loop->steps;
    const double factor = rn_schedule_factor(spec->schedule, (uint64_t)spec->schedule_offset + step,
                                             spec->warmup_steps, total);
    struct rn_update update = {
        .gradient = state->gradient,
        .values = state->values,
        .moment1 = adamw ? state->moment1 : NULL,
        .moment2 = adamw ? state->moment2 : NULL,
        .range_count = loop->range_count,
        .clip = spec->clip,
        .optimizer = {.beta1 = (float)RN_ADAM_BETA1,
                      .beta2 = (float)RN_ADAM_BETA2,
                      .eps = (float)RN_ADAM_EPS,
                      .weight_decay = (float)spec->weight_decay,
                      .correction1 = 1.0 - pow(RN_ADAM_BETA1, (double)step + 1.0),
                      .correction2 = 1.0 - pow(RN_ADAM_BETA2, (double)step + 1.0)},
    };
    for (size_t i = 0; i < loop->range_count; i++) {
        const struct rn_loop_range *range = &loop->ranges[i];
        update.ranges[i] =
            (struct rn_update_range){range->offset, range->count, (float)(range->lr * factor)};
    }
    return update;
}

/* Clipped as by torch.nn.utils.clip_grad_norm_, over the trained elements. */
static rn_result clipped_update(struct rn_loop *loop, uint32_t step, struct rn_error *err)
{
    const struct rn_lanes *lanes = loop->lanes;
    const struct rn_update update = update_of(loop, step);
    RN_ENSURE(isfinite(rn_kernels_update(lanes->kernels, lanes->lane, &update)), err,
              RN_E_ROUND_NUMERIC,
              "training: the gradient is not finite; lower the learning rate or set clip");
    rn_adapter_refresh(lanes->adapter, loop->state, lanes->lane);
    return rn_ok();
}

/* Without a look at the gradient's norm. */
static void private_update(struct rn_loop *loop, uint32_t step)
{
    const struct rn_lanes *lanes = loop->lanes;
    const struct rn_update update = update_of(loop, step);
    rn_kernels_step(lanes->kernels, lanes->lane, &update);
    rn_adapter_refresh(lanes->adapter, loop->state, lanes->lane);
}

rn_result rn_loop_values_finite(const struct rn_loop *loop, struct rn_error *err)
{
    const struct rn_lanes *lanes = loop->lanes;
    for (size_t i = 0; i < loop->range_count; i++) {
        const struct rn_loop_range *range = &loop->ranges[i];
        RN_ENSURE(isfinite(lanes->kernels->vector_square_sum(lanes->lane, range->count,
                                                             loop->state->values + range->offset)),
                  err, RN_E_ROUND_NUMERIC,
                  "training: a trained value is not finite any more; lower the learning rate");
    }
    return rn_ok();
}

static uint64_t batch_tokens(const struct rn_loop *loop)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < loop->batch_count; i++) {
        tokens += loop->batch[i].length;
    }
    return tokens;
}

/* A step of DP-SGD: what it reports does not depend on the data. */
static rn_result private_step(struct rn_loop *loop, uint32_t step, struct rn_train_report *report,
                              struct rn_error *err)
{
    rn_dp_begin_step(loop->dp);
    if (loop->spec->dp->sampling != RN_DP_BATCHES) {
        loop->batch_count = rn_dp_sample(loop->dp, loop->data, loop->batch);
    } else {
        take_batch(loop, loop->spec->stream_offset + step);
    }
    RN_TRY(rn_dp_gradient(loop->dp, loop->batch, loop->batch_count, loop->state->gradient, err));
    private_update(loop, step);
    RN_TRY(loop->lanes->kernels->sync(loop->lanes->lane, err));
    loop->state->head_changed = loop->state->head_changed || loop->active.head;
    report->loss_first = report->loss_last = report->loss_sum = NAN;
    report->steps = step + 1;
    return rn_ok();
}

rn_result rn_loop_finish(struct rn_loop *loop, uint32_t step, struct rn_train_report *report,
                         struct rn_error *err)
{
    double loss_sum = 0.0;
    for (uint32_t i = 0; i < loop->batch_count; i++) {
        loss_sum += loop->loss[i];
    }
    RN_ENSURE(isfinite(loss_sum), err, RN_E_ROUND_NUMERIC, "training: the loss is not finite");
    RN_TRY(clipped_update(loop, step, err));
    RN_TRY(loop->lanes->kernels->sync(loop->lanes->lane, err));
    loop->state->head_changed = loop->state->head_changed || loop->active.head;
    report->loss_last = loss_sum / (double)loop->batch_count;
    report->loss_first = step == 0 ? report->loss_last : report->loss_first;
    report->loss_sum += loss_sum;
    report->steps = step + 1;
    report->examples += loop->batch_count;
    report->tokens += batch_tokens(loop);
    return rn_ok();
}

static rn_result one_step(struct rn_loop *loop, uint32_t step, struct rn_train_report *report,
                          struct rn_error *err)
{
    rn_loop_take(loop, step);
    RN_TRY(gradient_of_batch(loop, err));
    return rn_loop_finish(loop, step, report, err);
}

static rn_result run(struct rn_loop *loop, rn_train_progress_fn progress, void *context,
                     struct rn_train_report *report, struct rn_error *err)
{
    rn_loop_start(loop);
    RN_ENSURE(loop->spec->first_step <= loop->steps, err, RN_E_CONFIG,
              "training: first step %u of %u", loop->spec->first_step, loop->steps);
    const uint64_t begun = rn_clock_monotonic_ns(); /* the noise pool counts */
    if (loop->spec->dp != NULL) {
        RN_TRY(rn_dp_new(loop->lanes, loop->spec, &loop->active, loop->steps, &loop->dp, err));
        RN_TRY(rn_dp_allocate(loop->dp, loop->examples, loop->steps, err));
    }
    for (uint32_t step = loop->spec->first_step; step < loop->steps; step++) {
        RN_TRY(loop->dp != NULL ? private_step(loop, step, report, err)
                                : one_step(loop, step, report, err));
        const double seconds = (double)(rn_clock_monotonic_ns() - begun) * 1e-9;
        if (loop->dp == NULL) {
            report->seconds = seconds;
        } else if (loop->spec->dp->diagnostics != NULL) {
            loop->spec->dp->diagnostics->seconds = seconds;
        }
        const struct rn_train_progress now = {.step = step + 1,
                                              .steps = loop->steps,
                                              .loss = report->loss_last,
                                              .tokens = report->tokens,
                                              .report = report};
        RN_ENSURE(progress == NULL || progress(context, &now), err, RN_E_ROUND_ABORTED,
                  "training: stopped after step %u", step + 1);
    }
    return rn_loop_values_finite(loop, err);
}

rn_result rn_learn_train(struct rn_lanes *lanes, struct rn_state *state, bool head,
                         const struct rn_dataset *data, const struct rn_train_spec *spec,
                         rn_train_progress_fn progress, void *context,
                         struct rn_train_report *out_report, struct rn_error *err)
{
    RN_CLEANUP(rn_loop_clear)
    struct rn_loop loop = {
        .lanes = lanes, .state = state, .head = head, .spec = spec, .data = data};
    struct rn_train_report report = {0};
    rn_lanes_bind(lanes, state->values, state->transposed);
    const rn_result result = run(&loop, progress, context, &report, err);
    if (out_report != NULL) {
        *out_report = report;
    }
    return result;
}
