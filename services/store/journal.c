/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal: the writing connection of services/store/sqlitefile.h, used at once.
 */
#include "services/store/journal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/store/sqlitefile.h"

struct rn_journal {
    struct rn_sqlite *file;
    int lock;
    bool in_batch;
};

rn_result rn_journal_open(const char *directory, struct rn_journal **out_journal,
                          struct rn_error *err)
{
    RN_CLEANUP(rn_journal_close) struct rn_journal *journal = rn_alloc(1, sizeof(*journal));
    journal->lock = -1;
    RN_TRY(rn_sqlite_directory_hold(directory, &journal->lock, err));
    RN_TRY(rn_sqlite_open(directory, RN_SQLITE_WRITE, &journal->file, err));
    *out_journal = RN_TAKE(journal);
    return rn_ok();
}

void rn_journal_close(struct rn_journal **journal)
{
    if (*journal == NULL) {
        return;
    }
    rn_sqlite_close(&(*journal)->file);
    if ((*journal)->lock >= 0) {
        rn_file_unlock(&(*journal)->lock);
    }
    rn_free(*journal);
    *journal = NULL;
}

rn_result rn_journal_bind(struct rn_journal *journal, struct rn_view binding, const char *what,
                          struct rn_error *err)
{
    return rn_sqlite_bind(journal->file, binding, what, err);
}

/* A failure inside a batch costs the batch. */
static rn_result kept_or_undone(struct rn_journal *journal, rn_result result)
{
    if (!rn_is_ok(result)) {
        rn_sqlite_undo(journal->file);
        journal->in_batch = false;
    }
    return result;
}

rn_result rn_journal_append(struct rn_journal *journal, const struct rn_journal_key *key,
                            struct rn_view body, struct rn_error *err)
{
    struct rn_store_key stored = {
        .kind = (uint32_t)key->kind, .round = key->round, .attempt = key->attempt};
    memcpy(stored.session, key->session, sizeof(stored.session));
    return kept_or_undone(journal, rn_sqlite_append(journal->file, &stored, body, err));
}

rn_result rn_journal_begin(struct rn_journal *journal, struct rn_error *err)
{
    RN_BUG_IF(journal->in_batch);
    RN_TRY(rn_sqlite_begin(journal->file, err));
    journal->in_batch = true;
    return rn_ok();
}

rn_result rn_journal_commit(struct rn_journal *journal, struct rn_error *err)
{
    RN_ENSURE(journal->in_batch, err, RN_E_IO, "%s: an earlier write of this batch failed",
              rn_sqlite_path(journal->file));
    journal->in_batch = false;
    return rn_sqlite_commit(journal->file, err);
}

struct visitor {
    rn_journal_visit visit;
    void *argument;
};

static struct rn_journal_key journal_key(const struct rn_store_key *stored)
{
    struct rn_journal_key key = {.kind = (enum rn_journal_kind)stored->kind,
                                 .round = stored->round,
                                 .attempt = stored->attempt};
    memcpy(key.session, stored->session, sizeof(key.session));
    return key;
}

static rn_result visit_record(void *argument, uint64_t position, const struct rn_store_key *stored,
                              struct rn_view body, struct rn_error *err)
{
    (void)position;
    const struct visitor *visitor = argument;
    const struct rn_journal_key key = journal_key(stored);
    return visitor->visit(visitor->argument, &key, body, err);
}

rn_result rn_journal_scan(struct rn_journal *journal, enum rn_journal_kind kind,
                          const uint8_t *session, rn_journal_visit visit, void *argument,
                          struct rn_error *err)
{
    struct rn_store_query query = {.kind = (uint32_t)kind};
    if (session != NULL) {
        query.scope = RN_STORE_SESSION;
        memcpy(query.session, session, sizeof(query.session));
    }
    struct visitor visitor = {visit, argument};
    return rn_sqlite_read(journal->file, &query, false, visit_record, &visitor, err);
}

struct latest {
    struct rn_journal_key *key;
    struct rn_buffer *body;
    bool *found;
};

static rn_result keep_record(void *argument, const struct rn_journal_key *key, struct rn_view body,
                             struct rn_error *err)
{
    const struct latest *latest = argument;
    (void)err;
    rn_buffer_init(latest->body, RN_JOURNAL_BODY_MAX);
    rn_buffer_append(latest->body, body.data, body.length);
    *latest->key = *key;
    *latest->found = true;
    return rn_ok();
}

rn_result rn_journal_latest(struct rn_journal *journal, enum rn_journal_kind kind, int64_t round,
                            struct rn_journal_key *out_key, struct rn_buffer *out_body,
                            bool *out_found, struct rn_error *err)
{
    struct latest latest = {out_key, out_body, out_found};
    struct visitor visitor = {keep_record, &latest};
    const struct rn_store_query query = {.kind = (uint32_t)kind,
                                         .scope = round < 0 ? RN_STORE_ALL : RN_STORE_ROUND,
                                         .round = round < 0 ? 0 : (uint32_t)round};
    *out_found = false;
    rn_buffer_clear(out_body);
    return rn_sqlite_read(journal->file, &query, true, visit_record, &visitor, err);
}

rn_result rn_journal_prune(struct rn_journal *journal, enum rn_journal_kind kind,
                           uint32_t first_kept_round, struct rn_error *err)
{
    RN_ENSURE(kind != RN_JOURNAL_SPENT && kind != RN_JOURNAL_BINDING, err, RN_E_USAGE,
              "%s: records of this kind are kept for ever", rn_sqlite_path(journal->file));
    const struct rn_store_prune prune = {
        .rule = RN_STORE_PRUNE_BEFORE, .key = {.kind = (uint32_t)kind, .round = first_kept_round}};
    return kept_or_undone(journal, rn_sqlite_prune(journal->file, &prune, err));
}
