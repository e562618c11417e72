/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's jobs: train one round, write an adapter as a PEFT directory and judge it. Orders
 * come from the machine's effects; each is answered by exactly one input (RN_INPUT_TRAINED,
 * RN_INPUT_PUBLISHED), in the order of the orders. The worker's thread has the trainer to itself
 * while a job runs.
 *
 * Threads: all functions on the executor's thread, but for new, hurry and free.
 *
 * Life cycle: new -> orders... -> stop, rn_executor_free -> free.
 */
#ifndef RN_SERVICES_HOST_MODELJOB_H
#define RN_SERVICES_HOST_MODELJOB_H

#include "services/federation/effects.h"
#include "services/federation/input.h"
#include "services/host/executor.h"
#include "services/host/roundprivacy.h"
#include "services/host/sitemodel.h"

struct rn_model_jobs;

/* All are borrowed. privacy: every training is charged to it and trained with its noise
 * (roundprivacy.h), on the worker's thread; NULL: none is. */
RN_MUST rn_result rn_model_jobs_new(struct rn_site_model *model, struct rn_executor *executor,
                                    struct rn_round_privacy *privacy, struct rn_model_jobs **out,
                                    struct rn_error *err);
/* Takes the order over and leaves it zeroed. */
void rn_model_jobs_train(struct rn_model_jobs *jobs, struct rn_train_order *order);
/* The running training, if any, ends early. */
void rn_model_jobs_cancel(struct rn_model_jobs *jobs);
/* Takes the order over. Adapters go to adapters/round-NNNN and adapters/final below the state
 * directory; round 0, the start, is judged alone. A directory is there as a whole or not at all. */
void rn_model_jobs_publish(struct rn_model_jobs *jobs, struct rn_publish_order *order);
/* How far the training is, for a tick. */
void rn_model_jobs_progress(const struct rn_model_jobs *jobs, struct rn_input *tick);

/* Any thread: what runs ends early, nothing further begins. NULL and stopped ones are fine; not
 * beside rn_model_jobs_stop. */
void rn_model_jobs_hurry(struct rn_model_jobs *jobs);
/* Waits for what runs, answers the rest. NULL is fine. */
void rn_model_jobs_stop(struct rn_model_jobs *jobs);
/* NULL is fine. */
void rn_model_jobs_free(struct rn_model_jobs *jobs);

#endif
