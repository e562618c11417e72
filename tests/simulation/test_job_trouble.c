/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that decline, are never there or are somebody else; an operator who ends the job; clocks
 * that jump; the rate limit of event lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "crypto/secagg/aggregator_state.h"
#include "services/federation/coordinationstate.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS UINT64_C(3600000)
#define COORDINATOR 4u

/* ---- Declining */

/* A member whose policy forbids the round says so, and counts at once: no round waits for it. The
 * operator sees who and why. It refuses what it missed as well, and publishes nothing. */
static void test_declining_member_holds_nobody(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    job_declines(job, 3);
    job_until_stage(job, 1, RN_SA_STAGE_SHARES, 6000);
    const struct rn_coordination_view view = job_view(job);
    assert_true(view.members[3].declined);
    assert_int_not_equal(view.members[3].why, RN_OK);
    assert_false(view.members[0].declined);
    assert_int_equal(watch->last[RN_JOB_MEMBER_DECLINED].peer, 4);
    assert_int_equal(watch->last[RN_JOB_MEMBER_DECLINED].outcome, view.members[3].why);
    job_until_down(job, COORDINATOR, 3 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
    assert_int_equal(watch->events[RN_JOB_MEMBER_DECLINED], options.rounds);
    assert_int_equal(watch->events[RN_JOB_ABORTED], 0);
    assert_int_equal(job->sums, options.rounds);
    assert_true(watch->at_ms[RN_JOB_ROUND] < 15000); /* of the last one */
    job_pass(job, 2000);
    assert_int_equal(job->nodes[3].result.code, RN_E_INCOMPLETE);
    assert_int_equal(job->nodes[3].watch->finals, 0);
    job_free(job);
}

/* A member that reveals false shares is named once, and offered nothing from then on, over a
 * restart of the coordinator too. No round is lost by it, and it follows to the end like one that
 * was away.
 */
static void test_liar_is_left_out(void **state)
{
    (void)state;
    struct job_options options = job_calm();
    options.members = 6;
    options.losses = 2;
    options.rounds = 8;
    struct job *job = job_directed(&options);
    const struct job_watch *watch = job->nodes[6].watch;
    job->nodes[2].mood = JOB_LIES;
    /* a false share that comes after t right ones is not looked at */
    for (uint32_t round = 2; round <= 6 && watch->events[RN_JOB_BLAMED] == 0; round++) {
        job_until_round(job, round, 5 * MINUTE_MS);
    }
    assert_int_equal(watch->events[RN_JOB_BLAMED], 1);
    assert_int_equal(watch->last[RN_JOB_BLAMED].peer, 3);
    assert_int_equal(job_records(job, 6, RN_RECORD_BLAMED), 1);
    const uint64_t trained = job->nodes[2].watch->events[RN_JOB_TRAIN_DONE];
    job_crash(job, 6, 1000);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 8);
    assert_int_equal(job->nodes[6].watch->events[RN_JOB_BLAMED], 1);
    assert_int_equal(job->nodes[2].watch->events[RN_JOB_TRAIN_DONE], trained);
    assert_int_equal(job->nodes[6].watch->events[RN_JOB_ABORTED], 0);
    job_free(job);
}

/* Of five members one complains of another's shares, which keeps its Dones or Reveals to itself:
 * where four shares of four open a secret, no sum opens. */
static struct job *new_silent_job(enum rn_sa_type withheld, uint32_t rounds)
{
    struct job_options options = job_calm();
    options.members = 5;
    options.losses = 1;
    options.rounds = rounds;
    struct job *job = job_directed(&options);
    job->nodes[0].withholds = withheld;
    job->nodes[1].mood = JOB_COMPLAINS;
    return job;
}

/* It is named each time, and left out of one round, then of two, then of four, over a restart of
 * the coordinator too: of eight rounds the first, third and sixth are lost, never two in a row. It
 * follows the others, like one that was away. */
static void test_silent_dealer_is_left_out(void **state)
{
    (void)state;
    struct job *job = new_silent_job(RN_SA_REVEAL, 8);
    const struct job_watch *watch = job->nodes[5].watch;
    job_until_round(job, 5, 20 * MINUTE_MS);
    assert_int_equal(watch->events[RN_JOB_SILENT], 2);
    assert_int_equal(watch->last[RN_JOB_SILENT].peer, 1);
    assert_int_equal(watch->last[RN_JOB_SILENT].round, 3);
    job_crash(job, 5, 1000);
    job_until_all_end(job, RN_OK, 60 * MINUTE_MS);
    assert_int_equal(job->sums, 5);
    assert_int_equal(watch->events[RN_JOB_SILENT], 3);
    assert_int_equal(watch->last[RN_JOB_SILENT].round, 6);
    assert_int_equal(watch->events[RN_JOB_SKIPPED], 3);
    assert_int_equal(watch->events[RN_JOB_BLAMED], 0);
    assert_int_equal(job_records(job, 5, RN_RECORD_SILENT), 3);
    assert_int_equal(job->nodes[0].watch->events[RN_JOB_TRAIN_DONE], 3);
    job_free(job);
}

/* Without its Done the round is called off and repeated without it; a coordinator that restarts
 * with that session in its journal counts it once. */
static void test_silence_is_counted_once(void **state)
{
    (void)state;
    struct job *job = new_silent_job(RN_SA_DONE, 3);
    const struct job_watch *watch = job->nodes[5].watch;
    while (watch->events[RN_JOB_SILENT] == 0) {
        job_pass(job, 50);
    }
    job_crash(job, 5, 100);
    job_until_all_end(job, RN_OK, 60 * MINUTE_MS);
    assert_int_equal(job->sums, 3);
    assert_int_equal(watch->events[RN_JOB_SKIPPED], 0);
    assert_int_equal(watch->events[RN_JOB_SILENT], 2);
    assert_int_equal(watch->last[RN_JOB_SILENT].round, 3); /* it was offered that one again */
    job_free(job);
}

/* Nothing is proven against it, so that it is offered the round where the others are too few. */
static void test_silent_dealer_is_needed(void **state)
{
    (void)state;
    struct job *job = new_silent_job(RN_SA_REVEAL, 8);
    const struct job_watch *watch = job->nodes[5].watch;
    while (watch->events[RN_JOB_SILENT] == 0) {
        job_pass(job, 100);
    }
    job->nodes[0].withholds = 0;
    job->nodes[1].mood = JOB_WILLING;
    job->nodes[3].mood = JOB_NEVER_THERE;
    job_crash(job, 3, JOB_NEVER);
    job_until_round(job, 3, 60 * MINUTE_MS);
    assert_int_equal(job->sums, 1);
    assert_int_equal(watch->events[RN_JOB_SILENT], 1);
    assert_int_equal(job->nodes[0].watch->events[RN_JOB_TRAIN_DONE], 2);
    job_free(job);
}

/* All decline: attempts are used up at once, and the job ends with the reason; not after hours. */
static void test_all_decline(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    for (uint32_t i = 0; i < options.members; i++) {
        job_declines(job, i);
    }
    job_until_phase(job, RN_COORDINATION_LINGER, MINUTE_MS);
    const struct rn_coordination_view view = job_view(job);
    for (uint32_t i = 0; i < options.members; i++) {
        assert_int_not_equal(view.members[i].why, RN_OK);
    }
    job_until_all_end(job, RN_E_INCOMPLETE, MINUTE_MS);
    assert_true(watch->end_ms < MINUTE_MS);
    assert_int_equal(watch->events[RN_JOB_MEMBER_DECLINED], 4 * 2 * options.attempts);
    assert_int_equal(watch->events[RN_JOB_OFFER], 2 * options.attempts);
    assert_non_null(strstr(watch->end_text, "declined"));
    job_free(job);
}

/* It declines from its second start on, and publishes no adapter that is not the newest. */
static void test_member_declines_later(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_READY, MINUTE_MS);
    job_crash(job, 3, 500);
    job_declines(job, 3);
    job_until_down(job, COORDINATOR, 3 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_OK);
    assert_int_equal(job->sums, 4);
    assert_true(job->nodes[COORDINATOR].watch->at_ms[RN_JOB_ROUND] < 20000);
    assert_true(job->nodes[COORDINATOR].watch->events[RN_JOB_MEMBER_DECLINED] > 0);
    job_pass(job, 2000); /* it has some rounds, and knows that they are not the last */
    assert_true(job->nodes[3].rounds_done > 0);
    assert_int_equal(job->nodes[3].result.code, RN_E_INCOMPLETE);
    assert_int_equal(job->nodes[3].watch->finals, 0);
    job_free(job);
}

/* A member whose policy asks for more contributors than are there learns of it after Ready, and
 * then only follows: with the others too few, every attempt is lost; the job ends all the same. */
static void test_member_with_a_higher_floor(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        const struct job_options options = job_calm();
        struct job *job = job_directed(&options);
        job->nodes[2].mood = JOB_REFUSES;
        if (!there) {
            job->nodes[3].start_at = JOB_NEVER;
        }
        job_until_all_end(job, there ? RN_OK : RN_E_INCOMPLETE, 10 * MINUTE_MS);
        assert_int_equal(job->sums, there ? 4 : 0);
        job_free(job);
    }
}

/* ---- Never there, or not itself */

static void test_member_that_is_never_there(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_all_end(job, RN_OK, MINUTE_MS);
    assert_int_equal(job->sums, 4);
    job_free(job);
}

/* Too few: nothing is offered. Before the first session that is waited for without end; later the
 * process ends, keeps what it has, and the next one goes on. */
static void test_too_few_members(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[2].start_at = job->nodes[3].start_at = JOB_NEVER;
    job_pass(job, 10 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 0);
    assert_true(job->nodes[COORDINATOR].watch->events[RN_JOB_WAITING] > 10);
    job_start_node(job, 2);
    job_until_round(job, 2, MINUTE_MS);
    job_crash(job, 2, JOB_NEVER);
    job_crash(job, 1, JOB_NEVER);
    job_until_down(job, COORDINATOR, 10 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].result.code, RN_E_INCOMPLETE);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 0);
    job_pass(job, 5000); /* the others hear of it */
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_false(job_is_up(job, i));
        job_start_node(job, i);
    }
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* The line of this peer is refused, and the one that is connected stays. */
static void expect_refused(struct job *job, uint32_t member, uint64_t connection,
                           const struct rn_wire_hello *hello, enum rn_code code)
{
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    const uint32_t before = watch->events[RN_JOB_MEMBER_REFUSED];
    const bool connected = job_view(job).members[member].connected;
    job_forge_hello(job, member, connection, hello);
    job_pass(job, 200);
    assert_int_equal(watch->events[RN_JOB_MEMBER_REFUSED], before + 1);
    assert_int_equal(watch->last[RN_JOB_MEMBER_REFUSED].outcome, code);
    assert_int_equal(job_view(job).members[member].why, code);
    assert_true(job_view(job).members[member].connected == connected);
}

/* case 32 */
static void test_greetings_that_are_refused(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job->nodes[3].start_at = JOB_NEVER;
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    struct rn_wire_hello hello = job_hello(job, 3, 1);
    hello.plan_hash.bytes[0] ^= 1;
    expect_refused(job, 3, 1000000, &hello, RN_E_CONFIG);
    hello = job_hello(job, 3, 1);
    hello.roster_hash.bytes[0] ^= 1;
    expect_refused(job, 3, 1000001, &hello, RN_E_CONFIG);
    hello = job_hello(job, 3, 1);
    hello.name[0] ^= 1;
    expect_refused(job, 3, 1000002, &hello, RN_E_PEER_AUTH);
    hello = job_hello(job, 0, 1); /* a second process with an identity that is connected */
    expect_refused(job, 0, 1000003, &hello, RN_E_PEER_REPLAY);
    job_until_all_end(job, RN_OK, MINUTE_MS);
    job_free(job);
}

/* ---- The operator ends the job */

static void read_end(struct job *job, struct rn_job_end *out, uint32_t *out_round)
{
    struct job_node *node = &job->nodes[COORDINATOR];
    const struct rn_store_options options = {.kept_kinds = 0};
    const struct rn_store_query query = {.kind = RN_RECORD_END};
    struct rn_store_record record = {0};
    struct rn_store *store = NULL;
    bool found = false;
    assert_int_equal(rn_memory_store_open(node->disk, &options, &store, NULL).code, RN_OK);
    assert_int_equal(rn_store_latest(store, &query, &record, &found, NULL).code, RN_OK);
    assert_true(found);
    assert_int_equal(rn_job_end_read(rn_buffer_view(&record.body), out, NULL).code, RN_OK);
    *out_round = record.key.round;
    rn_buffer_clear(&record.body);
    rn_store_close(&store);
}

/* Signed by the coordinator, over plan, round, code and text. */
static void check_signed(struct job *job, uint32_t expected_round)
{
    const struct rn_identity_public *key = &job->roster.coordinator;
    struct rn_job_end end;
    struct rn_error err;
    uint32_t round = 0;
    read_end(job, &end, &round);
    assert_int_equal(round, expected_round);
    assert_int_equal(end.code, RN_E_INCOMPLETE);
    assert_non_null(strstr(end.text, "budget is spent"));
    assert_int_equal(rn_job_end_verify(&end, key, job->plan.hash, round, &err).code, RN_OK);
    assert_int_not_equal(rn_job_end_verify(&end, key, job->plan.hash, round + 1, &err).code, RN_OK);
    assert_int_not_equal(rn_job_end_verify(&end, key, job->plan.roster_hash, round, &err).code,
                         RN_OK);
    assert_int_not_equal(
        rn_job_end_verify(&end, &job->roster.members[0].key, job->plan.hash, round, &err).code,
        RN_OK);
    struct rn_job_end other = end;
    other.text[0] ^= 1;
    assert_int_not_equal(rn_job_end_verify(&other, key, job->plan.hash, round, &err).code, RN_OK);
    other = end;
    other.code = RN_E_CONFIG;
    assert_int_not_equal(rn_job_end_verify(&other, key, job->plan.hash, round, &err).code, RN_OK);
}

/* In round 2, with the session at this stage: `sums` rounds are reached. */
static void abort_at(enum rn_sa_stage stage, uint32_t sums, bool crashes)
{
    struct job_options options = job_calm();
    options.training_ms = 1000;
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, stage, MINUTE_MS);
    job_abort(job, "the budget is spent");
    job_abort(job, "said twice");
    if (crashes) {
        job_pass(job, 200); /* its record is durable */
        job_crash(job, COORDINATOR, 1000);
    }
    job_until_all_end(job, RN_E_INCOMPLETE, 5 * MINUTE_MS);
    assert_int_equal(job->sums, sums);
    assert_non_null(strstr(job->nodes[COORDINATOR].watch->end_text, "budget is spent"));
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_memory_equal(job->nodes[i].final_hash, job->truth[sums].after, RN_HASH_BYTES);
        /* The crash may come behind the coordinator's: the next process writes it again. */
        const uint32_t most = crashes && i == COORDINATOR ? 2 : 1;
        assert_in_range(job->nodes[i].watch->finals, 1, most);
    }
    for (uint32_t again = 0; again < 2; again++) {
        const uint32_t offers = job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER];
        for (uint32_t i = 0; i <= options.members; i++) {
            job_start_node(job, i);
        }
        job_until_all_end(job, RN_E_INCOMPLETE, 2 * MINUTE_MS);
        assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], offers);
    }
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_END), 1);
    check_signed(job, 2);
    job_free(job);
}

static void test_operator_ends_the_job(void **state)
{
    (void)state;
    abort_at(RN_SA_STAGE_READY, 1, false);
    abort_at(RN_SA_STAGE_SHARES, 1, false);
    abort_at(RN_SA_STAGE_UPLOAD, 1, false);
}

/* A certified session brings its sum first. */
static void test_operator_ends_the_job_behind_a_certificate(void **state)
{
    (void)state;
    abort_at(RN_SA_STAGE_UNMASK, 2, false);
    abort_at(RN_SA_STAGE_SUM, 2, false);
}

/* The coordinator crashes before the session is over: the next process ends the job all the same.
 */
static void test_operators_end_survives_a_crash(void **state)
{
    (void)state;
    abort_at(RN_SA_STAGE_READY, 1, true);
    abort_at(RN_SA_STAGE_UPLOAD, 1, true);
    abort_at(RN_SA_STAGE_UNMASK, 2, true);
    abort_at(RN_SA_STAGE_SUM, 2, true);
}

/* Before any member is there. */
static void test_operator_ends_a_job_that_never_began(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    for (uint32_t i = 0; i < options.members; i++) {
        job->nodes[i].start_at = 5000;
    }
    job_pass(job, 1000);
    job_abort(job, "the budget is spent");
    job_until_all_end(job, RN_E_INCOMPLETE, 2 * MINUTE_MS);
    check_signed(job, 1);
    for (uint32_t i = 0; i <= options.members; i++) {
        assert_int_equal(job->nodes[i].watch->finals, 0);
    }
    job_free(job);
}

/* ---- Clocks */

/* A suspended machine: its time jumps an hour ahead, its connections stand. */
static void jump(uint32_t place, enum rn_sa_stage stage)
{
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, stage, MINUTE_MS);
    job->nodes[place].mono_offset += HOUR_MS;
    job->nodes[place].wall_offset += (int64_t)HOUR_MS;
    job_until_all_end(job, RN_OK, MINUTE_MS);
    assert_int_equal(job->sums, 4);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 4);
    assert_int_equal(job->nodes[COORDINATOR].watch->last[RN_JOB_ROUND].included, 4);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_NOT_WAITING], 0);
    job_free(job);
}

/* case 8 */
static void test_suspended_node_loses_no_round(void **state)
{
    (void)state;
    for (int stage = RN_SA_STAGE_READY; stage <= RN_SA_STAGE_SUM; stage++) {
        jump(COORDINATOR, (enum rn_sa_stage)stage);
        jump(0, (enum rn_sa_stage)stage);
    }
}

/* An hour passes for the others meanwhile. A coordinator that sleeps finds its members where they
 * were; a member that sleeps is done without, and catches up. */
static void test_node_that_sleeps_an_hour(void **state)
{
    (void)state;
    for (uint32_t place = 3; place <= COORDINATOR; place++) {
        const struct job_options options = job_calm();
        struct job *job = job_directed(&options);
        job_until_stage(job, 2, RN_SA_STAGE_READY, MINUTE_MS);
        job->nodes[place].asleep_until = job->now + HOUR_MS;
        const bool member = place < COORDINATOR;
        if (member) { /* its connection is found dead */
            job_pass(job, 20000);
            job_break(job, 3, HOUR_MS - 20000);
            job_until_down(job, COORDINATOR, 5 * MINUTE_MS);
            assert_int_equal(job->sums, 4);
            job_pass(job, HOUR_MS);
            job_start_node(job, COORDINATOR);
        }
        job_until_all_end(job, RN_OK, 2 * HOUR_MS);
        assert_int_equal(job->sums, 4);
        assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 4);
        job_free(job);
    }
}

/* case 8. Wall clocks jump by days, forward and back: nothing depends on them. */
static void test_wall_clock_means_nothing(void **state)
{
    (void)state;
    uint64_t ended[2] = {0};
    uint8_t hash[2][RN_HASH_BYTES];
    for (int jumps = 0; jumps < 2; jumps++) {
        const struct job_options options = job_calm();
        struct job *job = job_directed(&options);
        for (uint32_t second = 1; second < 30; second++) {
            job_pass(job, 1000);
            for (uint32_t i = 0; i <= options.members && jumps; i++) {
                job->nodes[i].wall_offset =
                    (second + i) % 2 == 0 ? (int64_t)(48 * HOUR_MS) : -(int64_t)(48 * HOUR_MS);
            }
        }
        job_until_all_end(job, RN_OK, MINUTE_MS);
        ended[jumps] = job->nodes[COORDINATOR].watch->end_ms;
        memcpy(hash[jumps], job->nodes[0].final_hash, RN_HASH_BYTES);
        job_free(job);
    }
    assert_int_equal(ended[0], ended[1]);
    assert_memory_equal(hash[0], hash[1], RN_HASH_BYTES);
}

/* ---- Evidence */

/* Another Ready of member 0, signed with its key, while the first one stands. */
static void sign_second_ready(struct job *job)
{
    struct rn_coordination *machine = job->nodes[COORDINATOR].coordination;
    const struct rn_buffer *first = &machine->session.machine->inbox[RN_SA_READY][0];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer second = {0};
    struct rn_sa_message m;
    uint8_t body[RN_SA_READY_BODY];
    assert_int_equal(rn_sa_message_parse(rn_buffer_view(first), &m, NULL).code, RN_OK);
    memcpy(body, m.body.data, sizeof(body));
    body[0] ^= 1;
    job_sign_again(&job->nodes[0], &m, rn_view_of(body, sizeof(body)), &second);
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG,
                                              .as.secagg = rn_buffer_view(&second)};
    job_forge(job, 0, job->links[0].number, &envelope);
}

static void check_evidence(struct job *job)
{
    const struct rn_job_evidence evidence = job_view(job).evidence;
    assert_int_equal(evidence.documents, 1);
    assert_int_equal(evidence.round, 2);
    assert_false(evidence.coordinator);
    assert_int_equal(rn_sa_set_count(&evidence.members), 1);
    assert_true(rn_sa_set_has(&evidence.members, 0));
}

/* It is durable before it is told, and the next process knows it. */
static void test_evidence_is_kept(void **state)
{
    (void)state;
    const struct job_options options = job_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_SHARES, MINUTE_MS);
    assert_int_equal(job_view(job).evidence.documents, 0);
    sign_second_ready(job);
    while (job->nodes[COORDINATOR].watch->events[RN_JOB_EVIDENCE] == 0) {
        job_pass(job, 1);
    }
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EVIDENCE), 1);
    check_evidence(job);
    job_crash(job, COORDINATOR, 500);
    job_pass(job, 2000);
    check_evidence(job);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EVIDENCE), 1);
    job_free(job);
}

/* ---- Event lines */

static void test_event_lines_are_limited(void **state)
{
    (void)state;
    for (int kind = 0; kind < RN_JOB_EVENTS; kind++) {
        const uint32_t limit = rn_job_event_row((enum rn_job_event_kind)kind)->lines_per_minute;
        struct rn_job_event_limit *seen = rn_alloc(1, sizeof(*seen));
        struct rn_job_event event = {.kind = (enum rn_job_event_kind)kind, .peer = 1};
        const uint32_t lines = limit == 0 ? 1000 : limit;
        uint32_t dropped = 9;
        for (uint32_t i = 0; i < lines; i++) {
            assert_true(rn_job_event_admit(seen, &event, 5000 + i, &dropped));
            assert_int_equal(dropped, 0);
        }
        if (limit > 0) {
            assert_false(rn_job_event_admit(seen, &event, 5000 + limit, &dropped));
            assert_false(rn_job_event_admit(seen, &event, 5000 + 59999, &dropped));
            event.peer = RN_SA_MEMBERS_MAX; /* another peer has a limit of its own */
            assert_true(rn_job_event_admit(seen, &event, 5000 + 59999, &dropped));
            event.peer = 1;
            assert_true(rn_job_event_admit(seen, &event, 5000 + 60000, &dropped));
            assert_int_equal(dropped, 2);
            for (uint32_t i = 1; i < limit; i++) {
                assert_true(rn_job_event_admit(seen, &event, 5000 + 60000, &dropped));
                assert_int_equal(dropped, 0);
            }
            assert_false(rn_job_event_admit(seen, &event, 5000 + 60000, &dropped));
        }
        rn_free(seen);
    }
}

/* What a peer may cause has a limit; the alarms too. */
static void test_peer_events_have_a_limit(void **state)
{
    (void)state;
    for (int kind = 0; kind < RN_JOB_EVENTS; kind++) {
        const struct rn_job_event_row *row = rn_job_event_row((enum rn_job_event_kind)kind);
        if ((row->fields & RN_JOB_F_PEER) != 0 && row->level >= RN_JOB_INFO) {
            assert_in_range(row->lines_per_minute, 1, 60);
        }
    }
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declining_member_holds_nobody),
        cmocka_unit_test(test_liar_is_left_out),
        cmocka_unit_test(test_silent_dealer_is_left_out),
        cmocka_unit_test(test_silence_is_counted_once),
        cmocka_unit_test(test_silent_dealer_is_needed),
        cmocka_unit_test(test_all_decline),
        cmocka_unit_test(test_member_declines_later),
        cmocka_unit_test(test_member_with_a_higher_floor),
        cmocka_unit_test(test_member_that_is_never_there),
        cmocka_unit_test(test_too_few_members),
        cmocka_unit_test(test_greetings_that_are_refused),
        cmocka_unit_test(test_operator_ends_the_job),
        cmocka_unit_test(test_operator_ends_the_job_behind_a_certificate),
        cmocka_unit_test(test_operators_end_survives_a_crash),
        cmocka_unit_test(test_operator_ends_a_job_that_never_began),
        cmocka_unit_test(test_suspended_node_loses_no_round),
        cmocka_unit_test(test_node_that_sleeps_an_hour),
        cmocka_unit_test(test_wall_clock_means_nothing),
        cmocka_unit_test(test_evidence_is_kept),
        cmocka_unit_test(test_event_lines_are_limited),
        cmocka_unit_test(test_peer_events_have_a_limit),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
