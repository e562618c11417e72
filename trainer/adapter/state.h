/* SPDX-License-Identifier: Apache-2.0
 *
 * What a training changes, in device memory: the trained values, and beside them gradient and
 * moments of the same layout. A trainer has one; each of several simulated clients has its own. The
 * layout is the adapter's (adapter.h), which no training changes.
 */
#ifndef RN_TRAINER_STATE_H
#define RN_TRAINER_STATE_H

#include "trainer/kernels/kernels.h"

struct rn_adapter;

struct rn_state {
    float *values;     /* [adapter.count] */
    float *transposed; /* [adapter.transposed_count]: scale B^T of every site, follows the values */
    float *gradient;   /* [adapter.count]; this and the moments are NULL until training */
    float *moment1;
    float *moment2;
    bool head_changed; /* trained or set: no longer the checkpoint's */
};

/* Gradient and moments (zero), unless they are there. */
RN_MUST rn_result rn_state_take_training(struct rn_state *state, const struct rn_adapter *adapter,
                                         struct rn_error *err);
void rn_state_clear(struct rn_state *state, const struct rn_adapter *adapter);

#endif
