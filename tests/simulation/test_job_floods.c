/* SPDX-License-Identifier: Apache-2.0
 *
 * case 31. One enrolled member asks for everything without end. Each thing it may cause has a limit
 * of its own, tested here at the limit and one beyond; the others' rounds end well all the while.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "crypto/secagg/envelope.h"
#include "crypto/secagg/transcript.h"
#include "services/federation/coordinationstate.h"
#include "tests/simulation/jobparts.h"
#include "tests/simulation/jobwatch.h"

#define MINUTE_MS UINT64_C(60000)
#define COORDINATOR 4u
#define FLOODER 3u
#define FIRST JOB_FORGED_FROM

/* What was done is carried out: the commits before it are durable. */
#define SOON_MS 100u

/* Members 0 to 2 are here; the flooder's identity is used by the test alone. */
static struct job *job_with_a_flooder(void)
{
    struct job_options options = job_calm();
    options.training_ms = 100000;
    struct job *job = job_directed(&options);
    job->nodes[FLOODER].start_at = JOB_NEVER;
    return job;
}

static struct job_watch *seen(struct job *job)
{
    return job->nodes[COORDINATOR].watch;
}

static struct rn_coordination *machine(struct job *job)
{
    return job->nodes[COORDINATOR].coordination;
}

/* The others' job ends as if nobody flooded. */
static void others_end_well(struct job *job)
{
    job_until_all_end(job, RN_OK, 10 * MINUTE_MS);
    assert_int_equal(job->sums, 4);
    assert_int_equal(seen(job)->events[RN_JOB_OFFER], 4);
    job_free(job);
}

static void tell(struct job *job, uint64_t connection, struct rn_wire_status status)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_STATUS, .as.status = status};
    job_forge(job, FLOODER, connection, &envelope);
}

static void greet(struct job *job, uint64_t connection, uint32_t next_round)
{
    const struct rn_wire_hello hello = job_hello(job, FLOODER, next_round);
    job_forge_hello(job, FLOODER, connection, &hello);
}

/* ---- Streams */

/* case 31 */
static void test_streams_that_never_greet(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    for (uint32_t i = 0; i < RN_COORD_UNGREETED_MAX; i++) {
        job_forge_opened(job, FLOODER, FIRST + i);
        job_pass(job, SOON_MS);
    }
    assert_int_equal(seen(job)->closes, 0);
    job_forge_opened(job, FLOODER, FIRST + 100); /* one more: the oldest makes room */
    job_pass(job, SOON_MS);
    assert_int_equal(seen(job)->closes, 1);
    assert_int_equal(seen(job)->closed, FIRST);
    assert_int_equal(seen(job)->closed_why, RN_E_PEER_LIMIT);
    job_pass(job, RN_COORD_GREET_MS - 2000); /* in time */
    assert_int_equal(seen(job)->closes, 1);
    job_pass(job, 3000);
    assert_int_equal(seen(job)->closes, 1 + RN_COORD_UNGREETED_MAX);
    assert_int_equal(seen(job)->closed_why, RN_E_TIMEOUT);
    others_end_well(job);
}

/* Greeted ones do not count, nor those that are gone. */
static void test_streams_that_greet_or_go_do_not_count(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    for (uint32_t i = 0; i < 2 * RN_COORD_UNGREETED_MAX; i++) {
        job_forge_opened(job, FLOODER, FIRST + i);
        job_forge_gone(job, FLOODER, FIRST + i);
    }
    assert_int_equal(seen(job)->closes, 0);
    greet(job, FIRST + 100, 1);
    job_pass(job, 2 * RN_COORD_GREET_MS);
    assert_int_equal(seen(job)->closes, 0);
    job_forge_gone(job, FLOODER, FIRST + 100);
    others_end_well(job);
}

/* case 31. Whoever connects without end is not even greeted any more. */
static void test_connects_without_end(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    for (uint32_t i = 0; i < RN_COORD_STREAMS_BURST; i++) {
        job_forge_opened(job, FLOODER, FIRST);
        job_forge_gone(job, FLOODER, FIRST);
    }
    job_pass(job, SOON_MS);
    assert_int_equal(seen(job)->closes, 0);
    const uint32_t greeted = seen(job)->sends[0];
    assert_int_equal(greeted, RN_COORD_STREAMS_BURST);
    job_forge_opened(job, FLOODER, FIRST);
    job_pass(job, SOON_MS);
    assert_int_equal(seen(job)->closes, 1);
    assert_int_equal(seen(job)->closed_why, RN_E_PEER_LIMIT);
    assert_int_equal(seen(job)->sends[0], greeted);
    job_pass(job, RN_COORD_STREAMS_EVERY_MS); /* one more */
    job_forge_opened(job, FLOODER, FIRST);
    job_pass(job, SOON_MS);
    assert_int_equal(seen(job)->sends[0], greeted + 1);
    job_forge_gone(job, FLOODER, FIRST);
    others_end_well(job);
}

/* ---- Messages */

static void send_messages(uint32_t count, uint32_t closes)
{
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 1, RN_SA_STAGE_READY, MINUTE_MS);
    greet(job, FIRST, 1); /* the first message */
    for (uint32_t i = 1; i < count; i++) {
        tell(job, FIRST, (struct rn_wire_status){.round = 1, .stage = RN_SA_STAGE_READY});
    }
    job_pass(job, SOON_MS);
    assert_int_equal(seen(job)->closes, closes);
    if (closes > 0) {
        assert_int_equal(seen(job)->closed, FIRST);
        assert_int_equal(seen(job)->closed_why, RN_E_PEER_LIMIT);
    }
    job_forge_gone(job, FLOODER, FIRST);
    others_end_well(job);
}

/* case 31 */
static void test_messages_without_end(void **state)
{
    (void)state;
    send_messages(RN_COORD_MESSAGES_BURST, 0);
    send_messages(RN_COORD_MESSAGES_BURST + 1, 1);
}

/* ---- Help */

/* "I got on" and "I am behind" in turns, each about another round: every one would read a session
 * from its records. */
static void test_help_without_end(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 4, RN_SA_STAGE_READY, 10 * MINUTE_MS);
    greet(job, FIRST, 1);
    for (uint32_t i = 0; i < 200; i++) {
        tell(job, FIRST, (struct rn_wire_status){.round = 1, .reason = RN_E_ROUND_STALE});
        for (uint32_t round = 2; round <= 3; round++) {
            machine(job)->peers[FLOODER].furthest = 0; /* as if each were a new greeting's */
            tell(job, FIRST,
                 (struct rn_wire_status){.round = round, .stage = RN_SA_STAGE_FINISHED});
        }
    }
    job_pass(job, SOON_MS);
    const uint32_t helped = seen(job)->events[RN_JOB_MEMBER_BEHIND];
    assert_in_range(helped, RN_COORD_HELP_BURST, RN_COORD_HELP_BURST + 1);
    job_pass(job, 10 * RN_COORD_HELP_EVERY_MS);
    assert_true(seen(job)->events[RN_JOB_MEMBER_BEHIND] <= helped + 11);
    tell(job, FIRST,
         (struct rn_wire_status){.round = 1, .reason = RN_E_ROUND_STALE}); /* the truth */
    job_forge_gone(job, FLOODER, FIRST);
    others_end_well(job);
}

/* Whoever names another round in every message still has one place among the earlier sessions. */
static void test_one_place_a_member(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 4, RN_SA_STAGE_READY, 10 * MINUTE_MS);
    greet(job, FIRST, 3);
    for (uint32_t round = 3; round >= 1; round--) {
        tell(job, FIRST, (struct rn_wire_status){.round = round, .reason = RN_E_ROUND_STALE});
        job_pass(job, 1100);
        uint32_t places = 0;
        for (size_t i = 0; i < RN_COORD_PLACES; i++) {
            places += rn_sa_set_has(&machine(job)->places[i].users, FLOODER);
        }
        assert_int_equal(places, 1);
    }
    job_forge_gone(job, FLOODER, FIRST);
    others_end_well(job);
}

/* ---- Sums */

static uint32_t chunks_of_round_one(struct job *job)
{
    for (size_t i = 0; i < RN_COORD_PLACES; i++) {
        const struct rn_coord_session *session = &machine(job)->places[i].session;
        if (session->machine != NULL && session->round == 1) {
            const uint64_t size = session->params.chunk_elements;
            return (uint32_t)((session->layout.elements + size - 1) / size);
        }
    }
    return 0;
}

/* As the member's machine writes it: every chunk of the sum of round 1. */
static void follow(struct job *job, uint64_t connection, uint32_t chunks)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer message = {0};
    rn_buffer_u32(&body, RN_SA_LEVEL_RESULT);
    for (uint32_t i = 0; i < chunks; i += 8) {
        const uint32_t rest = chunks - i;
        const uint8_t bits = (uint8_t)(rest >= 8 ? 0xff : (1u << rest) - 1);
        rn_buffer_append(&body, &bits, 1);
    }
    const struct rn_sa_outgoing outgoing = {.type = RN_SA_FOLLOW,
                                            .session = job->truth[1].session,
                                            .round = 1,
                                            .sender = FLOODER,
                                            .recipient = RN_SA_COORDINATOR,
                                            .transcript = job->truth[1].session,
                                            .body = rn_buffer_view(&body)};
    rn_sa_message_write(&outgoing, job->nodes[FLOODER].identity, &message);
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG,
                                              .as.secagg = rn_buffer_view(&message)};
    job_forge(job, FLOODER, connection, &envelope);
}

static void test_sums_without_end(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    job_until_stage(job, 4, RN_SA_STAGE_READY, 10 * MINUTE_MS);
    greet(job, FIRST, 1);
    job_pass(job, 1100);
    const uint32_t chunks = chunks_of_round_one(job);
    assert_true(chunks > 0);
    const uint32_t *sent = &seen(job)->bulk_chunks[FLOODER];
    for (uint32_t i = 1; i <= RN_COORD_SUM_BURST; i++) {
        follow(job, FIRST, chunks);
        job_pass(job, SOON_MS);
        assert_int_equal(*sent, i * chunks);
    }
    follow(job, FIRST, chunks);
    job_pass(job, SOON_MS);
    assert_int_equal(*sent, RN_COORD_SUM_BURST * chunks);
    job_forge_gone(job, FLOODER, FIRST);
    others_end_well(job);
}

/* ---- Everything at once, while the others' rounds go on */

/* case 31 */
static void test_everything_at_once(void **state)
{
    (void)state;
    struct job *job = job_with_a_flooder();
    for (uint32_t i = 0; i < 2000 && job_is_up(job, COORDINATOR); i++) {
        const uint64_t connection = FIRST + i;
        job_forge_opened(job, FLOODER, connection);
        greet(job, connection, i % 6);
        for (uint32_t k = 0; k < 10; k++) {
            tell(job, connection,
                 (struct rn_wire_status){.round = (i + k) % 6, .reason = RN_E_ROUND_STALE});
        }
        follow(job, connection, 1);
        if (i % 3 == 0) {
            job_forge_gone(job, FLOODER, connection);
        }
        job_pass(job, 10);
    }
    job_forge_gone(job, FLOODER,
                   machine(job) == NULL ? FIRST : machine(job)->peers[FLOODER].connection);
    others_end_well(job);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_that_never_greet),
        cmocka_unit_test(test_streams_that_greet_or_go_do_not_count),
        cmocka_unit_test(test_connects_without_end),
        cmocka_unit_test(test_messages_without_end),
        cmocka_unit_test(test_help_without_end),
        cmocka_unit_test(test_one_place_a_member),
        cmocka_unit_test(test_sums_without_end),
        cmocka_unit_test(test_everything_at_once),
    };
    return job_run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
