/* SPDX-License-Identifier: Apache-2.0
 *
 * The device that is not there: kernels run through cudahost.h, products are plain loops.
 */
#include "trainer/kernels/cuda/cudaport.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/kernels/cuda/cudakernel.h"

#include <stdlib.h>

struct rn_port {
    unsigned order; /* of threads; environment RONDO_CUDA_HOST_ORDER */
    bool timed;     /* as on the device, but only said: products are the same */
    bool failed;
};

#define DECLARE(name, type) void name(const void *args);
RN_CUDA_KERNELS(DECLARE)

#define ENTRY(name, type) [RN_ID_##name] = {name, #name},
static const struct {
    rn_cudahost_kernel *body;
    const char *name;
} kernels[RN_CUDA_KERNEL_COUNT] = {RN_CUDA_KERNELS(ENTRY)};

rn_result rn_port_open(struct rn_port **out, struct rn_error *err)
{
    (void)err;
    const char *order = getenv("RONDO_CUDA_HOST_ORDER");
    *out = rn_alloc(1, sizeof(**out));
    (*out)->order = order != NULL ? (unsigned)strtoul(order, NULL, 10) : RN_CUDAHOST_FORWARD;
    const char *products = getenv("RONDO_CUDA_PRODUCTS");
    (*out)->timed = products != NULL && strcmp(products, "timed") == 0;
    return rn_ok();
}

void rn_port_close(struct rn_port *port)
{
    rn_free(port);
}

const char *rn_port_describe(const struct rn_port *port)
{
    (void)port;
    return "CUDA kernels on the CPU, for tests";
}

bool rn_port_batch_invariant(const struct rn_port *port)
{
    return !port->timed;
}

rn_result rn_port_alloc(struct rn_port *port, size_t bytes, void **out, struct rn_error *err)
{
    (void)port;
    (void)err;
    *out = rn_alloc(bytes, 1);
    return rn_ok();
}

void rn_port_release(struct rn_port *port, void *memory)
{
    (void)port;
    rn_free(memory);
}

void rn_port_upload(struct rn_port *port, void *to_device, const void *from_host, size_t bytes)
{
    (void)port;
    memcpy(to_device, from_host, bytes);
}

void rn_port_download(struct rn_port *port, void *to_host, const void *from_device, size_t bytes)
{
    (void)port;
    memcpy(to_host, from_device, bytes);
}

void rn_port_zero(struct rn_port *port, void *memory, size_t bytes)
{
    (void)port;
    memset(memory, 0, bytes);
}

rn_result rn_port_sync(struct rn_port *port, struct rn_error *err)
{
    const bool failed = port->failed;
    port->failed = false;
    RN_ENSURE(!failed, err, RN_E_INTERNAL, "backend cuda: a kernel broke a rule of the device");
    return rn_ok();
}

void rn_port_launch(struct rn_port *port, enum rn_cuda_kernel kernel, struct rn_port_grid grid,
                    const void *args)
{
    const struct rn_dim blocks = {grid.x, grid.y, grid.z};
    const struct rn_dim threads = {grid.threads, 1, 1};
    if (!rn_cudahost_launch(kernels[kernel].body, kernels[kernel].name, blocks, threads, 0, args,
                            port->order)) {
        port->failed = true;
    }
}

static float element(const void *matrix, int64_t at, int wide)
{
    return wide ? ((const float *)matrix)[at] : rn_from_bf16(((const struct rn_bf16 *)matrix)[at]);
}

/* As on the device, the operands must be aligned for 16-byte loads. */
static void check(const struct rn_port_product *p)
{
    const uintptr_t all = (uintptr_t)p->a | (uintptr_t)p->b | (uintptr_t)p->c | (uintptr_t)p->d;
    const int64_t step = p->wide ? 3 : 7;
    RN_BUG_IF((all & 15) != 0 || ((p->lda | p->ldb | p->n | p->k) & 7) != 0 ||
              ((p->ldc | p->ldd) & step) != 0);
}

void rn_port_multiply(struct rn_port *port, const struct rn_port_product *p)
{
    (void)port;
    check(p);
    for (int64_t row = 0; row < p->m; row++) {
        for (int64_t n = 0; n < p->n; n++) {
            float sum = 0.0f;
            for (int64_t k = 0; k < p->k; k++) {
                const int64_t at = p->by_rows ? n * p->ldb + k : k * p->ldb + n;
                sum = fmaf(element(p->a, row * p->lda + k, 0), element(p->b, at, 0), sum);
            }
            sum += p->bias != NULL ? element(p->bias, n, p->wide) : 0.0f;
            sum += p->c != NULL ? element(p->c, row * p->ldc + n, p->wide) : 0.0f;
            if (p->wide) {
                ((float *)p->d)[row * p->ldd + n] = sum;
            } else {
                ((struct rn_bf16 *)p->d)[row * p->ldd + n] = rn_to_bf16(sum);
            }
        }
    }
}
