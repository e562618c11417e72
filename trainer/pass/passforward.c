/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass of a loaded block: layers, head, loss.
 */
#include "trainer/pass/passparts.h"

#include <math.h>

/* y = module(x) with its adapter and the rest of the epilogue. */
static void project(struct rn_pass *pass, uint32_t index, enum rn_module module, struct rn_mat x,
                    struct rn_epilogue epilogue, struct rn_mat y)
{
    const struct rn_adapter *adapter = pass->adapter;
    const struct rn_encoder_layer *layer = &adapter->encoder->layers[index];
    const int32_t number = adapter->site_of[index][module];
    epilogue.bias = layer->bias[module];
    if (number >= 0) {
        const struct rn_site *site = &adapter->sites[number];
        const struct rn_mat h = rn_mat_rows(pass->layers[index].h[module], 0, x.rows);
        rn_pass_thin(pass, x, pass->values + site->a, pass->values_stride, h);
        rn_pass_rank_update(pass, h, pass->transposed + site->transposed, pass->transposed_stride,
                            &epilogue);
    }
    pass->kernels->linear(pass->lane, layer->weight[module], x, &epilogue, y);
}

/* One layer; rows of the part after attention: all tokens, or one per sequence. out = x'. */
static void forward_layer(struct rn_pass *pass, uint32_t index, bool first_only, struct rn_mat out)
{
    const struct rn_kernels *k = pass->kernels;
    const struct rn_encoder *encoder = pass->adapter->encoder;
    const struct rn_encoder_layer *weights = &encoder->layers[index];
    const struct rn_pass_layer *l = &pass->layers[index];
    const uint32_t tokens = pass->sequences.tokens;
    const uint32_t rows = first_only ? pass->sequences.count : tokens;
    const float eps = encoder->config.layer_norm_epsilon;
    const struct rn_epilogue plain = {0};
    const struct rn_mat x = rn_mat_rows(l->x, 0, tokens);
    struct rn_mat asking = x;
    if (first_only) {
        asking = rn_mat_rows(pass->first_x, 0, rows);
        k->gather_rows(pass->lane, x, pass->first, asking);
    }
    const struct rn_mat q = rn_mat_rows(l->q, 0, rows);
    const struct rn_mat keys = rn_mat_rows(l->k, 0, tokens);
    const struct rn_mat values = rn_mat_rows(l->v, 0, tokens);
    const struct rn_mat o = rn_mat_rows(l->o, 0, rows);
    project(pass, index, RN_MODULE_QUERY, asking, plain, q);
    project(pass, index, RN_MODULE_KEY, x, plain, keys);
    project(pass, index, RN_MODULE_VALUE, x, plain, values);
    const struct rn_attention attention = rn_pass_attention(pass, first_only);
    k->attention(pass->lane, &attention, q, keys, values, o, rn_mat_rows(l->lse, 0, rows));

    const struct rn_mat y1 = rn_mat_rows(l->y1, 0, rows);
    const struct rn_mat x1 = rn_mat_rows(l->x1, 0, rows);
    project(pass, index, RN_MODULE_ATTENTION_OUTPUT, o, (struct rn_epilogue){.residual = asking},
            y1);
    k->norm(pass->lane, y1, weights->gamma1, weights->beta1, eps, x1,
            rn_mat_rows(l->stats1, 0, rows));
    const struct rn_mat g = rn_mat_rows(l->g, 0, rows);
    const struct rn_epilogue gelu = {.pre = rn_mat_rows(l->u, 0, rows),
                                     .activation = RN_ACTIVATION_GELU};
    project(pass, index, RN_MODULE_INTERMEDIATE, x1, gelu, g);
    const struct rn_mat y2 = rn_mat_rows(l->y2, 0, rows);
    project(pass, index, RN_MODULE_OUTPUT, g, (struct rn_epilogue){.residual = x1}, y2);
    k->norm(pass->lane, y2, weights->gamma2, weights->beta2, eps, out,
            rn_mat_rows(l->stats2, 0, rows));
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

/* A layer of the head, each piece's own. */
static void forward_dense(struct rn_pass *pass, struct rn_mat x, size_t w, size_t bias,
                          enum rn_activation activation, struct rn_mat y)
{
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const struct rn_piece *piece = &pass->pieces[i];
        pass->kernels->dense(pass->lane, rn_piece_rows(pass, piece, x),
                             rn_piece_values(pass, piece, w), rn_piece_values(pass, piece, bias),
                             activation, rn_piece_rows(pass, piece, y));
    }
}

/* z = tanh(dense(cls)): the pooler of BERT with its site, or classifier.dense of RoBERTa. */
static void forward_first_dense(struct rn_pass *pass, struct rn_mat cls, struct rn_mat z)
{
    const struct rn_adapter *adapter = pass->adapter;
    if (adapter->pooler == NULL) {
        forward_dense(pass, cls, adapter->head.dense_w, adapter->head.dense_b, RN_ACTIVATION_TANH,
                      z);
        return;
    }
    struct rn_epilogue epilogue = {.bias = adapter->pooler_b, .activation = RN_ACTIVATION_TANH};
    if (adapter->pooler_site >= 0) {
        const struct rn_site *site = &adapter->sites[adapter->pooler_site];
        const struct rn_mat h = rn_mat_rows(pass->pooler_h, 0, cls.rows);
        rn_pass_thin(pass, cls, pass->values + site->a, pass->values_stride, h);
        rn_pass_rank_update(pass, h, pass->transposed + site->transposed, pass->transposed_stride,
                            &epilogue);
    }
    pass->kernels->linear(pass->lane, adapter->pooler, cls, &epilogue, z);
}

/* The first layer that is no prefix: the lowest adapted one, at most the last. */
static uint32_t first_layer(const struct rn_pass *pass)
{
    const uint32_t last = pass->adapter->encoder->config.layers - 1;
    return pass->adapter->lowest < last ? pass->adapter->lowest : last;
}

void rn_pass_prefix(struct rn_pass *pass)
{
    const uint32_t tokens = pass->sequences.tokens;
    pass->kernels->embed(pass->lane, &pass->adapter->encoder->embedding, pass->ids, pass->types,
                         pass->positions, rn_mat_rows(pass->layers[0].x, 0, tokens));
    for (uint32_t i = 0; i < first_layer(pass); i++) {
        forward_layer(pass, i, false, rn_mat_rows(pass->layers[i + 1].x, 0, tokens));
    }
}

void rn_pass_rest(struct rn_pass *pass)
{
    const struct rn_kernels *k = pass->kernels;
    const struct rn_adapter *adapter = pass->adapter;
    const uint32_t layers = adapter->encoder->config.layers;
    const uint32_t tokens = pass->sequences.tokens;
    const uint32_t count = pass->sequences.count;
    const struct rn_mat cls = rn_mat_rows(pass->cls, 0, count);
    for (uint32_t i = first_layer(pass); i + 1 < layers; i++) {
        forward_layer(pass, i, false, rn_mat_rows(pass->layers[i + 1].x, 0, tokens));
    }
    if (pass->options.switches.plain_last_layer) {
        const struct rn_mat out = rn_mat_rows(pass->out, 0, tokens);
        forward_layer(pass, layers - 1, false, out);
        k->gather_rows(pass->lane, out, pass->first, cls);
    } else {
        forward_layer(pass, layers - 1, true, cls);
    }
    const struct rn_mat z = rn_mat_rows(pass->z, 0, count);
    forward_first_dense(pass, cls, z);
    forward_dense(pass, z, adapter->head.classifier_w, adapter->head.classifier_b,
                  RN_ACTIVATION_NONE, rn_mat_rows(pass->logits, 0, count));
}

void rn_pass_loss(struct rn_pass *pass, enum rn_task task, float scale, bool want_gradient)
{
    const uint32_t count = pass->sequences.count;
    const struct rn_kernels *k = pass->kernels;
    const struct rn_mat logits = rn_mat_rows(pass->logits, 0, count);
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const struct rn_piece *piece = &pass->pieces[i];
        const struct rn_mat some = rn_piece_rows(pass, piece, logits);
        const struct rn_mat none = {0};
        const struct rn_mat dlogits =
            want_gradient ? rn_mat_rows(pass->dlogits, piece->first, piece->count) : none;
        const float by = pass->piece_count == 1 ? scale : piece->scale;
        if (task == RN_TASK_REGRESSION) {
            k->squared_error(pass->lane, some, pass->targets + piece->first, by, dlogits,
                             pass->loss + piece->first);
        } else {
            k->cross_entropy(pass->lane, some, pass->labels + piece->first, by, dlogits,
                             pass->loss + piece->first);
        }
    }
}
