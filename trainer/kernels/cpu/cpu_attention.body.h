/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: attention of one head of one sequence at a time. Scratch of the lane, with S = length
 * rounded up to 16 and D = head width rounded up to 16 (floats):
 *   kt [D][S], vt [D][S]            transposed keys and values
 *   k, v, dk, dv [length][D]        rows, zero beyond the head's width
 *   p, ds [4][S], q, dout, dq [4][D]   of the query rows that are computed together
 * A row's result depends on its own query and on its sequence alone.
 */
#include "trainer/kernels/cpu/cpu_element.body.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

/* Vectors of columns per query row in registers. */
#if defined(RN_SET_AVX512)
#define RN_ATTEND_VECTORS 4
#else
#define RN_ATTEND_VECTORS 1
#endif

struct head {
    size_t length, width; /* tokens of the sequence, columns of the head */
    size_t s, d;          /* both rounded up to 16 */
    float *kt, *vt, *k, *v, *dk, *dv, *p, *ds, *q, *dout, *dq;
};

static struct head head_of(struct rn_lane *lane, size_t length, size_t width)
{
    struct head h = {.length = length, .width = width};
    h.s = (length + RN_LANES - 1) / RN_LANES * RN_LANES;
    h.d = (width + RN_LANES - 1) / RN_LANES * RN_LANES;
    h.kt = lane->attend;
    h.vt = h.kt + h.d * h.s;
    h.k = h.vt + h.d * h.s;
    h.v = h.k + length * h.d;
    h.dk = h.v + length * h.d;
    h.dv = h.dk + length * h.d;
    h.p = h.dv + length * h.d;
    h.ds = h.p + RN_ATTEND_ROWS * h.s;
    h.q = h.ds + RN_ATTEND_ROWS * h.s;
    h.dout = h.q + RN_ATTEND_ROWS * h.d;
    h.dq = h.dout + RN_ATTEND_ROWS * h.d;
    return h;
}

/* The head's columns of a row of m, as float32 with zeros up to the padded width, and back. */
static void take_row(const struct head *h, struct rn_mat m, size_t row, size_t at, float *to)
{
    const uint8_t *from = (const uint8_t *)rn_row(m, row) + at * rn_element_size(m.type);
    v_take_row(m.type, from, h->width, h->d, to);
}
static void put_row(const struct head *h, const float *from, size_t row, size_t at, struct rn_mat m)
{
    v_put_row(m.type, (uint8_t *)rn_row(m, row) + at * rn_element_size(m.type), h->width, from);
}

/* rows [length][D] and transposed [width][S] copies of columns `at` .. of m. */
static void take_head(const struct head *h, struct rn_mat m, size_t first, size_t at, float *rows,
                      float *transposed)
{
    for (size_t j = 0; j < h->length; j++) {
        take_row(h, m, first + j, at, rows + j * h->d);
    }
    for (size_t c = 0; c < h->width; c++) {
        float *to = transposed + c * h->s;
        for (size_t j = 0; j < h->length; j++) {
            to[j] = rows[j * h->d + c];
        }
        memset(to + h->length, 0, (h->s - h->length) * sizeof(float));
    }
}

/* out[r][j] = x[r] . row j for `rows` queries, as chains over the columns; transposed [width][S].
 */
RN_INLINE void row_products_of(const struct head *h, size_t rows, size_t vectors, size_t j,
                               const float *x, const float *transposed, float *out)
{
    v16 s[RN_ATTEND_ROWS][RN_ATTEND_VECTORS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            s[r][v] = v_set(0.0f);
        }
    }
    for (size_t c = 0; c < h->width; c++) {
        v16 right[RN_ATTEND_VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            right[v] = v_load(transposed + c * h->s + j + v * RN_LANES);
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            const v16 left = v_set(x[r * h->d + c]);
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) {
                s[r][v] = v_fma(left, right[v], s[r][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            v_store(out + r * h->s + j + v * RN_LANES, s[r][v]);
        }
    }
}

static void row_products(const struct head *h, size_t rows, const float *x, const float *transposed,
                         float *out)
{
    const size_t wide = RN_ATTEND_VECTORS * RN_LANES;
    size_t j = 0;
    for (; j + wide <= h->s && rows == RN_ATTEND_ROWS; j += wide) {
        row_products_of(h, RN_ATTEND_ROWS, RN_ATTEND_VECTORS, j, x, transposed, out);
    }
    for (; j < h->s; j += RN_LANES) {
        for (size_t r = 0; r < rows; r++) {
            row_products_of(h, 1, 1, j, x + r * h->d, transposed, out + r * h->s);
        }
    }
}

/* out[r][D] = sum over j in order of weight[r][j] * row j. */
RN_INLINE void weighted_rows_of(const struct head *h, size_t rows, size_t vectors, size_t c,
                                const float *weight, const float *from, float *out)
{
    v16 s[RN_ATTEND_ROWS][RN_ATTEND_VECTORS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            s[r][v] = v_set(0.0f);
        }
    }
    for (size_t j = 0; j < h->length; j++) {
        v16 right[RN_ATTEND_VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            right[v] = v_load(from + j * h->d + c + v * RN_LANES);
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            const v16 left = v_set(weight[r * h->s + j]);
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) {
                s[r][v] = v_fma(left, right[v], s[r][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            v_store(out + r * h->d + c + v * RN_LANES, s[r][v]);
        }
    }
}

static void weighted_rows(const struct head *h, size_t rows, const float *weight, const float *from,
                          float *out)
{
    const size_t wide = RN_ATTEND_VECTORS * RN_LANES;
    size_t c = 0;
    for (; c + wide <= h->d && rows == RN_ATTEND_ROWS; c += wide) {
        weighted_rows_of(h, RN_ATTEND_ROWS, RN_ATTEND_VECTORS, c, weight, from, out);
    }
    for (; c < h->d; c += RN_LANES) {
        for (size_t r = 0; r < rows; r++) {
            weighted_rows_of(h, 1, 1, c, weight + r * h->s, from, out + r * h->d);
        }
    }
}

/* scores scaled in place; returns their greatest. */
static float scale_scores(const struct head *h, float scale, float *scores)
{
    v16 most = v_set(-HUGE_VALF);
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        v16 x = v_mul(v_load(scores + j), v_set(scale));
        v_store(scores + j, x);
        if (j + RN_LANES > h->length) {
            float lane[RN_LANES];
            v_store(lane, v_set(-HUGE_VALF));
            memcpy(lane, scores + j, (h->length - j) * sizeof(float));
            x = v_load(lane);
        }
        most = v_max(x, most);
    }
    return v_most(most);
}

/* p[j] = e^(p[j] - shift), zero beyond the sequence; returns their sum. */
static float exponentiate(const struct head *h, float shift, float *p)
{
    v16 sum = v_set(0.0f);
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        v_store(p + j, v_exp(v_sub(v_load(p + j), v_set(shift))));
        if (j + RN_LANES > h->length) {
            memset(p + h->length, 0, (h->s - h->length) * sizeof(float));
        }
        sum = v_add(sum, v_load(p + j));
    }
    return v_sum(sum);
}

/* p = softmax(scale q k^T) of some rows; out_lse (may be NULL) = their log sum exp. Backward does
 * the same again instead of e^(s - lse), whose rounding grows with the size of the scores. */
static void softmax_rows(const struct head *h, size_t rows, float scale, const float *q,
                         float *out_lse)
{
    row_products(h, rows, q, h->kt, h->p);
    for (size_t r = 0; r < rows; r++) {
        float *p = h->p + r * h->s;
        const float most = scale_scores(h, scale, p);
        const float sum = exponentiate(h, most, p);
        const v16 share = v_set(1.0f / sum);
        for (size_t j = 0; j < h->s; j += RN_LANES) {
            v_store(p + j, v_mul(v_load(p + j), share));
        }
        if (out_lse != NULL) {
            out_lse[r] = most + logf(sum);
        }
    }
}

/* Query rows row .. of a head. */
static void attend(const struct head *h, float scale, size_t rows, size_t row, size_t head,
                   size_t at, const struct rn_mat m[3])
{
    float lse[RN_ATTEND_ROWS];
    for (size_t r = 0; r < rows; r++) {
        take_row(h, m[0], row + r, at, h->q + r * h->d);
    }
    softmax_rows(h, rows, scale, h->q, lse);
    weighted_rows(h, rows, h->p, h->v, h->dq);
    for (size_t r = 0; r < rows; r++) {
        put_row(h, h->dq + r * h->d, row + r, at, m[1]);
        rn_row_f32(m[2], row + r)[head] = lse[r];
    }
}

static void attention(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                      struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    for (size_t i = 0; i < a->sequences.count; i++) {
        const size_t first = (size_t)a->sequences.cu[i];
        const size_t length = (size_t)a->sequences.cu[i + 1] - first;
        const size_t queries = a->first_query ? 1 : length;
        const size_t row = a->first_query ? i : first;
        const struct head h = head_of(lane, length, a->head_dim);
        for (size_t n = 0; n < a->heads; n++) {
            const size_t at = n * a->head_dim;
            take_head(&h, k, first, at, h.k, h.kt);
            take_head(&h, v, first, at, h.v, h.vt);
            for (size_t t = 0; t < queries; t += RN_ATTEND_ROWS) {
                const size_t rows = queries - t < RN_ATTEND_ROWS ? queries - t : RN_ATTEND_ROWS;
                const struct rn_mat m[3] = {q, out, lse};
                attend(&h, a->scale, rows, row + t, n, at, m);
            }
        }
    }
}

/* Adds weight[r][j] * x[r] to row j of `to`, r in order. */
RN_INLINE void add_outer_of(const struct head *h, size_t rows, size_t c, const float *weight,
                            const float *x, float *to)
{
    v16 right[RN_ATTEND_ROWS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows; r++) {
        right[r] = v_load(x + r * h->d + c);
    }
    for (size_t j = 0; j < h->length; j++) {
        float *at = to + j * h->d + c;
        v16 s = v_load(at);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows; r++) {
            s = v_fma(v_set(weight[r * h->s + j]), right[r], s);
        }
        v_store(at, s);
    }
}

static void add_outer(const struct head *h, size_t rows, const float *weight, const float *x,
                      float *to)
{
    for (size_t c = 0; c < h->d; c += RN_LANES) {
        if (rows == RN_ATTEND_ROWS) {
            add_outer_of(h, RN_ATTEND_ROWS, c, weight, x, to);
            continue;
        }
        for (size_t r = 0; r < rows; r++) {
            add_outer_of(h, 1, c, weight + r * h->s, x + r * h->d, to);
        }
    }
}

/* Query rows with q, out and dout in the scratch (out in dq): dq takes its place, dk and dv add. */
static void attend_back(const struct head *h, float scale, size_t rows)
{
    float delta[RN_ATTEND_ROWS];
    for (size_t r = 0; r < rows; r++) {
        v16 products = v_set(0.0f);
        for (size_t c = r * h->d; c < (r + 1) * h->d; c += RN_LANES) {
            products = v_fma(v_load(h->dq + c), v_load(h->dout + c), products);
        }
        delta[r] = v_sum(products);
    }
    softmax_rows(h, rows, scale, h->q, NULL);
    row_products(h, rows, h->dout, h->vt, h->ds);
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = r * h->s; j < (r + 1) * h->s; j += RN_LANES) {
            const v16 centred = v_sub(v_load(h->ds + j), v_set(delta[r]));
            v_store(h->ds + j, v_mul(v_mul(v_load(h->p + j), centred), v_set(scale)));
        }
    }
    add_outer(h, rows, h->p, h->dout, h->dv);
    add_outer(h, rows, h->ds, h->q, h->dk);
    weighted_rows(h, rows, h->ds, h->k, h->dq);
}

static void put_head(const struct head *h, const float *rows, size_t first, size_t at,
                     struct rn_mat m)
{
    for (size_t j = 0; j < h->length; j++) {
        put_row(h, rows + j * h->d, first + j, at, m);
    }
}

static void attention_back(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                           struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse,
                           struct rn_mat dout, struct rn_mat dq, struct rn_mat dk, struct rn_mat dv)
{
    (void)lse;
    for (size_t i = 0; i < a->sequences.count; i++) {
        const size_t first = (size_t)a->sequences.cu[i];
        const size_t length = (size_t)a->sequences.cu[i + 1] - first;
        const size_t queries = a->first_query ? 1 : length;
        const size_t row = a->first_query ? i : first;
        const struct head h = head_of(lane, length, a->head_dim);
        for (size_t n = 0; n < a->heads; n++) {
            const size_t at = n * a->head_dim;
            take_head(&h, k, first, at, h.k, h.kt);
            take_head(&h, v, first, at, h.v, h.vt);
            memset(h.dk, 0, length * h.d * sizeof(float));
            memset(h.dv, 0, length * h.d * sizeof(float));
            for (size_t t = 0; t < queries; t += RN_ATTEND_ROWS) {
                const size_t rows = queries - t < RN_ATTEND_ROWS ? queries - t : RN_ATTEND_ROWS;
                for (size_t r = 0; r < rows; r++) {
                    take_row(&h, q, row + t + r, at, h.q + r * h.d);
                    take_row(&h, dout, row + t + r, at, h.dout + r * h.d);
                    take_row(&h, out, row + t + r, at, h.dq + r * h.d);
                }
                attend_back(&h, a->scale, rows);
                for (size_t r = 0; r < rows; r++) {
                    put_row(&h, h.dq + r * h.d, row + t + r, at, dq);
                }
            }
            put_head(&h, h.dk, first, at, dk);
            put_head(&h, h.dv, first, at, dv);
        }
    }
}
