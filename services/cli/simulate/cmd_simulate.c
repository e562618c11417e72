/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo simulate: a plan's rounds by simulated members on this machine.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/cli/desk/outputdir.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/progress.h"
#include "services/cli/kit/stopflag.h"
#include "services/cli/rondo.h"
#include "services/cli/setup/planmodel.h"
#include "services/cli/simulate/simclients.h"
#include "services/cli/simulate/simreport.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct simulate_settings {
    struct rn_sim_data_settings data;
    const char *model, *dev, *out;
    const char *secagg;
    uint64_t sample, evaluate_every;
    const char *backend, *kernels;
    uint64_t threads;
    bool resume, overwrite;
};

/* Options that may differ between a simulation and its going on. */
static const char *const free_options[] = {"out", "resume", "overwrite", "threads", NULL};

static bool on_progress(void *context, uint64_t done, uint64_t total, double loss)
{
    struct rn_progress *progress = context;
    char note[32];
    (void)rn_text_format(note, sizeof(note), "loss %.4f", loss);
    progress->total = total;
    rn_progress_show(progress, done, note);
    return !rn_stopped();
}

/* ---- What a resumed run must have alike */

static rn_result add_file(struct rn_buffer *text, const char *path, struct rn_error *err)
{
    uint8_t hash[RN_HASH_BYTES];
    char hex[2 * RN_HASH_BYTES + 1];
    RN_TRY(rn_sha256_file(path, hash, err));
    rn_hex_encode(hex, hash, sizeof(hash));
    rn_buffer_format(text, "%s\n", hex);
    return rn_ok();
}

static rn_result settings_hash(const struct rn_command *command, const struct rn_plan *plan,
                               const struct rn_sim_clients *clients,
                               uint8_t out[static RN_HASH_BYTES], struct rn_error *err)
{
    const struct simulate_settings *s = command->settings;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    rn_buffer_append(&text, plan->hash, sizeof(plan->hash));
    rn_command_settings_text(command, free_options, &text);
    for (size_t i = 0; i < clients->count; i++) {
        RN_TRY(add_file(&text, clients->paths[i], err));
    }
    if (s->dev != NULL) {
        RN_TRY(add_file(&text, s->dev, err));
    }
    const struct rn_view view = rn_buffer_view(&text);
    rn_sha256(out, "rondo/v1 simulation settings", &view, 1);
    return rn_ok();
}

/* ---- Telling */

static rn_result print_json(const struct rn_sim_told *told, struct rn_error *err)
{
    char hash[2 * RN_HASH_BYTES + 1];
    const double value = rn_sim_told_value(told);
    rn_hex_encode(hash, told->report->adapter_hash, RN_HASH_BYTES);
    return rn_json_print(json_pack("{s:i, s:i, s:s, s:o, s:s, s:f}", "rounds",
                                   (int)told->report->rows.count, "clients",
                                   (int)told->report->clients, "metric",
                                   rn_plan_metric_name(told->plan->task.metric), "value",
                                   isfinite(value) ? json_real(value) : json_null(), "adapter_hash",
                                   hash, "seconds", told->report->seconds),
                         err);
}

static void print_text(const struct rn_sim_told *told, const char *out)
{
    char hash[2 * RN_HASH_BYTES + 1];
    rn_hex_encode(hash, told->report->adapter_hash, RN_HASH_BYTES);
    printf("%u rounds of %u clients in %.1f s\n", (unsigned)told->report->rows.count,
           (unsigned)told->report->clients, told->report->seconds);
    if (told->judged) {
        printf("%s %.4f on the development data\n", rn_plan_metric_name(told->plan->task.metric),
               rn_sim_told_value(told));
    }
    printf("one more client takes %.1f KiB of memory beside its data\n",
           (double)told->report->member_bytes / 1024.0);
    printf("adapter %s: %s/adapter\nreport: %s/report.md\n", hash, out, out);
}

static rn_result tell(const struct rn_command *command, const struct rn_plan *plan,
                      const struct rn_simulation_report *report, struct rn_error *err)
{
    const struct simulate_settings *s = command->settings;
    const struct rn_sim_told told = {.plan = plan,
                                     .report = report,
                                     .partition = s->data.partition,
                                     .sample = (uint32_t)s->sample,
                                     .backend = s->backend,
                                     .judged = s->dev != NULL,
                                     .masked = strcmp(s->secagg, "on") == 0};
    RN_TRY(rn_sim_report_write(&told, s->out, err));
    if (command->json) {
        return print_json(&told, err);
    }
    print_text(&told, s->out);
    return rn_ok();
}

/* ---- Running */

static rn_result dev_spec(struct simulate_settings *s, struct rn_data_spec *out,
                          struct rn_error *err)
{
    RN_TRY(rn_data_columns_spec(&s->data.columns, out, err)); /* which the result borrows from */
    out->path = s->dev;
    return rn_ok();
}

static rn_result simulate(struct rn_command *command, const struct rn_plan *plan,
                          const struct rn_sim_clients *clients, struct rn_simulation_report *report,
                          struct rn_error *err)
{
    struct simulate_settings *s = command->settings;
    struct rn_progress progress;
    struct rn_data_spec dev;
    char provenance[256];
    (void)rn_text_format(provenance, sizeof(provenance),
                         "Made by `rondo simulate` %s: plan %s, %zu simulated clients.", RN_VERSION,
                         plan->name, clients->count);
    struct rn_simulation_config config = {
        .world = {.plan = plan,
                  .model_dir = s->model,
                  .backend = s->backend,
                  .kernels = s->kernels,
                  .threads = (uint32_t)s->threads,
                  .data = clients->specs,
                  .clients = (uint32_t)clients->count,
                  .dev = s->dev == NULL ? NULL : &dev},
        .masked = strcmp(s->secagg, "on") == 0,
        .sample = (uint32_t)s->sample,
        .sample_seed = s->data.seed,
        .evaluate_every = (uint32_t)s->evaluate_every,
        .directory = s->out,
        .resume = s->resume,
        .provenance = provenance,
        .progress = on_progress,
        .context = &progress,
    };
    RN_TRY(dev_spec(s, &dev, err));
    RN_TRY(settings_hash(command, plan, clients, config.settings, err));
    rn_progress_init(&progress, "simulate", 0, command->quiet);
    const rn_result result = rn_simulation_run(&config, report, err);
    rn_progress_done(&progress);
    return result.code == RN_E_ROUND_ABORTED
               ? rn_fail_context(err, result, "%s: go on with --resume", s->out)
               : result;
}

static rn_result folder(const struct simulate_settings *s, struct rn_error *err)
{
    return rn_output_directory(s->out, s->resume || s->overwrite, 0755, err);
}

static rn_result run_all(struct rn_command *command, struct rn_plan *plan,
                         struct rn_sim_clients *clients, struct rn_simulation_report *report,
                         struct rn_error *err)
{
    struct simulate_settings *s = command->settings;
    RN_TRY(rn_setup_plan_read(command->operands[0], plan, err));
    RN_TRY(rn_sim_plan_check(plan, err));
    RN_TRY(rn_plan_base_check(plan, s->model, NULL, err));
    RN_TRY(folder(s, err));
    RN_TRY(rn_sim_clients_make(&s->data, plan, command->operands + 1, command->operand_count - 1,
                               s->out, clients, err));
    RN_TRY(simulate(command, plan, clients, report, err));
    return tell(command, plan, report, err);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    RN_CLEANUP(rn_free_cleanup) struct rn_plan *plan = rn_alloc(1, sizeof(*plan));
    RN_CLEANUP(rn_sim_clients_clear) struct rn_sim_clients clients = {0};
    RN_CLEANUP(rn_simulation_report_clear) struct rn_simulation_report report = {0};
    RN_TRY(rn_crypto_setup(err));
    rn_stop_catch();
    return run_all(command, plan, &clients, &report, err);
}

static const struct rn_option data_options[] = {
    {"data", RN_OPT_FILE(struct rn_sim_data_settings, columns.path),
     .help = "training data that --partition divides: TSV, CSV or JSONL, plain or gzip"},
    {"text", RN_OPT_TEXT(struct rn_sim_data_settings, columns.text, "COL[,COL]"), .required = true,
     .help = "column of the text, or of the two texts of a pair"},
    {"label", RN_OPT_TEXT(struct rn_sim_data_settings, columns.label, "COL"), .required = true,
     .help = "column of the label or target"},
    {"data-format",
     RN_OPT_CHOICE(struct rn_sim_data_settings, columns.format, RN_CHOICES_DATA_FORMAT),
     .help = "when the file's name does not tell; tsv-quoted: tabs, but cells quoted as in CSV"},
    {"encoding", RN_OPT_CHOICE(struct rn_sim_data_settings, columns.encoding, RN_CHOICES_ENCODING),
     .help = "of the file; without: utf-8"},
    {"no-header", RN_OPT_FLAG(struct rn_sim_data_settings, columns.no_header),
     .help = "the file has no header: columns are numbers from 0"},
    {"partition", RN_OPT_TEXT(struct rn_sim_data_settings, partition, "HOW"), .fallback = "uniform",
     .help = "uniform, dirichlet:ALPHA (skewed classes), quantity:ALPHA (skewed sizes), labels:K "
             "(K classes each), column:NAME (a client a value) or files (behind the plan)"},
    {"clients", RN_OPT_COUNT(struct rn_sim_data_settings, clients, "N"), RN_BOUNDS_MEMBERS,
     .help = "simulated members; without: 3, or as many as there are values or files"},
    {"seed", RN_OPT_COUNT(struct rn_sim_data_settings, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "of the partition and of --sample; the training's is in the plan"},
    {NULL}};

static const struct rn_option run_options[] = {
    {"out", RN_OPT_DIRECTORY(struct simulate_settings, out), .required = true,
     .help = "folder for adapter, rounds.csv, report and the parts of the data"},
    {"model", RN_OPT_DIRECTORY(struct simulate_settings, model), .required = true,
     .help = "base model of the plan"},
    {"dev", RN_OPT_FILE(struct simulate_settings, dev),
     .help = "development data, with the columns of the training data: judged by the server"},
    {"evaluate-every", RN_OPT_COUNT(struct simulate_settings, evaluate_every, "N"), .fallback = "1",
     RN_BOUNDS_ROUNDS, .help = "rounds between two judgements; the last is judged"},
    {"sample", RN_OPT_COUNT(struct simulate_settings, sample, "K"), .least = 0, .most = 1024,
     .help = "clients drawn for each round; 0: all"},
    {"secagg", RN_OPT_CHOICE(struct simulate_settings, secagg, "off|on"), .fallback = "off",
     .help = "on: with the keys, shares and masks of a real job, to the same adapter"},
    {"resume", RN_OPT_FLAG(struct simulate_settings, resume),
     .help = "go on from the last round in the output folder, to the same adapter"},
    {"overwrite", RN_OPT_FLAG(struct simulate_settings, overwrite),
     .help = "write into a folder that holds files"},
    {NULL}};

static const struct rn_option machine_options[] = {
    {"backend", RN_OPT_CHOICE(struct simulate_settings, backend, RN_CHOICES_BACKEND),
     .fallback = "cpu", .help = "what computes, as in rondo train"},
    {"kernels", RN_OPT_CHOICE(struct simulate_settings, kernels, RN_CHOICES_KERNELS),
     .fallback = "auto", .help = "what cpu-bf16 multiplies with"},
    {"threads", RN_OPT_COUNT(struct simulate_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Simulation", run_options, 0},
    {"Data", data_options, offsetof(struct simulate_settings, data)},
    {"Machine", machine_options, 0},
    {NULL}};

const struct rn_command_def rn_cmd_simulate = {
    .name = "simulate",
    .summary = "run a plan's rounds with simulated members on this machine",
    .groups = groups,
    .settings_size = sizeof(struct simulate_settings),
    .operands = {{"PLAN", RN_OPTION_FILE, 1, 1}, {"FILE", RN_OPTION_FILE, 0, RN_PLAN_MEMBERS_MAX}},
    .exits = RN_EXITS(65, 66, 69, 71, 78, 81, 82),
    .detail =
        "The rounds are those of the services: each member's training, the integers of its update, "
        "their sum and the next adapter come from the same functions, and all members go through "
        "one frozen base together. No network takes part, keys only with --secagg on, and no "
        "privacy follows: it is for comparing methods.\n\n"
        "A simulation that was stopped, by kill -9 too, goes on with --resume from its last whole "
        "round.",
    .examples = "  rondo plan new --out plan.yaml --federation study --model encoder \\\n"
                "      --labels negative,positive --rounds 20\n"
                "  rondo simulate plan.yaml --out run --model encoder --data train.tsv \\\n"
                "      --text sentence --label label --dev dev.tsv --clients 20 \\\n"
                "      --partition dirichlet:0.5",
    .run = run,
};
