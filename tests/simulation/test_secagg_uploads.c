/* SPDX-License-Identifier: Apache-2.0
 *
 * case 4, case 5. Uploads that break off, go on, come twice, in another order, or with other bytes:
 * an upload counts when it is whole under the root that its Done signs, once, and leaves nothing
 * behind when it never is.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

#define MEMBERS 5u
#define CHUNKS 6u /* of 23 elements, four each */
#define SENDER 1u

static struct sim *new_sim(sim_tamper *tamper, void *context)
{
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .elements = 23,
                                        .seed = 45,
                                        .delay_ms = 300,
                                        .tamper = tamper,
                                        .tamper_context = context};
    struct sim *sim = sim_new(&options);
    assert_int_equal(sim->aggregator->t.layout.chunks, CHUNKS);
    return sim;
}

static uint32_t chunk_of(const struct sim *sim, const struct rn_sa_message *m)
{
    struct rn_sa_chunk chunk;
    assert_true(rn_is_ok(rn_sa_chunk_read(&sim->aggregator->t, m->body, &chunk, NULL)));
    return chunk.chunk;
}

static void check_purged(const struct sim *sim)
{
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct rn_sa_upload *upload = &sim->aggregator->uploads[i];
        assert_false(upload->open);
        assert_null(upload->chunks);
        assert_null(upload->held);
        assert_null(upload->leaves);
    }
    assert_int_equal(sim->aggregator->spool_bytes, 0);
}

/* ---- case 4 ---- */

/* case 4. Gone when Done had arrived and no survivor was named: summed all the same. */
static void test_gone_after_done(void **state)
{
    (void)state;
    for (uint32_t down = 0; down < 2; down++) {
        struct sim *sim = new_sim(NULL, NULL);
        sim->nodes[SENDER].silent_from = RN_SA_VOTE;
        sim->nodes[SENDER].restart_ms = SIM_NEVER;
        for (uint32_t k = 0; k < 400 && !rn_sa_set_has(&sim->aggregator->complete, SENDER); k++) {
            sim_run(sim, TICK_MS);
        }
        assert_true(rn_sa_aggregator_stage(sim->aggregator) <= RN_SA_STAGE_VOTE);
        if (down != 0) {
            crash(sim, SENDER);
        }
        sim_run(sim, 400000);
        assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, SENDER));
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, MEMBERS);
        assert_true(sim_check_sums(sim) >= MEMBERS - 1);
        check_purged(sim);
        sim_free(sim);
    }
}

/* Only the chunks below `until` arrive, and no Done. */
static bool break_off(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const uint32_t *until = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (from != SENDER || (m.type != RN_SA_CHUNK && m.type != RN_SA_DONE)) {
        return true;
    }
    return m.type == RN_SA_CHUNK && chunk_of(sim, &m) < *until;
}

/* case 4. Gone in the middle: not summed, and what had come is forgotten. */
static void test_gone_in_the_middle(void **state)
{
    (void)state;
    for (uint32_t until = 0; until <= CHUNKS; until++) {
        struct sim *sim = new_sim(break_off, &until);
        bool opened = false;
        for (uint32_t k = 0; k < 1600 && !sim->nodes[SIM_COORDINATOR].finished; k++) {
            sim_run(sim, TICK_MS);
            opened |= sim->aggregator->uploads[SENDER].have == until && until > 0;
            assert_false(sim->aggregator->stage > RN_SA_STAGE_UPLOAD &&
                         sim->aggregator->uploads[SENDER].open);
        }
        sim_run(sim, 400000); /* members hear of it */
        assert_int_equal(opened, until > 0);
        assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, SENDER));
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, MEMBERS - 1);
        assert_true(sim_check_sums(sim) >= MEMBERS - 1);
        check_purged(sim);
        sim_free(sim);
    }
}

/* ---- case 5 ---- */

/* The first connection carries the chunks whose bit is set, and Done; later ones everything. */
struct resumed {
    uint32_t first;
    uint32_t wanted; /* chunks that Need asked for, bits */
    uint32_t sent;   /* after it */
    uint32_t asked;
};

static bool lose_some(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct resumed *resumed = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type == RN_SA_NEED && to == SENDER) {
        assert_int_equal(resumed->asked++, 0); /* once is enough */
        assert_int_equal(lie_u32(m.body.data), CHUNKS);
        resumed->wanted = m.body.data[4];
    }
    if (m.type == RN_SA_CHUNK && from == SENDER) {
        resumed->sent |= resumed->asked > 0 ? 1u << chunk_of(sim, &m) : 0;
        return resumed->asked > 0 || (resumed->first >> chunk_of(sim, &m) & 1) != 0;
    }
    return true;
}

/* case 5. Every set of chunks that can have arrived: exactly the others are asked for and sent. */
static void test_goes_on_where_it_broke(void **state)
{
    (void)state;
    const uint32_t all = (1u << CHUNKS) - 1;
    for (uint32_t first = 0; first < all; first++) {
        struct resumed resumed = {.first = first};
        struct sim *sim = new_sim(lose_some, &resumed);
        sim->options.delay_ms = 0; /* Done does not overtake a chunk */
        sim_run(sim, 400000);
        assert_int_equal(resumed.asked, 1);
        assert_int_equal(resumed.wanted, ~first & all);
        assert_int_equal(resumed.sent, ~first & all);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, MEMBERS);
        assert_int_equal(sim_check_sums(sim), MEMBERS);
        check_purged(sim);
        sim_free(sim);
    }
}

/* All chunks of everybody are held, then delivered in a random order, each up to three times, with
 * Done anywhere among them. */
struct shuffled {
    struct rn_buffer bytes[4 * MEMBERS * (CHUNKS + 1)];
    uint32_t from[4 * MEMBERS * (CHUNKS + 1)];
    size_t count;
    bool open; /* from now on messages go their own ways */
};

static bool hold_uploads(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct shuffled *held = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (held->open || (m.type != RN_SA_CHUNK && m.type != RN_SA_DONE)) {
        return true;
    }
    const uint32_t copies = 1 + sim_below(sim, 3);
    for (uint32_t k = 0; k < copies; k++) {
        assert_true(held->count < RN_ARRAY_LENGTH(held->bytes));
        rn_buffer_append(&held->bytes[held->count], message->data, message->length);
        held->from[held->count++] = from;
    }
    return false;
}

static void deliver_shuffled(struct sim *sim, struct shuffled *held)
{
    held->open = true;
    while (held->count > 0) {
        const size_t k = sim_below(sim, (uint32_t)held->count);
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        assert_true(rn_is_ok(rn_sa_aggregator_receive(sim->aggregator, held->from[k],
                                                      rn_buffer_view(&held->bytes[k]), sim->now,
                                                      &actions, NULL)));
        execute(sim, SIM_COORDINATOR, &actions);
        rn_buffer_clear(&held->bytes[k]);
        held->bytes[k] = held->bytes[--held->count];
        held->from[k] = held->from[held->count];
        held->bytes[held->count] = (struct rn_buffer){0};
    }
}

/* case 5 */
static void test_any_order_any_number(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < (sim_is_long() ? 500 : 30); seed++) {
        struct shuffled held = {.count = 0};
        struct sim *sim = new_sim(hold_uploads, &held);
        sim->random += seed;
        for (uint32_t k = 0;
             k < 400 && rn_sa_aggregator_stage(sim->aggregator) < RN_SA_STAGE_UPLOAD; k++) {
            sim_run(sim, TICK_MS);
        }
        sim_run(sim, 700); /* all have uploaded, none has repeated anything */
        assert_true(held.count >= MEMBERS * (CHUNKS + 1));
        deliver_shuffled(sim, &held);
        sim_run(sim, 400000);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, MEMBERS);
        assert_int_equal(sim_check_sums(sim), MEMBERS);
        check_purged(sim);
        sim_free(sim);
    }
}

/* A chunk with other bytes, well signed: after the true one it is refused; before it, the whole
 * upload fails its root, is forgotten and asked for again. */
struct other_bytes {
    bool before;
    bool done;
};

static bool change_chunk(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct other_bytes *other = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (m.type != RN_SA_CHUNK || from != SENDER || other->done) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[RN_SA_CHUNK_HEAD] ^= 1;
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    other->done = true;
    const struct rn_buffer *order[2] = {other->before ? &forged : message,
                                        other->before ? message : &forged};
    struct rn_error err = {{0}};
    assert_true(rn_is_ok(rn_sa_aggregator_receive(sim->aggregator, from, rn_buffer_view(order[0]),
                                                  sim->now, &actions, NULL)));
    const rn_result second = rn_sa_aggregator_receive(
        sim->aggregator, from, rn_buffer_view(order[1]), sim->now, &actions, &err);
    assert_int_equal(rn_class_of(second), RN_CLASS_PEER);
    assert_non_null(strstr(err.text, "differs from the one sent before"));
    assert_int_equal(actions.count, 0);
    return false;
}

/* case 5 */
static void test_chunk_with_other_bytes(void **state)
{
    (void)state;
    for (uint32_t before = 0; before < 2; before++) {
        struct other_bytes other = {.before = before != 0};
        struct sim *sim = new_sim(change_chunk, &other);
        sim_run(sim, 400000);
        assert_true(other.done);
        assert_int_equal(sim->refused, before); /* Done, over a root that does not hold */
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, MEMBERS);
        assert_int_equal(sim_check_sums(sim), MEMBERS);
        check_purged(sim);
        sim_free(sim);
    }
}

/* How often the sender's actions send its Done, and whether they ask for chunks. */
struct answer {
    uint32_t dones;
    bool chunks;
};

static struct answer answer_of(const struct rn_sa_actions *actions)
{
    struct answer answer = {0};
    for (size_t i = 0; i < actions->count; i++) {
        const struct rn_sa_action *action = &actions->items[i];
        answer.chunks |= action->kind == RN_SA_SEND_BULK;
        answer.dones += action->kind == RN_SA_SEND && sim_parse(&action->bytes).type == RN_SA_DONE;
    }
    return answer;
}

static struct answer need(struct sim *sim, uint8_t bits)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) message = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    rn_sa_need_write(&sim->aggregator->t, SENDER, &bits, sim->aggregator->config.identity,
                     &message);
    assert_true(rn_is_ok(rn_sa_member_receive(sim->members[SENDER], rn_buffer_view(&message),
                                              sim->now, &actions, NULL)));
    return answer_of(&actions);
}

static struct answer wait_for_retry(struct sim *sim)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    sim->now += sim->params.retry_ms + 1;
    rn_sa_member_tick(sim->members[SENDER], sim->now, &actions);
    return answer_of(&actions);
}

/* case 5. A Done that overtakes chunks on their way would have them sent again: it follows them;
 * and it comes at once where no chunk is needed, or after a reconnect, when nobody has them. */
static void test_done_follows_what_is_needed(void **state)
{
    (void)state;
    struct sim *sim = new_sim(NULL, NULL);
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) sent = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) again = {0};
    for (uint32_t k = 0; k < 400 && sim->members[SENDER]->state != RN_SA_M_DONE; k++) {
        sim_run(sim, TICK_MS);
    }
    struct answer answer = need(sim, 5);
    assert_true(answer.chunks && answer.dones == 0);
    assert_int_equal(wait_for_retry(sim).dones, 0);
    assert_true(rn_is_ok(rn_sa_member_bulk_sent(sim->members[SENDER], sim->now, &sent, NULL)));
    assert_int_equal(answer_of(&sent).dones, 1);
    assert_int_equal(wait_for_retry(sim).dones, 1);
    answer = need(sim, 0);
    assert_true(!answer.chunks && answer.dones == 1);
    assert_int_equal(need(sim, 1).dones, 0);
    rn_sa_member_resend(sim->members[SENDER], sim->now, &again);
    assert_int_equal(answer_of(&again).dones, 1);
    assert_int_equal(wait_for_retry(sim).dones, 1);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gone_after_done),
        cmocka_unit_test(test_gone_in_the_middle),
        cmocka_unit_test(test_goes_on_where_it_broke),
        cmocka_unit_test(test_any_order_any_number),
        cmocka_unit_test(test_chunk_with_other_bytes),
        cmocka_unit_test(test_done_follows_what_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
