/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a member joins: the roster of a welcome against the keys that the member's policy pins. The
 * operator hands both out, so a roster that is new here counts only once its fingerprint, as the
 * other organisations read it out, was given.
 */
#ifndef RN_SERVICES_CLI_SETUP_JOINROSTER_H
#define RN_SERVICES_CLI_SETUP_JOINROSTER_H

#include "services/cli/setup/setupfiles.h"

#include <jansson.h>
#include <stdio.h>

/* The members with their fingerprints and what is new about them, then the roster's fingerprint. */
void rn_roster_print(const struct rn_setup *setup, FILE *out);

/* {"fingerprint", "members": [{"name", "key", "fingerprint"}]}, a new reference. */
json_t *rn_roster_json(const struct rn_roster *roster);

/* Whom to call: of a wide roster members drawn here (joincalls.h), and why they are enough. */
RN_MUST rn_result rn_roster_calls_print(const struct rn_setup *setup, FILE *out,
                                        struct rn_error *err);
/* Their names, a new reference. */
RN_MUST rn_result rn_roster_calls_json(const struct rn_setup *setup, json_t **out,
                                       struct rn_error *err);

/* RN_OK when the policy pins this roster, or `given` is its fingerprint; then *out_policy is the
 * text that policy.yaml has to have, empty when it stays. RN_E_REFUSED when neither, or when a
 * member that is pinned has another key: no fingerprint confirms that. */
RN_MUST rn_result rn_roster_confirm(const struct rn_setup *setup, const char *given,
                                    struct rn_buffer *out_policy, struct rn_error *err);

#endif
