/* SPDX-License-Identifier: Apache-2.0
 *
 * Processors lent to code that starts no thread of its own. A caller cuts its work into parts of
 * which each touches memory of its own, and whose result does not depend on how many there are;
 * whoever lends the processors says how many that are.
 *
 * NULL stands everywhere for: the calling thread alone.
 */
#ifndef RN_BASE_PARALLEL_H
#define RN_BASE_PARALLEL_H

#include <stdint.h>

#define RN_PARALLEL_PARTS_MAX 64u

typedef void (*rn_parallel_part)(void *job, uint32_t part);

struct rn_parallel {
    uint32_t parts; /* at once, at most: 1 to RN_PARALLEL_PARTS_MAX */
    /* Calls work(job, part) for each part below parts, in any order and on any thread, and returns
     * when all have returned. Several threads may call it at once. */
    void (*run)(uint32_t parts, rn_parallel_part work, void *job);
};

/* How many parts to make; 1 for NULL. */
uint32_t rn_parallel_parts(const struct rn_parallel *parallel);
/* parts is at most rn_parallel_parts, at least 1. */
void rn_parallel_run(const struct rn_parallel *parallel, uint32_t parts, rn_parallel_part work,
                     void *job);

/* Threads of this process, started for each run and gone with it: a thread costs about 50 us, so
 * parts are worth it from about a millisecond on. Where one cannot be started the caller does its
 * part. threads: 1 to RN_PARALLEL_PARTS_MAX; 0: one for each processor that the process may use. */
struct rn_parallel rn_parallel_threads(uint32_t threads);

#endif
