/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a pass: one function lays every buffer out, first to count, then to bind.
 */
#include "trainer/pass/passparts.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <string.h>

/* Carves aligned pieces from memory; counts alone while base is NULL. */
struct arena {
    uint8_t *base;
    size_t used;
};

static void *take(struct arena *arena, size_t bytes)
{
    const size_t at = arena->used;
    arena->used += (bytes + 63) / 64 * 64;
    return arena->base == NULL ? NULL : arena->base + at;
}

static struct rn_mat take_mat(struct arena *arena, enum rn_element type, size_t rows, size_t cols)
{
    return (struct rn_mat){.data = take(arena, rows * cols * rn_element_size(type)),
                           .rows = (uint32_t)rows,
                           .cols = (uint32_t)cols,
                           .ld = cols,
                           .type = type};
}

/* What layers share because backward does not need it: the input of a layer without an adapted
 * query, key or value (in turns), x1 and g without an adapted module behind them. */
struct shared {
    struct rn_mat x[2];
    struct rn_mat x1;
    struct rn_mat g;
};

static bool any_site(const struct rn_pass *pass, uint32_t layer, enum rn_module from,
                     enum rn_module to)
{
    bool found = false;
    for (int module = (int)from; module <= (int)to; module++) {
        found = found || pass->adapter->site_of[layer][module] >= 0;
    }
    return found;
}

static void bind_layer(struct rn_pass *pass, struct arena *arena, uint32_t index,
                       const struct shared *shared)
{
    const struct rn_model_config *c = &pass->adapter->encoder->config;
    const size_t tokens = pass->options.tokens;
    struct rn_pass_layer *layer = &pass->layers[index];
    const struct rn_kernels *k = pass->kernels;
    struct rn_mat *const wide[] = {&layer->q, &layer->k, &layer->v, &layer->o};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(wide); i++) {
        *wide[i] = take_mat(arena, k->activation, tokens, c->hidden);
    }
    layer->x = any_site(pass, index, RN_MODULE_QUERY, RN_MODULE_VALUE)
                   ? take_mat(arena, k->residual, tokens, c->hidden)
                   : shared->x[index % 2];
    layer->x1 = any_site(pass, index, RN_MODULE_INTERMEDIATE, RN_MODULE_INTERMEDIATE)
                    ? take_mat(arena, k->residual, tokens, c->hidden)
                    : shared->x1;
    layer->y1 = take_mat(arena, k->residual, tokens, c->hidden);
    layer->y2 = take_mat(arena, k->residual, tokens, c->hidden);
    layer->lse = take_mat(arena, k->narrow, tokens, c->heads);
    layer->stats1 = take_mat(arena, k->narrow, tokens, 2);
    layer->stats2 = take_mat(arena, k->narrow, tokens, 2);
    layer->u = take_mat(arena, k->activation, tokens, c->intermediate);
    layer->g = any_site(pass, index, RN_MODULE_OUTPUT, RN_MODULE_OUTPUT)
                   ? take_mat(arena, k->activation, tokens, c->intermediate)
                   : shared->g;
    for (int module = 0; module < RN_MODULE_COUNT; module++) {
        if (pass->adapter->site_of[index][module] >= 0) {
            layer->h[module] = take_mat(arena, k->narrow, tokens, pass->adapter->config.rank);
        }
    }
}

/* Layers below the lowest adapted one keep nothing for backward: two of them take turns. */
static void bind_layers(struct rn_pass *pass, struct arena *arena, const struct shared *shared)
{
    const uint32_t count = pass->adapter->encoder->config.layers;
    const uint32_t lowest = !pass->options.training                ? count
                            : pass->options.switches.full_backward ? 0
                                                                   : pass->adapter->lowest;
    for (uint32_t i = 0; i < count; i++) {
        if (i < 2 || i >= lowest) {
            bind_layer(pass, arena, i, shared);
        } else {
            pass->layers[i] = pass->layers[i - 2];
            for (int module = 0; module < RN_MODULE_COUNT; module++) {
                if (pass->adapter->site_of[i][module] >= 0 && pass->layers[i].h[module].cols == 0) {
                    bind_layer(pass, arena, i, shared);
                    break;
                }
            }
        }
    }
}

static size_t piece_max(const struct rn_pass_options *options)
{
    return options->pieces > 1 ? options->pieces : 1;
}

static void bind_inputs(struct rn_pass *pass, struct arena *arena)
{
    const size_t tokens = pass->options.tokens;
    const size_t sequences = pass->options.sequences;
    pass->ids = take(arena, tokens * sizeof(int32_t));
    pass->types = take(arena, tokens * sizeof(int32_t));
    pass->positions = take(arena, tokens * sizeof(int32_t));
    pass->cu = take(arena, (sequences + 1) * sizeof(int32_t));
    pass->first = take(arena, sequences * sizeof(int32_t));
    pass->labels = take(arena, sequences * sizeof(int32_t));
    pass->targets = take(arena, sequences * sizeof(float));
    pass->loss = take(arena, sequences * sizeof(double));
    if (piece_max(&pass->options) > 1) {
        pass->owner = take(arena, tokens * sizeof(int32_t));
        pass->owner_first = take(arena, sequences * sizeof(int32_t));
    }
}

static void bind_gradients(struct rn_pass *pass, struct arena *arena)
{
    const struct rn_model_config *c = &pass->adapter->encoder->config;
    const size_t tokens = pass->options.tokens;
    const size_t sequences = pass->options.sequences;
    const struct rn_kernels *k = pass->kernels;
    struct rn_mat *const wide[] = {&pass->do_, &pass->dq, &pass->dk, &pass->dv};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(wide); i++) {
        *wide[i] = take_mat(arena, k->activation, tokens, c->hidden);
    }
    pass->dx = take_mat(arena, k->residual, tokens, c->hidden);
    pass->dy = take_mat(arena, k->residual, tokens, c->hidden);
    pass->du = take_mat(arena, k->activation, tokens, c->intermediate);
    pass->dh = take_mat(arena, k->narrow, tokens, pass->adapter->config.rank);
    pass->dfirst = take_mat(arena, k->residual, sequences, c->hidden);
    pass->dlogits = take_mat(arena, k->narrow, sequences, pass->adapter->label_count);
    pass->dz = take_mat(arena, k->narrow, sequences, c->hidden);
    pass->dcls = take_mat(arena, k->residual, sequences, c->hidden);
    pass->gradient = take(arena, piece_max(&pass->options) * pass->adapter->count * sizeof(float));
}

static size_t bind_all(struct rn_pass *pass, uint8_t *base)
{
    const struct rn_model_config *c = &pass->adapter->encoder->config;
    const size_t sequences = pass->options.sequences;
    const struct rn_kernels *k = pass->kernels;
    struct arena arena = {base, 0};
    bind_inputs(pass, &arena);
    const size_t tokens = pass->options.tokens;
    const struct shared shared = {
        .x = {take_mat(&arena, k->residual, tokens, c->hidden),
              take_mat(&arena, k->residual, tokens, c->hidden)},
        .x1 = take_mat(&arena, k->residual, tokens, c->hidden),
        .g = take_mat(&arena, k->activation, tokens, c->intermediate),
    };
    bind_layers(pass, &arena, &shared);
    pass->out = take_mat(&arena, k->residual, tokens, c->hidden);
    pass->first_x = take_mat(&arena, k->residual, sequences, c->hidden);
    pass->cls = take_mat(&arena, k->residual, sequences, c->hidden);
    pass->z = take_mat(&arena, k->narrow, sequences, c->hidden);
    pass->pooler_h = take_mat(&arena, k->narrow, sequences, pass->adapter->config.rank);
    pass->logits = take_mat(&arena, k->narrow, sequences, pass->adapter->label_count);
    if (pass->options.training) {
        bind_gradients(pass, &arena);
    }
    return arena.used;
}

size_t rn_pass_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options)
{
    struct rn_pass pass = {
        .adapter = adapter, .kernels = adapter->encoder->kernels, .options = *options};
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
        .head_dim = c->hidden / c->heads,
        .rank = adapter->config.rank,
    };
}

size_t rn_pass_host_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options,
                          bool cache)
{
    const struct rn_encoder *encoder = adapter->encoder;
    const size_t row = encoder->config.hidden * rn_element_size(encoder->kernels->residual);
    const size_t of_token = 3 * sizeof(int32_t) + (cache ? 2 * row : 0);
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
    if (rn_is_ok(result) && options->cache != NULL) {
        const struct rn_mat x = out->layers[adapter->lowest].x;
        const size_t row = x.cols * rn_element_size(x.type);
        out->host_rows = rn_alloc(tokens, row);
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
