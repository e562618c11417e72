/* SPDX-License-Identifier: Apache-2.0
 *
 * One lane's pass over one block of examples: packed tokens in, logits, losses and the gradient of
 * the trained parameters out. All memory, on the device and on the host, is planned and taken in
 * rn_pass_init; nothing is allocated after it.
 *
 * What a layer computes is the program of its family (trainer/model/block.h); this room walks any.
 *
 * Exact savings: no padding; backward stops at the lowest adapted module; only active matrices get
 * gradients; the last layer computes what neither a key nor a value needs for the first token of
 * each sequence only, since the head reads no other (the same bits as the plain path: each row is
 * computed in an order of its own, and gradients of absent rows are zeros). The switches turn each
 * off, to compare. With a cache the layers below the lowest adapted one are computed once per
 * example.
 */
#ifndef RN_TRAINER_PASS_H
#define RN_TRAINER_PASS_H

#include "trainer/adapter/adapter.h"
#include "trainer/data/dataset.h"
#include "trainer/pass/prefixcache.h"

struct rn_pass_options {
    uint32_t tokens;    /* most tokens of a block */
    uint32_t sequences; /* most examples of a block */
    uint32_t length;    /* most tokens of an example */
    bool training;      /* gradient memory too */
    uint32_t pieces;    /* most pieces of a block; 0 = 1 */
    struct rn_trainer_switches switches;
    struct rn_prefix_cache
        *cache; /* borrowed; NULL = compute the layers below the lowest adapted */
};

/* A layer's slots, and what backward needs beside them. First dimension: capacity in tokens; rows
 * in use vary. A slot that backward does not read is memory that layers share. */
struct rn_pass_layer {
    struct rn_mat slot[RN_SLOTS_MAX]; /* [T, width]; none for the last layer's OUT */
    /* By the slot that the step makes: NORM [T, 2] mean and rstd, ATTEND [T, heads] log-sum-exp,
     * LINEAR with an activation [T, n] what its slope needs. */
    struct rn_mat side[RN_SLOTS_MAX];
    struct rn_mat h[RN_MODULES_MAX]; /* [T, rank] of each site */
};

/* Memory for gradients of slots (passgradients.c). */
struct rn_pass_gradients {
    struct rn_slot_row rows[RN_SLOTS_MAX]; /* role and width of each buffer */
    bool per_token[RN_SLOTS_MAX];          /* else one row per sequence is enough */
    struct rn_mat mats[RN_SLOTS_MAX];
    uint8_t count;
};

/* Each example's own gradient of the active parts, instead of the block's sum (passexamples.c): its
 * whole vector, or what the vector is formed from. The matrices of the head see one row of each
 * example, so their gradients are products of two rows: parts, of which the factors are kept. The
 * factor u is the gradient of the module's bias, which is stored anyway. */
#define RN_PASS_RUNS_MAX 6
#define RN_PASS_PARTS_MAX 2
struct rn_pass_run {
    size_t place;   /* in the flat vector */
    size_t count;   /* elements */
    size_t compact; /* in the vector of the active parts */
};
struct rn_pass_examples {
    float *gradients; /* device [examples of a block][stride]; NULL: the block's sum */
    size_t count;     /* elements of the active parts */
    size_t stored;    /* the first of them, stored one by one; without parts: all */
    size_t stride;    /* floats of an example: what is stored, then factors */
    struct rn_pass_run runs[RN_PASS_RUNS_MAX]; /* in the order of the vector; parts last */
    size_t run_count;
    struct rn_outer_part parts[RN_PASS_PARTS_MAX]; /* those of the last runs */
    size_t part_count;
};

/* Sequences of a block that belong to one adapter; row and rows are found by rn_pass_split. */
struct rn_piece {
    uint32_t owner;        /* number of the adapter */
    uint32_t first, count; /* sequences */
    uint32_t row, rows;    /* tokens */
    float scale;           /* of its losses' gradient */
};

struct rn_pass {
    const struct rn_adapter *adapter;
    const struct rn_kernels *kernels;
    struct rn_lane *lane;
    struct rn_pass_options options;
    void *arena; /* device */
    size_t arena_bytes;

    /* The block. */
    const struct rn_example *examples; /* borrowed until the next load */
    struct rn_sequences sequences;
    int32_t *host_ids, *host_types, *host_positions; /* [tokens] */
    int32_t *host_cu, *host_first, *host_labels;     /* [sequences + 1], ... */
    float *host_targets;
    /* With a cache, or a family that reads rows: rows of the residual type for [tokens], as
     * computed and as known; [sequences]
     */
    uint8_t *host_rows, *host_known;
    struct rn_example *host_missing;
    rn_result failed; /* of the device while rows were fetched; told by the next losses or logits */
    struct rn_error failure;
    double *host_loss;  /* [sequences] after rn_pass_losses */
    float *host_logits; /* [sequences][labels] after rn_pass_logits */
    int32_t *ids, *types, *positions, *cu, *first, *labels; /* device */
    float *targets;
    double *loss;

    struct rn_program programs[2];        /* whole, last (block.h) */
    uint8_t gradient_of[2][RN_SLOTS_MAX]; /* buffers of their slots' gradients */
    struct rn_pass_layer *layers;
    struct rn_mat out;               /* [T, d] output of the last layer (plain path) */
    struct rn_mat cls, z, logits;    /* [S, d], [S, d], [S, labels] */
    struct rn_mat pooler_h;          /* [S, rank] of the pooler's site */
    struct rn_mat dlogits, dz, dcls; /* the same shapes */
    struct rn_pass_gradients gradients;
    struct rn_mat dh; /* [T, rank] */
    float *gradient;  /* device [piece_max][adapter->count] */

    /* Adapters, set by the caller before the first block: values of adapter i at values + i *
     * stride. */
    const float *values, *transposed;
    size_t values_stride, transposed_stride;
    struct rn_piece *pieces; /* [piece_max] */
    uint32_t piece_count, piece_max;
    int32_t *host_owner, *host_owner_first; /* [tokens], [sequences]; with several pieces */
    int32_t *owner, *owner_first;           /* device */
    struct rn_pass_examples each;
};

/* Which gradients a backward pass forms. */
struct rn_pass_active {
    enum rn_matrix matrices;
    bool head;
};

RN_MUST rn_result rn_pass_init(struct rn_pass *out, const struct rn_adapter *adapter,
                               struct rn_device *device, const struct rn_pass_options *options,
                               struct rn_error *err);
void rn_pass_clear(struct rn_pass *pass);
/* Device bytes that rn_pass_init would take, without the lane's; host bytes, with a cache or
 * without; the lane's limits. */
size_t rn_pass_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options);
size_t rn_pass_host_bytes(const struct rn_adapter *adapter, const struct rn_pass_options *options,
                          bool cache);
struct rn_lane_limits rn_pass_lane_limits(const struct rn_adapter *adapter,
                                          const struct rn_pass_options *options);

/* Packs count examples (within the limits) and sends them to the device. The examples stay where
 * they are until the forward pass is done. */
void rn_pass_load(struct rn_pass *pass, const struct rn_example *examples, uint32_t count);
/* After a load: the block is these pieces, in order and without gaps. A load makes it one piece of
 * adapter 0. */
void rn_pass_split(struct rn_pass *pass, const struct rn_piece *pieces, uint32_t count);
/* Embedding to logits. */
void rn_pass_forward(struct rn_pass *pass);
/* Losses of the block at the present logits, and with dlogits the start of backward. scale: of one
 * piece; several have their own. */
void rn_pass_loss(struct rn_pass *pass, enum rn_task task, float scale, bool want_gradient);
/* After rn_pass_loss with want_gradient: overwrites the active parts of `gradient`, of piece i from
 * i * adapter->count on. */
void rn_pass_backward(struct rn_pass *pass, const struct rn_pass_active *active);
/* Forward, loss and backward of the loaded block, from the backend's record where it keeps one. */
void rn_pass_step(struct rn_pass *pass, enum rn_task task, float scale,
                  const struct rn_pass_active *active);
/* Copies to the host (waits). */
RN_MUST rn_result rn_pass_losses(struct rn_pass *pass, struct rn_error *err);
RN_MUST rn_result rn_pass_logits(struct rn_pass *pass, struct rn_error *err);

/* All but the memory. parts: products of two rows are not stored; otherwise everything is. */
void rn_pass_examples_plan(const struct rn_adapter *adapter, const struct rn_pass_active *active,
                           bool parts, struct rn_pass_examples *out);

#endif
