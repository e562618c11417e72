/* SPDX-License-Identifier: Apache-2.0
 *
 * One secure-aggregation session at the coordinator: the machine, and its actions as effects.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"
#include "services/federation/coordinationstate.h"
#include "services/federation/jobrecords.h"

/* A connected member that trains without finishing a step in this time counts as away. */
#define STALL_MS 180000u
/* Votes to call off the session of a job that has ended are waited for so long. */
#define CALLED_OFF_MS 3000u

uint32_t rn_coord_present(const struct rn_coordination *c)
{
    uint32_t present = 0;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        present += c->peers[i].connection != 0;
    }
    return present;
}

void rn_coord_session_clear(struct rn_coord_session *session)
{
    rn_sa_aggregator_free(session->machine);
    *session = (struct rn_coord_session){0};
}

static bool is_session(const struct rn_coord_session *session, const uint8_t *id)
{
    return session->machine != NULL && memcmp(session->id, id, RN_HASH_BYTES) == 0;
}

struct rn_coord_session *rn_coord_session_find(struct rn_coordination *c,
                                               const uint8_t id[static RN_HASH_BYTES])
{
    if (is_session(&c->session, id)) {
        return &c->session;
    }
    for (size_t i = 0; i < RN_COORD_PLACES; i++) {
        if (is_session(&c->places[i].session, id)) {
            return &c->places[i].session;
        }
    }
    return NULL;
}

/* ---- Actions */

static struct rn_job_event event_of(enum rn_job_event_kind kind,
                                    const struct rn_coord_session *session)
{
    return (struct rn_job_event){.kind = kind,
                                 .round = session->round,
                                 .attempt = session->attempt,
                                 .stage = session->stage,
                                 .phase = rn_coord_phase_of(session)};
}

static bool is_resumed_abort(const struct rn_coord_session *session, enum rn_sa_stage stage)
{
    return (stage == RN_SA_STAGE_ABORTING && session->reached < RN_SA_STAGE_UPLOAD) ||
           (stage == RN_SA_STAGE_ABORTED && session->reached == RN_SA_STAGE_OFFER);
}

/* Where the session stands after these actions. */
static bool note_stages(struct rn_coordination *c, struct rn_coord_session *session,
                        const struct rn_sa_actions *actions)
{
    bool entered = false;
    for (size_t i = 0; i < actions->count; i++) {
        const struct rn_sa_action *action = &actions->items[i];
        if (action->kind != RN_SA_STAGE) {
            continue;
        }
        session->expected = action->expected;
        session->arrived = action->arrived;
        if (action->stage == session->stage && session->stage_ms != 0) {
            continue;
        }
        entered = true;
        session->stage = action->stage;
        session->stage_ms = rn_coord_machine_ms(c);
        if (action->stage <= RN_SA_STAGE_SUM) {
            session->reached = action->stage;
        } else if (is_resumed_abort(session, action->stage)) {
            session->reached = RN_SA_STAGE_UPLOAD; /* votes are collected from there on */
        }
        if (action->stage == RN_SA_STAGE_SHARES) {
            session->joined = action->expected;
        }
    }
    return entered && session == &c->session;
}

static void tell_stage(struct rn_coordination *c, const struct rn_coord_session *session)
{
    struct rn_job_event event = event_of(RN_JOB_STAGE, session);
    event.members = rn_sa_set_count(&session->expected);
    rn_effects_event(c->out, event);
}

static void send_to(struct rn_coordination *c, const struct rn_sa_action *action)
{
    for (uint32_t i = rn_sa_set_next(&action->to, 0); i < c->peer_count;
         i = rn_sa_set_next(&action->to, i + 1)) {
        rn_effects_send_secagg(c->out, c->peers[i].connection, rn_buffer_view(&action->bytes));
    }
}

/* Of a sum, and of what its replay needs. */
static const struct rn_budget_rate sum_rate = {RN_COORD_SUM_BURST, RN_COORD_SUM_EVERY_MS};

static uint32_t wanted_chunks(const struct rn_sa_action *action)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < action->chunks; i++) {
        count += rn_sa_action_wants(action, i);
    }
    return count;
}

static void send_bulk_to(struct rn_coordination *c, struct rn_coord_session *session,
                         const struct rn_sa_action *action)
{
    const uint32_t wanted = wanted_chunks(action);
    for (uint32_t i = rn_sa_set_next(&action->to, 0); i < c->peer_count;
         i = rn_sa_set_next(&action->to, i + 1)) {
        if (c->peers[i].connection == 0 || wanted == 0 ||
            !rn_budget_take_part(action->audit ? &session->replays[i] : &session->sums[i],
                                 &sum_rate, wanted, action->chunks, c->clock_ms)) {
            continue;
        }
        struct rn_effect *effect = rn_effects_add(c->out, RN_EFFECT_BULK);
        effect->peer = i;
        effect->chunks = action->chunks;
        memcpy(effect->session, session->id, RN_HASH_BYTES);
        rn_buffer_append(&effect->bytes, action->bytes.data, action->bytes.length);
    }
}

/* From now on they are offered nothing; a session that is looked at again says nothing new. */
static void leave_out(struct rn_coordination *c, const struct rn_coord_session *session,
                      const struct rn_sa_set *blamed)
{
    if (rn_sa_set_within(blamed, &c->blamed)) {
        return;
    }
    rn_coord_write_blamed(c, session, blamed);
    for (uint32_t i = rn_sa_set_next(blamed, 0); i < c->peer_count;
         i = rn_sa_set_next(blamed, i + 1)) {
        struct rn_job_event event = event_of(RN_JOB_BLAMED, session);
        event.peer = i + 1;
        rn_effects_event(c->out, event);
    }
}

/* A session that is looked at again after a restart was counted before. */
static void leave_out_silent(struct rn_coordination *c, const struct rn_coord_session *session,
                             const struct rn_sa_set *silent)
{
    const bool counted =
        session->round < c->silent_round ||
        (session->round == c->silent_round && session->attempt <= c->silent_attempt);
    if (session != &c->session || counted || rn_sa_set_empty(silent)) {
        return;
    }
    rn_coord_write_silent(c, session, silent);
    for (uint32_t i = rn_sa_set_next(silent, 0); i < c->peer_count;
         i = rn_sa_set_next(silent, i + 1)) {
        struct rn_job_event event = event_of(RN_JOB_SILENT, session);
        event.peer = i + 1;
        rn_effects_event(c->out, event);
    }
}

static void execute_one(struct rn_coordination *c, struct rn_coord_session *session,
                        struct rn_sa_action *action, struct rn_coord_outcome *outcome)
{
    switch (action->kind) {
    case RN_SA_PERSIST:
        rn_coord_write_machine(c, session, RN_RECORD_AGGREGATOR, &action->bytes);
        break;
    case RN_SA_SEND:
        send_to(c, action);
        break;
    case RN_SA_SEND_SHARES:
        rn_coord_shares_want(session, &action->to);
        break;
    case RN_SA_SEND_BULK:
        send_bulk_to(c, session, action);
        break;
    case RN_SA_APPLY:
        if (session == &c->session && !session->summed && !session->refused) {
            outcome->failed = rn_coord_take_sum(c, session);
            outcome->sum = session->summed;
        }
        break;
    case RN_SA_FINISHED:
        outcome->finished = true;
        leave_out(c, session, &action->blamed);
        break;
    case RN_SA_ABORTED:
        outcome->aborted = true;
        outcome->reason = action->reason;
        outcome->certified = action->certified;
        leave_out(c, session, &action->blamed);
        leave_out_silent(c, session, &action->silent);
        break;
    case RN_SA_EVIDENCE:
        rn_job_evidence_add(&c->evidence, c->basis->roster, rn_buffer_view(&action->bytes));
        rn_coord_write_machine(c, session, RN_RECORD_EVIDENCE, &action->bytes);
        rn_effects_event(c->out, event_of(RN_JOB_EVIDENCE, session));
        break;
    default:
        break;
    }
}

struct rn_coord_outcome rn_coord_execute(struct rn_coordination *c,
                                         struct rn_coord_session *session,
                                         struct rn_sa_actions *actions)
{
    struct rn_coord_outcome outcome = {0};
    bool tell = note_stages(c, session, actions);
    for (size_t i = 0; i < actions->count && rn_is_ok(outcome.failed); i++) {
        /* Told once its record is durable, and before anything of the stage is sent. */
        if (tell && actions->items[i].kind == RN_SA_SEND) {
            tell_stage(c, session);
            tell = false;
        }
        execute_one(c, session, &actions->items[i], &outcome);
    }
    if (tell) {
        tell_stage(c, session);
    }
    if (rn_is_ok(outcome.failed)) {
        rn_coord_shares_send(c, session);
    }
    rn_sa_actions_clear(actions);
    if (session != &c->session || session->over) {
        return (struct rn_coord_outcome){0}; /* it is about an earlier one */
    }
    return outcome;
}

/* ---- Messages and time */

struct rn_coord_outcome rn_coord_session_receive(struct rn_coordination *c, uint32_t peer,
                                                 struct rn_view message)
{
    uint8_t id[RN_HASH_BYTES];
    struct rn_coord_session *session =
        rn_sa_message_session(message, id) ? rn_coord_session_find(c, id) : NULL;
    if (session == NULL) {
        return (struct rn_coord_outcome){0}; /* late, of a session that nobody needs any more */
    }
    struct rn_sa_actions actions = {0};
    struct rn_error err = {0};
    c->peers[peer].progress_ms = c->clock_ms;
    const rn_result result = rn_sa_aggregator_receive(session->machine, peer, message,
                                                      rn_coord_machine_ms(c), &actions, &err);
    if (!rn_is_ok(result)) {
        struct rn_job_event event = event_of(RN_JOB_MESSAGE_REFUSED, session);
        event.peer = peer + 1;
        event.outcome = result.code;
        rn_effects_event_err(c->out, event, &err);
    }
    return rn_coord_execute(c, session, &actions);
}

struct rn_coord_outcome rn_coord_session_tick(struct rn_coordination *c)
{
    struct rn_sa_actions actions = {0};
    if (c->session.machine == NULL) {
        return (struct rn_coord_outcome){0};
    }
    rn_sa_aggregator_tick(c->session.machine, rn_coord_machine_ms(c), &actions);
    return rn_coord_execute(c, &c->session, &actions);
}

struct rn_coord_outcome rn_coord_session_abort(struct rn_coordination *c)
{
    struct rn_sa_actions actions = {0};
    if (c->session.machine == NULL || c->session.over) {
        return (struct rn_coord_outcome){0};
    }
    rn_sa_aggregator_abort(c->session.machine, rn_coord_machine_ms(c), &actions);
    return rn_coord_execute(c, &c->session, &actions);
}

/* ---- Whom to wait for */

static struct rn_sa_timeout timeout_of(const struct rn_coord_session *session)
{
    const struct rn_sa_params *params = &session->params;
    switch (session->stage) {
    case RN_SA_STAGE_READY:
        return params->ready;
    case RN_SA_STAGE_SHARES:
        return params->shares;
    case RN_SA_STAGE_ACKS:
        return params->acks;
    case RN_SA_STAGE_UPLOAD:
        return params->upload;
    case RN_SA_STAGE_VOTE:
    case RN_SA_STAGE_ABORTING:
        return params->vote;
    case RN_SA_STAGE_UNMASK:
        return params->unmask;
    case RN_SA_STAGE_SUM:
        return params->receipts;
    default:
        return (struct rn_sa_timeout){0, 0};
    }
}

uint64_t rn_coord_stage_left_ms(const struct rn_coordination *c)
{
    const struct rn_coord_session *session = &c->session;
    const uint64_t end = session->stage_ms + timeout_of(session).hard_ms;
    const uint64_t now = rn_coord_machine_ms(c);
    return session->machine == NULL || session->over || end <= now ? 0 : end - now;
}

/* Nothing of this member will come in the stage, whatever time passes: it said so, or what it lacks
 * is gone. A follower still sends its receipt. */
static bool is_out(const struct rn_coord_session *session, const struct rn_coord_peer *peer)
{
    const bool follows =
        peer->follows_round == session->round && peer->follows_attempt == session->attempt;
    const bool declined =
        peer->declined_round == session->round && peer->declined_attempt == session->attempt;
    return peer->stranded || declined ||
           (follows && session->stage != RN_SA_STAGE_SUM && session->stage < RN_SA_STAGE_FINISHED);
}

/* It may still answer, but is not waited for: away, stuck in training, or busy with older rounds.
 */
static bool is_slow(const struct rn_coordination *c, const struct rn_coord_peer *peer)
{
    if (peer->connection == 0) {
        return c->clock_ms - peer->since_ms >= RN_COORD_ABSENT_MS;
    }
    if (c->session.stage != RN_SA_STAGE_READY) {
        return false;
    }
    /* Rounds that were lost gave nothing that it could lack. */
    const bool behind = peer->next_round < rn_coord_open_from(c);
    return behind ? c->clock_ms - peer->advance_ms >= RN_COORD_ABSENT_MS
                  : c->clock_ms - peer->progress_ms >= STALL_MS;
}

/* How many answers the stage needs to close. */
static uint32_t needed(const struct rn_coord_session *session)
{
    switch (session->stage) {
    case RN_SA_STAGE_READY:
    case RN_SA_STAGE_SHARES:
    case RN_SA_STAGE_ACKS:
    case RN_SA_STAGE_UPLOAD:
        return rn_sa_floor(&session->params, 0);
    default:
        return rn_sa_quorum(&session->params);
    }
}

static void wait_no_longer(struct rn_coordination *c, const struct rn_sa_set *missing,
                           uint64_t stage_ms)
{
    const struct rn_coord_session *session = &c->session;
    const uint64_t until = session->stage_ms + stage_ms;
    const uint64_t now = rn_coord_machine_ms(c);
    if (now < until) {
        struct rn_job_event event = event_of(RN_JOB_NOT_WAITING, session);
        event.count = rn_sa_set_count(missing);
        rn_effects_event(c->out, event);
        c->skew_ms += until - now;
    }
}

/* An abort certificate frees updates for another session. Of a job that has ended there is none, so
 * votes that are split, and give neither certificate, are not waited for. */
static bool is_called_off(const struct rn_coordination *c)
{
    const struct rn_coord_session *session = &c->session;
    return !rn_is_ok(c->result) && session->stage == RN_SA_STAGE_ABORTING &&
           rn_coord_machine_ms(c) - session->stage_ms >= CALLED_OFF_MS;
}

/* When nobody is left who is worth waiting for, the soft time-out need not be sat through: the
 * machine's clock moves there. When those who can still answer are too few, nothing can change any
 * more before the hard time-out: it moves there. The machine's own rules decide what follows. */
void rn_coord_skip_waiting(struct rn_coordination *c)
{
    const struct rn_coord_session *session = &c->session;
    const struct rn_sa_timeout timeout = timeout_of(session);
    const struct rn_sa_set missing = rn_sa_set_minus(&session->expected, &session->arrived);
    if (session->machine == NULL || session->over || timeout.soft_ms == 0 ||
        rn_sa_set_empty(&missing)) {
        return;
    }
    if (is_called_off(c)) {
        wait_no_longer(c, &missing, timeout.hard_ms);
        return;
    }
    uint32_t may_come = 0;
    for (uint32_t i = rn_sa_set_next(&missing, 0); i < c->peer_count;
         i = rn_sa_set_next(&missing, i + 1)) {
        const bool out = is_out(session, &c->peers[i]);
        if (!out && !is_slow(c, &c->peers[i])) {
            return;
        }
        may_come += !out;
    }
    const uint32_t possible = rn_sa_set_count(&session->arrived) + may_come;
    const bool hopeless = session->stage != RN_SA_STAGE_SUM && possible < needed(session);
    wait_no_longer(c, &missing, hopeless ? timeout.hard_ms : timeout.soft_ms);
}

/* ---- Start */

static rn_result machine_config(const struct rn_coordination *c, const struct rn_coord_round *key,
                                struct rn_sa_aggregator_config *out, struct rn_error *err)
{
    *out = (struct rn_sa_aggregator_config){.identity = c->basis->identity,
                                            .spool_bytes_max = c->config.spool_bytes,
                                            .spool = c->config.spool,
                                            .excluded = rn_coord_left_out(c),
                                            .parallel = c->basis->parallel};
    RN_TRY(rn_round_session(c->model, c->basis->plan, c->basis->roster, c->basis->base_hash,
                            key->round, key->attempt, rn_coord_start_of(c, key->round), key->before,
                            &out->params, &out->context, err));
    rn_round_session_graph(rn_job_epoch_seed(c->epoch == NULL ? NULL : c->epoch->job),
                           &out->context);
    rn_round_session_blind(c->basis->plan, &c->signatures, &out->context);
    return rn_ok();
}

static rn_result fill(const struct rn_coordination *c, const struct rn_coord_round *key,
                      const struct rn_sa_aggregator_config *config,
                      struct rn_coord_session *session, struct rn_error *err)
{
    session->round = key->round;
    session->attempt = key->attempt;
    session->params = config->params;
    session->began_ms = c->clock_ms;
    memcpy(session->before, key->before, sizeof(session->before));
    rn_sa_aggregator_session(session->machine, session->id);
    return rn_round_model_layout(c->model, c->basis->plan, key->round,
                                 rn_coord_start_of(c, key->round), &session->layout, err);
}

static void begin_round(struct rn_coordination *c)
{
    const struct rn_coord_session *session = &c->session;
    for (uint32_t i = 0; i < c->peer_count; i++) {
        struct rn_coord_peer *peer = &c->peers[i];
        peer->progress_ms = c->clock_ms;
        peer->beats = 0;
        if (session->attempt == 1) {
            peer->received_at_start = peer->received;
        }
    }
    struct rn_job_event event = event_of(RN_JOB_OFFER, session);
    event.present = rn_coord_present(c);
    rn_effects_event(c->out, event);
}

rn_result rn_coord_session_start(struct rn_coordination *c, struct rn_error *err)
{
    struct rn_coord_session *session = &c->session;
    struct rn_coord_round key = {.round = c->round, .attempt = ++c->attempt};
    struct rn_sa_aggregator_config config;
    struct rn_sa_actions actions = {0};
    memcpy(key.before, rn_coord_adapter_hash(c), sizeof(key.before));
    RN_TRY(machine_config(c, &key, &config, err));
    RN_TRY(c->basis->random(c->basis->random_context, config.nonce, sizeof(config.nonce), err));
    RN_TRY(rn_sa_aggregator_new(&config, &session->machine, err));
    rn_sa_aggregator_start(session->machine, rn_coord_machine_ms(c), &actions);
    const rn_result filled = fill(c, &key, &config, session, err);
    if (!rn_is_ok(filled)) {
        rn_sa_actions_clear(&actions);
        return filled;
    }
    begin_round(c);
    rn_coord_write_attempt(c, session); /* the number is used up before anybody hears of it */
    (void)rn_coord_execute(c, session, &actions); /* an offer ends nothing */
    return rn_ok();
}

static rn_result resume(struct rn_coordination *c, const struct rn_sa_aggregator_config *config,
                        const uint8_t *id, struct rn_sa_actions *actions,
                        struct rn_sa_aggregator **out, struct rn_error *err)
{
    RN_CLEANUP(rn_job_records_clear) struct rn_job_records records = {0};
    RN_TRY(rn_job_records_load(&c->basis->reader, RN_RECORD_AGGREGATOR, id, &records, err));
    RN_ENSURE(records.count > 0, err, RN_E_NO_INPUT, "its records are not kept any more");
    return rn_sa_aggregator_resume(config, records.views, records.count, rn_coord_machine_ms(c),
                                   actions, out, err);
}

rn_result rn_coord_session_load(struct rn_coordination *c, const struct rn_coord_round *key,
                                struct rn_coord_session *session, struct rn_sa_actions *out_actions,
                                struct rn_error *err)
{
    struct rn_sa_aggregator_config config;
    struct rn_sa_actions actions = {0};
    c->takes_silent = true; /* who fell silent before may have been offered this session */
    RN_TRY(machine_config(c, key, &config, err));
    rn_result result = resume(c, &config, key->session, &actions, &session->machine, err);
    if (rn_is_ok(result)) {
        result = fill(c, key, &config, session, err);
    }
    if (rn_is_ok(result) && out_actions != NULL) {
        *out_actions = actions;
    } else {
        rn_sa_actions_clear(&actions);
    }
    return result;
}
