/* SPDX-License-Identifier: Apache-2.0
 *
 * Products by cuBLASLt: what it offers, and how one is issued. Which algorithm is taken is decided
 * in cudachoice.c, after a trial; the candidates here are those without split sums.
 */
#include "trainer/kernels/cuda/cudaport_device.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <stdlib.h>
#include <string.h>

enum {
    TIMED_RUNS = 5,
    TRIAL_ROWS = 2049, /* more than a wave of tiles, and no multiple of a tile */
    ALIGNMENT = 16,
};

_Static_assert(sizeof(cublasLtMatmulAlgo_t) == RN_CUDA_ALGORITHM_BYTES,
               "an algorithm is these bytes in a plan file");

void rn_port_plans_open(struct rn_port *port)
{
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)rn_text_format(port->choice.plans.owner, sizeof port->choice.plans.owner,
                         "%s, driver %d, cublasLt %zu", port->name, driver, cublasLtGetVersion());
    rn_cuda_choice_open(&port->choice, getenv("RONDO_CUDA_PLANS"));
}

static bool check_blas(struct rn_port *port, const char *what, cublasStatus_t code)
{
    if (code != CUBLAS_STATUS_SUCCESS) {
        rn_port_note(port, what, cublasLtGetStatusString(code));
    }
    return code == CUBLAS_STATUS_SUCCESS;
}

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

static bool describe(struct rn_port *port, const struct rn_port_product *p, struct descriptors *out)
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
               cublasLtMatrixLayoutCreate(&out->a, type, (uint64_t)p->k, (uint64_t)p->m, p->lda)) &&
           check_blas(port, "product",
                      cublasLtMatrixLayoutCreate(&out->c, out_type, (uint64_t)p->n, (uint64_t)p->m,
                                                 ldc)) &&
           check_blas(port, "product",
                      cublasLtMatrixLayoutCreate(&out->d, out_type, (uint64_t)p->n, (uint64_t)p->m,
                                                 p->ldd)) &&
           set_epilogue(port, out->operation, p);
}

static cublasLtMatmulAlgo_t algorithm_of(const uint8_t *bytes)
{
    cublasLtMatmulAlgo_t algorithm;
    memcpy(&algorithm, bytes, sizeof algorithm);
    return algorithm;
}

static bool multiply(void *context, const struct rn_port_product *p, const uint8_t *bytes)
{
    struct rn_port *port = context;
    struct descriptors set;
    const cublasLtMatmulAlgo_t algorithm = algorithm_of(bytes);
    const float one = 1.0f, beta = p->c != NULL ? 1.0f : 0.0f;
    const bool good =
        describe(port, p, &set) &&
        cublasLtMatmul(port->blas, set.operation, &one, p->b, set.b, p->a, set.a, &beta,
                       p->c != NULL ? p->c : p->d, set.c, p->d, set.d, &algorithm, port->workspace,
                       RN_PORT_WORKSPACE, port->stream) == CUBLAS_STATUS_SUCCESS;
    clear_descriptors(&set);
    return good;
}

/* Candidates without split sums, best first; 0 when there is none. */
static int find_candidates(struct rn_port *port, const struct descriptors *set,
                           cublasLtMatmulHeuristicResult_t out[RN_CUDA_CANDIDATES])
{
    cublasLtMatmulPreference_t preference = NULL;
    const size_t workspace = RN_PORT_WORKSPACE;
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
                                                        set->c, set->d, preference,
                                                        RN_CUDA_CANDIDATES, out, &found));
    }
    if (preference != NULL) {
        (void)cublasLtMatmulPreferenceDestroy(preference);
    }
    return found;
}

static int candidates(void *context, const struct rn_port_product *p,
                      uint8_t out[RN_CUDA_CANDIDATES][RN_CUDA_ALGORITHM_BYTES])
{
    cublasLtMatmulHeuristicResult_t found[RN_CUDA_CANDIDATES];
    struct descriptors set;
    const int count = describe(context, p, &set) ? find_candidates(context, &set, found) : 0;
    clear_descriptors(&set);
    for (int i = 0; i < count; i++) {
        memcpy(out[i], &found[i].algo, RN_CUDA_ALGORITHM_BYTES);
    }
    return count;
}

/* Milliseconds of TIMED_RUNS products; negative when the algorithm cannot do it. */
static float time_products(void *context, const struct rn_port_product *p, const uint8_t *algorithm)
{
    struct rn_port *port = context;
    cudaEvent_t begin = NULL, end = NULL;
    float milliseconds = -1.0f;
    if (multiply(port, p, algorithm) && cudaEventCreate(&begin) == cudaSuccess &&
        cudaEventCreate(&end) == cudaSuccess) {
        (void)cudaEventRecord(begin, port->stream);
        for (int i = 0; i < TIMED_RUNS; i++) {
            (void)multiply(port, p, algorithm);
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

/* Whether the algorithm adds no split sums, as far as it says so: candidates were asked for without
 * them. */
static bool sums_in_one(const cublasLtMatmulAlgo_t *algorithm)
{
    int32_t splits = 1;
    uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_NONE;
    (void)cublasLtMatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits,
                                               sizeof splits, NULL);
    (void)cublasLtMatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                               &scheme, sizeof scheme, NULL);
    return (splits == 0 || splits == 1) && scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
}

static bool takes(void *context, const struct rn_port_product *p, const uint8_t *bytes)
{
    struct rn_port *port = context;
    struct descriptors set = {0}; /* nothing to clear where it is not made */
    cublasLtMatmulHeuristicResult_t result;
    const cublasLtMatmulAlgo_t algorithm = algorithm_of(bytes);
    const bool good = sums_in_one(&algorithm) && describe(port, p, &set) &&
                      cublasLtMatmulAlgoCheck(port->blas, set.operation, set.b, set.a, set.c, set.d,
                                              &algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
                      result.workspaceSize <= RN_PORT_WORKSPACE;
    clear_descriptors(&set);
    return good;
}

static struct rn_cuda_engine engine_of(struct rn_port *port)
{
    return (struct rn_cuda_engine){port, TRIAL_ROWS, candidates, takes, multiply, time_products};
}

rn_result rn_port_product_try(struct rn_port *port, const struct rn_port_product *shape,
                              struct rn_error *err)
{
    const struct rn_cuda_engine engine = engine_of(port);
    const uint8_t *algorithm = NULL;
    return rn_cuda_choice_find(&port->choice, port, &engine, shape, port->recording, &algorithm,
                               err);
}

void rn_port_multiply(struct rn_port *port, const struct rn_port_product *p)
{
    const struct rn_cuda_engine engine = engine_of(port);
    const uint8_t *algorithm = NULL;
    struct rn_error err;
    rn_cuda_trace_add(&port->trace, p, sizeof *p);
    if (!rn_is_ok(rn_cuda_choice_find(&port->choice, port, &engine, p, port->recording, &algorithm,
                                      &err))) {
        rn_port_note(port, "product", err.text);
    } else if (!multiply(port, p, algorithm)) {
        rn_port_note(port, "product", "cuBLASLt could not issue it");
    }
}
