/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread for what takes long and needs the trainer: training, evaluation, writing adapters.
 * Jobs run one at a time in the order submitted.
 */
#ifndef RN_SERVICES_HOST_WORKER_H
#define RN_SERVICES_HOST_WORKER_H

#include "base/result.h"

struct rn_worker;

/* A job owns its argument: run is called on the worker's thread, then done on the same thread,
 * which hands the result on (rn_executor_post_owned). done alone is called, by rn_worker_free, for
 * a job that was not run. */
struct rn_worker_job {
    void (*run)(void *argument);
    void (*done)(void *argument);
    void *argument;
};

RN_MUST rn_result rn_worker_new(struct rn_worker **out, struct rn_error *err);
/* Any thread. */
void rn_worker_submit(struct rn_worker *worker, struct rn_worker_job job);
/* Any thread, for run functions that take long: true once rn_worker_hurry was called. */
bool rn_worker_stopping(struct rn_worker *worker);
/* Any thread: the running job should end early, and no further one begins. Does not wait. */
void rn_worker_hurry(struct rn_worker *worker);
/* Hurries, waits for the running job, and calls every done that is left; jobs that were not run
 * keep the result they were submitted with. NULL is fine. */
void rn_worker_free(struct rn_worker *worker);

#endif
