/* SPDX-License-Identifier: Apache-2.0
 *
 * Several operations in one: a block's arrays in one upload, every site's transpose in one launch,
 * a whole step of the optimiser from its record. Each leaves the bits of the operations one by one.
 */
#include "trainer/kernels/cuda/cudabackend.h"

#include "base/guard.h"

#include <math.h>
#include <string.h>

/* ---- uploads ---- */

/* Words of all parts; 0 when they cannot go together. */
static size_t words_of(const struct rn_lane *lane, const struct rn_upload *parts, size_t count)
{
    size_t words = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].bytes % sizeof(uint32_t) != 0 ||
            parts[i].bytes / sizeof(uint32_t) > lane->staged_count - words) {
            return 0;
        }
        words += parts[i].bytes / sizeof(uint32_t);
    }
    return count <= RN_CUDA_PARTS ? words : 0;
}

/* One copy from pinned memory, and one launch that brings the parts to their places. */
void rn_cuda_upload_many_op(struct rn_lane *lane, const struct rn_upload *parts, size_t count)
{
    struct rn_spread_args args = {.from = lane->staged};
    const size_t words = words_of(lane, parts, count);
    size_t longest = 0, at = 0;
    if (words == 0) {
        for (size_t i = 0; i < count; i++) {
            rn_port_upload(lane->port, parts[i].to_device, parts[i].from_host, parts[i].bytes);
        }
        return;
    }
    uint32_t *staging = rn_port_staging_begin(lane->port, lane->staging);
    for (size_t i = 0; i < count; i++) {
        const size_t length = parts[i].bytes / sizeof(uint32_t);
        if (length > 0) {
            memcpy(staging + at, parts[i].from_host, parts[i].bytes);
        }
        args.parts[i] = (struct rn_cuda_part){parts[i].to_device, (int64_t)at, (int64_t)length};
        longest = length > longest ? length : longest;
        at += length;
    }
    rn_port_staging_send(lane->port, lane->staging, lane->staged, words * sizeof(uint32_t));
    const unsigned tiles = (unsigned)((longest + RN_CUDA_THREADS - 1) / RN_CUDA_THREADS);
    rn_port_launch(lane->port, RN_ID_rn_cuda_spread,
                   (struct rn_port_grid){tiles, (unsigned)count, 1, RN_CUDA_THREADS}, &args);
}

/* ---- transposes ---- */

static void transpose_some(struct rn_lane *lane, const struct rn_transpose *sites, size_t count,
                           struct rn_thin_transposes_args *args)
{
    uint32_t widest = 0;
    memset(args->sites, 0, sizeof(args->sites));
    for (size_t i = 0; i < count; i++) {
        args->sites[i] = (struct rn_cuda_site){
            .b = (int64_t)sites[i].b, .out = (int64_t)sites[i].out, .n = (int32_t)sites[i].n};
        widest = sites[i].n > widest ? sites[i].n : widest;
    }
    const unsigned tiles = (widest + RN_CUDA_THREADS - 1) / RN_CUDA_THREADS;
    rn_port_launch(
        lane->port, RN_ID_rn_cuda_thin_transposes,
        (struct rn_port_grid){tiles, (unsigned)args->rank, (unsigned)count, RN_CUDA_THREADS}, args);
}

void rn_cuda_thin_transposes_op(struct rn_lane *lane, const struct rn_transpose *sites,
                                size_t count, uint32_t r, float scale, const float *b, float *out)
{
    struct rn_thin_transposes_args args = {.b = b, .out = out, .rank = (int32_t)r, .scale = scale};
    for (size_t first = 0; first < count; first += RN_CUDA_SITES) {
        const size_t rest = count - first;
        transpose_some(lane, sites + first, rest < RN_CUDA_SITES ? rest : RN_CUDA_SITES, &args);
    }
}

/* ---- the optimiser ---- */

/* All that a recorded step's arguments follow from. The first number tells it from a pass. */
struct update_key {
    uint64_t what;
    uintptr_t gradient, values, moment1, moment2;
    uint64_t offset[RN_UPDATE_RANGES], count[RN_UPDATE_RANGES];
    double clip;
    float beta1, beta2, eps, weight_decay;
};
_Static_assert(sizeof(struct update_key) == 8 * (6 + 2 * RN_UPDATE_RANGES) + 4 * 4,
               "a key has no padding");
_Static_assert(sizeof(struct update_key) <= RN_GRAPH_KEY_MAX, "a key has a limit");
_Static_assert((int)RN_UPDATE_RANGES == (int)RN_CUDA_UPDATE_RANGES, "as many ranges");

static struct update_key key_of(const struct rn_update *u)
{
    struct update_key key = {.what = UINT64_C(0x7570646174652e2e), /* "update.." */
                             .gradient = (uintptr_t)u->gradient,
                             .values = (uintptr_t)u->values,
                             .moment1 = (uintptr_t)u->moment1,
                             .moment2 = (uintptr_t)u->moment2,
                             .clip = u->clip,
                             .beta1 = u->optimizer.beta1,
                             .beta2 = u->optimizer.beta2,
                             .eps = u->optimizer.eps,
                             .weight_decay = u->optimizer.weight_decay};
    for (size_t i = 0; i < u->range_count; i++) {
        key.offset[i] = u->ranges[i].offset;
        key.count[i] = u->ranges[i].count;
    }
    return key;
}

/* As rn_cuda_adamw_op forms them. */
static struct rn_cuda_rates rates_of(const struct rn_update *u)
{
    struct rn_cuda_rates rates = {0};
    for (size_t i = 0; i < u->range_count; i++) {
        const double lr = (double)u->ranges[i].lr;
        rates.lr[i] = u->ranges[i].lr;
        rates.decay[i] = (float)(1.0 - lr * (double)u->optimizer.weight_decay);
        rates.step[i] = (float)(lr / u->optimizer.correction1);
    }
    rates.root_scale = (float)(1.0 / sqrt(u->optimizer.correction2));
    return rates;
}

static size_t parts_of(size_t count)
{
    return (count + RN_CUDA_SQUARE_STRETCH - 1) / RN_CUDA_SQUARE_STRETCH;
}

/* Squares of each range, their norm; returns the longest range. */
static size_t launch_norm(struct rn_lane *lane, const struct rn_update *u)
{
    struct rn_update_norm_args norm = {
        .part = lane->square_parts, .out = lane->norm, .clip = u->clip};
    size_t longest = 0, at = 0;
    for (size_t i = 0; i < u->range_count; i++) {
        const struct rn_update_range *range = &u->ranges[i];
        const struct rn_square_sum_args args = {.x = u->gradient + range->offset,
                                                .part = lane->square_parts + at,
                                                .n = (int64_t)range->count};
        const size_t parts = parts_of(range->count);
        if (parts > 0) {
            rn_port_launch(lane->port, RN_ID_rn_cuda_square_sum,
                           (struct rn_port_grid){(unsigned)parts, 1, 1, RN_CUDA_THREADS}, &args);
        }
        norm.parts[i] = (int32_t)parts;
        at += parts;
        longest = range->count > longest ? range->count : longest;
    }
    rn_port_launch(lane->port, RN_ID_rn_cuda_update_norm,
                   (struct rn_port_grid){1, 1, 1, RN_CUDA_THREADS}, &norm);
    return longest;
}

static void launch_update(struct rn_lane *lane, const struct rn_update *u)
{
    struct rn_update_args args = {.g = u->gradient,
                                  .m = u->moment1,
                                  .v = u->moment2,
                                  .p = u->values,
                                  .rates = lane->rates,
                                  .norm = lane->norm,
                                  .beta1 = u->optimizer.beta1,
                                  .beta2 = u->optimizer.beta2,
                                  .eps = u->optimizer.eps,
                                  .weight_decay = u->optimizer.weight_decay};
    const size_t longest = launch_norm(lane, u);
    for (size_t i = 0; i < u->range_count; i++) {
        args.offset[i] = (int64_t)u->ranges[i].offset;
        args.count[i] = (int64_t)u->ranges[i].count;
    }
    const unsigned tiles = (unsigned)((longest + RN_CUDA_THREADS - 1) / RN_CUDA_THREADS);
    if (tiles > 0) {
        rn_port_launch(lane->port, RN_ID_rn_cuda_update,
                       (struct rn_port_grid){tiles, (unsigned)u->range_count, 1, RN_CUDA_THREADS},
                       &args);
    }
}

bool rn_cuda_update_op(struct rn_lane *lane, const struct rn_update *update, double *out_square)
{
    const struct update_key key = key_of(update);
    const struct rn_cuda_rates rates = rates_of(update);
    struct rn_cuda_norm norm;
    size_t parts = 0;
    for (size_t i = 0; i < update->range_count; i++) {
        parts += parts_of(update->ranges[i].count);
    }
    if (parts > RN_CUDA_SQUARE_PARTS) {
        return false;
    }
    rn_port_upload(lane->port, lane->rates, &rates, sizeof(rates));
    if (!rn_cuda_graphs_begin(lane->graphs, &key, sizeof(key))) {
        launch_update(lane, update);
        rn_cuda_graphs_end(lane->graphs);
    }
    rn_port_download(lane->port, &norm, lane->norm, sizeof(norm));
    *out_square = norm.square;
    return true;
}
