/* SPDX-License-Identifier: Apache-2.0
 *
 * What all stores share: checks and the bounded queue on the way in, fail-stop and paging at work,
 * delivery on the way out.
 */
#include "services/store/store.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "services/store/storebase.h"
#include "services/store/storeoutbox.h"

/* --- jobs ------------------------------------------------------------------------------------- */

void rn_store_jobs_push(struct rn_store_jobs *jobs, struct rn_store_job *job)
{
    job->next = NULL;
    if (jobs->last != NULL) {
        jobs->last->next = job;
    } else {
        jobs->first = job;
    }
    jobs->last = job;
}

struct rn_store_job *rn_store_jobs_pop(struct rn_store_jobs *jobs)
{
    struct rn_store_job *job = jobs->first;
    if (job != NULL) {
        jobs->first = job->next;
        jobs->last = jobs->first == NULL ? NULL : jobs->last;
    }
    return job;
}

static void free_job(struct rn_store_job *job)
{
    rn_store_batch_clear(&job->batch);
    rn_store_records_clear(&job->records);
    rn_free(job);
}

void rn_store_jobs_clear(struct rn_store_jobs *jobs)
{
    struct rn_store_job *job = NULL;
    while ((job = rn_store_jobs_pop(jobs)) != NULL) {
        free_job(job);
    }
}

/* --- life cycle ------------------------------------------------------------------------------- */

void rn_store_init(struct rn_store *store, const struct rn_store_operations *operations,
                   const struct rn_store_options *options)
{
    store->operations = operations;
    store->kept_kinds = options->kept_kinds;
    store->load.bytes_max =
        options->queue_bytes_max == 0 ? RN_STORE_QUEUE_BYTES_MAX : options->queue_bytes_max;
    store->outbox = rn_store_outbox_new(store, options);
}

void rn_store_release(struct rn_store *store)
{
    rn_store_outbox_release(store->outbox);
}

void rn_store_close(struct rn_store **store)
{
    struct rn_store *closing = RN_TAKE(*store);
    if (closing == NULL) {
        return;
    }
    closing->closing = true;
    closing->operations->finish(closing);
    rn_store_deliver(closing);
    closing->operations->free(closing);
}

/* --- the way in ------------------------------------------------------------------------------- */

static rn_result check_batch(const struct rn_store *store, const struct rn_store_batch *batch,
                             struct rn_error *err)
{
    RN_ENSURE(!batch->failed, err, RN_E_DATA,
              "a batch of records went over a limit (%d records, %zu bytes in one, %zu in all, %d "
              "rules)",
              RN_STORE_BATCH_RECORDS_MAX, RN_STORE_BODY_MAX, RN_STORE_BATCH_BYTES_MAX,
              RN_STORE_BATCH_PRUNES_MAX);
    for (size_t i = 0; i < batch->record_count; i++) {
        const uint32_t kind = batch->records[i].key.kind;
        RN_ENSURE(kind >= 1 && kind <= RN_STORE_KIND_MAX, err, RN_E_DATA,
                  "a record has the impossible kind %u", kind);
    }
    for (size_t i = 0; i < batch->prune_count; i++) {
        const uint32_t kind = batch->prunes[i].key.kind;
        RN_ENSURE(kind >= 1 && kind <= RN_STORE_KIND_MAX, err, RN_E_DATA,
                  "a rule names the impossible kind %u", kind);
        RN_ENSURE((store->kept_kinds >> kind & 1) == 0, err, RN_E_USAGE,
                  "records of kind %u are kept for ever", kind);
    }
    return rn_ok();
}

static rn_result check_room(const struct rn_store *store, size_t bytes, struct rn_error *err)
{
    const struct rn_store_load *load = &store->load;
    RN_ENSURE(!store->closing, err, RN_E_UNAVAILABLE, "the store is being closed");
    RN_ENSURE(load->jobs < RN_STORE_QUEUE_JOBS_MAX, err, RN_E_BUSY,
              "%zu requests wait for the disk", load->jobs);
    RN_ENSURE(bytes == 0 || load->bytes == 0 ||
                  (load->bytes < load->bytes_max && bytes <= load->bytes_max - load->bytes),
              err, RN_E_BUSY, "%zu bytes wait for the disk", load->bytes);
    return rn_ok();
}

static void submit(struct rn_store *store, const struct rn_store_job *like)
{
    struct rn_store_job *job = rn_alloc(1, sizeof(*job));
    *job = *like;
    store->load.jobs++;
    store->load.bytes += job->bytes;
    store->operations->submit(store, job);
}

rn_result rn_store_commit(struct rn_store *store, struct rn_store_batch *batch, rn_store_done done,
                          void *context, uint64_t *out_sequence, struct rn_error *err)
{
    RN_TRY(check_batch(store, batch, err));
    RN_TRY(check_room(store, batch->bytes, err));
    struct rn_store_job job = {.type = RN_STORE_JOB_COMMIT,
                               .batch = *batch,
                               .bytes = batch->bytes,
                               .sequence = ++store->sequence,
                               .done = done,
                               .context = context};
    *batch = (struct rn_store_batch){0};
    if (out_sequence != NULL) {
        *out_sequence = job.sequence;
    }
    submit(store, &job);
    return rn_ok();
}

rn_result rn_store_renew(struct rn_store *store, rn_store_done done, void *context,
                         struct rn_error *err)
{
    RN_TRY(check_room(store, 0, err));
    submit(store, &(struct rn_store_job){.type = RN_STORE_JOB_RENEW,
                                         .sequence = store->sequence,
                                         .done = done,
                                         .context = context});
    return rn_ok();
}

uint64_t rn_store_epoch(const struct rn_store *store)
{
    return store->epoch;
}

struct rn_store_load rn_store_load(const struct rn_store *store)
{
    return store->load;
}

/* --- reading ---------------------------------------------------------------------------------- */

static rn_result check_query(const struct rn_store_query *query, struct rn_error *err)
{
    RN_ENSURE(query->kind >= 1 && query->kind <= RN_STORE_KIND_MAX &&
                  query->scope <= RN_STORE_SESSION && query->after <= INT64_MAX,
              err, RN_E_DATA, "impossible question to the store (kind %u)", query->kind);
    return rn_ok();
}

rn_result rn_store_scan(struct rn_store *store, const struct rn_store_query *query,
                        rn_store_visit visit, void *argument, struct rn_error *err)
{
    RN_TRY(check_query(query, err));
    return store->operations->read(store, query, false, visit, argument, err);
}

static rn_result keep(void *argument, uint64_t position, const struct rn_store_key *key,
                      struct rn_view body, struct rn_error *err)
{
    (void)err;
    rn_store_records_add(argument, position, key, body);
    return rn_ok();
}

rn_result rn_store_latest(struct rn_store *store, const struct rn_store_query *query,
                          struct rn_store_record *out_record, bool *out_found, struct rn_error *err)
{
    RN_CLEANUP(rn_store_records_clear) struct rn_store_records found = {0};
    *out_record = (struct rn_store_record){0};
    *out_found = false;
    RN_TRY(check_query(query, err));
    RN_TRY(store->operations->read(store, query, true, keep, &found, err));
    if (found.count == 1) {
        *out_record = found.items[0];
        found.items[0].body = (struct rn_buffer){0};
        *out_found = true;
    }
    return rn_ok();
}

rn_result rn_store_read_async(struct rn_store *store, const struct rn_store_query *query,
                              rn_store_read_done done, void *context, struct rn_error *err)
{
    RN_TRY(check_query(query, err));
    RN_TRY(check_room(store, 0, err));
    submit(store,
           &(struct rn_store_job){
               .type = RN_STORE_JOB_READ, .query = *query, .read_done = done, .context = context});
    return rn_ok();
}

/* --- the worker ------------------------------------------------------------------------------- */

rn_result rn_store_lease_lost(const char *name, struct rn_error *err)
{
    return rn_fail(err, RN_E_LEASE,
                   "%s: lost lease: another process has taken this state over; leave it alone, or "
                   "stop it and start again",
                   name);
}

struct page {
    struct rn_store_records *records;
    size_t bytes_max;
};

/* Ends the scan with a failure that read_page knows when the page is full. */
static rn_result collect(void *argument, uint64_t position, const struct rn_store_key *key,
                         struct rn_view body, struct rn_error *err)
{
    const struct page *page = argument;
    struct rn_store_records *records = page->records;
    records->more = records->count > 0 && (records->bytes >= page->bytes_max ||
                                           body.length > page->bytes_max - records->bytes);
    RN_ENSURE(!records->more, err, RN_E_BUSY, "the page is full");
    rn_store_records_add(records, position, key, body);
    return rn_ok();
}

static rn_result read_page(struct rn_store *store, struct rn_store_job *job)
{
    const size_t asked = job->query.bytes_max;
    struct page page = {&job->records, asked == 0 ? RN_STORE_READ_BYTES_MAX : asked};
    const rn_result result =
        store->operations->read_worker(store, &job->query, false, collect, &page, &job->err);
    if (job->records.more) {
        return rn_ok();
    }
    if (!rn_is_ok(result)) {
        rn_store_records_clear(&job->records);
    }
    return result;
}

static rn_result write_job(struct rn_store *store, struct rn_store_job *job)
{
    if (!rn_is_ok(store->failure)) {
        return rn_fail(&job->err, store->failure.code, "nothing is written after a failure: %.400s",
                       store->failure_text.text);
    }
    const rn_result result = job->type == RN_STORE_JOB_COMMIT
                                 ? store->operations->commit(store, &job->batch, &job->err)
                                 : store->operations->renew(store, &job->err);
    if (!rn_is_ok(result)) {
        store->failure = result;
        store->failure_text = job->err;
    }
    return result;
}

void rn_store_perform(struct rn_store *store, struct rn_store_job *job)
{
    job->result = job->type == RN_STORE_JOB_READ ? read_page(store, job) : write_job(store, job);
    rn_store_batch_clear(&job->batch); /* a large one takes time: not on the loop */
}

/* --- the way out ------------------------------------------------------------------------------ */

static void deliver_job(struct rn_store *store, struct rn_store_job *job)
{
    store->load.jobs--;
    store->load.bytes -= job->bytes;
    if (job->type == RN_STORE_JOB_READ) {
        job->read_done(job->context, job->result, &job->records, &job->err);
    } else {
        job->done(job->context, job->sequence, job->result, &job->err);
    }
    free_job(job);
}

void rn_store_deliver(struct rn_store *store)
{
    struct rn_store_jobs jobs = rn_store_outbox_take(store->outbox);
    struct rn_store_job *job = NULL;
    while ((job = rn_store_jobs_pop(&jobs)) != NULL) {
        deliver_job(store, job);
    }
}
