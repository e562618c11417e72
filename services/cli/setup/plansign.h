/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing the plan at a site: checks first, then one signature, then the files.
 */
#ifndef RN_SERVICES_CLI_SETUP_PLANSIGN_H
#define RN_SERVICES_CLI_SETUP_PLANSIGN_H

#include "policy/jobledger.h"
#include "services/cli/setup/planmodel.h"

/* At a member: plan, roster and policy are checked (the base model's files are hashed), and that
 * its ledger of jobs allows it. At the coordinator: plan against roster. Then signs, takes over
 * every signature of the given files (all must verify), and writes plan.yaml.sigs; a member also
 * NAME.signature, its own alone. Nothing is written when a check fails. RN_E_REFUSED with the
 * reason code when the policy refuses. */
RN_MUST rn_result rn_plan_sign(struct rn_setup *setup, const char *const *files, size_t count,
                               struct rn_plan_signers *out_signers, struct rn_error *err);

/* What the policy says about the plan, without signing and without the bound of its upload, which
 * needs the model (rn_policy_check_upload). *out_reason is a stable code. */
RN_MUST rn_result rn_plan_policy_check(const struct rn_setup *setup, const uint8_t model_hash[32],
                                       const char **out_reason, struct rn_error *err);

/* The same with that bound: opens the model, whose hash is given. RN_E_REFUSED with the reason code
 * in the sentence. */
RN_MUST rn_result rn_plan_policy_decide(const struct rn_setup *setup, const char *model,
                                        const uint8_t model_hash[32], struct rn_plan_cost *out_cost,
                                        struct rn_error *err);

/* Roster and plan belong together, and this site belongs to them. */
RN_MUST rn_result rn_plan_parties_check(const struct rn_setup *setup,
                                        const struct rn_identity *identity, struct rn_error *err);

/* At a member: may this identity's updates go into the plan, after the jobs that they went into
 * (policy/jobledger.h)? RN_E_DATA when the ledger lacks one that lies in state. *out_ledger is what
 * it holds, also where the plan is refused; empty when it could not be read. */
RN_MUST rn_result rn_plan_ledger_check(const struct rn_setup *setup,
                                       struct rn_job_ledger *out_ledger, struct rn_error *err);

#endif
