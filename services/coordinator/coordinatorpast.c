/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that were away. A member that is behind follows every summed round it missed from the
 * session's own transcript, in order, and checks it as if it had been there; one that sent an
 * update into an attempt that was called off gets the abort certificate, without which it must not
 * encode that update again (PROTOCOL.md, A9).
 */
#include <string.h>

#include "base/guard.h"
#include "base/log.h"
#include "services/coordinator/coordinatorstate.h"

static struct rn_coordinator_session *free_place(struct rn_coordinator *coordinator)
{
    struct rn_coordinator_session *place =
        &coordinator->past[coordinator->past_next++ % RN_COORDINATOR_PAST_MAX];
    rn_coordinator_session_clear(place);
    return place;
}

void rn_coordinator_past_keep(struct rn_coordinator *coordinator)
{
    struct rn_coordinator_session *session = &coordinator->session;
    if (session->machine != NULL) {
        *free_place(coordinator) = *session;
        *session = (struct rn_coordinator_session){0};
    }
}

static struct rn_coordinator_session *load_past(struct rn_coordinator *coordinator, uint32_t round,
                                                uint32_t attempt, const uint8_t id[static 32],
                                                const uint8_t before[static 32])
{
    struct rn_coordinator_session *session = rn_coordinator_session_find(coordinator, id);
    if (session != NULL) {
        return session;
    }
    struct rn_error err = {0};
    session = free_place(coordinator);
    const rn_result result =
        rn_coordinator_session_load(coordinator, round, attempt, id, before, session, NULL, &err);
    if (rn_is_ok(result)) {
        return session;
    }
    rn_coordinator_session_clear(session);
    rn_log(RN_LOG_WARN, "round.unavailable", RN_LOG_NUMBER(RN_F_ROUND, round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, attempt), RN_LOG_TEXT(RN_F_DETAIL, err.text));
    return NULL;
}

static void resend(struct rn_coordinator *coordinator, struct rn_coordinator_session *session,
                   const struct rn_coordinator_peer *peer)
{
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_resend(session->machine, peer->index, &actions);
    rn_coordinator_execute(coordinator, session, &actions);
}

/* The first summed round from `from` on. */
struct search {
    uint32_t from;
    bool found;
    struct rn_job_result result;
};

static rn_result visit_result(void *argument, const struct rn_journal_key *key, struct rn_view body,
                              struct rn_error *err)
{
    struct search *search = argument;
    if (search->found || key->round < search->from) {
        return rn_ok();
    }
    RN_TRY(rn_job_result_read(body, &search->result, err));
    search->found = search->result.outcome == RN_OK;
    return rn_ok();
}

/* Attempts of the current round that were called off: their certificates. */
struct attempts {
    uint32_t round;
    uint32_t below;
    uint32_t count;
    struct {
        struct rn_journal_key key;
        uint8_t before[RN_HASH_BYTES];
    } items[RN_COORDINATOR_PAST_MAX];
};

static rn_result visit_attempt(void *argument, const struct rn_journal_key *key,
                               struct rn_view body, struct rn_error *err)
{
    struct attempts *attempts = argument;
    (void)err;
    if (key->round == attempts->round && key->attempt < attempts->below &&
        body.length == RN_HASH_BYTES) {
        /* The newest few: a member repeats only its own last one. */
        const uint32_t place = attempts->count++ % RN_COORDINATOR_PAST_MAX;
        attempts->items[place].key = *key;
        memcpy(attempts->items[place].before, body.data, RN_HASH_BYTES);
    }
    return rn_ok();
}

static void resend_aborts(struct rn_coordinator *coordinator,
                          const struct rn_coordinator_peer *peer)
{
    struct attempts attempts = {.round = coordinator->round, .below = coordinator->attempt};
    struct rn_error err = {0};
    const rn_result result = rn_journal_scan(coordinator->journal, RN_JOURNAL_ATTEMPT, NULL,
                                             visit_attempt, &attempts, &err);
    if (!rn_is_ok(result)) {
        rn_coordinator_end(coordinator, result, &err);
        return;
    }
    const uint32_t count =
        attempts.count < RN_COORDINATOR_PAST_MAX ? attempts.count : RN_COORDINATOR_PAST_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct rn_journal_key *key = &attempts.items[i].key;
        struct rn_coordinator_session *session = load_past(coordinator, key->round, key->attempt,
                                                           key->session, attempts.items[i].before);
        if (session != NULL && rn_sa_aggregator_stage(session->machine) >= RN_SA_STAGE_ABORTING) {
            resend(coordinator, session, peer);
        }
    }
}

void rn_coordinator_help(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer)
{
    struct search search = {.from = peer->next_round};
    struct rn_error err = {0};
    if (peer->session_stream == NULL) {
        return;
    }
    rn_coordinator_welcome(coordinator, peer);
    const rn_result result =
        rn_journal_scan(coordinator->journal, RN_JOURNAL_RESULT, NULL, visit_result, &search, &err);
    if (!rn_is_ok(result)) {
        rn_coordinator_end(coordinator, result, &err);
        return;
    }
    if (search.found) {
        const struct rn_job_result *missed = &search.result;
        struct rn_coordinator_session *session =
            load_past(coordinator, missed->round, missed->attempt, missed->session, missed->before);
        if (session != NULL) {
            resend(coordinator, session, peer);
            return;
        }
    }
    resend_aborts(coordinator, peer);
    if (coordinator->session.machine != NULL) {
        resend(coordinator, &coordinator->session, peer);
    }
}
