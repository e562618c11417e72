/* SPDX-License-Identifier: Apache-2.0
 *
 * The device that is not there: kernels run through cudahost.h, products are plain loops.
 */
#include "trainer/kernels/cuda/cudaport.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"
#include "trainer/kernels/cuda/cudachoice.h"
#include "trainer/kernels/cuda/cudakernel.h"
#include "trainer/kernels/cuda/cudatrace.h"

#include <stdlib.h>

/* One recorded call, with its arguments as they were. */
struct call {
    enum { LAUNCH, PRODUCT, ZERO } kind;
    enum rn_cuda_kernel kernel;
    struct rn_port_grid grid;
    unsigned char *args; /* owned by the recording */
    struct rn_port_product product;
    void *memory;
    size_t bytes;
};

struct rn_port_recording {
    struct call *calls;
    size_t count, capacity;
};

struct rn_port {
    unsigned order; /* of threads; environment RONDO_CUDA_HOST_ORDER */
    bool failed;
    char failure[256];
    struct rn_port_recording *recording; /* NULL = calls are done at once */
    uint64_t generation;
    struct rn_cuda_trace trace;
    struct rn_cuda_choice choice;
    struct rn_port_staging *pending; /* sent, not read yet; NULL = none */
};

/* A device reads it some time after the send: here, at the last moment that is allowed. */
struct rn_port_staging {
    uint8_t *memory;
    void *to;
    size_t bytes;
};

static void settle(struct rn_port *port)
{
    if (port->pending != NULL) {
        memcpy(port->pending->to, port->pending->memory, port->pending->bytes);
        port->pending = NULL;
    }
}

#define DECLARE(name, type) void name(const void *args);
RN_CUDA_KERNELS(DECLARE)

#define FITS(name, type) \
    _Static_assert(sizeof(type) <= RN_PORT_ARGS_MAX, "the arguments of a kernel have a limit");
RN_CUDA_KERNELS(FITS)

#define ENTRY(name, type) [RN_ID_##name] = {name, #name, sizeof(type)},
static const struct {
    rn_cudahost_kernel *body;
    const char *name;
    size_t args;
} kernels[RN_CUDA_KERNEL_COUNT] = {RN_CUDA_KERNELS(ENTRY)};

static void add_call(struct rn_port_recording *recording, const struct call *call)
{
    if (recording->count == recording->capacity) {
        const size_t more = recording->capacity * 2 + 16;
        recording->calls = rn_realloc(recording->calls, recording->capacity, more, sizeof(*call));
        recording->capacity = more;
    }
    recording->calls[recording->count++] = *call;
}

rn_result rn_port_open(struct rn_port **out, struct rn_error *err)
{
    (void)err;
    const char *order = getenv("RONDO_CUDA_HOST_ORDER");
    *out = rn_alloc(1, sizeof(**out));
    rn_cuda_choice_open(&(*out)->choice, NULL);
    (*out)->order = order != NULL ? (unsigned)strtoul(order, NULL, 10) : RN_CUDAHOST_FORWARD;
    return rn_ok();
}

void rn_port_close(struct rn_port *port)
{
    RN_BUG_IF(port != NULL && port->recording != NULL);
    rn_free(port);
}

const char *rn_port_describe(const struct rn_port *port)
{
    (void)port;
    return "CUDA kernels on the CPU, for tests";
}

rn_result rn_port_alloc(struct rn_port *port, size_t bytes, void **out, struct rn_error *err)
{
    (void)err;
    RN_BUG_IF(port->recording != NULL);
    *out = rn_alloc(bytes, 1);
    return rn_ok();
}

/* Device memory is the process's; a device of this size that never gets any back. */
#define EMULATED_BYTES ((uint64_t)1 << 40)

uint64_t rn_port_left(struct rn_port *port)
{
    (void)port;
    return EMULATED_BYTES - rn_alloc_thread_bytes();
}

void rn_port_release(struct rn_port *port, void *memory)
{
    RN_BUG_IF(port->recording != NULL);
    settle(port);
    port->generation += memory != NULL;
    rn_free(memory);
}

void rn_port_upload(struct rn_port *port, void *to_device, const void *from_host, size_t bytes)
{
    RN_BUG_IF(port->recording != NULL);
    settle(port);
    memcpy(to_device, from_host, bytes);
}

rn_result rn_port_staging_new(struct rn_port *port, size_t bytes, struct rn_port_staging **out,
                              struct rn_error *err)
{
    (void)port;
    (void)err;
    *out = rn_alloc(1, sizeof(**out));
    (*out)->memory = rn_alloc(bytes, 1);
    return rn_ok();
}

void rn_port_staging_free(struct rn_port *port, struct rn_port_staging *staging)
{
    if (staging != NULL) {
        settle(port);
        rn_free(staging->memory);
        rn_free(staging);
    }
}

void *rn_port_staging_begin(struct rn_port *port, struct rn_port_staging *staging)
{
    RN_BUG_IF(port->recording != NULL);
    settle(port);
    return staging->memory;
}

void rn_port_staging_send(struct rn_port *port, struct rn_port_staging *staging, void *to_device,
                          size_t bytes)
{
    RN_BUG_IF(port->recording != NULL);
    settle(port);
    staging->to = to_device;
    staging->bytes = bytes;
    port->pending = staging;
}

void rn_port_download(struct rn_port *port, void *to_host, const void *from_device, size_t bytes)
{
    RN_BUG_IF(port->recording != NULL);
    settle(port);
    memcpy(to_host, from_device, bytes);
}

void rn_port_zero(struct rn_port *port, void *memory, size_t bytes)
{
    rn_cuda_trace_add(&port->trace, &memory, sizeof(memory));
    rn_cuda_trace_add(&port->trace, &bytes, sizeof(bytes));
    if (port->recording != NULL) {
        const struct call call = {.kind = ZERO, .memory = memory, .bytes = bytes};
        add_call(port->recording, &call);
        return;
    }
    settle(port);
    memset(memory, 0, bytes);
}

rn_result rn_port_sync(struct rn_port *port, struct rn_error *err)
{
    const bool failed = port->failed;
    RN_BUG_IF(port->recording != NULL);
    settle(port);
    port->failed = false;
    RN_ENSURE(!failed, err, RN_E_INTERNAL, "backend cuda: %s", port->failure);
    return rn_ok();
}

void rn_port_note(struct rn_port *port, const char *what, const char *reason)
{
    if (!port->failed) {
        port->failed = true;
        (void)rn_text_format(port->failure, sizeof(port->failure), "%s: %s", what, reason);
    }
}

void rn_port_launch(struct rn_port *port, enum rn_cuda_kernel kernel, struct rn_port_grid grid,
                    const void *args)
{
    const struct rn_dim blocks = {grid.x, grid.y, grid.z};
    const struct rn_dim threads = {grid.threads, 1, 1};
    rn_cuda_trace_add(&port->trace, &kernel, sizeof(kernel));
    rn_cuda_trace_add(&port->trace, &grid, sizeof(grid));
    rn_cuda_trace_add(&port->trace, args, kernels[kernel].args);
    if (port->recording != NULL) {
        struct call call = {.kind = LAUNCH, .kernel = kernel, .grid = grid};
        call.args = rn_alloc(kernels[kernel].args, 1);
        memcpy(call.args, args, kernels[kernel].args);
        add_call(port->recording, &call);
        return;
    }
    settle(port);
    if (!rn_cudahost_launch(kernels[kernel].body, kernels[kernel].name, blocks, threads, 0, args,
                            port->order)) {
        rn_port_note(port, kernels[kernel].name, "broke a rule of the device");
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

static void compute(const struct rn_port_product *p)
{
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

/* One algorithm, which is tried like a device's, with as many rows as tests have time for. */
enum { TRIAL_ROWS = 4 };

static int candidates(void *context, const struct rn_port_product *p,
                      uint8_t out[RN_CUDA_CANDIDATES][RN_CUDA_ALGORITHM_BYTES])
{
    (void)context;
    (void)p;
    memset(out[0], 0, sizeof(out[0]));
    return 1;
}

static bool takes(void *context, const struct rn_port_product *p, const uint8_t *algorithm)
{
    (void)context;
    (void)p;
    (void)algorithm;
    return true;
}

static bool multiply(void *context, const struct rn_port_product *p, const uint8_t *algorithm)
{
    (void)context;
    (void)algorithm;
    check(p);
    compute(p);
    return true;
}

static const struct rn_cuda_engine engine = {
    .rows = TRIAL_ROWS, .candidates = candidates, .takes = takes, .multiply = multiply};

rn_result rn_port_product_try(struct rn_port *port, const struct rn_port_product *shape,
                              struct rn_error *err)
{
    const uint8_t *algorithm = NULL;
    return rn_cuda_choice_find(&port->choice, port, &engine, shape, port->recording != NULL,
                               &algorithm, err);
}

void rn_port_multiply(struct rn_port *port, const struct rn_port_product *p)
{
    const uint8_t *algorithm = NULL;
    struct rn_error err;
    check(p);
    rn_cuda_trace_add(&port->trace, p, sizeof(*p));
    if (!rn_is_ok(rn_cuda_choice_find(&port->choice, port, &engine, p, port->recording != NULL,
                                      &algorithm, &err))) {
        rn_port_note(port, "product", err.text);
    } else if (port->recording != NULL) {
        const struct call call = {.kind = PRODUCT, .product = *p};
        add_call(port->recording, &call);
    } else {
        settle(port);
        (void)multiply(port, p, algorithm);
    }
}

/* ---- recording ---- */

void rn_port_record_begin(struct rn_port *port)
{
    RN_BUG_IF(port->recording != NULL);
    port->recording = rn_alloc(1, sizeof(*port->recording));
}

struct rn_port_recording *rn_port_record_end(struct rn_port *port)
{
    struct rn_port_recording *recording = port->recording;
    RN_BUG_IF(recording == NULL);
    port->recording = NULL;
    return recording;
}

void rn_port_replay(struct rn_port *port, const struct rn_port_recording *recording)
{
    for (size_t i = 0; i < recording->count; i++) {
        const struct call *call = &recording->calls[i];
        switch (call->kind) {
        case LAUNCH:
            rn_port_launch(port, call->kernel, call->grid, call->args);
            break;
        case PRODUCT:
            rn_port_multiply(port, &call->product);
            break;
        case ZERO:
            rn_port_zero(port, call->memory, call->bytes);
            break;
        }
    }
}

void rn_port_recording_free(struct rn_port *port, struct rn_port_recording *recording)
{
    (void)port;
    if (recording != NULL) {
        for (size_t i = 0; i < recording->count; i++) {
            rn_free(recording->calls[i].args);
        }
        rn_free(recording->calls);
        rn_free(recording);
    }
}

uint64_t rn_port_generation(const struct rn_port *port)
{
    return port->generation;
}

void rn_port_trace_begin(struct rn_port *port)
{
    rn_cuda_trace_begin(&port->trace);
}

uint64_t rn_port_trace_end(struct rn_port *port)
{
    return rn_cuda_trace_end(&port->trace);
}
