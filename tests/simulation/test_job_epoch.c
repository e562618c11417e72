/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole jobs whose plan needs a share graph: it is drawn before the first offer, whoever withholds
 * its part, comes late or never comes (jobdraw.c looks at all that leaves).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secagg/transcript.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/participationstate.h"
#include "tests/simulation/ringjob.h"

/* ---- Well */

static void test_drawn_before_the_first_offer(void **state)
{
    (void)state;
    struct job *job = ring_job();
    until_drawn(job);
    const struct rn_coordination_view view = job_view(job);
    static const uint8_t none[RN_HASH_BYTES];
    assert_memory_not_equal(view.graph_seed, none, sizeof(none));
    assert_int_equal(view.graph_attempt, 1);
    job_until_stage(job, 1, RN_SA_STAGE_SHARES, 5 * MINUTE_MS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct rn_participation_view member = job_member_view(job, i);
        assert_memory_equal(member.graph_seed, view.graph_seed, RN_HASH_BYTES);
        assert_false(member.draws || member.outside);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_EPOCH_DRAWN], 1);
        assert_true(watch_of(job, i)->at_ms[RN_JOB_EPOCH_DRAWN] <=
                    watch_of(job, i)->at_ms[RN_JOB_OFFER]);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_OFFER_REFUSED], 0);
    }
    end_well(job);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_REFUSED], 0);
    job_free(job);
}

static void test_complete_graph_needs_none(void **state)
{
    (void)state;
    const struct job_options options = ring_calm();
    planted.degree = 0;
    struct job *job = job_directed(&options);
    end_well(job);
    for (uint32_t i = 0; i <= MEMBERS; i++) {
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_SET), 0);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_EPOCH_DRAWN], 0);
    }
    job_free(job);
}

/* Nothing is said of the epoch before the plan has the signatures that a policy wants (jobdraw.c);
 * with them, the member asks. */
static void test_not_before_the_plan_is_signed(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.own_signatures = true;
    struct job *job = job_directed(&options);
    job_sign(job, COORDINATOR, 1u << MEMBERS);
    job->deaf = true; /* it does not hear that they wait */
    job_pass(job, 10000);
    assert_int_equal(job_view(job).phase, RN_COORDINATION_EPOCH);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_SET), 0);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    job_signatures_text(job, ALL_SIGNED, &text);
    job_tell_signatures(job, COORDINATOR, rn_buffer_view(&text));
    goes_on(job);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    job_free(job);
}

/* ---- Reveals that are withheld, or others */

/* The others go on without it; it follows, and has the adapter at the end. */
static void attempt_without(bool alters)
{
    struct job *job = ring_job();
    *(alters ? &job->alters : &job->mute) = 1u << 3;
    until_drawn(job);
    const struct job_watch *watch = watch_of(job, COORDINATOR);
    assert_int_equal(watch->events[RN_JOB_EPOCH_VOID], 1);
    assert_non_null(strstr(watch->text[RN_JOB_EPOCH_VOID], "site-3"));
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], alters);
    /* At once when the reveal is wrong; else when a stage's time is over. */
    assert_true((watch->at_ms[RN_JOB_EPOCH_VOID] < 30000) == alters);
    assert_int_equal(job_view(job).graph_attempt, 2);
    job_until_stage(job, 1, RN_SA_STAGE_UPLOAD, 5 * MINUTE_MS);
    assert_true(job_view(job).members[3].outside);
    assert_false(job_view(job).members[2].outside);
    assert_true(job_member_view(job, 3).outside);
    end_well(job);
    assert_int_equal(watch_of(job, 3)->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_int_equal(watch_of(job, 3)->finals, 1);
    job_free(job);
}

static void test_reveal_withheld(void **state)
{
    (void)state;
    attempt_without(false);
}

static void test_reveal_changed(void **state)
{
    (void)state;
    attempt_without(true);
}

/* One that signs a wrong reveal takes nobody with it who was about to reveal. */
static void test_slow_reveals_beside_a_changed_one(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.commit_min_ms = 1;
    options.delay_ms = 4000;
    struct job *job = job_directed(&options);
    job->alters = 1u << 3;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 2);
    assert_int_equal(rn_sa_set_count(&job->nodes[COORDINATOR].coordination->epoch->left_out), 1);
    job_free(job);
}

/* More of them than may be lost: the job ends, and says who. */
static void test_too_many_withhold(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 0x3f;
    job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
    const char *text = watch_of(job, COORDINATOR)->end_text;
    assert_non_null(
        strstr(text, "in 1 attempt(s): site-0, site-1, site-2, site-3, site-4, site-5 did not"));
    assert_int_equal(job->sums, 0);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 1);
    job_start_node(job, COORDINATOR); /* and remembers */
    job_until_down(job, COORDINATOR, 5 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_E_INCOMPLETE);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    job_free(job);
}

/* One after the other, as many as may be missing: each attempt goes without those before. */
static void test_one_more_each_attempt(void **state)
{
    (void)state;
    struct job *job = ring_job();
    for (uint32_t member = 1; member <= 2; member++) {
        job->mute = 1u << member;
        until_revealed(job, member);
        assert_false(job_run_until(job, is_drawn, 28000));
    }
    job->mute = 0;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 3);
    assert_true(job_view(job).members[1].outside && job_view(job).members[2].outside);
    goes_on(job);
    job_free(job);
}

/* ---- Attempts */

static void test_sixteenth_attempt_draws(void **state)
{
    (void)state;
    struct job *job = ring_job();
    spend_attempts(job, RN_SA_EPOCH_ATTEMPTS_MAX - 1);
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, RN_SA_EPOCH_ATTEMPTS_MAX);
    goes_on(job);
    job_free(job);
}

/* None is called, neither after a void sixteenth nor by a coordinator that starts behind it; the
 * members would not commit. */
static void test_seventeenth_attempt(void **state)
{
    (void)state;
    for (uint32_t spent = RN_SA_EPOCH_ATTEMPTS_MAX - 1; spent <= RN_SA_EPOCH_ATTEMPTS_MAX;
         spent++) {
        struct job *job = ring_job();
        job->mute = 1;
        spend_attempts(job, spent);
        job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
        assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "not drawn in 16 attempt(s)"));
        assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED],
                         RN_SA_EPOCH_ATTEMPTS_MAX - spent);
        job_free(job);
    }
}

static void test_member_commits_to_no_seventeenth(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1;
    until_revealed(job, 1);
    const struct job_watch *watch = watch_of(job, 1);
    const uint64_t sent = job_member_view(job, 1).sent;
    tell_member(job, 1, RN_EPOCH_CALL, RN_SA_EPOCH_ATTEMPTS_MAX + 1, (struct rn_view){0});
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 1);
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_LIMIT);
    assert_int_equal(job_member_view(job, 1).sent, sent);
    job_free(job);
}

/* ---- Members that come late, or never */

static void test_one_never_comes(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->nodes[2].start_at = JOB_NEVER;
    job_pass(job, 25000);
    assert_int_equal(job_view(job).phase, RN_COORDINATION_EPOCH);
    assert_string_equal(job_view(job).graph_step, "commitments");
    assert_true(job_view(job).members[2].missing);
    assert_false(job_view(job).members[1].missing);
    job_pass(job, 6200);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->text[RN_JOB_WAITING],
                           "drawing the graph, attempt 1: waits for the commitments of site-2"));
    assert_true(job_view(job).graph_drawn);
    assert_int_equal(job_view(job).graph_attempt, 1);
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    assert_false(job_view(job).members[2].missing); /* it is offered nothing */
    goes_on(job);
    job_free(job);
}

/* After the set is closed: it follows to the end. */
static void test_late_member(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.rounds = 3;
    struct job *job = job_directed(&options);
    job->nodes[2].start_at = JOB_NEVER;
    until_drawn(job);
    job_start_node(job, 2);
    job_pass(job, 2000);
    assert_true(job_member_view(job, 2).outside);
    assert_memory_equal(job_member_view(job, 2).graph_seed, job_view(job).graph_seed,
                        RN_HASH_BYTES);
    end_well(job);
    assert_int_equal(watch_of(job, 2)->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_int_equal(watch_of(job, 2)->finals, 1);
    job_free(job);
}

/* A coordinator that offers a session to one outside the epoch: it does not take part. */
static void test_outside_takes_no_part_when_offered(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->nodes[2].start_at = JOB_NEVER;
    until_drawn(job);
    job_start_node(job, 2);
    job->nodes[COORDINATOR].coordination->epoch->job->set.places[2] = 2; /* 3's place */
    job_until_stage(job, 1, RN_SA_STAGE_UPLOAD, 5 * MINUTE_MS);
    assert_int_equal(watch_of(job, 2)->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_true(watch_of(job, 2)->events[RN_JOB_FOLLOW] > 0);
    job_free(job);
}

/* Before F are there, no attempt begins, and no time runs. */
static void test_too_few_are_there(void **state)
{
    (void)state;
    struct job *job = ring_job();
    for (uint32_t i = FLOOR - 1; i < MEMBERS; i++) {
        job->nodes[i].start_at = JOB_NEVER;
    }
    job_pass(job, 20 * MINUTE_MS);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 0);
    assert_null(job_view(job).graph_step);
    for (uint32_t i = FLOOR - 1; i < MEMBERS; i++) {
        job_start_node(job, i);
    }
    goes_on(job);
    job_free(job);
}

/* F were there and one went before it had committed: nothing was spent, so nothing ends. */
static void test_commitments_wait_below_the_floor(void **state)
{
    (void)state;
    struct job *job = ring_job();
    for (uint32_t i = FLOOR; i < MEMBERS; i++) {
        job->nodes[i].start_at = JOB_NEVER;
    }
    job->nodes[0].policy.plan.signers = MEMBERS + 1; /* waits, which it does not say */
    job->deaf = true;
    job_pass(job, 20 * MINUTE_MS);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_CALLED], 1);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_SET), 0);
    job->nodes[FLOOR].start_at = job->now;
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 1);
    job_free(job);
}

/* ---- The operator */

static void test_operator_ends_it(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    job_abort(job, "enough");
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "enough"));
    job_free(job);
}

/* A signal: it ends at once, and goes on with the same set. */
static void test_signal_while_it_draws(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    job_signal(job, COORDINATOR);
    job_until_down(job, COORDINATOR, 2000);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
    job->mute = 0;
    job_start_node(job, COORDINATOR);
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 1);
    goes_on(job);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drawn_before_the_first_offer),
        cmocka_unit_test(test_complete_graph_needs_none),
        cmocka_unit_test(test_not_before_the_plan_is_signed),
        cmocka_unit_test(test_reveal_withheld),
        cmocka_unit_test(test_reveal_changed),
        cmocka_unit_test(test_slow_reveals_beside_a_changed_one),
        cmocka_unit_test(test_too_many_withhold),
        cmocka_unit_test(test_one_more_each_attempt),
        cmocka_unit_test(test_sixteenth_attempt_draws),
        cmocka_unit_test(test_seventeenth_attempt),
        cmocka_unit_test(test_member_commits_to_no_seventeenth),
        cmocka_unit_test(test_one_never_comes),
        cmocka_unit_test(test_late_member),
        cmocka_unit_test(test_outside_takes_no_part_when_offered),
        cmocka_unit_test(test_too_few_are_there),
        cmocka_unit_test(test_commitments_wait_below_the_floor),
        cmocka_unit_test(test_operator_ends_it),
        cmocka_unit_test(test_signal_while_it_draws),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
