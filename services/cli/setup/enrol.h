/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing members in, at the operator's directory: invitations out, requests in, welcomes out.
 *
 *     invitations/NAME.invite   not answered yet (holds a one-time token); follows plan.yaml
 *     members/NAME.request      accepted
 *     members/NAME.crt          certificate issued for it
 *     welcome/NAME.welcome      for the member, once everyone invited is there
 *     renewals/NAME.renewal     a new certificate for the member
 *
 * The roster says who is a member; everything else can be made again from it. A run that stops
 * half-way is completed by the next one.
 */
#ifndef RN_SERVICES_CLI_SETUP_ENROL_H
#define RN_SERVICES_CLI_SETUP_ENROL_H

#include "services/cli/setup/setupfiles.h"

#define RN_ENROL_DAYS 365       /* certificates */
#define RN_ENROL_INVITE_DAYS 30 /* invitations */
#define RN_ENROL_CA_DAYS 3650
/* A welcome of more members holds the coordinator's signature of the plan alone. */
#define RN_ENROL_WELCOME_SIGNERS 128

/* Writes directory/invitations/NAME.invite with a new token; an invitation of that name which was
 * not used, expired or not, is worth nothing afterwards. RN_E_CONFIG when the name is a member
 * already. The directory may be one that is still being made: nothing but ca.crt and plan.yaml is
 * read. */
RN_MUST rn_result rn_enrol_invite(const char *directory, const struct rn_plan *plan,
                                  const struct rn_roster *roster, const char *name,
                                  const char *address, uint64_t now_wall_ms, struct rn_error *err);

/* The same check without writing. names[0..count) must also be distinct. */
RN_MUST rn_result rn_enrol_names_check(const struct rn_roster *roster, const char *const *names,
                                       size_t count, struct rn_error *err);

/* Brings the plan inside every open invitation in line with plan.yaml; tokens and dates stay, so a
 * copy that a member holds already can still be answered. */
RN_MUST rn_result rn_enrol_refresh(const struct rn_setup *setup, size_t *out_changed,
                                   struct rn_error *err);

/* Checks every request file, then issues certificates and extends roster and plan. All or none.
 * out_stale counts members whose invitation held another plan than plan.yaml: the policy that came
 * with it may refuse this one. */
RN_MUST rn_result rn_enrol_accept(struct rn_setup *setup, const char *const *files, size_t count,
                                  uint64_t now_wall_ms, uint32_t days, size_t *out_stale,
                                  struct rn_error *err);

/* Brings the roster hash in plan.yaml in line with the roster, before anybody signs. Where a job
 * ran with the roster before, the seed is drawn anew (rn_job_start_check), and the job is kept. */
RN_MUST rn_result rn_enrol_bind(struct rn_setup *setup, struct rn_error *err);
/* The same in memory alone, whatever the plan says about its roster. */
RN_MUST rn_result rn_enrol_rebind(struct rn_setup *setup, struct rn_error *err);

/* Certificates anew until `days` from now, from the requests that were accepted: of the named
 * members and, under the name "coordinator", the coordinator's own; without names of everybody.
 * Roster, plan and signatures stay as they are, so a job goes on over it. */
RN_MUST rn_result rn_enrol_renew(struct rn_setup *setup, const char *const *names, size_t count,
                                 uint64_t now_wall_ms, uint32_t days, struct rn_error *err);

/* Takes members out of the roster, binds the plan to the smaller one, signs it as coordinator and
 * writes welcomes for those who stay. The job before is kept: *out_kept as in rn_job_switch.
 * RN_E_CONFIG when the plan does not hold for so few; nothing has changed then. */
RN_MUST rn_result rn_enrol_remove(struct rn_setup *setup, const char *const *names, size_t count,
                                  char out_kept[static RN_PATH_MAX], struct rn_error *err);

/* Invitations without an answer. */
RN_MUST rn_result rn_enrol_pending(const char *directory, size_t *out_count, char *out_names,
                                   size_t capacity, struct rn_error *err);

/* Signs the plan as coordinator, writes plan.yaml.sigs and a welcome for every member of the
 * roster; the job of a plan that was signed before is kept (jobs.h). RN_E_CONFIG with the reason
 * when the plan does not suit the roster. setup holds the plan and roster as they are on disk. */
RN_MUST rn_result rn_enrol_finish(struct rn_setup *setup, struct rn_error *err);

#endif
