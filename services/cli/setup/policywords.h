/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy in words: what it lets the operator's plans do, clause by clause. `rondo join` prints it
 * beside the file, so that nobody concedes what he has not read.
 */
#ifndef RN_SERVICES_CLI_SETUP_POLICYWORDS_H
#define RN_SERVICES_CLI_SETUP_POLICYWORDS_H

#include "policy/rules.h"

#define RN_POLICY_CLAUSES 9
#define RN_POLICY_CLAUSE_TEXT 512

struct rn_policy_clause {
    const char *name; /* the section of policy.yaml, or "metrics" */
    char text[RN_POLICY_CLAUSE_TEXT];
};

/* Fills all of them, in the order of the file; a long list of names ends in "...". */
void rn_policy_words(const struct rn_policy *policy,
                     struct rn_policy_clause out[static RN_POLICY_CLAUSES]);

#endif
