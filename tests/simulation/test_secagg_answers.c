/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that answer with false shares, with their real keys: outvoted, named, and left out of
 * what follows; never a wrong sum.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* Ten members, t = 6. Up to four false answers leave t right ones: the sum is right, every culprit
 * is named with a proof that every member checked, be its share one of b (5) or of s (9, lost). */
static void check_wrong_shares(uint32_t count, uint32_t of)
{
    struct lie_answers liars = {count, of};
    struct sim *sim = sim_tampered(10, 1, 1, lie_answer, &liars);
    const bool lost = of == 9;
    if (lost) {
        sim->nodes[9].silent_from = RN_SA_DONE;
    }
    sim_run(sim, 400000);
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const struct rn_sa_set expected = rn_sa_set_first(count);
    const uint32_t answers = lost ? 9 : 10;
    if (answers - count >= 6) {
        assert_int_equal(sim_check_sums(sim), answers);
        assert_true(rn_sa_set_equal(&coordinator->blamed, &expected));
        for (uint32_t i = 0; i < answers; i++) {
            assert_true(rn_sa_set_equal(&sim->members[i]->t.blamed, &expected));
        }
    } else { /* names and a clean end */
        assert_true(coordinator->aborted);
        assert_int_equal(coordinator->reason, RN_SA_REASON_UNMASK_QUORUM);
        assert_true(rn_sa_set_equal(&coordinator->blamed, &expected));
        assert_int_equal(sim_check_sums(sim), 0);
    }
    sim_free(sim);
}

/* case 23 */
static void test_wrong_shares(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 5; count++) {
        check_wrong_shares(count, SIM_COORDINATOR);
        check_wrong_shares(count, 5);
        check_wrong_shares(count, 9);
    }
}

/* The next round goes on without a member that was proven faulty. It is offered nothing, what it
 * sends to join is refused; and where a coordinator forgets, the members that hold the proof do
 * not, be it after a restart. */
static void test_blamed_are_left_out(void **state)
{
    (void)state;
    for (uint32_t forgets = 0; forgets < 2; forgets++) {
        struct lie_answers liars = {1, SIM_COORDINATOR};
        struct sim *sim = sim_tampered(6, 1, 2, lie_answer, &liars);
        sim_run(sim, 400000);
        assert_int_equal(sim_check_sums(sim), 6);
        const struct rn_sa_set blamed = rn_sa_set_only(0);
        assert_true(rn_sa_set_equal(&sim->nodes[SIM_COORDINATOR].blamed, &blamed));
        sim->options.tamper = NULL;
        sim->context.active = 1;
        if (forgets == 0) {
            sim->excluded = blamed;
        }
        sim_next_session(sim, 2, 1);
        for (uint32_t i = 1; i < 6; i++) { /* restart */
            sim->nodes[i].crash_at = 0;
            sim->nodes[i].restart_ms = 100;
        }
        sim_run(sim, 400000);
        assert_false(rn_sa_set_has(&sim->aggregator->t.joined, 0) && forgets == 0);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].summed, forgets == 0);
        for (uint32_t i = 1; i < 6; i++) {
            assert_true(sim->nodes[i].resumed);
            assert_true((sim->members[i]->shares.length > 0) == (forgets == 0));
            assert_true(sim->nodes[i].summed == (forgets == 0));
        }
        if (forgets == 0) {
            assert_int_equal(sim->members[0]->state, RN_SA_M_IDLE);
        }
        sim_free(sim);
    }
}

/* A Ready of an excluded member, signed well and in time. */
static void test_excluded_may_not_join(void **state)
{
    (void)state;
    struct sim *sim = sim_tampered(6, 1, 2, NULL, NULL);
    sim_run(sim, TICK_MS);
    sim->aggregator->config.excluded = rn_sa_set_only(0);
    sim_run(sim, 400000);
    assert_false(rn_sa_set_has(&sim->aggregator->t.joined, 0));
    assert_true(sim->nodes[0].following);
    assert_int_equal(sim_check_sums(sim), 6);
    sim_free(sim);
}

/* t - 1 answers open nothing; ticks compute nothing; the t-th opens. */
static bool withhold_answers(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *first = sim->options.tamper_context;
    return sim_parse(message).type != RN_SA_REVEAL || from >= *first;
}

/* case 23 */
static void test_too_few_shares(void **state)
{
    (void)state;
    uint32_t first = 5; /* of ten, of whom six are needed */
    struct sim *sim = sim_tampered(10, 1, 1, withhold_answers, &first);
    for (uint32_t k = 0; k < 100 && rn_sa_aggregator_stage(sim->aggregator) < RN_SA_STAGE_UNMASK;
         k++) {
        sim_run(sim, TICK_MS);
    }
    sim_run(sim, 3000);
    assert_int_equal(rn_sa_set_count(&sim->aggregator->got[RN_SA_REVEAL]), 5);
    assert_true(rn_sa_set_empty(&sim->aggregator->opened));
    first = 4;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 10);
    sim_free(sim);
}

/* case 23. Nine answers of ten, five of them false for one secret: what is opened is kept, and only
 * the missing one is tried again when the tenth comes. */
static void test_opened_is_kept(void **state)
{
    (void)state;
    struct lie_answers liars = {5, 7};
    struct sim *sim = sim_tampered(10, 1, 1, lie_answer, &liars);
    sim->nodes[9].silent_from = RN_SA_REVEAL;
    for (uint32_t k = 0; k < 200 && (sim->aggregator == NULL ||
                                     rn_sa_set_count(&sim->aggregator->got[RN_SA_REVEAL]) < 9);
         k++) {
        sim_run(sim, TICK_MS);
    }
    struct rn_sa_set all = rn_sa_set_first(10);
    rn_sa_set_remove(&all, 7);
    assert_true(rn_sa_set_equal(&sim->aggregator->opened, &all));
    const struct rn_sa_set blamed = rn_sa_set_first(5);
    assert_true(rn_sa_set_equal(&sim->aggregator->blamed, &blamed));
    /* a tick without news looks at no share again; a secret that is rebuilt is rebuilt once */
    struct rn_sa_answers *dropped = sim->aggregator->answers[0];
    for (uint32_t k = 0; k < 2; k++) { /* with them there would be t */
        struct rn_sa_answers *answers = sim->aggregator->answers[k];
        assert_false(rn_sa_set_has(&answers->members, 7));
        rn_sa_set_add(&answers->members, 7);
        sim->aggregator->available[7]++;
        rn_sa_set_remove(&answers->checked, 7);
    }
    sim->aggregator->secrets[1].bytes[0] ^= 1;
    const struct rn_scalar marked = sim->aggregator->secrets[1];
    sim_run(sim, 4 * TICK_MS);
    assert_true(rn_sa_set_has(&dropped->members, 7));
    sim->nodes[9].silent = false;
    sim->nodes[9].silent_from = 0;
    sim_run(sim, 400000);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UNMASK_QUORUM);
    assert_false(rn_sa_set_has(&dropped->members, 7));
    assert_memory_equal(&marked, &sim->aggregator->secrets[1], sizeof marked);
    sim_free(sim);
}

static bool bad_reveal(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_REVEAL || from != 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    const size_t entry = RN_SA_REVEAL_ENTRY;
    const struct rn_view views[] = {
        rn_view_of(body.data, body.length - entry), /* too few peers */
        rn_view_of(body.data, 4),
        rn_view_of(body.data, body.length),
    };
    sim_sign_again(sim, &m, views[0], NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    sim_sign_again(sim, &m, views[1], NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    static const struct {
        size_t at;
        uint8_t xor ;
    } changes[] = {
        {4, 1},          /* another peer */
        {8, 3},          /* the other kind */
        {8, 2},          /* no share */
        {12 + 31, 0x80}, /* a scalar that is not canonical */
        {0, 1},          /* another count */
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(changes); k++) {
        body.data[changes[k].at] ^= changes[k].xor ;
        sim_sign_again(sim, &m, views[2], NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
        body.data[changes[k].at] ^= changes[k].xor ;
    }
    return true;
}

/* case 25 */
static void test_malformed_reveals(void **state)
{
    (void)state;
    struct sim *sim = sim_tampered(5, 1, 1, bad_reveal, NULL);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_shares),          cmocka_unit_test(test_too_few_shares),
        cmocka_unit_test(test_opened_is_kept),        cmocka_unit_test(test_blamed_are_left_out),
        cmocka_unit_test(test_excluded_may_not_join), cmocka_unit_test(test_malformed_reveals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
