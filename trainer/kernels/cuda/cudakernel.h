/* SPDX-License-Identifier: Apache-2.0
 *
 * What a kernel may use, on the device and on the CPU.
 *
 * A kernel file is compiled twice from the same text: by nvcc as CUDA C++ for the device, and by a
 * C11 compiler against cudahost.h for the tests. So: no templates, references, overloads, default
 * arguments, designated initialisers or <<<>>>; no PTX outside this header; one argument struct,
 * named `a` in the body, passed by value:
 *
 *     RN_KERNEL(rn_cuda_scale, struct rn_scale_args) { ... a.factor ... }
 *
 * Static shared memory is declared with RN_SHARED, and never initialised.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAKERNEL_H
#define RN_TRAINER_KERNELS_CUDA_CUDAKERNEL_H

#include <stdint.h>

#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#define RN_SHARED __shared__ __align__(16)
#define RN_DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#define RN_KERNEL(name, type) extern "C" __global__ void name(type a)
#else
#include "trainer/kernels/cuda/emulated/cudahost.h"
#endif

#include "trainer/kernels/cuda/cudaargs.h"

#define RN_FULL_WARP 0xffffffffu

/* ---- bf16 ---- */

static __device__ __forceinline__ float rn_bits_float(uint32_t bits)
{
#ifdef __CUDACC__
    return __uint_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

static __device__ __forceinline__ float rn_from_bf16(struct rn_bf16 value)
{
    return rn_bits_float((uint32_t)value.bits << 16);
}

/* To nearest, ties to even; a NaN stays a NaN. */
static __device__ __forceinline__ struct rn_bf16 rn_to_bf16(float value)
{
    struct rn_bf16 out;
#ifdef __CUDACC__
    out.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t odd = bits >> 16 & 1;
    out.bits = isnan(value) ? 0x7fff : (uint16_t)((bits + 0x7fff + odd) >> 16);
#endif
    return out;
}

/* Two bf16 in one register, the first in the low half. */
static __device__ __forceinline__ uint32_t rn_pack(float low, float high)
{
    return (uint32_t)rn_to_bf16(low).bits | (uint32_t)rn_to_bf16(high).bits << 16;
}

/* Sixteen bytes moved at once; the address must be aligned to them. */
#ifdef __CUDACC__
struct __align__(16) rn_word4
{
    uint32_t x, y, z, w;
};
#else
struct rn_word4 {
    uint32_t x, y, z, w;
} __attribute__((aligned(16)));
#endif

static __device__ __forceinline__ void rn_load8(const struct rn_bf16 *from, float v[8])
{
    const struct rn_word4 word = *(const struct rn_word4 *)(const void *)from;
    v[0] = rn_bits_float(word.x << 16);
    v[1] = rn_bits_float(word.x & 0xffff0000u);
    v[2] = rn_bits_float(word.y << 16);
    v[3] = rn_bits_float(word.y & 0xffff0000u);
    v[4] = rn_bits_float(word.z << 16);
    v[5] = rn_bits_float(word.z & 0xffff0000u);
    v[6] = rn_bits_float(word.w << 16);
    v[7] = rn_bits_float(word.w & 0xffff0000u);
}

static __device__ __forceinline__ void rn_store8(const float v[8], struct rn_bf16 *to)
{
    struct rn_word4 word;
    word.x = rn_pack(v[0], v[1]);
    word.y = rn_pack(v[2], v[3]);
    word.z = rn_pack(v[4], v[5]);
    word.w = rn_pack(v[6], v[7]);
    *(struct rn_word4 *)(void *)to = word;
}

/* Eight floats; the address must be aligned to 16 bytes. */
#ifdef __CUDACC__
struct __align__(16) rn_float4
{
    float x, y, z, w;
};
#else
struct rn_float4 {
    float x, y, z, w;
} __attribute__((aligned(16)));
#endif

static __device__ __forceinline__ void rn_load8f(const float *from, float v[8])
{
    const struct rn_float4 low = *(const struct rn_float4 *)(const void *)from;
    const struct rn_float4 high = *(const struct rn_float4 *)(const void *)(from + 4);
    v[0] = low.x;
    v[1] = low.y;
    v[2] = low.z;
    v[3] = low.w;
    v[4] = high.x;
    v[5] = high.y;
    v[6] = high.z;
    v[7] = high.w;
}

/* ---- matrices of either element type ---- */

static __device__ __forceinline__ float rn_get(struct rn_cuda_mat m, int64_t row, int64_t column)
{
    const int64_t at = row * m.ld + column;
    return m.is_bf16 ? rn_from_bf16(((const struct rn_bf16 *)m.data)[at])
                     : ((const float *)m.data)[at];
}

static __device__ __forceinline__ void rn_put(struct rn_cuda_mat m, int64_t row, int64_t column,
                                              float value)
{
    const int64_t at = row * m.ld + column;
    if (m.is_bf16) {
        ((struct rn_bf16 *)m.data)[at] = rn_to_bf16(value);
    } else {
        ((float *)m.data)[at] = value;
    }
}

static __device__ __forceinline__ struct rn_bf16 *rn_at(struct rn_cuda_mat m, int64_t row,
                                                        int64_t column)
{
    return (struct rn_bf16 *)m.data + row * m.ld + column;
}

/* ---- sums and maxima over a warp; every lane gets the result, the order is fixed ---- */

static __device__ __forceinline__ float rn_warp_sum(float value)
{
    for (int distance = 16; distance > 0; distance >>= 1) {
        value += __shfl_xor_sync(RN_FULL_WARP, value, distance);
    }
    return value;
}

static __device__ __forceinline__ float rn_warp_max(float value)
{
    for (int distance = 16; distance > 0; distance >>= 1) {
        value = fmaxf(value, __shfl_xor_sync(RN_FULL_WARP, value, distance));
    }
    return value;
}

static __device__ __forceinline__ double rn_shuffle_xor_double(double value, int distance)
{
#ifdef __CUDACC__
    return __shfl_xor_sync(RN_FULL_WARP, value, distance);
#else
    return rn_cudahost_shuffle_double(RN_FULL_WARP, value, rn_cudahost_lane() ^ (unsigned)distance,
                                      __LINE__);
#endif
}

static __device__ __forceinline__ double rn_warp_sum_double(double value)
{
    for (int distance = 16; distance > 0; distance >>= 1) {
        value += rn_shuffle_xor_double(value, distance);
    }
    return value;
}

/* ---- mathematics ---- */

#ifdef __CUDACC__
#define RN_INFINITY __longlong_as_double(0x7ff0000000000000ll)
#define RN_MINUS_INFINITY __int_as_float((int)0xff800000)
#else
#define RN_INFINITY ((double)INFINITY)
#define RN_MINUS_INFINITY (-INFINITY)
#endif

/* A product and a sum that the compiler may not fuse: where bits must equal those of two kernels.
 */
static __device__ __forceinline__ float rn_multiply(float x, float y)
{
#ifdef __CUDACC__
    return __fmul_rn(x, y);
#else
    return x * y; /* this build does not contract */
#endif
}

static __device__ __forceinline__ float rn_add(float x, float y)
{
#ifdef __CUDACC__
    return __fadd_rn(x, y);
#else
    return x + y;
#endif
}

/* f as in struct rn_epilogue, by the number of enum rn_activation; *slope = what a later slope will
 * need: GELU: f'(x), so that its error function is not formed twice; else x itself. */
static __device__ __forceinline__ float rn_activate(int kind, float x, float *slope)
{
    if (kind == RN_CUDA_GELU) {
        const float part = 0.5f * (1.0f + erff(x * 0.70710678118654752f));
        *slope = part + x * (0.3989422804014327f * expf(-0.5f * x * x));
        return x * part;
    }
    *slope = x;
    if (kind == RN_CUDA_RELU) {
        return x <= 0.0f ? 0.0f : x;
    }
    return kind == RN_CUDA_TANH ? tanhf(x) : x;
}

/* f' from what was kept: of GELU f' itself, tanh's its output, of ReLU either side of it. */
static __device__ __forceinline__ float rn_slope(int kind, float kept)
{
    if (kind == RN_CUDA_RELU) {
        return kept > 0.0f ? 1.0f : 0.0f;
    }
    return kind == RN_CUDA_GELU ? kept : kind == RN_CUDA_TANH ? 1.0f - kept * kept : 1.0f;
}

/* ---- tensor cores (PTX ISA, "Matrix Fragments for mma.m16n8k16", "ldmatrix") ---- */

#ifdef __CUDACC__
/* d += a b: a is 16x16 by rows, b 16x8 by columns */
static __device__ __forceinline__ void rn_mma(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Four 8x8 matrices: lane 8i+j names row j of matrix i, in shared memory. */
static __device__ __forceinline__ void rn_ldmatrix(uint32_t out[4], const struct rn_bf16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

static __device__ __forceinline__ void rn_ldmatrix_transposed(uint32_t out[4],
                                                              const struct rn_bf16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}

/* Sixteen bytes from global to shared memory; there only after rn_copy_wait and a barrier. */
static __device__ __forceinline__ void rn_copy16(void *shared, const void *global)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(shared)),
                 "l"(global)
                 : "memory");
}

static __device__ __forceinline__ void rn_copy_wait(void)
{
    asm volatile("cp.async.wait_all;" ::: "memory");
}
#else
#define rn_mma(d, a, b) rn_cudahost_mma((d), (a), (b), __LINE__)
#define rn_ldmatrix(out, row) rn_cudahost_ldmatrix((out), (row), false, __LINE__)
#define rn_ldmatrix_transposed(out, row) rn_cudahost_ldmatrix((out), (row), true, __LINE__)
#define rn_copy16(shared, global) rn_cudahost_copy16((shared), (global))
#define rn_copy_wait() rn_cudahost_copy_wait()
#endif

#endif
