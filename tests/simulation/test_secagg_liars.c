/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that deal, complain, answer and upload wrongly, with their real keys: refused, outvoted,
 * or named; never a wrong sum.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

static struct sim *new_sim(uint32_t members, uint32_t colluding, uint32_t losses,
                           sim_tamper *tamper, void *context)
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

/* ---- R1 ---- */

struct bad_dealer {
    uint32_t dealer;
    uint32_t victims; /* holders 1 .. victims get garbage */
};

static bool deal_garbage(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const struct bad_dealer *bad = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_SHARES || from != bad->dealer) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (uint32_t k = 0; k < bad->victims; k++) {
        const uint32_t holder = (bad->dealer + 1 + k) % sim->params.members;
        /* garbage in the sealed text of one, a wrong commitment for the next */
        body.data[holder * (size_t)RN_SA_ENTRY_BYTES + (k % 2 == 0 ? 0 : RN_SA_SEALED_BYTES)] ^= 1;
    }
    uint8_t leaves[SIM_MEMBERS * RN_HASH_BYTES];
    uint8_t root[RN_HASH_BYTES];
    rn_sa_shares_root(&sim->aggregator->t, from, rn_buffer_view(&body), leaves, root);
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, root, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

/* Garbage for one holder makes it complain and, beyond n_c holders, costs the dealer its place; the
 * others go on. (The dealer itself refuses the set, in which its shares are not the ones it made.)
 */
static void test_bad_dealers(void **state)
{
    (void)state;
    for (uint32_t victims = 1; victims < 4; victims++) {
        struct bad_dealer bad = {0, victims};
        struct sim *sim = new_sim(5, 1, 1, deal_garbage, &bad);
        sim_run(sim, 400000);
        for (uint32_t i = 1; i < 5; i++) {
            const bool victim = i <= victims;
            assert_true(rn_sa_set_has(&sim->members[i]->valid, 0) == !victim);
        }
        assert_false(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 0));
        assert_true(sim_check_sums(sim) >= 4);
        sim_free(sim);
    }
}

/* Members 1 .. count complain about member 0, who dealt well. */
static bool complain(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *count = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_ACK || from == 0 || from > *count) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    body.data[0] &= 0xfe;
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    rn_secret_wipe(&sim->members[from]->vault->session.slots[0], sizeof(struct rn_sa_slot));
    return true;
}

/* n_c false complaints do not stop a dealer, n_c + 1 do. */
static void test_complaints(void **state)
{
    (void)state;
    static const uint32_t cohorts[][3] = {{4, 1, 1}, {5, 1, 1}, {10, 3, 3}};
    for (size_t c = 0; c < RN_ARRAY_LENGTH(cohorts); c++) {
        for (uint32_t more = 0; more < 2; more++) {
            uint32_t count = cohorts[c][1] + more;
            struct sim *sim =
                new_sim(cohorts[c][0], cohorts[c][1], cohorts[c][2], complain, &count);
            sim_run(sim, 400000);
            assert_true(sim->nodes[SIM_COORDINATOR].summed);
            assert_true(rn_sa_set_has(&sim->aggregator->t.linked, 0) == (more == 0));
            assert_true(rn_sa_set_has(&sim->nodes[SIM_COORDINATOR].survivors, 0) == (more == 0));
            assert_int_equal(sim_check_sums(sim), cohorts[c][0]);
            sim_free(sim);
        }
    }
}

/* ---- R4 ---- */

/* Members below this number answer with a wrong share of everybody. */
static bool answer_wrongly(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const uint32_t *liars = sim->options.tamper_context;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_REVEAL || from >= *liars) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= 1;
    }
    struct rn_buffer forged = {0};
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_wrong_shares(void **state)
{
    (void)state;
    for (uint32_t liars = 1; liars < 3; liars++) {
        struct sim *sim = new_sim(5, 1, 1, answer_wrongly, &liars);
        sim_run(sim, 400000);
        const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
        const struct rn_sa_set expected = rn_sa_set_first(liars);
        if (liars == 1) { /* culprit named, sum right */
            assert_int_equal(sim_check_sums(sim), 5);
            assert_true(rn_sa_set_within(&coordinator->blamed, &expected));
        } else { /* t is out of reach: names and a clean end */
            assert_true(coordinator->aborted);
            assert_int_equal(coordinator->reason, RN_SA_REASON_UNMASK_QUORUM);
            assert_true(rn_sa_set_equal(&coordinator->blamed, &expected));
            assert_int_equal(sim_check_sums(sim), 0);
        }
        sim_free(sim);
    }
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

static void test_malformed_reveals(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, bad_reveal, NULL);
    sim->nodes[4].silent_from = RN_SA_DONE;
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* A dealer whose shares are of another self seed than the one it committed to. */
static bool change_seed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    if (from == SIM_COORDINATOR && to == 2 && m.type == RN_SA_READY_SET &&
        sim->members[2]->state == RN_SA_M_READY) {
        sim->members[2]->vault->session.self.bytes[0] ^= 1;
    }
    return true;
}

static void test_wrong_seed(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, change_seed, NULL);
    sim_run(sim, 400000);
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const struct rn_sa_set dealer = rn_sa_set_only(2);
    assert_true(coordinator->aborted);
    assert_int_equal(coordinator->reason, RN_SA_REASON_DEALER);
    assert_true(rn_sa_set_equal(&coordinator->blamed, &dealer));
    assert_int_equal(sim_check_sums(sim), 0);
    sim_free(sim);
}

/* A member commits to the self seed 0 and shares it. No honest seed is 0, and what cannot be
 * written into a Result must not end the coordinator. */
static bool zero_seed(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)to;
    const struct rn_sa_message m = sim_parse(message);
    if (m.type != RN_SA_READY || from != 2) {
        return true;
    }
    struct rn_scalar *seed = &sim->members[2]->vault->session.self;
    rn_scalar_from_u64(0, seed);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    rn_sa_seed_commit(&sim->members[2]->t, 2, seed, body.data + RN_SA_READY_BODY - RN_HASH_BYTES);
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_zero_seed(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, zero_seed, NULL);
    sim_run(sim, 400000);
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const struct rn_sa_set dealer = rn_sa_set_only(2);
    assert_true(coordinator->aborted);
    assert_int_equal(coordinator->reason, RN_SA_REASON_DEALER);
    assert_true(rn_sa_set_equal(&coordinator->blamed, &dealer));
    assert_int_equal(sim_check_sums(sim), 0);
    sim_free(sim);
}

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
    struct sim *sim = new_sim(5, 1, 1, vote_often, &proofs);
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
    struct sim *sim = new_sim(5, 1, 1, false_receipt, adapter);
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

/* A member uploads values far above value_max: the sum leaves its range, and nothing is released.
 */
static void test_out_of_range(void **state)
{
    (void)state;
    struct sim *sim = new_sim(5, 1, 1, NULL, NULL);
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

static void test_bad_chunks(void **state)
{
    (void)state;
    struct sim *sim = new_sim(4, 1, 1, bad_chunk, NULL);
    sim_run(sim, 400000);
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_dealers),  cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_wrong_shares), cmocka_unit_test(test_malformed_reveals),
        cmocka_unit_test(test_wrong_seed),   cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_bad_chunks),   cmocka_unit_test(test_zero_seed),
        cmocka_unit_test(test_one_proof),    cmocka_unit_test(test_false_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
