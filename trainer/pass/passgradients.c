/* SPDX-License-Identifier: Apache-2.0
 *
 * Which memory the gradient of each slot stands in. Two slots share a buffer when no step of the
 * backward walk needs both: the lowest buffer is taken that is free from the first share of a
 * slot's gradient to its last reader. Buffer 0 belongs to IN and OUT, for the layer below goes on
 * where this one ends.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"

/* Steps of the backward walk (0 = the last of the list) between which a slot's gradient is needed;
 * both ends included. */
struct span {
    int first, last;
};

#define NEVER (-2)
#define BEFORE (-1) /* the layer above leaves it */

/* A residual's share stays in the gradient of the step's output until a LINEAR takes it up. */
static void find_spans(const struct rn_program *p, struct span spans[static RN_SLOTS_MAX])
{
    uint8_t waiting[RN_SLOTS_MAX] = {RN_SLOT_NONE};
    for (unsigned slot = 0; slot < p->slot_count; slot++) {
        spans[slot] = (struct span){NEVER, NEVER};
    }
    spans[RN_SLOT_OUT] = (struct span){BEFORE, BEFORE};
    for (int at = 0; at < p->step_count; at++) {
        const struct rn_step *step = &p->steps[p->step_count - 1 - at];
        uint8_t read[3];
        const unsigned count = rn_step_reads(step, read);
        spans[step->out].last = at;
        for (unsigned i = 0; i < count; i++) {
            const uint8_t slot = read[i];
            if (step->op == RN_OP_LINEAR && slot == step->with) {
                waiting[slot] = step->out;
                continue;
            }
            spans[slot].first = spans[slot].first == NEVER ? at : spans[slot].first;
            spans[slot].last = at;
            spans[waiting[slot]].last = at;
            waiting[slot] = RN_SLOT_NONE;
        }
    }
    spans[RN_SLOT_IN].last = p->step_count;
}

static bool free_for(const struct rn_pass_gradients *pool, const struct rn_program *p,
                     const struct span *spans, const uint8_t *of_slot, unsigned buffer,
                     unsigned slot)
{
    const struct rn_slot_row *row = &p->slots[slot];
    if (pool->rows[buffer].role != row->role || pool->rows[buffer].width != row->width) {
        return false;
    }
    for (unsigned other = RN_SLOT_IN; other < p->slot_count; other++) {
        if (other != slot && of_slot[other] == buffer && spans[other].first <= spans[slot].last &&
            spans[slot].first <= spans[other].last) {
            return false;
        }
    }
    return true;
}

void rn_pass_gradients_plan(const struct rn_program *program, struct rn_pass_gradients *pool,
                            uint8_t of_slot[static RN_SLOTS_MAX])
{
    struct span spans[RN_SLOTS_MAX];
    find_spans(program, spans);
    for (unsigned slot = 0; slot < program->slot_count; slot++) {
        of_slot[slot] = UINT8_MAX;
    }
    of_slot[RN_SLOT_IN] = 0;
    of_slot[RN_SLOT_OUT] = 0;
    if (pool->count == 0) {
        pool->rows[0] = program->slots[RN_SLOT_IN];
        pool->per_token[0] = true;
        pool->count = 1;
    }
    /* In the order in which the walk meets them. */
    for (int at = program->step_count - 1; at >= 0; at--) {
        uint8_t read[3];
        const unsigned count = rn_step_reads(&program->steps[at], read);
        for (unsigned i = 0; i < count; i++) {
            const uint8_t slot = read[i];
            if (of_slot[slot] != UINT8_MAX) {
                continue;
            }
            unsigned buffer = 0;
            while (buffer < pool->count && !free_for(pool, program, spans, of_slot, buffer, slot)) {
                buffer++;
            }
            if (buffer == pool->count) {
                RN_BUG_IF(pool->count == RN_SLOTS_MAX);
                pool->rows[pool->count++] = program->slots[slot];
            }
            pool->per_token[buffer] = pool->per_token[buffer] || !program->asked[slot];
            of_slot[slot] = (uint8_t)buffer;
        }
    }
}
