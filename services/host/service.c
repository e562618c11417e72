/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/service.h"

#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/setup.h"
#include "services/host/sigwatch.h"
#include "services/rpc/rpc.h"

rn_result rn_service_setup(struct rn_error *err)
{
    RN_TRY(rn_sigwatch_setup(err));
    RN_TRY(rn_crypto_setup(err));
    return rn_rpc_setup(err);
}

static int print_help(const char *program)
{
    (void)printf(
        "Usage: %s SITE\n\n"
        "Runs the service of the site directory SITE in the foreground, as a service\n"
        "manager wants it: log lines on standard error, SIGTERM ends it in order, a second\n"
        "SIGTERM at once. `rondo run SITE` does the same with progress for a person.\n\n"
        "Exit codes: 0 done or stopped in order, 64 usage, 65 damaged file, 66 file\n"
        "missing, 71 system, 74 disk full or I/O, 75 try again (busy, port in use),\n"
        "76 peer, 78 configuration, 79 refused by policy, 80 identity, 82 incomplete.\n",
        program);
    return 0;
}

int rn_service_main(const char *program, int argc, char **argv,
                    rn_result (*run)(const struct rn_service_options *options,
                                     struct rn_error *err))
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return print_help(program);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("%s %s\n", program, RN_VERSION);
        return 0;
    }
    struct rn_error err = {0};
    rn_result result = rn_ok();
    if (argc != 2 || argv[1][0] == '-') {
        result = rn_fail(&err, RN_E_USAGE, "usage: %s SITE (see --help)", program);
    }
    if (rn_is_ok(result)) {
        result = rn_service_setup(&err);
    }
    if (rn_is_ok(result)) {
        const struct rn_service_options options = {.directory = argv[1]};
        result = run(&options, &err);
    }
    if (!rn_is_ok(result)) {
        (void)fprintf(stderr, "%s: %s\n", program, err.text);
    }
    return rn_exit_code(result);
}
