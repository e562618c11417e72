/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share. Each calls only those above it:
 *
 *   passgradients.c  memory for gradients of slots
 *   passslots.c      memory of slots
 *   passplan.c       memory of a pass
 *   passpieces.c     several adapters in one block
 *   passexamples.c   where gradients go
 *   passload.c       a block on its way to the device
 *   passlinear.c     LINEAR, forward and backward, with its adapter
 *   passhead.c       head and loss, forward and backward
 *   passforward.c    the walk through the layers   passbackward.c   the same backwards
 *   passprefix.c     rows below the lowest adapted layer, cached
 *   passstep.c       the whole of it, recorded
 *   blocks.c, lanes.c   several passes at work on a batch
 */
#ifndef RN_TRAINER_PASSPARTS_H
#define RN_TRAINER_PASSPARTS_H

#include "trainer/pass/pass.h"

/* ---- passgradients.c ---- */
/* Buffers for a program's gradients, added to the pool where those that are there do not do.
 * of_slot: the buffer of each slot. */
void rn_pass_gradients_plan(const struct rn_program *program, struct rn_pass_gradients *pool,
                            uint8_t of_slot[static RN_SLOTS_MAX]);

/* ---- passslots.c ---- */
/* Carves aligned pieces from memory; counts alone while base is NULL. */
struct rn_pass_arena {
    uint8_t *base;
    size_t used;
};
void *rn_pass_take(struct rn_pass_arena *arena, size_t bytes);
struct rn_mat rn_pass_take_mat(struct rn_pass_arena *arena, enum rn_element type, size_t rows,
                               size_t cols);
struct rn_mat rn_pass_take_slot(const struct rn_pass *pass, struct rn_pass_arena *arena,
                                const struct rn_slot_row *row, size_t rows);

/* Slots of which layers share one matrix because backward does not need them. The input of a layer
 * is the output of the one below: two take turns. Gathered slots are one layer's alone. */
struct rn_pass_shared {
    struct rn_mat in[2];
    struct rn_mat slot[RN_SLOTS_MAX];
};
void rn_pass_take_shared(struct rn_pass *pass, struct rn_pass_arena *arena,
                         struct rn_pass_shared *out);
/* Each layer's memory, but for its OUT. */
void rn_pass_bind_layers(struct rn_pass *pass, struct rn_pass_arena *arena,
                         const struct rn_pass_shared *shared);

/* ---- passload.c ---- */
/* rn_pass_load without a change of the pieces. */
void rn_pass_load_rows(struct rn_pass *pass, const struct rn_example *examples, uint32_t count);

/* ---- passforward.c ---- */
/* The rows that enter the lowest adapted layer, computed. */
void rn_pass_prefix(struct rn_pass *pass);
/* The forward pass above these rows. */
void rn_pass_rest(struct rn_pass *pass);
/* The attention of the block: of the sequences' first tokens only, or of all. */
struct rn_attention rn_pass_attention(const struct rn_pass *pass, bool first_only);
/* What a layer walks: 0 = every row, 1 = the rows that the head reads (rn_pass.programs). */
unsigned rn_pass_program(const struct rn_pass *pass, uint32_t layer);
/* A slot's rows of the loaded block; what the step that makes it keeps beside. */
struct rn_mat rn_pass_slot(const struct rn_pass *pass, uint32_t layer, uint8_t slot);
struct rn_mat rn_pass_side(const struct rn_pass *pass, uint32_t layer, uint8_t slot);

/* ---- passlinear.c ---- */
/* y = module(x) with its adapter and the rest of the epilogue. */
void rn_pass_linear(struct rn_pass *pass, uint32_t layer, uint32_t module, struct rn_mat x,
                    struct rn_epilogue epilogue, struct rn_mat y);
/* Where a site's gradients come from: its kept h, its input, the gradient of its output. sequences:
 * rows are their tokens; NULL: one row per sequence. */
struct rn_pass_source {
    struct rn_mat h, x, dy;
    const struct rn_sequences *sequences;
};
/* Gradients of a site, and its share of dx as an epilogue. */
void rn_pass_site_back(struct rn_pass *pass, const struct rn_pass_active *active,
                       const struct rn_site *site, const struct rn_pass_source *source,
                       bool want_dx, struct rn_epilogue *epilogue);
/* dx = dy W + LoRA, then the epilogue, and the gradients of the module's site; dx.data NULL: these
 * alone. source->h is found here. */
void rn_pass_linear_back(struct rn_pass *pass, const struct rn_pass_active *active, uint32_t layer,
                         uint32_t module, struct rn_pass_source source, struct rn_epilogue epilogue,
                         struct rn_mat dx);

/* ---- passhead.c ---- */
/* cls to logits. */
void rn_pass_head(struct rn_pass *pass);
/* From dlogits to dcls; the head's gradients when it trains. */
void rn_pass_head_back(struct rn_pass *pass, const struct rn_pass_active *active, bool want_dcls,
                       struct rn_mat dcls);

/* ---- passprefix.c ---- */
/* The rows that enter the lowest adapted layer: from the cache where it has them. */
void rn_pass_enter(struct rn_pass *pass);

/* ---- passpieces.c ---- */
/* Rows of a piece: m has a row per token or per sequence of the block. */
struct rn_mat rn_piece_rows(const struct rn_pass *pass, const struct rn_piece *piece,
                            struct rn_mat m);
/* A place of the vector of the piece's adapter. */
const float *rn_piece_values(const struct rn_pass *pass, const struct rn_piece *piece,
                             size_t place);
/* `thin`, and the rank update of an epilogue, with each piece's own adapter: first + owner *
 * stride.
 */
void rn_pass_thin(struct rn_pass *pass, struct rn_mat x, const float *first, size_t stride,
                  struct rn_mat h);
void rn_pass_rank_update(const struct rn_pass *pass, struct rn_mat h, const float *first,
                         size_t stride, struct rn_epilogue *epilogue);

/* ---- passexamples.c ---- */
/* Gradients at a place of the flat vector: outer_sum, added over the block or stored for each
 * example. */
void rn_pass_outer_sum(struct rn_pass *pass, const struct rn_sequences *sequences, struct rn_mat u,
                       struct rn_mat v, float scale, bool transposed, size_t place);
/* Those of a module of the head that sees x, one row a sequence: of its weight and its bias
 * (SIZE_MAX: none). */
void rn_pass_head_sum(struct rn_pass *pass, struct rn_mat dy, struct rn_mat x, size_t weight,
                      size_t bias);

#endif
