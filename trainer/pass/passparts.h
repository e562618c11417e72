/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of this room share. Each calls only those above it:
 *
 *   passplan.c       memory
 *   passpieces.c     several adapters in one block
 *   passexamples.c   where gradients go
 *   passload.c       a block on its way to the device
 *   passforward.c    layers, head, loss            passbackward.c   the same backwards
 *   passprefix.c     rows below the lowest adapted layer, cached
 *   passstep.c       the whole of it, recorded
 *   blocks.c, lanes.c   several passes at work on a batch
 */
#ifndef RN_TRAINER_PASSPARTS_H
#define RN_TRAINER_PASSPARTS_H

#include "trainer/pass/pass.h"

/* ---- passload.c ---- */
/* rn_pass_load without a change of the pieces. */
void rn_pass_load_rows(struct rn_pass *pass, const struct rn_example *examples, uint32_t count);

/* ---- passforward.c ---- */
/* The rows that enter the lowest adapted layer, computed. */
void rn_pass_prefix(struct rn_pass *pass);
/* The forward pass above these rows. */
void rn_pass_rest(struct rn_pass *pass);
/* The attention of the block. */
struct rn_attention rn_pass_attention(const struct rn_pass *pass, bool first_only);

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
/* Those of a module of the head that sees x, one row a sequence: of its weight and its bias. */
void rn_pass_head_sum(struct rn_pass *pass, struct rn_mat dy, struct rn_mat x, size_t weight,
                      size_t bias);

#endif
