/* SPDX-License-Identifier: Apache-2.0
 *
 * Body: embedding, LayerNorm and its gradient, rows that move.
 */
#include "trainer/kernels/cpu/cpu_element.body.h"
#include "trainer/kernels/cpu/cpu_kernels.h"

/* y = LayerNorm of x, which may be y. */
RN_INLINE void norm_row(enum rn_element from, const void *x, size_t cols, const float *gamma,
                        const float *beta, float eps, enum rn_element to, void *y,
                        float out_stats[2])
{
    v16 sum = v_set(0.0f);
    for (size_t c = 0; c < cols; c += RN_LANES) {
        sum = v_add(sum, v_get(from, x, c, v_left(c, cols)));
    }
    const float mean = v_sum(sum) / (float)cols;
    v16 square = v_set(0.0f);
    for (size_t c = 0; c < cols; c += RN_LANES) {
        const size_t left = v_left(c, cols);
        v16 centred = v_sub(v_get(from, x, c, left), v_set(mean));
        if (left < RN_LANES) { /* lanes beyond the row must not count */
            float lane[RN_LANES] = {0};
            v_store_n(lane, centred, left);
            centred = v_load(lane);
        }
        square = v_fma(centred, centred, square);
    }
    const float rstd = 1.0f / sqrtf(v_sum(square) / (float)cols + eps);
    for (size_t c = 0; c < cols; c += RN_LANES) {
        const size_t left = v_left(c, cols);
        const v16 hat = v_mul(v_sub(v_get(from, x, c, left), v_set(mean)), v_set(rstd));
        const v16 out = v_fma(hat, v_load_at(gamma + c, left), v_load_at(beta + c, left));
        v_put(to, y, c, left, out);
    }
    out_stats[0] = mean;
    out_stats[1] = rstd;
}

static void embed(struct rn_lane *lane, const struct rn_embedding *e, const int32_t *ids,
                  const int32_t *type_ids, const int32_t *position_ids, struct rn_mat y)
{
    for (size_t t = 0; t < y.rows; t++) {
        const float *word = e->words + (size_t)ids[t] * y.cols;
        const float *position = e->positions + (size_t)position_ids[t] * y.cols;
        const float *type = e->types != NULL ? e->types + (size_t)type_ids[t] * y.cols : NULL;
        float *row = lane->row;
        for (size_t c = 0; c < y.cols; c++) {
            row[c] = (type != NULL ? word[c] + type[c] : word[c]) + position[c];
        }
        float stats[2];
        norm_row(RN_F32, row, y.cols, e->gamma, e->beta, e->eps, y.type, rn_row(y, t), stats);
    }
}

static void norm(struct rn_lane *lane, struct rn_mat x, const float *gamma, const float *beta,
                 float eps, struct rn_mat y, struct rn_mat stats)
{
    (void)lane;
    for (size_t t = 0; t < x.rows; t++) {
        float *out = rn_row_f32(stats, t);
        if (x.type == RN_BF16 && y.type == RN_BF16) {
            norm_row(RN_BF16, rn_row(x, t), x.cols, gamma, beta, eps, RN_BF16, rn_row(y, t), out);
        } else {
            norm_row(x.type, rn_row(x, t), x.cols, gamma, beta, eps, y.type, rn_row(y, t), out);
        }
    }
}

RN_INLINE void norm_back_row(enum rn_element type, const void *x, size_t cols, const float stats[2],
                             const float *gamma, const void *dy, void *dx)
{
    const v16 mean = v_set(stats[0]);
    const v16 rstd = v_set(stats[1]);
    v16 g_sum = v_set(0.0f);
    v16 gx_sum = v_set(0.0f);
    for (size_t c = 0; c < cols; c += RN_LANES) {
        /* gamma is zero beyond the row, so g is */
        const size_t left = v_left(c, cols);
        const v16 hat = v_mul(v_sub(v_get(type, x, c, left), mean), rstd);
        const v16 g = v_mul(v_get(type, dy, c, left), v_load_at(gamma + c, left));
        g_sum = v_add(g_sum, g);
        gx_sum = v_fma(g, hat, gx_sum);
    }
    const v16 g_mean = v_set(v_sum(g_sum) / (float)cols);
    const v16 gx_mean = v_set(v_sum(gx_sum) / (float)cols);
    for (size_t c = 0; c < cols; c += RN_LANES) {
        const size_t left = v_left(c, cols);
        const v16 hat = v_mul(v_sub(v_get(type, x, c, left), mean), rstd);
        const v16 g = v_mul(v_get(type, dy, c, left), v_load_at(gamma + c, left));
        const v16 rest = v_sub(v_sub(g, g_mean), v_mul(hat, gx_mean));
        v_put(type, dx, c, left, v_mul(rstd, rest));
    }
}

/* x, dy and dx are of one role, so of one type. */
static void norm_back(struct rn_lane *lane, struct rn_mat x, struct rn_mat stats,
                      const float *gamma, struct rn_mat dy, struct rn_mat dx)
{
    (void)lane;
    for (size_t t = 0; t < x.rows; t++) {
        const float *row_stats = rn_row_f32(stats, t);
        if (x.type == RN_BF16) {
            norm_back_row(RN_BF16, rn_row(x, t), x.cols, row_stats, gamma, rn_row(dy, t),
                          rn_row(dx, t));
        } else {
            norm_back_row(RN_F32, rn_row(x, t), x.cols, row_stats, gamma, rn_row(dy, t),
                          rn_row(dx, t));
        }
    }
}

static void scatter_add_rows(struct rn_lane *lane, struct rn_mat x, const int32_t *index,
                             struct rn_mat y)
{
    (void)lane;
    for (size_t i = 0; i < x.rows; i++) {
        const void *from = rn_row(x, i);
        void *to = rn_row(y, (size_t)index[i]);
        for (size_t c = 0; c < x.cols; c += RN_LANES) {
            const size_t left = v_left(c, x.cols);
            v_put(y.type, to, c, left,
                  v_add(v_get(y.type, to, c, left), v_get(x.type, from, c, left)));
        }
    }
}
