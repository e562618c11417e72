/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json from vocabulary files (transformers 5: BertTokenizer, RobertaTokenizer).
 */
#include "trainer/text/vocabfiles.h"

#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/tokenizer.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

/* The special tokens of a class where tokenizer_config.json does not name them. */
struct special {
    const char *field;
    const char *bert, *roberta; /* NULL: it has none */
};
static const struct special specials[] = {
    {"unk_token", "[UNK]", "<unk>"},    {"sep_token", "[SEP]", "</s>"},
    {"pad_token", "[PAD]", "<pad>"},    {"cls_token", "[CLS]", "<s>"},
    {"mask_token", "[MASK]", "<mask>"}, {"bos_token", NULL, "<s>"},
    {"eos_token", NULL, "</s>"},
};

static bool has(const char *dir, const char *name)
{
    char path[RN_PATH_MAX];

    return rn_is_ok(rn_path_join(path, dir, name, NULL)) && rn_file_exists(path);
}

bool rn_vocabfiles_exist(const char *dir)
{
    return has(dir, "vocab.txt") || (has(dir, "vocab.json") && has(dir, "merges.txt"));
}

static const char *special_token(const struct rn_tokenizer_settings *settings, size_t number,
                                 bool roberta)
{
    const char *stated =
        rn_token_content(json_object_get(settings->config, specials[number].field));

    return stated != NULL ? stated : roberta ? specials[number].roberta : specials[number].bert;
}

static const char *named(const struct rn_tokenizer_settings *settings, const char *field,
                         bool roberta)
{
    size_t i = 0;

    while (strcmp(specials[i].field, field) != 0) {
        i++;
    }
    return special_token(settings, i, roberta);
}

/* ---- Lines --------------------------------------------------------------------------------- */

typedef rn_result (*line_fn)(json_t *into, struct rn_view line, size_t number, const char *path,
                             struct rn_error *err);

static rn_result read_lines(const char *dir, const char *name, line_fn take_line, json_t *into,
                            struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer bytes = {0};
    char path[RN_PATH_MAX];
    size_t number = 0;

    RN_TRY(rn_path_join(path, dir, name, err));
    RN_TRY(rn_file_read(path, RN_TOKENIZER_BYTES_MAX, &bytes, err));
    RN_ENSURE(rn_utf8_valid(rn_buffer_view(&bytes), NULL), err, RN_E_DATA, "%s: is not UTF-8",
              path);
    for (size_t at = 0; at < bytes.length;) {
        const uint8_t *end = memchr(bytes.data + at, '\n', bytes.length - at);
        const size_t next = end == NULL ? bytes.length : (size_t)(end - bytes.data);
        const bool carriage = next > at && bytes.data[next - 1] == '\r';
        const struct rn_view line = rn_view_of(bytes.data + at, next - at - (carriage ? 1 : 0));
        RN_TRY(take_line(into, line, number++, path, err));
        at = next + 1;
    }
    return rn_ok();
}

/* A line is a token, its number the id; of a token that stands twice the last id counts. */
static rn_result add_token(json_t *into, struct rn_view line, size_t number, const char *path,
                           struct rn_error *err)
{
    char token[RN_TOKENIZER_TOKEN_BYTES_MAX + 1];

    RN_ENSURE(
        rn_text_format(token, sizeof token, "%.*s", (int)line.length, (const char *)line.data), err,
        RN_E_DATA, "%s:%zu: a token of more than %d bytes", path, number + 1,
        RN_TOKENIZER_TOKEN_BYTES_MAX);
    RN_ENSURE(json_object_set_new(into, token, json_integer((json_int_t)number)) == 0, err,
              RN_E_DATA, "%s:%zu: no token", path, number + 1);
    return rn_ok();
}

/* "a b"; the first line may be "#version: 0.2". */
static rn_result add_merge(json_t *into, struct rn_view line, size_t number, const char *path,
                           struct rn_error *err)
{
    static const char version[] = "#version";
    const size_t length = sizeof version - 1;

    if (line.length == 0 || (line.length >= length && memcmp(line.data, version, length) == 0)) {
        return rn_ok();
    }
    RN_ENSURE(json_array_append_new(into, json_stringn((const char *)line.data, line.length)) == 0,
              err, RN_E_DATA, "%s:%zu: no merge", path, number + 1);
    return rn_ok();
}

/* ---- Building ------------------------------------------------------------------------------ */

/* A flag of tokenizer_config.json, or its default, as JSON. */
static json_t *flag(const struct rn_tokenizer_settings *settings, const char *key, json_t *fallback)
{
    json_t *value = json_object_get(settings->config, key);

    if (value == NULL) {
        return fallback;
    }
    json_decref(fallback);
    return json_incref(value);
}

static json_t *token_pair(const json_t *vocab, const char *token)
{
    return json_pack("[s, O?]", token, json_object_get(vocab, token));
}

static rn_result build_bert(const char *dir, const struct rn_tokenizer_settings *settings,
                            json_t *vocab, json_t **out, struct rn_error *err)
{
    const char *cls = named(settings, "cls_token", false);
    const char *sep = named(settings, "sep_token", false);

    RN_TRY(read_lines(dir, "vocab.txt", add_token, vocab, err));
    *out = json_pack(
        "{s:s, s:{s:s, s:s, s:O}, s:{s:s, s:b, s:o, s:o, s:o}, s:{s:s}, s:{s:s, s:o, s:o}}",
        "version", "1.0", "model", "type", "WordPiece", "unk_token",
        named(settings, "unk_token", false), "vocab", vocab, "normalizer", "type", "BertNormalizer",
        "clean_text", 1, "handle_chinese_chars",
        flag(settings, "tokenize_chinese_chars", json_true()), "strip_accents",
        flag(settings, "strip_accents", json_null()), "lowercase",
        flag(settings, "do_lower_case", json_true()), "pre_tokenizer", "type", "BertPreTokenizer",
        "post_processor", "type", "BertProcessing", "sep", token_pair(vocab, sep), "cls",
        token_pair(vocab, cls));
    return rn_ok();
}

static rn_result build_roberta(const char *dir, const struct rn_tokenizer_settings *settings,
                               json_t *merges, json_t **out, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *vocab = NULL;
    const char *cls = named(settings, "cls_token", true);
    const char *sep = named(settings, "sep_token", true);
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "vocab.json", err));
    RN_TRY(rn_json_read(path, RN_TOKENIZER_BYTES_MAX, &vocab, err));
    RN_TRY(read_lines(dir, "merges.txt", add_merge, merges, err));
    *out = json_pack(
        "{s:s, s:{s:s, s:O, s:O}, s:{s:s, s:o}, s:{s:s, s:o, s:o}}", "version", "1.0", "model",
        "type", "BPE", "vocab", vocab, "merges", merges, "pre_tokenizer", "type", "ByteLevel",
        "add_prefix_space", flag(settings, "add_prefix_space", json_false()), "post_processor",
        "type", "RobertaProcessing", "sep", token_pair(vocab, sep), "cls", token_pair(vocab, cls));
    return rn_ok();
}

rn_result rn_vocabfiles_read(const char *dir, const struct rn_tokenizer_settings *settings,
                             json_t **out, struct rn_error *err)
{
    const bool bert = has(dir, "vocab.txt");
    RN_CLEANUP(rn_json_cleanup) json_t *part = bert ? json_object() : json_array();

    RN_TRY(bert ? build_bert(dir, settings, part, out, err)
                : build_roberta(dir, settings, part, out, err));
    RN_ENSURE(*out != NULL, err, RN_E_DATA, "%s: the vocabulary files hold no tokenizer", dir);
    return rn_ok();
}

static bool is_added(const json_t *added, const char *content)
{
    for (size_t i = 0; i < json_array_size(added); i++) {
        const char *text = rn_token_content(json_array_get(added, i));
        if (text != NULL && strcmp(text, content) == 0) {
            return true;
        }
    }
    return false;
}

void rn_vocabfiles_add_specials(const struct rn_tokenizer_settings *settings, json_t *root)
{
    const json_t *model = json_object_get(root, "model");
    const bool roberta = strcmp(json_string_value(json_object_get(model, "type")), "BPE") == 0;
    json_t *added = json_object_get(root, "added_tokens");

    if (added == NULL) {
        added = json_array();
        (void)json_object_set_new(root, "added_tokens", added);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(specials); i++) {
        const char *token = special_token(settings, i, roberta);
        json_t *id = token == NULL ? NULL : json_object_get(json_object_get(model, "vocab"), token);
        if (id != NULL && !is_added(added, token)) {
            (void)json_array_append_new(added,
                                        json_pack("{s:O, s:s, s:b, s:b}", "id", id, "content",
                                                  token, "normalized", 0, "special", 1));
        }
    }
}
