/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo run: the service of a site directory in the foreground, with progress for a person.
 */
#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"
#include "policy/site.h"
#include "services/cli/kit/progress.h"
#include "services/cli/rondo.h"
#include "services/coordinator/coordinatorservice.h"
#include "services/trainer/memberservice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SITE_BYTES_MAX ((size_t)256 << 10)

struct view {
    struct rn_progress progress;
    bool json; /* one object per finished round on standard output */
    bool coordinator;
    uint32_t present, members;
};

static void note_of(const struct view *view, const struct rn_job_event *event, char out[128])
{
    if (event->kind == RN_JOB_TRAINING) {
        (void)rn_text_format(out, 128, "round %u %s, training %u/%u, loss %.4f",
                             (unsigned)event->round, event->phase, (unsigned)event->step,
                             (unsigned)event->steps, event->loss);
    } else {
        (void)rn_text_format(out, 128, "round %u %s, %s", (unsigned)event->round, event->phase,
                             rn_sa_stage_name(event->stage));
    }
    if (view->coordinator) {
        char members[48];
        (void)rn_text_format(members, sizeof(members), ", %u of %u members",
                             (unsigned)view->present, (unsigned)view->members);
        const size_t used = strlen(out);
        (void)rn_text_format(out + used, 128 - used, "%s", members);
    }
}

static void show_round(struct view *view, const struct rn_job_event *event)
{
    char line[256];
    char loss[32] = "";
    if (isfinite(event->loss)) {
        (void)rn_text_format(loss, sizeof(loss), "  loss %.4f", event->loss);
    }
    if (event->outcome != RN_OK) {
        (void)rn_text_format(line, sizeof(line), "round %u  %s  lost (%s)", (unsigned)event->round,
                             event->phase, rn_code_name(event->outcome));
    } else {
        (void)rn_text_format(
            line, sizeof(line), "round %u  %s%s  %u organisations, %u lost  %.1f KiB up  %.1f s",
            (unsigned)event->round, event->phase, loss, (unsigned)event->included,
            (unsigned)event->lost, (double)event->bytes / 1024, (double)event->milliseconds / 1000);
    }
    rn_progress_line(&view->progress, line);
    rn_progress_show(&view->progress, event->round, "");
    if (view->json) {
        (void)printf("{\"round\":%u,\"phase\":\"%s\",\"outcome\":\"%s\",\"members\":%u,\"lost\":%u,"
                     "\"uplink_bytes\":%llu,\"seconds\":%.3f}\n",
                     (unsigned)event->round, event->phase, rn_code_name(event->outcome),
                     (unsigned)event->included, (unsigned)event->lost,
                     (unsigned long long)event->bytes, (double)event->milliseconds / 1000);
        (void)fflush(stdout);
    }
}

static void show_end(struct view *view, const struct rn_job_event *event)
{
    char line[RN_PATH_MAX + 64];
    rn_progress_done(&view->progress);
    (void)rn_text_format(line, sizeof(line), "adapter: %s", event->path);
    rn_progress_line(&view->progress, line);
    if (view->json) {
        (void)printf("{\"adapter\":\"%s\",\"rounds\":%u,\"outcome\":\"%s\"}\n", event->path,
                     (unsigned)event->rounds, rn_code_name(event->outcome));
        (void)fflush(stdout);
    }
}

static void on_event(void *context, const struct rn_job_event *event)
{
    struct view *view = context;
    char text[128];
    switch (event->kind) {
    case RN_JOB_STARTED:
        view->progress.total = event->rounds;
        view->members = event->members;
        rn_progress_show(&view->progress, event->round - 1, "waiting for the others");
        break;
    case RN_JOB_MEMBERS:
        view->present = event->present;
        view->members = event->members;
        (void)rn_text_format(text, sizeof(text), "%u of %u members connected",
                             (unsigned)event->present, (unsigned)event->members);
        rn_progress_line(&view->progress, text);
        break;
    case RN_JOB_STAGE:
    case RN_JOB_TRAINING:
        note_of(view, event, text);
        rn_progress_show(&view->progress, event->round - 1, text);
        break;
    case RN_JOB_ROUND:
        show_round(view, event);
        break;
    case RN_JOB_EVALUATED:
        (void)rn_text_format(text, sizeof(text), "%s %u  %s %.4f  loss %.4f",
                             event->round == 0 ? "before round" : "after round",
                             event->round == 0 ? 1 : (unsigned)event->round, event->metric_name,
                             event->metric, event->loss);
        rn_progress_line(&view->progress, text);
        break;
    case RN_JOB_ENDED:
        show_end(view, event);
        break;
    }
}

/* Which service a directory is for; the service itself reads the file again and checks it. */
static rn_result read_role(const char *directory, enum rn_site_role *out_role, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    static struct rn_site site;
    RN_TRY(rn_path_join(path, directory, "site.yaml", err));
    RN_TRY(rn_file_read(path, SITE_BYTES_MAX, &text, err));
    RN_TRY(rn_site_parse(rn_buffer_view(&text), path, &site, err));
    *out_role = site.role;
    return rn_ok();
}

struct run_settings {
    const char *log_file;
};

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct run_settings *s = command->settings;
    enum rn_site_role role = RN_SITE_MEMBER;
    struct view view = {.json = command->json};
    RN_TRY(rn_service_setup(err));
    RN_TRY(read_role(command->operands[0], &role, err));
    view.coordinator = role == RN_SITE_COORDINATOR;
    rn_progress_init(&view.progress, "rounds", 0, command->quiet);
    const struct rn_service_options service = {
        .directory = command->operands[0],
        .listener = {on_event, &view},
        .quiet_log = s->log_file == NULL,
    };
    const rn_result result = view.coordinator ? rn_coordinator_service_run(&service, err)
                                              : rn_member_service_run(&service, err);
    rn_progress_done(&view.progress);
    return result;
}

static const struct rn_option options[] = {
    {"log-file", RN_OPT_FILE(struct run_settings, log_file),
     .help = "append the service's log lines to this file; -: standard error, instead of progress"},
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
              "the plan's last round, or until SIGTERM or Ctrl-C ends it in order; run it again "
              "to go on. With --format json a line per round and a last line with the adapter's "
              "path go to standard output.",
    .examples = "  rondo run coordinator\n  rondo run hospital-a --log-file hospital-a.log",
    .run = run,
};
