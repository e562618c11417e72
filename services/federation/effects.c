/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/effects.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secret.h"

_Static_assert(RN_WIRE_SECAGG_MAX >= RN_SA_MESSAGE_MAX, "every protocol message can be sent");

static void clear_floats(float **values, size_t count)
{
    if (*values != NULL) {
        rn_secret_wipe(*values, count * sizeof(**values));
        rn_free(*values);
        *values = NULL;
    }
}

void rn_effect_clear(struct rn_effect *effect)
{
    rn_buffer_clear(&effect->bytes);
    rn_job_batch_clear(&effect->batch);
    clear_floats(&effect->train.values, effect->train.count);
    clear_floats(&effect->train.local_head, effect->train.local_head_count);
    clear_floats(&effect->publish.values, effect->publish.count);
    clear_floats(&effect->publish.local_head, effect->publish.local_head_count);
    *effect = (struct rn_effect){0};
}

void rn_effects_clear(struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        rn_effect_clear(&effects->items[i]);
    }
    rn_free(effects->items);
    *effects = (struct rn_effects){0};
}

struct rn_effect *rn_effects_add(struct rn_effects *effects, enum rn_effect_kind kind)
{
    if (effects->count == effects->capacity) {
        const size_t capacity = effects->capacity == 0 ? 8 : 2 * effects->capacity;
        effects->items =
            rn_realloc(effects->items, effects->capacity, capacity, sizeof(*effects->items));
        effects->capacity = capacity;
    }
    struct rn_effect *effect = &effects->items[effects->count++];
    *effect = (struct rn_effect){.kind = kind};
    return effect;
}

static float *copied(const float *values, size_t count)
{
    float *copy = values == NULL ? NULL : rn_alloc(count, sizeof(*copy));
    if (copy != NULL) {
        memcpy(copy, values, count * sizeof(*copy));
    }
    return copy;
}

struct rn_train_order *rn_effects_train(struct rn_effects *effects,
                                        const struct rn_round_model *model, uint32_t round)
{
    struct rn_train_order *order = &rn_effects_add(effects, RN_EFFECT_TRAIN)->train;
    *order = (struct rn_train_order){
        .round = round,
        .values = copied(model->adapter.values, model->adapter.count),
        .count = model->adapter.count,
        .local_head = copied(model->local_head, model->local_head_count),
        .local_head_count = model->local_head_count,
    };
    memcpy(order->adapter_hash, model->adapter_hash, RN_HASH_BYTES);
    return order;
}

struct rn_publish_order *rn_effects_publish(struct rn_effects *effects,
                                            const struct rn_round_model *model, uint32_t round)
{
    struct rn_publish_order *order = &rn_effects_add(effects, RN_EFFECT_PUBLISH)->publish;
    *order = (struct rn_publish_order){
        .round = round,
        .values = copied(model->adapter.values, model->adapter.count),
        .count = model->adapter.count,
        .local_head = copied(model->local_head, model->local_head_count),
        .local_head_count = model->local_head_count,
    };
    memcpy(order->adapter_hash, model->adapter_hash, RN_HASH_BYTES);
    return order;
}

struct rn_job_batch *rn_effects_commit(struct rn_effects *effects)
{
    struct rn_effect *last = effects->count == 0 ? NULL : &effects->items[effects->count - 1];
    if (last == NULL || last->kind != RN_EFFECT_COMMIT) {
        last = rn_effects_add(effects, RN_EFFECT_COMMIT);
    }
    return &last->batch;
}

void rn_effects_send(struct rn_effects *effects, uint64_t connection,
                     const struct rn_wire_envelope *envelope)
{
    if (connection == 0) {
        return;
    }
    struct rn_effect *effect = rn_effects_add(effects, RN_EFFECT_SEND);
    effect->connection = connection;
    /* Fields are this program's own, within their limits. */
    RN_BUG_IF(!rn_is_ok(rn_wire_envelope_encode(envelope, &effect->bytes, NULL)));
}

void rn_effects_send_secagg(struct rn_effects *effects, uint64_t connection, struct rn_view message)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG, .as.secagg = message};
    rn_effects_send(effects, connection, &envelope);
}

void rn_effects_close(struct rn_effects *effects, uint64_t connection, rn_result result)
{
    if (connection == 0) {
        return;
    }
    struct rn_effect *effect = rn_effects_add(effects, RN_EFFECT_CLOSE);
    effect->connection = connection;
    effect->result = result;
}

void rn_effects_event(struct rn_effects *effects, struct rn_job_event event)
{
    rn_effects_add(effects, RN_EFFECT_EVENT)->event = event;
}

void rn_effects_event_err(struct rn_effects *effects, struct rn_job_event event,
                          const struct rn_error *err)
{
    struct rn_effect *effect = rn_effects_add(effects, RN_EFFECT_EVENT);
    effect->event = event;
    effect->err = *err;
}

void rn_effects_event_path(struct rn_effects *effects, struct rn_job_event event, const char *path)
{
    struct rn_effect *effect = rn_effects_add(effects, RN_EFFECT_EVENT);
    effect->event = event;
    if (path[0] != '\0') {
        rn_buffer_append(&effect->bytes, path, strlen(path) + 1);
    }
}

void rn_effects_end(struct rn_effects *effects, rn_result result, const struct rn_error *err)
{
    struct rn_effect *effect = rn_effects_add(effects, RN_EFFECT_END);
    effect->result = result;
    if (err != NULL) {
        effect->err = *err;
    }
}
