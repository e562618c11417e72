/* SPDX-License-Identifier: Apache-2.0
 *
 * A layer as data: a short list of steps over named slots, walked forward and backward by
 * trainer/pass. A family (family.h) is a list like this and a row of facts, without code.
 *
 * A slot is a matrix of one row per token. It has one producer: RN_SLOT_IN comes from the layer
 * below, every other one from the step whose `out` it is. RN_SLOT_OUT is the next layer's
 * RN_SLOT_IN.
 *
 *   LINEAR  out = f(in W^T + b + LoRA + with)        `with` may be none, f the identity
 *   NORM    out = LayerNorm(in)
 *   ATTEND  out = softmax(scale in with^T) also      in = queries, with = keys, also = values
 *   GATHER  out = the asked rows of in               never in a block: rn_program_last puts it in
 *
 * The order of the steps is also the order of sums: backward walks them in reverse, and where
 * several steps read one slot, its gradient is the last reader's share, to which the earlier ones
 * add theirs. A residual's share is not copied: it waits for the LINEAR that reads the slot before.
 * The rules that this needs of a list are those of rn_program_fault.
 *
 * Programs: `whole` computes every row. `last` is what the head needs of the last layer: the asked
 * rows (each sequence's first token) of every slot but those that a key or a value depends on. The
 * asked rows have the same bits in both. A block without ATTEND is for sequences of one token: its
 * `last` is `whole`.
 */
#ifndef RN_TRAINER_BLOCK_H
#define RN_TRAINER_BLOCK_H

#include "trainer/kernels/kernels.h"

/* Slots and steps of a program, gathered ones included; linear modules and norms of a block. */
#define RN_SLOTS_MAX 24
#define RN_STEPS_MAX 24
#define RN_MODULES_MAX 8
#define RN_NORMS_MAX 4

enum rn_slot { RN_SLOT_NONE, RN_SLOT_IN, RN_SLOT_OUT, RN_SLOT_FIRST /* a family's own */ };

/* Numbers of columns that a configuration gives. */
enum rn_dim { RN_DIM_HIDDEN, RN_DIM_INTERMEDIATE };

/* The element type of a slot and of its gradient: `residual` or `activation` of kernels.h. */
enum rn_role { RN_ROLE_RESIDUAL, RN_ROLE_ACTIVATION };

enum rn_op { RN_OP_LINEAR, RN_OP_NORM, RN_OP_ATTEND, RN_OP_GATHER, RN_OP_COUNT };

struct rn_slot_row {
    enum rn_role role;
    enum rn_dim width;
};

/* A linear module. path: below the layer, "attention.self.query"; peft's name of it ends so. The
 * tensors are path.weight [n][k] and, with a bias, path.bias [n]. The order of the rows is that of
 * the adapter's flat vector. */
struct rn_module_row {
    const char *path;
    enum rn_dim n, k;
    bool bias;
    bool zero; /* no tensor: the base weight is zero, and all comes from the adapter. Reads IN of a
                  family of rows, whose gradient nobody asks for */
};

struct rn_step {
    enum rn_op op;
    uint8_t out, in, with, also; /* slots */
    uint8_t module;              /* row of modules (LINEAR) or of norms (NORM) */
    enum rn_activation activation;
};

struct rn_block {
    const struct rn_slot_row *slots; /* [slot_count]; the rows of NONE, IN and OUT too */
    const struct rn_module_row *modules;
    const char *const *norms; /* paths: path.weight and path.bias [hidden] */
    const struct rn_step *steps;
    uint8_t slot_count, module_count, norm_count, step_count;
};

struct rn_program {
    const struct rn_block *block;
    struct rn_step steps[RN_STEPS_MAX];
    struct rn_slot_row slots[RN_SLOTS_MAX];
    bool asked[RN_SLOTS_MAX]; /* one row per sequence, not per token */
    uint8_t step_count, slot_count;
};

/* Whether tokens of a sequence see each other. */
bool rn_block_attends(const struct rn_block *block);
/* The activation that OUT comes from, whose slope the head takes in. */
enum rn_activation rn_block_activation(const struct rn_block *block);

/* A block within the limits above; more is a bug of the caller. */
void rn_program_whole(const struct rn_block *block, struct rn_program *out);
void rn_program_last(const struct rn_block *block, struct rn_program *out);

/* NULL, or what is wrong with the program as a list of steps; static. Everything that the walks and
 * the plan of memory rely on:
 *
 *  - a slot has one producer, before its readers; OUT is produced and read by none, every other one
 *    is read; every module and norm is used by one step;
 *  - widths and roles fit the operation;
 *  - gradients: what NORM or ATTEND reads is read by it alone, for both overwrite; a slot with an
 *    activation is read by one LINEAR of the layer, whose share takes the slope in, but for
 *    OUT with RELU, of which the head does; a residual is read by an earlier LINEAR and by nothing
 *    after; nothing reads a slot after its GATHER; a module of a zero base reads IN. */
const char *rn_program_fault(const struct rn_program *program);

/* The slots that a step reads: at most three, in the order in, with, also. Returns their number. */
unsigned rn_step_reads(const struct rn_step *step, uint8_t out_slots[static 3]);

#endif
