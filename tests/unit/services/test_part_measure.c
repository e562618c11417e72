/* SPDX-License-Identifier: Apache-2.0
 *
 * A member and federated evaluation: which adapter it measures, when the sums say that the job is
 * over, and sums that change no adapter.
 */
#include "tests/unit/services/participationworld.h"

/* Round 2 was lost, and with it the adapter's one measure: round 3 has none, whatever a coordinator
 * would like its vector to hold. */
static void an_adapter_is_measured_in_one_round(void **state)
{
    (void)state;
    struct world *w = make_world("6");
    struct site *site = &w->sites[0];
    w->plan.evaluation.federated = true;
    connect_all(w, 1);
    offer(w, 1, 1);
    assert_true(site->order_measure);
    for (uint32_t i = 0; i < SITES; i++) {
        train(&w->sites[i]);
    }
    assert_int_equal(w->start_round, 1);
    const uint32_t begun = site->begun;
    w->start_round = 2;
    offer(w, 3, 1);
    assert_int_equal(site->begun, begun);
    assert_int_equal(site->events[RN_JOB_OFFER_REFUSED], 1);
    assert_int_equal(site->status.reason, RN_E_ROUND_STALE);
    w->start_round = 1;
    offer(w, 3, 2);
    assert_int_equal(site->begun, begun + 1);
    assert_false(site->order_measure);
    free_world(w);
}

/* The sums say that the job is over: what a coordinator offers after that is refused, and the site
 * ends by itself. */
static void nothing_is_trained_after_an_early_stop(void **state)
{
    (void)state;
    struct world *w = make_world("6");
    struct site *site = &w->sites[0];
    w->plan.evaluation =
        (struct rn_plan_evaluation){.federated = true, .early_stop = {.patience = 1}};
    w->metric = 0.5;
    connect_all(w, 1);
    run_round(w, 1);
    assert_int_equal(site->events[RN_JOB_STOPPED_EARLY], 0);
    run_round(w, 2); /* no better than the start */
    assert_int_equal(site->events[RN_JOB_STOPPED_EARLY], 1);
    const uint32_t begun = site->begun;
    offer(w, 3, 1);
    assert_int_equal(site->begun, begun);
    assert_int_equal(site->status.reason, RN_E_REFUSED);
    assert_int_equal(site->status.round, 3);
    lose_connection(site);
    tick(w, 11000);
    publish_done(site);
    assert_end(site, RN_OK, "");
    free_world(w);
}

/* A sum that changes no adapter, as that of the round that only measures, can be missed too. */
static void a_sum_that_changes_nothing_is_missed(void **state)
{
    (void)state;
    struct world *w = make_world("1");
    struct site *site = &w->sites[0];
    w->plan.evaluation.federated = true;
    connect_all(w, 1);
    run_round(w, 1);
    say_summary(site, 2, RN_OK, 0);
    assert_true(view_of(site).behind);
    close_job(site, RN_OK, true);
    assert_int_equal(site->published, 0);
    assert_end(site, RN_E_INCOMPLETE, "missed its last sums");
    free_world(w);
}

/* Training and judging are progress, which the coordinator hears at fixed times: not how far they
 * are, how many steps there are, or when one ended. */
static void progress_is_told_without_a_size(void **state)
{
    (void)state;
    struct world *w = make_world("4");
    struct site *site = &w->sites[0];
    w->plan.evaluation.federated = true;
    connect_all(w, 1);
    offer(w, 1, 1);
    static const struct {
        uint32_t measured, step;
        uint64_t beats; /* at the end of this minute */
    } minutes[] = {{700, 0, 1},  {9001, 0, 2}, {9001, 0, 2},
                   {9002, 0, 3}, {9002, 4, 4}, {9002, 9, 5}};
    uint64_t beats = 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(minutes); i++) {
        for (uint32_t tick = 1; tick <= 300; tick++) {
            const unsigned before = site->statuses;
            w->now_ms += 200;
            step(site, (struct rn_input){.kind = RN_INPUT_TICK,
                                         .training = {.measured = minutes[i].measured,
                                                      .step = minutes[i].step,
                                                      .steps = 20}});
            const bool told = tick == 300 && minutes[i].beats > beats;
            assert_int_equal(site->statuses, before + told);
        }
        beats = minutes[i].beats;
        assert_int_equal(site->status.beats, beats);
    }
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_adapter_is_measured_in_one_round),
        cmocka_unit_test(nothing_is_trained_after_an_early_stop),
        cmocka_unit_test(a_sum_that_changes_nothing_is_missed),
        cmocka_unit_test(progress_is_told_without_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
