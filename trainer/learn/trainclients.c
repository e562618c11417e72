/* SPDX-License-Identifier: Apache-2.0
 *
 * Training of several clients through one frozen base. Each client has a loop of its own (batches,
 * blocks, optimiser); the blocks of all of them at one step are put together into larger ones, a
 * piece each. A piece's gradient is added to its client's sum in the order of the client's blocks,
 * so every sum is formed as if the client were alone.
 */
#include "trainer/learn/trainloop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"

#include <string.h>

/* Most pieces of one joint block: each has a gradient of its own in every lane. */
#define RN_CLIENT_PIECES 8

/* The part of a trainer that is a client's own. */
struct state {
    float *values, *transposed, *gradient, *moment1, *moment2;
    bool head_changed;
};

struct joint {
    uint32_t first_piece, piece_count;
    uint32_t first_example, example_count;
};

struct crowd {
    struct rn_trainer *trainer;
    struct rn_client *clients;
    size_t count;
    struct rn_train_spec *specs; /* [count] */
    struct rn_loop *loops;       /* [count] */
    float *memory[5];            /* device: values, transposed, gradients, moments of all */
    /* The present step. */
    uint32_t step;
    struct rn_example *examples; /* of all clients */
    struct rn_piece *pieces;
    uint32_t *piece_block; /* number among its client's blocks */
    struct joint *blocks;
    uint32_t example_count, piece_count, block_count;
    rn_result *failed;       /* [threads] */
    struct rn_error *errors; /* [threads] */
};

static void crowd_clear(struct crowd *crowd)
{
    struct rn_trainer *trainer = crowd->trainer;
    for (size_t i = 0; i < crowd->count && crowd->loops != NULL; i++) {
        rn_loop_clear(&crowd->loops[i]);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(crowd->memory); i++) {
        trainer->kernels->memory_free(trainer->device, crowd->memory[i]);
    }
    /* The passes go back to the trainer's own adapter. */
    for (uint32_t i = 0; trainer->passes != NULL && i < trainer->threads; i++) {
        struct rn_pass *pass = &trainer->passes[i];
        pass->values = trainer->adapter.values;
        pass->transposed = trainer->adapter.transposed;
        pass->values_stride = pass->transposed_stride = 0;
    }
    rn_free(crowd->specs);
    rn_free(crowd->loops);
    rn_free(crowd->examples);
    rn_free(crowd->pieces);
    rn_free(crowd->piece_block);
    rn_free(crowd->blocks);
    rn_free(crowd->failed);
    rn_free(crowd->errors);
}

static struct state state_of(const struct crowd *crowd, size_t client)
{
    const struct rn_adapter *adapter = &crowd->trainer->adapter;
    float *const *memory = crowd->memory;
    return (struct state){.values = memory[0] + client * adapter->count,
                          .transposed = memory[1] + client * adapter->transposed_count,
                          .gradient = memory[2] + client * adapter->count,
                          .moment1 = memory[3] + client * adapter->count,
                          .moment2 = memory[4] + client * adapter->count};
}

/* Makes a state the trainer's and returns what it had. */
static struct state exchange(struct rn_trainer *trainer, struct state state)
{
    const struct state old = {trainer->adapter.values, trainer->adapter.transposed,
                              trainer->gradient,       trainer->moment1,
                              trainer->moment2,        trainer->head_changed};
    trainer->adapter.values = state.values;
    trainer->adapter.transposed = state.transposed;
    trainer->gradient = state.gradient;
    trainer->moment1 = state.moment1;
    trainer->moment2 = state.moment2;
    trainer->head_changed = state.head_changed;
    return old;
}

static rn_result take_memory(struct crowd *crowd, uint32_t batch, struct rn_error *err)
{
    struct rn_trainer *trainer = crowd->trainer;
    const size_t most = crowd->count * batch;
    crowd->specs = rn_alloc(crowd->count, sizeof(*crowd->specs));
    crowd->loops = rn_alloc(crowd->count, sizeof(*crowd->loops));
    crowd->examples = rn_alloc(most, sizeof(*crowd->examples));
    crowd->pieces = rn_alloc(most, sizeof(*crowd->pieces));
    crowd->piece_block = rn_alloc(most, sizeof(*crowd->piece_block));
    crowd->blocks = rn_alloc(most, sizeof(*crowd->blocks));
    crowd->failed = rn_alloc(trainer->threads, sizeof(*crowd->failed));
    crowd->errors = rn_alloc(trainer->threads, sizeof(*crowd->errors));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(crowd->memory); i++) {
        const size_t each = i == 1 ? trainer->adapter.transposed_count : trainer->adapter.count;
        void *memory = NULL;
        RN_TRY(trainer->kernels->memory_new(trainer->device, crowd->count * each * sizeof(float),
                                            &memory, err));
        crowd->memory[i] = memory;
    }
    for (uint32_t i = 0; i < trainer->threads; i++) {
        struct rn_pass *pass = &trainer->passes[i];
        pass->values = crowd->memory[0];
        pass->transposed = crowd->memory[1];
        pass->values_stride = trainer->adapter.count;
        pass->transposed_stride = trainer->adapter.transposed_count;
    }
    return rn_ok();
}

/* Starts one client's loop from its values. */
static rn_result start_client(struct crowd *crowd, size_t i, struct rn_error *err)
{
    struct rn_trainer *trainer = crowd->trainer;
    crowd->specs[i].seed = crowd->clients[i].seed;
    crowd->specs[i].stream_offset = crowd->clients[i].stream_offset;
    crowd->clients[i].report = (struct rn_train_report){0};
    struct rn_loop *loop = &crowd->loops[i];
    *loop = (struct rn_loop){
        .trainer = trainer, .spec = &crowd->specs[i], .data = crowd->clients[i].data};
    const struct state own = exchange(trainer, state_of(crowd, i));
    const rn_result result = rn_trainer_set(trainer, RN_MATRIX_AB, true, crowd->clients[i].values,
                                            trainer->adapter.count, err);
    rn_loop_start(loop);
    (void)exchange(trainer, own);
    return result;
}

/* Puts the client's blocks of this step behind the others' as pieces. */
static void add_pieces(struct crowd *crowd, size_t client)
{
    const struct rn_loop *loop = &crowd->loops[client];
    memcpy(crowd->examples + crowd->example_count, loop->batch,
           loop->batch_count * sizeof(*loop->batch));
    for (uint32_t b = 0; b < loop->block_count; b++) {
        const uint32_t first = loop->block_first[b];
        crowd->piece_block[crowd->piece_count] = b;
        crowd->pieces[crowd->piece_count++] =
            (struct rn_piece){.owner = (uint32_t)client,
                              .first = crowd->example_count + first,
                              .count = loop->block_first[b + 1] - first,
                              .scale = (float)(1.0 / (double)loop->batch_count)};
    }
    crowd->example_count += loop->batch_count;
}

/* Joins pieces, in order, into blocks as large as a lane takes. */
static void join(struct crowd *crowd)
{
    const uint32_t most = rn_blocks_tokens_max(crowd->trainer);
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < crowd->piece_count; i++) {
        const struct rn_piece *piece = &crowd->pieces[i];
        uint32_t length = 0;
        for (uint32_t e = 0; e < piece->count; e++) {
            length += crowd->examples[piece->first + e].length;
        }
        struct joint *last = crowd->block_count > 0 ? &crowd->blocks[crowd->block_count - 1] : NULL;
        if (last == NULL || tokens + length > most || last->piece_count == RN_CLIENT_PIECES ||
            last->example_count + piece->count > crowd->trainer->passes[0].options.sequences) {
            last = &crowd->blocks[crowd->block_count++];
            *last = (struct joint){.first_piece = i, .first_example = piece->first};
            tokens = 0;
        }
        last->piece_count++;
        last->example_count += piece->count;
        tokens += length;
    }
}

static rn_result one_block(struct crowd *crowd, struct rn_pass *pass, const struct joint *block,
                           struct rn_error *err)
{
    struct rn_piece pieces[RN_CLIENT_PIECES];
    for (uint32_t i = 0; i < block->piece_count; i++) {
        pieces[i] = crowd->pieces[block->first_piece + i];
        pieces[i].first -= block->first_example;
    }
    rn_pass_load(pass, crowd->examples + block->first_example, block->example_count);
    rn_pass_split(pass, pieces, block->piece_count);
    rn_pass_forward(pass);
    rn_pass_loss(pass, crowd->trainer->task, pieces[0].scale, true);
    rn_pass_backward(pass, &crowd->loops[0].active);
    RN_TRY(rn_pass_losses(pass, err));
    for (uint32_t i = 0; i < block->piece_count; i++) {
        const struct rn_loop *loop = &crowd->loops[pieces[i].owner];
        const uint32_t own = loop->block_first[crowd->piece_block[block->first_piece + i]];
        memcpy(loop->loss + own, pass->host_loss + pieces[i].first,
               pieces[i].count * sizeof(double));
    }
    return rn_ok();
}

/* Adds the block's pieces to their clients' sums. */
static void commit(struct crowd *crowd, struct rn_pass *pass)
{
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const uint32_t owner = pass->pieces[i].owner;
        rn_loop_add(&crowd->loops[owner], pass->lane,
                    pass->gradient + i * crowd->trainer->adapter.count,
                    state_of(crowd, owner).gradient);
    }
}

static void work(void *context, uint32_t worker)
{
    struct crowd *crowd = context;
    struct rn_trainer *trainer = crowd->trainer;
    struct rn_pass *pass = &trainer->passes[worker];
    for (;;) {
        const uint32_t block = rn_team_queue_next(trainer->team);
        if (block >= crowd->block_count) {
            return;
        }
        rn_result result = crowd->failed[worker];
        if (rn_is_ok(result)) {
            result = one_block(crowd, pass, &crowd->blocks[block], &crowd->errors[worker]);
        }
        rn_team_commit_begin(trainer->team, block);
        if (rn_is_ok(result)) {
            commit(crowd, pass);
            result = trainer->kernels->sync(pass->lane, &crowd->errors[worker]);
        }
        crowd->failed[worker] = result;
        rn_team_commit_end(trainer->team, block);
    }
}

static rn_result gradients(struct crowd *crowd, struct rn_error *err)
{
    struct rn_trainer *trainer = crowd->trainer;
    trainer->kernels->zero(trainer->lane, crowd->memory[2],
                           crowd->count * trainer->adapter.count * sizeof(float));
    RN_TRY(trainer->kernels->sync(trainer->lane, err));
    for (uint32_t i = 0; i < trainer->threads; i++) {
        crowd->failed[i] = rn_ok();
    }
    rn_team_queue_reset(trainer->team);
    rn_team_run(trainer->team, work, crowd);
    for (uint32_t i = 0; i < trainer->threads; i++) {
        RN_ENSURE(rn_is_ok(crowd->failed[i]), err, crowd->failed[i].code, "%s",
                  crowd->errors[i].text);
    }
    return rn_ok();
}

/* A step of every client that still has one. */
static rn_result one_step(struct crowd *crowd, uint32_t step, struct rn_error *err)
{
    struct rn_trainer *trainer = crowd->trainer;
    crowd->example_count = crowd->piece_count = crowd->block_count = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        if (step < crowd->loops[i].steps) {
            rn_loop_take(&crowd->loops[i], step);
            add_pieces(crowd, i);
        }
    }
    join(crowd);
    RN_TRY(gradients(crowd, err));
    rn_result result = rn_ok();
    for (size_t i = 0; i < crowd->count && rn_is_ok(result); i++) {
        if (step < crowd->loops[i].steps) {
            const struct state own = exchange(trainer, state_of(crowd, i));
            result = rn_loop_finish(&crowd->loops[i], step, &crowd->clients[i].report, err);
            (void)exchange(trainer, own);
        }
    }
    return result;
}

static struct rn_train_progress progress_of(const struct crowd *crowd, uint32_t step,
                                            uint32_t steps)
{
    struct rn_train_progress now = {.step = step + 1, .steps = steps};
    for (size_t i = 0; i < crowd->count; i++) {
        now.loss += crowd->clients[i].report.loss_last / (double)crowd->count;
        now.tokens += crowd->clients[i].report.tokens;
    }
    return now;
}

static rn_result run(struct crowd *crowd, rn_train_progress_fn progress, void *context,
                     struct rn_error *err)
{
    uint32_t steps = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        RN_TRY(start_client(crowd, i, err));
        steps = crowd->loops[i].steps > steps ? crowd->loops[i].steps : steps;
    }
    const uint64_t begun = rn_clock_monotonic_ns();
    for (uint32_t step = 0; step < steps; step++) {
        RN_TRY(one_step(crowd, step, err));
        const struct rn_train_progress now = progress_of(crowd, step, steps);
        RN_ENSURE(progress == NULL || progress(context, &now), err, RN_E_ROUND_ABORTED,
                  "training: stopped after step %u", step + 1);
    }
    const double seconds = (double)(rn_clock_monotonic_ns() - begun) * 1e-9;
    rn_result result = rn_ok();
    for (size_t i = 0; i < crowd->count && rn_is_ok(result); i++) {
        crowd->clients[i].report.seconds = seconds;
        const struct state own = exchange(crowd->trainer, state_of(crowd, i));
        result = rn_trainer_get(crowd->trainer, RN_MATRIX_AB, true, crowd->clients[i].values,
                                crowd->trainer->adapter.count, err);
        (void)exchange(crowd->trainer, own);
    }
    return result;
}

rn_result rn_trainer_train_clients(struct rn_trainer *trainer, struct rn_client *clients,
                                   size_t count, const struct rn_train_spec *spec,
                                   rn_train_progress_fn progress, void *context,
                                   struct rn_error *err)
{
    RN_ENSURE(count >= 1 && count <= RN_TRAINER_CLIENTS_MAX, err, RN_E_CONFIG,
              "training: %zu clients at once; 1 to %d", count, RN_TRAINER_CLIENTS_MAX);
    RN_ENSURE(spec->dp == NULL && spec->first_step == 0, err, RN_E_UNSUPPORTED,
              "training: several clients at once know no dp and no first step");
    for (size_t i = 0; i < count; i++) {
        RN_TRY(rn_loop_check(trainer, clients[i].data, spec, err));
    }
    trainer->pieces = RN_CLIENT_PIECES;
    RN_TRY(rn_trainer_prepare(trainer, true, err));
    RN_CLEANUP(crowd_clear)
    struct crowd crowd = {.trainer = trainer, .clients = clients, .count = count};
    RN_TRY(take_memory(&crowd, spec->batch, err));
    for (size_t i = 0; i < count; i++) {
        crowd.specs[i] = *spec;
    }
    return run(&crowd, progress, context, err);
}
