/* SPDX-License-Identifier: Apache-2.0
 *
 * Classes of a model directory.
 */
#include "trainer/model/modelclasses.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/ground/safetensors.h"
#include "trainer/model/modelconfig.h"

#include <string.h>

uint32_t rn_head_outputs(const struct rn_safetensors *tensors, const char *prefix)
{
    static const char *const last[] = {"classifier.weight", "classifier.out_proj.weight"};
    char name[RN_SAFETENSORS_NAME_MAX];

    for (size_t i = 0; i < RN_ARRAY_LENGTH(last); i++) {
        const bool fits = rn_text_format(name, sizeof name, "%s%s", prefix, last[i]);
        const struct rn_tensor *tensor = fits ? rn_safetensors_find(tensors, name) : NULL;
        if (tensor != NULL && tensor->dimensions == 2 && tensor->shape[0] <= RN_CONFIG_LABELS_MAX) {
            return (uint32_t)tensor->shape[0];
        }
    }
    return 0;
}

/* "LABEL_3": what transformers writes where nobody gave a name. */
static bool is_placeholder(const char *name, size_t place)
{
    char expected[32];

    return rn_text_format(expected, sizeof expected, "LABEL_%zu", place) &&
           strcmp(name, expected) == 0;
}

/* The name of one class: a text, or a number as one. NULL for anything else. */
static const char *name_of(const json_t *labels, size_t place, char buffer[static 32])
{
    char key[32];

    if (!rn_text_format(key, sizeof key, "%zu", place)) {
        return NULL;
    }
    const json_t *value = json_object_get(labels, key);
    if (json_is_integer(value) &&
        rn_text_format(buffer, 32, "%lld", (long long)json_integer_value(value))) {
        return buffer;
    }
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

static bool has_name(const struct rn_label_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The names by the numbers that are their keys: in a file they may stand in any order ("10" before
 * "2"). Empty, so that classes go by number, unless each number from 0 has a name of its own and
 * somebody chose it. */
static void read_names(const json_t *labels, struct rn_label_list *out)
{
    const size_t count = json_object_size(labels);
    size_t placeholders = 0;
    char buffer[32];

    for (size_t i = 0; i < count; i++) {
        const char *name = name_of(labels, i, buffer);
        const size_t length = name == NULL ? 0 : strlen(name);
        if (length == 0 || length > RN_LABEL_BYTES_MAX || has_name(out, name) ||
            !rn_label_list_append(out, name, length)) {
            rn_label_list_clear(out);
            return;
        }
        placeholders += is_placeholder(name, i) ? 1 : 0;
    }
    if (placeholders == count) {
        rn_label_list_clear(out);
    }
}

static rn_result read_config_names(const char *model_dir, struct rn_label_list *out,
                                   struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, model_dir, "config.json", err));
    RN_TRY(rn_json_read(path, RN_CONFIG_BYTES_MAX, &root, err));
    read_names(json_object_get(root, "id2label"), out);
    return rn_ok();
}

rn_result rn_model_classes_read(const char *model_dir, struct rn_model_classes *out,
                                struct rn_error *err)
{
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    struct rn_model_config config;

    *out = (struct rn_model_classes){0};
    RN_TRY(rn_modelconfig_read(model_dir, &config, err));
    RN_TRY(rn_safetensors_open_model(model_dir, &tensors, err));
    RN_TRY(read_config_names(model_dir, &out->names, err));
    out->task = config.regression ? RN_TASK_REGRESSION : RN_TASK_CLASSIFICATION;
    out->multi_label = config.multi_label;
    const uint32_t outputs = rn_head_outputs(tensors, "");
    out->has_head = outputs > 0;
    out->count = out->has_head ? outputs : config.label_count;
    if (out->names.count != out->count) {
        rn_label_list_clear(&out->names);
    }
    return rn_ok();
}

void rn_model_classes_clear(struct rn_model_classes *classes)
{
    rn_label_list_clear(&classes->names);
    *classes = (struct rn_model_classes){0};
}
