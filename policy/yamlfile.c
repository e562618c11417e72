/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading through libcyaml, the translation of its complaints into one sentence, and the checks of
 * keys and numbers.
 */
#include "policy/yamlfile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/guard.h"

/* ---- Memory for libcyaml: sizes are remembered before each block. */

struct block {
    size_t size;
    max_align_t memory[];
};

static void *block_resize(void *context, void *pointer, size_t size)
{
    (void)context;
    struct block *old =
        pointer == NULL ? NULL : (struct block *)((char *)pointer - sizeof(struct block));
    if (size == 0) {
        rn_free(old);
        return NULL;
    }
    struct block *fresh = rn_alloc(1, sizeof(struct block) + size);
    fresh->size = size;
    if (old != NULL) {
        memcpy(fresh->memory, old->memory, old->size < size ? old->size : size);
        rn_free(old);
    }
    return fresh->memory;
}

/* ---- libcyaml's complaint: a first line, then "in mapping field 'x' (line: 3, ..." from the
 * innermost outwards. */

struct complaint {
    char what[160];
    char path[RN_YAML_PATH_MAX];
    unsigned line;
    bool filled;
};

static void complaint_place(struct complaint *complaint, const char *line)
{
    const char *name = strchr(line, '\'');
    const char *name_end = name == NULL ? NULL : strchr(name + 1, '\'');
    const char *place = strstr(line, "(line: ");
    unsigned number = 0;
    if (complaint->line == 0 && place != NULL && sscanf(place, "(line: %5u", &number) == 1) {
        complaint->line = number;
    }
    if (strstr(line, "in mapping field") == NULL || name_end == NULL) {
        return;
    }
    char joined[RN_YAML_PATH_MAX];
    (void)rn_text_format(joined, sizeof joined, "%.*s%s%s", (int)(name_end - name - 1), name + 1,
                         complaint->path[0] == '\0' ? "" : ".", complaint->path);
    memcpy(complaint->path, joined, sizeof joined);
}

__attribute__((format(printf, 3, 0))) static void complaint_log(cyaml_log_t level, void *context,
                                                                const char *format, va_list args)
{
    (void)level;
    struct complaint *complaint = context;
    char line[256];
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "Load: Backtrace", 15) == 0) {
        return;
    }
    if (strncmp(line, "  in ", 5) == 0) {
        complaint_place(complaint, line);
        return;
    }
    if (!complaint->filled) {
        const char *what = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
        (void)rn_text_format(complaint->what, sizeof complaint->what, "%s", what);
        complaint->filled = true;
    }
}

static rn_result complaint_report(const struct complaint *complaint, const char *source,
                                  cyaml_err_t code, struct rn_error *err)
{
    const char *what = complaint->filled ? complaint->what : cyaml_strerror(code);
    return rn_fail(err, RN_E_CONFIG, "%s:%u: %s%s%s", source, complaint->line, complaint->path,
                   complaint->path[0] == '\0' ? "" : ": ", what);
}

/* ---- Keys against the schema, because libcyaml names neither the line of an unknown key nor the
 * section of a missing one. Mappings inside sequences are left to libcyaml. */

static const struct cyaml_schema_field *key_find(const struct cyaml_schema_field *fields,
                                                 const char *key, size_t length)
{
    for (; fields->key != NULL; fields++) {
        if (strlen(fields->key) == length && memcmp(fields->key, key, length) == 0) {
            return fields;
        }
    }
    return NULL;
}

static rn_result unknown_check(const struct rn_yaml_index *index,
                               const struct cyaml_schema_field *fields,
                               const struct rn_yaml_field *field, struct rn_error *err)
{
    for (const char *at = field->path; *at != '\0';) {
        const size_t length = strcspn(at, ".");
        const struct cyaml_schema_field *known = key_find(fields, at, length);
        RN_ENSURE(known != NULL, err, RN_E_CONFIG, "%s:%u: unknown key '%.*s'", index->source,
                  field->line, (int)((size_t)(at - field->path) + length), field->path);
        if (at[length] == '\0' || known->value.type != CYAML_MAPPING) {
            return rn_ok();
        }
        fields = known->value.mapping.fields;
        at += length + 1;
    }
    return rn_ok();
}

static rn_result missing_check(const struct rn_yaml_index *index,
                               const struct cyaml_schema_field *fields, const char *section,
                               struct rn_error *err)
{
    for (; fields->key != NULL; fields++) {
        char path[RN_YAML_PATH_MAX];
        (void)rn_text_format(path, sizeof path, "%s%s%s", section, section[0] == '\0' ? "" : ".",
                             fields->key);
        if (!rn_yaml_has(index, path)) {
            RN_ENSURE((fields->value.flags & CYAML_FLAG_OPTIONAL) != 0, err, RN_E_CONFIG,
                      "%s: the key '%s' is missing", index->source, path);
        } else if (fields->value.type == CYAML_MAPPING) {
            RN_TRY(missing_check(index, fields->value.mapping.fields, path, err));
        }
    }
    return rn_ok();
}

static rn_result keys_check(const struct rn_yaml_index *index,
                            const struct cyaml_schema_value *schema, struct rn_error *err)
{
    for (size_t i = 0; i < index->count; i++) {
        RN_TRY(unknown_check(index, schema->mapping.fields, &index->fields[i], err));
    }
    return missing_check(index, schema->mapping.fields, "", err);
}

rn_result rn_yaml_load(struct rn_view text, const char *source,
                       const struct cyaml_schema_value *schema, void *out_data, size_t size,
                       struct rn_yaml_index *out_index, struct rn_error *err)
{
    memset(out_data, 0, size);
    *out_index = (struct rn_yaml_index){0};
    (void)rn_text_format(out_index->source, sizeof out_index->source, "%s", source);
    RN_ENSURE(text.length <= RN_YAML_BYTES_MAX, err, RN_E_CONFIG, "%s: larger than %zu bytes",
              source, RN_YAML_BYTES_MAX);
    out_index->fields = rn_alloc(RN_YAML_FIELDS_MAX, sizeof *out_index->fields);
    RN_TRY(rn_yaml_scan(text, out_index, err));
    RN_TRY(keys_check(out_index, schema, err));

    struct complaint complaint = {0};
    const cyaml_config_t config = {.log_fn = complaint_log,
                                   .log_ctx = &complaint,
                                   .mem_fn = block_resize,
                                   .log_level = CYAML_LOG_ERROR,
                                   .flags = CYAML_CFG_NO_ALIAS};
    cyaml_data_t *data = NULL;
    const cyaml_err_t code = cyaml_load_data(text.data, text.length, &config, schema, &data, NULL);
    if (code == CYAML_OK && data != NULL) {
        memcpy(out_data, data, size);
    }
    const bool empty = data == NULL;
    (void)cyaml_free(&config, schema, data, 0);
    if (code != CYAML_OK) {
        return complaint_report(&complaint, source, code, err);
    }
    RN_ENSURE(!empty, err, RN_E_CONFIG, "%s: the file is empty", source);
    return rn_ok();
}

void rn_yaml_index_clear(struct rn_yaml_index *index)
{
    rn_free(index->fields);
    *index = (struct rn_yaml_index){0};
}

static const struct rn_yaml_field *field_find(const struct rn_yaml_index *index, const char *path,
                                              size_t from)
{
    for (size_t i = from; i < index->count; i++) {
        if (strcmp(index->fields[i].path, path) == 0) {
            return &index->fields[i];
        }
    }
    return NULL;
}

bool rn_yaml_has(const struct rn_yaml_index *index, const char *path)
{
    return field_find(index, path, 0) != NULL;
}

rn_result rn_yaml_fail(const struct rn_yaml_index *index, const char *path, struct rn_error *err,
                       const char *format, ...)
{
    char what[384];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const struct rn_yaml_field *field = field_find(index, path, 0);
    return rn_fail(err, RN_E_CONFIG, "%s:%u: %s: %s", index->source,
                   field == NULL ? 0u : field->line, path, what);
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

rn_result rn_yaml_check_whole(const struct rn_yaml_index *index, const char *path,
                              struct rn_error *err)
{
    bool first = true; /* the sequence itself */
    for (size_t i = 0; i < index->count; i++) {
        if (strcmp(index->fields[i].path, path) != 0) {
            continue;
        }
        if (!first && (index->fields[i].quoted || !whole_is_plain(index->fields[i].value))) {
            return rn_yaml_fail(index, path, err, "expected whole numbers in plain decimal digits");
        }
        first = false;
    }
    return rn_ok();
}

static double limit_value(const void *data, const struct rn_limit *limit)
{
    const char *at = (const char *)data + limit->offset;
    if (limit->kind == RN_LIMIT_REAL) {
        double value;
        memcpy(&value, at, sizeof value);
        return value;
    }
    if (limit->kind == RN_LIMIT_U64) {
        uint64_t value;
        memcpy(&value, at, sizeof value);
        return (double)value;
    }
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return (double)value;
}

static rn_result limit_check(const struct rn_yaml_index *index, const void *data,
                             const struct rn_limit *limit, struct rn_error *err)
{
    const struct rn_yaml_field *field = field_find(index, limit->field, 0);
    if (field == NULL) {
        return rn_ok();
    }
    const bool real = limit->kind == RN_LIMIT_REAL;
    if (field->quoted || (real ? !real_is_plain(field->value) : !whole_is_plain(field->value))) {
        return rn_yaml_fail(index, limit->field, err,
                            "expected a %s number in plain decimal digits",
                            real ? "decimal" : "whole");
    }
    const double value = limit_value(data, limit);
    if (!(value >= limit->least && value <= limit->most)) {
        return rn_yaml_fail(index, limit->field, err, "must be between %.17g and %.17g",
                            limit->least, limit->most);
    }
    return rn_ok();
}

rn_result rn_yaml_check_limits(const struct rn_yaml_index *index, const void *data,
                               const struct rn_limit *limits, size_t count, struct rn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        RN_TRY(limit_check(index, data, &limits[i], err));
    }
    return rn_ok();
}
