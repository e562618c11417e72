/* SPDX-License-Identifier: Apache-2.0
 *
 * Quorum, threshold and floors follow from the roster (n_max) and not from a set that the
 * coordinator picks: a coordinator that shrinks or splits the cohort, and every floor at its value
 * and one below.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

/* n_max, n_c, D, h_min, and what follows from them: Q = t, F, spare. */
static const struct {
    uint32_t members, colluding, losses, honest;
    uint32_t quorum, floor, spare;
} rows[] = {
    {3, 1, 0, 2, 3, 3, 0},  {4, 1, 1, 2, 3, 3, 1},       {5, 1, 1, 2, 4, 4, 1},
    {6, 1, 2, 2, 4, 4, 2},  {10, 1, 1, 2, 6, 6, 4},      {10, 3, 3, 2, 7, 7, 3},
    {10, 3, 1, 6, 7, 9, 1}, {64, 21, 21, 2, 43, 43, 21},
};

static void test_numbers(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        const struct rn_sa_params params = {.members = rows[k].members,
                                            .colluding = rows[k].colluding,
                                            .losses = rows[k].losses,
                                            .honest = rows[k].honest};
        assert_int_equal(rn_sa_quorum(&params), rows[k].quorum);
        assert_int_equal(rn_sa_floor(&params, 0), rows[k].floor);
        assert_int_equal(rn_sa_floor(&params, rows[k].floor), rows[k].floor);
        assert_int_equal(rn_sa_floor(&params, rows[k].floor + 1), rows[k].floor + 1);
        assert_int_equal(rn_sa_spare(&params), rows[k].spare);
    }
}

/* Every feasible cohort: two sets of F, and two of Q, share more than n_c members of the roster. */
static void test_two_sets_share_an_honest_member(void **state)
{
    (void)state;
    for (uint32_t n = RN_SA_MEMBERS_MIN; n <= RN_SA_MEMBERS_MAX; n++) {
        for (uint32_t colluding = 1; colluding + 2 <= n; colluding++) {
            const struct rn_sa_params params = {.members = n, .colluding = colluding, .honest = 2};
            assert_true(2 * rn_sa_quorum(&params) > n + colluding);
            assert_true(2 * rn_sa_floor(&params, 0) > n + colluding);
            assert_true(rn_sa_floor(&params, 0) >= rn_sa_quorum(&params));
        }
    }
}

static struct sim *new_sim(size_t row, uint64_t seed)
{
    const struct sim_options options = {
        .members = rows[row].members,
        .colluding = rows[row].colluding,
        .losses = rows[row].losses,
        .honest = rows[row].honest,
        .seed = seed,
    };
    return sim_new(&options);
}

/* Messages have the sizes that the true threshold gives them. */
static bool true_threshold(struct sim *sim, uint32_t from, uint32_t to, struct rn_buffer *message)
{
    (void)from;
    (void)to;
    (void)message;
    if (sim->aggregator->t.level >= RN_SA_LEVEL_JOINED) {
        sim->aggregator->t.quorum = rn_sa_quorum(&sim->params);
    }
    return true;
}

/* A coordinator that is content with three of anything: after the offer, whose session id binds the
 * true numbers, its own copy of them says so. */
static void content_with_three(struct sim *sim)
{
    sim_run(sim, TICK_MS);
    sim->options.tamper = true_threshold;
    sim->aggregator->t.params.members = RN_SA_MEMBERS_MIN;
    sim->aggregator->t.params.colluding = 1;
    sim->aggregator->t.params.honest = 2;
}

static void only(struct sim *sim, const uint32_t *members, uint32_t count)
{
    for (uint32_t i = 0; i < sim->params.members; i++) {
        sim->nodes[i].silent = true;
    }
    for (uint32_t k = 0; k < count; k++) {
        sim->nodes[members[k]].silent = false;
    }
}

/* case 53. One session id, two T0 of {two honest members, the same colluder}: each sum less the
 * colluder's own vector would be the sum of two members, below the floor of ten. */
static void test_split_cohort(void **state)
{
    (void)state;
    static const uint32_t views[2][3] = {{0, 1, 9}, {2, 3, 9}};
    uint8_t sessions[2][RN_HASH_BYTES];
    for (uint32_t v = 0; v < 2; v++) {
        struct sim *sim = new_sim(4, 50 + v);
        memset(sim->aggregator->config.nonce, 7, sizeof sim->aggregator->config.nonce);
        only(sim, views[v], 3);
        content_with_three(sim);
        rn_sa_aggregator_session(sim->aggregator, sessions[v]);
        sim_run(sim, 400000);
        assert_false(sim->nodes[SIM_COORDINATOR].summed);
        assert_true(sim->refused > 0);
        for (uint32_t k = 0; k < 3; k++) {
            assert_null(sim->members[views[v][k]]->shares.data); /* nothing was dealt */
            assert_null(sim->nodes[views[v][k]].reveal);
        }
        sim_free(sim);
    }
    assert_memory_equal(sessions[0], sessions[1], RN_HASH_BYTES);
}

/* All but `left` members are lost where they would send this message. */
static bool reaches_sum(size_t row, enum rn_sa_type lost_at, uint32_t left, bool liar,
                        bool *out_refused)
{
    struct sim *sim = new_sim(row, 7 * row + lost_at);
    for (uint32_t i = left; i < sim->params.members; i++) {
        sim->nodes[i].silent_from = lost_at;
    }
    if (liar) {
        content_with_three(sim);
    }
    sim_run(sim, 400000);
    const bool summed = sim->nodes[SIM_COORDINATOR].summed;
    for (uint32_t i = 0; i < left; i++) {
        const struct rn_sa_member *m = sim->members[i];
        assert_true((sim->nodes[i].reveal != NULL) == summed);
        assert_true(!summed || m->t.quorum == rows[row].quorum);
        /* it is refused where it is too few, and not only later */
        assert_true(!liar || m->t.level < (lost_at == RN_SA_READY ? RN_SA_LEVEL_JOINED
                                           : lost_at == RN_SA_ACK ? RN_SA_LEVEL_LINKED
                                                                  : RN_SA_LEVEL_SURVIVORS));
    }
    *out_refused = sim->refused > 0;
    sim_free(sim);
    return summed;
}

/* case 51. F members are enough at T0, U2 and U3, F - 1 are refused by every member, whatever the
 * coordinator thinks of it. */
static void test_floors(void **state)
{
    (void)state;
    static const enum rn_sa_type lost_at[] = {RN_SA_READY, RN_SA_ACK, RN_SA_DONE};
    for (size_t row = 0; row < RN_ARRAY_LENGTH(rows); row++) {
        if (rows[row].members > 10 || rows[row].floor == RN_SA_MEMBERS_MIN) {
            continue; /* the liar's own machine needs three */
        }
        for (size_t k = 0; k < RN_ARRAY_LENGTH(lost_at); k++) {
            bool refused = false;
            assert_true(reaches_sum(row, lost_at[k], rows[row].floor, false, &refused));
            assert_false(refused);
            assert_false(reaches_sum(row, lost_at[k], rows[row].floor - 1, true, &refused));
            /* of F - 1 = t - 1 uploaders the liar itself has no t holders */
            assert_true(refused || (k > 0 && rows[row].floor == rows[row].quorum));
        }
    }
}

/* A member's own bounds hold against what stands: its floor against T0, U2 and U3, its threshold
 * against t. */
static void test_own_bounds(void **state)
{
    (void)state;
    static const enum rn_sa_type lost_at[] = {RN_SA_READY, RN_SA_ACK, RN_SA_DONE};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(lost_at); k++) {
        for (uint32_t minimum = 5; minimum < 7; minimum++) {
            struct sim *sim = new_sim(3, 90 + k); /* of six, of whom four are enough */
            sim->members[0]->config.local_minimum = minimum;
            sim->nodes[1].silent_from = lost_at[k];
            sim_run(sim, 400000);
            assert_true(sim->nodes[SIM_COORDINATOR].summed);
            assert_true(sim->nodes[0].following == (minimum == 6));
            assert_true((sim->nodes[0].reveal == NULL) == (minimum == 6));
            sim_free(sim);
        }
    }
    struct sim *sim = new_sim(3, 99);
    struct rn_secret32 seed;
    struct rn_sa_member_config config = member_config(sim, 0, &seed);
    struct rn_sa_member *member = NULL;
    config.threshold_min = rows[3].quorum;
    assert_true(rn_is_ok(rn_sa_member_new(&config, &member, NULL)));
    rn_sa_member_free(member);
    config.threshold_min++;
    assert_int_equal(rn_sa_member_new(&config, &member, NULL).code, RN_E_REFUSED);
    sim_free(sim);
}

/* case 51. What cannot be promised is refused with the number to change, before any session: at the
 * member, and at the coordinator. */
static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, colluding, losses, honest;
        const char *reason;
    } plans[] = {
        {2, 1, 0, 2, "2 members in the roster; it takes 3 to 1024"},
        {1025, 1, 0, 2, "1025 members in the roster; it takes 3 to 1024"},
        {1024, 341, 341, 2, "more than a message takes"},
        {5, 0, 0, 2, "colluding must be at least 1"},
        {5, 1, 0, 1, "honest must be at least 2"},
        {5, 1, 0, 0, "honest must be at least 2"},
        {5, 4, 0, 2, "5 members are too few for colluding 4 plus honest 2"}, /* n_c = n - 1 */
        {5, 5, 0, 2, "5 members are too few for colluding 5 plus honest 2"},
        {5, 3, 0, 3, "5 members are too few for colluding 3 plus honest 3"},
        {5, 1, 2, 2, "at least 4 must remain, so 1 losses are at most possible, not 2"},
        {3, 1, 1, 2, "at least 3 must remain, so 0 losses are at most possible, not 1"},
        {10, 3, 2, 6, "at least 9 must remain, so 1 losses are at most possible, not 2"},
        {5, 1, 5, 2, "too few"},
    };
    struct sim *sim = new_sim(3, 51);
    for (size_t k = 0; k < RN_ARRAY_LENGTH(plans); k++) {
        struct rn_secret32 seed;
        struct rn_sa_member_config member = member_config(sim, 0, &seed);
        struct rn_sa_aggregator_config coordinator = aggregator_config(sim);
        struct rn_sa_member *m = NULL;
        struct rn_sa_aggregator *a = NULL;
        struct rn_error err[2] = {{{0}}};
        member.params.members = plans[k].members;
        member.params.colluding = plans[k].colluding;
        member.params.losses = plans[k].losses;
        member.params.honest = plans[k].honest;
        coordinator.params = member.params;
        assert_int_equal(rn_sa_member_new(&member, &m, &err[0]).code, RN_E_CONFIG);
        assert_int_equal(rn_sa_aggregator_new(&coordinator, &a, &err[1]).code, RN_E_CONFIG);
        assert_non_null(strstr(err[0].text, plans[k].reason));
        assert_string_equal(err[0].text, err[1].text);
    }
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_two_sets_share_an_honest_member),
        cmocka_unit_test(test_split_cohort), cmocka_unit_test(test_floors),
        cmocka_unit_test(test_own_bounds),   cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
