/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo invite: invitations out, requests in.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/shellword.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/enrol.h"
#include "services/cli/setup/planmodel.h"

#define NAMES_BYTES ((size_t)RN_ROSTER_MEMBERS_MAX * (RN_NAME_MAX + 2))

struct invite_settings {
    bool accept, final, renew;
    const char *address;
    uint64_t days;
};

struct invite_outcome {
    size_t accepted;
    uint32_t members;
    size_t stale;    /* accepted, but invited to another plan */
    size_t replaced; /* earlier invitations that are worth nothing now */
    size_t refreshed;
    size_t pending;
    char pending_names[NAMES_BYTES];
    bool welcomes;
};

/* What members dial: an address that only means "every interface here" is of no use to them. */
static rn_result address_choose(const struct rn_setup *setup, const char *given,
                                const char **out_address, struct rn_error *err)
{
    char host[256];
    *out_address = given == NULL ? setup->site.network.listen : given;
    RN_TRY(rn_setup_address_reach(*out_address, host, err));
    RN_ENSURE(strcmp(host, "0.0.0.0") != 0 && strcmp(host, "::") != 0, err, RN_E_USAGE,
              "the coordinator listens on every interface: say with --address where members reach "
              "it");
    return rn_ok();
}

/* Invites every name, or nobody. */
static rn_result invite_names(struct rn_setup *setup, const char *given, const char *const *names,
                              size_t count, struct invite_outcome *outcome, struct rn_error *err)
{
    const char *address = NULL;
    const struct rn_roster *roster = setup->has_roster ? &setup->roster : NULL;
    RN_TRY(address_choose(setup, given, &address, err));
    RN_TRY(rn_enrol_names_check(roster, names, count, err));
    for (size_t i = 0; i < count; i++) {
        char file[128];
        RN_BUG_IF(!rn_text_format(file, sizeof file, "invitations/%s.invite", names[i]));
        outcome->replaced += rn_setup_has(setup->directory, file);
        RN_TRY(rn_enrol_invite(setup->directory, &setup->plan, roster, names[i], address,
                               rn_clock_wall_ms(), err));
    }
    return rn_ok();
}

static rn_result accept_files(struct rn_setup *setup, const struct invite_settings *settings,
                              const char *const *files, size_t count,
                              struct invite_outcome *outcome, struct rn_error *err)
{
    RN_TRY(rn_enrol_accept(setup, files, count, rn_clock_wall_ms(), (uint32_t)settings->days,
                           &outcome->stale, err));
    outcome->accepted = count;
    outcome->members = setup->has_roster ? setup->roster.count : 0;
    RN_TRY(rn_enrol_pending(setup->directory, &outcome->pending, outcome->pending_names,
                            sizeof outcome->pending_names, err));
    if (outcome->pending > 0 && !settings->final) {
        return rn_ok();
    }
    RN_TRY(rn_enrol_finish(setup, err));
    outcome->welcomes = true;
    return rn_ok();
}

static rn_result renew(struct rn_setup *setup, const struct invite_settings *settings,
                       const char *const *names, size_t count, struct invite_outcome *outcome,
                       struct rn_error *err)
{
    RN_ENSURE(!settings->accept && !settings->final, err, RN_E_USAGE,
              "--renew goes with names only");
    RN_TRY(rn_enrol_renew(setup, names, count, rn_clock_wall_ms(), (uint32_t)settings->days, err));
    outcome->members = count > 0 ? (uint32_t)count : setup->roster.count;
    outcome->welcomes = true;
    return rn_ok();
}

/* Without names only what is open is brought in line with the plan. */
static rn_result invite(struct rn_setup *setup, const struct invite_settings *settings,
                        const char *const *names, size_t count, struct invite_outcome *outcome,
                        struct rn_error *err)
{
    if (count > 0) {
        RN_TRY(invite_names(setup, settings->address, names, count, outcome, err));
    }
    RN_TRY(rn_enrol_refresh(setup, &outcome->refreshed, err));
    return rn_enrol_pending(setup->directory, &outcome->pending, outcome->pending_names,
                            sizeof outcome->pending_names, err);
}

/* What an option does only beside another one would be lost without a word. */
static rn_result options_check(const struct rn_command *command, const struct invite_settings *s,
                               struct rn_error *err)
{
    RN_ENSURE(!s->accept || !s->renew, err, RN_E_USAGE, "--accept and --renew exclude each other");
    RN_ENSURE(!s->final || s->accept, err, RN_E_USAGE, "--final goes with --accept");
    RN_ENSURE(s->address == NULL || (!s->accept && !s->renew), err, RN_E_USAGE,
              "--address goes with new invitations");
    RN_ENSURE(!rn_command_given(command, "days") || s->accept || s->renew, err, RN_E_USAGE,
              "--days goes with --accept or --renew: an invitation has an end of its own");
    return rn_ok();
}

static rn_result invite_run(const struct rn_command *command,
                            const struct invite_settings *settings, struct invite_outcome *outcome,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    const char *const *operands = command->operands + 1;
    const size_t count = command->operand_count - 1;
    RN_CLEANUP(rn_file_unlock) int lock = -1;
    RN_TRY(options_check(command, settings, err));
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_setup_lock(command->operands[0], &lock, err));
    RN_TRY(rn_setup_open(command->operands[0], &setup, err));
    RN_ENSURE(setup->site.role == RN_SITE_COORDINATOR, err, RN_E_USAGE,
              "%s is a member's directory; invitations come from the operator's",
              command->operands[0]);
    RN_ENSURE(setup->plan_bytes.length > 0, err, RN_E_NO_INPUT, "%s/plan.yaml is missing",
              command->operands[0]);
    if (settings->renew) {
        return renew(setup, settings, operands, count, outcome, err);
    }
    struct rn_plan_examples found;
    RN_TRY(rn_plan_setup_check(setup, &found, err));
    return settings->accept ? accept_files(setup, settings, operands, count, outcome, err)
                            : invite(setup, settings, operands, count, outcome, err);
}

static rn_result report_json(const struct invite_outcome *outcome, struct rn_error *err)
{
    return rn_json_print(json_pack("{s:I, s:I, s:s, s:b}", "members", (json_int_t)outcome->members,
                                   "pending", (json_int_t)outcome->pending, "pending_names",
                                   outcome->pending_names, "complete", outcome->welcomes ? 1 : 0),
                         err);
}

static void report_invited(const char *directory, const struct invite_outcome *outcome)
{
    if (outcome->replaced > 0) {
        printf("%zu earlier invitation(s) of these names are void: send the new files.\n",
               outcome->replaced);
    }
    if (outcome->refreshed > 0) {
        printf("%zu open invitation(s) hold the plan as it is now.\n", outcome->refreshed);
    }
    if (outcome->pending == 0) {
        printf("No invitation is open.\n");
        return;
    }
    printf("Send each member its file of %s/invitations over a channel you trust.\n"
           "Open invitations: %s\n",
           directory, outcome->pending_names);
}

static void report_accepted(const char *directory, const struct invite_outcome *outcome)
{
    printf("Accepted %zu request(s); the roster has %u member(s).\n", outcome->accepted,
           outcome->members);
    if (outcome->stale > 0) {
        printf("plan.yaml was changed after %zu of them were invited: their policies were made for "
               "the\nearlier plan, and `rondo join --sign` says there which bound refuses this "
               "one.\n",
               outcome->stale);
    }
    if (!outcome->welcomes) {
        printf("Still open: %s. Accept their requests, or finish without them with --final.\n",
               outcome->pending_names);
        return;
    }
    printf("The plan is bound to the roster and signed by the coordinator.\n\nNext:\n"
           "  1. send each member its file of %s/welcome\n"
           "  2. the members compare the roster's fingerprint among themselves, and join with it\n"
           "     (rondo member list %s shows it)\n"
           "  3. rondo plan sign %s NAME.signature...\n"
           "  4. rondo run %s\n",
           directory, directory, directory, directory);
}

static rn_result report(const struct rn_command *command, const struct invite_settings *settings,
                        const struct invite_outcome *outcome, struct rn_error *err)
{
    char word[RN_SHELL_WORD_MAX];
    const char *directory = rn_shell_word(command->operands[0], word);
    if (command->json) {
        return report_json(outcome, err);
    }
    if (command->quiet) {
        return rn_ok();
    }
    if (settings->renew) {
        printf("Issued %s. Roster, plan and signatures stay as they are.\n\nNext:\n"
               "  1. send each member its file of %s/renewals\n"
               "  2. each member: rondo join NAME.renewal --dir DIR\n",
               command->operand_count > 1 ? "the certificates that were named"
                                          : "certificates for the coordinator and every member",
               directory);
    } else if (settings->accept) {
        report_accepted(directory, outcome);
    } else {
        report_invited(directory, outcome);
    }
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct invite_settings *s = command->settings;
    struct invite_outcome outcome = {0};
    RN_TRY(invite_run(command, s, &outcome, err));
    return report(command, s, &outcome, err);
}

static const struct rn_option options[] = {
    {"accept", RN_OPT_FLAG(struct invite_settings, accept),
     .help = "the operands are request files: check them, issue certificates, extend roster and "
             "plan; when nobody is missing, sign the plan and write welcomes"},
    {"final", RN_OPT_FLAG(struct invite_settings, final),
     .help = "with --accept: finish although invitations are open"},
    {"renew", RN_OPT_FLAG(struct invite_settings, renew),
     .help = "new certificates for the named members, for 'coordinator', or for everybody, from "
             "the requests that were accepted; roster and plan stay"},
    {"address", RN_OPT_TEXT(struct invite_settings, address, "HOST:PORT"),
     .help = "where members reach the coordinator, when not where it listens"},
    {"days", RN_OPT_COUNT(struct invite_settings, days, "N"), .fallback = "365", .least = 1,
     .most = 3650, .help = "how long certificates are valid"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Members", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_invite = {
    .name = "invite",
    .summary = "invite members, and accept their requests",
    .groups = groups,
    .settings_size = sizeof(struct invite_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1},
                 {"NAME|FILE", RN_OPTION_FILE, 0, RN_OPERANDS_MAX}},
    .exits = RN_EXITS(65, 66, 71, 75, 76, 77, 78, 80),
    .detail = "Either all requests given are accepted or none. A request is accepted once. Open "
              "invitations follow plan.yaml at each run; a name that is invited again gets a new "
              "invitation, the old one is void.",
    .examples = "  rondo invite consortium north south\n"
                "  rondo invite consortium --accept north.request south.request\n"
                "  rondo invite consortium --renew north coordinator",
    .run = run,
};
