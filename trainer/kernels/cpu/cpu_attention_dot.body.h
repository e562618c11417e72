/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: attention in bfloat16 dot products of pairs (float32 sums), one head of one sequence at a
 * time, its rows copied into scratch so that they stand close together. Scores, softmax and
 * everything by element are float32; the shares P and the scores' gradients dS are rounded to
 * bfloat16 before they are multiplied.
 *
 * A product takes its left factor as rows of pairs, one pair at a time, and its right factor as
 * "pairs by column": [depth / 2][columns] of 32 bits. There are two ways to make the latter from
 * rows [n][D]: `down` pairs neighbours of a row (the right factor is the transpose), `across` pairs
 * neighbouring rows. Backward forms transposed scores S^T = K Q^T, where log sum exp is a vector
 * over the lanes, so that nothing is ever transposed by element:
 *   P^T = e^(scale S^T - lse),  dS^T = scale P^T (V dO^T - delta),  dV = P^T dO,  dK = dS^T Q,
 *   dQ = dS K, which reads dS as pairs of rows of dS^T.
 * A row's result depends on its own query and on its sequence alone; rows and pairs beyond the
 * sequence are zeros.
 *
 * A lane with tiles (cpu_tiles.h) has its products by them, 32 rows at a time: "pairs by column" is
 * what a tile takes as right factor, and every extent is then a multiple of 32.
 */
#include "trainer/kernels/cpu/cpu_element.body.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

#define STRIP ((size_t)6) /* rows of a left factor at once without tiles; even */
#define LOG2_E 1.44269504089f

struct dot_head {
    const struct rn_tile_unit *tiles; /* NULL: none */
    size_t strip;                     /* rows of a left factor at once; even */
    size_t keys, queries;             /* tokens of the sequence; rows that ask */
    size_t s, i, d; /* keys, queries and the head's columns, rounded up to 16, with tiles to 32 */
    size_t width;
    uint16_t *q, *k, *v, *dout;         /* rows [s][d] */
    uint32_t *down[2], *across[3], *ds; /* [d/2][s], [s/2][d], [s/2][i] */
    uint32_t *turned;                   /* ds as [i][s/2] */
    float *scores, *other, *row;        /* [strip][s], [strip][s], [strip][d] */
    uint16_t *left, *left_ds;           /* [strip][s] */
    float *shift, *delta;               /* [s] */
};

RN_INLINE size_t dot_round(const struct dot_head *h, size_t count)
{
    const size_t unit = h->tiles != NULL ? 2 * RN_LANES : RN_LANES;
    return (count + unit - 1) / unit * unit;
}

static struct dot_head dot_head_of(struct rn_lane *lane, size_t keys, size_t queries, size_t width)
{
    struct dot_head h = {.tiles = lane->tiles, .keys = keys, .queries = queries, .width = width};
    h.strip = h.tiles != NULL ? RN_CPU_DOT_STRIP_MAX : STRIP;
    h.s = dot_round(&h, keys);
    h.i = dot_round(&h, queries);
    h.d = dot_round(&h, width);
    const size_t plane = h.s * h.d; /* elements of two bytes */
    uint16_t *at = lane->dots;
    uint16_t **const rows[] = {&h.q, &h.k, &h.v, &h.dout};
    for (size_t n = 0; n < 4; n++, at += plane) {
        *rows[n] = at;
    }
    uint32_t **const pairs[] = {&h.down[0], &h.down[1], &h.across[0], &h.across[1], &h.across[2]};
    for (size_t n = 0; n < 5; n++, at += plane) {
        *pairs[n] = (uint32_t *)at;
    }
    h.ds = (uint32_t *)at;
    h.turned = (uint32_t *)(at + h.s * h.s);
    at += 2 * h.s * h.s;
    float **const planes[] = {&h.scores, &h.other, &h.row, &h.shift, &h.delta};
    const size_t sizes[] = {h.strip * h.s, h.strip * h.s, h.strip * h.d, h.s, h.s};
    for (size_t n = 0; n < 5; n++) {
        *planes[n] = (float *)at;
        at += 2 * sizes[n];
    }
    h.left = at;
    h.left_ds = at + h.strip * h.s;
    return h;
}

/* Rows first .. of the head's columns, zeros beyond its width and beyond `count` up to `padded`. */
static void dot_take(const struct dot_head *h, struct rn_mat m, size_t first, size_t at,
                     size_t count, size_t padded, uint16_t *out)
{
    for (size_t j = 0; j < count; j++) {
        const uint16_t *row = (const uint16_t *)rn_row(m, first + j) + at;
        memcpy(out + j * h->d, row, h->width * sizeof(*out));
        memset(out + j * h->d + h->width, 0, (h->d - h->width) * sizeof(*out));
    }
    memset(out + count * h->d, 0, (padded - count) * h->d * sizeof(*out));
}

/* The transpose of sixteen rows of sixteen pairs. */
RN_INLINE void dot_transpose(const uint16_t *from, size_t ld, uint32_t *to, size_t ld_to)
{
    __m512i a[16];
    __m512i b[16];
    for (size_t r = 0; r < 16; r++) {
        a[r] = _mm512_loadu_si512(from + r * ld);
    }
    for (size_t r = 0; r < 16; r += 2) {
        b[r] = _mm512_unpacklo_epi32(a[r], a[r + 1]);
        b[r + 1] = _mm512_unpackhi_epi32(a[r], a[r + 1]);
    }
    for (size_t r = 0; r < 16; r += 4) { /* a[r + c]: column c of each quarter, rows r .. r+3 */
        a[r] = _mm512_unpacklo_epi64(b[r], b[r + 2]);
        a[r + 1] = _mm512_unpackhi_epi64(b[r], b[r + 2]);
        a[r + 2] = _mm512_unpacklo_epi64(b[r + 1], b[r + 3]);
        a[r + 3] = _mm512_unpackhi_epi64(b[r + 1], b[r + 3]);
    }
    for (size_t c = 0; c < 4; c++) {
        const __m512i low = _mm512_shuffle_i32x4(a[c], a[c + 4], 0x88);
        const __m512i high = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0x88);
        const __m512i low_odd = _mm512_shuffle_i32x4(a[c], a[c + 4], 0xdd);
        const __m512i high_odd = _mm512_shuffle_i32x4(a[c + 8], a[c + 12], 0xdd);
        _mm512_storeu_si512(to + c * ld_to, _mm512_shuffle_i32x4(low, high, 0x88));
        _mm512_storeu_si512(to + (c + 4) * ld_to, _mm512_shuffle_i32x4(low_odd, high_odd, 0x88));
        _mm512_storeu_si512(to + (c + 8) * ld_to, _mm512_shuffle_i32x4(low, high, 0xdd));
        _mm512_storeu_si512(to + (c + 12) * ld_to, _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd));
    }
}

/* Pairs within rows: out [d/2][rows] of rows [rows][d]; rows is a multiple of sixteen. */
static void dot_down(const struct dot_head *h, const uint16_t *from, size_t rows, uint32_t *out)
{
    for (size_t r = 0; r < rows; r += RN_LANES) {
        size_t c = 0;
        for (; c + 2 * RN_LANES <= h->d; c += 2 * RN_LANES) {
            dot_transpose(from + r * h->d + c, h->d, out + c / 2 * rows + r, rows);
        }
        for (; c < h->d; c += 2) { /* a head of an odd number of sixteens */
            for (size_t n = 0; n < RN_LANES; n++) {
                memcpy(out + c / 2 * rows + r + n, from + (r + n) * h->d + c, sizeof(*out));
            }
        }
    }
}

/* Two rows of halves as one row of pairs. */
RN_INLINE __m512i dot_pair(__m256i even, __m256i odd)
{
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even),
                           _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

/* Pairs of rows: out [rows/2][d] of rows [rows][d]. */
static void dot_across(const struct dot_head *h, const uint16_t *from, size_t rows, uint32_t *out)
{
    for (size_t r = 0; r < rows; r += 2) {
        for (size_t c = 0; c < h->d; c += RN_LANES) {
            const uint16_t *at = from + r * h->d + c;
            const __m256i even = _mm256_loadu_si256((const __m256i *)at);
            const __m256i odd = _mm256_loadu_si256((const __m256i *)(at + h->d));
            _mm512_storeu_si512(out + r / 2 * h->d + c, dot_pair(even, odd));
        }
    }
}

/* A left factor: pair p of row r stands at pairs[r * row + p * pair]; rows 1..strip. */
struct dot_left {
    const uint32_t *pairs;
    size_t row, pair, rows;
};

RN_INLINE void dot_tile(size_t depth, const struct dot_left *a, const uint32_t *b, size_t ld,
                        size_t vectors, float *out, size_t ld_out)
{
    v16 s[STRIP][4];
    const uint32_t *from[STRIP];
#pragma GCC unroll 6
    for (size_t r = 0; r < STRIP; r++) {
        from[r] = a->pairs + (r < a->rows ? r : a->rows - 1) * a->row;
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            s[r][v] = v_set(0.0f);
        }
    }
    const size_t step = a->pair;
    for (size_t p = 0; p < depth; p++) {
        __m512i right[4];
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            right[v] = _mm512_loadu_si512(b + p * ld + v * RN_LANES);
        }
#pragma GCC unroll 6
        for (size_t r = 0; r < STRIP; r++) {
            const __m512i left = _mm512_set1_epi32((int)from[r][p * step]);
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) {
                s[r][v] = _mm512_dpbf16_ps(s[r][v], (__m512bh)left, (__m512bh)right[v]);
            }
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < STRIP; r++) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            v_store(out + r * ld_out + v * RN_LANES, s[r][v]);
        }
    }
}

/* By vectors, for STRIP rows (those beyond a->rows are copies of the last). */
static void dot_vectors(size_t depth, const struct dot_left *a, const uint32_t *b, size_t columns,
                        float *out)
{
    size_t c = 0;
    for (; c + 4 * RN_LANES <= columns; c += 4 * RN_LANES) {
        dot_tile(depth, a, b + c, columns, 4, out + c, columns);
    }
    if (c + 2 * RN_LANES <= columns) {
        dot_tile(depth, a, b + c, columns, 2, out + c, columns);
        c += 2 * RN_LANES;
    }
    if (c < columns) {
        dot_tile(depth, a, b + c, columns, 1, out + c, columns);
    }
}

/* out[r][c] = sum over `depth` pairs, for a strip of rows. */
static void dot_product(const struct dot_head *h, size_t depth, struct dot_left a,
                        const uint32_t *b, size_t columns, float *out)
{
    if (h->tiles == NULL) {
        dot_vectors(depth, &a, b, columns, out);
        return;
    }
    const struct rn_tile_pairs job = {a.pairs, a.row, b, depth / RN_LANES, columns, out};
    h->tiles->pairs(&job);
}

/* 2^x within 3e-6 of its value. */
RN_INLINE v16 dot_exp2(v16 x)
{
    const v16 part = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    v16 p = v_set(0.0135342073f);
    p = v_fma(p, part, v_set(0.0520115006f));
    p = v_fma(p, part, v_set(0.24144264f));
    p = v_fma(p, part, v_set(0.693003887f));
    p = v_fma(p, part, v_set(1.00000259f));
    return _mm512_scalef_ps(p, x);
}

/* Lanes of the vector at column j that lie inside the sequence. */
RN_INLINE __mmask16 dot_inside(const struct dot_head *h, size_t j)
{
    return j < h->keys ? (__mmask16)((1u << v_left(j, h->keys)) - 1u) : (__mmask16)0;
}

/* left = e^(scale (s - most)), rounded; returns its sum before rounding and log sum exp. */
static float dot_softmax(const struct dot_head *h, float scale, const float *scores, uint16_t *left,
                         float *out_lse)
{
    v16 top = v_set(-HUGE_VALF);
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        top = _mm512_mask_max_ps(top, dot_inside(h, j), top, v_load(scores + j));
    }
    const float most = _mm512_reduce_max_ps(top);
    const v16 factor = v_set(scale * LOG2_E);
    const v16 shift = v_set(-most * (scale * LOG2_E));
    v16 sum = v_set(0.0f);
    for (size_t j = 0; j < h->s; j += RN_LANES) {
        const v16 e = dot_exp2(v_fma(v_load(scores + j), factor, shift));
        const v16 inside = _mm512_maskz_mov_ps(dot_inside(h, j), e);
        sum = v_add(sum, inside);
        v_store_half(left + j, inside, RN_LANES);
    }
    const float total = v_sum(sum);
    *out_lse = scale * most + logf(total);
    return total;
}

static void dot_forward(const struct dot_head *h, float scale, size_t at, size_t row, size_t head,
                        struct rn_mat out, struct rn_mat lse)
{
    for (size_t i = 0; i < h->queries; i += h->strip) {
        const size_t rows = h->queries - i < h->strip ? h->queries - i : h->strip;
        const struct dot_left q = {(const uint32_t *)(h->q + i * h->d), h->d / 2, 1, rows};
        float total[RN_CPU_DOT_STRIP_MAX];
        dot_product(h, h->d / 2, q, h->down[0], h->s, h->scores);
        for (size_t r = 0; r < rows; r++) {
            total[r] = dot_softmax(h, scale, h->scores + r * h->s, h->left + r * h->s,
                                   rn_row_f32(lse, row + i + r) + head);
        }
        const struct dot_left p = {(const uint32_t *)h->left, h->s / 2, 1, rows};
        dot_product(h, h->s / 2, p, h->across[0], h->d, h->row);
        for (size_t r = 0; r < rows; r++) {
            uint16_t *to = (uint16_t *)rn_row(out, row + i + r) + at;
            const v16 share = v_set(1.0f / total[r]);
            for (size_t c = 0; c < h->width; c += RN_LANES) {
                v_store_half(to + c, v_mul(v_load(h->row + r * h->d + c), share),
                             v_left(c, h->width));
            }
        }
    }
}

/* Around all heads: tiles are configured only while they are in use. */
static void dot_begin(const struct rn_lane *lane)
{
    if (lane->tiles != NULL) {
        lane->tiles->begin();
    }
}

static void dot_end(const struct rn_lane *lane)
{
    if (lane->tiles != NULL) {
        lane->tiles->end();
    }
}

static void attention(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                      struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse)
{
    dot_begin(lane);
    for (size_t n = 0; n < a->sequences.count; n++) {
        const size_t first = (size_t)a->sequences.cu[n];
        const size_t keys = (size_t)a->sequences.cu[n + 1] - first;
        const size_t row = a->first_query ? n : first;
        const struct dot_head h = dot_head_of(lane, keys, a->first_query ? 1 : keys, a->head_dim);
        for (size_t head = 0; head < a->heads; head++) {
            const size_t at = head * a->head_dim;
            dot_take(&h, k, first, at, keys, h.s, h.k);
            dot_take(&h, v, first, at, keys, h.s, h.v);
            dot_take(&h, q, row, at, h.queries, h.i, h.q);
            dot_down(&h, h.k, h.s, h.down[0]);
            dot_across(&h, h.v, h.s, h.across[0]);
            dot_forward(&h, a->scale, at, row, head, out, lse);
        }
    }
    dot_end(lane);
}

/* What backward knows of each query: -lse log2 e, and delta = out . dout; beyond the queries a
 * shift that makes every share zero. */
static void dot_facts(const struct dot_head *h, size_t row, size_t at, size_t head,
                      struct rn_mat out, struct rn_mat lse)
{
    for (size_t i = 0; i < h->i; i++) {
        h->shift[i] = -1e30f;
        h->delta[i] = 0.0f;
        if (i >= h->queries) {
            continue;
        }
        const uint16_t *from = (const uint16_t *)rn_row(out, row + i) + at;
        v16 products = v_set(0.0f);
        for (size_t c = 0; c < h->width; c += RN_LANES) {
            products = v_fma(v_load_half(from + c, v_left(c, h->width)),
                             v_load_half(h->dout + i * h->d + c, RN_LANES), products);
        }
        h->shift[i] = -rn_row_f32(lse, row + i)[head] * LOG2_E;
        h->delta[i] = v_sum(products);
    }
}

/* P and dS of one vector of a row, rounded. */
RN_INLINE __m256i dot_slope(const struct dot_head *h, float scale, size_t r, size_t i)
{
    const size_t at = r * h->i + i;
    const v16 p =
        dot_exp2(v_fma(v_load(h->scores + at), v_set(scale * LOG2_E), v_load(h->shift + i)));
    const v16 centred = v_sub(v_load(h->other + at), v_load(h->delta + i));
    const __m256i ds = v_narrow(v_mul(v_mul(p, centred), v_set(scale)));
    _mm256_storeu_si256((__m256i *)(h->left + at), v_narrow(p));
    _mm256_storeu_si256((__m256i *)(h->left_ds + at), ds);
    return ds;
}

/* From scores and `other` (V dO^T) of a strip of keys to P^T, dS^T and pairs of rows of dS^T. */
static void dot_slopes(const struct dot_head *h, float scale, size_t key, size_t rows)
{
    for (size_t r = 0; r < rows; r += 2) {
        for (size_t i = 0; i < h->i; i += RN_LANES) {
            const __m256i even = dot_slope(h, scale, r, i);
            const __m256i odd =
                r + 1 < rows ? dot_slope(h, scale, r + 1, i) : _mm256_setzero_si256();
            _mm512_storeu_si512(h->ds + (key + r) / 2 * h->i + i, dot_pair(even, odd));
        }
    }
}

/* Rows of a strip to their place. */
static void dot_put(const struct dot_head *h, size_t row, size_t at, size_t rows, struct rn_mat m)
{
    for (size_t r = 0; r < rows; r++) {
        uint16_t *to = (uint16_t *)rn_row(m, row + r) + at;
        for (size_t c = 0; c < h->width; c += RN_LANES) {
            v_store_half(to + c, v_load(h->row + r * h->d + c), v_left(c, h->width));
        }
    }
}

/* Gradients of a head's keys and values, and dS. */
static void dot_back_keys(const struct dot_head *h, float scale, size_t first, size_t at,
                          struct rn_mat dk, struct rn_mat dv)
{
    for (size_t j = 0; j < h->keys; j += h->strip) {
        const size_t rows = h->keys - j < h->strip ? h->keys - j : h->strip;
        const struct dot_left k = {(const uint32_t *)(h->k + j * h->d), h->d / 2, 1, rows};
        const struct dot_left v = {(const uint32_t *)(h->v + j * h->d), h->d / 2, 1, rows};
        dot_product(h, h->d / 2, k, h->down[0], h->i, h->scores);
        dot_product(h, h->d / 2, v, h->down[1], h->i, h->other);
        dot_slopes(h, scale, j, rows);
        const struct dot_left p = {(const uint32_t *)h->left, h->i / 2, 1, rows};
        dot_product(h, h->i / 2, p, h->across[1], h->d, h->row);
        dot_put(h, first + j, at, rows, dv);
        const struct dot_left ds = {(const uint32_t *)h->left_ds, h->i / 2, 1, rows};
        dot_product(h, h->i / 2, ds, h->across[0], h->d, h->row);
        dot_put(h, first + j, at, rows, dk);
    }
}

/* dS as rows of pairs, for tiles: [i][s/2]. Beyond the keys it meets zeros, but what an earlier
 * sequence left there need not be finite. */
static void dot_turn(const struct dot_head *h)
{
    const size_t done = (h->keys + 1) / 2;
    memset(h->ds + done * h->i, 0, (h->s / 2 - done) * h->i * sizeof(*h->ds));
    for (size_t p = 0; p < h->s / 2; p += RN_LANES) {
        for (size_t i = 0; i < h->i; i += RN_LANES) {
            dot_transpose((const uint16_t *)(h->ds + p * h->i + i), 2 * h->i,
                          h->turned + i * (h->s / 2) + p, h->s / 2);
        }
    }
}

static void dot_back_queries(const struct dot_head *h, size_t row, size_t at, struct rn_mat dq)
{
    const bool tiles = h->tiles != NULL;
    const size_t pairs = tiles ? h->s / 2 : (h->keys + 1) / 2;
    if (tiles) {
        dot_turn(h);
    }
    for (size_t i = 0; i < h->queries; i += h->strip) {
        const size_t rows = h->queries - i < h->strip ? h->queries - i : h->strip;
        const struct dot_left ds = {h->ds + i, 1, h->i, rows};
        const struct dot_left turned = {h->turned + i * pairs, pairs, 1, rows};
        dot_product(h, pairs, tiles ? turned : ds, h->across[2], h->d, h->row);
        dot_put(h, row + i, at, rows, dq);
    }
}

static void attention_back(struct rn_lane *lane, const struct rn_attention *a, struct rn_mat q,
                           struct rn_mat k, struct rn_mat v, struct rn_mat out, struct rn_mat lse,
                           struct rn_mat dout, struct rn_mat dq, struct rn_mat dk, struct rn_mat dv)
{
    dot_begin(lane);
    for (size_t n = 0; n < a->sequences.count; n++) {
        const size_t first = (size_t)a->sequences.cu[n];
        const size_t keys = (size_t)a->sequences.cu[n + 1] - first;
        const size_t row = a->first_query ? n : first;
        const struct dot_head h = dot_head_of(lane, keys, a->first_query ? 1 : keys, a->head_dim);
        for (size_t head = 0; head < a->heads; head++) {
            const size_t at = head * a->head_dim;
            dot_take(&h, k, first, at, keys, h.s, h.k);
            dot_take(&h, v, first, at, keys, h.s, h.v);
            dot_take(&h, q, row, at, h.queries, h.i, h.q);
            dot_take(&h, dout, row, at, h.queries, h.i, h.dout);
            dot_down(&h, h.q, h.i, h.down[0]);
            dot_down(&h, h.dout, h.i, h.down[1]);
            dot_across(&h, h.q, h.i, h.across[0]);
            dot_across(&h, h.dout, h.i, h.across[1]);
            dot_across(&h, h.k, h.s, h.across[2]);
            dot_facts(&h, row, at, head, out, lse);
            dot_back_keys(&h, a->scale, first, at, dk, dv);
            dot_back_queries(&h, row, at, dq);
        }
    }
    dot_end(lane);
}

#undef STRIP
#undef LOG2_E
