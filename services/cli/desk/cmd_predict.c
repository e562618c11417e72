/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo predict: label and logits of every record.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/desk/metricstext.h"
#include "services/cli/kit/commands.h"
#include "services/cli/kit/options.h"

#include <stdio.h>
#include <string.h>

struct predict_output {
    bool objects; /* JSON, one object a record */
    bool list;    /* inside {"predictions": [...]} */
};

static void print_object(const struct predict_output *output, const struct rn_prediction *each)
{
    if (output->list && each->index > 0) {
        printf(",\n");
    }
    printf("{\"label\": ");
    if (each->name == NULL) {
        printf("%.9g", (double)each->logits[0]);
    } else {
        rn_json_text_print(each->name);
    }
    printf(", \"class\": %u, \"logits\": [", each->label);
    for (size_t i = 0; i < each->logit_count; i++) {
        printf("%s%.9g", i == 0 ? "" : ", ", (double)each->logits[i]);
    }
    printf("]}%s", output->list ? "" : "\n");
}

static bool print_prediction(void *context, const struct rn_prediction *each)
{
    const struct predict_output *output = context;

    if (output->objects) {
        print_object(output, each);
        return ferror(stdout) == 0;
    }
    if (each->name != NULL) {
        printf("%s", each->name);
    }
    for (size_t i = 0; i < each->logit_count; i++) {
        printf("%s%.9g", i == 0 && each->name == NULL ? "" : "\t", (double)each->logits[i]);
    }
    printf("\n");
    return ferror(stdout) == 0;
}

static rn_result predict(struct rn_desk *desk, const struct rn_command *command,
                         struct rn_error *err)
{
    RN_CLEANUP(rn_desk_close) struct rn_desk_session session = {0};
    struct predict_output output = {
        .objects = strcmp(command->format, "text") != 0,
        .list = command->json,
    };

    RN_TRY(rn_desk_open(desk, &session, err));
    if (output.list) {
        printf("{\"predictions\": [");
    }
    RN_TRY(rn_trainer_predict(session.trainer, session.data, print_prediction, &output, err));
    if (output.list) {
        printf("]}\n");
    }
    return rn_ok();
}

int rn_cmd_predict(int argc, char **argv)
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
        RN_DESK_OPTIONS(desk),
    };
    const struct rn_command_text text = {
        .name = "predict",
        .summary = "label and logits of every record",
        .options = options,
        .option_count = RN_ARRAY_LENGTH(options),
        .extra_formats = "|jsonl",
        .detail = "One line per record, in file order: the label and the logits between tabs, or\n"
                  "with --format jsonl {\"label\", \"class\", \"logits\"}.",
        .examples = "  rondo predict --model encoder --adapter adapter --data test.tsv.gz \\\n"
                    "      --text sentence --format jsonl",
    };
    if (!rn_command_begin(&command, &text, argc, argv)) {
        return command.exit_code;
    }
    return rn_command_end(&command, predict(&desk, &command, &err), &err);
}
