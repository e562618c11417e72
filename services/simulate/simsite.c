/* SPDX-License-Identifier: Apache-2.0 */
#include "services/simulate/simsite.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/sha256.h"

static bool is_coordinator(const struct rn_sim_site *site)
{
    return site->basis.self == RN_SA_COORDINATOR;
}

static void fail(struct rn_sim_site *site, rn_result result, const struct rn_error *err)
{
    site->ended = true;
    site->result = result;
    site->err = *err;
}

/* ---- What the machine may ask for */

static rn_result fill_random(void *context, void *out, size_t length, struct rn_error *err)
{
    struct rn_sim_site *site = context;
    (void)err;
    rn_stream_read(&site->random, out, length);
    return rn_ok();
}

static void give_rounding(void *context, uint32_t round, struct rn_secret32 *out_key)
{
    const struct rn_sim_site *site = context;
    rn_sim_rounding(site->basis.plan, site->place, round, out_key);
}

static struct rn_record_key key_from(const struct rn_store_key *key)
{
    struct rn_record_key out = {
        .kind = (enum rn_record_kind)key->kind, .round = key->round, .attempt = key->attempt};
    memcpy(out.session, key->session, sizeof(out.session));
    return out;
}

struct visit {
    rn_record_visit visit;
    void *argument;
};

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
    struct rn_sim_site *site = context;
    struct rn_store_query query = {.kind = kind};
    struct visit through = {visit, argument};
    if (session != NULL) {
        query.scope = RN_STORE_SESSION;
        memcpy(query.session, session, sizeof(query.session));
    }
    return rn_store_scan(site->store, &query, forward, &through, err);
}

static rn_result latest(void *context, enum rn_record_kind kind, int64_t round,
                        struct rn_record_key *out_key, struct rn_buffer *out_body, bool *out_found,
                        struct rn_error *err)
{
    struct rn_sim_site *site = context;
    struct rn_store_query query = {.kind = kind};
    struct rn_store_record record = {0};
    if (round >= 0) {
        query.scope = RN_STORE_ROUND;
        query.round = (uint32_t)round;
    }
    RN_TRY(rn_store_latest(site->store, &query, &record, out_found, err));
    *out_key = key_from(&record.key);
    rn_buffer_clear(out_body);
    *out_body = record.body;
    return rn_ok();
}

/* ---- Commits */

static void on_committed(void *context, uint64_t sequence, rn_result result,
                         const struct rn_error *err)
{
    (void)sequence;
    if (!rn_is_ok(result)) {
        fail(context, result, err);
    }
}

static rn_result look_for_sum(struct rn_sim_site *site, const struct rn_job_write *write,
                              struct rn_error *err)
{
    struct rn_job_result result;
    if (write->key.kind != RN_RECORD_RESULT) {
        return rn_ok();
    }
    RN_TRY(rn_job_result_read(rn_buffer_view(&write->body), &result, err));
    return site->outlet->summed(site->outlet->context, site, &result, err);
}

static rn_result commit(struct rn_sim_site *site, struct rn_job_batch *batch, struct rn_error *err)
{
    struct rn_store_batch out = {0};
    rn_result result = rn_ok();
    for (size_t i = 0; i < batch->prune_count; i++) {
        rn_store_batch_prune_before(&out, batch->prunes[i].kind, batch->prunes[i].first_kept_round,
                                    0);
    }
    for (size_t i = 0; i < batch->write_count; i++) {
        const struct rn_record_key *key = &batch->writes[i].key;
        struct rn_store_key store_key = {
            .kind = key->kind, .round = key->round, .attempt = key->attempt};
        memcpy(store_key.session, key->session, sizeof(store_key.session));
        if (rn_is_ok(result)) {
            result = look_for_sum(site, &batch->writes[i], err);
        }
        rn_store_batch_move(&out, &store_key, &batch->writes[i].body);
    }
    if (rn_is_ok(result)) {
        result = rn_store_commit(site->store, &out, on_committed, site, NULL, err);
    }
    rn_store_batch_clear(&out);
    while (rn_is_ok(result) && rn_memory_store_step(site->store)) {
    }
    return result;
}

/* ---- Effects */

static void bulk_clear(struct rn_sim_bulk *bulk)
{
    rn_free(bulk->wanted);
    *bulk = (struct rn_sim_bulk){0};
}

static void take_bulk(struct rn_sim_site *site, const struct rn_effect *effect)
{
    struct rn_sim_bulk *bulk = &site->bulks[is_coordinator(site) ? effect->peer : 0];
    const bool stop = effect->kind == RN_EFFECT_BULK_STOP;
    if (stop || memcmp(bulk->session, effect->session, RN_HASH_BYTES) != 0 || !bulk->active) {
        bulk_clear(bulk);
    }
    if (stop) {
        return;
    }
    if (!bulk->active) {
        *bulk = (struct rn_sim_bulk){.active = true, .chunks = effect->chunks};
        bulk->wanted = rn_alloc(effect->chunks, 1);
        memcpy(bulk->session, effect->session, RN_HASH_BYTES);
    }
    for (uint32_t i = 0; i < bulk->chunks; i++) {
        if (i / 8 < effect->bytes.length && (effect->bytes.data[i / 8] >> (i % 8) & 1) != 0) {
            bulk->wanted[i] = 1;
        }
    }
}

static void take_publish(struct rn_sim_site *site, struct rn_effect *effect)
{
    site->publish = rn_realloc(site->publish, site->publish_count, site->publish_count + 1,
                               sizeof(*site->publish));
    site->publish[site->publish_count++] = effect->publish;
    effect->publish = (struct rn_publish_order){0};
}

static void take_train(struct rn_sim_site *site, struct rn_effect *effect)
{
    RN_BUG_IF(site->training);
    site->train = effect->train;
    effect->train = (struct rn_train_order){0};
    site->training = true;
    site->cancelled = false;
}

static void execute(struct rn_sim_site *site, struct rn_effect *effect)
{
    struct rn_error err = {{0}};
    rn_result result = rn_ok();
    switch (effect->kind) {
    case RN_EFFECT_COMMIT:
        result = commit(site, &effect->batch, &err);
        break;
    case RN_EFFECT_SEND:
        site->outlet->send(site->outlet->context, site, effect->connection, &effect->bytes);
        break;
    case RN_EFFECT_BULK:
    case RN_EFFECT_BULK_STOP:
        take_bulk(site, effect);
        break;
    case RN_EFFECT_TRAIN:
        take_train(site, effect);
        break;
    case RN_EFFECT_TRAIN_CANCEL:
        site->cancelled = true;
        break;
    case RN_EFFECT_PUBLISH:
        take_publish(site, effect);
        break;
    case RN_EFFECT_LOG: /* no log is kept (config.log) */
    case RN_EFFECT_LOG_SEND:
    case RN_EFFECT_LOG_REPORT:
    case RN_EFFECT_LOG_MIRROR:
        break;
    case RN_EFFECT_KEEP:
        site->keeps++;
        break;
    case RN_EFFECT_END:
        site->ended = true;
        site->result = effect->result;
        site->err = effect->err;
        break;
    case RN_EFFECT_CLOSE: /* streams do not break here */
    case RN_EFFECT_EVENT:
        break;
    }
    if (!rn_is_ok(result)) {
        fail(site, result, &err);
    }
}

static void execute_all(struct rn_sim_site *site, struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        if (!site->ended) {
            execute(site, &effects->items[i]);
        }
    }
    rn_effects_clear(effects);
}

void rn_sim_site_input(struct rn_sim_site *site, const struct rn_input *input, struct rn_now now)
{
    struct rn_effects effects = {0};
    if (site->ended) {
        return;
    }
    if (is_coordinator(site)) {
        rn_coordination_step(site->coordination, input, now, &effects);
    } else {
        rn_participation_step(site->participation, input, now, &effects);
    }
    execute_all(site, &effects);
}

/* ---- Chunks */

static rn_result make_chunk(struct rn_sim_site *site, const struct rn_sim_bulk *bulk, uint32_t peer,
                            uint32_t index, struct rn_buffer *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
    size_t length = 0;
    struct rn_wire_chunk chunk = {.content =
                                      is_coordinator(site) ? RN_WIRE_SUM : RN_WIRE_MASKED_INPUT,
                                  .sender = is_coordinator(site) ? peer : site->place,
                                  .first_element = index,
                                  .count = 1};
    RN_TRY(is_coordinator(site)
               ? rn_coordination_chunk(site->coordination, bulk->session, index, &message, err)
               : rn_participation_chunk(site->participation, bulk->session, index, &message, err));
    memcpy(chunk.session, bulk->session, sizeof(chunk.session));
    chunk.data = rn_buffer_view(&message);
    RN_TRY(rn_wire_chunk_head(&chunk, head, &length, err));
    rn_buffer_append(out, head, length);
    rn_buffer_append(out, message.data, message.length);
    return rn_ok();
}

static void end_bulk(struct rn_sim_site *site, uint32_t peer, rn_result result, struct rn_now now)
{
    uint8_t session[RN_HASH_BYTES];
    struct rn_sim_bulk *bulk = &site->bulks[peer];
    memcpy(session, bulk->session, sizeof(session));
    bulk_clear(bulk);
    const struct rn_input input = {.kind = RN_INPUT_BULK_SENT,
                                   .peer = is_coordinator(site) ? peer : RN_SA_COORDINATOR,
                                   .session = session,
                                   .code = result.code};
    rn_sim_site_input(site, &input, now);
}

bool rn_sim_site_chunk(struct rn_sim_site *site, uint32_t peer, struct rn_now now,
                       struct rn_buffer *out)
{
    struct rn_sim_bulk *bulk = &site->bulks[peer];
    if (!bulk->active || site->ended) {
        return false;
    }
    for (uint32_t i = 0; i < bulk->chunks; i++) {
        if (!bulk->wanted[i]) {
            continue;
        }
        bulk->wanted[i] = 0;
        const rn_result made = make_chunk(site, bulk, peer, i, out, NULL);
        if (!rn_is_ok(made)) {
            end_bulk(site, peer, made, now);
        }
        return rn_is_ok(made);
    }
    end_bulk(site, peer, rn_ok(), now);
    return false;
}

/* ---- Start and stop */

static void seed(struct rn_sim_site *site, const struct rn_plan *plan)
{
    uint8_t bytes[12];
    struct rn_writer writer = rn_writer_to(bytes, sizeof(bytes));
    rn_write_u64(&writer, plan->seed);
    rn_write_u32(&writer, site->place);
    const struct rn_view view = rn_view_of(bytes, sizeof(bytes));
    RN_CLEANUP(rn_secret32_clear) struct rn_secret32 key = {{0}};
    rn_sha256(key.bytes, "rondo/v1 simulated site", &view, 1);
    rn_stream_init(&site->random, &key);
}

static void copy_model(const struct rn_round_model *start, struct rn_round_model *out)
{
    *out = *start;
    out->adapter.values = rn_alloc(start->adapter.count, sizeof(float));
    memcpy(out->adapter.values, start->adapter.values, start->adapter.count * sizeof(float));
    if (start->local_head != NULL) {
        out->local_head = rn_alloc(start->local_head_count, sizeof(float));
        memcpy(out->local_head, start->local_head, start->local_head_count * sizeof(float));
    }
}

static void prepare(const struct rn_sim_site_config *config, struct rn_sim_site *site)
{
    const bool coordinator = config->place == config->roster->count;
    *site = (struct rn_sim_site){.outlet = config->outlet, .place = config->place};
    site->peers = coordinator ? config->roster->count : 1;
    site->bulks = rn_alloc(site->peers, sizeof(*site->bulks));
    site->disk = rn_memory_disk_new();
    seed(site, config->plan);
    copy_model(config->start, &site->model);
    site->basis = (struct rn_job_basis){
        .plan = config->plan,
        .roster = config->roster,
        .identity = config->identity,
        .self = coordinator ? RN_SA_COORDINATOR : config->place,
        .reader = {site, scan, latest},
        .random = fill_random,
        .random_context = site,
    };
    memcpy(site->basis.base_hash, config->plan->model_hash, sizeof(site->basis.base_hash));
}

static rn_result new_machine(const struct rn_sim_site_config *config, struct rn_sim_site *site,
                             struct rn_effects *effects, struct rn_error *err)
{
    if (is_coordinator(site)) {
        const struct rn_coordination_config coordination = {
            .basis = &site->basis,
            .signatures = config->signatures,
            .model = &site->model,
            .spool_bytes = UINT64_MAX / 2, /* memory is what a simulation has */
        };
        return rn_coordination_new(&coordination, config->now, effects, &site->coordination, err);
    }
    const struct rn_participation_config participation = {
        .basis = &site->basis,
        .model = &site->model,
        .policy = config->policy,
        .signatures = config->signatures,
        .weight = config->weight,
        .name = config->roster->members[config->place].name,
        .rounding = give_rounding,
        .rounding_context = site,
    };
    return rn_participation_new(&participation, config->now, effects, &site->participation, err);
}

rn_result rn_sim_site_open(const struct rn_sim_site_config *config, struct rn_sim_site *out,
                           struct rn_error *err)
{
    struct rn_effects effects = {0};
    const struct rn_store_options options = {.kept_kinds = UINT64_C(1) << RN_RECORD_SPENT};
    prepare(config, out);
    RN_TRY(rn_memory_store_open(out->disk, &options, &out->store, err));
    const rn_result result = new_machine(config, out, &effects, err);
    if (rn_is_ok(result)) {
        execute_all(out, &effects);
    }
    rn_effects_clear(&effects);
    return result;
}

static void forget_orders(struct rn_sim_site *site)
{
    struct rn_effect effect = {.train = site->train};
    rn_effect_clear(&effect);
    for (uint32_t i = 0; i < site->publish_count; i++) {
        effect = (struct rn_effect){.publish = site->publish[i]};
        rn_effect_clear(&effect);
    }
    rn_free(site->publish);
}

void rn_sim_site_close(struct rn_sim_site *site)
{
    rn_coordination_free(site->coordination);
    rn_participation_free(site->participation);
    forget_orders(site);
    for (uint32_t i = 0; i < site->peers; i++) {
        bulk_clear(&site->bulks[i]);
    }
    rn_free(site->bulks);
    rn_store_close(&site->store);
    rn_memory_disk_free(&site->disk);
    rn_round_model_clear(&site->model);
    rn_stream_clear(&site->random);
    *site = (struct rn_sim_site){0};
}
