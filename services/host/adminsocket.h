/* SPDX-License-Identifier: Apache-2.0
 *
 * The unix socket in a service's state directory, and a word through it to the service that runs
 * with a site directory. Whoever asks reads site.yaml, to find the state directory, and nothing
 * else of the site: no key, no model.
 */
#ifndef RN_SERVICES_HOST_ADMINSOCKET_H
#define RN_SERVICES_HOST_ADMINSOCKET_H

#include "base/bytes.h"
#include "base/file.h"

/* Both block; RN_E_UNAVAILABLE when no service runs there, RN_E_TIMEOUT when it does not answer. */
RN_MUST rn_result rn_adminsocket_ask(const char *directory, const char *request,
                                     uint32_t timeout_ms, struct rn_buffer *out,
                                     struct rn_error *err);
/* By the gRPC health service: can it do its work? */
RN_MUST rn_result rn_adminsocket_health(const char *directory, uint32_t timeout_ms,
                                        bool *out_serving, struct rn_error *err);

#endif
