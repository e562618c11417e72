/* SPDX-License-Identifier: Apache-2.0
 *
 * Everything that must not get in: wrong certificates, wrong TLS, wrong methods, hostile messages,
 * peers that die. After each, the server still serves an honest peer.
 */
#include <fcntl.h>
#include <signal.h>

#include "tests/unit/services/rpc_raw.h"

#define SESSION "/rondo.v1.Federation/Session"

static struct end server;

static int server_up(void **state)
{
    (void)state;
    memset(&server, 0, sizeof(server));
    end_serve(&server, "coordinator", 0);
    server.echo = true;
    return 0;
}

/* An honest member gets an answer; then everything goes down without a call left. */
static int server_down(void **state)
{
    (void)state;
    struct end client;
    end_open(&client, "beta");
    end_dial(&client, server.port, COORDINATOR, false);
    WAIT_FOR(&server, &client, client.session != NULL);
    assert_true(rn_is_ok(rn_rpc_stream_send(client.session, rn_view_text("still well?"))));
    WAIT_FOR(&server, &client, client.messages == 1);
    rn_rpc_stop(client.rpc, 0);
    WAIT_FOR(&client, &server, !rn_rpc_step(client.rpc, 0));
    end_close(&client);
    rn_rpc_stop(server.rpc, 0);
    WAIT_FOR(&server, NULL, !rn_rpc_step(server.rpc, 0));
    assert_int_equal(rn_rpc_live_calls(server.rpc), 0);
    end_close(&server);
    return 0;
}

static grpc_status_code status_with(const char *certificate)
{
    struct raw raw;
    raw_connect(&raw, server.port, certificate);
    raw_begin(&raw, SESSION, PATIENCE_MS, false);
    const grpc_status_code status = raw_end(&raw, &server);
    raw_close(&raw);
    return status;
}

/* --- certificates ----------------------------------------------------------------------------- */

static void test_refused_at_handshake(void **state)
{
    (void)state;
    assert_int_equal(status_with(NULL), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(status_with("foreign"), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(status_with("expired"), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(status_with("future"), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(server.authorized, 0);
    assert_true(rn_rpc_core_log_count() > 0); /* counted, not printed */
}

static void test_refused_by_identity(void **state)
{
    (void)state;
    assert_int_equal(status_with("twouris"), GRPC_STATUS_PERMISSION_DENIED);
    assert_int_equal(status_with("nouri"), GRPC_STATUS_PERMISSION_DENIED);
    assert_int_equal(status_with("otherform"), GRPC_STATUS_PERMISSION_DENIED);
    assert_int_equal(status_with("otherfed"), GRPC_STATUS_PERMISSION_DENIED);
    assert_int_equal(server.authorized, 0);
}

static void test_refused_by_authorize(void **state)
{
    (void)state;
    server.allow = (rn_result){RN_E_PEER_REPLAY};
    assert_int_equal(status_with("alpha"), GRPC_STATUS_ALREADY_EXISTS);
    assert_int_equal(server.authorized, 1);
    assert_int_equal(server.opened, 0);
    struct end client;
    end_open(&client, "alpha");
    end_dial(&client, server.port, COORDINATOR, false);
    WAIT_FOR(&server, &client, client.links_down == 1);
    assert_int_equal(client.down.peer_said, RN_E_PEER_REPLAY);
    assert_int_equal(rn_class_of(client.down.result), RN_CLASS_RETRY);
    assert_int_equal(client.opened, 0);
    WAIT_FOR(&server, &client, client.links_down >= 5); /* each refusal is reported once */
    assert_in_range(server.authorized, client.links_down + 1, client.links_down + 2);
    server.allow = rn_ok();
    WAIT_FOR(&server, &client, client.opened == 1); /* it tried again by itself */
    end_close(&client);
}

/* A refusal that a person must lift: the link goes on asking, and comes back once it is lifted. */
static void test_refused_until_mended(void **state)
{
    (void)state;
    server.allow = (rn_result){RN_E_PEER_AUTH};
    struct end client;
    end_open(&client, "alpha");
    end_dial(&client, server.port, COORDINATOR, false);
    WAIT_FOR(&server, &client, client.links_down == 3);
    assert_int_equal(client.down.result.code, RN_E_PERMISSION);
    assert_int_equal(client.opened, 0);
    server.allow = rn_ok();
    WAIT_FOR(&server, &client, client.opened == 1);
    rn_rpc_link_drop(client.link);
    end_close(&client);
}

/* The dialling side pins whom it wants: another member's certificate of the same CA will not do. */
static void test_wrong_server(void **state)
{
    (void)state;
    struct end client;
    end_open(&client, "alpha");
    end_dial(&client, server.port, BETA, false);
    WAIT_FOR(&server, &client, client.links_down == 1);
    assert_int_equal(rn_class_of(client.down.result), RN_CLASS_RETRY);
    assert_int_equal(client.opened, 0);
    assert_int_equal(server.authorized, 0);
    end_close(&client);
}

static void test_server_of_foreign_ca(void **state)
{
    (void)state;
    struct end impostor;
    struct rn_rpc_config config = end_config(&impostor);
    assert_true(
        rn_is_ok(end_open_with(&impostor, &config, "foreigncoordinator", "foreignca", NULL)));
    end_serve(&impostor, "coordinator", 0);
    struct end client;
    end_open(&client, "alpha");
    end_dial(&client, impostor.port, COORDINATOR, false);
    WAIT_FOR(&impostor, &client, client.links_down == 1);
    assert_int_equal(client.opened, 0);
    assert_int_equal(impostor.authorized, 0);
    end_close(&client);
    end_close(&impostor);
}

/* Own material is checked before core sees it. */
static void test_own_material(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *ca;
        const char *says;
    } rows[] = {
        {"expired", "ca", "expired"},
        {"future", "ca", "not valid yet"},
        {"foreign", "ca", "does not lead to the federation's CA"},
        {"twouris", "ca", "exactly one URI"},
        {"nouri", "ca", "exactly one URI"},
        {"otherform", "ca", "spiffe://FEDERATION"},
        {"otherfed", "ca", "is for federation fed-b"},
        {"alpha", "beta", "no CA certificate"},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        struct end end;
        struct rn_rpc_config config = end_config(&end);
        struct rn_error err = {""};
        assert_int_equal(end_open_with(&end, &config, rows[i].name, rows[i].ca, &err).code,
                         RN_E_IDENTITY);
        assert_non_null(strstr(err.text, rows[i].says));
        assert_null(end.rpc);
    }
}

static void test_key_does_not_fit(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer chain;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority;
    pem_read("beta", ".key", &key);
    pem_read("alpha", ".crt", &chain);
    pem_read("ca", ".crt", &authority);
    struct end end;
    struct rn_error err = {""};
    struct rn_rpc_config config = end_config(&end);
    config.material = (struct rn_rpc_material){rn_buffer_view(&key), rn_buffer_view(&chain),
                                               rn_buffer_view(&authority)};
    assert_int_equal(rn_rpc_open(&config, &end.rpc, &err).code, RN_E_IDENTITY);
    assert_non_null(strstr(err.text, "does not belong"));
    /* The same on reload: the old pair stays in use. */
    assert_int_equal(rn_rpc_reload(server.rpc, &config.material, &err).code, RN_E_IDENTITY);
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer own_key;
    pem_read("alpha", ".key", &own_key);
    config.material.key_pem = rn_buffer_view(&own_key); /* fits, but names another site */
    assert_int_equal(rn_rpc_reload(server.rpc, &config.material, &err).code, RN_E_IDENTITY);
    assert_non_null(strstr(err.text, COORDINATOR));
    config.material.key_pem = rn_view_text("garbage");
    assert_int_equal(rn_rpc_open(&config, &end.rpc, &err).code, RN_E_IDENTITY);
    config.material.key_pem = rn_view_of(NULL, 0);
    assert_int_equal(rn_rpc_open(&config, &end.rpc, &err).code, RN_E_IDENTITY);
}

static void reload(struct end *end, const char *name)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer key;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer chain;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer authority;
    pem_read(name, ".key", &key);
    pem_read(name, ".crt", &chain);
    pem_read("ca", ".crt", &authority);
    const struct rn_rpc_material fresh = {rn_buffer_view(&key), rn_buffer_view(&chain),
                                          rn_buffer_view(&authority)};
    assert_true(rn_is_ok(rn_rpc_reload(end->rpc, &fresh, NULL)));
}

/* A replaced certificate serves new connections; the open session lives on. */
static void test_reload(void **state)
{
    (void)state;
    struct end member = {0};
    end_serve(&member, "alpha", 0);
    struct end first;
    end_open(&first, "coordinator");
    end_dial(&first, member.port, ALPHA, false);
    WAIT_FOR(&member, &first, first.session != NULL);
    reload(&member, "alpha2");
    struct end second;
    end_open(&second, "coordinator");
    end_dial(&second, member.port, ALPHA, false);
    WAIT_FOR(&member, &second, second.session != NULL);
    assert_memory_not_equal(first.peer.leaf_hash, second.peer.leaf_hash, RN_PEER_HASH_BYTES);
    member.echo = true;
    assert_true(rn_is_ok(rn_rpc_stream_send(first.session, rn_view_text("alive"))));
    WAIT_FOR(&member, &first, first.messages == 1);
    end_close(&second);
    end_close(&first);
    end_close(&member);
}

/* Every listening address of a server shows the new one. */
static void test_reload_on_each_address(void **state)
{
    (void)state;
    struct end member;
    uint16_t ports[2];
    struct end first;
    end_open(&member, "alpha");
    assert_true(rn_is_ok(rn_rpc_listen(member.rpc, "127.0.0.1:0", &ports[0], NULL)));
    end_serve(&member, "alpha", 0);
    ports[1] = member.port;
    end_open(&first, "coordinator");
    end_dial(&first, ports[0], ALPHA, false);
    WAIT_FOR(&member, &first, first.session != NULL);
    reload(&member, "alpha2");
    for (unsigned i = 0; i < 2; i++) {
        struct end second;
        end_open(&second, "coordinator");
        end_dial(&second, ports[i], ALPHA, false);
        WAIT_FOR(&member, &second, second.session != NULL);
        assert_memory_equal(second.peer.leaf_hash, rn_rpc_self(member.rpc)->leaf_hash,
                            RN_PEER_HASH_BYTES);
        end_close(&second);
    }
    end_close(&first);
    end_close(&member);
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* Runs the openssl command against the server while stepping it; its exit status. */
static int s_client(const char *version, const char *certificate)
{
    char address[64];
    char key[RN_PATH_MAX];
    char chain[RN_PATH_MAX];
    char ca[RN_PATH_MAX];
    RN_BUG_IF(!rn_text_format(address, sizeof(address), "127.0.0.1:%u", (unsigned)server.port) ||
              !rn_text_format(key, sizeof(key), "%s/%s.key", certs, certificate) ||
              !rn_text_format(chain, sizeof(chain), "%s/%s.crt", certs, certificate) ||
              !rn_text_format(ca, sizeof(ca), "%s/ca.crt", certs));
    const char *arguments[] = {
        "openssl", "s_client", "-connect", address, "-key",  key,  "-cert",
        chain,     "-CAfile",  ca,         version, "-alpn", "h2", "-verify_return_error",
        NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    pid_t child = 0;
    RN_BUG_IF(posix_spawnp(&child, arguments[0], &actions, NULL,
                           (char *const *)(uintptr_t)arguments, environ) != 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        (void)rn_rpc_step(server.rpc, 2);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_tls_versions(void **state)
{
    (void)state;
    assert_int_equal(s_client("-tls1_3", "alpha"), 0);
    assert_int_not_equal(s_client("-tls1_2", "alpha"), 0);
}

/* --- methods and messages --------------------------------------------------------------------- */

static void test_unknown_method(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, server.port, "alpha");
    for (unsigned i = 0; i < 5; i++) { /* the slot is armed again each time */
        raw_begin(&raw, "/rondo.v1.Federation/Nothing", PATIENCE_MS, false);
        assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_UNIMPLEMENTED);
    }
    raw_close(&raw);
}

/* Admin is for the unix socket alone, whoever asks. */
static void test_admin_from_outside(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, server.port, "coordinator");
    raw_begin(&raw, "/rondo.v1.Admin/Get", PATIENCE_MS, false);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_PERMISSION_DENIED);
    raw_close(&raw);
}

static void test_message_at_limit_and_beyond(void **state)
{
    (void)state;
    uint8_t *message = rn_alloc(RN_RPC_MESSAGE_MAX + 1, 1);
    struct raw raw;
    server.echo = false;
    raw_connect(&raw, server.port, "alpha");
    raw_begin(&raw, SESSION, PATIENCE_MS, false);
    raw_until(&raw, &server, raw_open);
    raw_write(&raw, message, RN_RPC_MESSAGE_MAX);
    raw_until(&raw, &server, raw_send);
    WAIT_FOR(&server, NULL, server.messages == 1);
    raw_write(&raw, message, RN_RPC_MESSAGE_MAX + 1);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(server.messages, 1);
    WAIT_FOR(&server, NULL, server.closed == 1);
    assert_false(server.ended.clean);
    raw_close(&raw);
    rn_free(message);
    server.echo = true;
}

static void test_compressed(void **state)
{
    (void)state;
    uint8_t *message = rn_alloc((size_t)1 << 16, 1);
    struct raw raw;
    raw_connect(&raw, server.port, "alpha");
    raw_begin(&raw, SESSION, PATIENCE_MS, true);
    raw_write(&raw, message, (size_t)1 << 16);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_UNIMPLEMENTED);
    assert_int_equal(server.messages, 0);
    raw_close(&raw);
    rn_free(message);
}

/* A half-close without data is an orderly end, and nothing more. */
static void test_half_close(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, server.port, "alpha");
    raw_begin(&raw, SESSION, PATIENCE_MS, false);
    raw_half_close(&raw);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_OK);
    WAIT_FOR(&server, NULL, server.closed == 1);
    assert_true(server.ended.clean);
    assert_false(server.ended.local);
    assert_int_equal(server.messages, 0);
    raw_close(&raw);
}

static void test_deadline(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, server.port, "alpha");
    raw_begin(&raw, SESSION, 3000, false);
    raw_until(&raw, &server, raw_open);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_DEADLINE_EXCEEDED);
    WAIT_FOR(&server, NULL, server.closed == 1);
    assert_false(server.ended.clean);
    raw_close(&raw);
}

static void test_cancel(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect(&raw, server.port, "alpha");
    raw_begin(&raw, SESSION, PATIENCE_MS, false);
    raw_until(&raw, &server, raw_open);
    raw_write(&raw, "x", 1);
    raw_until(&raw, &server, raw_send);
    WAIT_FOR(&server, NULL, server.messages == 1);
    grpc_call_cancel(raw.call, NULL);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_CANCELLED);
    WAIT_FOR(&server, NULL, server.closed == 1);
    assert_false(server.ended.clean);
    assert_int_equal(server.ended.result.code, RN_E_UNAVAILABLE);
    raw_close(&raw);
}

/* More metadata than 4 KiB never reaches a handler. */
static void test_long_method(void **state)
{
    (void)state;
    struct raw raw;
    char *method = rn_alloc(6001, 1);
    memset(method, 'x', 6000);
    method[0] = '/';
    raw_connect(&raw, server.port, "alpha");
    raw_begin(&raw, method, PATIENCE_MS, false);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_RESOURCE_EXHAUSTED);
    raw_close(&raw);
    rn_free(method);
}

/* 100 MiB in one message against a quota of 32 MiB: the stream dies, the process does not grow. */
static void test_quota(void **state)
{
    (void)state;
    struct end small;
    struct rn_rpc_config config = end_config(&small);
    config.quota_bytes = (size_t)32 << 20;
    assert_true(rn_is_ok(end_open_with(&small, &config, "coordinator", "ca", NULL)));
    end_serve(&small, "coordinator", 0);
    const size_t length = (size_t)100 << 20;
    uint8_t *message = rn_alloc(length, 1);
    struct raw raw;
    raw_connect(&raw, small.port, "alpha");
    raw_begin(&raw, SESSION, PATIENCE_MS, false);
    raw_until(&raw, &small, raw_open);
    raw_write(&raw, message, length);
    rn_free(message);
    assert_int_equal(raw_end(&raw, &small), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(small.messages, 0);
    raw_close(&raw);
    end_close(&small);
}

/* --- peers that die --------------------------------------------------------------------------- */

/* As a child: upload without end until killed. */
_Noreturn static void child_upload(const char *folder, const char *port)
{
    struct end client;
    (void)rn_text_format(certs, sizeof(certs), "%s", folder);
    end_open(&client, "alpha");
    end_dial(&client, (uint16_t)strtoul(port, NULL, 10), COORDINATOR, true);
    WAIT_FOR(&client, NULL, client.bulk != NULL);
    uint8_t *message = rn_alloc(RN_RPC_CHUNK_MAX, 1);
    for (;;) {
        while (rn_is_ok(rn_rpc_stream_send(client.bulk, rn_view_of(message, RN_RPC_CHUNK_MAX)))) {
        }
        (void)rn_rpc_step(client.rpc, 10);
    }
}

static void test_killed_in_upload(void **state)
{
    (void)state;
    char port[16];
    server.echo = false;
    RN_BUG_IF(!rn_text_format(port, sizeof(port), "%u", (unsigned)server.port));
    const char *arguments[] = {"/proc/self/exe", "upload", certs, port, NULL};
    pid_t child = 0;
    RN_BUG_IF(posix_spawn(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments,
                          environ) != 0);
    WAIT_FOR(&server, NULL, server.messages >= 3);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    WAIT_FOR(&server, NULL, server.closed == 2); /* session and bulk */
    assert_false(server.ended.clean);
    assert_int_equal(server.ended.result.code, RN_E_UNAVAILABLE);
    server.echo = true;
}

/* --- listening -------------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1:0", "[::1]:8443", "host.example:65535", "a:1"};
    static const char *const bad[] = {"",           "host",           "host:",      ":80",
                                      "host:70000", "host:080808",    "host:-1",    "::1:80",
                                      "[::1]",      "[::1]80",        "ho st:1",    "host:1x",
                                      "unix:/x:1",  "ipv4:1.2.3.4:5", "host:65536", "h/x:1"};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(good); i++) {
        assert_true(rn_is_ok(rn_rpc_address_check(good[i], true, NULL)));
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        if (rn_is_ok(rn_rpc_address_check(bad[i], true, NULL))) {
            fail_msg("accepted %s", bad[i]);
        }
    }
    assert_int_equal(rn_rpc_address_check("a:0", false, NULL).code, RN_E_CONFIG);
    char text[RN_RPC_ADDRESS_MAX + 2];
    memset(text, 'a', sizeof(text));
    (void)rn_text_format(text + RN_RPC_ADDRESS_MAX - 2, 4, ":1");
    assert_true(rn_is_ok(rn_rpc_address_check(text, true, NULL)));
    memset(text, 'a', sizeof(text));
    (void)rn_text_format(text + RN_RPC_ADDRESS_MAX - 2, 4, "a:1");
    assert_int_equal(rn_rpc_address_check(text, true, NULL).code, RN_E_CONFIG);
}

static void test_port_in_use(void **state)
{
    (void)state;
    struct end second;
    end_open(&second, "coordinator");
    char address[64];
    struct rn_error err = {""};
    RN_BUG_IF(!rn_text_format(address, sizeof(address), "127.0.0.1:%u", (unsigned)server.port));
    assert_int_equal(rn_rpc_listen(second.rpc, address, NULL, &err).code, RN_E_BUSY);
    assert_non_null(strstr(err.text, "in use"));
    assert_non_null(strstr(err.text, address));
    assert_int_equal(rn_rpc_listen(second.rpc, "192.0.2.1:0", NULL, &err).code, RN_E_SYSTEM);
    assert_non_null(strstr(err.text, "192.0.2.1"));
    /* The failed end can still listen elsewhere, and closes cleanly without a start. */
    assert_true(rn_is_ok(rn_rpc_listen(second.rpc, "127.0.0.1:0", NULL, &err)));
    end_close(&second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_up, server_down)

static const struct CMUnitTest tests[] = {
    TEST(test_refused_at_handshake),
    TEST(test_refused_by_identity),
    TEST(test_refused_by_authorize),
    TEST(test_refused_until_mended),
    TEST(test_wrong_server),
    TEST(test_server_of_foreign_ca),
    TEST(test_own_material),
    TEST(test_key_does_not_fit),
    TEST(test_reload),
    TEST(test_reload_on_each_address),
    TEST(test_tls_versions),
    TEST(test_unknown_method),
    TEST(test_admin_from_outside),
    TEST(test_message_at_limit_and_beyond),
    TEST(test_compressed),
    TEST(test_half_close),
    TEST(test_deadline),
    TEST(test_cancel),
    TEST(test_long_method),
    TEST(test_quota),
    TEST(test_killed_in_upload),
    TEST(test_addresses),
    TEST(test_port_in_use),
};

int main(int argc, char **argv)
{
    if (!rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    if (argc == 4 && strcmp(argv[1], "upload") == 0) {
        child_upload(argv[2], argv[3]);
    }
    if (!certs_make()) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
