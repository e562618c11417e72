/* SPDX-License-Identifier: Apache-2.0
 *
 * What both long-running programs share: how they are started, and how a process prepares itself.
 */
#ifndef RN_SERVICES_HOST_SERVICE_H
#define RN_SERVICES_HOST_SERVICE_H

#include "base/result.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/commands.h"
#include "services/federation/jobevent.h"

struct rn_service_options {
    const char *directory; /* site directory, as made by `rondo init` or `rondo join` */
    struct rn_job_listener listener;
    bool quiet_log;       /* on stderr warnings and errors only, whatever site.yaml says */
    const char *log_file; /* NULL: service.log in the state directory */
    bool stay;            /* jobhoststay.c */
};

/* Secrets, signals, TLS. Once, first thing in main, before any thread. */
RN_MUST rn_result rn_service_setup(struct rn_error *err);

/* The command of a program whose only operand is the site directory, with these options: asks the
 * service that runs (--health), or sets up and serves. */
struct rn_service_settings {
    bool health, stay;
    uint64_t timeout_s;
};
extern const struct rn_option_group rn_service_groups[];
RN_MUST rn_result rn_service_command(const struct rn_command *command,
                                     rn_result (*serve)(const struct rn_service_options *options,
                                                        struct rn_error *err),
                                     struct rn_error *err);

/* How a service can end, and what both programs say of themselves in help and manual. */
#define RN_SERVICE_EXITS RN_EXITS(65, 66, 69, 71, 75, 76, 77, 78, 79, 80, 81, 82)
#define RN_SERVICE_DETAIL                                                                        \
    "Runs the service of the site directory SITE in the foreground, as a service manager wants " \
    "it: log lines on standard error, SIGTERM ends it in order, a second SIGTERM at once. "      \
    "`rondo run SITE` does the same with progress for a person.\n\n"                             \
    "--health is for container health checks and probes: it asks the service that runs with "    \
    "SITE over the socket in its state directory and prints `serving` or `not serving`, with "   \
    "exit code 0 or 75; 75 too where none runs. It reads site.yaml alone.\n\n"                   \
    "--stay is for supervisors that start again whatever ends (a StatefulSet of Kubernetes): "   \
    "when the job has ended well, the process keeps its state directory and answers --health "   \
    "and `rondo status`, with no port and no connection open, until SIGTERM or SIGINT. A job "   \
    "that ended otherwise, or by a signal, ends the process as without it. At a coordinator a "  \
    "member that missed the end finds nobody then: start the coordinator again for it."

#endif
