/* SPDX-License-Identifier: Apache-2.0
 *
 * The durable state of one process, behind an asynchronous interface: batches of records
 * (services/store/storebatch.h) are committed one by one, in the order submitted, away from the
 * caller's loop, and the loop learns when each is durable. What a process promised to others may be
 * sent only from `done` on.
 *
 * Stores: services/store/sqlitestore.h (a file, a storage thread), services/store/memorystore.h
 * (for simulation: single-threaded, commits when told to).
 *
 * Invariants.
 *   - done(OK) means: the batch survives kill -9 and power loss.
 *   - Commits are durable strictly in the order submitted; their dones come in that order.
 *   - Fail-stop: after the first failed commit every later one fails too and touches nothing. The
 *     owner ends the process. A failed batch has no effect that this process can read; when the
 *     disk broke at the moment of its fsync it may be there, whole, after a restart (as a batch may
 *     whose done a crash cut off).
 *   - Lease: opening a store takes an epoch that is above all earlier ones, and every commit checks
 *     that it is still the newest. A process whose state was taken over by another fails with
 *     RN_E_LEASE and writes nothing more.
 *   - Every done and read callback comes exactly once: on the loop through `post`, or at the latest
 *     inside rn_store_close. Never from inside the call that asked for it.
 *
 * Life cycle: rn_sqlite_store_open or rn_memory_store_open -> scan, latest (to resume) -> commit,
 * read_async, ... -> rn_store_close.
 *
 * Threads: one owner's thread (the loop) calls everything here and gets every callback.
 */
#ifndef RN_SERVICES_STORE_STORE_H
#define RN_SERVICES_STORE_STORE_H

#include "base/bytes.h"
#include "base/result.h"
#include "services/store/storebatch.h"

/* Commits, reads and renewals that were asked for and whose callback has not come. */
#define RN_STORE_QUEUE_JOBS_MAX 1024
/* Bodies of those commits together; a single batch is taken whatever its size when none waits. */
#define RN_STORE_QUEUE_BYTES_MAX ((size_t)256 << 20)
/* Bodies in one answer of rn_store_read_async; one record is given whatever its size. */
#define RN_STORE_READ_BYTES_MAX ((size_t)64 << 20)
#define RN_STORE_BINDING_MAX ((size_t)4096)

struct rn_store;

struct rn_store_options {
    /* From any thread: runs function(argument) on the owner's loop, in the order posted; false when
     * the loop takes no more (then rn_store_close delivers). What was accepted must run, if need be
     * after rn_store_close. */
    bool (*post)(void *user, void (*function)(void *argument), void *argument);
    void *user;

    /* Whom the state belongs to. The first opening stores the bytes, later ones compare:
     * RN_E_CONFIG when the state was bound to something else. binding_what names the thing for that
     * sentence, such as "identity or plan". Empty: not looked at (inspection). */
    struct rn_view binding;
    const char *binding_what;

    /* Bit k: records of kind k are never deleted; a rule that would is RN_E_USAGE. */
    uint64_t kept_kinds;

    size_t queue_bytes_max; /* 0: RN_STORE_QUEUE_BYTES_MAX */
};

/* --- writing ---------------------------------------------------------------------------------- */

/* result and, when it is not RN_OK, the sentence in err (never NULL). */
typedef void (*rn_store_done)(void *context, uint64_t sequence, rn_result result,
                              const struct rn_error *err);

/* Queues the batch and returns at once; the batch is moved from and left empty. *out_sequence (may
 * be NULL) counts 1, 2, ... over the store's life and is what done is told.
 * RN_E_BUSY: the queue is full; the batch is untouched, hold back and try again after a done.
 * RN_E_DATA: the batch went over a limit or has an impossible kind; RN_E_USAGE: it would delete
 * kept records; RN_E_UNAVAILABLE: rn_store_close is under way; all leave it untouched too. A store
 * that failed still takes batches and tells done. */
RN_MUST rn_result rn_store_commit(struct rn_store *store, struct rn_store_batch *batch,
                                  rn_store_done done, void *context, uint64_t *out_sequence,
                                  struct rn_error *err);

/* Prolongs the lease, in the order of the commits. A store whose lease lasts until it is closed
 * (SQLite: a file lock) only checks that it was not lost. Fails, and stops later commits, like a
 * commit; done is told the sequence of the last commit before it. */
RN_MUST rn_result rn_store_renew(struct rn_store *store, rn_store_done done, void *context,
                                 struct rn_error *err);
/* The lease's number: above that of everyone who held this state before. */
uint64_t rn_store_epoch(const struct rn_store *store);

/* What is queued or under way, for holding back (and for a metric). */
struct rn_store_load {
    size_t jobs;
    size_t bytes;
    size_t bytes_max;
};
struct rn_store_load rn_store_load(const struct rn_store *store);

/* --- reading ---------------------------------------------------------------------------------- */

enum rn_store_scope {
    RN_STORE_ALL = 0,     /* every record of the kind */
    RN_STORE_ROUND = 1,   /* those of one round */
    RN_STORE_SESSION = 2, /* those of one session */
};

struct rn_store_query {
    uint32_t kind;
    enum rn_store_scope scope;
    uint32_t round;                          /* scope RN_STORE_ROUND */
    uint8_t session[RN_STORE_SESSION_BYTES]; /* scope RN_STORE_SESSION */
    uint64_t after;   /* only records whose position is above; 0: from the first */
    size_t bytes_max; /* read_async alone; 0: RN_STORE_READ_BYTES_MAX */
};

/* Called per record in order of appending; key and body are valid during the call, which must not
 * call the store. A failure ends the scan and is returned. */
typedef rn_result (*rn_store_visit)(void *argument, uint64_t position,
                                    const struct rn_store_key *key, struct rn_view body,
                                    struct rn_error *err);

/* Reads on the caller's thread, for the start and short catch-up. Sees every batch whose done has
 * come (and perhaps ones whose done is on its way), each wholly or not at all; does not wait for a
 * commit under way. RN_E_DATA when the file is damaged. */
RN_MUST rn_result rn_store_scan(struct rn_store *store, const struct rn_store_query *query,
                                rn_store_visit visit, void *argument, struct rn_error *err);

/* The newest record that the query names (`after` included). out_found false and *out_record
 * zeroed when there is none. out_record is overwritten; the caller clears its body. */
RN_MUST rn_result rn_store_latest(struct rn_store *store, const struct rn_store_query *query,
                                  struct rn_store_record *out_record, bool *out_found,
                                  struct rn_error *err);

/* The records are the callee's to take (leave zeroes behind) during the call; what it leaves is
 * freed. Empty when result is not RN_OK. */
typedef void (*rn_store_read_done)(void *context, rn_result result,
                                   struct rn_store_records *records, const struct rn_error *err);

/* Reads on the storage thread, after the commits submitted before; for big replays. Gives whole
 * records in order of appending until bytes_max would be exceeded (at least one), then `more`.
 * RN_E_BUSY when the queue is full. A failed read does not stop the store. */
RN_MUST rn_result rn_store_read_async(struct rn_store *store, const struct rn_store_query *query,
                                      rn_store_read_done done, void *context, struct rn_error *err);

/* --- end -------------------------------------------------------------------------------------- */

/* Finishes what is queued (commits it), delivers every callback that has not come, frees. Takes as
 * long as the disk does. NULL is fine; leaves NULL behind. Not from inside a callback. */
void rn_store_close(struct rn_store **store);

#endif
