/* SPDX-License-Identifier: Apache-2.0
 *
 * case 14, case 54. A member outside U3 has no part in what follows: it releases nothing, whatever
 * it is told, and nobody takes anything from it.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* What came of one victim over all Reveals: bits of enum rn_sa_kind. */
struct victim {
    uint32_t place;
    bool told_alive; /* it sees the honest survivors, the others a set without it */
    uint32_t kinds;
};

static bool leave_out_victim(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct victim *victim = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type == RN_SA_REVEAL) {
        assert_int_not_equal(from, victim->place);
        for (size_t at = 4; at < m.body.length; at += RN_SA_REVEAL_ENTRY) {
            if (lie_u32(m.body.data + at) == victim->place) {
                victim->kinds |= 1u << lie_u32(m.body.data + at + 4);
            }
        }
    }
    if (m.type == RN_SA_DONE && from == victim->place) {
        return false; /* so far as the coordinator's own machine knows it never came */
    }
    const bool for_victim = from == SIM_COORDINATOR && to == victim->place;
    if (!victim->told_alive || !for_victim || m.type != RN_SA_SURVIVORS) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    const struct rn_sa_member *member = sim->members[victim->place];
    rn_buffer_u32(&body, sim->params.members); /* it is the last */
    rn_buffer_append(&body, m.body.data + 4, m.body.length - 4);
    rn_buffer_append(&body, member->done.data, member->done.length);
    lie_write(sim, &sim->aggregator->t, &m, rn_buffer_view(&body), &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void lose_victim(bool told_alive)
{
    struct victim victim = {.place = 4, .told_alive = told_alive};
    const struct sim_options options = {.members = 5,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 61,
                                        .tamper = leave_out_victim,
                                        .tamper_context = &victim};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 400000);
    assert_true(sim->nodes[SIM_COORDINATOR].summed);
    assert_int_equal(victim.kinds, 1u << RN_SA_KIND_S); /* of one kind in all answers: dead */
    assert_null(sim->nodes[4].reveal);
    assert_int_equal(rn_sa_spent_open(sim->spent[4]), 1);
    if (told_alive) { /* voted for its own view, and has no certificate for it */
        assert_true(sim->nodes[4].voted);
        assert_int_equal(sim->members[4]->state, RN_SA_M_VOTED);
        assert_false(sim->nodes[4].summed);
        assert_true(sim->nodes[4].evidence > 0); /* the certificate is over others */
    } else {
        assert_true(sim->nodes[4].following && sim->nodes[4].summed);
        assert_null(sim->members[4]->vault);
    }
    sim_free(sim);
}

/* case 14, case 54: outside U3 nothing is released, whatever certificate comes; and alive to
 * itself, dead to the others gives nobody both of its secrets. */
static void test_without_the_receiver(void **state)
{
    (void)state;
    lose_victim(false);
    lose_victim(true);
}

/* A Reveal of a member outside U3, signed well: the coordinator has no use for it. */
static bool reveal_from_outside(struct sim *sim, uint32_t from, uint32_t to,
                                struct rn_buffer *message)
{
    bool *done = sim->options.tamper_context;
    struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (m.type == RN_SA_REVEAL && from == 0 && !*done) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        *done = true;
        m.sender = 4;
        sim_sign_again(sim, &m, m.body, NULL, NULL, &forged);
        lie_bytes_refused(sim, SIM_COORDINATOR, rn_buffer_view(&forged), "not among the survivors");
    }
    return true;
}

/* case 54 */
static void test_reveal_from_outside(void **state)
{
    (void)state;
    bool done = false;
    const struct sim_options options = {.members = 5,
                                        .colluding = 1,
                                        .losses = 1,
                                        .seed = 62,
                                        .tamper = reveal_from_outside,
                                        .tamper_context = &done};
    struct sim *sim = sim_new(&options);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_true(done);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_the_receiver),
        cmocka_unit_test(test_reveal_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
