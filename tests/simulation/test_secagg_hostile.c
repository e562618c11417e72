/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator that alters, swaps, splits and forges, with its real key. What a machine refuses
 * must leave it as it was: the honest message is delivered afterwards, and the round must come out
 * right.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* ---- every byte ---- */

/* Before each honest message arrives, the same with one byte changed, cut short, and longer. */
static bool flip_bytes(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (from > 1 && to > 1) {
        return true; /* members 0 and 1 stand for all */
    }
    if (m.type == RN_SA_OFFER || !sim->nodes[to].up) {
        return true;
    }
    const size_t step = sim_is_long() ? 1 : 1 + message->length / 40;
    for (size_t at = sim_random(sim) % step; at < message->length; at += step) {
        message->data[at] ^= 0x40;
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        sim_expect_refused(sim, from, to, rn_buffer_view(message));
        message->data[at] ^= 0x40;
    }
    sim_expect_refused(sim, from, to, rn_view_of(message->data, message->length - 1));
    sim_expect_refused(sim, from, to, rn_view_of(message->data, RN_SA_ENVELOPE_BYTES));
    sim_expect_refused(sim, from, to, rn_view_of(message->data, 0));
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) longer = {0};
    rn_buffer_append(&longer, message->data, message->length);
    rn_buffer_u8(&longer, 0);
    sim_expect_refused(sim, from, to, rn_buffer_view(&longer));
    return true;
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    struct sim *sim = sim_tampered(4, 1, 1, flip_bytes, NULL);
    sim->nodes[3].silent_from = RN_SA_DONE; /* so that both kinds of secrets are opened */
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 3);
    sim_free(sim);
}

/* The coordinator signs what it changed, under the T0, T1 or T2 that follows from it: what refuses
 * the change must be a check of the change, and not the hash over everything. */
static void refuse_signed(struct sim *sim, uint32_t to, const struct rn_sa_message *m,
                          struct rn_view body)
{
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    struct rn_error err = {{0}};
    lie_write(sim, &sim->members[to]->t, m, body, &forged);
    const rn_result result =
        rn_sa_member_receive(sim->members[to], rn_buffer_view(&forged), sim->now, &actions, &err);
    assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
    assert_int_equal(actions.count, 0);
    assert_null(strstr(err.text, "hash to"));
}

static bool flip_signed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    const bool broadcast = m.type == RN_SA_READY_SET || m.type == RN_SA_SHARES_SET ||
                           m.type == RN_SA_ACK_SET || m.type == RN_SA_SURVIVORS ||
                           m.type == RN_SA_CERTIFICATE || m.type == RN_SA_RESULT;
    bool *done = sim->options.tamper_context;
    if (from != SIM_COORDINATOR || to != 1 || !broadcast || done[m.type]) {
        return true;
    }
    done[m.type] = true;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    const size_t step = sim_is_long() ? 1 : 7;
    /* a result's root is held against the sum, later */
    for (size_t at = m.type == RN_SA_RESULT ? RN_HASH_BYTES : 0; at < body.length; at += step) {
        body.data[at] ^= 0x04;
        refuse_signed(sim, to, &m, rn_buffer_view(&body));
        body.data[at] ^= 0x04;
    }
    return true;
}

static void test_signed_lies(void **state)
{
    (void)state;
    bool done[RN_SA_TYPE_LAST_] = {false};
    struct sim *sim = sim_tampered(4, 1, 1, flip_signed, done);
    sim->nodes[3].silent_from = RN_SA_DONE;
    sim->options.delay_ms = 0;
    sim_run(sim, 400000);
    assert_true(done[RN_SA_READY_SET] && done[RN_SA_SHARES_SET] && done[RN_SA_ACK_SET] &&
                done[RN_SA_SURVIVORS] && done[RN_SA_CERTIFICATE] && done[RN_SA_RESULT]);
    assert_int_equal(sim_check_sums(sim), 3);
    sim_free(sim);
}

/* ---- another version ---- */

/* What member 1 was told last of each type. */
struct told {
    struct rn_buffer of[RN_SA_TYPE_LAST_];
    uint32_t proofs;
};

/* The broadcast that a member's message shows to have been accepted. */
static enum rn_sa_type answered_by(enum rn_sa_type type)
{
    return type == RN_SA_SHARES    ? RN_SA_READY_SET
           : type == RN_SA_ACK     ? RN_SA_SHARES_SET
           : type == RN_SA_DONE    ? RN_SA_ACK_SET
           : type == RN_SA_VOTE    ? RN_SA_SURVIVORS
           : type == RN_SA_RECEIPT ? RN_SA_RESULT
                                   : RN_SA_TYPE_LAST_;
}

/* Once a broadcast was accepted, the same is nothing and another one is evidence, once. */
static bool say_it_otherwise(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct told *told = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (to == 1) {
        rn_buffer_clear(&told->of[m.type]);
        rn_buffer_append(&told->of[m.type], message->data, message->length);
    }
    const enum rn_sa_type type = answered_by(m.type);
    if (from != 1 || type == RN_SA_TYPE_LAST_ || told->of[type].length == 0) {
        return true;
    }
    struct rn_sa_member *member = sim->members[1];
    const struct rn_sa_message first = sim_parse(&told->of[type]);
    const struct rn_sa_transcript before = member->t;
    const enum rn_sa_member_state state = member->state;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) second = {0};
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    rn_buffer_append(&body, first.body.data, first.body.length);
    for (uint32_t version = 0; version < 3; version++) {
        body.data[body.length - 1] ^= (uint8_t)version; /* 0: the same */
        lie_write(sim, &sim->aggregator->t, &first, rn_buffer_view(&body), &second);
        const rn_result result =
            rn_sa_member_receive(member, rn_buffer_view(&second), sim->now, &actions, NULL);
        assert_int_equal(rn_is_ok(result), version == 0);
        assert_int_equal(actions.count, version > 0);
    }
    const struct rn_sa_evidence evidence = sim_prove(sim, &actions.items[0]);
    assert_true(evidence.coordinator);
    assert_int_equal(evidence.types[0], type);
    assert_int_equal(member->state, state);
    assert_memory_equal(&before, &member->t, sizeof before);
    rn_buffer_clear(&told->of[type]);
    told->proofs++;
    return true;
}

static void test_another_version(void **state)
{
    (void)state;
    struct told told = {.proofs = 0};
    struct sim *sim = sim_tampered(4, 1, 1, say_it_otherwise, &told);
    sim->options.delay_ms = 300;
    sim_run(sim, 400000);
    assert_int_equal(told.proofs, 5);
    assert_int_equal(sim_check_sums(sim), 4);
    for (uint32_t type = 0; type < RN_SA_TYPE_LAST_; type++) {
        rn_buffer_clear(&told.of[type]);
    }
    sim_free(sim);
}

/* ---- R5 ---- */

/* case 21: A coordinator that shows all but one member other chunks than its root names. */
static bool alter_sum(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_SUM_CHUNK || to == 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[RN_SA_CHUNK_HEAD] ^= 1;
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_altered_sum(void **state)
{
    (void)state;
    struct sim *sim = sim_tampered(4, 1, 1, alter_sum, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 0); /* one receipt is no quorum */
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_RECEIPT_QUORUM);
    assert_true(sim->nodes[0].aborted);
    for (uint32_t i = 1; i < 4; i++) {
        assert_true(sim->nodes[i].aborted);
        assert_int_equal(sim->nodes[i].reason, RN_SA_REASON_RANGE);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_signed_lies),
        cmocka_unit_test(test_another_version),
        cmocka_unit_test(test_altered_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
