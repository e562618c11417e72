/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows that are moved, flat float32 vectors, and the optimisers.
 */
#include "trainer/kernels/cuda/cudakernel.h"

static __device__ __forceinline__ int64_t element(void)
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ __forceinline__ int64_t column(void)
{
    return (int64_t)blockIdx.y * blockDim.x + threadIdx.x;
}

/* Block (row, tile of columns) for all row kernels. */
RN_KERNEL(rn_cuda_gather_rows, struct rn_rows_args)
{
    const int64_t c = column();
    if (c < a.cols) {
        rn_put(a.out, blockIdx.x, c, rn_get(a.x, a.index[blockIdx.x], c));
    }
}

RN_KERNEL(rn_cuda_scatter_add_rows, struct rn_rows_args)
{
    const int64_t c = column();
    if (c < a.cols) {
        const int64_t row = a.index[blockIdx.x];
        rn_put(a.out, row, c, rn_get(a.out, row, c) + rn_get(a.x, blockIdx.x, c));
    }
}

RN_KERNEL(rn_cuda_zero_mat, struct rn_rows_args)
{
    const int64_t c = column();
    if (c < a.cols) {
        rn_put(a.out, blockIdx.x, c, 0.0f);
    }
}

/* Also copies between element types. */
RN_KERNEL(rn_cuda_read_mat, struct rn_rows_args)
{
    const int64_t c = column();
    if (c < a.cols) {
        rn_put(a.out, blockIdx.x, c, rn_get(a.x, blockIdx.x, c));
    }
}

RN_KERNEL(rn_cuda_vector_add, struct rn_vector_args)
{
    const int64_t i = element();
    if (i < a.n) {
        a.y[i] += a.x[i];
    }
}

RN_KERNEL(rn_cuda_vector_scale, struct rn_vector_args)
{
    const int64_t i = element();
    if (i < a.n) {
        a.y[i] *= a.factor;
    }
}

RN_KERNEL(rn_cuda_narrow, struct rn_narrow_args)
{
    const int64_t i = element();
    if (i < a.n) {
        a.to[i] = rn_to_bf16(a.x[i]);
    }
}

/* One thread sums every blockDim-th element of the stretch; then thread 0 adds the threads' sums
 * in order. Any number of threads up to 1024. */
RN_KERNEL(rn_cuda_square_sum, struct rn_square_sum_args)
{
    RN_SHARED double sums[1024];
    const int64_t first = (int64_t)blockIdx.x * RN_CUDA_SQUARE_STRETCH;
    const int64_t rest = a.n - first;
    const int64_t count = rest < RN_CUDA_SQUARE_STRETCH ? rest : RN_CUDA_SQUARE_STRETCH;
    double sum = 0.0;
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
        sum += (double)a.x[first + i] * (double)a.x[first + i];
    }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (unsigned i = 1; i < blockDim.x; i++) {
            sum += sums[i];
        }
        a.part[blockIdx.x] = sum;
    }
}

RN_KERNEL(rn_cuda_spread, struct rn_spread_args)
{
    const int64_t i = element();
    if (i < a.parts[blockIdx.y].words) {
        a.parts[blockIdx.y].to[i] = a.from[a.parts[blockIdx.y].from + i];
    }
}

static __device__ __forceinline__ float sgd_step(float p, float g, float lr, float weight_decay)
{
    return p - lr * fmaf(weight_decay, p, g);
}

RN_KERNEL(rn_cuda_sgd, struct rn_sgd_args)
{
    const int64_t i = element();
    if (i < a.n) {
        a.p[i] = sgd_step(a.p[i], a.g[i], a.lr, a.weight_decay);
    }
}

/* torch.optim.AdamW; the corrections are folded into step and root_scale. */
static __device__ __forceinline__ float adamw_step(float p, float *m, float *v, float g,
                                                   float beta1, float beta2, float eps, float decay,
                                                   float step, float root_scale)
{
    *m = fmaf(beta1, *m, (1.0f - beta1) * g);
    *v = fmaf(beta2, *v, (1.0f - beta2) * g * g);
    return decay * p - step * *m / (sqrtf(*v) * root_scale + eps);
}

RN_KERNEL(rn_cuda_adamw, struct rn_adamw_args)
{
    const int64_t i = element();
    if (i < a.n) {
        a.p[i] = adamw_step(a.p[i], &a.m[i], &a.v[i], a.g[i], a.beta1, a.beta2, a.eps, a.decay,
                            a.step, a.root_scale);
    }
}

/* One block: the parts of each range in order, then the ranges in order, as the host would add
 * them. */
RN_KERNEL(rn_cuda_update_norm, struct rn_update_norm_args)
{
    RN_SHARED double part[256];
    const double *next = a.part;
    double square = 0.0;
    for (int r = 0; r < RN_CUDA_UPDATE_RANGES; r++) {
        double sum = 0.0;
        for (int32_t first = 0; first < a.parts[r]; first += (int32_t)blockDim.x) {
            const int32_t rest = a.parts[r] - first;
            const int32_t count = rest < (int32_t)blockDim.x ? rest : (int32_t)blockDim.x;
            if ((int32_t)threadIdx.x < count) {
                part[threadIdx.x] = next[first + (int32_t)threadIdx.x];
            }
            __syncthreads();
            for (int32_t i = 0; threadIdx.x == 0 && i < count; i++) {
                sum += part[i];
            }
            __syncthreads(); /* part is written again */
        }
        next += a.parts[r];
        square += sum;
    }
    if (threadIdx.x == 0) {
        const double factor = a.clip / (sqrt(square) + 1e-6);
        a.out->square = square;
        a.out->good = square - square == 0.0;
        a.out->factor = a.clip > 0.0 && factor < 1.0 ? (float)factor : 1.0f;
    }
}

RN_KERNEL(rn_cuda_update, struct rn_update_args)
{
    const int r = (int)blockIdx.y;
    if (!a.norm->good || element() >= a.count[r]) {
        return;
    }
    const int64_t i = a.offset[r] + element();
    const float g = rn_multiply(a.g[i], a.norm->factor);
    a.p[i] = a.m ? adamw_step(a.p[i], &a.m[i], &a.v[i], g, a.beta1, a.beta2, a.eps,
                              a.rates->decay[r], a.rates->step[r], a.rates->root_scale)
                 : sgd_step(a.p[i], g, a.rates->lr[r], a.weight_decay);
}
