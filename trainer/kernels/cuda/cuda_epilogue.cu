/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows a matrix product, in one pass over its result: bias, rank update, stored
 * pre-activation, activation, slope. A residual of the result's type is added inside the product.
 */
#include "trainer/kernels/cuda/cudakernel.h"

enum { CHUNK = 8, ROWS = 4 };

static __device__ __forceinline__ void finish_chunk(struct rn_epilogue_args a, int64_t row,
                                                    int32_t c, float s[CHUNK])
{
    float kept[CHUNK], slope[CHUNK];
    if (a.slope.data) {
        rn_load8(rn_at(a.slope, row, c), kept);
    }
#pragma unroll
    for (int j = 0; j < CHUNK; j++) {
        s[j] = rn_activate(a.activation, s[j], &slope[j]);
        if (a.slope.data) {
            s[j] *= rn_slope(a.slope_of, kept[j]);
        }
    }
    if (a.pre.data) {
        rn_store8(slope, rn_at(a.pre, row, c));
    }
    rn_store8(s, rn_at(a.y, row, c));
}

/* The right factor of the row's adapter. */
static __device__ __forceinline__ const float *factor_of(struct rn_epilogue_args a, int64_t row)
{
    return a.owner ? a.b + a.owner[row] * a.owner_stride : a.b;
}

/* Block (4 rows, tile of columns). A thread has 8 columns of the 4 rows, so that each element of b
 * is read once for 4 rows of one adapter. Columns in multiples of 8, every matrix bf16 and aligned
 * to 16 bytes; h of either type. */
RN_KERNEL(rn_cuda_epilogue, struct rn_epilogue_args)
{
    const int32_t c = (int32_t)(blockIdx.y * blockDim.x + threadIdx.x) * CHUNK;
    const int64_t first = (int64_t)blockIdx.x * ROWS;
    const int rows = a.rows - first < ROWS ? (int)(a.rows - first) : ROWS;
    float s[ROWS][CHUNK], b[CHUNK];
    const float *factor[ROWS];
    if (c >= a.cols) {
        return;
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        if (i < rows) {
            rn_load8(rn_at(a.source, first + i, c), s[i]);
            factor[i] = factor_of(a, first + i);
        }
    }
    if (a.bias) {
        rn_load8f(a.bias + c, b);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
#pragma unroll
            for (int j = 0; j < CHUNK; j++) {
                s[i][j] = i < rows ? s[i][j] + b[j] : 0.0f;
            }
        }
    }
    for (int32_t r = 0; r < a.rank; r++) {
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            if (i < rows) {
                if (i == 0 || factor[i] != factor[i - 1]) {
                    rn_load8f(factor[i] + (int64_t)r * a.cols + c, b);
                }
                const float h = rn_get(a.h, first + i, r);
#pragma unroll
                for (int j = 0; j < CHUNK; j++) {
                    s[i][j] = fmaf(h, b[j], s[i][j]);
                }
            }
        }
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        if (i < rows) {
            finish_chunk(a, first + i, c, s[i]);
        }
    }
}

/* The same for any shape, alignment and element type: block (row, tile of columns), a thread has
 * one element. */
RN_KERNEL(rn_cuda_epilogue_any, struct rn_epilogue_args)
{
    const int32_t c = (int32_t)(blockIdx.y * blockDim.x + threadIdx.x);
    const int64_t row = blockIdx.x;
    if (c >= a.cols) {
        return;
    }
    float slope, s = rn_get(a.source, row, c) + (a.bias ? a.bias[c] : 0.0f);
    for (int32_t r = 0; r < a.rank; r++) {
        s = fmaf(rn_get(a.h, row, r), factor_of(a, row)[(int64_t)r * a.cols + c], s);
    }
    if (a.residual.data) {
        s += rn_get(a.residual, row, c);
    }
    s = rn_activate(a.activation, s, &slope);
    if (a.pre.data) {
        rn_put(a.pre, row, c, slope);
    }
    if (a.slope.data) {
        s *= rn_slope(a.slope_of, rn_get(a.slope, row, c));
    }
    rn_put(a.y, row, c, s);
}
