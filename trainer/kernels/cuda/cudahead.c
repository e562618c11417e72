/* SPDX-License-Identifier: Apache-2.0
 *
 * Head, losses, flat vectors and optimisers of the CUDA backend.
 */
#include "trainer/kernels/cuda/cudabackend.h"

#include <math.h>

void rn_cuda_dense_op(struct rn_lane *lane, struct rn_mat x, const float *w, const float *bias,
                      enum rn_activation activation, struct rn_mat y)
{
    const struct rn_dense_args args = {.x = rn_cuda_view(x),
                                       .y = rn_cuda_view(y),
                                       .w = w,
                                       .bias = bias,
                                       .rows = (int32_t)y.rows,
                                       .n = (int32_t)y.cols,
                                       .k = (int32_t)x.cols,
                                       .activation = (int32_t)activation};
    if (y.rows > 0) {
        rn_port_launch(lane->port, RN_ID_rn_cuda_dense,
                       (struct rn_port_grid){y.cols, 1, 1, RN_CUDA_THREADS}, &args);
    }
}

void rn_cuda_dense_back_op(struct rn_lane *lane, struct rn_mat dy, const float *w,
                           struct rn_mat kept, enum rn_activation slope_of, struct rn_mat dx)
{
    const struct rn_dense_back_args args = {.dy = rn_cuda_view(dy),
                                            .slope = rn_cuda_view(kept),
                                            .dx = rn_cuda_view(dx),
                                            .w = w,
                                            .rows = (int32_t)dx.rows,
                                            .n = (int32_t)dy.cols,
                                            .k = (int32_t)dx.cols,
                                            .slope_of = (int32_t)slope_of};
    rn_cuda_launch_rows(lane, RN_ID_rn_cuda_dense_back,
                        (dx.rows + RN_CUDA_DENSE_ROWS - 1) / RN_CUDA_DENSE_ROWS, dx.cols, &args);
}

void rn_cuda_column_sum_op(struct rn_lane *lane, struct rn_mat m, float *out)
{
    const struct rn_column_sum_args args = {
        .m = rn_cuda_view(m), .out = out, .rows = (int32_t)m.rows, .cols = (int32_t)m.cols};
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_column_sum, m.cols, &args);
}

static struct rn_loss_args loss_args(struct rn_mat logits, const int32_t *labels,
                                     const float *targets, float scale, struct rn_mat dlogits,
                                     double *loss)
{
    return (struct rn_loss_args){.logits = rn_cuda_view(logits),
                                 .dlogits = rn_cuda_view(dlogits),
                                 .labels = labels,
                                 .targets = targets,
                                 .loss = loss,
                                 .rows = (int32_t)logits.rows,
                                 .cols = (int32_t)logits.cols,
                                 .scale = scale};
}

void rn_cuda_cross_entropy_op(struct rn_lane *lane, struct rn_mat logits, const int32_t *labels,
                              float scale, struct rn_mat dlogits, double *loss)
{
    const struct rn_loss_args args = loss_args(logits, labels, NULL, scale, dlogits, loss);
    rn_cuda_launch_warps(lane, RN_ID_rn_cuda_cross_entropy, logits.rows, &args);
}

void rn_cuda_squared_error_op(struct rn_lane *lane, struct rn_mat logits, const float *targets,
                              float scale, struct rn_mat dlogits, double *loss)
{
    const struct rn_loss_args args = loss_args(logits, NULL, targets, scale, dlogits, loss);
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_squared_error, logits.rows, &args);
}

void rn_cuda_vector_add_op(struct rn_lane *lane, size_t n, const float *x, float *y)
{
    const struct rn_vector_args args = {.x = x, .y = y, .n = (int64_t)n};
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_vector_add, n, &args);
}

void rn_cuda_vector_scale_op(struct rn_lane *lane, size_t n, float factor, float *x)
{
    const struct rn_vector_args args = {.y = x, .n = (int64_t)n, .factor = factor};
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_vector_scale, n, &args);
}

double rn_cuda_vector_square_sum_op(struct rn_lane *lane, size_t n, const float *x)
{
    const size_t most = (size_t)RN_CUDA_SQUARE_PARTS * RN_CUDA_SQUARE_STRETCH;
    double sum = 0.0;
    for (size_t done = 0; done < n; done += most) {
        const size_t now = n - done < most ? n - done : most;
        const size_t parts = (now + RN_CUDA_SQUARE_STRETCH - 1) / RN_CUDA_SQUARE_STRETCH;
        const struct rn_square_sum_args args = {
            .x = x + done, .part = lane->square_parts, .n = (int64_t)now};
        rn_port_launch(lane->port, RN_ID_rn_cuda_square_sum,
                       (struct rn_port_grid){(unsigned)parts, 1, 1, RN_CUDA_THREADS}, &args);
        rn_port_download(lane->port, lane->square_parts_host, lane->square_parts,
                         parts * sizeof(double));
        for (size_t i = 0; i < parts; i++) {
            sum += lane->square_parts_host[i];
        }
    }
    return sum;
}

void rn_cuda_sgd_op(struct rn_lane *lane, size_t n, float lr, float weight_decay, const float *g,
                    float *p)
{
    const struct rn_sgd_args args = {
        .g = g, .p = p, .n = (int64_t)n, .lr = lr, .weight_decay = weight_decay};
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_sgd, n, &args);
}

void rn_cuda_adamw_op(struct rn_lane *lane, size_t n, const struct rn_adamw *o, const float *g,
                      float *m, float *v, float *p)
{
    const double lr = (double)o->lr;
    const struct rn_adamw_args args = {
        .g = g,
        .m = m,
        .v = v,
        .p = p,
        .n = (int64_t)n,
        .beta1 = o->beta1,
        .beta2 = o->beta2,
        .eps = o->eps,
        .decay = (float)(1.0 - lr * (double)o->weight_decay),
        .step = (float)(lr / o->correction1),
        .root_scale = (float)(1.0 / sqrt(o->correction2)),
    };
    rn_cuda_launch_elements(lane, RN_ID_rn_cuda_adamw, n, &args);
}
