/* SPDX-License-Identifier: Apache-2.0
 *
 * The CPU backend's bodies for AVX2 with FMA.
 */
#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#pragma GCC target("avx2,fma")

#define RN_SET_AVX2
#define RN_CPU_TABLES rn_cpu_tables_avx2
#define RN_CPU_TILED rn_cpu_tiled_avx2
#define RN_CPU_NAME "avx2"
#include "trainer/kernels/cpu/cpu_table.body.h"

#endif
