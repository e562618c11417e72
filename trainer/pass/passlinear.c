/* SPDX-License-Identifier: Apache-2.0
 *
 * The linear step of a layer, forward and backward: the frozen product, and in its epilogue the
 * rank update of the module's adapter.
 */
#include "trainer/pass/passparts.h"

void rn_pass_linear(struct rn_pass *pass, uint32_t layer, uint32_t module, struct rn_mat x,
                    struct rn_epilogue epilogue, struct rn_mat y)
{
    const struct rn_adapter *adapter = pass->adapter;
    const struct rn_encoder_layer *weights = &adapter->encoder->layers[layer];
    const int32_t number = adapter->site_of[layer][module];
    epilogue.bias = weights->bias[module];
    if (number >= 0) {
        const struct rn_site *site = &adapter->sites[number];
        const struct rn_mat h = rn_mat_rows(pass->layers[layer].h[module], 0, x.rows);
        rn_pass_thin(pass, x, pass->values + site->a, pass->values_stride, h);
        rn_pass_rank_update(pass, h, pass->transposed + site->transposed, pass->transposed_stride,
                            &epilogue);
    }
    const bool zero = adapter->encoder->config.family->layer->modules[module].zero;
    pass->kernels->linear(pass->lane, weights->weight[module],
                          zero ? rn_mat_cols(x, 0, rn_zero_columns(x.cols)) : x, &epilogue, y);
}

void rn_pass_site_back(struct rn_pass *pass, const struct rn_pass_active *active,
                       const struct rn_site *site, const struct rn_pass_source *source,
                       bool want_dx, struct rn_epilogue *epilogue)
{
    const struct rn_adapter *adapter = pass->adapter;
    const struct rn_mat dy = source->dy;
    const bool want_a = ((unsigned)active->matrices & RN_MATRIX_A) != 0;
    if (((unsigned)active->matrices & RN_MATRIX_B) != 0) {
        rn_pass_outer_sum(pass, source->sequences, rn_mat_rows(source->h, 0, dy.rows), dy,
                          adapter->scale, true, site->b);
    }
    if (!want_a && !want_dx) {
        return;
    }
    const struct rn_mat dh = rn_mat_rows(pass->dh, 0, dy.rows);
    rn_pass_thin(pass, dy, pass->transposed + site->transposed, pass->transposed_stride, dh);
    if (want_a) {
        rn_pass_outer_sum(pass, source->sequences, dh, source->x, 1.0f, false, site->a);
    }
    rn_pass_rank_update(pass, dh, pass->values + site->a, pass->values_stride, epilogue);
}

void rn_pass_linear_back(struct rn_pass *pass, const struct rn_pass_active *active, uint32_t layer,
                         uint32_t module, struct rn_pass_source source, struct rn_epilogue epilogue,
                         struct rn_mat dx)
{
    const struct rn_adapter *adapter = pass->adapter;
    const int32_t number = adapter->site_of[layer][module];
    if (number >= 0) {
        source.h = pass->layers[layer].h[module];
        rn_pass_site_back(pass, active, &adapter->sites[number], &source, dx.data != NULL,
                          &epilogue);
    }
    if (dx.data != NULL) {
        pass->kernels->linear_back(pass->lane, adapter->encoder->layers[layer].weight[module],
                                   source.dy, &epilogue, dx);
    }
}
