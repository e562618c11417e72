/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML files that `rondo init` and `rondo join` write for people to read and change: plan,
 * policy, site configuration. Each parses under its schema (a test proves it).
 */
#ifndef RN_SERVICES_CLI_SETUP_SETUPTEXT_H
#define RN_SERVICES_CLI_SETUP_SETUPTEXT_H

#include "base/bytes.h"
#include "policy/plan.h"
#include "policy/site.h"

/* Appends text as a double-quoted YAML scalar. Control characters become spaces. */
void rn_setup_quote(struct rn_buffer *out, const char *text);

/* The plan's text with comments. labels: "a,b" split at commas; targets likewise. */
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
void rn_setup_plan_text(const struct rn_plan_template *plan, struct rn_buffer *out);

/* A policy whose bounds just hold the plan, for the member to narrow. */
void rn_setup_policy_text(const struct rn_plan *plan, struct rn_buffer *out);

/* --text, --label, --data-format and --no-header into the data section of site.yaml. */
struct rn_setup_columns {
    const char *text, *label, *format;
    bool no_header;
};
RN_MUST rn_result rn_setup_columns(const struct rn_setup_columns *columns,
                                   struct rn_site_data *data, struct rn_error *err);

/* site.yaml of a struct. */
void rn_setup_site_text(const struct rn_site *site, struct rn_buffer *out);

#endif
