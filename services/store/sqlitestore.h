/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of a service: an SQLite file (WAL, synchronous=FULL) with a storage thread of its own.
 *
 * A state directory is held by one process (an exclusive lock from open to close), because two
 * processes with one identity would vote twice. The epoch is a counter in the file, raised at each
 * opening under that lock.
 *
 * Files in the directory: journal.db, journal.db-wal, journal.db-shm (mode 0600, deleted content is
 * overwritten, since records may hold shares), lock.
 */
#ifndef RN_SERVICES_STORE_SQLITESTORE_H
#define RN_SERVICES_STORE_SQLITESTORE_H

#include "services/store/store.h"

/* Makes the directory (0700) if absent, takes the lock, opens the database, binds it, takes the
 * lease and starts the storage thread. RN_E_BUSY when another process holds the directory;
 * RN_E_DATA when the file is not a store or is damaged; RN_E_UNSUPPORTED when the file system
 * cannot give the durability asked for; RN_E_CONFIG when the state belongs to another. */
RN_MUST rn_result rn_sqlite_store_open(const char *directory,
                                       const struct rn_store_options *options,
                                       struct rn_store **out_store, struct rn_error *err);

/* The newest record of the kind in a state directory that this process does not hold, whether or
 * not another one does. *out_found false where there is none; out_body is overwritten and the
 * caller clears it. RN_E_NO_INPUT when the directory has no journal.db; RN_E_DATA when that is
 * damaged; nothing is written but what SQLite recovers after a crash. */
RN_MUST rn_result rn_sqlite_store_peek(const char *directory, uint32_t kind,
                                       struct rn_buffer *out_body, bool *out_found,
                                       struct rn_error *err);

#endif
