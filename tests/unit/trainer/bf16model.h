/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of the bfloat16 backends in plain C, over the float64 reference: what they round,
 * they round at, and nothing else. From it come bounds that hold on every machine.
 *
 * Rounding points (to bfloat16; everything else is float32 or better, and counts as exact here):
 *   - frozen weights, once, to the nearest;
 *   - every matrix of the roles `activation` and `residual` when an operation stores it: results of
 *     products, embedding, LayerNorm, attention and of their gradients, rows added to others, and
 *     GELU's slope, which the forward pass keeps for the backward one;
 *   - the left factor of a product with a frozen weight, where it is not bfloat16 yet;
 *   - inside attention where it multiplies in bfloat16: the shares before they meet the values or
 *     their gradient, and the gradient of the scores.
 * A backend that leaves some of them out is nearer to float64, never farther.
 *
 * A sum of products of bfloat16 numbers may be formed in any order, in float32: enum bf16_order
 * has those of the processors and of blocked kernels. Orders differ by parts of 2^-24, which moves
 * a result only where it turns a rounding the other way. So what a legal implementation can give is
 * sampled by letting every rounding go either way at random (BF16_EITHER: up with the probability
 * that makes it right on average): an ensemble of roundings, seeded, the same on every machine.
 * Its spread takes in how much a model magnifies an error. A rounding to the nearest errs by at
 * most half a unit, the ensemble's by at most one, and its mean square is half of the ensemble's;
 * so SLACK times the ensemble's root mean square is more than five standard deviations of what an
 * implementation gives, and still four where the ensemble's few samples are a third too near.
 */
#ifndef RN_TESTS_UNIT_TRAINER_BF16MODEL_H
#define RN_TESTS_UNIT_TRAINER_BF16MODEL_H

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "trainer/kernels/ref/ref_kernels.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* There it is memory: a quarter of the samples, and room for what those few may be too near by. */
#define BF16_SLACK 8.0
#define BF16_SAMPLES 4
#else
#define BF16_SLACK 4.0
#define BF16_SAMPLES 16
#endif

enum bf16_order {
    BF16_FLOAT64,  /* as if exact */
    BF16_CHAIN,    /* fused multiply-adds in rising k: the own kernels */
    BF16_FALLING,  /* in falling k */
    BF16_DOT,      /* VDPBF16PS: of each pair the odd product, then the even one */
    BF16_TILE,     /* TDPBF16PS: 32 deep; even and odd products from zero, both then added */
    BF16_TILE_TOP, /* the same from the last tile to the first */
    BF16_BLOCKS,   /* blocks of 16 from zero, added as a tree */
    BF16_ANY,      /* off by a random part of what any order at all may err */
    BF16_ORDERS
};

static const char *const bf16_order_names[BF16_ORDERS] = {
    "plain C, exact sums",    "plain C, rising sums",         "plain C, falling sums",
    "plain C, sums by pairs", "plain C, sums by tiles",       "plain C, sums by tiles from the top",
    "plain C, sums as trees", "plain C, sums in a bad order",
};

enum bf16_rounding { BF16_NEAREST, BF16_EITHER };

enum { BF16_LONGEST = 128, BF16_TOKENS = 64 }; /* of a sum, of a sequence */

static struct {
    enum bf16_order order;
    enum bf16_rounding rounding;
    uint64_t state;
} bf16_model;

/* In [0, 1). */
static double bf16_random(void)
{
    bf16_model.state =
        bf16_model.state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(bf16_model.state >> 40) * 0x1p-24;
}

static double bf16_round(double x)
{
    float value = (float)x;
    if (bf16_model.rounding == BF16_NEAREST) {
        return (double)rn_bf16_value(rn_bf16_of(value));
    }
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bits = (bits + (uint32_t)(bf16_random() * 0x1p16)) & 0xffff0000u;
    memcpy(&value, &bits, sizeof(value));
    return (double)value;
}

static void bf16_round_mat(struct rn_mat m)
{
    for (size_t t = 0; t < m.rows; t++) {
        for (size_t c = 0; c < m.cols; c++) {
            rn_row_f64(m, t)[c] = bf16_round(rn_row_f64(m, t)[c]);
        }
    }
}

/* Sum of a[first], a[first + step] ... (n of them) times b likewise, from s on. */
static float bf16_chain(const float *a, const float *b, size_t first, size_t step, size_t n,
                        float s)
{
    for (size_t i = 0; i < n; i++) {
        s = fmaf(a[first + i * step], b[first + i * step], s);
    }
    return s;
}

static float bf16_tree(const float *a, const float *b, size_t n)
{
    if (n <= 16) {
        return bf16_chain(a, b, 0, 1, n, 0.0f);
    }
    const size_t half = (n / 16 + 1) / 2 * 16;
    return bf16_tree(a, b, half) + bf16_tree(a + half, b + half, n - half);
}

/* a, b: room up to the next multiple of 32, zeros there. */
static float bf16_tiles(const float *a, const float *b, size_t n, bool from_top)
{
    float s = 0.0f;
    const size_t tiles = (n + 31) / 32;
    for (size_t i = 0; i < tiles; i++) {
        const size_t at = 32 * (from_top ? tiles - 1 - i : i);
        const float even = bf16_chain(a + at, b + at, 0, 2, 16, 0.0f);
        const float odd = bf16_chain(a + at, b + at, 1, 2, 16, 0.0f);
        s += even + odd;
    }
    return s;
}

/* In float32 and in the model's order; a, b have zeros up to BF16_LONGEST. */
static float bf16_ordered(size_t n, const float *a, const float *b)
{
    float s = 0.0f;
    switch (bf16_model.order) {
    case BF16_FALLING:
        for (size_t i = n; i > 0; i--) {
            s = fmaf(a[i - 1], b[i - 1], s);
        }
        return s;
    case BF16_DOT:
        for (size_t i = 0; i < n; i += 2) {
            s = fmaf(a[i + 1], b[i + 1], s);
            s = fmaf(a[i], b[i], s);
        }
        return s;
    case BF16_TILE:
    case BF16_TILE_TOP:
        return bf16_tiles(a, b, n, bf16_model.order == BF16_TILE_TOP);
    case BF16_BLOCKS:
        return bf16_tree(a, b, n);
    default:
        return bf16_chain(a, b, 0, 1, n, 0.0f);
    }
}

/* Sum of products of n numbers that are bfloat16 already. */
static double bf16_sum(size_t n, const double *a, size_t step_a, const double *b, size_t step_b)
{
    double exact = 0.0;
    double size = 0.0;
    assert_true(n <= BF16_LONGEST);
    if (bf16_model.order == BF16_FLOAT64 || bf16_model.order == BF16_ANY) {
        for (size_t i = 0; i < n; i++) {
            const double product = a[i * step_a] * b[i * step_b];
            exact += product;
            size += fabs(product);
        }
        /* products are exact in float32, n - 1 additions round */
        const double off = bf16_model.order == BF16_ANY ? 2.0 * bf16_random() - 1.0 : 0.0;
        return exact + off * (double)n * 0x1p-24 * size;
    }
    float left[BF16_LONGEST] = {0};
    float right[BF16_LONGEST] = {0};
    for (size_t i = 0; i < n; i++) {
        left[i] = (float)a[i * step_a];
        right[i] = (float)b[i * step_b];
    }
    return (double)bf16_ordered(n, left, right);
}

static void bf16_finish(const struct rn_epilogue *e, size_t t, const double *sums, struct rn_mat y)
{
    for (size_t n = 0; n < y.cols; n++) {
        double s = sums[n] + (e->bias != NULL ? (double)e->bias[n] : 0.0);
        for (size_t i = 0; e->rank_b != NULL && i < e->rank_h.cols; i++) {
            s += rn_row_f64(e->rank_h, t)[i] * (double)rn_epilogue_b(e, t)[i * y.cols + n];
        }
        s += e->residual.data != NULL ? rn_row_f64(e->residual, t)[n] : 0.0;
        if (e->pre.data != NULL) {
            rn_row_f64(e->pre, t)[n] = s;
        }
        s = rn_ref_activate(e->activation, s);
        if (e->slope.data != NULL) {
            s *= bf16_round(rn_ref_slope(e->slope_of, rn_row_f64(e->slope, t)[n]));
        }
        rn_row_f64(y, t)[n] = bf16_round(s);
    }
}

/* y[t][n] from x[t][k] and w[n * step_n + k * step_k]. */
static void bf16_multiply(const struct rn_weight *w, size_t step_n, size_t step_k, struct rn_mat x,
                          const struct rn_epilogue *e, struct rn_mat y)
{
    double *const all = rn_alloc((size_t)w->n * w->k, sizeof(double));
    double left[BF16_LONGEST];
    double sums[BF16_LONGEST];
    assert_true(x.cols <= BF16_LONGEST && y.cols <= BF16_LONGEST);
    for (size_t i = 0; i < (size_t)w->n * w->k; i++) {
        all[i] = (double)rn_bf16_value(rn_bf16_of(w->w[i]));
    }
    for (size_t t = 0; t < y.rows; t++) {
        for (size_t k = 0; k < x.cols; k++) {
            left[k] = bf16_round(rn_row_f64(x, t)[k]);
        }
        for (size_t n = 0; n < y.cols; n++) {
            sums[n] = bf16_sum(x.cols, left, 1, all + n * step_n, step_k);
        }
        bf16_finish(e, t, sums, y);
    }
    rn_free(all);
}

static void bf16_linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                        const struct rn_epilogue *e, struct rn_mat y)
{
    (void)lane;
    bf16_multiply(w, w->k, 1, x, e, y);
}

static void bf16_linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                             const struct rn_epilogue *e, struct rn_mat dx)
{
    (void)lane;
    bf16_multiply(w, 1, w->k, dy, e, dx);
}

static void bf16_embed(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                       const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y)
{
    rn_ref_embed(lane, e, ids, type_ids, position_ids, y);
    bf16_round_mat(y);
}

static void bf16_norm(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                      float eps, struct rn_mat y, struct rn_mat stats)
{
    rn_ref_norm(lane, x, gamma, beta, eps, y, stats);
    bf16_round_mat(y);
}

static void bf16_norm_back(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                           const float *gamma, struct rn_mat dy, struct rn_mat dx)
{
    rn_ref_norm_back(lane, x, stats, gamma, dy, dx);
    bf16_round_mat(dx);
}

static void bf16_scatter_add_rows(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                                  struct rn_mat y)
{
    rn_ref_scatter_add_rows(lane, x, index, y);
    for (size_t i = 0; i < x.rows; i++) {
        bf16_round_mat(rn_mat_rows(y, (uint32_t)index[i], 1));
    }
}

/* The gradient of the first tokens is stored as such; the head's own stay float32. */
static void bf16_dense_back(struct rn_lane *lane, struct rn_mat dy, const float *w,
                            struct rn_mat kept, enum rn_activation slope_of, struct rn_mat dx)
{
    rn_ref_dense_back(lane, dy, w, kept, slope_of, dx);
    if (kept.data == NULL) {
        bf16_round_mat(dx);
    }
}

/* One head of one sequence: places of its queries' and keys' rows, and its columns. */
struct bf16_head {
    size_t row, first, queries, keys, at, width;
    double scale;
};

static void bf16_attend(const struct bf16_head *h, size_t head, struct rn_mat q, struct rn_mat k,
                        struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    double p[BF16_TOKENS];
    for (size_t i = h->row; i < h->row + h->queries; i++) {
        double most = -HUGE_VAL;
        for (size_t j = 0; j < h->keys; j++) {
            p[j] = bf16_sum(h->width, rn_row_f64(q, i) + h->at, 1,
                            rn_row_f64(k, h->first + j) + h->at, 1);
            most = fmax(most, p[j]);
        }
        double total = 0.0;
        for (size_t j = 0; j < h->keys; j++) {
            const double e = exp(h->scale * (p[j] - most));
            total += e;
            p[j] = bf16_round(e);
        }
        rn_row_f64(lse, i)[head] = h->scale * most + log(total);
        for (size_t c = h->at; c < h->at + h->width; c++) {
            const double s = bf16_sum(h->keys, p, 1, rn_row_f64(v, h->first) + c, v.ld);
            rn_row_f64(out, i)[c] = bf16_round(s / total);
        }
    }
}

static void bf16_attend_back(const struct bf16_head *h, size_t head, struct rn_mat q,
                             struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse,
                             struct rn_mat dout, struct rn_mat dq, struct rn_mat dk,
                             struct rn_mat dv)
{
    static double share[BF16_TOKENS][BF16_TOKENS];
    static double slope[BF16_TOKENS][BF16_TOKENS];
    const size_t at = h->at;
    for (size_t i = 0; i < h->queries; i++) {
        const double *q_row = rn_row_f64(q, h->row + i) + at;
        const double *dout_row = rn_row_f64(dout, h->row + i) + at;
        double delta = 0.0;
        for (size_t c = 0; c < h->width; c++) {
            delta += rn_row_f64(out, h->row + i)[at + c] * dout_row[c];
        }
        for (size_t j = 0; j < h->keys; j++) {
            const double s = bf16_sum(h->width, q_row, 1, rn_row_f64(k, h->first + j) + at, 1);
            const double p = exp(h->scale * s - rn_row_f64(lse, h->row + i)[head]);
            const double dp = bf16_sum(h->width, dout_row, 1, rn_row_f64(v, h->first + j) + at, 1);
            share[i][j] = bf16_round(p);
            slope[i][j] = bf16_round(p * (dp - delta) * h->scale);
        }
    }
    for (size_t c = at; c < at + h->width; c++) {
        for (size_t j = 0; j < h->keys; j++) {
            const double *dout_column = rn_row_f64(dout, h->row) + c;
            const double *q_column = rn_row_f64(q, h->row) + c;
            rn_row_f64(dv, h->first + j)[c] =
                bf16_round(bf16_sum(h->queries, &share[0][j], BF16_TOKENS, dout_column, dout.ld));
            rn_row_f64(dk, h->first + j)[c] =
                bf16_round(bf16_sum(h->queries, &slope[0][j], BF16_TOKENS, q_column, q.ld));
        }
        for (size_t i = 0; i < h->queries; i++) {
            const double *k_column = rn_row_f64(k, h->first) + c;
            rn_row_f64(dq, h->row + i)[c] =
                bf16_round(bf16_sum(h->keys, slope[i], 1, k_column, k.ld));
        }
    }
}

static struct bf16_head bf16_head_of(const struct rn_attention *a, size_t sequence, size_t head)
{
    const size_t first = (size_t)a->sequences.cu[sequence];
    const size_t keys = (size_t)a->sequences.cu[sequence + 1] - first;
    assert_true(keys <= BF16_TOKENS);
    return (struct bf16_head){.row = a->first_query ? sequence : first,
                              .first = first,
                              .queries = a->first_query ? 1 : keys,
                              .keys = keys,
                              .at = head * a->head_dim,
                              .width = a->head_dim,
                              .scale = (double)a->scale};
}

static void bf16_attention(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                           struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    (void)lane;
    for (size_t i = 0; i < (size_t)a->sequences.count * a->heads; i++) {
        const struct bf16_head h = bf16_head_of(a, i / a->heads, i % a->heads);
        bf16_attend(&h, i % a->heads, q, k, v, out, lse);
    }
}

static void bf16_attention_back(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                                struct rn_mat k, struct rn_mat v, struct rn_mat out,
                                struct rn_mat lse, struct rn_mat dout, struct rn_mat dq,
                                struct rn_mat dk, struct rn_mat dv)
{
    (void)lane;
    for (size_t i = 0; i < (size_t)a->sequences.count * a->heads; i++) {
        const struct bf16_head h = bf16_head_of(a, i / a->heads, i % a->heads);
        bf16_attend_back(&h, i % a->heads, q, k, v, out, lse, dout, dq, dk, dv);
    }
}

/* The table from now on; one thread. Its matrices are the reference's, in float64. */
static const struct rn_kernels *bf16_model_table(enum bf16_order order, enum bf16_rounding rounding,
                                                 uint64_t seed)
{
    static struct rn_kernels table;
    bf16_model.order = order;
    bf16_model.rounding = rounding;
    bf16_model.state = seed;
    table = *rn_kernels_ref();
    table.linear = bf16_linear;
    table.linear_back = bf16_linear_back;
    table.embed = bf16_embed;
    table.norm = bf16_norm;
    table.norm_back = bf16_norm_back;
    table.scatter_add_rows = bf16_scatter_add_rows;
    table.dense_back = bf16_dense_back;
    table.attention = bf16_attention;
    table.attention_back = bf16_attention_back;
    return &table;
}

#endif
