/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a pass: one function lays every buffer out, first to count, then to bind.
 */
#include "trainer/pass/passparts.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <string.h>

static size_t piece_max(const struct rn_pass_options *options)
{
    return options->pieces > 1 ? options->pieces : 1;
}

static void bind_inputs(struct rn_pass *pass, struct rn_pass_arena *arena)
{
    const size_t tokens = pass->options.tokens;
    const size_t sequences = pass->options.sequences;
    pass->ids = rn_pass_take(arena, tokens * sizeof(int32_t));
    pass->types = rn_pass_take(arena, tokens * sizeof(int32_t));
    pass->positions = rn_pass_take(arena, tokens * sizeof(int32_t));
    pass->cu = rn_pass_take(arena, (sequences + 1) * sizeof(int32_t));
    pass->first = rn_pass_take(arena, sequences * sizeof(int32_t));
    pass->labels = rn_pass_take(arena, sequences * sizeof(int32_t));
    pass->targets = rn_pass_take(arena, sequences * sizeof(float));
    pass->loss = rn_pass_take(arena, sequences * sizeof(double));
    if (piece_max(&pass->options) > 1) {
        pass->owner = rn_pass_take(arena, tokens * sizeof(int32_t));
        pass->owner_first = rn_pass_take(arena, sequences * sizeof(int32_t));
    }
}

static void bind_gradients(struct rn_pass *pass, struct rn_pass_arena *arena)
{
    const struct rn_model_config *c = &pass->adapter->encoder->config;
    const size_t tokens = pass->options.tokens;
    const size_t sequences = pass->options.sequences;
    const struct rn_kernels *k = pass->kernels;
    for (unsigned i = 0; i < pass->gradients.count; i++) {
        pass->gradients.mats[i] =
            rn_pass_take_slot(pass, arena, &pass->gradients.rows[i],
                              pass->gradients.per_token[i] ? tokens : sequences);
    }
    pass->dh = rn_pass_take_mat(arena, k->narrow, tokens, pass->adapter->config.rank);
    pass->dlogits = rn_pass_take_mat(arena, k->narrow, sequences, pass->adapter->label_count);
    pass->dz = rn_pass_take_mat(arena, k->narrow, sequences, c->hidden);
    pass->dcls = rn_pass_take_mat(arena, k->residual, sequences, c->hidden);
    pass->gradient =
        rn_pass_take(arena, piece_max(&pass->options) * pass->adapter->count * sizeof(float));
}

static size_t bind_all(struct rn_pass *pass, uint8_t *base)
{
    const struct rn_model_config *c = &pass->adapter->encoder->config;
    const size_t sequences = pass->options.sequences;
    const struct rn_kernels *k = pass->kernels;
    struct rn_pass_arena arena = {base, 0};
    bind_inputs(pass, &arena);
    const size_t tokens = pass->options.tokens;
    struct rn_pass_shared shared = {0};
    rn_pass_take_shared(pass, &arena, &shared);
    rn_pass_bind_layers(pass, &arena, &shared);
    pass->out = rn_pass_take_mat(&arena, k->residual, tokens, c->hidden);
    pass->cls = rn_pass_take_mat(&arena, k->residual, sequences, c->hidden);
    pass->z = rn_pass_take_mat(&arena, k->narrow, sequences, c->hidden);
    pass->pooler_h = rn_pass_take_mat(&arena, k->narrow, sequences, pass->adapter->config.rank);
    pass->logits = rn_pass_take_mat(&arena, k->narrow, sequences, pass->adapter->label_count);
    if (pass->options.training) {
        bind_gradients(pass, &arena);
    }
    for (uint32_t i = 0; i + 1 < c->layers; i++) {
        pass->layers[i].slot[RN_SLOT_OUT] = pass->layers[i + 1].slot[RN_SLOT_IN];
    }
    return arena.used;
}

/* The programs of the family's layer, and a place for each gradient. */
static void plan_programs(struct rn_pass *pass)
{
    const struct rn_block *block = pass->adapter->encoder->config.family->layer;
    rn_program_whole(block, &pass->programs[0]);
    rn_program_last(block, &pass->programs[1]);
    for (size_t i = 0; i < 2; i++) {
        RN_BUG_IF(rn_program_fault(&pass->programs[i]) != NULL);
        rn_pass_gradients_plan(&pass->programs[i], &pass->gradients, pass->gradient_of[i]);
    }
}

size_t rn_pass_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options)
{
    struct rn_pass pass = {
        .adapter = adapter, .kernels = adapter->encoder->kernels, .options = *options};
    plan_programs(&pass);
    pass.layers = rn_alloc(adapter->encoder->config.layers, sizeof(*pass.layers));
    const size_t bytes = bind_all(&pass, NULL);
    rn_free(pass.layers);
    return bytes;
}

static uint32_t greatest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

struct rn_lane_limits rn_pass_lane_limits(const struct rn_adapter *adapter,
                                          const struct rn_pass_options *options)
{
    const struct rn_model_config *c = &adapter->encoder->config;
    return (struct rn_lane_limits){
        .tokens = options->tokens,
        .sequences = options->sequences,
        .length = options->length,
        .width = greatest(greatest(c->hidden, c->intermediate), adapter->label_count),
        .heads = c->heads,
        .head_dim = rn_block_attends(c->family->layer) ? c->hidden / c->heads : 1,
        .rank = adapter->config.rank,
    };
}

static size_t input_row_bytes(const struct rn_encoder *encoder)
{
    return encoder->config.hidden * rn_element_size(encoder->kernels->residual);
}

size_t rn_pass_host_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options,
                          bool cache)
{
    const struct rn_encoder *encoder = adapter->encoder;
    const size_t row = input_row_bytes(encoder);
    const size_t copies = cache ? 2 : encoder->config.family->rows ? 1 : 0;
    const size_t of_token = 3 * sizeof(int32_t) + copies * row;
    const size_t of_sequence = 3 * sizeof(int32_t) + sizeof(float) + sizeof(double) +
                               adapter->label_count * sizeof(float) +
                               (cache ? sizeof(struct rn_example) : 0);
    return encoder->config.layers * sizeof(struct rn_pass_layer) + options->tokens * of_token +
           options->sequences * of_sequence;
}

static rn_result take_device(struct rn_pass *pass, struct rn_device *device, struct rn_error *err)
{
    const struct rn_lane_limits limits = rn_pass_lane_limits(pass->adapter, &pass->options);
    RN_TRY(pass->kernels->lane_new(device, &limits, &pass->lane, err));
    pass->arena_bytes = bind_all(pass, NULL);
    RN_TRY(pass->kernels->memory_new(device, pass->arena_bytes, &pass->arena, err));
    bind_all(pass, pass->arena);
    return rn_ok();
}

rn_result rn_pass_init(struct rn_pass *out, const struct rn_adapter *adapter,
                       struct rn_device *device, const struct rn_pass_options *options,
                       struct rn_error *err)
{
    *out = (struct rn_pass){
        .adapter = adapter, .kernels = adapter->encoder->kernels, .options = *options};
    const size_t tokens = options->tokens;
    const size_t sequences = options->sequences;
    plan_programs(out);
    out->layers = rn_alloc(adapter->encoder->config.layers, sizeof(*out->layers));
    out->host_ids = rn_alloc(tokens, sizeof(int32_t));
    out->host_types = rn_alloc(tokens, sizeof(int32_t));
    out->host_positions = rn_alloc(tokens, sizeof(int32_t));
    out->host_cu = rn_alloc(sequences + 1, sizeof(int32_t));
    out->host_first = rn_alloc(sequences, sizeof(int32_t));
    out->host_labels = rn_alloc(sequences, sizeof(int32_t));
    out->host_targets = rn_alloc(sequences, sizeof(float));
    out->host_loss = rn_alloc(sequences, sizeof(double));
    out->host_logits = rn_alloc(sequences * adapter->label_count, sizeof(float));
    out->piece_max = (uint32_t)piece_max(options);
    out->pieces = rn_alloc(out->piece_max, sizeof(*out->pieces));
    if (out->piece_max > 1) {
        out->host_owner = rn_alloc(tokens, sizeof(int32_t));
        out->host_owner_first = rn_alloc(sequences, sizeof(int32_t));
    }
    const rn_result result = take_device(out, device, err);
    const size_t row = input_row_bytes(adapter->encoder);
    if (options->cache != NULL || adapter->encoder->config.family->rows) {
        out->host_rows = rn_alloc(tokens, row);
    }
    if (options->cache != NULL) {
        out->host_known = rn_alloc(tokens, row);
        out->host_missing = rn_alloc(sequences, sizeof(*out->host_missing));
    }
    if (!rn_is_ok(result)) {
        rn_pass_clear(out);
    }
    return result;
}

void rn_pass_clear(struct rn_pass *pass)
{
    if (pass == NULL || pass->kernels == NULL) {
        return;
    }
    pass->kernels->memory_free(pass->adapter->encoder->device, pass->arena);
    pass->kernels->lane_free(pass->lane);
    rn_free(pass->layers);
    rn_free(pass->pieces);
    rn_free(pass->host_owner);
    rn_free(pass->host_owner_first);
    rn_free(pass->host_rows);
    rn_free(pass->host_known);
    rn_free(pass->host_missing);
    rn_free(pass->host_ids);
    rn_free(pass->host_types);
    rn_free(pass->host_positions);
    rn_free(pass->host_cu);
    rn_free(pass->host_first);
    rn_free(pass->host_labels);
    rn_free(pass->host_targets);
    rn_free(pass->host_loss);
    rn_free(pass->host_logits);
    *pass = (struct rn_pass){0};
}
