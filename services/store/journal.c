/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal over SQLite: one table of records, statements prepared once.
 */
#include "services/store/journal.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"

/* "Rndo": marks the file as ours (PRAGMA application_id). */
#define RN_JOURNAL_APPLICATION 0x526e646f
#define RN_JOURNAL_SCHEMA 1

enum statement {
    STATEMENT_APPEND,
    STATEMENT_SCAN,
    STATEMENT_SCAN_SESSION,
    STATEMENT_LATEST,
    STATEMENT_PRUNE,
    STATEMENT_COUNT_,
};

static const char *const STATEMENT_SQL[STATEMENT_COUNT_] = {
    [STATEMENT_APPEND] =
        "INSERT INTO record (kind, session, round, attempt, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_SCAN] =
        "SELECT kind, session, round, attempt, body FROM record WHERE kind = ?1 ORDER BY id",
    [STATEMENT_SCAN_SESSION] = "SELECT kind, session, round, attempt, body FROM record "
                               "WHERE kind = ?1 AND session = ?2 ORDER BY id",
    [STATEMENT_LATEST] = "SELECT kind, session, round, attempt, body FROM record WHERE kind = ?1 "
                         "AND (?2 < 0 OR round = ?2) ORDER BY id DESC LIMIT 1",
    [STATEMENT_PRUNE] = "DELETE FROM record WHERE kind = ?1 AND round < ?2",
};

static const char SCHEMA_SQL[] =
    "CREATE TABLE IF NOT EXISTS record ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, session BLOB NOT NULL,"
    " round INTEGER NOT NULL, attempt INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS record_kind ON record (kind, session);";

struct rn_journal {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENT_COUNT_];
    int lock;
    bool in_batch;
    char path[RN_PATH_MAX];
};

/* One sentence for whatever SQLite says, with the result class that fits. */
static rn_result journal_fail(const struct rn_journal *journal, int status, struct rn_error *err)
{
    switch (status & 0xff) {
    case SQLITE_FULL:
        return rn_fail(err, RN_E_IO, "%s: the disk is full; free space and start again",
                       journal->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return rn_fail(err, RN_E_BUSY, "%s: held by another process", journal->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return rn_fail(err, RN_E_DATA,
                       "%s: damaged or not a journal; restore nothing from a backup: start the "
                       "site anew with a new identity",
                       journal->path);
    case SQLITE_TOOBIG:
        return rn_fail(err, RN_E_DATA, "%s: record too large", journal->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return rn_fail(err, RN_E_IO, "%s: cannot be opened for writing (%s)", journal->path,
                       sqlite3_errstr(status));
    default:
        return rn_fail(err, RN_E_IO, "%s: %s", journal->path, sqlite3_errstr(status));
    }
}

static rn_result run_sql(struct rn_journal *journal, const char *sql, struct rn_error *err)
{
    const int status = sqlite3_exec(journal->database, sql, NULL, NULL, NULL);
    return status == SQLITE_OK ? rn_ok() : journal_fail(journal, status, err);
}

static rn_result read_pragma(struct rn_journal *journal, const char *sql, int64_t *out_value,
                             struct rn_error *err)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(journal->database, sql, -1, &statement, NULL);
    if (status == SQLITE_OK) {
        status = sqlite3_step(statement);
    }
    if (status == SQLITE_ROW) {
        *out_value = sqlite3_column_int64(statement, 0);
        status = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return status == SQLITE_OK ? rn_ok() : journal_fail(journal, status, err);
}

/* An empty file becomes a journal; anything else must already be one of this schema. */
static rn_result check_schema(struct rn_journal *journal, struct rn_error *err)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t objects = 0;
    RN_TRY(read_pragma(journal, "PRAGMA application_id", &application, err));
    RN_TRY(read_pragma(journal, "PRAGMA user_version", &version, err));
    RN_TRY(read_pragma(journal, "SELECT count(*) FROM sqlite_master", &objects, err));
    if (application == 0 && objects == 0) {
        char sql[128];
        (void)rn_text_format(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                             RN_JOURNAL_APPLICATION, RN_JOURNAL_SCHEMA);
        RN_TRY(run_sql(journal, sql, err));
        return run_sql(journal, SCHEMA_SQL, err);
    }
    RN_ENSURE(application == RN_JOURNAL_APPLICATION, err, RN_E_DATA, "%s: not a journal of Rondo",
              journal->path);
    RN_ENSURE(version == RN_JOURNAL_SCHEMA, err, RN_E_UNSUPPORTED,
              "%s: written by another version of Rondo (schema %lld, this build knows %d)",
              journal->path, (long long)version, RN_JOURNAL_SCHEMA);
    return run_sql(journal, SCHEMA_SQL, err);
}

static rn_result open_database(struct rn_journal *journal, struct rn_error *err)
{
    const mode_t mask = umask(0077); /* the -wal and -shm files too are the owner's alone */
    const int status =
        sqlite3_open_v2(journal->path, &journal->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    rn_result result = rn_ok();
    if (status != SQLITE_OK) {
        result = journal_fail(journal, status, err);
    } else {
        (void)sqlite3_limit(journal->database, SQLITE_LIMIT_ATTACHED, 0);
        result = run_sql(journal,
                         "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                         "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
                         "PRAGMA trusted_schema=OFF; PRAGMA journal_size_limit=67108864;",
                         err);
    }
    if (rn_is_ok(result)) {
        result = check_schema(journal, err);
    }
    (void)umask(mask);
    return result;
}

rn_result rn_journal_open(const char *directory, struct rn_journal **out_journal,
                          struct rn_error *err)
{
    char lock_path[RN_PATH_MAX];
    RN_TRY(rn_directory_make(directory, 0700, err));
    RN_TRY(rn_path_join(lock_path, directory, "lock", err));
    struct rn_journal *journal = rn_alloc(1, sizeof(*journal));
    journal->lock = -1;
    rn_result result = rn_path_join(journal->path, directory, "journal.db", err);
    if (rn_is_ok(result)) {
        result = rn_file_lock(lock_path, &journal->lock, err);
        if (result.code == RN_E_BUSY) {
            result = rn_fail(err, RN_E_BUSY,
                             "%s: another process with this identity is running; stop it first",
                             directory);
        }
    }
    if (rn_is_ok(result)) {
        result = open_database(journal, err);
    }
    for (int i = 0; i < STATEMENT_COUNT_ && rn_is_ok(result); i++) {
        const int status =
            sqlite3_prepare_v3(journal->database, STATEMENT_SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &journal->statements[i], NULL);
        if (status != SQLITE_OK) {
            result = journal_fail(journal, status, err);
        }
    }
    if (!rn_is_ok(result)) {
        rn_journal_close(&journal);
        return result;
    }
    *out_journal = journal;
    return rn_ok();
}

void rn_journal_close(struct rn_journal **journal)
{
    if (*journal == NULL) {
        return;
    }
    for (int i = 0; i < STATEMENT_COUNT_; i++) {
        (void)sqlite3_finalize((*journal)->statements[i]);
    }
    (void)sqlite3_close((*journal)->database);
    if ((*journal)->lock >= 0) {
        rn_file_unlock(&(*journal)->lock);
    }
    rn_free(*journal);
    *journal = NULL;
}

static void undo(struct rn_journal *journal)
{
    if (journal->in_batch) {
        (void)sqlite3_exec(journal->database, "ROLLBACK", NULL, NULL, NULL);
        journal->in_batch = false;
    }
}

rn_result rn_journal_append(struct rn_journal *journal, const struct rn_journal_key *key,
                            struct rn_view body, struct rn_error *err)
{
    if (body.length > RN_JOURNAL_BODY_MAX) {
        undo(journal);
        return rn_fail(err, RN_E_DATA, "%s: a record of %zu bytes is over the limit of %zu",
                       journal->path, body.length, RN_JOURNAL_BODY_MAX);
    }
    sqlite3_stmt *statement = journal->statements[STATEMENT_APPEND];
    (void)sqlite3_bind_int(statement, 1, (int)key->kind);
    (void)sqlite3_bind_blob(statement, 2, key->session, sizeof(key->session), SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 3, key->round);
    (void)sqlite3_bind_int64(statement, 4, key->attempt);
    /* A NULL pointer would bind SQL NULL, not an empty body. */
    const void *data = body.length == 0 ? (const void *)"" : (const void *)body.data;
    (void)sqlite3_bind_blob64(statement, 5, data, body.length, SQLITE_STATIC);
    const int status = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    if (status != SQLITE_DONE) {
        undo(journal);
        return journal_fail(journal, status, err);
    }
    return rn_ok();
}

rn_result rn_journal_begin(struct rn_journal *journal, struct rn_error *err)
{
    RN_BUG_IF(journal->in_batch);
    RN_TRY(run_sql(journal, "BEGIN IMMEDIATE", err));
    journal->in_batch = true;
    return rn_ok();
}

rn_result rn_journal_commit(struct rn_journal *journal, struct rn_error *err)
{
    RN_ENSURE(journal->in_batch, err, RN_E_IO, "%s: an earlier write of this batch failed",
              journal->path);
    const int status = sqlite3_exec(journal->database, "COMMIT", NULL, NULL, NULL);
    if (status != SQLITE_OK) {
        undo(journal);
        return journal_fail(journal, status, err);
    }
    journal->in_batch = false;
    return rn_ok();
}

static rn_result row_key(struct rn_journal *journal, sqlite3_stmt *row,
                         struct rn_journal_key *out_key, struct rn_error *err)
{
    const int64_t kind = sqlite3_column_int64(row, 0);
    const int64_t round = sqlite3_column_int64(row, 2);
    const int64_t attempt = sqlite3_column_int64(row, 3);
    RN_ENSURE(kind > 0 && kind < RN_JOURNAL_KIND_LAST_ && round >= 0 && round <= UINT32_MAX &&
                  attempt >= 0 && attempt <= UINT32_MAX &&
                  sqlite3_column_bytes(row, 1) == RN_JOURNAL_SESSION_BYTES,
              err, RN_E_DATA, "%s: a record has an impossible key; the journal is damaged",
              journal->path);
    out_key->kind = (enum rn_journal_kind)kind;
    out_key->round = (uint32_t)round;
    out_key->attempt = (uint32_t)attempt;
    memcpy(out_key->session, sqlite3_column_blob(row, 1), RN_JOURNAL_SESSION_BYTES);
    return rn_ok();
}

static struct rn_view row_body(sqlite3_stmt *row)
{
    const void *data = sqlite3_column_blob(row, 4);
    return rn_view_of(data, (size_t)sqlite3_column_bytes(row, 4));
}

rn_result rn_journal_scan(struct rn_journal *journal, enum rn_journal_kind kind,
                          const uint8_t *session, rn_journal_visit visit, void *argument,
                          struct rn_error *err)
{
    sqlite3_stmt *row =
        journal->statements[session == NULL ? STATEMENT_SCAN : STATEMENT_SCAN_SESSION];
    (void)sqlite3_bind_int(row, 1, (int)kind);
    if (session != NULL) {
        (void)sqlite3_bind_blob(row, 2, session, RN_JOURNAL_SESSION_BYTES, SQLITE_STATIC);
    }
    rn_result result = rn_ok();
    int status = SQLITE_DONE;
    while (rn_is_ok(result) && (status = sqlite3_step(row)) == SQLITE_ROW) {
        struct rn_journal_key key;
        result = row_key(journal, row, &key, err);
        if (rn_is_ok(result)) {
            result = visit(argument, &key, row_body(row), err);
        }
    }
    (void)sqlite3_reset(row);
    (void)sqlite3_clear_bindings(row);
    if (rn_is_ok(result) && status != SQLITE_DONE) {
        result = journal_fail(journal, status, err);
    }
    return result;
}

rn_result rn_journal_latest(struct rn_journal *journal, enum rn_journal_kind kind, int64_t round,
                            struct rn_journal_key *out_key, struct rn_buffer *out_body,
                            bool *out_found, struct rn_error *err)
{
    sqlite3_stmt *row = journal->statements[STATEMENT_LATEST];
    (void)sqlite3_bind_int(row, 1, (int)kind);
    (void)sqlite3_bind_int64(row, 2, round);
    const int status = sqlite3_step(row);
    rn_result result = rn_ok();
    *out_found = false;
    rn_buffer_clear(out_body);
    if (status == SQLITE_ROW) {
        struct rn_journal_key key;
        result = row_key(journal, row, &key, err);
        if (rn_is_ok(result)) {
            const struct rn_view body = row_body(row);
            rn_buffer_init(out_body, RN_JOURNAL_BODY_MAX);
            rn_buffer_append(out_body, body.data, body.length);
            *out_key = key;
            *out_found = true;
        }
    } else if (status != SQLITE_DONE) {
        result = journal_fail(journal, status, err);
    }
    (void)sqlite3_reset(row);
    (void)sqlite3_clear_bindings(row);
    return result;
}

rn_result rn_journal_prune(struct rn_journal *journal, enum rn_journal_kind kind,
                           uint32_t first_kept_round, struct rn_error *err)
{
    RN_ENSURE(kind != RN_JOURNAL_SPENT && kind != RN_JOURNAL_BINDING && kind != RN_JOURNAL_PLAN,
              err, RN_E_USAGE, "%s: records of this kind are kept for ever", journal->path);
    sqlite3_stmt *statement = journal->statements[STATEMENT_PRUNE];
    (void)sqlite3_bind_int(statement, 1, (int)kind);
    (void)sqlite3_bind_int64(statement, 2, first_kept_round);
    const int status = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    if (status != SQLITE_DONE) {
        undo(journal);
        return journal_fail(journal, status, err);
    }
    return rn_ok();
}

rn_result rn_journal_bind(struct rn_journal *journal, struct rn_view binding, const char *what,
                          struct rn_error *err)
{
    struct rn_journal_key key = {.kind = RN_JOURNAL_BINDING};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    bool found = false;
    RN_TRY(rn_journal_latest(journal, RN_JOURNAL_BINDING, -1, &key, &body, &found, err));
    if (!found) {
        return rn_journal_append(journal, &key, binding, err);
    }
    RN_ENSURE(rn_view_equal(rn_buffer_view(&body), binding), err, RN_E_CONFIG,
              "%s: this state directory belongs to another %s; use an empty one for a new job",
              journal->path, what);
    return rn_ok();
}
