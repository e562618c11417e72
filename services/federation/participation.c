/* SPDX-License-Identifier: Apache-2.0 */
#include "services/federation/participation.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/jobrecords.h"
#include "services/federation/participationstate.h"

/* A signal waits at most so long for a session whose secrets a restart would lose. */
#define DRAIN_MS 30000
/* Every round is done here, and no coordinator was to be seen for so long. */
#define FINISHED_ALONE_MS 10000

/* ---- End */

static void end(struct rn_participation *p, rn_result result, const struct rn_error *err)
{
    struct rn_error text = {0};
    if (err != NULL) {
        text = *err;
    }
    p->ended = true;
    p->result = result;
    rn_part_train_cancel(p);
    if (!rn_is_ok(result)) {
        rn_part_event_err(p,
                          (struct rn_job_event){.kind = result.code == RN_E_INCOMPLETE
                                                            ? RN_JOB_INCOMPLETE
                                                            : RN_JOB_FAILED,
                                                .round = p->next_round,
                                                .outcome = result.code},
                          &text);
    }
    rn_part_send_closing(p, result.code);
    rn_effects_end(p->out, result, &text);
}

/* path: of the final adapter; "" for none. */
static void tell_ended(struct rn_participation *p, const char *path)
{
    const uint32_t done = p->next_round - 1;
    const uint32_t heard = p->heard.round > 0 ? p->heard.round - 1 : 0;
    const uint32_t passed = heard > done ? heard : done;
    rn_effects_event_path(p->out,
                          (struct rn_job_event){.kind = RN_JOB_ENDED,
                                                .round = done,
                                                .rounds = rn_plan_last_round(p->config.basis->plan),
                                                .summed = p->summed,
                                                .skipped = passed - p->summed,
                                                .judgement = p->course.judgement,
                                                .outcome = p->result.code},
                          path);
}

/* The adapters that stay: the best where one is kept, and the last. */
static rn_result publish(struct rn_participation *p, struct rn_error *err)
{
    bool best = false;
    RN_TRY(rn_job_course_publish(&p->course, p->config.model, p->out, &best, err));
    struct rn_publish_order *order = rn_effects_publish(p->out, p->config.model, p->next_round - 1);
    order->final = order->evaluate = true;
    p->ending = true;
    return rn_ok();
}

/* The job is over, by the coordinator's word or because every round is done here. Final is what
 * this site arrived at by sums, and nothing else. */
static void finish(struct rn_participation *p, rn_result result, struct rn_error *err)
{
    const bool behind = rn_part_is_behind(p);
    const bool reached = p->next_round > 1;
    if (rn_part_is_stopped(p)) {
        result = rn_job_stop_result(&p->stop.held, p->config.basis->roster, err);
    } else if (rn_is_ok(result) && behind) {
        result = rn_fail(err, RN_E_INCOMPLETE,
                         "the job is over, but this site missed its last sums (from round %u on), "
                         "so nothing was published here: start the coordinator and this site once "
                         "more, and it gets them",
                         (unsigned)p->next_round);
    } else if (rn_is_ok(result) && !reached) {
        result = rn_fail(err, RN_E_INCOMPLETE,
                         "the job is over, but no round of it gave a sum, so there is no adapter "
                         "to publish; set up a new plan");
    }
    p->result = result;
    p->err = *err;
    rn_part_train_cancel(p);
    rn_part_session_clear(p);
    rn_round_update_clear(&p->update);
    if (!reached || behind) {
        tell_ended(p, "");
        end(p, result, err);
        return;
    }
    const rn_result published = publish(p, err);
    if (!rn_is_ok(published)) {
        end(p, published, err);
    }
}

static void tell_written(struct rn_participation *p, const struct rn_published *published)
{
    rn_effects_event_path(p->out,
                          (struct rn_job_event){.kind = RN_JOB_WRITTEN, .round = published->round},
                          published->directory);
}

static void take_published(struct rn_participation *p, const struct rn_published *published)
{
    const struct rn_plan *plan = p->config.basis->plan;
    if (!p->ending) {
        return;
    }
    if (!rn_is_ok(published->result)) {
        end(p, published->result, published->err);
        return;
    }
    if (!published->final) {
        tell_written(p, published);
        return;
    }
    if (published->evaluated) {
        rn_part_event(p,
                      (struct rn_job_event){.kind = RN_JOB_EVALUATED,
                                            .round = published->round,
                                            .loss = published->metrics.loss,
                                            .metric = published->metric,
                                            .metric_name = rn_plan_metric_name(plan->task.metric)});
    }
    tell_written(p, published);
    tell_ended(p, published->directory);
    end(p, p->result, &p->err);
}

/* ---- Drain */

/* Something that a restart could not take up again: the secrets of a session that others count on,
 * or an adapter that is being written. */
static bool is_busy(const struct rn_participation *p)
{
    const struct rn_part_session *session = &p->session;
    return p->ending || (p->greeted && session->machine != NULL && !session->over &&
                         !session->following && session->stage > RN_SA_STAGE_READY);
}

static void take_drain(struct rn_participation *p, unsigned count)
{
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_DRAINING, .count = count});
    if (!p->draining) {
        p->draining = true;
        p->drain_since_ms = p->now.monotonic_ms;
    }
    if (count > 1) {
        end(p, p->result, &p->err);
        p->out->items[p->out->count - 1].now = true;
    }
}

/* ---- What follows from where this site stands */

/* How long a training took depends on the records that were drawn: with privacy.reply_s nobody sees
 * more of it than the multiple in which it ended, however often the round is offered. */
static void reply_begin(struct rn_participation *p)
{
    const struct rn_part_session *session = &p->session;
    struct rn_part_reply *reply = &p->reply;
    if (reply->round == session->round &&
        memcmp(reply->before, session->before, RN_HASH_BYTES) == 0) {
        return;
    }
    *reply = (struct rn_part_reply){.round = session->round, .began_ms = session->began_ms};
    memcpy(reply->before, session->before, RN_HASH_BYTES);
}

/* The update is there now, whether or not a session wants it yet. */
static void reply_settle(struct rn_participation *p)
{
    struct rn_part_reply *reply = &p->reply;
    const uint64_t every = (uint64_t)p->config.basis->plan->privacy.reply_s * 1000;
    const uint64_t passed = p->now.monotonic_ms - reply->began_ms;
    if (every != 0 && rn_round_update_fits(&p->update, reply->round, reply->before)) {
        reply->due_ms = reply->began_ms + (passed + every - 1) / every * every;
    }
}

static rn_result pursue_training(struct rn_participation *p, struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    if (p->training.running && !rn_part_training_is_of_use(p)) {
        rn_part_train_cancel(p);
    }
    if (!session->wants_input) {
        return rn_ok();
    }
    session->late = rn_part_is_late(p, session->round, session->attempt);
    if (session->late) {
        return rn_part_session_follow(p, err);
    }
    reply_begin(p);
    if (rn_round_update_fits(&p->update, session->round, session->before)) {
        if (p->now.monotonic_ms < p->reply.due_ms) {
            return rn_ok();
        }
        if (session->waits) {
            return rn_part_session_ready(p, err);
        }
        rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_TRAIN_REUSED,
                                               .round = session->round,
                                               .attempt = session->attempt});
        return rn_part_session_ready(p, err);
    }
    if (!p->training.running) {
        rn_part_train(p);
    }
    return rn_ok();
}

static rn_result settle(struct rn_participation *p, struct rn_error *err)
{
    const uint64_t now = p->now.monotonic_ms;
    if (!p->ending && !p->draining) {
        RN_TRY(pursue_training(p, err));
        if (rn_part_is_done(p) && !p->greeted && now - p->alone_since_ms >= FINISHED_ALONE_MS) {
            finish(p, rn_ok(), err);
        } else if (rn_part_stop_is_over(p)) {
            finish(p, rn_ok(), err);
        }
    }
    if (p->draining && !p->ended && (!is_busy(p) || now - p->drain_since_ms >= DRAIN_MS)) {
        end(p, p->result, &p->err);
    }
    return rn_ok();
}

/* ---- Inputs */

static rn_result take_word(struct rn_participation *p, struct rn_part_word *word,
                           struct rn_error *err)
{
    switch (word->kind) {
    case RN_PART_NOTHING:
        break;
    case RN_PART_WELCOMED:
        rn_part_stop_say(p);
        rn_part_log_ask(p);
        rn_part_signers_bring(p);
        if (p->said_waits && p->signers.satisfied) { /* since the greeting */
            rn_part_send_ask(p);
        }
        rn_part_epoch_ask(p);
        RN_TRY(rn_part_session_resend(p, err));
        /* As when the bulk stream comes second: said again, Done makes the coordinator name the
         * chunks that it lacks. */
        return p->bulk ? rn_part_session_resend(p, err) : rn_ok();
    case RN_PART_SECAGG:
        return rn_part_session_receive(p, word->bytes, err);
    case RN_PART_SIGNATURES:
        rn_part_signers_hear(p, word->bytes, "the coordinator's signatures");
        break;
    case RN_PART_EPOCH:
        if (rn_part_epoch_hear(p, word->bytes)) {
            rn_part_send_ask(p); /* an offer may have been refused for it */
        }
        break;
    case RN_PART_STOP:
        return rn_part_stop_hear(p, word->bytes, err);
    case RN_PART_LOG:
        return rn_part_log_hear(p, word->bytes, err);
    case RN_PART_JOB_DONE:
        finish(p, word->result, &word->err);
        break;
    case RN_PART_FAILED:
        *err = word->err;
        return word->result;
    }
    return rn_ok();
}

static rn_result take_message(struct rn_participation *p, const struct rn_input *input,
                              struct rn_error *err)
{
    struct rn_part_word word = {.kind = RN_PART_NOTHING};
    if (p->ending) {
        return rn_ok();
    }
    if (input->kind == RN_INPUT_BULK) {
        rn_part_hear_bulk(p, input->bytes, &word);
    } else if (input->connection == p->connection) {
        rn_part_hear(p, input->bytes, &word);
    }
    return take_word(p, &word, err);
}

static rn_result take_lost(struct rn_participation *p, uint64_t connection, struct rn_error *err)
{
    if (connection != p->connection) {
        return rn_ok();
    }
    if (!p->greeted) {
        rn_part_send_hello(p);
        return rn_ok();
    }
    if (p->next_round > 1) {
        rn_part_send_status(
            p, &(struct rn_wire_status){.round = p->next_round, .stage = RN_SA_STAGE_FINISHED});
    }
    rn_part_stop_say(p);
    rn_part_log_ask(p);
    rn_part_signers_bring(p);
    rn_part_epoch_ask(p);
    return rn_part_session_resend(p, err);
}

static rn_result take_trained(struct rn_participation *p, const struct rn_trained *trained,
                              struct rn_error *err)
{
    struct rn_part_session *session = &p->session;
    bool failed = false;
    RN_TRY(rn_part_trained(p, trained, &failed, err));
    reply_settle(p);
    if (!session->wants_input) {
        return rn_ok();
    }
    if (failed) {
        return rn_part_session_follow(p, err);
    }
    if (!rn_round_update_fits(&p->update, session->round, session->before)) {
        return rn_ok();
    }
    session->waits = p->now.monotonic_ms < p->reply.due_ms;
    return session->waits ? rn_ok() : rn_part_session_ready(p, err);
}

/* With the signatures that were missing it takes up what it left open. */
static rn_result take_kept(struct rn_participation *p, const struct rn_input *input,
                           struct rn_error *err)
{
    bool satisfied = false;
    RN_TRY(rn_part_signers_kept(p, input, &satisfied, err));
    if (!satisfied || p->ending) {
        return rn_ok();
    }
    rn_part_epoch_ask(p);
    return rn_part_epoch_is_drawn(p) ? rn_part_session_resume(p, err) : rn_ok();
}

static rn_result take_unreachable(struct rn_participation *p, enum rn_code code,
                                  struct rn_error *err)
{
    /* A site that has every round, or a stop, needs no coordinator any more. */
    const bool done = p->ending || rn_part_is_done(p) || rn_part_is_stopped(p);
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_UNREACHABLE, .outcome = code});
    RN_ENSURE(
        done || rn_class_of((rn_result){code}) != RN_CLASS_STOP, err, code,
        "the coordinator's connection cannot work (%s): check ca.crt, tls.crt and the address "
        "with `rondo doctor`",
        rn_code_name(code));
    return rn_ok();
}

static rn_result take(struct rn_participation *p, const struct rn_input *input,
                      struct rn_error *err)
{
    switch (input->kind) {
    case RN_INPUT_TICK:
        rn_part_train_tick(p, input);
        RN_TRY(rn_part_log_tick(p, err));
        return rn_part_session_tick(p, err);
    case RN_INPUT_OPENED:
        rn_part_opened(p, input->connection);
        break;
    case RN_INPUT_GONE:
        rn_part_gone(p, input->connection, input->code);
        break;
    case RN_INPUT_MESSAGE:
    case RN_INPUT_BULK:
        return take_message(p, input, err);
    case RN_INPUT_LOST:
        return take_lost(p, input->connection, err);
    case RN_INPUT_BULK_OPENED:
        p->bulk = true;
        return p->greeted ? rn_part_session_resend(p, err) : rn_ok();
    case RN_INPUT_BULK_SENT:
        return rn_part_session_bulk_sent(p, input->session, input->code, err);
    case RN_INPUT_UNREACHABLE:
        return take_unreachable(p, input->code, err);
    case RN_INPUT_TRAINED:
        return take_trained(p, input->trained, err);
    case RN_INPUT_PUBLISHED:
        take_published(p, input->published);
        break;
    case RN_INPUT_SIGNATURES:
        rn_part_signers_hear(p, input->bytes, "plan.yaml.sigs");
        break;
    case RN_INPUT_KEPT:
        return take_kept(p, input, err);
    case RN_INPUT_MIRRORED:
        return rn_part_log_mirrored(p, input, err);
    case RN_INPUT_LOGGED:
        break;
    case RN_INPUT_DRAIN:
        take_drain(p, input->count);
        break;
    case RN_INPUT_ABORT:
        return p->ending ? rn_ok() : rn_part_stop_own(p, input->text, err);
    }
    return rn_ok();
}

static void set_time(struct rn_participation *p, struct rn_now now)
{
    rn_own_clock_advance(&p->clock, now);
    p->now = (struct rn_now){.monotonic_ms = p->clock.ms, .wall_ms = now.wall_ms};
}

void rn_participation_step(struct rn_participation *p, const struct rn_input *input,
                           struct rn_now now, struct rn_effects *out_effects)
{
    struct rn_error err = {0};
    if (p->ended) {
        return;
    }
    set_time(p, now);
    p->out = out_effects;
    rn_result result = take(p, input, &err);
    if (rn_is_ok(result) && !p->ended) {
        result = settle(p, &err);
    }
    if (!rn_is_ok(result)) {
        end(p, result, &err);
    }
    p->out = NULL;
}

/* ---- Start, chunks, view */

static rn_result start(struct rn_participation *p, struct rn_error *err)
{
    const struct rn_job_basis *basis = p->config.basis;
    RN_TRY(basis->random(basis->random_context, p->incarnation, sizeof(p->incarnation), err));
    RN_TRY(rn_job_bind_plan(basis, p->out, err));
    RN_TRY(rn_job_evidence_load(basis, &p->evidence, err));
    RN_TRY(rn_part_epoch_start(p, err));
    RN_TRY(rn_part_stop_start(p, err));
    RN_TRY(rn_part_restore(p, err));
    RN_TRY(rn_part_log_start(p, err));
    struct rn_job_event event = {.kind = RN_JOB_STARTED,
                                 .round = p->next_round,
                                 .members = basis->roster->count,
                                 .count = p->config.weight,
                                 .has_hash = true};
    memcpy(event.hash, p->config.model->adapter_hash, sizeof(event.hash));
    rn_part_event(p, event);
    RN_TRY(rn_part_signers_start(p, err));
    return p->signers.satisfied && rn_part_epoch_is_drawn(p) ? rn_part_session_resume(p, err)
                                                             : rn_ok();
}

rn_result rn_participation_new(const struct rn_participation_config *config, struct rn_now now,
                               struct rn_effects *out_effects, struct rn_participation **out,
                               struct rn_error *err)
{
    struct rn_participation *p = rn_alloc(1, sizeof(*p));
    p->config = *config;
    set_time(p, now);
    p->out = out_effects;
    p->alone_since_ms = p->now.monotonic_ms;
    p->spent = rn_sa_spent_new();
    const rn_result result = start(p, err);
    p->out = NULL;
    if (!rn_is_ok(result)) {
        rn_participation_free(p);
        return result;
    }
    *out = p;
    return result;
}

void rn_participation_free(struct rn_participation *p)
{
    if (p != NULL) {
        p->session.uploading = false; /* nobody is told any more */
        rn_part_session_clear(p);
        rn_round_update_clear(&p->update);
        rn_job_course_clear(&p->course);
        rn_part_signers_clear(p);
        rn_part_log_clear(p);
        rn_part_epoch_free(p);
        rn_sa_spent_free(p->spent);
        rn_free(p);
    }
}

rn_result rn_participation_chunk(struct rn_participation *p,
                                 const uint8_t session[static RN_HASH_BYTES], uint32_t chunk,
                                 struct rn_buffer *out, struct rn_error *err)
{
    RN_ENSURE(!p->ended && p->session.machine != NULL &&
                  memcmp(session, p->session.id, RN_HASH_BYTES) == 0,
              err, RN_E_USAGE, "no upload of this session is asked for");
    RN_TRY(rn_sa_member_chunk(p->session.machine, chunk, out, err));
    p->sent += out->length;
    return rn_ok();
}

void rn_participation_view(const struct rn_participation *p, struct rn_now now,
                           struct rn_participation_view *out)
{
    (void)now;
    const struct rn_part_session *session = &p->session;
    const bool in_session = session->machine != NULL && !session->over;
    *out = (struct rn_participation_view){
        .connected = p->greeted,
        .training = p->training.running && !p->training.cancelled,
        .draining = p->draining,
        .ending = p->ending || p->ended,
        .in_session = in_session,
        .following = in_session && session->following,
        .behind = rn_part_is_behind(p),
        .draws = !rn_part_epoch_is_drawn(p),
        .waits = !p->signers.satisfied,
        .signed_by = p->signers.who.member_count,
        .next_round = p->next_round,
        .rounds = rn_plan_last_round(p->config.basis->plan),
        .attempt = session->attempt,
        .stage = session->stage,
        .stage_age_ms = in_session ? p->clock.ms - session->stage_since_ms : 0,
        .sent = p->sent,
        .judgement = p->course.judgement,
        .stop = p->stop.held,
        .evidence = p->evidence,
        .outcome = p->result.code,
    };
    memcpy(out->adapter_hash, p->config.model->adapter_hash, RN_HASH_BYTES);
    if (p->epoch != NULL && p->epoch->job->drawn) {
        out->outside = !rn_job_epoch_has(p->epoch->job, p->config.basis->self);
        memcpy(out->graph_seed, p->epoch->job->seed, sizeof(out->graph_seed));
    }
    if (out->waits) {
        memcpy(out->missing, p->signers.missing.text, sizeof(out->missing));
    }
}
