/* SPDX-License-Identifier: Apache-2.0
 *
 * case 6, case 7. Messages that come twice and messages that come late. Twice: the same bytes are
 * answered by the same bytes, and every journal is, byte for byte, the one of a session in which
 * all came once. Late: what arrives when its stage is over adds nothing to any set, record or sum.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

#define MEMBERS 5u
#define HEARD_MAX 4096u

/* Every message that was sent, in order. */
struct heard {
    struct rn_buffer bytes[HEARD_MAX];
    uint32_t from[HEARD_MAX], to[HEARD_MAX];
    size_t count;
};

static bool listen(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct heard *heard = sim->options.tamper_context;
    assert_true(heard->count < HEARD_MAX);
    rn_buffer_append(&heard->bytes[heard->count], message->data, message->length);
    heard->from[heard->count] = from;
    heard->to[heard->count++] = to;
    return true;
}

static void forget(struct heard *heard)
{
    for (size_t i = 0; i < heard->count; i++) {
        rn_buffer_clear(&heard->bytes[i]);
    }
    rn_free(heard);
}

/* Member 4 is lost before Done, so that secrets of both kinds are opened; with `twice` every
 * message is delivered, and answered, twice. */
static struct sim *run(struct heard *heard, bool twice)
{
    const struct sim_options options = {.members = MEMBERS,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 66,
                                        .duplicate_percent = twice ? 100 : 0,
                                        .tamper = listen,
                                        .tamper_context = heard};
    struct sim *sim = sim_new(&options);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    return sim;
}

/* ---- case 6: twice ---- */

static void check_journals(const struct sim *once, const struct sim *twice)
{
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        const struct sim_node *a = &once->nodes[i];
        const struct sim_node *b = &twice->nodes[i];
        assert_int_equal(a->records, b->records);
        for (size_t r = 0; r < a->records; r++) {
            assert_true(
                rn_view_equal(rn_buffer_view(&a->journal[r]), rn_buffer_view(&b->journal[r])));
        }
    }
}

/* Two of one type, from one sender to one receiver: chunks by their place too; what asks and what
 * is answered to asking differs by what is missing. */
static bool one_of_a_kind(const struct rn_sa_message *m)
{
    return m->type != RN_SA_NEED && m->type != RN_SA_FOLLOW && m->type != RN_SA_AUDIT &&
           m->type != RN_SA_ABORT_CALL;
}

static bool same_kind(const struct rn_sa_message *a, const struct rn_sa_message *b)
{
    const bool chunk = a->type == RN_SA_CHUNK || a->type == RN_SA_SUM_CHUNK;
    const size_t place = chunk ? 8 : a->type == RN_SA_LEAVES ? 4 : 0;
    return a->type == b->type && a->sender == b->sender &&
           memcmp(a->body.data, b->body.data, place) == 0;
}

/* Returns how many messages were the repetition of an earlier one. */
static uint32_t check_repetitions(const struct heard *heard)
{
    uint32_t repeated = 0;
    for (size_t i = 0; i < heard->count; i++) {
        const struct rn_sa_message a = sim_parse(&heard->bytes[i]);
        for (size_t k = 0; one_of_a_kind(&a) && k < i; k++) {
            const struct rn_sa_message b = sim_parse(&heard->bytes[k]);
            if (heard->from[i] == heard->from[k] && heard->to[i] == heard->to[k] &&
                same_kind(&a, &b)) {
                assert_true(rn_view_equal(a.whole, b.whole));
                repeated++;
                break;
            }
        }
    }
    return repeated;
}

static uint32_t types_heard(const struct heard *heard)
{
    uint32_t types = 0;
    for (size_t i = 0; i < heard->count; i++) {
        types |= 1u << sim_parse(&heard->bytes[i]).type;
    }
    return types;
}

/* case 6 */
static void test_everything_twice(void **state)
{
    (void)state;
    struct heard *first = rn_alloc(1, sizeof *first);
    struct heard *second = rn_alloc(1, sizeof *second);
    struct sim *once = run(first, false);
    struct sim *twice = run(second, true);
    assert_int_equal(twice->refused, 0);
    assert_int_equal(sim_check_sums(twice), sim_check_sums(once));
    assert_memory_equal(once->nodes[0].sum_hash, twice->nodes[0].sum_hash, RN_HASH_BYTES);
    for (uint32_t i = 0; i <= SIM_MEMBERS; i++) {
        assert_int_equal(twice->nodes[i].evidence, 0);
        assert_false(twice->nodes[i].aborted);
    }
    check_journals(once, twice);
    assert_true(check_repetitions(second) > 50);
    /* every type of an undisturbed session was among them */
    static const enum rn_sa_type all[] = {
        RN_SA_OFFER,       RN_SA_READY, RN_SA_READY_SET, RN_SA_SHARES,  RN_SA_SHARES_SET,
        RN_SA_ACK,         RN_SA_CHUNK, RN_SA_ACK_SET,   RN_SA_DONE,    RN_SA_SURVIVORS,
        RN_SA_CERTIFICATE, RN_SA_VOTE,  RN_SA_REVEAL,    RN_SA_RESULT,  RN_SA_SUM_CHUNK,
        RN_SA_RECEIPT,     RN_SA_AUDIT, RN_SA_LEAVES,    RN_SA_RECEIPTS};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(all); k++) {
        assert_true((types_heard(second) >> all[k] & 1) != 0);
    }
    sim_free(once);
    sim_free(twice);
    forget(first);
    forget(second);
}

/* ---- case 7: late ---- */

/* What a late message may bring about: an answer that was given before, byte for byte. */
static void check_answers(const struct sim *sim, const struct heard *heard, uint32_t sender,
                          uint32_t to, const struct rn_sa_actions *actions)
{
    for (size_t k = 0; k < actions->count; k++) {
        const struct rn_sa_action *action = &actions->items[k];
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) shares = {0};
        if (action->kind == RN_SA_SEND_SHARES) {
            assert_true(rn_sa_set_has(&action->to, to) && rn_sa_set_count(&action->to) == 1);
            assert_true(rn_is_ok(rn_sa_aggregator_share_set(sim->aggregator, to, &shares, NULL)));
        }
        const struct rn_view bytes = rn_buffer_view(shares.length > 0 ? &shares : &action->bytes);
        bool known = action->kind == RN_SA_SEND_BULK; /* of a sum that everybody may have */
        for (size_t i = 0; !known && bytes.length > 0 && i < heard->count; i++) {
            known |=
                heard->from[i] == sender && rn_view_equal(rn_buffer_view(&heard->bytes[i]), bytes);
        }
        assert_true(known);
    }
}

/* case 7. When the session is over, the whole of it once more, to everybody. */
static void test_everything_late(void **state)
{
    (void)state;
    struct heard *heard = rn_alloc(1, sizeof *heard);
    struct sim *sim = run(heard, false);
    const size_t count = heard->count;
    struct rn_sa_set got[RN_SA_TYPE_LAST_];
    memcpy(got, sim->aggregator->got, sizeof got);
    const struct rn_sa_transcript t = sim->aggregator->t;
    const struct rn_sa_set opened = sim->aggregator->opened;
    for (size_t i = 0; i < count; i++) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        const struct rn_view bytes = rn_buffer_view(&heard->bytes[i]);
        const uint32_t to = heard->to[i];
        if (to == SIM_COORDINATOR) {
            assert_true(rn_is_ok(rn_sa_aggregator_receive(sim->aggregator, heard->from[i], bytes,
                                                          sim->now, &actions, NULL)));
        } else if (!sim->nodes[to].silent) {
            const struct rn_sa_transcript before = sim->members[to]->t;
            assert_true(
                rn_is_ok(rn_sa_member_receive(sim->members[to], bytes, sim->now, &actions, NULL)));
            assert_int_equal(sim->members[to]->state, RN_SA_M_FINISHED);
            assert_memory_equal(&before, &sim->members[to]->t, sizeof before);
            assert_null(sim->members[to]->vault);
        }
        check_answers(sim, heard, to, heard->from[i], &actions);
    }
    assert_memory_equal(got, sim->aggregator->got, sizeof got);
    assert_memory_equal(&t, &sim->aggregator->t, sizeof t);
    assert_memory_equal(&opened, &sim->aggregator->opened, sizeof opened);
    assert_int_equal(sim->aggregator->spool_bytes, 0);
    assert_int_equal(sim->aggregator->stage, RN_SA_STAGE_FINISHED);
    sim_free(sim);
    forget(heard);
}

/* One member's messages of one type, held back until the coordinator has gone on without them. */
struct held {
    enum rn_sa_type type;
    enum rn_sa_stage until; /* the first stage that is too late */
    struct rn_buffer bytes[8];
    size_t count;
    bool released;
};

static bool hold(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct held *held = sim->options.tamper_context;
    (void)to;
    if (from != 1 || sim_parse(message).type != held->type || held->released) {
        return true;
    }
    if (held->count < RN_ARRAY_LENGTH(held->bytes)) {
        rn_buffer_append(&held->bytes[held->count++], message->data, message->length);
    }
    return sim->aggregator->stage >= held->until;
}

/* Delivers what was held, and sees to it that nothing comes of it. */
static void deliver_late(struct sim *sim, struct held *held)
{
    struct rn_sa_aggregator *a = sim->aggregator;
    for (size_t k = 0; k < held->count; k++) {
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        const struct rn_sa_set got = a->got[held->type];
        const struct rn_sa_transcript t = a->t;
        const enum rn_sa_stage stage = a->stage;
        const bool kept = a->uploads[1].open;
        (void)!rn_is_ok(rn_sa_aggregator_receive(a, 1, rn_buffer_view(&held->bytes[k]), sim->now,
                                                 &actions, NULL));
        assert_int_equal(a->stage, stage);
        assert_memory_equal(&t, &a->t, sizeof t);
        assert_true(rn_sa_set_equal(&got, &a->got[held->type]));
        assert_int_equal(a->uploads[1].open, kept);
        for (size_t i = 0; i < actions.count; i++) { /* its sender is told what it missed */
            assert_true(actions.items[i].kind == RN_SA_SEND ||
                        actions.items[i].kind == RN_SA_SEND_SHARES);
        }
        execute(sim, SIM_COORDINATOR, &actions);
    }
    assert_false(rn_sa_set_has(&a->got[held->type], 1));
    held->released = true;
}

/* case 7. Receipts are never late: the coordinator wants them as long as it has the session. */
static void test_each_type_late(void **state)
{
    (void)state;
    static const struct {
        enum rn_sa_type type;
        enum rn_sa_stage until;
        bool contributes; /* it was not lost before its upload was whole */
    } rows[] = {
        {RN_SA_READY, RN_SA_STAGE_SHARES, false}, {RN_SA_SHARES, RN_SA_STAGE_ACKS, false},
        {RN_SA_ACK, RN_SA_STAGE_UPLOAD, false},   {RN_SA_CHUNK, RN_SA_STAGE_VOTE, false},
        {RN_SA_DONE, RN_SA_STAGE_VOTE, false},    {RN_SA_VOTE, RN_SA_STAGE_UNMASK, true},
        {RN_SA_REVEAL, RN_SA_STAGE_SUM, true},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        struct held held = {.type = rows[k].type, .until = rows[k].until};
        const struct sim_options options = {.members = MEMBERS,
                                            .colluding = 1,
                                            .losses = 1,
                                            .seed = 70 + k,
                                            .delay_ms = 300, /* Need is answered at once */
                                            .tamper = hold,
                                            .tamper_context = &held};
        struct sim *sim = sim_new(&options);
        for (uint32_t n = 0; n < 400 && rn_sa_aggregator_stage(sim->aggregator) < rows[k].until;
             n++) {
            sim_run(sim, TICK_MS);
        }
        assert_true(held.count > 0);
        assert_int_equal(sim->aggregator->uploads[1].open, rows[k].contributes);
        deliver_late(sim, &held);
        sim_run(sim, 400000);
        assert_true(sim->nodes[SIM_COORDINATOR].finished);
        assert_int_equal(rn_sa_set_has(&sim->aggregator->t.survivors, 1), rows[k].contributes);
        assert_int_equal(sim_check_sums(sim), MEMBERS);
        if (!rows[k].contributes) { /* nothing of it can be opened but what the lost owe */
            assert_null(sim->nodes[1].reveal);
            assert_null(sim->members[1]->vault);
        }
        for (size_t i = 0; i < held.count; i++) {
            rn_buffer_clear(&held.bytes[i]);
        }
        sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_twice),
        cmocka_unit_test(test_everything_late),
        cmocka_unit_test(test_each_type_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
