/* SPDX-License-Identifier: Apache-2.0
 *
 * The adapter as one flat vector: layout, get, set.
 */
#include "trainer/trainerstate.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <string.h>

rn_result rn_trainer_layout(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                            const struct rn_segment **out_segments, size_t *out_segment_count,
                            size_t *out_element_count)
{
    const struct rn_adapter *adapter = &trainer->adapter;
    struct rn_layout *layout =
        &trainer->layouts[((unsigned)matrices & RN_MATRIX_AB) * 2u + (with_head ? 1u : 0u)];
    if (layout->segments == NULL) {
        layout->segments = rn_alloc(adapter->segment_count, sizeof(*layout->segments));
        for (size_t i = 0; i < adapter->segment_count; i++) {
            if (!rn_segment_chosen(&adapter->segments[i], matrices, with_head)) {
                continue;
            }
            struct rn_segment *segment = &layout->segments[layout->segment_count++];
            *segment = adapter->segments[i];
            segment->offset = layout->element_count;
            layout->element_count += segment->count;
        }
    }
    *out_segments = layout->segments;
    *out_segment_count = layout->segment_count;
    *out_element_count = layout->element_count;
    return rn_ok();
}

static rn_result check_count(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                             size_t count, struct rn_error *err)
{
    const struct rn_segment *segments = NULL;
    size_t segment_count = 0;
    size_t wanted = 0;
    RN_TRY(rn_trainer_layout(trainer, matrices, with_head, &segments, &segment_count, &wanted));
    RN_ENSURE(count == wanted, err, RN_E_USAGE, "adapter: %zu values, the layout has %zu", count,
              wanted);
    return rn_ok();
}

rn_result rn_trainer_get(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                         float *out_values, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, matrices, with_head, count, err));
    const struct rn_adapter *adapter = &trainer->adapter;
    size_t at = 0;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, matrices, with_head)) {
            trainer->kernels->download(trainer->lane, out_values + at,
                                       adapter->values + adapter->places[i],
                                       segment->count * sizeof(float));
            at += segment->count;
        }
    }
    return trainer->kernels->sync(trainer->lane, err);
}

rn_result rn_trainer_set(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                         const float *values, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, matrices, with_head, count, err));
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(isfinite(values[i]), err, RN_E_ROUND_NUMERIC,
                  "adapter: value %zu is not a finite number", i);
    }
    const struct rn_adapter *adapter = &trainer->adapter;
    size_t at = 0;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, matrices, with_head)) {
            trainer->kernels->upload(trainer->lane, adapter->values + adapter->places[i],
                                     values + at, segment->count * sizeof(float));
            at += segment->count;
        }
    }
    trainer->head_changed = trainer->head_changed || with_head;
    rn_adapter_refresh(adapter, trainer->lane);
    return trainer->kernels->sync(trainer->lane, err);
}
