/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks: pulled from the machine as the peers' streams take them, so that a vector is never in
 * memory a second time.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/host/executorparts.h"

struct rn_executor_bulk *rn_executor_bulk_of(struct rn_executor *executor, uint32_t peer)
{
    const uint32_t place = executor->bulk_count == 1 ? 0 : peer;
    RN_BUG_IF(place >= executor->bulk_count);
    return &executor->bulks[place];
}

static void forget(struct rn_executor_bulk *bulk)
{
    rn_free(bulk->wanted);
    bulk->wanted = NULL;
    bulk->chunks = bulk->left = bulk->next = 0;
    bulk->telling = false;
}

void rn_executor_bulk_stop(struct rn_executor *executor, uint32_t peer)
{
    forget(rn_executor_bulk_of(executor, peer));
}

static bool wants(const struct rn_effect *effect, uint32_t chunk)
{
    return chunk / 8 < effect->bytes.length &&
           (effect->bytes.data[chunk / 8] >> (chunk % 8) & 1) != 0;
}

void rn_executor_bulk_want(struct rn_executor *executor, const struct rn_effect *effect)
{
    struct rn_executor_bulk *bulk = rn_executor_bulk_of(executor, effect->peer);
    bulk->peer = effect->peer;
    if (bulk->chunks != effect->chunks ||
        memcmp(bulk->session, effect->session, sizeof(bulk->session)) != 0) {
        forget(bulk);
        memcpy(bulk->session, effect->session, sizeof(bulk->session));
        bulk->chunks = effect->chunks;
        bulk->wanted = rn_alloc(effect->chunks, 1);
    }
    for (uint32_t chunk = 0; chunk < effect->chunks; chunk++) {
        if (wants(effect, chunk) && bulk->wanted[chunk] == 0) {
            bulk->wanted[chunk] = 1;
            bulk->left++;
        }
    }
    bulk->next = 0;
    bulk->telling = true;
}

void rn_executor_bulk_credit(struct rn_executor *executor)
{
    for (uint32_t i = 0; i < executor->bulk_count; i++) {
        struct rn_executor_bulk *bulk = &executor->bulks[i];
        RN_BUG_IF(bulk->taken > bulk->outstanding);
        bulk->outstanding -= bulk->taken;
        bulk->taken = 0;
    }
}

static bool is_due(const struct rn_executor_bulk *bulk)
{
    return bulk->left > 0 ? bulk->outstanding < RN_EXECUTOR_BULK_CHUNKS
                          : bulk->telling && bulk->outstanding == 0;
}

bool rn_executor_bulk_due(const struct rn_executor *executor)
{
    for (uint32_t i = 0; i < executor->bulk_count && !executor->failed; i++) {
        if (is_due(&executor->bulks[i])) {
            return true;
        }
    }
    return false;
}

static struct rn_input sent(struct rn_executor_bulk *bulk, enum rn_code code)
{
    forget(bulk);
    return (struct rn_input){
        .kind = RN_INPUT_BULK_SENT, .peer = bulk->peer, .session = bulk->session, .code = code};
}

static rn_result pull(struct rn_executor *executor, struct rn_executor_bulk *bulk)
{
    struct rn_error err = {0};
    while (bulk->wanted[bulk->next] == 0) {
        bulk->next++;
    }
    struct rn_executor_chunk chunk = {.peer = bulk->peer, .chunk = bulk->next};
    memcpy(chunk.session, bulk->session, sizeof(chunk.session));
    const rn_result result = executor->machine.chunk(executor->machine.context, bulk->session,
                                                     bulk->next, &chunk.message, &err);
    if (!rn_is_ok(result)) {
        rn_buffer_clear(&chunk.message);
        return result;
    }
    bulk->wanted[bulk->next++] = 0;
    bulk->left--;
    bulk->outstanding++;
    executor->outlet.chunk(executor->outlet.context, &chunk);
    return rn_ok();
}

bool rn_executor_bulk_pump(struct rn_executor *executor, struct rn_input *out_sent)
{
    for (uint32_t i = 0; i < executor->bulk_count && !executor->failed; i++) {
        struct rn_executor_bulk *bulk =
            &executor->bulks[(executor->bulk_turn + i) % executor->bulk_count];
        if (!is_due(bulk)) {
            continue;
        }
        executor->bulk_turn = (executor->bulk_turn + i + 1) % executor->bulk_count;
        const bool done = bulk->left == 0;
        const rn_result pulled = done ? rn_ok() : pull(executor, bulk);
        if (done || !rn_is_ok(pulled)) {
            *out_sent = sent(bulk, pulled.code);
            return true;
        }
        return false;
    }
    return false;
}
