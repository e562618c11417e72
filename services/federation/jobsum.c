/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/jobsum.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/secret.h"

/* A local head in it is of this site alone. */
static void clear_best(struct rn_buffer *best)
{
    if (best->data != NULL) {
        rn_secret_wipe(best->data, best->capacity);
    }
    rn_buffer_clear(best);
}

void rn_job_course_clear(struct rn_job_course *course)
{
    clear_best(&course->best);
    *course = (struct rn_job_course){0};
}

/* ---- Sum to adapter */

static void fill(const struct rn_job_sum *in, const struct rn_round_total *total,
                 struct rn_job_result *result)
{
    const uint32_t contributors = in->sum.contributors;
    result->active = in->layout->spec.active;
    result->included = contributors;
    result->lost = in->joined > contributors ? in->joined - contributors : 0;
    result->loss = total->has_metrics && total->examples > 0 ? total->loss : (double)NAN;
    result->examples = total->examples;
    result->clipped = total->clipped;
    result->weight = total->weight;
    result->start = total->start;
    memcpy(result->sum_hash, in->sum_hash, RN_HASH_BYTES);
}

static void advance(struct rn_job_course *course, const struct rn_job_result *result)
{
    course->last_start = course->start_round;
    if (memcmp(result->before, result->after, RN_HASH_BYTES) != 0) {
        course->start_round = result->round;
    }
}

rn_result rn_job_sum_take(const struct rn_job_sum *in, struct rn_round_model *model,
                          struct rn_job_course *course, struct rn_job_result *result,
                          struct rn_error *err)
{
    struct rn_round_total total = {0};
    struct rn_round_judgement judgement = course->judgement;
    RN_CLEANUP(clear_best) struct rn_buffer best = {0};
    RN_TRY(rn_round_sum_total(in->layout, &in->sum, &total, err));
    const bool better = rn_round_judgement_take(&judgement, in->plan, result->round, &total.start);
    if (better && judgement.best_round > 0 && in->plan->evaluation.keep_best) {
        struct rn_round_model measured = *model;
        measured.local_head = in->start_head != NULL ? in->start_head : model->local_head;
        rn_buffer_init(&best, RN_RECORD_BODY_MAX);
        rn_round_model_write(&measured, &best);
        RN_ENSURE(!best.failed, err, RN_E_MEMORY, "the adapter is too large for a record");
    }
    RN_TRY(rn_round_model_apply(model, in->layout, &in->sum, &total, err));
    fill(in, &total, result);
    memcpy(result->after, model->adapter_hash, RN_HASH_BYTES);
    course->judgement = judgement;
    advance(course, result);
    if (best.length > 0) {
        clear_best(&course->best);
        course->best = best;
        best = (struct rn_buffer){0};
    }
    return rn_ok();
}

void rn_job_sum_take_blind(const struct rn_round_layout *layout, const struct rn_sa_sum_info *info,
                           uint32_t joined, struct rn_job_course *course,
                           struct rn_job_result *result)
{
    result->active = layout->spec.active;
    result->included = info->contributors;
    result->lost = joined > info->contributors ? joined - info->contributors : 0;
    result->loss = (double)NAN;
    memcpy(result->sum_hash, info->sum_hash, RN_HASH_BYTES);
    memcpy(result->after, info->adapter_hash, RN_HASH_BYTES);
    advance(course, result);
}

/* ---- Records */

static bool is_best(const struct rn_job_result *result, const struct rn_job_course *course)
{
    return result->start.valid && course->judgement.best_round + 1 == result->round;
}

rn_result rn_job_sum_write(const struct rn_job_result *result, const struct rn_round_model *model,
                           const struct rn_job_course *course, struct rn_job_batch *batch,
                           struct rn_error *err)
{
    struct rn_record_key key = {
        .kind = RN_RECORD_RESULT, .round = result->round, .attempt = result->attempt};
    memcpy(key.session, result->session, sizeof(key.session));
    rn_job_result_write(result, rn_job_batch_write(batch, &key));
    key.kind = RN_RECORD_ADAPTER;
    struct rn_buffer *adapter = rn_job_batch_write(batch, &key);
    rn_round_model_write(model, adapter);
    RN_ENSURE(!adapter->failed, err, RN_E_MEMORY, "the adapter is too large for a record");
    if (is_best(result, course) && course->best.length > 0) {
        const struct rn_record_key of_best = {.kind = RN_RECORD_BEST, .round = result->round - 1};
        struct rn_buffer *body = rn_job_batch_write(batch, &of_best);
        rn_buffer_append(body, course->best.data, course->best.length);
        rn_job_batch_prune(batch, RN_RECORD_BEST, of_best.round);
    }
    return rn_ok();
}

void rn_job_sum_tell(const struct rn_job_result *result, const struct rn_plan *plan,
                     const struct rn_job_course *course, struct rn_effects *out)
{
    const struct rn_round_judgement *judgement = &course->judgement;
    struct rn_job_event event = {.kind = RN_JOB_MEASURED,
                                 .round = result->round - 1,
                                 .rounds = rn_plan_last_round(plan),
                                 .metric = result->start.metric,
                                 .metric_name = rn_plan_metric_name(plan->task.metric),
                                 .loss = result->start.loss};
    if (result->start.valid) {
        rn_effects_event(out, event);
    }
    if (judgement->stopped && judgement->stopped_round == result->round &&
        result->round < rn_plan_last_round(plan)) {
        event.kind = RN_JOB_STOPPED_EARLY;
        event.round = judgement->best_round;
        event.metric = judgement->best_metric;
        rn_effects_event(out, event);
    }
}

/* ---- Restart */

void rn_job_course_resume(struct rn_job_course *course, const struct rn_plan *plan,
                          const struct rn_job_result *result)
{
    (void)rn_round_judgement_take(&course->judgement, plan, result->round, &result->start);
    advance(course, result);
}

rn_result rn_job_course_resume_best(struct rn_job_course *course, const struct rn_plan *plan,
                                    const struct rn_job_reader *reader, struct rn_error *err)
{
    const uint32_t round = course->judgement.best_round;
    struct rn_record_key key;
    bool found = false;
    if (!plan->evaluation.keep_best || round == 0) {
        return rn_ok();
    }
    RN_TRY(
        reader->latest(reader->context, RN_RECORD_BEST, round, &key, &course->best, &found, err));
    RN_ENSURE(found, err, RN_E_DATA, "journal: the best adapter, after round %u, is missing",
              (unsigned)round);
    return rn_ok();
}

bool rn_job_course_is_over(const struct rn_job_course *course, const struct rn_plan *plan,
                           uint32_t round)
{
    const bool idle =
        round > plan->rounds && !rn_round_is_measured(plan, round, course->start_round);
    return idle || round > rn_plan_last_round(plan) || course->judgement.stopped;
}

/* ---- Publication */

rn_result rn_job_course_publish(const struct rn_job_course *course,
                                const struct rn_round_model *model, struct rn_effects *out,
                                bool *out_published, struct rn_error *err)
{
    *out_published = course->best.length > 0;
    if (!*out_published) {
        return rn_ok();
    }
    struct rn_round_model best = *model;
    best.adapter.values = rn_alloc(best.adapter.count, sizeof(float));
    best.local_head =
        best.local_head == NULL ? NULL : rn_alloc(best.local_head_count, sizeof(float));
    const rn_result result = rn_round_model_read(&best, rn_buffer_view(&course->best), err);
    if (rn_is_ok(result)) {
        rn_effects_publish(out, &best, course->judgement.best_round)->best = true;
    }
    rn_round_model_clear(&best);
    return result;
}
