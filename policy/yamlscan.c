/* SPDX-License-Identifier: Apache-2.0
 *
 * The pass over the events before libcyaml sees the text: refuses what a signed file has no use
 * for, notes where every field stands.
 */
#include "policy/yamlfile.h"

#include <string.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/guard.h"

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

rn_result rn_yaml_scan(struct rn_view text, struct rn_yaml_index *index, struct rn_error *err)
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
