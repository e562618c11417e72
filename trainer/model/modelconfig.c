/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json: the family, and what every family says in the same way.
 */
#include "trainer/model/modelconfig.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/model/family.h"

#include <string.h>

#define LIST_MAX 128

/* "bert and roberta", for an error sentence. */
static void list_families(char out[static LIST_MAX])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; rn_family_at(i) != NULL; i++) {
        const char *before = i == 0 ? "" : rn_family_at(i + 1) == NULL ? " and " : ", ";
        const bool fits = rn_text_format(out + used, LIST_MAX - used, "%s%s", before,
                                         rn_family_at(i)->model_type);
        RN_BUG_IF(!fits);
        used = strlen(out);
    }
}

static rn_result read_family(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    const char *type = NULL;
    char known[LIST_MAX];

    RN_TRY(rn_json_get_text(root, name, "model_type", &type, err));
    RN_ENSURE(type != NULL, err, RN_E_DATA, "%s: model_type is missing", name);
    out->family = rn_family_find(type);
    list_families(known);
    RN_ENSURE(out->family != NULL, err, RN_E_UNSUPPORTED,
              "%s: model_type %.40s is not supported (%s are)", name, type, known);
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
    RN_TRY(config.family->read_config(root, name, &config, err));
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

bool rn_modelconfig_reads_rows(const char *dir)
{
    struct rn_model_config config;
    return rn_is_ok(rn_modelconfig_read(dir, &config, NULL)) && config.family->rows;
}

uint32_t rn_modelconfig_length_max(const struct rn_model_config *config)
{
    return config->family->positions_from_pad ? config->positions - config->pad_id - 1
                                              : config->positions;
}

uint32_t rn_modelconfig_dim(const struct rn_model_config *config, enum rn_dim dim)
{
    return dim == RN_DIM_INTERMEDIATE ? config->intermediate : config->hidden;
}
