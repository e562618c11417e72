/* SPDX-License-Identifier: Apache-2.0
 *
 * LayerNorm with frozen gamma and beta, forward and backward, and the embedding before it. One warp
 * a row: no block barrier, and a row's sum has one order whatever the launch. The row stays in
 * registers between the passes when its length is a multiple of 8 up to 2048.
 */
#include "trainer/kernels/cuda/cudakernel.h"

enum { CHUNK = 8, LANES = 32, CHUNKS_MAX = 8 };

/* This warp's row, or -1. Warps of fewer than 32 threads at the end of a block do nothing. */
static __device__ __forceinline__ int64_t row_of_warp(int32_t rows)
{
    const int64_t warps = blockDim.x / LANES;
    const int64_t row = blockIdx.x * warps + threadIdx.x / LANES;
    return threadIdx.x / LANES < warps && row < rows ? row : -1;
}

/* First column of this lane's chunk i. */
static __device__ __forceinline__ int32_t column_of(int i)
{
    return (int32_t)(threadIdx.x % LANES + (unsigned)i * LANES) * CHUNK;
}

/* Statistics of a row: float32, because bf16 is too coarse for them. */
static __device__ __forceinline__ void put_stats(struct rn_cuda_mat stats, int64_t row, float mean,
                                                 float rstd)
{
    if (threadIdx.x % LANES == 0) {
        rn_put(stats, row, 0, mean);
        rn_put(stats, row, 1, rstd);
    }
}

/* Mean and 1/deviation of the row that the warp's lanes hold in v. */
static __device__ __forceinline__ void row_stats(float v[CHUNKS_MAX][CHUNK], int chunks,
                                                 int32_t cols, float eps, float *mean, float *rstd)
{
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < chunks; i++) {
        if (column_of(i) < cols) {
#pragma unroll
            for (int j = 0; j < CHUNK; j++) {
                sum += v[i][j];
            }
        }
    }
    *mean = rn_warp_sum(sum) / (float)cols;
    sum = 0.0f;
#pragma unroll
    for (int i = 0; i < chunks; i++) {
        if (column_of(i) < cols) {
#pragma unroll
            for (int j = 0; j < CHUNK; j++) {
                sum += (v[i][j] - *mean) * (v[i][j] - *mean);
            }
        }
    }
    *rstd = 1.0f / sqrtf(rn_warp_sum(sum) / (float)cols + eps);
}

static __device__ __forceinline__ void norm_body(struct rn_norm_args a, int chunks)
{
    const int64_t row = row_of_warp(a.rows);
    float v[CHUNKS_MAX][CHUNK], mean, rstd;
    if (row < 0) {
        return;
    }
#pragma unroll
    for (int i = 0; i < chunks; i++) {
        if (column_of(i) < a.cols) {
            rn_load8(rn_at(a.x, row, column_of(i)), v[i]);
        }
    }
    row_stats(v, chunks, a.cols, a.eps, &mean, &rstd);
#pragma unroll
    for (int i = 0; i < chunks; i++) {
        const int32_t c = column_of(i);
        float gamma[CHUNK], beta[CHUNK];
        if (c < a.cols) {
            rn_load8f(a.gamma + c, gamma);
            rn_load8f(a.beta + c, beta);
#pragma unroll
            for (int j = 0; j < CHUNK; j++) {
                v[i][j] = (v[i][j] - mean) * rstd * gamma[j] + beta[j];
            }
            rn_store8(v[i], rn_at(a.y, row, c));
        }
    }
    put_stats(a.stats, row, mean, rstd);
}

RN_KERNEL(rn_cuda_norm_1024, struct rn_norm_args)
{
    norm_body(a, 4);
}

RN_KERNEL(rn_cuda_norm_2048, struct rn_norm_args)
{
    norm_body(a, 8);
}

/* Rows of any length, from memory in each pass. */
RN_KERNEL(rn_cuda_norm_any, struct rn_norm_args)
{
    const int64_t row = row_of_warp(a.rows);
    const int32_t lane = (int32_t)(threadIdx.x % LANES);
    if (row < 0) {
        return;
    }
    float sum = 0.0f;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        sum += rn_get(a.x, row, c);
    }
    const float mean = rn_warp_sum(sum) / (float)a.cols;
    sum = 0.0f;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        const float v = rn_get(a.x, row, c) - mean;
        sum += v * v;
    }
    const float rstd = 1.0f / sqrtf(rn_warp_sum(sum) / (float)a.cols + a.eps);
    for (int32_t c = lane; c < a.cols; c += LANES) {
        rn_put(a.y, row, c, (rn_get(a.x, row, c) - mean) * rstd * a.gamma[c] + a.beta[c]);
    }
    put_stats(a.stats, row, mean, rstd);
}

/* dx = rstd (g - mean(g) - xhat mean(g xhat)), g = dy gamma, xhat = (x - mean) rstd. */
static __device__ __forceinline__ void norm_back_body(struct rn_norm_back_args a, int chunks)
{
    const int64_t row = row_of_warp(a.rows);
    float x[CHUNKS_MAX][CHUNK], g[CHUNKS_MAX][CHUNK];
    if (row < 0) {
        return;
    }
    const float mean = rn_get(a.stats, row, 0), rstd = rn_get(a.stats, row, 1);
    float sum = 0.0f, product = 0.0f;
#pragma unroll
    for (int i = 0; i < chunks; i++) {
        const int32_t c = column_of(i);
        float gamma[CHUNK];
        if (c < a.cols) {
            rn_load8f(a.gamma + c, gamma);
            rn_load8(rn_at(a.x, row, c), x[i]);
            rn_load8(rn_at(a.dy, row, c), g[i]);
#pragma unroll
            for (int j = 0; j < CHUNK; j++) {
                x[i][j] = (x[i][j] - mean) * rstd;
                g[i][j] *= gamma[j];
                sum += g[i][j];
                product += g[i][j] * x[i][j];
            }
        }
    }
    sum = rn_warp_sum(sum) / (float)a.cols;
    product = rn_warp_sum(product) / (float)a.cols;
#pragma unroll
    for (int i = 0; i < chunks; i++) {
        const int32_t c = column_of(i);
        if (c < a.cols) {
#pragma unroll
            for (int j = 0; j < CHUNK; j++) {
                g[i][j] = rstd * (g[i][j] - sum - x[i][j] * product);
            }
            rn_store8(g[i], rn_at(a.dx, row, c));
        }
    }
}

RN_KERNEL(rn_cuda_norm_back_1024, struct rn_norm_back_args)
{
    norm_back_body(a, 4);
}

RN_KERNEL(rn_cuda_norm_back_2048, struct rn_norm_back_args)
{
    norm_back_body(a, 8);
}

RN_KERNEL(rn_cuda_norm_back_any, struct rn_norm_back_args)
{
    const int64_t row = row_of_warp(a.rows);
    const int32_t lane = (int32_t)(threadIdx.x % LANES);
    if (row < 0) {
        return;
    }
    const float mean = rn_get(a.stats, row, 0), rstd = rn_get(a.stats, row, 1);
    float sum = 0.0f, product = 0.0f;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        const float g = rn_get(a.dy, row, c) * a.gamma[c];
        sum += g;
        product += g * ((rn_get(a.x, row, c) - mean) * rstd);
    }
    sum = rn_warp_sum(sum) / (float)a.cols;
    product = rn_warp_sum(product) / (float)a.cols;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        const float g = rn_get(a.dy, row, c) * a.gamma[c];
        const float xhat = (rn_get(a.x, row, c) - mean) * rstd;
        rn_put(a.dx, row, c, rstd * (g - sum - xhat * product));
    }
}

static __device__ __forceinline__ float embedded(struct rn_embed_args a, int64_t row, int32_t c)
{
    float v = a.words[(int64_t)a.ids[row] * a.cols + c];
    if (a.types) {
        v += a.types[(int64_t)a.type_ids[row] * a.cols + c];
    }
    return v + a.positions[(int64_t)a.position_ids[row] * a.cols + c];
}

RN_KERNEL(rn_cuda_embed, struct rn_embed_args)
{
    const int64_t row = row_of_warp(a.rows);
    const int32_t lane = (int32_t)(threadIdx.x % LANES);
    if (row < 0) {
        return;
    }
    float sum = 0.0f;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        sum += embedded(a, row, c);
    }
    const float mean = rn_warp_sum(sum) / (float)a.cols;
    sum = 0.0f;
    for (int32_t c = lane; c < a.cols; c += LANES) {
        const float v = embedded(a, row, c) - mean;
        sum += v * v;
    }
    const float rstd = 1.0f / sqrtf(rn_warp_sum(sum) / (float)a.cols + a.eps);
    for (int32_t c = lane; c < a.cols; c += LANES) {
        rn_put(a.y, row, c, (embedded(a, row, c) - mean) * rstd * a.gamma[c] + a.beta[c]);
    }
}
