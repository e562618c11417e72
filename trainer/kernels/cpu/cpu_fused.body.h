/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: products with frozen weights in bfloat16, by oneDNN a few rows at a time into float32
 * scratch, and one pass over the scratch for all the rest, which rounds once. The pass knows the
 * usual cases by name; anything else goes through finish().
 */
#include "trainer/kernels/cpu/cpu_epilogue.body.h"
#include "trainer/kernels/cpu/cpu_onednn.h"

#include "base/guard.h"

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

/* Row t, columns first .. of the output, from its sums. */
RN_INLINE void fused_row(enum fused_case what, enum rn_element out_type,
                         const struct rn_epilogue *e, size_t t, const struct rn_strip_sums *s,
                         const float *sums, struct rn_mat y)
{
    void *out = rn_row(y, t);
    for (size_t i = 0; i < s->count; i += RN_LANES) {
        const size_t c = s->first + i;
        const size_t left = v_left(i, s->count);
        v16 x = v_load(sums + i);
        if (what == FUSED_OTHER) {
            v_put(out_type, out, c, left, finish(e, y.cols, t, c, left, x));
            continue;
        }
        if (e->bias != NULL) {
            x = v_add(x, v_load_at(e->bias + c, left));
        }
        if (e->rank_b != NULL) {
            const float *h = rn_row_f32(e->rank_h, t);
            const float *b = rn_epilogue_b(e, t) + c;
            for (size_t r = 0; r < e->rank_h.cols; r++) {
                x = v_fma(v_set(h[r]), v_load_at(b + r * y.cols, left), x);
            }
        }
        if (what == FUSED_RESIDUAL) {
            x = v_add(x, v_get(out_type, rn_row(e->residual, t), c, left));
        } else if (what == FUSED_GELU) {
            v16 at;
            x = fused_gelu(x, &at);
            v_put(RN_BF16, rn_row(e->pre, t), c, left, at);
        } else if (what == FUSED_SLOPE) {
            x = v_mul(x, v_get(RN_BF16, rn_row(e->slope, t), c, left));
        }
        v_put(out_type, out, c, left, x);
    }
}

RN_INLINE void fused_rows(enum fused_case what, enum rn_element out_type,
                          const struct rn_epilogue *e, size_t t, size_t rows,
                          const struct rn_strip_sums *s, struct rn_mat y)
{
    for (size_t i = 0; i < rows; i++) {
        fused_row(what, out_type, e, t + i, s, s->sums + i * s->ld, y);
    }
}

static void fused_finish(const struct rn_epilogue *e, size_t t, size_t rows,
                         const struct rn_strip_sums *s, struct rn_mat y)
{
    const enum fused_case what = fused_case_of(e, y.type);
    if (what == FUSED_OTHER || (y.type != RN_BF16 && what >= FUSED_GELU)) {
        fused_rows(FUSED_OTHER, y.type, e, t, rows, s, y);
    } else if (y.type != RN_BF16 && what == FUSED_PLAIN) {
        fused_rows(FUSED_PLAIN, RN_F32, e, t, rows, s, y);
    } else if (y.type != RN_BF16) {
        fused_rows(FUSED_RESIDUAL, RN_F32, e, t, rows, s, y);
    } else if (what == FUSED_PLAIN) {
        fused_rows(FUSED_PLAIN, RN_BF16, e, t, rows, s, y);
    } else if (what == FUSED_RESIDUAL) {
        fused_rows(FUSED_RESIDUAL, RN_BF16, e, t, rows, s, y);
    } else if (what == FUSED_GELU) {
        fused_rows(FUSED_GELU, RN_BF16, e, t, rows, s, y);
    } else {
        fused_rows(FUSED_SLOPE, RN_BF16, e, t, rows, s, y);
    }
}

/* A strip of x from row t on as the library wants it: in place when it stands so, else copied, with
 * zeros up to the padded depth and in rows that nobody reads. */
static const uint16_t *fused_left(struct rn_lane *lane, size_t depth, struct rn_mat x, size_t t,
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
        const uint16_t *left = fused_left(lane, rn_onednn_depth(w), x, t, rows);
        for (size_t i = 0; i < rn_onednn_slices(w); i++) {
            const struct rn_strip_sums sums = rn_onednn_product(lane->onednn, w, i, left);
            fused_finish(epilogue, t, rows, &sums, y);
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
