/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json of BERT and RoBERTa.
 */
#include "trainer/model/modelconfig.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <string.h>

/* Fields that must be off, because Rondo computes no such thing. */
static const char *const must_be_off[] = {
    "is_decoder",          "add_cross_attention", "is_encoder_decoder", "pruned_heads",
    "quantization_config", "embedding_size",      "embedding_shared",
};

static rn_result read_family(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    const char *family = NULL;

    RN_TRY(rn_json_get_text(root, name, "model_type", &family, err));
    RN_ENSURE(family != NULL, err, RN_E_DATA, "%s: model_type is missing", name);
    if (strcmp(family, "bert") == 0) {
        out->family = RN_FAMILY_BERT;
        out->types = 2;
        out->pad_id = 0;
        return rn_ok();
    }
    RN_ENSURE(strcmp(family, "roberta") == 0, err, RN_E_UNSUPPORTED,
              "%s: model_type %.40s is not supported (bert and roberta are)", name, family);
    out->family = RN_FAMILY_ROBERTA;
    out->types = 2;
    out->pad_id = 1;
    return rn_ok();
}

/* A text field that may only have one value; absent means that value. */
static rn_result check_text(const json_t *root, const char *name, const char *key,
                            const char *wanted, struct rn_error *err)
{
    const char *value = wanted;

    RN_TRY(rn_json_get_text(root, name, key, &value, err));
    RN_ENSURE(strcmp(value, wanted) == 0, err, RN_E_UNSUPPORTED,
              "%s: %s %.40s is not supported (%s is)", name, key, value, wanted);
    return rn_ok();
}

static rn_result check_arithmetic(const json_t *root, const char *name, struct rn_error *err)
{
    const char *activation = "gelu";
    RN_TRY(rn_json_get_text(root, name, "hidden_act", &activation, err));
    /* gelu_python is the same function, written out in Python. */
    RN_ENSURE(strcmp(activation, "gelu") == 0 || strcmp(activation, "gelu_python") == 0, err,
              RN_E_UNSUPPORTED, "%s: hidden_act %.40s is not supported (gelu is)", name,
              activation);
    RN_TRY(check_text(root, name, "position_embedding_type", "absolute", err));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(must_be_off); i++) {
        RN_ENSURE(rn_json_is_off(root, must_be_off[i]), err, RN_E_UNSUPPORTED,
                  "%s: a model with %s is not supported", name, must_be_off[i]);
    }
    return rn_ok();
}

static rn_result read_shapes(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    const struct {
        const char *key;
        uint64_t most;
        uint32_t *value;
    } shapes[] = {
        {"num_hidden_layers", RN_CONFIG_LAYERS_MAX, &out->layers},
        {"num_attention_heads", RN_CONFIG_HEADS_MAX, &out->heads},
        {"hidden_size", RN_CONFIG_HIDDEN_MAX, &out->hidden},
        {"intermediate_size", RN_CONFIG_INTERMEDIATE_MAX, &out->intermediate},
        {"vocab_size", RN_CONFIG_VOCABULARY_MAX, &out->vocabulary},
        {"max_position_embeddings", RN_CONFIG_POSITIONS_MAX, &out->positions},
        {"type_vocab_size", RN_CONFIG_TYPES_MAX, &out->types},
    };

    for (size_t i = 0; i < RN_ARRAY_LENGTH(shapes); i++) {
        RN_TRY(
            rn_json_get_count(root, name, shapes[i].key, 1, shapes[i].most, shapes[i].value, err));
        RN_ENSURE(*shapes[i].value > 0, err, RN_E_DATA, "%s: %s is missing", name, shapes[i].key);
    }
    RN_ENSURE(out->hidden % out->heads == 0, err, RN_E_DATA,
              "%s: hidden_size %u is not a multiple of num_attention_heads %u", name, out->hidden,
              out->heads);
    RN_TRY(rn_json_get_count(root, name, "pad_token_id", 0, RN_CONFIG_VOCABULARY_MAX - 1,
                             &out->pad_id, err));
    RN_ENSURE(out->pad_id < out->vocabulary, err, RN_E_DATA,
              "%s: pad_token_id %u is not below vocab_size %u", name, out->pad_id, out->vocabulary);
    RN_ENSURE(out->family != RN_FAMILY_ROBERTA || out->positions > out->pad_id + 2, err, RN_E_DATA,
              "%s: max_position_embeddings %u leaves no position beside pad_token_id %u", name,
              out->positions, out->pad_id);
    return rn_ok();
}

static rn_result read_numbers(const json_t *root, const char *name, struct rn_model_config *out,
                              struct rn_error *err)
{
    double epsilon = 1e-12;
    double hidden = 0.1;
    double attention = 0.1;

    RN_TRY(rn_json_get_number(root, name, "layer_norm_eps", 1e-30, 1.0, &epsilon, err));
    RN_TRY(rn_json_get_number(root, name, "hidden_dropout_prob", 0, 1, &hidden, err));
    RN_TRY(rn_json_get_number(root, name, "attention_probs_dropout_prob", 0, 1, &attention, err));
    out->layer_norm_epsilon = (float)epsilon;
    out->hidden_dropout = (float)hidden;
    out->attention_dropout = (float)attention;
    return rn_ok();
}

/* id2label has one entry a label; a file without it may say num_labels. */
static rn_result read_labels(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    const json_t *labels = json_object_get(root, "id2label");
    const size_t count = json_object_size(labels);

    if (count > 0) {
        RN_ENSURE(count <= RN_CONFIG_LABELS_MAX, err, RN_E_DATA,
                  "%s: id2label has more than %d labels", name, RN_CONFIG_LABELS_MAX);
        out->label_count = (uint32_t)count;
        return rn_ok();
    }
    return rn_json_get_count(root, name, "num_labels", 0, RN_CONFIG_LABELS_MAX, &out->label_count,
                             err);
}

/* As in transformers: without problem_type one label means a regression. */
static rn_result read_task(const json_t *root, const char *name, struct rn_model_config *out,
                           struct rn_error *err)
{
    const char *type = NULL;

    RN_TRY(rn_json_get_text(root, name, "problem_type", &type, err));
    if (type == NULL) {
        out->regression = out->label_count == 1;
        return rn_ok();
    }
    out->regression = strcmp(type, "regression") == 0;
    out->multi_label = strcmp(type, "multi_label_classification") == 0;
    RN_ENSURE(out->regression || out->multi_label ||
                  strcmp(type, "single_label_classification") == 0,
              err, RN_E_UNSUPPORTED, "%s: problem_type %.40s is not known", name, type);
    return rn_ok();
}

static rn_result read_all(const json_t *root, const char *name, struct rn_model_config *out,
                          struct rn_error *err)
{
    struct rn_model_config config = {0};

    RN_TRY(read_family(root, name, &config, err));
    RN_TRY(check_arithmetic(root, name, err));
    RN_TRY(read_shapes(root, name, &config, err));
    RN_TRY(read_numbers(root, name, &config, err));
    RN_TRY(read_labels(root, name, &config, err));
    RN_TRY(read_task(root, name, &config, err));
    *out = config;
    return rn_ok();
}

rn_result rn_modelconfig_parse(struct rn_view json, const char *name, struct rn_model_config *out,
                               struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;

    RN_TRY(rn_json_parse(json, name, &root, err));
    return read_all(root, name, out, err);
}

rn_result rn_modelconfig_read(const char *dir, struct rn_model_config *out, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "config.json", err));
    RN_TRY(rn_json_read(path, RN_CONFIG_BYTES_MAX, &root, err));
    return read_all(root, path, out, err);
}

const char *rn_modelconfig_family_name(enum rn_model_family family)
{
    return family == RN_FAMILY_ROBERTA ? "roberta" : "bert";
}

uint32_t rn_modelconfig_length_max(const struct rn_model_config *config)
{
    if (config->family == RN_FAMILY_ROBERTA) {
        return config->positions - config->pad_id - 1;
    }
    return config->positions;
}

bool rn_modelconfig_reads_types(const struct rn_model_config *config)
{
    return config->family == RN_FAMILY_BERT;
}
