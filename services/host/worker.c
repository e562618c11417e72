/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/worker.h"

#include "base/alloc.h"
#include "base/thread.h"

struct entry {
    struct rn_worker_job job;
    struct entry *next;
};

struct rn_worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct entry *waiting; /* oldest first; under lock */
    bool stopping;         /* under lock */
};

static struct entry *take(struct rn_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    while (worker->waiting == NULL && !worker->stopping) {
        (void)pthread_cond_wait(&worker->wake, &worker->lock);
    }
    struct entry *entry = worker->stopping ? NULL : worker->waiting;
    if (entry != NULL) {
        worker->waiting = entry->next;
    }
    (void)pthread_mutex_unlock(&worker->lock);
    return entry;
}

static void *work(void *argument)
{
    struct rn_worker *worker = argument;
    struct entry *entry = NULL;
    while ((entry = take(worker)) != NULL) {
        entry->job.run(entry->job.argument);
        entry->job.done(entry->job.argument);
        rn_free(entry);
    }
    return NULL;
}

rn_result rn_worker_new(struct rn_worker **out, struct rn_error *err)
{
    struct rn_worker *worker = rn_alloc(1, sizeof(*worker));
    (void)pthread_mutex_init(&worker->lock, NULL);
    rn_condition_init(&worker->wake);
    const rn_result result = rn_thread_start(&worker->thread, work, worker, err);
    if (!rn_is_ok(result)) {
        rn_free(worker);
        return result;
    }
    *out = worker;
    return rn_ok();
}

void rn_worker_submit(struct rn_worker *worker, struct rn_worker_job job)
{
    struct entry *entry = rn_alloc(1, sizeof(*entry));
    entry->job = job;
    (void)pthread_mutex_lock(&worker->lock);
    struct entry **last = &worker->waiting;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = entry;
    (void)pthread_cond_signal(&worker->wake);
    (void)pthread_mutex_unlock(&worker->lock);
}

bool rn_worker_stopping(struct rn_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    const bool stopping = worker->stopping;
    (void)pthread_mutex_unlock(&worker->lock);
    return stopping;
}

void rn_worker_hurry(struct rn_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    (void)pthread_cond_signal(&worker->wake);
    (void)pthread_mutex_unlock(&worker->lock);
}

void rn_worker_free(struct rn_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    rn_worker_hurry(worker);
    (void)pthread_join(worker->thread, NULL);
    for (struct entry *entry = worker->waiting; entry != NULL;) {
        struct entry *next = entry->next;
        entry->job.done(entry->job.argument);
        rn_free(entry);
        entry = next;
    }
    (void)pthread_cond_destroy(&worker->wake);
    (void)pthread_mutex_destroy(&worker->lock);
    rn_free(worker);
}
