/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan against what a site has: whether the base model and the data files suit it, and what its
 * rounds cost there. Every gate asks the same functions: init, invite, join, sign, doctor.
 */
#ifndef RN_SERVICES_CLI_SETUP_PLANMODEL_H
#define RN_SERVICES_CLI_SETUP_PLANMODEL_H

#include "services/cli/setup/setupfiles.h"

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

/* The model directory holds exactly the plan's base model. out_hash (32 bytes) may be NULL.
 * RN_E_CONFIG otherwise. */
RN_MUST rn_result rn_plan_base_check(const struct rn_plan *plan, const char *model_dir,
                                     uint8_t *out_hash, struct rn_error *err);

struct rn_plan_examples {
    size_t train, dev; /* 0 when the site has no such file */
};

/* Opens the model as the plan wants it (target modules and layers exist, max_length is within what
 * the model knows) and reads the data files, where data names some, as a round would: columns are
 * there, every record is tokenised, every label is known to the plan. directory is the site's, for
 * relative paths. RN_E_USAGE for a fault of data's own settings (a column that is not there). */
RN_MUST rn_result rn_plan_site_check(const struct rn_plan *plan, const char *model_dir,
                                     const char *directory, const struct rn_site_data *data,
                                     struct rn_plan_examples *out, struct rn_error *err);

/* The same for a directory that is set up: base, model, data and the number of training examples of
 * its site.yaml against its plan.yaml. Faults of site.yaml are RN_E_CONFIG here. */
RN_MUST rn_result rn_plan_setup_check(const struct rn_setup *setup, struct rn_plan_examples *out,
                                      struct rn_error *err);

#endif
