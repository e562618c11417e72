/* SPDX-License-Identifier: Apache-2.0
 *
 * What other threads leave for the executor's: inputs, room on the streams, news of the store.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/thread.h"
#include "services/host/executorparts.h"

struct rn_executor_item {
    struct rn_input input;
    struct rn_buffer bytes; /* or text */
    uint8_t session[RN_HASH_BYTES];
    void (*release)(void *owner);
    void *owner;
    struct rn_executor_item *next;
};

/* From the store's thread. */
struct rn_executor_call {
    void (*function)(void *argument);
    void *argument;
    struct rn_executor_call *next;
};

/* ---- Inputs */

void rn_executor_inbox_init(struct rn_executor *executor, size_t bytes)
{
    const size_t part = RN_EXECUTOR_INBOX_BYTES / executor->bulk_count;
    executor->lane_max = bytes != 0                          ? bytes
                         : part > RN_EXECUTOR_PART_BYTES_MIN ? part
                                                             : RN_EXECUTOR_PART_BYTES_MIN;
    executor->lane_count = executor->bulk_count + 1;
    executor->lanes = rn_alloc(executor->lane_count, sizeof(*executor->lanes));
    for (uint32_t i = 0; i < executor->lane_count; i++) {
        executor->lanes[i].last = &executor->lanes[i].items;
    }
}

/* Whose input it is: a peer's, or the process's own, which nothing holds back. */
static struct rn_executor_lane *lane_of(const struct rn_executor *executor,
                                        const struct rn_input *input)
{
    const bool of_peer = input->kind >= RN_INPUT_OPENED && input->kind <= RN_INPUT_UNREACHABLE;
    const uint32_t peer = executor->bulk_count == 1 ? 0 : input->peer;
    RN_BUG_IF(of_peer && peer >= executor->bulk_count);
    return &executor->lanes[of_peer ? peer : executor->bulk_count];
}

static size_t cost_of(const struct rn_executor_item *item)
{
    return item->bytes.length + sizeof(*item);
}

static bool append(struct rn_executor *executor, struct rn_executor_item *item)
{
    struct rn_executor_lane *lane = lane_of(executor, &item->input);
    (void)pthread_mutex_lock(&executor->lock);
    *lane->last = item;
    lane->last = &item->next;
    lane->bytes += cost_of(item);
    lane->paused = lane->paused || lane->bytes > executor->lane_max;
    const bool room = !lane->paused;
    (void)pthread_cond_signal(&executor->wake);
    (void)pthread_mutex_unlock(&executor->lock);
    return room;
}

static struct rn_executor_item *new_item(const struct rn_input *input)
{
    struct rn_executor_item *item = rn_alloc(1, sizeof(*item));
    item->input = *input;
    return item;
}

bool rn_executor_post(struct rn_executor *executor, const struct rn_input *input)
{
    struct rn_executor_item *item = new_item(input);
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
    struct rn_executor_item *item = new_item(input);
    item->release = release;
    item->owner = owner;
    (void)append(executor, item);
}

void rn_executor_item_free(struct rn_executor_item *item)
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
    struct rn_executor_call *call = rn_alloc(1, sizeof(*call));
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
static struct rn_executor_call *take_calls(struct rn_executor *executor)
{
    struct rn_executor_call *calls = executor->calls;
    executor->calls = NULL;
    executor->last_call = &executor->calls;
    return calls;
}

static void run_calls(struct rn_executor_call *calls)
{
    while (calls != NULL) {
        struct rn_executor_call *call = calls;
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
    struct rn_executor_call *calls = take_calls(executor);
    (void)pthread_mutex_unlock(&executor->lock);
    run_calls(calls);
    return !stopping;
}

/* ---- Turns */

/* Under the lock. The next lane in turn that has something, or lane_count. */
static uint32_t next_lane(const struct rn_executor *executor)
{
    for (uint32_t i = 0; i < executor->lane_count; i++) {
        const uint32_t lane = (executor->lane_turn + i) % executor->lane_count;
        if (executor->lanes[lane].items != NULL) {
            return lane;
        }
    }
    return executor->lane_count;
}

/* Under the lock. */
static void take_item(struct rn_executor *executor, struct rn_executor_turn *turn)
{
    const uint32_t number = next_lane(executor);
    if (number == executor->lane_count) {
        return;
    }
    struct rn_executor_lane *lane = &executor->lanes[number];
    struct rn_executor_item *item = lane->items;
    executor->lane_turn = number + 1;
    lane->items = item->next;
    if (item->next == NULL) {
        lane->last = &lane->items;
    }
    lane->bytes -= cost_of(item);
    if (lane->paused && lane->bytes <= executor->lane_max / 2) {
        lane->paused = false;
        turn->resume = number < executor->bulk_count;
        turn->resumed = executor->bulk_count == 1 ? RN_SA_COORDINATOR : number;
    }
    turn->item = item;
    turn->input = &item->input;
}

bool rn_executor_take(struct rn_executor *executor, struct rn_executor_turn *turn)
{
    (void)pthread_mutex_lock(&executor->lock);
    *turn = (struct rn_executor_turn){0};
    while (!executor->stopping) {
        turn->tick = rn_clock_monotonic_ms() >= executor->next_tick_ms;
        if (executor->room) {
            executor->room = false;
            rn_executor_bulk_credit(executor);
        }
        if (turn->tick || executor->calls != NULL || next_lane(executor) < executor->lane_count ||
            rn_executor_bulk_due(executor)) {
            break;
        }
        (void)rn_condition_wait_until(&executor->wake, &executor->lock, executor->next_tick_ms);
    }
    struct rn_executor_call *calls = take_calls(executor);
    if (!turn->tick && !executor->stopping) {
        take_item(executor, turn);
    }
    const bool stopping = executor->stopping;
    (void)pthread_mutex_unlock(&executor->lock);
    run_calls(calls);
    return !stopping;
}

void rn_executor_inbox_clear(struct rn_executor *executor)
{
    run_calls(take_calls(executor));
    for (uint32_t i = 0; i < executor->lane_count; i++) {
        struct rn_executor_lane *lane = &executor->lanes[i];
        while (lane->items != NULL) {
            struct rn_executor_item *item = lane->items;
            lane->items = item->next;
            rn_executor_item_free(item);
        }
    }
}
