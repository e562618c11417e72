/* SPDX-License-Identifier: Apache-2.0
 *
 * What both long-running programs share: how they are started, and how a process prepares itself.
 */
#ifndef RN_SERVICES_HOST_SERVICE_H
#define RN_SERVICES_HOST_SERVICE_H

#include "base/result.h"
#include "services/federation/jobevent.h"

struct rn_service_options {
    const char *directory; /* site directory, as made by `rondo init` or `rondo join` */
    struct rn_job_listener listener;
    bool quiet_log; /* warnings and errors only, whatever site.yaml says */
};

/* Secrets, signals, TLS. Once, first thing in main, before any thread. */
RN_MUST rn_result rn_service_setup(struct rn_error *err);

/* main of a program whose only operand is the site directory: parses argv, sets up, runs, prints a
 * failure as one sentence, and returns the exit code. */
int rn_service_main(const char *program, int argc, char **argv,
                    rn_result (*run)(const struct rn_service_options *options,
                                     struct rn_error *err));

#endif
