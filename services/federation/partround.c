/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/participationstate.h"

#define STATUS_EVERY_MS 2000
/* A third of what the coordinator takes for a standstill (coordsession.c). */
#define BEAT_EVERY_MS 60000
/* Rounds whose session records are kept, to answer a coordinator that restarts. */
#define KEEP_ROUNDS 4u

static const struct rn_plan *plan_of(const struct rn_participation *p)
{
    return p->config.basis->plan;
}

/* ---- Training */

bool rn_part_training_is_of_use(const struct rn_participation *p)
{
    const struct rn_part_training *training = &p->training;
    const struct rn_part_session *session = &p->session;
    return training->running && !training->cancelled && training->round >= p->next_round &&
           memcmp(training->before, p->config.model->adapter_hash, RN_HASH_BYTES) == 0 &&
           (!session->wants_input || session->round == training->round);
}

void rn_part_train(struct rn_participation *p)
{
    const struct rn_part_session *session = &p->session;
    p->training = (struct rn_part_training){
        .running = true, .round = session->round, .told_ms = p->now.monotonic_ms};
    memcpy(p->training.before, session->before, RN_HASH_BYTES);
    rn_part_event(p,
                  (struct rn_job_event){.kind = RN_JOB_TRAIN_BEGIN,
                                        .round = session->round,
                                        .attempt = session->attempt,
                                        .phase = rn_round_phase_name(session->layout.spec.active)});
    struct rn_train_order *order = rn_effects_train(p->out, p->config.model, session->round);
    order->measure = session->layout.spec.evaluation;
}

void rn_part_train_cancel(struct rn_participation *p)
{
    if (p->training.running && !p->training.cancelled) {
        p->training.cancelled = true;
        rn_effects_add(p->out, RN_EFFECT_TRAIN_CANCEL);
    }
}

/* The coordinator hears that training gets on, at fixed times and no more often than it must: when
 * a step ends, or how many there are, would tell the size of the data and of its records. In a
 * private plan it hears the same from the offer on until the update leaves, also when no step ended
 * or the training did. */
static void beat(struct rn_participation *p, const struct rn_input *input)
{
    struct rn_part_session *session = &p->session;
    struct rn_part_training *training = &p->training;
    const bool private = rn_plan_is_private(plan_of(p));
    const uint64_t position = (uint64_t)input->training.measured + input->training.step;
    if (!session->wants_input || (!private && !rn_part_training_is_of_use(p)) ||
        p->now.monotonic_ms - session->beat_ms < BEAT_EVERY_MS) {
        return;
    }
    session->beat_ms = p->now.monotonic_ms;
    if (!private && position == training->position) {
        return;
    }
    training->position = position;
    session->beats++;
    rn_part_send_status(p, &(struct rn_wire_status){.round = session->round,
                                                    .attempt = session->attempt,
                                                    .stage = RN_SA_STAGE_READY,
                                                    .beats = session->beats});
}

void rn_part_train_tick(struct rn_participation *p, const struct rn_input *input)
{
    struct rn_part_training *training = &p->training;
    beat(p, input);
    if (!rn_part_training_is_of_use(p)) {
        return;
    }
    if (p->now.monotonic_ms - training->told_ms < STATUS_EVERY_MS) {
        return;
    }
    training->told_ms = p->now.monotonic_ms;
    rn_part_event(p, (struct rn_job_event){
                         .kind = RN_JOB_TRAINING,
                         .round = training->round,
                         .phase = rn_round_phase_name(rn_plan_active(plan_of(p), training->round)),
                         .step = input->training.step,
                         .steps = input->training.steps,
                         .loss = input->training.step > 0 ? input->training.loss : (double)NAN});
}

static rn_result take_update(struct rn_participation *p, const struct rn_trained *trained,
                             struct rn_error *err)
{
    struct rn_round_model *model = p->config.model;
    const struct rn_round_report report = {.weight = p->config.weight,
                                           .examples = trained->examples,
                                           .loss_sum = trained->loss_sum,
                                           .start = trained->start};
    struct rn_round_layout layout;
    RN_TRY(rn_round_model_layout(model, plan_of(p), trained->round, p->course.start_round, &layout,
                                 err));
    if (layout.spec.shared) {
        return rn_round_update_take_whole(model, &layout, trained->before, trained->whole,
                                          trained->whole_count, &p->update, err);
    }
    RN_TRY(rn_round_update_take(model, &layout, trained->before, trained->after, &report,
                                &p->update, err));
    if (model->local_head != NULL && trained->local_head != NULL) {
        memcpy(model->local_head, trained->local_head,
               model->local_head_count * sizeof(*model->local_head));
    }
    return rn_ok();
}

rn_result rn_part_trained(struct rn_participation *p, const struct rn_trained *trained,
                          bool *out_failed, struct rn_error *err)
{
    const bool of_use = rn_part_training_is_of_use(p) && trained->round == p->training.round;
    p->training = (struct rn_part_training){0};
    *out_failed = false;
    if (!of_use) {
        return rn_ok(); /* of an older round: what is trained next follows from the session */
    }
    rn_result result = trained->result;
    if (rn_is_ok(result)) {
        result = take_update(p, trained, err);
    } else if (trained->err != NULL) {
        *err = *trained->err;
    }
    struct rn_job_event event = {.kind = RN_JOB_TRAIN_DONE,
                                 .round = trained->round,
                                 .count = trained->steps,
                                 .milliseconds = trained->milliseconds};
    if (rn_is_ok(result)) {
        rn_part_event(p, event);
        return result;
    }
    event.kind = RN_JOB_TRAIN_FAILED;
    event.outcome = result.code;
    rn_part_event_err(p, event, err);
    *out_failed = true;
    return rn_class_of(result) == RN_CLASS_STOP ? result : rn_ok();
}

/* ---- Sum to adapter */

/* The records of a round, and what is too old to be asked for, in one batch. */
static rn_result record(struct rn_participation *p, const struct rn_job_result *result,
                        struct rn_error *err)
{
    struct rn_job_batch *batch = rn_effects_commit(p->out);
    rn_job_batch_prune(batch, RN_RECORD_ADAPTER, result->round);
    if (result->round > KEEP_ROUNDS) {
        rn_job_batch_prune(batch, RN_RECORD_MEMBER, result->round - KEEP_ROUNDS);
    }
    return rn_job_sum_write(result, p->config.model, &p->course, batch, err);
}

static rn_result read_sum(const void *machine, uint64_t first, uint32_t count, uint64_t *out,
                          struct rn_error *err)
{
    return rn_sa_member_sum_read(machine, first, count, out, err);
}

rn_result rn_part_preview_sum(struct rn_participation *p, uint8_t out_hash[static RN_HASH_BYTES],
                              struct rn_error *err)
{
    const struct rn_part_session *session = &p->session;
    struct rn_sa_sum_info info;
    if (p->last.round == session->round) { /* taken before a restart */
        memcpy(out_hash, p->last.after, RN_HASH_BYTES);
        return rn_ok();
    }
    RN_TRY(rn_sa_member_sum_info(session->machine, &info, err));
    const struct rn_round_sum sum = {read_sum, session->machine, info.contributors};
    return rn_round_model_preview(p->config.model, &session->layout, &sum, out_hash, err);
}

static rn_result apply(struct rn_participation *p, struct rn_job_result *out, struct rn_error *err)
{
    const struct rn_part_session *session = &p->session;
    struct rn_sa_sum_info info;
    RN_TRY(rn_sa_member_sum_info(session->machine, &info, err));
    *out = (struct rn_job_result){.round = session->round,
                                  .attempt = session->attempt,
                                  .milliseconds = p->now.monotonic_ms - session->began_ms,
                                  .uplink_bytes = p->sent - session->sent_before};
    memcpy(out->session, session->id, RN_HASH_BYTES);
    memcpy(out->before, session->before, RN_HASH_BYTES);
    const struct rn_job_sum sum = {
        .plan = plan_of(p),
        .layout = &session->layout,
        .sum = {read_sum, session->machine, info.contributors},
        .sum_hash = info.sum_hash,
        .joined = session->joined,
        .start_head = p->update.round == session->round ? p->update.start_head : NULL};
    RN_TRY(rn_job_sum_take(&sum, p->config.model, &p->course, out, err));
    return record(p, out, err);
}

static void report(struct rn_participation *p, const struct rn_job_result *result)
{
    struct rn_job_event event = {.kind = RN_JOB_ROUND,
                                 .round = result->round,
                                 .attempt = result->attempt,
                                 .phase = rn_round_phase_name(result->active),
                                 .included = result->included,
                                 .lost = result->lost,
                                 .loss = result->loss,
                                 .start = result->start,
                                 .bytes = result->uplink_bytes,
                                 .milliseconds = result->milliseconds,
                                 .has_hash = true};
    memcpy(event.hash, result->after, sizeof(event.hash));
    rn_part_event(p, event);
}

rn_result rn_part_take_sum(struct rn_participation *p, uint8_t out_hash[static RN_HASH_BYTES],
                           struct rn_error *err)
{
    if (p->last.round != p->session.round) {
        struct rn_job_result result;
        RN_TRY(apply(p, &result, err));
        p->last = result;
        p->next_round = result.round + 1;
        p->summed++;
        rn_round_update_clear(&p->update);
        report(p, &result);
        rn_job_sum_tell(&result, plan_of(p), &p->course, p->out);
        rn_part_send_status(
            p, &(struct rn_wire_status){.round = p->next_round, .stage = RN_SA_STAGE_FINISHED});
    }
    memcpy(out_hash, p->last.after, RN_HASH_BYTES);
    return rn_ok();
}

/* ---- Restart */

static rn_result visit_spent(void *argument, const struct rn_record_key *key, struct rn_view body,
                             struct rn_error *err)
{
    struct rn_participation *p = argument;
    (void)key;
    return rn_sa_spent_load(p->spent, body, err);
}

static rn_result visit_result(void *argument, const struct rn_record_key *key, struct rn_view body,
                              struct rn_error *err)
{
    struct rn_participation *p = argument;
    RN_TRY(rn_job_result_read(body, &p->last, err));
    RN_ENSURE(p->last.round == key->round && key->round >= p->next_round &&
                  key->round <= rn_plan_last_round(plan_of(p)),
              err, RN_E_DATA, "journal: the records of rounds are out of order at round %u",
              (unsigned)key->round);
    rn_job_course_resume(&p->course, plan_of(p), &p->last);
    p->next_round = key->round + 1;
    p->summed++;
    return rn_ok();
}

rn_result rn_part_restore(struct rn_participation *p, struct rn_error *err)
{
    const struct rn_job_reader *reader = &p->config.basis->reader;
    struct rn_round_model *model = p->config.model;
    p->next_round = 1;
    RN_TRY(reader->scan(reader->context, RN_RECORD_SPENT, NULL, visit_spent, p, err));
    RN_TRY(reader->scan(reader->context, RN_RECORD_RESULT, NULL, visit_result, p, err));
    if (p->next_round == 1) {
        return rn_ok();
    }
    struct rn_record_key key;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) body = {0};
    bool found = false;
    RN_TRY(reader->latest(reader->context, RN_RECORD_ADAPTER, p->last.round, &key, &body, &found,
                          err));
    RN_ENSURE(found, err, RN_E_DATA, "journal: the adapter after round %u is missing",
              (unsigned)p->last.round);
    RN_TRY(rn_round_model_read(model, rn_buffer_view(&body), err));
    RN_ENSURE(memcmp(model->adapter_hash, p->last.after, RN_HASH_BYTES) == 0, err, RN_E_DATA,
              "journal: the adapter after round %u is not the one that the round's record names",
              (unsigned)p->last.round);
    return rn_job_course_resume_best(&p->course, plan_of(p), reader, err);
}
