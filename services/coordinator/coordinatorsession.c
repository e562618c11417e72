/* SPDX-License-Identifier: Apache-2.0
 *
 * One secure-aggregation session at the coordinator: the machine, its actions, the bulk streams.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "crypto/random.h"
#include "services/coordinator/coordinatorstate.h"

void rn_coordinator_session_clear(struct rn_coordinator_session *session)
{
    rn_sa_aggregator_free(session->machine);
    *session = (struct rn_coordinator_session){0};
}

struct rn_coordinator_session *rn_coordinator_session_find(struct rn_coordinator *coordinator,
                                                           const uint8_t id[static 32])
{
    struct rn_coordinator_session *session = &coordinator->session;
    if (session->machine != NULL && memcmp(session->id, id, RN_HASH_BYTES) == 0) {
        return session;
    }
    for (size_t i = 0; i < RN_COORDINATOR_PAST_MAX; i++) {
        session = &coordinator->past[i];
        if (session->machine != NULL && memcmp(session->id, id, RN_HASH_BYTES) == 0) {
            return session;
        }
    }
    return NULL;
}

/* ---- Actions */

static rn_result persist(struct rn_coordinator *coordinator,
                         const struct rn_coordinator_session *session, enum rn_journal_kind kind,
                         const struct rn_sa_action *action, struct rn_error *err)
{
    struct rn_journal_key key = {
        .kind = kind, .round = session->round, .attempt = session->attempt};
    memcpy(key.session, session->id, sizeof(key.session));
    return rn_journal_append(coordinator->journal, &key, rn_buffer_view(&action->bytes), err);
}

static void send_to(struct rn_coordinator *coordinator, const struct rn_sa_action *action)
{
    for (uint32_t i = rn_sa_set_next(&action->to, 0); i < coordinator->peer_count;
         i = rn_sa_set_next(&action->to, i + 1)) {
        struct rn_coordinator_peer *peer = &coordinator->peers[i];
        if (peer->session_stream != NULL &&
            !rn_stream_send_secagg(peer->session_stream, rn_buffer_view(&action->bytes))) {
            peer->resend = true;
        }
    }
}

static void send_bulk_to(struct rn_coordinator *coordinator,
                         const struct rn_coordinator_session *session,
                         const struct rn_sa_action *action)
{
    for (uint32_t i = rn_sa_set_next(&action->to, 0); i < coordinator->peer_count;
         i = rn_sa_set_next(&action->to, i + 1)) {
        struct rn_coordinator_peer *peer = &coordinator->peers[i];
        if (peer->session_stream != NULL) {
            rn_stream_bulk_add(&peer->bulk, session->id, action);
            rn_coordinator_bulk_pump(coordinator, peer);
        }
    }
}

/* Logged before anything of the stage is sent, so that whoever watches the log sees it first. */
static void note_stages(struct rn_coordinator *coordinator, struct rn_coordinator_session *session,
                        const struct rn_sa_actions *actions)
{
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
        session->stage = action->stage;
        session->stage_ms = rn_coordinator_now(coordinator);
        if (action->stage <= RN_SA_STAGE_SUM) {
            session->reached = action->stage;
        }
        if (action->stage == RN_SA_STAGE_SHARES) {
            session->joined = action->expected;
        }
        if (session != &coordinator->session) {
            continue;
        }
        rn_log(RN_LOG_INFO, "stage.enter", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_NUMBER(RN_F_ATTEMPT, session->attempt),
               RN_LOG_TEXT(RN_F_STAGE, rn_job_stage_code(action->stage)),
               RN_LOG_NUMBER(RN_F_MEMBERS, rn_sa_set_count(&action->expected)));
        rn_coordinator_tell(coordinator, (struct rn_job_event){.kind = RN_JOB_STAGE,
                                                               .round = session->round,
                                                               .attempt = session->attempt,
                                                               .phase = rn_round_phase_name(
                                                                   session->layout.spec.active),
                                                               .stage = action->stage});
    }
}

static void log_blamed(const struct rn_coordinator *coordinator,
                       const struct rn_coordinator_session *session, const struct rn_sa_set *blamed)
{
    for (uint32_t i = rn_sa_set_next(blamed, 0); i < coordinator->peer_count;
         i = rn_sa_set_next(blamed, i + 1)) {
        rn_log(RN_LOG_ERROR, "alarm.blamed", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, i)));
    }
}

/* What a whole list of actions says about the session, told once the list is done. */
struct outcome {
    bool sum;
    bool finished;
    bool aborted;
    enum rn_sa_reason reason;
    bool certified;
};

static rn_result execute_one(struct rn_coordinator *coordinator,
                             struct rn_coordinator_session *session,
                             const struct rn_sa_action *action, struct outcome *outcome,
                             struct rn_error *err)
{
    switch (action->kind) {
    case RN_SA_PERSIST:
        return persist(coordinator, session, RN_JOURNAL_AGGREGATOR, action, err);
    case RN_SA_SEND:
        send_to(coordinator, action);
        break;
    case RN_SA_SEND_BULK:
        send_bulk_to(coordinator, session, action);
        break;
    case RN_SA_SUM:
        outcome->sum = true;
        /* The adapter stands in the journal before anybody gets the sum from here. */
        if (session == &coordinator->session && !session->summed) {
            session->summed = true;
            rn_coordinator_take_sum(coordinator);
        }
        break;
    case RN_SA_FINISHED:
        outcome->finished = true;
        log_blamed(coordinator, session, &action->blamed);
        break;
    case RN_SA_ABORTED:
        outcome->aborted = true;
        outcome->reason = action->reason;
        outcome->certified = action->certified;
        log_blamed(coordinator, session, &action->blamed);
        break;
    case RN_SA_EVIDENCE:
        rn_log(RN_LOG_ERROR, "alarm.evidence", RN_LOG_NUMBER(RN_F_ROUND, session->round));
        return persist(coordinator, session, RN_JOURNAL_EVIDENCE, action, err);
    default:
        break;
    }
    return rn_ok();
}

void rn_coordinator_execute(struct rn_coordinator *coordinator,
                            struct rn_coordinator_session *session, struct rn_sa_actions *actions)
{
    struct rn_error err = {0};
    const bool current = session == &coordinator->session;
    struct outcome outcome = {0};
    note_stages(coordinator, session, actions);
    for (size_t i = 0; i < actions->count && !coordinator->stopped; i++) {
        const rn_result result =
            execute_one(coordinator, session, &actions->items[i], &outcome, &err);
        if (!rn_is_ok(result)) {
            /* What could not be made durable must not be acted on: stop here, like a crash. */
            rn_coordinator_end(coordinator, result, &err);
        }
    }
    rn_sa_actions_clear(actions);
    if (!current || coordinator->stopped || session->over) {
        return;
    }
    if (outcome.finished) {
        session->over = true;
        rn_coordinator_finished(coordinator);
    } else if (outcome.aborted) {
        session->over = true;
        rn_coordinator_aborted(coordinator, session->reached, outcome.reason, outcome.certified);
    }
}

/* ---- Bulk */

static rn_result pull_chunk(void *context, uint32_t chunk, struct rn_buffer *out,
                            struct rn_error *err)
{
    const struct rn_coordinator_session *session = context;
    return rn_sa_aggregator_chunk(session->machine, chunk, out, err);
}

void rn_coordinator_bulk_pump(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer)
{
    if (peer->bulk.left == 0 || peer->bulk_stream == NULL) {
        return;
    }
    struct rn_coordinator_session *session =
        rn_coordinator_session_find(coordinator, peer->bulk.session);
    struct rn_error err = {0};
    if (session == NULL) {
        rn_stream_bulk_clear(&peer->bulk);
        return;
    }
    const rn_result result = rn_stream_bulk_pump(&peer->bulk, peer->bulk_stream, RN_WIRE_SUM,
                                                 peer->index, pull_chunk, session, &err);
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_ERROR, "sum.unreadable", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
        rn_stream_bulk_clear(&peer->bulk);
    }
}

/* ---- Messages and time */

void rn_coordinator_secagg(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer,
                           struct rn_view message)
{
    uint8_t id[RN_HASH_BYTES];
    struct rn_coordinator_session *session =
        rn_sa_message_session(message, id) ? rn_coordinator_session_find(coordinator, id) : NULL;
    if (session == NULL) {
        return; /* late, of a session that nobody needs any more */
    }
    struct rn_sa_actions actions = {0};
    struct rn_error err = {0};
    peer->progress_ms = rn_clock_monotonic_ms();
    const rn_result result = rn_sa_aggregator_receive(
        session->machine, peer->index, message, rn_coordinator_now(coordinator), &actions, &err);
    rn_log(RN_LOG_DEBUG, "message.taken", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, peer->index)),
           RN_LOG_NUMBER(RN_F_BYTES, message.length));
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_WARN, "message.refused", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, peer->index)),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
    }
    rn_coordinator_execute(coordinator, session, &actions);
}

void rn_coordinator_session_tick(struct rn_coordinator *coordinator)
{
    struct rn_coordinator_session *session = &coordinator->session;
    if (session->machine == NULL) {
        return;
    }
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_tick(session->machine, rn_coordinator_now(coordinator), &actions);
    rn_coordinator_execute(coordinator, session, &actions);
}

/* ---- Start */

static rn_result machine_config(struct rn_coordinator *coordinator, uint32_t round,
                                uint32_t attempt, const uint8_t before[static 32],
                                struct rn_sa_aggregator_config *out, struct rn_error *err)
{
    *out = (struct rn_sa_aggregator_config){.identity = coordinator->site->identity};
    return rn_site_model_context(coordinator->model, round, attempt, before, &out->params,
                                 &out->context, err);
}

static rn_result fill(struct rn_coordinator *coordinator, uint32_t round, uint32_t attempt,
                      const uint8_t before[static 32], const struct rn_sa_aggregator_config *config,
                      struct rn_coordinator_session *session, struct rn_error *err)
{
    session->round = round;
    session->attempt = attempt;
    session->params = config->params;
    session->began_ms = rn_clock_monotonic_ms();
    memcpy(session->before, before, sizeof(session->before));
    rn_sa_aggregator_session(session->machine, session->id);
    return rn_site_model_layout(coordinator->model, round, &session->layout, err);
}

/* The number is used up before anybody hears of it. */
static rn_result journal_attempt(struct rn_coordinator *coordinator,
                                 const struct rn_coordinator_session *session, struct rn_error *err)
{
    struct rn_journal_key key = {
        .kind = RN_JOURNAL_ATTEMPT, .round = session->round, .attempt = session->attempt};
    memcpy(key.session, session->id, sizeof(key.session));
    return rn_journal_append(coordinator->journal, &key, rn_view_of(session->before, 32), err);
}

static void begin_round(struct rn_coordinator *coordinator)
{
    const struct rn_coordinator_session *session = &coordinator->session;
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        struct rn_coordinator_peer *peer = &coordinator->peers[i];
        peer->progress_ms = session->began_ms;
        peer->progress_done = 0;
        if (session->attempt == 1) {
            peer->received_at_start = rn_coordinator_received(peer);
        }
    }
    rn_log(RN_LOG_INFO, "round.begin", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, session->attempt),
           RN_LOG_TEXT(RN_F_PHASE, rn_round_phase_name(session->layout.spec.active)),
           RN_LOG_NUMBER(RN_F_MEMBERS, rn_coordinator_present(coordinator)));
}

rn_result rn_coordinator_session_start(struct rn_coordinator *coordinator, struct rn_error *err)
{
    struct rn_coordinator_session *session = &coordinator->session;
    struct rn_sa_aggregator_config config;
    const uint8_t *before = coordinator->model->adapter_hash;
    rn_coordinator_past_keep(coordinator);
    coordinator->attempt++;
    RN_TRY(machine_config(coordinator, coordinator->round, coordinator->attempt, before, &config,
                          err));
    RN_TRY(rn_random_bytes(config.nonce, sizeof(config.nonce), err));
    RN_TRY(rn_sa_aggregator_new(&config, &session->machine, err));
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_start(session->machine, rn_coordinator_now(coordinator), &actions);
    rn_result result =
        fill(coordinator, coordinator->round, coordinator->attempt, before, &config, session, err);
    if (rn_is_ok(result)) {
        result = journal_attempt(coordinator, session, err);
    }
    if (rn_is_ok(result)) {
        begin_round(coordinator);
        rn_coordinator_execute(coordinator, session, &actions);
    }
    rn_sa_actions_clear(&actions);
    return result;
}

rn_result rn_coordinator_session_load(struct rn_coordinator *coordinator, uint32_t round,
                                      uint32_t attempt, const uint8_t id[static 32],
                                      const uint8_t before[static 32],
                                      struct rn_coordinator_session *session,
                                      struct rn_sa_actions *out_actions, struct rn_error *err)
{
    struct rn_sa_aggregator_config config;
    struct rn_job_records records;
    struct rn_sa_actions actions = {0};
    RN_TRY(machine_config(coordinator, round, attempt, before, &config, err));
    RN_TRY(rn_job_records_load(coordinator->journal, RN_JOURNAL_AGGREGATOR, id, &records, err));
    rn_result result = rn_ok();
    if (records.count == 0) {
        result = rn_fail(err, RN_E_NO_INPUT, "round %u, attempt %u left no records",
                         (unsigned)round, (unsigned)attempt);
    } else {
        result = rn_sa_aggregator_resume(&config, records.views, records.count,
                                         rn_coordinator_now(coordinator), &actions,
                                         &session->machine, err);
    }
    rn_job_records_clear(&records);
    if (rn_is_ok(result)) {
        result = fill(coordinator, round, attempt, before, &config, session, err);
    }
    if (rn_is_ok(result) && out_actions != NULL) {
        *out_actions = actions;
    } else {
        rn_sa_actions_clear(&actions);
    }
    return result;
}
