/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundlayout.h"

#include <string.h>

#include "base/bytes.h"
#include "base/guard.h"
#include "crypto/sha256.h"

static bool has_field(const struct rn_round_spec *spec, int field)
{
    switch (field) {
    case RN_ROUND_WEIGHT:
        return spec->weighted;
    case RN_ROUND_METRIC:
    case RN_ROUND_DEV_LOSS:
        return spec->evaluation;
    default:
        return spec->metrics;
    }
}

rn_result rn_round_layout_init(const struct rn_round_spec *spec, const struct rn_segment *segments,
                               size_t segment_count, struct rn_round_layout *out_layout,
                               struct rn_error *err)
{
    RN_ENSURE(segment_count <= RN_ROUND_SEGMENTS_MAX, err, RN_E_CONFIG,
              "the adapter has %zu tensors, the limit is %u", segment_count, RN_ROUND_SEGMENTS_MAX);
    struct rn_round_layout layout = {
        .spec = *spec,
        .segments = segments,
        .segment_count = segment_count,
        .limb_bits = spec->bits - 1,
    };
    layout.limbs = (RN_ROUND_FIELD_BITS + layout.limb_bits - 1) / layout.limb_bits;
    for (int field = 0; field < RN_ROUND_FIELDS; field++) {
        layout.field_offset[field] = -1;
        if (has_field(spec, field)) {
            layout.field_offset[field] = (int32_t)layout.delta_offset;
            layout.delta_offset += layout.limbs;
        }
    }
    for (size_t i = 0; i < segment_count; i++) {
        RN_ENSURE(segments[i].offset == layout.delta_count &&
                      segments[i].count <= RN_ROUND_ELEMENTS_MAX - layout.delta_count,
                  err, RN_E_CONFIG, "the adapter has more than %zu elements",
                  RN_ROUND_ELEMENTS_MAX);
        layout.delta_count += segments[i].count;
    }
    RN_ENSURE(layout.delta_count > 0 || spec->evaluation, err, RN_E_CONFIG,
              "the round has no matrix to sum");
    layout.elements = layout.delta_offset + layout.delta_count;
    *out_layout = layout;
    return rn_ok();
}

static void hash_segment(struct rn_sha256 *state, const struct rn_segment *segment)
{
    uint8_t head[RN_SEGMENT_NAME_MAX + 32];
    struct rn_writer writer = rn_writer_to(head, sizeof(head));
    rn_write_blob(&writer, rn_view_text(segment->name));
    rn_write_u32(&writer, (uint32_t)segment->kind);
    rn_write_u32(&writer, segment->rows);
    rn_write_u32(&writer, segment->cols);
    RN_BUG_IF(!rn_writer_done(&writer));
    rn_sha256_update(state, head, writer.position);
}

void rn_round_layout_hash(const struct rn_round_layout *layout, uint8_t out_hash[static 32])
{
    uint8_t head[64];
    struct rn_writer writer = rn_writer_to(head, sizeof(head));
    rn_write_u64(&writer, layout->elements);
    rn_write_u32(&writer, layout->limb_bits);
    rn_write_u32(&writer, layout->limbs);
    for (int field = 0; field < RN_ROUND_FIELDS; field++) {
        rn_write_u32(&writer, (uint32_t)layout->field_offset[field]);
    }
    rn_write_u32(&writer, (uint32_t)layout->segment_count);
    RN_BUG_IF(!rn_writer_done(&writer));
    RN_CLEANUP(rn_sha256_clear) struct rn_sha256 state;
    rn_sha256_init(&state, "rondo/v1 round layout");
    rn_sha256_update(&state, head, writer.position);
    for (size_t i = 0; i < layout->segment_count; i++) {
        hash_segment(&state, &layout->segments[i]);
    }
    rn_sha256_final(&state, out_hash);
}

static void hash_floats(struct rn_sha256 *state, const float *values, size_t count)
{
    uint8_t block[4096];
    while (count > 0) {
        struct rn_writer writer = rn_writer_to(block, sizeof(block));
        const size_t now = count < sizeof(block) / 4 ? count : sizeof(block) / 4;
        for (size_t i = 0; i < now; i++) {
            uint32_t word = 0;
            memcpy(&word, &values[i], sizeof(word));
            rn_write_u32(&writer, word);
        }
        rn_sha256_update(state, block, writer.position);
        values += now;
        count -= now;
    }
}

void rn_round_adapter_hash(const struct rn_segment *segments, size_t segment_count,
                           const float *values, uint8_t out_hash[static 32])
{
    uint8_t head[4];
    struct rn_writer writer = rn_writer_to(head, sizeof(head));
    rn_write_u32(&writer, (uint32_t)segment_count);
    RN_CLEANUP(rn_sha256_clear) struct rn_sha256 state;
    rn_sha256_init(&state, "rondo/v1 adapter");
    rn_sha256_update(&state, head, writer.position);
    for (size_t i = 0; i < segment_count; i++) {
        hash_segment(&state, &segments[i]);
        hash_floats(&state, values + segments[i].offset, segments[i].count);
    }
    rn_sha256_final(&state, out_hash);
}
