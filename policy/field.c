/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/field.h"

#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "crypto/roster.h"

const struct rn_field *rn_field_find(const struct rn_field_table *table, const char *path)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->fields[i].path, path) == 0) {
            return &table->fields[i];
        }
    }
    return NULL;
}

bool rn_field_is_list(const struct rn_field *field)
{
    return field->kind >= RN_FIELD_WORDS && field->kind <= RN_FIELD_ROWS;
}

static void u32_put(void *data, size_t offset, uint32_t value)
{
    memcpy((char *)data + offset, &value, sizeof value);
}

static uint32_t bits_count(uint32_t mask)
{
    return (uint32_t)__builtin_popcount(mask);
}

uint32_t rn_field_count(const struct rn_field *field, const void *data)
{
    if (!rn_field_is_list(field)) {
        return 1;
    }
    return field->kind == RN_FIELD_WORDS ? bits_count(rn_field_u32(data, field->offset))
                                         : rn_field_u32(data, field->count_offset);
}

/* ---- Words. */

static rn_result word_find(const struct rn_word *words, size_t count, const char *text,
                           uint32_t *out, struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i].text, text) == 0) {
            *out = words[i].value;
            return rn_ok();
        }
    }
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer allowed = {0};
    rn_words_list(words, count, &allowed);
    return rn_fail(err, RN_E_CONFIG, "'%.40s' is unknown: expected %s", text,
                   rn_buffer_text(&allowed));
}

/* ---- Numbers. */

/* Decimal digits only: no sign, blank, octal or hexadecimal form. */
static bool whole_is_plain(const char *text)
{
    const size_t length = strlen(text);
    return length > 0 && strspn(text, "0123456789") == length && (text[0] != '0' || length == 1);
}

/* [-]digits[.digits][e[+-]digits] and nothing after it. */
static bool real_is_plain(const char *text)
{
    static const char digits[] = "0123456789";
    const char *at = text + (text[0] == '-');
    size_t run = strspn(at, digits);
    if (run == 0) {
        return false;
    }
    at += run;
    if (*at == '.') {
        run = strspn(at + 1, digits);
        at += 1 + run;
        if (run == 0) {
            return false;
        }
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        run = strspn(at, digits);
        at += run;
        if (run == 0) {
            return false;
        }
    }
    return *at == '\0';
}

/* Digits and at most one of K, M, G after them, in bytes; RN_E_CONFIG is the caller's. */
static bool bytes_read(const char *text, uint64_t *out)
{
    static const char suffixes[] = "KMG";
    char digits[20];
    const size_t length = strlen(text);
    const char *suffix = length > 0 ? strchr(suffixes, text[length - 1]) : NULL;
    if (!rn_text_format(digits, sizeof digits, "%.*s", (int)(length - (suffix != NULL)), text) ||
        !whole_is_plain(digits)) {
        return false;
    }
    const unsigned shift = suffix == NULL ? 0 : 10 * (unsigned)(suffix - suffixes + 1);
    const uint64_t count = strtoull(digits, NULL, 10);
    *out = count > UINT64_MAX >> shift ? UINT64_MAX : count << shift;
    return true;
}

static rn_result bytes_set(const struct rn_field *field, void *data, const char *text,
                           struct rn_error *err)
{
    uint64_t bytes = 0;
    RN_ENSURE(bytes_read(text, &bytes), err, RN_E_CONFIG,
              "expected bytes in plain decimal digits, or with K, M or G after them: 512M");
    RN_ENSURE((double)bytes >= field->least && bytes <= (uint64_t)field->most, err, RN_E_CONFIG,
              "must be between %.17g and %.17g bytes", field->least, field->most);
    memcpy((char *)data + field->offset, &bytes, sizeof bytes);
    return rn_ok();
}

static rn_result number_set(const struct rn_field *field, void *data, const char *text,
                            struct rn_error *err)
{
    const bool real = field->kind == RN_FIELD_REAL;
    RN_ENSURE(real ? real_is_plain(text) : whole_is_plain(text), err, RN_E_CONFIG,
              "expected a %s number in plain decimal digits", real ? "decimal" : "whole");
    const double value = strtod(text, NULL);
    RN_ENSURE(value >= field->least && value <= field->most, err, RN_E_CONFIG,
              "must be between %.17g and %.17g", field->least, field->most);
    if (real) {
        memcpy((char *)data + field->offset, &value, sizeof value);
        return rn_ok();
    }
    const uint64_t whole = strtoull(text, NULL, 10);
    RN_ENSURE(whole <= (uint64_t)field->most, err, RN_E_CONFIG, /* 2^53 + 1 is 2^53 as a double */
              "must be between %.17g and %.17g", field->least, field->most);
    if (field->kind == RN_FIELD_U64) {
        memcpy((char *)data + field->offset, &whole, sizeof whole);
    } else {
        u32_put(data, field->offset, (uint32_t)whole);
    }
    return rn_ok();
}

/* ---- Texts. */

static bool hash_is_plain(const char *text)
{
    return strlen(text) == RN_FIELD_HASH_TEXT &&
           strspn(text, "0123456789abcdef") == RN_FIELD_HASH_TEXT;
}

static rn_result text_put(const struct rn_field *field, char *at, const char *text,
                          struct rn_error *err)
{
    const bool hash = field->kind == RN_FIELD_HASH || field->kind == RN_FIELD_HASHES;
    const bool name = field->kind == RN_FIELD_NAME || field->kind == RN_FIELD_NAMES;
    RN_ENSURE(!hash || hash_is_plain(text), err, RN_E_CONFIG, "expected %d lower-case hex digits",
              RN_FIELD_HASH_TEXT);
    RN_ENSURE(!name || rn_name_valid(text), err, RN_E_CONFIG,
              "may only hold a-z, 0-9 and '-', at most %d characters", RN_NAME_MAX);
    RN_ENSURE(text[0] != '\0', err, RN_E_CONFIG, "must not be empty");
    RN_ENSURE(strlen(text) < field->size, err, RN_E_CONFIG, "longer than %zu bytes",
              field->size - 1);
    (void)rn_text_format(at, field->size, "%s", text);
    return rn_ok();
}

/* ---- Lists. */

static char *entry_at(const struct rn_field *field, void *data, uint32_t at)
{
    return (char *)data + field->offset + at * field->size;
}

static rn_result text_append(const struct rn_field *field, void *data, const char *text,
                             uint32_t count, struct rn_error *err)
{
    RN_TRY(text_put(field, entry_at(field, data, count), text, err));
    for (uint32_t i = 0; i < count && field->kind != RN_FIELD_HASHES; i++) {
        RN_ENSURE(strcmp(entry_at(field, data, i), text) != 0, err, RN_E_CONFIG,
                  "entries %u and %u are the same", i + 1, count + 1);
    }
    return rn_ok();
}

static rn_result number_append(const struct rn_field *field, void *data, const char *text,
                               uint32_t count, struct rn_error *err)
{
    RN_ENSURE(whole_is_plain(text) && strlen(text) <= 9, err, RN_E_CONFIG,
              "expected whole numbers in plain decimal digits");
    const uint32_t value = (uint32_t)strtoul(text, NULL, 10);
    RN_ENSURE(count == 0 || value > rn_field_u32(entry_at(field, data, count - 1), 0), err,
              RN_E_CONFIG, "must ascend");
    u32_put(entry_at(field, data, count), 0, value);
    return rn_ok();
}

static rn_result entry_append(const struct rn_field *field, void *data, const char *text,
                              bool quoted, struct rn_error *err)
{
    if (field->kind == RN_FIELD_WORDS) {
        uint32_t word = 0;
        RN_TRY(word_find(field->words, field->word_count, text, &word, err));
        u32_put(data, field->offset, rn_field_u32(data, field->offset) | 1u << word);
        return rn_ok();
    }
    const uint32_t count = rn_field_u32(data, field->count_offset);
    RN_ENSURE(count < field->most, err, RN_E_CONFIG, "at most %.0f entries are allowed",
              field->most);
    if (field->kind == RN_FIELD_NUMBERS) {
        RN_TRY(number_append(field, data, quoted ? "" : text, count, err));
    } else {
        RN_TRY(text_append(field, data, text, count, err));
    }
    u32_put(data, field->count_offset, count + 1);
    return rn_ok();
}

rn_result rn_field_check_count(const struct rn_field *field, const void *data, struct rn_error *err)
{
    const uint32_t count = rn_field_count(field, data);
    const double least = field->kind == RN_FIELD_WORDS ? 1 : field->least;
    RN_ENSURE(!rn_field_is_list(field) || count >= least, err, RN_E_CONFIG,
              "is empty: name at least %.0f", least);
    return rn_ok();
}

void rn_field_reset(const struct rn_field *field, void *data)
{
    u32_put(data, field->kind == RN_FIELD_WORDS ? field->offset : field->count_offset, 0);
}

/* ---- Setting. */

rn_result rn_field_set(const struct rn_field *field, void *data, const char *text, bool quoted,
                       struct rn_error *err)
{
    if (rn_field_is_list(field)) {
        return entry_append(field, data, text, quoted, err);
    }
    switch (field->kind) {
    case RN_FIELD_U32:
    case RN_FIELD_U64:
    case RN_FIELD_REAL:
        return number_set(field, data, quoted ? "" : text, err);
    case RN_FIELD_BYTES:
        return bytes_set(field, data, quoted ? "" : text, err);
    case RN_FIELD_SWITCH:
        RN_ENSURE(!quoted && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0), err,
                  RN_E_CONFIG, "'%.40s' is unknown: expected true or false", text);
        *(bool *)((char *)data + field->offset) = text[0] == 't';
        return rn_ok();
    case RN_FIELD_WORD: {
        uint32_t value = 0;
        RN_TRY(word_find(field->words, field->word_count, text, &value, err));
        u32_put(data, field->offset, value);
        return rn_ok();
    }
    default:
        return text_put(field, (char *)data + field->offset, text, err);
    }
}

/* One entry of "[a, b]" from *at on; false at the end. */
static bool list_next(const char **at, char out[static 128])
{
    *at += strspn(*at, "[], ");
    const size_t length = strcspn(*at, "],");
    RN_BUG_IF(!rn_text_format(out, 128, "%.*s", (int)length, *at));
    *at += length;
    return length > 0;
}

rn_result rn_field_set_text(const struct rn_field *field, void *data, const char *text,
                            struct rn_error *err)
{
    if (!rn_field_is_list(field)) {
        return rn_field_set(field, data, text, false, err);
    }
    char entry[128];
    for (const char *at = text; list_next(&at, entry);) {
        RN_TRY(rn_field_set(field, data, entry, false, err));
    }
    return rn_ok();
}
