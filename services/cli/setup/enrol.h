/* SPDX-License-Identifier: Apache-2.0
 *
 * Bringing members in, at the operator's directory: invitations out, requests in, welcomes out.
 *
 *     invitations/NAME.invite   not answered yet (holds a one-time token)
 *     members/NAME.request      accepted
 *     members/NAME.crt          certificate issued for it
 *     welcome/NAME.welcome      for the member, once everyone invited is there
 *
 * The roster says who is a member; everything else can be made again from it. A run that stops
 * half-way is completed by the next one.
 */
#ifndef RN_SERVICES_CLI_SETUP_ENROL_H
#define RN_SERVICES_CLI_SETUP_ENROL_H

#include "services/cli/setup/setupfiles.h"

#define RN_ENROL_DAYS 365       /* certificates and roster entries */
#define RN_ENROL_INVITE_DAYS 30 /* invitations */
#define RN_ENROL_CA_DAYS 3650

/* Writes directory/invitations/NAME.invite. RN_E_CONFIG when the name is a member already or
 * invited already. The directory may be one that is still being made: nothing but ca.crt,
 * plan.yaml and identity_key is read. */
RN_MUST rn_result rn_enrol_invite(const char *directory, const struct rn_plan *plan,
                                  const struct rn_roster *roster, const char *name,
                                  const char *address, uint64_t now_wall_ms, struct rn_error *err);

/* The same check without writing. names[0..count) must also be distinct. */
RN_MUST rn_result rn_enrol_names_check(const char *directory, const struct rn_roster *roster,
                                       const char *const *names, size_t count,
                                       struct rn_error *err);

/* Checks every request file, then issues certificates and extends roster and plan. All or none. */
RN_MUST rn_result rn_enrol_accept(struct rn_setup *setup, const char *const *files, size_t count,
                                  uint64_t now_wall_ms, uint32_t days, struct rn_error *err);

/* Brings the roster hash in plan.yaml in line with the roster, before anybody signs. */
RN_MUST rn_result rn_enrol_bind(struct rn_setup *setup, struct rn_error *err);

/* Certificates of the coordinator and of every member anew, from the requests that were accepted,
 * and roster entries until `days` from now. The roster is another one then, so is the plan: every
 * member takes its new welcome and signs. */
RN_MUST rn_result rn_enrol_renew(struct rn_setup *setup, uint64_t now_wall_ms, uint32_t days,
                                 struct rn_error *err);

/* Invitations without an answer. */
RN_MUST rn_result rn_enrol_pending(const char *directory, size_t *out_count, char *out_names,
                                   size_t capacity, struct rn_error *err);

/* Signs the plan as coordinator, writes plan.yaml.sigs and a welcome for every member of the
 * roster. RN_E_CONFIG with the reason when the plan does not suit the roster. setup holds the plan
 * and roster as they are on disk. */
RN_MUST rn_result rn_enrol_finish(struct rn_setup *setup, struct rn_error *err);

#endif
