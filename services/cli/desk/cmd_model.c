/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo model hash, rondo model inspect.
 */
#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"
#include "services/cli/kit/jsontext.h"
#include "services/cli/rondo.h"
#include "services/host/modelhash.h"
#include "trainer/trainer.h"

#include <stdio.h>

static rn_result print_hash(struct rn_command *command, struct rn_error *err)
{
    const char *dir = command->operands[0];
    uint8_t hash[32];
    char hex[65];

    RN_TRY(rn_model_hash(dir, hash, err));
    rn_hex_encode(hex, hash, sizeof hash);
    if (command->json) {
        printf("{\"model_hash\": \"%s\", \"model\": ", hex);
        rn_json_text_print(dir);
        printf("}\n");
        return rn_ok();
    }
    printf("%s\n", hex);
    return rn_ok();
}

const struct rn_command_def rn_cmd_model_hash = {
    .name = "model hash",
    .summary = "the hash by which a plan names its base model",
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66),
    .detail = "Covers configuration, weights and tokenizer, by name and content.",
    .examples = "  rondo model hash encoder",
    .run = print_hash,
};

static void print_model_json(const struct rn_model_facts *facts)
{
    printf("{\"family\": \"%s\", \"layers\": %u, \"hidden\": %u, \"heads\": %u, "
           "\"intermediate\": %u, \"vocabulary\": %u, \"tokenizer_vocabulary\": %u, "
           "\"longest\": %u, \"tensors\": %llu, \"parameters\": %llu, \"bytes\": %llu, "
           "\"files\": %u}\n",
           facts->family, facts->layers, facts->hidden, facts->heads, facts->intermediate,
           facts->vocabulary, facts->tokenizer_vocabulary, facts->length_max,
           (unsigned long long)facts->tensors, (unsigned long long)facts->parameters,
           (unsigned long long)facts->weight_bytes, facts->files);
}

static void print_model_text(const struct rn_model_facts *facts)
{
    if (facts->vocabulary == 0) {
        printf("%s: rows of %u numbers\n", facts->family, facts->hidden);
        printf("%llu tensors, %llu parameters, %llu bytes; all headers are sound\n",
               (unsigned long long)facts->tensors, (unsigned long long)facts->parameters,
               (unsigned long long)facts->weight_bytes);
        return;
    }
    printf("%s encoder: %u layers, hidden %u, %u heads, inner %u\n", facts->family, facts->layers,
           facts->hidden, facts->heads, facts->intermediate);
    printf("vocabulary %u (tokenizer %u), at most %u tokens a record\n", facts->vocabulary,
           facts->tokenizer_vocabulary, facts->length_max);
    printf("%llu tensors, %llu parameters, %llu bytes, files: %u; all headers are sound\n",
           (unsigned long long)facts->tensors, (unsigned long long)facts->parameters,
           (unsigned long long)facts->weight_bytes, facts->files);
}

static void print_adapter(const struct rn_adapter_facts *facts, bool json)
{
    if (json) {
        printf("{\"rank\": %u, \"alpha\": %g, \"rslora\": %s, \"tensors\": %llu, "
               "\"parameters\": %llu, \"max_length\": %u, \"targets\": ",
               facts->rank, facts->alpha, facts->use_rslora ? "true" : "false",
               (unsigned long long)facts->tensors, (unsigned long long)facts->parameters,
               facts->max_length);
        rn_json_text_print(facts->targets);
        printf(", \"labels\": [");
        for (size_t i = 0; i < facts->labels.count; i++) {
            printf("%s", i == 0 ? "" : ", ");
            rn_json_text_print(facts->labels.names[i]);
        }
        printf("]}\n");
        return;
    }
    printf("LoRA adapter: rank %u, alpha %g%s, targets %s\n%llu tensors, %llu parameters\n",
           facts->rank, facts->alpha, facts->use_rslora ? " (rslora)" : "", facts->targets,
           (unsigned long long)facts->tensors, (unsigned long long)facts->parameters);
    for (size_t i = 0; i < facts->labels.count; i++) {
        printf("%s%s%s", i == 0 ? "labels: " : ", ", facts->labels.names[i],
               i + 1 == facts->labels.count ? "\n" : "");
    }
}

static rn_result inspect(struct rn_command *command, struct rn_error *err)
{
    const char *dir = command->operands[0];
    struct rn_model_facts model;
    struct rn_adapter_facts adapter;
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "adapter_config.json", err));
    if (rn_file_exists(path)) {
        RN_TRY(rn_adapter_facts_read(dir, &adapter, err));
        print_adapter(&adapter, command->json);
        rn_adapter_facts_clear(&adapter);
        return rn_ok();
    }
    RN_TRY(rn_model_facts_read(dir, &model, err));
    if (command->json) {
        print_model_json(&model);
    } else {
        print_model_text(&model);
    }
    return rn_ok();
}

const struct rn_command_def rn_cmd_model_inspect = {
    .name = "model inspect",
    .summary = "say what a model or adapter directory holds",
    .operands = {{"DIR", RN_OPTION_DIRECTORY, 1, 1}},
    .exits = RN_EXITS(65, 66, 69),
    .detail = "Checks config.json, tokenizer.json and every safetensors header on the way.",
    .examples = "  rondo model inspect encoder\n  rondo model inspect adapter --format json",
    .run = inspect,
};
