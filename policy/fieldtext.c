/* SPDX-License-Identifier: Apache-2.0
 *
 * Values, ranges and whole files as text, from the table.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "policy/field.h"

#define COLUMNS_MAX 100 /* a comment that would make a longer line stands above it */

const char *rn_word_text(const struct rn_word *words, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].value == value) {
            return words[i].text;
        }
    }
    return "?";
}

void rn_words_list(const struct rn_word *words, size_t count, struct rn_buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        rn_buffer_format(out, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", words[i].text);
    }
}

/* ---- Texts of values. */

void rn_field_quote(struct rn_buffer *out, const char *text)
{
    rn_buffer_append(out, "\"", 1);
    for (; *text != '\0'; text++) {
        const char plain = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
        if (plain == '"' || plain == '\\') {
            rn_buffer_append(out, "\\", 1);
        }
        rn_buffer_append(out, &plain, 1);
    }
    rn_buffer_append(out, "\"", 1);
}

static void real_put(double value, struct rn_buffer *out)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        (void)rn_text_format(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    rn_buffer_format(out, "%s", text);
}

/* The nth word whose bit is set, in the table's order. */
static const char *bit_word(const struct rn_field *field, uint32_t mask, uint32_t nth)
{
    for (size_t i = 0; i < field->word_count; i++) {
        if ((mask >> field->words[i].value & 1) != 0 && nth-- == 0) {
            return field->words[i].text;
        }
    }
    return "?";
}

void rn_field_put_entry(const struct rn_field *field, const void *data, uint32_t at,
                        struct rn_buffer *out)
{
    const size_t place = field->kind == RN_FIELD_WORDS ? 0 : at;
    const char *value = (const char *)data + field->offset + place * field->size;
    switch (field->kind) {
    case RN_FIELD_U32:
    case RN_FIELD_NUMBERS:
        rn_buffer_format(out, "%u", rn_field_u32(value, 0));
        return;
    case RN_FIELD_U64:
    case RN_FIELD_BYTES: {
        uint64_t whole;
        memcpy(&whole, value, sizeof whole);
        rn_buffer_format(out, "%" PRIu64, whole);
        return;
    }
    case RN_FIELD_REAL: {
        double real;
        memcpy(&real, value, sizeof real);
        real_put(real, out);
        return;
    }
    case RN_FIELD_SWITCH:
        rn_buffer_format(out, "%s", *value != 0 ? "true" : "false");
        return;
    case RN_FIELD_WORD:
        rn_buffer_format(out, "%s",
                         rn_word_text(field->words, field->word_count, rn_field_u32(value, 0)));
        return;
    case RN_FIELD_WORDS:
        rn_buffer_format(out, "%s", bit_word(field, rn_field_u32(value, 0), at));
        return;
    case RN_FIELD_TEXT:
    case RN_FIELD_TEXTS:
        rn_field_quote(out, value);
        return;
    default:
        rn_buffer_format(out, "%s", value);
    }
}

void rn_field_put(const struct rn_field *field, const void *data, struct rn_buffer *out)
{
    const bool list = rn_field_is_list(field);
    rn_buffer_format(out, "%s", list ? "[" : "");
    for (uint32_t i = 0; i < rn_field_count(field, data); i++) {
        rn_buffer_format(out, "%s", i == 0 ? "" : ", ");
        rn_field_put_entry(field, data, i, out);
    }
    rn_buffer_format(out, "%s", list ? "]" : "");
}

/* Large and small powers of two are written as such. */
static void bound_put(double value, struct rn_buffer *out)
{
    int exponent = 0;
    const bool power = frexp(value, &exponent) == 0.5;
    if (power && (exponent - 1 >= 31 || exponent - 1 <= -4)) {
        rn_buffer_format(out, "2^%d", exponent - 1);
    } else {
        rn_buffer_format(out, "%.10g", value);
    }
}

void rn_field_put_range(const struct rn_field *field, struct rn_buffer *out)
{
    if (field->kind > RN_FIELD_REAL) {
        return;
    }
    bound_put(field->least, out);
    if (field->most != field->least) {
        rn_buffer_format(out, " to ");
        bound_put(field->most, out);
    }
}

void rn_field_put_meaning(const struct rn_field *field, struct rn_buffer *out)
{
    for (const char *at = field->meaning; *at != '\0'; at++) {
        rn_buffer_append(out, at, *at == '`' ? 0 : 1);
    }
    if (field->kind <= RN_FIELD_REAL && field->least != field->most) {
        rn_buffer_format(out, " (");
        rn_field_put_range(field, out);
        rn_buffer_format(out, ")");
    }
}

/* ---- A file. */

/* "# text" in lines of at most COLUMNS_MAX columns. */
static void comment_put(const char *text, unsigned indent, struct rn_buffer *out)
{
    const size_t room = COLUMNS_MAX - indent - 2;
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > room) {
            length = room;
            while (length > 1 && text[length] != ' ') {
                length--;
            }
        }
        rn_buffer_format(out, "%*s# %.*s\n", (int)indent, "", (int)length, text);
        text += length + (text[length] == ' ');
    }
}

/* Opens the sections of path that the one before was not in; gives their depth. */
static unsigned sections_put(const char *path, const char *before, struct rn_buffer *out)
{
    unsigned depth = 0;
    const char *start = path;
    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(start, '.')) {
        if (strncmp(before, path, (size_t)(dot - path) + 1) != 0) {
            rn_buffer_format(out, "%s%*s%.*s:\n", depth == 0 ? "\n" : "", (int)(2 * depth), "",
                             (int)(dot - start), start);
        }
        start = dot + 1;
        depth++;
    }
    if (depth == 0 && strchr(before, '.') != NULL) {
        rn_buffer_format(out, "\n");
    }
    return depth;
}

static void field_line_put(const struct rn_field *field, const void *data, unsigned indent,
                           struct rn_buffer *out)
{
    struct rn_buffer line = {0};
    struct rn_buffer meaning = {0};
    const char *dot = strrchr(field->path, '.');
    rn_buffer_format(&line, "%*s%s: ", (int)indent, "", dot == NULL ? field->path : dot + 1);
    rn_field_put(field, data, &line);
    rn_field_put_meaning(field, &meaning);
    const bool beside = line.length + meaning.length + 5 <= COLUMNS_MAX;
    if (!beside) {
        comment_put(rn_buffer_text(&meaning), indent, out);
    }
    rn_buffer_format(out, "%s%s%s\n", rn_buffer_text(&line), beside ? "   # " : "",
                     beside ? rn_buffer_text(&meaning) : "");
    rn_buffer_clear(&line);
    rn_buffer_clear(&meaning);
}

void rn_field_put_file(const struct rn_field_table *table, const void *data,
                       bool (*wanted)(const struct rn_field *, const void *), struct rn_buffer *out)
{
    const char *before = "";
    for (size_t i = 0; i < table->count; i++) {
        const struct rn_field *field = &table->fields[i];
        if (field->kind != RN_FIELD_SECTION && wanted(field, data)) {
            const unsigned depth = sections_put(field->path, before, out);
            field_line_put(field, data, 2 * depth, out);
            before = field->path;
        }
    }
}
