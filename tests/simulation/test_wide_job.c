/* SPDX-License-Identifier: Apache-2.0
 *
 * A job of 130 members to its end: the plan's own sparse graph, drawn by all of them, and two
 * rounds over it. Nothing goes wrong here: effects are carried out at once and in order, and what
 * was found valid once is not computed again (verifyonce.h). What may go wrong is tried on small
 * rings (test_job_epoch.c, test_secagg_rings.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/graph.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/participation.h"
#include "tests/simulation/verifyonce.h"

#define MEMBERS 130u
#define NODES (MEMBERS + 1)
#define ROUNDS 2u
#define TICK_MS 200u
#define LIMIT_MS 600000u
#define DELTA 0.03125f

struct record {
    struct rn_record_key key;
    struct rn_buffer body;
};

struct node {
    uint32_t place;
    struct rn_identity *identity;
    struct rn_job_basis basis;
    struct rn_round_model model;
    struct rn_policy policy;
    struct record *records;
    size_t count, capacity;
    struct rn_coordination *coordination;
    struct rn_participation *participation;
    bool ended;
    rn_result result;
    uint32_t published;
};

/* What happens next, in this order. */
struct item {
    enum rn_input_kind kind;
    uint32_t to, peer;
    struct rn_buffer bytes;
    uint8_t session[RN_HASH_BYTES];
    struct rn_train_order train;
    struct rn_publish_order publish;
};

static struct rn_plan plan;
static struct rn_roster roster;
static struct rn_plan_signatures signatures;
static struct node nodes[NODES];
static struct rn_segment segments[4][2];
static struct item *items;
static size_t item_first, item_count, item_capacity;
static uint64_t now_ms = 1000;
static uint32_t texts_sent, texts_most;

static struct item *push(enum rn_input_kind kind, uint32_t to, uint32_t peer)
{
    if (item_count == item_capacity) {
        const size_t capacity = item_capacity == 0 ? 1024 : 2 * item_capacity;
        items = rn_realloc(items, item_capacity, capacity, sizeof(*items));
        item_capacity = capacity;
    }
    struct item *item = &items[item_count++];
    *item = (struct item){.kind = kind, .to = to, .peer = peer};
    return item;
}

/* ---- Records */

static rn_result scan(void *context, enum rn_record_kind kind, const uint8_t *session,
                      rn_record_visit visit, void *argument, struct rn_error *err)
{
    const struct node *node = context;
    for (size_t i = 0; i < node->count; i++) {
        const struct record *record = &node->records[i];
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
    const struct node *node = context;
    (void)err;
    *out_found = false;
    for (size_t i = node->count; i-- > 0 && !*out_found;) {
        const struct record *record = &node->records[i];
        if (record->key.kind == kind && (round < 0 || record->key.round == (uint32_t)round)) {
            *out_key = record->key;
            rn_buffer_clear(out_body);
            rn_buffer_append(out_body, record->body.data, record->body.length);
            *out_found = true;
        }
    }
    return rn_ok();
}

static void keep(struct node *node, struct rn_job_batch *batch)
{
    for (size_t i = 0; i < batch->write_count; i++) {
        if (node->count == node->capacity) {
            const size_t capacity = node->capacity == 0 ? 32 : 2 * node->capacity;
            node->records =
                rn_realloc(node->records, node->capacity, capacity, sizeof(*node->records));
            node->capacity = capacity;
        }
        node->records[node->count++] = (struct record){batch->writes[i].key, batch->writes[i].body};
        batch->writes[i].body = (struct rn_buffer){0};
    }
}

static rn_result random_bytes(void *context, void *out, size_t length, struct rn_error *err)
{
    static uint64_t state = 1;
    (void)context;
    (void)err;
    for (size_t i = 0; i < length; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(state >> 56);
    }
    return rn_ok();
}

/* ---- The world */

static void add_segment(struct rn_round_selection *selection, struct rn_segment *out,
                        const char *name, enum rn_segment_kind kind, uint32_t rows, uint32_t cols)
{
    struct rn_segment *segment = &out[selection->segment_count++];
    *segment = (struct rn_segment){.rows = rows,
                                   .cols = cols,
                                   .kind = kind,
                                   .offset = selection->count,
                                   .count = (size_t)rows * cols};
    (void)rn_text_format(segment->name, sizeof(segment->name), "%s", name);
    selection->count += segment->count;
}

static void make_model(struct rn_round_model *model)
{
    *model = (struct rn_round_model){.shared_head = true};
    for (unsigned active = 1; active < 4; active++) {
        struct rn_round_selection selection = {.segments = segments[active]};
        if ((active & RN_ROUND_A) != 0) {
            add_segment(&selection, segments[active], "q.lora_A", RN_SEGMENT_A, 1, 3);
        }
        if ((active & RN_ROUND_B) != 0) {
            add_segment(&selection, segments[active], "q.lora_B", RN_SEGMENT_B, 2, 1);
        }
        model->selections[active] = selection;
    }
    const struct rn_round_selection *all = &model->selections[RN_ROUND_A | RN_ROUND_B];
    model->adapter = (struct rn_round_adapter){.segments = all->segments,
                                               .segment_count = all->segment_count,
                                               .count = all->count,
                                               .values = rn_alloc(all->count, sizeof(float))};
    rn_round_model_hash(model);
}

static void make_world(void)
{
    plan = (struct rn_plan){.version = 1,
                            .federation = "simulation",
                            .name = "wide",
                            .rounds = ROUNDS,
                            .method = RN_METHOD_ROLORA,
                            .metrics = RN_METRICS_SUMMED,
                            .lora = {.rank = 1, .head = RN_PLAN_HEAD_FROZEN},
                            .secagg = {.colluding = 2,
                                       .losses = 2,
                                       .honest = 2,
                                       .bits = 16,
                                       .scale_a = 0.125,
                                       .scale_b = 0.125,
                                       .scale_head = 0.125,
                                       .train_soft_s = 20,
                                       .train_hard_s = 120,
                                       .stage_soft_s = 5,
                                       .stage_hard_s = 30,
                                       .upload_rate = 1000000,
                                       .attempts = 3},
                            .hash = {1},
                            .roster_hash = {2}};
    (void)rn_text_format(roster.federation, sizeof(roster.federation), "simulation");
    roster.count = MEMBERS;
    for (uint32_t i = 0; i < NODES; i++) {
        struct rn_secret32 seed = {{(uint8_t)i, 9}};
        nodes[i].identity = rn_identity_from_seed(&seed);
        const struct rn_identity_public key = *rn_identity_public_of(nodes[i].identity);
        if (i == MEMBERS) {
            roster.coordinator = key;
            memcpy(plan.coordinator_key, key.bytes, sizeof(key.bytes));
        } else {
            roster.members[i].key = key;
            (void)rn_text_format(roster.members[i].name, sizeof(roster.members[i].name), "site-%u",
                                 (unsigned)i);
        }
    }
    rn_signatures_init(&signatures, &plan);
    for (uint32_t i = 0; i < NODES; i++) {
        assert_true(rn_is_ok(rn_signatures_add(&signatures, &plan, nodes[i].identity, NULL)));
    }
}

/* ---- Effects */

static struct rn_now now(void)
{
    return (struct rn_now){.monotonic_ms = now_ms, .wall_ms = 1800000000000 + now_ms};
}

static void send_chunks(struct node *node, const struct rn_effect *effect)
{
    const bool up = node->place < MEMBERS;
    const uint32_t member = up ? node->place : effect->peer;
    for (uint32_t i = 0; i < effect->chunks; i++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
        uint8_t head[RN_WIRE_CHUNK_HEAD_MAX];
        size_t length = 0;
        if ((effect->bytes.data[i / 8] >> (i % 8) & 1) == 0) {
            continue;
        }
        assert_true(rn_is_ok(
            up ? rn_participation_chunk(node->participation, effect->session, i, &message, NULL)
               : rn_coordination_chunk(node->coordination, effect->session, i, &message, NULL)));
        struct rn_wire_chunk piece = {.content = up ? RN_WIRE_MASKED_INPUT : RN_WIRE_SUM,
                                      .sender = member,
                                      .first_element = i,
                                      .count = 1,
                                      .data = rn_buffer_view(&message)};
        memcpy(piece.session, effect->session, sizeof(piece.session));
        assert_true(rn_is_ok(rn_wire_chunk_head(&piece, head, &length, NULL)));
        struct item *item =
            push(RN_INPUT_BULK, up ? MEMBERS : member, up ? member : RN_SA_COORDINATOR);
        rn_buffer_append(&item->bytes, head, length);
        rn_buffer_append(&item->bytes, message.data, message.length);
    }
    struct item *item = push(RN_INPUT_BULK_SENT, node->place, up ? RN_SA_COORDINATOR : member);
    memcpy(item->session, effect->session, sizeof(item->session));
}

/* Texts of the signatures are large: at no moment more of them leave than may. */
static void count_texts(const struct node *node, struct rn_view message)
{
    static uint64_t at_ms;
    static uint32_t texts;
    struct rn_wire_envelope envelope;
    assert_true(rn_is_ok(rn_wire_envelope_decode(message, &envelope, NULL)));
    if (node->place == MEMBERS && envelope.body == RN_WIRE_SIGNATURES) {
        texts = at_ms == now_ms ? texts + 1 : 1;
        at_ms = now_ms;
        texts_most = texts > texts_most ? texts : texts_most;
        texts_sent++;
    }
}

static void carry_out(struct node *node, struct rn_effect *effect)
{
    struct item *item = NULL;
    switch (effect->kind) {
    case RN_EFFECT_COMMIT:
        keep(node, &effect->batch);
        break;
    case RN_EFFECT_SEND: /* connection i + 1 is member i's */
        count_texts(node, rn_buffer_view(&effect->bytes));
        item = node->place == MEMBERS
                   ? push(RN_INPUT_MESSAGE, (uint32_t)effect->connection - 1, RN_SA_COORDINATOR)
                   : push(RN_INPUT_MESSAGE, MEMBERS, node->place);
        item->bytes = effect->bytes;
        effect->bytes = (struct rn_buffer){0};
        break;
    case RN_EFFECT_BULK:
        send_chunks(node, effect);
        break;
    case RN_EFFECT_TRAIN:
        item = push(RN_INPUT_TRAINED, node->place, 0);
        item->train = effect->train;
        effect->train = (struct rn_train_order){0};
        break;
    case RN_EFFECT_PUBLISH:
        item = push(RN_INPUT_PUBLISHED, node->place, 0);
        item->publish = effect->publish;
        effect->publish = (struct rn_publish_order){0};
        break;
    case RN_EFFECT_CLOSE:
        assert_true(node->ended || rn_is_ok(effect->result));
        break;
    case RN_EFFECT_END:
        node->ended = true;
        node->result = effect->result;
        break;
    default:
        break;
    }
}

static void carry_out_all(struct node *node, struct rn_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        carry_out(node, &effects->items[i]);
    }
    rn_effects_clear(effects);
}

static void step(struct node *node, const struct rn_input *input)
{
    struct rn_effects effects = {0};
    if (node->ended) {
        return;
    }
    if (node->place == MEMBERS) {
        rn_coordination_step(node->coordination, input, now(), &effects);
    } else {
        rn_participation_step(node->participation, input, now(), &effects);
    }
    carry_out_all(node, &effects);
}

/* Every element that the round trains grows by DELTA, at every site. */
static void train(struct node *node, const struct rn_train_order *order)
{
    float after[8];
    const struct rn_round_adapter *adapter = &node->model.adapter;
    const unsigned active = rn_plan_active(&plan, order->round);
    for (size_t s = 0; s < adapter->segment_count; s++) {
        const struct rn_segment *segment = &adapter->segments[s];
        const unsigned part = segment->kind == RN_SEGMENT_A ? RN_ROUND_A : RN_ROUND_B;
        for (size_t i = segment->offset; i < segment->offset + segment->count; i++) {
            after[i] = order->values[i] + ((active & part) != 0 ? DELTA : 0);
        }
    }
    const struct rn_trained trained = {.round = order->round,
                                       .before = order->values,
                                       .after = after,
                                       .examples = 5,
                                       .steps = 3,
                                       .loss_sum = 2.5};
    step(node, &(struct rn_input){.kind = RN_INPUT_TRAINED, .trained = &trained});
}

static void happen(struct item *item)
{
    struct node *node = &nodes[item->to];
    const uint32_t member = item->to == MEMBERS ? item->peer : item->to;
    const struct rn_published published = {.round = item->publish.round,
                                           .final = item->publish.final,
                                           .best = item->publish.best,
                                           .directory = "adapters/x"};
    if (item->kind == RN_INPUT_TRAINED) {
        train(node, &item->train);
    } else {
        node->published += item->kind == RN_INPUT_PUBLISHED && published.final;
        step(node, &(struct rn_input){.kind = item->kind,
                                      .connection = member + UINT64_C(1),
                                      .peer = item->peer,
                                      .bytes = rn_buffer_view(&item->bytes),
                                      .session = item->session,
                                      .published = &published});
    }
}

static void settle(void)
{
    for (; item_first < item_count; item_first++) {
        struct item item = items[item_first];
        happen(&item);
        struct rn_effect effect = {
            .bytes = item.bytes, .train = item.train, .publish = item.publish};
        rn_effect_clear(&effect);
    }
    item_first = item_count = 0;
}

/* ---- The job */

static void start(uint32_t place)
{
    struct node *node = &nodes[place];
    struct rn_effects effects = {0};
    struct rn_error err = {0};
    node->place = place;
    node->policy.plan.signers = MEMBERS;
    make_model(&node->model);
    node->basis = (struct rn_job_basis){.plan = &plan,
                                        .roster = &roster,
                                        .identity = node->identity,
                                        .self = place == MEMBERS ? RN_SA_COORDINATOR : place,
                                        .base_hash = {3},
                                        .reader = {node, scan, latest},
                                        .random = random_bytes};
    if (place == MEMBERS) {
        const struct rn_coordination_config config = {
            .basis = &node->basis, .signatures = &signatures, .model = &node->model};
        assert_true(
            rn_is_ok(rn_coordination_new(&config, now(), &effects, &node->coordination, NULL)));
    } else {
        const struct rn_participation_config config = {.basis = &node->basis,
                                                       .model = &node->model,
                                                       .policy = &node->policy,
                                                       .signatures = &signatures,
                                                       .weight = 1,
                                                       .name = roster.members[place].name};
        if (!rn_is_ok(rn_participation_new(&config, now(), &effects, &node->participation, &err))) {
            fail_msg("%s", err.text);
        }
    }
    carry_out_all(node, &effects);
}

static void connect(uint32_t member)
{
    struct rn_input input = {
        .kind = RN_INPUT_OPENED, .connection = member + UINT64_C(1), .peer = member};
    step(&nodes[MEMBERS], &input);
    input.peer = RN_SA_COORDINATOR;
    step(&nodes[member], &input);
    input = (struct rn_input){.kind = RN_INPUT_BULK_OPENED, .peer = RN_SA_COORDINATOR};
    step(&nodes[member], &input);
}

static bool all_ended(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        if (!nodes[i].ended) {
            return false;
        }
    }
    return true;
}

static void run(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        start(i);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        connect(i);
    }
    for (settle(); !all_ended() && now_ms < LIMIT_MS; settle()) {
        now_ms += TICK_MS;
        for (uint32_t i = 0; i < NODES; i++) {
            step(&nodes[i], &(struct rn_input){.kind = RN_INPUT_TICK});
        }
    }
}

static void clear(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        struct node *node = &nodes[i];
        rn_coordination_free(node->coordination);
        rn_participation_free(node->participation);
        rn_round_model_clear(&node->model);
        rn_identity_free(node->identity);
        for (size_t k = 0; k < node->count; k++) {
            rn_buffer_clear(&node->records[k].body);
        }
        rn_free(node->records);
    }
    rn_free(items);
}

static void test_two_rounds_of_130(void **state)
{
    (void)state;
    struct rn_sa_graph_sizes sizes;
    struct rn_coordination_view view;
    make_world();
    assert_true(rn_is_ok(
        rn_sa_graph_plan(MEMBERS, plan.secagg.colluding, plan.secagg.losses, &sizes, NULL)));
    assert_true(!sizes.complete && sizes.degree <= MEMBERS / 2);
    run();
    rn_coordination_view(nodes[MEMBERS].coordination, now(), &view);
    assert_true(nodes[MEMBERS].ended && rn_is_ok(nodes[MEMBERS].result));
    assert_int_equal(view.summed, ROUNDS);
    assert_int_equal(texts_sent, MEMBERS);
    assert_int_equal(texts_most, RN_COORD_TEXTS_BURST);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct rn_participation_view member;
        rn_participation_view(nodes[i].participation, now(), &member);
        assert_true(nodes[i].ended && rn_is_ok(nodes[i].result));
        assert_int_equal(member.next_round, ROUNDS + 1);
        assert_int_equal(nodes[i].published, 1);
        assert_memory_equal(member.adapter_hash, view.adapter_hash, RN_HASH_BYTES);
        assert_memory_equal(member.graph_seed, view.graph_seed, RN_HASH_BYTES);
    }
    for (size_t k = 0; k < nodes[0].model.adapter.count; k++) {
        assert_true(fabs((double)nodes[0].model.adapter.values[k] - (double)DELTA) < 1e-4);
    }
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_rounds_of_130)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
