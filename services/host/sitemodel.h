/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of a federation at one site: the trainer opened by plan and site, the shared adapter as
 * one flat vector with its hash, and what a round needs from it. The vector belongs to the loop's
 * thread; the trainer inside is used by whoever runs a job (modeljob.h), one at a time.
 */
#ifndef RN_SERVICES_HOST_SITEMODEL_H
#define RN_SERVICES_HOST_SITEMODEL_H

#include "crypto/secagg/params.h"
#include "services/host/sitefiles.h"
#include "services/round/roundvector.h"

struct rn_site_selection {
    const struct rn_segment *segments;
    size_t segment_count;
    size_t count;
};

struct rn_site_model {
    struct rn_trainer *trainer;
    const struct rn_site_files *site;
    struct rn_dataset *train; /* member only */
    struct rn_dataset *dev;   /* NULL when the site has none */
    size_t train_count;
    /* A, B and AB at index enum rn_matrix, each with the head when it is federated. */
    struct rn_site_selection selections[4];
    struct rn_round_adapter adapter; /* values: the adapter the next round starts from */
    uint8_t adapter_hash[RN_HASH_BYTES];
    bool shared_head;  /* the head is part of the adapter (frozen or federated) */
    float *local_head; /* NULL unless the plan's head is local */
    size_t local_head_count;
};

/* Opens the model, refusing with RN_E_MEMORY what would not fit: with_train training, otherwise
 * evaluation. The adapter is the plan's start: A from the seed, B zero. */
RN_MUST rn_result rn_site_model_open(const struct rn_site_files *site, bool with_train,
                                     struct rn_site_model **out, struct rn_error *err);
/* Opens the site's data: what to judge adapters on, if given, and with_train what to train on. */
RN_MUST rn_result rn_site_model_open_data(struct rn_site_model *model, bool with_train,
                                          struct rn_error *err);
void rn_site_model_free(struct rn_site_model *model);

/* The vector of a round. */
RN_MUST rn_result rn_site_model_layout(const struct rn_site_model *model, uint32_t round,
                                       struct rn_round_layout *out_layout, struct rn_error *err);

/* Parameters and context of a session at (round, attempt), starting from `adapter_hash`. */
RN_MUST rn_result rn_site_model_context(const struct rn_site_model *model, uint32_t round,
                                        uint32_t attempt, const uint8_t adapter_hash[static 32],
                                        struct rn_sa_params *out_params,
                                        struct rn_sa_context *out_context, struct rn_error *err);

/* Applies the sum over `members` to the adapter and its hash. Nothing changes on failure. */
RN_MUST rn_result rn_site_model_apply(struct rn_site_model *model,
                                      const struct rn_round_layout *layout, const uint64_t *sum,
                                      uint32_t members, struct rn_round_total *out_total,
                                      struct rn_error *err);

/* Adapter and local head as bytes for the journal, and back. RN_E_DATA when they are not of this
 * model. */
void rn_site_model_write(const struct rn_site_model *model, struct rn_buffer *out);
RN_MUST rn_result rn_site_model_read(struct rn_site_model *model, struct rn_view bytes,
                                     struct rn_error *err);

/* Largest vector of any round of the plan as packed bytes: what one member sends. */
RN_MUST rn_result rn_site_model_upload_bytes(const struct rn_site_model *model, uint64_t *out_bytes,
                                             struct rn_error *err);

#endif
