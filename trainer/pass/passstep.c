/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole pass over a loaded block, and what it tells the host. Where the backend records
 * operations a training step is recorded under one key; a block of several adapters is issued: its
 * pieces are hardly ever the same again.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"

void rn_pass_forward(struct rn_pass *pass)
{
    rn_pass_enter(pass);
    rn_pass_rest(pass);
}

/* All that a step's arguments follow from, besides what the pass was made with. */
struct step_key {
    uint32_t count, tokens, longest;
    uint32_t task, matrices, head;
    uint32_t switches, cached;
    float scale;
    uint32_t each_stride;
    uint64_t each, values, transposed;
};
_Static_assert(sizeof(struct step_key) == 10 * 4 + 3 * 8, "a key has no padding");

static struct step_key key_of(const struct rn_pass *pass, enum rn_task task, float scale,
                              const struct rn_pass_active *active)
{
    const struct rn_trainer_switches *switches = &pass->options.switches;
    return (struct step_key){
        .count = pass->sequences.count,
        .tokens = pass->sequences.tokens,
        .longest = pass->sequences.longest,
        .task = (uint32_t)task,
        .matrices = (uint32_t)active->matrices,
        .head = active->head,
        .switches = (unsigned)switches->plain_last_layer | (unsigned)switches->full_backward << 1 |
                    (unsigned)switches->all_gradients << 2,
        .cached = pass->options.cache != NULL,
        .scale = scale,
        .each_stride = (uint32_t)pass->each.stride,
        .each = (uintptr_t)pass->each.gradients,
        .values = (uintptr_t)rn_piece_values(pass, &pass->pieces[0], 0),
        .transposed =
            (uintptr_t)(pass->transposed + pass->pieces[0].owner * pass->transposed_stride),
    };
}

void rn_pass_step(struct rn_pass *pass, enum rn_task task, float scale,
                  const struct rn_pass_active *active)
{
    const struct rn_kernels *k = pass->kernels;
    const struct step_key key = key_of(pass, task, scale, active);
    const bool cached = pass->options.cache != NULL; /* rows come from the host */
    if (cached) {
        rn_pass_enter(pass);
    }
    const bool recorded = k->graph_begin != NULL && pass->piece_count == 1;
    if (!recorded || !k->graph_begin(pass->lane, &key, sizeof(key))) {
        if (!cached) {
            rn_pass_enter(pass);
        }
        rn_pass_rest(pass);
        rn_pass_loss(pass, task, scale, true);
        rn_pass_backward(pass, active);
        if (recorded) {
            k->graph_end(pass->lane);
        }
    }
}

/* A failure that came while rows were fetched, once. */
static rn_result past_failure(struct rn_pass *pass, struct rn_error *err)
{
    const rn_result failed = pass->failed;
    pass->failed = rn_ok();
    RN_ENSURE(rn_is_ok(failed), err, failed.code, "%s", pass->failure.text);
    return rn_ok();
}

rn_result rn_pass_losses(struct rn_pass *pass, struct rn_error *err)
{
    RN_TRY(past_failure(pass, err));
    pass->kernels->download(pass->lane, pass->host_loss, pass->loss,
                            pass->sequences.count * sizeof(double));
    return pass->kernels->sync(pass->lane, err);
}

rn_result rn_pass_logits(struct rn_pass *pass, struct rn_error *err)
{
    RN_TRY(past_failure(pass, err));
    pass->kernels->read_mat(pass->lane, rn_mat_rows(pass->logits, 0, pass->sequences.count),
                            pass->host_logits);
    return pass->kernels->sync(pass->lane, err);
}
