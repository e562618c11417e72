/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/modeljob.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/guard.h"

static float *copy_floats(const float *values, size_t count)
{
    if (values == NULL) {
        return NULL;
    }
    float *copy = rn_alloc(count, sizeof(*copy));
    memcpy(copy, values, count * sizeof(*copy));
    return copy;
}

/* Puts an adapter (and a local head) into the trainer. */
static rn_result load_values(struct rn_site_model *model, const float *values,
                             const float *local_head, struct rn_error *err)
{
    RN_TRY(rn_trainer_set(model->trainer, RN_MATRIX_AB, model->shared_head, values,
                          model->adapter.count, err));
    if (local_head == NULL) {
        return rn_ok();
    }
    return rn_trainer_set(model->trainer, RN_MATRIX_NONE, true, local_head, model->local_head_count,
                          err);
}

/* ---- Training */

struct rn_train_job *rn_train_job_new(struct rn_site_model *model, struct rn_worker *worker,
                                      uint32_t round)
{
    struct rn_train_job *job = rn_alloc(1, sizeof(*job));
    job->model = model;
    job->worker = worker;
    job->round = round;
    job->before = copy_floats(model->adapter.values, model->adapter.count);
    job->after = rn_alloc(model->adapter.count, sizeof(float));
    job->local_head = copy_floats(model->local_head, model->local_head_count);
    return job;
}

void rn_train_job_free(struct rn_train_job *job)
{
    if (job == NULL) {
        return;
    }
    rn_free(job->before);
    rn_free(job->after);
    rn_free(job->local_head);
    rn_free(job);
}

/* Optimiser state and schedule are fresh in every round, batches go on where the round before
 * stopped, and every member shuffles by its own seed. */
static struct rn_train_spec train_spec(const struct rn_site_files *site, uint32_t round)
{
    const struct rn_plan_training *training = &site->plan.training;
    const uint64_t before = (uint64_t)(round - 1) * training->steps;
    return (struct rn_train_spec){
        .active = (enum rn_matrix)rn_plan_active(&site->plan, round),
        .optimizer = training->optimizer == RN_PLAN_SGD ? RN_OPTIMIZER_SGD : RN_OPTIMIZER_ADAMW,
        .lr_a = training->lr_a,
        .lr_b = training->lr_b,
        .lr_head = training->lr_head,
        .weight_decay = training->weight_decay,
        .schedule = training->schedule == RN_PLAN_SCHEDULE_COSINE ? RN_SCHEDULE_COSINE
                                                                  : RN_SCHEDULE_CONSTANT,
        .warmup_steps = training->warmup_steps,
        .clip = training->clip,
        .batch = training->batch,
        .steps = training->steps,
        .shuffle = true,
        .seed = site->plan.seed + UINT64_C(0x9e3779b97f4a7c15) * (site->self + 1),
        .stream_offset = before,
    };
}

static bool on_progress(void *context, const struct rn_train_progress *progress)
{
    struct rn_train_job *job = context;
    atomic_store(&job->steps, progress->steps);
    atomic_store(&job->loss, progress->loss);
    atomic_store(&job->step, progress->step);
    return !atomic_load(&job->cancel) && !rn_worker_stopping(job->worker);
}

static rn_result train(struct rn_train_job *job)
{
    struct rn_site_model *model = job->model;
    const struct rn_train_spec spec = train_spec(model->site, job->round);
    RN_TRY(load_values(model, job->before, job->local_head, &job->err));
    RN_TRY(rn_trainer_train(model->trainer, model->train, &spec, on_progress, job, &job->report,
                            &job->err));
    RN_TRY(rn_trainer_get(model->trainer, RN_MATRIX_AB, model->shared_head, job->after,
                          model->adapter.count, &job->err));
    if (job->local_head == NULL) {
        return rn_ok();
    }
    return rn_trainer_get(model->trainer, RN_MATRIX_NONE, true, job->local_head,
                          model->local_head_count, &job->err);
}

static void run_train(void *argument)
{
    struct rn_train_job *job = argument;
    job->result = train(job);
}

void rn_train_job_submit(struct rn_train_job *job, void (*done)(void *job))
{
    /* Should the worker end before the job runs. */
    job->result = rn_fail(&job->err, RN_E_ROUND_ABORTED, "the service is stopping");
    rn_worker_submit(job->worker, (struct rn_worker_job){run_train, done, job});
}

/* ---- Publishing */

struct rn_publish_job *rn_publish_job_new(struct rn_site_model *model, uint32_t round)
{
    struct rn_publish_job *job = rn_alloc(1, sizeof(*job));
    job->model = model;
    job->round = round;
    job->values = copy_floats(model->adapter.values, model->adapter.count);
    job->local_head = copy_floats(model->local_head, model->local_head_count);
    /* A coordinator never sees a local head: without one there is nothing to judge. */
    job->evaluate = model->dev != NULL && (model->shared_head || model->train != NULL);
    return job;
}

void rn_publish_job_free(struct rn_publish_job *job)
{
    if (job == NULL) {
        return;
    }
    rn_free(job->values);
    rn_free(job->local_head);
    rn_free(job);
}

static void remove_directory(const char *path)
{
    static const char *const names[] = {"adapter_config.json", "adapter_model.safetensors",
                                        "README.md"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(names); i++) {
        char file[RN_PATH_MAX];
        if (rn_is_ok(rn_path_join(file, path, names[i], NULL))) {
            (void)unlink(file);
        }
    }
    (void)rmdir(path);
}

/* Beside its place, then renamed: a reader sees a whole directory or none. An older one of the
 * same name moves aside first. */
static rn_result save(struct rn_publish_job *job)
{
    char fresh[RN_PATH_MAX];
    char old[RN_PATH_MAX];
    RN_ENSURE(rn_text_format(fresh, sizeof(fresh), "%s.new", job->directory) &&
                  rn_text_format(old, sizeof(old), "%s.old", job->directory),
              &job->err, RN_E_USAGE, "%s: path too long", job->directory);
    remove_directory(fresh);
    remove_directory(old);
    RN_TRY(rn_trainer_save(job->model->trainer, fresh, job->provenance, &job->err));
    (void)rename(job->directory, old);
    if (rename(fresh, job->directory) != 0) {
        return rn_fail(&job->err, RN_E_IO, "%s: cannot be put in place: %s", job->directory,
                       strerror(errno));
    }
    remove_directory(old);
    return rn_ok();
}

static rn_result publish(struct rn_publish_job *job)
{
    struct rn_site_model *model = job->model;
    RN_TRY(load_values(model, job->values, job->local_head, &job->err));
    if (job->directory[0] != '\0') {
        RN_TRY(save(job));
    }
    if (job->evaluate) {
        return rn_trainer_evaluate(model->trainer, model->dev, &job->metrics, &job->err);
    }
    return rn_ok();
}

static void run_publish(void *argument)
{
    struct rn_publish_job *job = argument;
    job->result = publish(job);
}

void rn_publish_job_submit(struct rn_publish_job *job, struct rn_worker *worker,
                           void (*done)(void *job))
{
    job->result = rn_fail(&job->err, RN_E_ROUND_ABORTED, "the service is stopping");
    rn_worker_submit(worker, (struct rn_worker_job){run_publish, done, job});
}

double rn_plan_metric_value(const struct rn_plan *plan, const struct rn_metrics *metrics)
{
    switch (plan->task.metric) {
    case RN_PLAN_METRIC_F1:
        return metrics->f1;
    case RN_PLAN_METRIC_MATTHEWS:
        return metrics->matthews;
    case RN_PLAN_METRIC_PEARSON:
        return metrics->pearson;
    case RN_PLAN_METRIC_SPEARMAN:
        return metrics->spearman;
    default:
        return metrics->accuracy;
    }
}
