/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo run: the service of a site directory in the foreground, with progress for a person.
 */
#include <string.h>

#include "base/guard.h"
#include "services/cli/rondo.h"
#include "services/cli/run/runview.h"
#include "services/cli/setup/setupfiles.h"
#include "services/coordinator/coordinatorservice.h"
#include "services/trainer/memberservice.h"

/* Which service a directory is for; the service itself reads the file again and checks it. */
static rn_result read_role(const char *directory, enum rn_site_role *out_role, struct rn_error *err)
{
    RN_CLEANUP(rn_setup_free_cleanup) struct rn_setup *setup = NULL;
    RN_TRY(rn_setup_begin(directory, &setup, err));
    RN_TRY(rn_setup_load_site(setup, err));
    *out_role = setup->site.role;
    return rn_ok();
}

struct run_settings {
    const char *log_file;
};

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct run_settings *s = command->settings;
    const bool to_stderr = s->log_file != NULL && strcmp(s->log_file, "-") == 0;
    enum rn_site_role role = RN_SITE_MEMBER;
    struct rn_runview view;
    RN_TRY(rn_service_setup(err));
    RN_TRY(read_role(command->operands[0], &role, err));
    const bool coordinator = role == RN_SITE_COORDINATOR;
    rn_runview_init(&view, coordinator, command->json, command->quiet || to_stderr);
    const struct rn_service_options service = {
        .directory = command->operands[0],
        .listener = {rn_runview_event, &view},
        .quiet_log = !to_stderr,
        .log_file = to_stderr ? NULL : s->log_file,
    };
    const rn_result result = coordinator ? rn_coordinator_service_run(&service, err)
                                         : rn_member_service_run(&service, err);
    rn_runview_end(&view);
    return result;
}

static const struct rn_option options[] = {
    {"log-file", RN_OPT_FILE(struct run_settings, log_file),
     .help = "append the service's log lines to this file instead of service.log in the state "
             "directory; -: standard error, instead of progress"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Service", options, 0}, {NULL}};

static const struct rn_option_renamed renamed[] = {{"log", "log-file"}, {NULL, NULL}};

const struct rn_command_def rn_cmd_run = {
    .name = "run",
    .summary = "run the service of a site, coordinator or member",
    .groups = groups,
    .settings_size = sizeof(struct run_settings),
    .operands = {{"SITE", RN_OPTION_DIRECTORY, 1, 1}},
    .renamed = renamed,
    .exits = RN_SERVICE_EXITS,
    .detail = "SITE is a directory made by `rondo init` or `rondo join`. The service runs until "
              "the plan's last round, or until SIGTERM or Ctrl-C ends it in order, a second one "
              "at once; run it again to go on.\n\nWith --format json an object per round goes to "
              "standard output (round, phase, outcome, members, lost, loss, metric_name, metric, "
              "dev_loss, adapter, uplink_bytes, seconds; null where nothing is known) and a last "
              "one with the adapter's path (adapter, rounds, summed, skipped, outcome, "
              "head_untrained, best_round, best_metric).",
    .examples = "  rondo run coordinator\n  rondo run hospital-a --log-file hospital-a.log",
    .run = run,
};
