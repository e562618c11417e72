/* SPDX-License-Identifier: Apache-2.0
 *
 * Members that were away. A member that is behind follows every summed round it missed from the
 * session's own transcript, in order, and checks it as if it had been there; one that sent an
 * update into an attempt that was called off gets the abort certificate, without which it must not
 * encode that update again (crypto/secagg/PROTOCOL.md, A9).
 *
 * Earlier sessions lie in a few places. A place belongs to the members that use it until they are
 * past its round, gone, or idle; whoever finds none free waits for its turn.
 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/coordinationstate.h"

/* A member that says it is behind is heard this often. */
#define HELP_MS 1000u

enum turn {
    TURN_NOW,
    TURN_LATER,
    TURN_FAILED, /* its records cannot be read at the moment */
    TURN_NEVER,
};

static bool is_behind(const struct rn_coordination *c, const struct rn_coord_peer *peer)
{
    return !peer->stranded && rn_coord_index_find(c, peer->next_round) != NULL;
}

bool rn_coord_somebody_behind(const struct rn_coordination *c)
{
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct rn_coord_peer *peer = &c->peers[i];
        const bool here =
            peer->connection != 0 || c->clock_ms - peer->since_ms < RN_COORD_ABSENT_MS;
        if (here && is_behind(c, peer)) {
            return true;
        }
    }
    return false;
}

/* ---- Places */

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void release(const struct rn_coordination *c, struct rn_coord_place *place)
{
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct rn_coord_peer *peer = &c->peers[i];
        const uint64_t last = later(place->used_ms, later(peer->advance_ms, peer->progress_ms));
        if (peer->connection == 0 || peer->stranded || peer->next_round > place->session.round ||
            c->clock_ms - last >= RN_COORD_IDLE_MS ||
            c->clock_ms - place->since_ms >= RN_COORD_TURN_MS) {
            rn_sa_set_remove(&place->users, i);
        }
    }
}

/* The one that was used longest ago among those that nobody uses; emptied. */
static struct rn_coord_place *free_place(struct rn_coordination *c)
{
    struct rn_coord_place *best = NULL;
    for (size_t i = 0; i < RN_COORD_PLACES; i++) {
        struct rn_coord_place *place = &c->places[i];
        release(c, place);
        if (rn_sa_set_empty(&place->users) && (best == NULL || place->used_ms < best->used_ms)) {
            best = place;
        }
    }
    if (best != NULL) {
        rn_coord_session_clear(&best->session);
        *best = (struct rn_coord_place){.used_ms = c->clock_ms};
    }
    return best;
}

/* One place a member: whoever names another round in every message has no more than others. */
static void use_place(struct rn_coordination *c, struct rn_coord_place *place, uint32_t index)
{
    for (size_t i = 0; i < RN_COORD_PLACES; i++) {
        if (&c->places[i] != place) {
            rn_sa_set_remove(&c->places[i].users, index);
        }
    }
    if (rn_sa_set_empty(&place->users)) {
        place->since_ms = c->clock_ms;
    }
    rn_sa_set_add(&place->users, index);
}

static struct rn_coord_place *place_of(struct rn_coordination *c, const uint8_t *id)
{
    for (size_t i = 0; i < RN_COORD_PLACES; i++) {
        struct rn_coord_session *session = &c->places[i].session;
        if (session->machine != NULL && memcmp(session->id, id, RN_HASH_BYTES) == 0) {
            return &c->places[i];
        }
    }
    return NULL;
}

void rn_coord_keep(struct rn_coordination *c)
{
    struct rn_coord_session *session = &c->session;
    struct rn_coord_place *place = session->machine == NULL ? NULL : free_place(c);
    if (place == NULL) {
        rn_coord_session_clear(session); /* its records are kept */
        return;
    }
    place->session = *session;
    *session = (struct rn_coord_session){0};
    for (uint32_t i = 0; i < c->peer_count; i++) {
        const struct rn_coord_peer *peer = &c->peers[i];
        if (place->session.summed && peer->connection != 0 &&
            peer->next_round == place->session.round) {
            use_place(c, place, i);
        }
    }
}

/* A disk that is held or fails at this moment says nothing about the records on it. */
static bool may_pass(rn_result result)
{
    return result.code == RN_E_BUSY || result.code == RN_E_IO || result.code == RN_E_MEMORY ||
           result.code == RN_E_SYSTEM || result.code == RN_E_UNAVAILABLE;
}

/* The earlier session in memory, from its records if need be. */
static enum turn take_place(struct rn_coordination *c, const struct rn_coord_round *key,
                            struct rn_coord_place **out)
{
    struct rn_error err = {0};
    *out = place_of(c, key->session);
    if (*out != NULL) {
        return TURN_NOW;
    }
    struct rn_coord_place *place = free_place(c);
    if (place == NULL) {
        return TURN_LATER;
    }
    const rn_result result = rn_coord_session_load(c, key, &place->session, NULL, &err);
    if (rn_is_ok(result)) {
        *out = place;
        return TURN_NOW;
    }
    rn_coord_session_clear(&place->session);
    if (result.code == RN_E_NO_INPUT) {
        return TURN_NEVER;
    }
    rn_effects_event_err(c->out,
                         (struct rn_job_event){.kind = RN_JOB_CATCHUP_FAILED,
                                               .round = key->round,
                                               .attempt = key->attempt},
                         &err);
    return may_pass(result) ? TURN_FAILED : TURN_NEVER;
}

/* ---- Help */

static void resend(struct rn_coordination *c, struct rn_coord_session *session, uint32_t peer)
{
    struct rn_sa_actions actions = {0};
    rn_sa_aggregator_resend(session->machine, peer, &actions);
    (void)rn_coord_execute(c, session, &actions); /* what is said again ends nothing */
}

/* Attempts from the adapter as it stands that were called off; the newest few: a member repeats
 * only its own last one. */
struct attempts {
    uint32_t from;
    uint32_t round;
    uint32_t below;
    uint32_t count;
    struct rn_coord_round keys[RN_COORD_PLACES];
};

static rn_result visit_attempt(void *argument, const struct rn_record_key *key, struct rn_view body,
                               struct rn_error *err)
{
    struct attempts *attempts = argument;
    (void)err;
    const bool open = key->round >= attempts->from &&
                      (key->round < attempts->round || key->attempt < attempts->below);
    if (open && body.length == RN_HASH_BYTES) {
        struct rn_coord_round *item = &attempts->keys[attempts->count++ % RN_COORD_PLACES];
        *item = (struct rn_coord_round){.round = key->round, .attempt = key->attempt};
        memcpy(item->session, key->session, RN_HASH_BYTES);
        memcpy(item->before, body.data, RN_HASH_BYTES);
    }
    return rn_ok();
}

static void resend_aborts(struct rn_coordination *c, uint32_t peer)
{
    struct attempts attempts = {
        .from = rn_coord_open_from(c), .round = c->round, .below = c->attempt};
    const struct rn_job_reader *reader = &c->basis->reader;
    const bool none = c->attempt < 2 && c->row.rounds == 0;
    if (none || !rn_is_ok(reader->scan(reader->context, RN_RECORD_ATTEMPT, NULL, visit_attempt,
                                       &attempts, NULL))) {
        return;
    }
    const uint32_t count = attempts.count < RN_COORD_PLACES ? attempts.count : RN_COORD_PLACES;
    for (uint32_t i = 0; i < count; i++) {
        struct rn_coord_place *place = NULL;
        if (take_place(c, &attempts.keys[i], &place) == TURN_NOW &&
            rn_sa_aggregator_stage(place->session.machine) >= RN_SA_STAGE_ABORTING) {
            resend(c, &place->session, peer);
        }
    }
}

/* What it misses was given up when every member had a receipt, this one too: its state is older
 * than what it signed for. Nobody waits for it any more. */
static void strand(struct rn_coordination *c, uint32_t index)
{
    struct rn_coord_peer *peer = &c->peers[index];
    struct rn_error err = {0};
    (void)rn_text_format(
        err.text, sizeof(err.text),
        "it needs round %u, which is not kept any more: its state was lost or is an "
        "old copy, or it was away for longer than limits.kept_sums allows. The "
        "others go on without it; it takes part again in the next plan "
        "(`rondo plan propose`)",
        (unsigned)peer->next_round);
    peer->stranded = true;
    peer->why = RN_E_ROUND_STALE;
    rn_effects_event_err(c->out,
                         (struct rn_job_event){.kind = RN_JOB_MEMBER_STRANDED,
                                               .peer = index + 1,
                                               .value = peer->next_round},
                         &err);
    const struct rn_wire_envelope closing = {.body = RN_WIRE_CLOSING,
                                             .as.closing = {.reason = RN_E_ROUND_STALE}};
    rn_effects_send(c->out, peer->connection, &closing);
    rn_effects_close(c->out, peer->connection, rn_ok());
}

static enum turn help_behind(struct rn_coordination *c, uint32_t index,
                             const struct rn_coord_round *missed)
{
    struct rn_coord_place *place = NULL;
    if (c->session.machine != NULL && memcmp(c->session.id, missed->session, RN_HASH_BYTES) == 0) {
        rn_coord_welcome(c, index);
        resend(c, &c->session, index);
        return TURN_NOW;
    }
    const enum turn turn = take_place(c, missed, &place);
    if (turn == TURN_NOW) {
        use_place(c, place, index);
        place->used_ms = c->clock_ms;
        rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_MEMBER_BEHIND,
                                                       .peer = index + 1,
                                                       .value = c->peers[index].next_round});
        rn_coord_welcome(c, index);
        resend(c, &place->session, index);
    } else if (turn == TURN_NEVER) {
        strand(c, index);
    }
    return turn;
}

static const struct rn_budget_rate help_rate = {RN_COORD_HELP_BURST, RN_COORD_HELP_EVERY_MS};

static void help(struct rn_coordination *c, uint32_t index)
{
    struct rn_coord_peer *peer = &c->peers[index];
    if (!rn_budget_take(&peer->help, &help_rate, c->clock_ms)) {
        return; /* in its turn */
    }
    const struct rn_coord_round *missed = rn_coord_index_find(c, peer->next_round);
    enum turn turn = TURN_NOW;
    if (missed != NULL) {
        turn = help_behind(c, index, missed);
        if (turn == TURN_LATER) { /* every place is taken: looked for again, not at every step */
            peer->helped = true;
            peer->helped_ms = c->clock_ms;
            return;
        }
    } else {
        rn_coord_welcome(c, index);
        resend_aborts(c, index);
        if (c->session.machine != NULL) {
            resend(c, &c->session, index);
        }
    }
    peer->wants_help = turn == TURN_FAILED; /* once more, not at once */
    peer->helped = true;
    peer->helped_ms = c->clock_ms;
}

/* One that is offered nothing would not hear that there is a sum: it is told once of each. */
static void tell_left_out(struct rn_coordination *c, uint32_t index)
{
    struct rn_coord_peer *peer = &c->peers[index];
    const struct rn_coord_round *missed = rn_coord_index_find(c, peer->next_round);
    if (peer->known && missed != NULL && missed->round != peer->told_round) {
        peer->told_round = missed->round;
        peer->wants_help = true;
    }
}

/* Help reads records: a member that asks without end does not get it without end. */
void rn_coord_help_all(struct rn_coordination *c)
{
    const struct rn_sa_set left_out = rn_coord_left_out(c);
    for (uint32_t i = 0; i < c->peer_count; i++) {
        struct rn_coord_peer *peer = &c->peers[i];
        if (rn_sa_set_has(&left_out, i)) {
            tell_left_out(c, i);
        }
        const bool soon = peer->helped && c->clock_ms - peer->helped_ms < HELP_MS;
        if (peer->wants_help && !soon && peer->connection != 0) {
            help(c, i);
        }
    }
}

/* The session's chunks are on their way to somebody. */
rn_result rn_coordination_chunk(struct rn_coordination *c,
                                const uint8_t session[static RN_HASH_BYTES], uint32_t chunk,
                                struct rn_buffer *out, struct rn_error *err)
{
    struct rn_coord_session *found = rn_coord_session_find(c, session);
    RN_ENSURE(found != NULL, err, RN_E_USAGE, "the session is not held any more");
    struct rn_coord_place *place = place_of(c, session);
    c->pulled_ms = c->clock_ms;
    if (place != NULL) {
        place->used_ms = c->clock_ms;
    }
    return rn_sa_aggregator_chunk(found->machine, chunk, out, err);
}
