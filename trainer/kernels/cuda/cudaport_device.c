/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA runtime behind cudaport.h; products are in cudaproduct_device.c.
 */
#include "trainer/kernels/cuda/cudaport_device.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"

#include <stdlib.h>
#include <string.h>

/* ---- failures ---- */

void rn_port_note(struct rn_port *port, const char *what, const char *reason)
{
    if (!port->failed) {
        port->failed = true;
        (void)rn_text_format(port->failure, sizeof port->failure, "%s: %s", what, reason);
    }
}

void rn_port_check(struct rn_port *port, const char *what, cudaError_t code)
{
    if (code != cudaSuccess) {
        rn_port_note(port, what, cudaGetErrorString(code));
    }
}

rn_result rn_port_sync(struct rn_port *port, struct rn_error *err)
{
    RN_BUG_IF(port->recording);
    rn_port_check(port, "wait", cudaStreamSynchronize(port->stream));
    const bool failed = port->failed;
    port->failed = false;
    RN_ENSURE(!failed, err, RN_E_SYSTEM, "backend cuda: %s", port->failure);
    return rn_ok();
}

/* ---- life cycle and memory ---- */

static rn_result find_device(struct rn_port *port, struct rn_error *err)
{
    int count = 0;
    struct cudaDeviceProp properties;
    RN_ENSURE(cudaGetDeviceCount(&count) == cudaSuccess && count > 0, err, RN_E_UNSUPPORTED,
              "backend cuda: no device answers");
    RN_ENSURE(cudaSetDevice(0) == cudaSuccess &&
                  cudaGetDeviceProperties(&properties, 0) == cudaSuccess,
              err, RN_E_UNSUPPORTED, "backend cuda: device 0 cannot be used");
    RN_ENSURE(properties.major >= 8, err, RN_E_UNSUPPORTED,
              "backend cuda: %s has compute capability %d.%d; 8.0 or later is needed",
              properties.name, properties.major, properties.minor);
    (void)rn_text_format(port->name, sizeof port->name, "%s", properties.name);
    return rn_ok();
}

rn_result rn_port_open(struct rn_port **out, struct rn_error *err)
{
    struct rn_port *port = rn_alloc(1, sizeof *port);
    rn_result result = find_device(port, err);
    if (rn_is_ok(result) &&
        (cudaStreamCreateWithFlags(&port->stream, cudaStreamNonBlocking) != cudaSuccess ||
         cublasLtCreate(&port->blas) != CUBLAS_STATUS_SUCCESS ||
         cudaMalloc(&port->workspace, RN_PORT_WORKSPACE) != cudaSuccess)) {
        result = rn_fail(err, RN_E_SYSTEM, "backend cuda: %s: stream, cuBLASLt or workspace failed",
                         port->name);
    }
    if (!rn_is_ok(result)) {
        rn_port_close(port);
        return result;
    }
    rn_port_plans_open(port);
    *out = port;
    return rn_ok();
}

void rn_port_close(struct rn_port *port)
{
    if (port == NULL) {
        return;
    }
    (void)cudaFree(port->workspace);
    if (port->blas != NULL) {
        (void)cublasLtDestroy(port->blas);
    }
    if (port->stream != NULL) {
        (void)cudaStreamDestroy(port->stream);
    }
    rn_free(port);
}

const char *rn_port_describe(const struct rn_port *port)
{
    return port->name;
}

rn_result rn_port_alloc(struct rn_port *port, size_t bytes, void **out, struct rn_error *err)
{
    size_t left = 0, total = 0;
    RN_BUG_IF(port->recording);
    *out = NULL;
    if (cudaMalloc(out, bytes == 0 ? 1 : bytes) != cudaSuccess) {
        (void)cudaGetLastError(); /* not sticky: the caller hears of it now */
        (void)cudaMemGetInfo(&left, &total);
        return rn_fail(
            err, RN_E_MEMORY,
            "backend cuda: %zu MiB wanted, %zu of %zu MiB free on %s; a smaller batch or "
            "max_length needs less",
            bytes >> 20, left >> 20, total >> 20, port->name);
    }
    rn_port_check(port, "zero", cudaMemsetAsync(*out, 0, bytes == 0 ? 1 : bytes, port->stream));
    return rn_ok();
}

uint64_t rn_port_left(struct rn_port *port)
{
    size_t left = 0, total = 0;
    rn_port_check(port, "memory", cudaMemGetInfo(&left, &total));
    return left;
}

void rn_port_release(struct rn_port *port, void *memory)
{
    RN_BUG_IF(port->recording);
    if (memory != NULL) {
        port->generation++;
        rn_port_check(port, "free", cudaStreamSynchronize(port->stream));
        rn_port_check(port, "free", cudaFree(memory));
    }
}

/* cudaMemcpyAsync from pageable memory returns when the source has been staged. */
void rn_port_upload(struct rn_port *port, void *to_device, const void *from_host, size_t bytes)
{
    RN_BUG_IF(port->recording);
    rn_port_check(
        port, "upload",
        cudaMemcpyAsync(to_device, from_host, bytes, cudaMemcpyHostToDevice, port->stream));
}

struct rn_port_staging {
    void *memory; /* pinned */
    cudaEvent_t read;
};

rn_result rn_port_staging_new(struct rn_port *port, size_t bytes, struct rn_port_staging **out,
                              struct rn_error *err)
{
    struct rn_port_staging *staging = rn_alloc(1, sizeof *staging);
    if (cudaHostAlloc(&staging->memory, bytes, cudaHostAllocDefault) != cudaSuccess ||
        cudaEventCreateWithFlags(&staging->read, cudaEventDisableTiming) != cudaSuccess) {
        (void)cudaGetLastError(); /* not sticky: the caller hears of it now */
        rn_port_staging_free(port, staging);
        return rn_fail(err, RN_E_MEMORY, "backend cuda: %zu KiB of pinned memory do not fit",
                       bytes >> 10);
    }
    *out = staging;
    return rn_ok();
}

void rn_port_staging_free(struct rn_port *port, struct rn_port_staging *staging)
{
    if (staging != NULL) {
        rn_port_check(port, "free", cudaStreamSynchronize(port->stream));
        if (staging->read != NULL) {
            rn_port_check(port, "free", cudaEventDestroy(staging->read));
        }
        rn_port_check(port, "free", cudaFreeHost(staging->memory));
        rn_free(staging);
    }
}

void *rn_port_staging_begin(struct rn_port *port, struct rn_port_staging *staging)
{
    RN_BUG_IF(port->recording);
    rn_port_check(port, "upload", cudaEventSynchronize(staging->read)); /* at once before a send */
    return staging->memory;
}

void rn_port_staging_send(struct rn_port *port, struct rn_port_staging *staging, void *to_device,
                          size_t bytes)
{
    RN_BUG_IF(port->recording);
    rn_port_check(
        port, "upload",
        cudaMemcpyAsync(to_device, staging->memory, bytes, cudaMemcpyHostToDevice, port->stream));
    rn_port_check(port, "upload", cudaEventRecord(staging->read, port->stream));
}

void rn_port_download(struct rn_port *port, void *to_host, const void *from_device, size_t bytes)
{
    RN_BUG_IF(port->recording);
    rn_port_check(
        port, "download",
        cudaMemcpyAsync(to_host, from_device, bytes, cudaMemcpyDeviceToHost, port->stream));
    rn_port_check(port, "download", cudaStreamSynchronize(port->stream));
}

void rn_port_zero(struct rn_port *port, void *memory, size_t bytes)
{
    rn_cuda_trace_add(&port->trace, &memory, sizeof memory);
    rn_cuda_trace_add(&port->trace, &bytes, sizeof bytes);
    rn_port_check(port, "zero", cudaMemsetAsync(memory, 0, bytes, port->stream));
}

/* ---- launches ---- */

/* nvcc makes a host function of each kernel; its address names the kernel to the runtime. */
#define DECLARE(name, type) void name(type a);
RN_CUDA_KERNELS(DECLARE)

typedef void any_function(void);
#define ENTRY(name, type) [RN_ID_##name] = {(any_function *)name, #name, sizeof(type)},
static const struct {
    any_function *function;
    const char *name;
    size_t args;
} kernels[RN_CUDA_KERNEL_COUNT] = {RN_CUDA_KERNELS(ENTRY)};

void rn_port_launch(struct rn_port *port, enum rn_cuda_kernel kernel, struct rn_port_grid grid,
                    const void *args)
{
    const dim3 blocks = {grid.x, grid.y, grid.z}, threads = {grid.threads, 1, 1};
    const void *function;
    void *list[1];
    rn_cuda_trace_add(&port->trace, &kernel, sizeof kernel);
    rn_cuda_trace_add(&port->trace, &grid, sizeof grid);
    rn_cuda_trace_add(&port->trace, args, kernels[kernel].args);
    memcpy(&function, &kernels[kernel].function, sizeof function);
    memcpy(list, &args, sizeof args);
    rn_port_check(port, kernels[kernel].name,
                  cudaLaunchKernel(function, blocks, threads, list, 0, port->stream));
}

/* ---- recording ---- */

struct rn_port_recording {
    cudaGraphExec_t graph;
};

void rn_port_record_begin(struct rn_port *port)
{
    RN_BUG_IF(port->recording);
    port->recording = true;
    rn_port_check(port, "record",
                  cudaStreamBeginCapture(port->stream, cudaStreamCaptureModeThreadLocal));
}

struct rn_port_recording *rn_port_record_end(struct rn_port *port)
{
    cudaGraph_t graph = NULL;
    struct rn_port_recording *recording = rn_alloc(1, sizeof *recording);
    RN_BUG_IF(!port->recording);
    port->recording = false;
    rn_port_check(port, "record", cudaStreamEndCapture(port->stream, &graph));
    if (graph != NULL) {
        rn_port_check(port, "record", cudaGraphInstantiate(&recording->graph, graph, 0));
        rn_port_check(port, "record", cudaGraphDestroy(graph));
    }
    if (recording->graph == NULL || port->failed) {
        rn_port_note(port, "record", "no graph came out");
        rn_port_recording_free(port, recording);
        return NULL;
    }
    return recording;
}

void rn_port_replay(struct rn_port *port, const struct rn_port_recording *recording)
{
    rn_port_check(port, "replay", cudaGraphLaunch(recording->graph, port->stream));
}

void rn_port_recording_free(struct rn_port *port, struct rn_port_recording *recording)
{
    if (recording != NULL) {
        if (recording->graph != NULL) { /* it may be under way */
            rn_port_check(port, "record", cudaStreamSynchronize(port->stream));
            rn_port_check(port, "record", cudaGraphExecDestroy(recording->graph));
        }
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
