/* SPDX-License-Identifier: Apache-2.0
 *
 * Searching for patterns.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "trainer/text/textpattern.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/ground/jsonfile.h"
#include "trainer/text/unicodetext.h"

#include <pcre2.h>
#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------- */

static rn_result compile(const char *regex, const char *name, const char *what,
                         struct rn_pattern *out, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    struct rn_error why = {{0}};
    int code = 0;
    PCRE2_SIZE offset = 0;

    const rn_result read = rn_regex_translate(rn_view_text(regex), &text, &why);
    RN_ENSURE(rn_is_ok(read), err, read.code, "%s: %s: %s", name, what, why.text);
    out->code = pcre2_compile((PCRE2_SPTR)text.data, text.length,
                              PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C,
                              &code, &offset, NULL);
    RN_ENSURE(out->code != NULL, err, RN_E_UNSUPPORTED,
              "%s: %s: this Regex is not supported (PCRE2 error %d)", name, what, code);
    /* Without a just-in-time compiler pcre2_match interprets: slower, the same matches. */
    (void)pcre2_jit_compile(out->code, PCRE2_JIT_COMPLETE);
    return rn_ok();
}

rn_result rn_pattern_read(const json_t *value, const char *name, const char *what,
                          struct rn_pattern *out, struct rn_error *err)
{
    const json_t *literal = json_object_get(value, "String");
    const json_t *regex = json_object_get(value, "Regex");
    const json_t *only = literal != NULL ? literal : regex;
    const char *text = json_string_value(only);
    const size_t length = json_string_length(only);

    RN_ENSURE((literal == NULL) != (regex == NULL) && length > 0 && length <= RN_PATTERN_BYTES_MAX,
              err, RN_E_DATA, "%s: %s needs a pattern, a String or a Regex of 1 to %d bytes", name,
              what, RN_PATTERN_BYTES_MAX);
    RN_ENSURE(strlen(text) == length, err, RN_E_DATA, "%s: %s: a pattern has no U+0000", name,
              what);
    if (regex != NULL) {
        return compile(text, name, what, out, err);
    }
    out->literal = rn_text_copy(text, length);
    return rn_ok();
}

void rn_pattern_clear(struct rn_pattern *pattern)
{
    rn_free(pattern->literal);
    pcre2_code_free(pattern->code);
    *pattern = (struct rn_pattern){0};
}

bool rn_pattern_may_be_empty(const struct rn_pattern *pattern)
{
    uint32_t empty = 0;

    return pattern->code != NULL &&
           (pcre2_pattern_info(pattern->code, PCRE2_INFO_MATCHEMPTY, &empty) != 0 || empty != 0);
}

/* ---- Searching ----------------------------------------------------------------------------- */

struct search {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static void search_clear(struct search *search)
{
    pcre2_match_context_free(search->context);
    pcre2_match_data_free(search->data);
}

static rn_result search_init(struct search *out, struct rn_error *err)
{
    out->data = pcre2_match_data_create(1, NULL);
    out->context = pcre2_match_context_create(NULL);
    RN_ENSURE(out->data != NULL && out->context != NULL, err, RN_E_MEMORY,
              "no memory for matching");
    (void)pcre2_set_match_limit(out->context, RN_PATTERN_STEPS_MAX);
    return rn_ok();
}

/* The first match at or behind `from`; found false when there is none. */
static rn_result search_next(struct search *search, const struct rn_pattern *pattern,
                             struct rn_view text, size_t from, size_t span[2], bool *out_found,
                             struct rn_error *err)
{
    int code = pcre2_match(pattern->code, text.data, text.length, from, PCRE2_NO_UTF_CHECK,
                           search->data, search->context);

    if (code == PCRE2_ERROR_JIT_STACKLIMIT) {
        code = pcre2_match(pattern->code, text.data, text.length, from,
                           PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, search->data, search->context);
    }
    RN_ENSURE(code >= 0 || code == PCRE2_ERROR_NOMATCH, err, RN_E_DATA,
              "a Regex of the tokenizer cannot be matched on a text (%d)", code);
    *out_found = code >= 0;
    if (*out_found) {
        const PCRE2_SIZE *found = pcre2_get_ovector_pointer(search->data);
        span[0] = found[0];
        span[1] = found[1];
    }
    return rn_ok();
}

static rn_result hand_out(struct rn_view text, size_t start, size_t end, bool match,
                          rn_stretch_fn take, void *context, struct rn_error *err)
{
    return start == end && !match
               ? rn_ok()
               : take(context, rn_view_of(text.data + start, end - start), match, err);
}

static rn_result walk_regex(const struct rn_pattern *pattern, struct rn_view text,
                            rn_stretch_fn take, void *context, struct rn_error *err)
{
    RN_CLEANUP(search_clear) struct search search = {0};
    size_t done = 0;  /* handed out */
    size_t from = 0;  /* where the next search starts */
    bool any = false; /* a match ended at done */
    size_t span[2];
    bool found = false;

    RN_TRY(search_init(&search, err));
    while (from <= text.length) {
        RN_TRY(search_next(&search, pattern, text, from, span, &found, err));
        if (!found) {
            break;
        }
        if (span[0] == span[1] && any && span[1] == done) {
            if (from == text.length) {
                break;
            }
            (void)rn_utf8_next(text, &from);
            continue;
        }
        RN_TRY(hand_out(text, done, span[0], false, take, context, err));
        RN_TRY(hand_out(text, span[0], span[1], true, take, context, err));
        done = from = span[1];
        any = true;
    }
    return hand_out(text, done, text.length, false, take, context, err);
}

static rn_result walk_literal(const char *literal, struct rn_view text, rn_stretch_fn take,
                              void *context, struct rn_error *err)
{
    const size_t length = strlen(literal);

    for (size_t at = 0; at < text.length;) {
        const uint8_t *found = memmem(text.data + at, text.length - at, literal, length);
        const size_t start = found == NULL ? text.length : (size_t)(found - text.data);
        RN_TRY(hand_out(text, at, start, false, take, context, err));
        at = start;
        if (found != NULL) {
            RN_TRY(hand_out(text, at, at + length, true, take, context, err));
            at += length;
        }
    }
    return rn_ok();
}

rn_result rn_pattern_walk(const struct rn_pattern *pattern, struct rn_view text, rn_stretch_fn take,
                          void *context, struct rn_error *err)
{
    return pattern->code != NULL ? walk_regex(pattern, text, take, context, err)
                                 : walk_literal(pattern->literal, text, take, context, err);
}
