/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of `rondo init` and `rondo plan new` that make a plan. Defaults, bounds and choices
 * are those of the plan's fields (tests/unit/services/test_setup_text.c compares them).
 */
#ifndef RN_SERVICES_CLI_SETUP_PLANOPTIONS_H
#define RN_SERVICES_CLI_SETUP_PLANOPTIONS_H

#include "policy/plan.h"
#include "services/cli/kit/commands.h"

/* What stood on the command line. labels and targets: "a,b", split at commas. */
struct rn_plan_options {
    const char *name;
    uint64_t seed, rounds;
    const char *method, *weights;
    uint64_t max_examples;
    const char *metrics, *coordinator, *kem;
    bool evaluation, keep_best;
    uint64_t patience;
    double min_delta;
    uint64_t max_length;
    const char *task, *labels, *metric;
    uint64_t rank;
    double alpha;
    bool rslora;
    const char *init, *targets, *head;
    const char *optimizer;
    double lr, lr_head, weight_decay;
    const char *schedule;
    uint64_t warmup_steps;
    double clip;
    uint64_t batch, steps;
    const char *dp_clipping, *dp_mode;
    double dp_rate, dp_noise, dp_clip, dp_denominator;
    uint64_t dp_retries, dp_reply;
    uint64_t colluding, losses, honest, bits;
    double scale;
    uint64_t train_soft, train_hard, stage_soft, stage_hard, upload_rate, attempts;
};

extern const struct rn_option rn_plan_job_options[];
extern const struct rn_option rn_plan_adapter_options[];
extern const struct rn_option rn_plan_training_options[];
extern const struct rn_option rn_plan_privacy_options[];
extern const struct rn_option rn_plan_secagg_options[];

/* Rows of a command's groups; base: where its settings hold the struct. */
#define RN_PLAN_OPTION_GROUPS(base)                                                             \
    {"Plan: job", rn_plan_job_options, base}, {"Plan: adapter", rn_plan_adapter_options, base}, \
        {"Plan: training", rn_plan_training_options, base},                                     \
        {"Plan: differential privacy", rn_plan_privacy_options, base},                          \
    {                                                                                           \
        "Plan: secure aggregation", rn_plan_secagg_options, base                                \
    }

/* The paths of the plan's fields that this option sets, ended by NULL; NULL: no such option. */
const char *const *rn_plan_option_paths(const char *option);

/* Changes the fields whose options stood on the command line; the others stay. RN_E_USAGE names
 * the option that does not fit. */
RN_MUST rn_result rn_plan_options_apply(const struct rn_command *command,
                                        const struct rn_plan_options *options, struct rn_plan *plan,
                                        struct rn_error *err);

/* Not more tokens than the model knows, for a length that nobody asked for. */
RN_MUST rn_result rn_plan_length_fit(const char *model, struct rn_plan *plan, struct rn_error *err);

#endif
