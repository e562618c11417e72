/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that start with their own signature of the plan and the coordinator's: what the
 * coordinator delivers, what it withholds, and that nothing is trained or said before a member's
 * policy has what it asks for (jobcheck.c and jobnode.c look at each disk, whatever the test).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define COORDINATOR 4u
#define OWN(member) (1u << (member) | 1u << COORDINATOR)

static struct job_options unsigned_calm(void)
{
    struct job_options options = job_calm();
    options.own_signatures = true;
    return options;
}

static uint32_t trainings(const struct job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        count += job->nodes[i].watch->events[RN_JOB_TRAIN_BEGIN];
    }
    return count;
}

static uint32_t waiting(struct job *job)
{
    const struct rn_coordination_view view = job_view(job);
    uint32_t count = 0;
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        count += view.members[i].waits;
    }
    return count;
}

static void collect(struct job *job, uint32_t signers)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    job_signatures_text(job, signers, &text);
    job_tell_signatures(job, COORDINATOR, rn_buffer_view(&text));
}

/* No attempt is spent on members that wait, and each ends with the whole set on its disk. */
static void test_delivered_at_the_greeting(void **state)
{
    (void)state;
    const struct job_options options = unsigned_calm();
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    assert_int_equal(watch->events[RN_JOB_OFFER], 4);
    assert_int_equal(watch->events[RN_JOB_MEMBER_DECLINED], 0);
    assert_int_equal(watch->events[RN_JOB_MEMBER_WAITS], 0); /* the operator has nothing to do */
    assert_int_equal(watch->events[RN_JOB_MEMBER_READY], 4);
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        assert_true(rn_view_equal(rn_buffer_view(&job->nodes[i].signatures),
                                  rn_buffer_view(&job->nodes[COORDINATOR].signatures)));
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_SIGNATURES], 1);
    }
    job_free(job);
}

/* What a member hears again when it waits no longer comes before the session begins, not in the
 * middle of it, where it would send its upload once more. */
static void test_welcomed_again_before_the_session(void **state)
{
    (void)state;
    struct job_options options = unsigned_calm();
    options.rounds = 1;
    struct job *job = job_directed(&options);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        const struct job_watch *watch = job->nodes[i].watch;
        assert_int_equal(watch->events[RN_JOB_WELCOME], 2);
        assert_true(watch->at_ms[RN_JOB_WELCOME] < watch->at_ms[RN_JOB_OFFER]);
    }
    job_free(job);
}

/* Once it is on the disk nobody waits, whatever the coordinator does. */
static void test_restart_with_a_full_set(void **state)
{
    (void)state;
    const struct job_options options = unsigned_calm();
    struct job *job = job_directed(&options);
    job_until_stage(job, 2, RN_SA_STAGE_READY, MINUTE_MS);
    const uint32_t waits = job->nodes[1].watch->events[RN_JOB_POLICY_WAITS];
    job_crash(job, 1, 500);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    assert_int_equal(job->nodes[1].starts, 2);
    assert_int_equal(job->nodes[1].watch->events[RN_JOB_POLICY_WAITS], waits);
    assert_int_equal(job->sums, 4);
    job_free(job);
}

/* The operator collects later than everybody starts: they wait as long as it takes. */
static void test_collected_later(void **state)
{
    (void)state;
    struct job_options options = unsigned_calm();
    options.collect_ms = 60 * MINUTE_MS;
    struct job *job = job_directed(&options);
    job_pass(job, 50 * MINUTE_MS);
    assert_int_equal(waiting(job), 4);
    assert_int_equal(trainings(job), 0);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_OFFER], 0);
    const char *told = job->nodes[COORDINATOR].watch->text[RN_JOB_WAITING];
    assert_non_null(strstr(told, "site-0, site-1, site-2, site-3 wait for signatures"));
    assert_non_null(strstr(told, "not collected yet: site-0, site-1, site-2, site-3"));
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_SIGNATURES], 0);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_MEMBER_WAITS], 4);
    job_until_all_end(job, RN_OK, 15 * MINUTE_MS);
    assert_int_equal(job->nodes[COORDINATOR].watch->events[RN_JOB_SIGNATURES], 1);
    assert_int_equal(job->sums, 4);
    job_free(job);
}

/* It has them and offers, but sends none: here, one that neither has them nor hears who waits.
 * Every offer is refused, nobody trains, and the job ends with the reason. */
static void test_withheld_for_ever(void **state)
{
    (void)state;
    struct job_options options = unsigned_calm();
    options.collect_ms = JOB_NEVER;
    struct job *job = job_directed(&options);
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    job->deaf = true;
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    job_until_phase(job, RN_COORDINATION_LINGER, 60 * MINUTE_MS);
    assert_true(watch->events[RN_JOB_MEMBER_DECLINED] >= 4);
    assert_int_equal(watch->last[RN_JOB_MEMBER_DECLINED].outcome, RN_E_REFUSED);
    job_until_all_end(job, RN_E_INCOMPLETE, 60 * MINUTE_MS);
    assert_int_equal(trainings(job), 0);
    assert_int_equal(job->sums, 0);
    assert_non_null(strstr(watch->end_text, "declined"));
    job_free(job);
}

/* A file for another plan, or with a signature that does not hold, or none at all. */
static void test_bad_files_change_nothing(void **state)
{
    (void)state;
    struct job_options options = unsigned_calm();
    options.collect_ms = JOB_NEVER;
    struct job *job = job_directed(&options);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const struct job_watch *watch = job->nodes[COORDINATOR].watch;
    job_pass(job, MINUTE_MS);
    collect(job, OWN(0) | OWN(1));
    job_signatures_text(job, 31, &text);
    text.data[text.length - 2] = text.data[text.length - 2] == '0' ? '1' : '0';
    job_tell_signatures(job, COORDINATOR, rn_buffer_view(&text));
    job->plan.hash[0] ^= 1;
    collect(job, 31);
    job->plan.hash[0] ^= 1;
    job_tell_signatures(job, COORDINATOR, rn_view_text("rondo-signatures 1\n"));
    assert_int_equal(watch->events[RN_JOB_SIGNATURES_REFUSED], 3);
    job_pass(job, MINUTE_MS);
    const struct rn_coordination_view view = job_view(job);
    assert_true(view.signers.members[0] && view.signers.members[1]);
    assert_int_equal(view.signers.member_count, 2);
    assert_int_equal(waiting(job), 4);
    for (uint32_t i = 0; i < COORDINATOR; i++) { /* and members heard nothing of it */
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_SIGNATURES_REFUSED], 0);
    }
    collect(job, OWN(2) | OWN(3)); /* added to what is held, not in its place */
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

/* One asks for a signature that the others do not: they go on without it, the operator sees whom it
 * is that waits, and it takes part from when that signature is there. */
static void test_one_policy_asks_for_more(void **state)
{
    (void)state;
    struct job_options options = unsigned_calm();
    options.collect_ms = JOB_NEVER;
    options.rounds = 8;
    struct job *job = job_directed(&options);
    for (uint32_t i = 0; i < COORDINATOR; i++) {
        job->nodes[i].policy.plan.signers = i == 2 ? 4 : 3;
    }
    job_pass(job, 2000);
    collect(job, OWN(0) | OWN(1) | OWN(2)); /* site-3 has its own beside them */
    job_until_round(job, 3, 5 * MINUTE_MS);
    assert_int_equal(waiting(job), 1);
    assert_true(job_view(job).members[2].waits);
    assert_int_equal(job->nodes[2].watch->events[RN_JOB_TRAIN_BEGIN], 0);
    assert_true(job->sums >= 2);
    collect(job, OWN(3));
    job_until_all_end(job, RN_OK, 30 * MINUTE_MS);
    assert_true(job->nodes[2].watch->events[RN_JOB_TRAIN_BEGIN] > 0);
    assert_int_equal(job->sums, 8);
    job_free(job);
}

/* Takes the signatures that are on their way off the wire, as if there had been no room. */
static uint32_t drop_signatures(struct job *job)
{
    uint32_t dropped = 0;
    for (size_t i = job->packet_count; i-- > 0;) {
        struct job_packet *packet = &job->packets[i];
        struct rn_wire_envelope envelope;
        if (packet->bulk || packet->to == COORDINATOR ||
            !rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(&packet->bytes), &envelope, NULL)) ||
            envelope.body != RN_WIRE_SIGNATURES) {
            continue;
        }
        job->links[packet->to].dropped = true;
        rn_buffer_clear(&packet->bytes);
        *packet = job->packets[--job->packet_count];
        dropped++;
    }
    return dropped;
}

static void test_lost_delivery_is_repeated(void **state)
{
    (void)state;
    struct job_options options = unsigned_calm();
    options.collect_ms = JOB_NEVER;
    struct job *job = job_directed(&options);
    job_pass(job, MINUTE_MS);
    collect(job, 31);
    assert_int_equal(drop_signatures(job), 4);
    job_until_all_end(job, RN_OK, 5 * MINUTE_MS);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivered_at_the_greeting),
        cmocka_unit_test(test_welcomed_again_before_the_session),
        cmocka_unit_test(test_restart_with_a_full_set),
        cmocka_unit_test(test_collected_later),
        cmocka_unit_test(test_withheld_for_ever),
        cmocka_unit_test(test_bad_files_change_nothing),
        cmocka_unit_test(test_one_policy_asks_for_more),
        cmocka_unit_test(test_lost_delivery_is_repeated),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
