/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo status and `rondo-coordinator --health` against a service of this test's making: the
 * command runs as a child process.
 */
#include <fcntl.h>

#include "services/cli/kit/program.h"
#include "services/cli/rondo.h"
#include "services/coordinator/coordinatorservice.h"
#include "tests/unit/services/rpc_fixture.h"

static struct end service;
static const char *reply;
static bool serving;
static char site[RN_PATH_MAX];

static const char site_yaml[] = "version: 1\n"
                                "role: coordinator\n"
                                "federation: fed-a\n"
                                "name: coordinator\n"
                                "network:\n"
                                "  direction: listen\n"
                                "  listen: \"127.0.0.1:0\"\n"
                                "state: \"state\"\n"
                                "model: \"/nonexistent\"\n"
                                "compute:\n"
                                "  backend: cpu\n"
                                "  threads: 1\n"
                                "log:\n"
                                "  format: text\n"
                                "  level: info\n";

static rn_result admin(void *user, struct rn_view request, struct rn_buffer *answer)
{
    (void)user;
    assert_true(rn_view_equal(request, rn_view_text("status")));
    rn_buffer_format(answer, "%s", reply);
    return rn_ok();
}

static bool is_serving(void *user)
{
    (void)user;
    return serving;
}

static void site_make(const char *yaml)
{
    char path[RN_PATH_MAX];
    RN_BUG_IF(!rn_text_format(site, sizeof(site), "%s/site", certs) ||
              !rn_text_format(path, sizeof(path), "%s/state", site));
    assert_true(rn_is_ok(rn_directory_make(path, 0700, NULL)));
    RN_BUG_IF(!rn_text_format(path, sizeof(path), "%s/site.yaml", site));
    assert_true(rn_is_ok(rn_file_write(path, rn_view_text(yaml), 0644, NULL)));
}

static int service_up(void **state)
{
    (void)state;
    struct rn_rpc_config config = end_config(&service);
    config.callbacks.admin = admin;
    config.callbacks.is_serving = is_serving;
    site_make(site_yaml);
    RN_BUG_IF(!rn_text_format(service.socket_path, sizeof(service.socket_path),
                              "%s/state/admin.sock", site));
    assert_true(rn_is_ok(end_open_with(&service, &config, "coordinator", "ca", NULL)));
    assert_true(rn_is_ok(rn_rpc_listen_local(service.rpc, service.socket_path, NULL)));
    assert_true(rn_is_ok(rn_rpc_start(service.rpc, NULL)));
    return 0;
}

static int service_down(void **state)
{
    (void)state;
    end_close(&service);
    return 0;
}

/* Runs the command while stepping the service; its exit code, and what it printed on both outputs.
 */
static int run_child(const char *const *arguments, struct rn_buffer *out)
{
    char output[RN_PATH_MAX];
    RN_BUG_IF(!rn_text_format(output, sizeof(output), "%s/output", certs));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child = 0;
    RN_BUG_IF(posix_spawn(&child, arguments[0], &actions, NULL, (char *const *)(uintptr_t)arguments,
                          environ) != 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if (service.rpc != NULL) {
            (void)rn_rpc_step(service.rpc, 2);
        }
    }
    rn_buffer_clear(out);
    assert_true(rn_is_ok(rn_file_read(output, (size_t)1 << 20, out, NULL)));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run_status(const char *directory, const char *format, struct rn_buffer *out)
{
    return run_child(
        (const char *[]){"/proc/self/exe", "status", directory, "--format", format, NULL}, out);
}

static int run_health(const char *directory, const char *option, struct rn_buffer *out)
{
    return run_child((const char *[]){"/proc/self/exe", "--health", directory, option, NULL}, out);
}

static void test_coordinator(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    reply = "{\"role\":\"coordinator\",\"name\":\"coordinator\",\"federation\":\"fed-a\","
            "\"plan\":\"p\",\"version\":\"1\",\"round\":3,\"rounds\":8,\"attempt\":2,"
            "\"skipped\":1,\"stage\":\"R2\",\"stage_name\":\"upload\",\"stage_age_ms\":190000,"
            "\"adapter\":\"ab\",\"members\":["
            "{\"name\":\"alpha\",\"connected\":true,\"missing\":true,\"since_ms\":5000,"
            "\"why\":\"ok\",\"uplink_bytes\":1234567},"
            "{\"name\":\"gamma\",\"connected\":true,\"declined\":true,\"since_ms\":8000000,"
            "\"why\":\"refused\",\"uplink_bytes\":0},"
            "{\"name\":\"delta\",\"connected\":true,\"stranded\":true,\"since_ms\":1000,"
            "\"why\":\"ok\",\"uplink_bytes\":0},"
            "{\"name\":\"iota\",\"connected\":true,\"blamed\":true,\"declined\":true,"
            "\"since_ms\":1000,\"why\":\"ok\",\"uplink_bytes\":0},"
            "{\"name\":\"beta\",\"connected\":false,\"missing\":true,\"uplink_bytes\":12}]}";
    assert_int_equal(run_status(site, "text", &out), 0);
    assert_non_null(
        strstr(rn_buffer_text(&out), "3 of 8, attempt 2, upload for 3 min, 1 skipped\n"));
    assert_non_null(strstr(rn_buffer_text(&out), "waits for   alpha, beta\n"));
    assert_non_null(strstr(rn_buffer_text(&out), "0 B  takes no part in this round (refused)\n"));
    assert_non_null(strstr(rn_buffer_text(&out), "2 h "));
    assert_non_null(strstr(rn_buffer_text(&out), "0 B  stranded: what it misses is not kept"));
    assert_non_null(strstr(rn_buffer_text(&out), "0 B  BLAMED: it signed a false share"));
    assert_non_null(strstr(rn_buffer_text(&out), "1.2 MB"));
    assert_non_null(strstr(rn_buffer_text(&out), "12 B  waited for\n"));
    assert_int_equal(run_status(site, "json", &out), 0);
    assert_string_equal(rn_buffer_text(&out) + strlen(reply), "\n");
    assert_memory_equal(rn_buffer_text(&out), reply, strlen(reply));
}

static void test_member(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    reply = "{\"role\":\"member\",\"name\":\"alpha\",\"federation\":\"fed-a\",\"round\":9,"
            "\"rounds\":8,\"connected\":true,\"training\":false,\"uplink_bytes\":0}";
    assert_int_equal(run_status(site, "text", &out), 0);
    assert_non_null(strstr(rn_buffer_text(&out), "member alpha"));
    assert_non_null(strstr(rn_buffer_text(&out), "all 8 done"));
    assert_non_null(strstr(rn_buffer_text(&out), "coordinator connected"));
    assert_null(strstr(rn_buffer_text(&out), "ledger")); /* a service of before the field */
    reply = "{\"role\":\"member\",\"name\":\"alpha\",\"ledger\":{\"jobs\":3,\"jobs_max\":2,"
            "\"models\":[{\"model\":\"0123456789abcdef01\",\"jobs\":2},"
            "{\"model\":\"fedcba9876543210fe\",\"jobs\":1}]}}";
    assert_int_equal(run_status(site, "text", &out), 0);
    assert_non_null(strstr(rn_buffer_text(&out),
                           "ledger      updates went into 3 job(s), at most 2 over one base model\n"
                           "            2 over base model 0123456789abcdef...\n"
                           "            1 over base model fedcba9876543210...\n"));
    reply = "{\"role\":\"member\",\"name\":\"alpha\",\"staying\":true,\"version\":\"1\"}";
    assert_int_equal(run_status(site, "text", &out), 0);
    assert_non_null(strstr(rn_buffer_text(&out), "version 1, stays: the job is done\n"));
}

static void test_strange_answers(void **state)
{
    (void)state;
    static const char *const answers[] = {"", "[1]", "{\"round\":", "{\"round\":1}x", "null"};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(answers); i++) {
        reply = answers[i];
        assert_int_equal(run_status(site, "text", &out), 70);
    }
    reply = "{}"; /* an older service that says less */
    assert_int_equal(run_status(site, "text", &out), 0);
}

static void test_not_there(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    end_close(&service);
    assert_int_equal(run_status(site, "text", &out), 75);
    assert_non_null(strstr(rn_buffer_text(&out), "not running"));
    assert_int_equal(run_status(site, "json", &out), 75);
    assert_non_null(strstr(rn_buffer_text(&out), "\"error\""));
    assert_int_equal(run_status(certs, "text", &out), 66);
    assert_non_null(strstr(rn_buffer_text(&out), "no site's directory"));
    site_make("version: 1\nrole: nobody\n");
    assert_int_equal(run_status(site, "text", &out), 78);
    assert_non_null(strstr(rn_buffer_text(&out), "site.yaml"));
}

static void test_health(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer out = {0};
    serving = true;
    assert_int_equal(run_health(site, NULL, &out), 0);
    assert_string_equal(rn_buffer_text(&out), "serving\n");
    assert_int_equal(run_health(site, "--quiet", &out), 0);
    assert_int_equal(out.length, 0);
    serving = false;
    assert_int_equal(run_health(site, NULL, &out), 75);
    assert_non_null(strstr(rn_buffer_text(&out), "not serving\n"));
    assert_non_null(strstr(rn_buffer_text(&out), "does not serve"));
    assert_int_equal(run_health(certs, NULL, &out), 66);
    assert_non_null(strstr(rn_buffer_text(&out), "no site's directory"));
    end_close(&service);
    assert_int_equal(run_health(site, NULL, &out), 75);
    assert_non_null(strstr(rn_buffer_text(&out), "not running"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, service_up, service_down)

static const struct CMUnitTest tests[] = {
    TEST(test_coordinator), TEST(test_member), TEST(test_strange_answers),
    TEST(test_not_there),   TEST(test_health),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--health") == 0) {
        return rn_program_main(&rn_program_coordinator, argc, argv);
    }
    if (argc > 1) {
        return rn_command_run(&rn_program_rondo, &rn_cmd_status, argc - 1, argv + 1);
    }
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
