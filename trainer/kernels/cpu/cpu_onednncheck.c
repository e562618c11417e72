/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a row keeps its bits wherever it stands in a strip and whatever stands beside it, tried
 * on this machine.
 */
#include "trainer/kernels/cpu/cpu_onednn.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <pthread.h>
#include <string.h>

struct trial_shape {
    size_t depth, columns;
};

/* Depths on both sides of what the library may cut in blocks, narrow slices. */
static const struct trial_shape trials[] = {{32, 16}, {96, 48}, {768, 128}, {3072, 64}, {4096, 96}};

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void onednn_close(struct rn_onednn **onednn)
{
    rn_onednn_free(*onednn);
}

/* bfloat16 numbers of either sign in [2^-3, 2^1). */
static void random_rows(uint64_t seed, size_t count, uint16_t *out)
{
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++) {
        const uint64_t r = next(&state);
        out[i] = (uint16_t)((r & 0x8000u) | (uint64_t)((124 + (r >> 16) % 4) << 7) | (r & 0x7fu));
    }
}

/* Strips of rows: as they are, turned by `turn` rows, and with every other row replaced. */
struct trial {
    struct rn_onednn_lane *lane;
    const struct rn_onednn_matrix *matrix;
    size_t slice, strip, depth;
    uint16_t *rows, *others;
    float *sums; /* of the rows as they are */
};

static struct rn_strip_sums multiply(const struct trial *t, const uint16_t *rows)
{
    return rn_onednn_product(t->lane, t->matrix, t->slice, rows);
}

static bool row_keeps(const struct rn_strip_sums *found, size_t row, const float *sums)
{
    return memcmp(found->sums + row * found->ld, sums, found->count * sizeof(float)) == 0;
}

static bool keeps_turned(const struct trial *t, size_t turn)
{
    for (size_t i = 0; i < t->strip; i++) {
        memcpy(t->others + (i + turn) % t->strip * t->depth, t->rows + i * t->depth,
               t->depth * sizeof(*t->rows));
    }
    const struct rn_strip_sums found = multiply(t, t->others);
    bool keeps = true;
    for (size_t i = 0; i < t->strip; i++) {
        keeps = keeps && row_keeps(&found, (i + turn) % t->strip, t->sums + i * found.count);
    }
    return keeps;
}

static bool keeps_in_company(const struct trial *t, size_t odd)
{
    random_rows(2, t->strip * t->depth, t->others);
    for (size_t i = odd; i < t->strip; i += 2) {
        memcpy(t->others + i * t->depth, t->rows + i * t->depth, t->depth * sizeof(*t->rows));
    }
    const struct rn_strip_sums found = multiply(t, t->others);
    bool keeps = true;
    for (size_t i = odd; i < t->strip; i += 2) {
        keeps = keeps && row_keeps(&found, i, t->sums + i * found.count);
    }
    return keeps;
}

bool rn_onednn_rows_keep(struct rn_onednn_lane *lane, const struct rn_onednn_matrix *matrix,
                         size_t slice)
{
    const size_t strip = rn_onednn_lane_strip(lane);
    const size_t depth = rn_onednn_depth(matrix);
    RN_CLEANUP(rn_free_cleanup) uint16_t *rows = rn_alloc(strip * depth, sizeof(*rows));
    RN_CLEANUP(rn_free_cleanup) uint16_t *others = rn_alloc(strip * depth, sizeof(*others));
    RN_CLEANUP(rn_free_cleanup) float *sums = rn_alloc(strip * RN_ONEDNN_SLICE, sizeof(*sums));
    random_rows(1, strip * depth, rows);
    const struct trial t = {lane, matrix, slice, strip, depth, rows, others, sums};
    const struct rn_strip_sums first = multiply(&t, rows);
    for (size_t i = 0; i < strip; i++) {
        memcpy(sums + i * first.count, first.sums + i * first.ld, first.count * sizeof(float));
    }
    return keeps_turned(&t, 1) && keeps_turned(&t, strip / 2 + 3) && keeps_in_company(&t, 0) &&
           keeps_in_company(&t, 1);
}

/* Making a matrix tries its shape. */
static bool shape_agrees(const struct trial_shape *shape)
{
    struct rn_error err;
    RN_CLEANUP(onednn_close) struct rn_onednn *onednn = NULL;
    struct rn_onednn_matrix *matrix = NULL;
    RN_CLEANUP(rn_free_cleanup) float *w = rn_alloc(shape->depth * shape->columns, sizeof(*w));
    uint64_t state = 3;
    for (size_t i = 0; i < shape->depth * shape->columns; i++) {
        w[i] = (float)(next(&state) & 0xffffu) * 0x1p-16f - 0.5f;
    }
    const bool agrees = rn_is_ok(rn_onednn_new(&onednn, &err)) &&
                        rn_is_ok(rn_onednn_matrix_new(onednn, w, shape->depth, shape->columns,
                                                      shape->columns, 1, &matrix, &err));
    rn_onednn_matrix_free(matrix);
    return agrees;
}

static bool all_agree;

static void try_all(void)
{
    all_agree = true;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(trials) && all_agree; i++) {
        all_agree = shape_agrees(&trials[i]);
    }
}

bool rn_onednn_row_exact(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    RN_BUG_IF(pthread_once(&once, try_all) != 0);
    return all_agree;
}
