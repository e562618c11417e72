/* SPDX-License-Identifier: Apache-2.0 */
#include "services/simulate/simround.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

#define ELEMENTS_AT_ONCE ((size_t)1 << 14)

/* ---- Who */

static void sample_key(uint64_t seed, uint32_t round, struct rn_secret32 *out)
{
    uint8_t bytes[12];
    struct rn_writer writer = rn_writer_to(bytes, sizeof(bytes));
    rn_write_u64(&writer, seed);
    rn_write_u32(&writer, round);
    const struct rn_view view = rn_view_of(bytes, sizeof(bytes));
    rn_sha256(out->bytes, "rondo/v1 simulated sample", &view, 1);
}

uint32_t rn_sim_sample(const struct rn_sim_world *world, uint32_t sample, uint64_t seed,
                       uint32_t round, uint32_t *out_members)
{
    const uint32_t wanted = sample == 0 || sample > world->clients ? world->clients : sample;
    RN_CLEANUP(rn_stream_clear) struct rn_stream stream = {0};
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    uint32_t count = 0;
    sample_key(seed, round, &key);
    rn_stream_init(&stream, &key);
    for (uint32_t i = 0; i < world->clients; i++) { /* Knuth's algorithm S */
        if (rn_stream_below(&stream, world->clients - i) < wanted - count) {
            out_members[count++] = i;
        }
    }
    return count;
}

/* ---- What is summed */

struct total {
    const struct rn_round_layout *layout;
    uint64_t *values; /* [layout->elements] */
};

static rn_result total_read(const void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    const struct total *total = context;
    RN_ENSURE(first <= total->layout->elements && count <= total->layout->elements - first, err,
              RN_E_INTERNAL, "elements %llu and on are not in the sum", (unsigned long long)first);
    memcpy(out, total->values + first, count * sizeof(*out));
    return rn_ok();
}

static rn_result add_vector(const struct rn_round_encoder *encoder, struct total *total,
                            struct rn_error *err)
{
    uint64_t piece[ELEMENTS_AT_ONCE];
    const size_t elements = total->layout->elements;
    for (size_t first = 0; first < elements; first += ELEMENTS_AT_ONCE) {
        const size_t left = elements - first;
        const size_t count = left < ELEMENTS_AT_ONCE ? left : ELEMENTS_AT_ONCE;
        RN_TRY(rn_round_encoder_read(encoder, first, count, piece, err));
        for (size_t i = 0; i < count; i++) {
            total->values[first + i] += piece[i];
        }
    }
    return rn_ok();
}

static rn_result add_update(const struct rn_sim_world *world,
                            const struct rn_sim_training *training, struct total *total,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_round_update_clear) struct rn_round_update update = {0};
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    struct rn_round_encoder encoder;
    const struct rn_round_report report = {.weight =
                                               rn_trainer_data_count(world->data[training->member]),
                                           .examples = training->report.examples,
                                           .loss_sum = training->report.loss_sum};
    RN_TRY(rn_round_update_take(&world->model, total->layout, world->model.adapter.values,
                                training->values, &report, &update, err));
    rn_sim_rounding(world->plan, training->member, total->layout->spec.round, &key);
    RN_TRY(rn_round_encoder_init(&encoder, total->layout, &update.report, update.delta, &key, err));
    const rn_result result = add_vector(&encoder, total, err);
    rn_round_encoder_clear(&encoder);
    return result;
}

/* ---- A round */

/* Members that go through the base together, and into the sum. */
static rn_result train_some(struct rn_sim_world *world, const uint32_t *members, uint32_t count,
                            rn_train_progress_fn progress, void *context, struct total *total,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup)
    float *values = rn_alloc(count * world->value_count, sizeof(*values));
    RN_CLEANUP(rn_free_cleanup)
    struct rn_sim_training *trainings = rn_alloc(count, sizeof(*trainings));
    for (uint32_t i = 0; i < count; i++) {
        trainings[i].member = members[i];
        trainings[i].values = values + i * world->value_count;
    }
    RN_TRY(rn_sim_world_train(world, total->layout->spec.round, world->model.adapter.values,
                              trainings, count, progress, context, err));
    for (uint32_t i = 0; i < count; i++) {
        RN_TRY(add_update(world, &trainings[i], total, err));
    }
    return rn_ok();
}

static rn_result take_total(struct rn_sim_world *world, const struct total *total, uint32_t members,
                            struct rn_job_result *out_result, struct rn_error *err)
{
    static const uint8_t no_transcript[RN_HASH_BYTES];
    struct rn_job_course course = {0};
    const struct rn_job_sum sum = {.plan = world->plan,
                                   .layout = total->layout,
                                   .sum = {total_read, total, members},
                                   .sum_hash = no_transcript,
                                   .joined = members};
    *out_result = (struct rn_job_result){.round = total->layout->spec.round, .attempt = 1};
    memcpy(out_result->before, world->model.adapter_hash, RN_HASH_BYTES);
    const rn_result result = rn_job_sum_take(&sum, &world->model, &course, out_result, err);
    rn_job_course_clear(&course);
    return result;
}

rn_result rn_sim_round(struct rn_sim_world *world, uint32_t round, const uint32_t *members,
                       uint32_t count, rn_train_progress_fn progress, void *context,
                       struct rn_job_result *out_result, struct rn_error *err)
{
    struct rn_round_layout layout;
    RN_TRY(rn_round_model_layout(&world->model, world->plan, round, round - 1, &layout, err));
    RN_CLEANUP(rn_free_cleanup) uint64_t *values = rn_alloc(layout.elements, sizeof(*values));
    struct total total = {&layout, values};
    for (uint32_t first = 0; first < count; first += RN_TRAINER_CLIENTS_MAX) {
        const uint32_t left = count - first;
        RN_TRY(train_some(world, members + first,
                          left < RN_TRAINER_CLIENTS_MAX ? left : RN_TRAINER_CLIENTS_MAX, progress,
                          context, &total, err));
    }
    return take_total(world, &total, count, out_result, err);
}
