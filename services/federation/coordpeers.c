/* SPDX-License-Identifier: Apache-2.0
 *
 * The members at the coordinator: greeting, what arrives, what they say of themselves.
 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/coordinationstate.h"

static const char *name_of(const struct rn_coordination *c, uint32_t peer)
{
    return c->basis->roster->members[peer].name;
}

static void tell_peer(struct rn_coordination *c, enum rn_job_event_kind kind, uint32_t peer,
                      enum rn_code outcome, const struct rn_error *err)
{
    const struct rn_job_event event = {.kind = kind,
                                       .peer = peer + 1,
                                       .round = c->peers[peer].next_round,
                                       .outcome = outcome,
                                       .present = rn_coord_present(c),
                                       .members = c->peer_count};
    if (err == NULL) {
        rn_effects_event(c->out, event);
    } else {
        rn_effects_event_err(c->out, event, err);
    }
}

static void tell_members(struct rn_coordination *c)
{
    rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_MEMBERS,
                                                   .round = c->round,
                                                   .present = rn_coord_present(c),
                                                   .members = c->peer_count});
}

void rn_coord_advance(struct rn_coordination *c, uint32_t index, uint32_t next_round)
{
    struct rn_coord_peer *peer = &c->peers[index];
    if (next_round > peer->next_round) {
        peer->advance_ms = c->clock_ms;
    }
    peer->known = true;
    peer->next_round = next_round;
    peer->furthest = next_round > peer->furthest ? next_round : peer->furthest;
}

/* ---- Greeting */

static void greet(struct rn_coordination *c, uint64_t connection)
{
    struct rn_wire_envelope envelope = {.body = RN_WIRE_HELLO};
    struct rn_wire_hello *hello = &envelope.as.hello;
    hello->protocol = RN_WIRE_PROTOCOL;
    (void)rn_text_format(hello->software, sizeof(hello->software), "rondo %s", RN_VERSION);
    hello->plan_hash.present = hello->roster_hash.present = hello->adapter_hash.present = true;
    memcpy(hello->plan_hash.bytes, c->basis->plan->hash, RN_HASH_BYTES);
    memcpy(hello->roster_hash.bytes, c->basis->plan->roster_hash, RN_HASH_BYTES);
    memcpy(hello->adapter_hash.bytes, rn_coord_adapter_hash(c), RN_HASH_BYTES);
    hello->next_round = c->round;
    memcpy(hello->incarnation, c->incarnation, sizeof(hello->incarnation));
    rn_effects_send(c->out, connection, &envelope);
}

static const struct rn_budget_rate stream_rate = {RN_COORD_STREAMS_BURST,
                                                  RN_COORD_STREAMS_EVERY_MS};
static const struct rn_budget_rate message_rate = {RN_COORD_MESSAGES_BURST,
                                                   RN_COORD_MESSAGES_EVERY_MS};

/* A place for one more that has not greeted; the oldest one's when there is none. */
static struct rn_coord_ungreeted *ungreeted_place(struct rn_coordination *c,
                                                  struct rn_coord_peer *peer)
{
    struct rn_coord_ungreeted *oldest = &peer->ungreeted[0];
    for (size_t i = 0; i < RN_COORD_UNGREETED_MAX; i++) {
        struct rn_coord_ungreeted *item = &peer->ungreeted[i];
        if (item->connection == 0) {
            return item;
        }
        oldest = item->since_ms < oldest->since_ms ? item : oldest;
    }
    rn_effects_close(c->out, oldest->connection, (rn_result){RN_E_PEER_LIMIT});
    return oldest;
}

/* The stream has greeted, or is gone. */
static void forget_ungreeted(struct rn_coord_peer *peer, uint64_t connection)
{
    for (size_t i = 0; i < RN_COORD_UNGREETED_MAX; i++) {
        if (peer->ungreeted[i].connection == connection) {
            peer->ungreeted[i] = (struct rn_coord_ungreeted){0};
        }
    }
}

void rn_coord_opened(struct rn_coordination *c, const struct rn_input *input)
{
    struct rn_coord_peer *peer = &c->peers[input->peer];
    if (!rn_budget_take(&peer->streams, &stream_rate, c->clock_ms)) {
        rn_effects_close(c->out, input->connection, (rn_result){RN_E_PEER_LIMIT});
        return;
    }
    *ungreeted_place(c, peer) = (struct rn_coord_ungreeted){input->connection, c->clock_ms};
    greet(c, input->connection);
}

void rn_coord_hush(struct rn_coordination *c)
{
    for (uint32_t i = 0; i < c->peer_count; i++) {
        for (size_t k = 0; k < RN_COORD_UNGREETED_MAX; k++) {
            struct rn_coord_ungreeted *item = &c->peers[i].ungreeted[k];
            if (item->connection != 0 && c->clock_ms - item->since_ms >= RN_COORD_GREET_MS) {
                rn_effects_close(c->out, item->connection, (rn_result){RN_E_TIMEOUT});
                *item = (struct rn_coord_ungreeted){0};
            }
        }
    }
}

void rn_coord_welcome(struct rn_coordination *c, uint32_t index)
{
    const struct rn_coord_session *session = &c->session;
    const bool running = c->phase == RN_COORDINATION_SESSION && session->machine != NULL;
    struct rn_wire_envelope envelope = {
        .body = RN_WIRE_WELCOME,
        .as.welcome = {.round = c->round,
                       .attempt = c->attempt,
                       .members = rn_coord_present(c),
                       .joined_late = running && session->stage > RN_SA_STAGE_READY &&
                                      (session->reached == RN_SA_STAGE_SUM ||
                                       !rn_sa_set_has(&session->joined, index))}};
    envelope.as.welcome.summed = c->round_count > 0 ? c->rounds[c->round_count - 1].round : 0;
    envelope.as.welcome.adapter_hash.present = true;
    memcpy(envelope.as.welcome.adapter_hash.bytes, rn_coord_adapter_hash(c), RN_HASH_BYTES);
    rn_effects_send(c->out, c->peers[index].connection, &envelope);
}

static rn_result check_hello(const struct rn_coordination *c, uint32_t index,
                             const struct rn_wire_hello *hello, struct rn_error *err)
{
    const struct rn_coord_peer *peer = &c->peers[index];
    RN_TRY(rn_wire_hello_check(hello, err));
    RN_ENSURE(strcmp(hello->name, name_of(c, index)) == 0, err, RN_E_PEER_AUTH,
              "the name in the greeting is not the certificate's");
    RN_ENSURE(memcmp(hello->plan_hash.bytes, c->basis->plan->hash, RN_HASH_BYTES) == 0, err,
              RN_E_CONFIG, "the member has another plan.yaml");
    RN_ENSURE(memcmp(hello->roster_hash.bytes, c->basis->plan->roster_hash, RN_HASH_BYTES) == 0,
              err, RN_E_CONFIG, "the member has another roster");
    RN_ENSURE(peer->connection == 0 ||
                  memcmp(peer->incarnation, hello->incarnation, sizeof(peer->incarnation)) == 0,
              err, RN_E_PEER_REPLAY, "another process with this identity is connected");
    return rn_ok();
}

static void refuse(struct rn_coordination *c, uint32_t index, uint64_t connection, rn_result result,
                   const struct rn_error *err)
{
    const struct rn_wire_envelope closing = {.body = RN_WIRE_CLOSING,
                                             .as.closing = {.reason = (uint32_t)result.code}};
    c->peers[index].why = result.code;
    tell_peer(c, RN_JOB_MEMBER_REFUSED, index, result.code, err);
    rn_effects_send(c->out, connection, &closing);
    rn_effects_close(c->out, connection, rn_ok());
}

/* A member gets a sum after the coordinator's record of it is durable: one that greets from beyond
 * lies, or has seen a coordinator with newer records than this one's. */
static bool is_ahead(const struct rn_coordination *c, uint64_t next_round)
{
    const struct rn_coord_session *session = &c->session;
    const bool summed = session->machine != NULL && session->summed && session->round == c->round;
    return next_round > c->round + UINT64_C(1) * summed;
}

static void accept(struct rn_coordination *c, uint32_t index, uint64_t connection,
                   const struct rn_wire_hello *hello)
{
    struct rn_coord_peer *peer = &c->peers[index];
    if (peer->connection != 0) {
        /* The same process came back before its old connection was found dead. */
        rn_effects_close(c->out, peer->connection, (rn_result){RN_E_PEER_REPLAY});
    }
    peer->connection = connection;
    memcpy(peer->incarnation, hello->incarnation, sizeof(peer->incarnation));
    peer->known = true;
    peer->stranded = false;
    peer->ahead = is_ahead(c, hello->next_round);
    peer->why = RN_OK;
    peer->next_round = hello->next_round > rn_plan_last_round(c->basis->plan) + UINT64_C(1)
                           ? rn_plan_last_round(c->basis->plan) + 1
                           : (uint32_t)hello->next_round;
    peer->furthest = peer->next_round;
    peer->since_ms = peer->advance_ms = peer->progress_ms = c->clock_ms;
    peer->wants_help = peer->wants_signatures = peer->wants_stop = true;
    peer->waits = peer->log_known = peer->log_sent = false;
    tell_peer(c, RN_JOB_MEMBER_JOINED, index, RN_OK, NULL);
    tell_members(c);
    rn_coord_signers_waits(c, index, hello->waits);
}

static void take_hello(struct rn_coordination *c, uint32_t index, uint64_t connection,
                       const struct rn_wire_hello *hello)
{
    struct rn_error err = {0};
    if (c->peers[index].connection == connection) {
        return;
    }
    forget_ungreeted(&c->peers[index], connection);
    const rn_result result = check_hello(c, index, hello, &err);
    if (rn_is_ok(result)) {
        accept(c, index, connection, hello);
    } else {
        refuse(c, index, connection, result, &err);
    }
}

void rn_coord_gone(struct rn_coordination *c, const struct rn_input *input)
{
    struct rn_coord_peer *peer = &c->peers[input->peer];
    forget_ungreeted(peer, input->connection);
    if (input->connection == 0 || peer->connection != input->connection) {
        return;
    }
    peer->connection = 0;
    peer->since_ms = c->clock_ms;
    tell_peer(c, RN_JOB_MEMBER_LOST, input->peer, input->code, NULL);
    tell_members(c);
}

/* ---- What it says of itself */

static void take_refusal(struct rn_coordination *c, uint32_t index,
                         const struct rn_wire_status *status)
{
    struct rn_coord_peer *peer = &c->peers[index];
    const bool known =
        peer->declined_round == status->round && peer->declined_attempt == status->attempt;
    peer->declined_round = (uint32_t)status->round;
    peer->declined_attempt = (uint32_t)status->attempt;
    peer->why = (enum rn_code)status->reason;
    if (!known) {
        rn_effects_event(c->out, (struct rn_job_event){.kind = RN_JOB_MEMBER_DECLINED,
                                                       .round = peer->declined_round,
                                                       .attempt = peer->declined_attempt,
                                                       .peer = index + 1,
                                                       .outcome = peer->why});
    }
}

/* The session under way began without it: no offer of it is repeated. */
static bool is_left_behind(const struct rn_coordination *c, uint32_t index)
{
    const struct rn_coord_session *session = &c->session;
    return session->machine != NULL && !session->over && session->stage > RN_SA_STAGE_READY &&
           !rn_sa_set_has(&session->joined, index);
}

static void take_status(struct rn_coordination *c, uint32_t index,
                        const struct rn_wire_status *status)
{
    struct rn_coord_peer *peer = &c->peers[index];
    const bool stale = status->reason == RN_E_ROUND_STALE;
    if (!stale && (status->beats != peer->beats || status->stage != RN_SA_STAGE_READY)) {
        peer->beats = status->beats;
        peer->progress_ms = c->clock_ms;
    }
    if (stale) {
        /* It would not ask otherwise; what was said while it waited went unheard. Now, and not in
         * the middle of the session that begins with it. */
        peer->helped = peer->helped && !peer->waits;
        rn_coord_signers_waits(c, index, false);
    }
    if (stale && status->round <= c->round) {
        rn_coord_advance(c, index, (uint32_t)status->round);
        peer->wants_help = true;
    } else if (status->stage == RN_SA_STAGE_FINISHED && status->round > peer->next_round &&
               status->round <= (uint64_t)rn_plan_last_round(c->basis->plan) + 1) {
        /* It got on: no need to go slow. One that was there before gets no help for it. */
        peer->helped = peer->helped && status->round <= peer->furthest;
        rn_coord_advance(c, index, (uint32_t)status->round);
        /* It lacks a sum, or was too late for the offer. */
        peer->wants_help = peer->next_round < c->round ||
                           (peer->next_round == c->round &&
                            (peer->receipted + 1 != c->round || is_left_behind(c, index)));
    } else if (status->reason == RN_E_ROUND_ABORTED) {
        peer->follows_round = (uint32_t)status->round;
        peer->follows_attempt = (uint32_t)status->attempt;
    } else if (status->reason != RN_OK) {
        take_refusal(c, index, status);
    }
}

static void refuse_message(struct rn_coordination *c, const struct rn_input *input,
                           rn_result result, const struct rn_error *err)
{
    tell_peer(c, RN_JOB_MESSAGE_REFUSED, input->peer, result.code, err);
    rn_effects_close(c->out, input->connection, result);
}

static void take_session_message(struct rn_coordination *c, const struct rn_input *input,
                                 struct rn_coord_outcome *out_outcome)
{
    struct rn_wire_envelope envelope;
    struct rn_error err = {0};
    struct rn_coord_peer *peer = &c->peers[input->peer];
    if (!rn_budget_take(&peer->messages, &message_rate, c->clock_ms)) {
        refuse_message(
            c, input, rn_fail(&err, RN_E_PEER_LIMIT, "more messages than a member may send"), &err);
        return;
    }
    const rn_result result = rn_wire_envelope_decode(input->bytes, &envelope, &err);
    if (!rn_is_ok(result)) {
        refuse_message(c, input, result, &err);
    } else if (envelope.body == RN_WIRE_HELLO) {
        take_hello(c, input->peer, input->connection, &envelope.as.hello);
    } else if (peer->connection != input->connection) {
        refuse_message(c, input,
                       rn_fail(&err, RN_E_PEER_PROTOCOL, "not greeted on this connection"), &err);
    } else if (envelope.body == RN_WIRE_STATUS) {
        take_status(c, input->peer, &envelope.as.status);
    } else if (envelope.body == RN_WIRE_SECAGG) {
        *out_outcome = rn_coord_session_receive(c, input->peer, envelope.as.secagg);
    } else if (envelope.body == RN_WIRE_SIGNATURES) {
        rn_coord_signers_hear(c, input->peer, envelope.as.signatures);
    } else if (envelope.body == RN_WIRE_LOG_REPORT) {
        rn_coord_log_hear(c, input->peer, envelope.as.log_report);
    } else if (envelope.body == RN_WIRE_STOP) {
        out_outcome->stopped = rn_coord_stop_hear(c, input->peer, envelope.as.stop);
    } else if (envelope.body == RN_WIRE_EPOCH) {
        rn_coord_epoch_hear(c, input->peer, envelope.as.epoch);
    } else if (envelope.body == RN_WIRE_CLOSING) {
        peer->why = (enum rn_code)envelope.as.closing.reason;
        tell_peer(c, RN_JOB_MEMBER_CLOSING, input->peer, peer->why, NULL);
    }
}

void rn_coord_message(struct rn_coordination *c, const struct rn_input *input,
                      struct rn_coord_outcome *out_outcome)
{
    c->peers[input->peer].received += input->bytes.length;
    if (input->kind == RN_INPUT_MESSAGE) {
        take_session_message(c, input, out_outcome);
        return;
    }
    struct rn_wire_chunk chunk;
    struct rn_error err = {0};
    const rn_result result = rn_wire_chunk_decode(input->bytes, &chunk, &err);
    if (rn_is_ok(result) && chunk.content == RN_WIRE_MASKED_INPUT) {
        *out_outcome = rn_coord_session_receive(c, input->peer, chunk.data);
    } else if (!rn_is_ok(result)) {
        tell_peer(c, RN_JOB_MESSAGE_REFUSED, input->peer, result.code, &err);
        rn_effects_close(c->out, c->peers[input->peer].connection, result);
    }
}
