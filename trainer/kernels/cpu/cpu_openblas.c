/* SPDX-License-Identifier: Apache-2.0
 *
 * Products with frozen weights by OpenBLAS, for comparison. Not batch-invariant.
 */
#include "trainer/kernels/cpu/cpu_kernels.h"

#include "base/alloc.h"

#include <cblas.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

static const struct rn_kernels *base_table;
static struct rn_kernels blas_table;

static rn_result weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err)
{
    const rn_result result = rn_cpu_weight_new(device, host_w, n, k, out, err);
    if (rn_is_ok(result)) {
        (*out)->plain = rn_alloc((size_t)n * k, sizeof(float));
        memcpy((*out)->plain, host_w, (size_t)n * k * sizeof(float));
    }
    return result;
}

/* The epilogue, element by element: speed of the product alone is compared. */
static void finish(const struct rn_epilogue *e, struct rn_mat y)
{
    for (size_t t = 0; t < y.rows; t++) {
        float *row = rn_row_f32(y, t);
        for (size_t c = 0; c < y.cols; c++) {
            float s = row[c] + (e->bias != NULL ? e->bias[c] : 0.0f);
            for (size_t i = 0; e->rank_b != NULL && i < e->rank_h.cols; i++) {
                s = fmaf(rn_row_f32(e->rank_h, t)[i], rn_epilogue_b(e, t)[i * y.cols + c], s);
            }
            s += e->residual.data != NULL ? rn_row_f32(e->residual, t)[c] : 0.0f;
            if (e->pre.data != NULL) {
                rn_row_f32(e->pre, t)[c] = s;
            }
            if (e->activation == RN_ACTIVATION_GELU) {
                s = 0.5f * s * (1.0f + erff(s * (float)M_SQRT1_2));
            } else if (e->activation == RN_ACTIVATION_TANH) {
                s = tanhf(s);
            } else if (e->activation == RN_ACTIVATION_RELU) {
                s = s > 0.0f || isnan(s) ? s : 0.0f;
            }
            if (e->slope.data != NULL) {
                const float x = rn_row_f32(e->slope, t)[c];
                const float pdf = expf(-0.5f * x * x) * 0.398942280f;
                const float gelu = 0.5f * (1.0f + erff(x * (float)M_SQRT1_2)) + x * pdf;
                s *= e->slope_of == RN_ACTIVATION_GELU   ? gelu
                     : e->slope_of == RN_ACTIVATION_TANH ? 1.0f - x * x
                     : e->slope_of == RN_ACTIVATION_RELU ? (x > 0.0f ? 1.0f : 0.0f)
                                                         : 1.0f;
            }
            row[c] = s;
        }
    }
}

/* y = x op(w); the residual may be y itself, so the product goes through it with beta 1 then. */
static void product(const struct rn_weight *w, bool transposed, struct rn_mat x,
                    const struct rn_epilogue *epilogue, struct rn_mat y)
{
    struct rn_epilogue rest = *epilogue;
    const bool onto = rest.residual.data == y.data && rest.residual.data != NULL;
    if (onto) {
        rest.residual = (struct rn_mat){0};
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, (int)y.rows,
                (int)y.cols, (int)x.cols, 1.0f, x.data, (int)x.ld, w->plain, (int)w->k,
                onto ? 1.0f : 0.0f, y.data, (int)y.ld);
    finish(&rest, y);
}

static void linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                   const struct rn_epilogue *epilogue, struct rn_mat y)
{
    (void)lane;
    product(w, true, x, epilogue, y);
}

static void linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                        const struct rn_epilogue *epilogue, struct rn_mat dx)
{
    (void)lane;
    product(w, false, dy, epilogue, dx);
}

static void fill_table(void)
{
    openblas_set_num_threads(1);
    blas_table = *base_table;
    blas_table.weight_new = weight_new;
    blas_table.weight_new_forward = NULL; /* the plain matrix serves both ways */
    blas_table.linear = linear;
    blas_table.linear_back = linear_back;
    blas_table.clip_add = NULL; /* a row's bits depend on the batch: no differential privacy */
}

const struct rn_kernels *rn_cpu_with_openblas(const struct rn_kernels *table)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    base_table = table;
    pthread_once(&once, fill_table);
    return &blas_table;
}
