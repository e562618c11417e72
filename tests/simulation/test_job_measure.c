/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs that measure: every round's start on the members' development sets, the best adapter kept,
 * an early end, and what lost rounds leave of it. What is measured is checked against the members
 * themselves (jobmeasure.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define COORDINATOR 4u

static struct job_options measuring(uint64_t seed)
{
    struct job_options options = job_calm();
    options.seed = seed;
    options.evaluation = options.keep_best = true;
    return options;
}

/* Seeds differ in what their development sets say; the first one whose best adapter is trained and
 * not the last. */
static struct job *run_to_a_best_in_between(struct job_options options)
{
    for (options.seed = 1; options.seed < 100; options.seed++) {
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        if (job->best_round > 0 && job->best_round < options.rounds) {
            return job;
        }
        job_free(job);
    }
    fail_msg("no seed has its best adapter in between");
    return NULL;
}

/* The start, each round's adapter and the last: as many measures as rounds and one, by everybody.
 */
static void test_every_adapter_is_measured(void **state)
{
    (void)state;
    for (int head = RN_PLAN_HEAD_FROZEN; head <= RN_PLAN_HEAD_LOCAL; head++) {
        struct job_options options = measuring(1);
        options.head = (enum rn_plan_head)head;
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        assert_int_equal(job->sums, options.rounds + 1);
        assert_memory_equal(job->truth[options.rounds].values,
                            job->truth[options.rounds + 1].values, sizeof(job->truth[0].values));
        for (uint32_t i = 0; i <= options.members; i++) {
            const struct job_watch *watch = job->nodes[i].watch;
            assert_int_equal(watch->events[RN_JOB_MEASURED], options.rounds + 1);
            assert_int_equal(watch->last[RN_JOB_MEASURED].round, options.rounds);
            assert_int_equal(watch->events[RN_JOB_STOPPED_EARLY], 0);
            assert_true(watch->last[RN_JOB_ENDED].judgement.best_round == job->best_round);
        }
        job_free(job);
    }
}

static void test_best_is_kept(void **state)
{
    (void)state;
    struct job *job = run_to_a_best_in_between(measuring(1));
    for (uint32_t i = 0; i <= job->options.members; i++) {
        assert_true(job->nodes[i].best_published);
        assert_int_equal(job_records(job, i, RN_RECORD_BEST), 1);
        assert_int_equal(job_records_of_round(job, i, RN_RECORD_BEST, job->best_round), 1);
    }
    job_free(job);
    struct job_options options = measuring(1);
    options.keep_best = false;
    job = run_to_a_best_in_between(options);
    for (uint32_t i = 0; i <= job->options.members; i++) {
        assert_false(job->nodes[i].best_published);
        assert_int_equal(job_records(job, i, RN_RECORD_BEST), 0);
    }
    job_free(job);
}

/* Everybody restarts when the best adapter is past, and the next processes still publish it
 * (jobmeasure.c looks at whoever ends well). */
static void test_best_survives_restarts(void **state)
{
    (void)state;
    struct job_options options = measuring(1);
    options.rounds = 6;
    uint32_t past = 0;
    for (; past == 0; options.seed++) {
        struct job *job = job_directed(&options);
        job_until_round(job, 5, 5 * MINUTE_MS);
        const uint32_t best = job->best_round;
        for (uint32_t i = 0; i <= options.members; i++) {
            job_crash(job, i, 500);
        }
        job_until_all_end(job, RN_OK, 9 * MINUTE_MS);
        past = best > 0 && job->best_round == best ? best : 0;
        job_free(job);
        assert_true(options.seed < 100);
    }
}

/* Nothing is better than the start: no adapter is published as the best. */
static void test_the_start_is_no_best_adapter(void **state)
{
    (void)state;
    struct job_options options = measuring(1);
    for (uint32_t best = 1; best != 0; options.seed++) {
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        best = job->best_round;
        for (uint32_t i = 0; i <= options.members && best == 0; i++) {
            assert_false(job->nodes[i].best_published);
            assert_true(job->nodes[i].final_published);
        }
        job_free(job);
        assert_true(options.seed < 100);
    }
}

/* The job ends well with the round that says so; the restarted coordinator and a member alone say
 * the same. */
static void test_early_stop_ends_the_job(void **state)
{
    (void)state;
    struct job_options options = measuring(1);
    options.rounds = 8;
    options.patience = 2;
    uint32_t stopped = 0;
    for (; stopped == 0; options.seed++) {
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 9 * MINUTE_MS);
        stopped = job->stopped_round;
        assert_int_equal(job->newest, stopped == 0 ? options.rounds + 1 : stopped);
        for (uint32_t i = 0; i <= options.members && stopped != 0; i++) {
            const struct job_watch *watch = job->nodes[i].watch;
            assert_int_equal(watch->events[RN_JOB_STOPPED_EARLY], 1);
            assert_int_equal(watch->last[RN_JOB_STOPPED_EARLY].round, job->best_round);
            assert_int_equal(watch->last[RN_JOB_ENDED].round, stopped);
        }
        if (stopped != 0) {
            const uint32_t offers = job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER];
            assert_int_equal(offers, stopped);
            for (uint32_t i = 0; i <= options.members; i++) {
                job_start_node(job, i);
            }
            job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
            assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], offers);
            job_start_node(job, 0); /* nobody else is there: it knows by itself that it is done */
            job_until_down(job, 0, MINUTE_MS);
            assert_int_equal(job->nodes[0].result.code, RN_OK);
        }
        job_free(job);
        assert_true(options.seed < 100);
    }
}

/* Round 2 is lost: the adapter that it and round 3 start from has been offered for measuring once,
 * and is not measured again. */
static void test_a_skipped_round_leaves_a_gap(void **state)
{
    (void)state;
    const struct job_options options = measuring(1);
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_round(job, 3, 5 * MINUTE_MS);
    job->options.train_percent = 0;
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 4); /* 1, 3, 4 and the one that measures */
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_MEASURED], 3);
    }
    job_free(job);
}

/* The round that only measures is lost: the job has all it trained, and ends well. */
static void test_the_measuring_round_may_be_lost(void **state)
{
    (void)state;
    for (int method = RN_METHOD_ROLORA; method <= RN_METHOD_FEDAVG_LORA; method++) {
        struct job_options options = measuring(1);
        options.method = (enum rn_plan_method)method;
        options.head = RN_PLAN_HEAD_FEDERATED;
        struct job *job = job_directed(&options);
        job_until_round(job, options.rounds + 1, MINUTE_MS);
        job->options.train_percent = 100;
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        assert_int_equal(job->sums, options.rounds);
        assert_int_equal(job->skips, 1);
        job_free(job);
    }
}

/* The last round that trains is lost: nothing is left to measure. */
static void test_nothing_is_measured_after_a_lost_last_round(void **state)
{
    (void)state;
    const struct job_options options = measuring(1);
    struct job *job = job_directed(&options);
    job_until_round(job, options.rounds, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds - 1);
    assert_int_equal(job->nodes[COORDINATOR].watch->last[RN_JOB_OFFER].round, options.rounds);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_adapter_is_measured),
        cmocka_unit_test(test_best_is_kept),
        cmocka_unit_test(test_best_survives_restarts),
        cmocka_unit_test(test_the_start_is_no_best_adapter),
        cmocka_unit_test(test_early_stop_ends_the_job),
        cmocka_unit_test(test_a_skipped_round_leaves_a_gap),
        cmocka_unit_test(test_the_measuring_round_may_be_lost),
        cmocka_unit_test(test_nothing_is_measured_after_a_lost_last_round),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
