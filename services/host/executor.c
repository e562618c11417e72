/* SPDX-License-Identifier: Apache-2.0
 *
 * Inbox and thread. What a step leaves behind is in executoreffects.c, chunks in executorbulk.c.
 */
#include "services/host/executor.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/thread.h"
#include "services/host/executorparts.h"

struct item {
    struct rn_input input;
    struct rn_buffer bytes; /* or text */
    uint8_t session[RN_HASH_BYTES];
    void (*release)(void *owner);
    void *owner;
    struct item *next;
};

/* From the store's thread. */
struct call {
    void (*function)(void *argument);
    void *argument;
    struct call *next;
};

struct rn_executor *rn_executor_new(const struct rn_executor_config *config)
{
    struct rn_executor *executor = rn_alloc(1, sizeof(*executor));
    executor->outlet = config->outlet;
    executor->inbox_max = config->inbox_bytes == 0 ? RN_EXECUTOR_INBOX_BYTES : config->inbox_bytes;
    executor->bulk_count = config->peers;
    executor->bulks = rn_alloc(config->peers, sizeof(*executor->bulks));
    for (uint32_t i = 0; i < config->peers; i++) {
        executor->bulks[i].peer = config->peers == 1 ? RN_SA_COORDINATOR : i;
    }
    executor->last_item = &executor->items;
    executor->last_call = &executor->calls;
    (void)pthread_mutex_init(&executor->lock, NULL);
    rn_condition_init(&executor->wake);
    return executor;
}

static struct rn_now read_now(void)
{
    return (struct rn_now){rn_clock_monotonic_ms(), rn_clock_wall_ms()};
}

/* ---- Inbox */

static size_t cost_of(const struct item *item)
{
    return item->bytes.length + sizeof(*item);
}

static bool append(struct rn_executor *executor, struct item *item)
{
    (void)pthread_mutex_lock(&executor->lock);
    *executor->last_item = item;
    executor->last_item = &item->next;
    executor->inbox_bytes += cost_of(item);
    executor->paused = executor->paused || executor->inbox_bytes > executor->inbox_max;
    const bool room = !executor->paused;
    (void)pthread_cond_signal(&executor->wake);
    (void)pthread_mutex_unlock(&executor->lock);
    return room;
}

static struct item *new_item(const struct rn_input *input)
{
    struct item *item = rn_alloc(1, sizeof(*item));
    item->input = *input;
    return item;
}

bool rn_executor_post(struct rn_executor *executor, const struct rn_input *input)
{
    struct item *item = new_item(input);
    if (input->text != NULL) {
        rn_buffer_format(&item->bytes, "%s", input->text);
        item->input.text = rn_buffer_text(&item->bytes);
    } else {
        rn_buffer_append(&item->bytes, input->bytes.data, input->bytes.length);
        item->input.bytes = rn_buffer_view(&item->bytes);
    }
    if (input->session != NULL) {
        memcpy(item->session, input->session, sizeof(item->session));
        item->input.session = item->session;
    }
    return append(executor, item);
}

void rn_executor_post_owned(struct rn_executor *executor, const struct rn_input *input,
                            void (*release)(void *owner), void *owner)
{
    struct item *item = new_item(input);
    item->release = release;
    item->owner = owner;
    (void)append(executor, item);
}

static void free_item(struct item *item)
{
    if (item->release != NULL) {
        item->release(item->owner);
    }
    rn_buffer_clear(&item->bytes);
    rn_free(item);
}

void rn_executor_room(struct rn_executor *executor, uint32_t peer, unsigned chunks)
{
    struct rn_executor_bulk *bulk = rn_executor_bulk_of(executor, peer);
    (void)pthread_mutex_lock(&executor->lock);
    bulk->taken += chunks;
    executor->room = true;
    (void)pthread_cond_signal(&executor->wake);
    (void)pthread_mutex_unlock(&executor->lock);
}

/* ---- The store's news */

bool rn_executor_store_post(void *context, void (*function)(void *argument), void *argument)
{
    struct rn_executor *executor = context;
    struct call *call = rn_alloc(1, sizeof(*call));
    call->function = function;
    call->argument = argument;
    (void)pthread_mutex_lock(&executor->lock);
    const bool taken = !executor->stopping;
    if (taken) {
        *executor->last_call = call;
        executor->last_call = &call->next;
        (void)pthread_cond_signal(&executor->wake);
    }
    (void)pthread_mutex_unlock(&executor->lock);
    if (!taken) {
        rn_free(call);
    }
    return taken;
}

/* Under the lock. */
static struct call *take_calls(struct rn_executor *executor)
{
    struct call *calls = executor->calls;
    executor->calls = NULL;
    executor->last_call = &executor->calls;
    return calls;
}

static void run_calls(struct call *calls)
{
    while (calls != NULL) {
        struct call *call = calls;
        calls = call->next;
        call->function(call->argument);
        rn_free(call);
    }
}

bool rn_executor_wait_store(struct rn_executor *executor)
{
    (void)pthread_mutex_lock(&executor->lock);
    while (executor->calls == NULL && !executor->stopping) {
        (void)pthread_cond_wait(&executor->wake, &executor->lock);
    }
    const bool stopping = executor->stopping;
    struct call *calls = take_calls(executor);
    (void)pthread_mutex_unlock(&executor->lock);
    run_calls(calls);
    return !stopping;
}

/* ---- Thread */

struct turn {
    struct call *calls;
    struct item *item;
    bool tick;
    bool resume;
};

/* Under the lock. */
static struct item *take_item(struct rn_executor *executor, bool *out_resume)
{
    struct item *item = executor->items;
    if (item == NULL) {
        return NULL;
    }
    executor->items = item->next;
    if (item->next == NULL) {
        executor->last_item = &executor->items;
    }
    executor->inbox_bytes -= cost_of(item);
    if (executor->paused && executor->inbox_bytes <= executor->inbox_max / 2) {
        executor->paused = false;
        *out_resume = true;
    }
    return item;
}

/* A tick that is due comes before inputs, however many there are. False: stop. */
static bool take(struct rn_executor *executor, struct turn *turn)
{
    (void)pthread_mutex_lock(&executor->lock);
    *turn = (struct turn){0};
    while (!executor->stopping) {
        turn->tick = rn_clock_monotonic_ms() >= executor->next_tick_ms;
        if (executor->room) {
            executor->room = false;
            rn_executor_bulk_credit(executor);
        }
        if (turn->tick || executor->calls != NULL || executor->items != NULL ||
            rn_executor_bulk_due(executor)) {
            break;
        }
        (void)rn_condition_wait_until(&executor->wake, &executor->lock, executor->next_tick_ms);
    }
    turn->calls = take_calls(executor);
    turn->item = turn->tick || executor->stopping ? NULL : take_item(executor, &turn->resume);
    const bool stopping = executor->stopping;
    (void)pthread_mutex_unlock(&executor->lock);
    return !stopping;
}

void rn_executor_step(struct rn_executor *executor, const struct rn_input *input)
{
    struct rn_effects effects = {0};
    if (executor->failed) {
        return;
    }
    executor->machine.step(executor->machine.context, input, read_now(), &effects);
    rn_executor_queue(executor, &effects);
}

static void tick(struct rn_executor *executor)
{
    struct rn_input input = {.kind = RN_INPUT_TICK};
    if (executor->outlet.tick != NULL) {
        executor->outlet.tick(executor->outlet.context, &input, read_now());
    }
    rn_executor_step(executor, &input);
    executor->next_tick_ms = rn_clock_monotonic_ms() + RN_EXECUTOR_TICK_MS;
}

static void *run(void *argument)
{
    struct rn_executor *executor = argument;
    struct turn turn;
    rn_executor_queue(executor, &executor->first);
    rn_executor_drain(executor);
    while (take(executor, &turn)) {
        run_calls(turn.calls);
        if (turn.resume) {
            executor->outlet.resume(executor->outlet.context);
        }
        if (turn.tick) {
            tick(executor);
        } else if (turn.item != NULL) {
            rn_executor_step(executor, &turn.item->input);
            free_item(turn.item);
        }
        rn_executor_drain(executor);
        rn_executor_bulk_pump(executor);
    }
    run_calls(turn.calls);
    return NULL;
}

rn_result rn_executor_start(struct rn_executor *executor, const struct rn_executor_machine *machine,
                            struct rn_effects *first, struct rn_error *err)
{
    executor->machine = *machine;
    executor->first = *first;
    *first = (struct rn_effects){0};
    RN_TRY(rn_thread_start(&executor->thread, run, executor, err));
    executor->started = true;
    return rn_ok();
}

void rn_executor_stop(struct rn_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&executor->lock);
    executor->stopping = true;
    (void)pthread_cond_signal(&executor->wake);
    (void)pthread_mutex_unlock(&executor->lock);
    if (executor->started) {
        (void)pthread_join(executor->thread, NULL);
        executor->started = false;
    }
}

void rn_executor_free(struct rn_executor *executor)
{
    if (executor == NULL) {
        return;
    }
    rn_executor_stop(executor);
    run_calls(take_calls(executor));
    for (struct item *item = executor->items; item != NULL;) {
        struct item *next = item->next;
        free_item(item);
        item = next;
    }
    rn_executor_forget(executor);
    rn_effects_clear(&executor->first);
    for (uint32_t i = 0; i < executor->bulk_count; i++) {
        rn_free(executor->bulks[i].wanted);
    }
    rn_free(executor->bulks);
    (void)pthread_cond_destroy(&executor->wake);
    (void)pthread_mutex_destroy(&executor->lock);
    rn_free(executor);
}
