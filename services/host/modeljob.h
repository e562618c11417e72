/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs for the worker: train one round, evaluate an adapter and write it as a PEFT directory. A job
 * copies what it needs from the loop's state, runs on the worker's thread with the trainer to
 * itself, and is read by its `done` function back on the loop.
 */
#ifndef RN_SERVICES_HOST_MODELJOB_H
#define RN_SERVICES_HOST_MODELJOB_H

#include "services/host/sitemodel.h"
#include "services/host/worker.h"

#include <stdatomic.h>

struct rn_train_job {
    atomic_bool cancel;
    /* Written by the worker, read by the loop whenever it likes. */
    atomic_uint step;
    atomic_uint steps;
    _Atomic double loss; /* of the last batch */

    uint32_t round;
    float *before;     /* adapter the round starts from */
    float *after;      /* result */
    float *local_head; /* in: before, out: after; NULL unless local */
    struct rn_train_report report;
    rn_result result;
    struct rn_error err;
    void *owner; /* for done */

    struct rn_site_model *model; /* private */
    struct rn_worker *worker;
};

struct rn_train_job *rn_train_job_new(struct rn_site_model *model, struct rn_worker *worker,
                                      uint32_t round);
void rn_train_job_submit(struct rn_train_job *job, void (*done)(void *job));
void rn_train_job_free(struct rn_train_job *job);

struct rn_publish_job {
    uint32_t round; /* the adapter is the one after this round; 0: the start */
    float *values;
    float *local_head;
    bool evaluate;               /* on the site's dev data */
    struct rn_metrics metrics;   /* out, when evaluate */
    char directory[RN_PATH_MAX]; /* written atomically; "" for none */
    char provenance[1024];
    bool final; /* for the owner */
    rn_result result;
    struct rn_error err;
    void *owner;

    struct rn_site_model *model; /* private */
};

/* directory and provenance are filled by the caller. Evaluates when the site has dev data and the
 * head is known here. */
struct rn_publish_job *rn_publish_job_new(struct rn_site_model *model, uint32_t round);
void rn_publish_job_submit(struct rn_publish_job *job, struct rn_worker *worker,
                           void (*done)(void *job));
void rn_publish_job_free(struct rn_publish_job *job);

/* The plan's own metric out of all. */
double rn_plan_metric_value(const struct rn_plan *plan, const struct rn_metrics *metrics);

#endif
