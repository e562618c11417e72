/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything a service reads from its site directory before it starts, checked in the order that
 * fails closed: configuration, identity, roster, plan, signatures, and at a member its own policy,
 * all before data is touched. One struct, immutable afterwards. Signatures of the plan that the
 * policy misses are no fault: they may come over the wire, and nothing is trained before they have
 * (federation/partsigners.c).
 */
#ifndef RN_SERVICES_HOST_SITEFILES_H
#define RN_SERVICES_HOST_SITEFILES_H

#include "base/file.h"
#include "crypto/identity.h"
#include "crypto/roster.h"
#include "crypto/secagg/params.h"
#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/signature.h"
#include "policy/site.h"
#include "services/host/credfiles.h"
#include "services/rpc/rpc.h"

#define RN_SITE_SOCKET "admin.sock" /* in the state directory */

struct rn_site_files {
    char directory[RN_PATH_MAX];
    char state[RN_PATH_MAX];
    char model[RN_PATH_MAX];
    struct rn_site site;
    struct rn_plan plan;
    struct rn_plan_numbers numbers;
    struct rn_roster roster;
    struct rn_buffer roster_bytes;        /* exact */
    struct rn_plan_signatures signatures; /* each verified */
    struct rn_plan_signers signers;
    struct rn_policy policy; /* member only */
    struct rn_identity *identity;
    uint32_t self;                   /* place in the roster; RN_SA_COORDINATOR at the coordinator */
    struct rn_credfiles credentials; /* until rn_rpc_open has taken them */
    uint8_t base_hash[32];           /* of the local model directory; equals the plan's */
};

/* site.yaml alone. RN_E_NO_INPUT where the directory is no site's, RN_E_CONFIG. */
RN_MUST rn_result rn_site_files_configuration(const char *directory, struct rn_site *out,
                                              struct rn_error *err);

/* Loads and checks for the role. RN_E_CONFIG, RN_E_NO_INPUT, RN_E_IDENTITY, RN_E_REFUSED (with the
 * policy's reason code in the sentence), RN_E_PEER_AUTH for a wrong signature. */
RN_MUST rn_result rn_site_files_open(const char *directory, enum rn_site_role role,
                                     struct rn_site_files **out, struct rn_error *err);
/* Wipes the keys. NULL is fine. */
void rn_site_files_free(struct rn_site_files *site);

/* "spiffe://<federation>/coordinator" or ".../member/<name>". */
void rn_site_files_peer_id(const struct rn_site_files *site, uint32_t who,
                           char out[static RN_PEER_ID_MAX + 1]);

/* What this site's state is bound to for ever: role and identity. The job in it is that of one plan
 * (RN_RECORD_PLAN); certificates are no part of it, so that renewing one changes nothing. Cleared
 * by the caller. */
void rn_site_files_binding(const struct rn_site_files *site, struct rn_buffer *out);

/* The rpc configuration without callbacks; material is borrowed from the site. */
void rn_site_files_rpc(const struct rn_site_files *site, struct rn_rpc_config *out_config);

/* Opens what site.yaml says: the listener (unless the site only dials) and the local socket of
 * `rondo status` (a warning when it cannot be had), and starts the transport. */
RN_MUST rn_result rn_site_files_listen(const struct rn_site_files *site, struct rn_rpc *rpc,
                                       struct rn_error *err);
/* The local socket alone. */
RN_MUST rn_result rn_site_files_listen_local(const struct rn_site_files *site, struct rn_rpc *rpc,
                                             struct rn_error *err);

#endif
