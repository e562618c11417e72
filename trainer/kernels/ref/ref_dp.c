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

/* trunc(g * scale); a value beyond `most` becomes most + 1, which no check of a sum passes. */
static int64_t whole(double g, double scale, double most)
{
    const double x = g * scale;
    if (fabs(x) >= most + 1.0) {
        return (int64_t)(x < 0.0 ? -(most + 1.0) : most + 1.0);
    }
    return (int64_t)x;
}

/* An example's vector, element by element: what there is to learn of it in one walk. */
struct walk {
    const struct rn_example_rows *rows;
    const float *row;
    double scale, most;
    int64_t *sum;        /* NULL: nothing is added */
    long double squares; /* of the elements */
    __int128 whole_squares;
};

static void take(struct walk *walk, double g, size_t at)
{
    walk->squares += (long double)g * (long double)g;
    if (walk->scale > 0.0) {
        const int64_t v = whole(g, walk->scale, walk->most);
        walk->whole_squares += (__int128)v * v;
        if (walk->sum != NULL) {
            walk->sum[at] += v;
        }
    }
}

static void walk_all(struct walk *walk)
{
    const struct rn_example_rows *rows = walk->rows;
    size_t at = 0;
    walk->squares = 0.0L;
    walk->whole_squares = 0;
    for (; at < rows->stored; at++) {
        take(walk, (double)walk->row[at], at);
    }
    for (size_t i = 0; i < rows->part_count; i++) {
        const struct rn_outer_part *part = &rows->parts[i];
        for (size_t p = 0; p < part->rows; p++) {
            for (size_t c = 0; c < part->cols; c++, at++) { /* exact: 24 bits by 24 */
                take(walk, (double)walk->row[part->u + p] * (double)walk->row[part->v + c], at);
            }
        }
    }
}

static double factor_of(double norm, const struct rn_clip *clip)
{
    if (clip->gamma > 0.0) {
        return clip->norm / (norm + clip->gamma);
    }
    return norm > clip->norm ? clip->norm / norm : 1.0;
}

static void add_one(struct walk *walk, double norm, const struct rn_clip *clip)
{
    const double unit = walk->most / clip->norm;
    int64_t *const sum = walk->sum;
    double f = factor_of(norm, clip);
    walk->sum = NULL;
    for (;;) {
        walk->scale = f * unit;
        walk_all(walk);
        if (walk->whole_squares <= (__int128)walk->most * (__int128)walk->most) {
            break;
        }
        f *= 1.0 - 0x1p-20;
    }
    walk->sum = sum;
    walk_all(walk);
}

void rn_ref_clip_add_outer(struct rn_lane *lane, uint32_t count, const struct rn_example_rows *rows,
                           const struct rn_clip *clip, int64_t *sum, double *norms)
{
    (void)lane;
    for (uint32_t i = 0; i < count; i++) {
        struct walk walk = {.rows = rows, .row = rows->rows + i * rows->stride, .most = clip->grid};
        walk_all(&walk);
        const double norm = isfinite(walk.squares) ? sqrt((double)walk.squares) : INFINITY;
        if (norms != NULL) {
            norms[i] = norm;
        }
        if (isfinite(norm)) {
            walk.sum = sum;
            add_one(&walk, norm, clip);
        }
    }
}

void rn_ref_clip_add(struct rn_lane *lane, uint32_t count, size_t n, const float *grads,
                     size_t stride, const struct rn_clip *clip, int64_t *sum, double *norms)
{
    const struct rn_example_rows rows = {.rows = grads, .stride = stride, .stored = n};
    rn_ref_clip_add_outer(lane, count, &rows, clip, sum, norms);
}

void rn_ref_noisy_mean(struct rn_lane *lane, size_t n, const int64_t *sum, const int64_t *noise,
                       double factor, float *g)
{
    (void)lane;
    for (size_t j = 0; j < n; j++) {
        g[j] = (float)((double)(sum[j] + noise[j]) * factor);
    }
}
