/* SPDX-License-Identifier: Apache-2.0
 *
 * case 8. When a stage ends: at once when everybody has answered; at its soft time-out, to the
 * millisecond, when those who answered are enough; at its hard one when they are too few; never
 * because a clock went back.
 */
#include "tests/simulation/simulator.c"

#include "crypto/secagg/aggregator_state.h"

/* A stage, the message that it collects, and the stage after it with enough and with too few. */
static const struct row {
    enum rn_sa_stage stage;
    enum rn_sa_type collects;
    enum rn_sa_stage enough, too_few;
} rows[] = {
    {RN_SA_STAGE_READY, RN_SA_READY, RN_SA_STAGE_SHARES, RN_SA_STAGE_ABORTED},
    {RN_SA_STAGE_SHARES, RN_SA_SHARES, RN_SA_STAGE_ACKS, RN_SA_STAGE_ABORTED},
    {RN_SA_STAGE_ACKS, RN_SA_ACK, RN_SA_STAGE_UPLOAD, RN_SA_STAGE_ABORTED},
    {RN_SA_STAGE_UPLOAD, RN_SA_DONE, RN_SA_STAGE_VOTE, RN_SA_STAGE_ABORTING},
    {RN_SA_STAGE_VOTE, RN_SA_VOTE, RN_SA_STAGE_UNMASK, RN_SA_STAGE_ABORTING},
    {RN_SA_STAGE_UNMASK, RN_SA_REVEAL, RN_SA_STAGE_SUM, RN_SA_STAGE_ABORTED},
    {RN_SA_STAGE_SUM, RN_SA_RECEIPT, RN_SA_STAGE_FINISHED, RN_SA_STAGE_FINISHED},
};

/* Four members, of whom three are enough; `silent` of them fall silent in the stage. Runs until all
 * others have answered in it. Every stage has time-outs of its own. */
static struct sim *open_stage(const struct row *row, uint32_t silent)
{
    const struct sim_options options = {.members = 4, .colluding = 1, .losses = 1, .seed = 80};
    struct sim *sim = sim_new(&options);
    struct rn_sa_params *p = &sim->aggregator->config.params;
    struct rn_sa_timeout *const timeouts[] = {&p->ready, &p->shares, &p->acks,    &p->upload,
                                              &p->vote,  &p->unmask, &p->receipts};
    for (uint32_t k = 0; k < RN_ARRAY_LENGTH(timeouts); k++) {
        *timeouts[k] = (struct rn_sa_timeout){20000 + 1000 * k, 60000 + 1000 * k};
    }
    for (uint32_t i = 0; i < silent; i++) {
        sim->nodes[i].silent_from = row->collects;
    }
    for (uint32_t k = 0; k < 100 && sim->aggregator->stage < row->stage; k++) {
        sim_run(sim, TICK_MS);
    }
    sim_run(sim, 5000);
    return sim;
}

static enum rn_sa_stage stage_at(struct sim *sim, uint64_t now)
{
    struct rn_sa_actions RN_CLEANUP(rn_sa_actions_clear) actions = {0};
    rn_sa_aggregator_tick(sim->aggregator, now, &actions);
    return rn_sa_aggregator_stage(sim->aggregator);
}

static struct rn_sa_timeout timeout_of(const struct sim *sim, size_t k)
{
    const struct rn_sa_params *p = &sim->aggregator->config.params;
    const struct rn_sa_timeout all[] = {p->ready, p->shares, p->acks,    p->upload,
                                        p->vote,  p->unmask, p->receipts};
    return all[k];
}

/* Votes and answers are enough as soon as they are Q and t; nobody waits for the last one. */
static bool closes_early(const struct row *row)
{
    return row->stage == RN_SA_STAGE_VOTE || row->stage == RN_SA_STAGE_UNMASK;
}

/* case 8 */
static void test_soft(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        struct sim *sim = open_stage(&rows[k], 1);
        const uint64_t since = sim->aggregator->stage_since_ms;
        if (closes_early(&rows[k])) {
            assert_true(sim->aggregator->stage > rows[k].stage);
            sim_free(sim);
            continue;
        }
        assert_int_equal(sim->aggregator->stage, rows[k].stage);
        assert_int_equal(stage_at(sim, since + timeout_of(sim, k).soft_ms - 1), rows[k].stage);
        assert_int_equal(stage_at(sim, 0), rows[k].stage); /* the clock goes back ... */
        assert_int_equal(stage_at(sim, since + timeout_of(sim, k).soft_ms - 1), rows[k].stage);
        assert_int_equal(stage_at(sim, since + timeout_of(sim, k).soft_ms), rows[k].enough);
        /* ... and so it may after the stage has closed, which then lasts no longer or shorter */
        const uint64_t next = sim->aggregator->stage_since_ms;
        assert_int_equal(next, since + timeout_of(sim, k).soft_ms);
        assert_int_equal(stage_at(sim, 1), rows[k].enough);
        assert_int_equal(sim->aggregator->stage_since_ms, next);
        sim_free(sim);
    }
}

/* case 8 */
static void test_hard(void **state)
{
    (void)state;
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows) - 1; k++) { /* a sum waits for no receipts */
        struct sim *sim = open_stage(&rows[k], 2);
        const uint64_t since = sim->aggregator->stage_since_ms;
        const struct rn_sa_timeout timeout = timeout_of(sim, k);
        assert_int_equal(sim->aggregator->stage, rows[k].stage);
        assert_int_equal(stage_at(sim, since + timeout.soft_ms), rows[k].stage);
        assert_int_equal(stage_at(sim, since + timeout.hard_ms - 1), rows[k].stage);
        assert_int_equal(stage_at(sim, since), rows[k].stage);
        assert_int_equal(stage_at(sim, since + timeout.hard_ms), rows[k].too_few);
        sim_free(sim);
    }
}

/* case 8. All are there: no time passes at all between the last answer and the next stage. */
static void test_all_arrived(void **state)
{
    (void)state;
    const struct sim_options options = {.members = 4, .colluding = 1, .losses = 1, .seed = 81};
    struct sim *sim = sim_new(&options);
    uint64_t shares_ms = 0;
    for (uint32_t k = 0; k < 100 && sim->aggregator->stage < RN_SA_STAGE_FINISHED; k++) {
        sim_run(sim, TICK_MS);
        const bool dealt = sim->aggregator->stage >= RN_SA_STAGE_SHARES && shares_ms == 0;
        shares_ms = dealt ? sim->now : shares_ms;
    }
    assert_int_equal(sim->aggregator->stage, RN_SA_STAGE_FINISHED);
    assert_true(sim->now - shares_ms <= 2 * TICK_MS); /* the network is instant, training is not */
    assert_int_equal(sim_check_sums(sim), 4);
    sim_free(sim);
}

/* case 8. A clock that jumps ahead, as after a suspension, ends what it has to and nothing twice:
 * one tick, one stage, since the next one begins then. */
static void test_jump_ahead(void **state)
{
    (void)state;
    struct sim *sim = open_stage(&rows[1], 1);
    const uint64_t later = sim->aggregator->stage_since_ms + 365 * UINT64_C(86400000);
    assert_int_equal(stage_at(sim, later), RN_SA_STAGE_ACKS);
    assert_int_equal(sim->aggregator->stage_since_ms, later);
    assert_int_equal(stage_at(sim, later + timeout_of(sim, 2).hard_ms - 1), RN_SA_STAGE_ACKS);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soft),
        cmocka_unit_test(test_hard),
        cmocka_unit_test(test_all_arrived),
        cmocka_unit_test(test_jump_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
