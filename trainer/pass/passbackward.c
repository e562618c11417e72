/* SPDX-License-Identifier: Apache-2.0
 *
 * The backward pass, from the loss down to the lowest adapted module.
 */
#include "trainer/pass/passparts.h"

/* Whether the gradient is wanted below (layer, module) in the order of computation. */
static bool any_below(const struct rn_pass *pass, uint32_t layer, enum rn_module module)
{
    return rn_adapter_below(pass->adapter, pass->options.switches.full_backward, layer, module);
}

/* Where a module's gradients come from. */
struct step {
    uint32_t layer;
    enum rn_module module;
    struct rn_mat x;  /* its input */
    struct rn_mat dy; /* gradient of its output */
    /* rows are tokens of these sequences; NULL: one row per sequence */
    const struct rn_sequences *sequences;
};

/* Gradients of a site whose forward pass kept h, and its share of dx as an epilogue. */
static void back_site(struct rn_pass *pass, const struct rn_pass_active *active,
                      const struct rn_site *site, struct rn_mat h, const struct step *s,
                      bool want_dx, struct rn_epilogue *epilogue)
{
    const struct rn_adapter *adapter = pass->adapter;
    const bool want_a = ((unsigned)active->matrices & RN_MATRIX_A) != 0;
    if (((unsigned)active->matrices & RN_MATRIX_B) != 0) {
        rn_pass_outer_sum(pass, s->sequences, rn_mat_rows(h, 0, s->dy.rows), s->dy, adapter->scale,
                          true, site->b);
    }
    if (!want_a && !want_dx) {
        return;
    }
    const struct rn_mat dh = rn_mat_rows(pass->dh, 0, s->dy.rows);
    rn_pass_thin(pass, s->dy, pass->transposed + site->transposed, pass->transposed_stride, dh);
    if (want_a) {
        rn_pass_outer_sum(pass, s->sequences, dh, s->x, 1.0f, false, site->a);
    }
    rn_pass_rank_update(pass, dh, pass->values + site->a, pass->values_stride, epilogue);
}

/* dx = dy W + LoRA, then the epilogue; dx.data NULL: gradients of the site alone. */
static void back(struct rn_pass *pass, const struct rn_pass_active *active, struct step s,
                 struct rn_epilogue epilogue, struct rn_mat dx)
{
    const struct rn_adapter *adapter = pass->adapter;
    const int32_t number = adapter->site_of[s.layer][s.module];
    if (number >= 0) {
        back_site(pass, active, &adapter->sites[number], pass->layers[s.layer].h[s.module], &s,
                  dx.data != NULL, &epilogue);
    }
    if (dx.data != NULL) {
        pass->kernels->linear_back(pass->lane, adapter->encoder->layers[s.layer].weight[s.module],
                                   s.dy, &epilogue, dx);
    }
}

/* Feed-forward part: dx (gradient of x', rows) becomes the gradient of y1, in pass->dy. False when
 * nothing below is adapted. */
static bool back_feed_forward(struct rn_pass *pass, const struct rn_pass_active *active,
                              uint32_t index, uint32_t rows, const struct rn_sequences *sequences)
{
    const struct rn_kernels *k = pass->kernels;
    const struct rn_encoder_layer *w = &pass->adapter->encoder->layers[index];
    const struct rn_pass_layer *l = &pass->layers[index];
    const struct rn_mat none = {0};
    const struct rn_mat dx = rn_mat_rows(pass->dx, 0, rows);
    const struct rn_mat dy = rn_mat_rows(pass->dy, 0, rows);
    const struct rn_mat du = rn_mat_rows(pass->du, 0, rows);
    k->norm_back(pass->lane, rn_mat_rows(l->y2, 0, rows), rn_mat_rows(l->stats2, 0, rows),
                 w->gamma2, dx, dy);
    const struct rn_epilogue slope = {.slope = rn_mat_rows(l->u, 0, rows),
                                      .slope_of = RN_ACTIVATION_GELU};
    const bool more = any_below(pass, index, RN_MODULE_OUTPUT);
    back(pass, active,
         (struct step){index, RN_MODULE_OUTPUT, rn_mat_rows(l->g, 0, rows), dy, sequences}, slope,
         more ? du : none);
    if (!more) {
        return false;
    }
    const bool further = any_below(pass, index, RN_MODULE_INTERMEDIATE);
    back(pass, active,
         (struct step){index, RN_MODULE_INTERMEDIATE, rn_mat_rows(l->x1, 0, rows), du, sequences},
         (struct rn_epilogue){.residual = dy}, further ? dx : none);
    if (!further) {
        return false;
    }
    k->norm_back(pass->lane, rn_mat_rows(l->y1, 0, rows), rn_mat_rows(l->stats1, 0, rows),
                 w->gamma1, dx, dy);
    return true;
}

/* Attention part: pass->dy is the gradient of y1; leaves the gradient of x [T, d] in pass->dx
 * unless nothing below is adapted. The sums are formed in the same order on both paths: query (with
 * the residual), key, value. */
static void back_attention(struct rn_pass *pass, const struct rn_pass_active *active,
                           uint32_t index, bool first_only, const struct rn_sequences *sequences)
{
    const struct rn_kernels *k = pass->kernels;
    const struct rn_pass_layer *l = &pass->layers[index];
    const uint32_t tokens = pass->sequences.tokens;
    const uint32_t rows = first_only ? pass->sequences.count : tokens;
    const struct rn_mat none = {0};
    const struct rn_mat dy = rn_mat_rows(pass->dy, 0, rows);
    const struct rn_mat d_o = rn_mat_rows(pass->do_, 0, rows);
    const struct rn_mat o = rn_mat_rows(l->o, 0, rows);
    const bool more = any_below(pass, index, RN_MODULE_ATTENTION_OUTPUT);
    back(pass, active, (struct step){index, RN_MODULE_ATTENTION_OUTPUT, o, dy, sequences},
         (struct rn_epilogue){0}, more ? d_o : none);
    if (!more) {
        return;
    }
    const struct rn_mat dq = rn_mat_rows(pass->dq, 0, rows);
    const struct rn_mat dk = rn_mat_rows(pass->dk, 0, tokens);
    const struct rn_mat dv = rn_mat_rows(pass->dv, 0, tokens);
    const struct rn_attention attention = rn_pass_attention(pass, first_only);
    k->attention_back(pass->lane, &attention, rn_mat_rows(l->q, 0, rows),
                      rn_mat_rows(l->k, 0, tokens), rn_mat_rows(l->v, 0, tokens), o,
                      rn_mat_rows(l->lse, 0, rows), d_o, dq, dk, dv);

    const struct rn_mat x = rn_mat_rows(l->x, 0, tokens);
    const struct rn_mat dx = rn_mat_rows(pass->dx, 0, tokens);
    const bool deeper = any_below(pass, index, RN_MODULE_QUERY);
    const struct rn_mat asking = first_only ? rn_mat_rows(pass->first_x, 0, rows) : x;
    const struct rn_mat d_asking = first_only ? rn_mat_rows(pass->dfirst, 0, rows) : dx;
    back(pass, active, (struct step){index, RN_MODULE_QUERY, asking, dq, sequences},
         (struct rn_epilogue){.residual = dy}, deeper ? d_asking : none);
    if (deeper && first_only) {
        k->zero_mat(pass->lane, dx);
        k->scatter_add_rows(pass->lane, d_asking, pass->first, dx);
    }
    const struct rn_epilogue onto = {.residual = dx};
    back(pass, active, (struct step){index, RN_MODULE_KEY, x, dk, &pass->sequences}, onto,
         deeper ? dx : none);
    back(pass, active, (struct step){index, RN_MODULE_VALUE, x, dv, &pass->sequences}, onto,
         deeper ? dx : none);
}

/* From dz to dcls through the pooler, with the gradients of its site. */
static void back_pooler(struct rn_pass *pass, const struct rn_pass_active *active,
                        struct rn_mat cls, struct rn_mat dz, bool want_dcls, struct rn_mat dcls)
{
    const struct rn_adapter *adapter = pass->adapter;
    struct rn_epilogue epilogue = {0};
    if (adapter->pooler_site >= 0 && active->matrices != RN_MATRIX_NONE) {
        const struct step s = {.x = cls, .dy = dz};
        back_site(pass, active, &adapter->sites[adapter->pooler_site], pass->pooler_h, &s,
                  want_dcls, &epilogue);
    }
    if (want_dcls) {
        pass->kernels->linear_back(pass->lane, adapter->pooler, dz, &epilogue, dcls);
    }
}

/* Through a layer of the head, each piece's own. */
static void back_dense(struct rn_pass *pass, struct rn_mat dy, size_t w, struct rn_mat kept,
                       enum rn_activation slope_of, struct rn_mat dx)
{
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const struct rn_piece *piece = &pass->pieces[i];
        const struct rn_mat some =
            kept.data != NULL ? rn_piece_rows(pass, piece, kept) : (struct rn_mat){0};
        pass->kernels->dense_back(pass->lane, rn_piece_rows(pass, piece, dy),
                                  rn_piece_values(pass, piece, w), some, slope_of,
                                  rn_piece_rows(pass, piece, dx));
    }
}

/* From dlogits to dcls; the head's gradients when it trains. */
static void back_head(struct rn_pass *pass, const struct rn_pass_active *active, bool want_dcls,
                      struct rn_mat dcls)
{
    const struct rn_adapter *adapter = pass->adapter;
    const struct rn_head_places *head = &adapter->head;
    const uint32_t count = pass->sequences.count;
    const struct rn_mat none = {0};
    const struct rn_mat cls = rn_mat_rows(pass->cls, 0, count);
    const struct rn_mat z = rn_mat_rows(pass->z, 0, count);
    const struct rn_mat dlogits = rn_mat_rows(pass->dlogits, 0, count);
    const struct rn_mat dz = rn_mat_rows(pass->dz, 0, count);
    if (active->head) {
        rn_pass_head_sum(pass, dlogits, z, head->classifier_w, head->classifier_b);
    }
    back_dense(pass, dlogits, head->classifier_w, z, RN_ACTIVATION_TANH, dz);
    if (adapter->pooler != NULL) {
        back_pooler(pass, active, cls, dz, want_dcls, dcls);
        return;
    }
    if (active->head) {
        rn_pass_head_sum(pass, dz, cls, head->dense_w, head->dense_b);
    }
    if (want_dcls) {
        back_dense(pass, dz, head->dense_w, none, RN_ACTIVATION_NONE, dcls);
    }
}

void rn_pass_backward(struct rn_pass *pass, const struct rn_pass_active *wanted)
{
    const struct rn_adapter *adapter = pass->adapter;
    const struct rn_trainer_switches *switches = &pass->options.switches;
    const uint32_t layers = adapter->encoder->config.layers;
    struct rn_pass_active chosen = *wanted;
    chosen.matrices = switches->all_gradients ? RN_MATRIX_AB : chosen.matrices;
    const struct rn_pass_active *active = &chosen;
    const uint32_t lowest = switches->full_backward ? 0 : adapter->lowest;
    const bool sites =
        switches->full_backward || (active->matrices != RN_MATRIX_NONE && lowest < layers);
    const bool last_first = !switches->plain_last_layer;
    const uint32_t count = pass->sequences.count;
    const struct rn_mat dcls = rn_mat_rows(last_first ? pass->dx : pass->dcls, 0, count);
    if (pass->each.gradients == NULL) {
        pass->kernels->zero(pass->lane, pass->gradient,
                            pass->piece_count * adapter->count * sizeof(float));
    }
    back_head(pass, active, sites, dcls);
    if (!sites) {
        return;
    }
    if (!last_first) {
        const struct rn_mat dx = rn_mat_rows(pass->dx, 0, pass->sequences.tokens);
        pass->kernels->zero_mat(pass->lane, dx);
        pass->kernels->scatter_add_rows(pass->lane, dcls, pass->first, dx);
    }
    for (uint32_t i = layers; i > lowest; i--) {
        const bool first_only = last_first && i == layers;
        const uint32_t rows = first_only ? pass->sequences.count : pass->sequences.tokens;
        const struct rn_sequences *sequences = first_only ? NULL : &pass->sequences;
        if (back_feed_forward(pass, active, i - 1, rows, sequences)) {
            back_attention(pass, active, i - 1, first_only, sequences);
        }
    }
}
