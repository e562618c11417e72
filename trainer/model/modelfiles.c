/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a model directory that its hash covers.
 */
#include "trainer/model/modelfiles.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/safetensors.h"
#include "trainer/model/modelconfig.h"
#include "trainer/text/vocabfiles.h"

#include <stdlib.h>
#include <string.h>

/* All that decides, beside the weights, what the model makes of a text. */
static const char *const beside[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                     "special_tokens_map.json", "added_tokens.json"};

/* In the place of tokenizer.json. */
static const char *const vocabularies[] = {"vocab.txt", "vocab.json", "merges.txt"};

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has(const char *model_dir, const char *name)
{
    char path[RN_PATH_MAX];
    return rn_is_ok(rn_path_join(path, model_dir, name, NULL)) && rn_file_exists(path);
}

static void add_existing(const char *model_dir, const char *const *files, size_t count,
                         char **names, size_t *out_count)
{
    for (size_t i = 0; i < count; i++) {
        if (has(model_dir, files[i])) {
            names[(*out_count)++] = rn_text_copy(files[i], strlen(files[i]));
        }
    }
}

/* Where no tokenizer.json stands: the files of an older one, which must be there. */
static rn_result find_vocabulary(const char *model_dir, bool *out_old, struct rn_error *err)
{
    *out_old = !has(model_dir, "tokenizer.json") && !rn_modelconfig_reads_rows(model_dir);
    RN_ENSURE(!*out_old || rn_vocabfiles_exist(model_dir), err, RN_E_NO_INPUT,
              "%s: tokenizer.json is missing, and so is vocab.txt (or vocab.json and merges.txt)",
              model_dir);
    return rn_ok();
}

rn_result rn_model_files_list(const char *model_dir, char ***out_names, size_t *out_count,
                              struct rn_error *err)
{
    RN_CLEANUP(rn_safetensors_cleanup) struct rn_safetensors *tensors = NULL;
    RN_TRY(rn_safetensors_open_model(model_dir, &tensors, err));
    RN_ENSURE(has(model_dir, "config.json"), err, RN_E_NO_INPUT, "%s: config.json is missing",
              model_dir);
    bool old = false;
    RN_TRY(find_vocabulary(model_dir, &old, err));
    const size_t shards = rn_safetensors_file_count(tensors);
    char **names = rn_alloc(shards + RN_ARRAY_LENGTH(beside) + RN_ARRAY_LENGTH(vocabularies) + 1,
                            sizeof(*names));
    size_t count = 0;
    add_existing(model_dir, beside, RN_ARRAY_LENGTH(beside), names, &count);
    if (old) {
        add_existing(model_dir, vocabularies, RN_ARRAY_LENGTH(vocabularies), names, &count);
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
