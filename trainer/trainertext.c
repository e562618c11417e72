/* SPDX-License-Identifier: Apache-2.0
 *
 * Token ids of a data file, facts of model and adapter directories.
 */
#include "trainer/trainertext.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/adapter/peftfile.h"
#include "trainer/data/recordfile.h"
#include "trainer/model/family.h"
#include "trainer/model/modelclasses.h"
#include "trainer/text/tokenizer.h"

rn_result rn_text_tokenize(const char *model_dir, const struct rn_data_spec *spec,
                           uint32_t max_length, rn_ids_fn each, void *context, struct rn_error *err)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    RN_CLEANUP(rn_encoding_clear) struct rn_encoding encoding = {0};
    struct rn_record record;

    RN_ENSURE(!rn_modelconfig_reads_rows(model_dir), err, RN_E_UNSUPPORTED,
              "%s: reads rows of numbers, so there are no tokens", model_dir);
    RN_TRY(rn_tokenizer_open(model_dir, &tokenizer, err));
    RN_TRY(rn_records_open(spec, &records, err));
    for (size_t index = 0;; index++) {
        bool any = false;
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            RN_ENSURE(index > 0, err, RN_E_DATA, "%s: the file holds no record", spec->path);
            return rn_ok();
        }
        const rn_result encoded = rn_tokenizer_encode(
            tokenizer, record.text, spec->pair_column == NULL ? NULL : &record.pair, max_length,
            &encoding, err);
        if (!rn_is_ok(encoded)) {
            return rn_fail_context(err, encoded, "%s:%llu", spec->path,
                                   (unsigned long long)record.line);
        }
        RN_TRY(each(context, index, encoding.ids, encoding.length, err));
    }
}

/* ---- Facts */

rn_result rn_model_facts_read(const char *model_dir, struct rn_model_facts *out,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_tokenizer_cleanup) struct rn_tokenizer *tokenizer = NULL;
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    struct rn_model_config config;

    RN_TRY(rn_modelconfig_read(model_dir, &config, err));
    if (!config.family->rows) {
        RN_TRY(rn_tokenizer_open(model_dir, &tokenizer, err));
    }
    RN_TRY(rn_safetensors_open_model(model_dir, &tensors, err));
    *out = (struct rn_model_facts){
        .family = config.family->model_type,
        .layers = config.layers,
        .heads = config.heads,
        .hidden = config.hidden,
        .intermediate = config.intermediate,
        .vocabulary = config.vocabulary,
        .positions = config.positions,
        .length_max = rn_modelconfig_length_max(&config),
        .tokenizer_vocabulary = tokenizer != NULL ? rn_tokenizer_vocabulary(tokenizer) : 0,
        .tensors = rn_safetensors_count(tensors),
        .files = (uint32_t)rn_safetensors_file_count(tensors),
    };
    for (size_t i = 0; i < rn_safetensors_count(tensors); i++) {
        out->parameters += rn_safetensors_at(tensors, i)->elements;
        out->weight_bytes += rn_safetensors_at(tensors, i)->bytes;
    }
    return rn_ok();
}

/* "query,value", the pattern, or "all-linear". */
static char *targets_text(const struct rn_peft_config *config)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};

    if (config->all_linear || config->targets.pattern != NULL) {
        rn_buffer_format(&text, "%s", config->all_linear ? "all-linear" : config->targets.pattern);
    }
    for (size_t i = 0; i < config->targets.count; i++) {
        rn_buffer_format(&text, "%s%s", i == 0 ? "" : ",", config->targets.names[i]);
    }
    return rn_text_copy(rn_buffer_text(&text), text.length);
}

rn_result rn_adapter_facts_read(const char *adapter_dir, struct rn_adapter_facts *out,
                                struct rn_error *err)
{
    struct rn_peft peft = {0};

    RN_TRY(rn_peft_open(adapter_dir, &peft, err));
    *out = (struct rn_adapter_facts){
        .rank = peft.config.rank,
        .alpha = peft.config.alpha,
        .use_rslora = peft.config.use_rslora,
        .targets = targets_text(&peft.config),
        .base_model = RN_TAKE(peft.config.base_model),
        .labels = peft.extra.labels,
        .stated = peft.extra.stated,
        .task = peft.extra.task,
        .head_outputs = rn_head_outputs(peft.tensors, "base_model.model."),
        .max_length = peft.extra.max_length,
        .tensors = rn_safetensors_count(peft.tensors),
    };
    peft.extra.labels = (struct rn_label_list){0};
    for (size_t i = 0; i < rn_safetensors_count(peft.tensors); i++) {
        out->parameters += rn_safetensors_at(peft.tensors, i)->elements;
    }
    rn_peft_close(&peft);
    return rn_ok();
}

void rn_adapter_facts_clear(struct rn_adapter_facts *facts)
{
    rn_free(facts->targets);
    rn_free(facts->base_model);
    rn_label_list_clear(&facts->labels);
    *facts = (struct rn_adapter_facts){0};
}
