/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a model directory that its hash covers.
 */
#include "trainer/trainerstate.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/safetensors.h"

#include <stdlib.h>
#include <string.h>

/* All that decides, beside the weights, what the model makes of a text. */
static const char *const beside[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                     "special_tokens_map.json", "added_tokens.json"};

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const char *model_dir, const char *name)
{
    char path[RN_PATH_MAX];
    return rn_is_ok(rn_path_join(path, model_dir, name, NULL)) && rn_file_exists(path);
}

rn_result rn_model_files_list(const char *model_dir, char ***out_names, size_t *out_count,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    RN_TRY(rn_safetensors_open_model(model_dir, &tensors, err));
    RN_ENSURE(has(model_dir, "config.json"), err, RN_E_NO_INPUT, "%s: config.json is missing",
              model_dir);
    RN_ENSURE(has(model_dir, "tokenizer.json"), err, RN_E_NO_INPUT, "%s: tokenizer.json is missing",
              model_dir);
    const size_t shards = rn_safetensors_file_count(tensors);
    char **names = rn_alloc(shards + RN_ARRAY_LENGTH(beside) + 1, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(beside); i++) {
        if (has(model_dir, beside[i])) {
            names[count++] = rn_text_copy(beside[i], strlen(beside[i]));
        }
    }
    if (!has(model_dir, "model.safetensors")) {
        const char *index = "model.safetensors.index.json";
        names[count++] = rn_text_copy(index, strlen(index));
    }
    for (size_t i = 0; i < shards; i++) {
        const char *path = rn_safetensors_file(tensors, i);
        const char *slash = strrchr(path, '/');
        const char *name = slash != NULL ? slash + 1 : path;
        names[count++] = rn_text_copy(name, strlen(name));
    }
    qsort(names, count, sizeof(*names), by_bytes);
    *out_names = names;
    *out_count = count;
    return rn_ok();
}

rn_result rn_trainer_model_files(const struct rn_trainer *trainer, const char *const **out_names,
                                 size_t *out_count)
{
    *out_names = (const char *const *)trainer->files;
    *out_count = trainer->file_count;
    return rn_ok();
}
