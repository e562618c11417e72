/* SPDX-License-Identifier: Apache-2.0
 *
 * Every field of plan.yaml, policy.yaml and site.yaml, taken from the tables: at its limit and one
 * beyond, with every word and with none of them; and what is no YAML of ours, refused by all three
 * parsers with file and line.
 */
#include "base/alloc.h"
#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/site.h"
#include "policy/yamlscan.h"

#include "tests/unit/policy/policytext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEXT_MAX ((size_t)32 * 1024)

static struct rn_error error;

static rn_result plan_load(struct rn_view text)
{
    static struct rn_plan plan;
    return rn_plan_parse(text, "file", &plan, &error);
}

static rn_result policy_load(struct rn_view text)
{
    static struct rn_policy policy;
    return rn_policy_parse(text, "file", &policy, &error);
}

static rn_result site_load(struct rn_view text)
{
    static struct rn_site site;
    return rn_site_parse(text, "file", &site, &error);
}

static const struct file {
    const struct rn_field_table *(*table)(void);
    const char *example;
    rn_result (*load)(struct rn_view text);
} files[] = {{rn_plan_fields, private_plan_example, plan_load},
             {rn_policy_fields, promising_policy_example, policy_load},
             {rn_site_fields, site_example, site_load}};

/* Loads the example with this value. complaint NULL: the field itself must have nothing against it
 * (a rule between fields may); else the sentence must name the field and say this. */
static void try_value(const struct file *file, const struct rn_field *field, const char *value,
                      const char *complaint)
{
    static char text[TEXT_MAX];
    static const char *const own[] = {"must be between", "at most",    "longer than",
                                      "is unknown",      "hex digits", "may only hold"};
    error.text[0] = '\0';
    const rn_result result =
        file->load(rn_view_text(with_field(text, sizeof text, file->example, field->path, value)));
    for (size_t i = 0; complaint == NULL && i < RN_ARRAY_LENGTH(own); i++) {
        if (strstr(error.text, own[i]) != NULL && strstr(error.text, "directi") == NULL) {
            fail_msg("%s = %.100s: %s", field->path, value, error.text);
        }
    }
    if (complaint != NULL && (rn_is_ok(result) || strstr(error.text, field->path) == NULL ||
                              strstr(error.text, complaint) == NULL)) {
        fail_msg("%s = %.100s: expected \"%s\", got \"%s\"", field->path, value, complaint,
                 error.text);
    }
}

static void number_limits(const struct file *file, const struct rn_field *field)
{
    char text[40];
    const bool real = field->kind == RN_FIELD_REAL;
    const double least = field->least;
    const double most = field->most;
    (void)rn_text_format(text, sizeof text, real ? "%.17g" : "%.0f", least);
    try_value(file, field, text, NULL);
    (void)rn_text_format(text, sizeof text, real ? "%.17g" : "%.0f", most);
    try_value(file, field, text, NULL);
    if (real) {
        (void)rn_text_format(text, sizeof text, "%.17g", most * 1.0001);
    } else {
        (void)rn_text_format(text, sizeof text, "%llu", (unsigned long long)most + 1);
    }
    try_value(file, field, text, "must be between");
    if (least > 0) {
        (void)rn_text_format(text, sizeof text, real ? "%.17g" : "%.0f",
                             real ? least * 0.9999 : least - 1);
        try_value(file, field, text, "must be between");
    } else {
        try_value(file, field, "-1", real ? "must be between" : "whole number");
    }
    try_value(file, field, "seven", "in plain decimal digits");
    try_value(file, field, "\"7\"", "in plain decimal digits");
    try_value(file, field, "[7]", "one plain value");
}

/* "[l0, l1 ...]", or numbers, or hashes that are all the same. */
static void list_text(const struct rn_field *field, unsigned count, char *out)
{
    size_t used = 1;
    (void)rn_text_format(out, TEXT_MAX, "[");
    for (unsigned i = 0; i < count; i++) {
        const char *form = field->kind == RN_FIELD_HASHES    ? "%s" HEX_A
                           : field->kind == RN_FIELD_NUMBERS ? "%s%u"
                                                             : "%sl%u";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)rn_text_format(out + used, TEXT_MAX - used, form, i == 0 ? "" : ",", i);
#pragma GCC diagnostic pop
        used += strlen(out + used);
    }
    (void)rn_text_format(out + used, TEXT_MAX - used, "]");
}

static void list_limits(const struct file *file, const struct rn_field *field)
{
    static char text[TEXT_MAX];
    list_text(field, (unsigned)field->most, text);
    try_value(file, field, text, NULL);
    list_text(field, (unsigned)field->most + 1, text);
    try_value(file, field, text, "at most");
    if (field->least > 0) {
        try_value(file, field, "[]", "is empty");
    }
    try_value(file, field, "word", "expected a list");
    try_value(file, field, "[[a]]", "list of plain values");
}

static void text_limits(const struct file *file, const struct rn_field *field)
{
    char text[2048];
    const bool list = rn_field_is_list(field);
    const char *beyond =
        field->kind == RN_FIELD_NAME || field->kind == RN_FIELD_NAMES    ? "may only hold"
        : field->kind == RN_FIELD_HASH || field->kind == RN_FIELD_HASHES ? "hex digits"
                                                                         : "longer than";
    memset(text, 'a', sizeof text);
    text[0] = list ? '[' : 'a';
    const size_t first = list ? 1 : 0;
    text[first + field->size - 1] = list ? ']' : '\0';
    text[first + field->size] = '\0';
    try_value(file, field, text, NULL);
    text[first + field->size - 1] = 'a';
    text[first + field->size] = list ? ']' : '\0';
    text[first + field->size + 1] = '\0';
    try_value(file, field, text, beyond);
    const char *empty = beyond[0] == 'l' ? "must not be empty" : beyond;
    try_value(file, field, list ? "[\"\"]" : "\"\"", empty);
}

static void words_all_and_others(const struct file *file, const struct rn_field *field)
{
    const bool list = rn_field_is_list(field);
    for (size_t i = 0; i < field->word_count; i++) {
        char text[64];
        (void)rn_text_format(text, sizeof text, list ? "[%s]" : "%s", field->words[i].text);
        try_value(file, field, text, NULL);
        try_value(file, field, list ? "[other]" : "other", field->words[i].text);
    }
    if (field->kind == RN_FIELD_WORDS) {
        try_value(file, field, "[]", "is empty");
    }
}

static void every_field_holds_at_its_limit(void **state)
{
    (void)state;
    for (size_t f = 0; f < RN_ARRAY_LENGTH(files); f++) {
        const struct rn_field_table *table = files[f].table();
        for (size_t i = 0; i < table->count; i++) {
            const struct rn_field *field = &table->fields[i];
            if (field->kind <= RN_FIELD_REAL) {
                number_limits(&files[f], field);
            }
            if (field->kind >= RN_FIELD_TEXTS && field->kind <= RN_FIELD_NUMBERS) {
                list_limits(&files[f], field);
            }
            if ((field->kind >= RN_FIELD_TEXT && field->kind <= RN_FIELD_HASH) ||
                (field->kind >= RN_FIELD_TEXTS && field->kind <= RN_FIELD_HASHES)) {
                text_limits(&files[f], field);
            }
            words_all_and_others(&files[f], field);
        }
    }
}

/* A row that names the wrong member or size would read or write beside it. */
static void rows_fit_their_structs(void **state)
{
    (void)state;
    static const size_t sizes[] = {[RN_FIELD_U32] = 4,
                                   [RN_FIELD_U64] = 8,
                                   [RN_FIELD_BYTES] = 8,
                                   [RN_FIELD_REAL] = 8,
                                   [RN_FIELD_SWITCH] = sizeof(bool),
                                   [RN_FIELD_WORD] = 4,
                                   [RN_FIELD_HASH] = RN_FIELD_HASH_TEXT + 1,
                                   [RN_FIELD_WORDS] = 4,
                                   [RN_FIELD_HASHES] = RN_FIELD_HASH_TEXT + 1,
                                   [RN_FIELD_NUMBERS] = 4,
                                   [RN_FIELD_SECTION] = 0};
    for (size_t f = 0; f < RN_ARRAY_LENGTH(files); f++) {
        const struct rn_field_table *table = files[f].table();
        for (size_t i = 0; i < table->count; i++) {
            const struct rn_field *field = &table->fields[i];
            if (sizes[field->kind] != 0) {
                assert_int_equal(field->size, sizes[field->kind]);
            }
            if (rn_field_is_list(field) && field->kind != RN_FIELD_WORDS) {
                assert_int_equal(field->count_offset,
                                 field->offset + (size_t)field->most * field->size);
            }
            assert_ptr_equal(rn_field_find(table, field->path), field); /* each path once */
        }
    }
}

/* What the parsed value prints as is what the same parser reads again. */
static void values_print_as_they_are_read(void **state)
{
    (void)state;
    static struct rn_plan plan;
    static struct rn_plan again;
    static char text[TEXT_MAX];
    assert_true(rn_is_ok(rn_plan_parse(rn_view_text(private_plan_example), "file", &plan, &error)));
    for (size_t i = 0; i < rn_plan_fields()->count; i++) {
        const struct rn_field *field = &rn_plan_fields()->fields[i];
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer value = {0};
        if (field->kind == RN_FIELD_SECTION) {
            continue;
        }
        rn_field_put(field, &plan, &value);
        with_field(text, sizeof text, private_plan_example, field->path, rn_buffer_text(&value));
        assert_true(rn_is_ok(rn_plan_parse(rn_view_text(text), "file", &again, &error)));
        memcpy(again.hash, plan.hash, sizeof plan.hash);
        assert_memory_equal(&again, &plan, sizeof plan);
    }
}

/* ---- Texts that are no file of ours. */

static const struct hostile {
    const char *text;
    size_t length;
    const char *expected;
} hostile[] = {
#define TEXT(text, expected)             \
    {                                    \
        text, sizeof(text) - 1, expected \
    }
    {NULL, 0, "file:1: the file is empty"},
    TEXT("", "file:1: the file is empty"),
    TEXT("# nothing\n# at all\n", "file:1: the file is empty"),
    TEXT("\n\n  \n", "file:1: the file is empty"),
    TEXT("---\n", "file:"),
    TEXT("---\n...\n", "file:"),
    TEXT("{}\n", "file:1: the file is empty"),
    TEXT("version: 1\n---\nversion: 1\n", "file:2: only one document"),
    TEXT("version: 1\n...\n---\nversion: 1\n", "file:3: only one document"),
    TEXT("\xef\xbb\xbfversion: 1\n", "file:1: the file begins with a byte-order mark"),
    TEXT("\xff\xfev\0e\0r\0", "file:1: the file is UTF-16"),
    TEXT("\xfe\xff\0v\0e\0r", "file:1: the file is UTF-16"),
    TEXT("v\0e\0r\0s\0", "file:1: the file is UTF-16"),
    TEXT("\0v\0e\0r\0s", "file:1: the file is UTF-16"),
    TEXT("version: 1\nname: a\0b\n", "file:2: a NUL byte"),
    TEXT("version: 1\nname: \xc3\x28\n", "file:2: "),
    TEXT("version: 1\nname: \x1b[0m\n", "file:2: "),
    TEXT("version: 1\nmodel:\n\thash: a\n", "file:3: indented with a tab"),
    TEXT("version: &a 1\nname: *a\n", "file:1: anchors and tags are not allowed"),
    TEXT("version: 1\nname: *a\n", "file:2: aliases are not allowed"),
    TEXT("version: !!int 1\n", "file:1: anchors and tags are not allowed"),
    TEXT("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n", "file:1: nested too deeply"),
    TEXT("a:\n b:\n  c:\n   d:\n    e: 1\n", "file:5: nested too deeply"),
    TEXT("[[[[[[[[[[[[[[[[[[[[[[[[", "file:1: expected 'key: value' lines"),
    TEXT("just words\n", "file:1: expected 'key: value' lines"),
    TEXT("- a\n- b\n", "file:1: expected 'key: value' lines"),
    TEXT("\"", "file:1: "),
    TEXT("a: b: c\n", "file:1: "),
    TEXT("%YAML 9.9\n---\nversion: 1\n", "file:"),
    TEXT("<<: {version: 1}\n", "file:1: a key may only hold"),
    TEXT("? [a]\n: 1\n", "file:1: a key must be a plain word"),
    TEXT("version: |\n  1\n", "file:1: "),
};

static void hostile_texts_are_refused_with_the_line(void **state)
{
    (void)state;
    for (size_t f = 0; f < RN_ARRAY_LENGTH(files); f++) {
        for (size_t i = 0; i < RN_ARRAY_LENGTH(hostile); i++) {
            const struct rn_view text = {(const uint8_t *)hostile[i].text, hostile[i].length};
            error.text[0] = '\0';
            assert_int_equal(files[f].load(text).code, RN_E_CONFIG);
            if (strstr(error.text, hostile[i].expected) != error.text) {
                fail_msg("text %zu: expected \"%s\", got \"%s\"", i, hostile[i].expected,
                         error.text);
            }
        }
    }
}

/* Comments up to the limit are read, one byte more is refused; so are too many values. */
static void sizes(void **state)
{
    (void)state;
    static const size_t limits[] = {RN_PLAN_BYTES_MAX, RN_POLICY_BYTES_MAX, RN_SITE_BYTES_MAX};
    char *text = rn_alloc(2 * RN_YAML_BYTES_MAX, 1);
    for (size_t f = 0; f < RN_ARRAY_LENGTH(files); f++) {
        char sentence[64];
        const size_t length = strlen(files[f].example);
        memset(text, '#', 2 * RN_YAML_BYTES_MAX);
        memcpy(text, files[f].example, length);
        (void)rn_text_format(sentence, sizeof sentence, "larger than %zu bytes", limits[f]);
        assert_true(rn_is_ok(files[f].load(rn_view_of(text, limits[f]))));
        assert_int_equal(files[f].load(rn_view_of(text, limits[f] + 1)).code, RN_E_CONFIG);
        assert_non_null(strstr(error.text, sentence));
        for (size_t i = 0; i < RN_PLAN_BYTES_MAX; i += 2) {
            memcpy(text + i, i == 0 ? "a:" : i == 2 ? " [" : "1,", 2);
        }
        assert_int_equal(files[f].load(rn_view_of(text, RN_PLAN_BYTES_MAX)).code, RN_E_CONFIG);
        assert_non_null(strstr(error.text, "too many values"));
    }
    rn_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_holds_at_its_limit),
        cmocka_unit_test(rows_fit_their_structs),
        cmocka_unit_test(values_print_as_they_are_read),
        cmocka_unit_test(hostile_texts_are_refused_with_the_line),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
