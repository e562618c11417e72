/* SPDX-License-Identifier: Apache-2.0
 *
 * The event pass before libcyaml, the translation of its complaints into one sentence, and the
 * number checks after it.
 */
#include "policy/yamlfile.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

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

/* ---- The pass over the events. */

struct scan {
    struct rn_yaml_index *index;
    yaml_parser_t parser;
    char path[RN_YAML_DEPTH_MAX + 1][RN_YAML_PATH_MAX]; /* path of each open container */
    bool mapping[RN_YAML_DEPTH_MAX + 1];
    bool want_key[RN_YAML_DEPTH_MAX + 1];
    char key[RN_YAML_PATH_MAX]; /* path of the value that comes next */
    unsigned depth;
    unsigned documents;
};

static rn_result scan_fail(const struct scan *scan, const yaml_event_t *event, const char *what,
                           struct rn_error *err)
{
    return rn_fail(err, RN_E_CONFIG, "%s:%zu: %s", scan->index->source, event->start_mark.line + 1,
                   what);
}

static bool text_is_printable(const yaml_char_t *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool key_is_plain(const yaml_char_t *text, size_t length)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return length > 0 && length < 40 && strspn((const char *)text, allowed) == length;
}

static void field_note(struct scan *scan, const yaml_event_t *event, const char *value)
{
    struct rn_yaml_index *index = scan->index;
    struct rn_yaml_field *field = &index->fields[index->count++];
    (void)rn_text_format(field->path, sizeof field->path, "%s", scan->key);
    if (!rn_text_format(field->value, sizeof field->value, "%s", value)) {
        (void)rn_text_format(field->value, sizeof field->value, "?"); /* too long for a number */
    }
    field->line = (uint32_t)event->start_mark.line + 1;
    field->quoted =
        event->type == YAML_SCALAR_EVENT && event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

/* Below a sequence, fields of its entries share their path. */
static bool in_sequence(const struct scan *scan)
{
    for (unsigned depth = 1; depth <= scan->depth; depth++) {
        if (!scan->mapping[depth]) {
            return true;
        }
    }
    return false;
}

static rn_result scan_scalar(struct scan *scan, const yaml_event_t *event, struct rn_error *err)
{
    const yaml_char_t *text = event->data.scalar.value;
    const size_t length = event->data.scalar.length;
    const unsigned at = scan->depth;
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
        return scan_fail(scan, event, "anchors and tags are not allowed", err);
    }
    if (scan->mapping[at] && scan->want_key[at]) {
        if (!key_is_plain(text, length)) {
            return scan_fail(scan, event, "a key may only hold letters, digits, '_' and '-'", err);
        }
        if (!rn_text_format(scan->key, sizeof scan->key, "%s%s%s", scan->path[at],
                            scan->path[at][0] == '\0' ? "" : ".", (const char *)text)) {
            return scan_fail(scan, event, "key too long", err);
        }
        if (rn_yaml_has(scan->index, scan->key) && !in_sequence(scan)) {
            return rn_fail(err, RN_E_CONFIG, "%s:%zu: the key '%s' stands there twice",
                           scan->index->source, event->start_mark.line + 1, (const char *)text);
        }
        scan->want_key[at] = false;
        return rn_ok();
    }
    if (!text_is_printable(text, length)) {
        return scan_fail(scan, event,
                         "control characters and line breaks are not allowed in a value", err);
    }
    if (at == 0) {
        return scan_fail(scan, event, "expected 'key: value' lines", err);
    }
    if (scan->index->count == RN_YAML_FIELDS_MAX) {
        return scan_fail(scan, event, "too many values", err);
    }
    field_note(scan, event, (const char *)text);
    scan->want_key[at] = true;
    return rn_ok();
}

static rn_result scan_open(struct scan *scan, const yaml_event_t *event, bool mapping,
                           const yaml_char_t *anchor, const yaml_char_t *tag, struct rn_error *err)
{
    const unsigned at = scan->depth;
    if (anchor != NULL || tag != NULL) {
        return scan_fail(scan, event, "anchors and tags are not allowed", err);
    }
    if (at == 0 && !mapping) {
        return scan_fail(scan, event, "expected 'key: value' lines", err);
    }
    if (at == RN_YAML_DEPTH_MAX) {
        return scan_fail(scan, event, "nested too deeply", err);
    }
    if (at > 0 && scan->mapping[at] && scan->want_key[at]) {
        return scan_fail(scan, event, "a key must be a plain word", err);
    }
    if (at > 0) {
        if (scan->index->count == RN_YAML_FIELDS_MAX) {
            return scan_fail(scan, event, "too many values", err);
        }
        field_note(scan, event, "");
    }
    scan->want_key[at] = true; /* for when this container is closed */
    scan->depth++;
    memcpy(scan->path[scan->depth], scan->key, sizeof scan->key);
    scan->mapping[scan->depth] = mapping;
    scan->want_key[scan->depth] = mapping;
    return rn_ok();
}

static rn_result scan_event(struct scan *scan, const yaml_event_t *event, struct rn_error *err)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++scan->documents > 1) {
            return scan_fail(scan, event, "only one document is allowed", err);
        }
        return rn_ok();
    case YAML_ALIAS_EVENT:
        return scan_fail(scan, event, "aliases are not allowed", err);
    case YAML_SCALAR_EVENT:
        return scan_scalar(scan, event, err);
    case YAML_MAPPING_START_EVENT:
        return scan_open(scan, event, true, event->data.mapping_start.anchor,
                         event->data.mapping_start.tag, err);
    case YAML_SEQUENCE_START_EVENT:
        return scan_open(scan, event, false, event->data.sequence_start.anchor,
                         event->data.sequence_start.tag, err);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        scan->depth--;
        (void)rn_text_format(scan->key, sizeof scan->key, "%s", scan->path[scan->depth]);
        return rn_ok();
    default:
        return rn_ok();
    }
}

static rn_result scan_parse_failure(const struct scan *scan, struct rn_error *err)
{
    const yaml_parser_t *parser = &scan->parser;
    const char *problem = parser->problem == NULL ? "not YAML" : parser->problem;
    if (parser->error == YAML_READER_ERROR) {
        return rn_fail(err, RN_E_CONFIG, "%s: byte %zu: %s", scan->index->source,
                       parser->problem_offset, problem);
    }
    return rn_fail(err, RN_E_CONFIG, "%s:%zu: %s", scan->index->source,
                   parser->problem_mark.line + 1, problem);
}

static rn_result scan_run(struct scan *scan, struct rn_error *err)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&scan->parser, &event)) {
            return scan_parse_failure(scan, err);
        }
        end = event.type == YAML_STREAM_END_EVENT;
        const rn_result result = scan_event(scan, &event, err);
        yaml_event_delete(&event);
        RN_TRY(result);
    }
    RN_ENSURE(scan->index->count > 0, err, RN_E_CONFIG, "%s: the file is empty",
              scan->index->source);
    return rn_ok();
}

static rn_result scan_text(struct rn_view text, struct rn_yaml_index *index, struct rn_error *err)
{
    struct scan *scan = rn_alloc(1, sizeof *scan);
    scan->index = index;
    RN_BUG_IF(!yaml_parser_initialize(&scan->parser));
    yaml_parser_set_input_string(&scan->parser, text.data, text.length);
    const rn_result result = scan_run(scan, err);
    yaml_parser_delete(&scan->parser);
    rn_free(scan);
    return result;
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
    RN_TRY(scan_text(text, out_index, err));
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
