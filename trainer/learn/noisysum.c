/* SPDX-License-Identifier: Apache-2.0
 *
 * The noisy sum of one drawn batch, without a step: what a member gives to a round whose noise is
 * shared. Noise first, then the records, as in every step of DP-SGD (trainer/dpwords.h).
 */
#include "trainer/learn/trainloop.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/privacy/dp.h"

#include <string.h>

static rn_result sum_of_batch(struct rn_loop *loop, int64_t *out, struct rn_error *err)
{
    RN_TRY(rn_dp_new(loop->lanes, loop->spec, &loop->active, 1, &loop->dp, err));
    const size_t count = rn_dp_elements(loop->dp);
    int64_t *RN_CLEANUP(rn_free_cleanup) sum = rn_alloc(count, sizeof(*sum));
    rn_dp_begin_step(loop->dp);
    loop->batch_count = rn_dp_sample(loop->dp, loop->data, loop->batch);
    const rn_result result = rn_dp_noisy_sum(loop->dp, loop->batch, loop->batch_count, sum, err);
    if (rn_is_ok(result)) {
        rn_dp_flatten(loop->dp, sum, out);
    }
    explicit_bzero(sum, count * sizeof(*sum)); /* the share alone would not hide its records */
    return result;
}

rn_result rn_learn_noisy_sum(struct rn_lanes *lanes, struct rn_state *state, bool head,
                             const struct rn_dataset *data, const struct rn_train_spec *spec,
                             int64_t *out, struct rn_error *err)
{
    RN_CLEANUP(rn_loop_clear)
    struct rn_loop loop = {
        .lanes = lanes, .state = state, .head = head, .spec = spec, .data = data};
    rn_lanes_bind(lanes, state->values, state->transposed);
    rn_loop_start(&loop);
    return sum_of_batch(&loop, out, err);
}
