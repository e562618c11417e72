/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's bodies for AVX-512 with bfloat16 dot products: bfloat16 backends alone.
 */
#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")

#define RN_SET_AVX512
#define RN_SET_BF16
#define RN_CPU_TABLES rn_cpu_tables_avx512bf16
#define RN_CPU_TILED rn_cpu_tiled_avx512bf16
#define RN_CPU_NAME "avx512bf16"
#include "trainer/kernels/cpu/cpu_table.body.h"

#endif
