/* SPDX-License-Identifier: Apache-2.0
 *
 * A coordinator that blames whom it likes, and proofs of blame that are repeated: what does not
 * prove anything is the coordinator's fault.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"
#include "tests/simulation/lies.h"

/* A coordinator that blames whom it likes: an honest answer as its proof, a proof twice, a proof
 * against another, proofs that are cut short or too many. */
static bool blame_falsely(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    bool *done = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (from != SIM_COORDINATOR || m.type != RN_SA_RESULT || to != 1 || *done) {
        return true;
    }
    *done = true;
    const struct rn_sa_aggregator *a = sim->aggregator;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    for (uint32_t holder = 0; holder < 5; holder++) {
        for (uint32_t dealer = 0; dealer < 5; dealer++) {
            if (a->inbox[RN_SA_REVEAL][holder].length == 0) {
                continue;
            }
            rn_buffer_clear(&body);
            rn_buffer_append(&body, m.body.data, m.body.length);
            body.data[m.body.length - 4] = 1;
            rn_sa_blame_write(&a->t, dealer, &a->dealings[dealer],
                              rn_buffer_view(&a->inbox[RN_SA_REVEAL][holder]), &body);
            sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
            sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
            /* other commitments than the dealer's own would make any share false */
            memcpy(body.data + body.length - 3 * RN_HASH_BYTES, a->t.peers[holder].mask.bytes,
                   RN_POINT_BYTES);
            sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
            sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
        }
    }
    return true;
}

static void test_false_blame(void **state)
{
    (void)state;
    bool done = false;
    struct sim *sim = sim_tampered(5, 1, 1, blame_falsely, &done);
    sim_run(sim, 400000);
    assert_true(done);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* The same proof twice, out of order, a byte less or more, at a true liar's cost. */
struct repeated {
    struct lie_answers liars;
    bool done;
};

static bool repeat_blame(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    struct repeated *repeated = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type == RN_SA_REVEAL) {
        return lie_answer(sim, from, to, message);
    }
    if (from != SIM_COORDINATOR || m.type != RN_SA_RESULT || to != 4 || repeated->done) {
        return true;
    }
    repeated->done = true;
    const size_t one = rn_sa_blame_bytes(&sim->aggregator->t, 0); /* of everybody */
    const size_t head = m.body.length - 2 * one;
    static const uint8_t orders[][3] = {{0, 0}, {1, 0}, {1, 1}};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(orders); k++) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        rn_buffer_append(&body, m.body.data, head);
        rn_buffer_append(&body, m.body.data + head + orders[k][0] * one, one);
        rn_buffer_append(&body, m.body.data + head + orders[k][1] * one, one);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    sim_sign_again(sim, &m, rn_view_of(m.body.data, m.body.length - 1), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    sim_sign_again(sim, &m, rn_view_of(m.body.data, m.body.length - one), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    return true;
}

static void test_repeated_blame(void **state)
{
    (void)state;
    struct repeated repeated = {{2, SIM_COORDINATOR}, false};
    struct sim *sim = sim_tampered(10, 1, 1, repeat_blame, &repeated);
    sim_run(sim, 400000);
    assert_true(repeated.done);
    assert_int_equal(sim_check_sums(sim), 10);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_blame),
        cmocka_unit_test(test_repeated_blame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
