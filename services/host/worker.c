/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/worker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/rpc/rpc.h"

struct entry {
    struct rn_worker *worker;
    struct rn_worker_job job;
    struct entry *next;
};

struct rn_worker {
    struct rn_rpc *rpc;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct entry *waiting;  /* not yet run, oldest first; under lock */
    struct entry *finished; /* run, but the loop did not take them; under lock */
    bool stopping;          /* under lock */
    bool joined;            /* loop's thread */
    unsigned pending;       /* loop's thread */
};

static void append(struct entry **list, struct entry *entry)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = entry;
}

/* On the loop's thread. */
static void deliver(void *argument)
{
    struct entry *entry = argument;
    entry->worker->pending--;
    entry->job.done(entry->job.argument);
    rn_free(entry);
}

static struct entry *take(struct rn_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    while (worker->waiting == NULL && !worker->stopping) {
        (void)pthread_cond_wait(&worker->wake, &worker->lock);
    }
    struct entry *entry = worker->stopping ? NULL : worker->waiting;
    if (entry != NULL) {
        worker->waiting = entry->next;
        entry->next = NULL;
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
        if (!rn_rpc_post(worker->rpc, deliver, entry)) {
            (void)pthread_mutex_lock(&worker->lock);
            append(&worker->finished, entry);
            (void)pthread_mutex_unlock(&worker->lock);
        }
    }
    return NULL;
}

rn_result rn_worker_new(struct rn_rpc *rpc, struct rn_worker **out, struct rn_error *err)
{
    struct rn_worker *worker = rn_alloc(1, sizeof(*worker));
    worker->rpc = rpc;
    (void)pthread_mutex_init(&worker->lock, NULL);
    (void)pthread_cond_init(&worker->wake, NULL);
    /* Signals belong to the main thread. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int status = pthread_create(&worker->thread, NULL, work, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        rn_free(worker);
        return rn_fail(err, RN_E_SYSTEM, "cannot start a thread: %s", strerror(status));
    }
    *out = worker;
    return rn_ok();
}

void rn_worker_submit(struct rn_worker *worker, struct rn_worker_job job)
{
    struct entry *entry = rn_alloc(1, sizeof(*entry));
    entry->worker = worker;
    entry->job = job;
    worker->pending++;
    (void)pthread_mutex_lock(&worker->lock);
    append(&worker->waiting, entry);
    (void)pthread_cond_signal(&worker->wake);
    (void)pthread_mutex_unlock(&worker->lock);
}

unsigned rn_worker_pending(const struct rn_worker *worker)
{
    return worker->pending;
}

bool rn_worker_stopping(struct rn_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    const bool stopping = worker->stopping;
    (void)pthread_mutex_unlock(&worker->lock);
    return stopping;
}

void rn_worker_stop(struct rn_worker *worker)
{
    if (worker == NULL || worker->joined) {
        return;
    }
    (void)pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    (void)pthread_cond_signal(&worker->wake);
    (void)pthread_mutex_unlock(&worker->lock);
    (void)pthread_join(worker->thread, NULL);
    worker->joined = true;
}

void rn_worker_free(struct rn_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    rn_worker_stop(worker);
    struct entry *const lists[2] = {worker->finished, worker->waiting};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lists); i++) {
        for (struct entry *entry = lists[i]; entry != NULL;) {
            struct entry *next = entry->next;
            deliver(entry);
            entry = next;
        }
    }
    (void)pthread_cond_destroy(&worker->wake);
    (void)pthread_mutex_destroy(&worker->lock);
    rn_free(worker);
}
