/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to the database of a state directory: the schema and all SQL of the house. Two
 * connections may be open in one process, one that writes and one that reads; each belongs to one
 * thread at a time. For the stores of this folder alone.
 *
 * Schema 2. record: the records. state: `binding` (whom the state belongs to) and `epoch` (the
 * lease). A file of schema 1 is converted when it is opened.
 */
#ifndef RN_SERVICES_STORE_SQLITEFILE_H
#define RN_SERVICES_STORE_SQLITEFILE_H

#include "services/store/store.h"

struct rn_sqlite;

enum rn_sqlite_use {
    RN_SQLITE_WRITE, /* opens or makes the file, converts it, checks that its pragmas took */
    RN_SQLITE_READ,  /* the file must have been opened for writing before */
};

/* Makes the directory (0700) if absent and holds it: RN_E_BUSY when another process does. The
 * descriptor is rn_file_unlock's. */
RN_MUST rn_result rn_sqlite_directory_hold(const char *directory, int *out_lock,
                                           struct rn_error *err);

RN_MUST rn_result rn_sqlite_open(const char *directory, enum rn_sqlite_use use,
                                 struct rn_sqlite **out_file, struct rn_error *err);
/* NULL is fine; leaves NULL behind. What was begun and not committed is undone. */
void rn_sqlite_close(struct rn_sqlite **file);

/* begin -> append, prune, lease_check -> commit; without begin each change is durable by itself.
 * After a failure in between: undo. */
RN_MUST rn_result rn_sqlite_begin(struct rn_sqlite *file, struct rn_error *err);
RN_MUST rn_result rn_sqlite_commit(struct rn_sqlite *file, struct rn_error *err);
void rn_sqlite_undo(struct rn_sqlite *file);
RN_MUST rn_result rn_sqlite_append(struct rn_sqlite *file, const struct rn_store_key *key,
                                   struct rn_view body, struct rn_error *err);
RN_MUST rn_result rn_sqlite_prune(struct rn_sqlite *file, const struct rn_store_prune *prune,
                                  struct rn_error *err);

/* As rn_store_scan; with newest the last record alone. */
RN_MUST rn_result rn_sqlite_read(struct rn_sqlite *file, const struct rn_store_query *query,
                                 bool newest, rn_store_visit visit, void *argument,
                                 struct rn_error *err);

/* The first call stores the bytes, later calls compare (RN_E_CONFIG). */
RN_MUST rn_result rn_sqlite_bind(struct rn_sqlite *file, struct rn_view binding, const char *what,
                                 struct rn_error *err);

/* Raises the epoch, durably. */
RN_MUST rn_result rn_sqlite_lease_take(struct rn_sqlite *file, uint64_t *out_epoch,
                                       struct rn_error *err);
/* RN_E_LEASE when the file's epoch is another. */
RN_MUST rn_result rn_sqlite_lease_check(struct rn_sqlite *file, uint64_t epoch,
                                        struct rn_error *err);

/* Statement number index, NULL after the last: for a test that asks SQLite for its plans. */
const char *rn_sqlite_statement_sql(size_t index);

#endif
