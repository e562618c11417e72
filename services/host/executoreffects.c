/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of effects, the store behind it, and records for the machine.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/host/executorparts.h"

struct rn_executor_pending {
    struct rn_effect effect;
    uint64_t sequence; /* of a COMMIT */
    struct rn_executor_pending *next;
};

void rn_executor_set_store(struct rn_executor *executor, struct rn_store *store)
{
    executor->store = store;
}

/* ---- Commits */

static void set_failure(struct rn_executor *executor, rn_result result, const struct rn_error *err)
{
    if (!executor->failed) {
        executor->failed = true;
        executor->failure = result;
        executor->failure_text = *err;
    }
}

void rn_executor_fail(struct rn_executor *executor, rn_result result, const struct rn_error *err)
{
    set_failure(executor, result, err);
}

static void on_done(void *context, uint64_t sequence, rn_result result, const struct rn_error *err)
{
    struct rn_executor *executor = context;
    if (rn_is_ok(result)) {
        executor->durable = sequence;
    } else {
        set_failure(executor, result, err);
    }
}

static struct rn_store_key store_key(const struct rn_record_key *key)
{
    struct rn_store_key out = {
        .kind = (uint32_t)key->kind, .round = key->round, .attempt = key->attempt};
    memcpy(out.session, key->session, sizeof(out.session));
    return out;
}

/* Bodies are moved, not copied. */
static void move_batch(struct rn_job_batch *from, struct rn_store_batch *to)
{
    for (size_t i = 0; i < from->prune_count; i++) {
        rn_store_batch_prune_before(to, (uint32_t)from->prunes[i].kind,
                                    from->prunes[i].first_kept_round, 0);
    }
    for (size_t i = 0; i < from->write_count; i++) {
        const struct rn_store_key key = store_key(&from->writes[i].key);
        rn_store_batch_move(to, &key, &from->writes[i].body);
    }
    rn_job_batch_clear(from);
}

static uint64_t submit(struct rn_executor *executor, struct rn_job_batch *from)
{
    RN_CLEANUP(rn_store_batch_clear) struct rn_store_batch batch = {0};
    struct rn_error err = {0};
    const rn_result before = executor->before == NULL || executor->failed
                                 ? rn_ok()
                                 : executor->before(executor->outlet.context, from, &err);
    if (!rn_is_ok(before)) {
        set_failure(executor, before, &err);
    }
    move_batch(from, &batch);
    while (!executor->failed) {
        const rn_result result =
            rn_store_commit(executor->store, &batch, on_done, executor, &executor->submitted, &err);
        if (rn_is_ok(result)) {
            break;
        }
        if (result.code != RN_E_BUSY) {
            set_failure(executor, result, &err);
        } else if (!rn_executor_wait_store(executor)) {
            set_failure(executor, rn_fail(&err, RN_E_UNAVAILABLE, "the service is stopping"), &err);
            executor->told = true;
        }
    }
    /* Never durable: nothing behind a commit that was refused is carried out. */
    return executor->failed ? UINT64_MAX : executor->submitted;
}

/* ---- Order */

void rn_executor_queue(struct rn_executor *executor, struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        struct rn_executor_pending *pending = rn_alloc(1, sizeof(*pending));
        pending->effect = effects->items[i];
        effects->items[i] = (struct rn_effect){0};
        if (pending->effect.kind == RN_EFFECT_COMMIT) {
            pending->sequence = submit(executor, &pending->effect.batch);
        }
        if (executor->pending == NULL) {
            executor->last_pending = &executor->pending;
        }
        *executor->last_pending = pending;
        executor->last_pending = &pending->next;
    }
    rn_effects_clear(effects);
}

static void carry(struct rn_executor *executor, struct rn_effect *effect)
{
    switch (effect->kind) {
    case RN_EFFECT_COMMIT:
        break;
    case RN_EFFECT_BULK:
        rn_executor_bulk_want(executor, effect);
        break;
    case RN_EFFECT_BULK_STOP:
        rn_executor_bulk_stop(executor, effect->peer);
        break;
    default:
        executor->outlet.carry(executor->outlet.context, effect);
        break;
    }
}

static void tell_failure(struct rn_executor *executor)
{
    struct rn_effects effects = {0};
    executor->told = true;
    rn_effects_event_err(
        &effects, (struct rn_job_event){.kind = RN_JOB_FAILED, .outcome = executor->failure.code},
        &executor->failure_text);
    rn_effects_end(&effects, executor->failure, &executor->failure_text);
    effects.items[1].now = true;
    for (size_t i = 0; i < effects.count; i++) {
        carry(executor, &effects.items[i]);
    }
    rn_effects_clear(&effects);
}

static void drop_first(struct rn_executor *executor)
{
    struct rn_executor_pending *pending = executor->pending;
    executor->pending = pending->next;
    rn_effect_clear(&pending->effect);
    rn_free(pending);
}

void rn_executor_forget(struct rn_executor *executor)
{
    while (executor->pending != NULL) {
        drop_first(executor);
    }
}

void rn_executor_drain(struct rn_executor *executor)
{
    while (executor->pending != NULL) {
        struct rn_executor_pending *first = executor->pending;
        if (first->effect.kind == RN_EFFECT_COMMIT && first->sequence > executor->durable) {
            break;
        }
        carry(executor, &first->effect);
        drop_first(executor);
    }
    if (executor->failed) {
        rn_executor_forget(executor);
        if (!executor->told) {
            tell_failure(executor);
        }
    }
}

/* ---- Reading */

static rn_result settle(struct rn_executor *executor, struct rn_error *err)
{
    while (executor->durable < executor->submitted && !executor->failed) {
        RN_ENSURE(rn_executor_wait_store(executor), err, RN_E_UNAVAILABLE,
                  "the service is stopping");
    }
    RN_ENSURE(!executor->failed, err, executor->failure.code, "%s", executor->failure_text.text);
    return rn_ok();
}

static struct rn_record_key record_key(const struct rn_store_key *key)
{
    struct rn_record_key out = {
        .kind = (enum rn_record_kind)key->kind, .round = key->round, .attempt = key->attempt};
    memcpy(out.session, key->session, sizeof(out.session));
    return out;
}

struct visit {
    rn_record_visit function;
    void *argument;
};

static rn_result visit(void *argument, uint64_t position, const struct rn_store_key *key,
                       struct rn_view body, struct rn_error *err)
{
    const struct visit *inner = argument;
    const struct rn_record_key out = record_key(key);
    (void)position;
    return inner->function(inner->argument, &out, body, err);
}

static rn_result scan(void *context, enum rn_record_kind kind, const uint8_t *session,
                      rn_record_visit function, void *argument, struct rn_error *err)
{
    struct rn_executor *executor = context;
    struct rn_store_query query = {.kind = (uint32_t)kind, .scope = RN_STORE_ALL};
    struct visit inner = {function, argument};
    if (session != NULL) {
        query.scope = RN_STORE_SESSION;
        memcpy(query.session, session, sizeof(query.session));
    }
    RN_TRY(settle(executor, err));
    return rn_store_scan(executor->store, &query, visit, &inner, err);
}

static rn_result latest(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err)
{
    struct rn_executor *executor = context;
    const struct rn_store_query query = {.kind = (uint32_t)kind,
                                         .scope = round < 0 ? RN_STORE_ALL : RN_STORE_ROUND,
                                         .round = round < 0 ? 0 : (uint32_t)round};
    struct rn_store_record record;
    RN_TRY(settle(executor, err));
    RN_TRY(rn_store_latest(executor->store, &query, &record, out_found, err));
    rn_buffer_clear(out_body);
    *out_body = record.body;
    *out_key = record_key(&record.key);
    return rn_ok();
}

struct rn_job_reader rn_executor_reader(struct rn_executor *executor)
{
    return (struct rn_job_reader){.context = executor, .scan = scan, .latest = latest};
}
