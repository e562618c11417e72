/* SPDX-License-Identifier: Apache-2.0
 *
 * The drawing of a share graph under a coordinator with two faces, processes that stop, disks that
 * are lost, and members that ask or lie without end.
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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 31u
#else
#define STRIDE 7u
#endif

/* ---- A coordinator with two faces */

/* Who has revealed refuses another set for that attempt, and any of an earlier one; so it does when
 * it was started again. */
static void test_two_sets_of_one_attempt(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer later = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer earlier = {0};
    struct job *job = ring_job();
    job->mute = 1u << 7;
    spend_attempts(job, 1);
    until_revealed(job, 2);
    make_set(job, 2, 0x7f, &other);
    make_set(job, 1, 0xff, &earlier);
    make_set(job, 3, 0x7f, &later);
    for (uint32_t again = 0; again < 2; again++) {
        const struct job_watch *watch = watch_of(job, 0);
        const uint32_t before = watch->events[RN_JOB_EPOCH_REFUSED];
        tell_member(job, 0, RN_EPOCH_SET, 2, rn_buffer_view(&other));
        assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], before + 1);
        assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_REPLAY);
        tell_member(job, 0, RN_EPOCH_SET, 1, rn_buffer_view(&earlier));
        assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], before + 2);
        assert_int_equal(epoch_of(job, 0)->revealed.attempt, 2);
        job->no_set = 1; /* it is told nothing that would remind it */
        job_crash(job, 0, 500);
        job_pass(job, 6000);
        assert_true(job->links[0].number != 0);
    }
    tell_member(job, 0, RN_EPOCH_SET, 3, rn_buffer_view(&later)); /* a later one it may */
    assert_int_equal(epoch_of(job, 0)->revealed.attempt, 3);
    job_pass(job, 100); /* jobdraw.c looks at what leaves */
    assert_int_equal(job->nodes[0].revealed.attempt, 3);
    job_free(job);
}

/* Two sets for two halves: neither gets all its reveals, and nobody has the graph of either. The
 * next attempt goes without those who would not reveal. */
static void test_two_halves(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    struct job *job = ring_job();
    job->no_set = 0xfc0;
    make_set(job, 1, 0x7ff, &other);
    job_pass(job, 3000);
    for (uint32_t i = 6; i < MEMBERS; i++) {
        tell_member(job, i, RN_EPOCH_SET, 1, rn_buffer_view(&other));
    }
    job_pass(job, 3000);
    const struct job_watch *watch = watch_of(job, COORDINATOR);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 5); /* 11 is not in the other set */
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_AUTH);
    job->no_set = 0; /* shown the first one now, they stay with theirs */
    for (uint32_t i = 6; i < MEMBERS; i++) {
        job_break(job, i, 100);
    }
    job_pass(job, 2000);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_REVEALS), 0);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_EPOCH_REFUSED], i >= 6 && i < 11);
    }
    job->mute = 1; /* one more, and the attempt without those five is the last */
    job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
    assert_non_null(
        strstr(watch->end_text, "2 attempt(s): site-0, site-6, site-7, site-8, site-9"));
    job_free(job);
}

/* The set reaches half of them: the others count as withholding, and are too many. */
static void test_set_sent_to_half(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->no_set = 0xfc0;
    job_until_all_end(job, RN_E_INCOMPLETE, 20 * MINUTE_MS);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text,
                           "site-6, site-7, site-8, site-9, site-10, site-11"));
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_SET), i < 6);
        assert_int_equal(job_records(job, i, RN_RECORD_EPOCH_REVEALS), 0);
    }
    job_free(job);
}

/* The reveals reach half of them: the others take no offer, and ask; when they get them, all have
 * one graph. */
static void test_reveals_sent_to_half(void **state)
{
    (void)state;
    struct job_options options = ring_calm();
    options.attempts = 30;
    struct job *job = job_directed(&options);
    job->no_reveals = 0xfc0;
    until_drawn(job);
    job_pass(job, 2000);
    assert_int_equal(job->sums, 0);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job_member_view(job, i).draws, i >= 6);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_TRAIN_BEGIN] > 0, i < 6);
        assert_int_equal(watch_of(job, i)->events[RN_JOB_OFFER_REFUSED] > 0, i >= 6);
    }
    job->no_reveals = 0;
    for (uint32_t i = 6; i < MEMBERS; i++) {
        job_break(job, i, 100);
    }
    job_pass(job, 2000);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_memory_equal(job_member_view(job, i).graph_seed, job_view(job).graph_seed,
                            RN_HASH_BYTES);
    }
    end_well(job);
    job_free(job);
}

/* Who has the seed answers no later attempt, neither with a commitment nor with a reveal. */
static void test_nothing_after_the_seed(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer later = {0};
    struct job *job = ring_job();
    job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    make_set(job, 2, 0x7f, &later);
    job_pass(job, 100);
    struct rn_participation_view before = job_member_view(job, 0);
    tell_member(job, 0, RN_EPOCH_SET, 2, rn_buffer_view(&later));
    assert_int_equal(job_member_view(job, 0).sent, before.sent);
    tell_member(job, 0, RN_EPOCH_CALL, 2, (struct rn_view){0});
    assert_true(job_member_view(job, 0).sent < before.sent + 40); /* "drawn", no entry */
    assert_memory_equal(job_member_view(job, 0).graph_seed, before.graph_seed, RN_HASH_BYTES);
    goes_on(job);
    job_free(job);
}

/* ---- Processes that stop, disks that are lost */

static bool crash_at(uint32_t place, uint64_t point, bool after_commit)
{
    struct job_options options = ring_calm();
    options.rounds = 1;
    options.own_signatures = point % 2 == 0;
    struct job *job = job_directed(&options);
    job->nodes[place].crash_in = point;
    job->nodes[place].crash_after_commit = after_commit;
    job_until_stage(job, 1, RN_SA_STAGE_SHARES, 10 * MINUTE_MS);
    const bool crashed = job->nodes[place].starts > 1;
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_REVEALS), 1);
    job_free(job);
    return crashed;
}

static void test_crashes_at_every_effect(void **state)
{
    (void)state;
    static const uint32_t places[] = {0, COORDINATOR};
    static const uint64_t least[] = {9, 40};
    static const uint64_t most[] = {50, 80}; /* the first session has begun by then */
    for (size_t p = 0; p < RN_ARRAY_LENGTH(places); p++) {
        uint64_t points = 0;
        while (points < most[p] && crash_at(places[p], points, points / STRIDE % 2 == 1)) {
            points += STRIDE;
        }
        assert_true(points > least[p]);
    }
}

/* Everybody at once, before anything else that happens: where the others stand is on their disks.
 */
static void test_all_stop_together(void **state)
{
    (void)state;
    for (uint64_t at = 100; at < 1200; at += STRIDE * 40) {
        struct job *job = ring_job();
        job_pass(job, at);
        for (uint32_t i = 0; i <= MEMBERS; i++) {
            job_crash(job, i, 500);
        }
        job_until_stage(job, 1, RN_SA_STAGE_SHARES, 10 * MINUTE_MS);
        job_free(job);
    }
}

/* Who was left out is not forgotten by a coordinator that starts again. */
static void test_left_out_survives_a_restart(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->alters = 1u << 3;
    job->mute = 1u << 4; /* so that the second attempt stands still */
    until_revealed(job, 2);
    assert_int_equal(job_view(job).graph_attempt, 2);
    job_crash(job, COORDINATOR, 1000);
    job->alters = 0; /* it would not withhold again */
    until_drawn(job);
    assert_int_equal(job_view(job).graph_attempt, 3);
    assert_true(job_view(job).members[3].outside && job_view(job).members[4].outside);
    goes_on(job);
    job_free(job);
}

/* One whose disk is lost gives the same contribution, and gets both documents again. */
static void test_member_loses_its_state(void **state)
{
    (void)state;
    for (int drawn = 0; drawn < 2; drawn++) {
        struct job *job = ring_job();
        job->mute = drawn ? 0 : 1u << 7;
        if (drawn) {
            job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
        } else {
            until_revealed(job, 1);
        }
        job_crash(job, 0, 500);
        job_pass(job, 300);
        job_empty_disk(job, 0);
        job->mute = 0;
        job_break(job, 7, 100);
        until_drawn(job);
        assert_int_equal(job_view(job).graph_attempt, 1);
        job_pass(job, 3000);
        assert_memory_equal(job_member_view(job, 0).graph_seed, job_view(job).graph_seed,
                            RN_HASH_BYTES);
        end_well(job);
        job_free(job);
    }
}

/* What Lemma 12 asks of a member is in its records: without them it reveals under a second set. */
static void test_lost_state_is_a_second_reveal(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    make_set(job, 1, 0x7f, &other);
    uint8_t first[RN_HASH_BYTES];
    memcpy(first, job->nodes[0].revealed.set_hash, sizeof(first));
    job_crash(job, 0, 500);
    job_pass(job, 300);
    job_empty_disk(job, 0);
    job->no_set = 1;
    job_pass(job, 3000);
    tell_member(job, 0, RN_EPOCH_SET, 1, rn_buffer_view(&other));
    job_pass(job, 200);
    assert_memory_not_equal(job->nodes[0].revealed.set_hash, first, sizeof(first));
    job_free(job);
}

/* A coordinator whose disk is lost calls again, and hears that there is a graph: it ends, and says
 * that its state has to be restored. One member alone cannot make it. */
static void test_coordinator_loses_its_state(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job_until_stage(job, 1, RN_SA_STAGE_READY, 5 * MINUTE_MS);
    job_pass(job, 200);
    job_crash(job, COORDINATOR, 500);
    job_pass(job, 300);
    job_empty_disk(job, COORDINATOR);
    job_pass(job, 1000);
    job_until_down(job, COORDINATOR, 5 * MINUTE_MS);
    assert_non_null(strstr(watch_of(job, COORDINATOR)->end_text, "Restore the coordinator's"));
    assert_int_equal(job_records(job, COORDINATOR, RN_RECORD_EPOCH_SET), 0);
    job_free(job);
}

static void test_one_liar_about_a_graph(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    const struct rn_epoch_message lie = {.kind = RN_EPOCH_DRAWN, .attempt = 1};
    say_to_coordinator(job, 1, &lie);
    job_pass(job, 1000);
    assert_true(job_is_up(job, COORDINATOR));
    job->mute = 0;
    job_break(job, 7, 100);
    goes_on(job);
    job_free(job);
}

/* ---- What one member may cost */

/* Every answer to a question may be two documents: a burst of them, then one every so often. */
static void test_questions_without_end(void **state)
{
    (void)state;
    struct job *job = ring_job();
    until_drawn(job);
    job_pass(job, 1000);
    const struct rn_epoch_message ask = {.kind = RN_EPOCH_ASK};
    const uint64_t before = job->order;
    for (uint32_t i = 0; i < 4 * RN_COORD_EPOCH_BURST; i++) {
        say_to_coordinator(job, 1, &ask);
    }
    assert_in_range(job->order - before, RN_COORD_EPOCH_BURST, 2 * RN_COORD_EPOCH_BURST + 8);
    goes_on(job);
    job_free(job);
}

/* Entries of others, of no attempt under way, twice, and what is no message. */
static void test_entries_that_do_not_count(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 1u << 7;
    until_revealed(job, 1);
    uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_job_epoch *epoch = rn_job_epoch_new(&job->nodes[0].basis);
    struct rn_sa_epoch_revealed revealed = {0};
    assert_true(rn_is_ok(rn_sa_epoch_reveal(&epoch->context, job->nodes[7].identity, 7,
                                            &job->nodes[COORDINATOR].coordination->epoch->job->set,
                                            &revealed, entry, NULL)));
    const struct job_watch *watch = watch_of(job, COORDINATOR);
    struct rn_epoch_message message = {RN_EPOCH_REVEAL, 1, rn_view_of(entry, sizeof(entry))};
    say_to_coordinator(job, 6, &message); /* 6 was heard: said again */
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 0);
    message.attempt = 2; /* not under way */
    say_to_coordinator(job, 7, &message);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 0);
    message.attempt = 1;
    entry[50] ^= 1; /* its signature */
    say_to_coordinator(job, 7, &message);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 1);
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_AUTH);
    message.body = rn_view_of(entry, sizeof(entry) - 1);
    say_to_coordinator(job, 7, &message);
    assert_int_equal(watch->events[RN_JOB_EPOCH_REFUSED], 2);
    assert_int_equal(watch->last[RN_JOB_EPOCH_REFUSED].outcome, RN_E_PEER_FORMAT);
    job_pass(job, 1000);
    assert_int_equal(watch->events[RN_JOB_EPOCH_VOID], 0); /* a stranger's bytes void nothing */
    assert_true(job_view(job).members[7].missing);
    rn_job_epoch_free(epoch);
    job_free(job);
}

/* Another member's good entry in a member's own name. */
static void test_entry_of_another(void **state)
{
    (void)state;
    struct job *job = ring_job();
    job->mute = 0xc0;
    revealed_under = 1;
    assert_true(job_run_until(job, others_revealed, 10 * MINUTE_MS));
    job_pass(job, 200);
    uint8_t entry[RN_SA_EPOCH_ENTRY_BYTES];
    struct rn_job_epoch *epoch = rn_job_epoch_new(&job->nodes[0].basis);
    struct rn_sa_epoch_revealed revealed = {0};
    assert_true(rn_is_ok(rn_sa_epoch_reveal(&epoch->context, job->nodes[7].identity, 7,
                                            &job->nodes[COORDINATOR].coordination->epoch->job->set,
                                            &revealed, entry, NULL)));
    const struct rn_epoch_message message = {RN_EPOCH_REVEAL, 1, rn_view_of(entry, sizeof(entry))};
    say_to_coordinator(job, 6, &message);
    assert_int_equal(watch_of(job, COORDINATOR)->events[RN_JOB_EPOCH_REFUSED], 1);
    assert_true(job_view(job).members[6].missing && job_view(job).members[7].missing);
    rn_job_epoch_free(epoch);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_sets_of_one_attempt),
        cmocka_unit_test(test_two_halves),
        cmocka_unit_test(test_set_sent_to_half),
        cmocka_unit_test(test_reveals_sent_to_half),
        cmocka_unit_test(test_nothing_after_the_seed),
        cmocka_unit_test(test_crashes_at_every_effect),
        cmocka_unit_test(test_all_stop_together),
        cmocka_unit_test(test_left_out_survives_a_restart),
        cmocka_unit_test(test_member_loses_its_state),
        cmocka_unit_test(test_lost_state_is_a_second_reveal),
        cmocka_unit_test(test_coordinator_loses_its_state),
        cmocka_unit_test(test_one_liar_about_a_graph),
        cmocka_unit_test(test_questions_without_end),
        cmocka_unit_test(test_entries_that_do_not_count),
        cmocka_unit_test(test_entry_of_another),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
