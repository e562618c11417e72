/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/run/adminsocket.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "policy/site.h"
#include "services/rpc/rpc.h"

/* site.yaml is a page of text. */
#define SITE_FILE_MAX ((size_t)1 << 20)
#define SOCKET_NAME "admin.sock"

static rn_result socket_of(const char *directory, char out[static RN_PATH_MAX],
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char state[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_path_join(path, directory, "site.yaml", err));
    const rn_result read = rn_file_read(path, SITE_FILE_MAX, &text, err);
    if (!rn_is_ok(read)) {
        return rn_fail_context(err, read, "%s is no site directory", directory);
    }
    RN_CLEANUP(rn_free_cleanup) struct rn_site *site = rn_alloc(1, sizeof(*site));
    RN_TRY(rn_site_parse(rn_buffer_view(&text), path, site, err));
    RN_TRY(rn_site_path(state, directory, site->state, err));
    return rn_path_join(out, state, SOCKET_NAME, err);
}

rn_result rn_adminsocket_ask(const char *directory, const char *request, uint32_t timeout_ms,
                             struct rn_buffer *out, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_rpc_setup(err));
    RN_TRY(socket_of(directory, path, err));
    return rn_rpc_local_admin(path, request, timeout_ms, out, err);
}
