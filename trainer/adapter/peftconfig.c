/* SPDX-License-Identifier: Apache-2.0
 *
 * adapter_config.json of a LoRA adapter.
 */
#include "trainer/adapter/peftrules.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* Fields that change the arithmetic when they are on. */
static const char *const must_be_off[] = {
    "use_dora",       "fan_in_fan_out", "layer_replication", "megatron_config",
    "lora_bias",      "use_qalora",     "target_parameters", "trainable_token_indices",
    "use_bdlora",     "loftq_config",   "corda_config",      "alora_invocation_tokens",
    "lora_ga_config", "velora_config",  "monteclora_config", "eva_config",
    "arrow_config",   "kasa_config",    "use_moe",
};

/* Ways of initialising that leave the base weights alone. */
static const char *const plain_inits[] = {"gaussian", "orthogonal"};

/* ---- Lists of names */

static void names_clear(struct rn_peft_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        rn_free(names->names[i]);
    }
    rn_free(names->names);
    rn_free(names->pattern);
    *names = (struct rn_peft_names){0};
}

static rn_result names_append(struct rn_peft_names *names, const char *text, size_t length,
                              const char *file, const char *key, struct rn_error *err)
{
    RN_ENSURE(length > 0 && length <= RN_PEFT_NAME_BYTES_MAX && memchr(text, 0, length) == NULL,
              err, RN_E_DATA, "%s: %s: a name must have 1 to %d bytes, none of them zero", file,
              key, RN_PEFT_NAME_BYTES_MAX);
    RN_ENSURE(names->count < RN_PEFT_NAMES_MAX, err, RN_E_DATA, "%s: %s has more than %d names",
              file, key, RN_PEFT_NAMES_MAX);
    names->names = rn_realloc(names->names, names->count, names->count + 1, sizeof *names->names);
    names->names[names->count++] = rn_text_copy(text, length);
    return rn_ok();
}

static rn_result set_pattern(struct rn_peft_names *names, const char *text, const char *file,
                             const char *key, struct rn_error *err)
{
    const size_t length = strlen(text);

    RN_ENSURE(length > 0 && length <= RN_PEFT_PATTERN_BYTES_MAX, err, RN_E_DATA,
              "%s: %s: a pattern must have 1 to %d bytes", file, key, RN_PEFT_PATTERN_BYTES_MAX);
    names->pattern = rn_text_copy(text, length);
    return rn_ok();
}

/* A list of strings; a single string is a pattern where one is allowed. */
static rn_result read_names(const json_t *root, const char *file, const char *key, bool pattern,
                            struct rn_peft_names *out, struct rn_error *err)
{
    const json_t *value = json_object_get(root, key);

    if (value == NULL || json_is_null(value)) {
        return rn_ok();
    }
    if (pattern && json_is_string(value)) {
        return set_pattern(out, json_string_value(value), file, key, err);
    }
    RN_ENSURE(json_is_array(value), err, RN_E_DATA, "%s: %s must be a list of names", file, key);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        RN_ENSURE(json_is_string(entry), err, RN_E_DATA, "%s: %s must be a list of names", file,
                  key);
        RN_TRY(
            names_append(out, json_string_value(entry), json_string_length(entry), file, key, err));
    }
    return rn_ok();
}

/* ---- Fields */

static rn_result check_arithmetic(const json_t *root, const char *file, struct rn_error *err)
{
    const char *type = "";
    const char *bias = "none";

    RN_TRY(rn_json_get_text(root, file, "peft_type", &type, err));
    RN_ENSURE(strcmp(type, "LORA") == 0, err, RN_E_UNSUPPORTED,
              "%s: peft_type %.40s is not supported (LORA is)", file, type);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(must_be_off); i++) {
        RN_ENSURE(rn_json_is_off(root, must_be_off[i]), err, RN_E_UNSUPPORTED,
                  "%s: an adapter with %s is not supported", file, must_be_off[i]);
    }
    RN_TRY(rn_json_get_text(root, file, "bias", &bias, err));
    RN_ENSURE(strcmp(bias, "none") == 0, err, RN_E_UNSUPPORTED,
              "%s: bias %.40s is not supported (none is)", file, bias);
    const json_t *init = json_object_get(root, "init_lora_weights");
    bool plain = init == NULL || json_is_null(init) || json_is_boolean(init);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(plain_inits) && json_is_string(init); i++) {
        plain = plain || strcmp(json_string_value(init), plain_inits[i]) == 0;
    }
    RN_ENSURE(plain, err, RN_E_UNSUPPORTED,
              "%s: init_lora_weights: an initialisation that changes the base model is not "
              "supported",
              file);
    return rn_ok();
}

static rn_result append_layer(const json_t *value, const char *file, struct rn_peft_config *out,
                              struct rn_error *err)
{
    const json_int_t layer = json_integer_value(value);

    RN_ENSURE(json_is_integer(value) && layer >= 0 && layer < RN_PEFT_NAMES_MAX, err, RN_E_DATA,
              "%s: layers_to_transform must be layer numbers below %d", file, RN_PEFT_NAMES_MAX);
    RN_ENSURE(out->layer_count < RN_PEFT_NAMES_MAX, err, RN_E_DATA,
              "%s: layers_to_transform has more than %d layers", file, RN_PEFT_NAMES_MAX);
    out->layers =
        rn_realloc(out->layers, out->layer_count, out->layer_count + 1, sizeof *out->layers);
    out->layers[out->layer_count++] = (uint32_t)layer;
    return rn_ok();
}

/* One number or a list. */
static rn_result read_layers(const json_t *root, const char *file, struct rn_peft_config *out,
                             struct rn_error *err)
{
    const json_t *value = json_object_get(root, "layers_to_transform");

    if (value == NULL || json_is_null(value)) {
        return rn_ok();
    }
    if (!json_is_array(value)) {
        return append_layer(value, file, out, err);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        RN_TRY(append_layer(json_array_get(value, i), file, out, err));
    }
    return rn_ok();
}

static rn_result read_numbers(const json_t *root, const char *file, struct rn_peft_config *out,
                              struct rn_error *err)
{
    out->alpha = 8.0; /* peft's default */
    RN_TRY(rn_json_get_count(root, file, "r", 1, RN_PEFT_RANK_MAX, &out->rank, err));
    RN_ENSURE(out->rank > 0, err, RN_E_DATA, "%s: r is missing", file);
    RN_TRY(rn_json_get_number(root, file, "lora_alpha", 0, RN_PEFT_ALPHA_MAX, &out->alpha, err));
    RN_TRY(rn_json_get_flag(root, file, "use_rslora", &out->use_rslora, err));
    return rn_peft_rules_read(root, file, out, err);
}

static bool is_all_linear(const char *text)
{
    return text != NULL && strcasecmp(text, "all-linear") == 0;
}

static rn_result read_all(const json_t *root, const char *file, struct rn_peft_config *out,
                          struct rn_error *err)
{
    const char *base = NULL;

    RN_TRY(check_arithmetic(root, file, err));
    RN_TRY(read_numbers(root, file, out, err));
    RN_TRY(read_names(root, file, "target_modules", true, &out->targets, err));
    out->all_linear = is_all_linear(out->targets.pattern);
    if (out->all_linear) {
        names_clear(&out->targets);
    }
    RN_ENSURE(out->all_linear || out->targets.pattern != NULL || out->targets.count > 0, err,
              RN_E_DATA, "%s: target_modules is missing or empty", file);
    RN_TRY(read_names(root, file, "exclude_modules", true, &out->excluded, err));
    RN_TRY(read_names(root, file, "layers_pattern", true, &out->layers_pattern, err));
    RN_TRY(read_names(root, file, "modules_to_save", false, &out->saved, err));
    RN_TRY(read_layers(root, file, out, err));
    RN_TRY(rn_json_get_text(root, file, "base_model_name_or_path", &base, err));
    out->base_model = base == NULL ? NULL : rn_text_copy(base, strlen(base));
    return rn_ok();
}

rn_result rn_peft_config_parse(struct rn_view json, const char *name, struct rn_peft_config *out,
                               struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    RN_CLEANUP(rn_peft_config_clear) struct rn_peft_config config = {0};

    RN_TRY(rn_json_parse(json, name, &root, err));
    RN_TRY(read_all(root, name, &config, err));
    *out = config;
    config = (struct rn_peft_config){0};
    return rn_ok();
}

void rn_peft_config_clear(struct rn_peft_config *config)
{
    names_clear(&config->targets);
    names_clear(&config->excluded);
    names_clear(&config->layers_pattern);
    names_clear(&config->saved);
    rn_peft_rules_clear(&config->ranks);
    rn_peft_rules_clear(&config->alphas);
    rn_free(config->layers);
    rn_free(config->base_model);
    *config = (struct rn_peft_config){0};
}

rn_result rn_peft_targets_set(struct rn_peft_config *config, const char *text, struct rn_error *err)
{
    static const char key[] = "target modules";

    names_clear(&config->targets);
    config->all_linear = is_all_linear(text);
    if (config->all_linear) {
        return rn_ok();
    }
    if (strncmp(text, "re:", 3) == 0) {
        return set_pattern(&config->targets, text + 3, "lora", key, err);
    }
    for (const char *start = text; start != NULL;) {
        const char *comma = strchr(start, ',');
        const size_t length = comma == NULL ? strlen(start) : (size_t)(comma - start);
        RN_TRY(names_append(&config->targets, start, length, "lora", key, err));
        start = comma == NULL ? NULL : comma + 1;
    }
    return rn_ok();
}

double rn_peft_scale(const struct rn_peft_config *config)
{
    const double rank = config->rank;

    return config->use_rslora ? config->alpha / sqrt(rank) : config->alpha / rank;
}
