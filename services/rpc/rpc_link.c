/* SPDX-License-Identifier: Apache-2.0
 *
 * A link keeps its streams to one peer open: Session first, Bulk once Session stands. When Session
 * ends, Bulk is cancelled, and after a growing, jittered delay both are dialled again, on a new
 * channel when the certificate was replaced meanwhile. A peer that refused for good is dialled
 * again too, ever more rarely: somebody may mend it. A session that has lived its time is renewed
 * while nothing travels.
 */
#include "services/rpc/rpc_link.h"

#include <string.h>

#include "base/alloc.h"
#include "services/rpc/address.h"
#include "services/rpc/rpc_args.h"
#include "services/rpc/rpc_stream.h"

#define LINK_MAGIC 0x6b6e696cU
/* A stream that lived this long resets the delay. */
#define STEADY_MS 10000U
/* The delay grows up to so many times the first one ... */
#define BACKOFF_GROWTH_MAX 20U
/* ... and up to 5 minutes from 500 ms where the peer's refusal waits for a person. */
#define REFUSED_GROWTH_MAX 600U
#define BACKOFF_JITTER_PERCENT 25U
/* A link is idle when nothing is queued and nothing moved for so long. */
#define QUIET_MS 1000U
/* How much longer than stream_seconds a session may last that is never idle: with the default still
 * within the server's connection age (rpc_args.c). */
#define BUSY_SECONDS_MAX 900U

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
    uint64_t renewal;     /* timer */
    bool renewing;        /* this side ended the session, to open the next one at once */
    bool refused;         /* the last attempt was answered with a final refusal */
    uint64_t expiry_told; /* generation of the own certificate whose expiry was reported */
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

/* --- dialling --------------------------------------------------------------------------------- */

static void report(struct rn_rpc_link *link, const struct rn_rpc_end *end)
{
    const struct rn_rpc_callbacks *callbacks = &link->rpc->config.callbacks;
    if (callbacks->on_link_down != NULL && !link->dropped && !link->rpc->stopping) {
        link->reporting = true;
        callbacks->on_link_down(callbacks->user, link, end);
        link->reporting = false;
    }
}

/* The peer would refuse the handshake and tell nothing: say it here, once for each certificate. */
static void report_expired(struct rn_rpc_link *link)
{
    const uint64_t generation = link->rpc->creds.generation;
    if (link->expiry_told == generation) {
        return;
    }
    link->expiry_told = generation;
    char sentence[160];
    rn_rpc_creds_expiry_text(&link->rpc->creds, sentence, sizeof(sentence));
    const struct rn_rpc_end end = {.local = true, .result = {RN_E_UNAVAILABLE}, .detail = sentence};
    report(link, &end);
}

static void stream_opened(struct rn_rpc_link *link, struct rn_rpc_stream *stream);
static void stream_ended(struct rn_rpc_link *link, struct rn_rpc_stream *stream,
                         const struct rn_rpc_end *end, uint64_t lived_ms);

static void dial(struct rn_rpc_link *link, enum rn_rpc_kind kind)
{
    if (link->dropped || link->rpc->stopping || link->streams[kind] != NULL) {
        return;
    }
    channel_make(link);
    const struct rn_rpc_dial how = {
        .link = link,
        .channel = link->channel,
        .kind = kind,
        .expected_id = link->expected.id,
        .deadline_ms = (link->rpc->config.stream_seconds + BUSY_SECONDS_MAX) * UINT64_C(1000),
        .opened = stream_opened,
        .ended = stream_ended,
    };
    link->streams[kind] = rn_rpc_stream_dial(link->rpc, &how);
}

static void dial_later(struct rn_rpc_link *link, enum rn_rpc_kind kind);

static void dial_session(void *argument)
{
    struct rn_rpc_link *link = link_of(argument);
    link->timers[RN_RPC_SESSION] = 0;
    if (rn_rpc_wall_ms(link->rpc) <= link->rpc->creds.self.not_after_ms) {
        dial(link, RN_RPC_SESSION);
        return;
    }
    report_expired(link);
    if (link->dropped) {
        link_free(link);
    } else {
        dial_later(link, RN_RPC_SESSION); /* the certificate may be renewed meanwhile */
    }
}

static void dial_bulk(void *argument)
{
    struct rn_rpc_link *link = link_of(argument);
    link->timers[RN_RPC_BULK] = 0;
    if (link->session_open) {
        dial(link, RN_RPC_BULK);
    }
}

static void dial_at(struct rn_rpc_link *link, enum rn_rpc_kind kind, uint64_t delay_ms)
{
    rn_rpc_timer_cancel(link->rpc, link->timers[kind]);
    link->timers[kind] =
        rn_rpc_timer(link->rpc, delay_ms, kind == RN_RPC_SESSION ? dial_session : dial_bulk, link);
}

static void dial_later(struct rn_rpc_link *link, enum rn_rpc_kind kind)
{
    const uint32_t growth = link->refused ? REFUSED_GROWTH_MAX : BACKOFF_GROWTH_MAX;
    const uint32_t most = link->rpc->config.backoff_ms * growth;
    link->delay_ms = link->delay_ms < most ? link->delay_ms : most;
    dial_at(link, kind, rn_rpc_jitter(link->delay_ms, BACKOFF_JITTER_PERCENT));
    link->delay_ms = link->delay_ms * 8U / 5U + 1U;
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
    dial_at(link, RN_RPC_SESSION, 0);
    *out = link;
    return rn_ok();
}

/* --- renewal ---------------------------------------------------------------------------------- */

static bool is_idle(const struct rn_rpc_link *link)
{
    for (unsigned kind = 0; kind < RN_RPC_KINDS; kind++) {
        if (link->streams[kind] != NULL && !rn_rpc_stream_is_idle(link->streams[kind], QUIET_MS)) {
            return false;
        }
    }
    return true;
}

/* The session is due for another handshake: as soon as nothing travels. A deadline of core's stands
 * behind for the one that never rests. */
static void renew_when_idle(void *argument)
{
    struct rn_rpc_link *link = link_of(argument);
    link->renewal = 0;
    if (!link->session_open || link->rpc->stopping || link->dropped) {
        return;
    }
    if (is_idle(link)) {
        link->renewing = true;
        rn_rpc_stream_close(link->streams[RN_RPC_SESSION], rn_ok());
    } else {
        link->renewal = rn_rpc_timer(link->rpc, QUIET_MS / 4U, renew_when_idle, link);
    }
}

static void renewal_start(struct rn_rpc_link *link)
{
    const uint64_t age = link->rpc->config.stream_seconds * UINT64_C(1000);
    link->renewing = false;
    rn_rpc_timer_cancel(link->rpc, link->renewal);
    link->renewal = rn_rpc_timer(link->rpc, rn_rpc_jitter(age, RN_RPC_RENEWAL_JITTER_PERCENT),
                                 renew_when_idle, link);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void timers_cancel(struct rn_rpc_link *link)
{
    for (unsigned kind = 0; kind < RN_RPC_KINDS; kind++) {
        rn_rpc_timer_cancel(link->rpc, link->timers[kind]);
        link->timers[kind] = 0;
    }
    rn_rpc_timer_cancel(link->rpc, link->renewal);
    link->renewal = 0;
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

static void stream_opened(struct rn_rpc_link *link, struct rn_rpc_stream *stream)
{
    if (rn_rpc_stream_kind(stream) != RN_RPC_SESSION) {
        return;
    }
    link->session_open = true;
    link->refused = false;
    renewal_start(link);
    if (link->with_bulk && !link->dropped) {
        dial_at(link, RN_RPC_BULK, 0);
    }
}

static void session_ended(struct rn_rpc_link *link)
{
    if (link->session_open) {
        channel_drop(link); /* each session proves its identity anew, on its own connection */
    }
    link->session_open = false;
    timers_cancel(link);
    if (link->streams[RN_RPC_BULK] != NULL) {
        rn_rpc_stream_close(link->streams[RN_RPC_BULK], (rn_result){RN_E_UNAVAILABLE});
    }
}

static void dial_again(struct rn_rpc_link *link, enum rn_rpc_kind kind, uint64_t lived_ms)
{
    if (lived_ms >= STEADY_MS) {
        link->delay_ms = link->rpc->config.backoff_ms;
    }
    if (kind == RN_RPC_SESSION && link->renewing) {
        link->renewing = false;
        dial_at(link, kind, 0);
    } else if (kind == RN_RPC_SESSION || link->session_open) {
        dial_later(link, kind);
    }
}

static void stream_ended(struct rn_rpc_link *link, struct rn_rpc_stream *stream,
                         const struct rn_rpc_end *end, uint64_t lived_ms)
{
    const enum rn_rpc_kind kind = rn_rpc_stream_kind(stream);
    link->streams[kind] = NULL;
    if (kind == RN_RPC_SESSION) {
        session_ended(link);
    }
    if (lived_ms == 0) {
        link->refused = rn_class_of(end->result) == RN_CLASS_STOP;
        report(link, end);
    }
    if (!link->dropped && !link->rpc->stopping) {
        dial_again(link, kind, lived_ms);
    } else if (link->dropped && !has_stream(link)) {
        link_free(link);
    }
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
