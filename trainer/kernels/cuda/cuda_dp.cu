/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients of examples, clipped to whole numbers and added exactly (kernels.h, clip_add). Five
 * kernels in turn: squares of pieces, norm and factor, exact lengths of pieces, check, sum. What an
 * example contributes depends on its own gradient alone, and whole numbers are added in any order.
 *
 * Bits: squares of float32 are exact in float64, fused or not; no other product meets a sum here.
 * The norm's order is fixed: 16 chains a piece, a tree over them, pieces in order with compensation
 * (Neumaier); the CPU backend's is the same.
 */
#include "trainer/kernels/cuda/cudakernel.h"

enum { THREADS = RN_CUDA_CLIP_THREADS, CHAINS = 16, PIECE = RN_CUDA_CLIP_PIECE };

static __device__ __forceinline__ const float *gradient_of(struct rn_clip_args a, int64_t example)
{
    return a.grads + example * a.stride;
}

/* Sum of the squares of one piece by half a warp; block (THREADS / 16 pieces, 1, example). */
RN_KERNEL(rn_cuda_clip_squares, struct rn_clip_args)
{
    const float *g = gradient_of(a, blockIdx.z);
    const int64_t piece = blockIdx.x * (blockDim.x / CHAINS) + threadIdx.x / CHAINS;
    const int64_t first = piece * PIECE;
    const int64_t end = first + PIECE < a.n ? first + PIECE : a.n;
    double sum = 0.0;
    for (int64_t j = first + threadIdx.x % CHAINS; j < end; j += CHAINS) {
        sum += (double)g[j] * (double)g[j];
    }
    for (int distance = CHAINS / 2; distance > 0; distance >>= 1) {
        sum += rn_shuffle_xor_double(sum, distance);
    }
    if (threadIdx.x % CHAINS == 0 && piece < a.pieces) {
        a.squares[blockIdx.z * (int64_t)a.pieces + piece] = sum;
    }
}

/* The factor that struct rn_clip speaks of. */
static __device__ __forceinline__ double factor_of(double norm, double clip_norm, double gamma)
{
    if (gamma > 0.0) {
        return clip_norm / (norm + gamma);
    }
    return norm > clip_norm ? clip_norm / norm : 1.0;
}

/* Norm and factor of an example: block (example). A gradient that is not finite has the norm
 * infinity and the factor 0. */
RN_KERNEL(rn_cuda_clip_factor, struct rn_clip_args)
{
    RN_SHARED double part[THREADS];
    const double *squares = a.squares + blockIdx.x * (int64_t)a.pieces;
    double sum = 0.0, lost = 0.0;
    for (int32_t first = 0; first < a.pieces; first += THREADS) {
        const int32_t count = a.pieces - first < THREADS ? a.pieces - first : THREADS;
        if ((int32_t)threadIdx.x < count) {
            part[threadIdx.x] = squares[first + (int32_t)threadIdx.x];
        }
        __syncthreads();
        for (int32_t i = 0; threadIdx.x == 0 && i < count; i++) {
            const double next = sum + part[i];
            lost += sum >= part[i] ? (sum - next) + part[i] : (part[i] - next) + sum;
            sum = next;
        }
        __syncthreads(); /* part is written again */
    }
    if (threadIdx.x == 0) {
        const double norm = sqrt(sum + lost);
        const bool finite = norm - norm == 0.0;
        a.factor[blockIdx.x] = !finite ? 0.0 : factor_of(norm, a.clip_norm, a.gamma);
        if (a.norms) {
            a.norms[blockIdx.x] = finite ? norm : RN_INFINITY;
        }
    }
}

/* trunc(g * scale). A value beyond the grid, which no good factor gives, becomes grid + 1 in size:
 * no check of a length passes it. */
static __device__ __forceinline__ int64_t whole(float g, double scale, double grid)
{
    const double x = (double)g * scale;
    if (!(x > -(grid + 1.0) && x < grid + 1.0)) {
        return (int64_t)(x < 0.0 ? -(grid + 1.0) : grid + 1.0);
    }
    return (int64_t)x;
}

/* A whole number of 128 bits. */
struct wide {
    uint64_t low, high;
};

static __device__ __forceinline__ void wide_add(struct wide *sum, uint64_t low, uint64_t high)
{
    sum->low += low;
    sum->high += high + (sum->low < low ? 1 : 0);
}

/* Exact sum of v^2 over elements first .. end-1, by the whole block; thread 0 gets it. */
static __device__ __forceinline__ struct wide block_length(struct rn_clip_args a, const float *g,
                                                           double scale, int64_t first, int64_t end,
                                                           uint64_t *low, uint64_t *high)
{
    const int id = (int)threadIdx.x;
    struct wide sum;
    sum.low = sum.high = 0;
    for (int64_t j = first + id; j < end; j += THREADS) {
        const int64_t v = whole(g[j], scale, a.grid); /* at most 2^31 + 1 */
        wide_add(&sum, (uint64_t)(v * v), 0);
    }
    for (int half = THREADS / 2; half > 0; half >>= 1) {
        low[id] = sum.low;
        high[id] = sum.high;
        __syncthreads();
        if (id < half) {
            wide_add(&sum, low[id + half], high[id + half]);
        }
        __syncthreads(); /* both are written again */
    }
    return sum;
}

/* Block (piece, 1, example). */
RN_KERNEL(rn_cuda_clip_lengths, struct rn_clip_args)
{
    RN_SHARED uint64_t low[THREADS];
    RN_SHARED uint64_t high[THREADS];
    const int64_t first = (int64_t)blockIdx.x * PIECE;
    const int64_t end = first + PIECE < a.n ? first + PIECE : a.n;
    const double f = a.factor[blockIdx.z];
    if (f == 0.0) {
        return;
    }
    const struct wide sum =
        block_length(a, gradient_of(a, blockIdx.z), f * a.unit, first, end, low, high);
    if (threadIdx.x == 0) {
        uint64_t *out = a.lengths + 2 * (blockIdx.z * (int64_t)a.pieces + blockIdx.x);
        out[0] = sum.low;
        out[1] = sum.high;
    }
}

static __device__ __forceinline__ int32_t fits(struct wide sum, double grid)
{
    const uint64_t side = (uint64_t)grid; /* at most 2^31 */
    return sum.high == 0 && sum.low <= side * side;
}

/* Makes the factor of an example smaller until its vector is no longer than the grid: block
 * (example). */
RN_KERNEL(rn_cuda_clip_check, struct rn_clip_args)
{
    RN_SHARED uint64_t low[THREADS];
    RN_SHARED uint64_t high[THREADS];
    RN_SHARED int32_t good[1];
    const uint64_t *lengths = a.lengths + 2 * (blockIdx.x * (int64_t)a.pieces);
    double f = a.factor[blockIdx.x];
    struct wide sum;
    if (f == 0.0) {
        return;
    }
    sum.low = sum.high = 0;
    for (int32_t i = 0; threadIdx.x == 0 && i < a.pieces; i++) {
        wide_add(&sum, lengths[2 * i], lengths[2 * i + 1]);
    }
    for (;;) {
        if (threadIdx.x == 0) {
            good[0] = fits(sum, a.grid);
        }
        __syncthreads();
        if (good[0]) {
            break;
        }
        __syncthreads(); /* good is written again */
        f *= 1.0 - 1.0 / 1048576.0;
        sum = block_length(a, gradient_of(a, blockIdx.x), f * a.unit, 0, a.n, low, high);
    }
    if (threadIdx.x == 0) {
        a.factor[blockIdx.x] = f;
    }
}

/* One thread an element: sum[j] += v_j of every example. */
RN_KERNEL(rn_cuda_clip_sum, struct rn_clip_args)
{
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= a.n) {
        return;
    }
    int64_t sum = a.sum[j];
    for (int32_t i = 0; i < a.count; i++) {
        const double f = a.factor[i];
        if (f != 0.0) {
            sum += whole(gradient_of(a, i)[j], f * a.unit, a.grid);
        }
    }
    a.sum[j] = sum;
}

RN_KERNEL(rn_cuda_noisy_mean, struct rn_noisy_mean_args)
{
    const int64_t j = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (j < a.n) {
        /* a wrap would be no leak, but must not be undefined */
        const int64_t noisy = (int64_t)((uint64_t)a.sum[j] + (uint64_t)a.noise[j]);
        a.g[j] = (float)((double)noisy * a.factor);
    }
}
