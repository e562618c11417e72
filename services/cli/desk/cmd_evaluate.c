/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo evaluate: the metrics of a model, with or without an adapter, on a labelled file.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/desk/metricstext.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"

#include <stdio.h>

static rn_result evaluate(struct rn_desk *desk, const struct rn_command *command,
                          struct rn_error *err)
{
    RN_CLEANUP(rn_desk_close) struct rn_desk_session session = {0};
    struct rn_metrics metrics;

    RN_TRY(rn_desk_open(desk, &session, err));
    RN_TRY(rn_trainer_evaluate(session.trainer, session.data, NULL, NULL, &metrics, err));
    if (command->json) {
        rn_metrics_print_json(&metrics);
        printf("\n");
        return rn_ok();
    }
    rn_metrics_print_text(&metrics);
    return rn_ok();
}

int rn_cmd_evaluate(int argc, char **argv)
{
    struct rn_desk desk;
    struct rn_command command;
    struct rn_error err = {{0}};

    rn_desk_init(&desk);
    const struct rn_option options[] = {
        RN_DESK_MODEL_OPTION(desk),
        {"adapter", "DIR", RN_OPTION_TEXT, &desk.adapter,
         .help = "PEFT directory; without: the model as it is"},
        RN_DATA_OPTIONS(desk.columns),
        RN_LABEL_OPTION(desk.columns, true),
        RN_DESK_OPTIONS(desk),
    };
    const struct rn_command_text text = {
        .name = "evaluate",
        .summary = "metrics of a model and adapter on labelled data",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .detail = "Prints loss, accuracy, F1 (of class 1 with two classes, macro mean otherwise)\n"
                  "and Matthews correlation, or Pearson and Spearman correlation for a regression.",
        .examples = "  rondo evaluate --model encoder --adapter adapter --data dev.tsv.gz \\\n"
                    "      --text sentence --label label --format json",
    };
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    return rn_command_end(&command, evaluate(&desk, &command, &err), &err);
}
