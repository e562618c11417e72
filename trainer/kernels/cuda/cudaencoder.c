/* SPDX-License-Identifier: Apache-2.0
 *
 * Embedding, LayerNorm, attention and rows of the CUDA backend.
 */
#include "trainer/kernels/cuda/cudabackend.h"

#include "base/guard.h"

void rn_cuda_embed_op(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                      const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y)
{
    const struct rn_embed_args args = {
        .words = e->words,
        .positions = e->positions,
        .types = e->types,
        .gamma = e->gamma,
        .beta = e->beta,
        .ids = ids,
        .type_ids = type_ids,
        .position_ids = position_ids,
        .y = rn_cuda_view(y),
        .rows = (int32_t)y.rows,
        .cols = (int32_t)y.cols,
        .eps = e->eps,
    };
    rn_cuda_launch_warps(lane, RN_ID_rn_cuda_embed, y.rows, &args);
}

/* 0: any shape; 1, 2: the row fits the registers of the 1024 or 2048 kernel. */
static int norm_form(struct rn_mat x, struct rn_mat y, const float *gamma, const float *beta)
{
    const uintptr_t floats = (uintptr_t)gamma | (uintptr_t)beta;
    if (!rn_cuda_vectors(x) || !rn_cuda_vectors(y) || floats % 16 != 0) {
        return 0;
    }
    return x.cols <= 1024 ? 1 : x.cols <= 2048 ? 2 : 0;
}

static void check_stats(struct rn_mat stats)
{
    RN_BUG_IF(stats.type != RN_F32); /* bf16 is too coarse */
}

void rn_cuda_norm_op(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                     float eps, struct rn_mat y, struct rn_mat stats)
{
    static const enum rn_cuda_kernel forms[] = {RN_ID_rn_cuda_norm_any, RN_ID_rn_cuda_norm_1024,
                                                RN_ID_rn_cuda_norm_2048};
    const struct rn_norm_args args = {
        .x = rn_cuda_view(x),
        .y = rn_cuda_view(y),
        .stats = rn_cuda_view(stats),
        .gamma = gamma,
        .beta = beta,
        .rows = (int32_t)x.rows,
        .cols = (int32_t)x.cols,
        .eps = eps,
    };
    check_stats(stats);
    rn_cuda_launch_warps(lane, forms[norm_form(x, y, gamma, beta)], x.rows, &args);
}

void rn_cuda_norm_back_op(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                          const float *gamma, struct rn_mat dy, struct rn_mat dx)
{
    static const enum rn_cuda_kernel forms[] = {
        RN_ID_rn_cuda_norm_back_any, RN_ID_rn_cuda_norm_back_1024, RN_ID_rn_cuda_norm_back_2048};
    const struct rn_norm_back_args args = {
        .x = rn_cuda_view(x),
        .stats = rn_cuda_view(stats),
        .dy = rn_cuda_view(dy),
        .dx = rn_cuda_view(dx),
        .gamma = gamma,
        .rows = (int32_t)x.rows,
        .cols = (int32_t)x.cols,
    };
    check_stats(stats);
    const int form = rn_cuda_vectors(dy) ? norm_form(x, dx, gamma, gamma) : 0;
    rn_cuda_launch_warps(lane, forms[form], x.rows, &args);
}

/* The three kernels of a head size; tile = queries or keys of a block, 16 a warp (or one). */
struct attention_form {
    uint32_t head_dim, tile, threads;
    enum rn_cuda_kernel forward, queries, keys;
};

#define FORM(head, tile_rows)                                                                     \
    {                                                                                             \
        head, tile_rows, (tile_rows)*2, RN_ID_rn_cuda_attention_##head,                           \
            RN_ID_rn_cuda_attention_back_queries_##head, RN_ID_rn_cuda_attention_back_keys_##head \
    }
static const struct attention_form tiled[] = {FORM(16, 64), FORM(32, 64), FORM(64, 64),
                                              FORM(96, 32), FORM(128, 32)};
static const struct attention_form untiled = {
    0,
    RN_CUDA_WARPS,
    RN_CUDA_THREADS,
    RN_ID_rn_cuda_attention_any,
    RN_ID_rn_cuda_attention_back_queries_any,
    RN_ID_rn_cuda_attention_back_keys_any,
};

static const struct attention_form *find_form(uint32_t head_dim, const struct rn_mat *mats,
                                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!rn_cuda_vectors(mats[i])) {
            return &untiled;
        }
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(tiled); i++) {
        if (tiled[i].head_dim == head_dim) {
            return &tiled[i];
        }
    }
    return &untiled;
}

/* A launch with `items` queries or keys in the longest sequence. Sequences beyond the grid's limit
 * go in further launches: the kernels find theirs from cu, so the arrays are shifted. */
static void launch_attention(struct rn_lane *lane, const struct attention_form *form,
                             enum rn_cuda_kernel kernel, uint32_t items,
                             const struct rn_attention *a, const struct rn_attention_args *args)
{
    RN_BUG_IF(a->sequences.count > 65535 || a->heads > 65535);
    if (a->sequences.count > 0 && items > 0) {
        rn_port_launch(lane->port, kernel,
                       (struct rn_port_grid){(items + form->tile - 1) / form->tile, a->heads,
                                             a->sequences.count, form->threads},
                       args);
    }
}

void rn_cuda_attention_op(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                          struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    const struct rn_mat mats[] = {q, k, v, out};
    const struct attention_form *form = find_form(a->head_dim, mats, RN_ARRAY_LENGTH(mats));
    const struct rn_attention_args args = {
        .q = rn_cuda_view(q),
        .k = rn_cuda_view(k),
        .v = rn_cuda_view(v),
        .out = rn_cuda_view(out),
        .lse = rn_cuda_view(lse),
        .cu = a->sequences.cu,
        .queries = (int32_t)q.rows,
        .head_dim = (int32_t)a->head_dim,
        .first_query = a->first_query,
        .scale = a->scale,
    };
    launch_attention(lane, form, form->forward, a->first_query ? 1 : a->sequences.longest, a,
                     &args);
}

void rn_cuda_attention_back_op(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                               struct rn_mat k, struct rn_mat v, struct rn_mat out,
                               struct rn_mat lse, struct rn_mat dout, struct rn_mat dq,
                               struct rn_mat dk, struct rn_mat dv)
{
    RN_BUG_IF(lse.type != RN_F32); /* bf16 is too coarse */
    const struct rn_mat mats[] = {q, k, v, out, dout, dq, dk, dv};
    const struct attention_form *form = find_form(a->head_dim, mats, RN_ARRAY_LENGTH(mats));
    const struct rn_attention_args args = {
        .q = rn_cuda_view(q),
        .k = rn_cuda_view(k),
        .v = rn_cuda_view(v),
        .out = rn_cuda_view(out),
        .lse = rn_cuda_view(lse),
        .dout = rn_cuda_view(dout),
        .dq = rn_cuda_view(dq),
        .dk = rn_cuda_view(dk),
        .dv = rn_cuda_view(dv),
        .row_delta = lane->row_delta,
        .cu = a->sequences.cu,
        .queries = (int32_t)q.rows,
        .head_dim = (int32_t)a->head_dim,
        .first_query = a->first_query,
        .scale = a->scale,
    };
    launch_attention(lane, form, form->queries, a->first_query ? 1 : a->sequences.longest, a,
                     &args);
    launch_attention(lane, form, form->keys, a->sequences.longest, a, &args);
}

static void move_rows(struct rn_lane *lane, enum rn_cuda_kernel kernel, struct rn_mat x,
                      const int32_t *index, struct rn_mat out, uint32_t rows)
{
    const struct rn_rows_args args = {.x = rn_cuda_view(x),
                                      .out = rn_cuda_view(out),
                                      .index = index,
                                      .rows = (int32_t)rows,
                                      .cols = (int32_t)out.cols};
    rn_cuda_launch_rows(lane, kernel, rows, out.cols, &args);
}

void rn_cuda_gather_rows_op(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                            struct rn_mat out)
{
    move_rows(lane, RN_ID_rn_cuda_gather_rows, x, index, out, out.rows);
}

void rn_cuda_scatter_add_rows_op(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                                 struct rn_mat y)
{
    move_rows(lane, RN_ID_rn_cuda_scatter_add_rows, x, index, y, x.rows);
}

void rn_cuda_zero_mat_op(struct rn_lane *lane, struct rn_mat m)
{
    move_rows(lane, RN_ID_rn_cuda_zero_mat, (struct rn_mat){0}, NULL, m, m.rows);
}

/* As many rows at a time as the lane's float32 memory holds. */
void rn_cuda_read_mat_op(struct rn_lane *lane, struct rn_mat m, float *to_host)
{
    RN_BUG_IF(m.cols > lane->read_count);
    if (m.cols == 0) {
        return;
    }
    const uint32_t most = (uint32_t)(lane->read_count / m.cols);
    for (uint32_t row = 0; row < m.rows; row += most) {
        const uint32_t count = m.rows - row < most ? m.rows - row : most;
        const struct rn_mat some = rn_cuda_rows(m, row, count);
        const struct rn_mat out = {
            .data = lane->read, .rows = count, .cols = m.cols, .ld = m.cols, .type = RN_F32};
        move_rows(lane, RN_ID_rn_cuda_read_mat, some, NULL, out, count);
        rn_port_download(lane->port, to_host + (size_t)row * m.cols, lane->read,
                         (size_t)count * m.cols * sizeof(float));
    }
}
