/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a row keeps its bits in company, tried on this machine: random rows through products of
 * several shapes, all counts of rows in 16, against each row alone.
 */
#include "trainer/kernels/cpu/cpu_onednn.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <pthread.h>
#include <string.h>

struct trial {
    size_t depth, columns;
};

/* Depths on both sides of what the library may cut in blocks, one narrow slice, one wide. */
static const struct trial trials[] = {{32, 16},     {96, 48},   {768, 768},
                                      {1024, 1024}, {3072, 64}, {4096, 128}};

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void lane_close(struct rn_onednn_lane **lane)
{
    rn_onednn_lane_free(*lane);
}
static void matrix_close(struct rn_onednn_matrix **matrix)
{
    rn_onednn_matrix_free(*matrix);
}
static void onednn_close(struct rn_onednn **onednn)
{
    rn_onednn_free(*onednn);
}

/* bfloat16 numbers of either sign in [2^-3, 2^1). */
static void random_rows(size_t count, uint16_t *out)
{
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        const uint64_t r = next(&state);
        out[i] = (uint16_t)((r & 0x8000u) | (uint64_t)((124 + (r >> 16) % 4) << 7) | (r & 0x7fu));
    }
}

/* Sums of rows[0 .. count-1], gathered from the slices' scratch into out[count][columns]. */
static void multiply(struct rn_onednn_lane *lane, const struct rn_onednn_matrix *matrix,
                     const uint16_t *rows, size_t count, size_t columns, float *out)
{
    for (size_t s = 0; s < rn_onednn_slices(matrix); s++) {
        const struct rn_onednn_sums sums = rn_onednn_product(lane, matrix, s, rows, count);
        for (size_t i = 0; i < count; i++) {
            memcpy(out + i * columns + sums.first, sums.sums + i * sums.ld,
                   sums.count * sizeof(float));
        }
    }
}

static bool rows_agree(struct rn_onednn_lane *lane, const struct rn_onednn_matrix *matrix,
                       const struct trial *t)
{
    const size_t width = t->columns;
    RN_CLEANUP(rn_free_cleanup)
    uint16_t *rows = rn_alloc((2 * RN_ONEDNN_ROWS) * t->depth, sizeof(*rows));
    RN_CLEANUP(rn_free_cleanup) float *alone = rn_alloc(RN_ONEDNN_ROWS * width, sizeof(*alone));
    RN_CLEANUP(rn_free_cleanup) float *together = rn_alloc(RN_ONEDNN_ROWS * width, sizeof(*alone));
    random_rows(2 * RN_ONEDNN_ROWS * t->depth, rows);
    for (size_t i = 0; i < RN_ONEDNN_ROWS; i++) {
        multiply(lane, matrix, rows + i * t->depth, 1, width, alone + i * width);
    }
    bool agree = true;
    for (size_t count = 16; count <= RN_ONEDNN_ROWS && agree; count += 16) {
        multiply(lane, matrix, rows, count, width, together);
        agree = memcmp(alone, together, count * width * sizeof(float)) == 0;
    }
    return agree;
}

static bool shape_agrees(const struct trial *t)
{
    struct rn_error err;
    RN_CLEANUP(onednn_close) struct rn_onednn *onednn = NULL;
    RN_CLEANUP(matrix_close) struct rn_onednn_matrix *matrix = NULL;
    RN_CLEANUP(lane_close) struct rn_onednn_lane *lane = NULL;
    RN_CLEANUP(rn_free_cleanup) float *w = rn_alloc(t->depth * t->columns, sizeof(*w));
    uint64_t state = 2;
    for (size_t i = 0; i < t->depth * t->columns; i++) {
        w[i] = (float)(next(&state) & 0xffffu) * 0x1p-16f - 0.5f;
    }
    return rn_is_ok(rn_onednn_new(&onednn, &err)) &&
           rn_is_ok(rn_onednn_matrix_new(onednn, w, t->depth, t->columns, t->columns, 1, &matrix,
                                         &err)) &&
           rn_is_ok(rn_onednn_lane_new(onednn, t->depth, &lane, &err)) &&
           rows_agree(lane, matrix, t);
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
