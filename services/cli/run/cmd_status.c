/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo status: where a running coordinator or trainer stands, and who is waited for.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/guard.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "services/host/adminsocket.h"

#define WATCH_SECONDS 2

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

/* "3 s", "12 min", "5 h", "3 days". */
static void duration(unsigned long long ms, char out[static 32])
{
    static const struct {
        unsigned long long least_s, unit_s;
        const char *name;
    } units[] = {{172800, 86400, "days"}, {7200, 3600, "h"}, {120, 60, "min"}, {0, 1, "s"}};
    const unsigned long long seconds = ms / 1000;
    size_t i = 0;
    while (seconds < units[i].least_s) {
        i++;
    }
    (void)rn_text_format(out, 32, "%llu %s", seconds / units[i].unit_s, units[i].name);
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* ---- Members */

/* What the operator should know of a member beside connected or not. */
static const char *state_of(const json_t *member)
{
    if (is_true(member, "stranded")) {
        return "stranded: what it misses is not kept any more";
    }
    if (is_true(member, "blamed")) {
        return "BLAMED: it signed a false share; left out of this job, only follows";
    }
    if (is_true(member, "outside")) {
        return "was not there when the share graph was drawn; only follows";
    }
    if (is_true(member, "waits")) {
        return "waits for signatures of the plan";
    }
    if (is_true(member, "declined")) {
        return "takes no part in this round";
    }
    return is_true(member, "missing") ? "waited for" : "";
}

static void print_member(const json_t *member)
{
    char since[32];
    const char *why = text_of(member, "why");
    const char *state = state_of(member);
    const bool told = strcmp(why, "ok") != 0 && strcmp(why, "-") != 0;
    duration(number_of(member, "since_ms"), since);
    printf("%-24s %-10s %-8s ", text_of(member, "name"),
           is_true(member, "connected") ? "yes" : "no",
           json_object_get(member, "since_ms") == NULL ? "-" : since);
    print_bytes(number_of(member, "uplink_bytes"));
    printf("%s%s", state[0] == '\0' && !told ? "" : "  ", state);
    printf(told ? " (%s)\n" : "\n", why);
}

static void print_members(const json_t *members)
{
    size_t i = 0;
    json_t *member = NULL;
    printf("\n%-24s %-10s %-8s %s\n", "MEMBER", "CONNECTED", "SINCE", "SENT");
    json_array_foreach(members, i, member)
    {
        print_member(member);
    }
}

/* "south, west": whose signature of the plan the operator has not collected. A service of before
 * this field leaves it out. */
static void print_unsigned(const json_t *members)
{
    size_t i = 0;
    json_t *member = NULL;
    bool first = true;
    json_array_foreach(members, i, member)
    {
        if (json_is_false(json_object_get(member, "signed"))) {
            printf("%s%s", first ? "not signed  " : ", ", text_of(member, "name"));
            first = false;
        }
    }
    printf("%s", first ? "" : "\n");
}

/* "south, west": whom the stage waits for, or who is not connected while nothing runs. */
static void print_missing(const json_t *members, bool gather)
{
    size_t i = 0;
    json_t *member = NULL;
    bool first = true;
    json_array_foreach(members, i, member)
    {
        if (gather ? !is_true(member, "connected") : is_true(member, "missing")) {
            printf("%s%s", first ? "waits for   " : ", ", text_of(member, "name"));
            first = false;
        }
    }
    printf("%s", first ? "" : "\n");
}

/* ---- The whole */

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

/* Before the first round of a plan that needs a share graph; who is waited for stands below. */
static void print_drawing(const json_t *status)
{
    const char *step = text_of(status, "graph_step");
    char age[32];
    duration(number_of(status, "stage_age_ms"), age);
    if (step[0] == '\0') {
        printf("graph       %s for %s\n", text_of(status, "stage_name"), age);
    } else {
        printf("graph       drawing the graph, attempt %llu: waits for %s for %s\n",
               number_of(status, "graph_attempt"), step, age);
    }
}

/* No stage waits for anybody: what is missing is members. */
static bool nothing_runs(const json_t *status)
{
    const char *stage = text_of(status, "stage");
    return strcmp(stage, "gather") == 0 ||
           (strcmp(stage, "graph") == 0 && text_of(status, "graph_step")[0] == '\0');
}

static void print_round(const json_t *status)
{
    const unsigned long long round = number_of(status, "round");
    const unsigned long long rounds = number_of(status, "rounds");
    const bool named = json_object_get(status, "stage_name") != NULL;
    char age[32];
    if (round > rounds) {
        printf("round       all %llu done", rounds);
    } else {
        duration(number_of(status, "stage_age_ms"), age);
        printf("round       %llu of %llu, attempt %llu, %s", round, rounds,
               number_of(status, "attempt"), text_of(status, named ? "stage_name" : "stage"));
        printf(named ? " for %s" : "", age);
    }
    const unsigned long long skipped = number_of(status, "skipped");
    printf(skipped > 0 ? ", %llu skipped\n" : "\n", skipped);
}

/* By the mean over the members' development sets. */
static void print_best(const json_t *status)
{
    const json_t *best = json_object_get(status, "best");
    if (json_is_object(best)) {
        printf("best        the adapter after round %llu, %.4f over all members\n",
               number_of(best, "round"), json_number_value(json_object_get(best, "metric")));
    }
}

static void print_names(const char *title, const json_t *names)
{
    const char *between = "";
    size_t i;
    const json_t *name;
    if (json_array_size(names) == 0) {
        return;
    }
    printf("%s", title);
    json_array_foreach(names, i, name)
    {
        printf("%s%s", between, json_string_value(name));
        between = ", ";
    }
    printf("\n");
}

/* Signed messages at this site that cannot all be an honest signer's. */
static void print_evidence(const json_t *status)
{
    const json_t *evidence = json_object_get(status, "evidence");
    if (!json_is_object(evidence)) {
        return;
    }
    printf(
        "EVIDENCE    %llu signed proofs that the protocol was broken, the newest of round %llu\n",
        number_of(evidence, "documents"), number_of(evidence, "round"));
    print_names("  against   ", json_object_get(evidence, "against"));
    print_names("  one of    ", json_object_get(evidence, "one_of"));
}

/* By a member's signature. */
static void print_stop(const json_t *status)
{
    const json_t *stop = json_object_get(status, "stop");
    if (json_is_object(stop)) {
        printf("STOPPED     by %s: %s\n", text_of(stop, "member"), text_of(stop, "reason"));
    }
}

/* "3 jobs, at most 2 over one base model", and how many over which. */
static void print_ledger(const json_t *ledger)
{
    size_t i = 0;
    json_t *model = NULL;
    if (!json_is_object(ledger)) {
        return; /* a service of before this field leaves it out */
    }
    printf("ledger      updates went into %llu job(s), at most %llu over one base model\n",
           number_of(ledger, "jobs"), number_of(ledger, "jobs_max"));
    json_array_foreach(json_object_get(ledger, "models"), i, model)
    {
        printf("            %llu over base model %.16s...\n", number_of(model, "jobs"),
               text_of(model, "model"));
    }
}

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* What this member's trainings cost those whose records it holds. */
static void print_privacy(const json_t *privacy)
{
    if (!json_is_object(privacy)) {
        return;
    }
    printf("privacy     lineage %s: epsilon %g at delta %g are promised\n",
           text_of(privacy, "lineage"), real_of(privacy, "epsilon"), real_of(privacy, "delta"));
    if (is_true(privacy, "private")) {
        printf("            %llu of %llu trainings begun, %.1f %% of the budget used\n",
               number_of(privacy, "trainings"), number_of(privacy, "trainings_max"),
               100 * real_of(privacy, "filter_spent") / real_of(privacy, "filter_bound"));
    } else {
        printf("            this plan adds NO noise: nothing can be claimed any more\n");
    }
}

static void print_own(const json_t *status)
{
    printf("own key     %s\n", text_of(status, "key"));
    printf("coordinator %s\n", is_true(status, "connected") ? "connected" : "not connected");
    printf("training    %s\n", is_true(status, "training") ? "yes" : "no");
    if (is_true(status, "behind")) {
        printf("behind      this site misses rounds and asks for them\n");
    }
    const char *waits_for = text_of(status, "waits_for");
    if (strcmp(waits_for, "-") != 0 && waits_for[0] != '\0') {
        printf("waits for   signatures of the plan: %s\n", waits_for);
    }
    printf("sent        ");
    print_bytes(number_of(status, "uplink_bytes"));
    printf("\n");
    print_ledger(json_object_get(status, "ledger"));
    print_privacy(json_object_get(status, "privacy"));
}

static void print_text(const json_t *status)
{
    const char *role = text_of(status, "role");
    const char *name = text_of(status, "name");
    const json_t *list = json_object_get(status, "members"); /* of a member: how many */
    const json_t *members = json_is_array(list) ? list : NULL;
    printf("federation  %s\n", text_of(status, "federation"));
    printf("roster      %s\n", text_of(status, "roster"));
    printf("plan        %s\n", text_of(status, "plan"));
    printf("service     %s%s%s, version %s%s\n", role, strcmp(role, name) == 0 ? "" : " ",
           strcmp(role, name) == 0 ? "" : name, text_of(status, "version"),
           is_true(status, "staying")    ? ", stays: the job is done"
           : is_true(status, "draining") ? ", ending"
                                         : "");
    if (strcmp(text_of(status, "stage"), "graph") == 0) {
        print_drawing(status);
    } else {
        print_round(status);
    }
    print_best(status);
    print_stop(status);
    print_evidence(status);
    if (members != NULL) {
        print_missing(members, nothing_runs(status));
        print_unsigned(members);
    }
    printf("adapter     %s%s\n", text_of(status, "adapter"),
           is_true(status, "blind") ? " (blind: members hold the adapter)" : "");
    print_certificate(json_object_get(status, "certificate"));
    if (members != NULL) {
        print_members(members);
    } else {
        print_own(status);
    }
}

static void json_drop(json_t **value)
{
    json_decref(*value);
}

struct status_settings {
    uint64_t timeout_s;
    bool watch;
};

static rn_result show(const struct rn_command *command, const char *directory, bool redraw,
                      struct rn_error *err)
{
    const struct status_settings *s = command->settings;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer answer = {0};
    RN_TRY(rn_adminsocket_ask(directory, "status", (uint32_t)s->timeout_s * 1000U, &answer, err));
    RN_CLEANUP(json_drop) json_t *status = json_loads(rn_buffer_text(&answer), 0, NULL);
    RN_ENSURE(json_is_object(status), err, RN_E_INTERNAL,
              "the service's answer is no JSON object: do both programs have the same version?");
    if (command->json) {
        RN_TRY(rn_json_print(json_incref(status), err));
    } else {
        printf("%s", redraw ? "\033[H\033[J" : "");
        print_text(status);
    }
    RN_ENSURE(fflush(stdout) == 0, err, RN_E_IO, "cannot write to standard output");
    return rn_ok();
}

/* Until Ctrl-C, or until the service is gone. */
static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct status_settings *s = command->settings;
    const char *directory = command->operand_count > 0 ? command->operands[0] : ".";
    const bool redraw = s->watch && !command->json && isatty(STDOUT_FILENO) == 1;
    RN_TRY(show(command, directory, redraw, err));
    while (s->watch) {
        (void)sleep(WATCH_SECONDS);
        printf("%s", redraw || command->json ? "" : "\n");
        RN_TRY(show(command, directory, redraw, err));
    }
    return rn_ok();
}

static const struct rn_option options[] = {
    {"timeout", RN_OPT_COUNT(struct status_settings, timeout_s, "SECONDS"), .fallback = "5",
     RN_BOUNDS_TIMEOUT, .help = "how long to wait for the service's answer"},
    {"watch", RN_OPT_FLAG(struct status_settings, watch),
     .help = "ask again every 2 seconds, until Ctrl-C or the service's end"},
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
              "left out. The answer comes over a socket that only the service's user may open. A "
              "member's says which jobs its updates went into, by base model. "
              "Exit code 75 when the service is not running.",
    .examples = "  rondo status coordinator\n"
                "  rondo status coordinator --watch\n"
                "  rondo status /etc/rondo/hospital-a --format json",
    .run = run,
};
