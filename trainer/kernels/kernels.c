/* SPDX-License-Identifier: Apache-2.0
 *
 * Views of matrices, and several operations in one for backends that do them one by one.
 */
#include "trainer/kernels/kernels.h"

#include "base/guard.h"

#include <math.h>

struct rn_mat rn_mat_rows(struct rn_mat m, uint32_t first, uint32_t count)
{
    RN_BUG_IF(first > m.rows || count > m.rows - first);
    m.data = (uint8_t *)m.data + (size_t)first * m.ld * rn_element_size(m.type);
    m.rows = count;
    return m;
}

struct rn_mat rn_mat_cols(struct rn_mat m, uint32_t first, uint32_t count)
{
    RN_BUG_IF(first > m.cols || count > m.cols - first);
    m.data = (uint8_t *)m.data + (size_t)first * rn_element_size(m.type);
    m.cols = count;
    return m;
}

void rn_kernels_upload(const struct rn_kernels *k, struct rn_lane *lane,
                       const struct rn_upload *parts, size_t count)
{
    if (k->upload_many != NULL) {
        k->upload_many(lane, parts, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        k->upload(lane, parts[i].to_device, parts[i].from_host, parts[i].bytes);
    }
}

void rn_kernels_thin_transposes(const struct rn_kernels *k, struct rn_lane *lane,
                                const struct rn_transpose *sites, size_t count, uint32_t r,
                                float scale, const float *b, float *out)
{
    if (k->thin_transposes != NULL) {
        k->thin_transposes(lane, sites, count, r, scale, b, out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        k->thin_transpose(lane, b + sites[i].b, sites[i].n, r, scale, out + sites[i].out);
    }
}

static void step_range(const struct rn_kernels *k, struct rn_lane *lane, const struct rn_update *u,
                       const struct rn_update_range *range)
{
    const float *g = u->gradient + range->offset;
    float *p = u->values + range->offset;
    struct rn_adamw adamw = u->optimizer;
    adamw.lr = range->lr;
    if (u->moment1 == NULL) {
        k->sgd(lane, range->count, range->lr, adamw.weight_decay, g, p);
    } else {
        k->adamw(lane, range->count, &adamw, g, u->moment1 + range->offset,
                 u->moment2 + range->offset, p);
    }
}

void rn_kernels_step(const struct rn_kernels *k, struct rn_lane *lane,
                     const struct rn_update *update)
{
    RN_BUG_IF(update->range_count > RN_UPDATE_RANGES);
    for (size_t i = 0; i < update->range_count; i++) {
        step_range(k, lane, update, &update->ranges[i]);
    }
}

double rn_kernels_update(const struct rn_kernels *k, struct rn_lane *lane,
                         const struct rn_update *update)
{
    double square = 0.0;
    RN_BUG_IF(update->range_count > RN_UPDATE_RANGES);
    if (k->update != NULL && k->update(lane, update, &square)) {
        return square;
    }
    for (size_t i = 0; i < update->range_count; i++) {
        const struct rn_update_range *range = &update->ranges[i];
        square += k->vector_square_sum(lane, range->count, update->gradient + range->offset);
    }
    const double factor = update->clip / (sqrt(square) + 1e-6);
    if (!isfinite(square)) {
        return square;
    }
    for (size_t i = 0; i < update->range_count && update->clip > 0.0 && factor < 1.0; i++) {
        const struct rn_update_range *range = &update->ranges[i];
        k->vector_scale(lane, range->count, (float)factor, update->gradient + range->offset);
    }
    rn_kernels_step(k, lane, update);
    return square;
}
