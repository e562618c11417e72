/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo status: asks a running coordinator or trainer, through the unix socket in its state
 * directory, where it stands.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "policy/site.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/rondo.h"
#include "services/rpc/rpc.h"

/* site.yaml is a page of text. */
#define SITE_FILE_MAX ((size_t)1 << 20)
#define SOCKET_NAME "admin.sock"

static rn_result socket_of(const char *directory, char out[static RN_PATH_MAX],
                           struct rn_error *err)
{
    char path[RN_PATH_MAX];
    char state[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_path_join(path, directory, "site.yaml", err));
    const rn_result read = rn_file_read(path, SITE_FILE_MAX, &text, err);
    if (!rn_is_ok(read)) {
        return rn_fail_context(err, read, "%s is no site directory", directory);
    }
    RN_CLEANUP(rn_free_cleanup) struct rn_site *site = rn_alloc(1, sizeof(*site));
    RN_TRY(rn_site_parse(rn_buffer_view(&text), path, site, err));
    RN_TRY(rn_site_path(state, directory, site->state, err));
    return rn_path_join(out, state, SOCKET_NAME, err);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

static unsigned long long number_of(const json_t *object, const char *key)
{
    return (unsigned long long)json_integer_value(json_object_get(object, key));
}

static void print_bytes(unsigned long long bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double amount = (double)bytes;
    size_t unit = 0;
    for (; amount >= 1000.0 && unit + 1 < RN_ARRAY_LENGTH(units); unit++) {
        amount /= 1000.0;
    }
    printf(unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
}

static void print_members(const json_t *members)
{
    size_t i = 0;
    json_t *member = NULL;
    printf("\n%-24s %-10s %s\n", "MEMBER", "CONNECTED", "SENT");
    json_array_foreach(members, i, member)
    {
        const bool connected = json_is_true(json_object_get(member, "connected"));
        printf("%-24s %-10s ", text_of(member, "name"), connected ? "yes" : "no");
        print_bytes(number_of(member, "uplink_bytes"));
        printf("\n");
    }
}

/* A service of before this field leaves it out. */
static void print_certificate(const json_t *certificate)
{
    const long long left =
        (long long)json_integer_value(json_object_get(certificate, "seconds_left"));
    if (certificate == NULL) {
        return;
    }
    printf("certificate %s %.10s", left < 0 ? "EXPIRED on" : "valid until",
           text_of(certificate, "expires"));
    if (left >= 0) {
        printf(left < 2 * 86400 ? ", %lld hours left" : ", %lld days left",
               left < 2 * 86400 ? left / 3600 : left / 86400);
    }
    printf("\n");
}

static void print_text(const json_t *status)
{
    const unsigned long long round = number_of(status, "round");
    const unsigned long long rounds = number_of(status, "rounds");
    printf("federation  %s\n", text_of(status, "federation"));
    printf("plan        %s\n", text_of(status, "plan"));
    const char *role = text_of(status, "role");
    const char *name = text_of(status, "name");
    printf("service     %s%s%s, version %s\n", role, strcmp(role, name) == 0 ? "" : " ",
           strcmp(role, name) == 0 ? "" : name, text_of(status, "version"));
    if (round > rounds) {
        printf("round       all %llu done\n", rounds);
    } else {
        printf("round       %llu of %llu, attempt %llu, stage %s\n", round, rounds,
               number_of(status, "attempt"), text_of(status, "stage"));
    }
    printf("adapter     %s\n", text_of(status, "adapter"));
    print_certificate(json_object_get(status, "certificate"));
    const json_t *members = json_object_get(status, "members");
    if (members != NULL) {
        print_members(members);
        return;
    }
    const bool connected = json_is_true(json_object_get(status, "connected"));
    const bool training = json_is_true(json_object_get(status, "training"));
    printf("coordinator %s\n", connected ? "connected" : "not connected");
    printf("training    %s\n", training ? "yes" : "no");
    printf("sent        ");
    print_bytes(number_of(status, "uplink_bytes"));
    printf("\n");
}

static void json_drop(json_t **value)
{
    json_decref(*value);
}

static rn_result show(const char *directory, uint32_t timeout_ms, bool json, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer answer = {0};
    RN_TRY(rn_rpc_setup(err));
    RN_TRY(socket_of(directory, path, err));
    RN_TRY(rn_rpc_local_admin(path, "status", timeout_ms, &answer, err));
    RN_CLEANUP(json_drop) json_t *status = json_loads(rn_buffer_text(&answer), 0, NULL);
    RN_ENSURE(json_is_object(status), err, RN_E_INTERNAL,
              "the service's answer is no JSON object: do both programs have the same version?");
    if (json) {
        (void)json_dumpf(status, stdout, JSON_COMPACT);
        printf("\n");
    } else {
        print_text(status);
    }
    RN_ENSURE(fflush(stdout) == 0, err, RN_E_IO, "cannot write to standard output");
    return rn_ok();
}

struct status_settings {
    uint64_t timeout_s;
};

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct status_settings *s = command->settings;
    const char *directory = command->operand_count > 0 ? command->operands[0] : ".";
    return show(directory, (uint32_t)s->timeout_s * 1000U, command->json, err);
}

static const struct rn_option options[] = {
    {"timeout", RN_OPT_COUNT(struct status_settings, timeout_s, "SECONDS"), .fallback = "5",
     RN_BOUNDS_TIMEOUT, .help = "how long to wait for the service's answer"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Service", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_status = {
    .name = "status",
    .summary = "ask a running coordinator or trainer where it stands",
    .groups = groups,
    .settings_size = sizeof(struct status_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 0, 1}},
    .exits = RN_EXITS(65, 66, 71, 75, 76, 77, 78),
    .detail = "DIR is the site directory that the service runs with; the current one when it is "
              "left out. The answer comes over a socket that only the service's user may open. "
              "Exit code 75 when the service is not running.",
    .examples = "  rondo status coordinator\n"
                "  rondo status /etc/rondo/hospital-a --format json",
    .run = run,
};
