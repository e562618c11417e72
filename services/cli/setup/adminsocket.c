/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/adminsocket.h"

#include "base/guard.h"
#include "services/cli/setup/setupfiles.h"
#include "services/rpc/rpc.h"

rn_result rn_adminsocket_ask(const char *directory, const char *request, uint32_t timeout_ms,
                             struct rn_buffer *out, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char state[RN_PATH_MAX];
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(rn_rpc_setup(err));
    RN_TRY(rn_setup_begin(directory, &setup, err));
    RN_TRY(rn_setup_load_site(setup, err));
    RN_TRY(rn_site_path(state, directory, setup->site.state, err));
    RN_TRY(rn_path_join(path, state, "admin.sock", err));
    return rn_rpc_local_admin(path, request, timeout_ms, out, err);
}
