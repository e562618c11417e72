/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo data split: cuts a data file into parts as different as organisations' data are.
 */
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/desk/datacolumns.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/rondo.h"

#include <stdio.h>
#include <string.h>

struct split_settings {
    struct rn_data_columns columns;
    const char *out;
    uint64_t parts;
    double skew;
    uint64_t seed;
};

static void print_counts(const struct rn_command *command, char paths[][RN_PATH_MAX],
                         const size_t *counts, size_t parts)
{
    if (command->json) {
        (void)printf("{\"parts\": [");
    }
    for (size_t p = 0; p < parts && !command->quiet; p++) {
        if (command->json) {
            (void)printf("%s{\"path\": \"%s\", \"records\": %zu}", p > 0 ? ", " : "", paths[p],
                         counts[p]);
        } else {
            (void)printf("%s: %zu records\n", paths[p], counts[p]);
        }
    }
    if (command->json) {
        (void)printf("]}\n");
    }
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    struct split_settings *settings = command->settings;
    static char paths[RN_SPLIT_PARTS_MAX][RN_PATH_MAX];
    const char *list[RN_SPLIT_PARTS_MAX];
    size_t counts[RN_SPLIT_PARTS_MAX];
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list labels = {0};
    struct rn_split_spec spec = {.out_paths = list,
                                 .parts = (size_t)settings->parts,
                                 .skew = settings->skew,
                                 .seed = settings->seed};
    RN_TRY(rn_data_columns_spec(&settings->columns, &spec.data, err));
    RN_TRY(rn_label_list_discover(&spec.data, &labels, err));
    spec.labels = (const char *const *)labels.names;
    spec.label_count = labels.count;
    RN_TRY(rn_directory_make(settings->out, 0700, err));
    for (size_t p = 0; p < spec.parts; p++) {
        char name[32];
        (void)rn_text_format(name, sizeof(name), "part-%zu.jsonl", p + 1);
        RN_TRY(rn_path_join(paths[p], settings->out, name, err));
        list[p] = paths[p];
    }
    RN_TRY(rn_data_split(&spec, counts, err));
    print_counts(command, paths, counts, spec.parts);
    return rn_ok();
}

static const struct rn_option split_options[] = {
    {"out", RN_OPT_DIRECTORY(struct split_settings, out), .required = true,
     .help = "folder for part-1.jsonl, part-2.jsonl ... (columns text, pair, label)"},
    {"parts", RN_OPT_COUNT(struct split_settings, parts, "N"), .fallback = "3", .least = 1,
     .most = RN_SPLIT_PARTS_MAX, .help = "how many parts"},
    {"skew", RN_OPT_NUMBER(struct split_settings, skew, "X"), .fallback = "0.5", .least = 0,
     .most = 1, .help = "0: independent parts; 1: each part has its own classes"},
    {"seed", RN_OPT_COUNT(struct split_settings, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "another draw"},
    {NULL}};

static const struct rn_option_group groups[] = {
    {"Data", rn_labelled_data_options, offsetof(struct split_settings, columns)},
    {"Parts", split_options, 0},
    {NULL}};

const struct rn_command_def rn_cmd_data_split = {
    .name = "data split",
    .summary = "cut a data file into skewed parts, for experiments",
    .groups = groups,
    .settings_size = sizeof(struct split_settings),
    .exits = RN_EXITS(65, 66),
    .examples = "  rondo data split --data train.tsv --text sentence --label label \\\n"
                "      --parts 4 --skew 0.6 --out parts",
    .run = run,
};
