/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: rows of a left factor as [k][row of tile], for cpu_product.body.h. With sixteen lanes in
 * one register a tile's rows are transposed sixteen columns at a time; element by element it took a
 * sixteenth of a product's time.
 */
#include "trainer/kernels/cpu/cpu_element.body.h"

/* Lanes that a transposed row of a tile is stored with beyond the tile's own: they are written
 * again by the next k, and behind the last they have to be there. */
#define RN_PACK_SLACK RN_LANES

/* Columns first .. of row t, one by one. */
RN_INLINE void pack_columns(struct rn_mat x, size_t t, size_t first, size_t count, float *out)
{
    const void *from = rn_row(x, t);
    for (size_t k = 0; k < count; k++) {
        out[k * RN_TILE_ROWS] = x.type == RN_BF16
                                    ? rn_bf16_value(((const uint16_t *)from)[first + k])
                                    : ((const float *)from)[first + k];
    }
}

#if defined(RN_SET_AVX512)

/* Rows of sixteen become columns. */
RN_INLINE void pack_transpose(v16 a[16])
{
    v16 b[16];
#pragma GCC unroll 8
    for (size_t r = 0; r < 16; r += 2) {
        b[r] = _mm512_unpacklo_ps(a[r], a[r + 1]);
        b[r + 1] = _mm512_unpackhi_ps(a[r], a[r + 1]);
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < 16; r += 4) { /* a[r + c]: column c of each quarter, rows r .. r+3 */
        a[r] = _mm512_shuffle_ps(b[r], b[r + 2], 0x44);
        a[r + 1] = _mm512_shuffle_ps(b[r], b[r + 2], 0xee);
        a[r + 2] = _mm512_shuffle_ps(b[r + 1], b[r + 3], 0x44);
        a[r + 3] = _mm512_shuffle_ps(b[r + 1], b[r + 3], 0xee);
    }
#pragma GCC unroll 4
    for (size_t c = 0; c < 4; c++) {
        const v16 low = _mm512_shuffle_f32x4(a[c], a[c + 4], 0x88);
        const v16 high = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0x88);
        const v16 low_odd = _mm512_shuffle_f32x4(a[c], a[c + 4], 0xdd);
        const v16 high_odd = _mm512_shuffle_f32x4(a[c + 8], a[c + 12], 0xdd);
        b[c] = _mm512_shuffle_f32x4(low, high, 0x88);
        b[c + 8] = _mm512_shuffle_f32x4(low, high, 0xdd);
        b[c + 4] = _mm512_shuffle_f32x4(low_odd, high_odd, 0x88);
        b[c + 12] = _mm512_shuffle_f32x4(low_odd, high_odd, 0xdd);
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < 16; r++) {
        a[r] = b[r];
    }
}

/* Sixteen columns at a time of a whole tile, in rising k; returns how many columns. */
RN_INLINE size_t pack_vectors(struct rn_mat x, size_t row, size_t first, size_t depth, float *out)
{
    size_t k = 0;
    for (; k + RN_LANES <= depth; k += RN_LANES) {
        v16 a[16];
#pragma GCC unroll 16
        for (size_t r = 0; r < 16; r++) {
            a[r] = r < RN_TILE_ROWS ? v_get(x.type, rn_row(x, row + r), first + k, RN_LANES)
                                    : v_set(0.0f);
        }
        pack_transpose(a);
#pragma GCC unroll 16
        for (size_t c = 0; c < 16; c++) {
            v_store(out + (k + c) * RN_TILE_ROWS, a[c]);
        }
    }
    return k;
}

#else

RN_INLINE size_t pack_vectors(struct rn_mat x, size_t row, size_t first, size_t depth, float *out)
{
    (void)x;
    (void)row;
    (void)first;
    (void)depth;
    (void)out;
    return 0;
}

#endif

/* Rows of x, columns first .. first+depth-1, as [k][row of tile]; missing rows are zero. out has
 * RN_PACK_SLACK more. */
static void pack_rows(struct rn_mat x, size_t rows, size_t row, size_t first, size_t depth,
                      float *out)
{
    const size_t done = rows >= RN_TILE_ROWS ? pack_vectors(x, row, first, depth, out) : 0;
    for (size_t r = 0; r < RN_TILE_ROWS; r++) {
        if (r < rows) {
            pack_columns(x, row + r, first + done, depth - done, out + done * RN_TILE_ROWS + r);
            continue;
        }
        for (size_t k = 0; k < depth; k++) {
            out[k * RN_TILE_ROWS + r] = 0.0f;
        }
    }
}
