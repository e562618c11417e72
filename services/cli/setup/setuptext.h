/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML files that `rondo init` and `rondo join` write for people to read and change: plan,
 * policy, site configuration. Each parses under its schema (a test proves it).
 */
#ifndef RN_SERVICES_CLI_SETUP_SETUPTEXT_H
#define RN_SERVICES_CLI_SETUP_SETUPTEXT_H

#include "base/bytes.h"
#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/site.h"

/* A plan as a file, each field with its meaning (rn_plan_defaults fills one to change). */
void rn_setup_plan_text(const struct rn_plan *plan, struct rn_buffer *out);

/* A policy whose bounds just hold the plan, for the member to narrow. promise: lineage, unit, rows,
 * records_max, epsilon, delta and, where they are not 0, order and epsilon_plan of its section
 * `privacy`; epsilon 0: it has none. */
void rn_setup_policy_text(const struct rn_plan *plan, const struct rn_policy_privacy *promise,
                          struct rn_buffer *out);

/* --text, --label, --data-format, --encoding and --no-header into the data section of site.yaml. */
struct rn_setup_columns {
    const char *text, *label, *format, *encoding;
    bool no_header;
};
RN_MUST rn_result rn_setup_columns(const struct rn_setup_columns *columns,
                                   struct rn_site_data *data, struct rn_error *err);

/* site.yaml of a struct, in the current version. */
void rn_setup_site_text(const struct rn_site *site, struct rn_buffer *out);

#endif
