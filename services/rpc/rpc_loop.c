/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: core's events, work posted from other threads, timers, and the shutdown ladder:
 *
 *   stop      no new stream, GOAWAY to clients, links dial no more; open streams live on
 *   grace     over, or nothing open any more: cancel what is left
 *   ended     the server is down, core knows no call of ours, no slot is armed
 */
#include <grpc/support/time.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "services/rpc/rpc_internal.h"

#define INSPECT_MS 5000U
/* Events handled in one step before posted work and timers get their turn. */
#define EVENTS_PER_STEP 64U

struct rn_rpc_posted {
    struct rn_rpc_posted *next;
    rn_rpc_function function;
    void *argument;
};

struct rn_rpc_timer_entry {
    struct rn_rpc_timer_entry *next;
    uint64_t due_ms;
    uint64_t number;
    rn_rpc_function function;
    void *argument;
};

uint64_t rn_rpc_now_ms(void)
{
    return rn_clock_monotonic_ms();
}

gpr_timespec rn_rpc_deadline(uint64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)ms, GPR_TIMESPAN));
}

/* --- posted work ------------------------------------------------------------------------------ */

/* Core has no call to wake its queue from outside. Watching a channel that can never change state,
 * with a deadline that has passed, makes one event at once. */
static void wake_locked(struct rn_rpc *rpc)
{
    if (rpc->wake_pending) {
        return;
    }
    rpc->wake_pending = true;
    grpc_channel_watch_connectivity_state(rpc->waker, GRPC_CHANNEL_TRANSIENT_FAILURE,
                                          gpr_time_0(GPR_CLOCK_MONOTONIC), rpc->queue,
                                          &rpc->wake_tag);
}

static void on_wake(void *owner, bool ok)
{
    (void)ok;
    struct rn_rpc *rpc = owner;
    pthread_mutex_lock(&rpc->post_lock);
    rpc->wake_pending = false;
    pthread_mutex_unlock(&rpc->post_lock);
}

bool rn_rpc_post(struct rn_rpc *rpc, rn_rpc_function function, void *argument)
{
    pthread_mutex_lock(&rpc->post_lock);
    const bool open = !rpc->post_closed;
    if (open) {
        struct rn_rpc_posted *posted = rn_alloc(1, sizeof(*posted));
        posted->function = function;
        posted->argument = argument;
        if (rpc->posted_last != NULL) {
            rpc->posted_last->next = posted;
        } else {
            rpc->posted_first = posted;
        }
        rpc->posted_last = posted;
        wake_locked(rpc);
    }
    pthread_mutex_unlock(&rpc->post_lock);
    return open;
}

static void run_posted(struct rn_rpc *rpc)
{
    pthread_mutex_lock(&rpc->post_lock);
    struct rn_rpc_posted *posted = rpc->posted_first;
    rpc->posted_first = NULL;
    rpc->posted_last = NULL;
    pthread_mutex_unlock(&rpc->post_lock);
    while (posted != NULL) {
        struct rn_rpc_posted *next = posted->next;
        posted->function(posted->argument);
        rn_free(posted);
        posted = next;
    }
}

/* --- timers ----------------------------------------------------------------------------------- */

uint64_t rn_rpc_timer(struct rn_rpc *rpc, uint64_t delay_ms, rn_rpc_function function,
                      void *argument)
{
    struct rn_rpc_timer_entry *entry = rn_alloc(1, sizeof(*entry));
    entry->due_ms = rn_rpc_now_ms() + delay_ms;
    entry->number = ++rpc->last_timer;
    entry->function = function;
    entry->argument = argument;
    struct rn_rpc_timer_entry **at = &rpc->timers;
    while (*at != NULL && (*at)->due_ms <= entry->due_ms) {
        at = &(*at)->next;
    }
    entry->next = *at;
    *at = entry;
    return entry->number;
}

void rn_rpc_timer_cancel(struct rn_rpc *rpc, uint64_t timer)
{
    for (struct rn_rpc_timer_entry **at = &rpc->timers; *at != NULL; at = &(*at)->next) {
        if ((*at)->number == timer) {
            struct rn_rpc_timer_entry *entry = *at;
            *at = entry->next;
            rn_free(entry);
            return;
        }
    }
}

static void run_timers(struct rn_rpc *rpc)
{
    const uint64_t now = rn_rpc_now_ms();
    while (rpc->timers != NULL && rpc->timers->due_ms <= now) {
        struct rn_rpc_timer_entry *entry = rpc->timers;
        rpc->timers = entry->next;
        entry->function(entry->argument);
        rn_free(entry);
    }
}

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

static rn_result identity_check(struct rn_rpc *rpc, const struct rn_rpc_config *config,
                                struct rn_error *err)
{
    RN_TRY(rn_rpc_creds_init(&rpc->creds, &config->material, err));
    const char *federation = config->federation != NULL ? config->federation : "";
    if (!rn_text_format(rpc->federation, sizeof(rpc->federation), "%s", federation) ||
        (federation[0] != '\0' && strcmp(federation, rpc->creds.self.federation) != 0)) {
        rn_rpc_creds_clear(&rpc->creds);
        return rn_fail(err, RN_E_IDENTITY,
                       "the TLS certificate is for federation %s, the configuration says %s",
                       rpc->creds.self.federation, federation);
    }
    return rn_ok();
}

static void core_begin(struct rn_rpc *rpc)
{
    grpc_init();
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    rpc->waker = grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "wake");
    rpc->quota = grpc_resource_quota_create("rondo");
    grpc_resource_quota_resize(rpc->quota, rpc->config.quota_bytes);
}

rn_result rn_rpc_open(const struct rn_rpc_config *config, struct rn_rpc **out, struct rn_error *err)
{
    RN_ENSURE(config->callbacks.authorize != NULL, err, RN_E_INTERNAL,
              "rpc cannot open without an authorize callback");
    struct rn_rpc *rpc = rn_alloc(1, sizeof(*rpc));
    const rn_result usable = identity_check(rpc, config, err);
    if (!rn_is_ok(usable)) {
        rn_free(rpc);
        return usable;
    }
    rpc->config = *config;
    defaults(&rpc->config, rpc->creds.self.role);
    core_begin(rpc);
    rpc->inbox = rn_alloc(RN_RPC_MESSAGE_MAX, 1);
    rpc->server_down = true; /* until there is one */
    pthread_mutex_init(&rpc->post_lock, NULL);
    rn_rpc_tag_init(&rpc->wake_tag, rpc, on_wake);
    (void)rn_rpc_timer(rpc, INSPECT_MS, inspect, rpc);
    *out = rpc;
    return rn_ok();
}

rn_result rn_rpc_reload(struct rn_rpc *rpc, const struct rn_rpc_material *material,
                        struct rn_error *err)
{
    return rn_rpc_creds_replace(&rpc->creds, material, err);
}

/* --- shutdown --------------------------------------------------------------------------------- */

void rn_rpc_stop(struct rn_rpc *rpc, uint32_t grace_ms)
{
    const uint64_t at = rn_rpc_now_ms() + grace_ms;
    pthread_mutex_lock(&rpc->post_lock);
    if (!rpc->post_closed) {
        const bool sooner = !rpc->stop_wanted || at < rpc->stop_wanted_at_ms;
        rpc->stop_wanted = true;
        rpc->stop_wanted_at_ms = sooner ? at : rpc->stop_wanted_at_ms;
        wake_locked(rpc);
    }
    pthread_mutex_unlock(&rpc->post_lock);
}

bool rn_rpc_is_stopping(const struct rn_rpc *rpc)
{
    return rpc->stopping;
}

static void stop_take(struct rn_rpc *rpc)
{
    pthread_mutex_lock(&rpc->post_lock);
    const bool wanted = rpc->stop_wanted;
    rpc->stop_at_ms = rpc->stop_wanted_at_ms;
    pthread_mutex_unlock(&rpc->post_lock);
    if (wanted && !rpc->stopping) {
        rpc->stopping = true;
        rn_rpc_links_stop(rpc);
        rn_rpc_server_shutdown(rpc);
    }
}

static void stop_advance(struct rn_rpc *rpc)
{
    stop_take(rpc);
    if (!rpc->stopping || rpc->ended) {
        return;
    }
    if (!rpc->cancelled && (rpc->streams == NULL || rn_rpc_now_ms() >= rpc->stop_at_ms)) {
        rpc->cancelled = true;
        rn_rpc_streams_cancel_all(rpc);
        rn_rpc_unaries_cancel_all(rpc);
        if (rpc->server != NULL) {
            grpc_server_cancel_all_calls(rpc->server);
        }
    }
    if (rpc->cancelled && rpc->server_down && rpc->live_calls == 0 && rpc->slots == 0) {
        pthread_mutex_lock(&rpc->post_lock);
        rpc->post_closed = true;
        pthread_mutex_unlock(&rpc->post_lock);
        rpc->ended = true;
    }
}

/* --- running ---------------------------------------------------------------------------------- */

static uint64_t wait_for(const struct rn_rpc *rpc, uint32_t most_ms)
{
    const uint64_t now = rn_rpc_now_ms();
    uint64_t wait = most_ms;
    if (rpc->timers != NULL) {
        const uint64_t due = rpc->timers->due_ms > now ? rpc->timers->due_ms - now : 0;
        wait = due < wait ? due : wait;
    }
    if (rpc->stopping && !rpc->cancelled) {
        const uint64_t left = rpc->stop_at_ms > now ? rpc->stop_at_ms - now : 0;
        wait = left < wait ? left : wait;
    }
    return wait;
}

static bool handle_event(struct rn_rpc *rpc, uint64_t wait_ms)
{
    const grpc_event event = grpc_completion_queue_next(rpc->queue, rn_rpc_deadline(wait_ms), NULL);
    if (event.type != GRPC_OP_COMPLETE) {
        return false;
    }
    const struct rn_rpc_tag *tag = event.tag;
    RN_BUG_IF(tag->magic != RN_RPC_TAG_MAGIC);
    tag->step(tag->owner, event.success != 0);
    return true;
}

bool rn_rpc_step(struct rn_rpc *rpc, uint32_t wait_ms)
{
    if (rpc->ended) {
        return false;
    }
    stop_advance(rpc);
    uint64_t wait = rpc->ended ? 0 : wait_for(rpc, wait_ms);
    for (unsigned i = 0; i < EVENTS_PER_STEP && handle_event(rpc, wait); i++) {
        wait = 0;
    }
    run_posted(rpc);
    run_timers(rpc);
    stop_advance(rpc);
    return !rpc->ended;
}

void rn_rpc_run(struct rn_rpc *rpc)
{
    while (rn_rpc_step(rpc, 3600U * 1000U)) {
    }
}

static void posted_drop(struct rn_rpc *rpc)
{
    while (rpc->posted_first != NULL) {
        struct rn_rpc_posted *posted = rpc->posted_first;
        rpc->posted_first = posted->next;
        rn_free(posted);
    }
    while (rpc->timers != NULL) {
        struct rn_rpc_timer_entry *entry = rpc->timers;
        rpc->timers = entry->next;
        rn_free(entry);
    }
}

void rn_rpc_close(struct rn_rpc *rpc)
{
    if (rpc == NULL) {
        return;
    }
    rn_rpc_stop(rpc, 0);
    rn_rpc_run(rpc);
    run_posted(rpc); /* what was accepted just before the end still runs */
    rn_rpc_server_destroy(rpc);
    rn_rpc_links_free(rpc);
    grpc_channel_destroy(rpc->waker);
    grpc_completion_queue_shutdown(rpc->queue);
    while (grpc_completion_queue_next(rpc->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(rpc->queue);
    grpc_resource_quota_unref(rpc->quota);
    rn_rpc_creds_clear(&rpc->creds);
    posted_drop(rpc);
    pthread_mutex_destroy(&rpc->post_lock);
    rn_free(rpc->inbox);
    rn_free(rpc);
    grpc_shutdown();
}

size_t rn_rpc_live_calls(const struct rn_rpc *rpc)
{
    return rpc->live_calls;
}
