/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/simulate/simreport.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/kit/svgplot.h"

#include <math.h>

double rn_sim_told_value(const struct rn_sim_told *told)
{
    const struct rn_sim_rows *rows = &told->report->rows;
    return rows->count == 0 ? (double)NAN : rows->items[rows->count - 1].metric;
}

/* ---- The curve */

static rn_result write_curve(const struct rn_sim_told *told, const char *directory,
                             struct rn_error *err)
{
    const struct rn_sim_rows *rows = &told->report->rows;
    const char *what = told->judged ? rn_plan_metric_name(told->plan->task.metric) : "loss";
    char title[128];
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    RN_CLEANUP(rn_free_cleanup) double *x = rn_alloc(rows->count, sizeof(*x));
    RN_CLEANUP(rn_free_cleanup) double *y = rn_alloc(rows->count, sizeof(*y));
    for (uint32_t i = 0; i < rows->count; i++) {
        x[i] = rows->items[i].round;
        y[i] = told->judged ? rows->items[i].metric : rows->items[i].loss;
    }
    (void)rn_text_format(title, sizeof(title), "%s, %u clients",
                         rn_plan_method_name(told->plan->method), (unsigned)told->report->clients);
    const struct rn_plot plot = {.title = title,
                                 .x_label = "round",
                                 .y_label = what,
                                 .series = {{what, x, y, rows->count}},
                                 .series_count = 1};
    const rn_result drawn = rn_plot_write(&plot, &svg, err);
    if (drawn.code == RN_E_DATA) { /* not one finite value: the members keep the loss at home */
        return rn_ok();
    }
    RN_TRY(drawn);
    RN_TRY(rn_path_join(path, directory, told->judged ? "metric.svg" : "loss.svg", err));
    return rn_file_write(path, rn_buffer_view(&svg), 0644, err);
}

/* ---- The page */

static void say_number(struct rn_buffer *out, double value)
{
    if (isfinite(value)) {
        rn_buffer_format(out, " %.4f |", value);
    } else {
        rn_buffer_format(out, " - |");
    }
}

static void say_rounds(const struct rn_sim_told *told, struct rn_buffer *out)
{
    const struct rn_sim_rows *rows = &told->report->rows;
    const uint32_t every = rows->count <= 40 ? 1 : (rows->count + 39) / 40;
    rn_buffer_format(out,
                     "\n| round | phase | clients | training loss | %s | loss on the "
                     "development data | clipped |\n|---|---|---|---|---|---|---|\n",
                     rn_plan_metric_name(told->plan->task.metric));
    for (uint32_t i = 0; i < rows->count; i++) {
        const struct rn_sim_row *row = &rows->items[i];
        if ((i + 1) % every != 0 && i + 1 != rows->count) {
            continue;
        }
        rn_buffer_format(out, "| %u | %s | %u |", (unsigned)row->round,
                         rn_round_phase_name(row->active), (unsigned)row->clients);
        say_number(out, row->loss);
        say_number(out, row->metric);
        say_number(out, row->dev_loss);
        rn_buffer_format(out, " %llu |\n", (unsigned long long)row->clipped);
    }
}

static void say_setting(const struct rn_sim_told *told, struct rn_buffer *out)
{
    const struct rn_plan *plan = told->plan;
    char hash[2 * RN_HASH_BYTES + 1];
    rn_hex_encode(hash, plan->hash, RN_HASH_BYTES);
    rn_buffer_format(out,
                     "# Simulation of plan '%s'\n\n"
                     "Method %s, %u rounds of %u steps of %u records, rank %u, head %s, weights "
                     "%s, seed %llu. %u clients, partition `%s`",
                     plan->name, rn_plan_method_name(plan->method), (unsigned)plan->rounds,
                     (unsigned)plan->training.steps, (unsigned)plan->training.batch,
                     (unsigned)plan->lora.rank, rn_plan_head_name(plan->lora.head),
                     rn_plan_weights_name(plan->weights), (unsigned long long)plan->seed,
                     (unsigned)told->report->clients, told->partition);
    if (told->sample > 0) {
        rn_buffer_format(out, ", %u of them in each round", (unsigned)told->sample);
    }
    rn_buffer_format(out,
                     ". Backend %s, secure aggregation %s. Plan hash %.16s.\n\n"
                     "No privacy follows from a simulation: all records lie in one process, and "
                     "the roundings are derived from the plan's seed.\n",
                     told->backend, told->masked ? "on" : "off (the sum is the same)", hash);
}

static void say_outcome(const struct rn_sim_told *told, struct rn_buffer *out)
{
    const struct rn_simulation_report *report = told->report;
    char hash[2 * RN_HASH_BYTES + 1];
    rn_hex_encode(hash, report->adapter_hash, RN_HASH_BYTES);
    rn_buffer_format(out, "\n## Outcome\n\n");
    if (told->judged) {
        rn_buffer_format(out, "%s %.4f on the development data after the last round. ",
                         rn_plan_metric_name(told->plan->task.metric), rn_sim_told_value(told));
    }
    rn_buffer_format(out,
                     "%.1f s for all rounds; one more client takes %.1f KiB of memory beside its "
                     "data. Adapter %s.\n",
                     report->seconds, (double)report->member_bytes / 1024.0, hash);
    rn_buffer_format(out, "\n![rounds](%s)\n", told->judged ? "metric.svg" : "loss.svg");
}

rn_result rn_sim_report_write(const struct rn_sim_told *told, const char *directory,
                              struct rn_error *err)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer page = {0};
    RN_TRY(write_curve(told, directory, err));
    say_setting(told, &page);
    say_outcome(told, &page);
    say_rounds(told, &page);
    RN_TRY(rn_path_join(path, directory, "report.md", err));
    return rn_file_write(path, rn_buffer_view(&page), 0644, err);
}
