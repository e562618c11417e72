/* SPDX-License-Identifier: Apache-2.0
 *
 * A member ends the job by its signature: in each stage of a round, over restarts and lost
 * messages, twice, against a coordinator that keeps it to itself; and what is no stop. That a site
 * which holds one trains nothing and says nothing new in a session is looked at whatever the test
 * (jobcheck.c, jobnode.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/guard.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define COORDINATOR 4u
#define STOPPER 1u
#define REASON "consent for \"these\" records was withdrawn"

static uint32_t trainings(const struct job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        count += job->nodes[i].watch->events[RN_JOB_TRAIN_BEGIN];
    }
    return count;
}

/* Everybody heard once who it was and why, keeps it, and ended for it. */
static void check_all_know(struct job *job, const char *reason)
{
    for (uint32_t i = 0; i <= COORDINATOR; i++) {
        const struct job_watch *watch = job->nodes[i].watch;
        assert_int_equal(watch->events[RN_JOB_STOPPED], 1);
        assert_int_equal(watch->last[RN_JOB_STOPPED].peer, STOPPER + 1);
        assert_string_equal(watch->text[RN_JOB_STOPPED], reason);
        assert_int_equal(watch->events[RN_JOB_STOP_REFUSED], 0);
        assert_int_equal(job_records(job, i, RN_RECORD_STOP), 1);
        assert_non_null(strstr(watch->end_text, "stopped by 'site-1': "));
        assert_non_null(strstr(watch->end_text, reason));
    }
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 1);
}

/* Whoever is started again, however often, trains and offers nothing. */
static void check_stays_ended(struct job *job)
{
    const uint32_t offers = job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER];
    const uint32_t before = trainings(job);
    for (uint32_t again = 0; again < 2; again++) {
        for (uint32_t i = 0; i <= COORDINATOR; i++) {
            job_start_node(job, i);
        }
        job_until_all_end(job, RN_E_INCOMPLETE, 2 * MINUTE_MS);
    }
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], offers);
    assert_int_equal(trainings(job), before);
}

static void check_adapters(const struct job *job, uint32_t sums)
{
    assert_int_equal(job->sums, sums);
    for (uint32_t i = 0; i <= COORDINATOR; i++) {
        assert_memory_equal(job->nodes[i].final_hash, job->truth[sums].after, RN_HASH_BYTES);
        assert_true(job->nodes[i].watch->finals >= 1);
    }
}

static struct job *in_stage(enum rn_sa_stage stage)
{
    struct job_options options = job_calm();
    options.training_ms = 1000;
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, stage, MINUTE_MS);
    return job;
}

/* ---- At each stage */

static void stop_at(enum rn_sa_stage stage, uint32_t sums)
{
    struct job *job = in_stage(stage);
    const uint64_t began = job->now;
    job_stop(job, STOPPER, REASON);
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    /* Messages of 50 ms, commits of 30, publications of 500, a few of each; 3 s for votes that are
     * split: nobody waits for a time-out of the round. */
    assert_in_range(job->now - began, 0, 8000);
    check_adapters(job, sums);
    check_all_know(job, REASON);
    check_stays_ended(job);
    job_free(job);
}

static void test_called_off(void **state)
{
    (void)state;
    stop_at(RN_SA_STAGE_READY, 1);
    stop_at(RN_SA_STAGE_SHARES, 1);
    stop_at(RN_SA_STAGE_ACKS, 1);
    stop_at(RN_SA_STAGE_UPLOAD, 1);
    stop_at(RN_SA_STAGE_VOTE, 1);
}

/* A certified session brings its sum first; the one who stopped takes it too. */
static void test_behind_a_certificate(void **state)
{
    (void)state;
    stop_at(RN_SA_STAGE_UNMASK, 2);
    stop_at(RN_SA_STAGE_SUM, 2);
}

/* Of a job that waits for members, and of one whose stopper waits for signatures. */
static void test_before_the_first_round(void **state)
{
    (void)state;
    for (uint32_t waits = 0; waits < 2; waits++) {
        struct job_options options = job_calm();
        options.own_signatures = waits == 1;
        options.collect_ms = waits == 1 ? JOB_NEVER : 0;
        struct job *job = job_directed(&options);
        job->nodes[0].start_at = job->nodes[2].start_at = waits == 1 ? 100 : 8000;
        job->nodes[3].start_at = job->nodes[0].start_at;
        job_pass(job, 3000);
        job_stop(job, STOPPER, REASON);
        job_until_all_end(job, RN_E_INCOMPLETE, 2 * MINUTE_MS);
        check_all_know(job, REASON);
        assert_int_equal(trainings(job), 0);
        assert_int_equal(job->nodes[STOPPER].watch->finals, 0);
        job_free(job);
    }
}

/* All rounds are done: there is nothing to stop, and the others' end is a good one. */
static void test_too_late(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_phase(job, RN_COORDINATION_LINGER, 2 * MINUTE_MS);
    job_stop(job, STOPPER, REASON);
    job_until_down(job, COORDINATOR, MINUTE_MS);
    job_pass(job, 15000);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
    assert_int_equal(job->nodes[0].result.code, RN_OK);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_STOP), 0);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_STOP_REFUSED], 1);
    assert_int_equal(job->nodes[0].watch->events[RN_JOB_STOPPED], 0);
    assert_false(job_is_up(job, STOPPER));
    assert_memory_equal(job->nodes[STOPPER].final_hash, job->truth[4].after, RN_HASH_BYTES);
    job_free(job);
}

/* ---- Restarts */

/* The coordinator, as soon as its record is durable: what it had said of it or not. */
static void test_coordinator_restarts_after_it(void **state)
{
    (void)state;
    static const enum rn_sa_stage stages[] = {RN_SA_STAGE_READY, RN_SA_STAGE_UPLOAD,
                                              RN_SA_STAGE_VOTE, RN_SA_STAGE_UNMASK};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(stages); i++) {
        struct job *job = in_stage(stages[i]);
        job_stop(job, STOPPER, REASON);
        for (uint32_t ms = 0; ms < 1000 && job_records(job, COORDINATOR, RN_RECORD_STOP) == 0;
             ms++) {
            job_pass(job, 1);
        }
        job_crash(job, COORDINATOR, 1000);
        job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
        assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 1);
        assert_in_range(job->sums, 1, 2);
        for (uint32_t m = 0; m < COORDINATOR; m++) {
            assert_int_equal(job->nodes[m].watch->events[RN_JOB_STOPPED], 1);
            assert_int_equal(job_records(job, m, RN_RECORD_STOP), 1);
        }
        check_stays_ended(job);
        job_free(job);
    }
}

/* It is away when the stop is signed: the member ends by itself, and says it again when both are
 * there. */
static void test_no_coordinator(void **state)
{
    (void)state;
    struct job *job = in_stage(RN_SA_STAGE_UPLOAD);
    job_crash(job, COORDINATOR, JOB_NEVER);
    job_pass(job, 4000); /* everybody has noticed */
    job_stop(job, STOPPER, REASON);
    const uint64_t began = job->now;
    job_until_down(job, STOPPER, MINUTE_MS);
    assert_in_range(job->now - began, 10000, 12000);
    assert_int_equal(job->nodes[STOPPER].result.code, RN_E_INCOMPLETE);
    assert_memory_equal(job->nodes[STOPPER].final_hash, job->truth[1].after, RN_HASH_BYTES);
    assert_true(job_is_up(job, 0));
    job_start_node(job, COORDINATOR);
    job_pass(job, 5000);
    assert_int_equal(job->nodes[0].watch->events[RN_JOB_STOPPED], 0);
    job_start_node(job, STOPPER);
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    check_all_know(job, REASON);
    job_free(job);
}

/* It dies between its record and its word, and comes back. */
static void test_stopper_is_killed(void **state)
{
    (void)state;
    for (int stage = RN_SA_STAGE_READY; stage <= RN_SA_STAGE_UNMASK; stage++) {
        struct job *job = in_stage((enum rn_sa_stage)stage);
        struct job_node *node = &job->nodes[STOPPER];
        while (node->submitted > node->durable || node->queue_count > 0) {
            job_pass(job, 1);
        }
        node->crash_in = 0;
        node->crash_after_commit = true;
        job_stop(job, STOPPER, REASON);
        job_until_down(job, STOPPER, 1000);
        assert_int_equal(job_records(job, STOPPER, RN_RECORD_STOP), 1);
        assert_int_equal(node->watch->events[RN_JOB_STOPPED], 0);
        job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
        assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_STOPPED], 1);
        assert_int_equal(job->nodes[0].watch->events[RN_JOB_STOPPED], 1);
        assert_int_equal(job_records(job, 0, RN_RECORD_STOP), 1);
        job_free(job);
    }
}

/* A member that was away while the job ended waits for its coordinator, and hears it at the
 * greeting. */
static void test_member_that_was_away(void **state)
{
    (void)state;
    struct job *job = in_stage(RN_SA_STAGE_UPLOAD);
    job_crash(job, 3, 30000);
    job_stop(job, STOPPER, REASON);
    job_until_down(job, COORDINATOR, 25000);
    job_pass(job, 40000);
    assert_true(job_is_up(job, 3));
    assert_int_equal(job->nodes[3].watch->events[RN_JOB_STOPPED], 0);
    job_start_node(job, COORDINATOR);
    job_until_all_end(job, RN_E_INCOMPLETE, 2 * MINUTE_MS);
    check_all_know(job, REASON);
    job_free(job);
}

/* ---- More than one */

static void test_first_reason_counts(void **state)
{
    (void)state;
    struct job *job = in_stage(RN_SA_STAGE_UPLOAD);
    job_stop(job, STOPPER, REASON);
    job_stop(job, STOPPER, "another one");
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    check_all_know(job, REASON);
    job_free(job);
}

static void test_two_at_once(void **state)
{
    (void)state;
    struct job *job = in_stage(RN_SA_STAGE_UPLOAD);
    job_stop(job, STOPPER, REASON);
    job_stop(job, 2, "the other's reason");
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    check_adapters(job, 1);
    for (uint32_t i = 0; i <= COORDINATOR; i++) {
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_STOPPED], 1);
        assert_int_equal(job_records(job, i, RN_RECORD_STOP), 1);
    }
    assert_int_equal(job->nodes[STOPPER].watch->last[RN_JOB_STOPPED].peer, STOPPER + 1);
    assert_int_equal(job->nodes[2].watch->last[RN_JOB_STOPPED].peer, 3);
    assert_int_equal(job->nodes[0].watch->last[RN_JOB_STOPPED].peer,
                     job->nodes[COORDINATOR].watch->last[RN_JOB_STOPPED].peer);
    check_stays_ended(job);
    job_free(job);
}

/* ---- A coordinator that keeps it to itself */

/* It keeps the others going, and has no update of the one who stopped in any session that was not
 * certified then: that one ends by itself, started again too. */
static void test_suppressed(void **state)
{
    (void)state;
    for (int stage = RN_SA_STAGE_READY; stage <= RN_SA_STAGE_UPLOAD; stage++) {
        struct job *job = in_stage((enum rn_sa_stage)stage);
        struct job_node *node = &job->nodes[STOPPER];
        job->drops_stops = true;
        job_stop(job, STOPPER, REASON);
        const uint64_t began = job->now;
        const uint32_t begun = node->watch->events[RN_JOB_TRAIN_BEGIN];
        job_until_down(job, STOPPER, MINUTE_MS);
        assert_in_range(job->now - began, 9000, 12000);
        assert_int_equal(node->result.code, RN_E_INCOMPLETE);
        job_start_node(job, STOPPER);
        job_pass(job, 12000);
        assert_false(job_is_up(job, STOPPER));
        job_until_down(job, COORDINATOR, 5 * MINUTE_MS);
        assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
        assert_int_equal(job->sums, 4);
        assert_int_equal(node->watch->events[RN_JOB_TRAIN_BEGIN], begun);
        assert_int_equal(job->nodes[COORDINATOR].watch->last[RN_JOB_ROUND].included, 3);
        for (size_t i = 0; i < job->vector_count; i++) {
            const struct job_vector *vector = &job->vectors[i];
            assert_true(vector->member != STOPPER || vector->round <= 2);
        }
        job_free(job);
    }
}

/* ---- What is no stop */

static struct rn_job_stop signed_stop(struct job *job, uint32_t member, const char *reason)
{
    struct rn_job_stop stop;
    assert_int_equal(rn_job_stop_sign(&job->nodes[member].basis, reason, &stop, NULL).code, RN_OK);
    return stop;
}

static void bring(struct job *job, uint32_t place, uint32_t by, struct rn_view bytes)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_STOP, .as.stop = bytes};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer encoded = {0};
    RN_BUG_IF(!rn_is_ok(rn_wire_envelope_encode(&envelope, &encoded, NULL)));
    job_tell(job, place, by, rn_buffer_view(&encoded));
}

static void expect_refused(struct job *job, uint32_t place, struct rn_view bytes, enum rn_code why)
{
    const struct job_watch *watch = job->nodes[place].watch;
    const uint32_t before = watch->events[RN_JOB_STOP_REFUSED];
    bring(job, place, 0, bytes);
    job_pass(job, 200);
    assert_int_equal(watch->events[RN_JOB_STOP_REFUSED], before + 1);
    assert_int_equal(watch->last[RN_JOB_STOP_REFUSED].outcome, why);
    assert_int_equal(watch->events[RN_JOB_STOPPED], 0);
    assert_int_equal(job_records(job, place, RN_RECORD_STOP), 0);
}

/* At a coordinator from any member, and at a member from its coordinator. */
static void test_forgeries_change_nothing(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.training_ms = 20000;
    struct job *job = job_directed(&options);
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    static const uint32_t places[] = {COORDINATOR, 0};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(places); i++) {
        struct rn_job_stop stop = signed_stop(job, STOPPER, REASON);
        const struct rn_view view = rn_view_of(stop.bytes, stop.length);
        stop.bytes[stop.length - 1] ^= 1; /* the signature */
        expect_refused(job, places[i], view, RN_E_PEER_AUTH);
        stop.bytes[stop.length - 1] ^= 1;
        stop.bytes[32] ^= 2; /* another member's name under it */
        expect_refused(job, places[i], view, RN_E_PEER_AUTH);
        job->plan.hash[0] ^= 1; /* of the plan before this one, or of the next */
        const struct rn_job_stop other = signed_stop(job, STOPPER, REASON);
        job->plan.hash[0] ^= 1;
        expect_refused(job, places[i], rn_view_of(other.bytes, other.length), RN_E_PEER_REPLAY);
        struct rn_job_basis stranger =
            job->nodes[STOPPER].basis; /* an identity that was replaced */
        stranger.identity = job->nodes[COORDINATOR].identity;
        assert_int_equal(rn_job_stop_sign(&stranger, REASON, &stop, NULL).code, RN_OK);
        expect_refused(job, places[i], view, RN_E_PEER_AUTH);
    }
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    job_free(job);
}

/* A stop counts for its signature, whoever brings it: one that a coordinator's restored state does
 * not know comes back with any member that holds it. */
static void test_brought_by_another(void **state)
{
    (void)state;
    struct job *job = in_stage(RN_SA_STAGE_READY);
    const struct rn_job_stop stop = signed_stop(job, STOPPER, REASON);
    bring(job, COORDINATOR, 0, rn_view_of(stop.bytes, stop.length));
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    check_all_know(job, REASON);
    job_free(job);
}

/* What an operator says that is no reason ends nothing. */
static void test_reason_that_is_none(void **state)
{
    (void)state;
    char longest[RN_ABORT_TEXT_MAX + 2];
    struct job *job = in_stage(RN_SA_STAGE_READY);
    memset(longest, 'r', sizeof(longest));
    longest[RN_ABORT_TEXT_MAX + 1] = '\0';
    job_stop(job, STOPPER, longest);
    job_stop(job, STOPPER, "");
    job_stop(job, STOPPER, "a\nb");
    assert_int_equal(job_records(job, STOPPER, RN_RECORD_STOP), 0);
    longest[RN_ABORT_TEXT_MAX] = '\0';
    job_stop(job, STOPPER, longest);
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    assert_string_equal(job->nodes[0].watch->text[RN_JOB_STOPPED], longest);
    assert_int_equal(job->nodes[STOPPER].watch->events[RN_JOB_STOP_REFUSED], 3);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_called_off),
        cmocka_unit_test(test_behind_a_certificate),
        cmocka_unit_test(test_before_the_first_round),
        cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_coordinator_restarts_after_it),
        cmocka_unit_test(test_no_coordinator),
        cmocka_unit_test(test_stopper_is_killed),
        cmocka_unit_test(test_member_that_was_away),
        cmocka_unit_test(test_first_reason_counts),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_suppressed),
        cmocka_unit_test(test_forgeries_change_nothing),
        cmocka_unit_test(test_brought_by_another),
        cmocka_unit_test(test_reason_that_is_none),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
