/* SPDX-License-Identifier: Apache-2.0 */
#include "services/round/roundmodel.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

#define STATE_VERSION 1
#define READ_AT_ONCE (1u << 16)

_Static_assert(RN_ROUND_A == RN_MATRIX_A && RN_ROUND_B == RN_MATRIX_B, "one meaning of the bits");

/* A local head is of this site alone. */
static void free_local(float *local_head, size_t count)
{
    if (local_head != NULL) {
        rn_secret_wipe(local_head, count * sizeof(*local_head));
        rn_free(local_head);
    }
}

void rn_round_model_clear(struct rn_round_model *model)
{
    rn_free(model->adapter.values);
    free_local(model->local_head, model->local_head_count);
    *model = (struct rn_round_model){0};
}

void rn_round_model_hash(struct rn_round_model *model)
{
    rn_round_adapter_hash(model->adapter.segments, model->adapter.segment_count,
                          model->adapter.values, model->adapter_hash);
}

rn_result rn_round_model_layout(const struct rn_round_model *model, const struct rn_plan *plan,
                                uint32_t round, uint32_t start_round,
                                struct rn_round_layout *out_layout, struct rn_error *err)
{
    struct rn_round_spec spec;
    RN_TRY(rn_round_spec_derive(plan, round, start_round, &spec, err));
    const struct rn_round_selection *selection = &model->selections[spec.active];
    return rn_round_layout_init(&spec, selection->segments, selection->segment_count, out_layout,
                                err);
}

/* ---- Bytes */

static void write_floats(struct rn_buffer *out, const float *values, size_t count)
{
    rn_buffer_u64(out, count);
    uint8_t *bytes = rn_buffer_grow(out, count * sizeof(float));
    struct rn_writer writer = rn_writer_to(bytes, bytes == NULL ? 0 : count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        uint32_t word = 0;
        memcpy(&word, &values[i], sizeof(word));
        rn_write_u32(&writer, word);
    }
}

/* Leaves out untouched unless the count is the expected one. */
static bool read_floats(struct rn_reader *reader, float *out, size_t count)
{
    if (rn_read_u64(reader) != count || rn_reader_left(reader) < count * sizeof(float)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t word = rn_read_u32(reader);
        memcpy(&out[i], &word, sizeof(word));
    }
    return true;
}

void rn_round_model_write(const struct rn_round_model *model, struct rn_buffer *out)
{
    rn_buffer_u32(out, STATE_VERSION);
    rn_buffer_append(out, model->adapter_hash, RN_HASH_BYTES);
    write_floats(out, model->adapter.values, model->adapter.count);
    write_floats(out, model->local_head, model->local_head_count);
}

static rn_result read_into(const struct rn_round_model *model, struct rn_view bytes, float *values,
                           float *local_head, uint8_t out_hash[static RN_HASH_BYTES],
                           struct rn_error *err)
{
    struct rn_reader reader = rn_reader_of(bytes);
    uint8_t found[RN_HASH_BYTES];
    RN_ENSURE(rn_read_u32(&reader) == STATE_VERSION, err, RN_E_UNSUPPORTED,
              "journal: the adapter was written by another version of Rondo");
    rn_read_copy(&reader, out_hash, RN_HASH_BYTES);
    const bool read = read_floats(&reader, values, model->adapter.count) &&
                      read_floats(&reader, local_head, model->local_head_count);
    RN_ENSURE(read && rn_reader_done(&reader), err, RN_E_DATA,
              "journal: the stored adapter is of another shape than the plan's");
    rn_round_adapter_hash(model->adapter.segments, model->adapter.segment_count, values, found);
    RN_ENSURE(memcmp(out_hash, found, RN_HASH_BYTES) == 0, err, RN_E_DATA,
              "journal: the stored adapter does not have its own hash; the journal is damaged");
    return rn_ok();
}

rn_result rn_round_model_read(struct rn_round_model *model, struct rn_view bytes,
                              struct rn_error *err)
{
    const size_t count = model->adapter.count;
    float *values = rn_alloc(count, sizeof(*values));
    float *local_head = rn_alloc(model->local_head_count, sizeof(*local_head));
    uint8_t hash[RN_HASH_BYTES];
    const rn_result result = read_into(model, bytes, values, local_head, hash, err);
    if (rn_is_ok(result)) {
        memcpy(model->adapter.values, values, count * sizeof(*values));
        memcpy(model->adapter_hash, hash, sizeof(hash));
        if (model->local_head != NULL) {
            memcpy(model->local_head, local_head, model->local_head_count * sizeof(*local_head));
        }
    }
    rn_free(values);
    free_local(local_head, model->local_head_count);
    return result;
}

/* ---- Delta to vector */

rn_result rn_round_update_take(const struct rn_round_model *model,
                               const struct rn_round_layout *layout, const float *before,
                               const float *after, const struct rn_round_report *report,
                               struct rn_round_update *out, struct rn_error *err)
{
    rn_round_update_clear(out);
    RN_ENSURE(!layout->spec.shared, err, RN_E_INTERNAL, "a round of shared noise takes a sum");
    out->count = layout->delta_count;
    out->delta = rn_alloc(out->count, sizeof(*out->delta));
    const rn_result result =
        rn_round_delta(layout, &model->adapter, before, after, out->delta, err);
    if (!rn_is_ok(result)) {
        rn_round_update_clear(out);
        return result;
    }
    rn_round_adapter_hash(model->adapter.segments, model->adapter.segment_count, before,
                          out->before);
    out->round = layout->spec.round;
    out->report = *report;
    if (report->start.valid && model->local_head != NULL) {
        out->start_head_count = model->local_head_count;
        out->start_head = rn_alloc(out->start_head_count, sizeof(*out->start_head));
        memcpy(out->start_head, model->local_head,
               out->start_head_count * sizeof(*out->start_head));
    }
    out->valid = true;
    return result;
}

rn_result rn_round_update_take_whole(const struct rn_round_model *model,
                                     const struct rn_round_layout *layout, const float *before,
                                     const int64_t *whole, size_t count,
                                     struct rn_round_update *out, struct rn_error *err)
{
    rn_round_update_clear(out);
    RN_ENSURE(layout->spec.shared && count == layout->delta_count, err, RN_E_INTERNAL,
              "the trained sum is not one of this round's");
    out->count = count;
    out->whole = rn_alloc(count, sizeof(*out->whole));
    memcpy(out->whole, whole, count * sizeof(*whole));
    rn_round_adapter_hash(model->adapter.segments, model->adapter.segment_count, before,
                          out->before);
    out->round = layout->spec.round;
    out->report = (struct rn_round_report){.weight = 1};
    out->valid = true;
    return rn_ok();
}

rn_result rn_round_update_encode(const struct rn_round_update *update,
                                 const struct rn_round_layout *layout,
                                 const struct rn_secret32 *key, struct rn_round_encoder *out,
                                 struct rn_error *err)
{
    return update->whole != NULL
               ? rn_round_encoder_init_whole(out, layout, update->whole, err)
               : rn_round_encoder_init(out, layout, &update->report, update->delta, key, err);
}

void rn_round_update_clear(struct rn_round_update *update)
{
    if (update->delta != NULL) {
        rn_secret_wipe(update->delta, update->count * sizeof(*update->delta));
        rn_free(update->delta);
    }
    if (update->whole != NULL) {
        rn_secret_wipe(update->whole, update->count * sizeof(*update->whole));
        rn_free(update->whole);
    }
    free_local(update->start_head, update->start_head_count);
    *update = (struct rn_round_update){0};
}

bool rn_round_update_fits(const struct rn_round_update *update, uint32_t round,
                          const uint8_t before[static RN_HASH_BYTES])
{
    return update->valid && update->round == round &&
           memcmp(update->before, before, RN_HASH_BYTES) == 0;
}

/* ---- Sum to adapter */

static rn_result read_sum(const struct rn_round_sum *sum, size_t elements, uint64_t *out,
                          struct rn_error *err)
{
    for (uint64_t first = 0; first < elements;) {
        const uint64_t left = elements - first;
        const uint32_t count = left < READ_AT_ONCE ? (uint32_t)left : READ_AT_ONCE;
        RN_TRY(sum->read(sum->context, first, count, out + first, err));
        first += count;
    }
    return rn_ok();
}

rn_result rn_round_sum_total(const struct rn_round_layout *layout, const struct rn_round_sum *sum,
                             struct rn_round_total *out_total, struct rn_error *err)
{
    uint64_t fields[RN_ROUND_FIELDS * RN_ROUND_FIELD_BITS];
    RN_BUG_IF(layout->delta_offset > RN_ARRAY_LENGTH(fields));
    RN_TRY(read_sum(sum, layout->delta_offset, fields, err));
    return rn_round_total_read(layout, fields, sum->contributors, out_total, err);
}

static rn_result add_mean(struct rn_round_model *model, const struct rn_round_layout *layout,
                          const uint64_t *values, uint32_t contributors,
                          struct rn_round_total *out_total, struct rn_error *err)
{
    RN_TRY(rn_round_total_read(layout, values, contributors, out_total, err));
    float *RN_CLEANUP(rn_free_cleanup) mean = rn_alloc(layout->delta_count, sizeof(float));
    RN_TRY(rn_round_mean(layout, values, out_total, mean, err));
    return rn_round_step(layout, mean, &model->adapter, err);
}

rn_result rn_round_model_apply(struct rn_round_model *model, const struct rn_round_layout *layout,
                               const struct rn_round_sum *sum, struct rn_round_total *out_total,
                               struct rn_error *err)
{
    uint64_t *RN_CLEANUP(rn_free_cleanup) values = rn_alloc(layout->elements, sizeof(*values));
    RN_TRY(read_sum(sum, layout->elements, values, err));
    RN_TRY(add_mean(model, layout, values, sum->contributors, out_total, err));
    rn_round_model_hash(model);
    return rn_ok();
}

rn_result rn_round_model_preview(const struct rn_round_model *model,
                                 const struct rn_round_layout *layout,
                                 const struct rn_round_sum *sum,
                                 uint8_t out_hash[static RN_HASH_BYTES], struct rn_error *err)
{
    struct rn_round_model next = *model;
    float *RN_CLEANUP(rn_free_cleanup) values = rn_alloc(model->adapter.count, sizeof(float));
    struct rn_round_total total;
    memcpy(values, model->adapter.values, model->adapter.count * sizeof(float));
    next.adapter.values = values;
    const rn_result result = rn_round_model_apply(&next, layout, sum, &total, err);
    const bool nothing = rn_class_of(result) == RN_CLASS_ROUND;
    memcpy(out_hash, nothing ? model->adapter_hash : next.adapter_hash, RN_HASH_BYTES);
    return nothing ? rn_ok() : result;
}
