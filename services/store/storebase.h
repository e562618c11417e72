/* SPDX-License-Identifier: Apache-2.0
 *
 * For those who implement a store: what every store has in common, and the table of what differs.
 * Users see services/store/store.h alone.
 *
 * A request is a job. store.c makes it on the owner's thread and hands it to `submit`; whoever does
 * the store's work ("the worker": a storage thread, or a step of the memory store) calls
 * rn_store_perform on the jobs in the order submitted and puts each into the outbox, which brings
 * it back to the owner's thread.
 */
#ifndef RN_SERVICES_STORE_STOREBASE_H
#define RN_SERVICES_STORE_STOREBASE_H

#include "services/store/store.h"

enum rn_store_job_type {
    RN_STORE_JOB_COMMIT,
    RN_STORE_JOB_RENEW,
    RN_STORE_JOB_READ,
};

struct rn_store_job {
    enum rn_store_job_type type;
    struct rn_store_batch batch;
    size_t bytes; /* of the batch as it was submitted */
    uint64_t sequence;
    struct rn_store_query query;
    struct rn_store_records records;
    rn_store_done done;
    rn_store_read_done read_done;
    void *context;
    rn_result result;
    struct rn_error err;
    struct rn_store_job *next;
};

struct rn_store_jobs {
    struct rn_store_job *first;
    struct rn_store_job *last;
};
void rn_store_jobs_push(struct rn_store_jobs *jobs, struct rn_store_job *job);
/* The oldest, or NULL. */
struct rn_store_job *rn_store_jobs_pop(struct rn_store_jobs *jobs);
/* Frees them without telling anyone. */
void rn_store_jobs_clear(struct rn_store_jobs *jobs);

/* One record at a time, in order of appending; with newest the last one alone. */
typedef rn_result (*rn_store_reader)(struct rn_store *store, const struct rn_store_query *query,
                                     bool newest, rn_store_visit visit, void *argument,
                                     struct rn_error *err);

struct rn_store_operations {
    void (*submit)(struct rn_store *store, struct rn_store_job *job);
    rn_store_reader read; /* on the owner's thread, while the worker works */

    /* Of the worker. commit is all or nothing and checks the epoch first; renew prolongs the lease
     * or finds it lost (RN_E_LEASE). */
    rn_result (*commit)(struct rn_store *store, struct rn_store_batch *batch, struct rn_error *err);
    rn_result (*renew)(struct rn_store *store, struct rn_error *err);
    rn_store_reader read_worker;

    /* Does what is queued and ends the worker. */
    void (*finish)(struct rn_store *store);
    void (*free)(struct rn_store *store);
};

struct rn_store_outbox;

/* First member of every store. */
struct rn_store {
    const struct rn_store_operations *operations;
    uint64_t kept_kinds;
    uint64_t epoch;
    struct rn_store_outbox *outbox;

    /* Owner's thread. */
    uint64_t sequence;
    struct rn_store_load load;
    bool closing;

    /* Worker. */
    rn_result failure; /* of the first failed commit */
    struct rn_error failure_text;
};

void rn_store_init(struct rn_store *store, const struct rn_store_operations *operations,
                   const struct rn_store_options *options);
/* After the outbox was emptied, or to drop what is in it. */
void rn_store_release(struct rn_store *store);

/* RN_E_LEASE with its sentence. */
rn_result rn_store_lease_lost(const char *name, struct rn_error *err);

/* Worker: does the job and fills in its outcome. Fail-stop is kept here. */
void rn_store_perform(struct rn_store *store, struct rn_store_job *job);

/* Worker: the job is done; it is delivered on the owner's thread through `post`, or by
 * rn_store_deliver. */
void rn_store_outbox_put(struct rn_store_outbox *outbox, struct rn_store_job *job);
/* Owner's thread: delivers what has not been. */
void rn_store_deliver(struct rn_store *store);

#endif
