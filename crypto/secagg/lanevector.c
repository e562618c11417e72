/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/lanevector.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/pack.h"

#include <string.h>

void rn_sa_vector_init(struct rn_sa_vector *vector, const struct rn_sa_layout *layout)
{
    vector->layout = *layout;
    vector->lanes = rn_alloc(layout->lanes, layout->lane_bytes);
}

void rn_sa_vector_clear(struct rn_sa_vector *vector)
{
    rn_free(vector->lanes);
    memset(vector, 0, sizeof *vector);
}

static size_t chunk_lanes(const struct rn_sa_layout *layout, uint32_t chunk)
{
    return (size_t)rn_sa_layout_chunk_elements(layout, chunk) + RN_SA_CANARIES;
}

rn_result rn_sa_vector_add(struct rn_sa_vector *vector, uint32_t chunk, struct rn_view packed,
                           struct rn_error *err)
{
    const struct rn_sa_layout *layout = &vector->layout;
    const size_t count = chunk_lanes(layout, chunk);
    const uint64_t first = rn_sa_layout_chunk_lane(layout, chunk);
    return layout->lane_bytes == 4
               ? rn_unpack_add_u32(packed, layout->bits, (uint32_t *)vector->lanes + first, count,
                                   err)
               : rn_unpack_add_u64(packed, layout->bits, (uint64_t *)vector->lanes + first, count,
                                   err);
}

void rn_sa_vector_pack(const struct rn_sa_vector *vector, uint32_t chunk, uint8_t *out)
{
    const struct rn_sa_layout *layout = &vector->layout;
    const size_t count = chunk_lanes(layout, chunk);
    const uint64_t first = rn_sa_layout_chunk_lane(layout, chunk);
    if (layout->lane_bytes == 4) {
        rn_pack_u32(out, layout->bits, (const uint32_t *)vector->lanes + first, count);
    } else {
        rn_pack_u64(out, layout->bits, (const uint64_t *)vector->lanes + first, count);
    }
}

rn_result rn_sa_vector_mask_range(struct rn_sa_vector *vector, uint64_t first, uint64_t count,
                                  struct rn_mask_set *masks, struct rn_error *err)
{
    const struct rn_sa_layout *layout = &vector->layout;
    RN_BUG_IF(first > layout->lanes || count > layout->lanes - first);
    return layout->lane_bytes == 4
               ? rn_mask_set_add_u32(masks, (uint32_t *)vector->lanes + first, first, count, err)
               : rn_mask_set_add_u64(masks, (uint64_t *)vector->lanes + first, first, count, err);
}

rn_result rn_sa_vector_mask(struct rn_sa_vector *vector, struct rn_mask_set *masks,
                            struct rn_error *err)
{
    return rn_sa_vector_mask_range(vector, 0, vector->layout.lanes, masks, err);
}

void rn_sa_vector_reduce(struct rn_sa_vector *vector)
{
    const struct rn_sa_layout *layout = &vector->layout;
    const uint64_t keep = UINT64_MAX >> (64 - layout->bits);
    if (layout->lane_bytes == 4) {
        uint32_t *lanes = vector->lanes;
        for (uint64_t i = 0; i < layout->lanes; i++) {
            lanes[i] &= (uint32_t)keep;
        }
        return;
    }
    uint64_t *lanes = vector->lanes;
    for (uint64_t i = 0; i < layout->lanes; i++) {
        lanes[i] &= keep;
    }
}

static uint64_t lane_at(const struct rn_sa_vector *vector, uint64_t lane)
{
    return vector->layout.lane_bytes == 4 ? ((const uint32_t *)vector->lanes)[lane]
                                          : ((const uint64_t *)vector->lanes)[lane];
}

/* Every lane is looked at, whatever the others hold. */
static bool lanes_at_most(const struct rn_sa_vector *vector, uint64_t first, uint32_t count,
                          uint64_t largest)
{
    bool good = true;
    if (vector->layout.lane_bytes == 4) {
        const uint32_t *lanes = (const uint32_t *)vector->lanes + first;
        const uint32_t most = largest < UINT32_MAX ? (uint32_t)largest : UINT32_MAX;
        for (uint32_t i = 0; i < count; i++) {
            good &= lanes[i] <= most;
        }
        return good;
    }
    const uint64_t *lanes = (const uint64_t *)vector->lanes + first;
    for (uint32_t i = 0; i < count; i++) {
        good &= lanes[i] <= largest;
    }
    return good;
}

bool rn_sa_vector_in_range(const struct rn_sa_vector *vector, uint64_t largest)
{
    const struct rn_sa_layout *layout = &vector->layout;
    bool good = true;
    for (uint32_t chunk = 0; chunk < layout->chunks; chunk++) {
        const uint64_t first = rn_sa_layout_chunk_lane(layout, chunk);
        const uint32_t elements = rn_sa_layout_chunk_elements(layout, chunk);
        good &= lanes_at_most(vector, first, elements, largest);
        good &= lanes_at_most(vector, first + elements, RN_SA_CANARIES, 0);
    }
    return good;
}

void rn_sa_vector_read(const struct rn_sa_vector *vector, uint64_t first, uint32_t count,
                       uint64_t *out)
{
    const struct rn_sa_layout *layout = &vector->layout;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t element = first + i;
        const uint64_t chunk = element / layout->chunk_elements;
        out[i] = lane_at(vector, element + chunk * RN_SA_CANARIES);
    }
}

/* Lanes that go from value to packed bits at once: a multiple of 8, so that each block begins a
 * byte, and one piece of crypto/maskstream.c, so that it stays in the first-level cache. */
#define BLOCK_BYTES 16384u
union block {
    uint32_t u32[BLOCK_BYTES / 4];
    uint64_t u64[BLOCK_BYTES / 8];
};

/* Lanes [at, at + count) of a chunk; those from `elements` on are canaries. */
static rn_result mask_block(const struct rn_sa_layout *layout, const uint64_t *values,
                            uint32_t elements, size_t count, uint64_t first,
                            struct rn_mask_set *masks, union block *block, uint8_t *out,
                            struct rn_error *err)
{
    const size_t given = elements < count ? elements : count;
    memset(block, 0, sizeof *block);
    if (layout->lane_bytes == 4) {
        for (size_t i = 0; i < given; i++) {
            block->u32[i] = (uint32_t)values[i];
        }
        RN_TRY(rn_mask_set_add_u32(masks, block->u32, first, count, err));
        rn_pack_u32(out, layout->bits, block->u32, count);
        return rn_ok();
    }
    memcpy(block->u64, values, given * sizeof *values);
    RN_TRY(rn_mask_set_add_u64(masks, block->u64, first, count, err));
    rn_pack_u64(out, layout->bits, block->u64, count);
    return rn_ok();
}

rn_result rn_sa_chunk_mask(const struct rn_sa_layout *layout, uint32_t chunk,
                           const uint64_t *values, struct rn_mask_set *masks, uint8_t *out,
                           struct rn_error *err)
{
    const uint32_t elements = rn_sa_layout_chunk_elements(layout, chunk);
    const size_t count = chunk_lanes(layout, chunk);
    const uint64_t first = rn_sa_layout_chunk_lane(layout, chunk);
    const size_t at_once = BLOCK_BYTES / layout->lane_bytes;
    union block block;
    rn_result result = rn_ok();
    for (size_t at = 0; at < count && rn_is_ok(result); at += at_once) {
        const size_t now = count - at < at_once ? count - at : at_once;
        const uint32_t left = at < elements ? elements - (uint32_t)at : 0;
        result = mask_block(layout, values + (left > 0 ? at : 0), left, now, first + at, masks,
                            &block, out + at / 8 * layout->bits, err);
    }
    rn_secret_wipe(&block, sizeof block); /* the plain update, when a mask failed */
    return result;
}
