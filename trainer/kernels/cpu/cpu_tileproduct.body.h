/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: products with frozen weights in tiles (cpu_tiles.h), for one set: packing of a strip, its
 * blocks panel by panel, and what follows on the sums while they are in the first-level cache. Also
 * the set's stand-in for the tile unit.
 */
#include "trainer/kernels/cpu/cpu_epilogue.body.h"
#include "trainer/kernels/cpu/cpu_strip.h"
#include "trainer/kernels/cpu/cpu_tileblock.body.h"

#include "base/guard.h"

/* 32 columns of a row, from c on, to a tile's row. */
RN_INLINE void tile_take(struct rn_mat x, const void *row, size_t c, uint16_t *to)
{
    if (x.type == RN_BF16 && c + RN_TILE_DEPTH <= x.cols) {
        memcpy(to, (const uint16_t *)row + c, RN_TILE_DEPTH * sizeof(*to));
        return;
    }
    for (size_t half = 0; half < RN_TILE_DEPTH; half += RN_LANES) {
        const bool any = c + half < x.cols;
        const v16 from = any ? v_get(x.type, row, c + half, v_left(c + half, x.cols)) : v_set(0.0f);
        v_store_half(to + half, from, RN_LANES);
    }
}

/* A strip of x from row t on; rows that nobody reads are zero up to a whole group. */
static void tile_take_strip(struct rn_mat x, size_t t, size_t rows, uint16_t *to)
{
    const size_t steps = rn_tile_steps(x.cols);
    const size_t padded = (rows + RN_TILE_BLOCK - 1) / RN_TILE_BLOCK * RN_TILE_BLOCK;
    for (size_t r = 0; r < padded; r++) {
        uint16_t *at = to + r / RN_TILE_BLOCK * steps * RN_TILE_STEP + r % RN_TILE_BLOCK * 32;
        const void *row = r < rows ? rn_row(x, t + r) : NULL;
        for (size_t i = 0; i < steps; i++, at += RN_TILE_STEP) {
            if (row != NULL) {
                tile_take(x, row, i * RN_TILE_DEPTH, at);
            } else {
                memset(at, 0, RN_TILE_DEPTH * sizeof(*at));
            }
        }
    }
}

static void tile_finish(const struct rn_epilogue *e, size_t t, size_t rows,
                        const struct rn_strip_sums *s, struct rn_mat y)
{
#if defined(RN_SET_BF16)
    fused_finish(e, t, rows, s, y);
#else
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < s->count; i += RN_LANES) {
            const size_t c = s->first + i;
            const size_t left = v_left(i, s->count);
            const v16 sums = v_load(s->sums + r * s->ld + i);
            v_put(y.type, rn_row(y, t + r), c, left, finish(e, y.cols, t + r, c, left, sums));
        }
    }
#endif
}

/* A packed strip and where its product goes. */
struct tile_strip {
    const uint16_t *left;
    size_t t, rows, steps;
};

/* Columns of one panel, for all groups of the strip. */
static void tile_panel(const struct rn_lane *lane, const struct tile_strip *strip,
                       const uint16_t *panel, size_t column, const struct rn_epilogue *e,
                       struct rn_mat y)
{
    const size_t count = y.cols - column < RN_TILE_BLOCK ? y.cols - column : RN_TILE_BLOCK;
    const size_t cut = lane->tile_cut < strip->steps ? lane->tile_cut : strip->steps;
    for (size_t i = 0; i < strip->steps; i += cut) {
        const size_t steps = strip->steps - i < cut ? strip->steps - i : cut;
        for (size_t r = 0; r < strip->rows; r += RN_TILE_BLOCK) {
            const uint16_t *left =
                strip->left + (r / RN_TILE_BLOCK * strip->steps + i) * RN_TILE_STEP;
            float *sums = lane->tile_sums + r * RN_TILE_BLOCK;
            const struct rn_tile_job job = {left, panel + i * RN_TILE_STEP, steps, i == 0, sums};
            lane->tiles->block(&job);
            if (i + steps == strip->steps) {
                const struct rn_strip_sums done = {column, count, RN_TILE_BLOCK, sums};
                const size_t rows =
                    strip->rows - r < RN_TILE_BLOCK ? strip->rows - r : RN_TILE_BLOCK;
                tile_finish(e, strip->t + r, rows, &done, y);
            }
        }
    }
}

static void tile_product(struct rn_lane *lane, const uint16_t *right, struct rn_mat x,
                         const struct rn_epilogue *epilogue, struct rn_mat y)
{
    const size_t high = rn_tile_strip(x.cols, lane->tile_l2);
    const size_t steps = rn_tile_steps(x.cols);
    lane->tiles->begin();
    for (size_t t = 0; t < y.rows; t += high) {
        const struct tile_strip strip = {lane->tile_left, t, y.rows - t < high ? y.rows - t : high,
                                         steps};
        tile_take_strip(x, t, strip.rows, lane->tile_left);
        for (size_t c = 0; c < y.cols; c += RN_TILE_BLOCK) {
            tile_panel(lane, &strip, right + c / RN_TILE_BLOCK * steps * RN_TILE_STEP, c, epilogue,
                       y);
        }
    }
    lane->tiles->end();
}

static void tile_linear(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat x,
                        const struct rn_epilogue *epilogue, struct rn_mat y)
{
    tile_product(lane, w->forward, x, epilogue, y);
}

static void tile_linear_back(struct rn_lane *lane, const struct rn_weight *w, struct rn_mat dy,
                             const struct rn_epilogue *epilogue, struct rn_mat dx)
{
    RN_BUG_IF(w->backward == NULL);
    tile_product(lane, w->backward, dy, epilogue, dx);
}

/* The stand-in has nothing to configure. */
static void tile_nothing(void) {}

static rn_result tile_plain_open(struct rn_device **out, struct rn_error *err)
{
    static const struct rn_tile_unit plain = {tile_nothing, tile_nothing, tile_block};
    return rn_cpu_tile_device_open(&plain, "tiles in C", out, err);
}
