/* SPDX-License-Identifier: Apache-2.0
 *
 * The model of a federation at one site: the trainer opened by plan and site, its data, and the
 * shared adapter that the rounds change (services/round/roundmodel.h). The adapter belongs to the
 * state machine that it is lent to; the trainer is used by whoever runs a job (modeljob.h), one at
 * a time.
 */
#ifndef RN_SERVICES_HOST_SITEMODEL_H
#define RN_SERVICES_HOST_SITEMODEL_H

#include "services/host/sitefiles.h"
#include "services/round/roundmodel.h"

struct rn_site_model {
    struct rn_trainer *trainer;
    const struct rn_site_files *site;
    struct rn_dataset *train; /* member only */
    struct rn_dataset *dev;   /* NULL when the site has none */
    size_t train_count;
    struct rn_round_model round;
};

/* Opens the model, refusing with RN_E_MEMORY what would not fit: with_train training, otherwise
 * evaluation. The adapter is the plan's start: A from the seed, B zero (or
 * likewise: trainer.h). */
RN_MUST rn_result rn_site_model_open(const struct rn_site_files *site, bool with_train,
                                     struct rn_site_model **out, struct rn_error *err);
/* Opens the site's data: what to judge adapters on, if given, and with_train what to train on. */
RN_MUST rn_result rn_site_model_open_data(struct rn_site_model *model, bool with_train,
                                          struct rn_error *err);
void rn_site_model_free(struct rn_site_model *model);

#endif
