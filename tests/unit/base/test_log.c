/* SPDX-License-Identifier: Apache-2.0
 *
 * The log never blocks whoever writes a line, keeps every line that it has room for, and says how
 * many it had none for.
 */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"

#include <cmocka.h>

#define LONG_WAIT_MS 60000

static int real_stderr = -1;
static int reading = -1;

/* stderr becomes a pipe that nobody reads. */
static int redirect(void **state)
{
    (void)state;
    int ends[2];
    (void)fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        return -1;
    }
    (void)close(ends[1]);
    reading = ends[0];
    return 0;
}

static int restore(void **state)
{
    (void)state;
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    (void)close(reading);
    return 0;
}

/* What of the text was read, up to a line that has `until` in it. */
static void read_until(const char *until, struct rn_buffer *out)
{
    char piece[4096];
    while (out->length == 0 || strstr(rn_buffer_text(out), until) == NULL ||
           out->data[out->length - 1] != '\n') {
        const ssize_t got = read(reading, piece, sizeof(piece));
        assert_true(got > 0);
        rn_buffer_append(out, piece, (size_t)got);
    }
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

static void a_full_pipe_stops_nobody(void **state)
{
    (void)state;
    const unsigned lines = 4 * RN_LOG_QUEUE_LINES;
    rn_log_setup("test", RN_LOG_INFO, true);
    for (unsigned i = 0; i < lines; i++) {
        rn_log(RN_LOG_INFO, "flood", RN_LOG_NUMBER(RN_F_COUNT, i)); /* or this hangs for ever */
    }
    assert_false(rn_log_flush(0));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    /* Somebody reads again: there is room, and the first line that fits brings the count. */
    char piece[1024];
    do {
        const ssize_t got = read(reading, piece, sizeof(piece));
        assert_true(got > 0);
        rn_buffer_append(&text, piece, (size_t)got);
        rn_log(RN_LOG_INFO, "trickle");
    } while (strstr(rn_buffer_text(&text), "trickle") == NULL);
    rn_log(RN_LOG_INFO, "last");
    read_until("\"last\"", &text);
    const char *dropped = strstr(rn_buffer_text(&text), "log.dropped");
    assert_non_null(dropped);
    unsigned missing = 0;
    for (; dropped != NULL; dropped = strstr(dropped + 1, "log.dropped")) {
        unsigned number = 0;
        assert_int_equal(sscanf(strstr(dropped, "count"), "count\":%u", &number), 1);
        missing += number;
    }
    assert_true(missing >= lines - count_of(rn_buffer_text(&text), "\"flood\""));
    assert_true(rn_log_flush(LONG_WAIT_MS));
}

enum { LINES = 200 };

static void *write_some(void *argument)
{
    for (int i = 0; i < LINES; i++) {
        rn_log(RN_LOG_INFO, "thread", RN_LOG_NUMBER(RN_F_VALUE, *(const int *)argument));
    }
    return NULL;
}

static void threads_do_not_mix_lines(void **state)
{
    (void)state;
    pthread_t threads[4];
    int numbers[4];
    rn_log_setup("test", RN_LOG_INFO, false);
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, &numbers[i]), 0);
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    rn_log(RN_LOG_INFO, "end");
    read_until(" end\n", &text);
    static const char wanted[] = " info  test thread value=";
    unsigned found[4] = {0};
    for (char *save = NULL, *line = strtok_r((char *)text.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        const char *rest = strchr(line, ' '); /* behind the time */
        assert_non_null(rest);
        if (strcmp(rest, " info  test end") != 0) {
            assert_memory_equal(rest, wanted, strlen(wanted));
            assert_int_equal(strlen(rest), strlen(wanted) + 1);
            found[(unsigned)(rest[strlen(wanted)] - '0') % 4]++;
        }
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found[i], LINES);
    }
}

static void a_file_has_its_own_level(void **state)
{
    (void)state;
    char path[] = "/tmp/rondo-test-XXXXXX";
    struct rn_error err = {{0}};
    const int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    rn_log_setup("test", RN_LOG_WARN, false);
    assert_true(rn_is_ok(rn_log_file(path, RN_LOG_INFO, true, &err)));
    rn_log(RN_LOG_DEBUG, "nowhere");
    rn_log(RN_LOG_INFO, "file.only");
    rn_log(RN_LOG_WARN, "both");
    assert_true(rn_log_flush(LONG_WAIT_MS));
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    assert_true(rn_is_ok(rn_file_read(path, 4096, &text, &err)));
    assert_non_null(strstr(rn_buffer_text(&text), "\"event\":\"file.only\""));
    assert_non_null(strstr(rn_buffer_text(&text), "both"));
    assert_null(strstr(rn_buffer_text(&text), "nowhere"));
    read_until("both", &out);
    assert_null(strstr(rn_buffer_text(&out), "file.only"));
    assert_non_null(strstr(rn_buffer_text(&out), "warn  test both"));
    (void)unlink(path);
    assert_int_equal(rn_log_file("/nonexistent/log", RN_LOG_INFO, true, &err).code, RN_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/log"));
}

/* A forked child has a thread of its own, and its lines are out when it exits. (ThreadSanitizer
 * cannot start threads after a fork.) */
#ifndef __SANITIZE_THREAD__
static void a_forked_child_logs(void **state)
{
    (void)state;
    rn_log_setup("test", RN_LOG_INFO, false);
    assert_true(rn_log_flush(LONG_WAIT_MS));
    const pid_t child = fork();
    if (child == 0) {
        rn_log(RN_LOG_INFO, "from.child");
        _exit(rn_log_flush(LONG_WAIT_MS) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    read_until("from.child", &text);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_pipe_stops_nobody, redirect, restore),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_lines, redirect, restore),
        cmocka_unit_test_setup_teardown(a_file_has_its_own_level, redirect, restore),
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test_setup_teardown(a_forked_child_logs, redirect, restore),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
