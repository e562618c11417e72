/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of `rondo init` and `rondo plan new` that make a plan.
 */
#ifndef RN_SERVICES_CLI_SETUP_PLANOPTIONS_H
#define RN_SERVICES_CLI_SETUP_PLANOPTIONS_H

#include "policy/plan.h"

/* What stood on the command line. labels and targets: "a,b", split at commas. */
struct rn_plan_template {
    const char *federation, *name;
    uint64_t seed, rounds;
    const char *method, *weights;
    uint64_t max_examples;
    const char *metrics;
    const char *model_hash; /* hex */
    uint64_t max_length;
    const char *task, *labels, *metric;
    uint64_t rank;
    double alpha;
    bool rslora;
    const char *init, *targets, *head;
    const char *optimizer;
    double lr_a, lr_b, lr_head, weight_decay;
    const char *schedule;
    uint64_t warmup_steps;
    double clip;
    uint64_t batch, steps;
    uint64_t colluding, losses, honest, bits;
    double scale;
    uint64_t train_soft, train_hard, stage_soft, stage_hard, upload_rate, attempts;
    const char *coordinator; /* hex */
};

/* The plan that they ask for, with what a new plan holds for everything else. RN_E_CONFIG with the
 * field when one is out of range. */
RN_MUST rn_result rn_plan_from_options(const struct rn_plan_template *options,
                                       struct rn_plan *out_plan, struct rn_error *err);

#endif
