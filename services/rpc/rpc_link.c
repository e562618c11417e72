/* SPDX-License-Identifier: Apache-2.0
 *
 * A link keeps its streams to one peer open: Session first, Bulk once Session stands. When Session
 * ends, Bulk is cancelled, and after a growing, jittered delay both are dialled again, on a new
 * channel when the certificate was replaced meanwhile.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "services/rpc/rpc_internal.h"

#define LINK_MAGIC 0x6b6e696cU
/* A stream that lived this long resets the delay. */
#define STEADY_MS 10000U
#define BACKOFF_GROWTH_MAX 20U

struct rn_rpc_link {
    uint32_t magic;
    struct rn_rpc *rpc;
    struct rn_rpc_link *next;
    char target[RN_RPC_ADDRESS_MAX + 1];
    struct rn_peer expected;
    bool with_bulk;
    bool dropped;
    bool reporting; /* inside on_link_down, which may drop the link */
    grpc_channel *channel;
    uint64_t generation; /* of the credentials in channel */
    struct rn_rpc_stream *streams[RN_RPC_KINDS];
    bool session_open;
    uint64_t timers[RN_RPC_KINDS];
    uint32_t delay_ms;
    void *user;
};

static struct rn_rpc_link *link_of(void *owner)
{
    struct rn_rpc_link *link = owner;
    RN_BUG_IF(link->magic != LINK_MAGIC);
    return link;
}

static void channel_drop(struct rn_rpc_link *link)
{
    if (link->channel != NULL) {
        grpc_channel_destroy(link->channel);
        link->channel = NULL;
    }
}

static void link_free(struct rn_rpc_link *link)
{
    struct rn_rpc_link **at = &link->rpc->links;
    while (*at != link) {
        at = &(*at)->next;
    }
    *at = link->next;
    channel_drop(link);
    link->magic = 0;
    rn_free(link);
}

static void channel_make(struct rn_rpc_link *link)
{
    /* Streams on the old channel live on when it is destroyed. */
    if (link->channel != NULL && link->generation == link->rpc->creds.generation) {
        grpc_channel_reset_connect_backoff(link->channel); /* ours is the only delay */
        return;
    }
    channel_drop(link);
    struct rn_rpc_args args;
    rn_rpc_args_client(link->rpc, &args);
    grpc_channel_credentials *credentials =
        rn_rpc_creds_client(&link->rpc->creds, link->expected.id, &link->generation);
    link->channel = grpc_channel_create(link->target, credentials, &args.list);
    grpc_channel_credentials_release(credentials);
}

static void dial(struct rn_rpc_link *link, enum rn_rpc_kind kind)
{
    if (link->dropped || link->rpc->stopping || link->streams[kind] != NULL) {
        return;
    }
    channel_make(link);
    link->streams[kind] = rn_rpc_stream_dial(link->rpc, link, link->channel, kind);
}

static void dial_session(void *argument)
{
    struct rn_rpc_link *link = link_of(argument);
    link->timers[RN_RPC_SESSION] = 0;
    dial(link, RN_RPC_SESSION);
}

static void dial_bulk(void *argument)
{
    struct rn_rpc_link *link = link_of(argument);
    link->timers[RN_RPC_BULK] = 0;
    if (link->session_open) {
        dial(link, RN_RPC_BULK);
    }
}

static void dial_later(struct rn_rpc_link *link, enum rn_rpc_kind kind)
{
    const uint64_t jitter = rn_clock_monotonic_ns() / 1000U % (link->delay_ms / 4U + 1U);
    rn_rpc_timer_cancel(link->rpc, link->timers[kind]);
    link->timers[kind] = rn_rpc_timer(link->rpc, link->delay_ms + jitter,
                                      kind == RN_RPC_SESSION ? dial_session : dial_bulk, link);
    const uint32_t most = link->rpc->config.backoff_ms * BACKOFF_GROWTH_MAX;
    link->delay_ms = link->delay_ms * 8U / 5U < most ? link->delay_ms * 8U / 5U : most;
}

rn_result rn_rpc_link(struct rn_rpc *rpc, const char *target, const char *expected_id,
                      bool with_bulk, struct rn_rpc_link **out, struct rn_error *err)
{
    struct rn_peer expected;
    RN_TRY(rn_rpc_address_check(target, false, err));
    RN_ENSURE(rn_is_ok(rn_peer_parse(expected_id, strlen(expected_id), &expected, err)), err,
              RN_E_CONFIG,
              "the peer at %s needs an id of the form spiffe://FEDERATION/coordinator or "
              "spiffe://FEDERATION/member/NAME",
              target);
    struct rn_rpc_link *link = rn_alloc(1, sizeof(*link));
    link->magic = LINK_MAGIC;
    link->rpc = rpc;
    link->expected = expected;
    link->with_bulk = with_bulk;
    link->delay_ms = rpc->config.backoff_ms;
    RN_BUG_IF(!rn_text_format(link->target, sizeof(link->target), "%s", target));
    link->next = rpc->links;
    rpc->links = link;
    link->timers[RN_RPC_SESSION] = rn_rpc_timer(rpc, 0, dial_session, link);
    *out = link;
    return rn_ok();
}

static void timers_cancel(struct rn_rpc_link *link)
{
    for (unsigned kind = 0; kind < RN_RPC_KINDS; kind++) {
        rn_rpc_timer_cancel(link->rpc, link->timers[kind]);
        link->timers[kind] = 0;
    }
}

static bool has_stream(const struct rn_rpc_link *link)
{
    return link->streams[RN_RPC_SESSION] != NULL || link->streams[RN_RPC_BULK] != NULL;
}

void rn_rpc_link_drop(struct rn_rpc_link *link)
{
    link->dropped = true;
    timers_cancel(link);
    for (unsigned kind = 0; kind < RN_RPC_KINDS; kind++) {
        if (link->streams[kind] != NULL) {
            rn_rpc_stream_close(link->streams[kind], (rn_result){RN_E_UNAVAILABLE});
        }
    }
    if (!has_stream(link) && !link->reporting) {
        link_free(link);
    }
}

void rn_rpc_link_stream_open(struct rn_rpc_link *link, struct rn_rpc_stream *stream)
{
    if (rn_rpc_stream_kind(stream) != RN_RPC_SESSION) {
        return;
    }
    link->session_open = true;
    if (link->with_bulk && !link->dropped) {
        link->timers[RN_RPC_BULK] = rn_rpc_timer(link->rpc, 0, dial_bulk, link);
    }
}

static void session_ended(struct rn_rpc_link *link)
{
    if (link->session_open) {
        channel_drop(link); /* each session proves its identity anew, on its own connection */
    }
    link->session_open = false;
    rn_rpc_timer_cancel(link->rpc, link->timers[RN_RPC_BULK]);
    link->timers[RN_RPC_BULK] = 0;
    if (link->streams[RN_RPC_BULK] != NULL) {
        rn_rpc_stream_close(link->streams[RN_RPC_BULK], (rn_result){RN_E_UNAVAILABLE});
    }
}

void rn_rpc_link_stream_ended(struct rn_rpc_link *link, struct rn_rpc_stream *stream,
                              const struct rn_rpc_end *end, uint64_t lived_ms)
{
    const struct rn_rpc_callbacks *callbacks = &link->rpc->config.callbacks;
    const enum rn_rpc_kind kind = rn_rpc_stream_kind(stream);
    link->streams[kind] = NULL;
    if (kind == RN_RPC_SESSION) {
        session_ended(link);
    }
    if (lived_ms >= STEADY_MS) {
        link->delay_ms = link->rpc->config.backoff_ms;
    }
    if (lived_ms == 0 && !link->dropped && !link->rpc->stopping &&
        callbacks->on_link_down != NULL) {
        link->reporting = true;
        callbacks->on_link_down(callbacks->user, link, end);
        link->reporting = false;
    }
    if (link->dropped) {
        if (!has_stream(link)) {
            link_free(link);
        }
        return;
    }
    const bool final = lived_ms == 0 && rn_class_of(end->result) == RN_CLASS_STOP;
    if (!link->rpc->stopping && !final && (kind == RN_RPC_SESSION || link->session_open)) {
        dial_later(link, kind);
    }
}

const struct rn_peer *rn_rpc_link_expected(const struct rn_rpc_link *link)
{
    return &link->expected;
}

void rn_rpc_link_set_user(struct rn_rpc_link *link, void *user)
{
    link->user = user;
}

void *rn_rpc_link_user(const struct rn_rpc_link *link)
{
    return link->user;
}

void rn_rpc_links_stop(struct rn_rpc *rpc)
{
    for (struct rn_rpc_link *link = rpc->links; link != NULL; link = link->next) {
        timers_cancel(link);
    }
}

void rn_rpc_links_free(struct rn_rpc *rpc)
{
    while (rpc->links != NULL) {
        RN_BUG_IF(has_stream(rpc->links));
        link_free(rpc->links);
    }
}
