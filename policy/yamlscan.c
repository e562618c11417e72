/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass over libyaml's events: refuses what a signed file has no use for, notes every value and
 * where it stands.
 */
#include "policy/yamlscan.h"

#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/guard.h"

/* An escape such as \L makes three bytes of two; with the NULs this is more than a file can hold.
 */
#define VALUES_BYTES (2 * RN_YAML_BYTES_MAX + RN_YAML_FIELDS_MAX)

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

/* ---- The index. */

void rn_yaml_index_clear(struct rn_yaml_index *index)
{
    rn_free(index->fields);
    rn_free(index->values);
    *index = (struct rn_yaml_index){0};
}

static const struct rn_yaml_field *field_find(const struct rn_yaml_index *index, const char *path)
{
    for (size_t i = 0; i < index->count; i++) {
        if (strcmp(index->fields[i].path, path) == 0) {
            return &index->fields[i];
        }
    }
    return NULL;
}

bool rn_yaml_has(const struct rn_yaml_index *index, const char *path)
{
    return field_find(index, path) != NULL;
}

rn_result rn_yaml_place(const struct rn_yaml_index *index, const char *path, rn_result result,
                        struct rn_error *err)
{
    const struct rn_yaml_field *field = field_find(index, path);
    return rn_fail_context(err, result, "%s:%u: %s", index->source,
                           field == NULL ? 1u : field->line, path);
}

/* ---- Events. */

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

static rn_result field_note(struct scan *scan, const yaml_event_t *event, enum rn_yaml_kind kind,
                            struct rn_error *err)
{
    struct rn_yaml_index *index = scan->index;
    if (index->count == RN_YAML_FIELDS_MAX) {
        return scan_fail(scan, event, "too many values", err);
    }
    struct rn_yaml_field *field = &index->fields[index->count++];
    (void)rn_text_format(field->path, sizeof field->path, "%s", scan->key);
    field->kind = kind;
    field->value = "";
    field->line = (uint32_t)event->start_mark.line + 1;
    if (kind == RN_YAML_SCALAR) {
        const size_t length = event->data.scalar.length + 1;
        if (length > VALUES_BYTES - index->values_used) {
            return scan_fail(scan, event, "the values are too long", err);
        }
        field->value = index->values + index->values_used;
        field->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        memcpy(index->values + index->values_used, event->data.scalar.value, length);
        index->values_used += length;
    }
    return rn_ok();
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
    scan->want_key[at] = true;
    return field_note(scan, event, RN_YAML_SCALAR, err);
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
        RN_TRY(field_note(scan, event, mapping ? RN_YAML_MAPPING : RN_YAML_SEQUENCE, err));
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

/* ---- The text itself. */

static size_t line_of(struct rn_view text, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < text.length; i++) {
        line += text.data[i] == '\n';
    }
    return line;
}

static bool starts_with(struct rn_view text, const char *bytes, size_t length)
{
    return text.length >= length && memcmp(text.data, bytes, length) == 0;
}

/* Plain UTF-8 that libyaml may see. An empty text would be a NULL pointer to it, at which it
 * aborts. */
static rn_result text_check(struct rn_view text, const char *source, struct rn_error *err)
{
    RN_ENSURE(text.length <= RN_YAML_BYTES_MAX, err, RN_E_CONFIG, "%s: larger than %zu bytes",
              source, RN_YAML_BYTES_MAX);
    RN_ENSURE(text.length > 0, err, RN_E_CONFIG, "%s:1: the file is empty", source);
    RN_ENSURE(!starts_with(text, "\xff\xfe", 2) && !starts_with(text, "\xfe\xff", 2) &&
                  memchr(text.data, 0, text.length < 2 ? text.length : 2) == NULL,
              err, RN_E_CONFIG, "%s:1: the file is UTF-16 or UTF-32; save it as UTF-8", source);
    RN_ENSURE(!starts_with(text, "\xef\xbb\xbf", 3), err, RN_E_CONFIG,
              "%s:1: the file begins with a byte-order mark; save it as UTF-8 without one", source);
    const uint8_t *nul = memchr(text.data, 0, text.length);
    return nul == NULL
               ? rn_ok()
               : rn_fail(err, RN_E_CONFIG, "%s:%zu: a NUL byte stands there; is this a text file?",
                         source, line_of(text, (size_t)(nul - text.data)));
}

/* The line (from 1) is indented with a tab. */
static bool line_has_tab(struct rn_view text, size_t line)
{
    size_t at = 0;
    for (size_t passed = 1; at < text.length && passed < line; at++) {
        passed += text.data[at] == '\n';
    }
    for (; at < text.length && (text.data[at] == ' ' || text.data[at] == '\t'); at++) {
        if (text.data[at] == '\t') {
            return true;
        }
    }
    return false;
}

static rn_result scan_parse_failure(const struct scan *scan, struct rn_view text,
                                    struct rn_error *err)
{
    const yaml_parser_t *parser = &scan->parser;
    const char *problem = parser->problem == NULL ? "not YAML" : parser->problem;
    const bool reading = parser->error == YAML_READER_ERROR;
    const size_t line =
        reading ? line_of(text, parser->problem_offset) : parser->problem_mark.line + 1;
    return rn_fail(err, RN_E_CONFIG, "%s:%zu: %s", scan->index->source, line,
                   line_has_tab(text, line) ? "indented with a tab; YAML wants spaces" : problem);
}

static rn_result scan_run(struct scan *scan, struct rn_view text, struct rn_error *err)
{
    for (bool end = false; !end;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&scan->parser, &event)) {
            return scan_parse_failure(scan, text, err);
        }
        end = event.type == YAML_STREAM_END_EVENT;
        const rn_result result = scan_event(scan, &event, err);
        yaml_event_delete(&event);
        RN_TRY(result);
    }
    RN_ENSURE(scan->index->count > 0, err, RN_E_CONFIG, "%s:1: the file is empty",
              scan->index->source);
    return rn_ok();
}

rn_result rn_yaml_scan(struct rn_view text, const char *source, struct rn_yaml_index *out_index,
                       struct rn_error *err)
{
    *out_index = (struct rn_yaml_index){0};
    (void)rn_text_format(out_index->source, sizeof out_index->source, "%s", source);
    RN_TRY(text_check(text, source, err));
    out_index->fields = rn_alloc(RN_YAML_FIELDS_MAX, sizeof *out_index->fields);
    out_index->values = rn_alloc(VALUES_BYTES, 1);
    struct scan *scan = rn_alloc(1, sizeof *scan);
    scan->index = out_index;
    RN_BUG_IF(!yaml_parser_initialize(&scan->parser));
    yaml_parser_set_input_string(&scan->parser, text.data, text.length);
    const rn_result result = scan_run(scan, text, err);
    yaml_parser_delete(&scan->parser);
    rn_free(scan);
    return result;
}
