/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's round outside the protocol: training, the step from the sum to the next adapter, and
 * what is kept of it.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/trainer/memberstate.h"

#define STATUS_EVERY_MS 2000
/* Rounds whose session records are kept, to answer a coordinator that restarts. */
#define KEEP_ROUNDS 4u

static void forget_update(struct rn_member_update *update)
{
    rn_free(update->delta);
    *update = (struct rn_member_update){0};
}

/* ---- Training */

static rn_result take_update(struct rn_member *member, const struct rn_train_job *job,
                             struct rn_error *err)
{
    struct rn_member_update *update = &member->update;
    struct rn_member_session *session = &member->session;
    forget_update(update);
    update->delta = rn_alloc(session->layout.delta_count, sizeof(float));
    RN_TRY(rn_round_delta(&session->layout, &member->model->adapter, job->before, job->after,
                          update->delta, err));
    update->report = (struct rn_round_report){.weight = member->model->train_count,
                                              .examples = job->report.examples,
                                              .loss_sum = job->report.loss_sum};
    update->round = session->round;
    memcpy(update->before, session->before, sizeof(update->before));
    update->valid = true;
    if (job->local_head != NULL) {
        memcpy(member->model->local_head, job->local_head,
               member->model->local_head_count * sizeof(float));
    }
    return rn_ok();
}

static void after_training(struct rn_member *member, const struct rn_train_job *job)
{
    struct rn_error err = job->err;
    rn_result result = job->result;
    if (rn_is_ok(result)) {
        result = take_update(member, job, &err);
    }
    if (rn_is_ok(result)) {
        rn_log(RN_LOG_INFO, "train.done", RN_LOG_NUMBER(RN_F_ROUND, job->round),
               RN_LOG_NUMBER(RN_F_COUNT, job->report.steps),
               RN_LOG_NUMBER(RN_F_MILLISECONDS, job->report.seconds * 1000));
        rn_member_session_ready(member);
        return;
    }
    rn_log(RN_LOG_ERROR, "train.failed", RN_LOG_NUMBER(RN_F_ROUND, job->round),
           RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)), RN_LOG_TEXT(RN_F_DETAIL, err.text));
    if (rn_class_of(result) == RN_CLASS_STOP) {
        rn_member_end(member, result, &err);
    } else {
        rn_member_session_follow(member);
    }
}

static void training_done(void *argument)
{
    struct rn_train_job *job = argument;
    struct rn_member *member = job->owner;
    const bool discard = member->discard_training;
    member->training = NULL;
    member->discard_training = false;
    const struct rn_member_session *session = &member->session;
    if (member->stopped || member->ending || session->machine == NULL || session->over) {
        rn_train_job_free(job);
        return;
    }
    if (discard) {
        /* A newer offer came while an older round was trained. */
        rn_train_job_free(job);
        rn_member_train(member);
        return;
    }
    after_training(member, job);
    rn_train_job_free(job);
}

void rn_member_train(struct rn_member *member)
{
    const struct rn_member_session *session = &member->session;
    const struct rn_member_update *update = &member->update;
    if (member->training != NULL) {
        return; /* being cancelled: training_done comes back here */
    }
    if (update->valid && update->round == session->round &&
        memcmp(update->before, session->before, sizeof(update->before)) == 0) {
        rn_log(RN_LOG_INFO, "train.reused", RN_LOG_NUMBER(RN_F_ROUND, session->round));
        rn_member_session_ready(member);
        return;
    }
    struct rn_train_job *job = rn_train_job_new(member->model, member->worker, session->round);
    job->owner = member;
    member->training = job;
    member->discard_training = false;
    rn_log(RN_LOG_INFO, "train.begin", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_TEXT(RN_F_PHASE, rn_round_phase_name(session->layout.spec.active)));
    rn_train_job_submit(job, training_done);
}

void rn_member_train_tick(struct rn_member *member)
{
    const struct rn_train_job *job = member->training;
    const uint64_t now = rn_clock_monotonic_ms();
    if (job == NULL || member->discard_training || now - member->status_ms < STATUS_EVERY_MS) {
        return;
    }
    const unsigned step = atomic_load(&job->step);
    const unsigned steps = atomic_load(&job->steps);
    member->status_ms = now;
    rn_member_send_status(member, job->round, member->session.attempt, RN_SA_STAGE_READY, step,
                          steps, RN_OK);
    rn_member_tell(member, (struct rn_job_event){
                               .kind = RN_JOB_TRAINING,
                               .round = job->round,
                               .phase = rn_round_phase_name(member->session.layout.spec.active),
                               .step = step,
                               .steps = steps,
                               .loss = step > 0 ? atomic_load(&job->loss) : NAN});
}

/* ---- Sum to adapter */

static rn_result journal_result(struct rn_member *member, const struct rn_job_result *result,
                                struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer record = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer adapter = {0};
    struct rn_journal_key key = {
        .kind = RN_JOURNAL_RESULT, .round = result->round, .attempt = result->attempt};
    memcpy(key.session, result->session, sizeof(key.session));
    rn_job_result_write(result, &record);
    rn_site_model_write(member->model, &adapter);
    RN_ENSURE(!adapter.failed, err, RN_E_MEMORY, "the adapter is too large for the journal");
    RN_TRY(rn_journal_begin(member->journal, err));
    RN_TRY(rn_journal_append(member->journal, &key, rn_buffer_view(&record), err));
    key.kind = RN_JOURNAL_ADAPTER;
    RN_TRY(rn_journal_append(member->journal, &key, rn_buffer_view(&adapter), err));
    RN_TRY(rn_journal_prune(member->journal, RN_JOURNAL_ADAPTER, result->round, err));
    if (result->round > KEEP_ROUNDS) {
        RN_TRY(
            rn_journal_prune(member->journal, RN_JOURNAL_MEMBER, result->round - KEEP_ROUNDS, err));
    }
    return rn_journal_commit(member->journal, err);
}

static rn_result read_sum(const struct rn_member_session *session, uint64_t *out,
                          struct rn_error *err)
{
    for (uint64_t first = 0; first < session->layout.elements;) {
        const uint64_t left = session->layout.elements - first;
        const uint32_t count = left < (1u << 16) ? (uint32_t)left : 1u << 16;
        RN_TRY(rn_sa_member_sum_read(session->machine, first, count, out + first, err));
        first += count;
    }
    return rn_ok();
}

static rn_result apply(struct rn_member *member, struct rn_job_result *out, struct rn_error *err)
{
    const struct rn_member_session *session = &member->session;
    struct rn_sa_sum_info info;
    struct rn_round_total total = {0};
    RN_TRY(rn_sa_member_sum_info(session->machine, &info, err));
    uint64_t *sum = rn_alloc(session->layout.elements, sizeof(*sum));
    rn_result result = read_sum(session, sum, err);
    if (rn_is_ok(result)) {
        result = rn_site_model_apply(member->model, &session->layout, sum, info.contributors,
                                     &total, err);
    }
    rn_free(sum);
    RN_TRY(result);
    *out = (struct rn_job_result){
        .round = session->round,
        .attempt = session->attempt,
        .active = session->layout.spec.active,
        .included = info.contributors,
        .loss = total.has_metrics && total.examples > 0 ? total.loss : (double)NAN,
        .examples = total.examples,
        .clipped = total.clipped,
        .weight = total.weight,
        .milliseconds = rn_clock_monotonic_ms() - session->began_ms,
        .uplink_bytes = rn_member_bytes_sent(member) - session->traffic_before,
    };
    memcpy(out->session, session->id, RN_HASH_BYTES);
    memcpy(out->before, session->before, RN_HASH_BYTES);
    memcpy(out->after, member->model->adapter_hash, RN_HASH_BYTES);
    memcpy(out->sum_hash, info.sum_hash, RN_HASH_BYTES);
    return journal_result(member, out, err);
}

static void report_round(struct rn_member *member, const struct rn_job_result *result)
{
    char hash[65];
    rn_hex_encode(hash, result->after, 32);
    rn_log(RN_LOG_INFO, "round.done", RN_LOG_NUMBER(RN_F_ROUND, result->round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, result->attempt),
           RN_LOG_TEXT(RN_F_PHASE, rn_round_phase_name(result->active)),
           RN_LOG_NUMBER(RN_F_MEMBERS, result->included),
           RN_LOG_NUMBER(RN_F_MILLISECONDS, result->milliseconds),
           RN_LOG_NUMBER(RN_F_BYTES, result->uplink_bytes), RN_LOG_TEXT(RN_F_HASH, hash));
    rn_member_tell(member, (struct rn_job_event){.kind = RN_JOB_ROUND,
                                                 .round = result->round,
                                                 .attempt = result->attempt,
                                                 .phase = rn_round_phase_name(result->active),
                                                 .included = result->included,
                                                 .loss = result->loss,
                                                 .bytes = result->uplink_bytes,
                                                 .milliseconds = result->milliseconds});
}

void rn_member_take_sum(struct rn_member *member, struct rn_sa_actions *out_actions)
{
    struct rn_member_session *session = &member->session;
    struct rn_job_result result = {0};
    struct rn_error err = {0};
    bool known = false;
    rn_result status = rn_job_result_latest(member->journal, session->round, &result, &known, &err);
    if (rn_is_ok(status) && !known) {
        status = apply(member, &result, &err);
        if (rn_is_ok(status)) {
            member->next_round = session->round + 1;
            forget_update(&member->update);
            report_round(member, &result);
            rn_member_send_status(member, member->next_round, 0, RN_SA_STAGE_FINISHED, 0, 0, RN_OK);
        }
    }
    if (rn_is_ok(status)) {
        status = rn_sa_member_adapter(session->machine, result.after, rn_clock_monotonic_ms(),
                                      out_actions, &err);
    }
    if (rn_is_ok(status)) {
        return;
    }
    rn_log(RN_LOG_ERROR, "sum.refused", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_TEXT(RN_F_REASON, rn_code_name(status.code)), RN_LOG_TEXT(RN_F_DETAIL, err.text));
    session->over = true; /* the adapter stays; the next offer starts from it */
    if (rn_class_of(status) == RN_CLASS_STOP) {
        rn_member_end(member, status, &err);
    }
}

/* ---- Start and end */

rn_result rn_member_restore(struct rn_member *member, struct rn_error *err)
{
    struct rn_job_result last;
    bool found = false;
    member->next_round = 1;
    RN_TRY(rn_job_result_latest(member->journal, -1, &last, &found, err));
    if (!found) {
        return rn_ok();
    }
    struct rn_journal_key key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_TRY(rn_journal_latest(member->journal, RN_JOURNAL_ADAPTER, last.round, &key, &body, &found,
                             err));
    RN_ENSURE(found, err, RN_E_DATA, "journal: the adapter after round %u is missing",
              (unsigned)last.round);
    RN_TRY(rn_site_model_read(member->model, rn_buffer_view(&body), err));
    member->next_round = last.round + 1;
    return rn_ok();
}

static void publish_done(void *argument)
{
    struct rn_publish_job *job = argument;
    struct rn_member *member = job->owner;
    if (!rn_is_ok(job->result)) {
        rn_member_end(member, job->result, &job->err);
    } else {
        if (job->evaluate) {
            rn_member_tell(member,
                           (struct rn_job_event){
                               .kind = RN_JOB_EVALUATED,
                               .round = job->round,
                               .loss = job->metrics.loss,
                               .metric = rn_plan_metric_value(&member->site->plan, &job->metrics),
                               .metric_name = rn_plan_metric_name(member->site->plan.task.metric)});
        }
        rn_log(RN_LOG_INFO, "adapter.written", RN_LOG_TEXT(RN_F_PATH, job->directory));
        rn_member_tell(member, (struct rn_job_event){.kind = RN_JOB_ENDED,
                                                     .outcome = member->result.code,
                                                     .path = job->directory});
        rn_member_end(member, rn_ok(), NULL);
    }
    rn_publish_job_free(job);
}

void rn_member_finish(struct rn_member *member, rn_result result, const struct rn_error *err)
{
    if (member->ending) {
        return;
    }
    member->ending = true;
    if (!rn_is_ok(result) && rn_is_ok(member->result)) {
        member->result = result;
        member->err = *err;
    }
    rn_member_session_clear(member);
    struct rn_publish_job *job = rn_publish_job_new(member->model, member->next_round - 1);
    job->owner = member;
    char hash[65];
    rn_hex_encode(hash, member->model->adapter_hash, 32);
    const bool fits =
        rn_text_format(job->directory, sizeof(job->directory), "%s/adapters/final",
                       member->site->state) &&
        rn_text_format(job->provenance, sizeof(job->provenance),
                       "Federation %s, plan %s, after round %u of %u. Adapter hash %s.",
                       member->site->roster.federation, member->site->plan.name,
                       (unsigned)(member->next_round - 1), (unsigned)member->site->plan.rounds,
                       hash);
    RN_BUG_IF(!fits);
    rn_publish_job_submit(job, member->worker, publish_done);
}
