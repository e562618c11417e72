/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs of a block: which rows each slot has in the last layer.
 */
#include "trainer/model/block.h"

#include "base/guard.h"

#include <string.h>

unsigned rn_step_reads(const struct rn_step *step, uint8_t out_slots[static 3])
{
    const uint8_t named[3] = {step->in, step->with, step->also};
    unsigned count = 0;
    for (size_t i = 0; i < 3; i++) {
        if (named[i] != RN_SLOT_NONE) {
            out_slots[count++] = named[i];
        }
    }
    return count;
}

void rn_program_whole(const struct rn_block *block, struct rn_program *out)
{
    RN_BUG_IF(block->step_count > RN_STEPS_MAX || block->slot_count > RN_SLOTS_MAX ||
              block->module_count > RN_MODULES_MAX || block->norm_count > RN_NORMS_MAX);
    *out = (struct rn_program){
        .block = block, .step_count = block->step_count, .slot_count = block->slot_count};
    memcpy(out->steps, block->steps, block->step_count * sizeof(*block->steps));
    memcpy(out->slots, block->slots, block->slot_count * sizeof(*block->slots));
}

bool rn_block_attends(const struct rn_block *block)
{
    bool found = false;
    for (unsigned i = 0; i < block->step_count; i++) {
        found = found || block->steps[i].op == RN_OP_ATTEND;
    }
    return found;
}

enum rn_activation rn_block_activation(const struct rn_block *block)
{
    enum rn_activation found = RN_ACTIVATION_NONE;
    for (unsigned i = 0; i < block->step_count; i++) {
        found = block->steps[i].out == RN_SLOT_OUT ? block->steps[i].activation : found;
    }
    return found;
}

/* Slots of which every row is needed: keys, values, and what those are made of. */
static void find_whole(const struct rn_block *block, bool whole[static RN_SLOTS_MAX])
{
    whole[RN_SLOT_IN] = true;
    for (unsigned i = block->step_count; i-- > 0;) {
        const struct rn_step *step = &block->steps[i];
        uint8_t read[3];
        const unsigned count = rn_step_reads(step, read);
        for (unsigned j = 0; j < count; j++) {
            const bool query = step->op == RN_OP_ATTEND && read[j] == step->in;
            whole[read[j]] =
                whole[read[j]] || whole[step->out] || (step->op == RN_OP_ATTEND && !query);
        }
    }
}

static void add_step(struct rn_program *out, struct rn_step step)
{
    RN_BUG_IF(out->step_count == RN_STEPS_MAX);
    out->steps[out->step_count++] = step;
}

/* The slot with the asked rows of a whole one: gathered where it is asked for first. */
static uint8_t gathered(struct rn_program *out, uint8_t slot, uint8_t made[static RN_SLOTS_MAX])
{
    if (made[slot] == RN_SLOT_NONE) {
        RN_BUG_IF(out->slot_count == RN_SLOTS_MAX);
        made[slot] = out->slot_count;
        out->slots[out->slot_count] = out->slots[slot];
        out->asked[out->slot_count++] = true;
        add_step(out, (struct rn_step){.op = RN_OP_GATHER, .out = made[slot], .in = slot});
    }
    return made[slot];
}

void rn_program_last(const struct rn_block *block, struct rn_program *out)
{
    bool whole[RN_SLOTS_MAX] = {false};
    uint8_t made[RN_SLOTS_MAX] = {RN_SLOT_NONE};
    rn_program_whole(block, out);
    if (!rn_block_attends(block)) {
        return;
    }
    find_whole(block, whole);
    for (unsigned slot = RN_SLOT_IN; slot < block->slot_count; slot++) {
        out->asked[slot] = !whole[slot];
    }
    out->step_count = 0;
    for (unsigned i = 0; i < block->step_count; i++) {
        struct rn_step step = block->steps[i];
        if (!whole[step.out]) {
            step.in = whole[step.in] ? gathered(out, step.in, made) : step.in;
            if (step.op != RN_OP_ATTEND && whole[step.with]) {
                step.with = gathered(out, step.with, made);
            }
        }
        add_step(out, step);
    }
}
