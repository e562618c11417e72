/* SPDX-License-Identifier: Apache-2.0
 *
 * One node: its machine, its store, and the driver between them.
 */
#include "tests/simulation/jobparts.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/envelope.h"
#include "crypto/secagg/member_state.h"
#include "services/federation/participationstate.h"
#include "tests/simulation/jobwatch.h"

#define CHUNKS_AT_ONCE 2

static bool is_coordinator(const struct job_node *node)
{
    return node->place == node->job->coordinator;
}

struct rn_now job_now(const struct job_node *node)
{
    return (struct rn_now){
        .monotonic_ms = node->job->now + node->mono_offset,
        .wall_ms =
            (uint64_t)((int64_t)(1800000000000 + (int64_t)node->job->now) + node->wall_offset),
    };
}

/* ---- What the machine may ask for */

static rn_result random_bytes(void *context, void *out, size_t length, struct rn_error *err)
{
    struct job_node *node = context;
    (void)err;
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)out)[i] = (uint8_t)job_random(node->job);
    }
    return rn_ok();
}

/* What was given out in earlier steps is there, durable or not: as the executor waits for it. */
static void settle(struct job_node *node)
{
    while (rn_memory_store_step(node->store)) {
        job_check_durable(node);
    }
    node->commit_at = JOB_NEVER;
}

struct visit {
    rn_record_visit visit;
    void *argument;
};

static struct rn_record_key key_from(const struct rn_store_key *key)
{
    struct rn_record_key out = {
        .kind = (enum rn_record_kind)key->kind, .round = key->round, .attempt = key->attempt};
    memcpy(out.session, key->session, sizeof(out.session));
    return out;
}

static rn_result forward(void *argument, uint64_t position, const struct rn_store_key *key,
                         struct rn_view body, struct rn_error *err)
{
    const struct visit *visit = argument;
    const struct rn_record_key record = key_from(key);
    (void)position;
    return visit->visit(visit->argument, &record, body, err);
}

static rn_result scan(void *context, enum rn_record_kind kind, const uint8_t *session,
                      rn_record_visit visit, void *argument, struct rn_error *err)
{
    struct job_node *node = context;
    struct rn_store_query query = {.kind = kind};
    struct visit through = {visit, argument};
    settle(node);
    if (session != NULL) {
        query.scope = RN_STORE_SESSION;
        memcpy(query.session, session, sizeof(query.session));
    }
    return rn_store_scan(node->store, &query, forward, &through, err);
}

static rn_result latest(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err)
{
    struct job_node *node = context;
    struct rn_store_query query = {.kind = kind};
    struct rn_store_record record = {0};
    settle(node);
    if (round >= 0) {
        query.scope = RN_STORE_ROUND;
        query.round = (uint32_t)round;
    }
    RN_TRY(rn_store_latest(node->store, &query, &record, out_found, err));
    *out_key = key_from(&record.key);
    rn_buffer_clear(out_body);
    *out_body = record.body;
    return rn_ok();
}

/* ---- The store */

static uint64_t commit_time(struct job *job)
{
    return job->options.commit_min_ms + job_below(job, job->options.commit_ms + 1);
}

static void on_committed(void *context, uint64_t sequence, rn_result result,
                         const struct rn_error *err)
{
    struct job_node *node = context;
    (void)err;
    if (rn_is_ok(result)) {
        node->durable = sequence;
        return;
    }
    node->result = result; /* the process ends here: nothing behind it happens */
    node->crash_in = 0;
}

static void commit(struct job_node *node, struct rn_job_batch *batch)
{
    struct rn_store_batch out = {0};
    for (size_t i = 0; i < batch->prune_count; i++) {
        rn_store_batch_prune_before(&out, batch->prunes[i].kind, batch->prunes[i].first_kept_round,
                                    0);
    }
    for (size_t i = 0; i < batch->write_count; i++) {
        const struct rn_record_key *key = &batch->writes[i].key;
        struct rn_store_key store_key = {
            .kind = key->kind, .round = key->round, .attempt = key->attempt};
        memcpy(store_key.session, key->session, sizeof(store_key.session));
        rn_store_batch_move(&out, &store_key, &batch->writes[i].body);
    }
    struct rn_error err = {{0}};
    if (!rn_is_ok(rn_store_commit(node->store, &out, on_committed, node, &node->submitted, &err))) {
        job_fail(node->job, "commit: %s", err.text);
    }
    if (node->commit_at == JOB_NEVER) {
        node->commit_at = node->job->now + commit_time(node->job);
    }
}

/* ---- Effects */

static bool crashes_now(struct job_node *node)
{
    node->watch->points++;
    if (node->crash_in == JOB_NEVER) {
        return false;
    }
    if (node->crash_in > 0) {
        node->crash_in--;
        return false;
    }
    return true;
}

static void die(struct job_node *node, uint64_t back_in)
{
    struct job *job = node->job;
    job_trace(node, "crash");
    job_node_stop(node);
    job_net_node_down(node, false);
    node->crash_in = JOB_NEVER;
    node->start_at = job->now + back_in + node->away_ms;
    node->away_ms = 0;
}

static void take_bulk(struct job_node *node, const struct rn_effect *effect)
{
    const uint32_t peer = is_coordinator(node) ? effect->peer : 0;
    struct job_bulk *bulk = &node->bulk[peer];
    if (effect->kind == RN_EFFECT_BULK_STOP) {
        *bulk = (struct job_bulk){0};
        return;
    }
    if (!bulk->active || memcmp(bulk->session, effect->session, RN_HASH_BYTES) != 0) {
        *bulk = (struct job_bulk){.active = true, .chunks = effect->chunks};
        memcpy(bulk->session, effect->session, RN_HASH_BYTES);
    }
    RN_BUG_IF(effect->chunks > sizeof(bulk->wanted));
    for (uint32_t i = 0; i < effect->chunks; i++) {
        if (i / 8 < effect->bytes.length && (effect->bytes.data[i / 8] >> (i % 8) & 1) != 0) {
            bulk->wanted[i] = 1;
        }
    }
}

static void take_train(struct job_node *node, struct rn_effect *effect)
{
    struct job *job = node->job;
    if (node->training) {
        job_fail(job, "node %u trains twice at once", (unsigned)node->place);
    }
    if (!node->signed_enough) {
        job_fail(job, "node %u trains without the signatures of its policy", (unsigned)node->place);
    }
    if (node->stopped) {
        job_fail(job, "node %u trains behind a stop", (unsigned)node->place);
    }
    job_measure_check_order(node, &effect->train);
    node->train = effect->train;
    effect->train = (struct rn_train_order){0};
    node->training = true;
    node->train_cancelled = false;
    node->train_at = job->now + 1 + job_below(job, job->options.training_ms);
}

static void take_publish(struct job_node *node, struct rn_effect *effect)
{
    struct job *job = node->job;
    job_check_publish(node, &effect->publish);
    if (node->publish_count == RN_ARRAY_LENGTH(node->publish)) {
        job_fail(job, "more publications under way than a worker may be given");
    }
    if (node->publish_count == 0) {
        node->publish_at = job->now + 1 + job_below(job, job->options.publish_ms);
    }
    node->publish[node->publish_count++] = effect->publish;
    effect->publish = (struct rn_publish_order){0};
}

static void take_event(struct job_node *node, const struct rn_effect *effect)
{
    const struct rn_job_event *event = &effect->event;
    job_trace(node, "%s round %u.%u %s %s", rn_job_event_row(event->kind)->name,
              (unsigned)event->round, (unsigned)event->attempt,
              event->reason != NULL         ? event->reason
              : event->kind == RN_JOB_STAGE ? rn_job_stage_code(event->stage)
              : event->outcome != RN_OK     ? rn_code_name(event->outcome)
                                            : "",
              effect->err.text);
    if (event->kind == RN_JOB_OFFER && is_coordinator(node)) {
        job_measure_check_offer(node->job, event->round);
    }
    if (event->kind == RN_JOB_SKIPPED) {
        node->job->skips++;
    }
    if (event->kind == RN_JOB_MEMBER_STRANDED) {
        node->job->stranded |= 1u << (event->peer - 1);
    }
}

static void end(struct job_node *node, rn_result result)
{
    job_trace(node, "end %s", rn_code_name(result.code));
    node->ended = true;
    node->result = result;
    node->ends++;
    job_node_stop(node);
    job_net_node_down(node, true);
    /* Whoever was stopped by a signal is started again; whoever ended by itself is not. */
    node->start_at = node->signals > 0 && rn_is_ok(result) && !node->job->directed
                         ? node->job->now + 500 + job_below(node->job, 5000)
                         : JOB_NEVER;
}

void job_sign_again(const struct job_node *node, const struct rn_sa_message *m, struct rn_view body,
                    struct rn_buffer *out)
{
    const struct rn_sa_outgoing outgoing = {.type = m->type,
                                            .session = m->session,
                                            .round = m->round,
                                            .sender = m->sender,
                                            .recipient = m->recipient,
                                            .transcript = m->transcript,
                                            .body = body};
    rn_sa_message_write(&outgoing, node->identity, out);
}

/* Is it a message of the session, of this type? */
static bool is_said(const struct rn_buffer *bytes, enum rn_sa_type type,
                    struct rn_wire_envelope *envelope, struct rn_sa_message *out)
{
    return rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(bytes), envelope, NULL)) &&
           envelope->body == RN_WIRE_SECAGG &&
           rn_is_ok(rn_sa_message_parse(envelope->as.secagg, out, NULL)) && out->type == type;
}

/* Every share of its Reveal is another one; or it leaves member 0 out of its Ack, and forgets its
 * shares. The whole is signed by its identity. */
static void falsify(struct job_node *node, struct rn_buffer *bytes)
{
    struct rn_wire_envelope envelope;
    struct rn_sa_message m;
    if (!is_said(bytes, node->mood == JOB_LIES ? RN_SA_REVEAL : RN_SA_ACK, &envelope, &m)) {
        return;
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer encoded = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; m.type == RN_SA_REVEAL && at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= 1;
    }
    if (m.type == RN_SA_ACK) {
        struct rn_sa_member *machine = node->participation->session.machine;
        body.data[0] &= 0xfe;
        rn_secret_wipe(&machine->vault->session.slots[0], sizeof machine->vault->session.slots[0]);
    }
    job_sign_again(node, &m, rn_buffer_view(&body), &message);
    envelope.as.secagg = rn_buffer_view(&message);
    RN_BUG_IF(!rn_is_ok(rn_wire_envelope_encode(&envelope, &encoded, NULL)));
    rn_buffer_clear(bytes);
    *bytes = encoded;
    encoded = (struct rn_buffer){0};
}

static bool is_withheld(const struct job_node *node, const struct rn_buffer *bytes)
{
    struct rn_wire_envelope envelope;
    struct rn_sa_message m;
    return node->withholds != 0 && is_said(bytes, node->withholds, &envelope, &m);
}

static void execute(struct job_node *node, struct rn_effect *effect)
{
    job_watch_effect(node, effect);
    switch (effect->kind) {
    case RN_EFFECT_SEND:
        if (node->mood == JOB_LIES || node->mood == JOB_COMPLAINS) {
            falsify(node, &effect->bytes);
        }
        if (!is_withheld(node, &effect->bytes) &&
            job_epoch_say(node, effect->connection, &effect->bytes)) {
            job_net_send(node, effect->connection, false, rn_buffer_view(&effect->bytes));
        }
        break;
    case RN_EFFECT_BULK:
    case RN_EFFECT_BULK_STOP:
        take_bulk(node, effect);
        break;
    case RN_EFFECT_CLOSE:
        job_net_close(node, effect->connection);
        break;
    case RN_EFFECT_TRAIN:
        take_train(node, effect);
        break;
    case RN_EFFECT_TRAIN_CANCEL:
        node->train_cancelled = true;
        node->train_at = node->training ? node->job->now : node->train_at;
        break;
    case RN_EFFECT_PUBLISH:
        take_publish(node, effect);
        break;
    case RN_EFFECT_LOG: /* no log is kept here (config.log) */
    case RN_EFFECT_LOG_SEND:
    case RN_EFFECT_LOG_REPORT:
    case RN_EFFECT_LOG_MIRROR:
        break;
    case RN_EFFECT_KEEP:
        job_keep(node, rn_buffer_view(&effect->bytes));
        node->kept_at = node->job->now + commit_time(node->job);
        node->keeps++;
        break;
    case RN_EFFECT_EVENT:
        take_event(node, effect);
        break;
    case RN_EFFECT_END:
        end(node, effect->result);
        break;
    case RN_EFFECT_COMMIT:
        break;
    }
}

static void enqueue(struct job_node *node, struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        struct rn_effect *effect = &effects->items[i];
        if (effect->kind == RN_EFFECT_COMMIT) {
            commit(node, &effect->batch);
            rn_effect_clear(effect);
            continue;
        }
        if (node->queue_count == node->queue_capacity) {
            const size_t capacity = node->queue_capacity == 0 ? 32 : 2 * node->queue_capacity;
            node->queue =
                rn_realloc(node->queue, node->queue_capacity, capacity, sizeof(*node->queue));
            node->queue_capacity = capacity;
        }
        node->queue[node->queue_count++] = (struct job_pending){*effect, node->submitted};
    }
    rn_free(effects->items);
    *effects = (struct rn_effects){0};
}

static void drain(struct job_node *node)
{
    while (node->queue_count > 0 && node->store != NULL && node->queue[0].after <= node->durable) {
        struct rn_effect effect = node->queue[0].effect;
        node->queue_count--;
        memmove(node->queue, node->queue + 1, node->queue_count * sizeof(*node->queue));
        if (crashes_now(node)) {
            die(node, 200 + job_below(node->job, 8000));
        } else {
            execute(node, &effect);
        }
        rn_effect_clear(&effect);
    }
}

void job_node_input(struct job_node *node, struct rn_input input)
{
    struct rn_effects effects = {0};
    struct job *job = node->job;
    if (node->store == NULL) {
        return;
    }
    job->current = node;
    if (is_coordinator(node)) {
        rn_coordination_step(node->coordination, &input, job_now(node), &effects);
    } else {
        rn_participation_step(node->participation, &input, job_now(node), &effects);
    }
    enqueue(node, &effects);
    drain(node);
}

/* ---- Start and stop */

static rn_result machine_new(struct job_node *node, struct rn_effects *effects,
                             struct rn_error *err)
{
    struct job *job = node->job;
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) signatures =
        rn_alloc(1, sizeof(*signatures));
    job_held(node, signatures);
    if (is_coordinator(node)) {
        const struct rn_coordination_config config = {
            .basis = &node->basis,
            .signatures = signatures,
            .model = &node->model,
            .kept_bytes = job->options.kept_bytes,
            .share_bytes = job->options.share_bytes,
            .spool = &node->spool.face,
        };
        return rn_coordination_new(&config, job_now(node), effects, &node->coordination, err);
    }
    const bool refuses =
        node->mood == JOB_REFUSES || (node->mood == JOB_REFUSES_LATER && node->starts > 1);
    const struct rn_participation_config config = {
        .basis = &node->basis,
        .model = &node->model,
        .policy = &node->policy,
        .signatures = signatures,
        .survivors_min = refuses ? JOB_MEMBERS_MAX + 1 : 0,
        .weight = job->options.weights == RN_WEIGHTS_EXAMPLES ? 10 + node->place : 1,
        .name = job->roster.members[node->place].name,
    };
    return rn_participation_new(&config, job_now(node), effects, &node->participation, err);
}

static void start(struct job_node *node)
{
    struct job *job = node->job;
    struct rn_error err = {{0}};
    const struct rn_store_options options = {.kept_kinds = UINT64_C(1) << RN_RECORD_SPENT};
    node->start_at = JOB_NEVER;
    node->ended = false;
    node->starts++;
    node->signals = 0;
    node->submitted = node->durable = 0;
    node->commit_at = JOB_NEVER;
    node->keeps = 0;
    job_model_init(job, &node->model);
    if (!rn_is_ok(rn_memory_store_open(node->disk, &options, &node->store, &err))) {
        job_fail(job, "store: %s", err.text);
    }
    job_trace(node, "start");
    struct rn_effects effects = {0};
    job->current = node;
    const rn_result result = machine_new(node, &effects, &err);
    if (!rn_is_ok(result)) {
        job_fail(job, "node %u does not start: %s", (unsigned)node->place, err.text);
    }
    enqueue(node, &effects);
    drain(node);
}

static void forget_orders(struct job_node *node)
{
    struct rn_effect effect = {.train = node->train};
    rn_effect_clear(&effect);
    node->train = (struct rn_train_order){0};
    node->training = false;
    for (uint32_t i = 0; i < node->publish_count; i++) {
        effect.publish = node->publish[i];
        rn_effect_clear(&effect);
    }
    node->publish_count = 0;
    memset(node->bulk, 0, sizeof(node->bulk));
}

void job_node_stop(struct job_node *node)
{
    for (size_t i = 0; i < node->queue_count; i++) {
        rn_effect_clear(&node->queue[i].effect);
    }
    node->queue_count = 0;
    rn_coordination_free(node->coordination);
    rn_participation_free(node->participation);
    node->coordination = NULL;
    node->participation = NULL;
    rn_memory_store_crash(&node->store);
    rn_round_model_clear(&node->model);
    node->commit_at = JOB_NEVER;
    forget_orders(node);
}

void job_node_init(struct job *job, uint32_t place)
{
    struct job_node *node = &job->nodes[place];
    node->job = job;
    node->place = place;
    node->disk = rn_memory_disk_new();
    memory_spool_init(&node->spool, job->options.members);
    node->crash_in = JOB_NEVER;
    node->start_at = job_below(job, 2000);
    node->commit_at = JOB_NEVER;
    node->watch = rn_alloc(1, sizeof(*node->watch));
    node->basis = (struct rn_job_basis){
        .plan = &job->plan,
        .roster = &job->roster,
        .identity = node->identity,
        .self = place == job->coordinator ? RN_SA_COORDINATOR : place,
        .base_hash = {3},
        .reader = {node, scan, latest},
        .random = random_bytes,
        .random_context = node,
    };
}

void job_node_clear(struct job_node *node)
{
    if (node->store != NULL) {
        job_node_stop(node);
    }
    rn_buffer_clear(&node->signatures);
    rn_free(node->queue);
    rn_free(node->watch);
    rn_memory_disk_free(&node->disk);
    memory_spool_clear(&node->spool);
}

/* ---- What is due */

static void commit_due(struct job_node *node)
{
    struct job *job = node->job;
    const bool crash = crashes_now(node);
    if (crash && !node->crash_after_commit) {
        die(node, 200 + job_below(job, 8000));
        return;
    }
    (void)rn_memory_store_step(node->store);
    job_check_durable(node);
    if (crash || node->crash_in == 0) {
        die(node, 200 + job_below(job, 8000));
        return;
    }
    node->commit_at = node->store != NULL && node->submitted > node->durable
                          ? job->now + commit_time(job)
                          : JOB_NEVER;
    drain(node);
}

static void train_due(struct job_node *node)
{
    struct job *job = node->job;
    const struct rn_train_order order = node->train;
    float after[JOB_ADAPTER_MAX];
    float local_head[JOB_ADAPTER_MAX];
    const struct rn_error err = {"the training was cancelled"};
    const bool fails = job_below(job, 100) < job->options.train_percent;
    struct rn_trained trained = {.round = order.round,
                                 .before = order.values,
                                 .after = after,
                                 .local_head = order.local_head == NULL ? NULL : local_head,
                                 .examples = 5,
                                 .steps = 3,
                                 .loss_sum = 2.5,
                                 .err = &err};
    if (node->train_cancelled || fails) {
        trained.result.code = node->train_cancelled ? RN_E_ROUND_ABORTED : RN_E_ROUND_NUMERIC;
    } else {
        job_train(job, node->place, &order, after, local_head);
        trained.start = job_measure(job, node->place, order.round - 1);
        trained.start.valid = order.measure;
    }
    node->training = false;
    node->train = (struct rn_train_order){0};
    job_node_input(node, (struct rn_input){.kind = RN_INPUT_TRAINED, .trained = &trained});
    struct rn_effect effect = {.train = order};
    rn_effect_clear(&effect);
}

static void publish_due(struct job_node *node)
{
    struct job *job = node->job;
    struct rn_effect effect = {.publish = node->publish[0]};
    const struct rn_published published = {.round = effect.publish.round,
                                           .final = effect.publish.final,
                                           .best = effect.publish.best,
                                           .evaluated = effect.publish.evaluate,
                                           .directory = "adapters/x"};
    job_watch_published(node, &effect.publish);
    node->best_published |= published.best;
    if (published.final) {
        node->final_published = true;
        memcpy(node->final_hash, effect.publish.adapter_hash, RN_HASH_BYTES);
    }
    node->publish_count--;
    memmove(node->publish, node->publish + 1, node->publish_count * sizeof(node->publish[0]));
    node->publish_at = job->now + 1 + job_below(job, job->options.publish_ms);
    job_node_input(node, (struct rn_input){.kind = RN_INPUT_PUBLISHED, .published = &published});
    rn_effect_clear(&effect);
}

static rn_result chunk(struct job_node *node, const struct job_bulk *bulk, uint32_t index,
                       struct rn_buffer *out, struct rn_error *err)
{
    return is_coordinator(node)
               ? rn_coordination_chunk(node->coordination, bulk->session, index, out, err)
               : rn_participation_chunk(node->participation, bulk->session, index, out, err);
}

static void send_chunk(struct job_node *node, const struct job_bulk *bulk, uint32_t peer,
                       uint32_t index, struct rn_view message)
{
    struct rn_wire_chunk piece = {.content =
                                      is_coordinator(node) ? RN_WIRE_SUM : RN_WIRE_MASKED_INPUT,
                                  .sender = is_coordinator(node) ? peer : node->place,
                                  .first_element = index,
                                  .count = 1,
                                  .data = message};
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    memcpy(piece.session, bulk->session, sizeof(piece.session));
    RN_BUG_IF(!rn_is_ok(rn_wire_chunk_head(&piece, head, &length, NULL)));
    rn_buffer_append(&bytes, head, length);
    rn_buffer_append(&bytes, message.data, message.length);
    const uint32_t member = is_coordinator(node) ? peer : node->place;
    job_net_send(node, node->job->links[member].number, true, rn_buffer_view(&bytes));
}

/* A few chunks at a time; when none is left the machine hears it. */
static void pump(struct job_node *node, uint32_t peer)
{
    struct job_bulk *bulk = &node->bulk[peer];
    const uint32_t member = is_coordinator(node) ? peer : node->place;
    rn_result result = rn_ok();
    uint32_t sent = 0;
    if (!bulk->active || !job_net_stands(node->job, member)) {
        return;
    }
    for (uint32_t i = 0; i < bulk->chunks && rn_is_ok(result); i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
        if (!bulk->wanted[i]) {
            continue;
        }
        if (sent++ == CHUNKS_AT_ONCE) {
            return;
        }
        result = chunk(node, bulk, i, &message, NULL);
        bulk->wanted[i] = 0;
        if (rn_is_ok(result)) {
            send_chunk(node, bulk, peer, i, rn_buffer_view(&message));
        }
    }
    const struct job_bulk done = *bulk;
    *bulk = (struct job_bulk){0};
    job_node_input(node, (struct rn_input){.kind = RN_INPUT_BULK_SENT,
                                           .peer = is_coordinator(node) ? peer : RN_SA_COORDINATOR,
                                           .session = done.session,
                                           .code = result.code});
}

void job_node_due(struct job_node *node)
{
    const uint64_t now = node->job->now;
    if (node->store == NULL && node->start_at <= now) {
        start(node);
    }
    if (node->store == NULL || node->asleep_until > now) {
        return;
    }
    if (node->commit_at <= now) {
        commit_due(node);
    }
    if (node->store != NULL && node->training && node->train_at <= now) {
        train_due(node);
    }
    if (node->store != NULL && node->keeps > 0 && node->kept_at <= now) {
        node->keeps--;
        job_node_input(node, (struct rn_input){.kind = RN_INPUT_KEPT});
    }
    if (node->store != NULL && node->publish_count > 0 && node->publish_at <= now) {
        publish_due(node);
    }
    for (uint32_t peer = 0; peer <= JOB_MEMBERS_MAX && node->store != NULL; peer++) {
        pump(node, peer);
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t job_node_next(const struct job_node *node)
{
    uint64_t next = JOB_NEVER;
    if (node->store == NULL) {
        return node->start_at;
    }
    if (node->asleep_until > node->job->now) {
        return node->asleep_until;
    }
    next = least(next, node->commit_at);
    next = node->training ? least(next, node->train_at) : next;
    next = node->keeps > 0 ? least(next, node->kept_at) : next;
    next = node->publish_count > 0 ? least(next, node->publish_at) : next;
    return next;
}

void job_node_tick(struct job_node *node)
{
    if (node->store == NULL || node->asleep_until > node->job->now) {
        return;
    }
    struct rn_input input = {.kind = RN_INPUT_TICK};
    input.training.steps = 10;
    input.training.step = (uint32_t)(node->job->now / 500 % 10);
    job_node_input(node, input);
}
