/* SPDX-License-Identifier: Apache-2.0
 *
 * What both long-running programs share: how they are started, and how a process prepares itself.
 */
#ifndef RN_SERVICES_HOST_SERVICE_H
#define RN_SERVICES_HOST_SERVICE_H

#include "base/result.h"
#include "services/cli/kit/commands.h"
#include "services/federation/jobevent.h"

struct rn_service_options {
    const char *directory; /* site directory, as made by `rondo init` or `rondo join` */
    struct rn_job_listener listener;
    bool quiet_log;       /* on stderr warnings and errors only, whatever site.yaml says */
    const char *log_file; /* NULL: service.log in the state directory */
};

/* Secrets, signals, TLS. Once, first thing in main, before any thread. */
RN_MUST rn_result rn_service_setup(struct rn_error *err);

/* The command of a program whose only operand is the site directory: sets up, and says what to
 * run. */
RN_MUST rn_result rn_service_begin(const struct rn_command *command, struct rn_service_options *out,
                                   struct rn_error *err);

/* How a service can end, and what both programs say of themselves in help and manual. */
#define RN_SERVICE_EXITS RN_EXITS(65, 66, 69, 71, 75, 76, 77, 78, 79, 80, 81, 82)
#define RN_SERVICE_DETAIL                                                                        \
    "Runs the service of the site directory SITE in the foreground, as a service manager wants " \
    "it: log lines on standard error, SIGTERM ends it in order, a second SIGTERM at once. "      \
    "`rondo run SITE` does the same with progress for a person."

#endif
