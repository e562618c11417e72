/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of one process: append-only records in an SQLite file (WAL, synchronous=FULL). When
 * an append returned rn_ok the record survives power loss; when it failed, nothing was written. A
 * process first appends and only then acts on what the record promises.
 *
 * One state directory belongs to one identity and one plan (rn_journal_bind) and is held by one
 * process (an exclusive lock from open to close), because two processes with one identity would
 * vote twice.
 *
 * Files in the directory: journal.db, journal.db-wal, journal.db-shm (mode 0600, deleted content is
 * overwritten, since records may hold shares), lock.
 *
 * Life cycle: open -> bind -> append/scan/... -> close. One thread.
 */
#ifndef RN_SERVICES_STORE_JOURNAL_H
#define RN_SERVICES_STORE_JOURNAL_H

#include "base/bytes.h"
#include "base/result.h"
#include "services/federation/recordkind.h"

/* Longest body of one record: an adapter of 2^28 float32 elements does not fit, and is refused by
 * the plan's limits before it comes here. */
#define RN_JOURNAL_BODY_MAX ((size_t)900 << 20)
#define RN_JOURNAL_SESSION_BYTES 32

struct rn_journal;

/* Makes the directory (0700) if absent, takes the lock and opens the database. RN_E_BUSY when
 * another process holds the directory; RN_E_DATA when the file is not a journal or is damaged. */
RN_MUST rn_result rn_journal_open(const char *directory, struct rn_journal **out_journal,
                                  struct rn_error *err);
/* NULL is fine; leaves NULL behind. */
void rn_journal_close(struct rn_journal **journal);

/* The first call stores the bytes; later calls compare. RN_E_CONFIG when the directory was bound to
 * something else. `what` names the thing for the sentence. */
RN_MUST rn_result rn_journal_bind(struct rn_journal *journal, struct rn_view binding,
                                  const char *what, struct rn_error *err);

/* What identifies a record beside its body. session is all zero where there is none. */
struct rn_journal_key {
    enum rn_journal_kind kind;
    uint8_t session[RN_JOURNAL_SESSION_BYTES];
    uint32_t round;
    uint32_t attempt;
};

/* Durable when it returns rn_ok. RN_E_IO when the disk is full or broken: nothing was written. */
RN_MUST rn_result rn_journal_append(struct rn_journal *journal, const struct rn_journal_key *key,
                                    struct rn_view body, struct rn_error *err);

/* Several appends that become durable together or not at all: begin, append..., commit. A failed
 * append inside, or a close before commit, undoes all of them. */
RN_MUST rn_result rn_journal_begin(struct rn_journal *journal, struct rn_error *err);
RN_MUST rn_result rn_journal_commit(struct rn_journal *journal, struct rn_error *err);

/* Called per record in order of appending; the view is valid during the call. A failure ends the
 * scan and is returned. */
typedef rn_result (*rn_journal_visit)(void *argument, const struct rn_journal_key *key,
                                      struct rn_view body, struct rn_error *err);
/* All records of a kind; session NULL means any session. */
RN_MUST rn_result rn_journal_scan(struct rn_journal *journal, enum rn_journal_kind kind,
                                  const uint8_t *session, rn_journal_visit visit, void *argument,
                                  struct rn_error *err);

/* The newest record of a kind, for one round (round < 0: any). out_found false and an empty body
 * when there is none. out_body is initialised by the caller and replaced. */
RN_MUST rn_result rn_journal_latest(struct rn_journal *journal, enum rn_journal_kind kind,
                                    int64_t round, struct rn_journal_key *out_key,
                                    struct rn_buffer *out_body, bool *out_found,
                                    struct rn_error *err);

/* Deletes the records of a kind whose round is below first_kept_round. Spent records (rule A9) are
 * never deleted: RN_E_USAGE. */
RN_MUST rn_result rn_journal_prune(struct rn_journal *journal, enum rn_journal_kind kind,
                                   uint32_t first_kept_round, struct rn_error *err);

#endif
