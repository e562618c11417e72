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

rn_result rn_service_begin(const struct rn_command *command, struct rn_service_options *out,
                           struct rn_error *err)
{
    *out =
        (struct rn_service_options){.directory = command->operands[0], .quiet_log = command->quiet};
    return rn_service_setup(err);
}
