/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, ports and handshakes. Each step towards a peer has its own finding, so that the first
 * that fails says where the fault lies: name server, firewall, service, certificate.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/guard.h"
#include "crypto/x509.h"
#include "crypto/x509probe.h"
#include "services/cli/run/doctor.h"

struct peer_check {
    struct rn_doctor *doctor;
    const char *member;  /* NULL: the coordinator */
    const char *address; /* host:port */
};

static void finding_name(const struct peer_check *peer, const char *step, char out[static 88])
{
    (void)rn_text_format(out, 88, "%s %s", step,
                         peer->member == NULL ? RN_SIGNATURES_COORDINATOR : peer->member);
}

static void info_close(struct addrinfo **info)
{
    if (*info != NULL) {
        freeaddrinfo(*info);
    }
}

static rn_result resolve(const char *address, bool passive, struct addrinfo **out,
                         struct rn_error *err)
{
    char host[256];
    char port[8];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = passive ? AI_PASSIVE : 0};
    RN_TRY(rn_setup_address_split(address, host, port, err));
    const int found = getaddrinfo(host, port, &hints, out);
    RN_ENSURE(found == 0, err, RN_E_UNAVAILABLE, "the name '%s' cannot be resolved: %s", host,
              gai_strerror(found));
    return rn_ok();
}

/* A connected blocking socket with time-outs, or -1 with errno. */
static int connect_one(const struct addrinfo *info, uint32_t timeout_ms)
{
    const int descriptor =
        socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    int failure = 0;
    if (connect(descriptor, info->ai_addr, info->ai_addrlen) != 0) {
        struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
        socklen_t length = sizeof failure;
        if (errno != EINPROGRESS) {
            failure = errno;
        } else if (poll(&wait, 1, (int)timeout_ms) != 1) {
            failure = ETIMEDOUT;
        } else if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) != 0) {
            failure = errno;
        }
    }
    const struct timeval limit = {.tv_sec = timeout_ms / 1000,
                                  .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    if (failure == 0 && (fcntl(descriptor, F_SETFL, 0) != 0 ||
                         setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) ||
                         setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit))) {
        failure = errno;
    }
    if (failure != 0) {
        (void)close(descriptor);
        errno = failure;
        return -1;
    }
    return descriptor;
}

/* Tries every address of the name; *out_error is the last reason. */
static int connect_any(const struct addrinfo *info, uint32_t timeout_ms, int *out_error)
{
    for (; info != NULL; info = info->ai_next) {
        const int descriptor = connect_one(info, timeout_ms);
        if (descriptor >= 0) {
            return descriptor;
        }
        *out_error = errno;
    }
    return -1;
}

static void check_handshake(const struct peer_check *peer, int descriptor)
{
    char name[88];
    char expected[RN_X509_URI_MAX];
    struct rn_error err = {{0}};
    struct rn_x509_probe probe = {0};
    struct rn_doctor *doctor = peer->doctor;
    const struct rn_x509_subject subject = {.federation = doctor->setup->site.federation,
                                            .member = peer->member};
    finding_name(peer, "handshake", name);
    if (!doctor->has_material) {
        rn_doctor_add(doctor, name, RN_FINDING_SKIPPED, "this site has no usable certificate");
        return;
    }
    rn_x509_uri(&subject, expected);
    const rn_result result =
        rn_x509_probe_run(descriptor, rn_buffer_view(&doctor->credentials.key_pem),
                          rn_buffer_view(&doctor->credentials.chain_pem),
                          rn_buffer_view(&doctor->credentials.ca_pem), expected, &probe, &err);
    (void)rn_doctor_judge(doctor, name, result, &err, "%s, %s, both certificates accepted",
                          probe.protocol, probe.cipher);
}

static void check_peer(struct rn_doctor *doctor, const char *member, const char *address)
{
    char name[88];
    int reason = 0;
    struct rn_error err = {{0}};
    const struct peer_check peer = {.doctor = doctor, .member = member, .address = address};
    RN_CLEANUP(info_close) struct addrinfo *info = NULL;
    finding_name(&peer, "name of", name);
    const rn_result result = resolve(address, false, &info, &err);
    if (!rn_doctor_judge(doctor, name, result, &err, "%s", address)) {
        return;
    }
    finding_name(&peer, "port of", name);
    const int descriptor = connect_any(info, doctor->timeout_ms, &reason);
    if (descriptor < 0 && reason == ECONNREFUSED) {
        rn_doctor_add(doctor, name, RN_FINDING_WARNING,
                      "%s answers, but nothing listens there: the service is not running", address);
        return;
    }
    rn_result connected = rn_ok();
    if (descriptor < 0) {
        connected = rn_fail(&err, RN_E_UNAVAILABLE, "%s: %s%s", address, strerror(reason),
                            reason == ETIMEDOUT ? " (a firewall?)" : "");
    }
    if (rn_doctor_judge(doctor, name, connected, &err, "%s is open", address)) {
        check_handshake(&peer, descriptor);
        (void)close(descriptor);
    }
}

/* 0 when the address can be bound here, else errno. */
static int bind_try(const struct addrinfo *info)
{
    const int on = 1;
    const int descriptor = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return errno;
    }
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int failure =
        bind(descriptor, info->ai_addr, info->ai_addrlen) == 0 && listen(descriptor, 1) == 0
            ? 0
            : errno;
    (void)close(descriptor);
    return failure;
}

static void check_listen(struct rn_doctor *doctor, const char *address)
{
    struct rn_error err = {{0}};
    RN_CLEANUP(info_close) struct addrinfo *info = NULL;
    rn_result result = resolve(address, true, &info, &err);
    const int reason = rn_is_ok(result) ? bind_try(info) : 0;
    if (reason == EADDRINUSE) {
        rn_doctor_add(doctor, "listen", RN_FINDING_WARNING,
                      "%s is in use: by this service, or choose another port", address);
        return;
    }
    if (reason != 0) {
        result = rn_fail(&err, RN_E_SYSTEM, "%s: cannot listen: %s", address, strerror(reason));
    }
    (void)rn_doctor_judge(doctor, "listen", result, &err, "%s is free", address);
}

void rn_doctor_check_network(struct rn_doctor *doctor)
{
    if (!doctor->has_site) {
        return;
    }
    const struct rn_site_network *network = &doctor->setup->site.network;
    if (network->direction != RN_SITE_DIAL) {
        check_listen(doctor, network->listen);
    }
    if (network->direction == RN_SITE_LISTEN) {
        return;
    }
    if (doctor->setup->site.role == RN_SITE_MEMBER) {
        check_peer(doctor, NULL, network->dial);
        return;
    }
    for (uint32_t i = 0; i < network->peers_count; i++) {
        check_peer(doctor, network->peers[i].name, network->peers[i].address);
    }
}
