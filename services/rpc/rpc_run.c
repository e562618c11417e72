/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole: opening, one step after the other, and the shutdown ladder:
 *
 *   stop      no new stream, GOAWAY to clients, links dial no more; open streams live on
 *   grace     over, or nothing open any more: cancel what is left
 *   ended     the server is down, core knows no call of ours, no slot is armed
 */
#include <string.h>

#include "base/alloc.h"
#include "services/rpc/rpc_core.h"
#include "services/rpc/rpc_link.h"
#include "services/rpc/rpc_server.h"
#include "services/rpc/rpc_stream.h"
#include "services/rpc/rpc_unary.h"

#define INSPECT_MS 5000U

static void inspect(void *argument)
{
    struct rn_rpc *rpc = argument;
    rn_rpc_streams_inspect(rpc);
    rn_rpc_unaries_inspect(rpc);
    (void)rn_rpc_timer(rpc, INSPECT_MS, inspect, rpc);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void defaults(struct rn_rpc_config *config, enum rn_peer_role role)
{
    const size_t quota =
        role == RN_PEER_COORDINATOR ? RN_RPC_QUOTA_COORDINATOR : RN_RPC_QUOTA_MEMBER;
    config->quota_bytes = config->quota_bytes != 0 ? config->quota_bytes : quota;
    config->stream_seconds = config->stream_seconds != 0 ? config->stream_seconds : 45 * 60;
    config->keepalive_ms = config->keepalive_ms != 0 ? config->keepalive_ms : 60000;
    config->backoff_ms = config->backoff_ms != 0 ? config->backoff_ms : 500;
}

static rn_result identity_check(struct rn_rpc *rpc, struct rn_error *err)
{
    const struct rn_rpc_config *config = &rpc->config;
    RN_TRY(rn_rpc_creds_init(&rpc->creds, &config->material, rn_rpc_wall_ms(rpc), err));
    const char *federation = config->federation != NULL ? config->federation : "";
    if (!rn_text_format(rpc->federation, sizeof(rpc->federation), "%s", federation) ||
        (federation[0] != '\0' && strcmp(federation, rpc->creds.self.federation) != 0)) {
        const rn_result other =
            rn_fail(err, RN_E_IDENTITY,
                    "the TLS certificate is for federation %s, the configuration says %s",
                    rpc->creds.self.federation, federation);
        rn_rpc_creds_clear(&rpc->creds);
        return other;
    }
    return rn_ok();
}

rn_result rn_rpc_open(const struct rn_rpc_config *config, struct rn_rpc **out, struct rn_error *err)
{
    RN_ENSURE(config->callbacks.authorize != NULL, err, RN_E_INTERNAL,
              "rpc cannot open without an authorize callback");
    struct rn_rpc *rpc = rn_alloc(1, sizeof(*rpc));
    rpc->config = *config;
    const rn_result usable = identity_check(rpc, err);
    if (!rn_is_ok(usable)) {
        rn_free(rpc);
        return usable;
    }
    defaults(&rpc->config, rpc->creds.self.role);
    rn_rpc_core_open(rpc);
    rpc->inbox = rn_alloc(RN_RPC_MESSAGE_MAX, 1);
    rpc->server_down = true; /* until there is one */
    (void)rn_rpc_timer(rpc, INSPECT_MS, inspect, rpc);
    *out = rpc;
    return rn_ok();
}

/* --- own certificate -------------------------------------------------------------------------- */

rn_result rn_rpc_reload(struct rn_rpc *rpc, const struct rn_rpc_material *material,
                        struct rn_error *err)
{
    return rn_rpc_creds_replace(&rpc->creds, material, rn_rpc_wall_ms(rpc), err);
}

const struct rn_peer *rn_rpc_self(const struct rn_rpc *rpc)
{
    return &rpc->creds.self;
}

int64_t rn_rpc_certificate_seconds_left(const struct rn_rpc *rpc)
{
    return ((int64_t)rpc->creds.self.not_after_ms - (int64_t)rn_rpc_wall_ms(rpc)) / 1000;
}

/* --- shutdown --------------------------------------------------------------------------------- */

void rn_rpc_stop(struct rn_rpc *rpc, uint32_t grace_ms)
{
    rn_rpc_core_want_stop(rpc, rn_rpc_now_ms() + grace_ms);
}

bool rn_rpc_is_stopping(const struct rn_rpc *rpc)
{
    return rpc->stopping;
}

static void stop_advance(struct rn_rpc *rpc)
{
    const bool wanted = rn_rpc_core_stop_wanted(rpc, &rpc->stop_at_ms);
    if (wanted && !rpc->stopping) {
        rpc->stopping = true;
        rn_rpc_links_stop(rpc);
        rn_rpc_server_shutdown(rpc);
    }
    if (!rpc->stopping || rpc->ended) {
        return;
    }
    if (!rpc->cancelled && (rpc->streams == NULL || rn_rpc_now_ms() >= rpc->stop_at_ms)) {
        rpc->cancelled = true;
        rn_rpc_streams_cancel_all(rpc);
        rn_rpc_unaries_cancel_all(rpc);
        rn_rpc_server_cancel_all(rpc);
    }
    if (rpc->cancelled && rpc->server_down && rpc->live_calls == 0 && rpc->slots == 0) {
        rn_rpc_core_shut(rpc);
        rpc->ended = true;
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static uint64_t wait_for(const struct rn_rpc *rpc, uint32_t most_ms)
{
    const uint64_t wait = rn_rpc_core_wait(rpc, most_ms);
    if (rpc->ended) {
        return 0;
    }
    if (!rpc->stopping || rpc->cancelled) {
        return wait;
    }
    const uint64_t now = rn_rpc_now_ms();
    const uint64_t left = rpc->stop_at_ms > now ? rpc->stop_at_ms - now : 0;
    return left < wait ? left : wait;
}

bool rn_rpc_step(struct rn_rpc *rpc, uint32_t wait_ms)
{
    if (rpc->ended) {
        return false;
    }
    stop_advance(rpc);
    rn_rpc_core_turn(rpc, wait_for(rpc, wait_ms));
    stop_advance(rpc);
    return !rpc->ended;
}

void rn_rpc_run(struct rn_rpc *rpc)
{
    while (rn_rpc_step(rpc, 3600U * 1000U)) {
    }
}

void rn_rpc_close(struct rn_rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    rn_rpc_stop(rpc, 0);
    rn_rpc_run(rpc);
    rn_rpc_core_run_posted(rpc); /* what was accepted just before the end still runs */
    rn_rpc_server_destroy(rpc);
    rn_rpc_links_free(rpc);
    rn_rpc_core_close(rpc);
    rn_rpc_creds_clear(&rpc->creds);
    rn_free(rpc->inbox);
    rn_free(rpc);
    grpc_shutdown();
}

size_t rn_rpc_live_calls(const struct rn_rpc *rpc)
{
    return rpc->live_calls;
}
