/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo predict: label and logits of every record.
 */
#include "base/guard.h"
#include "services/cli/desk/desktrainer.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"

#include <stdio.h>
#include <string.h>

struct predict_output {
    bool objects; /* JSON, one object a record */
    bool list;    /* inside {"predictions": [...]} */
    bool regression;
};

static void print_object(const struct predict_output *output,
                         const struct rn_prediction *prediction)
{
    if (output->list && prediction->index > 0) {
        printf(",\n");
    }
    printf("{\"label\": ");
    if (output->regression) {
        printf("%.9g", (double)prediction->logits[0]);
    } else if (prediction->name != NULL) {
        rn_json_text_print(prediction->name);
    } else {
        printf("%u", prediction->label);
    }
    printf(", \"class\": %u, \"logits\": [", prediction->label);
    for (size_t i = 0; i < prediction->logit_count; i++) {
        printf("%s%.9g", i == 0 ? "" : ", ", (double)prediction->logits[i]);
    }
    printf("]}%s", output->list ? "" : "\n");
}

static bool print_prediction(void *context, const struct rn_prediction *prediction)
{
    const struct predict_output *output = context;

    if (output->objects) {
        print_object(output, prediction);
        return ferror(stdout) == 0;
    }
    if (output->regression) {
        printf("%.9g\n", (double)prediction->logits[0]);
        return ferror(stdout) == 0;
    }
    if (prediction->name != NULL) {
        printf("%s", prediction->name);
    } else {
        printf("%u", prediction->label);
    }
    for (size_t i = 0; i < prediction->logit_count; i++) {
        printf("\t%.9g", (double)prediction->logits[i]);
    }
    printf("\n");
    return ferror(stdout) == 0;
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    RN_CLEANUP(rn_desk_close) struct rn_desk_session session = {0};
    struct predict_output output = {
        .objects = strcmp(command->format, "text") != 0,
        .list = command->json,
    };

    RN_TRY(rn_desk_open(command->settings, &session, err));
    rn_desk_notes(command->settings, &session, command, true);
    output.regression = rn_desk_task(command->settings) == RN_TASK_REGRESSION;
    if (output.list) {
        printf("{");
        rn_desk_warnings_print(&session);
        printf("\"predictions\": [");
    }
    RN_TRY(rn_trainer_predict(session.trainer, session.data, print_prediction, &output, err));
    if (output.list) {
        printf("]}\n");
    }
    return rn_ok();
}

static const struct rn_option_group groups[] = {
    {"Model", rn_desk_model_options, 0},
    {"Model", rn_desk_adapter_options, 0},
    {"Data", rn_data_options, offsetof(struct rn_desk, columns)},
    {"Labels and length", rn_desk_use_options, 0},
    {"Machine", rn_desk_machine_options, 0},
    {NULL}};

const struct rn_command_def rn_cmd_predict = {
    .name = "predict",
    .summary = "predict the label of every record",
    .groups = groups,
    .settings_size = sizeof(struct rn_desk),
    .formats = "text|json|jsonl",
    .exits = RN_DESK_EXITS,
    .detail =
        "One line per record, in file order, with tabs between: the class (its name, or its "
        "number where nobody named the classes) and the logit of each class. --format jsonl: "
        "{\"label\": name, \"class\": number, \"logits\": [...]}. A regression prints the "
        "value alone, which is \"label\" then. The file needs no label column.\n"
        "\n"
        "Classes are those of the adapter, or of the model's head with the names of id2label. A "
        "note, with --format json also \"warnings\", says when the head is random.",
    .examples = "  rondo predict --model classifier --data test.csv --text sentence\n"
                "  rondo predict --model encoder --adapter adapter --data test.tsv.gz \\\n"
                "      --text sentence --format jsonl",
    .run = run,
};
