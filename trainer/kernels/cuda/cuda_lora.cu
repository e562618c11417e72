/* SPDX-License-Identifier: Apache-2.0
 *
 * The thin products of LoRA: h = x A^T, and the gradients dA and dB as sums of outer products, one
 * partial gradient a sequence, added in the order of the sequences.
 */
#include "trainer/kernels/cuda/cudakernel.h"

enum {
    LANES = 32,
    CHUNK = 8,
    ROWS = RN_CUDA_THIN_ROWS,
    RANKS = RN_CUDA_OUTER_RANKS,
    TOKENS = RN_CUDA_OUTER_TOKENS
};

/* First of this warp's rows, or -1. */
static __device__ __forceinline__ int64_t rows_of_warp(int32_t rows)
{
    const int64_t warps = blockDim.x / LANES;
    const int64_t first = (blockIdx.x * warps + threadIdx.x / LANES) * ROWS;
    return threadIdx.x / LANES < warps && first < rows ? first : -1;
}

static __device__ __forceinline__ void put_sums(struct rn_thin_args a, int64_t first, int32_t r,
                                                const float sum[ROWS])
{
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        const float h = rn_warp_sum(sum[i]);
        if (threadIdx.x % LANES == 0 && first + i < a.rows) {
            rn_put(a.h, first + i, r, h);
        }
    }
}

/* One warp computes ROWS rows and RANKS columns at a time, so that each element of w is read once
 * for ROWS rows and each of x once for RANKS columns. */
RN_KERNEL(rn_cuda_thin, struct rn_thin_args)
{
    const int64_t first = rows_of_warp(a.rows);
    if (first < 0) {
        return;
    }
    for (int32_t r0 = 0; r0 < a.rank; r0 += RANKS) {
        float sum[RANKS][ROWS], x[ROWS][CHUNK], w[CHUNK];
#pragma unroll
        for (int r = 0; r < RANKS; r++) {
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
                sum[r][i] = 0.0f;
            }
        }
        for (int32_t c = (int32_t)(threadIdx.x % LANES) * CHUNK; c < a.cols; c += LANES * CHUNK) {
#pragma unroll
            for (int i = 0; i < ROWS; i++) { /* a row that is not there repeats the first */
                rn_load8(rn_at(a.x, first + i < a.rows ? first + i : first, c), x[i]);
            }
#pragma unroll
            for (int r = 0; r < RANKS; r++) {
                if (r0 + r < a.rank) {
                    rn_load8f(a.w + (int64_t)(r0 + r) * a.cols + c, w);
#pragma unroll
                    for (int i = 0; i < ROWS; i++) {
#pragma unroll
                        for (int j = 0; j < CHUNK; j++) {
                            sum[r][i] = fmaf(x[i][j], w[j], sum[r][i]);
                        }
                    }
                }
            }
        }
#pragma unroll
        for (int r = 0; r < RANKS; r++) {
            if (r0 + r < a.rank) {
                put_sums(a, first, r0 + r, sum[r]);
            }
        }
    }
}

RN_KERNEL(rn_cuda_thin_any, struct rn_thin_args)
{
    const int64_t first = rows_of_warp(a.rows);
    if (first < 0) {
        return;
    }
    for (int32_t r = 0; r < a.rank; r++) {
        float sum[ROWS];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            sum[i] = 0.0f;
        }
        for (int32_t c = (int32_t)(threadIdx.x % LANES); c < a.cols; c += LANES) {
            const float w = a.w[(int64_t)r * a.cols + c];
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
                if (first + i < a.rows) {
                    sum[i] = fmaf(rn_get(a.x, first + i, c), w, sum[i]);
                }
            }
        }
        put_sums(a, first, r, sum);
    }
}

RN_KERNEL(rn_cuda_thin_transpose, struct rn_thin_transpose_args)
{
    const int32_t c = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
    const int32_t r = (int32_t)blockIdx.y;
    if (c < a.n) {
        a.out[(int64_t)r * a.n + c] = a.scale * a.b[(int64_t)c * a.rank + r];
    }
}

RN_KERNEL(rn_cuda_thin_transposes, struct rn_thin_transposes_args)
{
    const int32_t c = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
    const int32_t r = (int32_t)blockIdx.y, n = a.sites[blockIdx.z].n;
    if (c < n) {
        a.out[a.sites[blockIdx.z].out + (int64_t)r * n + c] =
            a.scale * a.b[a.sites[blockIdx.z].b + (int64_t)c * a.rank + r];
    }
}

/* Tokens in order for every element. The block's threads share u through shared memory; a thread
 * keeps RANKS sums of one column in registers. */
RN_KERNEL(rn_cuda_outer, struct rn_outer_args)
{
    RN_SHARED float u[TOKENS * RANKS];
    const int32_t sequence = a.first + (int32_t)blockIdx.z;
    const int32_t c = (int32_t)(blockIdx.x * blockDim.x + threadIdx.x);
    const int32_t p0 = (int32_t)blockIdx.y * RANKS;
    const int64_t begin = a.cu ? a.cu[sequence] : sequence;
    const int64_t end = a.cu ? a.cu[sequence + 1] : sequence + 1;
    float sum[RANKS];
#pragma unroll
    for (int p = 0; p < RANKS; p++) {
        sum[p] = 0.0f;
    }
    for (int64_t t = begin; t < end; t += TOKENS) {
        const int count = end - t < TOKENS ? (int)(end - t) : TOKENS;
        for (int i = (int)threadIdx.x; i < count * RANKS; i += (int)blockDim.x) {
            const int32_t p = p0 + i % RANKS;
            u[i] = p < a.rank ? rn_get(a.u, t + i / RANKS, p) : 0.0f;
        }
        __syncthreads();
        if (c < a.cols) {
            for (int i = 0; i < count; i++) {
                const float v = rn_get(a.v, t + i, c);
#pragma unroll
                for (int p = 0; p < RANKS; p++) {
                    sum[p] = fmaf(u[i * RANKS + p], v, sum[p]);
                }
            }
        }
        __syncthreads(); /* u is written again */
    }
    if (c < a.cols) {
        float *out = a.out + (int64_t)blockIdx.z * a.stride + c * a.step_c;
#pragma unroll
        for (int p = 0; p < RANKS; p++) {
            if (p0 + p < a.rank) {
                out[(p0 + p) * a.step_p] = rn_multiply(a.scale, sum[p]);
            }
        }
    }
}

RN_KERNEL(rn_cuda_outer_sum, struct rn_outer_sum_args)
{
    const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= a.n) {
        return;
    }
    float sum = a.out[i];
    for (int32_t s = 0; s < a.count; s++) {
        sum = rn_add(sum, a.part[s * a.n + i]);
    }
    a.out[i] = sum;
}

/* Block (p, tile of columns): the gradient of a matrix whose rows of u and v are one a sequence,
 * with the bits that rn_cuda_outer and rn_cuda_outer_sum would give. */
RN_KERNEL(rn_cuda_outer_rows, struct rn_outer_rows_args)
{
    const int32_t p = (int32_t)blockIdx.x;
    const int32_t c = (int32_t)(blockIdx.y * blockDim.x + threadIdx.x);
    if (c >= a.cols) {
        return;
    }
    float *out = a.out + p * a.step_p + c * a.step_c;
    float sum = *out;
    for (int32_t row = 0; row < a.rows; row++) {
        const float product = rn_multiply(rn_get(a.u, row, p), rn_get(a.v, row, c));
        sum = rn_add(sum, rn_multiply(a.scale, product));
    }
    *out = sum;
}
