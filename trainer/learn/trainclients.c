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

struct joint {
    uint32_t first_piece, piece_count;
    uint32_t first_example, example_count;
};

struct crowd {
    struct rn_lanes *lanes;
    bool head;
    struct rn_client *clients;
    size_t count;
    struct rn_train_spec *specs; /* [count] */
    struct rn_loop *loops;       /* [count] */
    float *memory[5];            /* device: values, transposed, gradients, moments of all */
    struct rn_state *states;     /* [count]: parts of it */
    /* The present step. */
    struct rn_example *examples; /* of all clients */
    struct rn_piece *pieces;
    uint32_t *piece_block; /* number among its client's blocks */
    struct joint *blocks;
    uint32_t example_count, piece_count, block_count;
};

static void crowd_clear(struct crowd *crowd)
{
    struct rn_lanes *lanes = crowd->lanes;
    for (size_t i = 0; i < crowd->count && crowd->loops != NULL; i++) {
        rn_loop_clear(&crowd->loops[i]);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(crowd->memory); i++) {
        lanes->kernels->memory_free(lanes->device, crowd->memory[i]);
    }
    rn_free(crowd->specs);
    rn_free(crowd->loops);
    rn_free(crowd->states);
    rn_free(crowd->examples);
    rn_free(crowd->pieces);
    rn_free(crowd->piece_block);
    rn_free(crowd->blocks);
}

static struct rn_state state_of(const struct crowd *crowd, size_t client)
{
    const struct rn_adapter *adapter = crowd->lanes->adapter;
    float *const *memory = crowd->memory;
    return (struct rn_state){.values = memory[0] + client * adapter->count,
                             .transposed = memory[1] + client * adapter->transposed_count,
                             .gradient = memory[2] + client * adapter->count,
                             .moment1 = memory[3] + client * adapter->count,
                             .moment2 = memory[4] + client * adapter->count};
}

static rn_result take_memory(struct crowd *crowd, uint32_t batch, struct rn_error *err)
{
    struct rn_lanes *lanes = crowd->lanes;
    const size_t most = crowd->count * batch;
    crowd->specs = rn_alloc(crowd->count, sizeof(*crowd->specs));
    crowd->loops = rn_alloc(crowd->count, sizeof(*crowd->loops));
    crowd->states = rn_alloc(crowd->count, sizeof(*crowd->states));
    crowd->examples = rn_alloc(most, sizeof(*crowd->examples));
    crowd->pieces = rn_alloc(most, sizeof(*crowd->pieces));
    crowd->piece_block = rn_alloc(most, sizeof(*crowd->piece_block));
    crowd->blocks = rn_alloc(most, sizeof(*crowd->blocks));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(crowd->memory); i++) {
        const size_t each = i == 1 ? lanes->adapter->transposed_count : lanes->adapter->count;
        void *memory = NULL;
        RN_TRY(lanes->kernels->memory_new(lanes->device, crowd->count * each * sizeof(float),
                                          &memory, err));
        crowd->memory[i] = memory;
    }
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->states[i] = state_of(crowd, i);
    }
    rn_lanes_bind(lanes, crowd->memory[0], crowd->memory[1]);
    return rn_ok();
}

/* Starts one client's loop from its values. */
static rn_result start_client(struct crowd *crowd, size_t i, struct rn_error *err)
{
    struct rn_client *client = &crowd->clients[i];
    crowd->specs[i].seed = client->seed;
    crowd->specs[i].stream_offset = client->stream_offset;
    client->report = (struct rn_train_report){0};
    crowd->loops[i] = (struct rn_loop){.lanes = crowd->lanes,
                                       .state = &crowd->states[i],
                                       .head = crowd->head,
                                       .spec = &crowd->specs[i],
                                       .data = client->data};
    rn_loop_start(&crowd->loops[i]);
    return rn_adapter_set(crowd->lanes->adapter, &crowd->states[i], crowd->lanes->lane,
                          RN_MATRIX_AB, true, client->values, crowd->lanes->adapter->count, err);
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
    const uint32_t most = crowd->lanes->options.tokens;
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < crowd->piece_count; i++) {
        const struct rn_piece *piece = &crowd->pieces[i];
        uint32_t length = 0;
        for (uint32_t e = 0; e < piece->count; e++) {
            length += crowd->examples[piece->first + e].length;
        }
        struct joint *last = crowd->block_count > 0 ? &crowd->blocks[crowd->block_count - 1] : NULL;
        if (last == NULL || tokens + length > most || last->piece_count == RN_CLIENT_PIECES ||
            last->example_count + piece->count > crowd->lanes->options.sequences) {
            last = &crowd->blocks[crowd->block_count++];
            *last = (struct joint){.first_piece = i, .first_example = piece->first};
            tokens = 0;
        }
        last->piece_count++;
        last->example_count += piece->count;
        tokens += length;
    }
}

static rn_result one_block(void *context, struct rn_pass *pass, uint32_t lane, uint32_t number,
                           struct rn_error *err)
{
    const struct crowd *crowd = context;
    const struct joint *block = &crowd->blocks[number];
    (void)lane;
    struct rn_piece pieces[RN_CLIENT_PIECES];
    for (uint32_t i = 0; i < block->piece_count; i++) {
        pieces[i] = crowd->pieces[block->first_piece + i];
        pieces[i].first -= block->first_example;
    }
    rn_pass_load(pass, crowd->examples + block->first_example, block->example_count);
    rn_pass_split(pass, pieces, block->piece_count);
    rn_pass_forward(pass);
    rn_pass_loss(pass, crowd->lanes->task, pieces[0].scale, true);
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
static void commit(void *context, struct rn_pass *pass, uint32_t block)
{
    const struct crowd *crowd = context;
    (void)block;
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const uint32_t owner = pass->pieces[i].owner;
        rn_loop_add(&crowd->loops[owner], pass->lane,
                    pass->gradient + i * crowd->lanes->adapter->count,
                    crowd->states[owner].gradient);
    }
}

static rn_result gradients(struct crowd *crowd, struct rn_error *err)
{
    struct rn_lanes *lanes = crowd->lanes;
    lanes->kernels->zero(lanes->lane, crowd->memory[2],
                         crowd->count * lanes->adapter->count * sizeof(float));
    RN_TRY(lanes->kernels->sync(lanes->lane, err));
    const struct rn_work work = {
        .context = crowd, .count = crowd->block_count, .block = one_block, .commit = commit};
    return rn_lanes_run(lanes, &work, err);
}

/* A step of every client that still has one. */
static rn_result one_step(struct crowd *crowd, uint32_t step, struct rn_error *err)
{
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
            result = rn_loop_finish(&crowd->loops[i], step, &crowd->clients[i].report, err);
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

/* The results to the clients: all of them, or none. */
static rn_result hand_out(struct crowd *crowd, struct rn_error *err)
{
    const struct rn_adapter *adapter = crowd->lanes->adapter;
    RN_CLEANUP(rn_free_cleanup)
    float *values = rn_alloc(crowd->count * adapter->count, sizeof(float));
    for (size_t i = 0; i < crowd->count; i++) {
        RN_TRY(rn_loop_values_finite(&crowd->loops[i], err));
        RN_TRY(rn_adapter_get(adapter, &crowd->states[i], crowd->lanes->lane, RN_MATRIX_AB, true,
                              values + i * adapter->count, err));
    }
    for (size_t i = 0; i < crowd->count; i++) {
        memcpy(crowd->clients[i].values, values + i * adapter->count,
               adapter->count * sizeof(float));
    }
    return rn_ok();
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
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->clients[i].report.seconds = seconds;
    }
    return hand_out(crowd, err);
}

rn_result rn_learn_clients(struct rn_lanes *lanes, bool head, struct rn_client *clients,
                           size_t count, const struct rn_train_spec *spec,
                           rn_train_progress_fn progress, void *context, struct rn_error *err)
{
    RN_CLEANUP(crowd_clear)
    struct crowd crowd = {.lanes = lanes, .head = head, .clients = clients, .count = count};
    RN_TRY(take_memory(&crowd, spec->batch, err));
    for (size_t i = 0; i < count; i++) {
        crowd.specs[i] = *spec;
    }
    return run(&crowd, progress, context, err);
}
