/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings beside tokenizer.json.
 */
#include "trainer/text/tokenizersettings.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/tokenizer.h"

#include <string.h>

/* Classes of transformers whose constructor sets what the file leaves out. */
enum class_kind { CLASS_OTHER, CLASS_BERT, CLASS_ROBERTA };
static const struct {
    const char *name; /* "Fast" may follow */
    enum class_kind kind;
    bool types; /* token_type_ids are among its model_input_names */
} classes[] = {
    {"BertTokenizer", CLASS_BERT, true},
    {"ElectraTokenizer", CLASS_BERT, true},
    {"DistilBertTokenizer", CLASS_BERT, false},
    {"RobertaTokenizer", CLASS_ROBERTA, false},
};

static bool is_class(const char *name, const char *of)
{
    const size_t length = strlen(of);

    return strncmp(name, of, length) == 0 &&
           (name[length] == '\0' || strcmp(name + length, "Fast") == 0);
}

/* The row of tokenizer_class; RN_ARRAY_LENGTH(classes) for another. */
static size_t class_row(const json_t *config)
{
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    size_t row = 0;

    while (name != NULL && row < RN_ARRAY_LENGTH(classes) && !is_class(name, classes[row].name)) {
        row++;
    }
    return name == NULL ? RN_ARRAY_LENGTH(classes) : row;
}

static enum class_kind class_of(const json_t *config)
{
    const size_t row = class_row(config);

    return row < RN_ARRAY_LENGTH(classes) ? classes[row].kind : CLASS_OTHER;
}

const char *rn_token_content(const json_t *token)
{
    return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

/* ---- What needs no tokenizer.json ---------------------------------------------------------- */

static bool names_types(const json_t *config)
{
    const json_t *names = json_object_get(config, "model_input_names");
    const size_t row = class_row(config);

    if (!json_is_array(names)) {
        return row == RN_ARRAY_LENGTH(classes) || classes[row].types;
    }
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (name != NULL && strcmp(name, "token_type_ids") == 0) {
            return true;
        }
    }
    return false;
}

static rn_result read_side(const json_t *config, const char *path, bool *out_left,
                           struct rn_error *err)
{
    const char *side = "right";

    RN_TRY(rn_json_get_text(config, path, "truncation_side", &side, err));
    *out_left = strcmp(side, "left") == 0;
    RN_ENSURE(*out_left || strcmp(side, "right") == 0, err, RN_E_DATA,
              "%s: truncation_side must be left or right", path);
    return rn_ok();
}

/* transformers writes int(1e30) for "no limit"; a limit of 0 or below cuts nothing there either. */
static rn_result read_length(const json_t *config, const char *path, uint32_t *out,
                             struct rn_error *err)
{
    double length = 0;

    RN_TRY(rn_json_get_number(config, path, "model_max_length", -1e300, 1e300, &length, err));
    *out = length >= 1 && length < (double)UINT32_MAX ? (uint32_t)length : 0;
    return rn_ok();
}

rn_result rn_tokenizer_settings_read(const char *dir, struct rn_tokenizer_settings *out,
                                     struct rn_error *err)
{
    *out = (struct rn_tokenizer_settings){0};
    RN_TRY(rn_path_join(out->config_path, dir, "tokenizer_config.json", err));
    if (!rn_file_exists(out->config_path)) {
        return rn_ok();
    }
    const char *path = out->config_path;
    RN_TRY(rn_json_read(path, RN_TOKENIZER_BYTES_MAX, &out->config, err));
    RN_ENSURE(rn_json_is_off(out->config, "split_special_tokens"), err, RN_E_UNSUPPORTED,
              "%s: split_special_tokens is not supported", path);
    out->plain_types = !names_types(out->config);
    RN_TRY(read_side(out->config, path, &out->truncate_left, err));
    return read_length(out->config, path, &out->length_max, err);
}

void rn_tokenizer_settings_clear(struct rn_tokenizer_settings *settings)
{
    json_decref(settings->config);
    *settings = (struct rn_tokenizer_settings){0};
}

/* ---- Against tokenizer.json ---------------------------------------------------------------- */

/* A flag that the constructor puts in the place of the file's. fallback: its default where the
 * class is known, -1 otherwise. Where the two differ transformers gives other ids than the file
 * itself, so neither is guessed. */
static rn_result check_flag(const struct rn_tokenizer_settings *settings, const char *key,
                            int fallback, const json_t *part, const char *field,
                            struct rn_error *err)
{
    const json_t *wanted = json_object_get(settings->config, key);
    const json_t *actual = json_object_get(part, field);
    const bool stated = json_is_boolean(wanted);

    if (!json_is_boolean(actual) || (!stated && (fallback < 0 || wanted != NULL))) {
        return rn_ok();
    }
    RN_ENSURE(json_is_true(actual) == (stated ? json_is_true(wanted) : fallback == 1), err,
              RN_E_DATA, "%s: %s%s contradicts %s of tokenizer.json; make them agree",
              settings->config_path, key,
              stated ? "" : " is not there, and what its tokenizer_class takes instead", field);
    return rn_ok();
}

static rn_result check_flags(const struct rn_tokenizer_settings *settings, const json_t *root,
                             struct rn_error *err)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    const json_t *before = json_object_get(root, "pre_tokenizer");
    const enum class_kind kind = class_of(settings->config);
    const int bert = kind == CLASS_BERT ? 1 : -1;
    const int roberta = kind == CLASS_ROBERTA ? 0 : -1;

    RN_TRY(check_flag(settings, "do_lower_case", bert, normalizer, "lowercase", err));
    RN_TRY(check_flag(settings, "strip_accents", -1, normalizer, "strip_accents", err));
    RN_TRY(check_flag(settings, "tokenize_chinese_chars", bert, normalizer, "handle_chinese_chars",
                      err));
    return check_flag(settings, "add_prefix_space", roberta, before, "add_prefix_space", err);
}

/* The token of a key of the post-processor of BERT and RoBERTa, or of their templates: the first
 * special token, or the last. */
static const char *template_token(const json_t *processor, const char *key, bool last)
{
    const json_t *single = json_object_get(processor, "single");
    const size_t count = json_array_size(single);

    if (count == 0) {
        return json_string_value(json_array_get(json_object_get(processor, key), 0));
    }
    const json_t *item = json_array_get(single, last ? count - 1 : 0);
    return json_string_value(json_object_get(json_object_get(item, "SpecialToken"), "id"));
}

/* Classes with a constructor of their own put the tokens that tokenizer_config.json names into
 * model and template. */
static rn_result check_token(const struct rn_tokenizer_settings *settings, const char *key,
                             const char *actual, const char *place, struct rn_error *err)
{
    const char *wanted = rn_token_content(json_object_get(settings->config, key));

    RN_ENSURE(wanted == NULL || actual == NULL || strcmp(wanted, actual) == 0, err, RN_E_DATA,
              "%s: %s contradicts %s of tokenizer.json; make them agree", settings->config_path,
              key, place);
    return rn_ok();
}

static rn_result check_tokens(const struct rn_tokenizer_settings *settings, const json_t *root,
                              struct rn_error *err)
{
    const json_t *processor = json_object_get(root, "post_processor");
    const json_t *model = json_object_get(root, "model");

    if (class_of(settings->config) == CLASS_OTHER) {
        return rn_ok();
    }
    RN_TRY(check_token(settings, "cls_token", template_token(processor, "cls", false),
                       "post_processor", err));
    RN_TRY(check_token(settings, "sep_token", template_token(processor, "sep", true),
                       "post_processor", err));
    return class_of(settings->config) == CLASS_BERT
               ? check_token(settings, "unk_token",
                             json_string_value(json_object_get(model, "unk_token")),
                             "model.unk_token", err)
               : rn_ok();
}

/* tokenizer_config.json rules, tokenizer.json's own direction stands where it says nothing. */
static rn_result apply_side(struct rn_tokenizer_settings *settings, const json_t *root,
                            struct rn_error *err)
{
    const json_t *truncation = json_object_get(root, "truncation");
    const char *direction = "Right";

    if (json_is_string(json_object_get(settings->config, "truncation_side"))) {
        return rn_ok();
    }
    RN_TRY(
        rn_json_get_text(truncation, "tokenizer.json: truncation", "direction", &direction, err));
    settings->truncate_left = strcmp(direction, "Left") == 0;
    RN_ENSURE(settings->truncate_left || strcmp(direction, "Right") == 0, err, RN_E_DATA,
              "tokenizer.json: truncation.direction must be Left or Right");
    return rn_ok();
}

rn_result rn_tokenizer_settings_apply(const char *dir, struct rn_tokenizer_settings *settings,
                                      json_t *root, struct rn_error *err)
{
    RN_TRY(apply_side(settings, root, err));
    RN_TRY(check_flags(settings, root, err));
    RN_TRY(check_tokens(settings, root, err));
    return rn_tokenizer_tokens_apply(dir, settings, root, err);
}
