/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the bodies of our CUDA kernels on the CPU, so that every machine can test them.
 *
 * A kernel file stays in the common subset of C11 and CUDA C++ and includes cudakernel.h, which
 * brings this header in when no CUDA compiler is at work. Each device thread becomes a fibre; the
 * blocks run one after another. Between two barriers the lanes of a warp run until all of them
 * wait, and a warp goes as far as it can before the next one starts: a missing barrier then shows
 * as poison in the result, or as a result that depends on the order of the threads.
 *
 * Checked here: divergent or missing barriers, lanes outside their own mask, reads of shared
 * memory that nobody wrote (poisoned with 0xff before each block), asynchronous copies never
 * waited for, misaligned copies, launch limits. With AddressSanitizer: every bound.
 * Not checked: races between blocks, memory-model errors, occupancy, speed.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAHOST_H
#define RN_TRAINER_KERNELS_CUDA_CUDAHOST_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RN_CUDAHOST_THREADS_MAX 1024
#define RN_CUDAHOST_SHARED_MAX (227 * 1024)

struct rn_dim {
    unsigned x, y, z;
};

/* Set at every switch of threads. */
extern struct rn_dim threadIdx, blockIdx, blockDim, gridDim;

typedef void rn_cudahost_kernel(const void *args);

/* Order in which the threads between two barriers run. */
enum rn_cudahost_order {
    RN_CUDAHOST_FORWARD = 0,
    RN_CUDAHOST_REVERSE = 1,
    RN_CUDAHOST_SHUFFLED = 2, /* this and every higher number: shuffled with that seed */
};

/* Runs one launch. shared: bytes of dynamic shared memory. Returns false, after printing what is
 * wrong to stderr, when the kernel or the launch breaks a rule. Not re-entrant. */
bool rn_cudahost_launch(rn_cudahost_kernel *kernel, const char *name, struct rn_dim grid,
                        struct rn_dim block, size_t shared, const void *args, unsigned order);

/* What cudakernel.h maps the device's operations to. line tells apart the places in the source. */
void *rn_cudahost_shared(void);
void rn_cudahost_block_barrier(int line);
void rn_cudahost_warp_barrier(unsigned mask, int line);
float rn_cudahost_shuffle(unsigned mask, float value, unsigned source, int line);
double rn_cudahost_shuffle_double(unsigned mask, double value, unsigned source, int line);
unsigned rn_cudahost_lane(void);
void rn_cudahost_mma(float d[4], const uint32_t a[4], const uint32_t b[2], int line);
void rn_cudahost_ldmatrix(uint32_t out[4], const void *row, bool transposed, int line);
void rn_cudahost_copy16(void *shared, const void *global);
void rn_cudahost_copy_wait(void);

#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __syncthreads() rn_cudahost_block_barrier(__LINE__)
#define __syncwarp() rn_cudahost_warp_barrier(0xffffffffu, __LINE__)
#define __shfl_xor_sync(mask, value, distance) \
    rn_cudahost_shuffle((mask), (value), rn_cudahost_lane() ^ (unsigned)(distance), __LINE__)
#define __shfl_sync(mask, value, lane) \
    rn_cudahost_shuffle((mask), (value), (unsigned)(lane)&31u, __LINE__)

/* All static shared memory lies in one section, so that it can be poisoned before each block. */
#define RN_SHARED static __attribute__((section("device_shared"), aligned(16)))
#define RN_DYNAMIC_SHARED(type, name) type *name = (type *)rn_cudahost_shared()
#define RN_KERNEL(name, type) RN_KERNEL_(name, type)
#define RN_KERNEL_(name, type)       \
    static void name##_body(type a); \
    void name(const void *args);     \
    void name(const void *args)      \
    {                                \
        type a;                      \
        memcpy(&a, args, sizeof a);  \
        name##_body(a);              \
    }                                \
    static void name##_body(type a)

#endif
