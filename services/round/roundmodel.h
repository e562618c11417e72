/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared adapter between rounds, and the two steps of a round that touch it, once for both
 * programs: a trained change becomes an update ("delta to vector"), and a checked sum becomes the
 * next adapter ("sum to adapter"). Pure.
 */
#ifndef RN_SERVICES_ROUND_ROUNDMODEL_H
#define RN_SERVICES_ROUND_ROUNDMODEL_H

#include "crypto/sha256.h"
#include "policy/plan.h"
#include "services/round/roundvector.h"

struct rn_round_selection {
    const struct rn_segment *segments; /* borrowed from the trainer */
    size_t segment_count;
    size_t count;
};

struct rn_round_model {
    /* A, B and AB at index enum rn_matrix, each with the head when it is federated. */
    struct rn_round_selection selections[4];
    struct rn_round_adapter adapter; /* values owned: the adapter the next round starts from */
    uint8_t adapter_hash[RN_HASH_BYTES];
    bool shared_head;  /* the head is part of the adapter (frozen or federated) */
    float *local_head; /* owned; NULL unless the plan's head is local */
    size_t local_head_count;
};

/* Frees values and local head, wipes nothing (they are no secrets of others). */
void rn_round_model_clear(struct rn_round_model *model);
/* After a change of adapter.values from outside. */
void rn_round_model_hash(struct rn_round_model *model);

/* The vector of a round. RN_E_CONFIG as rn_round_spec_derive and rn_round_layout_init. */
RN_MUST rn_result rn_round_model_layout(const struct rn_round_model *model,
                                        const struct rn_plan *plan, uint32_t round,
                                        uint32_t start_round, struct rn_round_layout *out_layout,
                                        struct rn_error *err);

/* Adapter and local head as bytes for a record, and back. RN_E_DATA when they are not of this
 * model, or damaged; then the model is unchanged. */
void rn_round_model_write(const struct rn_round_model *model, struct rn_buffer *out);
RN_MUST rn_result rn_round_model_read(struct rn_round_model *model, struct rn_view bytes,
                                      struct rn_error *err);

/* ---- Delta to vector */

/* A trained update that is in no sum yet: an unspent one is used again in the next attempt. */
struct rn_round_update {
    bool valid;
    uint32_t round;
    uint8_t before[RN_HASH_BYTES]; /* the adapter it starts from */
    float *delta;                  /* owned; layout.delta_count */
    int64_t *whole;                /* instead of delta where the round's noise is shared */
    size_t count;
    struct rn_round_report report;
    float *start_head; /* owned: the local head that report.start is about, or NULL */
    size_t start_head_count;
};

/* delta = after - before over the round's active matrices; the model's local head is the one from
 * before. RN_E_INTERNAL when a frozen element moved (rn_round_delta). */
RN_MUST rn_result rn_round_update_take(const struct rn_round_model *model,
                                       const struct rn_round_layout *layout, const float *before,
                                       const float *after, const struct rn_round_report *report,
                                       struct rn_round_update *out, struct rn_error *err);
/* Of a round whose noise is shared: a noisy sum of the layout's delta_count whole numbers. The same
 * numbers go into every attempt of the round that this update is encoded for: a second sum with
 * noise of its own would be another release. RN_E_INTERNAL for another count. */
RN_MUST rn_result rn_round_update_take_whole(const struct rn_round_model *model,
                                             const struct rn_round_layout *layout,
                                             const float *before, const int64_t *whole,
                                             size_t count, struct rn_round_update *out,
                                             struct rn_error *err);
/* The encoder of an update, of either kind. As rn_round_encoder_init. */
RN_MUST rn_result rn_round_update_encode(const struct rn_round_update *update,
                                         const struct rn_round_layout *layout,
                                         const struct rn_secret32 *key,
                                         struct rn_round_encoder *out, struct rn_error *err);
/* Wipes and frees. */
void rn_round_update_clear(struct rn_round_update *update);
/* An update for this round from this adapter? */
bool rn_round_update_fits(const struct rn_round_update *update, uint32_t round,
                          const uint8_t before[static RN_HASH_BYTES]);

/* ---- Sum to adapter */

/* Elements [first, first + count) of a checked sum (rn_sa_*_sum_read). */
struct rn_round_sum {
    rn_result (*read)(const void *context, uint64_t first, uint32_t count, uint64_t *out,
                      struct rn_error *err);
    const void *context;
    uint32_t contributors;
};

/* What the sum says beside the deltas, before anything is applied. Fails as rn_round_model_apply.
 */
RN_MUST rn_result rn_round_sum_total(const struct rn_round_layout *layout,
                                     const struct rn_round_sum *sum,
                                     struct rn_round_total *out_total, struct rn_error *err);

/* The mean is added to the adapter, and its hash renewed. Nothing changes on failure: class ROUND
 * when the sum cannot come from that many honest vectors. */
RN_MUST rn_result rn_round_model_apply(struct rn_round_model *model,
                                       const struct rn_round_layout *layout,
                                       const struct rn_round_sum *sum,
                                       struct rn_round_total *out_total, struct rn_error *err);

/* The hash that rn_round_model_apply would give, with nothing changed; that of the adapter as it is
 * when the sum cannot come from that many honest vectors, because then nothing follows from it. */
RN_MUST rn_result rn_round_model_preview(const struct rn_round_model *model,
                                         const struct rn_round_layout *layout,
                                         const struct rn_round_sum *sum,
                                         uint8_t out_hash[static RN_HASH_BYTES],
                                         struct rn_error *err);

#endif
