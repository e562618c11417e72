/* SPDX-License-Identifier: Apache-2.0
 *
 * The classifier above the first token's row: few rows, float32 parameters that may train, losses.
 */
#include "trainer/kernels/cuda/cudakernel.h"

enum { LANES = 32, ROWS = RN_CUDA_DENSE_ROWS };

/* Block n has output n; its warps take the rows in turn. */
RN_KERNEL(rn_cuda_dense, struct rn_dense_args)
{
    const int32_t warps = (int32_t)(blockDim.x / LANES), lane = (int32_t)(threadIdx.x % LANES);
    const int32_t n = (int32_t)blockIdx.x;
    const float *w = a.w + (int64_t)n * a.k;
    if ((int32_t)(threadIdx.x / LANES) >= warps) {
        return;
    }
    for (int32_t row = (int32_t)(threadIdx.x / LANES); row < a.rows; row += warps) {
        float sum = 0.0f;
        for (int32_t k = lane; k < a.k; k += LANES) {
            sum = fmaf(rn_get(a.x, row, k), w[k], sum);
        }
        sum = rn_warp_sum(sum);
        if (lane == 0) {
            float slope;
            sum = a.bias ? sum + a.bias[n] : sum;
            rn_put(a.y, row, n, rn_activate(a.activation, sum, &slope));
        }
    }
}

/* Block (ROWS rows, tile of columns); a thread has one column of the rows; the sum over n is in
 * order. */
RN_KERNEL(rn_cuda_dense_back, struct rn_dense_back_args)
{
    const int32_t k = (int32_t)(blockIdx.y * blockDim.x + threadIdx.x);
    const int64_t first = (int64_t)blockIdx.x * ROWS;
    float sum[ROWS];
    if (k >= a.k) {
        return;
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        sum[i] = 0.0f;
    }
    for (int32_t n = 0; n < a.n; n++) {
        const float w = a.w[(int64_t)n * a.k + k];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            if (first + i < a.rows) {
                sum[i] = fmaf(rn_get(a.dy, first + i, n), w, sum[i]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        if (first + i < a.rows) {
            const float slope =
                a.slope.data ? rn_slope(a.slope_of, rn_get(a.slope, first + i, k)) : 1.0f;
            rn_put(a.dx, first + i, k, sum[i] * slope);
        }
    }
}

RN_KERNEL(rn_cuda_column_sum, struct rn_column_sum_args)
{
    const int32_t c = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= a.cols) {
        return;
    }
    float sum = a.out[c];
    for (int32_t row = 0; row < a.rows; row++) {
        sum += rn_get(a.m, row, c);
    }
    a.out[c] = sum;
}

/* loss = log sum exp - logit of the label; dlogits = scale (softmax - one hot). A warp a row: a lane
 * has every 32nd class, and the lanes' sums meet in a tree. */
RN_KERNEL(rn_cuda_cross_entropy, struct rn_loss_args)
{
    const int32_t lane = (int32_t)(threadIdx.x % LANES), warps = (int32_t)(blockDim.x / LANES);
    const int64_t row = (int64_t)blockIdx.x * warps + threadIdx.x / LANES;
    if (row >= a.rows || (int32_t)(threadIdx.x / LANES) >= warps) {
        return;
    }
    float most = RN_MINUS_INFINITY;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        most = fmaxf(most, rn_get(a.logits, row, c));
    }
    most = rn_warp_max(most);
    double sum = 0.0;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        sum += exp((double)rn_get(a.logits, row, c) - (double)most);
    }
    const double log_sum = (double)most + log(rn_warp_sum_double(sum));
    if (lane == 0) {
        a.loss[row] = log_sum - (double)rn_get(a.logits, row, a.labels[row]);
    }
    if (!a.dlogits.data) {
        return;
    }
    for (int32_t c = lane; c < a.cols; c += LANES) {
        const double p = exp((double)rn_get(a.logits, row, c) - log_sum);
        rn_put(a.dlogits, row, c,
               (float)((double)a.scale * (p - (c == a.labels[row] ? 1.0 : 0.0))));
    }
}

RN_KERNEL(rn_cuda_squared_error, struct rn_loss_args)
{
    const int32_t row = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
    if (row >= a.rows) {
        return;
    }
    const double difference = (double)rn_get(a.logits, row, 0) - (double)a.targets[row];
    a.loss[row] = difference * difference;
    if (a.dlogits.data) {
        rn_put(a.dlogits, row, 0, (float)(2.0 * (double)a.scale * difference));
    }
}
