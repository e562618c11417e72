/* SPDX-License-Identifier: Apache-2.0
 *
 * Sixteen elements of a row as float32 lanes, whatever the row's element type. bfloat16 is the
 * upper half of a float32; stores round to the nearest, ties to even. The set with bfloat16
 * instructions (RN_SET_BF16) stores values below 2^-126 as zero; the others keep them.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_ELEMENT_H
#define RN_TRAINER_KERNELS_CPU_CPU_ELEMENT_H

#include "trainer/kernels/cpu/cpu_vector.body.h"
#include "trainer/kernels/host.h"

#if defined(RN_SET_AVX512)

RN_INLINE v16 v_widen(__m256i half)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}
RN_INLINE __m256i v_narrow(v16 x)
{
#if defined(RN_SET_BF16)
    return (__m256i)_mm512_cvtneps_pbh(x);
#else
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(nan, up, quiet), 16));
#endif
}
RN_INLINE v16 v_load_half(const uint16_t *p, size_t n)
{
    return n == RN_LANES
               ? v_widen(_mm256_loadu_si256((const __m256i *)p))
               : v_widen(_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1u), (const void *)p));
}
RN_INLINE void v_store_half(uint16_t *p, v16 x, size_t n)
{
    if (n == RN_LANES) {
        _mm256_storeu_si256((__m256i *)p, v_narrow(x));
    } else {
        _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1u), v_narrow(x));
    }
}

#else

RN_INLINE v16 v_load_half(const uint16_t *p, size_t n)
{
#if defined(RN_SET_AVX2)
    if (n == RN_LANES) {
        const __m256i all = _mm256_loadu_si256((const __m256i *)p);
        const __m256i low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(all));
        const __m256i high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(all, 1));
        return (v16){_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
                     _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
    }
#endif
    float all[RN_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        all[i] = rn_bf16_value(p[i]);
    }
    return v_load(all);
}
RN_INLINE void v_store_half(uint16_t *p, v16 x, size_t n)
{
    float all[RN_LANES];
    v_store(all, x);
    for (size_t i = 0; i < n; i++) {
        p[i] = rn_bf16_of(all[i]);
    }
}

#endif

/* Elements c .. c+left-1 of a row; the other lanes are zero. */
RN_INLINE v16 v_get(enum rn_element type, const void *row, size_t c, size_t left)
{
    return type == RN_BF16 ? v_load_half((const uint16_t *)row + c, left)
                           : v_load_at((const float *)row + c, left);
}
RN_INLINE void v_put(enum rn_element type, void *row, size_t c, size_t left, v16 x)
{
    if (type == RN_BF16) {
        v_store_half((uint16_t *)row + c, x, left);
    } else {
        v_store_at((float *)row + c, x, left);
    }
}

/* A row's first n elements as float32, zeros up to padded. */
RN_INLINE void v_take_row(enum rn_element type, const void *row, size_t n, size_t padded, float *to)
{
    for (size_t c = 0; c < n; c += RN_LANES) {
        v_store_at(to + c, v_get(type, row, c, v_left(c, n)), v_left(c, n));
    }
    memset(to + n, 0, (padded - n) * sizeof(float));
}
RN_INLINE void v_put_row(enum rn_element type, void *row, size_t n, const float *from)
{
    for (size_t c = 0; c < n; c += RN_LANES) {
        v_put(type, row, c, v_left(c, n), v_load_at(from + c, v_left(c, n)));
    }
}

#endif
