/* SPDX-License-Identifier: Apache-2.0
 *
 * Added tokens that stand beside tokenizer.json.
 */
#include "trainer/text/tokenizersettings.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* Where a token is named, for errors, and what it is added to. */
struct naming {
    const char *path;
    const char *field;
    json_t *root;
};

/* The fields of tokenizer_config.json and special_tokens_map.json that name one special token. */
static const char *const single_fields[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};
static const char *const list_fields[] = {"extra_special_tokens", "additional_special_tokens"};

/* The entry of tokenizer.json's added_tokens with this content. */
static const json_t *find_added(const json_t *root, const char *content)
{
    const json_t *added = json_object_get(root, "added_tokens");

    for (size_t i = 0; i < json_array_size(added); i++) {
        const char *text = rn_token_content(json_array_get(added, i));
        if (text != NULL && strcmp(text, content) == 0) {
            return json_array_get(added, i);
        }
    }
    return NULL;
}

/* Whether two descriptions find the same stretches of text; a flag that is not there is off. */
static bool same_flags(const json_t *left, const json_t *right)
{
    static const char *const flags[] = {"lstrip", "rstrip", "single_word", "normalized"};

    for (size_t i = 0; i < RN_ARRAY_LENGTH(flags); i++) {
        if (json_is_true(json_object_get(left, flags[i])) !=
            json_is_true(json_object_get(right, flags[i]))) {
            return false;
        }
    }
    return true;
}

/* A token of the vocabulary becomes an added one. transformers takes a special token that is
 * written as a plain text for one that is not normalised. */
static rn_result append_added(const struct naming *naming, const char *content, json_int_t id,
                              const json_t *token)
{
    json_t *added = json_object_get(naming->root, "added_tokens");

    if (!json_is_array(added)) {
        added = json_array();
        (void)json_object_set_new(naming->root, "added_tokens", added);
    }
    json_t *entry = json_is_object(token) ? json_deep_copy(token) : json_object();
    (void)json_object_set_new(entry, "content", json_string(content));
    (void)json_object_set_new(entry, "id", json_integer(id));
    if (!json_is_boolean(json_object_get(entry, "normalized"))) {
        (void)json_object_set_new(entry, "normalized", json_false());
    }
    (void)json_array_append_new(added, entry);
    return rn_ok();
}

/* id: what the place says, or -1. */
static rn_result name_token(const struct naming *naming, const json_t *token, json_int_t id,
                            struct rn_error *err)
{
    const char *content = rn_token_content(token);
    const json_t *known = content == NULL ? NULL : find_added(naming->root, content);
    const json_t *model = json_object_get(naming->root, "model");
    const json_t *place = known != NULL ? json_object_get(known, "id")
                          : content == NULL
                              ? NULL
                              : json_object_get(json_object_get(model, "vocab"), content);

    RN_ENSURE(content != NULL && content[0] != '\0', err, RN_E_DATA, "%s: %s: not a token",
              naming->path, naming->field);
    RN_ENSURE(json_is_integer(place), err, RN_E_DATA,
              "%s: %s names a token that tokenizer.json lacks: save the tokenizer anew, so that "
              "they agree",
              naming->path, naming->field);
    RN_ENSURE(id < 0 || id == json_integer_value(place), err, RN_E_DATA,
              "%s: %s gives a token id %lld, tokenizer.json %lld; make them agree", naming->path,
              naming->field, (long long)id, (long long)json_integer_value(place));
    RN_ENSURE(known == NULL || id < 0 || !json_is_object(token) || same_flags(known, token), err,
              RN_E_DATA,
              "%s: %s: lstrip, rstrip, single_word or normalized of token %lld contradicts "
              "tokenizer.json; make them agree",
              naming->path, naming->field, (long long)id);
    return known != NULL ? rn_ok()
                         : append_added(naming, content, json_integer_value(place), token);
}

/* {"<id>": {"content": ...}} of tokenizer_config.json, {"<content>": id} of added_tokens.json. */
static rn_result name_decoder(const struct naming *naming, json_t *decoder, struct rn_error *err)
{
    const char *key = NULL;
    json_t *token = NULL;

    json_object_foreach(decoder, key, token)
    {
        char *end = NULL;
        const long long id = strtoll(key, &end, 10);
        RN_ENSURE(key[0] != '\0' && *end == '\0' && id >= 0, err, RN_E_DATA,
                  "%s: %s: a key is not an id", naming->path, naming->field);
        RN_TRY(name_token(naming, token, id, err));
    }
    return rn_ok();
}

static rn_result name_encoder(const struct naming *naming, json_t *encoder, struct rn_error *err)
{
    const char *content = NULL;
    json_t *id = NULL;

    json_object_foreach(encoder, content, id)
    {
        RN_CLEANUP(rn_json_cleanup) json_t *token = json_string(content);
        RN_ENSURE(json_is_integer(id) && json_integer_value(id) >= 0, err, RN_E_DATA,
                  "%s: a token has no id", naming->path);
        RN_TRY(name_token(naming, token, json_integer_value(id), err));
    }
    return rn_ok();
}

static rn_result name_special(struct naming naming, const json_t *source, struct rn_error *err)
{
    for (size_t i = 0; i < RN_ARRAY_LENGTH(single_fields); i++) {
        const json_t *token = json_object_get(source, single_fields[i]);
        naming.field = single_fields[i];
        if (json_is_string(token) || json_is_object(token)) {
            RN_TRY(name_token(&naming, token, -1, err));
        }
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(list_fields); i++) {
        const json_t *list = json_object_get(source, list_fields[i]);
        naming.field = list_fields[i];
        for (size_t k = 0; k < json_array_size(list); k++) {
            RN_TRY(name_token(&naming, json_array_get(list, k), -1, err));
        }
    }
    return rn_ok();
}

/* A file of old saves; NULL when it is not there. */
static rn_result read_old(const char *dir, const char *name, char path[static RN_PATH_MAX],
                          json_t **out, struct rn_error *err)
{
    RN_TRY(rn_path_join(path, dir, name, err));
    return rn_file_exists(path) ? rn_json_read(path, RN_TOKENIZER_BYTES_MAX, out, err) : rn_ok();
}

/* What transformers reads only where tokenizer_config.json has no added_tokens_decoder. */
static rn_result apply_old(const char *dir, json_t *root, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *map = NULL;
    RN_CLEANUP(rn_json_cleanup) json_t *added = NULL;
    char path[RN_PATH_MAX];

    RN_TRY(read_old(dir, "special_tokens_map.json", path, &map, err));
    if (map != NULL) {
        RN_TRY(name_special((struct naming){path, NULL, root}, map, err));
    }
    RN_TRY(read_old(dir, "added_tokens.json", path, &added, err));
    return added == NULL ? rn_ok()
                         : name_encoder(&(struct naming){path, "added_tokens", root}, added, err);
}

rn_result rn_tokenizer_tokens_apply(const char *dir, const struct rn_tokenizer_settings *settings,
                                    json_t *root, struct rn_error *err)
{
    json_t *decoder = json_object_get(settings->config, "added_tokens_decoder");
    const struct naming naming = {settings->config_path, "added_tokens_decoder", root};

    if (!json_is_object(json_object_get(json_object_get(root, "model"), "vocab"))) {
        return rn_ok(); /* whoever reads the model refuses it */
    }
    if (json_is_object(decoder)) {
        RN_TRY(name_decoder(&naming, decoder, err));
    } else {
        RN_TRY(apply_old(dir, root, err));
    }
    return name_special(naming, settings->config, err);
}
