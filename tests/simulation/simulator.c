/* SPDX-License-Identifier: Apache-2.0
 *
 * Included by each test program of this folder (one program is one source file).
 */
#include "tests/simulation/simulator.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "tests/simulation/packetheap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/simulation/blinding.h"

#define TICK_MS 250

uint64_t sim_random(struct sim *sim)
{
    uint64_t z = (sim->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t sim_below(struct sim *sim, uint32_t bound)
{
    return (uint32_t)(sim_random(sim) % bound);
}

uint64_t sim_value(const struct sim *sim, uint32_t member, uint64_t element)
{
    uint64_t z = sim->nodes[member].vector * 0x9e3779b97f4a7c15u + element + 1;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return z % 16 == 0 ? sim->params.value_max : z % (sim->params.value_max + 1);
}

struct input {
    struct sim *sim;
    uint32_t member;
};
static struct input inputs[SIM_MEMBERS];

static rn_result read_input(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    (void)err;
    const struct input *input = context;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = sim_value(input->sim, input->member, first + i);
    }
    return rn_ok();
}

/* ---- machines ---- */

static struct rn_sa_member_config member_config(struct sim *sim, uint32_t i,
                                                struct rn_secret32 *seed)
{
    for (size_t k = 0; k < sizeof seed->bytes; k += 8) {
        const uint64_t word = sim_random(sim);
        memcpy(seed->bytes + k, &word, 8);
    }
    inputs[i] = (struct input){sim, i};
    return (struct rn_sa_member_config){
        .identity = sim->identities[i],
        .self = i,
        .params = sim->params,
        .context = sim->context,
        .spent = sim->spent[i],
        .seed = seed,
        .group = sim->context.blind ? &sim->group : NULL,
        .input = {read_input, &inputs[i]},
        .parallel = sim->options.parallel,
    };
}

static struct rn_sa_aggregator_config aggregator_config(struct sim *sim)
{
    struct rn_sa_aggregator_config config = {
        .identity = sim->identities[SIM_COORDINATOR],
        .params = sim->params,
        .context = sim->context,
        .excluded = sim->excluded,
        .spool = &sim->spool.face,
        .parallel = sim->options.parallel,
    };
    for (size_t k = 0; k < sizeof config.nonce; k += 8) {
        const uint64_t word = sim_random(sim);
        memcpy(config.nonce + k, &word, 8);
    }
    return config;
}

static void new_member(struct sim *sim, uint32_t i)
{
    struct rn_secret32 seed;
    const struct rn_sa_member_config config = member_config(sim, i, &seed);
    struct rn_error err;
    if (!rn_is_ok(rn_sa_member_new(&config, &sim->members[i], &err))) {
        fail_msg("member: %s", err.text);
    }
}

void sim_init(struct sim *sim, const struct sim_options *options)
{
    memset(sim, 0, sizeof *sim);
    sim->options = *options;
    memory_spool_init(&sim->spool, options->members);
    sim->random = options->seed;
    sim->params = (struct rn_sa_params){
        .members = options->members,
        .colluding = options->colluding,
        .losses = options->losses,
        .honest = options->honest == 0 ? 2 : options->honest,
        .value_max = options->value_max == 0 ? 65534 : options->value_max,
        .chunk_elements = options->chunk_elements == 0 ? 4 : options->chunk_elements,
        .retry_ms = 1000,
    };
    const struct rn_sa_timeout quick = {8000, 20000};
    sim->params.ready = sim->params.shares = sim->params.acks = sim->params.upload = quick;
    sim->params.vote = sim->params.unmask = quick;

    (void)rn_text_format(sim->roster.federation, sizeof sim->roster.federation, "simulation");
    sim->roster.count = options->members;
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        if (i >= options->members && i != SIM_COORDINATOR) {
            continue;
        }
        struct rn_secret32 seed = {{0}};
        seed.bytes[0] = (uint8_t)i;
        seed.bytes[1] = 7;
        seed.bytes[2] = (uint8_t)(i >> 8);
        sim->identities[i] = rn_identity_from_seed(&seed);
        sim->nodes[i].crash_at = SIM_NEVER;
        sim->nodes[i].restart_at = SIM_NEVER;
        sim->nodes[i].up = true;
        sim->nodes[i].vector = sim_random(sim);
        if (i == SIM_COORDINATOR) {
            sim->roster.coordinator = *rn_identity_public_of(sim->identities[i]);
            continue;
        }
        struct rn_roster_member *member = &sim->roster.members[i];
        (void)rn_text_format(member->name, sizeof member->name, "site-%u", i);
        member->key = *rn_identity_public_of(sim->identities[i]);
        sim->spent[i] = rn_sa_spent_new();
    }
    sim->context = (struct rn_sa_context){
        .roster = &sim->roster,
        .round = 1,
        .attempt = 1,
        .active = 2,
        .elements = options->elements == 0 ? 11 : options->elements,
        .plan_hash = {1},
        .base_hash = {2},
        .adapter_hash = {3},
        .layout_hash = {4},
        .scales_hash = {5},
        .blind = options->blind,
        .group_hash = {options->blind ? 6 : 0},
    };
    sim->group.bytes[0] = 7;
    struct rn_sa_graph_sizes sizes;
    rn_sa_sizes(&sim->params, &sizes);
    if (!sizes.complete) {
        memset(sim->context.graph_seed, (int)(options->seed % 250 + 1), RN_HASH_BYTES);
    }
    /* A replay goes to and fro once a chunk, on a network where everything takes so long. */
    const uint64_t replay_ms = 2 * (sim->options.delay_ms + TICK_MS) *
                               (sim->context.elements / sim->params.chunk_elements + 1);
    sim->params.receipts =
        (struct rn_sa_timeout){quick.soft_ms + replay_ms, quick.hard_ms + replay_ms};
    struct rn_error err;
    const struct rn_sa_aggregator_config config = aggregator_config(sim);
    if (!rn_is_ok(rn_sa_aggregator_new(&config, &sim->aggregator, &err))) {
        fail_msg("aggregator: %s", err.text);
    }
    for (uint32_t i = 0; i < options->members; i++) {
        new_member(sim, i);
    }
}

static void forget_packets(struct sim *sim)
{
    for (size_t i = 0; i < sim->packet_count; i++) {
        rn_buffer_clear(&sim->packets[i].bytes);
    }
    sim->packet_count = 0;
}

static void clear_node(struct sim_node *node, bool journal_too)
{
    rn_free(node->reveal);
    rn_buffer_clear(&node->document);
    for (size_t r = 0; journal_too && r < node->records; r++) {
        rn_buffer_clear(&node->journal[r]);
    }
    if (journal_too) {
        rn_free(node->journal);
    }
}

void sim_clear(struct sim *sim)
{
    forget_packets(sim);
    rn_free(sim->packets);
    rn_sa_aggregator_free(sim->aggregator);
    for (uint32_t i = 0; i < SIM_MEMBERS; i++) {
        rn_sa_member_free(sim->members[i]);
        rn_sa_spent_free(sim->spent[i]);
    }
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        rn_identity_free(sim->identities[i]);
        clear_node(&sim->nodes[i], true);
    }
    memory_spool_clear(&sim->spool);
}

void sim_next_session(struct sim *sim, uint64_t round, uint32_t attempt)
{
    forget_packets(sim);
    rn_sa_aggregator_free(RN_TAKE(sim->aggregator));
    memset(sim->votes_survivors, 0, sizeof sim->votes_survivors);
    sim->context.round = round;
    sim->context.attempt = attempt;
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        const struct sim_node old = sim->nodes[i];
        if (sim->identities[i] == NULL) {
            continue;
        }
        clear_node(&sim->nodes[i], i == SIM_COORDINATOR);
        sim->nodes[i] = (struct sim_node){.up = true,
                                          .crash_at = SIM_NEVER,
                                          .restart_at = SIM_NEVER,
                                          .vector = old.vector,
                                          .done_count = old.done_count};
        if (i < SIM_MEMBERS) {
            sim->nodes[i].journal = old.journal;
            sim->nodes[i].records = old.records;
            rn_sa_member_free(RN_TAKE(sim->members[i]));
            new_member(sim, i);
        }
    }
    const struct rn_sa_aggregator_config config = aggregator_config(sim);
    assert_true(rn_is_ok(rn_sa_aggregator_new(&config, &sim->aggregator, NULL)));
}

/* ---- the tap: what must hold for every byte that leaves a machine ---- */

static bool in_journal(const struct sim_node *node, struct rn_view bytes)
{
    for (size_t r = 0; r < node->records; r++) {
        if (memmem(node->journal[r].data, node->journal[r].length, bytes.data, bytes.length) !=
            NULL) {
            return true;
        }
    }
    return false;
}

static void tap_member(struct sim *sim, uint32_t i, const struct rn_sa_message *m)
{
    struct sim_node *node = &sim->nodes[i];
    if (m->type == RN_SA_READY || m->type == RN_SA_DONE || m->type == RN_SA_VOTE ||
        m->type == RN_SA_REVEAL || m->type == RN_SA_RECEIPT) {
        assert_true(in_journal(node, m->whole)); /* durable before it is sent */
    }
    node->done_count += m->type == RN_SA_DONE;
    if (m->type == RN_SA_VOTE) {
        /* one vote a session */
        assert_true(!node->voted || memcmp(node->vote, m->whole.data, RN_SA_VOTE_BYTES) == 0);
        node->voted = true;
        memcpy(node->vote, m->whole.data, RN_SA_VOTE_BYTES);
        if (m->body.data[0] == 1) {
            sim->votes_survivors[i] = true;
            memcpy(sim->votes_t2[i], m->body.data + 4, RN_HASH_BYTES);
        }
    }
    if (m->type == RN_SA_REVEAL) {
        /* one answer a session, so never both shares of a peer; and only under a certificate */
        assert_true(node->reveal == NULL ||
                    (node->reveal_length == m->whole.length &&
                     memcmp(node->reveal, m->whole.data, m->whole.length) == 0));
        if (node->reveal == NULL) {
            node->reveal = rn_alloc(m->whole.length, 1);
            node->reveal_length = m->whole.length;
            memcpy(node->reveal, m->whole.data, m->whole.length);
        }
        uint32_t votes = 0;
        for (uint32_t j = 0; j < SIM_MEMBERS; j++) {
            votes += sim->votes_survivors[j] &&
                     memcmp(sim->votes_t2[j], m->transcript, RN_HASH_BYTES) == 0;
        }
        assert_true(votes >= sim->params.honest + sim->params.colluding);
        assert_true(votes >= sim->quorum);
    }
}

static void tap(struct sim *sim, uint32_t from, struct rn_view bytes)
{
    struct rn_sa_message m;
    assert_true(rn_is_ok(rn_sa_message_parse(bytes, &m, NULL)));
    if (from == SIM_COORDINATOR) {
        if (m.type == RN_SA_READY_SET) {
            sim->quorum = rn_sa_quorum(&sim->params);
        }
        return;
    }
    if (!sim->quiet_tap) {
        tap_member(sim, from, &m);
    }
}

/* ---- network ---- */

static void enqueue(struct sim *sim, uint32_t from, uint32_t to, struct rn_view bytes)
{
    if (sim->packet_count == sim->packet_capacity) {
        const size_t capacity = sim->packet_capacity == 0 ? 64 : 2 * sim->packet_capacity;
        sim->packets =
            rn_realloc(sim->packets, sim->packet_capacity, capacity, sizeof *sim->packets);
        sim->packet_capacity = capacity;
    }
    struct sim_packet *packet = &sim->packets[sim->packet_count++];
    const uint64_t most = sim->options.delay_ms;
    *packet = (struct sim_packet){
        .at = sim->now + (most == 0 ? 0 : sim_random(sim) % most),
        .order = sim->order++,
        .from = from,
        .to = to,
    };
    rn_buffer_append(&packet->bytes, bytes.data, bytes.length);
    rise(sim, sim->packet_count - 1);
}

static void transmit(struct sim *sim, uint32_t from, uint32_t to, struct rn_view bytes)
{
    struct sim_node *node = &sim->nodes[from];
    struct rn_sa_message m;
    tap(sim, from, bytes);
    assert_true(rn_is_ok(rn_sa_message_parse(bytes, &m, NULL)));
    if (node->silent_from != 0 && m.type == node->silent_from) {
        node->silent = true;
    }
    if (node->silent || (to != SIM_COORDINATOR && sim->nodes[to].silent)) {
        return;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) copy = {0};
    rn_buffer_append(&copy, bytes.data, bytes.length);
    if (sim->options.tamper != NULL && !sim->options.tamper(sim, from, to, &copy)) {
        return;
    }
    if (sim_below(sim, 100) < sim->options.drop_percent) {
        return;
    }
    enqueue(sim, from, to, rn_buffer_view(&copy));
    if (sim_below(sim, 100) < sim->options.duplicate_percent) {
        enqueue(sim, from, to, rn_buffer_view(&copy));
    }
}

/* ---- executing actions ---- */

static void crash(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    node->up = false;
    node->crash_at = SIM_NEVER;
    node->restart_at = node->restart_ms == SIM_NEVER ? SIM_NEVER : sim->now + node->restart_ms;
    if (i == SIM_COORDINATOR) {
        rn_sa_aggregator_free(RN_TAKE(sim->aggregator));
    } else {
        rn_sa_member_free(RN_TAKE(sim->members[i]));
    }
}

static void persist(struct sim_node *node, struct rn_view bytes)
{
    node->journal =
        rn_realloc(node->journal, node->records, node->records + 1, sizeof *node->journal);
    struct rn_buffer *record = &node->journal[node->records++];
    *record = (struct rn_buffer){0};
    rn_buffer_append(record, bytes.data, bytes.length);
}

static void execute(struct sim *sim, uint32_t i, struct rn_sa_actions *actions);

#include "tests/simulation/simpieces.h"

static const uint8_t next_adapter[RN_HASH_BYTES] = {9}; /* follows from every sum */

static void take_sum(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    struct rn_sa_sum_info info;
    const uint64_t elements = sim->context.elements;
    uint64_t *RN_CLEANUP(rn_free_cleanup) sum = rn_alloc(elements, sizeof *sum);
    if (i == SIM_COORDINATOR) {
        assert_true(rn_is_ok(rn_sa_aggregator_sum_info(sim->aggregator, &info, NULL)));
        assert_true(
            rn_is_ok(rn_sa_aggregator_sum_read(sim->aggregator, 0, (uint32_t)elements, sum, NULL)));
    } else {
        assert_true(rn_is_ok(rn_sa_member_sum_info(sim->members[i], &info, NULL)));
        assert_true(
            rn_is_ok(rn_sa_member_sum_read(sim->members[i], 0, (uint32_t)elements, sum, NULL)));
    }
    if (memcmp(info.adapter_hash, sim->context.adapter_hash, RN_HASH_BYTES) == 0) {
        return; /* of a blind session: its sum was out of range */
    }
    for (uint64_t e = 0; e < elements; e++) {
        uint64_t plain = 0;
        for (uint32_t m = 0; m < sim->params.members; m++) {
            plain += rn_sa_set_has(&info.survivors, m) ? sim_value(sim, m, e) : 0;
        }
        const bool blind = sim->context.blind && i == SIM_COORDINATOR;
        plain += blind ? sim_blinding(sim, &info.survivors, e) : 0;
        plain %= (uint64_t)1 << rn_sa_bits(&sim->params);
        assert_int_equal(plain, sum[e]);
    }
    node->summed = true;
    node->survivors = info.survivors;
    node->contributors = info.contributors;
    memcpy(node->sum_hash, info.sum_hash, RN_HASH_BYTES);
    if (i != SIM_COORDINATOR) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
        assert_true(
            rn_is_ok(rn_sa_member_applied(sim->members[i], next_adapter, sim->now, &more, NULL)));
        execute(sim, i, &more);
    }
}

static void give_receipt(struct sim *sim, uint32_t i)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) more = {0};
    assert_true(
        rn_is_ok(rn_sa_member_adapter(sim->members[i], next_adapter, sim->now, &more, NULL)));
    execute(sim, i, &more);
}

static bool execute_one(struct sim *sim, uint32_t i, const struct rn_sa_action *action)
{
    struct sim_node *node = &sim->nodes[i];
    if (node->actions++ == node->crash_at) {
        crash(sim, i);
        return false;
    }
    switch (action->kind) {
    case RN_SA_PERSIST:
        persist(node, rn_buffer_view(&action->bytes));
        break;
    case RN_SA_SEND:
        if (i != SIM_COORDINATOR) {
            transmit(sim, i, SIM_COORDINATOR, rn_buffer_view(&action->bytes));
            break;
        }
        for (uint32_t to = 0; to < sim->params.members; to++) {
            if (rn_sa_set_has(&action->to, to)) {
                transmit(sim, i, to, rn_buffer_view(&action->bytes));
            }
        }
        break;
    case RN_SA_SEND_SHARES:
        send_shares(sim, action);
        break;
    case RN_SA_SEND_BULK:
        send_bulk(sim, i, action);
        break;
    case RN_SA_WANT_INPUT:
        node->input_at = sim->now + 1 + sim_below(sim, 2000); /* 0: not asked */
        break;
    case RN_SA_SUM:
        give_receipt(sim, i);
        break;
    case RN_SA_APPLY:
        take_sum(sim, i);
        break;
    case RN_SA_FINISHED:
        node->finished = true;
        node->blamed = action->blamed;
        break;
    case RN_SA_ABORTED:
        node->aborted = true;
        node->certified = node->certified || action->certified;
        node->reason = action->reason;
        node->blamed = action->blamed;
        node->fell_silent = action->silent;
        break;
    case RN_SA_EVIDENCE:
        node->evidence++;
        node->proof = sim_prove(sim, action);
        node->document.length = 0;
        rn_buffer_append(&node->document, action->bytes.data, action->bytes.length);
        break;
    case RN_SA_FOLLOWING:
        node->following = true;
        break;
    case RN_SA_STAGE:
        break;
    }
    return node->up;
}

static void execute(struct sim *sim, uint32_t i, struct rn_sa_actions *actions)
{
    for (size_t k = 0; k < actions->count && sim->nodes[i].up; k++) {
        if (!execute_one(sim, i, &actions->items[k])) {
            break;
        }
    }
}

static void restart(struct sim *sim, uint32_t i)
{
    struct sim_node *node = &sim->nodes[i];
    node->up = true;
    node->restart_at = SIM_NEVER;
    node->resumed = true;
    node->input_at = 0;
    struct rn_view *RN_CLEANUP(rn_free_cleanup) records =
        rn_alloc(node->records + 1, sizeof *records);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_error err;
    if (i == SIM_COORDINATOR) {
        for (size_t r = 0; r < node->records; r++) {
            records[r] = rn_buffer_view(&node->journal[r]);
        }
        const struct rn_sa_aggregator_config config = aggregator_config(sim);
        if (node->records == 0) {
            assert_true(rn_is_ok(rn_sa_aggregator_new(&config, &sim->aggregator, NULL)));
            rn_sa_aggregator_start(sim->aggregator, sim->now, &actions);
        } else if (!rn_is_ok(rn_sa_aggregator_resume(&config, records, node->records, sim->now,
                                                     &actions, &sim->aggregator, &err))) {
            fail_msg("resume: %s", err.text);
        }
        execute(sim, i, &actions);
        return;
    }
    rn_sa_spent_free(sim->spent[i]);
    sim->spent[i] = rn_sa_spent_new();
    size_t count = 0;
    uint8_t session[RN_HASH_BYTES] = {0};
    for (size_t r = 0; r < node->records; r++) {
        const struct rn_view record = rn_buffer_view(&node->journal[r]);
        assert_true(rn_is_ok(rn_sa_spent_load(sim->spent[i], record, NULL)));
        if (memcmp(session, record.data + 8, RN_HASH_BYTES) != 0) {
            count = 0; /* a later session */
            memcpy(session, record.data + 8, RN_HASH_BYTES);
        }
        records[count++] = record;
    }
    struct rn_secret32 seed;
    const struct rn_sa_member_config config = member_config(sim, i, &seed);
    uint8_t current[RN_HASH_BYTES] = {0};
    if (sim->aggregator != NULL) {
        rn_sa_aggregator_session(sim->aggregator, current);
    }
    if (count == 0 || (sim->aggregator != NULL && memcmp(current, session, RN_HASH_BYTES) != 0)) {
        new_member(sim, i);
    } else if (!rn_is_ok(rn_sa_member_resume(&config, records, count, sim->now, &actions,
                                             &sim->members[i], &err))) {
        fail_msg("member resume: %s", err.text);
    }
    execute(sim, i, &actions);
    rn_sa_actions_clear(&actions);
    if (sim->nodes[SIM_COORDINATOR].up) { /* a connection comes up */
        rn_sa_aggregator_resend(sim->aggregator, i, &actions);
        execute(sim, SIM_COORDINATOR, &actions);
    }
}

static void deliver(struct sim *sim, struct sim_packet *packet)
{
    struct sim_node *node = &sim->nodes[packet->to];
    if (!node->up) {
        return;
    }
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_error err = {{0}};
    rn_result result;
    if (packet->to == SIM_COORDINATOR) {
        result = rn_sa_aggregator_receive(sim->aggregator, packet->from,
                                          rn_buffer_view(&packet->bytes), sim->now, &actions, &err);
    } else {
        result = rn_sa_member_receive(sim->members[packet->to], rn_buffer_view(&packet->bytes),
                                      sim->now, &actions, &err);
    }
    if (!rn_is_ok(result)) {
        sim->refused++;
        if (getenv("SIM_VERBOSE") != NULL) {
            printf("%llu %u->%u refused: %s\n", (unsigned long long)sim->now, packet->from,
                   packet->to, err.text);
        }
    }
    execute(sim, packet->to, &actions);
}

static bool deliver_due(struct sim *sim)
{
    if (sim->packet_count == 0 || sim->packets[0].at > sim->now) {
        return false;
    }
    struct sim_packet packet = sim->packets[0];
    sim->packets[0] = sim->packets[--sim->packet_count];
    sink(sim, 0);
    deliver(sim, &packet);
    rn_buffer_clear(&packet.bytes);
    return true;
}

static void tick(struct sim *sim)
{
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (sim->identities[i] == NULL) {
            continue;
        }
        if (!node->up && node->restart_at <= sim->now) {
            restart(sim, i);
        }
        if (!node->up) {
            continue;
        }
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        if (i == SIM_COORDINATOR) {
            rn_sa_aggregator_tick(sim->aggregator, sim->now, &actions);
        } else {
            rn_sa_member_tick(sim->members[i], sim->now, &actions);
            if (node->input_at != 0 && node->input_at <= sim->now) {
                node->input_at = 0;
                (void)!rn_is_ok(rn_sa_member_input(sim->members[i], sim->now, &actions, NULL));
            }
        }
        execute(sim, i, &actions);
    }
}

static bool all_over(const struct sim *sim)
{
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (sim->identities[i] == NULL || node->silent) {
            continue;
        }
        if (node->up ? !(node->finished || node->aborted) : node->restart_at != SIM_NEVER) {
            return false;
        }
    }
    return true;
}

void sim_run(struct sim *sim, uint64_t limit_ms)
{
    const uint64_t end = sim->now + limit_ms;
    if (sim->aggregator != NULL && rn_sa_aggregator_stage(sim->aggregator) == RN_SA_STAGE_OFFER) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        rn_sa_aggregator_start(sim->aggregator, sim->now, &actions);
        execute(sim, SIM_COORDINATOR, &actions);
    }
    while (sim->now < end && !all_over(sim)) {
        while (deliver_due(sim)) {
        }
        sim->now += TICK_MS;
        tick(sim);
    }
}

uint32_t sim_check_sums(struct sim *sim)
{
    uint32_t count = 0;
    const struct sim_node *first = NULL;
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (!node->summed) {
            continue;
        }
        if (first == NULL) {
            first = node;
        }
        assert_true(rn_sa_set_equal(&first->survivors, &node->survivors));
        assert_memory_equal(first->sum_hash, node->sum_hash, RN_HASH_BYTES);
        assert_true(node->contributors >= sim->params.colluding + sim->params.honest);
        count += i < SIM_MEMBERS;
    }
    return count;
}

bool sim_is_long(void)
{
    return getenv("RONDO_LONG") != NULL;
}

struct sim *sim_new(const struct sim_options *options)
{
    struct sim *sim = rn_alloc(1, sizeof *sim);
    sim_init(sim, options);
    return sim;
}

struct sim *sim_tampered(uint32_t members, uint32_t colluding, uint32_t losses, sim_tamper *tamper,
                         void *context)
{
    const struct sim_options options = {
        .members = members,
        .colluding = colluding,
        .losses = losses,
        .seed = members * 131 + colluding,
        .tamper = tamper,
        .tamper_context = context,
    };
    return sim_new(&options);
}

void sim_free(struct sim *sim)
{
    sim_clear(sim);
    rn_free(sim);
}

/* ---- lies ---- */

struct rn_sa_message sim_parse(const struct rn_buffer *bytes)
{
    struct rn_sa_message m;
    assert_true(rn_is_ok(rn_sa_message_parse(rn_buffer_view(bytes), &m, NULL)));
    return m;
}

void sim_sign_again(struct sim *sim, const struct rn_sa_message *m, struct rn_view body,
                    const uint8_t *hash, const uint8_t *body_hash, struct rn_buffer *out)
{
    const struct rn_sa_outgoing outgoing = {
        .type = m->type,
        .session = m->session,
        .round = m->round,
        .sender = m->sender,
        .recipient = m->recipient,
        .transcript = hash == NULL ? m->transcript : hash,
        .body = body,
        .body_hash = body_hash,
    };
    const uint32_t signer = m->sender == RN_SA_COORDINATOR ? SIM_COORDINATOR : m->sender;
    rn_sa_message_write(&outgoing, sim->identities[signer], out);
}

struct rn_sa_evidence sim_prove(const struct sim *sim, const struct rn_sa_action *action)
{
    struct rn_sa_evidence evidence;
    struct rn_error err;
    assert_int_equal(action->kind, RN_SA_EVIDENCE);
    if (!rn_is_ok(
            rn_sa_evidence_check(rn_buffer_view(&action->bytes), &sim->roster, &evidence, &err))) {
        fail_msg("evidence: %s", err.text);
    }
    return evidence;
}

void sim_expect_refused(struct sim *sim, uint32_t from, uint32_t to, struct rn_view bytes)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    const rn_result result =
        to == SIM_COORDINATOR
            ? rn_sa_aggregator_receive(sim->aggregator, from, bytes, sim->now, &actions, NULL)
            : rn_sa_member_receive(sim->members[to], bytes, sim->now, &actions, NULL);
    assert_false(rn_is_ok(result));
    assert_true(rn_class_of(result) == RN_CLASS_PEER || result.code == RN_E_ROUND_STALE);
    for (size_t k = 0; k < actions.count; k++) {
        (void)sim_prove(sim, &actions.items[k]);
    }
}
