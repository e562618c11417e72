/* SPDX-License-Identifier: Apache-2.0
 *
 *     crowd DIRECTORY SECONDS NAME...
 *
 * The members NAME of the sites DIRECTORY/NAME, all of them in this process: each with its own
 * keys, policy and machine (crowdmember.h) and its own connection of mutual TLS to the coordinator,
 * on a thread of its own. Runs until all have ended, or SECONDS have passed, and prints one JSON
 * object: how many connected, how many ended and how many of these well, their finals, and the
 * adapter's hash, "" where they differ.
 *
 * Machines take turns, and what one of them found valid the others do not compute again
 * (verifyonce.h): each checks what all others signed, which is more than one machine does in the
 * time of a test.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "tests/scenario/crowdmember.h"
#include "tests/simulation/verifyonce.h"

#define TICK_MS 200u
#define GRACE_MS 2000u
#define STACK_BYTES ((size_t)4 << 20)

static struct crowd_member *members;
static size_t member_count;
static size_t connected;
static bool late; /* SECONDS have passed */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* ---- Streams: on the member's thread */

static rn_result authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                           bool renewal)
{
    (void)user;
    (void)kind;
    (void)renewal;
    return peer->role == RN_PEER_COORDINATOR ? rn_ok()
                                             : rn_fail(NULL, RN_E_PEER_AUTH, "no coordinator");
}

static void hear(struct crowd_member *member, const struct rn_input *input)
{
    (void)pthread_mutex_lock(&turn);
    crowd_member_input(member, input);
    crowd_member_due(member);
    (void)pthread_mutex_unlock(&turn);
}

static void on_open(void *user, struct rn_rpc_stream *stream)
{
    struct crowd_member *member = user;
    struct rn_input input = {.kind = RN_INPUT_BULK_OPENED, .peer = RN_SA_COORDINATOR};
    if (rn_rpc_stream_kind(stream) == RN_RPC_BULK) {
        member->bulk = stream;
    } else {
        member->session = stream;
        (void)pthread_mutex_lock(&turn);
        connected++;
        (void)pthread_mutex_unlock(&turn);
        input.kind = RN_INPUT_OPENED;
        input.connection = rn_rpc_stream_number(stream);
    }
    hear(member, &input);
}

static void on_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    const bool bulk = rn_rpc_stream_kind(stream) == RN_RPC_BULK;
    const struct rn_input input = {.kind = bulk ? RN_INPUT_BULK : RN_INPUT_MESSAGE,
                                   .peer = RN_SA_COORDINATOR,
                                   .connection = bulk ? 0 : rn_rpc_stream_number(stream),
                                   .bytes = message};
    hear(user, &input);
}

static void on_writable(void *user, struct rn_rpc_stream *stream)
{
    struct crowd_member *member = user;
    const struct rn_input input = {.kind = RN_INPUT_LOST,
                                   .peer = RN_SA_COORDINATOR,
                                   .connection = rn_rpc_stream_number(stream)};
    if (stream == member->session && member->lost) {
        member->lost = false;
        hear(member, &input);
    }
}

static void on_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *end)
{
    struct crowd_member *member = user;
    const struct rn_input input = {.kind = RN_INPUT_GONE,
                                   .peer = RN_SA_COORDINATOR,
                                   .connection = rn_rpc_stream_number(stream),
                                   .code = end->result.code};
    if (stream == member->bulk) {
        member->bulk = NULL;
    } else if (stream == member->session) {
        member->session = NULL;
        hear(member, &input);
    }
}

static rn_result open_rpc(struct crowd_member *member, struct rn_error *err)
{
    struct rn_rpc_config config;
    struct rn_rpc_link *link = NULL;
    char id[RN_PEER_ID_MAX + 1];
    rn_site_files_rpc(member->site, &config);
    config.callbacks = (struct rn_rpc_callbacks){.user = member,
                                                 .authorize = authorize,
                                                 .on_open = on_open,
                                                 .on_message = on_message,
                                                 .on_writable = on_writable,
                                                 .on_closed = on_closed};
    RN_TRY(rn_rpc_open(&config, &member->rpc, err));
    rn_site_files_peer_id(member->site, RN_SA_COORDINATOR, id);
    RN_TRY(rn_rpc_start(member->rpc, err));
    return rn_rpc_link(member->rpc, member->site->site.network.dial, id, true, &link, err);
}

/* ---- The crowd */

static void *live(void *argument)
{
    struct crowd_member *member = argument;
    const struct rn_input tick = {.kind = RN_INPUT_TICK};
    uint64_t tick_ms = 0;
    bool stopped = false;
    while (rn_rpc_step(member->rpc, TICK_MS / 2)) {
        const uint64_t now_ms = rn_clock_monotonic_ms();
        if (now_ms >= tick_ms) {
            tick_ms = now_ms + TICK_MS;
            hear(member, &tick);
        }
        (void)pthread_mutex_lock(&turn);
        crowd_member_due(member);
        const bool stop = member->ended || late;
        (void)pthread_mutex_unlock(&turn);
        if (stop && !stopped) {
            stopped = true;
            rn_rpc_stop(member->rpc, GRACE_MS);
        }
    }
    return NULL;
}

/* Each of them greets before the first one trains: late is who is not. */
static void run(uint64_t end_ms)
{
    pthread_t *threads = rn_alloc(member_count, sizeof(*threads));
    pthread_attr_t attributes;
    RN_BUG_IF(pthread_attr_init(&attributes) != 0 ||
              pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0);
    for (size_t i = 0; i < member_count; i++) {
        RN_BUG_IF(pthread_create(&threads[i], &attributes, live, &members[i]) != 0);
    }
    for (size_t ended = 0; ended < member_count && !late;) {
        (void)pthread_mutex_lock(&turn);
        ended = 0;
        for (size_t i = 0; i < member_count; i++) {
            ended += members[i].ended;
        }
        late = rn_clock_monotonic_ms() > end_ms;
        (void)pthread_mutex_unlock(&turn);
        (void)nanosleep(&(struct timespec){.tv_nsec = TICK_MS * 1000000L}, NULL);
    }
    for (size_t i = 0; i < member_count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    rn_free(threads);
}

static void report(void)
{
    size_t ended = 0;
    size_t well = 0;
    size_t finals = 0;
    bool same = true;
    char hash[2 * RN_HASH_BYTES + 1];
    for (size_t i = 0; i < member_count; i++) {
        const struct crowd_member *member = &members[i];
        ended += member->ended;
        well += member->ended && rn_is_ok(member->result);
        finals += member->finals;
        same &= memcmp(member->model.adapter_hash, members[0].model.adapter_hash, 32) == 0;
        if (member->ended && !rn_is_ok(member->result)) {
            (void)fprintf(stderr, "%s: %s\n", member->site->site.name, member->err.text);
        }
    }
    rn_hex_encode(hash, members[0].model.adapter_hash, RN_HASH_BYTES);
    (void)printf("{\"connected\": %zu, \"ended\": %zu, \"well\": %zu, \"finals\": %zu, "
                 "\"hash\": \"%s\"}\n",
                 connected, ended, well, finals, same ? hash : "");
}

static rn_result open_all(const char *directory, char **names, struct rn_site_model **out_start,
                          struct rn_site_files **out_first, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_rpc_setup(err));
    RN_TRY(rn_path_join(path, directory, names[0], err));
    RN_TRY(rn_site_files_open(path, RN_SITE_MEMBER, out_first, err));
    RN_TRY(rn_site_model_open(*out_first, false, out_start, err));
    for (size_t i = 0; i < member_count; i++) {
        RN_TRY(rn_path_join(path, directory, names[i], err));
        RN_TRY(crowd_member_open(&members[i], path, &(*out_start)->round, err));
        RN_TRY(crowd_member_start(&members[i], err));
        RN_TRY(open_rpc(&members[i], err));
    }
    return rn_ok();
}

int main(int count, char **arguments)
{
    struct rn_error err = {0};
    struct rn_site_model *start = NULL;
    struct rn_site_files *first = NULL;
    if (count < 4) {
        (void)fprintf(stderr, "crowd DIRECTORY SECONDS NAME...\n");
        return 64;
    }
    member_count = (size_t)count - 3;
    members = rn_alloc(member_count, sizeof(*members));
    const uint64_t limit_ms = 1000 * (uint64_t)strtoul(arguments[2], NULL, 10);
    if (!rn_is_ok(open_all(arguments[1], arguments + 3, &start, &first, &err))) {
        (void)fprintf(stderr, "crowd: %s\n", err.text);
        return 1;
    }
    (void)fprintf(stderr, "crowd: %zu members\n", member_count);
    run(rn_clock_monotonic_ms() + limit_ms);
    report();
    for (size_t i = 0; i < member_count; i++) {
        rn_rpc_close(members[i].rpc);
        crowd_member_close(&members[i]);
    }
    rn_free(members);
    rn_site_model_free(start);
    rn_site_files_free(first);
    return 0;
}
