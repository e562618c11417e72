/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward walk of a loaded block: each layer's steps in order.
 */
#include "trainer/pass/passparts.h"

#include <math.h>

unsigned rn_pass_program(const struct rn_pass *pass, uint32_t layer)
{
    return layer + 1 == pass->adapter->encoder->config.layers &&
           !pass->options.switches.plain_last_layer;
}

/* Rows of a slot in use. */
static uint32_t rows_of(const struct rn_pass *pass, uint32_t layer, uint8_t slot)
{
    return pass->programs[rn_pass_program(pass, layer)].asked[slot] ? pass->sequences.count
                                                                    : pass->sequences.tokens;
}

struct rn_mat rn_pass_slot(const struct rn_pass *pass, uint32_t layer, uint8_t slot)
{
    const uint32_t rows = rows_of(pass, layer, slot);
    if (slot == RN_SLOT_OUT && layer + 1 == pass->adapter->encoder->config.layers) {
        const bool asked = pass->programs[rn_pass_program(pass, layer)].asked[slot];
        return rn_mat_rows(asked ? pass->cls : pass->out, 0, rows);
    }
    return rn_mat_rows(pass->layers[layer].slot[slot], 0, rows);
}

struct rn_mat rn_pass_side(const struct rn_pass *pass, uint32_t layer, uint8_t slot)
{
    return rn_mat_rows(pass->layers[layer].side[slot], 0, rows_of(pass, layer, slot));
}

struct rn_attention rn_pass_attention(const struct rn_pass *pass, bool first_only)
{
    const struct rn_model_config *config = &pass->adapter->encoder->config;
    const uint32_t head_dim = config->hidden / config->heads;
    return (struct rn_attention){.sequences = pass->sequences,
                                 .heads = config->heads,
                                 .head_dim = head_dim,
                                 .scale = (float)(1.0 / sqrt((double)head_dim)),
                                 .first_query = first_only};
}

/* ---- The steps ---- */

static void forward_linear(struct rn_pass *pass, uint32_t layer, const struct rn_step *step)
{
    struct rn_epilogue epilogue = {.activation = step->activation};
    if (step->with != RN_SLOT_NONE) {
        epilogue.residual = rn_pass_slot(pass, layer, step->with);
    }
    if (step->activation != RN_ACTIVATION_NONE && step->out != RN_SLOT_OUT) {
        epilogue.pre = rn_pass_side(pass, layer, step->out);
    }
    rn_pass_linear(pass, layer, step->module, rn_pass_slot(pass, layer, step->in), epilogue,
                   rn_pass_slot(pass, layer, step->out));
}

static void forward_norm(struct rn_pass *pass, uint32_t layer, const struct rn_step *step)
{
    const struct rn_encoder *encoder = pass->adapter->encoder;
    const struct rn_encoder_norm *norm = &encoder->layers[layer].norm[step->module];
    pass->kernels->norm(pass->lane, rn_pass_slot(pass, layer, step->in), norm->gamma, norm->beta,
                        encoder->config.layer_norm_epsilon, rn_pass_slot(pass, layer, step->out),
                        rn_pass_side(pass, layer, step->out));
}

static void forward_attend(struct rn_pass *pass, uint32_t layer, const struct rn_step *step)
{
    const struct rn_program *program = &pass->programs[rn_pass_program(pass, layer)];
    const struct rn_attention attention = rn_pass_attention(pass, program->asked[step->out]);
    pass->kernels->attention(
        pass->lane, &attention, rn_pass_slot(pass, layer, step->in),
        rn_pass_slot(pass, layer, step->with), rn_pass_slot(pass, layer, step->also),
        rn_pass_slot(pass, layer, step->out), rn_pass_side(pass, layer, step->out));
}

static void forward_gather(struct rn_pass *pass, uint32_t layer, const struct rn_step *step)
{
    pass->kernels->gather_rows(pass->lane, rn_pass_slot(pass, layer, step->in), pass->first,
                               rn_pass_slot(pass, layer, step->out));
}

static void forward_layer(struct rn_pass *pass, uint32_t layer)
{
    static void (*const walk[RN_OP_COUNT])(struct rn_pass *, uint32_t, const struct rn_step *) = {
        [RN_OP_LINEAR] = forward_linear,
        [RN_OP_NORM] = forward_norm,
        [RN_OP_ATTEND] = forward_attend,
        [RN_OP_GATHER] = forward_gather,
    };
    const struct rn_program *program = &pass->programs[rn_pass_program(pass, layer)];
    for (unsigned i = 0; i < program->step_count; i++) {
        walk[program->steps[i].op](pass, layer, &program->steps[i]);
    }
}

/* ---- The layers ---- */

/* The first layer that is no prefix: the lowest adapted one, at most the last. */
static uint32_t first_layer(const struct rn_pass *pass)
{
    const uint32_t last = pass->adapter->encoder->config.layers - 1;
    return pass->adapter->lowest < last ? pass->adapter->lowest : last;
}

void rn_pass_prefix(struct rn_pass *pass)
{
    const struct rn_encoder *encoder = pass->adapter->encoder;
    if (!encoder->config.family->rows) { /* those came with the load */
        pass->kernels->embed(pass->lane, &encoder->embedding, pass->ids, pass->types,
                             pass->positions, rn_pass_slot(pass, 0, RN_SLOT_IN));
    }
    for (uint32_t i = 0; i < first_layer(pass); i++) {
        forward_layer(pass, i);
    }
}

void rn_pass_rest(struct rn_pass *pass)
{
    const uint32_t layers = pass->adapter->encoder->config.layers;
    for (uint32_t i = first_layer(pass); i < layers; i++) {
        forward_layer(pass, i);
    }
    if (!pass->programs[rn_pass_program(pass, layers - 1)].asked[RN_SLOT_OUT]) {
        pass->kernels->gather_rows(pass->lane, rn_pass_slot(pass, layers - 1, RN_SLOT_OUT),
                                   pass->first, rn_mat_rows(pass->cls, 0, pass->sequences.count));
    }
    rn_pass_head(pass);
}
