/* SPDX-License-Identifier: Apache-2.0
 *
 * The statements: records in and out, the binding, the lease.
 */
#include "services/store/sqlitefile.h"

#include <string.h>

#include "base/guard.h"
#include "services/store/sqliteinternal.h"
#include "services/store/storebase.h"

#define ROW "SELECT id, round, attempt, session, body FROM record "
#define ALL "WHERE kind = ?1 AND id > ?2 "
#define ROUND "WHERE kind = ?1 AND id > ?2 AND round = ?3 "
#define SESSION "WHERE kind = ?1 AND id > ?2 AND session = ?4 "

/* INDEXED BY: without statistics SQLite would choose between indexes by guess. */
static const char *const STATEMENT_SQL[RN_SQLITE_STATEMENTS_] = {
    [RN_SQLITE_APPEND] =
        "INSERT INTO record (kind, session, round, attempt, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    [RN_SQLITE_SCAN_ALL] = ROW "INDEXED BY record_kind " ALL "ORDER BY id",
    [RN_SQLITE_SCAN_ROUND] = ROW "INDEXED BY record_round " ROUND "ORDER BY id",
    [RN_SQLITE_SCAN_SESSION] = ROW "INDEXED BY record_session " SESSION "ORDER BY id",
    [RN_SQLITE_NEWEST_ALL] = ROW "INDEXED BY record_kind " ALL "ORDER BY id DESC LIMIT 1",
    [RN_SQLITE_NEWEST_ROUND] = ROW "INDEXED BY record_round " ROUND "ORDER BY id DESC LIMIT 1",
    [RN_SQLITE_NEWEST_SESSION] =
        ROW "INDEXED BY record_session " SESSION "ORDER BY id DESC LIMIT 1",
    [RN_SQLITE_PRUNE_BEFORE] = "DELETE FROM record INDEXED BY record_round "
                               "WHERE kind = ?1 AND (round, attempt) < (?2, ?3)",
    [RN_SQLITE_PRUNE_SESSION] =
        "DELETE FROM record INDEXED BY record_session WHERE kind = ?1 AND session = ?2",
    [RN_SQLITE_STATE_READ] = "SELECT value FROM state WHERE name = ?1",
    [RN_SQLITE_STATE_WRITE] = "INSERT OR REPLACE INTO state (name, value) VALUES (?1, ?2)",
};

const char *rn_sqlite_statement_sql(size_t index)
{
    return index < RN_SQLITE_STATEMENTS_ ? STATEMENT_SQL[index] : NULL;
}

/* --- transactions ----------------------------------------------------------------------------- */

rn_result rn_sqlite_begin(struct rn_sqlite *file, struct rn_error *err)
{
    RN_BUG_IF(file->begun);
    RN_TRY(rn_sqlite_run(file, "BEGIN IMMEDIATE", err));
    file->begun = true;
    return rn_ok();
}

void rn_sqlite_undo(struct rn_sqlite *file)
{
    if (file->begun) {
        (void)sqlite3_exec(file->database, "ROLLBACK", NULL, NULL, NULL);
        file->begun = false;
    }
}

rn_result rn_sqlite_commit(struct rn_sqlite *file, struct rn_error *err)
{
    const rn_result result = rn_sqlite_run(file, "COMMIT", err);
    if (rn_is_ok(result)) {
        file->begun = false;
    } else {
        rn_sqlite_undo(file);
    }
    return result;
}

/* --- records ---------------------------------------------------------------------------------- */

/* Values are borrowed until the statement is done. */
static void bind_bytes(sqlite3_stmt *statement, int index, struct rn_view bytes)
{
    /* A NULL pointer would bind SQL NULL, not empty bytes. */
    const void *data = bytes.length == 0 ? (const void *)"" : (const void *)bytes.data;
    (void)sqlite3_bind_blob64(statement, index, data, bytes.length, SQLITE_STATIC);
}

/* Runs a statement that gives no rows. */
static rn_result finish_write(struct rn_sqlite *file, sqlite3_stmt *statement, struct rn_error *err)
{
    const int status = sqlite3_step(statement);
    const rn_result result = status == SQLITE_DONE ? rn_ok() : rn_sqlite_fail(file, status, err);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return result;
}

rn_result rn_sqlite_append(struct rn_sqlite *file, const struct rn_store_key *key,
                           struct rn_view body, struct rn_error *err)
{
    RN_ENSURE(body.length <= RN_STORE_BODY_MAX, err, RN_E_DATA,
              "%s: a record of %zu bytes is over the limit of %zu", file->path, body.length,
              RN_STORE_BODY_MAX);
    sqlite3_stmt *statement = file->statements[RN_SQLITE_APPEND];
    (void)sqlite3_bind_int64(statement, 1, key->kind);
    bind_bytes(statement, 2, rn_view_of(key->session, sizeof(key->session)));
    (void)sqlite3_bind_int64(statement, 3, key->round);
    (void)sqlite3_bind_int64(statement, 4, key->attempt);
    bind_bytes(statement, 5, body);
    return finish_write(file, statement, err);
}

rn_result rn_sqlite_prune(struct rn_sqlite *file, const struct rn_store_prune *prune,
                          struct rn_error *err)
{
    const bool session = prune->rule == RN_STORE_PRUNE_SESSION;
    sqlite3_stmt *statement =
        file->statements[session ? RN_SQLITE_PRUNE_SESSION : RN_SQLITE_PRUNE_BEFORE];
    (void)sqlite3_bind_int64(statement, 1, prune->key.kind);
    if (session) {
        bind_bytes(statement, 2, rn_view_of(prune->key.session, sizeof(prune->key.session)));
    } else {
        (void)sqlite3_bind_int64(statement, 2, prune->key.round);
        (void)sqlite3_bind_int64(statement, 3, prune->key.attempt);
    }
    return finish_write(file, statement, err);
}

static struct rn_view column_bytes(sqlite3_stmt *row, int column)
{
    const void *data = sqlite3_column_blob(row, column);
    return rn_view_of(data, (size_t)sqlite3_column_bytes(row, column));
}

static rn_result row_key(const struct rn_sqlite *file, sqlite3_stmt *row, uint32_t kind,
                         struct rn_store_key *out_key, struct rn_error *err)
{
    const int64_t round = sqlite3_column_int64(row, 1);
    const int64_t attempt = sqlite3_column_int64(row, 2);
    const struct rn_view session = column_bytes(row, 3);
    RN_ENSURE(round >= 0 && round <= UINT32_MAX && attempt >= 0 && attempt <= UINT32_MAX &&
                  session.length == RN_STORE_SESSION_BYTES,
              err, RN_E_DATA, "%s: a record has an impossible key; the journal is damaged",
              file->path);
    *out_key =
        (struct rn_store_key){.kind = kind, .round = (uint32_t)round, .attempt = (uint32_t)attempt};
    memcpy(out_key->session, session.data, session.length);
    return rn_ok();
}

static rn_result visit_row(const struct rn_sqlite *file, sqlite3_stmt *row, uint32_t kind,
                           rn_store_visit visit, void *argument, struct rn_error *err)
{
    struct rn_store_key key;
    RN_TRY(row_key(file, row, kind, &key, err));
    return visit(argument, (uint64_t)sqlite3_column_int64(row, 0), &key, column_bytes(row, 4), err);
}

rn_result rn_sqlite_read(struct rn_sqlite *file, const struct rn_store_query *query, bool newest,
                         rn_store_visit visit, void *argument, struct rn_error *err)
{
    const int first = newest ? RN_SQLITE_NEWEST_ALL : RN_SQLITE_SCAN_ALL;
    sqlite3_stmt *row = file->statements[first + (int)query->scope];
    (void)sqlite3_bind_int64(row, 1, query->kind);
    (void)sqlite3_bind_int64(row, 2, (int64_t)query->after);
    if (query->scope == RN_STORE_ROUND) {
        (void)sqlite3_bind_int64(row, 3, query->round);
    } else if (query->scope == RN_STORE_SESSION) {
        bind_bytes(row, 4, rn_view_of(query->session, sizeof(query->session)));
    }
    rn_result result = rn_ok();
    int status = SQLITE_DONE;
    while (rn_is_ok(result) && (status = sqlite3_step(row)) == SQLITE_ROW) {
        result = visit_row(file, row, query->kind, visit, argument, err);
    }
    if (rn_is_ok(result) && status != SQLITE_DONE) {
        result = rn_sqlite_fail(file, status, err);
    }
    (void)sqlite3_reset(row);
    (void)sqlite3_clear_bindings(row);
    return result;
}

/* --- binding and lease ------------------------------------------------------------------------ */

static sqlite3_stmt *state_statement(struct rn_sqlite *file, enum rn_sqlite_statement which,
                                     const char *name)
{
    sqlite3_stmt *statement = file->statements[which];
    (void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    return statement;
}

rn_result rn_sqlite_bind(struct rn_sqlite *file, struct rn_view binding, const char *what,
                         struct rn_error *err)
{
    RN_ENSURE(binding.length <= RN_STORE_BINDING_MAX, err, RN_E_USAGE,
              "%s: a binding of %zu bytes is over the limit of %zu", file->path, binding.length,
              RN_STORE_BINDING_MAX);
    sqlite3_stmt *row = state_statement(file, RN_SQLITE_STATE_READ, "binding");
    const int status = sqlite3_step(row);
    const bool same = status == SQLITE_ROW && rn_view_equal(column_bytes(row, 0), binding);
    (void)sqlite3_reset(row);
    if (status == SQLITE_DONE) {
        sqlite3_stmt *statement = state_statement(file, RN_SQLITE_STATE_WRITE, "binding");
        bind_bytes(statement, 2, binding);
        return finish_write(file, statement, err);
    }
    if (status != SQLITE_ROW) {
        return rn_sqlite_fail(file, status, err);
    }
    RN_ENSURE(same, err, RN_E_CONFIG,
              "%s: this state directory belongs to another %s; use an empty one for a new job",
              file->path, what);
    return rn_ok();
}

/* 0 when nobody ever held a lease. */
static rn_result read_epoch(struct rn_sqlite *file, uint64_t *out_epoch, struct rn_error *err)
{
    sqlite3_stmt *row = state_statement(file, RN_SQLITE_STATE_READ, "epoch");
    const int status = sqlite3_step(row);
    *out_epoch = status == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
    (void)sqlite3_reset(row);
    return status == SQLITE_ROW || status == SQLITE_DONE ? rn_ok()
                                                         : rn_sqlite_fail(file, status, err);
}

static rn_result raise_epoch(struct rn_sqlite *file, uint64_t *out_epoch, struct rn_error *err)
{
    RN_TRY(read_epoch(file, out_epoch, err));
    ++*out_epoch;
    sqlite3_stmt *statement = state_statement(file, RN_SQLITE_STATE_WRITE, "epoch");
    (void)sqlite3_bind_int64(statement, 2, (int64_t)*out_epoch);
    return finish_write(file, statement, err);
}

rn_result rn_sqlite_lease_take(struct rn_sqlite *file, uint64_t *out_epoch, struct rn_error *err)
{
    RN_TRY(rn_sqlite_begin(file, err));
    const rn_result result = raise_epoch(file, out_epoch, err);
    if (!rn_is_ok(result)) {
        rn_sqlite_undo(file);
        return result;
    }
    return rn_sqlite_commit(file, err);
}

rn_result rn_sqlite_lease_check(struct rn_sqlite *file, uint64_t epoch, struct rn_error *err)
{
    uint64_t newest = 0;
    RN_TRY(read_epoch(file, &newest, err));
    return newest == epoch ? rn_ok() : rn_store_lease_lost(file->path, err);
}
