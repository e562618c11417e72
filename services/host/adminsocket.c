/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/adminsocket.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "services/host/sitefiles.h"
#include "services/rpc/rpc.h"

/* The socket of a site; TLS is pinned before core is used. */
static rn_result find(const char *directory, char out[static RN_PATH_MAX], struct rn_error *err)
{
    char state[RN_PATH_MAX];
    struct rn_site *RN_CLEANUP(rn_free_cleanup) site = rn_alloc(1, sizeof(*site));
    RN_TRY(rn_rpc_setup(err));
    RN_TRY(rn_site_files_configuration(directory, site, err));
    RN_TRY(rn_site_path(state, directory, site->state, err));
    return rn_path_join(out, state, RN_SITE_SOCKET, err);
}

rn_result rn_adminsocket_ask(const char *directory, const char *request, uint32_t timeout_ms,
                             struct rn_buffer *out, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(find(directory, path, err));
    return rn_rpc_local_admin(path, request, timeout_ms, out, err);
}

rn_result rn_adminsocket_health(const char *directory, uint32_t timeout_ms, bool *out_serving,
                                struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(find(directory, path, err));
    return rn_rpc_local_health(path, "", timeout_ms, out_serving, err);
}
