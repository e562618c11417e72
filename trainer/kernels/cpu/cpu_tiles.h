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
 * depth, rows and columns are padded with zeros. A product goes strip by strip of its rows; a strip
 * stays in the second-level cache while the panels pass by, each asked for while the one before it
 * multiplies. A deep product goes by parts of its depth, so that strips are no lower for it; its
 * sums rest in memory between the parts, as float32, which changes none of their bits.
 *
 * The tile unit is another than the vector unit, and both are busy at once only where one thread's
 * instructions for both stand close together: a block carries a piece of other work, the finishing
 * of the block before it, and does a share of it at each of its steps.
 *
 * Exactness. The sum of an element is: s = 0; for each step in rising depth, s += (e + o), e and o
 * chains of 16 multiply-adds over the even and the odd columns from zero, everything in float32
 * (cpu_tileops.h). No row of a tile enters another row's sums. So a row's bits depend on nothing
 * but the row and the matrix: not on the number of rows, the place, or how the product is cut.
 */
#ifndef RN_TRAINER_KERNELS_CPU_CPU_TILES_H
#define RN_TRAINER_KERNELS_CPU_CPU_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_TILE_BLOCK ((size_t)32)  /* rows and columns of a block of sums */
#define RN_TILE_DEPTH ((size_t)32)  /* of a step */
#define RN_TILE_STEP ((size_t)1024) /* elements of a step, of a group and of a panel alike */

/* How products are cut. Bits do not depend on it. */
struct rn_tile_cuts {
    size_t rows;      /* of a strip; a multiple of RN_TILE_BLOCK, as the next two */
    size_t deep_rows; /* of a strip of a product whose depth goes by parts */
    size_t columns;   /* whose sums rest between two parts */
    size_t steps;     /* of a part of the depth */
};
/* For 2 MiB of second-level cache, which every processor with AMX has for a core: a strip of 1 MiB,
 * or of half of it beside as much of sums. */
#define RN_TILE_CUTS_USUAL ((struct rn_tile_cuts){512, 256, 1024, 32})

/* sums[32][32] = or += left[steps] . right[steps]; written when all shares of what is beside are
 * done, so that these may read what stood there. */
struct rn_tile_job {
    const uint16_t *left, *right;
    size_t steps;
    bool fresh; /* = */
    float *sums;
    const void *next;  /* lines of cache to ask for; NULL: none */
    size_t next_lines; /* of them, at each step */
    void (*beside)(void *with, size_t step, size_t steps); /* a share of other work; NULL: none */
    void *with;
};

/* out[32][columns] = left[32 rows][steps of 16 pairs] . right[16 steps pairs][columns], factors not
 * packed: a pair is two neighbours along the depth, 32 bits. columns: a multiple of RN_TILE_BLOCK,
 * and the distance of the rows of `right` and `out`. */
struct rn_tile_pairs {
    const uint32_t *left;
    size_t left_row; /* from row to row of `left` */
    const uint32_t *right;
    size_t steps, columns;
    float *out;
};

/* Who multiplies. begin and end stand around a thread's blocks. */
struct rn_tile_unit {
    void (*begin)(void);
    void (*end)(void);
    void (*block)(const struct rn_tile_job *job);
    void (*pairs)(const struct rn_tile_pairs *job);
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

/* Elements of a lane's packed strip, and of its sums, for products up to so many rows, and columns
 * of either factor. */
size_t rn_tile_left_elements(const struct rn_tile_cuts *cuts, size_t rows, size_t width);
size_t rn_tile_sums(const struct rn_tile_cuts *cuts, size_t rows, size_t width);

#endif
