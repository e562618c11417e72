/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes that stop: by a crash at every effect and commit, by a store that fails, by a signal,
 * by the end of the job; and what their successors make of what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "crypto/secagg/aggregator_state.h"
#include "services/federation/coordinationstate.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define COORDINATOR 4u /* the place, with four members */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 17u
#else
#define STRIDE 1u
#endif

static struct job_options two_rounds(void)
{
    struct job_options options = job_calm();
    options.rounds = 2;
    options.training_ms = 300;
    return options;
}

/* ---- Crashes */

/* The node crashes at its point number `point` (an effect, or a commit before or after it is
 * durable). False: it has not so many. */
static bool crash_at(uint32_t place, uint64_t point, bool after_commit)
{
    const struct job_options options = two_rounds();
    struct job *job = job_directed(&options);
    struct job_node *node = &job->nodes[place];
    node->crash_in = point;
    node->crash_after_commit = after_commit;
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    const bool crashed = node->starts > 1;
    if (job->sums != options.rounds) {
        job_fail(job, "%u rounds summed after a crash of node %u at point %llu",
                 (unsigned)job->sums, (unsigned)place, (unsigned long long)point);
    }
    for (uint32_t round = 0; round <= options.rounds; round++) {
        if (job->nodes[job->coordinator].watch->published[round] < 1) {
            job_fail(job, "the adapter of round %u is not published after a crash at point %llu",
                     (unsigned)round, (unsigned long long)point);
        }
    }
    job_free(job);
    return crashed;
}

static uint64_t crash_everywhere(uint32_t place)
{
    uint64_t points = 0;
    while (crash_at(place, points, false)) {
        assert_true(crash_at(place, points, true));
        points += STRIDE;
    }
    return points;
}

/* case 9 */
static void test_coordinator_crashes_at_every_effect(void **state)
{
    (void)state;
    assert_true(crash_everywhere(COORDINATOR) > 100);
}

/* case 9 */
static void test_member_crashes_at_every_effect(void **state)
{
    (void)state;
    assert_true(crash_everywhere(1) > 50);
}

/* The Nth write fails as on a full disk, for every N. */
static bool write_fails(uint32_t place, uint64_t nth)
{
    const struct job_options options = two_rounds();
    struct job *job = job_directed(&options);
    rn_memory_disk_fail(job->nodes[place].disk, nth);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    const bool failed = job->nodes[place].starts > 1;
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
    return failed;
}

/* case 48 */
static void test_every_write_fails_once(void **state)
{
    (void)state;
    for (uint32_t place = 3; place <= COORDINATOR; place++) {
        uint64_t nth = 1;
        while (write_fails(place, nth)) {
            nth++;
        }
        assert_true(nth > 10);
    }
}

/* case 48. The disk of a member is full when its vote or its answer is to be written: neither
 * leaves, nothing else does, and it takes no further message. */
static void full_disk_at(enum rn_sa_stage stage, enum rn_sa_type type)
{
    const struct job_options options = two_rounds();
    struct job *job = job_directed(&options);
    job_until_stage(job, 1, stage, MINUTE_MS);
    const struct job_node *member = &job->nodes[2];
    const struct rn_sa_aggregator *machine = job->nodes[COORDINATOR].coordination->session.machine;
    const uint64_t received = job_view(job).members[2].received;
    job->nodes[2].start_at = JOB_NEVER;
    rn_memory_disk_fail(member->disk, 1);
    job_until_down(job, 2, MINUTE_MS);
    assert_int_equal(member->result.code, RN_E_IO);
    job_pass(job, 500);
    if (job->nodes[COORDINATOR].coordination->session.round == 1) {
        assert_int_equal(machine->inbox[type][2].length, 0);
    }
    assert_int_equal(job_view(job).members[2].received, received);
    job_start_node(job, 2);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

/* case 48 */
static void test_full_disk_at_vote_and_reveal(void **state)
{
    (void)state;
    full_disk_at(RN_SA_STAGE_VOTE, RN_SA_VOTE);
    full_disk_at(RN_SA_STAGE_UNMASK, RN_SA_REVEAL);
}

/* ---- The end is remembered */

static struct job *job_that_was_lost(void)
{
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    job->options.train_percent = 0;
    return job;
}

static void start_all(struct job *job)
{
    for (uint32_t i = 0; i <= job->options.members; i++) {
        job_start_node(job, i);
    }
}

/* A job that ended before its last round ends again with the same words, however often its
 * processes are started: no round is offered, and who comes gets final once more. */
static void test_terminal_end_is_remembered(void **state)
{
    (void)state;
    struct job *job = job_that_was_lost();
    struct job_watch *watch = job->nodes[COORDINATOR].watch;
    char words[RN_ERROR_TEXT_MAX];
    memcpy(words, watch->end_text, sizeof(words));
    assert_true(strstr(words, "round 3 was lost") != NULL);
    const uint32_t offers = watch->events[RN_JOB_OFFER];
    for (uint32_t again = 1; again <= 3; again++) {
        start_all(job);
        job_until_all_end(job, RN_E_INCOMPLETE, 2 * MINUTE_MS);
        assert_int_equal(watch->events[RN_JOB_OFFER], offers);
        assert_string_equal(watch->end_text, words);
        assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 1);
        for (uint32_t i = 0; i <= job->options.members; i++) {
            assert_int_equal(job->nodes[i].watch->finals, 1 + again);
        }
    }
    job_free(job);
}

/* Lost rounds are counted over a restart: two in a row from one adapter are the end. */
static void test_lost_rounds_are_counted_over_a_restart(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_stage(job, 3, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    job_crash(job, COORDINATOR, 1000);
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_RESULT), 3);
    assert_int_equal(job->nodes[COORDINATOR].watch->last[RN_JOB_ENDED].summed, 1);
    assert_int_equal(job->nodes[COORDINATOR].watch->last[RN_JOB_ENDED].skipped, 2);
    job_free(job);
}

/* Members that arrive one after the other, within the coordinator's patience, all hear the end. */
static void test_restarted_end_waits_for_members(void **state)
{
    (void)state;
    struct job *job = job_that_was_lost();
    job_start_node(job, COORDINATOR);
    for (uint32_t i = 0; i < job->options.members; i++) {
        job_pass(job, 8000);
        job_start_node(job, i);
    }
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    job_free(job);
}

/* A finished job can be run again any number of times. */
static void test_finished_job_runs_again(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    for (uint32_t again = 1; again <= 3; again++) {
        start_all(job);
        job_until_all_end(job, RN_OK, MINUTE_MS);
        assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], options.rounds);
        for (uint32_t i = 0; i <= options.members; i++) {
            assert_int_equal(job->nodes[i].watch->finals, 1 + again);
        }
    }
    job_free(job);
}

/* ---- Signals */

/* A coordinator that gets its signal past Ready finishes the round; its successor goes on. */
static void test_draining_coordinator_finishes_the_session(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_SHARES, MINUTE_MS);
    job_signal(job, COORDINATOR);
    assert_true(job_is_up(job, COORDINATOR));
    assert_true(job_view(job).draining);
    job_until_down(job, COORDINATOR, 30000);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
    assert_int_equal(job->sums, 2);
    job_pass(job, MINUTE_MS);
    for (uint32_t i = 0; i < options.members; i++) { /* it was not the end of the job */
        assert_true(job_is_up(job, i));
        assert_int_equal(job->nodes[i].watch->finals, 0);
    }
    job_start_node(job, COORDINATOR);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 4);
    job_free(job);
}

/* Before that it ends at once: the session is taken up again. */
static void test_signal_before_ready_ends_at_once(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_READY, MINUTE_MS);
    job_signal(job, COORDINATOR);
    job_until_down(job, COORDINATOR, 200); /* what is being written, and no more */
    job_start_node(job, COORDINATOR);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_RESUMED], 1);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 4);
    job_free(job);
}

/* A session that cannot be finished is waited for thirty seconds, and no second signal is needed;
 * with a second one it is not waited for at all. */
static void test_drain_has_a_limit(void **state)
{
    (void)state;
    for (uint32_t signals = 1; signals <= 2; signals++) {
        const struct job_options options = job_calm();
        struct job *job = job_directed(&options);
        job_until_stage(job, 2, RN_SA_STAGE_UPLOAD, MINUTE_MS);
        for (uint32_t i = 0; i < options.members; i++) {
            job->nodes[i].asleep_until = JOB_NEVER - 1;
        }
        job_signal(job, COORDINATOR);
        assert_true(job_is_up(job, COORDINATOR));
        if (signals == 2) {
            job_signal(job, COORDINATOR);
        }
        job_until_down(job, COORDINATOR, signals == 2 ? 200 : 31000);
        assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
        job_free(job);
    }
}

/* The first signal ends a member that has resumed a session and finds no coordinator. */
static void test_first_signal_ends_a_lonely_member(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_VOTE, MINUTE_MS);
    job_crash(job, COORDINATOR, JOB_NEVER);
    job_crash(job, 1, 500);
    job_pass(job, 5000);
    assert_true(job_is_up(job, 1));
    assert_int_equal(job->nodes[1].watch->events[RN_JOB_RESUMED], 1);
    job_signal(job, 1);
    job_until_down(job, 1, 500);
    assert_int_equal(job->nodes[1].result.code, RN_OK);
    job_signal(job, 2); /* the same for one that was in the session when it went */
    job_until_down(job, 2, 500);
    assert_int_equal(job->nodes[2].watch->finals, 0);
    job_free(job);
}

/* A member that others count on finishes its part of the round first. */
static void test_signalled_member_finishes_its_part(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_UPLOAD, MINUTE_MS);
    job_signal(job, 1);
    assert_true(job_is_up(job, 1));
    job_until_round(job, 3, MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].watch->last[RN_JOB_ROUND].included, 4);
    job_until_down(job, 1, 2000);
    job_start_node(job, 1);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* The coordinator's word that receipts stand is on its way to the members. */
static void until_all_have(struct job *job, uint32_t rounds)
{
    for (uint32_t i = 0; i < job->options.members; i++) {
        while (job->nodes[i].rounds_done < rounds) {
            job_pass(job, 1);
        }
    }
}

/* ---- Alone */

/* Every round is done, and the coordinator is gone before it could say so. */
static void test_finished_member_ends_alone(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_phase(job, RN_COORDINATION_LINGER, 5 * MINUTE_MS);
    until_all_have(job, 4);
    job_crash(job, COORDINATOR, JOB_NEVER);
    job_crash(job, 2, 1000); /* a restarted one does the same */
    for (uint32_t i = 0; i < options.members; i++) {
        job_until_down(job, i, 20000);
        assert_int_equal(job->nodes[i].result.code, RN_OK);
        assert_int_equal(job->nodes[i].watch->finals, 1);
        assert_int_equal(job->nodes[i].watch->last[RN_JOB_ENDED].summed, 4);
    }
    job_start_node(job, COORDINATOR); /* and the coordinator needs them as little */
    job_until_all_end(job, RN_OK, MINUTE_MS);
    job_free(job);
}

/* ---- Publications that a stop cut off */

static void test_publications_are_made_again(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 6;
    options.training_ms = 200;
    options.publish_ms = 15000;
    struct job *job = job_directed(&options);
    for (uint32_t round = 2; round <= 6; round += 2) {
        job_until_round(job, round, 5 * MINUTE_MS);
        assert_true(job->nodes[COORDINATOR].publish_count > 0);
        if (round == 4) {
            job_crash(job, COORDINATOR, JOB_NEVER);
        } else {
            job_signal(job, COORDINATOR);
            job_until_down(job, COORDINATOR, MINUTE_MS);
        }
        job_start_node(job, COORDINATOR);
    }
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    for (uint32_t round = 0; round <= options.rounds; round++) {
        assert_true(job->nodes[COORDINATOR].watch->published[round] >= 1);
        assert_true(job_records_of_round(job, COORDINATOR, RN_RECORD_METRICS, round) >= 1);
    }
    job_free(job);
}

/* ---- A coordinator whose state is older than its members' */

static bool ended_as_too_old(struct job *job)
{
    const struct job_node *node = &job->nodes[COORDINATOR];
    return node->result.code == RN_E_INCOMPLETE &&
           strstr(node->watch->end_text, "newest backup") != NULL &&
           node->watch->events[RN_JOB_INCOMPLETE] > 0 &&
           job_records(job, COORDINATOR, RN_RECORD_END) == 0;
}

/* Empty, or an old copy: it says so and offers nothing; with the right state the job goes on. */
static void test_coordinator_that_lost_its_state(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    struct rn_memory_disk *old = job_backup(job, COORDINATOR);
    job_until_round(job, 4, 5 * MINUTE_MS);
    until_all_have(job, 3);
    job_crash(job, COORDINATOR, JOB_NEVER);
    struct rn_memory_disk *newest = job_backup(job, COORDINATOR);
    const uint32_t offers = job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER];
    for (int empty = 0; empty < 2; empty++) {
        if (empty) {
            job_empty_disk(job, COORDINATOR);
        } else {
            job_restore(job, COORDINATOR, old);
        }
        job_start_node(job, COORDINATOR);
        job_pass(job, 1);
        job_until_down(job, COORDINATOR, 30000);
        assert_true(ended_as_too_old(job));
        assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], offers);
    }
    job_pass(job, MINUTE_MS);
    for (uint32_t i = 0; i < options.members; i++) { /* they wait for the right one */
        assert_true(job_is_up(job, i));
    }
    job_restore(job, COORDINATOR, newest);
    job_start_node(job, COORDINATOR);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    rn_memory_disk_free(&old);
    rn_memory_disk_free(&newest);
    job_free(job);
}

static void claim(struct job *job, uint32_t member, uint64_t connection, uint32_t next_round)
{
    const struct rn_wire_hello hello = job_hello(job, member, next_round);
    job_forge_hello(job, member, connection, &hello);
}

/* Members that cannot be caught lying are at most n_c: one of them changes nothing, two may be
 * right. */
static void test_liars_about_rounds(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.members = 6;
    options.losses = 2;
    struct job *job = job_directed(&options);
    job->nodes[4].start_at = job->nodes[5].start_at = JOB_NEVER;
    job_pass(job, 150);
    claim(job, 4, 1000001, 4);
    job_until_round(job, 2, 5 * MINUTE_MS);
    assert_true(job_is_up(job, 6));
    claim(job, 5, 1000002, 2); /* where the job is: no lie */
    job_pass(job, 1000);
    assert_true(job_is_up(job, 6));
    claim(job, 5, 1000003, 5);
    job_until_down(job, 6, 200);
    assert_int_equal(job->nodes[6].result.code, RN_E_INCOMPLETE);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal_end_is_remembered),
        cmocka_unit_test(test_lost_rounds_are_counted_over_a_restart),
        cmocka_unit_test(test_restarted_end_waits_for_members),
        cmocka_unit_test(test_finished_job_runs_again),
        cmocka_unit_test(test_draining_coordinator_finishes_the_session),
        cmocka_unit_test(test_signal_before_ready_ends_at_once),
        cmocka_unit_test(test_drain_has_a_limit),
        cmocka_unit_test(test_first_signal_ends_a_lonely_member),
        cmocka_unit_test(test_signalled_member_finishes_its_part),
        cmocka_unit_test(test_finished_member_ends_alone),
        cmocka_unit_test(test_publications_are_made_again),
        cmocka_unit_test(test_coordinator_that_lost_its_state),
        cmocka_unit_test(test_liars_about_rounds),
        cmocka_unit_test(test_every_write_fails_once),
        cmocka_unit_test(test_full_disk_at_vote_and_reveal),
        cmocka_unit_test(test_coordinator_crashes_at_every_effect),
        cmocka_unit_test(test_member_crashes_at_every_effect),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
