/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a PEFT directory.
 */
#include "trainer/adapter/peftfile.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/data/dataset.h"
#include "trainer/ground/jsonfile.h"

#include <string.h>

#define EXTRA_BYTES_MAX ((size_t)4 << 20)

rn_result rn_peft_tensor_name(char out[static RN_SAFETENSORS_NAME_MAX], const char *module,
                              char matrix, struct rn_error *err)
{
    const bool fits =
        matrix == '\0' ? rn_text_format(out, RN_SAFETENSORS_NAME_MAX, "base_model.model.%s", module)
                       : rn_text_format(out, RN_SAFETENSORS_NAME_MAX,
                                        "base_model.model.%s.lora_%c.weight", module, matrix);

    RN_ENSURE(fits, err, RN_E_DATA, "the module name %.100s... is too long", module);
    return rn_ok();
}

static rn_result read_label_names(const json_t *labels, const char *path, struct rn_peft_extra *out,
                                  struct rn_error *err)
{
    for (size_t i = 0; i < json_array_size(labels); i++) {
        const json_t *name = json_array_get(labels, i);
        const size_t length = json_string_length(name);
        RN_ENSURE(json_is_string(name) && length > 0 && length <= RN_LABEL_BYTES_MAX, err,
                  RN_E_DATA, "%s: labels must be texts of 1 to %d bytes", path, RN_LABEL_BYTES_MAX);
        RN_ENSURE(rn_label_list_append(&out->labels, json_string_value(name), length), err,
                  RN_E_DATA, "%s: more than %d labels", path, RN_TRAINER_LABELS_MAX);
    }
    return rn_ok();
}

/* rondo.json may be absent: an adapter that peft wrote. */
static rn_result read_extra(const char *dir, struct rn_peft_extra *out, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    const char *task = "classification";
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "rondo.json", err));
    if (!rn_file_exists(path)) {
        return rn_ok();
    }
    RN_TRY(rn_json_read(path, EXTRA_BYTES_MAX, &root, err));
    RN_TRY(rn_json_get_count(root, path, "max_length", 0, UINT32_MAX, &out->max_length, err));
    RN_TRY(rn_json_get_text(root, path, "task", &task, err));
    const bool regression = strcmp(task, "regression") == 0;
    RN_ENSURE(regression || strcmp(task, "classification") == 0, err, RN_E_DATA,
              "%s: task must be classification or regression", path);
    out->stated = true;
    out->task = regression ? RN_TASK_REGRESSION : RN_TASK_CLASSIFICATION;
    return read_label_names(json_object_get(root, "labels"), path, out, err);
}

static rn_result open_all(const char *dir, struct rn_peft *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer json = {0};
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "adapter_config.json", err));
    RN_TRY(rn_file_read(path, RN_PEFT_CONFIG_BYTES_MAX, &json, err));
    RN_TRY(rn_peft_config_parse(rn_buffer_view(&json), path, &out->config, err));
    RN_TRY(rn_path_join(path, dir, "adapter_model.safetensors", err));
    RN_TRY(rn_safetensors_open(path, &out->tensors, err));
    return read_extra(dir, &out->extra, err);
}

rn_result rn_peft_open(const char *dir, struct rn_peft *out, struct rn_error *err)
{
    struct rn_peft peft = {0};

    const rn_result result = open_all(dir, &peft, err);
    if (!rn_is_ok(result)) {
        rn_peft_close(&peft);
        return result;
    }
    *out = peft;
    return rn_ok();
}

void rn_peft_close(struct rn_peft *peft)
{
    rn_peft_config_clear(&peft->config);
    rn_label_list_clear(&peft->extra.labels);
    rn_safetensors_free(peft->tensors);
    *peft = (struct rn_peft){0};
}

rn_result rn_peft_read(const struct rn_peft *peft, const char *module, char matrix, uint64_t rows,
                       uint64_t columns, float *out, struct rn_error *err)
{
    char name[RN_SAFETENSORS_NAME_MAX];

    RN_TRY(rn_peft_tensor_name(name, module, matrix, err));
    return rn_safetensors_read(peft->tensors, name, rows, columns, out, err);
}

rn_result rn_peft_read_head(const struct rn_peft *peft, const char *head, uint64_t rows,
                            uint64_t columns, float *out, bool *out_found, struct rn_error *err)
{
    char name[RN_SAFETENSORS_NAME_MAX];

    RN_TRY(rn_peft_tensor_name(name, head, '\0', err));
    *out_found = rn_safetensors_find(peft->tensors, name) != NULL;
    return *out_found ? rn_safetensors_read(peft->tensors, name, rows, columns, out, err) : rn_ok();
}

rn_result rn_peft_check_complete(const struct rn_peft *peft, const char *const *names, size_t count,
                                 struct rn_error *err)
{
    for (size_t i = 0; i < rn_safetensors_count(peft->tensors); i++) {
        const struct rn_tensor *tensor = rn_safetensors_at(peft->tensors, i);
        bool known = false;
        for (size_t j = 0; j < count && !known; j++) {
            known = strcmp(tensor->name, names[j]) == 0;
        }
        RN_ENSURE(known, err, RN_E_DATA, "%s: tensor %.200s has no place in this model",
                  tensor->path, tensor->name);
    }
    return rn_ok();
}
