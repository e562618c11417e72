/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: thin products, gradients as sums of outer products, the head's dense layers.
 */
#include "trainer/kernels/cpu/cpu_kernels.h"
#include "trainer/kernels/cpu/cpu_vector.h"

/* Sixteen chains over k, added by v_sum. */
RN_INLINE v16 dot_lanes(const float *a, const float *b, size_t n)
{
    v16 s = v_set(0.0f);
    size_t k = 0;
    for (; k + RN_LANES <= n; k += RN_LANES) {
        s = v_fma(v_load(a + k), v_load(b + k), s);
    }
    return k == n ? s : v_fma(v_load_n(a + k, n - k), v_load_n(b + k, n - k), s);
}

/* Four products with one row of x. */
RN_INLINE void dot_four(const float *x, const float *a, size_t ld, size_t n, float out[4])
{
    v16 s0 = v_set(0.0f);
    v16 s1 = s0;
    v16 s2 = s0;
    v16 s3 = s0;
    for (size_t k = 0; k < n; k += RN_LANES) {
        const size_t left = v_left(k, n);
        const v16 row = v_load_at(x + k, left);
        s0 = v_fma(row, v_load_at(a + k, left), s0);
        s1 = v_fma(row, v_load_at(a + ld + k, left), s1);
        s2 = v_fma(row, v_load_at(a + 2 * ld + k, left), s2);
        s3 = v_fma(row, v_load_at(a + 3 * ld + k, left), s3);
    }
    out[0] = v_sum(s0);
    out[1] = v_sum(s1);
    out[2] = v_sum(s2);
    out[3] = v_sum(s3);
}

static void thin(struct rn_lane *lane, struct rn_mat x, const float *a, struct rn_mat h)
{
    (void)lane;
    const size_t k = x.cols;
    for (size_t t = 0; t < x.rows; t++) {
        const float *row = rn_row_f32(x, t);
        float *out = rn_row_f32(h, t);
        size_t r = 0;
        for (; r + 4 <= h.cols; r += 4) {
            dot_four(row, a + r * k, k, k, out + r);
        }
        for (; r < h.cols; r++) {
            out[r] = v_sum(dot_lanes(row, a + r * k, k));
        }
    }
}

/* One block of the gradient: columns c .. c+left-1 of rows p .. p+3 (those below r). */
struct outer_block {
    struct rn_mat u, v;
    const struct rn_sequences *sequences;
    size_t p, c, left;
};

/* g_i of the block: a chain over the rows of sequence i for each element. */
RN_INLINE void outer_one(const struct outer_block *b, size_t first, size_t last, v16 out[4])
{
    const size_t height = b->u.cols - b->p < 4 ? b->u.cols - b->p : 4;
    v16 s0 = v_set(0.0f);
    v16 s1 = s0;
    v16 s2 = s0;
    v16 s3 = s0;
    for (size_t t = first; t < last; t++) {
        const float *u = rn_row_f32(b->u, t) + b->p;
        const v16 row = v_load_at(rn_row_f32(b->v, t) + b->c, b->left);
        s0 = v_fma(v_set(u[0]), row, s0);
        if (height == 4) {
            s1 = v_fma(v_set(u[1]), row, s1);
            s2 = v_fma(v_set(u[2]), row, s2);
            s3 = v_fma(v_set(u[3]), row, s3);
        } else {
            s1 = height > 1 ? v_fma(v_set(u[1]), row, s1) : s1;
            s2 = height > 2 ? v_fma(v_set(u[2]), row, s2) : s2;
        }
    }
    out[0] = s0;
    out[1] = s1;
    out[2] = s2;
    out[3] = s3;
}

/* Stores (or adds) a block into out[r][n] or, transposed, out[n][r]. */
static void outer_put(const struct outer_block *b, const v16 g[4], bool transposed, bool add,
                      float *out)
{
    for (size_t i = 0; i < 4 && b->p + i < b->u.cols; i++) {
        float lane[RN_LANES];
        v_store(lane, g[i]);
        for (size_t c = 0; c < b->left; c++) {
            float *at = transposed ? out + (b->c + c) * b->u.cols + b->p + i
                                   : out + (b->p + i) * b->v.cols + b->c + c;
            *at = add ? *at + lane[c] : lane[c];
        }
    }
}

static void outer_sum(struct rn_lane *lane, const struct rn_sequences *sequences, struct rn_mat u,
                      struct rn_mat v, float scale, bool transposed, size_t per_sequence,
                      float *out)
{
    (void)lane;
    const size_t count = sequences != NULL ? sequences->count : u.rows;
    for (size_t c = 0; c < v.cols; c += RN_LANES) {
        for (size_t p = 0; p < u.cols; p += 4) {
            const struct outer_block block = {u, v, sequences, p, c, v_left(c, v.cols)};
            v16 sum[4] = {v_set(0.0f), v_set(0.0f), v_set(0.0f), v_set(0.0f)};
            for (size_t i = 0; i < count; i++) {
                const size_t first = sequences != NULL ? (size_t)sequences->cu[i] : i;
                const size_t last = sequences != NULL ? (size_t)sequences->cu[i + 1] : i + 1;
                v16 g[4];
                outer_one(&block, first, last, g);
                for (int q = 0; q < 4; q++) {
                    g[q] = v_mul(g[q], v_set(scale));
                    sum[q] = v_add(sum[q], g[q]);
                }
                if (per_sequence != 0) {
                    outer_put(&block, g, transposed, false, out + i * per_sequence);
                }
            }
            if (per_sequence == 0) {
                outer_put(&block, sum, transposed, true, out);
            }
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
            out[n] = v_sum(dot_lanes(rn_row_f32(x, t), w + n * x.cols, x.cols)) + bias[n];
        }
        for (size_t c = 0; c < y.cols && activation != RN_ACTIVATION_NONE; c += RN_LANES) {
            const size_t left = v_left(c, y.cols);
            v_store_at(out + c, activate(activation, v_load_at(out + c, left)), left);
        }
    }
}

static void dense_back(struct rn_lane *lane, struct rn_mat dy, const float *w, struct rn_mat gate,
                       enum rn_activation gate_of, struct rn_mat dx)
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
            if (gate.data != NULL) {
                s = v_mul(s, slope(gate_of, v_load_at(rn_row_f32(gate, t) + c, left)));
            }
            v_store_at(rn_row_f32(dx, t) + c, s, left);
        }
    }
}
