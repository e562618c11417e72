/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/bundle.h"

#include <string.h>

#include "base/guard.h"
#include "crypto/secret.h"
#include "policy/mailtext.h"

#define LINE_BYTES_MAX (RN_BUNDLE_NAME_MAX + RN_BUNDLE_VALUE_MAX + 16)

struct cursor {
    struct rn_view text;
    size_t at;
    unsigned line; /* of the line read last */
    const char *source;
    struct rn_error *err;
};

/* A line may be the one with the token. */
static void line_wipe(char (*line)[LINE_BYTES_MAX])
{
    rn_secret_wipe(*line, sizeof *line);
}

static rn_result cursor_fail(const struct cursor *cursor, const char *what)
{
    return rn_fail(cursor->err, RN_E_DATA, "%s:%u: %s", cursor->source, cursor->line, what);
}

/* The next line without its break; printable ASCII. */
static rn_result line_next(struct cursor *cursor, char out[static LINE_BYTES_MAX])
{
    const size_t left = cursor->text.length - cursor->at;
    const uint8_t *start = cursor->text.data + cursor->at;
    const uint8_t *end = left == 0 ? NULL : memchr(start, '\n', left);
    cursor->line++;
    if (end == NULL) {
        return cursor_fail(cursor, "the file is cut off");
    }
    const size_t length = (size_t)(end - start);
    if (length >= LINE_BYTES_MAX) {
        return cursor_fail(cursor, "line too long");
    }
    for (size_t i = 0; i < length; i++) {
        if (start[i] < 0x20 || start[i] > 0x7e) {
            return cursor_fail(cursor, "only printable ASCII is allowed");
        }
    }
    memcpy(out, start, length);
    out[length] = '\0';
    cursor->at += length + 1;
    return rn_ok();
}

/* Decimal without leading zeros, at most RN_BUNDLE_FILE_MAX. */
static bool length_read(const char *text, size_t *out)
{
    size_t value = 0;
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0') || strlen(text) > 7 ||
        strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    for (; *text != '\0'; text++) {
        value = value * 10 + (size_t)(*text - '0');
    }
    *out = value;
    return value <= RN_BUNDLE_FILE_MAX;
}

static rn_result file_take(struct cursor *cursor, const char *length_text,
                           struct rn_bundle_item *item)
{
    size_t length = 0;
    if (!length_read(length_text, &length)) {
        return cursor_fail(cursor, "expected the length of the file in bytes");
    }
    if (cursor->text.length - cursor->at < length + 1 ||
        cursor->text.data[cursor->at + length] != '\n') {
        return cursor_fail(cursor, "the file is cut off");
    }
    item->content = rn_view_of(cursor->text.data + cursor->at, length);
    for (size_t i = 0; i < length; i++) {
        cursor->line += item->content.data[i] == '\n' ? 1 : 0;
    }
    cursor->line++;
    cursor->at += length + 1;
    return rn_ok();
}

/* One item of the wanted name ("+name": a file). */
static rn_result item_take(struct cursor *cursor, const char *wanted, struct rn_bundle_item *item)
{
    char RN_CLEANUP(line_wipe) line[LINE_BYTES_MAX];
    char head[RN_BUNDLE_NAME_MAX + 16];
    const bool file = wanted[0] == '+';
    const char *name = file ? wanted + 1 : wanted;
    item->start = cursor->at;
    item->file = file;
    (void)rn_text_format(item->name, sizeof item->name, "%s", name);
    (void)rn_text_format(head, sizeof head, "%s %s ", file ? "file" : "field", name);
    RN_TRY(line_next(cursor, line));
    const size_t skip = strlen(head);
    RN_ENSURE(strncmp(line, head, skip) == 0, cursor->err, RN_E_DATA, "%s:%u: expected the %s '%s'",
              cursor->source, cursor->line, file ? "file" : "field", name);
    if (file) {
        return file_take(cursor, line + skip, item);
    }
    if (line[skip] == '\0' || !rn_text_format(item->value, sizeof item->value, "%s", line + skip)) {
        return cursor_fail(cursor, "a value is empty or too long");
    }
    return rn_ok();
}

bool rn_bundle_is(struct rn_view text, const char *kind)
{
    const size_t length = strlen(kind);
    return text.length > length && memcmp(text.data, kind, length) == 0 &&
           text.data[length] == '\n';
}

void rn_bundle_clear(struct rn_bundle *bundle)
{
    rn_secret_wipe(bundle, sizeof *bundle);
}

void rn_bundle_text_clear(struct rn_buffer *text)
{
    if (text->data != NULL) {
        rn_secret_wipe(text->data, text->capacity); /* it may have been longer */
    }
    rn_buffer_clear(text);
}

/* ---- What mail does to it. */

/* True when the text is a container from its first line to "end", whatever its items are. */
static bool whole(struct rn_view text, const char *source)
{
    char RN_CLEANUP(line_wipe) line[LINE_BYTES_MAX];
    struct rn_bundle_item item;
    struct cursor cursor = {.text = text, .source = source};
    rn_result result = line_next(&cursor, line);
    while (rn_is_ok(result) && cursor.at < text.length) {
        result = line_next(&cursor, line);
        if (rn_is_ok(result) && strcmp(line, "end") == 0) {
            return cursor.at == text.length;
        }
        if (rn_is_ok(result) && strncmp(line, "file ", 5) == 0) {
            const char *length = strrchr(line, ' ') + 1;
            result = file_take(&cursor, length, &item);
        } else if (strncmp(line, "field ", 6) != 0) {
            return false;
        }
    }
    return false;
}

static bool begins_like_one(struct rn_view text)
{
    static const char begin[] = "rondo-";
    return text.length > sizeof begin && memcmp(text.data, begin, sizeof begin - 1) == 0;
}

/* One line break after the last word; the text's memory has room for it. */
static void tail_trim(struct rn_buffer *text)
{
    while (text->length > 0 && strchr(" \t\r\n", text->data[text->length - 1]) != NULL) {
        text->length--;
    }
    rn_buffer_append(text, "\n", 1);
}

rn_result rn_bundle_mend(struct rn_buffer *text, const char *source, struct rn_error *err)
{
    if (whole(rn_buffer_view(text), source)) {
        return rn_ok();
    }
    struct rn_buffer RN_CLEANUP(rn_bundle_text_clear) plain = {0};
    (void)rn_buffer_grow(&plain, text->length + 1); /* once: what moves leaves the token behind */
    plain.length = 0;
    rn_buffer_append(&plain, text->data, text->length);
    const char *seen = rn_mailtext_plain(&plain);
    tail_trim(&plain);
    bool good = whole(rn_buffer_view(&plain), source);
    const size_t quoted = plain.length;
    if (!good && begins_like_one(rn_buffer_view(&plain)) && rn_mailtext_unquote(&plain)) {
        good = whole(rn_buffer_view(&plain), source);
        /* The base64 of one certificate may end in a single "=", which looks like a joined line. */
        seen = quoted - plain.length > 2 ? "lines are quoted-printable" : seen;
    }
    if (good) {
        rn_bundle_text_clear(text);
        *text = plain;
        plain = (struct rn_buffer){0};
        return rn_ok();
    }
    RN_ENSURE(seen == NULL || !begins_like_one(rn_buffer_view(&plain)), err, RN_E_DATA,
              "%s: was changed on its way (%s) and is not whole: have it sent again, as an "
              "attachment or in an archive",
              source, seen);
    return rn_ok();
}

rn_result rn_bundle_parse(struct rn_view text, const char *source, const char *kind,
                          const char *const *names, size_t count, struct rn_bundle *out_bundle,
                          struct rn_error *err)
{
    char RN_CLEANUP(line_wipe) line[LINE_BYTES_MAX];
    struct cursor cursor = {.text = text, .source = source, .err = err};
    RN_BUG_IF(count > RN_BUNDLE_ITEMS_MAX);
    memset(out_bundle, 0, sizeof *out_bundle);
    RN_ENSURE(text.length <= RN_BUNDLE_BYTES_MAX, err, RN_E_DATA, "%s: larger than %zu bytes",
              source, RN_BUNDLE_BYTES_MAX);
    RN_ENSURE(rn_bundle_is(text, kind), err, RN_E_DATA, "%s:1: expected '%s'", source, kind);
    RN_TRY(line_next(&cursor, line));
    for (size_t i = 0; i < count; i++) {
        RN_TRY(item_take(&cursor, names[i], &out_bundle->items[i]));
        out_bundle->count++;
    }
    RN_TRY(line_next(&cursor, line));
    if (strcmp(line, "end") != 0) {
        return cursor_fail(&cursor, "expected 'end'");
    }
    RN_ENSURE(cursor.at == text.length, err, RN_E_DATA, "%s:%u: something stands after 'end'",
              source, cursor.line + 1);
    return rn_ok();
}

const char *rn_bundle_value(const struct rn_bundle *bundle, size_t i)
{
    RN_BUG_IF(i >= bundle->count || bundle->items[i].file);
    return bundle->items[i].value;
}

struct rn_view rn_bundle_file(const struct rn_bundle *bundle, size_t i)
{
    RN_BUG_IF(i >= bundle->count || !bundle->items[i].file);
    return bundle->items[i].content;
}

void rn_bundle_begin(struct rn_buffer *out, const char *kind)
{
    out->length = 0;
    rn_buffer_format(out, "%s\n", kind);
}

void rn_bundle_put(struct rn_buffer *out, const char *name, const char *value)
{
    RN_BUG_IF(value[0] == '\0' || strlen(value) > RN_BUNDLE_VALUE_MAX ||
              strchr(value, '\n') != NULL);
    rn_buffer_format(out, "field %s %s\n", name, value);
}

void rn_bundle_put_file(struct rn_buffer *out, const char *name, struct rn_view content)
{
    RN_BUG_IF(content.length > RN_BUNDLE_FILE_MAX);
    rn_buffer_format(out, "file %s %zu\n", name, content.length);
    rn_buffer_append(out, content.data, content.length);
    rn_buffer_append(out, "\n", 1);
}

void rn_bundle_end(struct rn_buffer *out)
{
    rn_buffer_format(out, "end\n");
}
