/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors on the device, in the adapter's order, as flat ones of a selection in the layout's.
 */
#include "trainer/adapter/adapter.h"

#include "base/guard.h"

#include <math.h>

void rn_adapter_download(const struct rn_adapter *adapter, struct rn_lane *lane,
                         enum rn_matrix matrices, bool with_head, const float *vector, float *out)
{
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, matrices, with_head)) {
            adapter->encoder->kernels->download(lane, out, vector + adapter->places[i],
                                                segment->count * sizeof(float));
            out += segment->count;
        }
    }
}

void rn_adapter_upload(const struct rn_adapter *adapter, struct rn_lane *lane,
                       enum rn_matrix matrices, bool with_head, float *vector, const float *values)
{
    for (size_t i = 0; i < adapter->segment_count; i++) {
        const struct rn_segment *segment = &adapter->segments[i];
        if (rn_segment_chosen(segment, matrices, with_head)) {
            adapter->encoder->kernels->upload(lane, vector + adapter->places[i], values,
                                              segment->count * sizeof(float));
            values += segment->count;
        }
    }
}

rn_result rn_adapter_check_finite(const float *values, size_t count, struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        RN_ENSURE(isfinite(values[i]), err, RN_E_ROUND_NUMERIC,
                  "adapter: value %zu is not a finite number", i);
    }
    return rn_ok();
}

rn_result rn_adapter_get(const struct rn_adapter *adapter, const struct rn_state *state,
                         struct rn_lane *lane, enum rn_matrix matrices, bool with_head,
                         float *out_values, struct rn_error *err)
{
    rn_adapter_download(adapter, lane, matrices, with_head, state->values, out_values);
    return adapter->encoder->kernels->sync(lane, err);
}

rn_result rn_adapter_set(const struct rn_adapter *adapter, struct rn_state *state,
                         struct rn_lane *lane, enum rn_matrix matrices, bool with_head,
                         const float *values, size_t count, struct rn_error *err)
{
    RN_TRY(rn_adapter_check_finite(values, count, err));
    rn_adapter_upload(adapter, lane, matrices, with_head, state->values, values);
    state->head_changed = state->head_changed || with_head;
    rn_adapter_refresh(adapter, state, lane);
    return adapter->encoder->kernels->sync(lane, err);
}
