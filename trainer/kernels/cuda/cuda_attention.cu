/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention over packed sequences, once for each head size that the tensor cores take, and once for
 * any head size without them.
 *
 * Forward (online softmax over tiles of keys that start at the sequence's first token):
 *     s = scale q k^T, out = softmax(s) v, lse = log sum exp s
 * Backward in two kernels, so that nothing is added by two blocks: _queries forms
 *     delta = sum(dout * out), p = exp(s - lse), ds = p (dout v^T - delta) scale, dq = ds k
 * and leaves delta in float32; _keys forms dv = p^T dout and dk = ds^T q.
 */
#include "trainer/kernels/cuda/cudakernel.h"

enum { LANES = 32 };

/* Where the block's sequence lies: rows of k and v, and rows of q. */
struct place {
    int32_t key_first, keys, query_first, queries;
};

static __device__ __forceinline__ struct place place_of(struct rn_attention_args a)
{
    const int32_t sequence = (int32_t)blockIdx.z;
    struct place out;
    out.key_first = a.cu[sequence];
    out.keys = a.cu[sequence + 1] - a.cu[sequence];
    out.query_first = a.first_query ? sequence : out.key_first;
    out.queries = a.first_query ? 1 : out.keys;
    return out;
}

/* Sum and maximum over the four lanes that share a row of an mma result. */
static __device__ __forceinline__ float quad_sum(float v)
{
    v += __shfl_xor_sync(RN_FULL_WARP, v, 1);
    return v + __shfl_xor_sync(RN_FULL_WARP, v, 2);
}

static __device__ __forceinline__ float quad_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(RN_FULL_WARP, v, 1));
    return fmaxf(v, __shfl_xor_sync(RN_FULL_WARP, v, 2));
}

#define RN_JOIN_(a, b) a##b
#define RN_JOIN(a, b) RN_JOIN_(a, b)
#define RN_NAMED(name) RN_JOIN(name, RN_HEAD)

#define RN_HEAD 16
#include "trainer/kernels/cuda/cuda_attention_tile.body.h"
#undef RN_HEAD
#define RN_HEAD 32
#include "trainer/kernels/cuda/cuda_attention_tile.body.h"
#undef RN_HEAD
#define RN_HEAD 64
#include "trainer/kernels/cuda/cuda_attention_tile.body.h"
#undef RN_HEAD
#define RN_HEAD 96
#include "trainer/kernels/cuda/cuda_attention_tile.body.h"
#undef RN_HEAD
#define RN_HEAD 128
#include "trainer/kernels/cuda/cuda_attention_tile.body.h"
#undef RN_HEAD

/* ---- any head size and element type: one warp a query or key, block (group, head, sequence) ----
 */

static __device__ __forceinline__ float dot_rows(struct rn_cuda_mat x, int64_t x_row,
                                                 struct rn_cuda_mat y, int64_t y_row, int32_t at,
                                                 int32_t width)
{
    float sum = 0.0f;
    for (int32_t c = at; c < at + width; c++) {
        sum = fmaf(rn_get(x, x_row, c), rn_get(y, y_row, c), sum);
    }
    return sum;
}

/* This warp's query or key of the sequence, or -1. */
static __device__ __forceinline__ int32_t item_of_warp(int32_t count)
{
    const int32_t warps = (int32_t)(blockDim.x / LANES), warp = (int32_t)(threadIdx.x / LANES);
    const int32_t item = (int32_t)blockIdx.x * warps + warp;
    return warp < warps && item < count ? item : -1;
}

/* log sum exp of one query's scores. */
static __device__ __forceinline__ float query_lse(struct rn_attention_args a, struct place at,
                                                  int64_t row, int32_t column)
{
    const int32_t lane = (int32_t)(threadIdx.x % LANES);
    float most = RN_MINUS_INFINITY, sum = 0.0f;
    for (int32_t j = lane; j < at.keys; j += LANES) {
        most = fmaxf(most, a.scale * dot_rows(a.q, row, a.k, at.key_first + j, column, a.head_dim));
    }
    most = rn_warp_max(most);
    for (int32_t j = lane; j < at.keys; j += LANES) {
        sum += expf(a.scale * dot_rows(a.q, row, a.k, at.key_first + j, column, a.head_dim) - most);
    }
    return most + logf(rn_warp_sum(sum));
}

RN_KERNEL(rn_cuda_attention_any, struct rn_attention_args)
{
    const struct place at = place_of(a);
    const int32_t item = item_of_warp(at.queries), lane = (int32_t)(threadIdx.x % LANES);
    const int32_t column = (int32_t)blockIdx.y * a.head_dim;
    if (item < 0) {
        return;
    }
    const int64_t row = at.query_first + item;
    const float lse = query_lse(a, at, row, column);
    for (int32_t c = lane; c < a.head_dim; c += LANES) {
        float sum = 0.0f;
        for (int32_t j = 0; j < at.keys; j++) {
            const float s = a.scale * dot_rows(a.q, row, a.k, at.key_first + j, column, a.head_dim);
            sum = fmaf(expf(s - lse), rn_get(a.v, at.key_first + j, column + c), sum);
        }
        rn_put(a.out, row, column + c, sum);
    }
    if (lane == 0 && a.lse.data) {
        rn_put(a.lse, row, blockIdx.y, lse);
    }
}

/* ds of one pair of query row and key row. */
static __device__ __forceinline__ float score_slope(struct rn_attention_args a, int64_t row,
                                                    int64_t key, int32_t column, float lse,
                                                    float delta, float *p)
{
    *p = expf(a.scale * dot_rows(a.q, row, a.k, key, column, a.head_dim) - lse);
    return *p * (dot_rows(a.dout, row, a.v, key, column, a.head_dim) - delta) * a.scale;
}

RN_KERNEL(rn_cuda_attention_back_queries_any, struct rn_attention_args)
{
    const struct place at = place_of(a);
    const int32_t item = item_of_warp(at.queries), lane = (int32_t)(threadIdx.x % LANES);
    const int32_t column = (int32_t)blockIdx.y * a.head_dim;
    if (item < 0) {
        return;
    }
    const int64_t row = at.query_first + item;
    const float lse = rn_get(a.lse, row, blockIdx.y);
    const float delta = dot_rows(a.out, row, a.dout, row, column, a.head_dim);
    for (int32_t c = lane; c < a.head_dim; c += LANES) {
        float sum = 0.0f, p;
        for (int32_t j = 0; j < at.keys; j++) {
            const float ds = score_slope(a, row, at.key_first + j, column, lse, delta, &p);
            sum = fmaf(ds, rn_get(a.k, at.key_first + j, column + c), sum);
        }
        rn_put(a.dq, row, column + c, sum);
    }
    if (lane == 0) {
        a.row_delta[(int64_t)blockIdx.y * a.queries + row] = delta;
    }
}

RN_KERNEL(rn_cuda_attention_back_keys_any, struct rn_attention_args)
{
    const struct place at = place_of(a);
    const int32_t item = item_of_warp(at.keys), lane = (int32_t)(threadIdx.x % LANES);
    const int32_t column = (int32_t)blockIdx.y * a.head_dim;
    if (item < 0) {
        return;
    }
    const int64_t key = at.key_first + item;
    for (int32_t c = lane; c < a.head_dim; c += LANES) {
        float dk = 0.0f, dv = 0.0f, p;
        for (int32_t i = 0; i < at.queries; i++) {
            const int64_t row = at.query_first + i;
            const float ds = score_slope(a, row, key, column, rn_get(a.lse, row, blockIdx.y),
                                         a.row_delta[(int64_t)blockIdx.y * a.queries + row], &p);
            dk = fmaf(ds, rn_get(a.q, row, column + c), dk);
            dv = fmaf(p, rn_get(a.dout, row, column + c), dv);
        }
        rn_put(a.dk, key, column + c, dk);
        rn_put(a.dv, key, column + c, dv);
    }
}
