/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread: inputs from the inbox (executorinbox.c) to the machine, what its steps leave behind
 * to executoreffects.c, chunks from executorbulk.c.
 */
#include "services/host/executor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/thread.h"
#include "services/host/executorparts.h"

struct rn_executor *rn_executor_new(const struct rn_executor_config *config)
{
    struct rn_executor *executor = rn_alloc(1, sizeof(*executor));
    executor->outlet = config->outlet;
    executor->before = config->before;
    executor->bulk_count = config->peers;
    executor->bulks = rn_alloc(config->peers, sizeof(*executor->bulks));
    for (uint32_t i = 0; i < config->peers; i++) {
        executor->bulks[i].peer = config->peers == 1 ? RN_SA_COORDINATOR : i;
    }
    rn_executor_inbox_init(executor, config->inbox_bytes);
    executor->last_call = &executor->calls;
    (void)pthread_mutex_init(&executor->lock, NULL);
    rn_condition_init(&executor->wake);
    return executor;
}

/* ---- Thread */

static struct rn_now read_now(void)
{
    return (struct rn_now){rn_clock_monotonic_ms(), rn_clock_wall_ms()};
}

static void step(struct rn_executor *executor, const struct rn_input *input)
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
    step(executor, &input);
    executor->next_tick_ms = rn_clock_monotonic_ms() + RN_EXECUTOR_TICK_MS;
}

static void *run(void *argument)
{
    struct rn_executor *executor = argument;
    struct rn_executor_turn turn;
    struct rn_input sent;
    rn_executor_queue(executor, &executor->first);
    rn_executor_drain(executor);
    while (rn_executor_take(executor, &turn)) {
        if (turn.resume) {
            executor->outlet.resume(executor->outlet.context, turn.resumed);
        }
        if (turn.tick) {
            tick(executor);
        } else if (turn.item != NULL) {
            step(executor, turn.input);
            rn_executor_item_free(turn.item);
        }
        rn_executor_drain(executor);
        if (rn_executor_bulk_pump(executor, &sent)) {
            step(executor, &sent);
            rn_executor_drain(executor);
        }
    }
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
    rn_executor_inbox_clear(executor);
    rn_executor_forget(executor);
    rn_effects_clear(&executor->first);
    for (uint32_t i = 0; i < executor->bulk_count; i++) {
        rn_free(executor->bulks[i].wanted);
    }
    rn_free(executor->bulks);
    rn_free(executor->lanes);
    (void)pthread_cond_destroy(&executor->wake);
    (void)pthread_mutex_destroy(&executor->lock);
    rn_free(executor);
}
