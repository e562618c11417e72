/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/guard.h"
#include "services/federation/participationstate.h"

/* How long "this identity is connected already" may be an old connection of our own that the other
 * side has not noticed yet (keepalive), before it must be a second process. */
#define CLONE_MS 100000

/* ---- What goes out */

void rn_part_event(struct rn_participation *p, struct rn_job_event event)
{
    event.rounds = rn_plan_last_round(p->config.basis->plan);
    rn_effects_event(p->out, event);
}

void rn_part_event_err(struct rn_participation *p, struct rn_job_event event,
                       const struct rn_error *err)
{
    event.rounds = rn_plan_last_round(p->config.basis->plan);
    rn_effects_event_err(p->out, event, err);
}

static void send(struct rn_participation *p, const struct rn_wire_envelope *envelope)
{
    if (p->connection != 0) {
        rn_effects_send(p->out, p->connection, envelope);
        p->sent += p->out->items[p->out->count - 1].bytes.length;
    }
}

/* What is lost because nobody is connected is said again after the next welcome. */
void rn_part_send_secagg(struct rn_participation *p, struct rn_view message)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SECAGG, .as.secagg = message};
    if (p->greeted) {
        send(p, &envelope);
    }
}

void rn_part_send_status(struct rn_participation *p, const struct rn_wire_status *status)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_STATUS, .as.status = *status};
    if (p->greeted) {
        send(p, &envelope);
    }
}

void rn_part_send_signatures(struct rn_participation *p, struct rn_view text)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_SIGNATURES, .as.signatures = text};
    if (p->greeted) {
        send(p, &envelope);
    }
}

void rn_part_send_ask(struct rn_participation *p)
{
    rn_part_send_status(p, &(struct rn_wire_status){.round = p->next_round,
                                                    .stage = RN_SA_STAGE_OFFER,
                                                    .reason = RN_E_ROUND_STALE});
    p->said_waits = p->said_waits && !p->greeted;
}

void rn_part_send_closing(struct rn_participation *p, enum rn_code reason)
{
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_CLOSING,
        .as.closing = {.reason = (uint32_t)reason, .job_done = rn_part_is_done(p)}};
    send(p, &envelope);
}

void rn_part_send_hello(struct rn_participation *p)
{
    const struct rn_plan *plan = p->config.basis->plan;
    struct rn_wire_envelope envelope = {.body = RN_WIRE_HELLO};
    struct rn_wire_hello *hello = &envelope.as.hello;
    hello->protocol = RN_WIRE_PROTOCOL;
    (void)rn_text_format(hello->name, sizeof(hello->name), "%s", p->config.name);
    (void)rn_text_format(hello->software, sizeof(hello->software), "rondo %s", RN_VERSION);
    hello->plan_hash.present = hello->roster_hash.present = hello->adapter_hash.present = true;
    memcpy(hello->plan_hash.bytes, plan->hash, RN_HASH_BYTES);
    memcpy(hello->roster_hash.bytes, plan->roster_hash, RN_HASH_BYTES);
    memcpy(hello->adapter_hash.bytes, p->config.model->adapter_hash, RN_HASH_BYTES);
    hello->next_round = p->next_round;
    memcpy(hello->incarnation, p->incarnation, sizeof(hello->incarnation));
    hello->waits = p->said_waits = !p->signers.satisfied;
    send(p, &envelope);
}

/* ---- Connections */

void rn_part_opened(struct rn_participation *p, uint64_t connection)
{
    /* The newest stream counts: the older one's end may be noticed late. */
    rn_effects_close(p->out, p->connection, (rn_result){RN_E_PEER_REPLAY});
    if (p->greeted) {
        p->alone_since_ms = p->now.monotonic_ms;
    }
    p->connection = connection;
    p->greeted = false;
    p->welcome = (struct rn_wire_welcome){0};
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_CONNECTED});
    rn_part_send_hello(p);
}

void rn_part_gone(struct rn_participation *p, uint64_t connection, enum rn_code code)
{
    if (connection == 0 || connection != p->connection) {
        return;
    }
    if (p->greeted) {
        p->alone_since_ms = p->now.monotonic_ms;
    }
    p->connection = 0;
    p->greeted = false;
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_DISCONNECTED, .outcome = code});
}

/* The other side breaks the rules of the connection. */
static void refuse(struct rn_participation *p, rn_result result, const struct rn_error *err)
{
    rn_part_event_err(
        p, (struct rn_job_event){.kind = RN_JOB_MESSAGE_REFUSED, .outcome = result.code}, err);
    rn_effects_close(p->out, p->connection, result);
    rn_part_gone(p, p->connection, result.code);
}

/* ---- What was heard of the job */

void rn_part_heard(struct rn_participation *p, uint64_t round, const uint8_t *hash)
{
    if (round > (uint64_t)rn_plan_last_round(p->config.basis->plan) + 1) {
        return;
    }
    p->heard.round = (uint32_t)round;
    if (hash != NULL) {
        p->heard.hash_round = (uint32_t)round;
        memcpy(p->heard.hash, hash, RN_HASH_BYTES);
    }
}

bool rn_part_is_behind(const struct rn_participation *p)
{
    const struct rn_part_heard *heard = &p->heard;
    const struct rn_part_session *session = &p->session;
    const bool other = heard->hash_round >= p->next_round &&
                       memcmp(heard->hash, p->config.model->adapter_hash, RN_HASH_BYTES) != 0;
    /* Rounds have passed, and nobody has said yet what came out. */
    const bool unknown = heard->round > heard->hash_round && heard->round > p->next_round;
    const bool has_sum =
        session->machine != NULL && !session->over && session->stage == RN_SA_STAGE_SUM;
    /* Not every sum changes the adapter: one that only measures does not. */
    return other || unknown || has_sum || heard->summed >= p->next_round;
}

static void heard_of_sum(struct rn_participation *p, uint64_t round)
{
    if (round <= rn_plan_last_round(p->config.basis->plan) && round > p->heard.summed) {
        p->heard.summed = (uint32_t)round;
    }
}

static const uint8_t *said(const struct rn_wire_hash *hash)
{
    return hash->present ? hash->bytes : NULL;
}

/* ---- What comes in */

static void fail(struct rn_part_word *out, rn_result result)
{
    out->kind = RN_PART_FAILED;
    out->result = result;
}

static void hear_hello(struct rn_participation *p, const struct rn_wire_hello *hello,
                       struct rn_part_word *out)
{
    const struct rn_plan *plan = p->config.basis->plan;
    const rn_result result = rn_wire_hello_check(hello, &out->err);
    if (!rn_is_ok(result)) {
        fail(out, result);
    } else if (memcmp(hello->plan_hash.bytes, plan->hash, RN_HASH_BYTES) != 0 ||
               memcmp(hello->roster_hash.bytes, plan->roster_hash, RN_HASH_BYTES) != 0) {
        fail(out, rn_fail(&out->err, RN_E_CONFIG,
                          "the coordinator runs another plan or roster than this site's plan.yaml; "
                          "compare with `rondo plan show`"));
    } else {
        p->greeted = true;
        rn_part_heard(p, hello->next_round, said(&hello->adapter_hash));
    }
}

static void hear_welcome(struct rn_participation *p, const struct rn_wire_welcome *welcome,
                         struct rn_part_word *out)
{
    p->welcome = *welcome;
    p->clone_since_ms = 0;
    rn_part_heard(p, welcome->round, said(&welcome->adapter_hash));
    heard_of_sum(p, welcome->summed);
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_WELCOME,
                                           .round = p->heard.round,
                                           .attempt = (uint32_t)welcome->attempt,
                                           .present = welcome->members});
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_MEMBERS,
                                           .round = p->next_round,
                                           .present = welcome->members,
                                           .members = p->config.basis->roster->count});
    out->kind = RN_PART_WELCOMED;
}

static void hear_clone(struct rn_participation *p, struct rn_part_word *out)
{
    const uint64_t now = p->now.monotonic_ms;
    if (p->clone_since_ms == 0) {
        p->clone_since_ms = now;
    }
    rn_part_event(
        p, (struct rn_job_event){.kind = RN_JOB_CLONE, .milliseconds = now - p->clone_since_ms});
    if (now - p->clone_since_ms >= CLONE_MS) {
        fail(out, rn_fail(&out->err, RN_E_IDENTITY,
                          "another process is connected with this site's identity; stop it, or, if "
                          "you did not start it, have the identity replaced"));
    }
}

static void hear_closing(struct rn_participation *p, const struct rn_wire_closing *closing,
                         struct rn_part_word *out)
{
    const rn_result reason = {(enum rn_code)closing->reason};
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_CLOSING, .outcome = reason.code});
    if (closing->job_done) {
        out->kind = RN_PART_JOB_DONE;
        out->result = rn_is_ok(reason)
                          ? reason
                          : rn_fail(&out->err, RN_E_INCOMPLETE,
                                    "the coordinator ended the job before its last round (%s)",
                                    rn_code_name(reason.code));
    } else if (reason.code == RN_E_ROUND_STALE) {
        fail(out,
             rn_fail(&out->err, RN_E_INCOMPLETE,
                     "the rounds that this site misses (from %u on) are not kept any more: its "
                     "state was lost or is an old copy, or it was away for too long. The others "
                     "go on without this site; it takes part again in the next plan (the operator: "
                     "`rondo plan propose`). Nothing was published",
                     (unsigned)p->next_round));
    } else if (reason.code == RN_E_PEER_REPLAY) {
        hear_clone(p, out);
    } else if (rn_class_of(reason) == RN_CLASS_STOP) {
        fail(out, rn_fail(&out->err, RN_E_CONFIG, "the coordinator refuses this site (%s)",
                          rn_code_name(reason.code)));
    }
}

static void hear_summary(struct rn_participation *p, const struct rn_wire_summary *summary)
{
    const uint8_t *hash = said(&summary->adapter_hash);
    if (summary->round < 1 || summary->round > rn_plan_last_round(p->config.basis->plan)) {
        return;
    }
    const uint32_t round = (uint32_t)summary->round;
    rn_part_heard(p, summary->round + 1, hash);
    if (summary->outcome == RN_OK) {
        heard_of_sum(p, summary->round);
    }
    rn_part_event(p, (struct rn_job_event){.kind = RN_JOB_SUMMARY,
                                           .round = round,
                                           .included = summary->included,
                                           .lost = summary->lost,
                                           .outcome = (enum rn_code)summary->outcome});
    if (hash != NULL && summary->outcome == RN_OK && round + 1 == p->next_round &&
        memcmp(hash, p->config.model->adapter_hash, RN_HASH_BYTES) != 0) {
        struct rn_job_event event = {
            .kind = RN_JOB_ADAPTER_DIFFERS, .round = round, .has_hash = true};
        memcpy(event.hash, hash, sizeof(event.hash));
        rn_part_event(p, event);
    }
}

void rn_part_hear(struct rn_participation *p, struct rn_view bytes, struct rn_part_word *out)
{
    struct rn_wire_envelope envelope;
    *out = (struct rn_part_word){.kind = RN_PART_NOTHING};
    const rn_result result = rn_wire_envelope_decode(bytes, &envelope, &out->err);
    if (!rn_is_ok(result)) {
        refuse(p, result, &out->err);
        return;
    }
    if (envelope.body == RN_WIRE_HELLO) {
        hear_hello(p, &envelope.as.hello, out);
        return;
    }
    if (envelope.body == RN_WIRE_CLOSING) {
        hear_closing(p, &envelope.as.closing, out);
        return;
    }
    if (!p->greeted) {
        refuse(p, rn_fail(&out->err, RN_E_PEER_PROTOCOL, "a message before the greeting"),
               &out->err);
        return;
    }
    if (envelope.body == RN_WIRE_WELCOME) {
        hear_welcome(p, &envelope.as.welcome, out);
    } else if (envelope.body == RN_WIRE_SUMMARY) {
        hear_summary(p, &envelope.as.summary);
    } else if (envelope.body == RN_WIRE_SECAGG) {
        out->kind = RN_PART_SECAGG;
        out->bytes = envelope.as.secagg;
    } else if (envelope.body == RN_WIRE_SIGNATURES) {
        out->kind = RN_PART_SIGNATURES;
        out->bytes = envelope.as.signatures;
    } else if (envelope.body == RN_WIRE_STOP) {
        out->kind = RN_PART_STOP;
        out->bytes = envelope.as.stop;
    } else if (envelope.body == RN_WIRE_LOG) {
        out->kind = RN_PART_LOG;
        out->bytes = envelope.as.log;
    } else if (envelope.body == RN_WIRE_EPOCH) {
        out->kind = RN_PART_EPOCH;
        out->bytes = envelope.as.epoch;
    }
}

void rn_part_hear_bulk(struct rn_participation *p, struct rn_view bytes, struct rn_part_word *out)
{
    struct rn_wire_chunk chunk;
    *out = (struct rn_part_word){.kind = RN_PART_NOTHING};
    const rn_result result = rn_wire_chunk_decode(bytes, &chunk, &out->err);
    if (!rn_is_ok(result)) {
        refuse(p, result, &out->err);
    } else if (chunk.content == RN_WIRE_SUM) {
        out->kind = RN_PART_SECAGG;
        out->bytes = chunk.data;
    }
}
