/* SPDX-License-Identifier: Apache-2.0
 *
 * Three members' state machines against a real aggregator, without a program around them: a small
 * driver carries out effects in order, keeps records in arrays, and can hold back a message type,
 * a member or a training. Every signed message of a member is checked when it leaves: its record
 * must be durable already.
 */
#ifndef RN_TESTS_PARTICIPATIONWORLD_H
#define RN_TESTS_PARTICIPATIONWORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "crypto/secagg/aggregator.h"
#include "crypto/secagg/member.h"
#include "crypto/secagg/sarecord.h"
#include "policy/signature.h"
#include "services/federation/participation.h"
#include "services/round/roundsession.h"
#include "tests/unit/policy/policytext.h"

#define SITES 3
#define A_COUNT 6u
#define COUNT 12u
#define RECORDS 512
#define QUEUE 4096
#define ALL_SIGNED ((2u << SITES) - 1)
#define TYPES 24 /* of crypto/secagg/PROTOCOL.md */
enum { OFFER = 1, READY = 2, SHARES = 4, ACK = 6, ACK_SET = 7, DONE = 9, SURVIVORS = 11 };
enum { VOTE = 12, CERTIFICATE = 13, REVEAL = 16, RESULT = 17, SUM_CHUNK = 18, RECEIPT = 19 };

struct kept {
    struct rn_record_key key;
    struct rn_buffer body;
};

struct site {
    struct world *world;
    uint32_t place;
    struct rn_job_basis basis;
    struct rn_round_model model;
    struct rn_participation *p;
    struct kept records[RECORDS];
    size_t record_count;
    uint64_t connection;
    bool mute; /* nothing of the coordinator's session reaches it */

    float *order; /* of the training that runs */
    uint32_t order_round;
    bool order_measure;
    unsigned begun, cancelled;
    unsigned published;
    struct rn_publish_order final; /* without its values */
    bool ended, ended_now;
    rn_result end_result;
    char end_text[RN_ERROR_TEXT_MAX];
    unsigned events[RN_JOB_EVENTS];
    unsigned sent[TYPES];
    unsigned hellos, statuses, bulk_stops;
    struct rn_wire_hello hello; /* the newest */
    uint32_t held;              /* whose signatures it starts with; bits, SITES: coordinator */
    struct rn_policy policy;    /* its rules on signers */
    struct rn_buffer file;      /* newest KEEP: not durable before the test says so */
    unsigned keeps;
    char event_text[RN_JOB_EVENTS][RN_ERROR_TEXT_MAX];
    struct rn_wire_status status;
    uint64_t closed;
    enum rn_code closed_code;
    uint32_t member_kept_from; /* of the newest prune rule; 0: none */
};

struct item {
    enum { TO_SITE, TO_SITE_BULK, TO_AGGREGATOR, UPLOAD } kind;
    uint32_t site;
    uint64_t connection;
    struct rn_buffer bytes;
};

struct world {
    struct rn_plan plan;
    struct rn_roster roster;
    struct rn_identity *coordinator;
    struct rn_identity *identities[SITES];
    struct rn_segment a[1], b[1], ab[2];
    struct rn_round_model model; /* the coordinator's */
    struct rn_sa_aggregator *aggregator;
    struct rn_round_layout layout;
    struct site sites[SITES];
    struct item queue[QUEUE];
    size_t head, tail;
    uint64_t now_ms;
    uint32_t start_round; /* whose sum made the coordinator's adapter */
    double metric;        /* what every development set says */
    uint64_t connections;
    unsigned hold; /* message type that no site gets */
    bool break_upload;
    uint8_t random;
    uint8_t nonce; /* another one makes another session of the same round and attempt */
};

static void step(struct site *site, struct rn_input input);
static void pump(struct world *w);

/* ---- What the machines may ask for */

static rn_result world_random(void *context, void *out, size_t length, struct rn_error *err)
{
    struct world *w = context;
    (void)err;
    memset(out, ++w->random, length);
    return rn_ok();
}

static rn_result world_scan(void *context, enum rn_record_kind kind, const uint8_t *session,
                            rn_record_visit visit, void *argument, struct rn_error *err)
{
    const struct site *site = context;
    for (size_t i = 0; i < site->record_count; i++) {
        const struct kept *kept = &site->records[i];
        if (kept->key.kind == kind &&
            (session == NULL || memcmp(session, kept->key.session, RN_HASH_BYTES) == 0)) {
            RN_TRY(visit(argument, &kept->key, rn_buffer_view(&kept->body), err));
        }
    }
    return rn_ok();
}

static rn_result world_latest(void *context, enum rn_record_kind kind, int64_t round,
                              struct rn_record_key *out_key, struct rn_buffer *out_body,
                              bool *out_found, struct rn_error *err)
{
    const struct site *site = context;
    (void)err;
    *out_found = false;
    for (size_t i = site->record_count; i-- > 0 && !*out_found;) {
        const struct kept *kept = &site->records[i];
        if (kept->key.kind == kind && (round < 0 || kept->key.round == round)) {
            *out_key = kept->key;
            rn_buffer_append(out_body, kept->body.data, kept->body.length);
            *out_found = true;
        }
    }
    return rn_ok();
}

/* ---- The queue */

static struct item *enqueue(struct world *w, int kind, uint32_t site, struct rn_view bytes)
{
    assert_true(w->tail < QUEUE);
    struct item *item = &w->queue[w->tail++];
    *item = (struct item){.site = site};
    item->kind = (__typeof__(item->kind))kind;
    item->connection = w->sites[site].connection;
    rn_buffer_append(&item->bytes, bytes.data, bytes.length);
    return item;
}

static unsigned type_of(struct rn_view message)
{
    return message.length > 8 ? message.data[6] : 0;
}

/* ---- Effects */

static bool has_record(const struct site *site, enum rn_record_kind kind, const uint8_t *session,
                       unsigned sa_kind)
{
    for (size_t i = 0; i < site->record_count; i++) {
        const struct kept *kept = &site->records[i];
        if (kept->key.kind == kind && memcmp(kept->key.session, session, RN_HASH_BYTES) == 0 &&
            kept->body.length > 8 && kept->body.data[6] == sa_kind) {
            return true;
        }
    }
    return false;
}

/* Nothing leaves whose record is not durable. */
static void check_durable(struct site *site, struct rn_view message)
{
    static const unsigned record[TYPES] = {
        [READY] = RN_SA_RECORD_JOINED,    [SHARES] = RN_SA_RECORD_DEALT,
        [DONE] = RN_SA_RECORD_SPENT,      [VOTE] = RN_SA_RECORD_VOTED,
        [REVEAL] = RN_SA_RECORD_REVEALED, [RECEIPT] = RN_SA_RECORD_RECEIPTED};
    const unsigned type = type_of(message);
    assert_true(type < TYPES);
    site->sent[type]++;
    if (record[type] == 0) {
        return;
    }
    assert_true(has_record(site, RN_RECORD_MEMBER, message.data + 8, record[type]));
    if (type == READY || type == DONE) {
        assert_true(has_record(site, RN_RECORD_SPENT, message.data + 8, record[type]));
    }
}

static void keep(struct site *site, const struct rn_job_batch *batch)
{
    for (size_t i = 0; i < batch->write_count; i++) {
        assert_true(site->record_count < RECORDS);
        struct kept *kept = &site->records[site->record_count++];
        const struct rn_buffer *body = &batch->writes[i].body;
        kept->key = batch->writes[i].key;
        rn_buffer_append(&kept->body, body->data, body->length);
    }
    for (size_t i = 0; i < batch->prune_count; i++) {
        if (batch->prunes[i].kind == RN_RECORD_MEMBER) {
            site->member_kept_from = batch->prunes[i].first_kept_round;
        }
    }
}

static void take_sent(struct site *site, const struct rn_effect *effect)
{
    struct rn_wire_envelope envelope;
    assert_true(rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(&effect->bytes), &envelope, NULL)));
    if (effect->connection != site->connection) {
        return;
    }
    if (envelope.body == RN_WIRE_SECAGG) {
        check_durable(site, envelope.as.secagg);
        enqueue(site->world, TO_AGGREGATOR, site->place, envelope.as.secagg);
    } else if (envelope.body == RN_WIRE_STATUS) {
        site->status = envelope.as.status;
        site->statuses++;
    } else if (envelope.body == RN_WIRE_HELLO) {
        site->hello = envelope.as.hello;
        site->hellos++;
    }
}

static void take_order(struct site *site, struct rn_train_order *order)
{
    assert_null(site->order); /* one training at a time */
    site->order = RN_TAKE(order->values);
    site->order_round = order->round;
    site->order_measure = order->measure;
    site->begun++;
}

static void take_effect(struct site *site, struct rn_effect *effect)
{
    switch (effect->kind) {
    case RN_EFFECT_COMMIT:
        keep(site, &effect->batch);
        break;
    case RN_EFFECT_SEND:
        take_sent(site, effect);
        break;
    case RN_EFFECT_BULK: {
        struct item *item =
            enqueue(site->world, UPLOAD, site->place, rn_view_of(effect->session, RN_HASH_BYTES));
        assert_int_equal(effect->peer, RN_SA_COORDINATOR);
        rn_buffer_append(&item->bytes, effect->bytes.data, effect->bytes.length);
        break;
    }
    case RN_EFFECT_BULK_STOP:
        site->bulk_stops++;
        break;
    case RN_EFFECT_CLOSE:
        site->closed = effect->connection;
        site->closed_code = effect->result.code;
        break;
    case RN_EFFECT_TRAIN:
        take_order(site, &effect->train);
        break;
    case RN_EFFECT_TRAIN_CANCEL:
        site->cancelled++;
        break;
    case RN_EFFECT_PUBLISH:
        site->published++;
        site->final = effect->publish;
        break;
    case RN_EFFECT_LOG: /* no log is kept here (config.log) */
    case RN_EFFECT_LOG_SEND:
    case RN_EFFECT_LOG_REPORT:
    case RN_EFFECT_LOG_MIRROR:
        break;
    case RN_EFFECT_KEEP:
        site->keeps++;
        rn_buffer_clear(&site->file);
        rn_buffer_append(&site->file, effect->bytes.data, effect->bytes.length);
        break;
    case RN_EFFECT_EVENT:
        site->events[effect->event.kind]++;
        memcpy(site->event_text[effect->event.kind], effect->err.text, RN_ERROR_TEXT_MAX);
        break;
    case RN_EFFECT_END:
        site->ended = true;
        site->ended_now = effect->now;
        site->end_result = effect->result;
        memcpy(site->end_text, effect->err.text, sizeof(site->end_text));
        break;
    }
}

static void take_effects(struct site *site, struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        assert_false(site->ended); /* END is the last one */
        take_effect(site, &effects->items[i]);
    }
    rn_effects_clear(effects);
}

static struct rn_now now_of(const struct world *w)
{
    return (struct rn_now){.monotonic_ms = w->now_ms, .wall_ms = 1700000000000 + w->now_ms};
}

static void step(struct site *site, struct rn_input input)
{
    struct rn_effects effects = {0};
    input.peer = RN_SA_COORDINATOR;
    rn_participation_step(site->p, &input, now_of(site->world), &effects);
    take_effects(site, &effects);
}

/* ---- The other side */

static void send_to(struct site *site, const struct rn_wire_envelope *envelope)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) bytes = {0};
    assert_true(rn_is_ok(rn_wire_envelope_encode(envelope, &bytes, NULL)));
    enqueue(site->world, TO_SITE, site->place, rn_buffer_view(&bytes));
}

static void send_sum(struct world *w, const struct rn_sa_action *action, uint32_t place)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) chunk = {0};
    struct rn_wire_chunk piece = {.content = RN_WIRE_SUM, .sender = place, .count = 1};
    for (uint32_t i = 0; i < action->chunks; i++) {
        uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
        size_t length = 0;
        if (!rn_sa_action_wants(action, i)) {
            continue;
        }
        assert_true(rn_is_ok(rn_sa_aggregator_chunk(w->aggregator, i, &chunk, NULL)));
        piece.first_element = i;
        piece.data = rn_buffer_view(&chunk);
        rn_sa_aggregator_session(w->aggregator, piece.session);
        assert_true(rn_is_ok(rn_wire_chunk_head(&piece, head, &length, NULL)));
        struct item *item = enqueue(w, TO_SITE_BULK, place, rn_view_of(head, length));
        rn_buffer_append(&item->bytes, chunk.data, chunk.length);
    }
}

static rn_result read_aggregate(const void *context, uint64_t first, uint32_t count, uint64_t *out,
                                struct rn_error *err)
{
    const struct world *w = context;
    return rn_sa_aggregator_sum_read(w->aggregator, first, count, out, err);
}

static void apply_at_coordinator(struct world *w)
{
    const struct rn_round_sum sum = {read_aggregate, w, SITES};
    struct rn_round_total total;
    assert_true(rn_is_ok(rn_round_model_apply(&w->model, &w->layout, &sum, &total, NULL)));
    w->start_round = w->layout.spec.round;
}

static void send_share_set(struct world *w, uint32_t member)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    assert_true(rn_is_ok(rn_sa_aggregator_share_set(w->aggregator, member, &message, NULL)));
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG,
                                              .as.secagg = rn_buffer_view(&message)};
    send_to(&w->sites[member], &envelope);
}

static void perform(struct world *w, struct rn_sa_actions *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        const struct rn_sa_action *action = &actions->items[i];
        const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG,
                                                  .as.secagg = rn_buffer_view(&action->bytes)};
        if (action->kind == RN_SA_APPLY) {
            apply_at_coordinator(w);
        }
        for (uint32_t m = 0; m < SITES; m++) {
            if (!rn_sa_set_has(&action->to, m)) {
                continue;
            }
            if (action->kind == RN_SA_SEND) {
                send_to(&w->sites[m], &envelope);
            } else if (action->kind == RN_SA_SEND_SHARES) {
                send_share_set(w, m);
            } else if (action->kind == RN_SA_SEND_BULK) {
                send_sum(w, action, m);
            }
        }
    }
    rn_sa_actions_clear(actions);
}

static void to_aggregator(struct world *w, uint32_t from, struct rn_view message)
{
    struct rn_sa_actions actions = {0};
    if (w->aggregator != NULL) {
        (void)!rn_is_ok(
            rn_sa_aggregator_receive(w->aggregator, from, message, w->now_ms, &actions, NULL));
        perform(w, &actions);
    }
}

static void upload(struct site *site, struct rn_view wanted)
{
    struct world *w = site->world;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) chunk = {0};
    struct rn_reader reader = rn_reader_of(wanted);
    uint8_t session[RN_HASH_BYTES];
    enum rn_code code = w->break_upload ? RN_E_ROUND_NUMERIC : RN_OK;
    rn_read_copy(&reader, session, sizeof(session));
    for (uint32_t i = 0; code == RN_OK && rn_reader_left(&reader) > 0 && i < 8; i++) {
        if ((wanted.data[RN_HASH_BYTES] & (1u << i)) == 0) {
            continue;
        }
        code = rn_participation_chunk(site->p, session, i, &chunk, NULL).code;
        if (code == RN_OK) {
            to_aggregator(w, site->place, rn_buffer_view(&chunk));
        }
        break; /* the vector is one chunk long */
    }
    step(site, (struct rn_input){.kind = RN_INPUT_BULK_SENT, .session = session, .code = code});
}

static void deliver(struct site *site, const struct item *item)
{
    struct rn_wire_envelope envelope;
    const struct rn_view bytes = rn_buffer_view(&item->bytes);
    if (item->kind == TO_SITE_BULK) {
        if (!site->mute && site->world->hold != SUM_CHUNK) {
            step(site, (struct rn_input){.kind = RN_INPUT_BULK, .bytes = bytes});
        }
        return;
    }
    assert_true(rn_is_ok(rn_wire_envelope_decode(bytes, &envelope, NULL)));
    const bool held = envelope.body == RN_WIRE_SECAGG &&
                      (site->mute || type_of(envelope.as.secagg) == site->world->hold);
    if (!held && item->connection == site->connection && site->connection != 0) {
        step(site, (struct rn_input){
                       .kind = RN_INPUT_MESSAGE, .connection = site->connection, .bytes = bytes});
    }
}

static void pump(struct world *w)
{
    while (w->head < w->tail) {
        struct item item = w->queue[w->head++];
        struct site *site = &w->sites[item.site];
        if (item.kind == TO_AGGREGATOR) {
            to_aggregator(w, item.site, rn_buffer_view(&item.bytes));
        } else if (item.kind == UPLOAD) {
            upload(site, rn_buffer_view(&item.bytes));
        } else {
            deliver(site, &item);
        }
        rn_buffer_clear(&item.bytes);
    }
    w->head = w->tail = 0;
}

/* ---- Life */

static void make_model(struct world *w, struct rn_round_model *out)
{
    *out = (struct rn_round_model){
        .selections = {[RN_ROUND_A] = {w->a, 1, A_COUNT},
                       [RN_ROUND_B] = {w->b, 1, COUNT - A_COUNT},
                       [RN_ROUND_A | RN_ROUND_B] = {w->ab, 2, COUNT}},
        .adapter = {.segments = w->ab, .segment_count = 2, .count = COUNT},
        .shared_head = true,
    };
    out->adapter.values = rn_alloc(COUNT, sizeof(float));
    for (size_t i = 0; i < A_COUNT; i++) {
        out->adapter.values[i] = 0.5f;
    }
    rn_round_model_hash(out);
}

static void make_roster(struct world *w)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) text = {0};
    w->coordinator = rn_identity_from_seed(&(struct rn_secret32){{99}});
    w->roster = (struct rn_roster){.federation = "clinics",
                                   .coordinator = *rn_identity_public_of(w->coordinator),
                                   .count = SITES};
    for (uint32_t i = 0; i < SITES; i++) {
        struct rn_secret32 seed = {{0}};
        seed.bytes[0] = (uint8_t)(i + 1);
        w->identities[i] = rn_identity_from_seed(&seed);
        w->roster.members[i] =
            (struct rn_roster_member){.key = *rn_identity_public_of(w->identities[i])};
        (void)rn_text_format(w->roster.members[i].name, sizeof(w->roster.members[i].name),
                             "site-%u", (unsigned)i);
    }
    assert_true(rn_is_ok(rn_roster_write(&w->roster, &text, NULL)));
    rn_roster_hash(rn_buffer_view(&text), w->plan.roster_hash);
}

static void make_plan(struct world *w, const char *rounds)
{
    char first[EDITED_MAX];
    char second[EDITED_MAX];
    struct rn_error err = {0};
    const char *text = with_field(first, sizeof(first), plan_example, "lora.head", "frozen");
    text = with_field(second, sizeof(second), text, "secagg.losses", "0");
    text = with_field(first, sizeof(first), text, "metrics", "summed");
    text = with_field(second, sizeof(second), text, "rounds", rounds);
    if (!rn_is_ok(rn_plan_parse(rn_view_text(text), "plan.yaml", &w->plan, &err))) {
        fail_msg("%s", err.text);
    }
}

static const struct rn_identity *identity_of(const struct world *w, uint32_t who)
{
    return who == SITES ? w->coordinator : w->identities[who];
}

/* By whom `signers` names: bits in the roster's order, SITES for the coordinator. */
static void sign_plan(const struct world *w, uint32_t signers, struct rn_plan_signatures *out)
{
    rn_signatures_init(out, &w->plan);
    for (uint32_t i = 0; i <= SITES; i++) {
        if ((signers >> i & 1u) != 0) {
            assert_true(rn_is_ok(rn_signatures_add(out, &w->plan, identity_of(w, i), NULL)));
        }
    }
}

/* From the records that are there. */
static void start_site(struct site *site)
{
    struct world *w = site->world;
    struct rn_plan_signatures *RN_CLEANUP(rn_free_cleanup) signatures =
        rn_alloc(1, sizeof(*signatures));
    sign_plan(w, site->held, signatures);
    const struct rn_participation_config config = {.basis = &site->basis,
                                                   .model = &site->model,
                                                   .policy = &site->policy,
                                                   .signatures = signatures,
                                                   .survivors_min = SITES,
                                                   .weight = 1,
                                                   .name = w->roster.members[site->place].name};
    struct rn_effects effects = {0};
    struct rn_error err = {0};
    make_model(w, &site->model);
    if (!rn_is_ok(rn_participation_new(&config, now_of(w), &effects, &site->p, &err))) {
        fail_msg("%s", err.text);
    }
    take_effects(site, &effects);
}

static void stop_site(struct site *site)
{
    rn_participation_free(RN_TAKE(site->p));
    rn_round_model_clear(&site->model);
    rn_free(RN_TAKE(site->order));
    site->connection = 0;
    site->ended = false;
}

static struct world *make_world(const char *rounds)
{
    struct world *w = rn_alloc(1, sizeof(*w));
    w->now_ms = 1000000;
    w->a[0] = (struct rn_segment){
        .name = "q.lora_A.weight", .rows = 2, .cols = 3, .kind = RN_SEGMENT_A, .count = A_COUNT};
    w->b[0] = (struct rn_segment){
        .name = "q.lora_B.weight", .rows = 3, .cols = 2, .kind = RN_SEGMENT_B, .count = A_COUNT};
    w->ab[0] = w->a[0];
    w->ab[1] = w->b[0];
    w->ab[1].offset = A_COUNT;
    make_plan(w, rounds);
    make_roster(w);
    make_model(w, &w->model);
    for (uint32_t i = 0; i < SITES; i++) {
        struct site *site = &w->sites[i];
        site->world = w;
        site->place = i;
        site->held = ALL_SIGNED;
        site->policy.plan.signers = SITES;
        site->basis = (struct rn_job_basis){.plan = &w->plan,
                                            .roster = &w->roster,
                                            .identity = w->identities[i],
                                            .self = i,
                                            .base_hash = {7},
                                            .reader = {site, world_scan, world_latest},
                                            .random = world_random,
                                            .random_context = w};
        start_site(site);
    }
    return w;
}

static void free_world(struct world *w)
{
    for (uint32_t i = 0; i < SITES; i++) {
        stop_site(&w->sites[i]);
        for (size_t r = 0; r < w->sites[i].record_count; r++) {
            rn_buffer_clear(&w->sites[i].records[r].body);
        }
        rn_buffer_clear(&w->sites[i].file);
        rn_identity_free(w->identities[i]);
    }
    for (size_t i = w->head; i < w->tail; i++) {
        rn_buffer_clear(&w->queue[i].bytes);
    }
    rn_sa_aggregator_free(w->aggregator);
    rn_round_model_clear(&w->model);
    rn_identity_free(w->coordinator);
    rn_free(w);
}

/* ---- What tests do */

/* The coordinator's greeting, at round `round`, with the adapter it holds. */
static void greet(struct site *site, uint64_t round)
{
    const struct world *w = site->world;
    struct rn_wire_envelope hello = {.body = RN_WIRE_HELLO,
                                     .as.hello = {.protocol = RN_WIRE_PROTOCOL,
                                                  .plan_hash.present = true,
                                                  .roster_hash.present = true,
                                                  .adapter_hash.present = true,
                                                  .next_round = round}};
    memcpy(hello.as.hello.plan_hash.bytes, w->plan.hash, RN_HASH_BYTES);
    memcpy(hello.as.hello.roster_hash.bytes, w->plan.roster_hash, RN_HASH_BYTES);
    memcpy(hello.as.hello.adapter_hash.bytes, w->model.adapter_hash, RN_HASH_BYTES);
    send_to(site, &hello);
    send_to(site, &(struct rn_wire_envelope){
                      .body = RN_WIRE_WELCOME,
                      .as.welcome = {.round = round, .attempt = 0, .members = SITES}});
    pump(site->world);
}

static void open_connection(struct site *site)
{
    site->connection = ++site->world->connections;
    step(site, (struct rn_input){.kind = RN_INPUT_OPENED, .connection = site->connection});
}

static inline void lose_connection(struct site *site)
{
    const uint64_t connection = site->connection;
    site->connection = 0;
    step(site, (struct rn_input){
                   .kind = RN_INPUT_GONE, .connection = connection, .code = RN_E_UNAVAILABLE});
}

static void connect_all(struct world *w, uint64_t round)
{
    for (uint32_t i = 0; i < SITES; i++) {
        open_connection(&w->sites[i]);
        greet(&w->sites[i], round);
    }
}

/* Offers are under way after it; trainings are given but not done. */
static void offer(struct world *w, uint32_t round, uint32_t attempt)
{
    struct rn_sa_aggregator_config config = {.identity = w->coordinator};
    struct rn_sa_actions actions = {0};
    const uint8_t base[RN_HASH_BYTES] = {7};
    memset(config.nonce, (int)(round * 16 + attempt), sizeof(config.nonce));
    config.nonce[0] ^= w->nonce;
    assert_true(rn_is_ok(rn_round_session(&w->model, &w->plan, &w->roster, base, round, attempt,
                                          w->start_round, w->model.adapter_hash, &config.params,
                                          &config.context, NULL)));
    assert_true(rn_is_ok(
        rn_round_model_layout(&w->model, &w->plan, round, w->start_round, &w->layout, NULL)));
    rn_sa_aggregator_free(RN_TAKE(w->aggregator));
    assert_true(rn_is_ok(rn_sa_aggregator_new(&config, &w->aggregator, NULL)));
    rn_sa_aggregator_start(w->aggregator, w->now_ms, &actions);
    perform(w, &actions);
    pump(w);
}

static inline void train_with(struct site *site, rn_result result)
{
    float *RN_CLEANUP(rn_free_cleanup) before = RN_TAKE(site->order);
    float *RN_CLEANUP(rn_free_cleanup) after = rn_alloc(COUNT, sizeof(float));
    const bool b = (rn_plan_active(&site->world->plan, site->order_round) & RN_ROUND_B) != 0;
    assert_non_null(before);
    for (size_t i = 0; i < COUNT; i++) {
        const bool active = (i >= A_COUNT) == b;
        after[i] = before[i] + (active ? 0.01f * (float)(site->place + 1) : 0);
    }
    const struct rn_trained trained = {
        .result = result,
        .round = site->order_round,
        .before = before,
        .after = after,
        .examples = 10,
        .steps = 5,
        .loss_sum = 4,
        .start = {.valid = site->order_measure, .metric = site->world->metric}};
    step(site, (struct rn_input){.kind = RN_INPUT_TRAINED, .trained = &trained});
    pump(site->world);
}

static void train(struct site *site)
{
    train_with(site, rn_ok());
}

static void run_round(struct world *w, uint32_t round)
{
    offer(w, round, 1);
    for (uint32_t i = 0; i < SITES; i++) {
        train(&w->sites[i]);
    }
}

/* In steps that no machine takes for a suspension (now.h). */
static void tick(struct world *w, uint64_t milliseconds)
{
    for (uint64_t left = milliseconds; left > 0;) {
        const uint64_t passed = left < RN_CLOCK_STEP_MS_MAX ? left : RN_CLOCK_STEP_MS_MAX;
        left -= passed;
        w->now_ms += passed;
        for (uint32_t i = 0; i < SITES; i++) {
            if (!w->sites[i].ended) {
                step(&w->sites[i], (struct rn_input){.kind = RN_INPUT_TICK});
            }
        }
        pump(w);
    }
}

static inline void drain(struct site *site, unsigned count)
{
    step(site, (struct rn_input){.kind = RN_INPUT_DRAIN, .count = count});
}

static inline void close_job(struct site *site, enum rn_code reason, bool done)
{
    send_to(site, &(struct rn_wire_envelope){
                      .body = RN_WIRE_CLOSING,
                      .as.closing = {.reason = (uint32_t)reason, .job_done = done}});
    pump(site->world);
}

static inline void publish_done(struct site *site)
{
    const struct rn_published published = {.round = site->final.round,
                                           .final = true,
                                           .evaluated = true,
                                           .directory = "adapters/final"};
    step(site, (struct rn_input){.kind = RN_INPUT_PUBLISHED, .published = &published});
}

static struct rn_participation_view view_of(const struct site *site)
{
    struct rn_participation_view view;
    rn_participation_view(site->p, now_of(site->world), &view);
    return view;
}

static inline void assert_end(const struct site *site, enum rn_code code, const char *text)
{
    assert_true(site->ended);
    assert_int_equal(site->end_result.code, code);
    if (strstr(site->end_text, text) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", text, site->end_text);
    }
}

/* hash: of the adapter, a byte repeated; 0: the one that the coordinator has. */
static inline void say_summary(struct site *site, uint32_t round, uint32_t outcome, uint8_t hash)
{
    struct rn_wire_envelope summary = {
        .body = RN_WIRE_SUMMARY,
        .as.summary = {
            .round = round, .attempt = 1, .outcome = outcome, .adapter_hash.present = true}};
    memset(summary.as.summary.adapter_hash.bytes, hash, RN_HASH_BYTES);
    if (hash == 0) {
        memcpy(summary.as.summary.adapter_hash.bytes, site->world->model.adapter_hash,
               RN_HASH_BYTES);
    }
    send_to(site, &summary);
    pump(site->world);
}

#endif
