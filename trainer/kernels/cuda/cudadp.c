/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of examples on the CUDA backend.
 */
#include "trainer/kernels/cuda/cudabackend.h"

#include "base/guard.h"

#include <math.h>

void rn_cuda_rows_store_op(struct rn_lane *lane, struct rn_mat m, size_t stride, float *out)
{
    const struct rn_mat to = {out, m.rows, m.cols, stride, RN_F32};
    const struct rn_rows_args args = {.x = rn_cuda_view(m),
                                      .out = rn_cuda_view(to),
                                      .rows = (int32_t)m.rows,
                                      .cols = (int32_t)m.cols};
    rn_cuda_launch_rows(lane, RN_ID_rn_cuda_read_mat, m.rows, m.cols, &args);
}

/* Kernels in turn over a.count examples at a.grads. */
static void clip_group(struct rn_lane *lane, const struct rn_clip_args *a)
{
    enum { PIECES_OF_BLOCK = RN_CUDA_CLIP_THREADS / 16 };
    const unsigned pieces = (unsigned)a->pieces, count = (unsigned)a->count;
    rn_port_launch(lane->port, RN_ID_rn_cuda_clip_squares,
                   (struct rn_port_grid){(pieces + PIECES_OF_BLOCK - 1) / PIECES_OF_BLOCK, 1, count,
                                         RN_CUDA_CLIP_THREADS},
                   a);
    rn_port_launch(lane->port, RN_ID_rn_cuda_clip_factor,
                   (struct rn_port_grid){count, 1, 1, RN_CUDA_CLIP_THREADS}, a);
    rn_port_launch(lane->port, RN_ID_rn_cuda_clip_lengths,
                   (struct rn_port_grid){pieces, 1, count, RN_CUDA_CLIP_THREADS}, a);
    rn_port_launch(lane->port, RN_ID_rn_cuda_clip_check,
                   (struct rn_port_grid){count, 1, 1, RN_CUDA_CLIP_THREADS}, a);
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_clip_sum, (size_t)a->n, a);
}

/* As many examples at a time as the lane's memory for pieces holds, at least one. */
void rn_cuda_clip_add_op(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                         size_t stride, const struct rn_clip *clip, int64_t *sum, double *norms)
{
    const size_t pieces = (n + RN_CUDA_CLIP_PIECE - 1) / RN_CUDA_CLIP_PIECE;
    RN_BUG_IF(pieces == 0 || pieces > RN_CUDA_CLIP_PIECES);
    RN_BUG_IF(!(clip->norm > 0.0) || !(clip->gamma >= 0.0));
    RN_BUG_IF(!(clip->grid >= 1.0) || clip->grid > RN_CUDA_CLIP_GRID_MAX ||
              clip->grid != floor(clip->grid));
    const size_t fit = RN_CUDA_CLIP_PIECES / pieces;
    const uint32_t group = (uint32_t)(fit < RN_CUDA_CLIP_EXAMPLES ? fit : RN_CUDA_CLIP_EXAMPLES);
    struct rn_clip_args args = {
        .n = (int64_t)n,
        .stride = (int64_t)stride,
        .clip_norm = clip->norm,
        .gamma = clip->gamma,
        .unit = clip->grid / clip->norm,
        .grid = clip->grid,
        .squares = lane->clip_squares,
        .lengths = lane->clip_lengths,
        .factor = lane->clip_factor,
        .sum = sum,
        .pieces = (int32_t)pieces,
    };
    for (uint32_t first = 0; first < count; first += group) {
        args.grads = grads + (size_t)first * stride;
        args.norms = norms != NULL ? norms + first : NULL;
        args.count = (int32_t)(count - first < group ? count - first : group);
        clip_group(lane, &args);
    }
}

void rn_cuda_noisy_mean_op(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                           double factor, float *g)
{
    const struct rn_noisy_mean_args args = {
        .sum = sum, .noise = noise, .g = g, .n = (int64_t)n, .factor = factor};
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_noisy_mean, n, &args);
}
