/* SPDX-License-Identifier: Apache-2.0
 *
 * What takes seconds: frozen peers on either side, a session on which nobody speaks, and many
 * uploads at once against a small quota. With RONDO_LONG longer and more.
 */
#include <signal.h>

#include "tests/unit/services/rpc_fixture.h"

#define KEEPALIVE_MS 1000U
#define UPLOADS_MAX 32U

static unsigned uploads = 8;
static unsigned messages_each = 6;
static unsigned silent_keepalives = 6; /* core forgives two pings that come too soon */

static void open_alert(struct end *end, const char *name)
{
    struct rn_rpc_config config = end_config(end);
    config.keepalive_ms = KEEPALIVE_MS;
    assert_true(rn_is_ok(end_open_with(end, &config, name, "ca", NULL)));
}

/* --- frozen peers ------------------------------------------------------------------------------
 */

static pid_t child_start(const char *role, const char *port)
{
    const char *arguments[] = {"/proc/self/exe", role, certs, port, NULL};
    pid_t child = 0;
    RN_BUG_IF(posix_spawn(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments,
                          environ) != 0);
    return child;
}

static void child_end(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void port_path(char out[static RN_PATH_MAX])
{
    RN_BUG_IF(!rn_text_format(out, RN_PATH_MAX, "%s/port", certs));
}

/* As a child: serve, say on which port, or dial, until killed. */
_Noreturn static void child_main(char **argv)
{
    struct end end;
    (void)rn_text_format(certs, sizeof(certs), "%s", argv[2]);
    open_alert(&end, strcmp(argv[1], "serve") == 0 ? "coordinator" : "alpha");
    if (strcmp(argv[1], "serve") == 0) {
        char path[RN_PATH_MAX];
        end_serve(&end, "coordinator", 0);
        port_path(path);
        RN_BUG_IF(
            !rn_is_ok(rn_file_write(path, rn_view_of(&end.port, sizeof(end.port)), 0600, NULL)));
    } else {
        end_dial(&end, (uint16_t)strtoul(argv[3], NULL, 10), COORDINATOR, false);
    }
    for (;;) {
        (void)rn_rpc_step(end.rpc, 1000);
    }
}

/* case 10. Stopped, not ended: no packet says so, only keepalive notices. Both sides at once. */
static void test_frozen_peers(void **state)
{
    (void)state;
    struct end server;
    struct end client;
    char port[16];
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other_port = {0};
    open_alert(&server, "coordinator");
    end_serve(&server, "coordinator", 0);
    RN_BUG_IF(!rn_text_format(port, sizeof(port), "%u", (unsigned)server.port));
    const pid_t dialler = child_start("dial", port);
    const pid_t listener = child_start("serve", "0");
    port_path(path);
    open_alert(&client, "alpha");
    WAIT_FOR(&client, &server, rn_file_exists(path));
    assert_true(rn_is_ok(rn_file_read(path, 2, &other_port, NULL)));
    end_dial(&client, *(const uint16_t *)(const void *)other_port.data, COORDINATOR, false);
    WAIT_FOR(&client, &server, client.opened == 1 && server.opened == 1);
    assert_int_equal(kill(dialler, SIGSTOP), 0);
    assert_int_equal(kill(listener, SIGSTOP), 0);
    WAIT_FOR(&client, &server, client.closed == 1 && server.closed == 1);
    assert_false(server.ended.clean);
    assert_int_equal(server.ended.result.code, RN_E_UNAVAILABLE);
    assert_false(client.ended.clean);
    assert_int_equal(rn_class_of(client.ended.result), RN_CLASS_RETRY);
    child_end(dialler);
    child_end(listener);
    end_close(&client);
    end_close(&server);
}

static bool silence_is_outlived(void)
{
    struct end server;
    struct end client;
    open_alert(&server, "coordinator");
    end_serve(&server, "coordinator", 0);
    open_alert(&client, "alpha");
    end_dial(&client, server.port, COORDINATOR, false);
    WAIT_FOR(&server, &client, client.session != NULL && server.session != NULL);
    const uint64_t until = rn_clock_monotonic_ms() + silent_keepalives * KEEPALIVE_MS;
    WAIT_FOR(&server, &client, rn_clock_monotonic_ms() > until);
    const bool lived = client.closed == 0 && server.closed == 0;
    end_close(&client);
    end_close(&server);
    return lived;
}

/* A session on which nobody says anything outlives many keepalives; a machine that stands still for
 * as long as an answer may take can end one, but not each. */
static void test_silent_session(void **state)
{
    (void)state;
    bool lived = false;
    for (unsigned i = 0; i < 5 && !lived; i++) {
        lived = silence_is_outlived();
    }
    assert_true(lived);
}

/* --- many uploads ----------------------------------------------------------------------------- */

static struct end clients[UPLOADS_MAX];
static unsigned pushed[UPLOADS_MAX];
static struct rn_rpc_stream *paused[UPLOADS_MAX];
static unsigned paused_count;

static void hold(void *user, struct rn_rpc_stream *stream)
{
    struct end *end = user;
    end->opened++;
    if (rn_rpc_stream_kind(stream) == RN_RPC_BULK) {
        rn_rpc_stream_pause(stream);
        paused[paused_count++] = stream;
    }
}

static void push_all(const uint8_t *chunk)
{
    for (unsigned i = 0; i < uploads; i++) {
        (void)rn_rpc_step(clients[i].rpc, 0);
        while (clients[i].bulk != NULL && pushed[i] < messages_each &&
               rn_is_ok(rn_rpc_stream_send(clients[i].bulk, rn_view_of(chunk, RN_RPC_CHUNK_MAX)))) {
            pushed[i]++;
        }
    }
}

/* case 10. The server reads nobody until all of them have filled their windows, then everybody. */
static void test_many_uploads(void **state)
{
    (void)state;
    struct end server;
    struct rn_rpc_config config = end_config(&server);
    config.quota_bytes = ((size_t)32 << 20) + 2 * uploads * (RN_RPC_CHUNK_MAX + 65536);
    config.callbacks.on_open = hold;
    assert_true(rn_is_ok(end_open_with(&server, &config, "coordinator", "ca", NULL)));
    end_serve(&server, "coordinator", 0);
    for (unsigned i = 0; i < uploads; i++) {
        end_open(&clients[i], "alpha");
        end_dial(&clients[i], server.port, COORDINATOR, true);
    }
    uint8_t *chunk = rn_alloc(RN_RPC_CHUNK_MAX, 1);
    const uint64_t patience = rn_clock_monotonic_ms() + 3 * PATIENCE_MS;
    bool resumed = false;
    unsigned rounds = 0;
    while (server.messages < uploads * messages_each && rn_clock_monotonic_ms() < patience) {
        (void)rn_rpc_step(server.rpc, 1);
        push_all(chunk);
        if (paused_count == uploads && !resumed && ++rounds > 300) {
            for (unsigned i = 0; i < uploads; i++) {
                rn_rpc_stream_resume(paused[i]);
            }
            resumed = true;
        }
    }
    rn_free(chunk);
    assert_int_equal(server.messages, uploads * messages_each);
    assert_int_equal(server.closed, 0);
    for (unsigned i = 0; i < uploads; i++) {
        assert_int_equal(clients[i].closed, 0);
        end_close(&clients[i]);
    }
    end_close(&server);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_frozen_peers),
    cmocka_unit_test(test_silent_session),
    cmocka_unit_test(test_many_uploads),
};

int main(int argc, char **argv)
{
    if (!rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    if (argc == 4) {
        child_main(argv);
    }
    if (getenv("RONDO_LONG") != NULL) {
        uploads = UPLOADS_MAX;
        messages_each = 12;
        silent_keepalives = 12;
    }
    if (!certs_make()) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
