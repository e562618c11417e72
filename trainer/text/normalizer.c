/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizers.
 */
#include "trainer/text/normalizer.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"

#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------- */

static rn_result add_step(struct rn_normalizer *normalizer, struct rn_normalizer_step step,
                          const char *name, struct rn_error *err)
{
    if (normalizer->count == RN_NORMAL_STEPS_MAX) {
        rn_free(step.pattern);
        rn_free(step.content);
        return rn_fail(err, RN_E_DATA, "%s: the normalizer has more than %d steps", name,
                       RN_NORMAL_STEPS_MAX);
    }
    normalizer->steps[normalizer->count++] = step;
    return rn_ok();
}

static rn_result add_unicode(struct rn_normalizer *out, enum rn_normal_step step, const char *name,
                             struct rn_error *err)
{
    return add_step(out, (struct rn_normalizer_step){.unicode = step}, name, err);
}

static rn_result read_bert(const json_t *normalizer, const char *name, struct rn_normalizer *out,
                           struct rn_error *err)
{
    bool clean = true;
    bool cjk = true;
    bool lowercase = true;

    RN_TRY(rn_json_get_flag(normalizer, name, "clean_text", &clean, err));
    RN_TRY(rn_json_get_flag(normalizer, name, "handle_chinese_chars", &cjk, err));
    RN_TRY(rn_json_get_flag(normalizer, name, "lowercase", &lowercase, err));
    bool accents = lowercase; /* null: follows lowercase */
    RN_TRY(rn_json_get_flag(normalizer, name, "strip_accents", &accents, err));
    if (clean) {
        RN_TRY(add_unicode(out, RN_NORMAL_BERT_CLEAN, name, err));
    }
    if (cjk) {
        RN_TRY(add_unicode(out, RN_NORMAL_BERT_CJK, name, err));
    }
    if (accents) {
        RN_TRY(add_unicode(out, RN_NORMAL_BERT_ACCENTS, name, err));
    }
    return lowercase ? add_unicode(out, RN_NORMAL_LOWERCASE, name, err) : rn_ok();
}

/* "pattern": {"String": "..."}; a regular expression is that of another library. */
static rn_result read_replace(const json_t *normalizer, const char *name, struct rn_normalizer *out,
                              struct rn_error *err)
{
    const json_t *pattern = json_object_get(normalizer, "pattern");
    const char *text = NULL;
    const char *content = NULL;

    RN_ENSURE(json_object_get(pattern, "Regex") == NULL, err, RN_E_UNSUPPORTED,
              "%s: normalizer Replace with a Regex is not supported (a String is)", name);
    RN_TRY(rn_json_get_text(pattern, name, "String", &text, err));
    RN_TRY(rn_json_get_text(normalizer, name, "content", &content, err));
    RN_ENSURE(text != NULL && content != NULL && text[0] != '\0' &&
                  strlen(text) <= RN_NORMAL_REPLACE_BYTES_MAX &&
                  strlen(content) <= RN_NORMAL_REPLACE_BYTES_MAX,
              err, RN_E_DATA,
              "%s: normalizer Replace needs a pattern of 1 to %d bytes and a content of at most as "
              "many",
              name, RN_NORMAL_REPLACE_BYTES_MAX);
    const struct rn_normalizer_step step = {.kind = RN_NORMALIZER_REPLACE,
                                            .pattern = rn_text_copy(text, strlen(text)),
                                            .content = rn_text_copy(content, strlen(content))};
    return add_step(out, step, name, err);
}

static rn_result read_strip(const json_t *normalizer, const char *name, struct rn_normalizer *out,
                            struct rn_error *err)
{
    struct rn_normalizer_step step = {.kind = RN_NORMALIZER_STRIP, .left = true, .right = true};

    RN_TRY(rn_json_get_flag(normalizer, name, "strip_left", &step.left, err));
    RN_TRY(rn_json_get_flag(normalizer, name, "strip_right", &step.right, err));
    return add_step(out, step, name, err);
}

static rn_result read_simple(const json_t *normalizer, const char *name, struct rn_normalizer *out,
                             struct rn_error *err)
{
    static const struct {
        const char *type;
        enum rn_normal_step step;
    } simple[] = {
        {"NFC", RN_NORMAL_NFC},
        {"NFD", RN_NORMAL_NFD},
        {"NFKC", RN_NORMAL_NFKC},
        {"NFKD", RN_NORMAL_NFKD},
        {"StripAccents", RN_NORMAL_STRIP_ACCENTS},
        {"Lowercase", RN_NORMAL_LOWERCASE},
    };
    static const struct {
        const char *type;
        rn_result (*read)(const json_t *, const char *, struct rn_normalizer *, struct rn_error *);
    } others[] = {{"BertNormalizer", read_bert}, {"Replace", read_replace}, {"Strip", read_strip}};
    const char *type = json_string_value(json_object_get(normalizer, "type"));

    RN_ENSURE(type != NULL, err, RN_E_DATA, "%s: a normalizer has no type", name);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(simple); i++) {
        if (strcmp(type, simple[i].type) == 0) {
            return add_unicode(out, simple[i].step, name, err);
        }
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(others); i++) {
        if (strcmp(type, others[i].type) == 0) {
            return others[i].read(normalizer, name, out, err);
        }
    }
    return rn_fail(err, RN_E_UNSUPPORTED, "%s: normalizer %.40s is not supported", name, type);
}

rn_result rn_normalizer_read(const json_t *value, const char *name, struct rn_normalizer *out,
                             struct rn_error *err)
{
    const char *type = json_string_value(json_object_get(value, "type"));

    if (value == NULL || json_is_null(value)) {
        return rn_ok();
    }
    if (type == NULL || strcmp(type, "Sequence") != 0) {
        return read_simple(value, name, out, err);
    }
    const json_t *list = json_object_get(value, "normalizers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        RN_TRY(read_simple(json_array_get(list, i), name, out, err));
    }
    return rn_ok();
}

void rn_normalizer_clear(struct rn_normalizer *normalizer)
{
    for (size_t i = 0; i < normalizer->count; i++) {
        rn_free(normalizer->steps[i].pattern);
        rn_free(normalizer->steps[i].content);
    }
    *normalizer = (struct rn_normalizer){0};
}

/* ---- Running ------------------------------------------------------------------------------- */

static rn_result replace(const struct rn_normalizer_step *step, struct rn_view text,
                         struct rn_buffer *out, struct rn_error *err)
{
    const size_t length = strlen(step->pattern);
    size_t at = 0;

    out->length = 0;
    while (at < text.length) {
        const uint8_t *found = memmem(text.data + at, text.length - at, step->pattern, length);
        const size_t end = found == NULL ? text.length : (size_t)(found - text.data);
        rn_buffer_append(out, text.data + at, end - at);
        if (found != NULL) {
            rn_buffer_append(out, step->content, strlen(step->content));
        }
        at = end + (found == NULL ? 0 : length);
    }
    RN_ENSURE(!out->failed, err, RN_E_DATA, "the normalised text is longer than %zu bytes",
              out->max);
    return rn_ok();
}

static struct rn_view strip(const struct rn_normalizer_step *step, struct rn_view text)
{
    size_t start = 0;
    size_t end = text.length;

    for (size_t next = start; step->left && start < end; start = next) {
        if (!rn_unicode_is_space(rn_utf8_next(text, &next))) {
            break;
        }
    }
    for (size_t before = end; step->right && end > start; end = before) {
        if (!rn_unicode_is_space(rn_utf8_before(text, end, &before))) {
            break;
        }
    }
    return rn_view_of(text.data + start, end - start);
}

rn_result rn_normalizer_run(const struct rn_normalizer *normalizer, struct rn_view text,
                            struct rn_buffer buffers[static 2], struct rn_view *out_text,
                            struct rn_error *err)
{
    size_t next = 0; /* the buffer that text does not stand in */

    for (size_t i = 0; i < normalizer->count; i++) {
        const struct rn_normalizer_step *step = &normalizer->steps[i];
        if (step->kind == RN_NORMALIZER_STRIP) {
            text = strip(step, text);
            continue;
        }
        RN_TRY(step->kind == RN_NORMALIZER_REPLACE
                   ? replace(step, text, &buffers[next], err)
                   : rn_unicode_transform(step->unicode, text, &buffers[next], err));
        text = rn_buffer_view(&buffers[next]);
        next = 1 - next;
    }
    *out_text = text;
    return rn_ok();
}
