/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/service.h"

#include <stdio.h>

#include "base/guard.h"
#include "crypto/setup.h"
#include "services/host/adminsocket.h"
#include "services/host/sigwatch.h"
#include "services/rpc/rpc.h"

rn_result rn_service_setup(struct rn_error *err)
{
    RN_TRY(rn_sigwatch_setup(err));
    RN_TRY(rn_crypto_setup(err));
    return rn_rpc_setup(err);
}

static const struct rn_option rows[] = {
    {"health", RN_OPT_FLAG(struct rn_service_settings, health),
     .help = "ask the service that runs with SITE whether it serves, and serve nothing"},
    {"timeout", RN_OPT_COUNT(struct rn_service_settings, timeout_s, "SECONDS"), .fallback = "5",
     RN_BOUNDS_TIMEOUT, .help = "with --health: how long to wait for the service's answer"},
    {"stay", RN_OPT_FLAG(struct rn_service_settings, stay),
     .help = "do not exit when the job has ended well, but stay until SIGTERM or SIGINT"},
    {NULL}};

const struct rn_option_group rn_service_groups[] = {{"Service", rows, 0}, {NULL}};

static rn_result ask_health(const struct rn_command *command, struct rn_error *err)
{
    const struct rn_service_settings *s = command->settings;
    bool serving = false;
    RN_TRY(
        rn_adminsocket_health(command->operands[0], (uint32_t)s->timeout_s * 1000U, &serving, err));
    if (!command->quiet) {
        printf("%s\n", serving ? "serving" : "not serving");
    }
    RN_ENSURE(serving, err, RN_E_UNAVAILABLE,
              "%s: the service runs, but does not serve: it is about to end", command->operands[0]);
    return rn_ok();
}

rn_result rn_service_command(const struct rn_command *command,
                             rn_result (*serve)(const struct rn_service_options *options,
                                                struct rn_error *err),
                             struct rn_error *err)
{
    const struct rn_service_settings *s = command->settings;
    RN_ENSURE(!(s->health && s->stay), err, RN_E_USAGE,
              "--health asks a service that runs already: --stay is for the one that serves");
    RN_ENSURE(s->health || !rn_command_given(command, "timeout"), err, RN_E_USAGE,
              "--timeout is for --health alone");
    if (s->health) {
        return ask_health(command, err);
    }
    const struct rn_service_options options = {
        .directory = command->operands[0], .quiet_log = command->quiet, .stay = s->stay};
    RN_TRY(rn_service_setup(err));
    return serve(&options, err); /* cppcheck-suppress returnDanglingLifetime; a result is a code */
}
