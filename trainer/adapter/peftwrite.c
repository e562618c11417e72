/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a PEFT directory.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/adapter/peftfile.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

/* Linear modules outside the layers, which peft's suffix match would reach too (Rondo adapts the
 * pooler alone, and only when it is meant); when the targets match one of them, the file lists the
 * adapted modules one by one. */
static const char *const outside_layers[] = {"bert.pooler.dense", "classifier", "classifier.dense",
                                             "classifier.out_proj"};

static json_t *list_of(const struct rn_peft_names *names)
{
    json_t *list = json_array();

    for (size_t i = 0; i < names->count; i++) {
        (void)json_array_append_new(list, json_string(names->names[i]));
    }
    return list;
}

static bool all_utf8(const struct rn_peft_names *names)
{
    bool all = names->pattern == NULL || rn_utf8_valid(rn_view_text(names->pattern), NULL);
    for (size_t i = 0; i < names->count && all; i++) {
        all = rn_utf8_valid(rn_view_text(names->names[i]), NULL);
    }
    return all;
}

/* JSON holds no other text: jansson would drop a list's entry and refuse a field. */
static rn_result check_texts(const char *dir, const struct rn_peft_config *config,
                             const struct rn_peft_extra *extra, struct rn_error *err)
{
    const struct rn_peft_names *const lists[] = {&config->targets, &config->excluded,
                                                 &config->layers_pattern, &config->saved};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(lists); i++) {
        RN_ENSURE(all_utf8(lists[i]), err, RN_E_DATA, "%s: a module's name is not valid UTF-8",
                  dir);
    }
    RN_ENSURE(config->base_model == NULL || rn_utf8_valid(rn_view_text(config->base_model), NULL),
              err, RN_E_DATA, "%s: the base model's name is not valid UTF-8", dir);
    for (size_t i = 0; extra != NULL && i < extra->labels.count; i++) {
        RN_ENSURE(rn_utf8_valid(rn_view_text(extra->labels.names[i]), NULL), err, RN_E_DATA,
                  "%s: label %zu is not valid UTF-8", dir, i);
    }
    return rn_ok();
}

/* The list, the pattern, or null. */
static json_t *names_json(const struct rn_peft_names *names)
{
    if (names->pattern != NULL) {
        return json_string(names->pattern);
    }
    return names->count == 0 ? json_null() : list_of(names);
}

static rn_result must_list_modules(const struct rn_peft_config *config, bool *out,
                                   struct rn_error *err)
{
    *out = config->all_linear;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(outside_layers) && !*out; i++) {
        RN_TRY(rn_peft_target_match(config, outside_layers[i], out, err));
    }
    return rn_ok();
}

/* The modules whose lora_A is among the tensors, by full name. */
static json_t *modules_of(const struct rn_tensor_out *tensors, size_t count)
{
    static const char start[] = "base_model.model.";
    static const char end[] = ".lora_A.weight";
    const size_t outer = sizeof start + sizeof end - 2;
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(tensors[i].name);
        if (length > outer && strncmp(tensors[i].name, start, sizeof start - 1) == 0 &&
            strcmp(tensors[i].name + length - (sizeof end - 1), end) == 0) {
            (void)json_array_append_new(
                list, json_stringn(tensors[i].name + sizeof start - 1, length - outer));
        }
    }
    return list;
}

static json_t *layers_json(const struct rn_peft_config *config)
{
    if (config->layer_count == 0) {
        return json_null();
    }
    json_t *list = json_array();
    for (size_t i = 0; i < config->layer_count; i++) {
        (void)json_array_append_new(list, json_integer(config->layers[i]));
    }
    return list;
}

static json_t *alpha_json(double alpha)
{
    const bool whole = alpha == (double)(int64_t)alpha;

    return whole ? json_integer((json_int_t)alpha) : json_real(alpha);
}

/* Sets a field; takes over value. */
static void put(json_t *root, const char *key, json_t *value)
{
    RN_BUG_IF(json_object_set_new(root, key, value) != 0);
}

/* peft takes SEQ_CLS as the promise that the head's tensors are in the file. */
static bool holds_head(const struct rn_tensor_out *tensors, size_t count)
{
    static const char start[] = "base_model.model.classifier.";

    for (size_t i = 0; i < count; i++) {
        if (strncmp(tensors[i].name, start, sizeof start - 1) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *config_json(const struct rn_peft_config *config, bool list_modules,
                           const struct rn_tensor_out *tensors, size_t count)
{
    json_t *root = json_object();

    put(root, "peft_type", json_string("LORA"));
    put(root, "task_type", holds_head(tensors, count) ? json_string("SEQ_CLS") : json_null());
    put(root, "base_model_name_or_path",
        config->base_model == NULL ? json_null() : json_string(config->base_model));
    put(root, "revision", json_null());
    put(root, "auto_mapping", json_null());
    put(root, "inference_mode", json_true());
    put(root, "r", json_integer(config->rank));
    put(root, "lora_alpha", alpha_json(config->alpha));
    put(root, "lora_dropout", json_real(0.0));
    put(root, "use_rslora", json_boolean(config->use_rslora));
    put(root, "use_dora", json_false());
    put(root, "bias", json_string("none"));
    put(root, "fan_in_fan_out", json_false());
    put(root, "init_lora_weights", json_true());
    put(root, "target_modules",
        list_modules ? modules_of(tensors, count) : names_json(&config->targets));
    put(root, "exclude_modules", list_modules ? json_null() : names_json(&config->excluded));
    put(root, "modules_to_save", names_json(&config->saved));
    put(root, "layers_to_transform", list_modules ? json_null() : layers_json(config));
    put(root, "layers_pattern",
        list_modules || config->layer_count == 0 ? json_null()
                                                 : names_json(&config->layers_pattern));
    put(root, "rank_pattern", json_object());
    put(root, "alpha_pattern", json_object());
    return root;
}

static int append_text(const char *text, size_t length, void *buffer)
{
    rn_buffer_append(buffer, text, length);
    return 0;
}

static rn_result write_json(const char *dir, const char *name, const json_t *root,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char path[RN_PATH_MAX];

    RN_ENSURE(json_dump_callback(root, append_text, &text, JSON_INDENT(2)) == 0 && !text.failed,
              err, RN_E_DATA, "%s: a field of %s is not valid UTF-8", dir, name);
    rn_buffer_u8(&text, '\n');
    RN_TRY(rn_path_join(path, dir, name, err));
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

static rn_result write_extra(const char *dir, const struct rn_peft_extra *extra,
                             struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = json_object();
    const struct rn_peft_names labels = {.names = extra->labels.names,
                                         .count = extra->labels.count};

    put(root, "format", json_integer(1));
    put(root, "task",
        json_string(extra->task == RN_TASK_REGRESSION ? "regression" : "classification"));
    put(root, "labels", list_of(&labels));
    put(root, "max_length", json_integer(extra->max_length));
    return write_json(dir, "rondo.json", root, err);
}

static const char with_peft[] =
    "Load it with peft:\n\n"
    "    from transformers import AutoModelForSequenceClassification\n"
    "    from peft import PeftModel\n"
    "    base = AutoModelForSequenceClassification.from_pretrained(BASE)\n"
    "    model = PeftModel.from_pretrained(base, ADAPTER)\n";
static const char with_rondo[] =
    "Its base model is one that Rondo alone knows:\n\n"
    "    rondo predict --model BASE --adapter ADAPTER --data FILE --text '*'\n";

static rn_result write_readme(const char *dir, const struct rn_peft_config *config, bool own,
                              const char *provenance, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    char path[RN_PATH_MAX];

    rn_buffer_format(&text,
                     "---\nlibrary_name: peft\ntags:\n- lora\n- rondo\n---\n\n# LoRA adapter\n\n"
                     "Rank %u, scaling %g. %s",
                     config->rank, rn_peft_scale(config), own ? with_rondo : with_peft);
    if (provenance != NULL) {
        rn_buffer_format(&text, "\n## Provenance\n\n%s\n", provenance);
    }
    RN_ENSURE(!text.failed, err, RN_E_USAGE, "%s: the provenance text is too long", dir);
    RN_TRY(rn_path_join(path, dir, "README.md", err));
    return rn_file_write(path, rn_buffer_view(&text), 0644, err);
}

rn_result rn_peft_write(const char *dir, const struct rn_peft_config *config,
                        const struct rn_peft_extra *extra, const struct rn_tensor_out *tensors,
                        size_t count, const char *provenance, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    char path[RN_PATH_MAX];
    bool list_modules = false;

    RN_TRY(check_texts(dir, config, extra, err));
    RN_TRY(must_list_modules(config, &list_modules, err));
    RN_TRY(rn_directory_make(dir, 0755, err));
    RN_TRY(rn_path_join(path, dir, "adapter_model.safetensors", err));
    RN_TRY(rn_safetensors_write(path, tensors, count, err));
    if (extra != NULL) {
        RN_TRY(write_extra(dir, extra, err));
    }
    RN_TRY(write_readme(dir, config, extra != NULL && extra->own, provenance, err));
    root = config_json(config, list_modules, tensors, count);
    return write_json(dir, "adapter_config.json", root, err);
}
