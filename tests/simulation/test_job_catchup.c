/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that were away: what they missed, while the job runs and after its end; what is not kept
 * any more; attempts that were called off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "crypto/secagg/member_state.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/participationstate.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)

/* ---- Behind at many rounds */

/* Twelve members, of which the last five go away at rounds 1 to 5. */
static struct job *five_go_away(uint64_t seed)
{
    struct job_options options = job_calm();
    options.seed = seed;
    options.members = 12;
    options.losses = 5;
    options.rounds = 8;
    options.training_ms = 200;
    options.publish_ms = 4000; /* who comes back has time to dial before the coordinator ends */
    struct job *job = job_directed(&options);
    for (uint32_t i = 0; i < 5; i++) {
        job_until_round(job, 1 + i, 5 * MINUTE_MS);
        job_crash(job, 7 + i, JOB_NEVER);
    }
    return job;
}

static void five_come_back(struct job *job)
{
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(job->nodes[7 + i].rounds_done <= i + 1);
        job_start_node(job, 7 + i);
    }
}

/* More places in the job than the coordinator has in memory. */
static void test_five_behind_at_five_rounds(void **state)
{
    (void)state;
    struct job *job = five_go_away(1);
    job_until_round(job, 7, 10 * MINUTE_MS);
    five_come_back(job);
    job_pass(job, MINUTE_MS);
    for (uint32_t i = 7; i < 12; i++) {
        assert_true(job->nodes[i].rounds_done >= 6);
    }
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 8);
    job_free(job);
}

/* In several orders of messages. */
static void test_five_behind_in_linger(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct job *job = five_go_away(seed);
        job_until_phase(job, RN_COORDINATION_LINGER, 10 * MINUTE_MS);
        five_come_back(job);
        job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
        assert_int_equal(job->nodes[12].starts, 1);
        job_free(job);
    }
}

/* The coordinator is started once more, as the members' last words ask. */
static void test_five_behind_after_the_end(void **state)
{
    (void)state;
    struct job *job = five_go_away(1);
    job_until_down(job, 12, 10 * MINUTE_MS);
    assert_int_equal(job->nodes[12].result.code, RN_OK);
    job_pass(job, 5000);
    job_start_node(job, 12);
    five_come_back(job);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->nodes[12].watch->events[RN_JOB_OFFER], 8);
    job_free(job);
}

/* A coordinator that is stopped while members fetch what they miss does not tell them that the job
 * is over: it comes back for them. */
static void test_signal_while_members_are_behind(void **state)
{
    (void)state;
    struct job *job = five_go_away(1);
    job_until_phase(job, RN_COORDINATION_LINGER, 10 * MINUTE_MS);
    five_come_back(job);
    job_until_phase(job, RN_COORDINATION_LINGER, 1000);
    while (!job_member_view(job, 7).connected) {
        job_pass(job, 50);
    }
    job_pass(job, 100);
    assert_true(job->nodes[7].rounds_done < 8);
    job_signal(job, 12);
    job_until_down(job, 12, 1000);
    job_pass(job, 5000);
    assert_true(job_is_up(job, 7));
    job_start_node(job, 12);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    job_free(job);
}

/* Four who hold every place and never get on lose them to the one who would. */
static void test_idle_members_lose_their_places(void **state)
{
    (void)state;
    struct job *job = five_go_away(1);
    job_until_round(job, 7, 10 * MINUTE_MS);
    for (uint32_t i = 0; i < 4; i++) {
        const struct rn_wire_hello hello = job_hello(job, 7 + i, 1 + i);
        job_forge_hello(job, 7 + i, 1000000 + i, &hello);
    }
    job_start_node(job, 11);
    job_until_phase(job, RN_COORDINATION_LINGER, 10 * MINUTE_MS);
    job_until_down(job, 11, 3 * MINUTE_MS);
    assert_int_equal(job->nodes[11].result.code, RN_OK);
    assert_int_equal(job->nodes[11].rounds_done, 8);
    job_free(job);
}

/* A store that cannot be read for a while: the member waits for its sums, nothing is said about its
 * state. */
static struct rn_job_reader real_reader;
static bool reading_fails;

static rn_result scan_or_fail(void *context, enum rn_record_kind kind, const uint8_t *session,
                              rn_record_visit visit, void *argument, struct rn_error *err)
{
    if (reading_fails && kind == RN_RECORD_AGGREGATOR) {
        return rn_fail(err, RN_E_BUSY, "held by another process");
    }
    return real_reader.scan(context, kind, session, visit, argument, err);
}

static void test_unreadable_records_strand_nobody(void **state)
{
    (void)state;
    struct job *job = five_go_away(1);
    job_until_round(job, 7, 10 * MINUTE_MS);
    real_reader = job->nodes[12].basis.reader;
    job->nodes[12].basis.reader.scan = scan_or_fail;
    reading_fails = true;
    job_start_node(job, 7);
    job_pass(job, 5000);
    const struct job_watch *coordinator = job->nodes[12].watch;
    assert_int_equal(coordinator->events[RN_JOB_MEMBER_STRANDED], 0);
    assert_in_range(coordinator->events[RN_JOB_CATCHUP_FAILED], 2, 6);
    assert_true(job_is_up(job, 7));
    reading_fails = false;
    job_until_down(job, 7, 3 * MINUTE_MS);
    assert_int_equal(job->nodes[7].result.code, RN_OK);
    assert_int_equal(job->nodes[7].rounds_done, 8);
    job_free(job);
}

/* A member that asks without end is not helped without end. */
static void test_help_is_given_once_a_second(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_round(job, 3, 5 * MINUTE_MS);
    const struct rn_wire_hello hello = job_hello(job, 3, 1);
    job_forge_hello(job, 3, 1000000, &hello);
    const struct rn_wire_envelope status = {.body = RN_WIRE_STATUS,
                                            .as.status = {.round = 1, .reason = RN_E_ROUND_STALE}};
    const uint64_t until = job->now + 3000;
    while (job->now < until) {
        job_forge(job, 3, 1000000, &status);
        job_pass(job, 1);
    }
    assert_in_range(job->nodes[4].watch->events[RN_JOB_MEMBER_BEHIND], 2, 4);
    job_free(job);
}

/* Nor one that says in between that it got on: the second word is not news. */
static void test_help_is_not_given_for_going_back_and_forth(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_round(job, 3, 5 * MINUTE_MS);
    const struct rn_wire_hello hello = job_hello(job, 3, 1);
    job_forge_hello(job, 3, 1000000, &hello);
    const struct rn_wire_envelope back = {.body = RN_WIRE_STATUS,
                                          .as.status = {.round = 1, .reason = RN_E_ROUND_STALE}};
    const struct rn_wire_envelope forth = {
        .body = RN_WIRE_STATUS, .as.status = {.round = 2, .stage = RN_SA_STAGE_FINISHED}};
    const uint64_t until = job->now + 3000;
    while (job->now < until) {
        job_forge(job, 3, 1000000, &back);
        job_forge(job, 3, 1000000, &forth);
        job_pass(job, 1);
    }
    assert_in_range(job->nodes[4].watch->events[RN_JOB_MEMBER_BEHIND], 2, 6);
    job_free(job);
}

/* News of an older connection take nothing from the newer one: it waits for help all the same. */
static void test_lost_message_of_an_older_connection(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_round(job, 3, 5 * MINUTE_MS);
    const struct rn_wire_hello hello = job_hello(job, 3, 1);
    job_forge_hello(job, 3, 1000000, &hello);
    job_pass(job, 1);
    const uint32_t before = job->nodes[4].watch->events[RN_JOB_MEMBER_BEHIND];
    assert_int_equal(before, 1);
    const struct rn_wire_envelope status = {.body = RN_WIRE_STATUS,
                                            .as.status = {.round = 1, .reason = RN_E_ROUND_STALE}};
    job_forge(job, 3, 1000000, &status); /* not at once: it was helped a moment ago */
    job_node_input(&job->nodes[4],
                   (struct rn_input){.kind = RN_INPUT_LOST, .peer = 3, .connection = 999999});
    job_pass(job, 2000);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_MEMBER_BEHIND], before + 1);
    job_free(job);
}

/* ---- At the end */

/* It restarts as the last round ends: the coordinator stays for it. */
static void test_end_waits_for_who_was_here_a_moment_ago(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 4, RN_SA_STAGE_SHARES, 5 * MINUTE_MS);
    job_crash(job, 3, 8500); /* longer than the rest of the round takes */
    job_until_all_end(job, RN_OK, MINUTE_MS);
    assert_int_equal(job->nodes[4].starts, 1);
    assert_int_equal(job->nodes[3].rounds_done, 4);
    job_free(job);
}

/* One that was never there, or left long ago, holds up no end. */
static void test_end_does_not_wait_for_who_is_away(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_phase(job, RN_COORDINATION_LINGER, 5 * MINUTE_MS);
    job_until_all_end(job, RN_OK, 3000);
    job_free(job);
}

static bool third_is_done(struct job *job)
{
    const struct rn_coord_session *session = &job->nodes[4].coordination->session;
    return session->stage == RN_SA_STAGE_UPLOAD && rn_sa_set_has(&session->arrived, 3);
}

static bool third_has_voted(struct job *job)
{
    return job_member_view(job, 3).stage == RN_SA_STAGE_VOTE;
}

/* Its vote never arrives, and the quorum is there without it; the certificate, or the survivors
 * too, pass it by in the last round. What it is told when it is back leads it to the sum: no step
 * waits for an answer to what was lost. */
static void test_lost_vote_and_away_for_the_certificate(void **state)
{
    (void)state;
    bool (*const moments[])(struct job *) = {third_is_done, third_has_voted};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(moments); i++) {
        struct job_options options = job_calm();
        options.rounds = 2;
        struct job *job = job_directed(&options);
        job_until_round(job, 2, 5 * MINUTE_MS);
        job->nodes[3].withholds = RN_SA_VOTE;
        assert_true(job_run_until(job, moments[i], MINUTE_MS));
        job_break(job, 3, 2000);
        job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
        assert_int_equal(job->sums, 2);
        assert_int_equal(job->nodes[4].starts, 1);
        assert_int_equal(job->nodes[3].rounds_done, 2);
        job_free(job);
    }
}

/* ---- A lost state */

static struct job_options six(void)
{
    struct job_options options = job_calm();
    options.members = 6;
    options.losses = 2;
    options.rounds = 5;
    return options;
}

/* Lost after its receipts: what it needs is pruned. Both consoles say so with the remedy, nobody
 * waits for it, and it publishes nothing. */
static void test_lost_state_is_stranded(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 8;
    struct job *job = job_directed(&options);
    job_until_stage(job, 7, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    assert_int_equal(job_records_of_round(job, 4, RN_RECORD_AGGREGATOR, 1), 0);
    job_crash(job, 3, JOB_NEVER);
    job_empty_disk(job, 3);
    job_start_node(job, 3);
    job_pass(job, 1);
    const uint64_t began = job->now;
    job_until_down(job, 3, 5000);
    const struct job_watch *coordinator = job->nodes[4].watch;
    assert_int_equal(coordinator->events[RN_JOB_MEMBER_STRANDED], 1);
    assert_int_equal(coordinator->last[RN_JOB_MEMBER_STRANDED].peer, 4);
    assert_non_null(strstr(coordinator->text[RN_JOB_MEMBER_STRANDED], "next plan"));
    assert_true(job_view(job).members[3].stranded);
    assert_int_equal(job->nodes[3].result.code, RN_E_INCOMPLETE);
    assert_non_null(strstr(job->nodes[3].watch->end_text, "next plan"));
    assert_int_equal(job->nodes[3].watch->finals, 0);
    job_until_stage(job, 8, RN_SA_STAGE_READY, MINUTE_MS);
    assert_true(job->now - began < 8000);
    for (uint32_t again = 0; again < 2; again++) { /* the same each time that it is started */
        job_start_node(job, 3);
        job_pass(job, 1);
        job_until_down(job, 3, 10000);
        assert_int_equal(job->nodes[3].result.code, RN_E_INCOMPLETE);
        assert_int_equal(job->nodes[3].watch->finals, 0);
    }
    job_until_down(job, 4, MINUTE_MS);
    assert_int_equal(job->nodes[4].result.code, RN_OK);
    assert_int_equal(job->sums, 8);
    assert_int_equal(job_records(job, 4, RN_RECORD_AGGREGATOR), 0); /* not kept for its sake */
    job_free(job);
}

/* The same against a coordinator that was started after the end. */
static void test_lost_state_after_the_end(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_empty_disk(job, 3);
    job_start_node(job, 4);
    job_start_node(job, 3);
    job_pass(job, 1);
    job_until_down(job, 3, 10000);
    assert_int_equal(job->nodes[3].result.code, RN_E_INCOMPLETE);
    assert_int_equal(job->nodes[3].watch->finals, 1); /* that of before */
    job_until_down(job, 4, MINUTE_MS);
    assert_int_equal(job->nodes[4].result.code, RN_OK);
    job_free(job);
}

/* Lost while another member's absence keeps the rounds: it follows them all. */
static void test_lost_state_catches_up_while_rounds_are_kept(void **state)
{
    (void)state;
    const struct job_options options = six();
    struct job *job = job_directed(&options);
    job->nodes[5].start_at = JOB_NEVER;
    job_until_stage(job, 3, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    job_crash(job, 4, JOB_NEVER);
    job_empty_disk(job, 4);
    job_start_node(job, 4);
    job_pass(job, 5000);
    assert_true(job->nodes[4].rounds_done >= 2);
    job_start_node(job, 5);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 5);
    assert_int_equal(job->nodes[6].watch->events[RN_JOB_MEMBER_STRANDED], 0);
    job_free(job);
}

/* Pruned, but still in the coordinator's memory: good enough. */
static void test_lost_state_catches_up_from_memory(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 3, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    assert_int_equal(job_records_of_round(job, 4, RN_RECORD_AGGREGATOR, 1), 0);
    job_crash(job, 3, 500);
    job_pass(job, 300);
    job_empty_disk(job, 3);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_EVIDENCE], 0);
    job_free(job);
}

/* Its state is lost while the sum of the round under way is there to be had: it follows, and says
 * no second Ready. */
static void test_lost_state_in_the_session_under_way(void **state)
{
    (void)state;
    for (int stage = RN_SA_STAGE_READY; stage <= RN_SA_STAGE_SUM; stage++) {
        const struct job_options options = job_calm();
        struct job *job = job_directed(&options);
        job_until_stage(job, 1, (enum rn_sa_stage)stage, MINUTE_MS);
        job_crash(job, 3, JOB_NEVER);
        job_empty_disk(job, 3);
        job_start_node(job, 3);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        assert_int_equal(job->sums, 4);
        assert_int_equal(job->nodes[4].watch->events[RN_JOB_EVIDENCE], 0);
        assert_int_equal(job->nodes[4].watch->events[RN_JOB_BLAMED], 0);
        job_free(job);
    }
}

/* An old copy that lacks pruned rounds is as good as none; the newest backup takes it up again. */
static void test_old_copy_is_stranded_and_newest_backup_goes_on(void **state)
{
    (void)state;
    struct job_options options = six();
    options.rounds = 9;
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    struct rn_memory_disk *old = job_backup(job, 4);
    job_until_stage(job, 8, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    job_crash(job, 4, JOB_NEVER);
    struct rn_memory_disk *newest = job_backup(job, 4);
    job_restore(job, 4, old);
    job_start_node(job, 4);
    job_pass(job, 1);
    job_until_down(job, 4, 5000);
    assert_int_equal(job->nodes[4].result.code, RN_E_INCOMPLETE);
    assert_int_equal(job->nodes[4].watch->finals, 0);
    job_restore(job, 4, newest);
    job_start_node(job, 4);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_false(job_view(job).members[4].stranded);
    rn_memory_disk_free(&old);
    rn_memory_disk_free(&newest);
    job_free(job);
}

/* ---- Attempts that were called off */

/* Two members go down as the uploads of round 2 begin, for so long: too few remain and the attempt
 * is being called off. */
static struct job *called_off(const struct job_options *options, uint64_t away_ms)
{
    struct job *job = job_directed(options);
    job_until_stage(job, 2, RN_SA_STAGE_UPLOAD, MINUTE_MS);
    job_crash(job, 2, away_ms);
    job_crash(job, 3, away_ms);
    job_until_stage(job, 2, RN_SA_STAGE_ABORTING, MINUTE_MS);
    return job;
}

/* Under a certificate: a member that had sent its update and was away then gets the certificate
 * when it is back, and takes part again. */
static void test_abort_certificate_reaches_who_was_away(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = called_off(&options, 2000);
    job_break(job, 1, 1500);
    job_until_round(job, 3, 5 * MINUTE_MS);
    const struct job_watch *coordinator = job->nodes[4].watch;
    assert_int_equal(coordinator->events[RN_JOB_ABORTED], 1);
    assert_string_equal(coordinator->text[RN_JOB_ABORTED], "repeatable");
    assert_int_equal(coordinator->last[RN_JOB_ROUND].round, 2);
    assert_int_equal(coordinator->last[RN_JOB_ROUND].attempt, 2);
    assert_int_equal(coordinator->last[RN_JOB_ROUND].included, 4);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* The same from a coordinator that was started since: it finds the attempt in its records. */
static void test_abort_certificate_after_a_restart(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.training_ms = 8000;
    struct job *job = called_off(&options, 2000);
    job_break(job, 1, 100000000);
    while (job_view(job).attempt != 2 || job_view(job).stage != RN_SA_STAGE_READY) {
        job_pass(job, 50);
    }
    job_pass(job, 500); /* its records are durable */
    job_crash(job, 4, 500);
    job->links[1].dial_at = job->now + 1500;
    job_until_round(job, 3, 5 * MINUTE_MS);
    job_pass(job, 1000);
    assert_int_equal(job->nodes[4].watch->last[RN_JOB_ROUND].attempt, 2);
    assert_int_equal(job->nodes[4].watch->last[RN_JOB_ROUND].included, 4);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* The same, but it comes back when the attempt that gave the sum is over too. */
static void test_abort_certificate_comes_with_the_sum(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 9;
    struct job *job = called_off(&options, 2000);
    job_break(job, 1, 100000000);
    job_until_round(job, 8, 5 * MINUTE_MS); /* not in the coordinator's memory any more */
    assert_int_equal(job->sums, 7);
    assert_int_equal(job->nodes[1].rounds_done, 1);
    job->links[1].dial_at = job->now;
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* Too few votes for a certificate, and a coordinator that was started again while it collected
 * them: updates may have been sent all the same, so the round is not repeated. */
static void test_uncertified_abort_over_a_restart(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = called_off(&options, JOB_NEVER);
    job_pass(job, 500); /* its records are durable */
    job_crash(job, 4, 500);
    const struct job_watch *coordinator = job->nodes[4].watch;
    for (unsigned i = 0; i < 100 && coordinator->events[RN_JOB_ABORTED] == 0; i++) {
        job_pass(job, 1000);
    }
    assert_int_equal(coordinator->events[RN_JOB_RESUMED], 1);
    assert_int_equal(coordinator->events[RN_JOB_ABORTED], 1);
    assert_string_equal(coordinator->text[RN_JOB_ABORTED], "not repeatable");
    assert_int_equal(coordinator->events[RN_JOB_SKIPPED], 1);
    job_start_node(job, 2);
    job_start_node(job, 3);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* ---- Receipts, and members that are away after them */

static bool third_gave_receipt(struct job *job)
{
    const struct job_node *node = &job->nodes[3];
    return node->participation != NULL && node->participation->session.machine != NULL &&
           node->participation->session.machine->receipted;
}

/* Member 3 gives its receipt for the round while member 0 keeps the sum open, and goes away. */
static void gives_receipt_and_goes(struct job *job, uint32_t round)
{
    job_until_stage(job, round, RN_SA_STAGE_SUM, 5 * MINUTE_MS);
    job_crash(job, 0, JOB_NEVER);
    if (!job_is_up(job, 3)) {
        job_start_node(job, 3);
    }
    assert_true(job_run_until(job, third_gave_receipt, 5 * MINUTE_MS));
    job_pass(job, 500);
    assert_int_equal(job->nodes[3].rounds_done, round - 1);
    job_crash(job, 3, JOB_NEVER);
    job_start_node(job, 0);
}

/* One that came when the sum was replayed follows, and gives a receipt: of that it knows after a
 * restart, though it was never ready in the session. */
static void test_receipt_of_one_that_came_late(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    gives_receipt_and_goes(job, 1);
    assert_int_equal(job_records_of_round(job, 3, RN_RECORD_MEMBER, 1), 2); /* joined, receipted */
    job_start_node(job, 3);
    job_pass(job, 1);
    assert_true(job->nodes[3].participation->session.machine->receipted);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

/* Its receipt counts, but it was away when they stood and when the next round, the last one, was
 * offered: it gets that one's sum too. */
static void test_receipt_and_away_for_the_last_offer(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 2;
    struct job *job = job_directed(&options);
    gives_receipt_and_goes(job, 1);
    job_until_stage(job, 2, RN_SA_STAGE_SUM, 5 * MINUTE_MS);
    assert_int_equal(job->nodes[4].coordination->peers[3].receipted, 1);
    job_crash(job, 0, JOB_NEVER); /* the sum stays open */
    job_start_node(job, 3);
    job_pass(job, 3000);
    assert_int_equal(job->nodes[3].rounds_done, 1);
    job_start_node(job, 0);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->nodes[3].rounds_done, 2);
    job_free(job);
}

/* ---- Blame, and members that restart after it */

static bool last_knows_blame(struct job *job)
{
    const struct job_node *node = &job->nodes[job->options.members - 1];
    return node->participation != NULL && node->participation->session.machine != NULL &&
           !rn_sa_set_empty(&node->participation->session.machine->t.blamed);
}

/* Member 1 lies; the last one learns it from the Result, while member 0 keeps the sum open, and
 * restarts before it has the sum: the proof in its journal does not keep it from starting. */
static void restarts_with_proof(bool late)
{
    struct job_options options = job_calm();
    options.members = 6;
    options.losses = 2;
    struct job *job = job_directed(&options);
    job->nodes[1].mood = JOB_LIES;
    job->nodes[5].start_at = late ? JOB_NEVER : 100;
    job_until_stage(job, 1, RN_SA_STAGE_SUM, 5 * MINUTE_MS);
    job_crash(job, 0, JOB_NEVER);
    if (late) {
        job_start_node(job, 5);
    }
    assert_true(job_run_until(job, last_knows_blame, 5 * MINUTE_MS));
    job_pass(job, 60);
    assert_true(job->nodes[5].rounds_done == 0);
    job_crash(job, 5, JOB_NEVER);
    job_start_node(job, 5);
    job_start_node(job, 0);
    job_until_stage(job, 2, RN_SA_STAGE_SUM, 5 * MINUTE_MS);
    assert_true(job_view(job).members[1].blamed);
    assert_false(job_view(job).members[5].blamed);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, options.rounds);
    job_free(job);
}

static void test_restart_with_a_proof(void **state)
{
    (void)state;
    restarts_with_proof(false);
    restarts_with_proof(true);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_behind_at_five_rounds),
        cmocka_unit_test(test_five_behind_in_linger),
        cmocka_unit_test(test_five_behind_after_the_end),
        cmocka_unit_test(test_signal_while_members_are_behind),
        cmocka_unit_test(test_idle_members_lose_their_places),
        cmocka_unit_test(test_unreadable_records_strand_nobody),
        cmocka_unit_test(test_help_is_given_once_a_second),
        cmocka_unit_test(test_help_is_not_given_for_going_back_and_forth),
        cmocka_unit_test(test_lost_message_of_an_older_connection),
        cmocka_unit_test(test_end_waits_for_who_was_here_a_moment_ago),
        cmocka_unit_test(test_end_does_not_wait_for_who_is_away),
        cmocka_unit_test(test_lost_vote_and_away_for_the_certificate),
        cmocka_unit_test(test_lost_state_is_stranded),
        cmocka_unit_test(test_lost_state_after_the_end),
        cmocka_unit_test(test_lost_state_catches_up_while_rounds_are_kept),
        cmocka_unit_test(test_lost_state_catches_up_from_memory),
        cmocka_unit_test(test_lost_state_in_the_session_under_way),
        cmocka_unit_test(test_old_copy_is_stranded_and_newest_backup_goes_on),
        cmocka_unit_test(test_abort_certificate_reaches_who_was_away),
        cmocka_unit_test(test_abort_certificate_after_a_restart),
        cmocka_unit_test(test_abort_certificate_comes_with_the_sum),
        cmocka_unit_test(test_uncertified_abort_over_a_restart),
        cmocka_unit_test(test_receipt_of_one_that_came_late),
        cmocka_unit_test(test_receipt_and_away_for_the_last_offer),
        cmocka_unit_test(test_restart_with_a_proof),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
