/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of the reference backend.
 */
#include "trainer/kernels/ref/ref_kernels.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

double rn_ref_activate(enum rn_activation f, double x)
{
    switch (f) {
    case RN_ACTIVATION_GELU:
        return 0.5 * x * (1.0 + erf(x * M_SQRT1_2));
    case RN_ACTIVATION_TANH:
        return tanh(x);
    case RN_ACTIVATION_RELU:
        return x > 0.0 ? x : isnan(x) ? x : 0.0;
    case RN_ACTIVATION_NONE:
        break;
    }
    return x;
}

double rn_ref_slope(enum rn_activation f, double kept)
{
    switch (f) {
    case RN_ACTIVATION_GELU:
        return 0.5 * (1.0 + erf(kept * M_SQRT1_2)) +
               kept * exp(-0.5 * kept * kept) * (0.5 * M_SQRT1_2 * M_2_SQRTPI);
    case RN_ACTIVATION_TANH:
        return 1.0 - kept * kept;
    case RN_ACTIVATION_RELU:
        return kept > 0.0 ? 1.0 : 0.0;
    case RN_ACTIVATION_NONE:
        break;
    }
    return 1.0;
}

rn_result rn_ref_weight_new(struct rn_device *device, const float *host_w, uint32_t n, uint32_t k,
                            struct rn_weight **out, struct rn_error *err)
{
    (void)device;
    (void)err;
    struct rn_weight *weight = rn_alloc(1, sizeof(*weight));
    weight->n = n;
    weight->k = k;
    weight->w = rn_alloc((size_t)n * k, sizeof(float));
    memcpy(weight->w, host_w, (size_t)n * k * sizeof(float));
    *out = weight;
    return rn_ok();
}

void rn_ref_weight_free(struct rn_device *device, struct rn_weight *weight)
{
    (void)device;
    if (weight != NULL) {
        rn_free(weight->w);
        rn_free(weight);
    }
}

size_t rn_ref_weight_bytes(const struct rn_weight *weight)
{
    return (size_t)weight->n * weight->k * sizeof(float);
}

/* The epilogue of output element [t][n] of cols columns. */
static double finish(const struct rn_epilogue *e, size_t cols, size_t t, size_t n, double s)
{
    if (e->bias != NULL) {
        s += (double)e->bias[n];
    }
    if (e->rank_b != NULL) {
        for (size_t i = 0; i < e->rank_h.cols; i++) {
            s += rn_row_f64(e->rank_h, t)[i] * (double)rn_epilogue_b(e, t)[i * cols + n];
        }
    }
    if (e->residual.data != NULL) {
        s += rn_row_f64(e->residual, t)[n];
    }
    if (e->pre.data != NULL) {
        rn_row_f64(e->pre, t)[n] = s;
    }
    s = rn_ref_activate(e->activation, s);
    if (e->slope.data != NULL) {
        s *= rn_ref_slope(e->slope_of, rn_row_f64(e->slope, t)[n]);
    }
    return s;
}

/* y[t][n] = sum over k of x[t][k] * w[n * step_n + k * step_k], then the epilogue. */
static void multiply(const float *w, size_t step_n, size_t step_k, struct rn_mat x,
                     const struct rn_epilogue *epilogue, struct rn_mat y)
{
    for (size_t t = 0; t < y.rows; t++) {
        const double *x_row = rn_row_f64(x, t);
        double *y_row = rn_row_f64(y, t);
        for (size_t n = 0; n < y.cols; n++) {
            double s = 0.0;
            for (size_t k = 0; k < x.cols; k++) {
                s += x_row[k] * (double)w[n * step_n + k * step_k];
            }
            y_row[n] = finish(epilogue, y.cols, t, n, s);
        }
    }
}

void rn_ref_linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                   const struct rn_epilogue *epilogue, struct rn_mat y)
{
    (void)lane;
    multiply(w->w, w->k, 1, x, epilogue, y);
}

void rn_ref_linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                        const struct rn_epilogue *epilogue, struct rn_mat dx)
{
    (void)lane;
    multiply(w->w, 1, w->k, dy, epilogue, dx);
}

void rn_ref_thin(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h)
{
    (void)lane;
    const struct rn_epilogue none = {0};
    multiply(a, x.cols, 1, x, &none, h);
}

void rn_ref_thin_transpose(struct rn_lane *lane, const float *b, uint32_t n, uint32_t r,
                           float scale, float *out)
{
    (void)lane;
    for (size_t i = 0; i < r; i++) {
        for (size_t c = 0; c < n; c++) {
            out[i * n + c] = scale * b[c * r + i];
        }
    }
}

void rn_ref_dense(struct rn_lane *lane, struct rn_mat x, const float *w, const float *bias,
                  enum rn_activation activation, struct rn_mat y)
{
    (void)lane;
    const struct rn_epilogue epilogue = {.bias = bias, .activation = activation};
    multiply(w, x.cols, 1, x, &epilogue, y);
}

void rn_ref_dense_back(struct rn_lane *lane, struct rn_mat dy, const float *w, struct rn_mat kept,
                       enum rn_activation slope_of, struct rn_mat dx)
{
    (void)lane;
    const struct rn_epilogue epilogue = {.slope = kept, .slope_of = slope_of};
    multiply(w, 1, dx.cols, dy, &epilogue, dx);
}

/* One element of one sequence's gradient: rows first .. last-1. */
static double outer_element(struct rn_mat u, struct rn_mat v, size_t first, size_t last, size_t p,
                            size_t c)
{
    double s = 0.0;
    for (size_t t = first; t < last; t++) {
        s += rn_row_f64(u, t)[p] * rn_row_f64(v, t)[c];
    }
    return s;
}

void rn_ref_outer_sum(struct rn_lane *lane, const struct rn_sequences *sequences, struct rn_mat u,
                      struct rn_mat v, float scale, bool transposed, size_t per_sequence,
                      float *out)
{
    (void)lane;
    const size_t count = sequences != NULL ? sequences->count : u.rows;
    for (size_t p = 0; p < u.cols; p++) {
        for (size_t c = 0; c < v.cols; c++) {
            const size_t at = transposed ? c * u.cols + p : p * v.cols + c;
            double sum = 0.0;
            for (size_t i = 0; i < count; i++) {
                const size_t first = sequences != NULL ? (size_t)sequences->cu[i] : i;
                const size_t last = sequences != NULL ? (size_t)sequences->cu[i + 1] : i + 1;
                const double g = (double)scale * outer_element(u, v, first, last, p, c);
                if (per_sequence != 0) {
                    out[i * per_sequence + at] = (float)g;
                }
                sum += g;
            }
            if (per_sequence == 0) {
                out[at] = (float)((double)out[at] + sum);
            }
        }
    }
}

void rn_ref_column_sum(struct rn_lane *lane, struct rn_mat m, float *out)
{
    (void)lane;
    for (size_t c = 0; c < m.cols; c++) {
        double sum = (double)out[c];
        for (size_t t = 0; t < m.rows; t++) {
            sum += rn_row_f64(m, t)[c];
        }
        out[c] = (float)sum;
    }
}
