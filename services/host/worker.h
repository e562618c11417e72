/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread for what must not block the event loop: training, evaluation, writing adapters. Jobs
 * run one at a time in the order submitted; each hands its result back on the loop's thread.
 */
#ifndef RN_SERVICES_HOST_WORKER_H
#define RN_SERVICES_HOST_WORKER_H

#include "base/result.h"

#include <stdbool.h>

struct rn_rpc;
struct rn_worker;

/* A job owns its argument: run is called on the worker's thread, then done on the loop's; done
 * frees it. When the loop has stopped before, done is called by rn_worker_free instead.
 *
 * End: rn_worker_stop, rn_rpc_close (which still runs what was posted), rn_worker_free. */
struct rn_worker_job {
    void (*run)(void *argument);
    void (*done)(void *argument);
    void *argument;
};

RN_MUST rn_result rn_worker_new(struct rn_rpc *rpc, struct rn_worker **out, struct rn_error *err);
/* Loop's thread. */
void rn_worker_submit(struct rn_worker *worker, struct rn_worker_job job);
/* Jobs submitted whose done was not called yet. */
unsigned rn_worker_pending(const struct rn_worker *worker);
/* For run functions that take long: true once rn_worker_stop began. */
bool rn_worker_stopping(struct rn_worker *worker);
/* Waits for the running job (which should look at rn_worker_stopping); runs no further one. NULL
 * is fine. */
void rn_worker_stop(struct rn_worker *worker);
/* Calls every done that is left; jobs that were not run keep the result they were submitted with.
 * NULL is fine. */
void rn_worker_free(struct rn_worker *worker);

#endif
