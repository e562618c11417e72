/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations on matrix tiles that the products use, in two bodies of the same names: the
 * instructions of AMX (RN_TILE_NATIVE), or a stand-in with their documented arithmetic over the
 * lanes of cpu_vector.body.h, which is plain C in the scalar set. Tiles 0 .. 7 are all configured
 * as 16 rows of 64 bytes. `file` holds the stand-in's tiles; numbers of tiles are constants.
 *
 *   tile_zero(file, t)
 *   tile_load(file, t, from, stride)    16 rows of 64 bytes, `stride` bytes apart
 *   tile_store(file, t, to, stride)
 *   tile_dot(file, s, l, r)             TDPBF16PS: sums s += left l . right r
 *
 * TDPBF16PS (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2): for each row
 * m of the sums, e[n] and o[n] start at zero; for k = 0 .. 15 in order, e[n] += l[m][2k] r[k][2n]
 * and o[n] += l[m][2k + 1] r[k][2n + 1], each a fused multiply-add; then s[m][n] += e[n] + o[n].
 * Rounding is to the nearest even whatever MXCSR says, subnormal inputs count as zero and subnormal
 * results become zero of their sign. (The stand-in takes a result for subnormal after it was
 * rounded to float32's subnormals; a result within 2^-150 below 2^-126 becomes 2^-126 in it.)
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_TILEOPS_H
#define RN_TRAINER_KERNELS_CPU_CPU_TILEOPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(RN_TILE_NATIVE)

#include <immintrin.h>

struct tile_file {
    char none;
};

/* The compiler does not know that loads of tiles read what was stored before. */
#define tile_fence() __asm__ volatile("" ::: "memory")
#define tile_zero(file, t) _tile_zero(t)
#define tile_load(file, t, from, stride) _tile_loadd(t, from, stride)
#define tile_store(file, t, to, stride) _tile_stored(t, to, stride)
#define tile_dot(file, s, l, r) _tile_dpbf16ps(s, l, r)

#else

#include "trainer/kernels/cpu/cpu_vector.body.h"

struct tile_file {
    uint32_t tile[8][16][16];
};

#define tile_fence() ((void)0)

RN_INLINE void tile_zero(struct tile_file *file, int t)
{
    memset(file->tile[t], 0, sizeof(file->tile[t]));
}
RN_INLINE void tile_load(struct tile_file *file, int t, const void *from, size_t stride)
{
    for (size_t r = 0; r < 16; r++) {
        memcpy(file->tile[t][r], (const uint8_t *)from + r * stride, 64);
    }
}
RN_INLINE void tile_store(struct tile_file *file, int t, void *to, size_t stride)
{
    for (size_t r = 0; r < 16; r++) {
        memcpy((uint8_t *)to + r * stride, file->tile[t][r], 64);
    }
}

/* Zero of its sign for what is subnormal. */
RN_INLINE v16 tile_flush(v16 x)
{
    const v16 size = v_max(x, v_sub(v_set(0.0f), x));
    return v_select_less(size, v_set(0x1p-126f), v_mul(x, v_set(0.0f)), x);
}

RN_INLINE float tile_half(uint32_t pair, int odd)
{
    const uint32_t half = odd ? pair & 0xffff0000u : pair << 16;
    const uint32_t bits = (half & 0x7f800000u) == 0 ? half & 0x80000000u : half;
    float out;
    memcpy(&out, &bits, sizeof(out));
    return out;
}

RN_INLINE void tile_dot(struct tile_file *file, int s, int l, int r)
{
    float right[2][16][16];
    for (int k = 0; k < 16; k++) {
        for (int n = 0; n < 16; n++) {
            right[0][k][n] = tile_half(file->tile[r][k][n], 0);
            right[1][k][n] = tile_half(file->tile[r][k][n], 1);
        }
    }
    for (int m = 0; m < 16; m++) {
        v16 sums[2] = {v_set(0.0f), v_set(0.0f)};
        for (int k = 0; k < 16; k++) {
            for (int odd = 0; odd < 2; odd++) {
                const v16 left = v_set(tile_half(file->tile[l][m][k], odd));
                sums[odd] = tile_flush(v_fma(left, v_load(right[odd][k]), sums[odd]));
            }
        }
        float row[16];
        memcpy(row, file->tile[s][m], sizeof(row));
        const v16 both = tile_flush(v_add(sums[0], sums[1]));
        v_store(row, tile_flush(v_add(tile_flush(v_load(row)), both)));
        memcpy(file->tile[s][m], row, sizeof(row));
    }
}

#endif

#endif
