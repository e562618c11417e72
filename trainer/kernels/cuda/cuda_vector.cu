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

RN_KERNEL(rn_cuda_sgd, struct rn_sgd_args)
{
    const int64_t i = element();
    if (i < a.n) {
        a.p[i] -= a.lr * fmaf(a.weight_decay, a.p[i], a.g[i]);
    }
}

/* torch.optim.AdamW; the corrections are folded into step and root_scale. */
RN_KERNEL(rn_cuda_adamw, struct rn_adamw_args)
{
    const int64_t i = element();
    if (i >= a.n) {
        return;
    }
    const float g = a.g[i];
    const float m = fmaf(a.beta1, a.m[i], (1.0f - a.beta1) * g);
    const float v = fmaf(a.beta2, a.v[i], (1.0f - a.beta2) * g * g);
    a.m[i] = m;
    a.v[i] = v;
    a.p[i] = a.decay * a.p[i] - a.step * m / (sqrtf(v) * a.root_scale + a.eps);
}
