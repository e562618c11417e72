/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: products with frozen weights. y[t][n] is one chain of fused multiply-adds over k = 0, 1,
 * ... from zero, bit-equal to scalar fmaf, whatever the number of rows, the row's place and the
 * blocking; the epilogue follows per element.
 */
#include "trainer/kernels/cpu/cpu_epilogue.body.h"
#include "trainer/kernels/cpu/cpu_packrows.body.h"

#include "base/guard.h"

/* sums[r][0..31] (+)= sum over k of a[k][r] * b[k][0..31] for the rows of a tile. */
RN_INLINE void tile_of(enum rn_element type, size_t depth, const float *a, const void *b,
                       bool first, float *sums)
{
    for (size_t v = 0; v < 2; v += RN_TILE_VECTORS) {
        v16 s[RN_TILE_ROWS][RN_TILE_VECTORS];
#pragma GCC unroll 12
        for (int r = 0; r < RN_TILE_ROWS; r++) {
#pragma GCC unroll 2
            for (int i = 0; i < RN_TILE_VECTORS; i++) {
                s[r][i] =
                    first ? v_set(0.0f) : v_load(sums + r * RN_CPU_PANEL + ((int)v + i) * RN_LANES);
            }
        }
        for (size_t k = 0; k < depth; k++) {
            v16 right[RN_TILE_VECTORS];
#pragma GCC unroll 2
            for (int i = 0; i < RN_TILE_VECTORS; i++) {
                right[i] = v_get(type, b, k * RN_CPU_PANEL + (v + (size_t)i) * RN_LANES, RN_LANES);
            }
#pragma GCC unroll 12
            for (int r = 0; r < RN_TILE_ROWS; r++) {
                const v16 left = v_set(a[k * RN_TILE_ROWS + (size_t)r]);
#pragma GCC unroll 2
                for (int i = 0; i < RN_TILE_VECTORS; i++) {
                    s[r][i] = v_fma(left, right[i], s[r][i]);
                }
            }
        }
#pragma GCC unroll 12
        for (int r = 0; r < RN_TILE_ROWS; r++) {
#pragma GCC unroll 2
            for (int i = 0; i < RN_TILE_VECTORS; i++) {
                v_store(sums + r * RN_CPU_PANEL + ((int)v + i) * RN_LANES, s[r][i]);
            }
        }
    }
}

static void tile_f32(size_t depth, const float *a, const void *b, bool first, float *sums)
{
    tile_of(RN_F32, depth, a, b, first, sums);
}

static void tile_bf16(size_t depth, const float *a, const void *b, bool first, float *sums)
{
    tile_of(RN_BF16, depth, a, b, first, sums);
}

/* Sums of a tile to its place in y. */
static void finish_tile(const float *sums, const struct rn_epilogue *e, size_t rows, size_t row,
                        size_t column, struct rn_mat y)
{
    for (size_t r = 0; r < rows; r++) {
        void *out = rn_row(y, row + r);
        for (size_t v = 0; v < RN_CPU_PANEL && column + v < y.cols; v += RN_LANES) {
            const size_t c = column + v;
            const size_t left = v_left(c, y.cols);
            const v16 s = v_load(sums + r * RN_CPU_PANEL + v);
            v_put(y.type, out, c, left, finish(e, y.cols, row + r, c, left, s));
        }
    }
}

static void product(struct rn_lane *lane, enum rn_element type, const void *panels, size_t depth,
                    struct rn_mat x, const struct rn_epilogue *epilogue, struct rn_mat y)
{
    const size_t panel_count = (y.cols + RN_CPU_PANEL - 1) / RN_CPU_PANEL;
    for (size_t m = 0; m < y.rows; m += RN_CPU_BLOCK_M) {
        const size_t rows = y.rows - m < RN_CPU_BLOCK_M ? y.rows - m : RN_CPU_BLOCK_M;
        for (size_t k = 0; k < depth; k += lane->block_k) {
            const size_t part = depth - k < lane->block_k ? depth - k : lane->block_k;
            for (size_t i = 0; i < rows; i += RN_TILE_ROWS) {
                pack_rows(x, rows - i, m + i, k, part, lane->packed + i * part);
            }
            for (size_t j = 0; j < panel_count; j++) {
                const void *panel = (const uint8_t *)panels +
                                    (j * depth + k) * RN_CPU_PANEL * rn_element_size(type);
                const size_t kept = part == depth ? 0 : j; /* nothing goes on in another pass */
                float *sums = lane->sums + kept * RN_CPU_BLOCK_M * RN_CPU_PANEL;
                for (size_t i = 0; i < rows; i += RN_TILE_ROWS) {
                    const size_t high = rows - i < RN_TILE_ROWS ? rows - i : RN_TILE_ROWS;
                    (type == RN_BF16 ? tile_bf16 : tile_f32)(part, lane->packed + i * part, panel,
                                                             k == 0, sums + i * RN_CPU_PANEL);
                    if (k + part == depth) {
                        finish_tile(sums + i * RN_CPU_PANEL, epilogue, high, m + i,
                                    j * RN_CPU_PANEL, y);
                    }
                }
            }
        }
    }
}

static void linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                   const struct rn_epilogue *epilogue, struct rn_mat y)
{
    product(lane, w->type, w->forward, w->k, x, epilogue, y);
}

static void linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                        const struct rn_epilogue *epilogue, struct rn_mat dx)
{
    RN_BUG_IF(w->backward == NULL);
    product(lane, w->type, w->backward, w->n, dy, epilogue, dx);
}

_Static_assert(RN_CPU_BLOCK_M % RN_TILE_ROWS == 0, "a block holds whole tiles");
_Static_assert(RN_PACK_SLACK <= RN_CPU_PACK_SLACK, "a lane has room for it");
