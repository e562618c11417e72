/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference: gradients of examples, clipped to whole numbers and added exactly.
 */
#include "trainer/kernels/ref/ref_kernels.h"

#include "base/guard.h"

#include <math.h>

void rn_ref_rows_store(struct rn_lane *lane, struct rn_mat m, size_t stride, float *out)
{
    (void)lane;
    for (size_t i = 0; i < m.rows; i++) {
        for (size_t c = 0; c < m.cols; c++) {
            out[i * stride + c] = (float)rn_row_f64(m, i)[c];
        }
    }
}

static double norm_of(const float *g, size_t n)
{
    long double sum = 0.0L;
    for (size_t j = 0; j < n; j++) {
        sum += (long double)g[j] * (long double)g[j];
    }
    return isfinite(sum) ? sqrt((double)sum) : INFINITY;
}

/* trunc(g * scale); a value beyond `most` becomes most + 1, which no check of a sum passes. */
static int64_t whole(float g, double scale, double most)
{
    const double x = (double)g * scale;
    if (fabs(x) >= most + 1.0) {
        return (int64_t)(x < 0.0 ? -(most + 1.0) : most + 1.0);
    }
    return (int64_t)x;
}

static bool fits(const float *g, size_t n, double scale, double grid)
{
    __int128 square = 0;
    for (size_t j = 0; j < n; j++) {
        const __int128 v = whole(g[j], scale, grid);
        square += v * v;
    }
    return square <= (__int128)grid * (__int128)grid;
}

void rn_ref_clip_add(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                     size_t stride, double clip_norm, double grid, int64_t *sum, double *norms)
{
    (void)lane;
    for (uint32_t i = 0; i < count; i++) {
        const float *g = grads + i * stride;
        const double norm = norm_of(g, n);
        if (norms != NULL) {
            norms[i] = norm;
        }
        if (!isfinite(norm)) {
            continue;
        }
        double f = norm > clip_norm ? clip_norm / norm : 1.0;
        while (!fits(g, n, f * (grid / clip_norm), grid)) {
            f *= 1.0 - 0x1p-20;
        }
        for (size_t j = 0; j < n; j++) {
            sum[j] += whole(g[j], f * (grid / clip_norm), grid);
        }
    }
}

void rn_ref_noisy_mean(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                       double factor, float *g)
{
    (void)lane;
    for (size_t j = 0; j < n; j++) {
        g[j] = (float)((double)(sum[j] + noise[j]) * factor);
    }
}
