/* SPDX-License-Identifier: Apache-2.0 */
#include "services/host/modeljob.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "services/host/directoryswap.h"
#include "services/host/worker.h"
#include "services/round/roundtrain.h"

struct rn_model_jobs {
    struct rn_site_model *model;
    struct rn_executor *executor;
    struct rn_round_privacy *privacy;
    struct rn_worker *worker;
    bool stopped;               /* the worker is gone */
    struct train_job *training; /* executor's thread; ordered, its end not taken in */
};

struct train_job {
    struct rn_model_jobs *jobs;
    struct rn_train_order order;
    atomic_bool cancel;
    atomic_uint step, steps, measured; /* for the executor, whenever it likes */
    _Atomic double loss;
    float *after;
    int64_t *whole; /* instead of `after` where the noise is shared */
    size_t whole_count;
    bool charged; /* to the privacy ledger */
    struct rn_metrics start;
    struct rn_train_report report;
    rn_result result;
    struct rn_error err;
    struct rn_trained answer;
};

struct publish_job {
    struct rn_model_jobs *jobs;
    struct rn_publish_order order;
    bool evaluate;
    char directory[RN_PATH_MAX];
    struct rn_metrics metrics;
    rn_result result;
    struct rn_error err;
    struct rn_published answer;
};

rn_result rn_model_jobs_new(struct rn_site_model *model, struct rn_executor *executor,
                            struct rn_round_privacy *privacy, struct rn_model_jobs **out,
                            struct rn_error *err)
{
    struct rn_model_jobs *jobs = rn_alloc(1, sizeof(*jobs));
    jobs->model = model;
    jobs->executor = executor;
    jobs->privacy = privacy;
    const rn_result result = rn_worker_new(&jobs->worker, err);
    if (!rn_is_ok(result)) {
        rn_free(jobs);
        return result;
    }
    *out = jobs;
    return rn_ok();
}

void rn_model_jobs_hurry(struct rn_model_jobs *jobs)
{
    if (jobs != NULL && !jobs->stopped) { /* a signal may still come in while rpc is closed */
        rn_worker_hurry(jobs->worker);
    }
}

void rn_model_jobs_stop(struct rn_model_jobs *jobs)
{
    if (jobs != NULL && !jobs->stopped) {
        jobs->stopped = true;
        rn_worker_free(jobs->worker);
    }
}

void rn_model_jobs_free(struct rn_model_jobs *jobs)
{
    rn_model_jobs_stop(jobs);
    rn_free(jobs);
}

static void free_floats(float *values, size_t count)
{
    if (values != NULL) {
        rn_secret_wipe(values, count * sizeof(*values));
        rn_free(values);
    }
}

/* Puts an adapter (and a local head) into the trainer. */
static rn_result load_values(struct rn_site_model *model, const float *values, size_t count,
                             const float *local_head, size_t local_count, struct rn_error *err)
{
    RN_TRY(
        rn_trainer_set(model->trainer, RN_MATRIX_AB, model->round.shared_head, values, count, err));
    if (local_head == NULL) {
        return rn_ok();
    }
    return rn_trainer_set(model->trainer, RN_MATRIX_NONE, true, local_head, local_count, err);
}

/* ---- Training */

static bool on_progress(void *context, const struct rn_train_progress *progress)
{
    struct train_job *job = context;
    atomic_store(&job->steps, progress->steps);
    atomic_store(&job->loss, progress->loss);
    atomic_store(&job->step, progress->step);
    return !atomic_load(&job->cancel) && !rn_worker_stopping(job->jobs->worker);
}

static bool may_measure_on(void *context)
{
    struct train_job *job = context;
    (void)atomic_fetch_add(&job->measured, 1);
    return !atomic_load(&job->cancel) && !rn_worker_stopping(job->jobs->worker);
}

/* A round of A alone while B is zero has a gradient of zero: its noise would cost the full price
 * and move A for nothing. */
static rn_result zero_b_check(struct train_job *job)
{
    const struct rn_site_files *site = job->jobs->model->site;
    if (rn_plan_active(&site->plan, job->order.round) != RN_PLAN_MATRIX_A ||
        !rn_trainer_b_is_zero(job->jobs->model->trainer)) {
        return rn_ok();
    }
    RN_ENSURE(site->policy.privacy.zero_b != RN_POLICY_ZERO_B_REFUSE, &job->err, RN_E_ROUND_SPENT,
              "round %u trains A while B is zero, which would spend budget on noise alone "
              "(privacy.zero_b)",
              (unsigned)job->order.round);
    rn_log(RN_LOG_WARN, "privacy.zero_b", RN_LOG_NUMBER(RN_F_ROUND, job->order.round));
    return rn_ok();
}

/* The round's sum with this member's share of the noise; the adapter stays as it is. */
static rn_result sum_privately(struct train_job *job, const struct rn_train_spec *spec)
{
    struct rn_site_model *model = job->jobs->model;
    const struct rn_round_selection *selection = &model->round.selections[spec->active];
    const struct rn_train_progress done = {.step = 1, .steps = 1, .loss = NAN};
    job->whole_count = selection->count;
    job->whole = rn_alloc(selection->count, sizeof(*job->whole));
    RN_TRY(rn_trainer_noisy_sum(model->trainer, model->train, spec, job->whole, job->whole_count,
                                &job->err));
    RN_ENSURE(on_progress(job, &done), &job->err, RN_E_ROUND_ABORTED, "the round is over");
    job->report.steps = 1;
    return rn_ok();
}

static rn_result train_privately(struct train_job *job, struct rn_train_spec spec)
{
    struct rn_dp_spec dp;
    RN_CLEANUP(rn_dp_source_clear) struct rn_dp_source source = {0};
    struct rn_site_model *model = job->jobs->model;
    struct rn_trainer_facts facts;
    RN_TRY(zero_b_check(job));
    rn_trainer_facts(model->trainer, &facts);
    source.threads = facts.threads;
    const rn_result begun = rn_round_privacy_begin(
        job->jobs->privacy, job->order.round, job->order.adapter_hash, &source, &dp, &job->err);
    if (begun.code == RN_E_REFUSED) { /* used up: this member follows from here on */
        return (rn_result){RN_E_ROUND_SPENT};
    }
    RN_TRY(begun);
    job->charged = true;
    spec.dp = &dp;
    if (rn_plan_is_shared(&model->site->plan)) {
        return sum_privately(job, &spec);
    }
    return rn_trainer_train(model->trainer, model->train, &spec, on_progress, job, &job->report,
                            &job->err);
}

/* The round's own work on what load_values put there: the measure first, then the steps. */
static rn_result measure_and_train(struct train_job *job)
{
    struct rn_site_model *model = job->jobs->model;
    const struct rn_train_order *order = &job->order;
    if (order->measure) {
        RN_ENSURE(model->dev != NULL, &job->err, RN_E_CONFIG, "data.dev is missing");
        RN_TRY(rn_trainer_evaluate(model->trainer, model->dev, may_measure_on, job, &job->start,
                                   &job->err));
    }
    if (order->round > model->site->plan.rounds) {
        return rn_ok();
    }
    const struct rn_train_spec spec =
        rn_round_train_spec(&model->site->plan, model->site->self, order->round);
    if (rn_round_privacy_on(job->jobs->privacy)) {
        return train_privately(job, spec);
    }
    return rn_trainer_train(model->trainer, model->train, &spec, on_progress, job, &job->report,
                            &job->err);
}

static rn_result train(struct train_job *job)
{
    struct rn_site_model *model = job->jobs->model;
    const struct rn_train_order *order = &job->order;
    RN_ENSURE(!atomic_load(&job->cancel), &job->err, RN_E_ROUND_ABORTED, "the round is over");
    RN_TRY(load_values(model, order->values, order->count, order->local_head,
                       order->local_head_count, &job->err));
    RN_TRY(measure_and_train(job));
    job->after = rn_alloc(order->count, sizeof(*job->after));
    RN_TRY(rn_trainer_get(model->trainer, RN_MATRIX_AB, model->round.shared_head, job->after,
                          order->count, &job->err));
    if (order->local_head == NULL) {
        return rn_ok();
    }
    return rn_trainer_get(model->trainer, RN_MATRIX_NONE, true, order->local_head,
                          order->local_head_count, &job->err);
}

static void run_train(void *argument)
{
    struct train_job *job = argument;
    job->result = train(job);
    if (!job->charged) {
        return;
    }
    const bool done = rn_is_ok(job->result);
    const struct rn_view output =
        job->whole != NULL ? rn_view_of(job->whole, job->whole_count * sizeof(*job->whole))
                           : rn_view_of(job->after, job->order.count * sizeof(*job->after));
    const rn_result ended =
        rn_round_privacy_end(job->jobs->privacy, done ? &output : NULL, done ? &job->err : NULL);
    job->result = done ? ended : job->result;
}

/* On the executor's thread, when the answer was taken in; or when all is over. */
static void release_train(void *owner)
{
    struct train_job *job = owner;
    if (job->jobs->training == job) {
        job->jobs->training = NULL;
    }
    free_floats(job->order.values, job->order.count);
    free_floats(job->order.local_head, job->order.local_head_count);
    free_floats(job->after, job->order.count);
    if (job->whole != NULL) {
        rn_secret_wipe(job->whole, job->whole_count * sizeof(*job->whole));
        rn_free(job->whole);
    }
    rn_free(job);
}

static void answer_train(void *argument)
{
    struct train_job *job = argument;
    job->answer = (struct rn_trained){
        .result = job->result,
        .err = &job->err,
        .round = job->order.round,
        .before = job->order.values,
        .after = job->after,
        .local_head = job->order.local_head,
        .whole = job->whole,
        .whole_count = job->whole_count,
        .examples = job->report.examples,
        .steps = job->report.steps,
        .loss_sum = job->report.loss_sum,
        .start = {.valid = job->order.measure,
                  .metric = rn_plan_metric_value(&job->jobs->model->site->plan, &job->start),
                  .loss = job->start.loss},
        .milliseconds = (uint64_t)(job->report.seconds * 1000),
    };
    const struct rn_input input = {.kind = RN_INPUT_TRAINED, .trained = &job->answer};
    rn_executor_post_owned(job->jobs->executor, &input, release_train, job);
}

void rn_model_jobs_train(struct rn_model_jobs *jobs, struct rn_train_order *order)
{
    struct train_job *job = rn_alloc(1, sizeof(*job));
    job->jobs = jobs;
    job->order = *order;
    *order = (struct rn_train_order){0};
    /* Should the worker end before the job runs. */
    job->result = rn_fail(&job->err, RN_E_ROUND_ABORTED, "the service is stopping");
    jobs->training = job;
    rn_worker_submit(jobs->worker, (struct rn_worker_job){run_train, answer_train, job});
}

void rn_model_jobs_cancel(struct rn_model_jobs *jobs)
{
    if (jobs->training != NULL) {
        atomic_store(&jobs->training->cancel, true);
    }
}

void rn_model_jobs_progress(const struct rn_model_jobs *jobs, struct rn_input *tick)
{
    const struct train_job *job = jobs->training;
    tick->training.loss = NAN;
    if (job != NULL) {
        tick->training.measured = atomic_load(&job->measured);
        tick->training.step = atomic_load(&job->step);
        tick->training.steps = atomic_load(&job->steps);
        tick->training.loss = tick->training.step > 0 ? atomic_load(&job->loss) : (double)NAN;
    }
}

/* ---- Publishing */

#define UNTRAINED \
    " The head in it is untrained: with a local head each member trains and keeps its own."

#define BEST ", the best by the mean over the members' development sets"

static rn_result describe(const struct publish_job *job, char out[static 1024],
                          struct rn_error *err)
{
    const struct rn_site_files *site = job->jobs->model->site;
    const bool untrained =
        site->site.role == RN_SITE_COORDINATOR && site->plan.lora.head == RN_PLAN_HEAD_LOCAL;
    const uint32_t rounds = site->plan.rounds;
    const uint32_t round = job->order.round < rounds ? job->order.round : rounds;
    char hash[65];
    rn_hex_encode(hash, job->order.adapter_hash, RN_HASH_BYTES);
    RN_ENSURE(rn_text_format(
                  out, 1024, "Federation %s, plan %s, after round %u of %u%s. Adapter hash %s.%s",
                  site->roster.federation, site->plan.name, (unsigned)round, (unsigned)rounds,
                  job->order.best ? BEST : "", hash, untrained ? UNTRAINED : ""),
              err, RN_E_INTERNAL, "the description of the adapter is too long");
    return rn_ok();
}

static rn_result place(struct publish_job *job, struct rn_error *err)
{
    const struct rn_publish_order *order = &job->order;
    const char *state = job->jobs->model->site->state;
    bool fits = true;
    const uint32_t rounds = job->jobs->model->site->plan.rounds;
    if (order->best) {
        fits = rn_text_format(job->directory, sizeof(job->directory), "%s/adapters/best", state);
    } else if (order->final) {
        fits = rn_text_format(job->directory, sizeof(job->directory), "%s/adapters/final", state);
    } else if (order->round > 0 && order->round <= rounds) {
        fits = rn_text_format(job->directory, sizeof(job->directory), "%s/adapters/round-%04u",
                              state, (unsigned)order->round);
    }
    RN_ENSURE(fits, err, RN_E_CONFIG, "%s: path too long", state);
    return rn_ok();
}

static rn_result save(struct publish_job *job, struct rn_error *err)
{
    char fresh[RN_PATH_MAX];
    char provenance[1024];
    RN_TRY(describe(job, provenance, err));
    RN_TRY(rn_directory_swap_begin(job->directory, fresh, err));
    RN_TRY(rn_trainer_save(job->jobs->model->trainer, fresh, provenance, err));
    return rn_directory_swap(job->directory, err);
}

static bool may_go_on(void *context)
{
    struct publish_job *job = context;
    return !rn_worker_stopping(job->jobs->worker);
}

static rn_result publish(struct publish_job *job)
{
    struct rn_site_model *model = job->jobs->model;
    const struct rn_publish_order *order = &job->order;
    RN_TRY(place(job, &job->err));
    RN_TRY(load_values(model, order->values, order->count, order->local_head,
                       order->local_head_count, &job->err));
    if (job->directory[0] != '\0') {
        RN_TRY(save(job, &job->err));
    }
    if (job->evaluate) {
        return rn_trainer_evaluate(model->trainer, model->dev, may_go_on, job, &job->metrics,
                                   &job->err);
    }
    return rn_ok();
}

static void run_publish(void *argument)
{
    struct publish_job *job = argument;
    job->result = publish(job);
}

static void release_publish(void *owner)
{
    struct publish_job *job = owner;
    free_floats(job->order.values, job->order.count);
    free_floats(job->order.local_head, job->order.local_head_count);
    rn_free(job);
}

static void answer_publish(void *argument)
{
    struct publish_job *job = argument;
    const struct rn_site_model *model = job->jobs->model;
    const bool done = rn_is_ok(job->result);
    job->answer = (struct rn_published){
        .result = job->result,
        .err = &job->err,
        .round = job->order.round,
        .final = job->order.final,
        .best = job->order.best,
        .evaluated = done && job->evaluate,
        .metrics = job->metrics,
        .metric = rn_plan_metric_value(&model->site->plan, &job->metrics),
        .directory = done ? job->directory : "",
    };
    const struct rn_input input = {.kind = RN_INPUT_PUBLISHED, .published = &job->answer};
    rn_executor_post_owned(job->jobs->executor, &input, release_publish, job);
}

void rn_model_jobs_publish(struct rn_model_jobs *jobs, struct rn_publish_order *order)
{
    const struct rn_site_model *model = jobs->model;
    struct publish_job *job = rn_alloc(1, sizeof(*job));
    job->jobs = jobs;
    job->order = *order;
    *order = (struct rn_publish_order){0};
    /* A coordinator never sees a local head: without one there is nothing to judge. */
    job->evaluate = job->order.evaluate && model->dev != NULL &&
                    (model->round.shared_head || model->train != NULL);
    job->result = rn_fail(&job->err, RN_E_ROUND_ABORTED, "the service is stopping");
    rn_worker_submit(jobs->worker, (struct rn_worker_job){run_publish, answer_publish, job});
}
