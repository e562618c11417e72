/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: attention of one head of one sequence at a time. Scratch of the lane, with S = length
 * rounded up to 16 and D = head width rounded up to 16 (floats):
 *   kt [D][S], vt [D][S]            transposed keys and values
 *   k, v, dk, dv [length][D]        rows, zero beyond the head's width
 *   p [S], ds [S], q [D], d [D], acc [D]
 * A row's result depends on its own query and on its sequence alone.
 */
#include "trainer/kernels/cpu/cpu_element.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

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
    h.ds = h.p + h.s;
    h.q = h.ds + h.s;
    h.dout = h.q + h.d;
    h.dq = h.dout + h.d;
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

/* out[j] = x . row j, as chains over the columns; transposed [width][S]. */
static void row_products(const struct head *h, const float *x, const float *transposed, float *out)
{
    size_t j = 0;
    for (; j + 4 * RN_LANES <= h->s; j += 4 * RN_LANES) {
        v16 s0 = v_set(0.0f);
        v16 s1 = s0;
        v16 s2 = s0;
        v16 s3 = s0;
        for (size_t c = 0; c < h->width; c++) {
            const v16 left = v_set(x[c]);
            const float *t = transposed + c * h->s + j;
            s0 = v_fma(left, v_load(t), s0);
            s1 = v_fma(left, v_load(t + RN_LANES), s1);
            s2 = v_fma(left, v_load(t + 2 * RN_LANES), s2);
            s3 = v_fma(left, v_load(t + 3 * RN_LANES), s3);
        }
        v_store(out + j, s0);
        v_store(out + j + RN_LANES, s1);
        v_store(out + j + 2 * RN_LANES, s2);
        v_store(out + j + 3 * RN_LANES, s3);
    }
    for (; j < h->s; j += RN_LANES) {
        v16 s = v_set(0.0f);
        for (size_t c = 0; c < h->width; c++) {
            s = v_fma(v_set(x[c]), v_load(transposed + c * h->s + j), s);
        }
        v_store(out + j, s);
    }
}

/* out[D] = sum over j in order of weight[j] * row j. */
static void weighted_rows(const struct head *h, const float *weight, const float *rows, float *out)
{
    size_t c = 0;
    for (; c + 4 * RN_LANES <= h->d; c += 4 * RN_LANES) {
        v16 s0 = v_set(0.0f);
        v16 s1 = s0;
        v16 s2 = s0;
        v16 s3 = s0;
        for (size_t j = 0; j < h->length; j++) {
            const v16 w = v_set(weight[j]);
            const float *row = rows + j * h->d + c;
            s0 = v_fma(w, v_load(row), s0);
            s1 = v_fma(w, v_load(row + RN_LANES), s1);
            s2 = v_fma(w, v_load(row + 2 * RN_LANES), s2);
            s3 = v_fma(w, v_load(row + 3 * RN_LANES), s3);
        }
        v_store(out + c, s0);
        v_store(out + c + RN_LANES, s1);
        v_store(out + c + 2 * RN_LANES, s2);
        v_store(out + c + 3 * RN_LANES, s3);
    }
    for (; c < h->d; c += RN_LANES) {
        v16 s = v_set(0.0f);
        for (size_t j = 0; j < h->length; j++) {
            s = v_fma(v_set(weight[j]), v_load(rows + j * h->d + c), s);
        }
        v_store(out + c, s);
    }
}

/* scores scaled in place; returns their greatest. */
static float scale_scores(const struct head *h, float scale, float *scores)
{
    float most = -HUGE_VALF;
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        const v16 x = v_mul(v_load(scores + j), v_set(scale));
        v_store(scores + j, x);
    }
    for (size_t j = 0; j < h->length; j++) {
        most = scores[j] > most ? scores[j] : most;
    }
    return most;
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

/* p = softmax(scale q k^T) of one row; returns log sum exp. Backward does the same again instead of
 * e^(s - lse), whose rounding grows with the size of the scores. */
static float softmax_row(const struct head *h, float scale, const float *q)
{
    row_products(h, q, h->kt, h->p);
    const float most = scale_scores(h, scale, h->p);
    const float sum = exponentiate(h, most, h->p);
    const v16 share = v_set(1.0f / sum);
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        v_store(h->p + j, v_mul(v_load(h->p + j), share));
    }
    return most + logf(sum);
}

static void attention(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                      struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    for (size_t i = 0; i < a->sequences.count; i++) {
        const size_t first = (size_t)a->sequences.cu[i];
        const size_t length = (size_t)a->sequences.cu[i + 1] - first;
        const struct head h = head_of(lane, length, a->head_dim);
        for (size_t n = 0; n < a->heads; n++) {
            const size_t at = n * a->head_dim;
            take_head(&h, k, first, at, h.k, h.kt);
            take_head(&h, v, first, at, h.v, h.vt);
            for (size_t t = 0; t < (a->first_query ? 1 : length); t++) {
                const size_t row = a->first_query ? i : first + t;
                take_row(&h, q, row, at, h.q);
                rn_row_f32(lse, row)[n] = softmax_row(&h, a->scale, h.q);
                weighted_rows(&h, h.p, h.v, h.dq);
                put_row(&h, h.dq, row, at, out);
            }
        }
    }
}

/* Adds weight[j] * x to row j of rows. */
static void add_outer(const struct head *h, const float *weight, const float *x, float *rows)
{
    for (size_t j = 0; j < h->length; j++) {
        const v16 w = v_set(weight[j]);
        for (size_t c = 0; c < h->d; c += RN_LANES) {
            float *at = rows + j * h->d + c;
            v_store(at, v_fma(w, v_load(x + c), v_load(at)));
        }
    }
}

/* A query row with q, out and dout in the scratch (out in dq): dq takes its place, dk and dv add.
 */
static void attend_row_back(const struct head *h, float scale)
{
    v16 products = v_set(0.0f);
    for (size_t c = 0; c < h->d; c += RN_LANES) {
        products = v_fma(v_load(h->dq + c), v_load(h->dout + c), products);
    }
    const float delta = v_sum(products);
    softmax_row(h, scale, h->q);
    row_products(h, h->dout, h->vt, h->ds);
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        const v16 centred = v_sub(v_load(h->ds + j), v_set(delta));
        v_store(h->ds + j, v_mul(v_mul(v_load(h->p + j), centred), v_set(scale)));
    }
    add_outer(h, h->p, h->dout, h->dv);
    add_outer(h, h->ds, h->q, h->dk);
    weighted_rows(h, h->ds, h->k, h->dq);
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
        const struct head h = head_of(lane, length, a->head_dim);
        for (size_t n = 0; n < a->heads; n++) {
            const size_t at = n * a->head_dim;
            take_head(&h, k, first, at, h.k, h.kt);
            take_head(&h, v, first, at, h.v, h.vt);
            memset(h.dk, 0, length * h.d * sizeof(float));
            memset(h.dv, 0, length * h.d * sizeof(float));
            for (size_t t = 0; t < (a->first_query ? 1 : length); t++) {
                const size_t row = a->first_query ? i : first + t;
                take_row(&h, q, row, at, h.q);
                take_row(&h, dout, row, at, h.dout);
                take_row(&h, out, row, at, h.dq);
                attend_row_back(&h, a->scale);
                put_row(&h, h.dq, row, at, dq);
            }
            put_head(&h, h.dk, first, at, dk);
            put_head(&h, h.dv, first, at, dv);
        }
    }
}
