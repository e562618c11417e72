/* SPDX-License-Identifier: Apache-2.0
 *
 * A word to the service that runs with a site directory, through the unix socket in its state
 * directory.
 */
#ifndef RN_SERVICES_CLI_SETUP_ADMINSOCKET_H
#define RN_SERVICES_CLI_SETUP_ADMINSOCKET_H

#include "base/bytes.h"
#include "base/file.h"

/* RN_E_UNAVAILABLE when no service runs there, RN_E_TIMEOUT when it does not answer. */
RN_MUST rn_result rn_adminsocket_ask(const char *directory, const char *request,
                                     uint32_t timeout_ms, struct rn_buffer *out,
                                     struct rn_error *err);

#endif
