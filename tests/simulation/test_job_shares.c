/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of shares leave the coordinator a few at a time, whether members answer or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "crypto/secagg/envelope.h"
#include "services/federation/coordinationstate.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define MEMBERS 8u
#define COORDINATOR MEMBERS

static struct job *new_job(uint64_t share_bytes)
{
    struct job_options options = job_calm();
    options.members = MEMBERS;
    options.losses = 2;
    options.rounds = 2;
    options.share_bytes = share_bytes;
    return job_directed(&options);
}

struct flight {
    uint32_t most; /* sets on the network at once */
    size_t largest;
};

static struct flight flight;

static bool is_share_set(const struct job_packet *packet, size_t *out_bytes)
{
    struct rn_wire_envelope envelope;
    struct rn_sa_message message;
    const bool good =
        packet->from == COORDINATOR && !packet->bulk &&
        rn_is_ok(rn_wire_envelope_decode(rn_buffer_view(&packet->bytes), &envelope, NULL)) &&
        envelope.body == RN_WIRE_SECAGG &&
        rn_is_ok(rn_sa_message_parse(envelope.as.secagg, &message, NULL)) &&
        message.type == RN_SA_SHARES_SET;
    *out_bytes = good ? envelope.as.secagg.length : 0;
    return good;
}

/* Looks at the network between any two events. */
static bool looks_on(struct job *job)
{
    uint32_t sets = 0;
    for (size_t i = 0; i < job->packet_count; i++) {
        size_t bytes = 0;
        if (is_share_set(&job->packets[i], &bytes)) {
            sets++;
            flight.largest = bytes > flight.largest ? bytes : flight.largest;
        }
    }
    flight.most = sets > flight.most ? sets : flight.most;
    return job_view(job).round > 2 || job_view(job).phase >= RN_COORDINATION_LINGER;
}

static uint32_t most_at_once(uint64_t share_bytes)
{
    struct job *job = new_job(share_bytes);
    flight = (struct flight){0};
    assert_true(job_run_until(job, looks_on, 10 * MINUTE_MS));
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 2);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(job->nodes[i].watch->events[RN_JOB_FOLLOW], 0); /* nobody went short */
    }
    job_free(job);
    return flight.most;
}

static void test_as_many_as_fit(void **state)
{
    (void)state;
    assert_in_range(most_at_once(0), 4, MEMBERS); /* all are sent at once; delays differ */
    const size_t one = flight.largest;
    assert_true(one > 0);
    assert_int_equal(most_at_once(1), 1);
    assert_int_equal(most_at_once(one), 1);
    assert_int_equal(most_at_once(2 * one - 1), 1);
    assert_int_equal(most_at_once(2 * one), 2);
}

static const struct rn_coord_session *session_of(const struct job *job)
{
    return &job->nodes[COORDINATOR].coordination->session;
}

/* By half the soft time-out all sets have left, also where nobody answers: no silent member can
 * keep the others' from them. */
static void test_silence_holds_nobody_up(void **state)
{
    (void)state;
    struct job *job = new_job(1);
    job_until_stage(job, 1, RN_SA_STAGE_ACKS, MINUTE_MS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        job->nodes[i].asleep_until = job->now + MINUTE_MS;
    }
    const uint64_t soft = session_of(job)->params.acks.soft_ms;
    assert_true(soft >= 1000);
    assert_false(rn_sa_set_empty(&session_of(job)->shares.due));
    job_pass(job, soft / 4);
    const uint32_t left = rn_sa_set_count(&session_of(job)->shares.due);
    assert_in_range(left, MEMBERS / 4, MEMBERS - 2);
    job_pass(job, soft / 4 + MEMBERS * 200); /* a tick each */
    assert_int_equal(session_of(job)->stage, RN_SA_STAGE_ACKS);
    assert_true(rn_sa_set_empty(&session_of(job)->shares.due));
    job_free(job);
}

/* Places are served in a circle: who asks again and again has its turn after everybody else. */
static void test_who_asks_again_waits(void **state)
{
    (void)state;
    struct job *job = new_job(1);
    job_until_stage(job, 1, RN_SA_STAGE_ACKS, MINUTE_MS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        job->nodes[i].asleep_until = job->now + MINUTE_MS;
    }
    struct rn_coord_session *session = &job->nodes[COORDINATOR].coordination->session;
    struct rn_sa_set first = {0};
    rn_sa_set_add(&first, 0);
    for (uint32_t tick = 0; tick < 2 * MEMBERS; tick++) {
        rn_coord_shares_want(session, &first);
        job_pass(job, session->params.acks.soft_ms / (2 * MEMBERS));
        rn_sa_set_remove(&session->shares.due, 0);
        if (rn_sa_set_empty(&session->shares.due)) {
            break;
        }
    }
    assert_int_equal(session->stage, RN_SA_STAGE_ACKS);
    assert_true(rn_sa_set_empty(&session->shares.due));
    job_free(job);
}

/* A restarted coordinator, and members that ask again, get nothing twice at once. */
static void test_after_a_restart(void **state)
{
    (void)state;
    struct job *job = new_job(1);
    job_until_stage(job, 1, RN_SA_STAGE_ACKS, MINUTE_MS);
    job_crash(job, COORDINATOR, 100);
    flight = (struct flight){0};
    assert_true(job_run_until(job, looks_on, 10 * MINUTE_MS));
    assert_int_equal(flight.most, 1);
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 2);
    job_free(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_as_fit),
        cmocka_unit_test(test_silence_holds_nobody_up),
        cmocka_unit_test(test_who_asks_again_waits),
        cmocka_unit_test(test_after_a_restart),
    };
    return job_run_tests(tests, RN_ARRAY_LENGTH(tests));
}
