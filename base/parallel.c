/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include "base/guard.h"
#include "base/thread.h"

#include <sched.h>

uint32_t rn_parallel_parts(const struct rn_parallel *parallel)
{
    return parallel == NULL ? 1 : parallel->parts;
}

void rn_parallel_run(const struct rn_parallel *parallel, uint32_t parts, rn_parallel_part work,
                     void *job)
{
    RN_BUG_IF(parts < 1 || parts > rn_parallel_parts(parallel));
    if (parts == 1) {
        work(job, 0);
        return;
    }
    parallel->run(parts, work, job);
}

struct one {
    rn_parallel_part work;
    void *job;
    uint32_t part;
    bool started;
    pthread_t thread;
};

static void *run_one(void *argument)
{
    struct one *one = argument;
    one->work(one->job, one->part);
    return NULL;
}

static void run_on_threads(uint32_t parts, rn_parallel_part work, void *job)
{
    struct one all[RN_PARALLEL_PARTS_MAX];
    for (uint32_t i = 1; i < parts; i++) {
        all[i] = (struct one){work, job, i, false, 0};
        all[i].started = rn_is_ok(rn_thread_start(&all[i].thread, run_one, &all[i], NULL));
    }
    work(job, 0);
    for (uint32_t i = 1; i < parts; i++) {
        if (all[i].started) {
            (void)pthread_join(all[i].thread, NULL);
        } else {
            work(job, i);
        }
    }
}

static uint32_t processors(void)
{
    cpu_set_t allowed;
    const int count =
        sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    return count < 1 ? 1 : (uint32_t)count;
}

struct rn_parallel rn_parallel_threads(uint32_t threads)
{
    const uint32_t wanted = threads == 0 ? processors() : threads;
    return (struct rn_parallel){
        .parts = wanted < RN_PARALLEL_PARTS_MAX ? wanted : RN_PARALLEL_PARTS_MAX,
        .run = run_on_threads,
    };
}
