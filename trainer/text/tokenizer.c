/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json: reading, and the way of a text through added tokens, normalizer, model and
 * post-processor.
 */
#include "trainer/text/tokenizer.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/tokenizerparts.h"
#include "trainer/text/tokenizersettings.h"
#include "trainer/text/vocabfiles.h"

#include <string.h>

/* ---- Reading */

/* Old files do not name the model's type: then its fields tell. */
static const char *model_type(const json_t *model)
{
    const char *type = json_string_value(json_object_get(model, "type"));

    if (type != NULL) {
        return type;
    }
    if (json_object_get(model, "merges") != NULL) {
        return "BPE";
    }
    return json_object_get(model, "max_input_chars_per_word") != NULL ? "WordPiece" : "(none)";
}

static rn_result read_model(const json_t *root, const char *name, struct rn_tokenizer *out,
                            struct rn_error *err)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *byte_level = NULL;

    RN_ENSURE(json_is_object(model), err, RN_E_DATA, "%s: model is missing", name);
    const char *type = model_type(model);
    out->is_wordpiece = strcmp(type, "WordPiece") == 0;
    RN_ENSURE(out->is_wordpiece || strcmp(type, "BPE") == 0, err, RN_E_UNSUPPORTED,
              "%s: tokenizer model %.40s is not supported (WordPiece and BPE are)", name, type);
    RN_TRY(rn_presplit_read(json_object_get(root, "pre_tokenizer"), name, &out->presplit,
                            &byte_level, err));
    RN_ENSURE(!out->is_wordpiece || byte_level == NULL, err, RN_E_UNSUPPORTED,
              "%s: pre_tokenizer ByteLevel is not supported for WordPiece", name);
    RN_TRY(rn_vocabulary_read(json_object_get(model, "vocab"), name, &out->vocabulary, err));
    out->id_limit = out->vocabulary.id_limit;
    if (out->is_wordpiece) {
        return rn_wordpiece_read(model, name, &out->vocabulary, &out->wordpiece, err);
    }
    return rn_bpe_read(model, byte_level, name, &out->vocabulary, &out->bpe, err);
}

/* A special token of the template must be an id that some text could have. */
static rn_result check_template(const struct rn_tokenizer *tokenizer, const char *name,
                                struct rn_error *err)
{
    const struct rn_template *post = &tokenizer->post;

    for (size_t i = 0; i < post->single_count; i++) {
        RN_ENSURE(post->single[i].id < tokenizer->id_limit, err, RN_E_DATA,
                  "%s: post_processor: id %u is not in the vocabulary", name, post->single[i].id);
    }
    for (size_t i = 0; i < post->pair_count; i++) {
        RN_ENSURE(post->pair[i].id < tokenizer->id_limit, err, RN_E_DATA,
                  "%s: post_processor: id %u is not in the vocabulary", name, post->pair[i].id);
    }
    return rn_ok();
}

static rn_result read_all(const json_t *root, const char *name, struct rn_tokenizer *out,
                          struct rn_error *err)
{
    const char *version = "1.0";

    RN_TRY(rn_json_get_text(root, name, "version", &version, err));
    RN_ENSURE(strcmp(version, "1.0") == 0, err, RN_E_UNSUPPORTED,
              "%s: version %.20s is not known (1.0 is)", name, version);
    RN_TRY(rn_normalizer_read(json_object_get(root, "normalizer"), name, &out->normalizer, err));
    RN_TRY(read_model(root, name, out, err));
    RN_TRY(rn_added_read(json_object_get(root, "added_tokens"), name, out, err));
    RN_TRY(rn_template_read(json_object_get(root, "post_processor"), name, &out->post, err));
    return check_template(out, name, err);
}

static rn_result make(const json_t *root, const char *name, struct rn_tokenizer **out,
                      struct rn_error *err)
{
    RN_CLEANUP(rn_tokenizer_cleanup)
    struct rn_tokenizer *tokenizer = rn_alloc(1, sizeof *tokenizer);

    RN_TRY(read_all(root, name, tokenizer, err));
    *out = RN_TAKE(tokenizer);
    return rn_ok();
}

rn_result rn_tokenizer_parse(struct rn_view json, const char *name, struct rn_tokenizer **out,
                             struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;

    RN_TRY(rn_json_parse(json, name, &root, err));
    return make(root, name, out, err);
}

static rn_result open_with(const char *dir, struct rn_tokenizer_settings *settings,
                           struct rn_tokenizer **out, struct rn_error *err)
{
    RN_CLEANUP(rn_json_cleanup) json_t *root = NULL;
    char path[RN_PATH_MAX];

    RN_TRY(rn_path_join(path, dir, "tokenizer.json", err));
    const bool old = !rn_file_exists(path) && rn_vocabfiles_exist(dir);
    RN_TRY(old ? rn_vocabfiles_read(dir, settings, &root, err)
               : rn_json_read(path, RN_TOKENIZER_BYTES_MAX, &root, err));
    RN_TRY(rn_tokenizer_settings_apply(dir, settings, root, err));
    if (old) {
        rn_vocabfiles_add_specials(settings, root);
    }
    RN_TRY(make(root, path, out, err));
    (*out)->truncate_left = settings->truncate_left;
    (*out)->plain_types = settings->plain_types;
    return rn_ok();
}

rn_result rn_tokenizer_open(const char *dir, struct rn_tokenizer **out, struct rn_error *err)
{
    struct rn_tokenizer_settings settings;

    rn_result result = rn_tokenizer_settings_read(dir, &settings, err);
    if (rn_is_ok(result)) {
        result = open_with(dir, &settings, out, err);
    }
    rn_tokenizer_settings_clear(&settings);
    return result;
}

rn_result rn_tokenizer_length_max(const char *dir, uint32_t *out, struct rn_error *err)
{
    struct rn_tokenizer_settings settings;

    const rn_result result = rn_tokenizer_settings_read(dir, &settings, err);
    *out = settings.length_max;
    rn_tokenizer_settings_clear(&settings);
    return result;
}

void rn_tokenizer_free(struct rn_tokenizer *tokenizer)
{
    if (tokenizer == NULL) {
        return;
    }
    rn_normalizer_clear(&tokenizer->normalizer);
    rn_presplit_clear(&tokenizer->presplit);
    rn_vocabulary_clear(&tokenizer->vocabulary);
    rn_wordpiece_clear(&tokenizer->wordpiece);
    rn_bpe_clear(&tokenizer->bpe);
    rn_added_set_clear(&tokenizer->plain);
    rn_added_set_clear(&tokenizer->normalized);
    rn_free(tokenizer);
}

void rn_tokenizer_cleanup(struct rn_tokenizer **tokenizer)
{
    rn_tokenizer_free(*tokenizer);
    *tokenizer = NULL;
}

uint32_t rn_tokenizer_vocabulary(const struct rn_tokenizer *tokenizer)
{
    return tokenizer->id_limit;
}

size_t rn_tokenizer_specials(const struct rn_tokenizer *tokenizer, bool pair)
{
    return rn_template_specials(&tokenizer->post, pair);
}

/* ---- Encoding */

/* What one word of the pre-tokenizer needs. */
struct encoding_word {
    const struct rn_tokenizer *tokenizer;
    struct rn_tokenizer_scratch *scratch;
    struct rn_ids *out;
};

static rn_result encode_word(void *context, struct rn_view word, struct rn_error *err)
{
    const struct encoding_word *to = context;
    const struct rn_tokenizer *tokenizer = to->tokenizer;
    struct rn_tokenizer_scratch *scratch = to->scratch;

    if (!tokenizer->is_wordpiece) {
        return rn_bpe_encode(&tokenizer->bpe, &tokenizer->vocabulary, word, &scratch->word,
                             &scratch->bpe, to->out, err);
    }
    rn_wordpiece_encode(&tokenizer->wordpiece, &tokenizer->vocabulary, word, &scratch->word,
                        to->out);
    return rn_ok();
}

static rn_result encode_plain(const struct rn_tokenizer *tokenizer, struct rn_view text,
                              struct rn_tokenizer_scratch *scratch, struct rn_ids *out,
                              struct rn_error *err)
{
    struct encoding_word to = {tokenizer, scratch, out};

    return rn_presplit_walk(&tokenizer->presplit, text, encode_word, &to, err);
}

static rn_result encode_normalized(const struct rn_tokenizer *tokenizer, struct rn_view text,
                                   struct rn_tokenizer_scratch *scratch, struct rn_ids *out,
                                   struct rn_error *err)
{
    struct rn_added_walk walk = rn_added_walk_start(&tokenizer->normalized, text);
    struct rn_added_piece piece;

    while (rn_added_walk_next(&walk, &piece)) {
        if (piece.id != RN_TOKEN_NONE) {
            rn_ids_append(out, piece.id);
            continue;
        }
        RN_TRY(encode_plain(tokenizer, rn_view_of(text.data + piece.start, piece.end - piece.start),
                            scratch, out, err));
    }
    return rn_ok();
}

static rn_result encode_text(const struct rn_tokenizer *tokenizer, struct rn_view text,
                             struct rn_tokenizer_scratch *scratch, struct rn_ids *out,
                             struct rn_error *err)
{
    struct rn_added_piece piece;

    RN_ENSURE(text.length <= RN_TOKENIZER_TEXT_MAX, err, RN_E_DATA,
              "a text is longer than %zu bytes", RN_TOKENIZER_TEXT_MAX);
    size_t bad = 0;
    RN_ENSURE(rn_utf8_valid(text, &bad), err, RN_E_DATA, "byte %zu of a text is not valid UTF-8",
              bad + 1);
    out->length = 0;
    struct rn_added_walk walk = rn_added_walk_start(&tokenizer->plain, text);
    while (rn_added_walk_next(&walk, &piece)) {
        if (piece.id != RN_TOKEN_NONE) {
            rn_ids_append(out, piece.id);
            continue;
        }
        struct rn_view normal = rn_view_of(text.data + piece.start, piece.end - piece.start);
        RN_TRY(rn_normalizer_run(&tokenizer->normalizer, normal, scratch->normal, &normal, err));
        RN_TRY(encode_normalized(tokenizer, normal, scratch, out, err));
    }
    return rn_ok();
}

static void append_run(struct rn_encoding *out, const uint32_t *ids, size_t count, uint8_t type_id)
{
    const size_t needed = out->length + count;

    if (needed > out->capacity) {
        const size_t more = needed < 256 ? 256 : needed * 2;
        out->ids = rn_realloc(out->ids, out->capacity, more, sizeof *out->ids);
        out->type_ids = rn_realloc(out->type_ids, out->capacity, more, sizeof *out->type_ids);
        out->capacity = more;
    }
    if (count > 0) {
        memcpy(out->ids + out->length, ids, count * sizeof *ids);
        memset(out->type_ids + out->length, type_id, count);
    }
    out->length = needed;
}

static void fill_template(const struct rn_tokenizer *tokenizer, bool pair,
                          const struct rn_ids ids[2], const size_t kept[2], struct rn_encoding *out)
{
    const struct rn_template *post = &tokenizer->post;
    const struct rn_template_item *items = pair ? post->pair : post->single;
    const size_t count = pair ? post->pair_count : post->single_count;

    out->length = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind == RN_TEMPLATE_SPECIAL) {
            append_run(out, &items[i].id, 1, items[i].type_id);
            continue;
        }
        const size_t which = items[i].kind == RN_TEMPLATE_FIRST ? 0 : 1;
        const size_t cut = tokenizer->truncate_left ? ids[which].length - kept[which] : 0;
        append_run(out, kept[which] == 0 ? NULL : ids[which].data + cut, kept[which],
                   items[i].type_id);
    }
    if (tokenizer->plain_types && out->length > 0) {
        memset(out->type_ids, 0, out->length);
    }
}

rn_result rn_tokenizer_encode(const struct rn_tokenizer *tokenizer, struct rn_view first,
                              const struct rn_view *second, size_t max_length,
                              struct rn_encoding *out, struct rn_error *err)
{
    const bool pair = second != NULL;
    const size_t specials = rn_tokenizer_specials(tokenizer, pair);

    RN_ENSURE(max_length == 0 || max_length >= specials, err, RN_E_USAGE,
              "a maximum length of %zu cannot hold the %zu special tokens", max_length, specials);
    if (out->scratch == NULL) {
        out->scratch = rn_alloc(1, sizeof *out->scratch);
    }
    struct rn_tokenizer_scratch *scratch = out->scratch;
    RN_TRY(encode_text(tokenizer, first, scratch, &scratch->ids[0], err));
    size_t kept[2] = {scratch->ids[0].length, 0};
    if (pair) {
        RN_TRY(encode_text(tokenizer, *second, scratch, &scratch->ids[1], err));
        kept[1] = scratch->ids[1].length;
    }
    const size_t room = max_length - specials;
    if (max_length > 0 && pair) {
        rn_truncate_longest_first(room, &kept[0], &kept[1]);
    } else if (max_length > 0 && kept[0] > room) {
        kept[0] = room;
    }
    fill_template(tokenizer, pair, scratch->ids, kept, out);
    return rn_ok();
}

void rn_encoding_clear(struct rn_encoding *encoding)
{
    struct rn_tokenizer_scratch *scratch = encoding->scratch;

    if (scratch != NULL) {
        rn_buffer_clear(&scratch->normal[0]);
        rn_buffer_clear(&scratch->normal[1]);
        rn_buffer_clear(&scratch->word);
        rn_bpe_scratch_clear(&scratch->bpe);
        rn_free(scratch->ids[0].data);
        rn_free(scratch->ids[1].data);
        rn_free(scratch);
    }
    rn_free(encoding->ids);
    rn_free(encoding->type_ids);
    *encoding = (struct rn_encoding){0};
}
