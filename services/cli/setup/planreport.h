/* SPDX-License-Identifier: Apache-2.0
 *
 * A plan in words and as JSON: `rondo plan show` and `rondo plan check`.
 */
#ifndef RN_SERVICES_CLI_SETUP_PLANREPORT_H
#define RN_SERVICES_CLI_SETUP_PLANREPORT_H

#include <jansson.h>
#include <stdio.h>

#include "policy/plan.h"
#include "policy/signature.h"
#include "services/cli/setup/planmodel.h"

struct rn_plan_view {
    const struct rn_plan *plan;
    const struct rn_roster *roster; /* NULL: none yet */
    uint32_t members;               /* 0: not known */
    bool feasible;
    const char *reason; /* why not, "" otherwise */
    struct rn_plan_numbers numbers;
    bool has_cost;
    struct rn_plan_cost cost;
    const struct rn_plan_signers *signers; /* NULL: none */
    const char *policy;                    /* NULL: no policy here; "accepted" or a reason code */
    const char *policy_detail;             /* its sentence, "" when accepted */
};

void rn_plan_print_text(const struct rn_plan_view *view, bool all_fields, FILE *out);
json_t *rn_plan_json(const struct rn_plan_view *view);

/* The value of one field of the plan's table: number, truth value, text, or a list of them. */
json_t *rn_plan_field_json(const struct rn_field *field, const void *data);

#endif
