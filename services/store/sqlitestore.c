/* SPDX-License-Identifier: Apache-2.0
 *
 * The storage thread: it owns the writing connection and takes job after job from a queue. The
 * owner's thread reads through a connection of its own, which a commit under way does not block.
 */
#include "services/store/sqlitestore.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "base/thread.h"
#include "services/store/sqlitefile.h"
#include "services/store/storebase.h"

struct sqlite_store {
    struct rn_store base;
    int lock;
    struct rn_sqlite *writer; /* the storage thread's, once it runs */
    struct rn_sqlite *reader; /* the owner's thread's */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    struct rn_store_jobs waiting; /* under mutex */
    bool stopping;                /* under mutex: ends when nothing waits */
};

static struct sqlite_store *sqlite_of(struct rn_store *store)
{
    return (struct sqlite_store *)store;
}

/* --- storage thread --------------------------------------------------------------------------- */

static rn_result write_batch(struct rn_sqlite *file, const struct rn_store_batch *batch,
                             uint64_t epoch, struct rn_error *err)
{
    RN_TRY(rn_sqlite_lease_check(file, epoch, err));
    for (size_t i = 0; i < batch->prune_count; i++) {
        RN_TRY(rn_sqlite_prune(file, &batch->prunes[i], err));
    }
    for (size_t i = 0; i < batch->record_count; i++) {
        const struct rn_store_record *record = &batch->records[i];
        RN_TRY(rn_sqlite_append(file, &record->key, rn_buffer_view(&record->body), err));
    }
    return rn_sqlite_commit(file, err);
}

static rn_result commit(struct rn_store *store, struct rn_store_batch *batch, struct rn_error *err)
{
    struct rn_sqlite *file = sqlite_of(store)->writer;
    RN_TRY(rn_sqlite_begin(file, err));
    const rn_result result = write_batch(file, batch, store->epoch, err);
    rn_sqlite_undo(file); /* nothing to undo after a commit */
    return result;
}

static rn_result renew(struct rn_store *store, struct rn_error *err)
{
    return rn_sqlite_lease_check(sqlite_of(store)->writer, store->epoch, err);
}

static rn_result read_worker(struct rn_store *store, const struct rn_store_query *query,
                             bool newest, rn_store_visit visit, void *argument,
                             struct rn_error *err)
{
    return rn_sqlite_read(sqlite_of(store)->writer, query, newest, visit, argument, err);
}

static struct rn_store_job *next_job(struct sqlite_store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    while (store->waiting.first == NULL && !store->stopping) {
        (void)pthread_cond_wait(&store->wake, &store->mutex);
    }
    struct rn_store_job *job = rn_store_jobs_pop(&store->waiting);
    (void)pthread_mutex_unlock(&store->mutex);
    return job;
}

static void *work(void *argument)
{
    struct sqlite_store *store = argument;
    struct rn_store_job *job = NULL;
    while ((job = next_job(store)) != NULL) {
        rn_store_perform(&store->base, job);
        rn_store_outbox_put(store->base.outbox, job);
    }
    return NULL;
}

/* --- owner's thread --------------------------------------------------------------------------- */

static void submit(struct rn_store *base, struct rn_store_job *job)
{
    struct sqlite_store *store = sqlite_of(base);
    (void)pthread_mutex_lock(&store->mutex);
    rn_store_jobs_push(&store->waiting, job);
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->mutex);
}

static rn_result read_owner(struct rn_store *store, const struct rn_store_query *query, bool newest,
                            rn_store_visit visit, void *argument, struct rn_error *err)
{
    return rn_sqlite_read(sqlite_of(store)->reader, query, newest, visit, argument, err);
}

static void finish(struct rn_store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    (void)pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->mutex);
    (void)pthread_join(store->thread, NULL);
}

static void free_store(struct rn_store *base)
{
    struct sqlite_store *store = sqlite_of(base);
    rn_store_release(base);
    rn_sqlite_close(&store->reader);
    rn_sqlite_close(&store->writer);
    if (store->lock >= 0) {
        rn_file_unlock(&store->lock);
    }
    (void)pthread_cond_destroy(&store->wake);
    (void)pthread_mutex_destroy(&store->mutex);
    rn_free(store);
}

static const struct rn_store_operations OPERATIONS = {
    .submit = submit,
    .read = read_owner,
    .commit = commit,
    .renew = renew,
    .read_worker = read_worker,
    .finish = finish,
    .free = free_store,
};

static rn_result open_files(struct sqlite_store *store, const char *directory,
                            const struct rn_store_options *options, struct rn_error *err)
{
    RN_TRY(rn_sqlite_directory_hold(directory, &store->lock, err));
    RN_TRY(rn_sqlite_open(directory, RN_SQLITE_WRITE, &store->writer, err));
    if (options->binding.length > 0) {
        RN_TRY(rn_sqlite_bind(store->writer, options->binding, options->binding_what, err));
    }
    RN_TRY(rn_sqlite_lease_take(store->writer, &store->base.epoch, err));
    RN_TRY(rn_sqlite_open(directory, RN_SQLITE_READ, &store->reader, err));
    return rn_thread_start(&store->thread, work, store, err);
}

rn_result rn_sqlite_store_open(const char *directory, const struct rn_store_options *options,
                               struct rn_store **out_store, struct rn_error *err)
{
    RN_BUG_IF(options->post == NULL);
    struct sqlite_store *store = rn_alloc(1, sizeof(*store));
    rn_store_init(&store->base, &OPERATIONS, options);
    store->lock = -1;
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->wake, NULL);
    const rn_result result = open_files(store, directory, options, err);
    if (!rn_is_ok(result)) {
        free_store(&store->base);
        return result;
    }
    *out_store = &store->base;
    return rn_ok();
}

/* --- a directory of others -------------------------------------------------------------------- */

struct peeked {
    struct rn_buffer *body;
    bool found;
};

static rn_result take_body(void *argument, uint64_t position, const struct rn_store_key *key,
                           struct rn_view body, struct rn_error *err)
{
    struct peeked *peeked = argument;
    (void)position;
    (void)key;
    (void)err;
    rn_buffer_clear(peeked->body);
    rn_buffer_append(peeked->body, body.data, body.length);
    peeked->found = true;
    return rn_ok();
}

rn_result rn_sqlite_store_peek(const char *directory, uint32_t kind, struct rn_buffer *out_body,
                               bool *out_found, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_sqlite_close) struct rn_sqlite *file = NULL;
    const struct rn_store_query query = {.kind = kind};
    struct peeked peeked = {.body = out_body};
    RN_TRY(rn_path_join(path, directory, "journal.db", err));
    RN_ENSURE(rn_file_exists(path), err, RN_E_NO_INPUT, "%s is not there", path);
    RN_TRY(rn_sqlite_open(directory, RN_SQLITE_READ, &file, err));
    RN_TRY(rn_sqlite_read(file, &query, true, take_body, &peeked, err));
    *out_found = peeked.found;
    return rn_ok();
}
