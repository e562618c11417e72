/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be done to a process before gRPC core wakes up in it.
 */
#include <grpc/support/log.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/guard.h"
#include "crypto/tlspolicy.h"
#include "services/rpc/rpc.h"

/* Variables by which the environment could print decrypted bytes, reroute connections or swap
 * roots. */
static const char *const forbidden[] = {
    "GRPC_TRACE", "GRPC_VERBOSITY", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "http_proxy", "https_proxy",    "grpc_proxy",
    "no_proxy",   "no_grpc_proxy",  "GRPC_SSL_CIPHER_SUITES",
    "HTTP_PROXY", "HTTPS_PROXY",    "GRPC_EXPERIMENTAL_AUTOFLOWCONTROL",
};

static atomic_uint_fast64_t core_lines;

/* The text may come from a peer: it is counted, never written. Called on core's threads. */
static void count_line(gpr_log_func_args *line)
{
    (void)line;
    atomic_fetch_add(&core_lines, 1);
}

rn_result rn_rpc_setup(struct rn_error *err)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(forbidden); i++) {
        RN_ENSURE(unsetenv(forbidden[i]) == 0, err, RN_E_SYSTEM,
                  "the environment cannot be cleaned");
    }
    /* Names resolve as everywhere else on this machine (nsswitch, /etc/hosts), not by c-ares. */
    RN_ENSURE(setenv("GRPC_DNS_RESOLVER", "native", 1) == 0, err, RN_E_SYSTEM,
              "the environment cannot be cleaned");
    gpr_set_log_function(count_line);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    RN_ENSURE(sigaction(SIGPIPE, &ignore, NULL) == 0, err, RN_E_SYSTEM,
              "SIGPIPE cannot be ignored");
    return rn_tls_policy_apply(err);
}

uint64_t rn_rpc_core_log_count(void)
{
    return atomic_exchange(&core_lines, 0);
}
