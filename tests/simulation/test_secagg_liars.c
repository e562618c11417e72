/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that vote twice, sign false receipts and upload wrongly, with their real keys: refused,
 * or named; never a wrong sum. (Dealers: test_secagg_dealers.c; answers: test_secagg_answers.c.)
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

/* ---- Evidence ---- */

/* A member signs version after version of its vote: each is refused, the first is the proof. */
static bool vote_often(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    uint32_t *proofs = sim->options.tamper_context;
    const struct rn_sa_message reveal = sim_parse(message);
    if (reveal.type != RN_SA_REVEAL || from != 1 || *proofs > 0) {
        return true;
    }
    const struct rn_sa_message vote = sim_parse(&sim->aggregator->inbox[RN_SA_VOTE][1]);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_sa_actions actions = {0};
    rn_buffer_append(&body, vote.body.data, vote.body.length);
    for (uint8_t version = 1; version < 20; version++) {
        body.data[4] ^= version;
        sim_sign_again(sim, &vote, rn_buffer_view(&body), NULL, NULL, &forged);
        const rn_result result = rn_sa_aggregator_receive(
            sim->aggregator, from, rn_buffer_view(&forged), sim->now, &actions, NULL);
        assert_int_equal(rn_class_of(result), RN_CLASS_PEER);
        body.data[4] ^= version;
    }
    for (size_t i = 0; i < actions.count; i++) {
        *proofs += actions.items[i].kind == RN_SA_EVIDENCE;
    }
    rn_sa_actions_clear(&actions);
    return true;
}

static void test_one_proof(void **state)
{
    (void)state;
    uint32_t proofs = 0;
    struct sim *sim = sim_tampered(5, 1, 1, vote_often, &proofs);
    sim_run(sim, 400000);
    assert_int_equal(proofs, 1);
    assert_int_equal(sim_check_sums(sim), 5);
    sim_free(sim);
}

/* ---- Receipts ---- */

/* The first receipt of all is member 3's and names an adapter that nobody computed. */
static bool false_receipt(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    uint8_t *adapter = sim->options.tamper_context;
    struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_RECEIPT) {
        return true;
    }
    if (rn_sa_set_empty(&sim->aggregator->got[RN_SA_RECEIPT])) {
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
        struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        memcpy(adapter, m.body.data + RN_HASH_BYTES, RN_HASH_BYTES);
        rn_buffer_append(&body, m.body.data, m.body.length);
        body.data[RN_HASH_BYTES] ^= 1;
        m.sender = 3;
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        assert_true(rn_is_ok(rn_sa_aggregator_receive(sim->aggregator, 3, rn_buffer_view(&forged),
                                                      sim->now, &actions, NULL)));
    }
    return from != 3;
}

/* It makes no honest receipt the one that differs. */
static void test_false_receipt(void **state)
{
    (void)state;
    uint8_t adapter[RN_HASH_BYTES] = {0};
    struct sim *sim = sim_tampered(5, 1, 1, false_receipt, adapter);
    sim_run(sim, 400000);
    struct rn_sa_set agreeing;
    struct rn_sa_set differing;
    const struct rn_sa_set liar = rn_sa_set_only(3);
    rn_sa_aggregator_receipts(sim->aggregator, adapter, &agreeing, &differing);
    assert_true(rn_sa_set_equal(&differing, &liar));
    assert_int_equal(rn_sa_set_count(&agreeing), 4);
    sim_free(sim);
}

/* ---- R2 ---- */

/* The guard bit alone. (Values that keep the sum within its range are poisoning: V3.) */
static rn_result read_guard(void *context, uint64_t first, uint32_t count, uint64_t *out,
                            struct rn_error *err)
{
    (void)first;
    (void)err;
    const struct sim *sim = context;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (uint64_t)1 << (rn_sa_bits(&sim->params) - 1);
    }
    return rn_ok();
}

/* case 28. A member uploads values far above value_max: the sum leaves its range, and nothing is
 * released.
 */
static void test_out_of_range(void **state)
{
    (void)state;
    struct sim *sim = sim_tampered(5, 1, 1, NULL, NULL);
    sim->members[3]->config.params.value_max = UINT64_MAX; /* its own check is off */
    sim->members[3]->config.input = (struct rn_sa_input){read_guard, sim};
    sim_run(sim, 400000);
    assert_true(sim->nodes[SIM_COORDINATOR].aborted);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_RANGE);
    assert_int_equal(sim_check_sums(sim), 0);
    sim_free(sim);
}

/* Chunks that do not fit the layout, from a member that signs them. */
static bool bad_chunk(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_CHUNK || from != 0) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) forged = {0};
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    static const uint64_t firsts[] = {1,         12, 1000, (uint64_t)1 << 32, (uint64_t)1 << 63,
                                      UINT64_MAX};
    static const uint32_t counts[] = {0, 1, 5, 0x80000000u, UINT32_MAX};
    uint8_t head[RN_SA_CHUNK_HEAD];
    memcpy(head, body.data, sizeof head);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(firsts) + RN_ARRAY_LENGTH(counts); k++) {
        struct rn_writer w = rn_writer_to(body.data, RN_SA_CHUNK_HEAD);
        struct rn_reader r = rn_reader_of(rn_view_of(head, sizeof head));
        const uint64_t first = rn_read_u64(&r);
        const bool other_first = k < RN_ARRAY_LENGTH(firsts);
        rn_write_u64(&w, other_first ? firsts[k] : first);
        rn_write_u32(&w, other_first ? rn_read_u32(&r) : counts[k - RN_ARRAY_LENGTH(firsts)]);
        sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
        sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    }
    memcpy(body.data, head, sizeof head);
    sim_sign_again(sim, &m, rn_view_of(body.data, body.length - 1), NULL, NULL, &forged);
    sim_expect_refused(sim, from, to, rn_buffer_view(&forged));
    return true;
}

/* case 27 */
static void test_bad_chunks(void **state)
{
    (void)state;
    struct sim *sim = sim_tampered(4, 1, 1, bad_chunk, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_proof),
        cmocka_unit_test(test_false_receipt),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_bad_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
