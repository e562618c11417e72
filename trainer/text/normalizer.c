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

static void step_clear(struct rn_normalizer_step *step)
{
    rn_pattern_clear(&step->pattern);
    rn_charsmap_clear(&step->charsmap);
    rn_free(step->content);
}

/* Takes over the step, also on failure. */
static rn_result add_step(struct rn_normalizer *normalizer, struct rn_normalizer_step step,
                          const char *name, struct rn_error *err)
{
    if (normalizer->count == RN_NORMAL_STEPS_MAX) {
        step_clear(&step);
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

static rn_result read_content(const json_t *normalizer, const char *type, const char *key,
                              const char *name, char **out, struct rn_error *err)
{
    const char *content = NULL;

    RN_TRY(rn_json_get_text(normalizer, name, key, &content, err));
    RN_ENSURE(content != NULL && strlen(content) <= RN_NORMAL_REPLACE_BYTES_MAX, err, RN_E_DATA,
              "%s: normalizer %s: %s must be a text of at most %d bytes", name, type, key,
              RN_NORMAL_REPLACE_BYTES_MAX);
    *out = rn_text_copy(content, strlen(content));
    return rn_ok();
}

/* Behind an empty match `tokenizers` 0.23 loses the places of the characters, and with them some
 * characters of the later steps. */
static rn_result check_not_empty(const struct rn_pattern *pattern, const char *name,
                                 struct rn_error *err)
{
    RN_ENSURE(!rn_pattern_may_be_empty(pattern), err, RN_E_UNSUPPORTED,
              "%s: normalizer Replace: a Regex that may match nothing is not supported", name);
    return rn_ok();
}

static rn_result read_replace(const json_t *normalizer, const char *name, struct rn_normalizer *out,
                              struct rn_error *err)
{
    struct rn_normalizer_step step = {.kind = RN_NORMALIZER_REPLACE};
    rn_result result = rn_pattern_read(json_object_get(normalizer, "pattern"), name,
                                       "normalizer Replace", &step.pattern, err);

    if (rn_is_ok(result)) {
        result = check_not_empty(&step.pattern, name, err);
    }
    if (rn_is_ok(result)) {
        result = read_content(normalizer, "Replace", "content", name, &step.content, err);
    }
    if (!rn_is_ok(result)) {
        step_clear(&step);
        return result;
    }
    return add_step(out, step, name, err);
}

static rn_result read_prepend(const json_t *normalizer, const char *name, struct rn_normalizer *out,
                              struct rn_error *err)
{
    struct rn_normalizer_step step = {.kind = RN_NORMALIZER_PREPEND};

    RN_TRY(read_content(normalizer, "Prepend", "prepend", name, &step.content, err));
    return add_step(out, step, name, err);
}

static rn_result read_precompiled(const json_t *normalizer, const char *name,
                                  struct rn_normalizer *out, struct rn_error *err)
{
    struct rn_normalizer_step step = {.kind = RN_NORMALIZER_CHARSMAP};

    RN_TRY(rn_charsmap_read(json_object_get(normalizer, "precompiled_charsmap"), name,
                            &step.charsmap, err));
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
    } others[] = {{"BertNormalizer", read_bert},
                  {"Replace", read_replace},
                  {"Strip", read_strip},
                  {"Prepend", read_prepend},
                  {"Precompiled", read_precompiled}};
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
        step_clear(&normalizer->steps[i]);
    }
    *normalizer = (struct rn_normalizer){0};
}

/* ---- Running ------------------------------------------------------------------------------- */

struct replacing {
    const char *content;
    struct rn_buffer *out;
};

static rn_result replace_stretch(void *context, struct rn_view stretch, bool match,
                                 struct rn_error *err)
{
    const struct replacing *to = context;

    (void)err;
    if (match) {
        rn_buffer_append(to->out, to->content, strlen(to->content));
    } else {
        rn_buffer_append(to->out, stretch.data, stretch.length);
    }
    return rn_ok();
}

/* In front of a text that is not empty. */
static void prepend(const struct rn_normalizer_step *step, struct rn_view text,
                    struct rn_buffer *out)
{
    if (text.length > 0) {
        rn_buffer_append(out, step->content, strlen(step->content));
        rn_buffer_append(out, text.data, text.length);
    }
}

/* A step that writes a new text. */
static rn_result rewrite(const struct rn_normalizer_step *step, struct rn_view text,
                         struct rn_buffer *out, struct rn_error *err)
{
    struct replacing replacing = {step->content, out};

    out->length = 0;
    if (step->kind == RN_NORMALIZER_UNICODE) {
        return rn_unicode_transform(step->unicode, text, out, err);
    }
    if (step->kind == RN_NORMALIZER_REPLACE) {
        RN_TRY(rn_pattern_walk(&step->pattern, text, replace_stretch, &replacing, err));
    } else if (step->kind == RN_NORMALIZER_PREPEND) {
        prepend(step, text, out);
    } else {
        rn_charsmap_apply(&step->charsmap, text, out);
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
        RN_TRY(rewrite(step, text, &buffers[next], err));
        text = rn_buffer_view(&buffers[next]);
        next = 1 - next;
    }
    *out_text = text;
    return rn_ok();
}
