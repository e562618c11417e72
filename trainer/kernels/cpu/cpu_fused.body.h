/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: products with frozen weights in bfloat16, by oneDNN a few rows at a time into float32
 * scratch, and one pass over the scratch for all the rest, which rounds once. The pass knows the
 * usual cases by name; anything else goes through finish().
 */
#include "trainer/kernels/cpu/cpu_epilogue.body.h"
#include "trainer/kernels/cpu/cpu_onednn.h"

#include "base/guard.h"

/* Outputs of more bytes than a core's own cache holds are written past the caches where the caller
 * says so: rows lie so far apart that their lines meet in few places of it, and each would be read
 * before it is written. Products in tiles, which are fast enough to wait for that, gain a third by
 * it (trainer/PERFORMANCE.md). */
#define FUSED_PAST ((size_t)2 << 20)

enum fused_case { FUSED_PLAIN, FUSED_RESIDUAL, FUSED_GELU, FUSED_SLOPE, FUSED_OTHER };

static enum fused_case fused_case_of(const struct rn_epilogue *e, enum rn_element out)
{
    const bool residual = e->residual.data != NULL;
    const bool pre = e->pre.data != NULL;
    const bool sloped = e->slope.data != NULL;
    if (e->activation == RN_ACTIVATION_NONE && !pre && !sloped) {
        return !residual ? FUSED_PLAIN : e->residual.type == out ? FUSED_RESIDUAL : FUSED_OTHER;
    }
    if (e->activation == RN_ACTIVATION_GELU && pre && e->pre.type == RN_BF16 && !residual &&
        !sloped) {
        return FUSED_GELU;
    }
    if (e->activation == RN_ACTIVATION_NONE && sloped && e->slope.type == RN_BF16 && !residual &&
        !pre) {
        return FUSED_SLOPE;
    }
    return FUSED_OTHER;
}

/* erf-GELU and its slope, each within 2e-4 of its value (3e-5 where the slope is near zero). The
 * normal distribution's tail is q = e^(-x^2 / 2) t Q(t), t = 1 / (1 + 0.375 |x|); Q (2.8e-5) and
 * the polynomial of 2^f, f in [0, 1), (7.5e-5) are minimax fits in relative error. */
RN_INLINE v16 fused_gelu(v16 x, v16 *out_slope)
{
    const v16 power = v_mul(v_mul(x, x), v_set(-0.72134752044f)); /* e^(-x^2/2) = 2^power */
    const v16 part = _mm512_reduce_ps(power, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    v16 e = v_set(0.078024952f);
    e = v_fma(e, part, v_set(0.226067595f));
    e = v_fma(e, part, v_set(0.695832809f));
    e = v_fma(e, part, v_set(0.999925357f));
    const v16 gauss = _mm512_scalef_ps(e, power);
    const v16 t = _mm512_rcp14_ps(v_fma(_mm512_abs_ps(x), v_set(0.375f), v_set(1.0f)));
    v16 q = v_set(-0.0911979035f);
    q = v_fma(q, t, v_set(0.201516295f));
    q = v_fma(q, t, v_set(0.0826070891f));
    q = v_fma(q, t, v_set(0.158036253f));
    q = v_fma(q, t, v_set(0.149028623f));
    q = v_mul(v_mul(q, t), gauss);
    const __mmask16 right = _mm512_cmp_ps_mask(x, v_set(0.0f), _CMP_GE_OQ);
    const v16 phi = _mm512_mask_sub_ps(q, right, v_set(1.0f), q);
    *out_slope = v_fma(v_mul(x, v_set(0.39894228040143268f)), gauss, phi);
    return v_mul(x, phi);
}

/* Of a patch: rows 1 or 2, vectors 1 or 2; `left` columns of the last vector. All three are
 * constants where it is called, so that a whole patch has no masks, and its chains run side by
 * side.
 */
struct fused_patch {
    size_t t, rows, c, vectors, left;
    const float *sums;
    size_t ld;
    bool past; /* the caches */
};

RN_INLINE size_t fused_left(const struct fused_patch *p, size_t v)
{
    return v + 1 < p->vectors ? RN_LANES : p->left;
}

RN_INLINE void fused_add_rank(const struct rn_epilogue *e, const struct fused_patch *p,
                              size_t columns, v16 x[2][2])
{
    const float *b = rn_epilogue_b(e, p->t) + p->c;
    const float *h[2] = {rn_row_f32(e->rank_h, p->t), rn_row_f32(e->rank_h, p->t + p->rows - 1)};
    for (size_t i = 0; i < e->rank_h.cols; i++, b += columns) {
#pragma GCC unroll 2
        for (size_t v = 0; v < p->vectors; v++) {
            const v16 right = v_load_at(b + v * RN_LANES, fused_left(p, v));
#pragma GCC unroll 2
            for (size_t r = 0; r < p->rows; r++) {
                x[r][v] = v_fma(v_set(h[r][i]), right, x[r][v]);
            }
        }
    }
}

/* The rest for one vector; out_kept: what `pre` takes, with GELU alone. */
RN_INLINE v16 fused_rest(enum fused_case what, enum rn_element out_type,
                         const struct rn_epilogue *e, size_t t, size_t c, size_t left, v16 x,
                         v16 *out_kept)
{
    if (what == FUSED_RESIDUAL) {
        return v_add(x, v_get(out_type, rn_row(e->residual, t), c, left));
    }
    if (what == FUSED_SLOPE) {
        return v_mul(x, v_get(RN_BF16, rn_row(e->slope, t), c, left));
    }
    return what == FUSED_GELU ? fused_gelu(x, out_kept) : x;
}

RN_INLINE void fused_put(enum fused_case what, enum rn_element out_type,
                         const struct rn_epilogue *e, size_t t, size_t c, size_t left, v16 x,
                         struct rn_mat y)
{
    v16 kept;
    const v16 out = fused_rest(what, out_type, e, t, c, left, x, &kept);
    if (what == FUSED_GELU) {
        v_put(RN_BF16, rn_row(e->pre, t), c, left, kept);
    }
    v_put(out_type, rn_row(y, t), c, left, out);
}

/* Two vectors as one line of 32 halves. */
RN_INLINE void fused_line(struct rn_mat m, size_t t, size_t c, v16 low, v16 high, bool past)
{
    uint16_t *to = (uint16_t *)rn_row(m, t) + c;
    const __m512i line = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    if (past) {
        _mm512_stream_si512((void *)to, line);
    } else {
        _mm512_storeu_si512(to, line);
    }
}

RN_INLINE void fused_put_two(enum fused_case what, const struct rn_epilogue *e, size_t t,
                             const struct fused_patch *p, const v16 x[2], struct rn_mat y)
{
    v16 kept[2];
    v16 out[2];
#pragma GCC unroll 2
    for (size_t v = 0; v < 2; v++) {
        out[v] = fused_rest(what, RN_BF16, e, t, p->c + v * RN_LANES, RN_LANES, x[v], &kept[v]);
    }
    if (what == FUSED_GELU) {
        fused_line(e->pre, t, p->c, kept[0], kept[1], p->past);
    }
    fused_line(y, t, p->c, out[0], out[1], p->past);
}

RN_INLINE void fused_patch(enum fused_case what, enum rn_element out_type,
                           const struct rn_epilogue *e, struct fused_patch p, struct rn_mat y)
{
    v16 x[2][2];
#pragma GCC unroll 2
    for (size_t v = 0; v < p.vectors; v++) {
        const size_t at = v * RN_LANES;
        const v16 bias =
            e->bias != NULL ? v_load_at(e->bias + p.c + at, fused_left(&p, v)) : v_set(0.0f);
#pragma GCC unroll 2
        for (size_t r = 0; r < p.rows; r++) {
            const v16 sum = v_load(p.sums + r * p.ld + at);
            x[r][v] = e->bias != NULL ? v_add(sum, bias) : sum;
        }
    }
    if (e->rank_b != NULL) {
        fused_add_rank(e, &p, y.cols, x);
    }
#pragma GCC unroll 2
    for (size_t r = 0; r < p.rows; r++) {
        if (p.vectors == 2 && out_type == RN_BF16) {
            fused_put_two(what, e, p.t + r, &p, x[r], y);
            continue;
        }
#pragma GCC unroll 2
        for (size_t v = 0; v < p.vectors; v++) {
            fused_put(what, out_type, e, p.t + r, p.c + v * RN_LANES, fused_left(&p, v), x[r][v],
                      y);
        }
    }
}

/* After a product: what was written past the caches is there for other threads. */
RN_INLINE void fused_settle(void)
{
    _mm_sfence();
}

/* Whether the lines of m begin where lines of cache do, and m is large. */
RN_INLINE bool fused_goes_past(struct rn_mat m)
{
    const size_t line = 64;
    return m.type == RN_BF16 && (uintptr_t)m.data % line == 0 &&
           m.ld * sizeof(uint16_t) % line == 0 && m.rows * m.ld * sizeof(uint16_t) > FUSED_PAST;
}

/* `rows` (a constant) rows from t on, all columns of the sums. */
RN_INLINE void fused_few(enum fused_case what, enum rn_element out_type,
                         const struct rn_epilogue *e, size_t t, size_t rows,
                         const struct rn_strip_sums *s, const float *sums, bool past,
                         struct rn_mat y)
{
    struct fused_patch p = {t, rows, s->first, 2, RN_LANES, sums, s->ld, false};
    p.past = past && s->first % (2 * RN_LANES) == 0 && fused_goes_past(y) &&
             (what != FUSED_GELU || fused_goes_past(e->pre));
    const size_t end = s->first + s->count;
    for (; p.c + 2 * RN_LANES <= end; p.c += 2 * RN_LANES, p.sums += 2 * RN_LANES) {
        fused_patch(what, out_type, e, p, y);
    }
    p.vectors = 1;
    for (; p.c < end; p.c += RN_LANES, p.sums += RN_LANES) {
        p.left = v_left(p.c, end);
        fused_patch(what, out_type, e, p, y);
    }
}

RN_INLINE void fused_rows(enum fused_case what, enum rn_element out_type,
                          const struct rn_epilogue *e, size_t t, size_t rows,
                          const struct rn_strip_sums *s, bool past, struct rn_mat y)
{
    for (size_t i = 0; i < rows;) {
        const float *sums = s->sums + i * s->ld;
        const bool both = i + 1 < rows && rn_epilogue_b(e, t + i) == rn_epilogue_b(e, t + i + 1);
        if (both) {
            fused_few(what, out_type, e, t + i, 2, s, sums, past, y);
        } else {
            fused_few(what, out_type, e, t + i, 1, s, sums, past, y);
        }
        i += both ? 2 : 1;
    }
}

/* Whatever has no name of its own. */
static void fused_other(const struct rn_epilogue *e, size_t t, size_t rows,
                        const struct rn_strip_sums *s, struct rn_mat y)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < s->count; i += RN_LANES) {
            const size_t c = s->first + i;
            const size_t left = v_left(i, s->count);
            const v16 sum = v_load(s->sums + r * s->ld + i);
            v_put(y.type, rn_row(y, t + r), c, left, finish(e, y.cols, t + r, c, left, sum));
        }
    }
}

static void fused_finish(const struct rn_epilogue *e, size_t t, size_t rows,
                         const struct rn_strip_sums *s, bool past, struct rn_mat y)
{
    const enum fused_case what = fused_case_of(e, y.type);
    if (what == FUSED_OTHER || (y.type != RN_BF16 && what >= FUSED_GELU)) {
        fused_other(e, t, rows, s, y);
    } else if (y.type != RN_BF16 && what == FUSED_PLAIN) {
        fused_rows(FUSED_PLAIN, RN_F32, e, t, rows, s, past, y);
    } else if (y.type != RN_BF16) {
        fused_rows(FUSED_RESIDUAL, RN_F32, e, t, rows, s, past, y);
    } else if (what == FUSED_PLAIN) {
        fused_rows(FUSED_PLAIN, RN_BF16, e, t, rows, s, past, y);
    } else if (what == FUSED_RESIDUAL) {
        fused_rows(FUSED_RESIDUAL, RN_BF16, e, t, rows, s, past, y);
    } else if (what == FUSED_GELU) {
        fused_rows(FUSED_GELU, RN_BF16, e, t, rows, s, past, y);
    } else {
        fused_rows(FUSED_SLOPE, RN_BF16, e, t, rows, s, past, y);
    }
}

/* A strip of x from row t on as the library wants it: in place when it stands so, else copied, with
 * zeros up to the padded depth and in rows that nobody reads. */
static const uint16_t *fused_strip(struct rn_lane *lane, size_t depth, struct rn_mat x, size_t t,
                                   size_t rows)
{
    const size_t strip = rn_onednn_lane_strip(lane->onednn);
    if (x.type == RN_BF16 && x.ld == depth && x.cols == depth && rows == strip) {
        return rn_row(x, t);
    }
    uint16_t *to = rn_onednn_rows(lane->onednn);
    for (size_t i = 0; i < rows; i++) {
        uint16_t *row = to + i * depth;
        for (size_t c = 0; c < x.cols; c += RN_LANES) {
            const size_t left = v_left(c, x.cols);
            v_store_half(row + c, v_get(x.type, rn_row(x, t + i), c, left), left);
        }
        memset(row + x.cols, 0, (depth - x.cols) * sizeof(*row));
    }
    memset(to + rows * depth, 0, (strip - rows) * depth * sizeof(*to));
    return to;
}

static void product(struct rn_lane *lane, const struct rn_onednn_matrix *w, struct rn_mat x,
                    const struct rn_epilogue *epilogue, struct rn_mat y)
{
    const size_t strip = rn_onednn_lane_strip(lane->onednn);
    for (size_t t = 0; t < y.rows; t += strip) {
        const size_t rows = y.rows - t < strip ? y.rows - t : strip;
        const uint16_t *left = fused_strip(lane, rn_onednn_depth(w), x, t, rows);
        for (size_t i = 0; i < rn_onednn_slices(w); i++) {
            const struct rn_strip_sums sums = rn_onednn_product(lane->onednn, w, i, left);
            fused_finish(epilogue, t, rows, &sums, false, y);
        }
    }
}

static void linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                   const struct rn_epilogue *epilogue, struct rn_mat y)
{
    product(lane, w->onednn_forward, x, epilogue, y);
}

static void linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                        const struct rn_epilogue *epilogue, struct rn_mat dx)
{
    RN_BUG_IF(w->onednn_backward == NULL);
    product(lane, w->onednn_backward, dy, epilogue, dx);
}
