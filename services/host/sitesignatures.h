/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.yaml.sigs in a site's directory while a service runs: written when more signatures came over
 * the wire, and looked at again when somebody else (`rondo plan sign`) has changed it. Whether what
 * stands in it holds is judged by the state machine that gets it (RN_INPUT_SIGNATURES).
 */
#ifndef RN_SERVICES_HOST_SITESIGNATURES_H
#define RN_SERVICES_HOST_SITESIGNATURES_H

#include "base/bytes.h"
#include "crypto/roster.h"

#define RN_SITE_SIGNATURES "plan.yaml.sigs"
#define RN_SITE_SIGNATURES_PERIOD_MS 1000U

struct rn_rpc;

/* Puts text (rn_signatures_write, all verified) in the place of the file, atomically and durably.
 * Signatures of the same plan that hold and came into the file meanwhile stay. RN_E_CONFIG when it
 * is for another plan now: then it is left alone. */
RN_MUST rn_result rn_site_signatures_keep(const char *directory, const struct rn_roster *roster,
                                          struct rn_view text, struct rn_error *err);

/* ---- Watching. Everything happens on the loop's thread. */

struct rn_site_signatures_options {
    const char *directory; /* copied */
    uint32_t period_ms;    /* 0: RN_SITE_SIGNATURES_PERIOD_MS */
    /* The file has changed and then stood still for a period: what it holds. */
    void (*on_text)(void *context, struct rn_view text);
    /* It cannot be read, or is longer than such a file may be. */
    void (*on_unread)(void *context, const struct rn_error *err);
    void *context;
};

struct rn_site_signatures_watch;

/* The first look tells what the file holds: it may have changed since the service read it. */
struct rn_site_signatures_watch *
rn_site_signatures_watch_new(struct rn_rpc *rpc, const struct rn_site_signatures_options *options);
/* Reads now, changed or not: for SIGHUP. */
void rn_site_signatures_watch_reload(struct rn_site_signatures_watch *watch);
/* After rn_rpc_close, which drops its timer. NULL is fine. */
void rn_site_signatures_watch_free(struct rn_site_signatures_watch *watch);

#endif
