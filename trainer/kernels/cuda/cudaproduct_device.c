/* SPDX-License-Identifier: Apache-2.0
 *
 * Products by cuBLASLt.
 *
 * One algorithm is chosen for each (n, k, operand order, types, epilogue), at PLAN_ROWS rows, from
 * those without split sums that take any number of rows, and used for every number of rows. So a
 * row's bits do not depend on the batch, which the privacy proof needs. Without a plan file that is
 * the first one that cuBLASLt proposes, so that two runs give the same bits; with
 * RONDO_CUDA_PLANS=FILE it is the fastest, timed once and kept there (cudaplans.h).
 */
#include "trainer/kernels/cuda/cudaport_device.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <stdlib.h>
#include <string.h>

enum {
    CANDIDATES = 8,
    TIMED_RUNS = 5,
    PLAN_ROWS = 2048,
    ALIGNMENT = 16,
};

_Static_assert(sizeof(cublasLtMatmulAlgo_t) == RN_CUDA_ALGORITHM_BYTES,
               "an algorithm is these bytes in a plan file");

void rn_port_plans_open(struct rn_port *port)
{
    int driver = 0;
    const char *path = getenv("RONDO_CUDA_PLANS");
    (void)cudaDriverGetVersion(&driver);
    (void)rn_text_format(port->plans.owner, sizeof port->plans.owner, "%s, driver %d, cublasLt %zu",
                         port->name, driver, cublasLtGetVersion());
    port->plan_file = path != NULL && path[0] != '\0' ? path : NULL;
    if (port->plan_file != NULL) {
        (void)rn_cuda_plans_load(&port->plans, port->plan_file);
    }
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
                          port->workspace, RN_PORT_WORKSPACE, port->stream);
}

/* Candidates without split sums, best first; 0 when there is none. */
static int find_candidates(struct rn_port *port, const struct descriptors *set,
                           cublasLtMatmulHeuristicResult_t out[CANDIDATES])
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

/* The same product in memory of its own with this many rows, so that nothing of the caller's is
 * written; false when there is not enough. The contents are small numbers, the same everywhere. */
static bool make_rehearsal(const struct rn_port_product *p, int64_t rows,
                           struct rn_port_product *out, void **memory)
{
    const size_t size = p->wide ? sizeof(float) : sizeof(struct rn_bf16);
    const size_t a_bytes = (size_t)rows * (size_t)p->k * sizeof(struct rn_bf16);
    const size_t d_bytes = (size_t)rows * (size_t)p->n * size;
    if (cudaMalloc(memory, a_bytes + d_bytes) != cudaSuccess ||
        cudaMemset(*memory, 0x3c, a_bytes + d_bytes) != cudaSuccess) {
        (void)cudaGetLastError(); /* not sticky: the first candidate will do */
        return false;
    }
    *out = *p;
    out->m = rows;
    out->a = *memory;
    out->lda = p->k;
    out->d = (uint8_t *)*memory + a_bytes;
    out->ldd = p->n;
    out->c = p->c != NULL ? out->d : NULL;
    out->ldc = p->n;
    return true;
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
    return splits <= 1 && scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
}

/* Whether the algorithm does what the key asks: for `exact`, few rows as well as many. */
static bool fits_key(struct rn_port *port, const struct rn_port_product *p,
                     const struct rn_cuda_plan_key *key, const cublasLtMatmulAlgo_t *algorithm)
{
    const int64_t rows[] = {key->rows, 1, 8, 100, PLAN_ROWS + 1};
    const size_t count = key->exact ? RN_ARRAY_LENGTH(rows) : 1;
    bool good = sums_in_one(algorithm);
    for (size_t i = 0; i < count && good; i++) {
        struct descriptors set;
        cublasLtMatmulHeuristicResult_t result;
        good = describe(port, p, rows[i], &set) &&
               cublasLtMatmulAlgoCheck(port->blas, set.operation, set.b, set.a, set.c, set.d,
                                       algorithm, &result) == CUBLAS_STATUS_SUCCESS &&
               result.workspaceSize <= RN_PORT_WORKSPACE;
        clear_descriptors(&set);
    }
    return good;
}

/* Place of the fastest candidate that fits; -1 when nothing could be timed. */
static int fastest(struct rn_port *port, const struct rn_port_product *p,
                   const struct rn_cuda_plan_key *key,
                   const cublasLtMatmulHeuristicResult_t candidates[CANDIDATES], int count)
{
    struct descriptors set;
    struct rn_port_product rehearsal;
    void *memory = NULL;
    int best = -1;
    float best_time = -1.0f;
    if (!make_rehearsal(p, key->rows, &rehearsal, &memory)) {
        return -1;
    }
    if (describe(port, &rehearsal, key->rows, &set)) {
        for (int i = 0; i < count; i++) {
            const float time = fits_key(port, p, key, &candidates[i].algo)
                                   ? time_candidate(port, &rehearsal, &set, &candidates[i].algo)
                                   : -1.0f;
            if (time >= 0.0f && (best < 0 || time < best_time)) {
                best = i;
                best_time = time;
            }
        }
    }
    clear_descriptors(&set);
    rn_port_check(port, "plan", cudaStreamSynchronize(port->stream));
    rn_port_check(port, "plan", cudaFree(memory));
    return best;
}

static int first_that_fits(struct rn_port *port, const struct rn_port_product *p,
                           const struct rn_cuda_plan_key *key,
                           const cublasLtMatmulHeuristicResult_t candidates[CANDIDATES], int count)
{
    for (int i = 0; i < count; i++) {
        if (fits_key(port, p, key, &candidates[i].algo)) {
            return i;
        }
    }
    return count > 0 ? 0 : -1; /* still one for all rows; where it cannot, the product says so */
}

/* Timing is for a plan that is kept; never while recording. */
static const struct rn_cuda_plan *make_plan(struct rn_port *port, const struct rn_port_product *p,
                                            const struct rn_cuda_plan_key *key)
{
    cublasLtMatmulHeuristicResult_t candidates[CANDIDATES];
    struct descriptors set;
    int count = 0, chosen = -1;
    const bool time = port->plan_file != NULL && !port->recording;
    if (describe(port, p, key->rows, &set)) {
        count = find_candidates(port, &set, candidates);
    }
    clear_descriptors(&set);
    if (time) {
        chosen = fastest(port, p, key, candidates, count);
    }
    const bool keep = chosen >= 0 && port->plan_file != NULL;
    chosen = chosen >= 0 ? chosen : first_that_fits(port, p, key, candidates, count);
    if (chosen < 0) {
        rn_port_note(port, "product", "cuBLASLt knows no algorithm for this shape");
        return NULL;
    }
    uint8_t bytes[RN_CUDA_ALGORITHM_BYTES];
    memcpy(bytes, &candidates[chosen].algo, sizeof bytes);
    const struct rn_cuda_plan *plan = rn_cuda_plans_put(&port->plans, key, bytes);
    if (keep && !rn_is_ok(rn_cuda_plans_save(&port->plans, port->plan_file, NULL))) {
        port->plan_file = NULL; /* it cannot be kept: no more is timed */
    }
    return plan;
}

static const struct rn_cuda_plan *find_plan(struct rn_port *port, const struct rn_port_product *p)
{
    const struct rn_cuda_plan_key key = {
        .rows = PLAN_ROWS,
        .n = p->n,
        .k = p->k,
        .exact = 1,
        .by_rows = p->by_rows,
        .wide = p->wide,
        .has_bias = p->bias != NULL,
        .has_c = p->c != NULL,
    };
    struct rn_cuda_plan *plan = rn_cuda_plans_find(&port->plans, &key);
    if (plan != NULL && !plan->checked) { /* from the file */
        cublasLtMatmulAlgo_t algorithm;
        memcpy(&algorithm, plan->algorithm, sizeof algorithm);
        plan->checked = fits_key(port, p, &key, &algorithm);
    }
    return plan != NULL && plan->checked ? plan : make_plan(port, p, &key);
}

void rn_port_multiply(struct rn_port *port, const struct rn_port_product *p)
{
    struct descriptors set;
    rn_cuda_trace_add(&port->trace, p, sizeof *p);
    cublasLtMatmulAlgo_t algorithm;
    const struct rn_cuda_plan *plan = find_plan(port, p);
    if (plan == NULL) {
        return;
    }
    memcpy(&algorithm, plan->algorithm, sizeof algorithm);
    if (describe(port, p, p->m, &set)) {
        (void)check_blas(port, "product", multiply(port, p, &set, &algorithm));
    }
    clear_descriptors(&set);
}
