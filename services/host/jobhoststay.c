/* SPDX-License-Identifier: Apache-2.0
 *
 * After the end of a job: the process stays, holds the state directory, and answers Health and
 * `status` on the local socket, on a transport of its own that has no port and no link.
 */
#include "base/guard.h"
#include "base/log.h"
#include "services/host/jobhost.h"

/* There is no way in for a peer. */
static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    (void)user;
    (void)peer;
    (void)kind;
    (void)renewal;
    return rn_fail(NULL, RN_E_UNAVAILABLE, "the job is over");
}

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    RN_ENSURE(rn_view_equal(request, rn_view_text("status")), NULL, RN_E_UNSUPPORTED,
              "the job is over");
    return rn_jobhost_answer_status(user, true, answer);
}

static void on_signal(void *context, unsigned count)
{
    (void)count;
    rn_rpc_stop(((struct rn_jobhost *)context)->rpc, 0);
}

static rn_result open_local(struct rn_jobhost *host, struct rn_error *err)
{
    const struct rn_rpc_callbacks callbacks = {
        .user = host, .authorize = authorize, .admin = admin};
    RN_TRY(rn_credfiles_read(host->site->directory, &host->site->credentials, err));
    RN_TRY(rn_jobhost_open_rpc(host, &callbacks, err));
    rn_sigwatch_free(RN_TAKE(host->signals));
    RN_TRY(rn_sigwatch_new(host->rpc, on_signal, host, &host->signals, err));
    return rn_site_files_listen_local(host->site, host->rpc, err);
}

rn_result rn_jobhost_stay(struct rn_jobhost *host, struct rn_error *err)
{
    const rn_result opened = open_local(host, err);
    if (!rn_is_ok(opened)) {
        return rn_fail_context(err, opened, "the job is done, but the service cannot stay");
    }
    rn_log(RN_LOG_INFO, "service.stay",
           RN_LOG_TEXT(RN_F_DETAIL, "the job is done; SIGTERM ends the service"));
    rn_rpc_run(host->rpc);
    return rn_ok();
}
