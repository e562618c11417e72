/* SPDX-License-Identifier: Apache-2.0
 *
 * The few things that the CUDA backend wants of a device. Two implementations with the same
 * symbols, chosen when linking:
 *
 *   cudaport_device.c    CUDA runtime and cuBLASLt
 *   emulated/            the kernels' bodies on the CPU (emulated/cudahost.h), products by plain
 * loops
 *
 * so that the whole backend, launch geometry included, runs its tests without a GPU. One stream a
 * port; work on it happens in order. The first failure sticks and is handed out by rn_port_sync.
 *
 * Recording. Between rn_port_record_begin and _end, launches, products and rn_port_zero are not
 * done but recorded with their arguments as they are; rn_port_replay then does all of them, as
 * often as wanted, at the cost of one launch (a CUDA graph on the device; a list in the host
 * version). Memory that is released meanwhile may be named by a recording: every release makes
 * rn_port_generation greater, and recordings of an earlier generation must not be replayed. No
 * other call is allowed while recording.
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

/* Zeroed memory, aligned to 256 bytes. RN_E_MEMORY when it does not fit. */
RN_MUST rn_result rn_port_alloc(struct rn_port *port, size_t bytes, void **out,
                                struct rn_error *err);
void rn_port_release(struct rn_port *port, void *memory); /* accepts NULL */
/* Bytes that are free now. */
uint64_t rn_port_left(struct rn_port *port);

/* The host memory may be reused on return. */
void rn_port_upload(struct rn_port *port, void *to_device, const void *from_host, size_t bytes);
/* Memory of the host that the device reads by itself: an upload from it neither copies nor waits.
 * begin: where to write, once the last send has been read; send: what was written, in the stream's
 * order. Not while recording. */
struct rn_port_staging;
RN_MUST rn_result rn_port_staging_new(struct rn_port *port, size_t bytes,
                                      struct rn_port_staging **out, struct rn_error *err);
void rn_port_staging_free(struct rn_port *port, struct rn_port_staging *staging); /* NULL is fine */
void *rn_port_staging_begin(struct rn_port *port, struct rn_port_staging *staging);
void rn_port_staging_send(struct rn_port *port, struct rn_port_staging *staging, void *to_device,
                          size_t bytes);
void rn_port_download(struct rn_port *port, void *to_host, const void *from_device, size_t bytes);
void rn_port_zero(struct rn_port *port, void *memory, size_t bytes);
RN_MUST rn_result rn_port_sync(struct rn_port *port, struct rn_error *err);
/* Makes the next rn_port_sync fail with this reason. */
void rn_port_note(struct rn_port *port, const char *what, const char *reason);

/* Most bytes of a kernel's arguments; a device takes 4096. */
#define RN_PORT_ARGS_MAX 2560

/* A launch of grid x, y, z blocks of `threads` threads; args is copied. */
struct rn_port_grid {
    unsigned x, y, z;
    unsigned threads;
};
void rn_port_launch(struct rn_port *port, enum rn_cuda_kernel kernel, struct rn_port_grid grid,
                    const void *args);

/* d[m][n] = a[m][k] op(b) + bias + c, sums in float32. a and b are bf16; bias, c and d are bf16 too
 * (rounded once), or with wide all three float32. Each row of d is computed in an order that does
 * not depend on m, nor on the row's place: the algorithm has been tried (cudachoice.h), or the
 * product is not done and the next rn_port_sync fails. */
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
/* Finds and tries an algorithm for products of this shape (of the pointers only their absence
 * counts) before one is wanted. RN_E_UNSUPPORTED when none keeps a row's bits. */
RN_MUST rn_result rn_port_product_try(struct rn_port *port, const struct rn_port_product *shape,
                                      struct rn_error *err);

struct rn_port_recording;
void rn_port_record_begin(struct rn_port *port);
/* NULL after a failure, which sticks: what was recorded is lost. */
struct rn_port_recording *rn_port_record_end(struct rn_port *port);
void rn_port_replay(struct rn_port *port, const struct rn_port_recording *recording);
/* Accepts NULL. */
void rn_port_recording_free(struct rn_port *port, struct rn_port_recording *recording);
uint64_t rn_port_generation(const struct rn_port *port);
/* A number made of every launch, product and zero (arguments, not contents) since _begin: equal
 * work has equal numbers. */
void rn_port_trace_begin(struct rn_port *port);
uint64_t rn_port_trace_end(struct rn_port *port);

#endif
