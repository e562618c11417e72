/* SPDX-License-Identifier: Apache-2.0
 *
 * Device memory of a state.
 */
#include "trainer/adapter/adapter.h"

#include "base/guard.h"

static rn_result take(const struct rn_adapter *adapter, float **out, struct rn_error *err)
{
    void *memory = NULL;
    RN_TRY(adapter->encoder->kernels->memory_new(adapter->encoder->device,
                                                 adapter->count * sizeof(float), &memory, err));
    *out = memory;
    return rn_ok();
}

rn_result rn_state_take_training(struct rn_state *state, const struct rn_adapter *adapter,
                                 struct rn_error *err)
{
    float **const vectors[] = {&state->gradient, &state->moment1, &state->moment2};
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        if (*vectors[i] == NULL) {
            RN_TRY(take(adapter, vectors[i], err));
        }
    }
    return rn_ok();
}

void rn_state_clear(struct rn_state *state, const struct rn_adapter *adapter)
{
    if (adapter->encoder == NULL) {
        return;
    }
    float *const vectors[] = {state->values, state->transposed, state->gradient, state->moment1,
                              state->moment2};
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        adapter->encoder->kernels->memory_free(adapter->encoder->device, vectors[i]);
    }
    *state = (struct rn_state){0};
}
