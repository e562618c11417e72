/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo simulate study: a grid of simulations, and one page about it.
 */
#include "base/alloc.h"
#include "base/guard.h"
#include "crypto/setup.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/kit/stopflag.h"
#include "services/cli/rondo.h"
#include "services/cli/simulate/studyreport.h"

#include <jansson.h>
#include <stdio.h>

struct study_settings {
    const char *out, *backend;
    uint64_t threads;
    bool quick;
};

static rn_result tell(const struct rn_command *command, const struct rn_study_config *config,
                      struct rn_error *err)
{
    char path[RN_PATH_MAX];
    uint64_t examples = 0;
    const uint64_t runs = rn_study_runs(config, &examples);
    RN_TRY(rn_path_join(path, config->out, "report.md", err));
    if (command->json) {
        return rn_json_print(json_pack("{s:I, s:I, s:s}", "runs", (json_int_t)runs, "cells",
                                       (json_int_t)config->cell_count, "report", path),
                             err);
    }
    printf("%llu runs, report: %s\n", (unsigned long long)runs, path);
    return rn_ok();
}

static rn_result run_study(const struct rn_command *command, const struct rn_study_config *config,
                           struct rn_study_outcome *outcomes, struct rn_error *err)
{
    const struct study_settings *s = command->settings;
    uint64_t examples = 0;
    const uint64_t runs = rn_study_runs(config, &examples);
    rn_command_note(command, "%llu runs over %llu examples; each that is over is kept in %s",
                    (unsigned long long)runs, (unsigned long long)examples, config->out);
    const rn_result result = rn_study_run(config, outcomes, err);
    if (result.code == RN_E_ROUND_ABORTED) {
        return rn_fail_context(err, result, "%s: the same command goes on", config->out);
    }
    RN_TRY(result);
    RN_TRY(rn_study_report(config, outcomes, s->quick, err));
    return tell(command, config, err);
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct study_settings *s = command->settings;
    RN_CLEANUP(rn_free_cleanup) struct rn_study *study = rn_alloc(1, sizeof(*study));
    RN_CLEANUP(rn_free_cleanup)
    struct rn_study_cell *cells = rn_alloc(RN_STUDY_CELLS_MAX, sizeof(*cells));
    RN_CLEANUP(rn_free_cleanup)
    struct rn_study_outcome *outcomes = rn_alloc(RN_STUDY_CELLS_MAX, sizeof(*outcomes));
    RN_TRY(rn_crypto_setup(err));
    RN_TRY(rn_study_read(command->operands[0], study, err));
    if (s->quick) {
        rn_study_quick(study);
    }
    const struct rn_study_config config = {.study = study,
                                           .cells = cells,
                                           .cell_count = rn_study_cells(study, cells),
                                           .out = s->out,
                                           .backend = s->backend,
                                           .threads = (uint32_t)s->threads,
                                           .quiet = command->quiet};
    rn_stop_catch();
    const rn_result result = run_study(command, &config, outcomes, err);
    for (uint32_t i = 0; i < config.cell_count; i++) {
        rn_study_outcome_clear(&outcomes[i]);
    }
    return result;
}

static const struct rn_option options[] = {
    {"out", RN_OPT_DIRECTORY(struct study_settings, out), .required = true,
     .help = "folder for report, figures and runs; a study that was stopped goes on in it"},
    {"quick", RN_OPT_FLAG(struct study_settings, quick),
     .help = "the main picture: three seeds, the first rank, layers and partition, the fewest and "
             "the most clients"},
    {"backend", RN_OPT_CHOICE(struct study_settings, backend, RN_CHOICES_BACKEND),
     .fallback = "cpu", .help = "what computes, as in rondo train"},
    {"threads", RN_OPT_COUNT(struct study_settings, threads, "N"), .fallback = "0",
     RN_BOUNDS_THREADS, .help = "0: one per core"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Study", options, 0}, {NULL}};

const struct rn_command_def rn_cmd_simulate_study = {
    .name = "simulate study",
    .summary = "simulate a grid of methods and settings, and write a report",
    .groups = groups,
    .settings_size = sizeof(struct study_settings),
    .operands = {{"FILE", RN_OPTION_FILE, 1, 1}},
    .exits = RN_EXITS(65, 66, 69, 71, 78, 81, 82),
    .detail =
        "FILE is a YAML file (services/cli/simulate/studyfile.h shows one). For each combination "
        "of method, rank, layers, clients and partition every learning rate is tried once on a "
        "part of the training data that is held back; the best is run with every seed and judged "
        "on the test data. The report gives means with 95 % intervals and each seed's value.",
    .examples = "  rondo simulate study tests/bench/papers/smoke.yaml --out /tmp/smoke\n"
                "  rondo simulate study study.yaml --out results --quick",
    .run = run,
};
