/* SPDX-License-Identifier: Apache-2.0
 *
 * The member's streams: who may open them, greeting, what arrives, what a closing means.
 */
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/trainer/memberstate.h"

/* How long "this identity is connected already" may be an old connection of our own that the other
 * side has not noticed yet (keepalive), before it must be a second process. */
#define CLONE_MS 100000

static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    struct rn_member *member = user;
    (void)kind;
    (void)renewal;
    char expected[RN_PEER_ID_MAX + 1];
    rn_site_files_peer_id(member->site, RN_SA_COORDINATOR, expected);
    if (peer->role != RN_PEER_COORDINATOR || strcmp(peer->id, expected) != 0) {
        return rn_fail(NULL, RN_E_PEER_AUTH, "not the coordinator");
    }
    return rn_ok();
}

static void send_hello(struct rn_member *member)
{
    struct rn_wire_envelope envelope = {.body = RN_WIRE_HELLO};
    struct rn_wire_hello *hello = &envelope.as.hello;
    hello->protocol = RN_WIRE_PROTOCOL;
    (void)rn_text_format(hello->name, sizeof(hello->name), "%s", member->site->site.name);
    (void)rn_text_format(hello->software, sizeof(hello->software), "rondo %s", RN_VERSION);
    hello->plan_hash.present = hello->roster_hash.present = hello->adapter_hash.present = true;
    memcpy(hello->plan_hash.bytes, member->site->plan.hash, 32);
    memcpy(hello->roster_hash.bytes, member->site->plan.roster_hash, 32);
    memcpy(hello->adapter_hash.bytes, member->model->adapter_hash, 32);
    hello->next_round = member->next_round;
    memcpy(hello->incarnation, member->incarnation, sizeof(hello->incarnation));
    (void)rn_stream_send(member->session_stream, &envelope);
}

void rn_member_send_status(struct rn_member *member, uint32_t round, uint32_t attempt,
                           enum rn_sa_stage stage, uint64_t done, uint64_t total,
                           enum rn_code reason)
{
    const struct rn_wire_envelope envelope = {.body = RN_WIRE_STATUS,
                                              .as.status = {.round = round,
                                                            .attempt = attempt,
                                                            .stage = (uint32_t)stage,
                                                            .done = done,
                                                            .total = total,
                                                            .reason = (uint32_t)reason}};
    (void)rn_stream_send(member->session_stream, &envelope);
}

void rn_member_send_closing(struct rn_member *member, enum rn_code reason)
{
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_CLOSING,
        .as.closing = {.reason = (uint32_t)reason,
                       .job_done = member->next_round > member->site->plan.rounds}};
    (void)rn_stream_send(member->session_stream, &envelope);
}

uint64_t rn_member_bytes_sent(const struct rn_member *member)
{
    uint64_t total = member->sent_before;
    const struct rn_rpc_stream *const streams[2] = {member->session_stream, member->bulk_stream};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(streams); i++) {
        uint64_t sent = 0;
        uint64_t received = 0;
        if (streams[i] != NULL) {
            rn_rpc_stream_traffic(streams[i], &sent, &received);
        }
        total += sent;
    }
    return total;
}

static void on_open(void *user, struct rn_rpc_stream *stream)
{
    struct rn_member *member = user;
    const bool session = rn_rpc_stream_kind(stream) == RN_RPC_SESSION;
    struct rn_rpc_stream **place = session ? &member->session_stream : &member->bulk_stream;
    struct rn_rpc_stream *old = *place;
    /* The newest stream counts: the older one's end may be noticed late. */
    *place = stream;
    if (old != NULL) {
        uint64_t sent = 0;
        uint64_t received = 0;
        rn_rpc_stream_traffic(old, &sent, &received);
        member->sent_before += sent;
        rn_rpc_stream_close(old, rn_fail(NULL, RN_E_PEER_REPLAY, "replaced"));
    }
    if (session) {
        member->greeted = false;
        member->welcome = (struct rn_wire_welcome){0};
        rn_log(RN_LOG_INFO, "coordinator.connected");
        send_hello(member);
    } else if (member->greeted) {
        /* What the old stream carried may be lost: said again, Done makes the coordinator name the
         * chunks that it lacks. */
        rn_member_session_resend(member);
    }
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    struct rn_member *member = user;
    struct rn_rpc_stream **place = rn_rpc_stream_kind(stream) == RN_RPC_SESSION
                                       ? &member->session_stream
                                       : &member->bulk_stream;
    if (*place != stream) {
        return;
    }
    uint64_t sent = 0;
    uint64_t received = 0;
    rn_rpc_stream_traffic(stream, &sent, &received);
    member->sent_before += sent;
    *place = NULL;
    if (place == &member->session_stream) {
        member->greeted = false;
        rn_log(member->stopped ? RN_LOG_DEBUG : RN_LOG_WARN, "coordinator.lost",
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(end->result.code)));
    }
}

static void on_link_down(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *end)
{
    struct rn_member *member = user;
    (void)link;
    rn_log(RN_LOG_WARN, "coordinator.unreachable",
           RN_LOG_TEXT(RN_F_REASON, rn_code_name(end->result.code)),
           RN_LOG_TEXT(end->detail != NULL ? RN_F_DETAIL : RN_F_NONE, end->detail));
    if (rn_class_of(end->result) == RN_CLASS_STOP) {
        struct rn_error err;
        rn_member_end(member,
                      rn_fail(&err, end->result.code,
                              "the coordinator's connection cannot work (%s): check ca.crt, "
                              "tls.crt and the address with `rondo doctor`",
                              rn_code_name(end->result.code)),
                      &err);
    }
}

static void take_hello(struct rn_member *member, const struct rn_wire_hello *hello)
{
    struct rn_error err = {0};
    const rn_result result = rn_wire_hello_check(hello, &err);
    if (!rn_is_ok(result)) {
        rn_member_end(member, result, &err);
        return;
    }
    if (memcmp(hello->plan_hash.bytes, member->site->plan.hash, 32) != 0 ||
        memcmp(hello->roster_hash.bytes, member->site->plan.roster_hash, 32) != 0) {
        rn_member_send_closing(member, RN_E_CONFIG);
        rn_member_end(member,
                      rn_fail(&err, RN_E_CONFIG,
                              "the coordinator runs another plan or roster than this site's "
                              "plan.yaml; compare with `rondo plan show`"),
                      &err);
        return;
    }
    member->greeted = true;
}

static void take_welcome(struct rn_member *member, const struct rn_wire_welcome *welcome)
{
    member->welcome = *welcome;
    member->clone_since_ms = 0;
    rn_log(RN_LOG_INFO, "coordinator.welcome", RN_LOG_NUMBER(RN_F_ROUND, welcome->round),
           RN_LOG_NUMBER(RN_F_ATTEMPT, welcome->attempt),
           RN_LOG_NUMBER(RN_F_MEMBERS, welcome->members));
    rn_member_tell(member, (struct rn_job_event){.kind = RN_JOB_MEMBERS,
                                                 .present = welcome->members,
                                                 .members = member->site->roster.count});
    rn_member_session_resend(member);
    if (member->bulk_stream != NULL) {
        rn_member_session_resend(member); /* as when the bulk stream comes second */
    }
}

static void take_clone(struct rn_member *member)
{
    const uint64_t now = rn_clock_monotonic_ms();
    if (member->clone_since_ms == 0) {
        member->clone_since_ms = now;
    }
    rn_log(RN_LOG_WARN, "identity.connected-already",
           RN_LOG_NUMBER(RN_F_MILLISECONDS, now - member->clone_since_ms));
    if (now - member->clone_since_ms >= CLONE_MS) {
        struct rn_error err;
        rn_member_end(member,
                      rn_fail(&err, RN_E_IDENTITY,
                              "another process is connected with this site's identity; stop it, "
                              "or, if you did not start it, have the identity replaced"),
                      &err);
    }
}

static void take_closing(struct rn_member *member, const struct rn_wire_closing *closing)
{
    const rn_result reason = {(enum rn_code)closing->reason};
    struct rn_error err = {0};
    rn_log(RN_LOG_INFO, "coordinator.closing", RN_LOG_TEXT(RN_F_REASON, rn_code_name(reason.code)));
    const bool behind = member->announced.present &&
                        memcmp(member->announced.bytes, member->model->adapter_hash, 32) != 0;
    if (closing->job_done && rn_is_ok(reason) && behind) {
        rn_member_finish(member,
                         rn_fail(&err, RN_E_INCOMPLETE,
                                 "the job is over, but this site missed its last sums: start the "
                                 "coordinator and this site once more"),
                         &err);
    } else if (closing->job_done) {
        rn_member_finish(member,
                         rn_is_ok(reason) ? rn_ok()
                                          : rn_fail(&err, RN_E_INCOMPLETE,
                                                    "the coordinator ended the job before its last "
                                                    "round (%s)",
                                                    rn_code_name(reason.code)),
                         &err);
    } else if (reason.code == RN_E_PEER_REPLAY) {
        take_clone(member);
    } else if (rn_class_of(reason) == RN_CLASS_STOP) {
        rn_member_end(member,
                      rn_fail(&err, RN_E_CONFIG, "the coordinator refuses this site (%s)",
                              rn_code_name(reason.code)),
                      &err);
    }
}

static void take_summary(struct rn_member *member, const struct rn_wire_summary *summary)
{
    member->announced = summary->adapter_hash;
    rn_log(RN_LOG_INFO, "round.summary", RN_LOG_NUMBER(RN_F_ROUND, summary->round),
           RN_LOG_NUMBER(RN_F_COUNT, summary->included),
           RN_LOG_TEXT(RN_F_REASON, rn_code_name((enum rn_code)summary->outcome)));
    if (summary->outcome == RN_OK && summary->round + 1 == member->next_round &&
        memcmp(summary->adapter_hash.bytes, member->model->adapter_hash, 32) != 0) {
        char hash[65];
        rn_hex_encode(hash, summary->adapter_hash.bytes, 32);
        rn_log(RN_LOG_ERROR, "alarm.adapter-differs", RN_LOG_NUMBER(RN_F_ROUND, summary->round),
               RN_LOG_TEXT(RN_F_HASH, hash));
    }
}

static void take_session_message(struct rn_member *member, struct rn_rpc_stream *stream,
                                 struct rn_view message)
{
    struct rn_wire_envelope envelope;
    const rn_result result = rn_wire_envelope_decode(message, &envelope, NULL);
    if (!rn_is_ok(result)) {
        rn_rpc_stream_close(stream, result);
        return;
    }
    if (envelope.body == RN_WIRE_HELLO) {
        take_hello(member, &envelope.as.hello);
        return;
    }
    if (envelope.body == RN_WIRE_CLOSING) {
        take_closing(member, &envelope.as.closing);
        return;
    }
    if (!member->greeted) {
        rn_rpc_stream_close(stream, rn_fail(NULL, RN_E_PEER_PROTOCOL, "no greeting"));
        return;
    }
    switch (envelope.body) {
    case RN_WIRE_WELCOME:
        take_welcome(member, &envelope.as.welcome);
        break;
    case RN_WIRE_SUMMARY:
        take_summary(member, &envelope.as.summary);
        break;
    case RN_WIRE_SECAGG:
        rn_member_secagg(member, envelope.as.secagg);
        break;
    default:
        break;
    }
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    struct rn_member *member = user;
    if (rn_rpc_stream_kind(stream) == RN_RPC_SESSION) {
        take_session_message(member, stream, message);
        return;
    }
    struct rn_wire_chunk chunk;
    const rn_result result = rn_wire_chunk_decode(message, &chunk, NULL);
    if (!rn_is_ok(result)) {
        rn_rpc_stream_close(stream, result);
    } else if (chunk.content == RN_WIRE_SUM) {
        rn_member_secagg(member, chunk.data);
    }
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    if (rn_rpc_stream_kind(stream) == RN_RPC_BULK) {
        rn_member_upload_pump(user);
    }
}

static bool is_serving(void *user)
{
    const struct rn_member *member = user;
    return !member->draining && !member->ending;
}

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    const struct rn_member *member = user;
    (void)request;
    char hash[65];
    rn_hex_encode(hash, member->model->adapter_hash, 32);
    rn_buffer_format(
        answer,
        "{\"role\":\"member\",\"name\":\"%s\",\"federation\":\"%s\",\"plan\":\"%s\","
        "\"version\":\"%s\",\"connected\":%s,\"round\":%u,\"rounds\":%u,"
        "\"attempt\":%u,\"stage\":\"%s\",\"training\":%s,\"adapter\":\"%s\","
        "\"uplink_bytes\":%llu,",
        member->site->site.name, member->site->roster.federation, member->site->plan.name,
        RN_VERSION, member->greeted ? "true" : "false", (unsigned)member->next_round,
        (unsigned)member->site->plan.rounds, (unsigned)member->session.attempt,
        member->session.machine == NULL ? "idle" : rn_job_stage_code(member->session.stage),
        member->training != NULL ? "true" : "false", hash,
        (unsigned long long)rn_member_bytes_sent(member));
    rn_credwatch_status(member->rpc, answer);
    rn_buffer_format(answer, "}");
    return rn_ok();
}

void rn_member_callbacks(struct rn_member *member, struct rn_rpc_callbacks *out)
{
    *out = (struct rn_rpc_callbacks){
        .user = member,
        .authorize = authorize,
        .on_open = on_open,
        .on_message = on_message,
        .on_writable = on_writable,
        .on_closed = on_closed,
        .on_link_down = on_link_down,
        .is_serving = is_serving,
        .admin = admin,
    };
}

rn_result rn_member_connect(struct rn_member *member, struct rn_error *err)
{
    const struct rn_site_network *network = &member->site->site.network;
    RN_TRY(rn_site_files_listen(member->site, member->rpc, err));
    if (network->direction != RN_SITE_LISTEN) {
        char id[RN_PEER_ID_MAX + 1];
        struct rn_rpc_link *link = NULL;
        rn_site_files_peer_id(member->site, RN_SA_COORDINATOR, id);
        rn_log(RN_LOG_INFO, "dial", RN_LOG_TEXT(RN_F_ADDRESS, network->dial));
        RN_TRY(rn_rpc_link(member->rpc, network->dial, id, true, &link, err));
    }
    return rn_ok();
}
