/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-bench train: LoRA training steps of Rondo beside torch + transformers + peft, the same work
 * on the same machine in one run.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/bench/benchchild.h"
#include "services/bench/benchprogram.h"
#include "services/bench/benchreport.h"
#include "services/bench/benchrun.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/stopflag.h"

#include <stdio.h>
#include <string.h>

#define CSV_BYTES_MAX ((size_t)16 << 20)

struct bench_settings {
    const char *setting, *shape, *backend, *precision, *python, *peers;
    const char *csv, *plot, *keep_model;
    uint64_t threads, batch, steps, repeats, timeout;
    bool list, quick, no_cache, append;
};

/* ---- --list ---- */

static void print_setting(const struct rn_bench_setting *setting, bool json, bool first)
{
    if (!json) {
        printf("  %-20s %s%s\n", setting->name, setting->summary,
               setting->standard ? "" : " (when named)");
        return;
    }
    printf("%s{\"setting\": \"%s\", \"standard\": %s, \"summary\": ", first ? "" : ", ",
           setting->name, setting->standard ? "true" : "false");
    rn_json_text_print(setting->summary);
    printf("}");
}

static rn_result print_list(const struct bench_settings *s, bool json)
{
    struct rn_bench_setting all[RN_BENCH_SETTINGS_MAX];
    const size_t count = rn_bench_settings_of(rn_bench_shape_find(s->shape), all);
    printf("%s", json ? "{\"settings\": [" : "");
    for (size_t i = 0; i < count; i++) {
        print_setting(&all[i], json, i == 0);
    }
    printf("%s", json ? "]}\n" : "");
    return rn_ok();
}

/* ---- Choices ---- */

/* Whether this build has the backend: a product of the smallest size. */
static bool backend_works(const char *backend)
{
    struct rn_product_rates rates;
    const struct rn_measure_spec spec = {
        .backend = backend, .threads = 1, .hidden = 64, .intermediate = 64, .rows = 16};
    return rn_is_ok(rn_measure_products(&spec, &rates, NULL));
}

static rn_result settle_backend(struct bench_settings *s, struct rn_error *err)
{
    if (s->backend == NULL) {
        const bool float32 = strcmp(s->precision, "float32") == 0;
        const bool bf16 = !float32 && backend_works("cpu-bf16");
        RN_ENSURE(bf16 || strcmp(s->precision, "bf16") != 0, err, RN_E_UNSUPPORTED,
                  "this build has no backend cpu-bf16");
        s->backend = bf16 ? "cpu-bf16" : "cpu";
    }
    return rn_ok();
}

static struct rn_bench_choice choice_of(const struct bench_settings *s,
                                        const struct rn_cpu_facts *cpu, bool quiet)
{
    return (struct rn_bench_choice){
        .backend = s->backend,
        .threads = s->threads != 0                       ? (uint32_t)s->threads
                   : cpu->cores > RN_TRAINER_THREADS_MAX ? RN_TRAINER_THREADS_MAX
                                                         : cpu->cores,
        .batch = (uint32_t)s->batch,
        .steps = s->steps != 0 ? (uint32_t)s->steps
                 : s->quick    ? 1
                               : 0,
        .repeats = s->repeats != 0 ? (uint32_t)s->repeats
                   : s->quick      ? 1
                                   : 0,
        .limit_ms = s->timeout * 1000,
        .cache = !s->no_cache,
        .quiet = quiet,
    };
}

/* ---- The run ---- */

/* to->result_count counts the settings that are done, also when a signal ends the run early. */
static rn_result measure_all(const struct rn_bench_place *place, struct rn_bench_report *to,
                             struct rn_bench_result *results, size_t count, bool quiet,
                             struct rn_error *err)
{
    struct rn_progress progress;
    uint64_t done = 0;
    uint64_t total = 0;
    char line[96];
    rn_result result = rn_ok();
    for (size_t i = 0; i < count; i++) {
        total += rn_bench_steps_of(&results[i]);
    }
    rn_progress_init(&progress, "bench", total, quiet);
    for (size_t i = 0; i < count && rn_is_ok(result); i++) {
        (void)rn_text_format(line, sizeof(line), "setting %zu of %zu: %s", i + 1, count,
                             results[i].setting.name);
        rn_progress_line(&progress, line);
        result = rn_bench_run(place, to->peer, to->choice, &progress, &done, &results[i], err);
        to->result_count += rn_is_ok(result) ? 1 : 0;
    }
    rn_progress_done(&progress);
    return result;
}

static rn_result write_csv(const struct bench_settings *s, const struct rn_bench_report *report,
                           struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer csv = {0};
    if (s->append && rn_file_exists(s->csv)) {
        RN_TRY(rn_file_read(s->csv, CSV_BYTES_MAX, &csv, err));
        RN_ENSURE(rn_bench_report_csv_begins(rn_buffer_view(&csv)), err, RN_E_DATA,
                  "%s: line 1 is not the header of this table; nothing was appended", s->csv);
    }
    rn_bench_report_csv(report, &csv);
    return rn_file_write(s->csv, rn_buffer_view(&csv), 0644, err);
}

static rn_result write_reports(const struct bench_settings *s, const struct rn_bench_report *report,
                               bool json, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer svg = {0};
    if (json) {
        RN_TRY(rn_bench_report_json(report, &text, err));
    } else {
        rn_bench_report_text(report, &text);
    }
    printf("%s", rn_buffer_text(&text));
    if (s->csv != NULL) {
        RN_TRY(write_csv(s, report, err));
    }
    if (s->plot != NULL) {
        RN_TRY(rn_bench_report_svg(report, &svg, err));
        RN_TRY(rn_file_write(s->plot, rn_buffer_view(&svg), 0644, err));
    }
    return rn_ok();
}

/* Rondo's own side must have worked everywhere; a peer's failure is only reported. */
static rn_result check_own(const struct rn_bench_result *results, size_t count,
                           struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct rn_bench_side *ours = &results[i].sides[0];
        RN_ENSURE(ours->failure[0] == '\0', err, RN_E_INCOMPLETE, "%s: Rondo failed: %s",
                  results[i].setting.name, ours->failure);
    }
    return rn_ok();
}

static rn_result run_in(struct bench_settings *s, const struct rn_command *command,
                        const struct rn_bench_place *place, struct rn_error *err)
{
    struct rn_bench_setting settings[RN_BENCH_SETTINGS_MAX];
    struct rn_bench_peer peer;
    struct rn_cpu_facts cpu;
    size_t count = 0;
    RN_TRY(
        rn_bench_settings_parse(s->setting, rn_bench_shape_find(s->shape), settings, &count, err));
    RN_TRY(settle_backend(s, err));
    RN_TRY(rn_bench_peer_find(s->python, place, &peer, err));
    RN_TRY(rn_bench_peer_choose(&peer, s->peers, s->precision, s->quick, err));
    rn_measure_cpu(&cpu);
    const struct rn_bench_choice choice = choice_of(s, &cpu, command->quiet);
    RN_CLEANUP(rn_free_cleanup) struct rn_bench_result *results = rn_alloc(count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        rn_bench_sides_plan(&settings[i], &choice, &peer, &results[i]);
    }
    struct rn_bench_report report = {.cpu = cpu,
                                     .wall_ms = rn_clock_wall_ms(),
                                     .choice = &choice,
                                     .peer = &peer,
                                     .results = results};
    const rn_result measured = measure_all(place, &report, results, count, command->quiet, err);
    if (report.result_count > 0) { /* what is done is told, also when the rest is not */
        RN_TRY(write_reports(s, &report, command->json, rn_is_ok(measured) ? err : NULL));
    }
    RN_TRY(measured);
    return check_own(results, count, err);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct bench_settings *s = command->settings;
    RN_CLEANUP(rn_bench_place_close) struct rn_bench_place place = {.kept = NULL};
    if (s->list) {
        return print_list(s, command->json);
    }
    RN_ENSURE(s->csv != NULL || !s->append, err, RN_E_USAGE, "--append needs --csv");
    rn_stop_catch();
    RN_TRY(rn_bench_place_open(s->keep_model, &place, err));
    return run_in(s, command, &place, err);
}

static const struct rn_option what_options[] = {
    {"list", RN_OPT_FLAG(struct bench_settings, list),
     .help = "name the settings of the shape and leave"},
    {"setting", RN_OPT_TEXT(struct bench_settings, setting, "NAME,..."),
     .help = "settings to measure; without: the shape's usual ones"},
    {"shape", RN_OPT_CHOICE(struct bench_settings, shape, RN_CHOICES_SHAPE), .fallback = "large",
     .help = "RoBERTa-large, RoBERTa-base, or 4 layers of width 256"},
    {"python", RN_OPT_FILE(struct bench_settings, python), .fallback = "python3",
     .help = "Python with torch, transformers and peft; none: Rondo alone"},
    {"peers", RN_OPT_TEXT(struct bench_settings, peers, "NAME,..."),
     .help = "which of bf16, float32, bf16-compiled, float32-compiled and bf16-weights; without: "
             "the first four"},
    {"precision", RN_OPT_CHOICE(struct bench_settings, precision, "best|float32|bf16"),
     .fallback = "best", .help = "best: each side's fastest"},
    {"backend", RN_OPT_CHOICE(struct bench_settings, backend, RN_CHOICES_BACKEND),
     .help = "what computes on Rondo's side; without: by the precision"},
    {NULL}};

static const struct rn_option load_options[] = {
    {"threads", RN_OPT_COUNT(struct bench_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "on both sides; 0: one per core"},
    {"batch", RN_OPT_COUNT(struct bench_settings, batch, "N"), .fallback = "32", RN_BOUNDS_BATCH,
     .help = "texts a step"},
    {"steps", RN_OPT_COUNT(struct bench_settings, steps, "N"), RN_BOUNDS_STEPS,
     .help = "measured steps an epoch; without: 2 for large, 4 for base, 8 for small"},
    {"repeats", RN_OPT_COUNT(struct bench_settings, repeats, "N"), .least = 1, .most = 100,
     .help = "turns of every side; without: 1 for large, 2 for base, 3 for small"},
    {"quick", RN_OPT_FLAG(struct bench_settings, quick),
     .help = "one step, one turn, nothing compiled: minutes, not hours"},
    {"timeout", RN_OPT_COUNT(struct bench_settings, timeout, "SECONDS"), .fallback = "1800",
     .least = 1, .most = 1000000, .help = "of one side's turn"},
    {"no-cache", RN_OPT_FLAG(struct bench_settings, no_cache),
     .help = "frozen layers are computed anew in every epoch"},
    {NULL}};

static const struct rn_option result_options[] = {
    {"csv", RN_OPT_FILE(struct bench_settings, csv), .help = "also write every figure here"},
    {"append", RN_OPT_FLAG(struct bench_settings, append),
     .help = "put the lines behind those that the CSV file holds"},
    {"plot", RN_OPT_FILE(struct bench_settings, plot), .help = "also draw the ratios here, as SVG"},
    {"keep-model", RN_OPT_DIRECTORY(struct bench_settings, keep_model),
     .help = "keep the random models here, and use those that are there"},
    {NULL}};

static const struct rn_option_group groups[] = {{"What is measured", what_options, 0},
                                                {"Load", load_options, 0},
                                                {"Results", result_options, 0},
                                                {NULL}};

static const char detail[] =
    "Each side trains LoRA of rank 4 on query and value with AdamW and a frozen head (but in the\n"
    "settings ...-head), from the\n"
    "same model directory (random weights from a seed, written for the purpose) on the same\n"
    "texts, in a process of its own with the same number of threads; sides take turns, and the\n"
    "best of the repeats counts. A warm-up batch goes before. peft pads each batch to its\n"
    "longest text; tokens are counted without padding on both sides.\n"
    "\n"
    "Lengths \"128\": every text has 128 tokens. \"glue\": log-normal, median 24, 5 to 128.\n"
    "p2 and top2 adapt the upper layers alone; from the second epoch on Rondo takes the frozen\n"
    "layers' result from a cache, so those epochs are reported apart.\n"
    "\n"
    "Peers: bf16 and float32 are eager (bf16: autocast), -compiled ones go through\n"
    "torch.compile, bf16-weights holds the base model in bf16. Ratios are against the fastest.\n"
    "Rondo runs in bf16 where this build can; --precision float32 or bf16 keeps both sides to\n"
    "one precision. Peak memory is the greatest resident set of a side's process.\n"
    "\n"
    "The large model takes 1.2 GB in $TMPDIR while the command runs, and minutes per setting\n"
    "with a peer: --setting measures one alone, and --csv FILE --append gathers the figures of\n"
    "several runs, which rondo-bench plot draws. Ctrl-C leaves no files behind.";

static const char examples[] =
    "  rondo-bench train --shape base --quick\n"
    "  rondo-bench train --setting large-all-128 --python ~/venv/bin/python\n"
    "  rondo-bench train --shape large --python none --csv large.csv --plot large.svg\n"
    "  rondo-bench train --setting base-all-128,base-all-glue --precision float32 \\\n"
    "      --format json\n"
    "  rondo-bench train --list";

const struct rn_command_def rn_bench_train = {
    .name = "train",
    .summary = "measure training here, beside torch and peft",
    .groups = groups,
    .settings_size = sizeof(struct bench_settings),
    .exits = RN_EXITS(65, 66, 69, 71, 81, 82),
    .detail = detail,
    .examples = examples,
    .run = run,
};
