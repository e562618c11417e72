/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA runtime and cuBLASLt behind cudaport.h.
 *
 * Products: one algorithm is chosen for each (n, k, operand order, epilogue), at PLAN_ROWS rows,
 * from those without split sums, and used for every number of rows. So a row's bits do not depend
 * on the batch, which the privacy proof needs. RONDO_CUDA_PRODUCTS=timed gives that up for speed:
 * the fastest of the first candidates is chosen by timing for each multiple of PLAN_STEP rows.
 */
#include "trainer/kernels/cuda/cudaport.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/guard.h"
#include "trainer/kernels/cuda/cudatrace.h"

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLANS_MAX = 512,
    CANDIDATES = 8,
    TIMED_RUNS = 5,
    PLAN_ROWS = 2048,
    PLAN_STEP = 128,
    WORKSPACE_BYTES = 32 << 20,
    ALIGNMENT = 16,
};

/* What an algorithm was chosen for. */
struct plan_key {
    int64_t rows, n, k;
    int32_t by_rows, wide, has_bias, has_c;
};

struct plan {
    struct plan_key key;
    cublasLtMatmulAlgo_t algorithm;
};

struct rn_port {
    cudaStream_t stream;
    cublasLtHandle_t blas;
    void *workspace;
    bool timed;
    bool failed;
    bool recording;
    uint64_t generation;
    struct rn_cuda_trace trace;
    char failure[256];
    char name[300];
    struct plan plans[PLANS_MAX];
    int plan_count;
};

/* ---- failures ---- */

void rn_port_note(struct rn_port *port, const char *what, const char *reason)
{
    if (!port->failed) {
        port->failed = true;
        (void)rn_text_format(port->failure, sizeof port->failure, "%s: %s", what, reason);
    }
}

static void check(struct rn_port *port, const char *what, cudaError_t code)
{
    if (code != cudaSuccess) {
        rn_port_note(port, what, cudaGetErrorString(code));
    }
}

static bool check_blas(struct rn_port *port, const char *what, cublasStatus_t code)
{
    if (code != CUBLAS_STATUS_SUCCESS) {
        rn_port_note(port, what, cublasLtGetStatusString(code));
    }
    return code == CUBLAS_STATUS_SUCCESS;
}

rn_result rn_port_sync(struct rn_port *port, struct rn_error *err)
{
    RN_BUG_IF(port->recording);
    check(port, "wait", cudaStreamSynchronize(port->stream));
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
    const char *products = getenv("RONDO_CUDA_PRODUCTS");
    struct rn_port *port = rn_alloc(1, sizeof *port);
    port->timed = products != NULL && strcmp(products, "timed") == 0;
    rn_result result = find_device(port, err);
    if (rn_is_ok(result) &&
        (cudaStreamCreateWithFlags(&port->stream, cudaStreamNonBlocking) != cudaSuccess ||
         cublasLtCreate(&port->blas) != CUBLAS_STATUS_SUCCESS ||
         cudaMalloc(&port->workspace, WORKSPACE_BYTES) != cudaSuccess)) {
        result = rn_fail(err, RN_E_SYSTEM, "backend cuda: %s: stream, cuBLASLt or workspace failed",
                         port->name);
    }
    if (!rn_is_ok(result)) {
        rn_port_close(port);
        return result;
    }
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

bool rn_port_batch_invariant(const struct rn_port *port)
{
    return !port->timed;
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
    check(port, "zero", cudaMemsetAsync(*out, 0, bytes == 0 ? 1 : bytes, port->stream));
    return rn_ok();
}

void rn_port_release(struct rn_port *port, void *memory)
{
    RN_BUG_IF(port->recording);
    if (memory != NULL) {
        port->generation++;
        check(port, "free", cudaStreamSynchronize(port->stream));
        check(port, "free", cudaFree(memory));
    }
}

/* cudaMemcpyAsync from pageable memory returns when the source has been staged. */
void rn_port_upload(struct rn_port *port, void *to_device, const void *from_host, size_t bytes)
{
    RN_BUG_IF(port->recording);
    check(port, "upload",
          cudaMemcpyAsync(to_device, from_host, bytes, cudaMemcpyHostToDevice, port->stream));
}

void rn_port_download(struct rn_port *port, void *to_host, const void *from_device, size_t bytes)
{
    RN_BUG_IF(port->recording);
    check(port, "download",
          cudaMemcpyAsync(to_host, from_device, bytes, cudaMemcpyDeviceToHost, port->stream));
    check(port, "download", cudaStreamSynchronize(port->stream));
}

void rn_port_zero(struct rn_port *port, void *memory, size_t bytes)
{
    rn_cuda_trace_add(&port->trace, &memory, sizeof memory);
    rn_cuda_trace_add(&port->trace, &bytes, sizeof bytes);
    check(port, "zero", cudaMemsetAsync(memory, 0, bytes, port->stream));
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
    check(port, kernels[kernel].name,
          cudaLaunchKernel(function, blocks, threads, list, 0, port->stream));
}

/* ---- products ---- */

/* cuBLASLt counts by columns: our row-major d = a op(b) is its d' = op(b)' a'. */
struct descriptors {
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t b, a, c, d;
};

static void clear_layout(cublasLtMatrixLayout_t layout)
{
    if (layout != NULL) {
        (void)cublasLtMatrixLayoutDestroy(layout);
    }
}

static void clear_descriptors(struct descriptors *set)
{
    if (set->operation != NULL) {
        (void)cublasLtMatmulDescDestroy(set->operation);
    }
    clear_layout(set->b);
    clear_layout(set->a);
    clear_layout(set->c);
    clear_layout(set->d);
}

static bool set_epilogue(struct rn_port *port, cublasLtMatmulDesc_t operation,
                         const struct rn_port_product *p)
{
    const cublasOperation_t transposed = p->by_rows ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t type = p->wide ? CUDA_R_32F : CUDA_R_16BF;
    bool good = check_blas(port, "product",
                           cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA,
                                                          &transposed, sizeof transposed));
    if (p->bias != NULL) {
        good =
            good &&
            check_blas(port, "product",
                       cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE,
                                                      &epilogue, sizeof epilogue)) &&
            check_blas(port, "product",
                       cublasLtMatmulDescSetAttribute(
                           operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type)) &&
            check_blas(port, "product",
                       cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                      &p->bias, sizeof p->bias));
    }
    return good;
}

/* Descriptors of the product with `rows` rows instead of p->m. */
static bool describe(struct rn_port *port, const struct rn_port_product *p, int64_t rows,
                     struct descriptors *out)
{
    const cudaDataType_t type = CUDA_R_16BF, out_type = p->wide ? CUDA_R_32F : CUDA_R_16BF;
    const uint64_t b_rows = (uint64_t)(p->by_rows ? p->k : p->n);
    const uint64_t b_cols = (uint64_t)(p->by_rows ? p->n : p->k);
    const int64_t ldc = p->c != NULL ? p->ldc : p->ldd;
    memset(out, 0, sizeof *out);
    return check_blas(port, "product",
                      cublasLtMatmulDescCreate(&out->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F)) &&
           check_blas(port, "product",
                      cublasLtMatrixLayoutCreate(&out->b, type, b_rows, b_cols, p->ldb)) &&
           check_blas(
               port, "product",
               cublasLtMatrixLayoutCreate(&out->a, type, (uint64_t)p->k, (uint64_t)rows, p->lda)) &&
           check_blas(port, "product",
                      cublasLtMatrixLayoutCreate(&out->c, out_type, (uint64_t)p->n, (uint64_t)rows,
                                                 ldc)) &&
           check_blas(port, "product",
                      cublasLtMatrixLayoutCreate(&out->d, out_type, (uint64_t)p->n, (uint64_t)rows,
                                                 p->ldd)) &&
           set_epilogue(port, out->operation, p);
}

static cublasStatus_t multiply(struct rn_port *port, const struct rn_port_product *p,
                               const struct descriptors *set, const cublasLtMatmulAlgo_t *algorithm)
{
    const float one = 1.0f, beta = p->c != NULL ? 1.0f : 0.0f;
    return cublasLtMatmul(port->blas, set->operation, &one, p->b, set->b, p->a, set->a, &beta,
                          p->c != NULL ? p->c : p->d, set->c, p->d, set->d, algorithm,
                          port->workspace, WORKSPACE_BYTES, port->stream);
}

/* Candidates without split sums, best first; 0 when there is none. */
static int find_candidates(struct rn_port *port, const struct descriptors *set,
                           cublasLtMatmulHeuristicResult_t out[CANDIDATES])
{
    cublasLtMatmulPreference_t preference = NULL;
    const size_t workspace = WORKSPACE_BYTES;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE, alignment = ALIGNMENT;
    const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    int found = 0;
    bool good =
        check_blas(port, "plan", cublasLtMatmulPreferenceCreate(&preference)) &&
        check_blas(port, "plan",
                   cublasLtMatmulPreferenceSetAttribute(preference,
                                                        CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                        &workspace, sizeof workspace)) &&
        check_blas(port, "plan",
                   cublasLtMatmulPreferenceSetAttribute(preference,
                                                        CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                        &schemes, sizeof schemes));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(aligned) && good; i++) {
        good = check_blas(port, "plan",
                          cublasLtMatmulPreferenceSetAttribute(preference, aligned[i], &alignment,
                                                               sizeof alignment));
    }
    if (good) {
        (void)check_blas(port, "plan",
                         cublasLtMatmulAlgoGetHeuristic(port->blas, set->operation, set->b, set->a,
                                                        set->c, set->d, preference, CANDIDATES, out,
                                                        &found));
    }
    if (preference != NULL) {
        (void)cublasLtMatmulPreferenceDestroy(preference);
    }
    return found;
}

/* Milliseconds of TIMED_RUNS products; negative when the algorithm cannot do it. */
static float time_candidate(struct rn_port *port, const struct rn_port_product *p,
                            const struct descriptors *set, const cublasLtMatmulAlgo_t *algorithm)
{
    cudaEvent_t begin = NULL, end = NULL;
    float milliseconds = -1.0f;
    if (multiply(port, p, set, algorithm) == CUBLAS_STATUS_SUCCESS &&
        cudaEventCreate(&begin) == cudaSuccess && cudaEventCreate(&end) == cudaSuccess) {
        (void)cudaEventRecord(begin, port->stream);
        for (int i = 0; i < TIMED_RUNS; i++) {
            (void)multiply(port, p, set, algorithm);
        }
        (void)cudaEventRecord(end, port->stream);
        (void)cudaEventSynchronize(end);
        if (cudaEventElapsedTime(&milliseconds, begin, end) != cudaSuccess) {
            milliseconds = -1.0f;
        }
    }
    if (begin != NULL) {
        (void)cudaEventDestroy(begin);
    }
    if (end != NULL) {
        (void)cudaEventDestroy(end);
    }
    return milliseconds;
}

static int fastest(struct rn_port *port, const struct rn_port_product *p,
                   const cublasLtMatmulHeuristicResult_t candidates[CANDIDATES], int count)
{
    struct descriptors set;
    int best = 0;
    float best_time = -1.0f;
    if (p->c == p->d) { /* running it again would add again */
        return 0;
    }
    if (describe(port, p, p->m, &set)) {
        for (int i = 0; i < count; i++) {
            const float time = time_candidate(port, p, &set, &candidates[i].algo);
            if (time >= 0.0f && (best_time < 0.0f || time < best_time)) {
                best = i;
                best_time = time;
            }
        }
    }
    clear_descriptors(&set);
    return best;
}

/* Whether the algorithm takes few rows as well as many: it is used for every number of them. */
static bool takes_all(struct rn_port *port, const struct rn_port_product *p,
                      const cublasLtMatmulAlgo_t *algorithm)
{
    static const int64_t rows[] = {1, 8, 100, PLAN_ROWS + 1};
    bool good = true;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows) && good; i++) {
        struct descriptors set;
        cublasLtMatmulHeuristicResult_t result;
        good = describe(port, p, rows[i], &set) &&
               cublasLtMatmulAlgoCheck(port->blas, set.operation, set.b, set.a, set.c, set.d,
                                       algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
               result.workspaceSize <= WORKSPACE_BYTES;
        clear_descriptors(&set);
    }
    return good;
}

static int first_that_takes_all(struct rn_port *port, const struct rn_port_product *p,
                                const cublasLtMatmulHeuristicResult_t candidates[CANDIDATES],
                                int count)
{
    for (int i = 0; i < count; i++) {
        if (takes_all(port, p, &candidates[i].algo)) {
            return i;
        }
    }
    return 0;
}

static const cublasLtMatmulAlgo_t *make_plan(struct rn_port *port, const struct rn_port_product *p,
                                             const struct plan_key *key)
{
    cublasLtMatmulHeuristicResult_t candidates[CANDIDATES];
    struct descriptors set;
    int count = 0;
    if (port->plan_count == PLANS_MAX) {
        port->plan_count = 0; /* forget: a plan is found again the same way */
    }
    if (describe(port, p, key->rows, &set)) {
        count = find_candidates(port, &set, candidates);
    }
    clear_descriptors(&set);
    if (count == 0) {
        rn_port_note(port, "product", "cuBLASLt knows no algorithm for this shape");
        return NULL;
    }
    /* Nothing can be timed while recording; a recorded pass ran before, so this is rare. */
    const int chosen = port->timed && !port->recording
                           ? fastest(port, p, candidates, count)
                           : first_that_takes_all(port, p, candidates, count);
    struct plan *plan = &port->plans[port->plan_count++];
    plan->key = *key;
    plan->algorithm = candidates[chosen].algo;
    return &plan->algorithm;
}

static const cublasLtMatmulAlgo_t *find_plan(struct rn_port *port, const struct rn_port_product *p)
{
    struct plan_key key;
    memset(&key, 0, sizeof key); /* compared as bytes */
    key.rows = port->timed ? (p->m + PLAN_STEP - 1) / PLAN_STEP * PLAN_STEP : PLAN_ROWS;
    key.n = p->n;
    key.k = p->k;
    key.by_rows = p->by_rows;
    key.wide = p->wide;
    key.has_bias = p->bias != NULL;
    key.has_c = p->c != NULL;
    for (int i = 0; i < port->plan_count; i++) {
        if (memcmp(&port->plans[i].key, &key, sizeof key) == 0) {
            return &port->plans[i].algorithm;
        }
    }
    return make_plan(port, p, &key);
}

void rn_port_multiply(struct rn_port *port, const struct rn_port_product *p)
{
    struct descriptors set;
    rn_cuda_trace_add(&port->trace, p, sizeof *p);
    const cublasLtMatmulAlgo_t *algorithm = find_plan(port, p);
    if (algorithm == NULL) {
        return;
    }
    if (describe(port, p, p->m, &set)) {
        (void)check_blas(port, "product", multiply(port, p, &set, algorithm));
    }
    clear_descriptors(&set);
}

/* ---- recording ---- */

struct rn_port_recording {
    cudaGraphExec_t graph;
};

void rn_port_record_begin(struct rn_port *port)
{
    RN_BUG_IF(port->recording);
    port->recording = true;
    check(port, "record", cudaStreamBeginCapture(port->stream, cudaStreamCaptureModeThreadLocal));
}

struct rn_port_recording *rn_port_record_end(struct rn_port *port)
{
    cudaGraph_t graph = NULL;
    struct rn_port_recording *recording = rn_alloc(1, sizeof *recording);
    RN_BUG_IF(!port->recording);
    port->recording = false;
    check(port, "record", cudaStreamEndCapture(port->stream, &graph));
    if (graph != NULL) {
        check(port, "record", cudaGraphInstantiate(&recording->graph, graph, 0));
        check(port, "record", cudaGraphDestroy(graph));
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
    check(port, "replay", cudaGraphLaunch(recording->graph, port->stream));
}

void rn_port_recording_free(struct rn_port *port, struct rn_port_recording *recording)
{
    if (recording != NULL) {
        if (recording->graph != NULL) { /* it may be under way */
            check(port, "record", cudaStreamSynchronize(port->stream));
            check(port, "record", cudaGraphExecDestroy(recording->graph));
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
