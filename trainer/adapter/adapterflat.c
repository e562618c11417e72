/* SPDX-License-Identifier: Apache-2.0
 *
 * The adapter, and the optimiser's moments, as flat vectors: layout, get, set.
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

/* Between a vector on the device, in the adapter's order, and a flat one of a selection. */
static void download(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                     const float *vector, float *out)
{
    const struct rn_adapter *adapter = &trainer->adapter;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, matrices, with_head)) {
            trainer->kernels->download(trainer->lane, out, vector + adapter->places[i],
                                       segment->count * sizeof(float));
            out += segment->count;
        }
    }
}

static void upload(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                   float *vector, const float *values)
{
    const struct rn_adapter *adapter = &trainer->adapter;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, matrices, with_head)) {
            trainer->kernels->upload(trainer->lane, vector + adapter->places[i], values,
                                     segment->count * sizeof(float));
            values += segment->count;
        }
    }
}

static rn_result check_finite(const float *values, size_t count, struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(isfinite(values[i]), err, RN_E_ROUND_NUMERIC,
                  "adapter: value %zu is not a finite number", i);
    }
    return rn_ok();
}

rn_result rn_trainer_get(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                         float *out_values, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, matrices, with_head, count, err));
    download(trainer, matrices, with_head, trainer->adapter.values, out_values);
    return trainer->kernels->sync(trainer->lane, err);
}

rn_result rn_trainer_set(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                         const float *values, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, matrices, with_head, count, err));
    RN_TRY(check_finite(values, count, err));
    upload(trainer, matrices, with_head, trainer->adapter.values, values);
    trainer->head_changed = trainer->head_changed || with_head;
    rn_adapter_refresh(&trainer->adapter, trainer->lane);
    return trainer->kernels->sync(trainer->lane, err);
}

rn_result rn_trainer_optimizer_get(struct rn_trainer *trainer, float *out_moment1,
                                   float *out_moment2, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, RN_MATRIX_AB, true, count, err));
    RN_TRY(rn_trainer_prepare(trainer, true, err));
    download(trainer, RN_MATRIX_AB, true, trainer->moment1, out_moment1);
    download(trainer, RN_MATRIX_AB, true, trainer->moment2, out_moment2);
    return trainer->kernels->sync(trainer->lane, err);
}

rn_result rn_trainer_optimizer_set(struct rn_trainer *trainer, const float *moment1,
                                   const float *moment2, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, RN_MATRIX_AB, true, count, err));
    RN_TRY(check_finite(moment1, count, err));
    RN_TRY(check_finite(moment2, count, err));
    for (size_t i = 0; i < count; i++) { /* its root divides the step */
        RN_ENSURE(moment2[i] >= 0, err, RN_E_ROUND_NUMERIC,
                  "optimizer: value %zu of the second moment is negative", i);
    }
    RN_TRY(rn_trainer_prepare(trainer, true, err));
    upload(trainer, RN_MATRIX_AB, true, trainer->moment1, moment1);
    upload(trainer, RN_MATRIX_AB, true, trainer->moment2, moment2);
    return trainer->kernels->sync(trainer->lane, err);
}
