/* SPDX-License-Identifier: Apache-2.0
 *
 * What state/ holds is the job of one plan: the one whose signatures lie beside it. When another
 * plan takes its place, the job is kept:
 *
 *     state/...                 the job of plan.yaml
 *     state/jobs/HASH/...       an earlier one, under the first 16 digits of its plan's hash, with
 *                               its plan.yaml, roster and plan.yaml.sigs
 *
 * and when an earlier plan comes back, so does its job: what was spent in it stays spent.
 *
 * A crash in the middle leaves a directory without plan.yaml.sigs, which no service runs, and the
 * next call completes the move.
 */
#ifndef RN_SERVICES_CLI_SETUP_JOBS_H
#define RN_SERVICES_CLI_SETUP_JOBS_H

#include "base/file.h"
#include "policy/plan.h"
#include "policy/site.h"

/* Call before plan.yaml, roster or plan.yaml.sigs of the directory are replaced by those of the
 * plan with this hash. *out_kept: where the job before lies now, "" when there was none. Does
 * nothing for the plan that is signed already. RN_E_BUSY while a service uses state/. */
RN_MUST rn_result rn_job_switch(const char *directory, const struct rn_site *site,
                                const uint8_t plan_hash[static 32],
                                char out_kept[static RN_PATH_MAX], struct rn_error *err);

/* Training is deterministic, so two jobs that begin with the same model and seed send about the
 * same updates, and their sums over different members differ by one member's update. RN_E_REFUSED,
 * with the folder, when this plan is another one than that of a job which ran here but begins like
 * it. */
RN_MUST rn_result rn_job_start_check(const char *directory, const struct rn_site *site,
                                     const struct rn_plan *plan, struct rn_error *err);

#endif
