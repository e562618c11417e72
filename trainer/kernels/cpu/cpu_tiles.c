/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing for tiles, and the memory that products in tiles take.
 */
#include "trainer/kernels/cpu/cpu_tiles.h"

#include "base/alloc.h"
#include "trainer/kernels/host.h"

uint16_t *rn_tile_pack(const float *w, size_t depth, size_t columns, size_t step_i, size_t step_c)
{
    uint16_t *out = rn_alloc(rn_tile_elements(depth, columns), sizeof(*out));
    const size_t steps = rn_tile_steps(depth);
    for (size_t c = 0; c < columns; c++) {
        uint16_t *panel = out + c / RN_TILE_BLOCK * steps * RN_TILE_STEP;
        const size_t column = c % RN_TILE_BLOCK / 16 * 512 + c % 16 * 2;
        for (size_t i = 0; i < depth; i++) {
            const size_t row = i / RN_TILE_DEPTH * RN_TILE_STEP + i % RN_TILE_DEPTH / 2 * 32;
            panel[row + column + i % 2] = rn_bf16_of(w[i * step_i + c * step_c]);
        }
    }
    return out;
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t whole(size_t count)
{
    return (count + RN_TILE_BLOCK - 1) / RN_TILE_BLOCK * RN_TILE_BLOCK;
}

size_t rn_tile_left_elements(const struct rn_tile_cuts *cuts, size_t rows, size_t width)
{
    const size_t most = cuts->rows > cuts->deep_rows ? cuts->rows : cuts->deep_rows;
    return lesser(whole(rows), most) * lesser(rn_tile_steps(width), cuts->steps) * RN_TILE_DEPTH;
}

/* One block where nothing rests: the one before is finished when it is stored. */
size_t rn_tile_sums(const struct rn_tile_cuts *cuts, size_t rows, size_t width)
{
    return rn_tile_steps(width) <= cuts->steps
               ? RN_TILE_BLOCK * RN_TILE_BLOCK
               : lesser(whole(rows), cuts->deep_rows) * lesser(whole(width), cuts->columns);
}
