/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: one block of 32 x 32 sums (cpu_tiles.h) by the operations of cpu_tileops.h. Tiles 0 and 1
 * are its upper half, 2 and 3 the lower; 4 and 5 the left factor's, 6 and 7 the right factor's.
 */
#include "trainer/kernels/cpu/cpu_tileops.h"
#include "trainer/kernels/cpu/cpu_tiles.h"

#define HALF 512           /* elements of half a step: one tile */
#define TILE_STRIDE 64     /* bytes from row to row, packed */
#define SUMS_STRIDE 128    /* of the sums */
#define SUMS_LOWER 16 * 32 /* elements to the lower half */
#define LINE 64            /* bytes of a line of cache */

/* What is wanted at one step besides its products. */
static inline void tile_others(const struct rn_tile_job *job, size_t step)
{
    if (job->next != NULL) {
        const uint8_t *at = (const uint8_t *)job->next + step * job->next_lines * LINE;
        for (size_t i = 0; i < job->next_lines; i++) {
            __builtin_prefetch(at + i * LINE, 0, 2); /* into the second level */
        }
    }
    if (job->beside != NULL) {
        job->beside(job->with, step, job->steps);
    }
}

static void tile_block(const struct rn_tile_job *job)
{
    struct tile_file file;
    const uint16_t *left = job->left;
    const uint16_t *right = job->right;
    (void)&file;
    tile_fence();
    if (job->fresh) {
        tile_zero(&file, 0);
        tile_zero(&file, 1);
        tile_zero(&file, 2);
        tile_zero(&file, 3);
    } else {
        tile_load(&file, 0, job->sums, SUMS_STRIDE);
        tile_load(&file, 1, job->sums + 16, SUMS_STRIDE);
        tile_load(&file, 2, job->sums + SUMS_LOWER, SUMS_STRIDE);
        tile_load(&file, 3, job->sums + SUMS_LOWER + 16, SUMS_STRIDE);
    }
    for (size_t i = 0; i < job->steps; i++, left += 2 * HALF, right += 2 * HALF) {
        tile_load(&file, 4, left, TILE_STRIDE);
        tile_load(&file, 6, right, TILE_STRIDE);
        tile_load(&file, 7, right + HALF, TILE_STRIDE);
        tile_dot(&file, 0, 4, 6);
        tile_dot(&file, 1, 4, 7);
        tile_load(&file, 5, left + HALF, TILE_STRIDE);
        tile_dot(&file, 2, 5, 6);
        tile_dot(&file, 3, 5, 7);
        tile_others(job, i);
    }
    tile_store(&file, 0, job->sums, SUMS_STRIDE);
    tile_store(&file, 1, job->sums + 16, SUMS_STRIDE);
    tile_store(&file, 2, job->sums + SUMS_LOWER, SUMS_STRIDE);
    tile_store(&file, 3, job->sums + SUMS_LOWER + 16, SUMS_STRIDE);
    tile_fence();
}

/* A block of columns of unpacked factors. */
static void tile_pairs_block(const struct rn_tile_pairs *job, size_t column)
{
    struct tile_file file;
    const size_t left_row = job->left_row * sizeof(uint32_t);
    const size_t row = job->columns * sizeof(uint32_t);
    const uint32_t *left = job->left;
    const uint32_t *right = job->right + column;
    float *out = job->out + column;
    float *lower = out + 16 * job->columns;
    (void)&file;
    tile_fence();
    tile_zero(&file, 0);
    tile_zero(&file, 1);
    tile_zero(&file, 2);
    tile_zero(&file, 3);
    for (size_t i = 0; i < job->steps; i++, left += 16, right += 16 * job->columns) {
        tile_load(&file, 4, left, left_row);
        tile_load(&file, 6, right, row);
        tile_load(&file, 7, right + 16, row);
        tile_dot(&file, 0, 4, 6);
        tile_dot(&file, 1, 4, 7);
        tile_load(&file, 5, left + 16 * job->left_row, left_row);
        tile_dot(&file, 2, 5, 6);
        tile_dot(&file, 3, 5, 7);
    }
    tile_store(&file, 0, out, row);
    tile_store(&file, 1, out + 16, row);
    tile_store(&file, 2, lower, row);
    tile_store(&file, 3, lower + 16, row);
    tile_fence();
}

static void tile_pairs(const struct rn_tile_pairs *job)
{
    for (size_t c = 0; c < job->columns; c += RN_TILE_BLOCK) {
        tile_pairs_block(job, c);
    }
}

#undef HALF
#undef TILE_STRIDE
#undef SUMS_STRIDE
#undef SUMS_LOWER
#undef LINE
