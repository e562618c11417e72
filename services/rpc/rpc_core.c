/* SPDX-License-Identifier: Apache-2.0
 *
 * Core's queue, work posted from other threads, timers.
 */
#include "services/rpc/rpc_core.h"

#include <grpc/support/time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "crypto/random.h"

/* Events handled in one turn before posted work and timers get theirs. */
#define EVENTS_PER_TURN 64U

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

/* --- time ------------------------------------------------------------------------------------- */

uint64_t rn_rpc_now_ms(void)
{
    return rn_clock_monotonic_ms();
}

uint64_t rn_rpc_wall_ms(const struct rn_rpc *rpc)
{
    return rpc->config.wall_ms != NULL ? rpc->config.wall_ms() : rn_clock_wall_ms();
}

gpr_timespec rn_rpc_deadline(uint64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)ms, GPR_TIMESPAN));
}

uint64_t rn_rpc_jittered(uint64_t ms, uint32_t percent, uint64_t random)
{
    return ms - random % (ms * percent / 100U + 1U);
}

uint64_t rn_rpc_jitter(uint64_t ms, uint32_t percent)
{
    uint64_t random = rn_clock_monotonic_ns(); /* good enough where the system has none */
    (void)rn_is_ok(rn_random_bytes(&random, sizeof(random), NULL));
    return rn_rpc_jittered(ms, percent, random);
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

void rn_rpc_core_run_posted(struct rn_rpc *rpc)
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

void rn_rpc_core_want_stop(struct rn_rpc *rpc, uint64_t at_ms)
{
    pthread_mutex_lock(&rpc->post_lock);
    if (!rpc->post_closed) {
        const bool sooner = !rpc->stop_wanted || at_ms < rpc->stop_wanted_at_ms;
        rpc->stop_wanted = true;
        rpc->stop_wanted_at_ms = sooner ? at_ms : rpc->stop_wanted_at_ms;
        wake_locked(rpc);
    }
    pthread_mutex_unlock(&rpc->post_lock);
}

bool rn_rpc_core_stop_wanted(struct rn_rpc *rpc, uint64_t *out_at_ms)
{
    pthread_mutex_lock(&rpc->post_lock);
    const bool wanted = rpc->stop_wanted;
    *out_at_ms = rpc->stop_wanted_at_ms;
    pthread_mutex_unlock(&rpc->post_lock);
    return wanted;
}

void rn_rpc_core_shut(struct rn_rpc *rpc)
{
    pthread_mutex_lock(&rpc->post_lock);
    rpc->post_closed = true;
    pthread_mutex_unlock(&rpc->post_lock);
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

uint64_t rn_rpc_core_wait(const struct rn_rpc *rpc, uint64_t most_ms)
{
    const uint64_t now = rn_rpc_now_ms();
    if (rpc->timers == NULL) {
        return most_ms;
    }
    const uint64_t due = rpc->timers->due_ms > now ? rpc->timers->due_ms - now : 0;
    return due < most_ms ? due : most_ms;
}

/* --- turning ---------------------------------------------------------------------------------- */

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

void rn_rpc_core_turn(struct rn_rpc *rpc, uint64_t wait_ms)
{
    for (unsigned i = 0; i < EVENTS_PER_TURN && handle_event(rpc, wait_ms); i++) {
        wait_ms = 0;
    }
    rn_rpc_core_run_posted(rpc);
    run_timers(rpc);
}

/* --- opening and closing ---------------------------------------------------------------------- */

void rn_rpc_core_open(struct rn_rpc *rpc)
{
    grpc_init();
    rpc->queue = grpc_completion_queue_create_for_next(NULL);
    rpc->waker = grpc_lame_client_channel_create("wake", GRPC_STATUS_UNAVAILABLE, "wake");
    rpc->quota = grpc_resource_quota_create("rondo");
    grpc_resource_quota_resize(rpc->quota, rpc->config.quota_bytes);
    pthread_mutex_init(&rpc->post_lock, NULL);
    rn_rpc_tag_init(&rpc->wake_tag, rpc, on_wake);
}

static void pending_drop(struct rn_rpc *rpc)
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

void rn_rpc_core_close(struct rn_rpc *rpc)
{
    grpc_channel_destroy(rpc->waker);
    grpc_completion_queue_shutdown(rpc->queue);
    while (grpc_completion_queue_next(rpc->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(rpc->queue);
    grpc_resource_quota_unref(rpc->quota);
    pending_drop(rpc);
    pthread_mutex_destroy(&rpc->post_lock);
}
