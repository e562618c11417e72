/* SPDX-License-Identifier: Apache-2.0
 *
 * Sixteen float32 lanes for the instruction set that the including file names by RN_SET_AVX512,
 * RN_SET_AVX2 or RN_SET_SCALAR. Every function is one IEEE operation per lane, so the three give
 * the same bits.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_VECTOR_H
#define RN_TRAINER_KERNELS_CPU_CPU_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RN_LANES 16
#define RN_INLINE static inline __attribute__((always_inline))

#if defined(RN_SET_AVX512)

#include <immintrin.h>

typedef __m512 v16;
#define RN_TILE_ROWS 12
#define RN_TILE_VECTORS 2

RN_INLINE v16 v_set(float x)
{
    return _mm512_set1_ps(x);
}
RN_INLINE v16 v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
RN_INLINE void v_store(float *p, v16 x)
{
    _mm512_storeu_ps(p, x);
}
/* The first n lanes (1..16); the others are zero, or stay unwritten. */
RN_INLINE v16 v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1u), p);
}
RN_INLINE void v_store_n(float *p, v16 x, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), x);
}
RN_INLINE v16 v_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}
RN_INLINE v16 v_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}
RN_INLINE v16 v_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}
RN_INLINE v16 v_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}
/* a * b + c, rounded once */
RN_INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* a > b ? a : b, so b when one is a NaN */
RN_INLINE v16 v_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}
/* a < b ? x : y */
RN_INLINE v16 v_select_less(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
/* Nearest integer, ties to even. */
RN_INLINE v16 v_round(v16 a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 2^n for integral n in -126..127 */
RN_INLINE v16 v_power2(v16 n)
{
    const __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}

#elif defined(RN_SET_AVX2)

#include <immintrin.h>

typedef struct {
    __m256 low, high;
} v16;
#define RN_TILE_ROWS 6
#define RN_TILE_VECTORS 1

RN_INLINE v16 v_set(float x)
{
    return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
RN_INLINE v16 v_load(const float *p)
{
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
RN_INLINE void v_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}
RN_INLINE v16 v_load_n(const float *p, size_t n)
{
    float all[RN_LANES] = {0};
    memcpy(all, p, n * sizeof(float));
    return v_load(all);
}
RN_INLINE void v_store_n(float *p, v16 x, size_t n)
{
    float all[RN_LANES];
    v_store(all, x);
    memcpy(p, all, n * sizeof(float));
}
RN_INLINE v16 v_add(v16 a, v16 b)
{
    return (v16){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
RN_INLINE v16 v_sub(v16 a, v16 b)
{
    return (v16){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
RN_INLINE v16 v_mul(v16 a, v16 b)
{
    return (v16){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
RN_INLINE v16 v_div(v16 a, v16 b)
{
    return (v16){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
RN_INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
RN_INLINE v16 v_max(v16 a, v16 b)
{
    return (v16){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
RN_INLINE v16 v_select_less(v16 a, v16 b, v16 x, v16 y)
{
    return (v16){_mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
                 _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ))};
}
RN_INLINE v16 v_round(v16 a)
{
    return (v16){_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
RN_INLINE __m256 v_power2_half(__m256 n)
{
    const __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}
RN_INLINE v16 v_power2(v16 n)
{
    return (v16){v_power2_half(n.low), v_power2_half(n.high)};
}

#else

typedef struct {
    float lane[RN_LANES];
} v16;
#define RN_TILE_ROWS 4
#define RN_TILE_VECTORS 1

RN_INLINE v16 v_set(float x)
{
    v16 r;
    for (int i = 0; i < RN_LANES; i++) {
        r.lane[i] = x;
    }
    return r;
}
RN_INLINE v16 v_load_n(const float *p, size_t n)
{
    v16 r = {{0}};
    memcpy(r.lane, p, n * sizeof(float));
    return r;
}
RN_INLINE void v_store_n(float *p, v16 x, size_t n)
{
    memcpy(p, x.lane, n * sizeof(float));
}
RN_INLINE v16 v_load(const float *p)
{
    return v_load_n(p, RN_LANES);
}
RN_INLINE void v_store(float *p, v16 x)
{
    v_store_n(p, x, RN_LANES);
}
RN_INLINE v16 v_add(v16 a, v16 b)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] += b.lane[i];
    }
    return a;
}
RN_INLINE v16 v_sub(v16 a, v16 b)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] -= b.lane[i];
    }
    return a;
}
RN_INLINE v16 v_mul(v16 a, v16 b)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] *= b.lane[i];
    }
    return a;
}
RN_INLINE v16 v_div(v16 a, v16 b)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] /= b.lane[i];
    }
    return a;
}
RN_INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] = fmaf(a.lane[i], b.lane[i], c.lane[i]);
    }
    return a;
}
RN_INLINE v16 v_max(v16 a, v16 b)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
}
RN_INLINE v16 v_select_less(v16 a, v16 b, v16 x, v16 y)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] = a.lane[i] < b.lane[i] ? x.lane[i] : y.lane[i];
    }
    return a;
}
RN_INLINE v16 v_round(v16 a)
{
    for (int i = 0; i < RN_LANES; i++) {
        a.lane[i] = rintf(a.lane[i]);
    }
    return a;
}
RN_INLINE v16 v_power2(v16 n)
{
    for (int i = 0; i < RN_LANES; i++) {
        n.lane[i] = isnan(n.lane[i]) ? n.lane[i] : ldexpf(1.0f, (int)n.lane[i]);
    }
    return n;
}

#endif

/* Sum of the lanes: halves added to halves, 8, 4, 2, 1 apart. */
#if defined(RN_SET_AVX512) || defined(RN_SET_AVX2)
RN_INLINE float v_sum(v16 x)
{
#if defined(RN_SET_AVX512)
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
#else
    const __m256 eight = _mm256_add_ps(x.low, x.high);
#endif
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
#else
RN_INLINE float v_sum(v16 x)
{
    float lane[RN_LANES];
    v_store(lane, x);
    for (int half = RN_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lane[i] += lane[i + half];
        }
    }
    return lane[0];
}
#endif

RN_INLINE float v_most(v16 x)
{
    float lane[RN_LANES];
    v_store(lane, x);
    float most = lane[0];
    for (int i = 1; i < RN_LANES; i++) {
        most = lane[i] > most ? lane[i] : most;
    }
    return most;
}

/* Lanes in use of the vector that starts at column c of n. */
RN_INLINE size_t v_left(size_t c, size_t n)
{
    return n - c < RN_LANES ? n - c : RN_LANES;
}
/* Loads and stores that may stand at the ragged end of a row. */
RN_INLINE v16 v_load_at(const float *p, size_t left)
{
    return left == RN_LANES ? v_load(p) : v_load_n(p, left);
}
RN_INLINE void v_store_at(float *p, v16 x, size_t left)
{
    if (left == RN_LANES) {
        v_store(p, x);
    } else {
        v_store_n(p, x, left);
    }
}

/* e^x for x <= 88; below -87.3 it stays at e^-87.3; a NaN stays one, by the order in v_max. x = n
 * ln 2 + r, |r| <= ln 2 / 2, and the Taylor series of e^r to the seventh power (its remainder is
 * below 6e-9). */
RN_INLINE v16 v_exp(v16 x)
{
    x = v_max(v_set(-87.3f), x);
    const v16 n = v_round(v_mul(x, v_set(1.44269504088896f)));
    /* ln 2 in two parts; the first has nine trailing zero bits, so n times it is exact */
    v16 r = v_fma(n, v_set(-0.693359375f), x);
    r = v_fma(n, v_set(2.12194440054690583e-4f), r);
    v16 p = v_set(1.0f / 5040.0f);
    p = v_fma(p, r, v_set(1.0f / 720.0f));
    p = v_fma(p, r, v_set(1.0f / 120.0f));
    p = v_fma(p, r, v_set(1.0f / 24.0f));
    p = v_fma(p, r, v_set(1.0f / 6.0f));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(p, r, v_set(1.0f));
    p = v_fma(p, r, v_set(1.0f));
    return v_mul(p, v_power2(n));
}

/* Normal distribution function of x, within 1e-7; out_gauss = e^(-x^2 / 2). With z = |x| / sqrt 2:
 *   z < 1:  1/2 + x/(2 sqrt 2) P(z^2),      P(s) = erf(sqrt s) / sqrt s
 *   else:   q for x < 0, 1 - q for x > 0,   q = 1/2 e^(-z^2) t Q(t), t = 1 / (1 + 0.4 z)
 * P and Q are minimax fits in relative error: 4e-8 on [0, 1] and 2e-8 on z in [1, 6.5]. */
RN_INLINE v16 v_normal(v16 x, v16 *out_gauss)
{
    const v16 zero = v_set(0.0f);
    const v16 one = v_set(1.0f);
    const v16 half = v_set(0.5f);
    const v16 signed_z = v_mul(x, v_set(0.70710678118654752f));
    const v16 z = v_max(signed_z, v_sub(zero, signed_z));
    const v16 s = v_mul(z, z);
    const v16 gauss = v_exp(v_sub(zero, s));
    *out_gauss = gauss;
    v16 p = v_set(-5.631422223e-04f);
    p = v_fma(p, s, v_set(4.917551429e-03f));
    p = v_fma(p, s, v_set(-2.671131131e-02f));
    p = v_fma(p, s, v_set(1.128018011e-01f));
    p = v_fma(p, s, v_set(-3.761232619e-01f));
    p = v_fma(p, s, v_set(1.128379122f));
    const v16 near = v_fma(v_mul(signed_z, half), p, half);
    const v16 t = v_div(one, v_fma(z, v_set(0.4f), one));
    v16 q = v_set(-1.173275633e-01f);
    q = v_fma(q, t, v_set(2.463194559e-01f));
    q = v_fma(q, t, v_set(5.532338629e-03f));
    q = v_fma(q, t, v_set(2.144189341e-01f));
    q = v_fma(q, t, v_set(1.984323246e-01f));
    q = v_fma(q, t, v_set(2.267331020e-01f));
    q = v_fma(q, t, v_set(2.256257164e-01f));
    q = v_mul(v_mul(q, t), v_mul(gauss, half));
    const v16 far = v_select_less(x, zero, q, v_sub(one, q));
    return v_select_less(z, one, near, far);
}

/* GELU and its slope. */
RN_INLINE v16 v_gelu(v16 x, v16 *out_slope)
{
    v16 gauss;
    const v16 cumulative = v_normal(x, &gauss);
    *out_slope = v_fma(v_mul(x, v_set(0.39894228040143268f)), gauss, cumulative);
    return v_mul(x, cumulative);
}

#endif
