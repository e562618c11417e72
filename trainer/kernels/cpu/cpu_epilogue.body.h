/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: what happens to a sum before it is stored (struct rn_epilogue), sixteen columns at a time.
 * `pre` of GELU holds its slope at once, which shares the exponential, so that `slope` is a factor.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_EPILOGUE_H
#define RN_TRAINER_KERNELS_CPU_CPU_EPILOGUE_H

#include "trainer/kernels/cpu/cpu_element.body.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

RN_INLINE v16 activate(enum rn_activation f, v16 x)
{
    if (f == RN_ACTIVATION_TANH) {
        float lane[RN_LANES];
        v_store(lane, x);
        for (int i = 0; i < RN_LANES; i++) {
            lane[i] = tanhf(lane[i]);
        }
        return v_load(lane);
    }
    if (f == RN_ACTIVATION_RELU) {
        return v_max(v_set(0.0f), x); /* in this order a NaN stays one */
    }
    v16 at;
    return f == RN_ACTIVATION_GELU ? v_gelu(x, &at) : x;
}

RN_INLINE v16 slope(enum rn_activation f, v16 kept)
{
    if (f == RN_ACTIVATION_TANH) {
        return v_fma(v_sub(v_set(0.0f), kept), kept, v_set(1.0f));
    }
    if (f == RN_ACTIVATION_RELU) {
        return v_select_less(v_set(0.0f), kept, v_set(1.0f), v_set(0.0f));
    }
    return f == RN_ACTIVATION_GELU ? kept : v_set(1.0f);
}

/* The epilogue of y[t][c ..] for `left` columns. */
RN_INLINE v16 finish(const struct rn_epilogue *e, size_t columns, size_t t, size_t c, size_t left,
                     v16 s)
{
    if (e->bias != NULL) {
        s = v_add(s, v_load_at(e->bias + c, left));
    }
    if (e->rank_b != NULL) {
        const float *h = rn_row_f32(e->rank_h, t);
        const float *b = rn_epilogue_b(e, t);
        for (size_t i = 0; i < e->rank_h.cols; i++) {
            s = v_fma(v_set(h[i]), v_load_at(b + i * columns + c, left), s);
        }
    }
    if (e->residual.data != NULL) {
        s = v_add(s, v_get(e->residual.type, rn_row(e->residual, t), c, left));
    }
    v16 kept = s;
    s = e->activation == RN_ACTIVATION_GELU ? v_gelu(s, &kept) : activate(e->activation, s);
    if (e->pre.data != NULL) {
        v_put(e->pre.type, rn_row(e->pre, t), c, left, kept);
    }
    if (e->slope.data != NULL) {
        s = v_mul(s, slope(e->slope_of, v_get(e->slope.type, rn_row(e->slope, t), c, left)));
    }
    return s;
}

#endif
