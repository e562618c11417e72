/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundvector.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/quantise.h"

#define LOSS_UNITS 65536.0
/* Coarse on purpose: a sum of few exact fractions could be taken apart into them. */
#define METRIC_UNITS 1024.0

static struct rn_quantiser quantiser_of(const struct rn_round_layout *layout,
                                        const struct rn_segment *segment)
{
    return (struct rn_quantiser){layout->spec.bits, layout->spec.exponent[segment->kind]};
}

/* Values beyond the field's width saturate: a metric is for people, it steers nothing. */
static void write_field(const struct rn_round_layout *layout, enum rn_round_field field,
                        uint64_t value, uint64_t *out)
{
    if (layout->field_offset[field] < 0) {
        return;
    }
    const uint64_t most = ((uint64_t)1 << RN_ROUND_FIELD_BITS) - 1;
    const uint64_t mask = ((uint64_t)1 << layout->limb_bits) - 1;
    value = value < most ? value : most;
    uint64_t *limb = out + layout->field_offset[field];
    for (uint32_t i = 0; i < layout->limbs; i++) {
        limb[i] = value & mask;
        value >>= layout->limb_bits;
    }
}

/* The highest limb holds only the bits that are left of the field, so no sum of fields overflows.
 */
static uint64_t limb_most(const struct rn_round_layout *layout, uint32_t limb)
{
    const uint32_t left = RN_ROUND_FIELD_BITS - limb * layout->limb_bits;
    return ((uint64_t)1 << (left < layout->limb_bits ? left : layout->limb_bits)) - 1;
}

static rn_result read_field(const struct rn_round_layout *layout, enum rn_round_field field,
                            const uint64_t *sum, uint32_t members, uint64_t *out_value,
                            struct rn_error *err)
{
    *out_value = 0;
    if (layout->field_offset[field] < 0) {
        return rn_ok();
    }
    const uint64_t *limb = sum + layout->field_offset[field];
    uint64_t value = 0;
    for (uint32_t i = layout->limbs; i-- > 0;) {
        RN_ENSURE(limb[i] <= limb_most(layout, i) * members, err, RN_E_ROUND_SUM,
                  "element %zu of the sum is out of range: a member's upload was wrong",
                  (size_t)layout->field_offset[field] + i);
        value = (value << layout->limb_bits) + limb[i];
    }
    *out_value = value;
    return rn_ok();
}

static uint64_t loss_units(double loss_sum)
{
    const double most = (double)((uint64_t)1 << RN_ROUND_FIELD_BITS) - 1;
    const double units = loss_sum * LOSS_UNITS;
    if (!(units > 0)) {
        return 0;
    }
    return units < most ? (uint64_t)(units + 0.5) : (uint64_t)most;
}

/* A metric that is none (no variance to correlate, say) counts as 0. */
static uint64_t metric_units(double metric)
{
    const double bounded = isfinite(metric) ? fmin(fmax(metric, -1.0), 1.0) : 0.0;
    return (uint64_t)((bounded + 1.0) * METRIC_UNITS + 0.5);
}

static void write_start(const struct rn_round_layout *layout, const struct rn_round_measure *start,
                        uint64_t *out)
{
    write_field(layout, RN_ROUND_METRIC, start->valid ? metric_units(start->metric) : 0, out);
    write_field(layout, RN_ROUND_DEV_LOSS, start->valid ? loss_units(start->loss) : 0, out);
}

static rn_result look_at_delta(struct rn_round_encoder *encoder, struct rn_error *err)
{
    const struct rn_round_layout *layout = encoder->layout;
    for (size_t i = 0; i < layout->segment_count; i++) {
        const struct rn_segment *segment = &layout->segments[i];
        const struct rn_quantiser quantiser = quantiser_of(layout, segment);
        RN_TRY(rn_quantise_look(&quantiser, encoder->delta + segment->offset,
                                layout->delta_offset + segment->offset, segment->count,
                                &encoder->clipped, err));
    }
    return rn_ok();
}

rn_result rn_round_encoder_init(struct rn_round_encoder *out, const struct rn_round_layout *layout,
                                const struct rn_round_report *report, const float *delta,
                                const struct rn_secret32 *key, struct rn_error *err)
{
    const uint64_t weight = layout->spec.weighted ? report->weight : 1;
    RN_BUG_IF(layout->delta_offset > RN_ROUND_HEAD_MAX);
    RN_ENSURE(weight >= 1, err, RN_E_REFUSED, "this site has no examples to weigh in with");
    RN_ENSURE(weight <= layout->spec.weight_max, err, RN_E_REFUSED,
              "this site has %llu examples, the plan's max_examples is %llu",
              (unsigned long long)weight, (unsigned long long)layout->spec.weight_max);
    struct rn_round_encoder encoder = {.layout = layout, .delta = delta, .weight = weight};
    RN_TRY(look_at_delta(&encoder, err));
    write_field(layout, RN_ROUND_WEIGHT, weight, encoder.head);
    write_field(layout, RN_ROUND_EXAMPLES, report->examples, encoder.head);
    write_field(layout, RN_ROUND_LOSS, loss_units(report->loss_sum), encoder.head);
    write_field(layout, RN_ROUND_CLIPPED, encoder.clipped, encoder.head);
    write_start(layout, &report->start, encoder.head);
    *out = encoder;
    out->key = *key;
    rn_secret_wipe(encoder.head, sizeof(encoder.head));
    return rn_ok();
}

rn_result rn_round_encoder_init_whole(struct rn_round_encoder *out,
                                      const struct rn_round_layout *layout, const int64_t *whole,
                                      struct rn_error *err)
{
    const int64_t reach = (int64_t)layout->spec.reach;
    RN_BUG_IF(!layout->spec.shared || layout->delta_offset != 0);
    bool far = false;
    for (size_t i = 0; i < layout->delta_count; i++) {
        far |= whole[i] > reach || whole[i] < -reach; /* without a branch on a value */
    }
    RN_ENSURE(!far, err, RN_E_ROUND_NUMERIC,
              "a value of this round's sum is beyond what batch and noise can come to");
    *out = (struct rn_round_encoder){.layout = layout, .whole = whole, .weight = 1};
    return rn_ok();
}

static void read_whole(const struct rn_round_encoder *encoder, size_t first, size_t count,
                       uint64_t *out)
{
    const int64_t reach = (int64_t)encoder->layout->spec.reach;
    for (size_t i = 0; i < count; i++) {
        out[i] = (uint64_t)(encoder->whole[first + i] + reach);
    }
}

/* Deltas [first, first + count), counted from the first delta. */
static rn_result read_deltas(const struct rn_round_encoder *encoder, size_t first, size_t count,
                             uint64_t *out, struct rn_error *err)
{
    const struct rn_round_layout *layout = encoder->layout;
    if (encoder->whole != NULL) {
        read_whole(encoder, first, count, out);
        return rn_ok();
    }
    for (size_t i = 0; i < layout->segment_count; i++) {
        const struct rn_segment *segment = &layout->segments[i];
        const size_t from = segment->offset > first ? segment->offset : first;
        const size_t end = segment->offset + segment->count;
        const size_t to = end < first + count ? end : first + count;
        if (from >= to) {
            continue;
        }
        const struct rn_quantiser quantiser = quantiser_of(layout, segment);
        RN_TRY(rn_quantise_u64(&quantiser, &encoder->key, encoder->delta + from,
                               layout->delta_offset + from, to - from, out + (from - first), NULL,
                               err));
    }
    for (size_t i = 0; i < count && encoder->weight > 1; i++) {
        out[i] *= encoder->weight;
    }
    return rn_ok();
}

rn_result rn_round_encoder_read(const struct rn_round_encoder *encoder, uint64_t first,
                                uint64_t count, uint64_t *out, struct rn_error *err)
{
    const struct rn_round_layout *layout = encoder->layout;
    RN_ENSURE(first <= layout->elements && count <= layout->elements - first, err, RN_E_INTERNAL,
              "elements %llu and on are not in the update", (unsigned long long)first);
    uint64_t heads = 0;
    if (first < layout->delta_offset) {
        heads = layout->delta_offset - first < count ? layout->delta_offset - first : count;
        memcpy(out, encoder->head + first, heads * sizeof(*out));
    }
    return heads == count ? rn_ok()
                          : read_deltas(encoder, (size_t)(first + heads - layout->delta_offset),
                                        (size_t)(count - heads), out + heads, err);
}

void rn_round_encoder_clear(struct rn_round_encoder *encoder)
{
    rn_secret_wipe(encoder, sizeof(*encoder));
}

static rn_result read_start(const struct rn_round_layout *layout, const uint64_t *sum,
                            uint32_t members, struct rn_round_measure *out, struct rn_error *err)
{
    uint64_t metric = 0;
    uint64_t loss = 0;
    *out = (struct rn_round_measure){.valid = layout->spec.evaluation};
    RN_TRY(read_field(layout, RN_ROUND_METRIC, sum, members, &metric, err));
    RN_TRY(read_field(layout, RN_ROUND_DEV_LOSS, sum, members, &loss, err));
    RN_ENSURE((double)metric <= 2 * METRIC_UNITS * members, err, RN_E_ROUND_SUM,
              "the sum of metrics is out of range: a member's upload was wrong");
    out->metric = (double)metric / METRIC_UNITS / members - 1.0;
    out->loss = (double)loss / LOSS_UNITS / members;
    return rn_ok();
}

rn_result rn_round_total_read(const struct rn_round_layout *layout, const uint64_t *sum,
                              uint32_t members, struct rn_round_total *out_total,
                              struct rn_error *err)
{
    struct rn_round_total total = {.weight = members, .has_metrics = layout->spec.metrics};
    uint64_t loss = 0;
    if (layout->spec.weighted) {
        RN_TRY(read_field(layout, RN_ROUND_WEIGHT, sum, members, &total.weight, err));
        RN_ENSURE(total.weight >= members && total.weight <= members * layout->spec.weight_max, err,
                  RN_E_ROUND_SUM,
                  "the sum of weights is out of range: a member's upload was wrong");
    }
    RN_TRY(read_field(layout, RN_ROUND_EXAMPLES, sum, members, &total.examples, err));
    RN_TRY(read_field(layout, RN_ROUND_LOSS, sum, members, &loss, err));
    RN_TRY(read_field(layout, RN_ROUND_CLIPPED, sum, members, &total.clipped, err));
    RN_TRY(read_start(layout, sum, members, &total.start, err));
    if (total.examples > 0) {
        total.loss = (double)loss / LOSS_UNITS / (double)total.examples;
    }
    *out_total = total;
    return rn_ok();
}

/* The step of one segment against the mean of the members' sums. */
static rn_result shared_step(const struct rn_round_spec *spec, const struct rn_segment *segment,
                             const uint64_t *sum, uint64_t members, float *out,
                             struct rn_error *err)
{
    const double step = spec->step[segment->kind];
    const uint64_t offset = members * spec->reach;
    for (size_t i = 0; i < segment->count; i++) {
        RN_ENSURE(sum[i] <= 2 * offset, err, RN_E_ROUND_SUM,
                  "element %zu of %s is larger than the members' sums can add up to", i,
                  segment->name);
        const int64_t whole = (int64_t)sum[i] - (int64_t)offset; /* below 2^53: exact */
        out[i] = (float)-((double)whole * step / (double)members);
    }
    return rn_ok();
}

rn_result rn_round_mean(const struct rn_round_layout *layout, const uint64_t *sum,
                        const struct rn_round_total *total, float *out, struct rn_error *err)
{
    for (size_t i = 0; i < layout->segment_count; i++) {
        const struct rn_segment *segment = &layout->segments[i];
        if (layout->spec.shared) {
            RN_TRY(shared_step(&layout->spec, segment, sum + layout->delta_offset + segment->offset,
                               total->weight, out + segment->offset, err));
            continue;
        }
        const struct rn_quantiser quantiser = quantiser_of(layout, segment);
        RN_TRY(rn_quantise_mean(&quantiser, sum + layout->delta_offset + segment->offset,
                                segment->count, total->weight, out + segment->offset, err));
    }
    return rn_ok();
}

static bool is_active(const struct rn_round_spec *spec, const struct rn_segment *segment)
{
    switch (segment->kind) {
    case RN_SEGMENT_A:
        return (spec->active & RN_ROUND_A) != 0;
    case RN_SEGMENT_B:
        return (spec->active & RN_ROUND_B) != 0;
    default:
        return spec->with_head;
    }
}

/* The selection keeps the order of the whole: its k-th segment is the k-th active one. */
static rn_result check_shape(const struct rn_round_layout *layout,
                             const struct rn_round_adapter *shape, struct rn_error *err)
{
    size_t k = 0;
    for (size_t i = 0; i < shape->segment_count; i++) {
        const struct rn_segment *whole = &shape->segments[i];
        if (!is_active(&layout->spec, whole)) {
            continue;
        }
        RN_ENSURE(k < layout->segment_count && layout->segments[k].count == whole->count &&
                      strcmp(layout->segments[k].name, whole->name) == 0,
                  err, RN_E_INTERNAL, "the round's layout does not fit the adapter at %s",
                  whole->name);
        k++;
    }
    RN_ENSURE(k == layout->segment_count, err, RN_E_INTERNAL,
              "the round's layout does not fit the adapter");
    return rn_ok();
}

rn_result rn_round_delta(const struct rn_round_layout *layout, const struct rn_round_adapter *shape,
                         const float *before, const float *after, float *out_delta,
                         struct rn_error *err)
{
    RN_TRY(check_shape(layout, shape, err));
    size_t position = 0;
    for (size_t i = 0; i < shape->segment_count; i++) {
        const struct rn_segment *segment = &shape->segments[i];
        const float *from = before + segment->offset;
        const float *to = after + segment->offset;
        if (!is_active(&layout->spec, segment)) {
            RN_ENSURE(memcmp(from, to, segment->count * sizeof(*from)) == 0, err, RN_E_INTERNAL,
                      "training moved the frozen matrix %s", segment->name);
            continue;
        }
        for (size_t j = 0; j < segment->count; j++) {
            out_delta[position++] = to[j] - from[j];
        }
    }
    return rn_ok();
}

static float stepped(float before, float mean)
{
    return (float)((double)before + (double)mean);
}

rn_result rn_round_step(const struct rn_round_layout *layout, const float *mean,
                        struct rn_round_adapter *adapter, struct rn_error *err)
{
    RN_TRY(check_shape(layout, adapter, err));
    for (int write = 0; write <= 1; write++) {
        size_t position = 0;
        for (size_t i = 0; i < adapter->segment_count; i++) {
            const struct rn_segment *segment = &adapter->segments[i];
            if (!is_active(&layout->spec, segment)) {
                continue;
            }
            float *values = adapter->values + segment->offset;
            for (size_t j = 0; j < segment->count; j++) {
                const float next = stepped(values[j], mean[position++]);
                RN_ENSURE(isfinite(next), err, RN_E_ROUND_NUMERIC,
                          "%s would not be finite after this round", segment->name);
                values[j] = write ? next : values[j];
            }
        }
    }
    return rn_ok();
}
