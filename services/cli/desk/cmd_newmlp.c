/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo model new-mlp.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/desk/outputdir.h"
#include "services/cli/kit/bounds.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "services/host/modelhash.h"
#include "trainer/trainer.h"

#include <stdio.h>

struct new_mlp_settings {
    uint64_t inputs, classes, seed;
    double divisor, mean, deviation;
    bool overwrite;
};

static rn_result print_made(const struct rn_command *command, const char *dir, struct rn_error *err)
{
    uint8_t hash[32];
    char hex[65];

    RN_TRY(rn_model_hash(dir, hash, err));
    rn_hex_encode(hex, hash, sizeof hash);
    if (command->json) {
        printf("{\"model_hash\": \"%s\", \"model\": ", hex);
        rn_json_text_print(dir);
        printf("}\n");
    } else {
        printf("model: %s\nhash: %s\n", dir, hex);
    }
    return rn_ok();
}

static rn_result run(struct rn_command *command, struct rn_error *err)
{
    const struct new_mlp_settings *settings = command->settings;
    const char *dir = command->operands[0];
    const struct rn_new_mlp model = {.inputs = (uint32_t)settings->inputs,
                                     .classes = (uint32_t)settings->classes,
                                     .divisor = settings->divisor,
                                     .mean = settings->mean,
                                     .deviation = settings->deviation,
                                     .seed = settings->seed};

    RN_TRY(rn_output_directory(dir, settings->overwrite, 0755, err));
    RN_TRY(rn_new_mlp_write(&model, dir, err));
    return print_made(command, dir, err);
}

static const struct rn_option rows[] = {
    {"inputs", RN_OPT_COUNT(struct new_mlp_settings, inputs, "N"), .required = true, .least = 1,
     .most = 16384, .help = "numbers of a record: 784 for MNIST"},
    {"classes", RN_OPT_COUNT(struct new_mlp_settings, classes, "N"), .required = true, .least = 2,
     .most = RN_TRAINER_LABELS_MAX, .help = "how many there are"},
    {"input-divisor", RN_OPT_NUMBER(struct new_mlp_settings, divisor, "X"), .fallback = "1",
     .least = 1e-9, .most = 1e9,
     .help = "a number of a file enters as (x / divisor - mean) / deviation: 255 for bytes"},
    {"input-mean", RN_OPT_NUMBER(struct new_mlp_settings, mean, "X"), .fallback = "0",
     .least = -1e9, .most = 1e9, .help = "what is taken off"},
    {"input-deviation", RN_OPT_NUMBER(struct new_mlp_settings, deviation, "X"), .fallback = "1",
     .least = 1e-9, .most = 1e9, .help = "what the rest is divided by"},
    {"seed", RN_OPT_COUNT(struct new_mlp_settings, seed, "N"), .fallback = "1", RN_BOUNDS_SEED,
     .help = "of the classifier's weights"},
    {"overwrite", RN_OPT_FLAG(struct new_mlp_settings, overwrite),
     .help = "write into a folder that holds files"},
    {NULL}};

static const struct rn_option_group groups[] = {{"Model", rows, 0}, {NULL}};

const struct rn_command_def rn_cmd_model_new_mlp = {
    .name = "model new-mlp",
    .summary = "make a small network over rows of numbers, for experiments",
    .groups = groups,
    .settings_size = sizeof(struct new_mlp_settings),
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 78),
    .detail = "softmax(W relu(B A x)): A and B are the LoRA matrices of its one module, which has "
              "no weight of its own, and W is random. Data are IDX files (MNIST), or CSV and TSV "
              "files of numbers: --text '*' takes all columns but the label, --text FIRST:LAST a "
              "range. Train it with --targets all-linear, and with --head frozen to leave W alone.",
    .examples = "  rondo model new-mlp mnist --inputs 784 --classes 10 --input-divisor 255 \\\n"
                "      --input-mean 0.1307 --input-deviation 0.3081\n"
                "  rondo train --model mnist --data train-images-idx3-ubyte.gz --text '*' \\\n"
                "      --label label --targets all-linear --rank 16 --alpha 16 --head frozen \\\n"
                "      --optimizer sgd --lr 0.02 --batch 64 --out adapter",
    .run = run,
};
