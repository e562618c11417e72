/* SPDX-License-Identifier: Apache-2.0
 *
 * The unix socket (health, admin), health over TLS, and the loop itself: posted work, timers.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "services/rpc/rpc_methods.h"
#include "services/rpc/rpc_socket.h"
#include "tests/unit/services/rpc_raw.h"

static struct end server;
static bool healthy;
static atomic_uint umask_calls;

/* In front of the C library's. */
mode_t umask(mode_t mask)
{
    atomic_fetch_add(&umask_calls, 1);
    return (mode_t)syscall(SYS_umask, mask);
}

static bool is_serving(void *user)
{
    (void)user;
    return healthy;
}

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    (void)user;
    if (rn_view_equal(request, rn_view_text("large"))) {
        for (unsigned i = 0; i < 100000; i++) {
            rn_buffer_u8(answer, 'x');
        }
        return rn_ok();
    }
    if (!rn_view_equal(request, rn_view_text("status"))) {
        return (rn_result){RN_E_UNSUPPORTED};
    }
    rn_buffer_format(answer, "{\"round\":%d}", 7);
    return rn_ok();
}

static int server_up(void **state)
{
    (void)state;
    struct rn_rpc_config config = end_config(&server);
    config.callbacks.is_serving = is_serving;
    config.callbacks.admin = admin;
    healthy = true;
    assert_true(rn_is_ok(end_open_with(&server, &config, "coordinator", "ca", NULL)));
    RN_BUG_IF(!rn_text_format(server.socket_path, sizeof(server.socket_path), "%s/s.sock", certs));
    assert_true(rn_is_ok(rn_rpc_listen_local(server.rpc, server.socket_path, NULL)));
    end_serve(&server, "coordinator", 0);
    return 0;
}

static int server_down(void **state)
{
    (void)state;
    end_close(&server);
    assert_false(rn_file_exists(server.socket_path));
    return 0;
}

/* --- a blocking local call, while the server runs on this thread -------------------------------
 */

struct local {
    const char *text;
    bool health;
    rn_result result;
    struct rn_error err;
    struct rn_buffer out;
    bool serving;
    atomic_bool done;
};

static void *local_main(void *argument)
{
    struct local *local = argument;
    local->result = local->health ? rn_rpc_local_health(server.socket_path, local->text,
                                                        PATIENCE_MS, &local->serving, &local->err)
                                  : rn_rpc_local_admin(server.socket_path, local->text, PATIENCE_MS,
                                                       &local->out, &local->err);
    atomic_store(&local->done, true);
    return NULL;
}

static void local_call(struct local *local)
{
    pthread_t thread;
    local->serving = !healthy; /* so that it is the call that says it */
    atomic_store(&local->done, false);
    RN_BUG_IF(pthread_create(&thread, NULL, local_main, local) != 0);
    WAIT_FOR(&server, NULL, atomic_load(&local->done));
    RN_BUG_IF(pthread_join(thread, NULL) != 0);
}

static void test_health_local(void **state)
{
    (void)state;
    struct local local = {.text = "", .health = true};
    local_call(&local);
    assert_true(rn_is_ok(local.result));
    assert_true(local.serving);
    local.text = "rondo.v1.Federation";
    local_call(&local);
    assert_true(rn_is_ok(local.result));
    assert_true(local.serving);
    healthy = false;
    local_call(&local);
    assert_true(rn_is_ok(local.result));
    assert_false(local.serving);
    local.text = "rondo.v1.Nothing";
    local_call(&local);
    assert_int_equal(local.result.code, RN_E_NO_INPUT);
}

static void test_admin_local(void **state)
{
    (void)state;
    struct local local = {.text = "status"};
    local_call(&local);
    assert_true(rn_is_ok(local.result));
    assert_string_equal(rn_buffer_text(&local.out), "{\"round\":7}");
    rn_buffer_clear(&local.out);
    local.text = "large";
    local_call(&local);
    assert_true(rn_is_ok(local.result));
    assert_int_equal(local.out.length, 100000);
    rn_buffer_clear(&local.out);
    char longest[RN_RPC_ADMIN_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[RN_RPC_ADMIN_MAX + 1] = '\0';
    local.text = longest;
    local_call(&local);
    assert_int_equal(local.result.code, RN_E_USAGE);
    longest[RN_RPC_ADMIN_MAX] = '\0'; /* arrives, and is none that the service knows */
    local_call(&local);
    assert_int_equal(local.result.code, RN_E_UNSUPPORTED);
    local.text = "shutdown";
    local_call(&local);
    assert_int_equal(local.result.code, RN_E_UNSUPPORTED);
    assert_int_equal(local.out.length, 0);
    rn_buffer_clear(&local.out);
}

static void test_not_running(void **state)
{
    (void)state;
    struct rn_error err = {""};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    char path[RN_PATH_MAX];
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/none.sock", certs));
    assert_int_equal(rn_rpc_local_admin(path, "status", 1000, &out, &err).code, RN_E_UNAVAILABLE);
    assert_non_null(strstr(err.text, "not running"));
    /* A socket that a killed process left behind. */
    end_close(&server);
    const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    RN_BUG_IF(!rn_text_format(name.sun_path, sizeof(name.sun_path), "%s", path));
    assert_int_equal(bind(descriptor, (struct sockaddr *)(void *)&name, sizeof(name)), 0);
    close(descriptor);
    assert_int_equal(rn_rpc_local_admin(path, "status", 5000, &out, &err).code, RN_E_UNAVAILABLE);
    assert_non_null(strstr(err.text, "not running"));
    assert_int_equal(unlink(path), 0);
}

static void test_socket_file(void **state)
{
    (void)state;
    struct stat info;
    assert_int_equal(stat(server.socket_path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    /* A second service may not take the name away from a living one ... */
    struct end second;
    struct rn_error err = {""};
    end_open(&second, "coordinator");
    assert_int_equal(rn_rpc_listen_local(second.rpc, server.socket_path, &err).code, RN_E_BUSY);
    assert_int_equal(rn_rpc_listen_local(second.rpc, "/nonexistent/s.sock", &err).code,
                     RN_E_SYSTEM);
    char file[RN_RPC_SOCKET_FILE_MAX + 2];
    memset(file, 'x', sizeof(file));
    file[RN_RPC_SOCKET_FILE_MAX + 1] = '\0';
    assert_int_equal(rn_rpc_listen_local(second.rpc, file, &err).code, RN_E_CONFIG);
    assert_int_equal(rn_rpc_listen_local(second.rpc, "/tmp/a b", &err).code, RN_E_CONFIG);
    assert_int_equal(rn_rpc_listen_local(second.rpc, "/tmp/", &err).code, RN_E_CONFIG);
    /* ... but replaces what a dead one left. */
    char stale[RN_PATH_MAX];
    RN_BUG_IF(!rn_text_format(stale, sizeof(stale), "%s/stale.sock", certs));
    const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    RN_BUG_IF(!rn_text_format(name.sun_path, sizeof(name.sun_path), "%s", stale));
    assert_int_equal(bind(descriptor, (struct sockaddr *)(void *)&name, sizeof(name)), 0);
    close(descriptor);
    assert_true(rn_is_ok(rn_rpc_listen_local(second.rpc, stale, &err)));
    end_close(&second);
}

/* The socket is the user's own whatever the umask, which other threads' files lean on: it is left
 * alone. What a process that died half-way left behind is in nobody's way. */
static void test_umask_left_alone(void **state)
{
    (void)state;
    char path[RN_PATH_MAX];
    struct stat info;
    struct end second;
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/.u.sock.new", certs));
    assert_int_equal(mkdir(path, 0755), 0);
    const mode_t before = (mode_t)syscall(SYS_umask, 0);
    atomic_store(&umask_calls, 0);
    end_open(&second, "coordinator");
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/u.sock", certs));
    assert_true(rn_is_ok(rn_rpc_listen_local(second.rpc, path, NULL)));
    assert_int_equal(atomic_load(&umask_calls), 0);
    assert_int_equal(syscall(SYS_umask, before), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    end_close(&second);
    assert_false(rn_file_exists(path));
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/.u.sock.new", certs));
    assert_false(rn_file_exists(path));
}

/* A state directory deeper than a socket's name may be, with characters of a URI in it. */
static void test_long_socket_path(void **state)
{
    (void)state;
    char name[RN_RPC_SOCKET_FILE_MAX + 1];
    char path[RN_PATH_MAX];
    memset(name, 'y', RN_RPC_SOCKET_FILE_MAX);
    name[RN_RPC_SOCKET_FILE_MAX] = '\0';
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/a b%%20#c?d/%s/%s", certs, name, name));
    assert_true(rn_is_ok(rn_directory_make(path, 0700, NULL)));
    end_close(&server);
    end_open(&server, "coordinator");
    RN_BUG_IF(!rn_text_format(server.socket_path, sizeof(server.socket_path), "%s/%s", path, name));
    assert_true(strlen(server.socket_path) > 150);
    assert_true(rn_is_ok(rn_rpc_listen_local(server.rpc, server.socket_path, NULL)));
    assert_true(rn_is_ok(rn_rpc_start(server.rpc, NULL)));
    assert_true(rn_file_exists(server.socket_path));
    struct local local = {.text = "", .health = true};
    local_call(&local);
    assert_true(rn_is_ok(local.result));
    assert_true(local.serving);
}

/* A raw client on the unix socket: what may be called there. */
static void raw_connect_local(struct raw *raw)
{
    char target[RN_PATH_MAX + 8];
    memset(raw, 0, sizeof(*raw));
    RN_BUG_IF(!rn_text_format(target, sizeof(target), "unix:%s", server.socket_path));
    grpc_init();
    grpc_channel_credentials *credentials = grpc_local_credentials_create(UDS);
    raw->channel = grpc_channel_create(target, credentials, NULL);
    grpc_channel_credentials_release(credentials);
    raw->queue = grpc_completion_queue_create_for_next(NULL);
    raw->text = grpc_empty_slice();
    grpc_metadata_array_init(&raw->initial);
    grpc_metadata_array_init(&raw->trailing);
}

static void test_session_refused_on_socket(void **state)
{
    (void)state;
    struct raw raw;
    raw_connect_local(&raw);
    raw_begin(&raw, "/rondo.v1.Federation/Session", PATIENCE_MS, false);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_PERMISSION_DENIED);
    raw_begin(&raw, "/rondo.v1.Federation/Bulk", PATIENCE_MS, false);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_PERMISSION_DENIED);
    raw_begin(&raw, "/some.Other/Method", PATIENCE_MS, false);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_UNIMPLEMENTED);
    raw_close(&raw);
    assert_int_equal(server.authorized, 0);
}

/* Health answers members over TLS too; malformed requests are refused. */
static void test_health_over_tls(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t length;
        grpc_status_code status;
    } rows[] = {
        {"", 0, GRPC_STATUS_OK},
        {"\x0a\x00", 2, GRPC_STATUS_OK},
        {"\x10\x05", 2, GRPC_STATUS_OK}, /* an unknown field */
        {"\x0a\x03xyz", 5, GRPC_STATUS_NOT_FOUND},
        {"\x0a\x04xyz", 5, GRPC_STATUS_INVALID_ARGUMENT},
        {"\x0a\xff\xff\xff\xff\x0f", 6, GRPC_STATUS_INVALID_ARGUMENT},
        {"\xff", 1, GRPC_STATUS_INVALID_ARGUMENT},
    };
    struct raw raw;
    raw_connect(&raw, server.port, "alpha");
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        raw_begin(&raw, "/grpc.health.v1.Health/Check", PATIENCE_MS, false);
        raw_read(&raw);
        raw_write(&raw, rows[i].bytes, rows[i].length);
        assert_int_equal(raw_end(&raw, &server), rows[i].status);
    }
    /* The limit of the request, and one byte more. */
    uint8_t request[257] = {0x12, 0xfd, 0x01};
    raw_begin(&raw, "/grpc.health.v1.Health/Check", PATIENCE_MS, false);
    raw_read(&raw);
    raw_write(&raw, request, 256);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_OK);
    raw_begin(&raw, "/grpc.health.v1.Health/Check", PATIENCE_MS, false);
    raw_read(&raw);
    raw_write(&raw, request, 257);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_INVALID_ARGUMENT);
    /* No request at all. */
    raw_begin(&raw, "/grpc.health.v1.Health/Check", PATIENCE_MS, false);
    raw_half_close(&raw);
    assert_int_equal(raw_end(&raw, &server), GRPC_STATUS_INVALID_ARGUMENT);
    raw_close(&raw);
}

/* --- tables and environment --------------------------------------------------------------------
 */

/* Every rpc of rondo.proto has a row, and every row but health's stands there. */
static void test_methods_match_schema(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer schema = {0};
    assert_true(rn_is_ok(
        rn_file_read(RN_SOURCE_DIR "/services/wire/rondo.proto", (size_t)1 << 20, &schema, NULL)));
    char service[64] = "";
    char method[64];
    char path[160];
    unsigned found = 0;
    const char *line = rn_buffer_text(&schema);
    for (; line != NULL; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
        (void)sscanf(line, "service %63[A-Za-z]", service);
        if (sscanf(line, "  rpc %63[A-Za-z]", method) != 1) {
            continue;
        }
        RN_BUG_IF(!rn_text_format(path, sizeof(path), "/rondo.v1.%s/%s", service, method));
        unsigned rows = 0;
        for (unsigned i = 0; i < RN_RPC_METHODS; i++) {
            rows += strcmp(rn_rpc_methods[i].path, path) == 0 ? 1U : 0U;
        }
        assert_int_equal(rows, 1);
        found++;
    }
    assert_int_equal(found, RN_RPC_METHODS - 1);
}

static void test_environment(void **state)
{
    (void)state;
    assert_null(getenv("http_proxy"));
    assert_null(getenv("GRPC_TRACE"));
    assert_null(getenv("GRPC_VERBOSITY"));
    assert_null(getenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"));
}

/* --- the loop --------------------------------------------------------------------------------- */

#define POSTS 1000U

static unsigned posts_seen;
static bool posts_in_order;

static void on_post(void *argument)
{
    posts_in_order = posts_in_order && (uintptr_t)argument == posts_seen;
    posts_seen++;
}

static void *post_main(void *argument)
{
    struct rn_rpc *rpc = argument;
    for (uintptr_t i = 0; i < POSTS; i++) {
        RN_BUG_IF(!rn_rpc_post(rpc, on_post, (void *)i));
    }
    rn_rpc_stop(rpc, 0);
    return NULL;
}

/* The loop sleeps without a limit; another thread wakes it, feeds it, and stops it. */
static void test_post(void **state)
{
    (void)state;
    posts_seen = 0;
    posts_in_order = true;
    pthread_t thread;
    RN_BUG_IF(pthread_create(&thread, NULL, post_main, server.rpc) != 0);
    rn_rpc_run(server.rpc);
    RN_BUG_IF(pthread_join(thread, NULL) != 0);
    assert_false(rn_rpc_post(server.rpc, on_post, NULL));
    end_close(&server);
    assert_int_equal(posts_seen, POSTS);
    assert_true(posts_in_order);
}

static char timer_order[8];

static void on_timer(void *argument)
{
    const size_t length = strlen(timer_order);
    timer_order[length] = *(const char *)argument;
}

static void test_timers(void **state)
{
    (void)state;
    static char names[] = "abcd";
    memset(timer_order, 0, sizeof(timer_order));
    (void)rn_rpc_timer(server.rpc, 30, on_timer, &names[2]);
    (void)rn_rpc_timer(server.rpc, 0, on_timer, &names[0]);
    const uint64_t never = rn_rpc_timer(server.rpc, 10, on_timer, &names[3]);
    (void)rn_rpc_timer(server.rpc, 10, on_timer, &names[1]);
    assert_int_not_equal(never, 0);
    rn_rpc_timer_cancel(server.rpc, never);
    rn_rpc_timer_cancel(server.rpc, never);
    rn_rpc_timer_cancel(server.rpc, 0);
    WAIT_FOR(&server, NULL, strlen(timer_order) == 3);
    assert_string_equal(timer_order, "abc");
    (void)rn_rpc_timer(server.rpc, 60000, on_timer, &names[3]); /* freed unrun */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_up, server_down)

static const struct CMUnitTest tests[] = {
    TEST(test_health_local),
    TEST(test_admin_local),
    TEST(test_not_running),
    TEST(test_socket_file),
    TEST(test_long_socket_path),
    TEST(test_umask_left_alone),
    TEST(test_session_refused_on_socket),
    TEST(test_health_over_tls),
    TEST(test_post),
    TEST(test_timers),
    TEST(test_methods_match_schema),
    TEST(test_environment),
};

int main(void)
{
    /* What a hostile or careless environment holds; every test here runs after it. */
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("GRPC_TRACE", "all", 1);
    (void)setenv("GRPC_VERBOSITY", "DEBUG", 1);
    (void)setenv("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "/dev/null", 1);
    if (!rn_is_ok(rn_rpc_setup(NULL))) {
        return 1;
    }
    if (!certs_make()) {
        return 77;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    certs_remove();
    return failed;
}
