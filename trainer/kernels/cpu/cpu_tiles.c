/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing for tiles, and how much of it the caches hold.
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

size_t rn_tile_strip(size_t depth, size_t l2)
{
    const size_t row = rn_tile_steps(depth) * RN_TILE_DEPTH * sizeof(uint16_t);
    const size_t room = l2 / 8 * 5;
    const size_t panel = row * RN_TILE_BLOCK;
    const size_t rows = room > panel ? (room - panel) / row : 0;
    const size_t whole = rows / RN_TILE_BLOCK * RN_TILE_BLOCK;
    return whole < RN_TILE_BLOCK       ? RN_TILE_BLOCK
           : whole > RN_TILE_STRIP_MAX ? RN_TILE_STRIP_MAX
                                       : whole;
}

size_t rn_tile_left_elements(size_t depth, size_t l2)
{
    const size_t least = rn_tile_steps(depth) * RN_TILE_STEP; /* one group of the deepest */
    const size_t room = l2 / 8 * 5 / sizeof(uint16_t);
    const size_t most = least * (RN_TILE_STRIP_MAX / RN_TILE_BLOCK);
    const size_t held = room < most ? room : most;
    return held > least ? held : least;
}

size_t rn_tile_cut(size_t l1)
{
    const size_t steps = l1 / 2 / (RN_TILE_STEP * sizeof(uint16_t));
    return steps > 0 ? steps : 1;
}
