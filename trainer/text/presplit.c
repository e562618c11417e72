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

/* The step that is read, with its place for error sentences. */
struct reading {
    const json_t *json;
    const char *type, *name;
    struct rn_presplit_step step;
};

static rn_result read_behavior(struct reading *reading, const char *fallback, struct rn_error *err)
{
    static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious",
                                            "MergedWithNext", "Contiguous"};
    const char *behavior = fallback;
    size_t i = 0;

    RN_TRY(rn_json_get_text(reading->json, reading->name, "behavior", &behavior, err));
    while (i < RN_ARRAY_LENGTH(behaviors) && strcmp(behavior, behaviors[i]) != 0) {
        i++;
    }
    RN_ENSURE(i < RN_ARRAY_LENGTH(behaviors), err, RN_E_UNSUPPORTED,
              "%s: pre_tokenizer %s with behavior %.40s is not supported", reading->name,
              reading->type, behavior);
    reading->step.behavior = (enum rn_presplit_behavior)i;
    return rn_ok();
}

static rn_result read_plain(struct reading *reading, struct rn_error *err)
{
    (void)reading;
    (void)err;
    return rn_ok();
}

static rn_result read_digits(struct reading *reading, struct rn_error *err)
{
    bool individual = false;

    RN_TRY(rn_json_get_flag(reading->json, reading->name, "individual_digits", &individual, err));
    reading->step.behavior = individual ? RN_PRESPLIT_ISOLATED : RN_PRESPLIT_CONTIGUOUS;
    return rn_ok();
}

static rn_result read_punctuation(struct reading *reading, struct rn_error *err)
{
    return read_behavior(reading, "Isolated", err);
}

static rn_result read_character(struct reading *reading, struct rn_error *err)
{
    const char *text = "";
    size_t at = 0;

    RN_TRY(rn_json_get_text(reading->json, reading->name, "delimiter", &text, err));
    const struct rn_view view = rn_view_text(text);
    reading->step.character = view.length == 0 ? 0 : rn_utf8_next(view, &at);
    RN_ENSURE(view.length > 0 && at == view.length, err, RN_E_DATA,
              "%s: pre_tokenizer %s: delimiter must be one character", reading->name,
              reading->type);
    return rn_ok();
}

static rn_result read_pattern(struct reading *reading, struct rn_error *err)
{
    RN_TRY(read_behavior(reading, "", err));
    RN_TRY(rn_json_get_flag(reading->json, reading->name, "invert", &reading->step.invert, err));
    return rn_pattern_read(json_object_get(reading->json, "pattern"), reading->name,
                           "pre_tokenizer Split", &reading->step.pattern, err);
}

static const struct {
    const char *type;
    enum rn_presplit_kind kind;
    rn_result (*read)(struct reading *, struct rn_error *);
} all_kinds[] = {{"Whitespace", RN_PRESPLIT_WORDS, read_plain},
                 {"WhitespaceSplit", RN_PRESPLIT_SPACES, read_plain},
                 {"Digits", RN_PRESPLIT_DIGITS, read_digits},
                 {"Punctuation", RN_PRESPLIT_PUNCTUATION, read_punctuation},
                 {"CharDelimiterSplit", RN_PRESPLIT_CHARACTER, read_character},
                 {"Split", RN_PRESPLIT_PATTERN, read_pattern}};

/* Takes over the step, also on failure. */
static rn_result add_step(struct rn_presplit *out, struct rn_presplit_step step, const char *name,
                          struct rn_error *err)
{
    if (out->count == RN_PRESPLIT_STEPS_MAX) {
        rn_pattern_clear(&step.pattern);
        return rn_fail(err, RN_E_DATA, "%s: the pre_tokenizer has more than %d steps", name,
                       RN_PRESPLIT_STEPS_MAX);
    }
    out->steps[out->count++] = step;
    return rn_ok();
}

static rn_result read_kind(const json_t *json, const char *type, const char *name,
                           struct rn_presplit *out, struct rn_error *err)
{
    struct reading reading = {.json = json, .type = type, .name = name};
    size_t i = 0;

    while (i < RN_ARRAY_LENGTH(all_kinds) && strcmp(type, all_kinds[i].type) != 0) {
        i++;
    }
    RN_ENSURE(i < RN_ARRAY_LENGTH(all_kinds), err, RN_E_UNSUPPORTED,
              "%s: pre_tokenizer %.40s is not supported", name, type);
    reading.step.kind = all_kinds[i].kind;
    const enum rn_code code = all_kinds[i].read(&reading, err).code;
    if (code != RN_OK) {
        rn_pattern_clear(&reading.step.pattern);
        return (rn_result){code};
    }
    return add_step(out, reading.step, name, err);
}

static rn_result read_bert(const char *name, struct rn_presplit *out, struct rn_error *err)
{
    const struct rn_presplit_step spaces = {.kind = RN_PRESPLIT_SPACES};
    const struct rn_presplit_step marks = {.kind = RN_PRESPLIT_PUNCTUATION,
                                           .behavior = RN_PRESPLIT_ISOLATED};

    RN_TRY(add_step(out, spaces, name, err));
    return add_step(out, marks, name, err);
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
    return strcmp(type, "BertPreTokenizer") == 0 ? read_bert(name, out, err)
                                                 : read_kind(step, type, name, out, err);
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

void rn_presplit_clear(struct rn_presplit *presplit)
{
    for (size_t i = 0; i < presplit->count; i++) {
        rn_pattern_clear(&presplit->steps[i].pattern);
    }
    *presplit = (struct rn_presplit){0};
}

/* ---- Stretches ----------------------------------------------------------------------------- */

static bool character_matches(const struct rn_presplit_step *step, uint32_t point)
{
    switch (step->kind) {
    case RN_PRESPLIT_SPACES:
        return rn_unicode_is_space(point);
    case RN_PRESPLIT_DIGITS:
        return rn_unicode_is_numeric(point);
    case RN_PRESPLIT_PUNCTUATION:
        return rn_unicode_is_punctuation(point);
    default:
        return point == step->character;
    }
}

/* Each character that matches, and runs of the others. */
static rn_result walk_characters(const struct rn_presplit_step *step, struct rn_view text,
                                 rn_stretch_fn take, void *context, struct rn_error *err)
{
    size_t run = 0; /* start of the characters that do not match */

    for (size_t at = 0; at < text.length;) {
        const size_t start = at;
        if (!character_matches(step, rn_utf8_next(text, &at))) {
            continue;
        }
        if (start > run) {
            RN_TRY(take(context, rn_view_of(text.data + run, start - run), false, err));
        }
        RN_TRY(take(context, rn_view_of(text.data + start, at - start), true, err));
        run = at;
    }
    return run == text.length
               ? rn_ok()
               : take(context, rn_view_of(text.data + run, text.length - run), false, err);
}

enum sort { SORT_SPACE, SORT_WORD, SORT_OTHER };

static enum sort sort_of(uint32_t point)
{
    return rn_unicode_is_space(point)  ? SORT_SPACE
           : rn_unicode_is_word(point) ? SORT_WORD
                                       : SORT_OTHER;
}

/* Runs of one sort; white space matches, so that it is what Removed drops. */
static rn_result walk_words(struct rn_view text, rn_stretch_fn take, void *context,
                            struct rn_error *err)
{
    for (size_t at = 0; at < text.length;) {
        const size_t start = at;
        const enum sort sort = sort_of(rn_utf8_next(text, &at));
        for (size_t next = at; next < text.length; at = next) {
            if (sort_of(rn_utf8_next(text, &next)) != sort) {
                break;
            }
        }
        const struct rn_view run = rn_view_of(text.data + start, at - start);
        RN_TRY(take(context, run, sort == SORT_SPACE, err));
    }
    return rn_ok();
}

static rn_result walk_stretches(const struct rn_presplit_step *step, struct rn_view text,
                                rn_stretch_fn take, void *context, struct rn_error *err)
{
    if (step->kind == RN_PRESPLIT_PATTERN) {
        return rn_pattern_walk(&step->pattern, text, take, context, err);
    }
    return step->kind == RN_PRESPLIT_WORDS ? walk_words(text, take, context, err)
                                           : walk_characters(step, text, take, context, err);
}

/* ---- Words --------------------------------------------------------------------------------- */

/* One step at work on one word: the stretches that may still be joined by the next. */
struct cutting {
    const struct rn_presplit *presplit;
    size_t step;
    rn_word_fn take_word;
    void *context;
    struct rn_view pending;
    bool has_pending;
    bool match; /* of the pending word's last stretch */
};

static rn_result walk(const struct rn_presplit *presplit, size_t step, struct rn_view text,
                      rn_word_fn take_word, void *context, struct rn_error *err);

/* Whether a stretch goes to the pending word. */
static bool joins(enum rn_presplit_behavior behavior, bool before, bool match)
{
    switch (behavior) {
    case RN_PRESPLIT_MERGED_WITH_PREVIOUS:
        return match && !before;
    case RN_PRESPLIT_MERGED_WITH_NEXT:
        return !match && before;
    case RN_PRESPLIT_CONTIGUOUS:
        return match == before;
    default:
        return false;
    }
}

static rn_result finish_pending(struct cutting *cutting, struct rn_error *err)
{
    const bool any = cutting->has_pending && cutting->pending.length > 0;

    cutting->has_pending = false;
    return any ? walk(cutting->presplit, cutting->step + 1, cutting->pending, cutting->take_word,
                      cutting->context, err)
               : rn_ok();
}

static rn_result take_stretch(void *context, struct rn_view stretch, bool match,
                              struct rn_error *err)
{
    struct cutting *cutting = context;
    const struct rn_presplit_step *step = &cutting->presplit->steps[cutting->step];
    const bool matches = match != step->invert;

    if (cutting->has_pending && joins(step->behavior, cutting->match, matches)) {
        cutting->pending.length += stretch.length;
        cutting->match = matches;
        return rn_ok();
    }
    RN_TRY(finish_pending(cutting, err));
    cutting->pending = stretch;
    cutting->match = matches;
    cutting->has_pending = !matches || step->behavior != RN_PRESPLIT_REMOVED;
    return rn_ok();
}

static rn_result walk(const struct rn_presplit *presplit, size_t step, struct rn_view text,
                      rn_word_fn take_word, void *context, struct rn_error *err)
{
    if (step == presplit->count) {
        return text.length == 0 ? rn_ok() : take_word(context, text, err);
    }
    struct cutting cutting = {
        .presplit = presplit, .step = step, .take_word = take_word, .context = context};
    RN_TRY(walk_stretches(&presplit->steps[step], text, take_stretch, &cutting, err));
    return finish_pending(&cutting, err);
}

rn_result rn_presplit_walk(const struct rn_presplit *presplit, struct rn_view text,
                           rn_word_fn take_word, void *context, struct rn_error *err)
{
    return walk(presplit, 0, text, take_word, context, err);
}
