/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program must be like for the walks of trainer/pass to be right.
 */
#include "trainer/model/block.h"

static bool reads(const struct rn_step *step, uint8_t slot)
{
    return step->in == slot || step->with == slot || step->also == slot;
}

/* Steps from .. to - 1 that read a slot. */
static unsigned readers(const struct rn_program *p, uint8_t slot, unsigned from, unsigned to)
{
    unsigned count = 0;
    for (unsigned i = from; i < to; i++) {
        count += reads(&p->steps[i], slot);
    }
    return count;
}

/* Steps that produce a slot, below step `to`. */
static unsigned producers(const struct rn_program *p, uint8_t slot, unsigned to)
{
    unsigned count = 0;
    for (unsigned i = 0; i < to; i++) {
        count += p->steps[i].out == slot;
    }
    return count;
}

/* ---- Slots ---- */

static const char *slots_of_step(const struct rn_program *p, unsigned number)
{
    const struct rn_step *step = &p->steps[number];
    uint8_t read[3];
    const unsigned count = rn_step_reads(step, read);
    const unsigned wanted = step->op == RN_OP_ATTEND ? 3 : 1;
    if (step->in == RN_SLOT_NONE || count < wanted ||
        (step->op != RN_OP_LINEAR && count != wanted)) {
        return "a step reads too few slots, or too many";
    }
    for (unsigned i = 0; i < count; i++) {
        if (read[i] >= p->slot_count) {
            return "a step reads a slot that does not exist";
        }
        if (read[i] != RN_SLOT_IN && producers(p, read[i], number) != 1) {
            return "a slot is read before it is produced";
        }
    }
    return step->out <= RN_SLOT_IN || step->out >= p->slot_count ? "a step produces no slot" : NULL;
}

static const char *slots(const struct rn_program *p)
{
    for (unsigned i = 0; i < p->step_count; i++) {
        const char *fault = slots_of_step(p, i);
        if (fault != NULL) {
            return fault;
        }
    }
    for (uint8_t slot = RN_SLOT_OUT; slot < p->slot_count; slot++) {
        if (producers(p, slot, p->step_count) != 1) {
            return "a slot has no producer, or two";
        }
        if ((readers(p, slot, 0, p->step_count) != 0) != (slot != RN_SLOT_OUT)) {
            return "a slot is read by none, or the output inside the layer";
        }
    }
    return NULL;
}

/* ---- Modules, widths, roles ---- */

static bool same(const struct rn_program *p, uint8_t a, uint8_t b, enum rn_role role)
{
    return p->slots[a].width == p->slots[b].width && p->slots[a].role == role &&
           p->slots[b].role == role;
}

static bool fits(const struct rn_program *p, const struct rn_step *step)
{
    if (step->op == RN_OP_LINEAR) {
        const struct rn_module_row *module = &p->block->modules[step->module];
        const bool with =
            step->with == RN_SLOT_NONE || (p->slots[step->with].width == module->n &&
                                           p->slots[step->with].role == RN_ROLE_RESIDUAL);
        return with && p->slots[step->in].width == module->k &&
               p->slots[step->out].width == module->n;
    }
    if (step->op == RN_OP_ATTEND) {
        return same(p, step->in, step->with, RN_ROLE_ACTIVATION) &&
               same(p, step->in, step->also, RN_ROLE_ACTIVATION) &&
               same(p, step->in, step->out, RN_ROLE_ACTIVATION);
    }
    return same(p, step->in, step->out, RN_ROLE_RESIDUAL);
}

/* Steps of an operation that use a row of its table. */
static unsigned users(const struct rn_program *p, enum rn_op op, unsigned row)
{
    unsigned count = 0;
    for (unsigned i = 0; i < p->step_count; i++) {
        count += p->steps[i].op == op && p->steps[i].module == row;
    }
    return count;
}

static const char *shapes(const struct rn_program *p)
{
    if (!same(p, RN_SLOT_IN, RN_SLOT_OUT, RN_ROLE_RESIDUAL)) {
        return "the layer's input and output differ";
    }
    for (unsigned i = 0; i < p->step_count; i++) {
        const struct rn_step *step = &p->steps[i];
        if ((step->op == RN_OP_LINEAR && step->module >= p->block->module_count) ||
            (step->op == RN_OP_NORM && step->module >= p->block->norm_count)) {
            return "a step has a module that does not exist";
        }
        if (!fits(p, step)) {
            return "a step's slots have the wrong width or role";
        }
    }
    for (unsigned row = 0; row < p->block->module_count; row++) {
        if (users(p, RN_OP_LINEAR, row) != 1) {
            return "a module is used by no step, or by two";
        }
    }
    for (unsigned row = 0; row < p->block->norm_count; row++) {
        if (users(p, RN_OP_NORM, row) != 1) {
            return "a norm is used by no step, or by two";
        }
    }
    return NULL;
}

/* ---- Gradients ---- */

/* A LINEAR before step `to` reads the slot as its input. */
static bool linear_before(const struct rn_program *p, uint8_t slot, unsigned to)
{
    bool found = false;
    for (unsigned i = 0; i < to; i++) {
        found = found || (p->steps[i].op == RN_OP_LINEAR && p->steps[i].in == slot);
    }
    return found;
}

static const char *gradients_of_step(const struct rn_program *p, unsigned number)
{
    const struct rn_step *step = &p->steps[number];
    uint8_t read[3];
    const unsigned count = rn_step_reads(step, read);
    for (unsigned i = 0; i < count && (step->op == RN_OP_NORM || step->op == RN_OP_ATTEND); i++) {
        if (readers(p, read[i], 0, p->step_count) != 1 ||
            (i > 0 && (read[i] == read[0] || read[i] == read[i - 1]))) {
            return "what a norm or an attention reads is read once more";
        }
    }
    const bool for_head = step->out == RN_SLOT_OUT && step->activation == RN_ACTIVATION_RELU;
    if (step->activation != RN_ACTIVATION_NONE && !for_head &&
        (step->op != RN_OP_LINEAR || readers(p, step->out, 0, p->step_count) != 1 ||
         !linear_before(p, step->out, p->step_count))) {
        return "a slot with an activation is not read by one linear step";
    }
    if (step->op == RN_OP_LINEAR && step->with != RN_SLOT_NONE &&
        (step->with == step->in || !linear_before(p, step->with, number) ||
         readers(p, step->with, number + 1, p->step_count) != 0)) {
        return "a residual's slot is not read by a linear step before, or is read after";
    }
    if (step->op == RN_OP_LINEAR && p->block->modules[step->module].zero &&
        step->in != RN_SLOT_IN) {
        return "a module without a base reads what a gradient goes to";
    }
    if (step->op == RN_OP_GATHER && readers(p, step->in, number + 1, p->step_count) != 0) {
        return "a gathered slot is read after its asked rows are";
    }
    return NULL;
}

static const char *gradients(const struct rn_program *p)
{
    for (unsigned i = 0; i < p->step_count; i++) {
        const char *fault = gradients_of_step(p, i);
        if (fault != NULL) {
            return fault;
        }
    }
    return NULL;
}

const char *rn_program_fault(const struct rn_program *program)
{
    const char *fault = slots(program);
    fault = fault != NULL ? fault : shapes(program);
    return fault != NULL ? fault : gradients(program);
}
