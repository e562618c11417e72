/* SPDX-License-Identifier: Apache-2.0
 *
 * Between sqliteopen.c and sqlitefile.c.
 */
#ifndef RN_SERVICES_STORE_SQLITEINTERNAL_H
#define RN_SERVICES_STORE_SQLITEINTERNAL_H

#include <sqlite3.h>

#include "base/file.h"
#include "services/store/sqlitefile.h"

enum rn_sqlite_statement {
    RN_SQLITE_APPEND,
    RN_SQLITE_SCAN_ALL, /* in the order of enum rn_store_scope */
    RN_SQLITE_SCAN_ROUND,
    RN_SQLITE_SCAN_SESSION,
    RN_SQLITE_NEWEST_ALL, /* in the order of enum rn_store_scope */
    RN_SQLITE_NEWEST_ROUND,
    RN_SQLITE_NEWEST_SESSION,
    RN_SQLITE_PRUNE_BEFORE,
    RN_SQLITE_PRUNE_SESSION,
    RN_SQLITE_STATE_READ,
    RN_SQLITE_STATE_WRITE,
    RN_SQLITE_STATEMENTS_,
};

struct rn_sqlite {
    sqlite3 *database;
    sqlite3_stmt *statements[RN_SQLITE_STATEMENTS_];
    bool begun;
    char path[RN_PATH_MAX];
};

/* One sentence for whatever SQLite says, with the result class that fits. */
rn_result rn_sqlite_fail(const struct rn_sqlite *file, int status, struct rn_error *err);
RN_MUST rn_result rn_sqlite_run(struct rn_sqlite *file, const char *sql, struct rn_error *err);

#endif
