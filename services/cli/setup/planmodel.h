/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plan costs on a given base model: the size of each kind of round.
 */
#ifndef RN_SERVICES_CLI_SETUP_PLANMODEL_H
#define RN_SERVICES_CLI_SETUP_PLANMODEL_H

#include "policy/plan.h"
#include "policy/site.h"

struct rn_plan_cost {
    uint64_t elements[4]; /* vector of a round by its matrices (RN_PLAN_MATRIX_ bits); 0 unused */
    uint64_t bytes[4];    /* one member's upload in such a round */
    uint64_t bytes_max;   /* the largest round of the plan */
    uint64_t bytes_lora;  /* a round that trained both matrices (FedAvg-LoRA), for comparison */
};

/* Opens the model (its weights are read) and lays out the plan's adapter on it. members as in
 * numbers. */
RN_MUST rn_result rn_plan_cost_compute(const struct rn_plan *plan,
                                       const struct rn_plan_numbers *numbers, const char *model_dir,
                                       struct rn_plan_cost *out_cost, struct rn_error *err);

/* Opens the model and reads a data file as a round would: every record is tokenised, every label
 * known to the plan. directory is the site's, for relative paths. */
RN_MUST rn_result rn_plan_data_count(const struct rn_plan *plan, const char *model_dir,
                                     const char *directory, const struct rn_site_data *data,
                                     size_t *out_train, size_t *out_dev, struct rn_error *err);

#endif
