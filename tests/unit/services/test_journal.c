/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: what was appended is there after a crash, in order; one process per directory; a
 * full disk is a clean error that leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/store/journal.h"

struct seen {
    unsigned count;
    uint32_t rounds[64];
    char last[32];
};

static rn_result note(void *argument, const struct rn_journal_key *key, struct rn_view body,
                      struct rn_error *err)
{
    struct seen *seen = argument;
    (void)err;
    seen->rounds[seen->count % 64] = key->round;
    seen->count++;
    const size_t length = body.length < sizeof(seen->last) - 1 ? body.length : 31;
    memcpy(seen->last, body.data == NULL ? (const uint8_t *)"" : body.data, length);
    seen->last[length] = '\0';
    return rn_ok();
}

static int setup(void **state)
{
    static char directory[64];
    (void)rn_text_format(directory, sizeof(directory), "/tmp/rondo-journal-XXXXXX");
    *state = mkdtemp(directory);
    return *state == NULL;
}

static int teardown(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char path[RN_PATH_MAX];
        if (rn_is_ok(rn_path_join(path, *state, names[i], NULL))) {
            (void)unlink(path);
        }
    }
    return rmdir(*state);
}

static struct rn_journal *open_journal(const char *directory)
{
    struct rn_journal *journal = NULL;
    struct rn_error err = {0};
    if (!rn_is_ok(rn_journal_open(directory, &journal, &err))) {
        fail_msg("%s", err.text);
    }
    return journal;
}

static rn_result append(struct rn_journal *journal, enum rn_journal_kind kind, uint32_t round,
                        const char *text)
{
    const struct rn_journal_key key = {.kind = kind, .session = {(uint8_t)round}, .round = round};
    return rn_journal_append(journal, &key, rn_view_text(text), NULL);
}

static void keeps_records_in_order(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    for (uint32_t round = 1; round <= 5; round++) {
        assert_true(rn_is_ok(append(journal, RN_JOURNAL_MEMBER, round, "member")));
        assert_true(rn_is_ok(append(journal, RN_JOURNAL_SPENT, round, "spent")));
    }
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_RESULT, 9, "")));
    rn_journal_close(&journal);
    assert_null(journal);

    journal = open_journal(*state);
    struct seen seen = {0};
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_MEMBER, NULL, note, &seen, NULL)));
    assert_int_equal(seen.count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(seen.rounds[i], i + 1);
    }
    const uint8_t session[RN_JOURNAL_SESSION_BYTES] = {3};
    seen = (struct seen){0};
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_SPENT, session, note, &seen, NULL)));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.rounds[0], 3);
    assert_string_equal(seen.last, "spent");

    struct rn_journal_key key;
    struct rn_buffer body = {0};
    bool found = false;
    assert_true(
        rn_is_ok(rn_journal_latest(journal, RN_JOURNAL_MEMBER, -1, &key, &body, &found, NULL)));
    assert_true(found);
    assert_int_equal(key.round, 5);
    assert_true(
        rn_is_ok(rn_journal_latest(journal, RN_JOURNAL_RESULT, 9, &key, &body, &found, NULL)));
    assert_true(found);
    assert_int_equal(body.length, 0);
    assert_true(
        rn_is_ok(rn_journal_latest(journal, RN_JOURNAL_RESULT, 8, &key, &body, &found, NULL)));
    assert_false(found);
    rn_buffer_clear(&body);
    rn_journal_close(&journal);
}

static void prunes_but_never_the_spent_ledger(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    for (uint32_t round = 1; round <= 4; round++) {
        assert_true(rn_is_ok(append(journal, RN_JOURNAL_SUM, round, "sum")));
    }
    assert_true(rn_is_ok(rn_journal_prune(journal, RN_JOURNAL_SUM, 3, NULL)));
    struct seen seen = {0};
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_SUM, NULL, note, &seen, NULL)));
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.rounds[0], 3);
    assert_int_equal(rn_journal_prune(journal, RN_JOURNAL_SPENT, 3, NULL).code, RN_E_USAGE);
    rn_journal_close(&journal);
}

static void a_batch_is_all_or_nothing(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    assert_true(rn_is_ok(rn_journal_begin(journal, NULL)));
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_RESULT, 1, "one")));
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_ADAPTER, 1, "two")));
    rn_journal_close(&journal); /* as a crash would: no commit */
    journal = open_journal(*state);
    struct seen seen = {0};
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_RESULT, NULL, note, &seen, NULL)));
    assert_int_equal(seen.count, 0);
    assert_true(rn_is_ok(rn_journal_begin(journal, NULL)));
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_RESULT, 1, "one")));
    assert_true(rn_is_ok(rn_journal_commit(journal, NULL)));
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_RESULT, NULL, note, &seen, NULL)));
    assert_int_equal(seen.count, 1);
    rn_journal_close(&journal);
}

static void belongs_to_one_job(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    struct rn_error err = {0};
    assert_true(rn_is_ok(rn_journal_bind(journal, rn_view_text("plan-1"), "plan", &err)));
    assert_true(rn_is_ok(rn_journal_bind(journal, rn_view_text("plan-1"), "plan", &err)));
    assert_int_equal(rn_journal_bind(journal, rn_view_text("plan-2"), "plan", &err).code,
                     RN_E_CONFIG);
    assert_non_null(strstr(err.text, "another plan"));
    rn_journal_close(&journal);
}

static void one_process_at_a_time(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    const pid_t child = fork();
    if (child == 0) {
        struct rn_journal *second = NULL;
        const rn_result result = rn_journal_open(*state, &second, NULL);
        _exit(result.code == RN_E_BUSY ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    rn_journal_close(&journal);
}

/* A child appends numbers and tells each one it was promised; it is killed in the middle. */
static void survives_sigkill(void **state)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct rn_journal *journal = open_journal(*state);
        for (uint32_t round = 1;; round++) {
            if (!rn_is_ok(append(journal, RN_JOURNAL_SPENT, round, "x")) ||
                write(pipes[1], &round, sizeof(round)) != (ssize_t)sizeof(round)) {
                _exit(1);
            }
        }
    }
    (void)close(pipes[1]);
    uint32_t promised = 0;
    while (promised < 20) {
        assert_int_equal(read(pipes[0], &promised, sizeof(promised)), (ssize_t)sizeof(promised));
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    uint32_t next = 0;
    while (read(pipes[0], &next, sizeof(next)) == (ssize_t)sizeof(next)) {
        promised = next;
    }
    (void)close(pipes[0]);
    struct rn_journal *journal = open_journal(*state);
    struct seen seen = {0};
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_SPENT, NULL, note, &seen, NULL)));
    assert_true(seen.count >= promised);
    rn_journal_close(&journal);
}

static void a_full_disk_is_a_clean_error(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_SPENT, 1, "kept")));
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {.rlim_cur = 256 << 10, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const size_t length = (size_t)1 << 20;
    uint8_t *big = rn_alloc(length, 1);
    struct rn_error err = {0};
    const struct rn_journal_key key = {.kind = RN_JOURNAL_SPENT, .round = 2};
    const rn_result result = rn_journal_append(journal, &key, rn_view_of(big, length), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    rn_free(big);
    assert_int_equal(result.code, RN_E_IO);
    assert_non_null(strstr(err.text, "journal.db"));
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_SPENT, 3, "after")));
    rn_journal_close(&journal);
    journal = open_journal(*state);
    struct seen seen = {0};
    assert_true(rn_is_ok(rn_journal_scan(journal, RN_JOURNAL_SPENT, NULL, note, &seen, NULL)));
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.last, "after");
    rn_journal_close(&journal);
}

static void refuses_a_foreign_file(void **state)
{
    char path[RN_PATH_MAX];
    assert_true(rn_is_ok(rn_path_join(path, *state, "journal.db", NULL)));
    assert_true(rn_is_ok(rn_file_write(path,
                                       rn_view_text("not a database, only text that is long "
                                                    "enough to look at, and more of it"),
                                       0600, NULL)));
    struct rn_journal *journal = NULL;
    struct rn_error err = {0};
    assert_int_equal(rn_journal_open(*state, &journal, &err).code, RN_E_DATA);
    assert_null(journal);
}

static void refuses_a_body_over_the_limit(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    const struct rn_journal_key key = {.kind = RN_JOURNAL_SUM};
    const uint8_t byte = 0;
    /* The length is refused before the bytes are looked at. */
    const rn_result result =
        rn_journal_append(journal, &key, rn_view_of(&byte, RN_JOURNAL_BODY_MAX + 1), NULL);
    assert_int_equal(result.code, RN_E_DATA);
    /* In a batch it costs the batch, and the next one may begin. */
    assert_true(rn_is_ok(rn_journal_begin(journal, NULL)));
    assert_false(rn_is_ok(
        rn_journal_append(journal, &key, rn_view_of(&byte, RN_JOURNAL_BODY_MAX + 1), NULL)));
    assert_int_equal(rn_journal_commit(journal, NULL).code, RN_E_IO);
    assert_true(rn_is_ok(rn_journal_begin(journal, NULL)));
    assert_true(rn_is_ok(rn_journal_commit(journal, NULL)));
    rn_journal_close(&journal);
}

static void files_are_the_owners_alone(void **state)
{
    struct rn_journal *journal = open_journal(*state);
    assert_true(rn_is_ok(append(journal, RN_JOURNAL_SPENT, 1, "x")));
    static const char *const names[] = {"journal.db", "journal.db-wal"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char path[RN_PATH_MAX];
        struct stat facts;
        assert_true(rn_is_ok(rn_path_join(path, *state, names[i], NULL)));
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(facts.st_mode & 0777, 0600);
    }
    rn_journal_close(&journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_records_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(prunes_but_never_the_spent_ledger, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_is_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(belongs_to_one_job, setup, teardown),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_sigkill, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_a_clean_error, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_foreign_file, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_body_over_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_the_owners_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
