/* SPDX-License-Identifier: Apache-2.0
 *
 * Multiply-adds on registers: enough independent chains to hide the latency on every known core
 * (two units with a latency of 4 to 6 cycles), few enough for the register file.
 */
#include "trainer/kernels/cpu/cpu_peak.h"

#if defined(__x86_64__)

#include "trainer/kernels/cpu/cpu_features.h"
#include "trainer/kernels/cpu/cpu_tiles.h"

#include <immintrin.h>

#define CHAINS_YMM 12
#define CHAINS_ZMM 24

__attribute__((target("avx2,fma"))) static float run_avx2(size_t rounds)
{
    __m256 sum[CHAINS_YMM];
    const __m256 left = _mm256_set1_ps(0.999f);
    const __m256 right = _mm256_set1_ps(0.001f);
    for (int i = 0; i < CHAINS_YMM; i++) {
        sum[i] = _mm256_set1_ps((float)i);
    }
    for (size_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS_YMM; i++) {
            sum[i] = _mm256_fmadd_ps(sum[i], left, right);
        }
    }
    for (int i = 1; i < CHAINS_YMM; i++) {
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    }
    return _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) static float run_avx512(size_t rounds)
{
    __m512 sum[CHAINS_ZMM];
    const __m512 left = _mm512_set1_ps(0.999f);
    const __m512 right = _mm512_set1_ps(0.001f);
    for (int i = 0; i < CHAINS_ZMM; i++) {
        sum[i] = _mm512_set1_ps((float)i);
    }
    for (size_t round = 0; round < rounds; round++) {
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS_ZMM; i++) {
            sum[i] = _mm512_fmadd_ps(sum[i], left, right);
        }
    }
    for (int i = 1; i < CHAINS_ZMM; i++) {
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    }
    return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static float run_bf16(size_t rounds)
{
    __m512 sum[CHAINS_ZMM];
    const __m512bh left = (__m512bh)_mm512_set1_epi32(0x3c003c00);
    const __m512bh right = (__m512bh)_mm512_set1_epi32(0x3c003c00);
    for (int i = 0; i < CHAINS_ZMM; i++) {
        sum[i] = _mm512_set1_ps((float)i);
    }
    for (size_t round = 0; round < rounds; round++) {
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS_ZMM; i++) {
            sum[i] = _mm512_dpbf16_ps(sum[i], left, right);
        }
    }
    for (int i = 1; i < CHAINS_ZMM; i++) {
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    }
    return _mm512_cvtss_f32(sum[0]);
}

size_t rn_cpu_peaks(struct rn_cpu_peak out[RN_CPU_PEAKS_MAX])
{
    size_t count = 0;
    const struct rn_cpu_features *has = rn_cpu_features();
    if (has->avx2) {
        out[count++] =
            (struct rn_cpu_peak){"AVX2 float32 FMA", false, 2.0 * 8 * CHAINS_YMM, run_avx2};
    }
    if (has->avx512) {
        out[count++] =
            (struct rn_cpu_peak){"AVX-512 float32 FMA", false, 2.0 * 16 * CHAINS_ZMM, run_avx512};
    }
    if (has->avx512_bf16) {
        out[count++] =
            (struct rn_cpu_peak){"AVX-512 bf16 dot", true, 2.0 * 32 * CHAINS_ZMM, run_bf16};
    }
    if (has->amx) {
        out[count++] = (struct rn_cpu_peak){"AMX bf16 tiles", true, RN_TILE_AMX_PEAK_OPERATIONS,
                                            rn_tile_amx_peak};
    }
    return count;
}

const char *rn_cpu_class(void)
{
    const struct rn_cpu_features *has = rn_cpu_features();
    return has->amx           ? "AMX"
           : has->avx512_bf16 ? "AVX512-BF16"
           : has->avx512      ? "AVX-512"
           : has->avx2        ? "AVX2"
                              : "other";
}

#else

size_t rn_cpu_peaks(struct rn_cpu_peak out[RN_CPU_PEAKS_MAX])
{
    (void)out;
    return 0;
}

const char *rn_cpu_class(void)
{
    return "other";
}

#endif
