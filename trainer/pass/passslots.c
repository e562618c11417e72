/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the layers' slots, and of what steps keep beside them: a layer's own where backward
 * needs it, shared with other layers where not.
 */
#include "trainer/pass/passparts.h"

#include <string.h>

void *rn_pass_take(struct rn_pass_arena *arena, size_t bytes)
{
    const size_t at = arena->used;
    arena->used += (bytes + 63) / 64 * 64;
    return arena->base == NULL ? NULL : arena->base + at;
}

struct rn_mat rn_pass_take_mat(struct rn_pass_arena *arena, enum rn_element type, size_t rows,
                               size_t cols)
{
    return (struct rn_mat){.data = rn_pass_take(arena, rows * cols * rn_element_size(type)),
                           .rows = (uint32_t)rows,
                           .cols = (uint32_t)cols,
                           .ld = cols,
                           .type = type};
}

struct rn_mat rn_pass_take_slot(const struct rn_pass *pass, struct rn_pass_arena *arena,
                                const struct rn_slot_row *row, size_t rows)
{
    const struct rn_kernels *k = pass->kernels;
    const enum rn_element type = row->role == RN_ROLE_RESIDUAL ? k->residual : k->activation;
    return rn_pass_take_mat(arena, type, rows,
                            rn_modelconfig_dim(&pass->adapter->encoder->config, row->width));
}

/* Whether backward reads a slot whatever is adapted. */
static bool always_kept(const struct rn_program *program, unsigned slot)
{
    bool kept = false;
    for (unsigned i = 0; i < program->step_count; i++) {
        const struct rn_step *step = &program->steps[i];
        const bool touched =
            step->in == slot || step->with == slot || step->also == slot || step->out == slot;
        kept = kept || (step->op == RN_OP_ATTEND && touched) ||
               (step->op == RN_OP_NORM && step->in == slot);
    }
    return kept;
}

/* Whether an adapted module of the layer reads the slot: the gradient of its A needs it. */
static bool site_reads(const struct rn_pass *pass, uint32_t layer, unsigned slot)
{
    const struct rn_block *block = pass->programs[0].block;
    bool found = false;
    for (unsigned i = 0; i < block->step_count; i++) {
        const struct rn_step *step = &block->steps[i];
        found = found || (step->op == RN_OP_LINEAR && step->in == slot &&
                          pass->adapter->site_of[layer][step->module] >= 0);
    }
    return found;
}

void rn_pass_take_shared(struct rn_pass *pass, struct rn_pass_arena *arena,
                         struct rn_pass_shared *out)
{
    const struct rn_program *last = &pass->programs[1];
    for (size_t i = 0; i < 2; i++) {
        out->in[i] = rn_pass_take_slot(pass, arena, &last->slots[RN_SLOT_IN], pass->options.tokens);
    }
    for (unsigned slot = RN_SLOT_FIRST; slot < last->slot_count; slot++) {
        if (slot >= last->block->slot_count) {
            out->slot[slot] =
                rn_pass_take_slot(pass, arena, &last->slots[slot], pass->options.sequences);
        } else if (!always_kept(last, slot)) {
            out->slot[slot] =
                rn_pass_take_slot(pass, arena, &last->slots[slot], pass->options.tokens);
        }
    }
}

static void bind_slots(struct rn_pass *pass, struct rn_pass_arena *arena, uint32_t index,
                       const struct rn_pass_shared *shared)
{
    const struct rn_block *block = pass->programs[0].block;
    struct rn_pass_layer *layer = &pass->layers[index];
    memcpy(layer->slot, shared->slot, sizeof(layer->slot));
    layer->slot[RN_SLOT_IN] = shared->in[index % 2];
    for (unsigned slot = RN_SLOT_IN; slot < block->slot_count; slot++) {
        if (slot != RN_SLOT_OUT &&
            (always_kept(&pass->programs[0], slot) || site_reads(pass, index, slot))) {
            layer->slot[slot] =
                rn_pass_take_slot(pass, arena, &block->slots[slot], pass->options.tokens);
        }
    }
}

/* What a step keeps beside its slots. */
static struct rn_mat take_side(const struct rn_pass *pass, struct rn_pass_arena *arena,
                               const struct rn_step *step)
{
    const struct rn_model_config *c = &pass->adapter->encoder->config;
    const struct rn_kernels *k = pass->kernels;
    const struct rn_mat none = {0};
    switch (step->op) {
    case RN_OP_NORM:
        return rn_pass_take_mat(arena, k->narrow, pass->options.tokens, 2);
    case RN_OP_ATTEND:
        return rn_pass_take_mat(arena, k->narrow, pass->options.tokens, c->heads);
    case RN_OP_LINEAR:
        if (step->activation != RN_ACTIVATION_NONE && step->out != RN_SLOT_OUT) {
            const enum rn_dim n = pass->programs[0].slots[step->out].width;
            return rn_pass_take_mat(arena, k->activation, pass->options.tokens,
                                    rn_modelconfig_dim(c, n));
        }
        return none;
    case RN_OP_GATHER:
    case RN_OP_COUNT:
        break;
    }
    return none;
}

static void bind_layer(struct rn_pass *pass, struct rn_pass_arena *arena, uint32_t index,
                       const struct rn_pass_shared *shared)
{
    const struct rn_block *block = pass->programs[0].block;
    struct rn_pass_layer *layer = &pass->layers[index];
    bind_slots(pass, arena, index, shared);
    for (unsigned i = 0; i < block->step_count; i++) {
        layer->side[block->steps[i].out] = take_side(pass, arena, &block->steps[i]);
    }
    for (size_t module = 0; module < RN_MODULES_MAX; module++) {
        if (pass->adapter->site_of[index][module] >= 0) {
            layer->h[module] = rn_pass_take_mat(arena, pass->kernels->narrow, pass->options.tokens,
                                                pass->adapter->config.rank);
        }
    }
}

/* Whether a layer's sites all have their h in another one's memory. */
static bool h_fits(const struct rn_pass *pass, uint32_t index, const struct rn_pass_layer *other)
{
    bool fits = true;
    for (size_t module = 0; module < RN_MODULES_MAX; module++) {
        fits = fits && (pass->adapter->site_of[index][module] < 0 || other->h[module].cols != 0);
    }
    return fits;
}

/* A layer without anything to keep for backward takes turns with the one two below. */
void rn_pass_bind_layers(struct rn_pass *pass, struct rn_pass_arena *arena,
                         const struct rn_pass_shared *shared)
{
    const uint32_t count = pass->adapter->encoder->config.layers;
    const uint32_t lowest = !pass->options.training                ? count
                            : pass->options.switches.full_backward ? 0
                                                                   : pass->adapter->lowest;
    for (uint32_t i = 0; i < count; i++) {
        if (i < 2 || i >= lowest || !h_fits(pass, i, &pass->layers[i - 2])) {
            bind_layer(pass, arena, i, shared);
        } else {
            pass->layers[i] = pass->layers[i - 2];
        }
    }
}
