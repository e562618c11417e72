/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by test_rpc_*.c: a throw-away federation (make_certs.sh) and an `end`: one struct rn_rpc
 * with a record of what its callbacks saw. Several ends run in one thread, stepped in turn.
 */
#ifndef RN_TESTS_RPC_FIXTURE_H
#define RN_TESTS_RPC_FIXTURE_H

#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/rpc/rpc.h"

#define COORDINATOR "spiffe://fed-a/coordinator"
#define ALPHA "spiffe://fed-a/member/alpha"
#define BETA "spiffe://fed-a/member/beta"
/* Nothing here waits for time to pass; this bounds a test that hangs. */
#define PATIENCE_MS 60000U

extern char **environ;

static char certs[] = "/tmp/rondo-rpc-XXXXXX";

static int run_and_wait(const char *const *arguments)
{
    pid_t child = 0;
    int status = 0;
    if (posix_spawnp(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments,
                     environ) != 0 ||
        waitpid(child, &status, 0) != child) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* False when there is no openssl command: skip. */
static inline bool certs_make(void)
{
    const char *version[] = {"sh", "-c", "command -v openssl >/dev/null", NULL};
    if (run_and_wait(version) != 0) {
        (void)fprintf(stderr, "skipped: no openssl command\n");
        return false;
    }
    const char *make[] = {RN_SOURCE_DIR "/tests/unit/services/make_certs.sh", certs, NULL};
    RN_BUG_IF(mkdtemp(certs) == NULL);
    RN_BUG_IF(run_and_wait(make) != 0);
    return true;
}

static inline void certs_remove(void)
{
    const char *arguments[] = {"rm", "-rf", certs, NULL};
    (void)run_and_wait(arguments);
}

static inline void pem_read(const char *name, const char *suffix, struct rn_buffer *out)
{
    char path[RN_PATH_MAX];
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/%s%s", certs, name, suffix));
    memset(out, 0, sizeof(*out));
    RN_BUG_IF(!rn_is_ok(rn_file_read(path, RN_RPC_PEM_MAX, out, NULL)));
}

/* One side, with what its callbacks saw. */
struct end {
    struct rn_rpc *rpc;
    struct rn_rpc_link *link;
    uint16_t port;
    char socket_path[RN_PATH_MAX];

    bool echo;       /* send every message back */
    bool pause;      /* pause each stream when it opens */
    rn_result allow; /* answer of authorize */

    struct rn_rpc_stream *session;
    struct rn_rpc_stream *bulk;
    struct rn_peer peer; /* of the last stream opened */
    unsigned authorized;
    unsigned opened;
    unsigned closed;
    unsigned messages;
    unsigned writable;
    unsigned links_down;
    uint64_t bytes;
    uint64_t sum; /* of all payload bytes */
    uint8_t last[256];
    size_t last_length;
    struct rn_rpc_end ended; /* of the last stream closed */
    struct rn_rpc_end down;  /* of the last link that could not open */
    char detail[320];        /* ... and its sentence */
};

static rn_result end_authorize(void *user, const struct rn_peer *peer, enum rn_rpc_kind kind,
                               bool renewal)
{
    struct end *end = user;
    (void)kind;
    (void)renewal;
    (void)peer;
    end->authorized++;
    return end->allow;
}

static void end_opened(void *user, struct rn_rpc_stream *stream)
{
    struct end *end = user;
    end->opened++;
    end->peer = *rn_rpc_stream_peer(stream);
    if (rn_rpc_stream_kind(stream) == RN_RPC_SESSION) {
        end->session = stream;
    } else {
        end->bulk = stream;
    }
    if (end->pause) {
        rn_rpc_stream_pause(stream);
    }
}

static void end_message(void *user, struct rn_rpc_stream *stream, struct rn_view message)
{
    struct end *end = user;
    end->messages++;
    end->bytes += message.length;
    for (size_t i = 0; i < message.length; i++) {
        end->sum += message.data[i];
    }
    end->last_length = message.length < sizeof(end->last) ? message.length : sizeof(end->last);
    memcpy(end->last, message.data, end->last_length);
    if (end->echo) {
        assert_true(rn_is_ok(rn_rpc_stream_send(stream, message)));
    }
}

static void end_writable(void *user, struct rn_rpc_stream *stream)
{
    struct end *end = user;
    (void)stream;
    end->writable++;
}

static void end_closed(void *user, struct rn_rpc_stream *stream, const struct rn_rpc_end *how)
{
    struct end *end = user;
    end->closed++;
    end->ended = *how;
    end->session = end->session == stream ? NULL : end->session;
    end->bulk = end->bulk == stream ? NULL : end->bulk;
}

static void end_link_down(void *user, struct rn_rpc_link *link, const struct rn_rpc_end *how)
{
    struct end *end = user;
    (void)link;
    end->links_down++;
    end->down = *how;
    RN_BUG_IF(!rn_text_format(end->detail, sizeof(end->detail), "%s",
                              how->detail != NULL ? how->detail : ""));
}

static inline struct rn_rpc_config end_config(struct end *end)
{
    memset(end, 0, sizeof(*end));
    return (struct rn_rpc_config){
        .federation = "fed-a",
        .backoff_ms = 50,
        .callbacks = {.user = end,
                      .authorize = end_authorize,
                      .on_open = end_opened,
                      .on_message = end_message,
                      .on_writable = end_writable,
                      .on_closed = end_closed,
                      .on_link_down = end_link_down},
    };
}

static inline rn_result end_open_with(struct end *end, struct rn_rpc_config *config,
                                      const char *name, const char *ca, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer chain;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority;
    pem_read(name, ".key", &key);
    pem_read(name, ".crt", &chain);
    pem_read(ca, ".crt", &authority);
    config->material.key_pem = rn_buffer_view(&key);
    config->material.chain_pem = rn_buffer_view(&chain);
    config->material.ca_pem = rn_buffer_view(&authority);
    return rn_rpc_open(config, &end->rpc, err);
}

/* Dials nothing, listens nowhere yet. */
static inline void end_open(struct end *end, const char *name)
{
    struct rn_rpc_config config = end_config(end);
    struct rn_error err = {""};
    const rn_result result = end_open_with(end, &config, name, "ca", &err);
    if (!rn_is_ok(result)) {
        fail_msg("%s: %s", name, err.text);
    }
}

/* Listens on a free port of loopback (or on `port`) and starts. */
static inline void end_serve(struct end *end, const char *name, uint16_t port)
{
    struct rn_error err = {""};
    char address[64];
    if (end->rpc == NULL) {
        end_open(end, name);
    }
    RN_BUG_IF(!rn_text_format(address, sizeof(address), "127.0.0.1:%u", (unsigned)port));
    const rn_result result = rn_rpc_listen(end->rpc, address, &end->port, &err);
    if (!rn_is_ok(result)) {
        fail_msg("%s", err.text);
    }
    assert_true(rn_is_ok(rn_rpc_start(end->rpc, NULL)));
}

static inline void end_dial(struct end *end, uint16_t port, const char *expected, bool with_bulk)
{
    char target[64];
    RN_BUG_IF(!rn_text_format(target, sizeof(target), "127.0.0.1:%u", (unsigned)port));
    assert_true(rn_is_ok(rn_rpc_link(end->rpc, target, expected, with_bulk, &end->link, NULL)));
}

static inline void step_both(struct end *a, struct end *b)
{
    (void)rn_rpc_step(a->rpc, 2);
    if (b != NULL) {
        (void)rn_rpc_step(b->rpc, 2);
    }
}

/* Steps both ends (b may be NULL) until the condition holds. */
#define WAIT_FOR(a, b, condition)                                         \
    do {                                                                  \
        const uint64_t patience_ = rn_clock_monotonic_ms() + PATIENCE_MS; \
        while (!(condition)) {                                            \
            step_both((a), (b));                                          \
            if (rn_clock_monotonic_ms() > patience_) {                    \
                fail_msg("waited in vain for %s", #condition);            \
            }                                                             \
        }                                                                 \
    } while (0)

static inline void end_close(struct end *end)
{
    if (end->rpc != NULL) {
        rn_rpc_close(end->rpc);
        end->rpc = NULL;
    }
}

/* Closes a while b still answers, so that both see an orderly end. */
static inline void both_close(struct end *a, struct end *b)
{
    rn_rpc_stop(a->rpc, 0);
    WAIT_FOR(a, b, !rn_rpc_step(a->rpc, 0));
    assert_int_equal(rn_rpc_live_calls(a->rpc), 0);
    end_close(a);
    end_close(b);
}

#endif
