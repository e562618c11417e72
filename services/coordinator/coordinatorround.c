/* SPDX-License-Identifier: Apache-2.0
 *
 * Which round and attempt comes next. A round ends with a sum, or it is repeated under the rule A9
 * (PROTOCOL.md): at once where no update of it can have been sent or every sent one is covered by
 * an abort certificate, never otherwise. RoLoRA then goes on with the other matrix; the other
 * methods have no other matrix and the job ends, and so it does with a federated head, which is
 * part of every round.
 */
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/coordinator/coordinatorstate.h"

/* A member away this long is not waited for; long enough for a restart of its process. */
#define ABSENT_MS 10000
/* A connected member that trains without finishing a step in this time counts as away. */
#define STALL_MS 180000
#define WAITING_LINE_MS 30000
/* At the end: time for members that are behind to fetch what they miss. */
#define LINGER_MS 20000

static void set_phase(struct rn_coordinator *coordinator, enum rn_coordinator_phase phase)
{
    coordinator->phase = phase;
    coordinator->phase_since_ms = rn_clock_monotonic_ms();
    coordinator->told_ms = coordinator->phase_since_ms;
}

static void end_rounds(struct rn_coordinator *coordinator, rn_result result,
                       const struct rn_error *err)
{
    if (!rn_is_ok(result) && rn_is_ok(coordinator->result)) {
        coordinator->result = result;
        coordinator->err = *err;
        rn_log(RN_LOG_ERROR, "job.incomplete", RN_LOG_NUMBER(RN_F_ROUND, coordinator->round),
               RN_LOG_TEXT(RN_F_DETAIL, err->text));
    }
    set_phase(coordinator, RN_COORDINATOR_LINGER);
    rn_coordinator_publish(coordinator, coordinator->round - 1, true);
}

void rn_coordinator_gather(struct rn_coordinator *coordinator)
{
    if (coordinator->draining) {
        rn_coordinator_end(coordinator, rn_ok(), NULL);
        return;
    }
    if (coordinator->round > coordinator->site->plan.rounds) {
        struct rn_error none = {0};
        end_rounds(coordinator, rn_ok(), &none);
        return;
    }
    set_phase(coordinator, RN_COORDINATOR_GATHER);
}

static bool is_absent(const struct rn_coordinator_peer *peer, uint64_t now, uint64_t patience)
{
    return peer->session_stream == NULL && now - peer->absent_since_ms >= patience;
}

/* Everybody is here, or enough are and the rest had time to come. */
static bool may_start(const struct rn_coordinator *coordinator)
{
    const uint64_t now = rn_clock_monotonic_ms();
    const uint64_t patience = coordinator->first_session
                                  ? coordinator->site->plan.secagg.stage_soft_s * UINT64_C(1000)
                                  : ABSENT_MS;
    uint32_t present = 0;
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        const struct rn_coordinator_peer *peer = &coordinator->peers[i];
        present += peer->session_stream != NULL;
        if (peer->session_stream == NULL && !is_absent(peer, now, patience)) {
            return false;
        }
    }
    struct rn_sa_params params = {.members = coordinator->peer_count,
                                  .colluding = coordinator->site->plan.secagg.colluding,
                                  .honest = coordinator->site->plan.secagg.honest};
    return present >= rn_sa_floor(&params, present, 0);
}

/* Fewer are here than a sum needs to hide one of them, and for as long as a round may last: the job
 * ends with the adapter it has. Before its first session a process waits without end, because sites
 * are started by hand; whoever starts the coordinator again goes on where this one stopped. */
static bool gave_up(struct rn_coordinator *coordinator, uint64_t now)
{
    const uint64_t limit_ms = coordinator->site->plan.secagg.train_hard_s * UINT64_C(1000);
    struct rn_error err = {0};
    if (coordinator->first_session || now - coordinator->phase_since_ms < limit_ms) {
        return false;
    }
    end_rounds(coordinator,
               rn_fail(&err, RN_E_INCOMPLETE,
                       "round %u: only %u of %u members are here, too few for a secure sum, and "
                       "nobody came in %u s; the adapter of the rounds before is kept. Start the "
                       "missing trainers, then the others and the coordinator again",
                       (unsigned)coordinator->round, (unsigned)rn_coordinator_present(coordinator),
                       (unsigned)coordinator->peer_count, (unsigned)(limit_ms / 1000)),
               &err);
    return true;
}

static void gather_tick(struct rn_coordinator *coordinator)
{
    const uint64_t now = rn_clock_monotonic_ms();
    struct rn_error err = {0};
    if (may_start(coordinator)) {
        set_phase(coordinator, RN_COORDINATOR_SESSION);
        coordinator->first_session = false;
        const rn_result result = rn_coordinator_session_start(coordinator, &err);
        if (!rn_is_ok(result)) {
            rn_coordinator_end(coordinator, result, &err);
        }
    } else if (!gave_up(coordinator, now) && now - coordinator->told_ms >= WAITING_LINE_MS) {
        coordinator->told_ms = now;
        rn_log(RN_LOG_INFO, "members.waiting",
               RN_LOG_NUMBER(RN_F_MEMBERS, rn_coordinator_present(coordinator)),
               RN_LOG_NUMBER(RN_F_LIMIT, coordinator->peer_count));
    }
}

static struct rn_sa_timeout timeout_of(const struct rn_coordinator_session *session)
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
        return params->vote;
    case RN_SA_STAGE_UNMASK:
        return params->unmask;
    case RN_SA_STAGE_SUM:
        return params->receipts;
    default:
        return (struct rn_sa_timeout){0, 0};
    }
}

/* When all that the stage still waits for are members that are away (or stuck, or only follow), its
 * soft time-out need not be sat through: the machine's clock jumps there. The machine's own rules
 * decide whether the stage may then advance. If it does not, and those members are here but only
 * follow, nothing can change any more before the hard time-out: the clock jumps there too. */
static void skip_waiting(struct rn_coordinator *coordinator)
{
    const struct rn_coordinator_session *session = &coordinator->session;
    const uint64_t now = rn_clock_monotonic_ms();
    const struct rn_sa_timeout timeout = timeout_of(session);
    bool only_followers = true;
    const struct rn_sa_set missing = rn_sa_set_minus(&session->expected, &session->arrived);
    if (session->machine == NULL || session->over || timeout.soft_ms == 0 ||
        rn_sa_set_empty(&missing)) {
        return;
    }
    for (uint32_t i = rn_sa_set_next(&missing, 0); i < coordinator->peer_count;
         i = rn_sa_set_next(&missing, i + 1)) {
        const struct rn_coordinator_peer *peer = &coordinator->peers[i];
        const bool stuck = session->stage == RN_SA_STAGE_READY && peer->session_stream != NULL &&
                           now - peer->progress_ms >= STALL_MS;
        /* A follower still sends its receipt. */
        const bool follows = peer->follows_round == session->round &&
                             peer->follows_attempt == session->attempt &&
                             session->stage != RN_SA_STAGE_SUM;
        if (!is_absent(peer, now, ABSENT_MS) && !stuck && !follows) {
            return;
        }
        only_followers = only_followers && follows && peer->session_stream != NULL;
    }
    const uint64_t machine_now = rn_coordinator_now(coordinator);
    const bool past_soft = machine_now >= session->stage_ms + timeout.soft_ms;
    const uint64_t until =
        session->stage_ms + (past_soft && only_followers ? timeout.hard_ms : timeout.soft_ms);
    if (machine_now < until) {
        rn_log(RN_LOG_INFO, "stage.not-waiting",
               RN_LOG_TEXT(RN_F_STAGE, rn_job_stage_code(session->stage)),
               RN_LOG_NUMBER(RN_F_MEMBERS, rn_sa_set_count(&missing)));
        coordinator->skew_ms += until - machine_now;
    }
}

/* A lost round leaves nothing to fetch, so nobody is behind for lack of it. */
static void linger_tick(struct rn_coordinator *coordinator)
{
    bool behind = false;
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        const struct rn_coordinator_peer *peer = &coordinator->peers[i];
        behind = behind || peer->bulk.left > 0 ||
                 (peer->session_stream != NULL &&
                  peer->next_round + coordinator->lost_in_row < coordinator->round);
    }
    const uint64_t waited = rn_clock_monotonic_ms() - coordinator->phase_since_ms;
    /* A coordinator that was started after the end is there for members that are behind. */
    const bool nobody_yet = coordinator->first_session && rn_coordinator_present(coordinator) == 0;
    if (rn_worker_pending(coordinator->worker) > 0 ||
        ((behind || nobody_yet) && waited < LINGER_MS)) {
        return;
    }
    rn_coordinator_end(coordinator, rn_ok(), NULL);
}

void rn_coordinator_round_tick(struct rn_coordinator *coordinator)
{
    switch (coordinator->phase) {
    case RN_COORDINATOR_GATHER:
        if (coordinator->draining) {
            rn_coordinator_end(coordinator, rn_ok(), NULL);
        } else {
            gather_tick(coordinator);
        }
        break;
    case RN_COORDINATOR_SESSION:
        skip_waiting(coordinator);
        rn_coordinator_session_tick(coordinator);
        break;
    case RN_COORDINATOR_LINGER:
        linger_tick(coordinator);
        break;
    case RN_COORDINATOR_ENDED:
        break;
    }
}

static void next_round(struct rn_coordinator *coordinator)
{
    coordinator->round++;
    coordinator->attempt = 0;
    rn_coordinator_gather(coordinator);
}

/* No sum, and none will come: the adapter stays, the next round has the other matrix. */
static void skip_round(struct rn_coordinator *coordinator, bool spent)
{
    const struct rn_coordinator_session *session = &coordinator->session;
    struct rn_job_result result = {.outcome = RN_E_ROUND_ABORTED,
                                   .round = session->round,
                                   .attempt = session->attempt,
                                   .active = session->layout.spec.active,
                                   .spent = spent,
                                   .loss = __builtin_nan(""),
                                   .milliseconds = rn_clock_monotonic_ms() - session->began_ms};
    struct rn_error err = {0};
    memcpy(result.session, session->id, RN_HASH_BYTES);
    memcpy(result.before, session->before, RN_HASH_BYTES);
    memcpy(result.after, session->before, RN_HASH_BYTES);
    const rn_result status = rn_coordinator_journal_result(coordinator, &result, &err);
    if (!rn_is_ok(status)) {
        rn_coordinator_end(coordinator, status, &err);
        return;
    }
    rn_coordinator_report(coordinator, &result);
    coordinator->lost_in_row++;
    /* Two in a row from one adapter: both its matrices are spent, so nobody could join again. */
    const bool head = spent && session->layout.spec.with_head;
    if (coordinator->site->plan.method != RN_METHOD_ROLORA || head ||
        coordinator->lost_in_row >= 2) {
        coordinator->round++;
        end_rounds(
            coordinator,
            rn_fail(&err, RN_E_INCOMPLETE,
                    "round %u was lost%s and %s; the adapter of the rounds before is kept",
                    (unsigned)result.round, spent ? " after updates were sent" : "",
                    head ? "the federated head, which is part of every round, may not be sent "
                           "again from the same start"
                         : "the plan has no other matrix to go on with"),
            &err);
        return;
    }
    next_round(coordinator);
}

/* Who arrived at this adapter has this round behind it; another one is an alarm. */
static void take_receipts(struct rn_coordinator *coordinator,
                          const struct rn_coordinator_session *session,
                          const uint8_t adapter_hash[static RN_HASH_BYTES])
{
    struct rn_sa_set agreeing;
    struct rn_sa_set differing;
    rn_sa_aggregator_receipts(session->machine, adapter_hash, &agreeing, &differing);
    for (uint32_t i = rn_sa_set_next(&differing, 0); i < coordinator->peer_count;
         i = rn_sa_set_next(&differing, i + 1)) {
        rn_log(RN_LOG_ERROR, "alarm.receipt-differs", RN_LOG_NUMBER(RN_F_ROUND, session->round),
               RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, i)));
    }
    for (uint32_t i = rn_sa_set_next(&agreeing, 0); i < coordinator->peer_count;
         i = rn_sa_set_next(&agreeing, i + 1)) {
        struct rn_coordinator_peer *peer = &coordinator->peers[i];
        peer->next_round =
            peer->next_round > session->round ? peer->next_round : session->round + 1;
    }
}

void rn_coordinator_finished(struct rn_coordinator *coordinator)
{
    struct rn_coordinator_session *session = &coordinator->session;
    if (session->refused) {
        skip_round(coordinator, true);
        return;
    }
    struct rn_job_result result;
    struct rn_error err = {0};
    bool found = false;
    const rn_result status =
        rn_job_result_latest(coordinator->journal, session->round, &result, &found, &err);
    if (!rn_is_ok(status) || !found) {
        rn_coordinator_end(coordinator,
                           rn_is_ok(status)
                               ? rn_fail(&err, RN_E_INTERNAL, "round %u ended without a result",
                                         (unsigned)session->round)
                               : status,
                           &err);
        return;
    }
    take_receipts(coordinator, session, result.after);
    coordinator->lost_in_row = 0;
    rn_coordinator_report(coordinator, &result);
    next_round(coordinator);
}

void rn_coordinator_aborted(struct rn_coordinator *coordinator, enum rn_sa_stage stage,
                            enum rn_sa_reason reason, bool certified)
{
    const struct rn_coordinator_session *session = &coordinator->session;
    const bool spent = !certified && stage >= RN_SA_STAGE_UPLOAD;
    rn_log(RN_LOG_WARN, "round.aborted", RN_LOG_NUMBER(RN_F_ROUND, session->round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, session->attempt),
           RN_LOG_TEXT(RN_F_STAGE, rn_job_stage_code(stage)),
           RN_LOG_TEXT(RN_F_REASON, rn_sa_reason_name(reason)),
           RN_LOG_TEXT(RN_F_DETAIL, spent ? "not repeatable" : "repeatable"));
    if (spent || coordinator->attempt >= coordinator->site->plan.secagg.attempts) {
        skip_round(coordinator, spent);
    } else {
        rn_coordinator_gather(coordinator);
    }
}

/* ---- Restart */

static rn_result visit_attempt(void *argument, const struct rn_journal_key *key,
                               struct rn_view body, struct rn_error *err)
{
    struct rn_journal_key *last = argument;
    (void)body;
    (void)err;
    *last = *key;
    return rn_ok();
}

rn_result rn_coordinator_resume(struct rn_coordinator *coordinator, struct rn_error *err)
{
    struct rn_journal_key last = {0};
    struct rn_job_result result = {0};
    bool found = false;
    RN_TRY(
        rn_journal_scan(coordinator->journal, RN_JOURNAL_ATTEMPT, NULL, visit_attempt, &last, err));
    RN_TRY(rn_job_result_latest(coordinator->journal, last.round, &result, &found, err));
    if (last.round + 1 == coordinator->round && found && result.outcome == RN_OK) {
        /* The sum was journalled: its session may still owe it to members. Round steps back. */
        coordinator->round = last.round;
    } else if (last.round != coordinator->round || last.round == 0) {
        return rn_ok(); /* between rounds */
    } else {
        memcpy(result.before, coordinator->model->adapter_hash, RN_HASH_BYTES);
    }
    coordinator->attempt = last.attempt;
    struct rn_coordinator_session *session = &coordinator->session;
    struct rn_sa_actions actions = {0};
    struct rn_error reason = {0};
    const rn_result loaded =
        rn_coordinator_session_load(coordinator, last.round, last.attempt, last.session,
                                    result.before, session, &actions, &reason);
    if (!rn_is_ok(loaded)) {
        rn_log(RN_LOG_WARN, "round.not-resumed", RN_LOG_NUMBER(RN_F_ROUND, last.round),
               RN_LOG_NUMBER(RN_F_ATTEMPT, last.attempt), RN_LOG_TEXT(RN_F_DETAIL, reason.text));
        rn_coordinator_session_clear(session);
        if (loaded.code == RN_E_NO_INPUT) {
            coordinator->attempt--; /* its offer was not journalled, so nobody has heard of it */
        }
        if (found && result.outcome == RN_OK) {
            next_round(coordinator);
        }
        return rn_ok();
    }
    rn_log(RN_LOG_INFO, "round.resumed", RN_LOG_NUMBER(RN_F_ROUND, last.round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, last.attempt),
           RN_LOG_TEXT(RN_F_STAGE, rn_job_stage_code(rn_sa_aggregator_stage(session->machine))));
    set_phase(coordinator, RN_COORDINATOR_SESSION);
    rn_coordinator_execute(coordinator, session, &actions);
    if (session->machine != NULL && !session->over &&
        rn_sa_aggregator_stage(session->machine) == RN_SA_STAGE_ABORTED) {
        /* Its journal ends with an abort certificate; nothing more will come from it. */
        session->over = true;
        rn_coordinator_aborted(coordinator, RN_SA_STAGE_UPLOAD, RN_SA_REASON_VOTE_QUORUM, true);
    }
    return rn_ok();
}
