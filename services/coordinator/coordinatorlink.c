/* SPDX-License-Identifier: Apache-2.0
 *
 * The members' streams at the coordinator: who may open them, greeting, what arrives.
 */
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "base/log.h"
#include "services/coordinator/coordinatorstate.h"

/* A member says that it is behind when it gets an offer; offers are repeated far more slowly. */
#define HELP_MS 1000

static struct rn_coordinator_peer *find_peer(struct rn_coordinator *coordinator,
                                             const struct rn_rpc_stream *stream)
{
    const int place =
        rn_roster_find_name(&coordinator->site->roster, rn_rpc_stream_peer(stream)->name);
    return place < 0 ? NULL : &coordinator->peers[place];
}

static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    const struct rn_coordinator *coordinator = user;
    const struct rn_roster *roster = &coordinator->site->roster;
    (void)kind;
    (void)renewal;
    const int place = peer->role == RN_PEER_MEMBER ? rn_roster_find_name(roster, peer->name) : -1;
    if (place < 0 || strcmp(peer->federation, roster->federation) != 0) {
        return rn_fail(NULL, RN_E_PEER_AUTH, "not a member of the roster");
    }
    if (!rn_roster_member_valid(&roster->members[place], rn_clock_wall_ms())) {
        return rn_fail(NULL, RN_E_PEER_AUTH, "the member's entry is not valid today");
    }
    return rn_ok();
}

static void send_hello(struct rn_coordinator *coordinator, struct rn_rpc_stream *stream)
{
    struct rn_wire_envelope envelope = {.body = RN_WIRE_HELLO};
    struct rn_wire_hello *hello = &envelope.as.hello;
    hello->protocol = RN_WIRE_PROTOCOL;
    (void)rn_text_format(hello->software, sizeof(hello->software), "rondo %s", RN_VERSION);
    hello->plan_hash.present = hello->roster_hash.present = hello->adapter_hash.present = true;
    memcpy(hello->plan_hash.bytes, coordinator->site->plan.hash, 32);
    memcpy(hello->roster_hash.bytes, coordinator->site->plan.roster_hash, 32);
    memcpy(hello->adapter_hash.bytes, coordinator->model->adapter_hash, 32);
    hello->next_round = coordinator->round;
    memcpy(hello->incarnation, coordinator->incarnation, sizeof(hello->incarnation));
    (void)rn_stream_send(stream, &envelope);
}

static void send_closing(struct rn_rpc_stream *stream, enum rn_code reason, bool done)
{
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_CLOSING, .as.closing = {.reason = (uint32_t)reason, .job_done = done}};
    (void)rn_stream_send(stream, &envelope);
}

uint32_t rn_coordinator_present(const struct rn_coordinator *coordinator)
{
    uint32_t present = 0;
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        present += coordinator->peers[i].session_stream != NULL;
    }
    return present;
}

static uint64_t received_on(const struct rn_rpc_stream *stream)
{
    uint64_t sent = 0;
    uint64_t received = 0;
    if (stream != NULL) {
        rn_rpc_stream_traffic(stream, &sent, &received);
    }
    return received;
}

uint64_t rn_coordinator_received(const struct rn_coordinator_peer *peer)
{
    return peer->received_before + received_on(peer->session_stream) +
           received_on(peer->bulk_stream) + received_on(peer->bulk_next);
}

void rn_coordinator_broadcast(struct rn_coordinator *coordinator,
                              const struct rn_wire_envelope *envelope)
{
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        (void)rn_stream_send(coordinator->peers[i].session_stream, envelope);
    }
}

static void tell_members(struct rn_coordinator *coordinator)
{
    if (coordinator->stopped) {
        return;
    }
    rn_coordinator_tell(coordinator,
                        (struct rn_job_event){.kind = RN_JOB_MEMBERS,
                                              .round = coordinator->round,
                                              .present = rn_coordinator_present(coordinator),
                                              .members = coordinator->peer_count});
}

/* ---- Streams */

/* A member's session stream counts from its accepted Hello on; until then it belongs to nobody. */
static void on_open(void *user, struct rn_rpc_stream *stream)
{
    struct rn_coordinator *coordinator = user;
    struct rn_coordinator_peer *peer = find_peer(coordinator, stream);
    if (peer == NULL) {
        rn_rpc_stream_close(stream, rn_fail(NULL, RN_E_PEER_AUTH, "not in the roster"));
        return;
    }
    if (rn_rpc_stream_kind(stream) == RN_RPC_SESSION) {
        send_hello(coordinator, stream);
    } else if (peer->bulk_stream == NULL) {
        peer->bulk_stream = stream;
        rn_coordinator_bulk_pump(coordinator, peer);
    } else {
        if (peer->bulk_next != NULL) {
            peer->received_before += received_on(peer->bulk_next);
            rn_rpc_stream_close(peer->bulk_next, rn_fail(NULL, RN_E_PEER_REPLAY, "replaced"));
        }
        peer->bulk_next = stream;
    }
}

static void forget_bulk(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer)
{
    peer->received_before += received_on(peer->bulk_stream);
    peer->bulk_stream = peer->bulk_next;
    peer->bulk_next = NULL;
    rn_coordinator_bulk_pump(coordinator, peer);
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    struct rn_coordinator *coordinator = user;
    struct rn_coordinator_peer *peer = find_peer(coordinator, stream);
    if (peer == NULL) {
        return;
    }
    if (stream == peer->bulk_next) {
        peer->received_before += received_on(stream);
        peer->bulk_next = NULL;
    } else if (stream == peer->bulk_stream) {
        forget_bulk(coordinator, peer);
    } else if (stream == peer->session_stream) {
        peer->received_before += received_on(stream);
        peer->session_stream = NULL;
        peer->absent_since_ms = rn_clock_monotonic_ms();
        rn_log(coordinator->stopped ? RN_LOG_DEBUG : RN_LOG_WARN, "member.lost",
               RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, peer->index)),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(end->result.code)),
               RN_LOG_NUMBER(RN_F_MEMBERS, rn_coordinator_present(coordinator)));
        tell_members(coordinator);
    }
}

static void on_link_down(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *end)
{
    const struct rn_coordinator *coordinator = user;
    const struct rn_coordinator_peer *peer = rn_rpc_link_user(link);
    rn_log(RN_LOG_WARN, "member.unreachable",
           RN_LOG_TEXT(RN_F_MEMBER,
                       peer == NULL ? "?" : rn_site_files_name(coordinator->site, peer->index)),
           RN_LOG_TEXT(RN_F_REASON, rn_code_name(end->result.code)),
           RN_LOG_TEXT(end->detail != NULL ? RN_F_DETAIL : RN_F_NONE, end->detail));
}

/* ---- Greeting */

static rn_result check_hello(const struct rn_coordinator *coordinator,
                             const struct rn_coordinator_peer *peer,
                             const struct rn_wire_hello *hello, struct rn_error *err)
{
    RN_TRY(rn_wire_hello_check(hello, err));
    RN_ENSURE(strcmp(hello->name, rn_site_files_name(coordinator->site, peer->index)) == 0, err,
              RN_E_PEER_AUTH, "the name in the greeting is not the certificate's");
    RN_ENSURE(memcmp(hello->plan_hash.bytes, coordinator->site->plan.hash, 32) == 0, err,
              RN_E_CONFIG, "the member has another plan.yaml");
    RN_ENSURE(memcmp(hello->roster_hash.bytes, coordinator->site->plan.roster_hash, 32) == 0, err,
              RN_E_CONFIG, "the member has another roster");
    RN_ENSURE(peer->session_stream == NULL ||
                  memcmp(peer->incarnation, hello->incarnation, sizeof(peer->incarnation)) == 0,
              err, RN_E_PEER_REPLAY, "another process with this identity is connected");
    return rn_ok();
}

void rn_coordinator_welcome(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer)
{
    const struct rn_coordinator_session *session = &coordinator->session;
    const bool running = coordinator->phase == RN_COORDINATOR_SESSION && session->machine != NULL;
    const struct rn_wire_envelope envelope = {
        .body = RN_WIRE_WELCOME,
        .as.welcome = {.round = coordinator->round,
                       .attempt = coordinator->attempt,
                       .members = rn_coordinator_present(coordinator),
                       .rounds_total = coordinator->site->plan.rounds,
                       .joined_late = running && session->stage > RN_SA_STAGE_READY &&
                                      !rn_sa_set_has(&session->joined, peer->index)}};
    (void)rn_stream_send(peer->session_stream, &envelope);
}

static void take_hello(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer,
                       struct rn_rpc_stream *stream, const struct rn_wire_hello *hello)
{
    const char *name = rn_site_files_name(coordinator->site, peer->index);
    struct rn_error err = {0};
    const rn_result result = check_hello(coordinator, peer, hello, &err);
    if (!rn_is_ok(result)) {
        rn_log(RN_LOG_WARN, "member.refused", RN_LOG_TEXT(RN_F_MEMBER, name),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name(result.code)),
               RN_LOG_TEXT(RN_F_DETAIL, err.text));
        send_closing(stream, result.code, false);
        rn_rpc_stream_close(stream, rn_ok());
        return;
    }
    struct rn_rpc_stream *old = peer->session_stream;
    if (old == stream) {
        return;
    }
    peer->session_stream = stream;
    if (old != NULL) {
        /* The same process came back before its old connection was found dead. */
        peer->received_before += received_on(old);
        rn_rpc_stream_close(old, rn_fail(NULL, RN_E_PEER_REPLAY, "replaced"));
        if (peer->bulk_next != NULL) {
            rn_rpc_stream_close(peer->bulk_stream, rn_fail(NULL, RN_E_PEER_REPLAY, "replaced"));
            forget_bulk(coordinator, peer);
        }
    }
    memcpy(peer->incarnation, hello->incarnation, sizeof(peer->incarnation));
    peer->next_round = hello->next_round > UINT32_MAX ? UINT32_MAX : (uint32_t)hello->next_round;
    peer->absent_since_ms = 0;
    peer->progress_ms = rn_clock_monotonic_ms();
    rn_log(RN_LOG_INFO, "member.joined", RN_LOG_TEXT(RN_F_MEMBER, name),
           RN_LOG_NUMBER(RN_F_ROUND, peer->next_round),
           RN_LOG_NUMBER(RN_F_MEMBERS, rn_coordinator_present(coordinator)));
    tell_members(coordinator);
    rn_coordinator_help(coordinator, peer);
}

static void take_status(struct rn_coordinator *coordinator, struct rn_coordinator_peer *peer,
                        const struct rn_wire_status *status)
{
    if (status->done != peer->progress_done || status->stage != RN_SA_STAGE_READY) {
        peer->progress_done = status->done;
        peer->progress_ms = rn_clock_monotonic_ms();
    }
    if (status->reason == RN_E_ROUND_STALE && status->round <= coordinator->round) {
        /* Help reads the journal: a member that asks without end does not get it without end. */
        const uint64_t now = rn_clock_monotonic_ms();
        if (now - peer->helped_ms >= HELP_MS) {
            peer->helped_ms = now;
            peer->next_round = (uint32_t)status->round;
            rn_coordinator_help(coordinator, peer);
        }
    } else if (status->stage == RN_SA_STAGE_FINISHED && status->round > peer->next_round &&
               status->round <= (uint64_t)coordinator->site->plan.rounds + 1) {
        peer->next_round = (uint32_t)status->round;
        if (peer->next_round <= coordinator->round) { /* it lacks a sum, or the offer */
            rn_coordinator_help(coordinator, peer);
        }
    } else if (status->reason == RN_E_ROUND_ABORTED) {
        peer->follows_round = (uint32_t)status->round;
        peer->follows_attempt = (uint32_t)status->attempt;
    } else if (status->reason != RN_OK) {
        rn_log(RN_LOG_WARN, "member.declined",
               RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, peer->index)),
               RN_LOG_NUMBER(RN_F_ROUND, status->round),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name((enum rn_code)status->reason)));
    }
}

static void take_session_message(struct rn_coordinator *coordinator,
                                 struct rn_coordinator_peer *peer, struct rn_rpc_stream *stream,
                                 struct rn_view message)
{
    struct rn_wire_envelope envelope;
    const rn_result result = rn_wire_envelope_decode(message, &envelope, NULL);
    if (!rn_is_ok(result)) {
        rn_rpc_stream_close(stream, result);
        return;
    }
    if (envelope.body == RN_WIRE_HELLO) {
        take_hello(coordinator, peer, stream, &envelope.as.hello);
        return;
    }
    if (stream != peer->session_stream) {
        rn_rpc_stream_close(stream, rn_fail(NULL, RN_E_PEER_PROTOCOL, "no greeting"));
        return;
    }
    switch (envelope.body) {
    case RN_WIRE_STATUS:
        take_status(coordinator, peer, &envelope.as.status);
        break;
    case RN_WIRE_SECAGG:
        rn_coordinator_secagg(coordinator, peer, envelope.as.secagg);
        break;
    case RN_WIRE_CLOSING:
        rn_log(RN_LOG_INFO, "member.closing",
               RN_LOG_TEXT(RN_F_MEMBER, rn_site_files_name(coordinator->site, peer->index)),
               RN_LOG_TEXT(RN_F_REASON, rn_code_name((enum rn_code)envelope.as.closing.reason)));
        break;
    default:
        break;
    }
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    struct rn_coordinator *coordinator = user;
    struct rn_coordinator_peer *peer = find_peer(coordinator, stream);
    if (peer == NULL) {
        return;
    }
    if (rn_rpc_stream_kind(stream) == RN_RPC_SESSION) {
        take_session_message(coordinator, peer, stream, message);
        return;
    }
    struct rn_wire_chunk chunk;
    const rn_result result = rn_wire_chunk_decode(message, &chunk, NULL);
    if (!rn_is_ok(result)) {
        rn_rpc_stream_close(stream, result);
    } else if (chunk.content == RN_WIRE_MASKED_INPUT) {
        rn_coordinator_secagg(coordinator, peer, chunk.data);
    }
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    struct rn_coordinator *coordinator = user;
    struct rn_coordinator_peer *peer = find_peer(coordinator, stream);
    if (peer == NULL) {
        return;
    }
    if (stream == peer->bulk_stream) {
        rn_coordinator_bulk_pump(coordinator, peer);
    } else if (stream == peer->session_stream && peer->resend) {
        peer->resend = false;
        rn_coordinator_help(coordinator, peer);
    }
}

static bool is_serving(void *user)
{
    const struct rn_coordinator *coordinator = user;
    return !coordinator->draining && coordinator->phase != RN_COORDINATOR_ENDED;
}

static const char *phase_name(const struct rn_coordinator *coordinator)
{
    switch (coordinator->phase) {
    case RN_COORDINATOR_GATHER:
        return "gather";
    case RN_COORDINATOR_SESSION:
        return rn_job_stage_code(coordinator->session.stage);
    case RN_COORDINATOR_LINGER:
        return "linger";
    default:
        return "ended";
    }
}

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    const struct rn_coordinator *coordinator = user;
    (void)request;
    char hash[65];
    rn_hex_encode(hash, coordinator->model->adapter_hash, 32);
    rn_buffer_format(answer,
                     "{\"role\":\"coordinator\",\"name\":\"coordinator\",\"federation\":\"%s\","
                     "\"plan\":\"%s\",\"version\":\"%s\",\"round\":%u,\"rounds\":%u,"
                     "\"attempt\":%u,\"stage\":\"%s\",\"adapter\":\"%s\",\"members\":[",
                     coordinator->site->roster.federation, coordinator->site->plan.name, RN_VERSION,
                     (unsigned)coordinator->round, (unsigned)coordinator->site->plan.rounds,
                     (unsigned)coordinator->attempt, phase_name(coordinator), hash);
    for (uint32_t i = 0; i < coordinator->peer_count; i++) {
        const struct rn_coordinator_peer *peer = &coordinator->peers[i];
        rn_buffer_format(answer, "%s{\"name\":\"%s\",\"connected\":%s,\"uplink_bytes\":%llu}",
                         i == 0 ? "" : ",", rn_site_files_name(coordinator->site, i),
                         peer->session_stream != NULL ? "true" : "false",
                         (unsigned long long)rn_coordinator_received(peer));
    }
    rn_buffer_format(answer, "],");
    rn_credwatch_status(coordinator->rpc, answer);
    rn_buffer_format(answer, "}");
    return rn_ok();
}

void rn_coordinator_callbacks(struct rn_coordinator *coordinator, struct rn_rpc_callbacks *out)
{
    *out = (struct rn_rpc_callbacks){
        .user = coordinator,
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

static rn_result dial_members(struct rn_coordinator *coordinator, struct rn_error *err)
{
    const struct rn_site_network *network = &coordinator->site->site.network;
    for (uint32_t i = 0; i < network->peers_count; i++) {
        const int place = rn_roster_find_name(&coordinator->site->roster, network->peers[i].name);
        RN_ENSURE(place >= 0, err, RN_E_CONFIG,
                  "%s/site.yaml: network.peers: %s is not in the roster",
                  coordinator->site->directory, network->peers[i].name);
        char id[RN_PEER_ID_MAX + 1];
        struct rn_rpc_link *link = NULL;
        rn_site_files_peer_id(coordinator->site, (uint32_t)place, id);
        RN_TRY(rn_rpc_link(coordinator->rpc, network->peers[i].address, id, true, &link, err));
        rn_rpc_link_set_user(link, &coordinator->peers[place]);
    }
    return rn_ok();
}

rn_result rn_coordinator_connect(struct rn_coordinator *coordinator, struct rn_error *err)
{
    const struct rn_site_network *network = &coordinator->site->site.network;
    RN_TRY(rn_site_files_listen(coordinator->site, coordinator->rpc, err));
    return network->direction == RN_SITE_LISTEN ? rn_ok() : dial_members(coordinator, err);
}
