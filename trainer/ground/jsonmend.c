/* SPDX-License-Identifier: Apache-2.0
 *
 * Rewriting JSON that Python reads and jansson does not.
 */
#include "trainer/ground/jsonmend.h"

#include "base/guard.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define ESCAPE_LENGTH 6            /* \uXXXX */
#define NUMBER_BYTES_MAX 512       /* a longer whole number is beyond every double */

/* ---- Strings ------------------------------------------------------------------------------- */

/* The value of "\uXXXX" at the front of text, or -1. */
static int32_t escape_value(struct rn_view text)
{
    uint8_t bytes[2];
    char digits[5];

    if (text.length < ESCAPE_LENGTH || text.data[0] != '\\' || text.data[1] != 'u') {
        return -1;
    }
    memcpy(digits, text.data + 2, 4);
    digits[4] = '\0';
    return rn_hex_decode(bytes, sizeof bytes, digits) ? bytes[0] << 8 | bytes[1] : -1;
}

static struct rn_view from(struct rn_view text, size_t at)
{
    return rn_view_of(text.data + at, text.length - at);
}

/* Copies one escape, a whole surrogate pair, or U+FFFD for half of one. */
static size_t mend_escape(struct rn_view text, struct rn_json_losses *losses, struct rn_buffer *out)
{
    const int32_t value = escape_value(text);
    size_t length = text.length < 2 ? text.length : 2;

    if (value >= 0) {
        length = ESCAPE_LENGTH;
    }
    if (value >= 0xd800 && value <= 0xdfff) {
        const int32_t low = escape_value(from(text, ESCAPE_LENGTH));
        if (value >= 0xdc00 || low < 0xdc00 || low > 0xdfff) {
            losses->surrogates = true;
            rn_buffer_append(out, REPLACEMENT, 3);
            return ESCAPE_LENGTH;
        }
        length = (size_t)2 * ESCAPE_LENGTH;
    }
    rn_buffer_append(out, text.data, length);
    return length;
}

/* Bytes of the valid character at the front, 0 when there is none. */
static size_t character_length(struct rn_view text)
{
    utf8proc_int32_t point = 0;
    const size_t left = text.length < 4 ? text.length : 4;
    const utf8proc_ssize_t used = utf8proc_iterate(text.data, (utf8proc_ssize_t)left, &point);

    return used > 0 ? (size_t)used : 0;
}

/* Copies a string from its opening to its closing quote. */
static size_t mend_string(struct rn_view text, struct rn_json_losses *losses, struct rn_buffer *out)
{
    size_t at = 1;

    rn_buffer_u8(out, '"');
    while (at < text.length && text.data[at] != '"') {
        const struct rn_view rest = from(text, at);
        const size_t length = character_length(rest);
        if (rest.data[0] == '\\') {
            at += mend_escape(rest, losses, out);
        } else if (length == 0) {
            losses->bytes = true;
            rn_buffer_append(out, REPLACEMENT, 3);
            at++;
        } else {
            rn_buffer_append(out, rest.data, length);
            at += length;
        }
    }
    if (at < text.length) {
        rn_buffer_u8(out, '"');
        at++;
    }
    return at;
}

/* ---- Numbers ------------------------------------------------------------------------------- */

static bool is_word_byte(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '+' || byte == '-' || byte == '.';
}

/* ["NaN"], ["Infinity"] or ["-Infinity"] for a word that means one; NULL otherwise. */
static const char *not_finite(const char *word)
{
    char *end = NULL;

    if (strcmp(word, "NaN") == 0) {
        return "[\"NaN\"]";
    }
    if (strcmp(word, "Infinity") == 0 || strcmp(word, "-Infinity") == 0) {
        return word[0] == '-' ? "[\"-Infinity\"]" : "[\"Infinity\"]";
    }
    if (strspn(word, "0123456789+-.eE") != strlen(word)) {
        return NULL; /* strtod would also take words and hexadecimal digits */
    }
    const double value = strtod(word, &end);
    if (*end != '\0' || !isinf(value)) {
        return NULL;
    }
    return value < 0 ? "[\"-Infinity\"]" : "[\"Infinity\"]";
}

static bool is_large_integer(const char *word)
{
    char *end = NULL;

    errno = 0;
    (void)strtoll(word, &end, 10);
    return errno == ERANGE && *end == '\0';
}

static size_t word_length(struct rn_view text)
{
    size_t length = 0;

    while (length < text.length && is_word_byte(text.data[length])) {
        length++;
    }
    return length;
}

/* Copies a word outside strings: a number, true, false, null, NaN. */
static size_t mend_word(struct rn_view text, struct rn_buffer *out)
{
    char word[NUMBER_BYTES_MAX];
    const size_t length = word_length(text);

    if (!rn_text_format(word, sizeof word, "%.*s", (int)length, (const char *)text.data)) {
        const bool digits = strspn(word, "-0123456789") == strlen(word);
        rn_buffer_append(out, digits ? "[\"Infinity\"]" : (const char *)text.data,
                         digits ? strlen("[\"Infinity\"]") : length);
        return length;
    }
    const char *list = not_finite(word);
    rn_buffer_format(out, "%s%s", list != NULL ? list : word,
                     list == NULL && is_large_integer(word) ? ".0" : "");
    return length;
}

static void mend(struct rn_view text, struct rn_json_losses *losses, struct rn_buffer *out)
{
    for (size_t at = 0; at < text.length;) {
        const struct rn_view rest = from(text, at);
        if (rest.data[0] == '"') {
            at += mend_string(rest, losses, out);
        } else if (is_word_byte(rest.data[0])) {
            at += mend_word(rest, out);
        } else {
            rn_buffer_u8(out, rest.data[0]);
            at++;
        }
    }
}

/* ---- Parsing ------------------------------------------------------------------------------- */

/* The library's own sentence goes on with a piece of the text, so only its beginning is used. */
static const char *syntax_reason(const char *sentence)
{
    static const struct {
        const char *begins;
        const char *reason;
    } all[] = {
        {"invalid escape", "a backslash in a text begins no escape that JSON knows"},
        {"unexpected newline", "a text goes over the end of the line"},
        {"control character", "a control character stands in a text unescaped"},
        {"invalid Unicode", "a \\u escape is broken"},
        {"invalid token", "something stands there that is no JSON value"},
        {"string or '}'", "the name of a field must stand there, in double quotes"},
    };

    for (size_t i = 0; i < RN_ARRAY_LENGTH(all); i++) {
        if (strncmp(sentence, all[i].begins, strlen(all[i].begins)) == 0) {
            return all[i].reason;
        }
    }
    return "a comma, a colon or a bracket is missing or too much";
}

static const char *reason_of(const json_error_t *where)
{
    switch (json_error_code(where)) {
    case json_error_premature_end_of_input:
        return "it ends too early: a bracket, a brace or a quote is not closed";
    case json_error_end_of_input_expected:
        return "something stands after the end of the object";
    case json_error_null_byte_in_key:
        return "the name of a field holds a NUL";
    case json_error_stack_overflow:
        return "lists and objects stand too deep in one another";
    case json_error_out_of_memory:
        return "there is no memory for it";
    default:
        return syntax_reason(where->text);
    }
}

json_t *rn_json_load(struct rn_view text, struct rn_json_losses *losses, json_error_t *where,
                     const char **out_reason)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer mended = {0};
    struct rn_json_losses found = {0};
    const size_t flags = JSON_ALLOW_NUL;

    json_t *root = json_loadb((const char *)text.data, text.length, flags, where);
    if (root == NULL) {
        mend(text, &found, &mended);
        root =
            mended.failed ? NULL : json_loadb(rn_buffer_text(&mended), mended.length, flags, where);
    }
    if (root == NULL) {
        *out_reason = reason_of(where);
    }
    if (losses != NULL) {
        *losses = found;
    }
    return root;
}

bool rn_json_holds_replacement(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL &&
           memmem(text, json_string_length(value), REPLACEMENT, strlen(REPLACEMENT)) != NULL;
}
