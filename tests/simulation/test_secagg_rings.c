/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole sessions over small rings: the sparse graph with few members, so that many schedules can be
 * tried. Degree and threshold are planted (smallring.h); test_secagg_wide.c has those of real
 * rosters.
 */
#include "tests/simulation/simulator.c"

#include "tests/simulation/arcs.h"
#include "tests/simulation/smallring.h"

static const enum rn_sa_type silent_at[] = {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK,    RN_SA_CHUNK,
                                            RN_SA_DONE,  RN_SA_VOTE,   RN_SA_REVEAL, RN_SA_RECEIPT};

static struct sim *new_ring(uint32_t members, uint32_t degree, uint32_t corrupt_max, uint64_t seed)
{
    plant(degree, corrupt_max);
    const struct sim_options options = {
        .members = members, .colluding = 1, .losses = 2, .seed = seed};
    return sim_new(&options);
}

/* What leaves a member is for its circle alone: as many sealed entries, and as many shares. */
static bool hold_to_circle(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (from == SIM_COORDINATOR || (m.type != RN_SA_SHARES && m.type != RN_SA_REVEAL)) {
        return true;
    }
    const struct rn_sa_transcript *t = &sim->members[from]->t;
    const struct rn_sa_set *of = m.type == RN_SA_SHARES ? &t->joined : &t->linked;
    size_t entries = 0;
    for (uint32_t i = rn_sa_set_next(of, 0); i < RN_SA_MEMBERS_MAX; i = rn_sa_set_next(of, i + 1)) {
        entries += rn_sa_graph_holds(&t->graph, i, from);
    }
    const size_t head = m.type == RN_SA_SHARES ? 2 * rn_sa_coefficient_bytes(t) : 4;
    const size_t one = m.type == RN_SA_SHARES ? RN_SA_SEALED_BYTES : RN_SA_REVEAL_ENTRY;
    assert_int_equal(m.body.length, head + entries * one);
    assert_true(entries < sim->params.members);
    return true;
}

/* case 1 */
static void test_all_alive(void **state)
{
    (void)state;
    static const uint32_t rings[][3] = {{9, 4, 0}, {12, 4, 0}, {12, 6, 1}, {16, 8, 2}, {70, 6, 0}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rings); k++) {
        struct sim *sim = new_ring(rings[k][0], rings[k][1], rings[k][2], 900 + k);
        sim->options.tamper = hold_to_circle;
        sim_run(sim, 400000);
        assert_int_equal(sim->refused, 0);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, rings[k][0]);
        assert_int_equal(sim_check_sums(sim), rings[k][0]);
        sim_free(sim);
    }
}

/* Everyone who lives is told a sum or an end, and the same. */
static void check_ends(struct sim *sim)
{
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const uint32_t summed = sim_check_sums(sim);
    assert_true(coordinator->finished || coordinator->aborted);
    assert_true(coordinator->summed || summed == 0);
    for (uint32_t i = 0; i < sim->params.members; i++) {
        const struct sim_node *node = &sim->nodes[i];
        assert_true(node->silent || node->finished || node->aborted);
        assert_true(node->silent || node->summed == coordinator->summed);
    }
}

/* case 2. t = 5 of 7 holders: any one member may go at any stage, and two that are no neighbours of
 * each other's neighbours. */
static void test_losses(void **state)
{
    (void)state;
    for (size_t s = 0; s < RN_ARRAY_LENGTH(silent_at); s++) {
        for (uint32_t p = 0; p < 2; p++) {
            struct sim *sim = new_ring(14, 6, 0, 10 * s + p);
            sim->nodes[s].silent_from = silent_at[s];
            const uint32_t position = sim->aggregator->t.graph.position[s];
            const uint32_t other = at_position(&sim->aggregator->t.graph, position + 7);
            if (p == 1) {
                sim->nodes[other].silent_from = silent_at[(s + 3) % RN_ARRAY_LENGTH(silent_at)];
            }
            sim_run(sim, 400000);
            assert_true(sim->nodes[SIM_COORDINATOR].finished);
            check_ends(sim);
            sim_free(sim);
        }
    }
}

/* case 54. Where t is all of a circle, one absent member keeps its neighbours from dealing: they
 * follow, and nobody waits for them. One that goes after the Acks leaves no U3 that is allowed. */
static void test_too_few_neighbours(void **state)
{
    (void)state;
    for (uint32_t late = 0; late < 2; late++) {
        struct sim *sim = new_ring(14, 4, 1, 77 + late);
        const struct rn_sa_aggregator *a = sim->aggregator;
        const uint32_t gone = at_position(&a->t.graph, 3);
        sim->nodes[gone].silent_from = late == 1 ? RN_SA_DONE : RN_SA_READY;
        sim_run(sim, 400000);
        check_ends(sim);
        assert_int_equal(sim->refused, 0); /* what they follow is no fault of the coordinator's */
        assert_int_equal(sim_check_sums(sim), 0);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].reason,
                         late == 1 ? RN_SA_REASON_UPLOAD_QUORUM : RN_SA_REASON_ACKS_QUORUM);
        for (uint32_t i = 0; i < sim->params.members; i++) {
            const bool near = i == gone || rn_sa_graph_linked(&a->t.graph, i, gone);
            assert_int_equal(rn_sa_set_has(&a->got[RN_SA_SHARES], i), late == 1 || !near);
            assert_null(sim->nodes[i].reveal);
        }
        sim_free(sim);
    }
}

/* case 43. Loss, repetition, reordering, members and a coordinator that crash. */
static void test_random_schedules(void **state)
{
    (void)state;
    const uint32_t runs = sim_is_long() ? 2000 : 24;
    uint32_t sums = 0;
    for (uint32_t run = 0; run < runs; run++) {
        plant(4 + 2 * (run % 3), run % 2);
        const struct sim_options options = {.members = 16 + run % 5,
                                            .colluding = 1,
                                            .losses = 2,
                                            .seed = 5000 + run,
                                            .drop_percent = run % 4 * 5,
                                            .duplicate_percent = 10,
                                            .delay_ms = 700};
        struct sim *sim = sim_new(&options);
        struct sim_node *node = &sim->nodes[run % options.members];
        node->crash_at = sim_below(sim, 12);
        node->restart_ms = sim_below(sim, 5000);
        sim->nodes[SIM_COORDINATOR].crash_at = run % 3 == 0 ? sim_below(sim, 80) : SIM_NEVER;
        sim->nodes[SIM_COORDINATOR].restart_ms = 1000;
        sim_run(sim, 600000);
        sums += sim_check_sums(sim) > 0;
        sim_free(sim);
    }
    assert_true(sums > runs / 2);
}

/* The session up to the point at which Dones of all but the arcs are in. */
static struct sim *run_to_arcs(uint32_t degree, uint32_t threshold, struct arcs *out)
{
    plant(degree, 0);
    planted.threshold = threshold;
    struct sim_options options = {.members = 14, .colluding = 1, .losses = 4, .seed = 41};
    options.tamper = lose_arcs;
    struct sim *sim = sim_new(&options);
    *out = cut(&sim->aggregator->t.graph);
    const uint32_t left = 14 - rn_sa_set_count(&out->lost);
    for (uint32_t k = 0; k < 100 && rn_sa_set_count(&sim->aggregator->complete) < left; k++) {
        sim_run(sim, TICK_MS);
    }
    assert_int_equal(rn_sa_set_count(&sim->aggregator->complete), left);
    return sim;
}

/* case 38. Two arcs declared lost, at t = k/2 + 2 + a: nobody votes for what is left, and of the
 * members beside a gap fewer than t shares of b could come. */
static void test_arcs_open_nothing(void **state)
{
    (void)state;
    struct arcs arcs;
    struct sim *sim = run_to_arcs(4, 4, &arcs);
    const struct rn_sa_set left = rn_sa_set_either(&arcs.parts[0], &arcs.parts[1]);
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) survivors = {0};
    write_survivors(sim, &left, &survivors);
    for (uint32_t i = rn_sa_set_next(&left, 0); i < RN_SA_MEMBERS_MAX;
         i = rn_sa_set_next(&left, i + 1)) {
        struct rn_error err;
        struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
        const rn_result result = rn_sa_member_receive(sim->members[i], rn_buffer_view(&survivors),
                                                      sim->now, &actions, &err);
        assert_int_equal(result.code, RN_E_PEER_PROTOCOL);
        assert_non_null(strstr(err.text, "too few are left"));
        assert_int_equal(actions.count, 0);
    }
    for (uint32_t part = 0; part < 2; part++) {
        uint32_t masked = 0;
        for (uint32_t i = rn_sa_set_next(&arcs.parts[part], 0); i < RN_SA_MEMBERS_MAX;
             i = rn_sa_set_next(&arcs.parts[part], i + 1)) {
            const struct rn_sa_set shares =
                rn_sa_set_both(&sim->aggregator->t.peers[i].holders, &left);
            masked += rn_sa_set_count(&shares) < sim->aggregator->t.threshold;
        }
        assert_true(masked >= 2); /* one at either end */
    }
    sim_run(sim, 400000);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UPLOAD_QUORUM);
    assert_int_equal(sim_check_sums(sim), 0);
    sim_free(sim);
}

/* case 38. The same at a threshold that is one lower: they vote, and each part's sum is bare. */
static void test_arcs_open_parts_below(void **state)
{
    (void)state;
    struct arcs arcs;
    struct sim *sim = run_to_arcs(4, 3, &arcs);
    for (uint32_t k = 0; k < 400 && sim->aggregator->stage != RN_SA_STAGE_SUM; k++) {
        sim_run(sim, TICK_MS);
    }
    assert_int_equal(sim->aggregator->stage, RN_SA_STAGE_SUM);
    assert_true(part_opens(sim, &arcs, 0));
    assert_true(part_opens(sim, &arcs, 1));
    sim_free(sim);
}

/* case 23. False shares over a ring: the sum is right, their sender named, the proof believed. */
static bool lie_once(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const struct rn_sa_message m = sim_parse(message);
    (void)to;
    if (from != 2 || m.type != RN_SA_REVEAL) {
        return true;
    }
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    struct rn_buffer forged = {0};
    rn_buffer_append(&body, m.body.data, m.body.length);
    for (size_t at = 4; at < body.length; at += RN_SA_REVEAL_ENTRY) {
        body.data[at + 8] ^= 1;
    }
    sim_sign_again(sim, &m, rn_buffer_view(&body), NULL, NULL, &forged);
    rn_buffer_clear(message);
    *message = forged;
    return true;
}

static void test_blame(void **state)
{
    (void)state;
    struct sim *sim = new_ring(12, 6, 0, 23);
    sim->options.tamper = lie_once;
    sim->quiet_tap = true;
    sim_run(sim, 400000);
    const struct rn_sa_set liar = rn_sa_set_only(2);
    assert_true(sim->nodes[SIM_COORDINATOR].finished);
    assert_true(rn_sa_set_equal(&sim->nodes[SIM_COORDINATOR].blamed, &liar));
    assert_int_equal(sim_check_sums(sim), 12);
    sim_free(sim);
}

/* A seed belongs to a ring, and is in the session id. */
static void test_seed(void **state)
{
    (void)state;
    struct sim *sim = new_ring(12, 4, 0, 5);
    struct rn_sa_context context = sim->context;
    uint8_t id[2][RN_HASH_BYTES];
    const uint8_t nonce[32] = {0};
    const uint8_t *roster_hash = sim->aggregator->t.roster_hash;
    rn_sa_session_id(id[0], &sim->params, &context, roster_hash, nonce);
    context.graph_seed[31] ^= 1;
    rn_sa_session_id(id[1], &sim->params, &context, roster_hash, nonce);
    assert_memory_not_equal(id[0], id[1], RN_HASH_BYTES);
    memset(context.graph_seed, 0, RN_HASH_BYTES);
    assert_int_equal(rn_sa_context_check(&sim->params, &context, NULL).code, RN_E_CONFIG);
    planted.degree = 0;
    assert_true(rn_is_ok(rn_sa_context_check(&sim->params, &context, NULL)));
    context.graph_seed[0] = 1;
    assert_int_equal(rn_sa_context_check(&sim->params, &context, NULL).code, RN_E_CONFIG);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_all_alive),
        cmocka_unit_test(test_too_few_neighbours),
        cmocka_unit_test(test_arcs_open_nothing),
        cmocka_unit_test(test_arcs_open_parts_below),
        cmocka_unit_test(test_blame),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_random_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
