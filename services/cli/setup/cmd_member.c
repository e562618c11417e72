/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo member list|renew|remove: the operator's members after they have joined.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/guard.h"
#include "crypto/fingerprint.h"
#include "crypto/setup.h"
#include "crypto/tlspolicy.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/enrol.h"
#include "services/host/adminsocket.h"

#define STATUS_MS 2000
#define NAMES_BYTES ((size_t)RN_ROSTER_MEMBERS_MAX * (RN_NAME_MAX + 2))

/* Opens the operator's directory. */
static rn_result operator_open(const char *directory, struct rn_setup **out, struct rn_error *err)
{
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_setup_open(directory, out, err));
    RN_ENSURE((*out)->site.role == RN_SITE_COORDINATOR, err, RN_E_USAGE,
              "%s is a member's directory; the members are in the operator's", directory);
    RN_ENSURE((*out)->has_roster, err, RN_E_NO_INPUT,
              "%s has no members yet: accept their requests first (rondo invite --accept)",
              directory);
    return rn_ok();
}

/* ---- list. */

struct member_row {
    const char *name;
    char key[65];
    char fingerprint[RN_FINGERPRINT_KEY_TEXT]; /* of the key */
    char until[11];        /* last day of the certificate, "" when it cannot be read */
    const char *connected; /* "yes", "no", "-" when no coordinator answers here */
};

static void certificate_until(const struct rn_setup *setup, const char *name, char out[static 11])
{
    char file[128];
    struct rn_tls_leaf leaf;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    out[0] = '\0';
    RN_BUG_IF(!rn_text_format(file, sizeof file, "members/%s.crt", name));
    if (rn_is_ok(rn_setup_read(setup->directory, file, RN_SETUP_PEM_MAX, &text, NULL)) &&
        rn_is_ok(rn_tls_leaf_read(rn_buffer_view(&text), &leaf, NULL))) {
        rn_date_format(out, (uint32_t)(leaf.not_after_ms / RN_DAY_MS));
    }
}

/* The status of a coordinator that runs here; NULL when none answers. */
static json_t *status_ask(const char *directory)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer answer = {0};
    return rn_is_ok(rn_adminsocket_ask(directory, "status", STATUS_MS, &answer, NULL))
               ? json_loads(rn_buffer_text(&answer), 0, NULL)
               : NULL;
}

static const char *connected_word(const json_t *status, const char *name)
{
    size_t i = 0;
    json_t *member = NULL;
    json_array_foreach(json_object_get(status, "members"), i, member)
    {
        const char *at = json_string_value(json_object_get(member, "name"));
        if (at != NULL && strcmp(at, name) == 0) {
            return json_is_true(json_object_get(member, "connected")) ? "yes" : "no";
        }
    }
    return "-";
}

static void list_text(const struct member_row *rows, size_t count, const char *pending,
                      const char *fingerprint)
{
    printf("%-20s %-11s %-10s %s\n", "MEMBER", "CERTIFICATE", "CONNECTED",
           "FINGERPRINT OF ITS KEY");
    for (size_t i = 0; i < count; i++) {
        printf("%-20s %-11s %-10s %s\n", rows[i].name,
               rows[i].until[0] == '\0' ? "-" : rows[i].until, rows[i].connected,
               rows[i].fingerprint);
    }
    if (count > 0) {
        printf("\nFingerprint of the roster: %s\n", fingerprint);
    }
    if (pending[0] != '\0') {
        printf("\nOpen invitations: %s\n", pending);
    }
}

static rn_result list_json(const struct member_row *rows, size_t count, const char *pending,
                           const char *fingerprint, struct rn_error *err)
{
    json_t *members = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *connected = rows[i].connected[0] == '-'
                                ? json_null()
                                : json_boolean(strcmp(rows[i].connected, "yes") == 0);
        (void)json_array_append_new(
            members, json_pack("{s:s, s:s, s:s, s:s, s:o}", "name", rows[i].name, "key",
                               rows[i].key, "fingerprint", rows[i].fingerprint, "certificate_until",
                               rows[i].until, "connected", connected));
    }
    return rn_json_print(json_pack("{s:o, s:s, s:s}", "members", members, "pending_names", pending,
                                   "fingerprint", fingerprint),
                         err);
}

static rn_result list_run(struct rn_command *command, struct rn_error *err)
{
    size_t open_count = 0;
    char pending[NAMES_BYTES];
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(operator_open(command->operands[0], &setup, err));
    RN_TRY(rn_enrol_pending(setup->directory, &open_count, pending, sizeof pending, err));
    const size_t count = setup->roster.count;
    RN_CLEANUP(rn_free_cleanup) struct member_row *rows = rn_alloc(count, sizeof *rows);
    json_t *status = status_ask(setup->directory);
    for (size_t i = 0; i < count; i++) {
        const struct rn_roster_member *member = &setup->roster.members[i];
        rows[i].name = member->name;
        rows[i].connected = connected_word(status, member->name);
        rn_hex_encode(rows[i].key, member->key.bytes, sizeof member->key.bytes);
        rn_fingerprint_key(&member->key, rows[i].fingerprint);
        certificate_until(setup, member->name, rows[i].until);
    }
    json_decref(status);
    char fingerprint[RN_FINGERPRINT_ROSTER_TEXT] = "";
    if (count > 0) {
        rn_fingerprint_roster(&setup->roster, fingerprint);
    }
    if (command->json) {
        return list_json(rows, count, pending, fingerprint, err);
    }
    list_text(rows, count, pending, fingerprint);
    return rn_ok();
}

const struct rn_command_def rn_cmd_member_list = {
    .name = "member list",
    .summary = "the members: identity keys, certificates, who is connected",
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 71, 78),
    .detail = "DIR is the operator's directory. CERTIFICATE is the last day of the one that was "
              "issued; CONNECTED is known while the coordinator runs on this machine. Members "
              "compare the roster's fingerprint among themselves, over another channel, before "
              "they join with it.",
    .examples = "  rondo member list consortium\n  rondo member list consortium --format json",
    .run = list_run,
};

/* ---- renew. */

struct renew_settings {
    uint64_t days;
};

static rn_result renew_run(struct rn_command *command, struct rn_error *err)
{
    const struct renew_settings *s = command->settings;
    const char *directory = command->operands[0];
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(rn_setup_lock(directory, &lock, err));
    RN_TRY(operator_open(directory, &setup, err));
    RN_TRY(rn_enrol_renew(setup, command->operands + 1, command->operand_count - 1,
                          rn_clock_wall_ms(), (uint32_t)s->days, err));
    if (command->json) {
        printf("{\"renewed\":%zu,\"days\":%u}\n",
               command->operand_count > 1 ? command->operand_count - 1 : setup->roster.count + 1,
               (unsigned)s->days);
    } else if (!command->quiet) {
        char word[RN_SHELL_WORD_MAX];
        printf("Issued certificates for %u days. Roster, plan, signatures and state stay as they "
               "are.\n\nNext:\n"
               "  1. send each member its file of %s/renewals\n"
               "  2. each member: rondo join NAME.renewal --dir DIR\n",
               (unsigned)s->days, rn_shell_word(directory, word));
    }
    return rn_ok();
}

static const struct rn_option renew_options[] = {
    {"days", RN_OPT_COUNT(struct renew_settings, days, "N"), .fallback = "365", .least = 1,
     .most = 3650, .help = "how long certificates are valid"},
    {NULL}};

static const struct rn_option_group renew_groups[] = {{"Certificates", renew_options, 0}, {NULL}};

const struct rn_command_def rn_cmd_member_renew = {
    .name = "member renew",
    .summary = "new certificates; roster, plan and job go on",
    .groups = renew_groups,
    .settings_size = sizeof(struct renew_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}, {"NAME", RN_OPTION_TEXT, 0, RN_OPERANDS_MAX}},
    .exits = RN_EXITS(65, 66, 71, 75, 77, 78, 80),
    .detail = "For the named members, for \"coordinator\", or without names for everybody: from "
              "the requests that were accepted. The same as rondo invite --renew.",
    .examples = "  rondo member renew consortium\n"
                "  rondo member renew consortium north coordinator --days 90",
    .run = renew_run,
};

/* ---- remove. */

static rn_result remove_report(const struct rn_command *command, const struct rn_setup *setup,
                               const char *kept, struct rn_error *err)
{
    char hash[65];
    char word[RN_SHELL_WORD_MAX];
    const char *directory = rn_shell_word(command->operands[0], word);
    rn_hex_encode(hash, setup->plan.hash, sizeof setup->plan.hash);
    if (command->json) {
        return rn_json_print(json_pack("{s:i, s:s, s:s}", "members", (int)setup->roster.count,
                                       "plan", hash, "kept", kept),
                             err);
    }
    if (command->quiet) {
        return rn_ok();
    }
    printf(
        "The roster has %u members. The plan is bound to it, with a seed of its own, which makes\n"
        "it another plan (%.16s...): its job begins at round 1, after everybody has signed.\n",
        setup->roster.count, hash);
    if (kept[0] != '\0') {
        printf("The job before, with its adapters, is kept in %s.\n", kept);
    }
    printf(
        "\nNext:\n"
        "  1. send each member that stays its file of %s/welcome\n"
        "  2. they compare the new roster's fingerprint among themselves (rondo member list %s)\n"
        "  3. each of them: rondo join NAME.welcome --dir DIR --sign --roster FINGERPRINT\n"
        "  4. rondo plan sign %s NAME.signature...\n"
        "  5. rondo run %s; each of them: rondo run DIR\n",
        directory, directory, directory, directory);
    return rn_ok();
}

static rn_result remove_run(struct rn_command *command, struct rn_error *err)
{
    char kept[RN_PATH_MAX];
    const char *directory = command->operands[0];
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(rn_setup_lock(directory, &lock, err));
    RN_TRY(operator_open(directory, &setup, err));
    RN_TRY(rn_enrol_remove(setup, command->operands + 1, command->operand_count - 1, kept, err));
    return remove_report(command, setup, kept, err);
}

const struct rn_command_def rn_cmd_member_remove = {
    .name = "member remove",
    .summary = "take members out of the roster; the others sign the plan again",
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}, {"NAME", RN_OPTION_TEXT, 1, RN_OPERANDS_MAX}},
    .exits = RN_EXITS(65, 66, 71, 75, 77, 78, 80),
    .detail = "Stop the services first. The plan holds the roster's hash, so it becomes another "
              "plan: its job begins at round 1, and the job before is kept in state/jobs. To "
              "replace an organisation that lost its keys, remove it and invite it again under "
              "the same name.",
    .examples = "  rondo member remove consortium west",
    .run = remove_run,
};
