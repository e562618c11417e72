/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store over SQLite promises beyond every store: its file, its pragmas, its indexes, and
 * that its owner never waits for a commit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "services/store/sqlitefile.h"
#include "tests/unit/services/store_fixture.h"

static int setup(void **state)
{
    *state = fixture_new(&SQLITE);
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static void path_of(const struct fixture *fixture, const char *name, char path[static RN_PATH_MAX])
{
    assert_true(rn_is_ok(rn_path_join(path, fixture->directory, name, NULL)));
}

/* Another program at the same file. */
static sqlite3 *raw_open(const struct fixture *fixture)
{
    char path[RN_PATH_MAX];
    sqlite3 *database = NULL;
    path_of(fixture, "journal.db", path);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

static void raw_run(sqlite3 *database, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(database, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
}

static enum rn_code try_open(struct fixture *fixture, struct rn_error *err)
{
    const struct rn_store_options options = options_of(fixture);
    return rn_sqlite_store_open(fixture->directory, &options, &fixture->store, err).code;
}

/* SQLite's plan of a statement, its lines joined. */
static void plan_of(sqlite3 *database, const char *sql, char out[static 512])
{
    char explain[512];
    sqlite3_stmt *rows = NULL;
    assert_true(rn_text_format(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql));
    assert_int_equal(sqlite3_prepare_v2(database, explain, -1, &rows, NULL), SQLITE_OK);
    out[0] = '\0';
    while (sqlite3_step(rows) == SQLITE_ROW) {
        const size_t length = strlen(out);
        assert_true(rn_text_format(out + length, 512 - length, "%s; ",
                                   (const char *)sqlite3_column_text(rows, 3)));
    }
    assert_int_equal(sqlite3_finalize(rows), SQLITE_OK);
}

static void no_statement_sorts_or_scans(void **state)
{
    struct fixture *fixture = *state;
    open_store(fixture);
    sqlite3 *database = raw_open(fixture);
    size_t searched = 0;
    const char *sql = NULL;
    for (size_t i = 0; (sql = rn_sqlite_statement_sql(i)) != NULL; i++) {
        char plan[512];
        plan_of(database, sql, plan);
        if (strstr(plan, "TEMP B-TREE") != NULL || strstr(plan, "SCAN") != NULL) {
            fail_msg("%s: %s", sql, plan);
        }
        searched += strstr(plan, "SEARCH record USING") != NULL;
    }
    assert_int_equal(searched, 8); /* six readings, two rules */
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* While another holds the right to write, a commit waits on its thread and the owner reads on. */
static void reading_waits_for_no_commit(void **state)
{
    struct fixture *fixture = *state;
    open_store(fixture);
    submit_one(fixture, KIND, 1);
    await(fixture, 1);
    sqlite3 *database = raw_open(fixture);
    raw_run(database, "BEGIN IMMEDIATE");
    submit_one(fixture, KIND, 2);
    assert_int_equal(scan(fixture, KIND)->count, 1);
    assert_int_equal(fixture->done_count, 1);
    raw_run(database, "ROLLBACK");
    await(fixture, 2);
    assert_done(fixture, 1, 2, RN_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* A VFS without shared memory cannot have a write-ahead log: the pragma is ignored in silence. */
static void refuses_to_run_without_its_pragmas(void **state)
{
    struct fixture *fixture = *state;
    sqlite3_vfs *usual = sqlite3_vfs_find(NULL);
    sqlite3_vfs *poor = sqlite3_vfs_find("unix-dotfile");
    assert_non_null(poor);
    assert_int_equal(sqlite3_vfs_register(poor, 1), SQLITE_OK);
    struct rn_error err = {0};
    const enum rn_code code = try_open(fixture, &err);
    assert_int_equal(sqlite3_vfs_register(usual, 1), SQLITE_OK);
    assert_int_equal(code, RN_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "journal_mode=WAL did not take"));
    assert_null(fixture->store);
}

/* For every connection that opens: a file of at most 40 pages. */
static int few_pages(sqlite3 *database, char **why, const struct sqlite3_api_routines *api)
{
    (void)why;
    (void)api;
    return sqlite3_exec(database, "PRAGMA max_page_count=40", NULL, NULL, NULL);
}

static void a_full_disk_is_a_clean_error(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(sqlite3_auto_extension((void (*)(void))few_pages), SQLITE_OK);
    open_store(fixture);
    sqlite3_reset_auto_extension();
    struct rn_store_batch batch = {0};
    submit_one(fixture, KIND, 1);
    const size_t length = (size_t)1 << 20;
    uint8_t *body = rn_alloc(length, 1);
    const struct rn_store_key key = key_of(KIND, 2, 0);
    add(&batch, KIND, 2, "before it");
    rn_store_batch_append(&batch, &key, rn_view_of(body, length));
    rn_free(body);
    submit_batch(fixture, &batch);
    await(fixture, 2);
    assert_done(fixture, 0, 1, RN_OK);
    assert_done(fixture, 1, 2, RN_E_IO);
    assert_non_null(strstr(fixture->text, "journal.db: the disk is full; free space"));
    reopen_store(fixture);
    assert_int_equal(scan(fixture, KIND)->count, 1);
    submit_one(fixture, KIND, 3);
    await(fixture, 3);
    assert_done(fixture, 2, 1, RN_OK);
}

static void one_process_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    const pid_t child = fork(); /* before this process has a storage thread */
    if (child == 0) {
        open_store(fixture);
        (void)kill(getpid(), SIGSTOP); /* holds the state until it is killed */
        _exit(1);
    }
    int stopped = 0;
    struct rn_error err = {0};
    assert_int_equal(waitpid(child, &stopped, WUNTRACED), child);
    const enum rn_code code = try_open(fixture, &err);
    (void)kill(child, SIGKILL); /* before anything can fail: it would stay behind, stopped */
    (void)waitpid(child, NULL, 0);
    assert_true(WIFSTOPPED(stopped));
    assert_int_equal(code, RN_E_BUSY);
    assert_non_null(strstr(err.text, "another process"));
    open_store(fixture);
    assert_int_equal(rn_store_epoch(fixture->store), 2);
}

/* A file of the version before, with all that must not be lost. */
static void converts_schema_1(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *database = raw_open(fixture);
    raw_run(database, "CREATE TABLE record ("
                      " id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,"
                      " session BLOB NOT NULL, round INTEGER NOT NULL, attempt INTEGER NOT NULL,"
                      " body BLOB NOT NULL);"
                      "CREATE INDEX record_kind ON record (kind, session);"
                      "PRAGMA application_id=1382966383; PRAGMA user_version=1;"
                      "INSERT INTO record (kind, session, round, attempt, body) VALUES"
                      " (1, zeroblob(32), 0, 0, CAST('plan-1' AS BLOB)),"
                      " (7, zeroblob(32), 4, 1, CAST('spent' AS BLOB))");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    struct rn_store_options options = options_of(fixture);
    options.binding = rn_view_text("plan-2");
    assert_int_equal(rn_sqlite_store_open(fixture->directory, &options, &fixture->store, NULL).code,
                     RN_E_CONFIG);
    open_store(fixture);
    const struct seen *seen = scan(fixture, KIND);
    assert_int_equal(seen->count, 1);
    assert_int_equal(seen->rounds[0], 4);
    assert_int_equal(seen->attempts[0], 1);
    assert_int_equal(scan(fixture, 1)->count, 0);
}

static void refuses_foreign_files(void **state)
{
    struct fixture *fixture = *state;
    char path[RN_PATH_MAX];
    struct rn_error err = {0};
    path_of(fixture, "journal.db", path);
    assert_true(rn_is_ok(rn_file_write(path,
                                       rn_view_text("not a database, only text that is long "
                                                    "enough to look at, and more of it"),
                                       0600, NULL)));
    assert_int_equal(try_open(fixture, &err), RN_E_DATA);
    assert_int_equal(unlink(path), 0);
    sqlite3 *database = raw_open(fixture);
    raw_run(database, "CREATE TABLE stranger (x)");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(try_open(fixture, &err), RN_E_DATA);
    assert_non_null(strstr(err.text, "not a journal of Rondo"));
    assert_int_equal(unlink(path), 0);
    open_store(fixture);
    rn_store_close(&fixture->store);
    database = raw_open(fixture);
    raw_run(database, "PRAGMA user_version=3");
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    assert_int_equal(try_open(fixture, &err), RN_E_UNSUPPORTED);
}

static void says_that_a_record_is_damaged(void **state)
{
    static const char *const damage[] = {"UPDATE record SET round = -1",
                                         "UPDATE record SET round = 1, attempt = 4294967296",
                                         "UPDATE record SET attempt = 0, session = zeroblob(31)"};
    struct fixture *fixture = *state;
    open_store(fixture);
    submit_one(fixture, KIND, 1);
    await(fixture, 1);
    sqlite3 *database = raw_open(fixture);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(damage); i++) {
        raw_run(database, damage[i]);
        struct seen seen = {0};
        const struct rn_store_query query = {.kind = KIND};
        assert_int_equal(rn_store_scan(fixture->store, &query, note, &seen, NULL).code, RN_E_DATA);
    }
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static void files_are_the_owners_alone(void **state)
{
    static const char *const names[] = {"journal.db", "journal.db-wal", "journal.db-shm", "lock"};
    struct fixture *fixture = *state;
    const mode_t mask = umask(0);
    open_store(fixture);
    submit_one(fixture, KIND, 1);
    await(fixture, 1);
    (void)umask(mask);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char path[RN_PATH_MAX];
        struct stat facts;
        path_of(fixture, names[i], path);
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(facts.st_mode & 0777, 0600);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_statement_sorts_or_scans, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_waits_for_no_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_to_run_without_its_pragmas, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_a_clean_error, setup, teardown),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(converts_schema_1, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_foreign_files, setup, teardown),
        cmocka_unit_test_setup_teardown(says_that_a_record_is_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_the_owners_alone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
