/* SPDX-License-Identifier: Apache-2.0
 *
 * The federation at work: processes, progress from what the coordinator writes, and the loss of one
 * organisation.
 */
#include "base/guard.h"
#include "services/cli/kit/stopflag.h"
#include "services/cli/run/demo.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100
#define POLL_VICTIM_MS 3
#define LOG_BYTES_MAX ((size_t)256 << 20)
#define STOP_WAIT_MS 10000

static rn_result start_all(struct rn_demo *demo, struct rn_error *err)
{
    char site[RN_PATH_MAX];
    char output[RN_PATH_MAX];
    const char *arguments[] = {site, NULL};
    RN_TRY(rn_demo_path(demo, site, err, "coordinator"));
    RN_TRY(rn_demo_path(demo, output, err, "coordinator.log"));
    RN_TRY(rn_child_start("rondo-coordinator", arguments, output, &demo->coordinator, err));
    for (size_t i = 0; i < demo->members; i++) {
        RN_TRY(rn_demo_path(demo, site, err, "%s", demo->names[i]));
        RN_TRY(rn_demo_path(demo, output, err, "%s.log", demo->names[i]));
        RN_TRY(rn_child_start("rondo-trainer", arguments, output, &demo->trainers[i], err));
    }
    return rn_ok();
}

void rn_demo_stop(struct rn_demo *demo)
{
    for (size_t i = 0; i < demo->members; i++) {
        rn_child_stop(&demo->trainers[i], SIGTERM, STOP_WAIT_MS);
    }
    rn_child_stop(&demo->coordinator, SIGTERM, STOP_WAIT_MS);
}

/* Has the victim's log a line that says it has shared its secrets in the chosen round? From then on
 * the others have to finish without it. */
static bool in_round(const struct rn_demo *demo)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer log = {0};
    char wanted[64];
    const struct rn_child *victim = &demo->trainers[demo->victim];
    (void)rn_text_format(wanted, sizeof(wanted), "\"event\":\"stage.enter\",\"round\":%u,",
                         (unsigned)demo->victim_round);
    if (!rn_is_ok(rn_file_read(victim->output, LOG_BYTES_MAX, &log, NULL))) {
        return false;
    }
    const char *line = rn_buffer_text(&log);
    while ((line = strstr(line, wanted)) != NULL) {
        const char *end = strchr(line, '\n');
        const char *stage = strstr(line, "\"stage\":\"R1\"");
        if (stage != NULL && (end == NULL || stage < end)) {
            return true;
        }
        line++;
    }
    return false;
}

static void maybe_kill_victim(struct rn_demo *demo)
{
    if (demo->victim >= demo->members || demo->victim_killed || !in_round(demo)) {
        return;
    }
    char line[128];
    rn_child_stop(&demo->trainers[demo->victim], SIGKILL, STOP_WAIT_MS);
    demo->victim_killed = true;
    (void)rn_text_format(line, sizeof(line),
                         "round %u: killed the trainer of \"%s\" in the middle of it",
                         demo->victim_round, demo->names[demo->victim]);
    rn_progress_line(&demo->progress, line);
}

static double number_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    return json_is_number(value) ? json_number_value(value) : -1.0;
}

/* Without a promise there is nothing to say, and before the first training neither. */
static void spent_text(struct rn_demo *demo, uint32_t round, char out[static 64])
{
    out[0] = '\0';
    if (demo->settings->epsilon > 0 &&
        rn_is_ok(rn_demo_privacy_spent(demo, round, &demo->spent, NULL))) {
        (void)rn_text_format(out, 64, "  epsilon %.2f of %g charged",
                             ceil(demo->spent * 100.0) / 100.0, demo->settings->epsilon);
    }
}

/* One finished round of rounds.jsonl. */
static void show_round(struct rn_demo *demo, const json_t *row)
{
    char line[256];
    char accuracy[32] = "";
    char loss[32] = "";
    char spent[64];
    const char *phase = json_string_value(json_object_get(row, "phase"));
    const unsigned round = (unsigned)number_of(row, "round");
    const double up = number_of(row, "uplink_bytes_mean");
    if (number_of(row, "accuracy") >= 0) {
        (void)rn_text_format(accuracy, sizeof(accuracy), "  accuracy %5.1f %%",
                             100.0 * number_of(row, "accuracy"));
    }
    if (number_of(row, "loss") >= 0) {
        (void)rn_text_format(loss, sizeof(loss), "  loss %.4f", number_of(row, "loss"));
    }
    spent_text(demo, round, spent);
    (void)rn_text_format(line, sizeof(line),
                         "round %2u/%u  phase %-2s%s%s%s  %u organisations  %.0f KiB up each",
                         round, (unsigned)demo->settings->rounds, phase != NULL ? phase : "?", loss,
                         accuracy, spent, (unsigned)number_of(row, "members"), up / 1024.0);
    rn_progress_line(&demo->progress, line);
    demo->rounds_done = round;
    demo->uplink_bytes += up > 0 ? (uint64_t)up : 0;
    demo->uplink_lora_bytes += (uint64_t)number_of(row, "uplink_bytes_lora");
    rn_progress_show(&demo->progress, round, "");
}

/* A row is complete once its round was evaluated, which members do not do, or when nothing more
 * will come. */
static bool is_complete(const struct rn_demo *demo, const json_t *row, bool over)
{
    return over || demo->settings->blind || json_is_number(json_object_get(row, "accuracy"));
}

/* Shows the rounds that are new in rounds.jsonl; the file is replaced whole at every change. */
static rn_result follow_rounds(struct rn_demo *demo, bool over, struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_TRY(rn_demo_path(demo, path, err, "%s/state/rounds.jsonl", rn_demo_watched(demo)));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_file_read(path, LOG_BYTES_MAX, &text, err));
    const char *line = rn_buffer_text(&text);
    for (const char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        json_t *row = json_loadb(line, (size_t)(end - line), 0, NULL);
        if (number_of(row, "round") == (double)demo->rounds_done + 1 &&
            is_complete(demo, row, over)) {
            show_round(demo, row);
        }
        json_decref(row);
        line = end + 1;
    }
    return rn_ok();
}

/* The coordinator ends by itself when the rounds are over; earlier is a failure. */
static rn_result check_coordinator(struct rn_demo *demo, bool *out_over, struct rn_error *err)
{
    char line[RN_ERROR_TEXT_MAX / 2];
    *out_over = !rn_child_running(&demo->coordinator);
    if (!*out_over || demo->coordinator.exit_code == 0) {
        return rn_ok();
    }
    rn_child_last_line(demo->coordinator.output, line, sizeof(line));
    return rn_fail(err, RN_E_INCOMPLETE, "the coordinator ended early (exit %d): %s",
                   demo->coordinator.exit_code, line);
}

rn_result rn_demo_run(struct rn_demo *demo, struct rn_error *err)
{
    bool over = false;
    rn_progress_init(&demo->progress, "rounds", demo->settings->rounds, demo->quiet);
    RN_TRY(start_all(demo, err));
    rn_result result = rn_ok();
    while (!over && rn_is_ok(result)) {
        const bool near = !demo->victim_killed && demo->victim < demo->members &&
                          demo->rounds_done + 1 >= demo->victim_round;
        (void)usleep((near ? POLL_VICTIM_MS : POLL_MS) * 1000);
        maybe_kill_victim(demo);
        result = rn_stopped() ? rn_fail(err, RN_E_ROUND_ABORTED, "stopped by a signal")
                              : check_coordinator(demo, &over, err);
        if (rn_is_ok(result)) {
            result = follow_rounds(demo, over, err);
        }
    }
    for (size_t i = 0; rn_is_ok(result) && i < demo->members; i++) {
        rn_child_stop(&demo->trainers[i], 0, STOP_WAIT_MS); /* they end by themselves */
    }
    if (rn_is_ok(result)) { /* a member's last row may come after the coordinator's end */
        result = follow_rounds(demo, true, err);
    }
    rn_progress_done(&demo->progress);
    rn_demo_stop(demo);
    return result;
}
