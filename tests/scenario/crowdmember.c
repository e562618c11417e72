/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/scenario/crowdmember.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/random.h"
#include "services/host/peerstreams.h"

#define DELTA 0.0009765625f

struct crowd_record {
    struct rn_record_key key;
    struct rn_buffer body;
};

/* ---- Records, durable at once */

static rn_result scan(void *context, enum rn_record_kind kind, const uint8_t *session,
                      rn_record_visit visit, void *argument, struct rn_error *err)
{
    const struct crowd_member *member = context;
    for (size_t i = 0; i < member->record_count; i++) {
        const struct crowd_record *record = &member->records[i];
        if (record->key.kind == kind &&
            (session == NULL || memcmp(record->key.session, session, RN_HASH_BYTES) == 0)) {
            RN_TRY(visit(argument, &record->key, rn_buffer_view(&record->body), err));
        }
    }
    return rn_ok();
}

static rn_result latest(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err)
{
    const struct crowd_member *member = context;
    (void)err;
    *out_found = false;
    for (size_t i = member->record_count; i-- > 0 && !*out_found;) {
        const struct crowd_record *record = &member->records[i];
        if (record->key.kind == kind && (round < 0 || record->key.round == (uint32_t)round)) {
            *out_key = record->key;
            rn_buffer_clear(out_body);
            rn_buffer_append(out_body, record->body.data, record->body.length);
            *out_found = true;
        }
    }
    return rn_ok();
}

static void keep(struct crowd_member *member, struct rn_job_batch *batch)
{
    for (size_t i = 0; i < batch->write_count; i++) {
        if (member->record_count == member->record_capacity) {
            const size_t capacity = member->record_capacity == 0 ? 32 : 2 * member->record_capacity;
            member->records = rn_realloc(member->records, member->record_capacity, capacity,
                                         sizeof(*member->records));
            member->record_capacity = capacity;
        }
        member->records[member->record_count++] =
            (struct crowd_record){batch->writes[i].key, batch->writes[i].body};
        batch->writes[i].body = (struct rn_buffer){0};
    }
}

static rn_result random_bytes(void *context, void *out, size_t length, struct rn_error *err)
{
    (void)context;
    return rn_random_bytes(out, length, err);
}

/* ---- Effects */

static void send_message(struct crowd_member *member, const struct rn_effect *effect)
{
    struct rn_rpc_stream *stream = member->session;
    if (stream == NULL || rn_rpc_stream_number(stream) != effect->connection) {
        return;
    }
    const rn_result sent = rn_rpc_stream_send(stream, rn_buffer_view(&effect->bytes));
    member->lost |= sent.code == RN_E_BUSY;
}

static void want_chunks(struct crowd_member *member, struct rn_effect *effect)
{
    rn_buffer_clear(&member->wanted);
    member->wanted = effect->bytes;
    effect->bytes = (struct rn_buffer){0};
    memcpy(member->wanted_session, effect->session, RN_HASH_BYTES);
    member->chunks = effect->chunks;
    member->next_chunk = 0;
}

static void carry_out(struct crowd_member *member, struct rn_effect *effect)
{
    switch (effect->kind) {
    case RN_EFFECT_COMMIT:
        keep(member, &effect->batch);
        break;
    case RN_EFFECT_SEND:
        send_message(member, effect);
        break;
    case RN_EFFECT_BULK:
        want_chunks(member, effect);
        break;
    case RN_EFFECT_BULK_STOP:
        rn_buffer_clear(&member->wanted);
        break;
    case RN_EFFECT_CLOSE:
        if (member->session != NULL &&
            rn_rpc_stream_number(member->session) == effect->connection) {
            rn_rpc_stream_close(member->session, effect->result);
        }
        break;
    case RN_EFFECT_TRAIN:
        member->train = effect->train;
        member->trains = true;
        effect->train = (struct rn_train_order){0};
        break;
    case RN_EFFECT_PUBLISH:
        RN_BUG_IF(member->publishes);
        member->publish = effect->publish;
        member->publishes = true;
        effect->publish = (struct rn_publish_order){0};
        break;
    case RN_EFFECT_LOG: /* no log is kept here (config.log) */
    case RN_EFFECT_LOG_SEND:
    case RN_EFFECT_LOG_REPORT:
    case RN_EFFECT_LOG_MIRROR:
        break;
    case RN_EFFECT_KEEP:
        member->keeps = true;
        break;
    case RN_EFFECT_END:
        member->ended = true;
        member->result = effect->result;
        member->err = effect->err;
        break;
    case RN_EFFECT_TRAIN_CANCEL: /* it is over before anybody can */
    case RN_EFFECT_EVENT:
        break;
    }
}

static void carry_out_all(struct crowd_member *member, struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        carry_out(member, &effects->items[i]);
    }
    rn_effects_clear(effects);
}

static struct rn_now now(void)
{
    return (struct rn_now){rn_clock_monotonic_ms(), rn_clock_wall_ms()};
}

void crowd_member_input(struct crowd_member *member, const struct rn_input *input)
{
    struct rn_effects effects = {0};
    if (member->participation != NULL && !member->ended) {
        rn_participation_step(member->participation, input, now(), &effects);
        carry_out_all(member, &effects);
    }
}

/* ---- What is due */

/* Every element that the round trains grows by DELTA, at every site. */
static void train(struct crowd_member *member)
{
    struct rn_effect order = {.train = member->train};
    const struct rn_round_adapter *adapter = &member->model.adapter;
    const unsigned active = rn_plan_active(&member->site->plan, order.train.round);
    float *RN_CLEANUP(rn_free_cleanup) after = rn_alloc(adapter->count, sizeof(*after));
    memcpy(after, order.train.values, adapter->count * sizeof(*after));
    for (size_t s = 0; s < adapter->segment_count; s++) {
        const struct rn_segment *segment = &adapter->segments[s];
        const unsigned part = segment->kind == RN_SEGMENT_A   ? RN_ROUND_A
                              : segment->kind == RN_SEGMENT_B ? RN_ROUND_B
                                                              : 0;
        for (size_t i = 0; (active & part) != 0 && i < segment->count; i++) {
            after[segment->offset + i] += DELTA;
        }
    }
    member->trains = false;
    member->train = (struct rn_train_order){0};
    const struct rn_trained trained = {.round = order.train.round,
                                       .before = order.train.values,
                                       .after = after,
                                       .examples = 8,
                                       .steps = member->site->plan.training.steps,
                                       .loss_sum = 2.5};
    crowd_member_input(member, &(struct rn_input){.kind = RN_INPUT_TRAINED, .trained = &trained});
    rn_effect_clear(&order);
}

static void publish(struct crowd_member *member)
{
    struct rn_effect order = {.publish = member->publish};
    const struct rn_published published = {.round = order.publish.round,
                                           .final = order.publish.final,
                                           .best = order.publish.best,
                                           .directory = ""};
    member->finals += published.final;
    member->publishes = false;
    member->publish = (struct rn_publish_order){0};
    crowd_member_input(member,
                       &(struct rn_input){.kind = RN_INPUT_PUBLISHED, .published = &published});
    rn_effect_clear(&order);
}

static rn_result send_chunk(struct crowd_member *member, uint32_t index)
{
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    RN_TRY(rn_participation_chunk(member->participation, member->wanted_session, index, &message,
                                  NULL));
    struct rn_wire_chunk piece = {.content = RN_WIRE_MASKED_INPUT,
                                  .sender = member->site->self,
                                  .first_element = index,
                                  .count = 1,
                                  .data = rn_buffer_view(&message)};
    memcpy(piece.session, member->wanted_session, RN_HASH_BYTES);
    RN_TRY(rn_wire_chunk_head(&piece, head, &length, NULL));
    return rn_rpc_stream_send2(member->bulk, rn_view_of(head, length), rn_buffer_view(&message));
}

static void pump(struct crowd_member *member)
{
    rn_result result = rn_ok();
    while (member->bulk != NULL && member->wanted.length > 0) {
        size_t messages = 0;
        size_t bytes = 0;
        rn_rpc_stream_queued(member->bulk, &messages, &bytes);
        if (bytes > RN_STREAM_BULK_WINDOW) {
            return;
        }
        const uint32_t at = member->next_chunk++;
        const bool left = at < member->chunks && rn_is_ok(result);
        if (left && (member->wanted.data[at / 8] >> (at % 8) & 1) != 0) {
            result = send_chunk(member, at);
        }
        if (!left) {
            rn_buffer_clear(&member->wanted);
            crowd_member_input(member, &(struct rn_input){.kind = RN_INPUT_BULK_SENT,
                                                          .peer = RN_SA_COORDINATOR,
                                                          .session = member->wanted_session,
                                                          .code = result.code});
        }
    }
}

void crowd_member_due(struct crowd_member *member)
{
    if (member->trains) {
        train(member);
    }
    if (member->publishes) {
        publish(member);
    }
    if (member->keeps) {
        member->keeps = false;
        crowd_member_input(member, &(struct rn_input){.kind = RN_INPUT_KEPT});
    }
    pump(member);
}

/* ---- Life */

static void copy_model(const struct rn_round_model *start, struct rn_round_model *out)
{
    *out = *start;
    out->adapter.values = rn_alloc(start->adapter.count, sizeof(float));
    memcpy(out->adapter.values, start->adapter.values, start->adapter.count * sizeof(float));
}

rn_result crowd_member_open(struct crowd_member *member, const char *directory,
                            const struct rn_round_model *start, struct rn_error *err)
{
    RN_TRY(rn_site_files_open(directory, RN_SITE_MEMBER, &member->site, err));
    copy_model(start, &member->model);
    member->basis = (struct rn_job_basis){.plan = &member->site->plan,
                                          .roster = &member->site->roster,
                                          .identity = member->site->identity,
                                          .self = member->site->self,
                                          .reader = {member, scan, latest},
                                          .random = random_bytes};
    memcpy(member->basis.base_hash, member->site->base_hash, RN_HASH_BYTES);
    return rn_ok();
}

rn_result crowd_member_start(struct crowd_member *member, struct rn_error *err)
{
    struct rn_effects first = {0};
    const struct rn_participation_config config = {.basis = &member->basis,
                                                   .model = &member->model,
                                                   .policy = &member->site->policy,
                                                   .signatures = &member->site->signatures,
                                                   .weight = 8,
                                                   .name = member->site->site.name};
    RN_TRY(rn_participation_new(&config, now(), &first, &member->participation, err));
    carry_out_all(member, &first);
    return rn_ok();
}

void crowd_member_close(struct crowd_member *member)
{
    struct rn_effect orders = {.train = member->train, .publish = member->publish};
    rn_effect_clear(&orders);
    rn_buffer_clear(&member->wanted);
    rn_participation_free(member->participation);
    rn_round_model_clear(&member->model);
    for (size_t i = 0; i < member->record_count; i++) {
        rn_buffer_clear(&member->records[i].body);
    }
    rn_free(member->records);
    rn_site_files_free(member->site);
}
