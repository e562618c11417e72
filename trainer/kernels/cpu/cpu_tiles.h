/* SPDX-License-Identifier: Apache-2.0
 *
 * Own bfloat16 products in matrix tiles (AMX: 16 rows of 64 bytes), and what they are packed into.
 *
 * A product step takes 16 rows of a left factor by 32 of its columns, and 32 rows of a right factor
 * by 16 of its columns, in pairs, and adds to 16 x 16 float32 sums. Two by two of them make a block
 * of 32 x 32 sums, for which each loaded tile serves twice:
 *
 *   left factor, packed strip by strip by each lane   [group of 32 rows][step][2][16][32]
 *   right factor, packed once                         [panel of 32 columns][step][2][16][16][2]
 *
 * Both are without gaps, a step being 2 KiB of each, so that a tile is 16 lines of cache in a row;
 * depth, rows and columns are padded with zeros. A strip has as many rows as leave left factor and
 * one panel within five eighths of the second-level cache. Within a panel the depth may be cut, so
 * that a panel's part stays in the first level while the strip's groups pass by; sums then rest in
 * memory between the parts, as float32, which changes none of their bits.
 *
 * Exactness. The sum of an element is: s = 0; for each step in rising depth, s += (e + o), e and o
 * chains of 16 multiply-adds over the even and the odd columns from zero, everything in float32
 * (cpu_tileops.h). No row of a tile enters another row's sums. So a row's bits depend on nothing
 * but the row and the matrix: not on the number of rows, the strip's height, the place, the cut, or
 * the caches' sizes.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_TILES_H
#define RN_TRAINER_KERNELS_CPU_CPU_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_TILE_BLOCK ((size_t)32)  /* rows and columns of a block of sums */
#define RN_TILE_DEPTH ((size_t)32)  /* of a step */
#define RN_TILE_STEP ((size_t)1024) /* elements of a step, of a group and of a panel alike */
#define RN_TILE_STRIP_MAX                                                  \
    ((size_t)256) /* rows of a strip, at most; a multiple of RN_TILE_BLOCK \
                   */

/* sums[32][32] = or += left[steps] . right[steps]. */
struct rn_tile_job {
    const uint16_t *left, *right;
    size_t steps;
    bool fresh; /* = */
    float *sums;
};

/* Who multiplies. begin and end stand around a thread's blocks. */
struct rn_tile_unit {
    void (*begin)(void);
    void (*end)(void);
    void (*block)(const struct rn_tile_job *job);
};

/* AMX; only where rn_cpu_features()->amx. */
extern const struct rn_tile_unit rn_tile_amx;
/* Multiply-adds on tile registers alone, for the instruction peak; the operations of a round. */
float rn_tile_amx_peak(size_t rounds);
#define RN_TILE_AMX_PEAK_OPERATIONS (4.0 * 2 * 16 * 16 * 32)

static inline size_t rn_tile_steps(size_t depth)
{
    return (depth + RN_TILE_DEPTH - 1) / RN_TILE_DEPTH;
}

/* Elements of a packed right factor. */
static inline size_t rn_tile_elements(size_t depth, size_t columns)
{
    return (columns + RN_TILE_BLOCK - 1) / RN_TILE_BLOCK * rn_tile_steps(depth) * RN_TILE_STEP;
}

/* The right factor with element [i][c] = w[i * step_i + c * step_c]; the caller frees. */
uint16_t *rn_tile_pack(const float *w, size_t depth, size_t columns, size_t step_i, size_t step_c);

/* Rows of a strip: a multiple of 32 in 32 .. RN_TILE_STRIP_MAX. l2: the cache's bytes. */
size_t rn_tile_strip(size_t depth, size_t l2);
/* Elements that the strips of every depth up to `depth` fit into. */
size_t rn_tile_left_elements(size_t depth, size_t l2);
/* Steps of a part, so that a panel's fits half of the first-level cache; at least 1. */
size_t rn_tile_cut(size_t l1);

#endif
