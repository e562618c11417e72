/* SPDX-License-Identifier: Apache-2.0
 *
 * The few things that the CUDA backend wants of a device. Two implementations with the same
 * symbols, chosen when linking:
 *
 *   cudaport_device.c    CUDA runtime and cuBLASLt
 *   cudaport_host.c      the kernels' bodies on the CPU (cudahost.h), products by plain loops
 *
 * so that the whole backend, launch geometry included, runs its tests without a GPU. One stream a
 * port; work on it happens in order. The first failure sticks and is handed out by rn_port_sync.
 */
#ifndef RN_TRAINER_KERNELS_CUDA_CUDAPORT_H
#define RN_TRAINER_KERNELS_CUDA_CUDAPORT_H

#include "base/result.h"
#include "trainer/kernels/cuda/cudaargs.h"

#include <stdbool.h>
#include <stddef.h>

struct rn_port;

RN_MUST rn_result rn_port_open(struct rn_port **out, struct rn_error *err);
void rn_port_close(struct rn_port *port); /* accepts NULL */
/* Static until close. */
const char *rn_port_describe(const struct rn_port *port);
/* Whether a product's rows keep their bits whatever the number of rows: not when
 * RONDO_CUDA_PRODUCTS is "timed". */
bool rn_port_batch_invariant(const struct rn_port *port);

/* Zeroed memory, aligned to 256 bytes. RN_E_MEMORY when it does not fit. */
RN_MUST rn_result rn_port_alloc(struct rn_port *port, size_t bytes, void **out,
                                struct rn_error *err);
void rn_port_release(struct rn_port *port, void *memory); /* accepts NULL */

/* The host memory may be reused on return. */
void rn_port_upload(struct rn_port *port, void *to_device, const void *from_host, size_t bytes);
void rn_port_download(struct rn_port *port, void *to_host, const void *from_device, size_t bytes);
void rn_port_zero(struct rn_port *port, void *memory, size_t bytes);
RN_MUST rn_result rn_port_sync(struct rn_port *port, struct rn_error *err);

/* A launch of grid x, y, z blocks of `threads` threads; args is copied. */
struct rn_port_grid {
    unsigned x, y, z;
    unsigned threads;
};
void rn_port_launch(struct rn_port *port, enum rn_cuda_kernel kernel, struct rn_port_grid grid,
                    const void *args);

/* d[m][n] = a[m][k] op(b) + bias + c, sums in float32. a and b are bf16; bias, c and d are bf16 too
 * (rounded once), or with wide all three float32. Each row of d is computed in an order that does
 * not depend on m, nor on the row's place. */
struct rn_port_product {
    int64_t m, n, k;
    const void *a;
    int64_t lda;
    const void *b; /* by_rows: [n][k], op(b) = its transpose; else [k][n] */
    int64_t ldb;
    int by_rows;
    int wide;
    const void *bias; /* [n]; NULL = none */
    const void *c;    /* [m][n]; NULL = none; may be d */
    int64_t ldc;
    void *d;
    int64_t ldd;
};
void rn_port_multiply(struct rn_port *port, const struct rn_port_product *product);

#endif
