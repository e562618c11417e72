/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-tokenizers.
 */
#include "trainer/text/presplit.h"

#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------- */

static rn_result read_kind(const json_t *step, const char *type, const char *name,
                           enum rn_presplit_kind *out, struct rn_error *err)
{
    static const struct {
        const char *type;
        enum rn_presplit_kind kind;
    } all[] = {{"BertPreTokenizer", RN_PRESPLIT_BERT},
               {"Whitespace", RN_PRESPLIT_WORDS},
               {"WhitespaceSplit", RN_PRESPLIT_SPACES},
               {"Digits", RN_PRESPLIT_DIGITS},
               {"Punctuation", RN_PRESPLIT_PUNCTUATION}};
    const char *behavior = "Isolated";
    bool individual = false;
    size_t i = 0;

    while (i < RN_ARRAY_LENGTH(all) && strcmp(type, all[i].type) != 0) {
        i++;
    }
    RN_ENSURE(i < RN_ARRAY_LENGTH(all), err, RN_E_UNSUPPORTED,
              "%s: pre_tokenizer %.40s is not supported", name, type);
    RN_TRY(rn_json_get_text(step, name, "behavior", &behavior, err));
    RN_ENSURE(strcmp(behavior, "Isolated") == 0, err, RN_E_UNSUPPORTED,
              "%s: pre_tokenizer %.40s with behavior %.40s is not supported (Isolated is)", name,
              type, behavior);
    RN_TRY(rn_json_get_flag(step, name, "individual_digits", &individual, err));
    *out = all[i].kind == RN_PRESPLIT_DIGITS && individual ? RN_PRESPLIT_EACH_DIGIT : all[i].kind;
    return rn_ok();
}

static rn_result read_step(const json_t *step, const char *name, struct rn_presplit *out,
                           const json_t **out_byte_level, struct rn_error *err)
{
    const char *type = json_string_value(json_object_get(step, "type"));

    RN_ENSURE(type != NULL, err, RN_E_DATA, "%s: a pre_tokenizer has no type", name);
    RN_ENSURE(*out_byte_level == NULL, err, RN_E_UNSUPPORTED,
              "%s: pre_tokenizer: a step after ByteLevel is not supported", name);
    if (strcmp(type, "ByteLevel") == 0) {
        *out_byte_level = step;
        return rn_ok();
    }
    RN_ENSURE(out->count < RN_PRESPLIT_STEPS_MAX, err, RN_E_DATA,
              "%s: the pre_tokenizer has more than %d steps", name, RN_PRESPLIT_STEPS_MAX);
    return read_kind(step, type, name, &out->steps[out->count++], err);
}

rn_result rn_presplit_read(const json_t *value, const char *name, struct rn_presplit *out,
                           const json_t **out_byte_level, struct rn_error *err)
{
    const char *type = json_string_value(json_object_get(value, "type"));

    *out_byte_level = NULL;
    if (value == NULL || json_is_null(value)) {
        return rn_ok();
    }
    if (type == NULL || strcmp(type, "Sequence") != 0) {
        return read_step(value, name, out, out_byte_level, err);
    }
    const json_t *list = json_object_get(value, "pretokenizers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        RN_TRY(read_step(json_array_get(list, i), name, out, out_byte_level, err));
    }
    return rn_ok();
}

/* ---- Cutting ------------------------------------------------------------------------------- */

/* What a character is to a step: gone, a word of its own, or part of a run of its sort. */
enum part { PART_GONE, PART_ALONE, PART_RUN, PART_OTHER_RUN };

static enum part part_of(enum rn_presplit_kind kind, uint32_t point)
{
    const bool splits_spaces =
        kind == RN_PRESPLIT_BERT || kind == RN_PRESPLIT_WORDS || kind == RN_PRESPLIT_SPACES;

    if (splits_spaces && rn_unicode_is_space(point)) {
        return PART_GONE;
    }
    switch (kind) {
    case RN_PRESPLIT_BERT:
    case RN_PRESPLIT_PUNCTUATION:
        return rn_unicode_is_punctuation(point) ? PART_ALONE : PART_RUN;
    case RN_PRESPLIT_WORDS:
        return rn_unicode_is_word(point) ? PART_RUN : PART_OTHER_RUN;
    case RN_PRESPLIT_DIGITS:
        return rn_unicode_is_numeric(point) ? PART_OTHER_RUN : PART_RUN;
    case RN_PRESPLIT_EACH_DIGIT:
        return rn_unicode_is_numeric(point) ? PART_ALONE : PART_RUN;
    case RN_PRESPLIT_SPACES:
        break;
    }
    return PART_RUN;
}

/* The word that starts at *at, which moves behind it; empty at the end. */
static struct rn_view next_word(enum rn_presplit_kind kind, struct rn_view text, size_t *at)
{
    size_t start = *at;
    enum part first = PART_GONE;

    while (*at < text.length && first == PART_GONE) {
        start = *at;
        first = part_of(kind, rn_utf8_next(text, at));
    }
    if (first == PART_GONE) {
        return rn_view_of(text.data, 0);
    }
    for (size_t next = *at; first != PART_ALONE && next < text.length; *at = next) {
        if (part_of(kind, rn_utf8_next(text, &next)) != first) {
            break;
        }
    }
    return rn_view_of(text.data + start, *at - start);
}

static rn_result walk(const struct rn_presplit *presplit, size_t step, struct rn_view text,
                      rn_word_fn each, void *context, struct rn_error *err)
{
    if (step == presplit->count) {
        return text.length == 0 ? rn_ok() : each(context, text, err);
    }
    for (size_t at = 0; at < text.length;) {
        const struct rn_view word = next_word(presplit->steps[step], text, &at);
        if (word.length > 0) {
            RN_TRY(walk(presplit, step + 1, word, each, context, err));
        }
    }
    return rn_ok();
}

rn_result rn_presplit_walk(const struct rn_presplit *presplit, struct rn_view text, rn_word_fn each,
                           void *context, struct rn_error *err)
{
    return walk(presplit, 0, text, each, context, err);
}
