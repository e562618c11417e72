/* SPDX-License-Identifier: Apache-2.0
 *
 * The head and the loss, forward and backward: one row per sequence.
 */
#include "trainer/pass/passparts.h"

/* ---- Forward ---- */

/* A layer of the head, each piece's own; bias SIZE_MAX: none. */
static void forward_dense(struct rn_pass *pass, struct rn_mat x, size_t w, size_t bias,
                          enum rn_activation activation, struct rn_mat y)
{
    for (uint32_t i = 0; i < pass->piece_count; i++) {
        const struct rn_piece *piece = &pass->pieces[i];
        pass->kernels->dense(pass->lane, rn_piece_rows(pass, piece, x),
                             rn_piece_values(pass, piece, w),
                             bias == SIZE_MAX ? NULL : rn_piece_values(pass, piece, bias),
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

void rn_pass_head(struct rn_pass *pass)
{
    const struct rn_adapter *adapter = pass->adapter;
    const uint32_t count = pass->sequences.count;
    const struct rn_mat cls = rn_mat_rows(pass->cls, 0, count);
    const bool plain = adapter->encoder->config.family->head == RN_HEAD_PLAIN;
    const struct rn_mat z = plain ? cls : rn_mat_rows(pass->z, 0, count);
    if (!plain) {
        forward_first_dense(pass, cls, z);
    }
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

/* ---- Backward ---- */

/* From dz to dcls through the pooler, with the gradients of its site. */
static void back_pooler(struct rn_pass *pass, const struct rn_pass_active *active,
                        struct rn_mat cls, struct rn_mat dz, bool want_dcls, struct rn_mat dcls)
{
    const struct rn_adapter *adapter = pass->adapter;
    struct rn_epilogue epilogue = {0};
    if (adapter->pooler_site >= 0 && active->matrices != RN_MATRIX_NONE) {
        const struct rn_pass_source source = {.h = pass->pooler_h, .x = cls, .dy = dz};
        rn_pass_site_back(pass, active, &adapter->sites[adapter->pooler_site], &source, want_dcls,
                          &epilogue);
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

/* The classifier reads the layer itself, whose activation kept no more than its output. */
static void back_plain(struct rn_pass *pass, const struct rn_pass_active *active, struct rn_mat cls,
                       struct rn_mat dlogits, bool want_dcls, struct rn_mat dcls)
{
    const struct rn_adapter *adapter = pass->adapter;
    const size_t w = adapter->head.classifier_w;
    if (active->head) {
        rn_pass_head_sum(pass, dlogits, cls, w, SIZE_MAX);
    }
    if (want_dcls) {
        back_dense(pass, dlogits, w, cls,
                   rn_block_activation(adapter->encoder->config.family->layer), dcls);
    }
}

void rn_pass_head_back(struct rn_pass *pass, const struct rn_pass_active *active, bool want_dcls,
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
    if (adapter->encoder->config.family->head == RN_HEAD_PLAIN) {
        back_plain(pass, active, cls, dlogits, want_dcls, dcls);
        return;
    }
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
