/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the database: the lock, the pragmas and the proof that they took, the schema.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/store/sqliteinternal.h"

/* "Rndo": marks the file as ours (PRAGMA application_id). */
#define APPLICATION 0x526e646f
#define SCHEMA 2
/* Another program may hold the file for a moment (a backup does). The loop does not wait long. */
#define WRITER_WAIT_MS 60000
#define READER_WAIT_MS 1000

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

/* Every index ends in the row's id, so each serves its scan in order of appending. */
#define INDEXES_SQL                                      \
    "CREATE INDEX record_kind ON record (kind);"         \
    "CREATE INDEX record_round ON record (kind, round);" \
    "CREATE INDEX record_session ON record (kind, session);"
#define STATE_SQL "CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
#define VERSION_SQL "PRAGMA user_version=" TEXT(SCHEMA) ";"

static const char NEW_SQL[] =
    "CREATE TABLE record ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, session BLOB NOT NULL,"
    " round INTEGER NOT NULL, attempt INTEGER NOT NULL, body BLOB NOT NULL);" INDEXES_SQL STATE_SQL
    "PRAGMA application_id=" TEXT(APPLICATION) ";" VERSION_SQL;

/* Schema 1 kept the binding as a record of kind 1. */
static const char CONVERT_SQL[] =
    "DROP INDEX record_kind;" INDEXES_SQL STATE_SQL
    "INSERT INTO state SELECT 'binding', body FROM record WHERE kind = 1 ORDER BY id LIMIT 1;"
    "DELETE FROM record WHERE kind = 1;" VERSION_SQL;

static const struct pragma {
    const char *set;
    const char *read;
    const char *value;
    bool reader; /* the reading connection needs it too */
} PRAGMAS[] = {
    {"PRAGMA journal_mode=WAL", "PRAGMA journal_mode", "wal", false},
    {"PRAGMA synchronous=FULL", "PRAGMA synchronous", "2", false},
    {"PRAGMA secure_delete=ON", "PRAGMA secure_delete", "1", false},
    {"PRAGMA journal_size_limit=67108864", "PRAGMA journal_size_limit", "67108864", false},
    {"PRAGMA trusted_schema=OFF", "PRAGMA trusted_schema", "0", true},
};

rn_result rn_sqlite_fail(const struct rn_sqlite *file, int status, struct rn_error *err)
{
    const int reason = sqlite3_system_errno(file->database);
    switch (status & 0xff) {
    case SQLITE_FULL:
        return rn_fail(err, RN_E_IO,
                       "%s: the disk is full; free space and start again: nothing that was "
                       "acknowledged is lost",
                       file->path);
    case SQLITE_IOERR:
        return rn_fail(err, RN_E_IO,
                       "%s: the disk failed (%s%s%s); mend it or the limit on file size and start "
                       "again: nothing that was acknowledged is lost",
                       file->path, sqlite3_errstr(status), reason == 0 ? "" : ", ",
                       reason == 0 ? "" : strerror(reason));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return rn_fail(err, RN_E_BUSY, "%s: held by another process", file->path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return rn_fail(err, RN_E_DATA,
                       "%s: damaged or not a journal; restore nothing from a backup: start the "
                       "site anew with a new identity",
                       file->path);
    case SQLITE_TOOBIG:
        return rn_fail(err, RN_E_DATA, "%s: record too large", file->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
        return rn_fail(err, RN_E_IO, "%s: cannot be opened for writing (%s)", file->path,
                       sqlite3_errstr(status));
    default:
        return rn_fail(err, RN_E_IO, "%s: %s", file->path, sqlite3_errstr(status));
    }
}

rn_result rn_sqlite_run(struct rn_sqlite *file, const char *sql, struct rn_error *err)
{
    const int status = sqlite3_exec(file->database, sql, NULL, NULL, NULL);
    return status == SQLITE_OK ? rn_ok() : rn_sqlite_fail(file, status, err);
}

/* The first value of the first row, as text. */
static rn_result read_value(struct rn_sqlite *file, const char *sql, char out[static 32],
                            struct rn_error *err)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(file->database, sql, -1, &statement, NULL);
    if (status == SQLITE_OK) {
        status = sqlite3_step(statement);
    }
    out[0] = '\0';
    if (status == SQLITE_ROW) {
        (void)rn_text_format(out, 32, "%s", (const char *)sqlite3_column_text(statement, 0));
        status = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return status == SQLITE_OK ? rn_ok() : rn_sqlite_fail(file, status, err);
}

/* SQLite ignores a pragma that it cannot follow: only reading it back tells. */
static rn_result set_pragmas(struct rn_sqlite *file, enum rn_sqlite_use use, struct rn_error *err)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(PRAGMAS); i++) {
        const struct pragma *pragma = &PRAGMAS[i];
        if (use == RN_SQLITE_READ && !pragma->reader) {
            continue;
        }
        char value[32];
        RN_TRY(rn_sqlite_run(file, pragma->set, err));
        RN_TRY(read_value(file, pragma->read, value, err));
        RN_ENSURE(
            strcmp(value, pragma->value) == 0, err, RN_E_UNSUPPORTED,
            "%s: %s did not take (it is \"%s\"), so a record might not survive a crash; use a "
            "local file system",
            file->path, pragma->set, value);
    }
    return rn_ok();
}

static rn_result run_in_transaction(struct rn_sqlite *file, const char *sql, struct rn_error *err)
{
    RN_TRY(rn_sqlite_begin(file, err));
    const rn_result result = rn_sqlite_run(file, sql, err);
    if (!rn_is_ok(result)) {
        rn_sqlite_undo(file);
        return result;
    }
    return rn_sqlite_commit(file, err);
}

/* An empty file becomes a store; anything else must already be one. */
static rn_result check_schema(struct rn_sqlite *file, struct rn_error *err)
{
    char application[32];
    char version[32];
    char objects[32];
    RN_TRY(read_value(file, "PRAGMA application_id", application, err));
    RN_TRY(read_value(file, "PRAGMA user_version", version, err));
    RN_TRY(read_value(file, "SELECT count(*) FROM sqlite_master", objects, err));
    if (strcmp(application, "0") == 0 && strcmp(objects, "0") == 0) {
        return run_in_transaction(file, NEW_SQL, err);
    }
    char ours[32];
    (void)rn_text_format(ours, sizeof(ours), "%d", APPLICATION);
    RN_ENSURE(strcmp(application, ours) == 0, err, RN_E_DATA, "%s: not a journal of Rondo",
              file->path);
    if (strcmp(version, "1") == 0) {
        return run_in_transaction(file, CONVERT_SQL, err);
    }
    RN_ENSURE(strcmp(version, TEXT(SCHEMA)) == 0, err, RN_E_UNSUPPORTED,
              "%s: written by another version of Rondo (schema %s, this build knows %d)",
              file->path, version, SCHEMA);
    return rn_ok();
}

/* Made here so that it is the owner's alone from the start; SQLite gives -wal and -shm the mode of
 * the file. */
static rn_result make_file(const char *path, struct rn_error *err)
{
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    RN_ENSURE(descriptor >= 0, err, RN_E_IO, "%s: cannot be opened for writing (%s)", path,
              strerror(errno));
    (void)close(descriptor);
    return rn_ok();
}

static rn_result open_database(struct rn_sqlite *file, enum rn_sqlite_use use, struct rn_error *err)
{
    const int status = sqlite3_open_v2(file->path, &file->database,
                                       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (status != SQLITE_OK) {
        return rn_sqlite_fail(file, status, err);
    }
    (void)sqlite3_extended_result_codes(file->database, 1);
    (void)sqlite3_busy_timeout(file->database,
                               use == RN_SQLITE_WRITE ? WRITER_WAIT_MS : READER_WAIT_MS);
    (void)sqlite3_limit(file->database, SQLITE_LIMIT_ATTACHED, 0);
    RN_TRY(set_pragmas(file, use, err));
    return use == RN_SQLITE_WRITE ? check_schema(file, err)
                                  : rn_sqlite_run(file, "PRAGMA query_only=ON", err);
}

static rn_result prepare(struct rn_sqlite *file, struct rn_error *err)
{
    for (size_t i = 0; i < RN_SQLITE_STATEMENTS_; i++) {
        const int status =
            sqlite3_prepare_v3(file->database, rn_sqlite_statement_sql(i), -1,
                               SQLITE_PREPARE_PERSISTENT, &file->statements[i], NULL);
        if (status != SQLITE_OK) {
            return rn_sqlite_fail(file, status, err);
        }
    }
    return rn_ok();
}

rn_result rn_sqlite_directory_hold(const char *directory, int *out_lock, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_directory_make(directory, 0700, err));
    RN_TRY(rn_path_join(path, directory, "lock", err));
    const rn_result result = rn_file_lock(path, out_lock, err);
    RN_ENSURE(result.code != RN_E_BUSY, err, RN_E_BUSY,
              "%s: another process with this identity is running; stop it first", directory);
    return result;
}

rn_result rn_sqlite_open(const char *directory, enum rn_sqlite_use use, struct rn_sqlite **out_file,
                         struct rn_error *err)
{
    RN_CLEANUP(rn_sqlite_close) struct rn_sqlite *file = rn_alloc(1, sizeof(*file));
    RN_TRY(rn_path_join(file->path, directory, "journal.db", err));
    if (use == RN_SQLITE_WRITE) {
        RN_TRY(make_file(file->path, err));
    }
    RN_TRY(open_database(file, use, err));
    RN_TRY(prepare(file, err));
    *out_file = RN_TAKE(file);
    return rn_ok();
}

void rn_sqlite_close(struct rn_sqlite **file)
{
    if (*file == NULL) {
        return;
    }
    for (size_t i = 0; i < RN_SQLITE_STATEMENTS_; i++) {
        (void)sqlite3_finalize((*file)->statements[i]);
    }
    (void)sqlite3_close((*file)->database);
    rn_free(*file);
    *file = NULL;
}
