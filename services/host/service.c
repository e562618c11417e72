/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/service.h"

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

rn_result rn_service_command_run(const struct rn_command *command, rn_service_run_fn run,
                                 struct rn_error *err)
{
    const struct rn_service_options options = {.directory = command->operands[0],
                                               .quiet_log = command->quiet};
    RN_TRY(rn_service_setup(err));
    return (rn_result){run(&options, err).code}; /* cppcheck takes it for the options' address */
}
