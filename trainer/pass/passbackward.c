/* SPDX-License-Identifier: Apache-2.0
 *
 * The backward walk, from the loss down to the lowest adapted module: each layer's steps in
 * reverse, each adding its share to the gradients of the slots that it read. The rules of
 * rn_program_fault let a share be added where it is formed: by the epilogue of a LINEAR, onto
 * what stands in the slot's gradient; a NORM and an ATTEND are the only ones to write theirs.
 */
#include "trainer/pass/passparts.h"

/* One layer's walk. */
struct walk {
    struct rn_pass *pass;
    const struct rn_pass_active *active;
    uint32_t layer;
    const struct rn_program *program;
    bool wanted[RN_SLOTS_MAX];       /* something that trains is below the slot */
    struct rn_mat sum[RN_SLOTS_MAX]; /* the shares so far; data NULL = none */
};

/* The memory of a slot's gradient, for the rows of the block. */
static struct rn_mat gradient(const struct walk *w, uint8_t slot)
{
    const struct rn_pass *pass = w->pass;
    const uint8_t buffer = pass->gradient_of[rn_pass_program(pass, w->layer)][slot];
    return rn_mat_rows(pass->gradients.mats[buffer], 0,
                       w->program->asked[slot] ? pass->sequences.count : pass->sequences.tokens);
}

/* The same, which from now on holds the slot's shares. */
static struct rn_mat share(struct walk *w, uint8_t slot)
{
    w->sum[slot] = gradient(w, slot);
    return w->sum[slot];
}

/* The slope of the activation that made a slot, if one did. */
static void put_slope(const struct walk *w, uint8_t slot, struct rn_epilogue *epilogue)
{
    for (unsigned i = 0; i < w->program->step_count; i++) {
        const struct rn_step *step = &w->program->steps[i];
        if (step->out == slot && step->activation != RN_ACTIVATION_NONE) {
            epilogue->slope = rn_pass_side(w->pass, w->layer, slot);
            epilogue->slope_of = step->activation;
        }
    }
}

/* ---- The steps ---- */

/* The input's share on top of those that it has, or of a residual's that waits; behind an
 * activation the gradient is that of the sum before it. The residual's own share is what stands in
 * the output's gradient. */
static void back_linear(struct walk *w, const struct rn_step *step)
{
    struct rn_pass *pass = w->pass;
    struct rn_epilogue epilogue = {.residual = w->sum[step->in]};
    put_slope(w, step->in, &epilogue);
    const struct rn_pass_source source = {
        .x = rn_pass_slot(pass, w->layer, step->in),
        .dy = w->sum[step->out],
        .sequences = w->program->asked[step->out] ? NULL : &pass->sequences,
    };
    const struct rn_mat none = {0};
    rn_pass_linear_back(pass, w->active, w->layer, step->module, source, epilogue,
                        w->wanted[step->in] ? share(w, step->in) : none);
    if (step->with != RN_SLOT_NONE) {
        w->sum[step->with] = w->sum[step->out];
    }
}

static void back_norm(struct walk *w, const struct rn_step *step)
{
    const struct rn_encoder_layer *weights = &w->pass->adapter->encoder->layers[w->layer];
    w->pass->kernels->norm_back(w->pass->lane, rn_pass_slot(w->pass, w->layer, step->in),
                                rn_pass_side(w->pass, w->layer, step->out),
                                weights->norm[step->module].gamma, w->sum[step->out],
                                share(w, step->in));
}

static void back_attend(struct walk *w, const struct rn_step *step)
{
    struct rn_pass *pass = w->pass;
    const struct rn_attention attention = rn_pass_attention(pass, w->program->asked[step->out]);
    pass->kernels->attention_back(
        pass->lane, &attention, rn_pass_slot(pass, w->layer, step->in),
        rn_pass_slot(pass, w->layer, step->with), rn_pass_slot(pass, w->layer, step->also),
        rn_pass_slot(pass, w->layer, step->out), rn_pass_side(pass, w->layer, step->out),
        w->sum[step->out], share(w, step->in), share(w, step->with), share(w, step->also));
}

/* The asked rows' gradient to their places, before any other share of the slot. */
static void back_gather(struct walk *w, const struct rn_step *step)
{
    const struct rn_pass *pass = w->pass;
    const struct rn_mat to = share(w, step->in);
    pass->kernels->zero_mat(pass->lane, to);
    pass->kernels->scatter_add_rows(pass->lane, w->sum[step->out], pass->first, to);
}

/* ---- The layers ---- */

/* Whether a step has work: a gradient below it is wanted, or its own site's. */
static bool has_work(const struct walk *w, const struct rn_step *step)
{
    if (step->op == RN_OP_LINEAR) {
        return w->wanted[step->out];
    }
    return w->wanted[step->in] || w->wanted[step->with] || w->wanted[step->also];
}

/* From the output's gradient to the input's, both in buffer 0. */
static void back_layer(struct rn_pass *pass, const struct rn_pass_active *active, uint32_t layer)
{
    static void (*const back[RN_OP_COUNT])(struct walk *, const struct rn_step *) = {
        [RN_OP_LINEAR] = back_linear,
        [RN_OP_NORM] = back_norm,
        [RN_OP_ATTEND] = back_attend,
        [RN_OP_GATHER] = back_gather,
    };
    const struct rn_program *program = &pass->programs[rn_pass_program(pass, layer)];
    struct walk w = {.pass = pass, .active = active, .layer = layer, .program = program};
    rn_adapter_wanted(pass->adapter, pass->options.switches.full_backward, layer, w.program,
                      w.wanted);
    (void)share(&w, RN_SLOT_OUT);
    for (unsigned i = program->step_count; i-- > 0;) {
        if (has_work(&w, &program->steps[i])) {
            back[program->steps[i].op](&w, &program->steps[i]);
        }
    }
}

/* From the head's rows to the last layer's output. */
static void back_asked(struct rn_pass *pass)
{
    const struct rn_mat dx = rn_mat_rows(pass->gradients.mats[0], 0, pass->sequences.tokens);
    pass->kernels->zero_mat(pass->lane, dx);
    pass->kernels->scatter_add_rows(pass->lane, rn_mat_rows(pass->dcls, 0, pass->sequences.count),
                                    pass->first, dx);
}

void rn_pass_backward(struct rn_pass *pass, const struct rn_pass_active *wanted)
{
    const struct rn_adapter *adapter = pass->adapter;
    const struct rn_trainer_switches *switches = &pass->options.switches;
    const uint32_t layers = adapter->encoder->config.layers;
    struct rn_pass_active active = *wanted;
    active.matrices = switches->all_gradients ? RN_MATRIX_AB : active.matrices;
    const uint32_t lowest = switches->full_backward ? 0 : adapter->lowest;
    const bool sites =
        switches->full_backward || (active.matrices != RN_MATRIX_NONE && lowest < layers);
    const bool asked = pass->programs[rn_pass_program(pass, layers - 1)].asked[RN_SLOT_OUT];
    const struct rn_mat dcls = asked ? pass->gradients.mats[0] : pass->dcls;
    if (pass->each.gradients == NULL) {
        pass->kernels->zero(pass->lane, pass->gradient,
                            pass->piece_count * adapter->count * sizeof(float));
    }
    rn_pass_head_back(pass, &active, sites, rn_mat_rows(dcls, 0, pass->sequences.count));
    if (sites && !asked) {
        back_asked(pass);
    }
    for (uint32_t i = layers; sites && i > lowest; i--) {
        back_layer(pass, &active, i - 1);
    }
}
