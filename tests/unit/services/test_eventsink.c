/* SPDX-License-Identifier: Apache-2.0
 *
 * One event, three readers: the log's line, the counters, the listener; and how many lines one peer
 * may cause.
 */
#include "services/host/eventsink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/log.h"

#include <cmocka.h>

#define LONG_WAIT_MS 60000

static struct rn_roster roster;
static char log_path[64];
static struct rn_job_event heard;
static char heard_name[64], heard_detail[128];
static unsigned heard_count;

static void on_event(void *context, const struct rn_job_event *event)
{
    (void)context;
    heard = *event;
    heard_count++;
    (void)rn_text_format(heard_name, sizeof(heard_name), "%s",
                         event->name == NULL ? "" : event->name);
    (void)rn_text_format(heard_detail, sizeof(heard_detail), "%s",
                         event->detail == NULL ? "" : event->detail);
}

static int setup(void **state)
{
    (void)rn_text_format(log_path, sizeof(log_path), "/tmp/rondo-events-XXXXXX");
    const int file = mkstemp(log_path);
    if (file < 0) {
        return -1;
    }
    (void)close(file);
    rn_log_setup("test", RN_LOG_ERROR + 1, false);
    if (!rn_is_ok(rn_log_file(log_path, RN_LOG_INFO, false, NULL))) {
        return -1;
    }
    roster.count = 3;
    (void)rn_text_format(roster.members[0].name, sizeof(roster.members[0].name), "north");
    (void)rn_text_format(roster.members[1].name, sizeof(roster.members[1].name), "south");
    (void)rn_text_format(roster.members[2].name, sizeof(roster.members[2].name), "west");
    heard_count = 0;
    const struct rn_eventsink_config config = {
        .roster = &roster, .rounds = 7, .names_missing = true, .listener = {on_event, NULL}};
    *state = rn_eventsink_new(&config);
    return 0;
}

static int teardown(void **state)
{
    rn_eventsink_free(*state);
    return unlink(log_path);
}

static void take(struct rn_eventsink *sink, struct rn_job_event event, const char *detail,
                 uint64_t now_ms)
{
    struct rn_error err = {{0}};
    (void)rn_text_format(err.text, sizeof(err.text), "%s", detail);
    rn_eventsink_take(sink, &event, &err, now_ms);
}

static const char *log_text(struct rn_buffer *out)
{
    assert_true(rn_log_flush(LONG_WAIT_MS));
    assert_true(rn_is_ok(rn_file_read(log_path, (size_t)1 << 20, out, NULL)));
    return rn_buffer_text(out);
}

static void a_line_has_the_fields_of_its_row(void **state)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_job_event round = {.kind = RN_JOB_ROUND,
                                 .round = 2,
                                 .attempt = 1,
                                 .phase = "A",
                                 .included = 3,
                                 .lost = 1,
                                 .milliseconds = 12,
                                 .bytes = 34,
                                 .has_hash = true};
    memset(round.hash, 0xab, sizeof(round.hash));
    take(*state, round, "", 0);
    assert_int_equal(heard.rounds, 7);
    take(*state,
         (struct rn_job_event){
             .kind = RN_JOB_MEMBER_LOST, .peer = 2, .present = 1, .outcome = RN_E_UNAVAILABLE},
         "", 0);
    assert_string_equal(heard_name, "south");
    take(*state, (struct rn_job_event){.kind = RN_JOB_FAILED, .outcome = RN_E_IO}, "disk full", 0);
    assert_string_equal(heard_detail, "disk full");
    take(*state, (struct rn_job_event){.kind = RN_JOB_WRITTEN, .round = 2, .path = "/x/y"}, "", 0);
    const char *log = log_text(&text);
    assert_non_null(strstr(log, "round.done round=2 attempt=1 bytes=34 ms=12 members=3 count=1 "
                                "phase=\"A\" hash=\"abab"));
    assert_non_null(strstr(log, "member.lost members=1 member=\"south\" reason=\"unavailable\"\n"));
    assert_non_null(strstr(log, "error test service.failed reason=\"io\" detail=\"disk full\"\n"));
    assert_non_null(strstr(log, "adapter.written round=2 path=\"/x/y\"\n"));
}

static void one_peer_may_cause_so_many_lines_a_minute(void **state)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    const struct rn_job_event refused = {.kind = RN_JOB_MESSAGE_REFUSED, .peer = 1};
    const uint32_t most = rn_job_event_row(RN_JOB_MESSAGE_REFUSED)->lines_per_minute;
    for (uint32_t i = 0; i < most + 5; i++) {
        take(*state, refused, "", 1000);
    }
    take(*state, (struct rn_job_event){.kind = RN_JOB_MESSAGE_REFUSED, .peer = 2}, "", 1000);
    take(*state, refused, "", 61000);
    const char *log = log_text(&text);
    unsigned lines = 0;
    for (const char *at = log; (at = strstr(at, "message.refused round")) != NULL; at++) {
        lines++;
    }
    assert_int_equal(lines, most + 2); /* the other peer's, and the one a minute later */
    assert_non_null(
        strstr(log, "log.limited value=\"message.refused\" member=\"north\" count=5\n"));
    assert_int_equal(heard_count, most + 7); /* listeners and counters hear all */
    assert_int_equal(rn_eventsink_count(*state, "messages_refused_total"), most + 7);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer status = {0};
    rn_eventsink_status(*state, &status);
    assert_string_equal(rn_buffer_text(&status), "\"counters\":{\"messages_refused_total\":13}");
}

static void who_is_missing_has_a_name(void **state)
{
    const struct rn_job_event members = {.kind = RN_JOB_MEMBERS, .present = 1, .members = 3};
    take(*state, members, "", 0);
    assert_string_equal(heard_detail, "north, south, west are missing");
    take(*state, (struct rn_job_event){.kind = RN_JOB_MEMBER_JOINED, .peer = 1}, "", 0);
    take(*state, (struct rn_job_event){.kind = RN_JOB_MEMBER_JOINED, .peer = 3}, "", 0);
    take(*state, members, "", 0);
    assert_string_equal(heard_detail, "south is missing");
    take(*state, (struct rn_job_event){.kind = RN_JOB_MEMBER_JOINED, .peer = 2}, "", 0);
    take(*state, members, "", 0);
    assert_string_equal(heard_detail, "");
    take(*state, (struct rn_job_event){.kind = RN_JOB_MEMBER_LOST, .peer = 1}, "", 0);
    take(*state, (struct rn_job_event){.kind = RN_JOB_WAITING}, "", 0);
    assert_string_equal(heard_detail, "north is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_the_fields_of_its_row, setup, teardown),
        cmocka_unit_test_setup_teardown(one_peer_may_cause_so_many_lines_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_missing_has_a_name, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
