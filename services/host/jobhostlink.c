/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's side: rpc's callbacks, signals, the local socket.
 */
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/host/jobhost.h"

static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    struct rn_jobhost *host = user;
    (void)kind;
    (void)renewal;
    return host->program->authorize(host, peer);
}

static void on_open(void *user, struct rn_rpc_stream *stream)
{
    rn_peerstreams_opened(((struct rn_jobhost *)user)->streams, stream);
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    rn_peerstreams_message(((struct rn_jobhost *)user)->streams, stream, message);
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    rn_peerstreams_writable(((struct rn_jobhost *)user)->streams, stream);
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    rn_peerstreams_closed(((struct rn_jobhost *)user)->streams, stream, end);
}

/* ---- Dialling */

static void on_link_down(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *end)
{
    struct rn_jobhost *host = user;
    const struct rn_input input = {.kind = RN_INPUT_UNREACHABLE,
                                   .peer = (uint32_t)(uintptr_t)rn_rpc_link_user(link),
                                   .code = end->result.code,
                                   .text = end->detail};
    (void)rn_executor_post(host->executor, &input);
}

rn_result rn_jobhost_link(struct rn_jobhost *host, const char *address, uint32_t who,
                          struct rn_error *err)
{
    char id[RN_PEER_ID_MAX + 1];
    struct rn_rpc_link *link = NULL;
    rn_site_files_peer_id(host->site, who, id);
    RN_TRY(rn_rpc_link(host->rpc, address, id, true, &link, err));
    rn_rpc_link_set_user(link, (void *)(uintptr_t)who);
    return rn_ok();
}

/* ---- Local socket */

static bool is_serving(void *user)
{
    return atomic_load(&((struct rn_jobhost *)user)->serving);
}

/* The first snapshot was made before the socket was. */
rn_result rn_jobhost_answer_status(struct rn_jobhost *host, bool staying, struct rn_buffer *answer)
{
    uint64_t made_ms = 0;
    rn_buffer_format(answer, "{");
    rn_statusboard_read(&host->board, answer, &made_ms);
    rn_buffer_format(answer, ",");
    rn_credwatch_status(host->rpc, answer);
    rn_buffer_format(answer, ",\"staying\":%s,\"snapshot_age_ms\":%llu,\"loop_pause_max_ms\":%llu}",
                     staying ? "true" : "false",
                     (unsigned long long)(rn_clock_monotonic_ms() - made_ms),
                     (unsigned long long)rn_loopmeter_max_ms(&host->meter));
    return rn_ok();
}

/* "abort", a newline, and why. */
static rn_result take_abort(struct rn_jobhost *host, struct rn_view reason,
                            struct rn_buffer *answer)
{
    char text[RN_ABORT_TEXT_MAX + 1];
    RN_TRY(rn_abort_text_check(reason, NULL));
    memcpy(text, reason.data, reason.length);
    text[reason.length] = '\0';
    const struct rn_input input = {.kind = RN_INPUT_ABORT, .text = text};
    (void)rn_executor_post(host->executor, &input);
    rn_buffer_format(answer, "{\"aborting\":true,\"role\":\"%s\"}",
                     host->program->role == RN_SITE_MEMBER ? "member" : "coordinator");
    return rn_ok();
}

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    static const char abort_word[] = "abort\n";
    const size_t word = sizeof(abort_word) - 1;
    if (request.length >= word && memcmp(request.data, abort_word, word) == 0) {
        return take_abort(user, rn_view_of(request.data + word, request.length - word), answer);
    }
    if (rn_view_equal(request, rn_view_text("status"))) {
        return rn_jobhost_answer_status(user, false, answer);
    }
    return rn_fail(NULL, RN_E_UNSUPPORTED, "unknown request");
}

void rn_jobhost_callbacks(struct rn_jobhost *host, struct rn_rpc_callbacks *out)
{
    *out = (struct rn_rpc_callbacks){
        .user = host,
        .authorize = authorize,
        .on_open = on_open,
        .on_message = on_message,
        .on_writable = on_writable,
        .on_closed = on_closed,
        .on_link_down = on_link_down,
        .is_serving = is_serving,
        .admin = admin,
    };
    rn_loopmeter_wrap(&host->meter, out);
}

/* ---- The plan's signatures */

static void on_signatures(void *context, struct rn_view text)
{
    const struct rn_input input = {.kind = RN_INPUT_SIGNATURES, .bytes = text};
    (void)rn_executor_post(((struct rn_jobhost *)context)->executor, &input);
}

static void on_unread(void *context, const struct rn_error *err)
{
    (void)context;
    rn_log(RN_LOG_WARN, "signatures.unread", RN_LOG_TEXT(RN_F_DETAIL, err->text));
}

void rn_jobhost_watch_signatures(struct rn_jobhost *host)
{
    const struct rn_site_signatures_options options = {.directory = host->site->directory,
                                                       .on_text = on_signatures,
                                                       .on_unread = on_unread,
                                                       .context = host};
    host->signatures = rn_site_signatures_watch_new(host->rpc, &options);
}

/* ---- Signals */

void rn_jobhost_hangup(void *context)
{
    const struct rn_jobhost *host = context;
    rn_credwatch_reload(host->credentials);
    rn_site_signatures_watch_reload(host->signatures);
}

void rn_jobhost_signal(void *context, unsigned count)
{
    struct rn_jobhost *host = context;
    const struct rn_input input = {.kind = RN_INPUT_DRAIN, .count = count};
    (void)rn_executor_post(host->executor, &input);
    if (count > 1) {
        rn_model_jobs_hurry(host->jobs);
        rn_rpc_stop(host->rpc, 0);
    }
}
