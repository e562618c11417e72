/* SPDX-License-Identifier: Apache-2.0
 *
 * The adapter, and the optimiser's moments, as flat vectors: layout, get, set.
 */
#include "trainer/trainerstate.h"

#include "base/alloc.h"
#include "base/guard.h"

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
    return rn_adapter_get(&trainer->adapter, &trainer->state, trainer->lanes.lane, matrices,
                          with_head, out_values, err);
}

rn_result rn_trainer_set(struct rn_trainer *trainer, enum rn_matrix matrices, bool with_head,
                         const float *values, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, matrices, with_head, count, err));
    return rn_adapter_set(&trainer->adapter, &trainer->state, trainer->lanes.lane, matrices,
                          with_head, values, count, err);
}

bool rn_trainer_b_is_zero(struct rn_trainer *trainer)
{
    const struct rn_adapter *adapter = &trainer->adapter;
    const struct rn_lanes *lanes = &trainer->lanes;
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        /* the square of the least float32 is a float64 above zero */
        if (rn_segment_chosen(segment, RN_MATRIX_B, false) &&
            lanes->kernels->vector_square_sum(lanes->lane, segment->count,
                                              trainer->state.values + adapter->places[i]) != 0.0) {
            return false;
        }
    }
    return true;
}

rn_result rn_trainer_optimizer_get(struct rn_trainer *trainer, float *out_moment1,
                                   float *out_moment2, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, RN_MATRIX_AB, true, count, err));
    RN_TRY(rn_state_take_training(&trainer->state, &trainer->adapter, err));
    rn_adapter_download(&trainer->adapter, trainer->lanes.lane, RN_MATRIX_AB, true,
                        trainer->state.moment1, out_moment1);
    rn_adapter_download(&trainer->adapter, trainer->lanes.lane, RN_MATRIX_AB, true,
                        trainer->state.moment2, out_moment2);
    return trainer->lanes.kernels->sync(trainer->lanes.lane, err);
}

rn_result rn_trainer_optimizer_set(struct rn_trainer *trainer, const float *moment1,
                                   const float *moment2, size_t count, struct rn_error *err)
{
    RN_TRY(check_count(trainer, RN_MATRIX_AB, true, count, err));
    RN_TRY(rn_adapter_check_finite(moment1, count, err));
    RN_TRY(rn_adapter_check_finite(moment2, count, err));
    for (size_t i = 0; i < count; i++) { /* its root divides the step */
        RN_ENSURE(moment2[i] >= 0, err, RN_E_ROUND_NUMERIC,
                  "optimizer: value %zu of the second moment is negative", i);
    }
    RN_TRY(rn_state_take_training(&trainer->state, &trainer->adapter, err));
    rn_adapter_upload(&trainer->adapter, trainer->lanes.lane, RN_MATRIX_AB, true,
                      trainer->state.moment1, moment1);
    rn_adapter_upload(&trainer->adapter, trainer->lanes.lane, RN_MATRIX_AB, true,
                      trainer->state.moment2, moment2);
    return trainer->lanes.kernels->sync(trainer->lanes.lane, err);
}
