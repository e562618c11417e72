/* SPDX-License-Identifier: Apache-2.0
 *
 * Phases of the job, its inputs, its end.
 */
#include "services/federation/coordination.h"

#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/jobrecords.h"

#define WAITING_EVENT_MS 30000u
/* At the end: members that are behind have this long to get on with what they miss; longer than
 * another may hold a place for nothing. */
#define LINGER_MS (RN_COORD_IDLE_MS + 30000u)
/* And to take the last of the log. */
#define LOG_MS 10000u
/* After a restart at the end: the next member has this long to come. */
#define ARRIVAL_MS 20000u
/* After a signal, a session past Ready is finished within this, or resumed later. */
#define DRAIN_MS 30000u

static void set_phase(struct rn_coordination *c, enum rn_coordination_phase phase)
{
    c->phase = phase;
    c->phase_ms = c->clock_ms;
    c->told_ms = c->clock_ms;
}

/* ---- End */

static void end(struct rn_coordination *c, rn_result result, const struct rn_error *err)
{
    if (c->ended) {
        return;
    }
    /* One that is cut off while members fetch what they miss comes back for them. */
    const bool over = c->phase == RN_COORDINATION_LINGER && result.code == c->result.code &&
                      (c->drains == 0 || !rn_coord_somebody_behind(c));
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_CLOSING,
        .as.closing = {.reason = over ? (uint32_t)c->result.code : (uint32_t)RN_E_UNAVAILABLE,
                       .job_done = over}};
    for (uint32_t i = 0; i < c->peer_count; i++) {
        rn_effects_send(c->out, c->peers[i].connection, &envelope);
    }
    c->ended = true;
    c->phase = RN_COORDINATION_ENDED;
    rn_effects_end(c->out, result, err);
    c->out->items[c->out->count - 1].now = c->drains > 1;
}

/* The process cannot go on; the job can, with the next one. */
static void fail(struct rn_coordination *c, rn_result result, const struct rn_error *err)
{
    rn_effects_event_err(c->out,
                         (struct rn_job_event){.kind = RN_JOB_FAILED, .outcome = result.code}, err);
    end(c, result, err);
}

/* The adapters that stay: the best where one is kept, and the last. */
static void publish_last(struct rn_coordination *c)
{
    struct rn_error err = {0};
    bool published = false;
    const rn_result result = rn_job_course_publish(&c->course, c->model, c->out, &published, &err);
    if (!rn_is_ok(result)) {
        fail(c, result, &err);
        return;
    }
    c->publishing += published;
    rn_coord_publish(c, c->model, c->rounds[c->round_count - 1].round, true);
}

/* No further round: members fetch what they miss, the last adapter is published; of a blind job by
 * the members alone. Nothing is published that no round was summed for. */
static void end_rounds(struct rn_coordination *c)
{
    if (!rn_is_ok(c->result)) {
        rn_effects_event_err(
            c->out, (struct rn_job_event){.kind = RN_JOB_INCOMPLETE, .round = c->round}, &c->err);
    }
    set_phase(c, RN_COORDINATION_LINGER);
    rn_coord_log_end(c);
    if (c->round_count > 0 && !c->blind) {
        publish_last(c);
        return;
    }
    rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_ENDED,
                                                   .outcome = c->result.code,
                                                   .summed = c->summed,
                                                   .skipped = c->skipped,
                                                   .blind = c->blind});
}

static void gather(struct rn_coordination *c)
{
    if (c->drains > 0) {
        end(c, rn_ok(), NULL);
    } else if (rn_job_course_is_over(&c->course, c->basis->plan, c->round) ||
               !rn_is_ok(c->result)) {
        end_rounds(c);
    } else if (!rn_coord_epoch_ready(c)) {
        set_phase(c, RN_COORDINATION_EPOCH);
    } else {
        set_phase(c, RN_COORDINATION_GATHER);
    }
}

static void go(struct rn_coordination *c, enum rn_coord_next next, rn_result failed)
{
    switch (next) {
    case RN_COORD_GO_ON:
        break;
    case RN_COORD_NEXT:
        gather(c);
        break;
    case RN_COORD_END_ROUNDS:
        end_rounds(c);
        break;
    case RN_COORD_FAIL:
        fail(c, failed, &c->err);
        break;
    }
}

static void follow(struct rn_coordination *c, const struct rn_coord_outcome *outcome)
{
    go(c, rn_coord_conclude(c, outcome), outcome->failed);
}

/* ---- Gathering */

/* Everybody who is offered it is here and has the signatures that it wants, or the rest had time.
 */
static bool have_come(const struct rn_coordination *c, uint32_t *out_present)
{
    const struct rn_plan_secagg *secagg = &c->basis->plan->secagg;
    const uint64_t patience =
        c->first_session ? secagg->stage_soft_s * UINT64_C(1000) : RN_COORD_ABSENT_MS;
    const struct rn_sa_set left_out = rn_coord_left_out(c);
    *out_present = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct rn_coord_peer *peer = &c->peers[i];
        if (rn_sa_set_has(&left_out, i)) {
            continue;
        }
        if (peer->connection != 0 && !peer->waits) {
            (*out_present)++;
        } else if (!peer->stranded && c->clock_ms - peer->since_ms < patience) {
            return false;
        }
    }
    return true;
}

/* Who fell silent before, without proof, is left out as long as the others are enough: for F, and
 * for any minimum that a member's policy may ask for, which is at most n_max - D. */
static bool may_start(struct rn_coordination *c)
{
    const struct rn_plan_secagg *secagg = &c->basis->plan->secagg;
    const struct rn_sa_params params = {
        .members = c->peer_count, .colluding = secagg->colluding, .honest = secagg->honest};
    const uint32_t floor = rn_sa_floor(&params, 0);
    const uint32_t asked = c->peer_count - secagg->losses; /* a plan keeps D below n_max */
    uint32_t present = 0;
    c->takes_silent = false;
    bool come = have_come(c, &present);
    if (come && present < (asked > floor ? asked : floor)) {
        c->takes_silent = true;
        come = have_come(c, &present);
    }
    return come && present >= floor && c->publishing < RN_COORD_PUBLISHING_MAX &&
           rn_coord_signers_ready(c);
}

/* Fewer are here than a sum needs to hide one of them, and for as long as a round may last: the
 * process ends with the adapter it has. Before its first session it waits without end, because
 * sites are started by hand; whoever starts the coordinator again goes on where this one stopped.
 */
static bool gave_up(struct rn_coordination *c)
{
    const uint64_t limit_ms = c->basis->plan->secagg.train_hard_s * UINT64_C(1000);
    if (c->first_session || c->clock_ms - c->phase_ms < limit_ms) {
        return false;
    }
    c->result = rn_fail(&c->err, RN_E_INCOMPLETE,
                        "round %u: only %u of %u members are here, too few for a secure sum, and "
                        "nobody came in %u s; the adapter of the rounds before is kept. Start the "
                        "missing trainers, then the others and the coordinator again",
                        (unsigned)c->round, (unsigned)rn_coord_present(c), (unsigned)c->peer_count,
                        (unsigned)(limit_ms / 1000));
    end_rounds(c);
    return true;
}

static void start_session(struct rn_coordination *c)
{
    struct rn_error err = {0};
    rn_coord_keep(c);
    set_phase(c, RN_COORDINATION_SESSION);
    c->first_session = false;
    const rn_result result = rn_coord_session_start(c, &err);
    if (!rn_is_ok(result)) {
        fail(c, result, &err);
    }
}

static void tell_waiting(struct rn_coordination *c)
{
    struct rn_error detail = {0};
    const struct rn_job_event event = {.kind = RN_JOB_WAITING,
                                       .round = c->round,
                                       .present = rn_coord_present(c),
                                       .members = c->peer_count};
    if (c->clock_ms - c->told_ms < WAITING_EVENT_MS) {
        return;
    }
    c->told_ms = c->clock_ms;
    if (rn_coord_epoch_waiting(c, &detail) || rn_coord_signers_waiting(c, &detail)) {
        rn_effects_event_err(c->out, event, &detail);
    } else {
        rn_effects_event(c->out, event);
    }
}

static void gather_tick(struct rn_coordination *c)
{
    if (may_start(c)) {
        start_session(c);
    } else if (!gave_up(c)) {
        tell_waiting(c);
    }
}

static void epoch_tick(struct rn_coordination *c)
{
    const enum rn_coord_next next = rn_coord_epoch_tick(c);
    if (next == RN_COORD_GO_ON) {
        tell_waiting(c);
    }
    go(c, next, rn_ok());
}

/* More members than may lie have sums, a share graph, or more of the log than is known here: this
 * coordinator's state was lost or is an old copy. What it would offer is spent, so it ends, and
 * remembers nothing of it: with the right state the job goes on. */
static void check_state(struct rn_coordination *c)
{
    struct rn_error err = {0};
    uint32_t ahead = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        ahead += c->peers[i].ahead || rn_coord_log_is_ahead(c, &c->peers[i]);
    }
    if (ahead <= c->basis->plan->secagg.colluding || c->phase >= RN_COORDINATION_LINGER) {
        return;
    }
    const rn_result result = rn_fail(
        &err, RN_E_INCOMPLETE,
        "%u members have rounds, a share graph, or entries of the log that the coordinator's "
        "state (at round %u) does not know: it was lost, or is older than its members'. Restore "
        "the "
        "coordinator's state/ from its newest backup and start it again, or set up a new "
        "plan",
        (unsigned)ahead, (unsigned)c->round);
    rn_effects_event_err(c->out,
                         (struct rn_job_event){.kind = RN_JOB_INCOMPLETE, .round = c->round}, &err);
    end(c, result, &err);
}

/* ---- Lingering */

static uint64_t last_advance(const struct rn_coordination *c)
{
    uint64_t last = c->pulled_ms > c->phase_ms ? c->pulled_ms : c->phase_ms;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const uint64_t advance = c->peers[i].advance_ms;
        last = c->peers[i].connection != 0 && advance > last ? advance : last;
    }
    return last;
}

static void linger_tick(struct rn_coordination *c)
{
    /* One that was started after the end is there for all who come to hear how it ended. */
    const bool arriving = c->first_session && rn_coord_present(c) < c->peer_count;
    const uint64_t log_patience = rn_coord_log_waits(c) ? LOG_MS : 0;
    const uint64_t patience = rn_coord_somebody_behind(c) ? LINGER_MS
                              : arriving                  ? ARRIVAL_MS
                                                          : log_patience;
    if (c->publishing == 0 && c->clock_ms - last_advance(c) >= patience) {
        rn_coord_prune(c);
        end(c, c->result, &c->err);
    }
}

/* ---- Inputs */

static void tick(struct rn_coordination *c)
{
    struct rn_coord_outcome outcome;
    rn_coord_hush(c);
    switch (c->phase) {
    case RN_COORDINATION_GATHER:
        gather_tick(c);
        break;
    case RN_COORDINATION_EPOCH:
        epoch_tick(c);
        break;
    case RN_COORDINATION_SESSION:
        rn_coord_skip_waiting(c);
        outcome = rn_coord_session_tick(c);
        follow(c, &outcome);
        break;
    case RN_COORDINATION_LINGER:
        linger_tick(c);
        break;
    case RN_COORDINATION_ENDED:
        return;
    }
    if (c->drains > 0 && c->clock_ms - c->drain_ms >= DRAIN_MS) {
        end(c, rn_ok(), NULL);
    }
}

static struct rn_job_metrics metrics_of(const struct rn_published *published)
{
    const struct rn_metrics *m = &published->metrics;
    return (struct rn_job_metrics){
        .evaluated = published->evaluated,
        .values = {m->loss, m->accuracy, m->f1, m->matthews, m->pearson, m->spearman}};
}

static void tell_published(struct rn_coordination *c, const struct rn_published *published)
{
    if (published->directory[0] != '\0') {
        rn_effects_event_path(
            c->out, (struct rn_job_event){.kind = RN_JOB_WRITTEN, .round = published->round},
            published->directory);
    }
    if (published->evaluated) {
        const enum rn_plan_metric metric = c->basis->plan->task.metric;
        rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_EVALUATED,
                                                       .round = published->round,
                                                       .loss = published->metrics.loss,
                                                       .metric = published->metric,
                                                       .metric_name = rn_plan_metric_name(metric)});
    }
    if (published->final) {
        rn_effects_event_path(c->out,
                              (struct rn_job_event){.kind = RN_JOB_ENDED,
                                                    .round = published->round,
                                                    .outcome = c->result.code,
                                                    .summed = c->summed,
                                                    .skipped = c->skipped,
                                                    .judgement = c->course.judgement,
                                                    .head_untrained = !c->model->shared_head},
                              published->directory);
    }
}

static void take_published(struct rn_coordination *c, const struct rn_published *published)
{
    c->publishing--;
    if (!rn_is_ok(published->result)) {
        if (c->drains == 0) { /* else cut off by the end: written again at the next start */
            fail(c, published->result, published->err);
        }
        return;
    }
    if (!published->final && !published->best) {
        const struct rn_job_metrics metrics = metrics_of(published);
        c->unpublished_from = published->round + 1;
        rn_coord_write_metrics(c, published->round, &metrics);
    }
    tell_published(c, published);
}

/* A session past Ready is worth finishing; anything else is resumed as well. */
static void take_drain(struct rn_coordination *c, unsigned count)
{
    const bool busy = c->phase == RN_COORDINATION_SESSION && !c->session.over &&
                      c->session.stage > RN_SA_STAGE_READY;
    rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_DRAINING, .count = count});
    c->drain_ms = c->drains == 0 ? c->clock_ms : c->drain_ms;
    c->drains = count;
    if (count > 1 || !busy) {
        end(c, rn_ok(), NULL);
    }
}

static void call_off_session(struct rn_coordination *c)
{
    const struct rn_coord_outcome outcome = rn_coord_session_abort(c);
    follow(c, &outcome);
}

/* By c->result. A session that can be called off is; a certified one brings its sum first. Recorded
 * at once: a restart does not forget it. */
static void end_early(struct rn_coordination *c)
{
    rn_coord_write_end(c, c->result, &c->err);
    if (c->stop.length > 0) {
        rn_job_stop_tell(&c->stop, c->round, c->out);
    }
    if (c->phase == RN_COORDINATION_SESSION) {
        call_off_session(c);
    } else {
        gather(c);
    }
}

static void take_abort(struct rn_coordination *c, const char *text)
{
    if (c->result.code != RN_OK || c->phase == RN_COORDINATION_LINGER) {
        return;
    }
    c->result = rn_fail(&c->err, RN_E_INCOMPLETE, "ended by the operator: %s", text);
    end_early(c);
}

static void take_message(struct rn_coordination *c, const struct rn_input *input)
{
    struct rn_coord_outcome outcome = {0};
    rn_coord_message(c, input, &outcome);
    if (outcome.stopped) {
        end_early(c);
        return;
    }
    follow(c, &outcome);
    check_state(c);
}

/* Of an older connection: nothing; the newer one may wait for help. */
static void take_lost(struct rn_coord_peer *peer, uint64_t connection)
{
    const bool current = peer->connection == connection;
    peer->wants_help |= current;
    peer->wants_signatures |= current;
    peer->wants_epoch |= current;
    peer->wants_stop |= current;
    peer->log_sent &= !current;
}

static void dispatch(struct rn_coordination *c, const struct rn_input *input)
{
    switch (input->kind) {
    case RN_INPUT_TICK:
        tick(c);
        break;
    case RN_INPUT_OPENED:
        rn_coord_opened(c, input);
        break;
    case RN_INPUT_MESSAGE:
    case RN_INPUT_BULK:
        take_message(c, input);
        break;
    case RN_INPUT_GONE:
        rn_coord_gone(c, input);
        break;
    case RN_INPUT_LOST:
        take_lost(&c->peers[input->peer], input->connection);
        break;
    case RN_INPUT_UNREACHABLE:
        rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_MEMBER_UNREACHABLE,
                                                       .peer = input->peer + 1,
                                                       .outcome = input->code});
        break;
    case RN_INPUT_PUBLISHED:
        take_published(c, input->published);
        break;
    case RN_INPUT_DRAIN:
        take_drain(c, input->count);
        break;
    case RN_INPUT_ABORT:
        take_abort(c, input->text);
        break;
    case RN_INPUT_SIGNATURES:
        rn_coord_signers_take(c, input->bytes);
        break;
    case RN_INPUT_LOGGED:
        rn_coord_log_grown(c, input);
        break;
    case RN_INPUT_BULK_OPENED: /* its member says what it lacks */
    case RN_INPUT_BULK_SENT:
    case RN_INPUT_TRAINED:
    case RN_INPUT_KEPT:
    case RN_INPUT_MIRRORED:
        break;
    }
}

static void set_time(struct rn_coordination *c, struct rn_now now)
{
    rn_own_clock_advance(&c->clock, now);
    c->clock_ms = c->clock.ms;
}

void rn_coordination_step(struct rn_coordination *c, const struct rn_input *input,
                          struct rn_now now, struct rn_effects *out_effects)
{
    const bool of_peer = input->kind >= RN_INPUT_OPENED && input->kind <= RN_INPUT_UNREACHABLE;
    RN_BUG_IF(of_peer && input->peer >= c->peer_count);
    if (c->ended) {
        return;
    }
    c->out = out_effects;
    set_time(c, now);
    dispatch(c, input);
    if (!c->ended) {
        rn_coord_signers_send(c); /* before the offer that a member without them refuses */
        rn_coord_epoch_send(c);
        rn_coord_help_all(c);
        rn_coord_log_send(c);
        rn_coord_stop_send(c); /* behind the certificate, where a session has one */
    }
    c->out = NULL;
}

/* ---- Life cycle */

static void init_peers(struct rn_coordination *c)
{
    c->peer_count = c->basis->roster->count;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        c->peers[i].next_round = 1;
        c->peers[i].since_ms = c->clock_ms;
    }
}

static rn_result start(struct rn_coordination *c, struct rn_error *err)
{
    struct rn_coord_outcome outcome = {0};
    RN_TRY(c->basis->random(c->basis->random_context, c->incarnation, sizeof(c->incarnation), err));
    init_peers(c);
    RN_TRY(rn_coord_signers_start(c, err));
    RN_TRY(rn_job_bind_plan(c->basis, c->out, err));
    RN_TRY(rn_job_evidence_load(c->basis, &c->evidence, err));
    RN_TRY(rn_coord_epoch_start(c, err));
    RN_TRY(rn_coord_stop_start(c, err));
    RN_TRY(rn_coord_resume(c, &outcome, err));
    RN_TRY(rn_coord_log_start(c, err));
    rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_STARTED,
                                                   .round = c->round,
                                                   .rounds = rn_plan_last_round(c->basis->plan),
                                                   .members = c->peer_count});
    if (c->phase == RN_COORDINATION_SESSION) {
        follow(c, &outcome);
    } else {
        gather(c);
    }
    if (c->phase == RN_COORDINATION_SESSION && c->stop.length > 0) {
        call_off_session(c); /* the call may not have been durable */
    }
    return rn_ok();
}

rn_result rn_coordination_new(const struct rn_coordination_config *config, struct rn_now now,
                              struct rn_effects *out_effects, struct rn_coordination **out,
                              struct rn_error *err)
{
    struct rn_coordination *c = rn_alloc(1, sizeof(*c));
    c->config = *config;
    c->basis = config->basis;
    c->model = config->model;
    c->blind = rn_plan_is_blind(c->basis->plan);
    memcpy(c->blind_hash, c->model->adapter_hash, sizeof(c->blind_hash));
    c->first_session = true;
    c->out = out_effects;
    set_time(c, now);
    const rn_result result = start(c, err);
    c->out = NULL;
    if (!rn_is_ok(result)) {
        rn_coordination_free(c);
        return result;
    }
    *out = c;
    return result;
}

void rn_coordination_free(struct rn_coordination *c)
{
    if (c == NULL) {
        return;
    }
    rn_coord_session_clear(&c->session);
    for (size_t i = 0; i < RN_COORD_PLACES; i++) {
        rn_coord_session_clear(&c->places[i].session);
    }
    rn_coord_epoch_free(c);
    rn_job_course_clear(&c->course);
    rn_free(c->rounds);
    rn_free(c);
}

/* ---- View */

static bool is_missing(const struct rn_coordination *c, uint32_t index)
{
    const struct rn_coord_session *session = &c->session;
    const struct rn_coord_epoch *epoch = c->epoch;
    if (c->phase == RN_COORDINATION_EPOCH) {
        return rn_sa_set_has(&epoch->expected, index) && !rn_sa_set_has(&epoch->arrived, index);
    }
    return session->machine != NULL && !session->over && rn_sa_set_has(&session->expected, index) &&
           !rn_sa_set_has(&session->arrived, index);
}

static struct rn_coordination_member member_view(const struct rn_coordination *c, uint32_t index)
{
    const struct rn_coord_peer *peer = &c->peers[index];
    const struct rn_coord_session *session = &c->session;
    const bool running = session->machine != NULL && !session->over;
    return (struct rn_coordination_member){
        .connected = peer->connection != 0,
        .missing = is_missing(c, index),
        .declined = running && peer->declined_round == session->round &&
                    peer->declined_attempt == session->attempt,
        .stranded = peer->stranded,
        .blamed = rn_sa_set_has(&c->blamed, index),
        .outside = rn_coord_epoch_ready(c) &&
                   !rn_job_epoch_has(c->epoch == NULL ? NULL : c->epoch->job, index),
        .waits = peer->connection != 0 && peer->waits,
        .why = peer->why,
        .next_round = peer->next_round,
        .since_ms = c->clock_ms - peer->since_ms,
        .received = peer->received,
    };
}

static void view_graph(const struct rn_coordination *c, struct rn_coordination_view *out)
{
    const struct rn_coord_epoch *epoch = c->epoch;
    out->graph_attempt = epoch->attempt;
    out->graph_drawn = epoch->job->drawn;
    memcpy(out->graph_seed, epoch->job->seed, sizeof(out->graph_seed));
    if (c->phase == RN_COORDINATION_EPOCH) {
        out->graph_step = epoch->step == RN_COORD_EPOCH_COMMITMENTS ? "commitments"
                          : epoch->step == RN_COORD_EPOCH_REVEALS   ? "reveals"
                                                                    : NULL;
        out->stage_age_ms = c->clock_ms - (out->graph_step != NULL ? epoch->since_ms : c->phase_ms);
    }
}

void rn_coordination_view(const struct rn_coordination *c, struct rn_now now,
                          struct rn_coordination_view *out)
{
    (void)now;
    const struct rn_coord_session *session = &c->session;
    *out = (struct rn_coordination_view){
        .phase = c->phase,
        .round = c->round,
        .rounds = rn_plan_last_round(c->basis->plan),
        .attempt = c->attempt,
        .summed = c->summed,
        .skipped = c->skipped,
        .stage = session->stage,
        .stage_age_ms = rn_coord_machine_ms(c) - session->stage_ms,
        .stage_left_ms = rn_coord_stage_left_ms(c),
        .judgement = c->course.judgement,
        .outcome = c->result.code,
        .blind = c->blind,
        .draining = c->drains > 0,
        .signers = c->signers,
        .stop = c->stop,
        .evidence = c->evidence,
        .member_count = c->peer_count,
    };
    memcpy(out->adapter_hash, rn_coord_adapter_hash(c), RN_HASH_BYTES);
    if (c->epoch != NULL) {
        view_graph(c, out);
    }
    for (uint32_t i = 0; i < c->peer_count; i++) {
        out->members[i] = member_view(c, i);
    }
}
