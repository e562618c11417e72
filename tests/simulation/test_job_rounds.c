/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole jobs in which nobody crashes: rounds, records, publications, what a slow store changes, and
 * how a lost round ends or does not end a job.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/federation/coordinationstate.h"
#include "services/round/roundsession.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)

static void test_calm_jobs_end_well(void **state)
{
    (void)state;
    for (int method = RN_METHOD_ROLORA; method <= RN_METHOD_FEDAVG_LORA; method++) {
        struct job_options options = job_calm();
        options.method = (enum rn_plan_method)method;
        options.head = RN_PLAN_HEAD_FEDERATED;
        struct job *job = job_directed(&options);
        job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
        assert_int_equal(job->sums, 4);
        assert_int_equal(job->skips, 0);
        assert_int_equal(job->nodes[4].watch->events[RN_JOB_OFFER], 4);
        job_free(job);
    }
}

/* Jobs without trouble wait for nobody: training and network are all that takes time. */
static void test_calm_job_is_quick(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 30000);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_NOT_WAITING], 0);
    job_free(job);
}

/* Sites are started by hand: the first session waits a while for the last one. */
static void test_first_session_waits_for_the_last_member(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 1;
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = 3500;
    job_until_all_end(job, RN_OK, MINUTE_MS);
    assert_int_equal(job->nodes[4].watch->last[RN_JOB_OFFER].present, 4);
    assert_int_equal(job->nodes[4].watch->last[RN_JOB_ROUND].included, 4);
    job_free(job);
}

/* The start and each round's adapter are published once, and final once, by everybody who should.
 */
static void test_each_adapter_is_published_once(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    const struct job_watch *coordinator = job->nodes[4].watch;
    for (uint32_t round = 0; round <= options.rounds; round++) {
        assert_int_equal(coordinator->published[round], 1);
        assert_int_equal(job_records_of_round(job, 4, RN_RECORD_METRICS, round), 1);
    }
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_int_equal(job->nodes[i].watch->finals, 1);
    }
    job_free(job);
}

/* A worker that is slower than the rounds: sessions wait for it, its queue stays short, and no
 * adapter is left out. */
static void test_slow_publications_hold_the_next_session(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 10;
    options.training_ms = 100;
    options.publish_ms = 20000;
    struct job *job = job_directed(&options);
    while (!job->nodes[4].ended) {
        job_pass(job, 250);
        assert_true(job->nodes[4].publish_count <= 5); /* four, and one of the session under way */
        assert_true(job->now < 20 * MINUTE_MS);
    }
    job_until_all_end(job, RN_OK, MINUTE_MS);
    for (uint32_t round = 0; round <= options.rounds; round++) {
        assert_int_equal(job->nodes[4].watch->published[round], 1);
    }
    job_free(job);
}

/* Every commit takes two seconds and more; what leaves a node is in its durable records all the
 * same (jobcheck.c looks at each message), and no connection and no round is lost over it. */
static void test_store_with_slow_commits(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.commit_min_ms = 2000;
    options.commit_ms = 500;
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_MEMBER_LOST], 0);
    job_free(job);
}

/* ---- Whole vectors */

static uint32_t rounds_kept(struct job *job)
{
    uint32_t rounds = 0;
    for (uint32_t round = 1; round <= job->options.rounds; round++) {
        rounds += job_records_of_round(job, job->coordinator, RN_RECORD_AGGREGATOR, round) > 0;
    }
    return rounds;
}

static void test_vectors_go_when_all_have_receipts(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 6;
    struct job *job = job_directed(&options);
    while (!job->nodes[4].ended) {
        job_pass(job, 100);
        assert_true(rounds_kept(job) <= 2); /* the one under way, and the one before */
        assert_true(job->now < 10 * MINUTE_MS);
    }
    assert_int_equal(rounds_kept(job), 0);
    job_until_all_end(job, RN_OK, MINUTE_MS);
    job_free(job);
}

/* A member is away from round 2 on: what it lacks stays, until it has it. */
static void test_vectors_stay_while_one_member_lacks_them(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 6;
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job_crash(job, 3, JOB_NEVER);
    job_until_round(job, 6, 5 * MINUTE_MS);
    const uint32_t from = job->nodes[3].rounds_done + 1;
    assert_in_range(from, 1, 2);
    for (uint32_t round = from; round <= 5; round++) {
        assert_true(job_records_of_round(job, 4, RN_RECORD_AGGREGATOR, round) > 0);
    }
    job_start_node(job, 3);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 6);
    assert_int_equal(rounds_kept(job), 0);
    job_free(job);
}

/* The same under a limit of two rounds' vectors: the older ones go, which is said, and the member
 * is told that it sits the rest of the job out. */
static void vectors_under_a_limit(uint64_t bytes, uint32_t rounds)
{
    struct job_options options = job_calm();
    options.rounds = 8; /* more than the sessions that are held in memory */
    options.kept_bytes = bytes;
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job_crash(job, 3, JOB_NEVER);
    job->stranded = 1u << 3; /* so that the simulation lets its vectors go */
    job_until_round(job, 8, 5 * MINUTE_MS);
    job_pass(job, 100); /* what follows from it is durable */
    for (uint32_t round = 1; round <= 7; round++) {
        assert_true((job_records_of_round(job, 4, RN_RECORD_AGGREGATOR, round) > 0) ==
                    (round + rounds > 7));
    }
    assert_true(job->nodes[4].watch->events[RN_JOB_SUMS_DROPPED] > 0);
    job_start_node(job, 3);
    while (!job->nodes[4].ended || !job->nodes[3].ended) {
        job_pass(job, 100);
        assert_true(job->now < 10 * MINUTE_MS);
    }
    assert_int_equal(job->sums, 8);
    assert_int_equal(job->nodes[3].result.code, RN_E_INCOMPLETE);
    assert_int_equal(job->nodes[3].watch->finals, 0);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_MEMBER_STRANDED], 1);
    job_free(job);
}

/* Masked sum and sum of a round. */
static uint64_t vectors_of(uint32_t round)
{
    const struct job_options options = job_calm();
    const uint8_t hash[RN_HASH_BYTES] = {0};
    struct job *job = job_directed(&options);
    struct rn_round_model model;
    struct rn_sa_params params;
    struct rn_sa_context context;
    struct rn_sa_layout layout;
    job_model_init(job, &model);
    assert_int_equal(rn_round_session(&model, &job->plan, &job->roster, hash, round, 1, round - 1,
                                      hash, &params, &context, NULL)
                         .code,
                     RN_OK);
    rn_sa_layout_init(&layout, &params, &context);
    rn_round_model_clear(&model);
    job_free(job);
    return 2 * rn_sa_layout_vector_bytes(&layout);
}

static void test_vectors_have_a_limit(void **state)
{
    (void)state;
    const uint64_t two = vectors_of(1) + vectors_of(2);
    vectors_under_a_limit(two, 2);
    vectors_under_a_limit(two - 1, 1);
    vectors_under_a_limit(1, 1); /* the newest sum is kept in any case */
}

/* One that was never seen since the coordinator started may lack all of them. */
static void test_vectors_stay_for_members_not_seen_since_a_restart(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_round(job, 3, 5 * MINUTE_MS);
    job_crash(job, 4, 1000);
    job_until_round(job, 4, 5 * MINUTE_MS);
    for (uint32_t round = 1; round <= 3; round++) {
        assert_true(job_records_of_round(job, 4, RN_RECORD_AGGREGATOR, round) > 0);
    }
    job_start_node(job, 3);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(rounds_kept(job), 0);
    job_free(job);
}

/* The other kinds of whole vectors: a node keeps one adapter, the last. */
static void test_old_adapters_and_sessions_go(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 8;
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    for (uint32_t i = 0; i <= options.members; i++) {
        for (uint32_t round = 1; round < 7; round++) {
            assert_int_equal(job_records_of_round(job, i, RN_RECORD_ADAPTER, round), 0);
        }
        assert_int_equal(job_records_of_round(job, i, RN_RECORD_ADAPTER, 8), 1);
        assert_int_equal(job_records_of_round(job, i, RN_RECORD_MEMBER, 3), 0);
    }
    for (uint32_t round = 1; round <= 8; round++) { /* the ledger is for ever */
        assert_true(job_records_of_round(job, 0, RN_RECORD_SPENT, round) > 0);
    }
    job_free(job);
}

/* ---- Lost rounds */

/* Nobody can train in round 2: it is skipped after its attempts, RoLoRA goes on with the other
 * matrix, and every console counts it at the end. */
static void test_skipped_rounds_are_counted(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_round(job, 3, 5 * MINUTE_MS);
    job->options.train_percent = 0;
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 3);
    assert_int_equal(job->skips, 1);
    assert_int_equal(job_records_of_round(job, 4, RN_RECORD_RESULT, 2), 1);
    for (uint32_t i = 0; i <= options.members; i++) {
        const struct rn_job_event *end = &job->nodes[i].watch->last[RN_JOB_ENDED];
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_ENDED], 1);
        assert_int_equal(end->summed, 3);
        assert_int_equal(end->skipped, 1);
    }
    /* as many attempts as the plan allows, and no more */
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_OFFER], 3 + options.attempts);
    job_free(job);
}

/* After a lost round nobody is behind: one that trains for longer than a member may be away is
 * waited for as in any round. */
static void test_slow_member_after_a_lost_round(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    struct job_node *slow = &job->nodes[3];
    job_until_round(job, 2, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_round(job, 3, 5 * MINUTE_MS);
    job->options.train_percent = 0;
    for (int i = 0; i < 6000 && !(slow->training && slow->train.round == 3); i++) {
        job_pass(job, 10);
    }
    assert_true(slow->training && slow->train.round == 3);
    slow->train_at = job->now + RN_COORD_ABSENT_MS + 5000; /* and within the soft time-out */
    job_until_round(job, 4, 5 * MINUTE_MS);
    assert_int_equal(job->skips, 1);
    assert_int_equal(job->nodes[4].watch->last[RN_JOB_ROUND].included, options.members);
    job_free(job);
}

/* The last round is lost: the adapter of the round before is the final one, at the members too. */
static void test_last_round_skipped(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 3;
    struct job *job = job_directed(&options);
    job_until_round(job, 3, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 2);
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_int_equal(job->nodes[i].watch->last[RN_JOB_ENDED].skipped, 1);
    }
    job_free(job);
}

/* Two lost rounds in a row from one adapter: no matrix is left to go on with. */
static void test_two_lost_rounds_end_the_job(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_round(job, 2, MINUTE_MS);
    job->options.train_percent = 100;
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 1);
    assert_int_equal(job->skips, 2);
    assert_int_equal(job_records(job, 4, RN_RECORD_END), 1);
    for (uint32_t i = 0; i <= options.members; i++) { /* what was reached is published */
        assert_true(job->nodes[i].final_published);
        assert_memory_equal(job->nodes[i].final_hash, job->truth[1].after, RN_HASH_BYTES);
    }
    job_free(job);
}

/* A sum between two lost rounds: they are not two in a row. */
static void test_lost_rounds_apart_do_not_end_the_job(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.rounds = 5;
    struct job *job = job_directed(&options);
    for (uint32_t round = 2; round <= 4; round += 2) {
        job_until_round(job, round, 5 * MINUTE_MS);
        job->options.train_percent = 100;
        job_until_round(job, round + 1, 5 * MINUTE_MS);
        job->options.train_percent = 0;
    }
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 3);
    assert_int_equal(job->skips, 2);
    job_free(job);
}

/* FFA-LoRA and FedAvg-LoRA have no other matrix: one lost round ends the job. */
static void test_other_methods_end_with_one_lost_round(void **state)
{
    (void)state;
    for (int method = RN_METHOD_ROLORA + 1; method <= RN_METHOD_FEDAVG_LORA; method++) {
        struct job_options options = job_calm();
        options.method = (enum rn_plan_method)method;
        struct job *job = job_directed(&options);
        job_until_round(job, 2, MINUTE_MS);
        job->options.train_percent = 100;
        job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
        assert_int_equal(job->skips, 1);
        job_free(job);
    }
}

/* Nobody can train in that round: it is skipped, and nothing of it is spent. */
static void skip_unspent(struct job *job, uint32_t round)
{
    job_until_round(job, round, 20 * MINUTE_MS);
    job->options.train_percent = 100;
    job_until_round(job, round + 1, 20 * MINUTE_MS);
    job->options.train_percent = 0;
}

/* The coordinator goes down before round 3 is offered, or while its session, or that of the round
 * behind it, runs. */
enum restart { NO_RESTART, BEFORE_ROUND_3, IN_ROUND_3, IN_ROUND_4 };

static void restart_at(struct job *job, enum restart restart)
{
    if (restart == BEFORE_ROUND_3) {
        job_until_round(job, 3, 20 * MINUTE_MS);
    } else if (restart != NO_RESTART) {
        job_until_stage(job, restart == IN_ROUND_3 ? 3 : 4, RN_SA_STAGE_SHARES, 20 * MINUTE_MS);
        job_pass(job, 500); /* its records are durable */
    }
    if (restart != NO_RESTART) {
        job_crash(job, job->coordinator, 1000);
    }
    if (restart == BEFORE_ROUND_3) { /* round 2 counts once, and not again when it is finished */
        job_until_stage(job, 3, RN_SA_STAGE_READY, 20 * MINUTE_MS);
        assert_int_equal(job->nodes[job->coordinator].coordination->row.rounds, 1);
    }
}

/* Sums that leave the adapter as it is, and what follows: their updates are spent, so that what is
 * part of the next round too may not be sent again from the same adapter. Nothing is offered that
 * all would decline, what was skipped unspent is, and the coordinator knows it after a restart. */
static void test_sums_that_change_nothing(void **state)
{
    (void)state;
    static const struct {
        enum rn_plan_method method;
        enum rn_plan_head head;
        uint32_t still;
        uint32_t skipped; /* a round; 0: none */
        uint32_t last;    /* of six rounds; before the sixth: the job ends there */
        enum restart restart;
    } rows[] = {
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 2, 0, 6, NO_RESTART},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 2 | 1u << 4, 0, 6, NO_RESTART},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 2 | 1u << 3, 0, 3, NO_RESTART},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 2 | 1u << 3, 0, 3, BEFORE_ROUND_3},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 2 | 1u << 3, 0, 3, IN_ROUND_3},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 3, 2, 6, NO_RESTART},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 3, 2, 6, IN_ROUND_3},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FROZEN, 1u << 3 | 1u << 4, 2, 4, IN_ROUND_4},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FEDERATED, 1u << 2, 0, 2, NO_RESTART},
        {RN_METHOD_FFA_LORA, RN_PLAN_HEAD_FROZEN, 1u << 3, 0, 3, NO_RESTART},
        {RN_METHOD_ROLORA, RN_PLAN_HEAD_FEDERATED, 1u << 6, 0, 6, NO_RESTART},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(rows); k++) {
        struct job_options options = job_calm();
        options.rounds = 6;
        options.method = rows[k].method;
        options.head = rows[k].head;
        options.still = rows[k].still;
        struct job *job = job_directed(&options);
        const struct job_watch *watch = job->nodes[job->coordinator].watch;
        if (rows[k].skipped != 0) {
            skip_unspent(job, rows[k].skipped);
        }
        const uint32_t aborted = watch->events[RN_JOB_ABORTED];
        const uint32_t declined = watch->events[RN_JOB_MEMBER_DECLINED];
        restart_at(job, rows[k].restart);
        job_until_all_end(job, rows[k].last == 6 ? RN_OK : RN_E_INCOMPLETE, 60 * MINUTE_MS);
        assert_int_equal(job->newest, rows[k].last);
        assert_int_equal(job->sums, rows[k].last - (rows[k].skipped != 0));
        assert_int_equal(watch->events[RN_JOB_ABORTED], aborted);
        assert_int_equal(watch->events[RN_JOB_MEMBER_DECLINED], declined);
        assert_true(rows[k].last == 6 || strstr(watch->end_text, "changed nothing") != NULL);
        assert_int_equal(job_records(job, job->coordinator, RN_RECORD_END), rows[k].last < 6);
        job_free(job);
    }
}

/* case 19. Updates were sent, and the members that could certify the end of the attempt stay away:
 * no second session of the round is offered (A9), whoever comes back. */
static void test_spent_round_is_not_offered_again(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_VOTE, MINUTE_MS);
    const uint32_t offers = job->nodes[4].watch->events[RN_JOB_OFFER];
    for (uint32_t i = 1; i < 4; i++) {
        job_crash(job, i, 80000);
    }
    job_until_round(job, 3, 5 * MINUTE_MS);
    job_pass(job, 1000);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_OFFER], offers);
    assert_int_equal(job->nodes[4].watch->events[RN_JOB_SKIPPED], 1);
    assert_string_equal(job->nodes[4].watch->text[RN_JOB_ABORTED], "not repeatable");
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 3);
    job_free(job);
}

/* No round gave a sum: nothing is published, by nobody. */
static void test_nothing_untrained_is_published(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->options.train_percent = 100;
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 0);
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_int_equal(job->nodes[i].watch->finals, 0);
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_ENDED], 1);
    }
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calm_jobs_end_well),
        cmocka_unit_test(test_calm_job_is_quick),
        cmocka_unit_test(test_first_session_waits_for_the_last_member),
        cmocka_unit_test(test_each_adapter_is_published_once),
        cmocka_unit_test(test_slow_publications_hold_the_next_session),
        cmocka_unit_test(test_store_with_slow_commits),
        cmocka_unit_test(test_vectors_go_when_all_have_receipts),
        cmocka_unit_test(test_vectors_stay_while_one_member_lacks_them),
        cmocka_unit_test(test_vectors_have_a_limit),
        cmocka_unit_test(test_vectors_stay_for_members_not_seen_since_a_restart),
        cmocka_unit_test(test_old_adapters_and_sessions_go),
        cmocka_unit_test(test_skipped_rounds_are_counted),
        cmocka_unit_test(test_slow_member_after_a_lost_round),
        cmocka_unit_test(test_last_round_skipped),
        cmocka_unit_test(test_two_lost_rounds_end_the_job),
        cmocka_unit_test(test_lost_rounds_apart_do_not_end_the_job),
        cmocka_unit_test(test_other_methods_end_with_one_lost_round),
        cmocka_unit_test(test_sums_that_change_nothing),
        cmocka_unit_test(test_spent_round_is_not_offered_again),
        cmocka_unit_test(test_nothing_untrained_is_published),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
