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

/* `steps` steps of a strip of x from row t and column `first` on; rows that nobody reads are zero
 * up to a whole group. */
static void tile_take_strip(struct rn_mat x, size_t t, size_t rows, size_t first, size_t steps,
                            uint16_t *to)
{
    const size_t padded = (rows + RN_TILE_BLOCK - 1) / RN_TILE_BLOCK * RN_TILE_BLOCK;
    for (size_t r = 0; r < padded; r++) {
        uint16_t *at = to + r / RN_TILE_BLOCK * steps * RN_TILE_STEP + r % RN_TILE_BLOCK * 32;
        const void *row = r < rows ? rn_row(x, t + r) : NULL;
        for (size_t i = 0; i < steps; i++, at += RN_TILE_STEP) {
            if (row != NULL) {
                tile_take(x, row, first + i * RN_TILE_DEPTH, at);
            } else {
                memset(at, 0, RN_TILE_DEPTH * sizeof(*at));
            }
        }
    }
}

/* What was written past the caches is there for other threads. */
static void tile_settle(void)
{
#if defined(RN_SET_BF16)
    fused_settle();
#endif
}

static void tile_finish(const struct rn_epilogue *e, size_t t, size_t rows,
                        const struct rn_strip_sums *s, struct rn_mat y)
{
#if defined(RN_SET_BF16)
    fused_finish(e, t, rows, s, true, y);
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

/* One product on its way. */
struct tile_work {
    struct rn_lane *lane;
    const uint16_t *right;
    const struct rn_epilogue *e;
    struct rn_mat x, y;
    size_t steps;             /* of the whole depth */
    size_t t, rows;           /* of the strip */
    size_t column, columns;   /* first and number of those at hand */
    size_t first, part;       /* steps of the part at hand */
    struct rn_strip_sums sum; /* sums of a block that wait to be finished; none: count is 0 */
    size_t sum_t, sum_rows;   /* and their rows */
};

static size_t tile_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Rows of the sums that wait, the step's share of them, by twos. */
static void tile_beside(void *with, size_t step, size_t steps)
{
    const struct tile_work *w = with;
    const size_t pairs = (w->sum_rows + 1) / 2;
    const size_t from = step * pairs / steps * 2;
    const size_t to = tile_least((step + 1) * pairs / steps * 2, w->sum_rows);
    if (from < to) {
        struct rn_strip_sums sums = w->sum;
        sums.sums += from * sums.ld;
        tile_finish(w->e, w->sum_t + from, to - from, &sums, w->y);
    }
}

/* The block of group g and the panel from `column` on, in whose company the one before is finished.
 */
static void tile_one(struct tile_work *w, size_t column, size_t g, size_t groups)
{
    const size_t panel = w->steps * RN_TILE_STEP;
    const uint16_t *right = w->right + column / RN_TILE_BLOCK * panel + w->first * RN_TILE_STEP;
    const size_t lines = (32 + groups - 1) / groups; /* a step of a panel has 32 lines */
    const size_t asked = g * lines;
    const bool deep = w->part < w->steps;
    const size_t block = deep ? (column - w->column) / RN_TILE_BLOCK * groups + g : 0;
    struct rn_tile_job job = {.left = w->lane->tile_left + g * w->part * RN_TILE_STEP,
                              .right = right,
                              .steps = w->part,
                              .fresh = w->first == 0,
                              .sums = w->lane->tile_sums + block * RN_TILE_BLOCK * RN_TILE_BLOCK};
    if (column + RN_TILE_BLOCK < w->column + w->columns && asked + lines <= 32) {
        job.next = right + panel + asked * w->part * 32;
        job.next_lines = lines;
    }
    if (w->sum.count != 0) {
        job.beside = tile_beside;
        job.with = w;
    }
    w->lane->tiles->block(&job);
    w->sum = (struct rn_strip_sums){0};
    if (w->first + w->part == w->steps) {
        w->sum = (struct rn_strip_sums){column, tile_least(w->y.cols - column, RN_TILE_BLOCK),
                                        RN_TILE_BLOCK, job.sums};
        w->sum_t = w->t + g * RN_TILE_BLOCK;
        w->sum_rows = tile_least(w->rows - g * RN_TILE_BLOCK, RN_TILE_BLOCK);
    }
}

/* All blocks of a strip, some columns and a part of the depth. */
static void tile_part(struct tile_work *w)
{
    const size_t groups = (w->rows + RN_TILE_BLOCK - 1) / RN_TILE_BLOCK;
    tile_take_strip(w->x, w->t, w->rows, w->first * RN_TILE_DEPTH, w->part, w->lane->tile_left);
    for (size_t c = w->column; c < w->column + w->columns; c += RN_TILE_BLOCK) {
        for (size_t g = 0; g < groups; g++) {
            tile_one(w, c, g, groups);
        }
    }
}

static void tile_strip(struct tile_work *w)
{
    const struct rn_tile_cuts *cuts = &w->lane->tile_cuts;
    const bool deep = w->steps > cuts->steps;
    for (w->column = 0; w->column < w->y.cols; w->column += w->columns) {
        w->columns = tile_least(w->y.cols - w->column, deep ? cuts->columns : w->y.cols);
        for (w->first = 0; w->first < w->steps; w->first += w->part) {
            w->part = tile_least(w->steps - w->first, cuts->steps);
            tile_part(w);
        }
        if (w->sum.count != 0) { /* before its place is written again */
            tile_beside(w, 0, 1);
            w->sum.count = 0;
        }
    }
}

static void tile_product(struct rn_lane *lane, const uint16_t *right, struct rn_mat x,
                         const struct rn_epilogue *epilogue, struct rn_mat y)
{
    const struct rn_tile_cuts *cuts = &lane->tile_cuts;
    struct tile_work w = {.lane = lane,
                          .right = right,
                          .e = epilogue,
                          .x = x,
                          .y = y,
                          .steps = rn_tile_steps(x.cols)};
    const size_t high = w.steps > cuts->steps ? cuts->deep_rows : cuts->rows;
    lane->tiles->begin();
    for (w.t = 0; w.t < y.rows; w.t += high) {
        w.rows = tile_least(y.rows - w.t, high);
        tile_strip(&w);
    }
    lane->tiles->end();
    tile_settle();
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
    static const struct rn_tile_unit plain = {tile_nothing, tile_nothing, tile_block, tile_pairs};
    return rn_cpu_tile_device_open(&plain, "tiles in C", out, err);
}
