/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: thin products, gradients as sums of outer products, the head's dense layers.
 */
#include "trainer/kernels/cpu/cpu_element.body.h"
#include "trainer/kernels/cpu/cpu_epilogue.body.h"

/* Sixteen chains over k, added by v_sum. */
RN_INLINE v16 dot_lanes(enum rn_element type, const void *a, const float *b, size_t n)
{
    v16 s = v_set(0.0f);
    for (size_t k = 0; k < n; k += RN_LANES) {
        const size_t left = v_left(k, n);
        s = v_fma(v_get(type, a, k, left), v_load_at(b + k, left), s);
    }
    return s;
}

/* Products of `rows` (1..4) rows of x with `ranks` (1..4) rows of a: all sixteen sums stay in
 * registers, so that a row of `a` is read once for four rows of x. */
RN_INLINE void thin_block(enum rn_element type, const void *const x[4], const float *a, size_t n,
                          size_t rows, size_t ranks, float *const out[4])
{
    v16 s[4][4];
#pragma GCC unroll 4
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t r = 0; r < ranks; r++) {
            s[i][r] = v_set(0.0f);
        }
    }
    for (size_t k = 0; k < n; k += RN_LANES) {
        const size_t left = v_left(k, n);
        v16 right[4];
#pragma GCC unroll 4
        for (size_t r = 0; r < ranks; r++) {
            right[r] = v_load_at(a + r * n + k, left);
        }
#pragma GCC unroll 4
        for (size_t i = 0; i < rows; i++) {
            const v16 row = v_get(type, x[i], k, left);
#pragma GCC unroll 4
            for (size_t r = 0; r < ranks; r++) {
                s[i][r] = v_fma(row, right[r], s[i][r]);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (size_t r = 0; r < ranks; r++) {
            out[i][r] = v_sum(s[i][r]);
        }
    }
}

RN_INLINE void thin_rows(struct rn_mat x, size_t t, size_t rows, const float *a, struct rn_mat h,
                         enum rn_element type)
{
    for (size_t r = 0; r < h.cols; r += 4) {
        const void *from[4];
        float *out[4];
        for (size_t i = 0; i < 4; i++) {
            const size_t row = t + (i < rows ? i : 0);
            from[i] = rn_row(x, row);
            out[i] = rn_row_f32(h, row) + r;
        }
        const size_t ranks = h.cols - r < 4 ? h.cols - r : 4;
        const float *right = a + r * x.cols;
        if (rows == 4 && ranks == 4) {
            thin_block(type, from, right, x.cols, 4, 4, out);
            continue;
        }
        for (size_t i = 0; i < rows; i++) {
            const void *const one[4] = {from[i], from[i], from[i], from[i]};
            float *const one_out[4] = {out[i], out[i], out[i], out[i]};
            if (ranks == 4) {
                thin_block(type, one, right, x.cols, 1, 4, one_out);
            }
            for (size_t q = 0; ranks < 4 && q < ranks; q++) {
                out[i][q] = v_sum(dot_lanes(type, from[i], right + q * x.cols, x.cols));
            }
        }
    }
}

static void thin(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h)
{
    (void)lane;
    for (size_t t = 0; t < x.rows; t += 4) {
        const size_t rows = x.rows - t < 4 ? x.rows - t : 4;
        if (x.type == RN_BF16) {
            thin_rows(x, t, rows, a, h, RN_BF16);
        } else {
            thin_rows(x, t, rows, a, h, RN_F32);
        }
    }
}

/* One block of the gradient: columns c .. c+left-1 (at most four vectors) of rows p .. p+3 (those
 * below r). */
#define RN_OUTER_COLUMNS (4 * RN_LANES)
struct outer_block {
    struct rn_mat u, v;
    const struct rn_sequences *sequences;
    size_t p, c, left;
};

/* g_i of a vector of columns: a chain over the rows of sequence i for each element. */
RN_INLINE void outer_narrow(const struct outer_block *b, size_t height, size_t first, size_t last,
                            size_t c, v16 out[4])
{
    const size_t left = v_left(c, b->v.cols);
    for (size_t p = 0; p < 4; p++) {
        out[p] = v_set(0.0f);
    }
    for (size_t t = first; t < last; t++) {
        const float *u = rn_row_f32(b->u, t) + b->p;
        const v16 row = v_get(b->v.type, rn_row(b->v, t), c, left);
        for (size_t p = 0; p < height; p++) {
            out[p] = v_fma(v_set(u[p]), row, out[p]);
        }
    }
}

/* The same for a whole block of four vectors and four rows. */
RN_INLINE void outer_wide(const struct outer_block *b, enum rn_element type, size_t first,
                          size_t last, v16 out[4][4])
{
    v16 s[4][4];
#pragma GCC unroll 4
    for (size_t p = 0; p < 4; p++) {
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            s[p][i] = v_set(0.0f);
        }
    }
    for (size_t t = first; t < last; t++) {
        const float *u = rn_row_f32(b->u, t) + b->p;
        const void *from = rn_row(b->v, t);
        v16 row[4];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            row[i] = v_get(type, from, b->c + i * RN_LANES, RN_LANES);
        }
#pragma GCC unroll 4
        for (size_t p = 0; p < 4; p++) {
            const v16 left = v_set(u[p]);
#pragma GCC unroll 4
            for (size_t i = 0; i < 4; i++) {
                s[p][i] = v_fma(left, row[i], s[p][i]);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t p = 0; p < 4; p++) {
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            out[p][i] = s[p][i];
        }
    }
}

static void outer_one(const struct outer_block *b, size_t first, size_t last, v16 out[4][4])
{
    const size_t height = b->u.cols - b->p < 4 ? b->u.cols - b->p : 4;
    if (height == 4 && b->left == RN_OUTER_COLUMNS) {
        if (b->v.type == RN_BF16) {
            outer_wide(b, RN_BF16, first, last, out);
        } else {
            outer_wide(b, RN_F32, first, last, out);
        }
        return;
    }
    for (size_t i = 0; i * RN_LANES < b->left; i++) {
        v16 g[4];
        outer_narrow(b, height, first, last, b->c + i * RN_LANES, g);
        for (size_t p = 0; p < 4; p++) {
            out[p][i] = g[p];
        }
    }
}

/* Adds a block to out[r][n] or, transposed, out[n][r]. */
static void outer_add(const struct outer_block *b, v16 g[4][4], bool transposed, float *out)
{
    for (size_t p = 0; p < 4 && b->p + p < b->u.cols; p++) {
        float lane[RN_OUTER_COLUMNS];
        for (size_t i = 0; i * RN_LANES < b->left; i++) {
            v_store(lane + i * RN_LANES, g[p][i]);
        }
        for (size_t c = 0; c < b->left; c++) {
            float *at = transposed ? out + (b->c + c) * b->u.cols + b->p + p
                                   : out + (b->p + p) * b->v.cols + b->c + c;
            *at += lane[c];
        }
    }
}

/* Four rows of four columns at `from` (rows RN_OUTER_COLUMNS apart) to four columns of four. */
RN_INLINE void put_square(const float *from, float *to, size_t stride)
{
    typedef float f4 __attribute__((vector_size(16)));
    typedef int32_t i4 __attribute__((vector_size(16)));
    f4 row[4];
    for (size_t p = 0; p < 4; p++) {
        memcpy(&row[p], from + p * RN_OUTER_COLUMNS, sizeof(f4));
    }
    const i4 low = {0, 4, 1, 5};
    const i4 high = {2, 6, 3, 7};
    const f4 a = __builtin_shuffle(row[0], row[1], low);
    const f4 b = __builtin_shuffle(row[2], row[3], low);
    const f4 c = __builtin_shuffle(row[0], row[1], high);
    const f4 d = __builtin_shuffle(row[2], row[3], high);
    const i4 first = {0, 1, 4, 5};
    const i4 second = {2, 3, 6, 7};
    const f4 column[4] = {__builtin_shuffle(a, b, first), __builtin_shuffle(a, b, second),
                          __builtin_shuffle(c, d, first), __builtin_shuffle(c, d, second)};
    for (size_t k = 0; k < 4; k++) {
        memcpy(to + k * stride, &column[k], sizeof(f4));
    }
}

/* Stores a block into an example's out[r][n] or, transposed, out[n][r]. */
static void outer_put(const struct outer_block *b, v16 g[4][4], bool transposed, float *out)
{
    const size_t height = b->u.cols - b->p < 4 ? b->u.cols - b->p : 4;
    if (!transposed) {
        for (size_t p = 0; p < height; p++) {
            float *row = out + (b->p + p) * b->v.cols + b->c;
            for (size_t i = 0; i * RN_LANES < b->left; i++) {
                v_store_at(row + i * RN_LANES, g[p][i], v_left(i * RN_LANES, b->left));
            }
        }
        return;
    }
    float lane[4][RN_OUTER_COLUMNS];
    for (size_t p = 0; p < height; p++) {
        for (size_t i = 0; i * RN_LANES < b->left; i++) {
            v_store(lane[p] + i * RN_LANES, g[p][i]);
        }
    }
    size_t c = 0;
    for (; height == 4 && c + 4 <= b->left; c += 4) {
        put_square(lane[0] + c, out + (b->c + c) * b->u.cols + b->p, b->u.cols);
    }
    for (; c < b->left; c++) {
        for (size_t p = 0; p < height; p++) {
            out[(b->c + c) * b->u.cols + b->p + p] = lane[p][c];
        }
    }
}

/* An example of one row, not transposed: its outer product in the order of memory. */
static void outer_rows_put(struct rn_mat u, struct rn_mat v, float scale, size_t per_sequence,
                           float *out)
{
    for (size_t i = 0; i < u.rows; i++) {
        for (size_t p = 0; p < u.cols; p++) {
            const v16 left = v_set(rn_row_f32(u, i)[p]);
            float *row = out + i * per_sequence + p * v.cols;
            for (size_t c = 0; c < v.cols; c += RN_LANES) {
                const size_t n = v_left(c, v.cols);
                const v16 g = v_fma(left, v_get(v.type, rn_row(v, i), c, n), v_set(0.0f));
                v_store_at(row + c, v_mul(g, v_set(scale)), n);
            }
        }
    }
}

static void outer_block_sum(const struct outer_block *b, float scale, bool transposed,
                            size_t per_sequence, float *out)
{
    const size_t count = b->sequences != NULL ? b->sequences->count : b->u.rows;
    const size_t vectors = (b->left + RN_LANES - 1) / RN_LANES;
    v16 sum[4][4];
    for (size_t p = 0; p < 4; p++) {
        for (size_t q = 0; q < 4; q++) {
            sum[p][q] = v_set(0.0f);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const size_t first = b->sequences != NULL ? (size_t)b->sequences->cu[i] : i;
        const size_t last = b->sequences != NULL ? (size_t)b->sequences->cu[i + 1] : i + 1;
        v16 g[4][4];
        outer_one(b, first, last, g);
        for (size_t p = 0; p < 4; p++) {
            for (size_t q = 0; q < vectors; q++) {
                g[p][q] = v_mul(g[p][q], v_set(scale));
                sum[p][q] = v_add(sum[p][q], g[p][q]);
            }
        }
        if (per_sequence != 0) {
            outer_put(b, g, transposed, out + i * per_sequence);
        }
    }
    if (per_sequence == 0) {
        outer_add(b, sum, transposed, out);
    }
}

static void outer_sum(struct rn_lane *lane, const struct rn_sequences *sequences, struct rn_mat u,
                      struct rn_mat v, float scale, bool transposed, size_t per_sequence,
                      float *out)
{
    (void)lane;
    if (sequences == NULL && per_sequence != 0 && !transposed) {
        outer_rows_put(u, v, scale, per_sequence, out);
        return;
    }
    for (size_t c = 0; c < v.cols; c += RN_OUTER_COLUMNS) {
        const size_t left = v.cols - c < RN_OUTER_COLUMNS ? v.cols - c : RN_OUTER_COLUMNS;
        for (size_t p = 0; p < u.cols; p += 4) {
            const struct outer_block block = {u, v, sequences, p, c, left};
            outer_block_sum(&block, scale, transposed, per_sequence, out);
        }
    }
}

static void dense(struct rn_lane *lane, struct rn_mat x, const float *w, const float *bias,
                  enum rn_activation activation, struct rn_mat y)
{
    (void)lane;
    for (size_t t = 0; t < x.rows; t++) {
        float *out = rn_row_f32(y, t);
        for (size_t n = 0; n < y.cols; n++) {
            out[n] = v_sum(dot_lanes(x.type, rn_row(x, t), w + n * x.cols, x.cols));
            out[n] += bias != NULL ? bias[n] : 0.0f;
        }
        for (size_t c = 0; c < y.cols && activation != RN_ACTIVATION_NONE; c += RN_LANES) {
            const size_t left = v_left(c, y.cols);
            v_store_at(out + c, activate(activation, v_load_at(out + c, left)), left);
        }
    }
}

static void dense_back(struct rn_lane *lane, struct rn_mat dy, const float *w, struct rn_mat kept,
                       enum rn_activation slope_of, struct rn_mat dx)
{
    (void)lane;
    for (size_t t = 0; t < dy.rows; t++) {
        const float *row = rn_row_f32(dy, t);
        for (size_t c = 0; c < dx.cols; c += RN_LANES) {
            const size_t left = v_left(c, dx.cols);
            v16 s = v_set(0.0f);
            for (size_t n = 0; n < dy.cols; n++) {
                s = v_fma(v_set(row[n]), v_load_at(w + n * dx.cols + c, left), s);
            }
            if (kept.data != NULL) {
                s = v_mul(s, slope(slope_of, v_get(kept.type, rn_row(kept, t), c, left)));
            }
            v_put(dx.type, rn_row(dx, t), c, left, s);
        }
    }
}
