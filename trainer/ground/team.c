/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads of the trainer.
 */
#include "trainer/ground/team.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

struct worker {
    struct rn_team *team;
    uint32_t number;
    pthread_t thread;
};

struct rn_team {
    pthread_mutex_t lock;
    pthread_cond_t started;
    pthread_cond_t ended;
    pthread_cond_t turned;
    uint64_t run; /* number of the current run; a worker waits for a greater one than its last */
    uint32_t busy;
    bool closing;
    rn_team_fn fn;
    void *context;
    uint32_t next_item;
    uint32_t next_commit;
    uint32_t worker_count; /* without the caller, started */
    struct worker *workers;
};

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct rn_team *team = worker->team;
    uint64_t seen = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->run == seen && !team->closing) {
            pthread_cond_wait(&team->started, &team->lock);
        }
        if (team->closing) {
            break;
        }
        seen = team->run;
        pthread_mutex_unlock(&team->lock);
        team->fn(team->context, worker->number);
        pthread_mutex_lock(&team->lock);
        team->busy--;
        if (team->busy == 0) {
            pthread_cond_signal(&team->ended);
        }
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

rn_result rn_team_new(uint32_t workers, struct rn_team **out, struct rn_error *err)
{
    RN_BUG_IF(workers == 0);
    struct rn_team *team = rn_alloc(1, sizeof(*team));
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->started, NULL);
    pthread_cond_init(&team->ended, NULL);
    pthread_cond_init(&team->turned, NULL);
    team->workers = rn_alloc(workers, sizeof(*team->workers));
    for (uint32_t i = 1; i < workers; i++) {
        struct worker *worker = &team->workers[team->worker_count];
        *worker = (struct worker){.team = team, .number = i};
        const int failure = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (failure != 0) {
            rn_team_free(team);
            return rn_fail(err, RN_E_SYSTEM, "a thread cannot be started: %s", strerror(failure));
        }
        team->worker_count++;
    }
    *out = team;
    return rn_ok();
}

void rn_team_free(struct rn_team *team)
{
    if (team == NULL) {
        return;
    }
    pthread_mutex_lock(&team->lock);
    team->closing = true;
    pthread_cond_broadcast(&team->started);
    pthread_mutex_unlock(&team->lock);
    for (uint32_t i = 0; i < team->worker_count; i++) {
        pthread_join(team->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&team->turned);
    pthread_cond_destroy(&team->ended);
    pthread_cond_destroy(&team->started);
    pthread_mutex_destroy(&team->lock);
    rn_free(team->workers);
    rn_free(team);
}

void rn_team_run(struct rn_team *team, rn_team_fn fn, void *context)
{
    pthread_mutex_lock(&team->lock);
    team->fn = fn;
    team->context = context;
    team->busy = team->worker_count;
    team->run++;
    pthread_cond_broadcast(&team->started);
    pthread_mutex_unlock(&team->lock);
    fn(context, 0);
    pthread_mutex_lock(&team->lock);
    while (team->busy != 0) {
        pthread_cond_wait(&team->ended, &team->lock);
    }
    pthread_mutex_unlock(&team->lock);
}

void rn_team_queue_reset(struct rn_team *team)
{
    team->next_item = 0;
    team->next_commit = 0;
}

uint32_t rn_team_queue_next(struct rn_team *team)
{
    pthread_mutex_lock(&team->lock);
    const uint32_t item = team->next_item++;
    pthread_mutex_unlock(&team->lock);
    return item;
}

void rn_team_commit_begin(struct rn_team *team, uint32_t item)
{
    pthread_mutex_lock(&team->lock);
    while (team->next_commit != item) {
        pthread_cond_wait(&team->turned, &team->lock);
    }
    pthread_mutex_unlock(&team->lock);
}

void rn_team_commit_end(struct rn_team *team, uint32_t item)
{
    pthread_mutex_lock(&team->lock);
    team->next_commit = item + 1;
    pthread_cond_broadcast(&team->turned);
    pthread_mutex_unlock(&team->lock);
}
