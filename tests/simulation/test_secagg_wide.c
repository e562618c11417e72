/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole sessions over rosters above 128, with the graph that their numbers give: the ring, and the
 * complete one where no ring does. RONDO_LONG runs the thousand, and plans with wider rings.
 */
#include "tests/simulation/simulator.c"

#include "crypto/feldman.h"
#include "tests/simulation/arcs.h"
#include "tests/simulation/verifyonce.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static unsigned judged; /* shares that were checked the slow way */

rn_result __real_rn_feldman_evaluate(const struct rn_point *constant, struct rn_view commitments,
                                     uint32_t holder, struct rn_point *out, struct rn_error *err);
rn_result __wrap_rn_feldman_evaluate(const struct rn_point *constant, struct rn_view commitments,
                                     uint32_t holder, struct rn_point *out, struct rn_error *err);
rn_result __wrap_rn_feldman_evaluate(const struct rn_point *constant, struct rn_view commitments,
                                     uint32_t holder, struct rn_point *out, struct rn_error *err)
{
    judged++;
    return __real_rn_feldman_evaluate(constant, commitments, holder, out, err);
}

struct cohort {
    uint32_t members, colluding, losses;
    uint32_t degree, threshold;
    bool long_only;
};

static const struct cohort cohorts[] = {
    {128, 1, 1, 127, 65, true}, {129, 1, 1, 8, 7, false}, {129, 6, 6, 28, 22, true},
    {300, 1, 3, 0, 0, false},   {1000, 2, 5, 0, 0, true}, {1000, 50, 50, 78, 60, true},
};

static bool is_run(const struct cohort *c)
{
    return (!c->long_only || sim_is_long()) && (!SANITIZED || c->members < 300);
}

static struct sim *new_wide(const struct cohort *c, uint64_t seed)
{
    const struct sim_options options = {.members = c->members,
                                        .colluding = c->colluding,
                                        .losses = c->losses,
                                        .elements = 9,
                                        .chunk_elements = 9,
                                        .seed = seed};
    return sim_new(&options);
}

/* case 1 */
static void test_all_alive(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(cohorts); k++) {
        const struct cohort *c = &cohorts[k];
        if (!is_run(c)) {
            continue;
        }
        struct sim *sim = new_wide(c, 200 + k);
        const struct rn_sa_graph_sizes *sizes = &sim->aggregator->t.graph.sizes;
        assert_true(c->degree == 0 ||
                    (sizes->degree == c->degree && sizes->threshold == c->threshold));
        assert_int_equal(sizes->complete, c->members <= RN_SA_GRAPH_COMPLETE_MAX);
        sim_run(sim, 400000);
        assert_int_equal(sim->refused, 0);
        assert_int_equal(sim->nodes[SIM_COORDINATOR].contributors, c->members);
        assert_int_equal(sim_check_sums(sim), c->members);
        assert_int_equal(judged, 0); /* right shares are found right the quick way */
        sim_free(sim);
    }
}

static const struct cohort losing[] = {{129, 1, 4, 0, 0, false}, {300, 1, 4, 0, 0, true}};

/* Everyone who lives is told a sum or an end, and the same. */
static void check_ends(struct sim *sim, bool must_sum)
{
    const struct sim_node *coordinator = &sim->nodes[SIM_COORDINATOR];
    const uint32_t summed = sim_check_sums(sim);
    assert_int_equal(coordinator->finished, must_sum);
    assert_true(coordinator->summed || (coordinator->aborted && summed == 0));
    for (uint32_t i = 0; i < sim->params.members; i++) {
        const struct sim_node *node = &sim->nodes[i];
        assert_true(node->silent || node->finished || node->aborted);
        assert_true(node->silent || node->summed == coordinator->summed);
    }
}

/* case 2. D members go, spread over all stages. */
static void test_losses(void **state)
{
    (void)state;
    static const enum rn_sa_type stages[][4] = {
        {RN_SA_READY, RN_SA_SHARES, RN_SA_ACK, RN_SA_CHUNK},
        {RN_SA_DONE, RN_SA_VOTE, RN_SA_REVEAL, RN_SA_RECEIPT}};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(losing); k++) {
        for (size_t s = 0; s < RN_ARRAY_LENGTH(stages); s++) {
            if (!is_run(&losing[k])) {
                continue;
            }
            struct sim *sim = new_wide(&losing[k], 300 + s);
            for (uint32_t g = 0; g < 4; g++) {
                sim->nodes[17 + 31 * g].silent_from = stages[s][g];
            }
            sim_run(sim, 400000);
            check_ends(sim, true);
            sim_free(sim);
        }
    }
}

/* case 3. Floor and quorum are of the whole roster, whatever a circle holds: with one member fewer
 * than F nothing begins, and with one vote fewer than Q nothing opens. */
static void test_floors(void **state)
{
    (void)state;
    const struct cohort c = {129, 2, 1, 0, 0, false};
    for (uint32_t less = 0; less < 2; less++) {
        struct sim *sim = new_wide(&c, 500 + less);
        const uint32_t floor = rn_sa_floor(&sim->params, 0);
        assert_int_equal(floor, 66);
        assert_int_equal(sim->aggregator->t.quorum, 66);
        assert_true(sim->aggregator->t.threshold < 20);
        for (uint32_t i = less == 0 ? floor - 1 : floor; i < c.members; i++) {
            sim->nodes[i].silent_from = RN_SA_READY;
        }
        sim_run(sim, 60000);
        const bool begun = sim->aggregator->t.level >= RN_SA_LEVEL_JOINED;
        assert_int_equal(begun, less == 1);
        assert_int_equal(sim_check_sums(sim), 0);
        sim_free(sim);
    }
    struct sim *sim = new_wide(&c, 502);
    for (uint32_t i = 65; i < c.members; i++) {
        sim->nodes[i].silent_from = RN_SA_VOTE;
    }
    sim_run(sim, 60000);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_VOTE_QUORUM);
    for (uint32_t i = 0; i < c.members; i++) {
        assert_null(sim->nodes[i].reveal);
    }
    sim_free(sim);
}

/* Messages to and from a fifth of the members are lost for three seconds, of another fifth after
 * every seven. */
static bool part(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    const uint32_t member = from == SIM_COORDINATOR ? to : from;
    (void)message;
    return sim->now % 7000 >= 3000 || member % 5 != sim->now / 7000 % 5;
}

/* case 43 */
static void test_bad_network(void **state)
{
    (void)state;
    const struct cohort c = {sim_is_long() ? 1000 : 129, 2, 5, 0, 0, false};
    const struct sim_options options = {.members = c.members,
                                        .colluding = c.colluding,
                                        .losses = c.losses,
                                        .elements = 9,
                                        .chunk_elements = 9,
                                        .seed = 43,
                                        .drop_percent = 5,
                                        .duplicate_percent = 5,
                                        .delay_ms = 900,
                                        .tamper = part};
    struct sim *sim = sim_new(&options);
    sim_run(sim, 1200000);
    check_ends(sim, true);
    assert_true(sim->nodes[SIM_COORDINATOR].contributors >= c.members - 5);
    sim_free(sim);
}

/* case 38. Two arcs of k/2 declared lost at a real roster's sizes: no member votes. */
static void test_arcs(void **state)
{
    (void)state;
    const struct cohort c = {129, 1, 1, 8, 7, false};
    struct sim *sim = new_wide(&c, 38);
    sim->options.tamper = lose_arcs;
    sim_run(sim, 60000);
    const struct arcs arcs = cut(&sim->aggregator->t.graph);
    const struct rn_sa_set left = rn_sa_set_either(&arcs.parts[0], &arcs.parts[1]);
    assert_int_equal(rn_sa_set_count(&left), 129 - 8);
    assert_int_equal(sim->nodes[SIM_COORDINATOR].reason, RN_SA_REASON_UPLOAD_QUORUM);
    assert_false(rn_is_ok(rn_sa_survivors_allowed(&sim->aggregator->t, &left, NULL)));
    for (uint32_t i = 0; i < c.members; i++) {
        assert_false(sim->votes_survivors[i]);
        assert_null(sim->nodes[i].reveal);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_alive), cmocka_unit_test(test_losses),
        cmocka_unit_test(test_floors),    cmocka_unit_test(test_bad_network),
        cmocka_unit_test(test_arcs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
