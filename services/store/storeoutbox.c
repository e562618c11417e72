/* SPDX-License-Identifier: Apache-2.0
 *
 * The way back from the worker to the owner's loop. One posted function delivers all jobs that are
 * done by then. It may still wait in the loop's queue when the store is closed, so the outbox lives
 * until both have let go of it.
 */
#include <pthread.h>

#include "base/alloc.h"
#include "services/store/storebase.h"
#include "services/store/storeoutbox.h"

struct rn_store_outbox {
    bool (*post)(void *user, void (*function)(void *argument), void *argument);
    void *user;
    struct rn_store *store; /* owner's thread; NULL once released */
    pthread_mutex_t lock;
    struct rn_store_jobs done; /* under lock */
    bool posted;               /* under lock: on_post will run */
    bool released;             /* under lock */
};

struct rn_store_outbox *rn_store_outbox_new(struct rn_store *store,
                                            const struct rn_store_options *options)
{
    struct rn_store_outbox *outbox = rn_alloc(1, sizeof(*outbox));
    outbox->post = options->post;
    outbox->user = options->user;
    outbox->store = store;
    (void)pthread_mutex_init(&outbox->lock, NULL);
    return outbox;
}

static void free_outbox(struct rn_store_outbox *outbox)
{
    (void)pthread_mutex_destroy(&outbox->lock);
    rn_free(outbox);
}

static void on_post(void *argument)
{
    struct rn_store_outbox *outbox = argument;
    (void)pthread_mutex_lock(&outbox->lock);
    outbox->posted = false;
    const bool released = outbox->released;
    (void)pthread_mutex_unlock(&outbox->lock);
    if (released) {
        free_outbox(outbox);
    } else {
        rn_store_deliver(outbox->store);
    }
}

void rn_store_outbox_put(struct rn_store_outbox *outbox, struct rn_store_job *job)
{
    (void)pthread_mutex_lock(&outbox->lock);
    rn_store_jobs_push(&outbox->done, job);
    const bool post = !outbox->posted && outbox->post != NULL;
    outbox->posted = outbox->posted || post;
    (void)pthread_mutex_unlock(&outbox->lock);
    if (post && !outbox->post(outbox->user, on_post, outbox)) {
        (void)pthread_mutex_lock(&outbox->lock);
        outbox->posted = false;
        (void)pthread_mutex_unlock(&outbox->lock);
    }
}

struct rn_store_jobs rn_store_outbox_take(struct rn_store_outbox *outbox)
{
    (void)pthread_mutex_lock(&outbox->lock);
    const struct rn_store_jobs jobs = outbox->done;
    outbox->done = (struct rn_store_jobs){0};
    (void)pthread_mutex_unlock(&outbox->lock);
    return jobs;
}

void rn_store_outbox_release(struct rn_store_outbox *outbox)
{
    struct rn_store_jobs left = rn_store_outbox_take(outbox);
    rn_store_jobs_clear(&left);
    (void)pthread_mutex_lock(&outbox->lock);
    outbox->released = true;
    const bool posted = outbox->posted;
    (void)pthread_mutex_unlock(&outbox->lock);
    if (!posted) {
        free_outbox(outbox);
    }
}
