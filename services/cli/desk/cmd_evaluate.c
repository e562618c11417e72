/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo evaluate: the metrics of a model, with or without an adapter, on a labelled file.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/desk/metricstext.h"
#include "services/cli/rondo.h"

#include <stdio.h>

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    RN_CLEANUP(rn_desk_close) struct rn_desk_session session = {0};
    struct rn_metrics metrics;

    RN_TRY(rn_desk_open(command->settings, &session, err));
    rn_desk_notes(command->settings, &session, command, true);
    RN_TRY(rn_trainer_evaluate(session.trainer, session.data, NULL, NULL, &metrics, err));
    if (command->json) {
        printf("{");
        rn_desk_warnings_print(&session);
        rn_metrics_print_json_fields(&metrics);
        printf("}");
        printf("\n");
        return rn_ok();
    }
    rn_metrics_print_text(&metrics);
    return rn_ok();
}

static const struct rn_option_group groups[] = {
    {"Model", rn_desk_model_options, 0},
    {"Model", rn_desk_adapter_options, 0},
    {"Data", rn_labelled_data_options, offsetof(struct rn_desk, columns)},
    {"Labels and length", rn_desk_use_options, 0},
    {"Machine", rn_desk_machine_options, 0},
    {NULL}};

const struct rn_command_def rn_cmd_evaluate = {
    .name = "evaluate",
    .summary = "measure a model, with or without an adapter, on labelled data",
    .groups = groups,
    .settings_size = sizeof(struct rn_desk),
    .exits = RN_DESK_EXITS,
    .detail =
        "Prints loss, accuracy, F1 (of class 1 with two classes, macro mean otherwise) and "
        "Matthews correlation; for a regression loss, Pearson and Spearman correlation.\n"
        "\n"
        "Classes and their order are those of the adapter, or of the model's head (id2label). "
        "The file may hold their names or their numbers and need not hold every class; a label "
        "that is none of them is an error. A note, with --format json also \"warnings\", says "
        "when the head is random.",
    .examples = "  rondo evaluate --model classifier --data dev.csv --text sentence --label label\n"
                "  rondo evaluate --model encoder --adapter adapter --data dev.tsv.gz \\\n"
                "      --text sentence --label label --format json",
    .run = run,
};
