/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a JSONL file: one object a line, as Python's json module reads it.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "trainer/data/recordparts.h"

#include <string.h>

#define FIELD_NAME_MAX 48
#define FIELDS_TEXT_MAX 160

static bool begins_with(const struct rn_buffer *record, char byte)
{
    size_t at = 0;

    while (at < record->length && (record->data[at] == ' ' || record->data[at] == '\t')) {
        at++;
    }
    return at < record->length && record->data[at] == (uint8_t)byte;
}

static const char array_words[] =
    "the line begins a JSON array; a record is one object on a line of its "
    "own (`jq -c '.[]'` makes such lines of an array)";

rn_result rn_object_parse(struct rn_records *records, struct rn_error *err)
{
    const unsigned long long line = records->first_line;
    const char *reason = NULL;
    json_error_t where;

    json_decref(records->object);
    records->object =
        rn_json_load(rn_buffer_view(&records->record), &records->losses, &where, &reason);
    if (json_is_object(records->object)) {
        return rn_ok();
    }
    if (begins_with(&records->record, '[')) {
        return rn_fail(err, RN_E_DATA, "%s:%llu: %s", records->path, line, array_words);
    }
    RN_ENSURE(records->object == NULL, err, RN_E_DATA,
              "%s:%llu: the line is not one JSON object {...}", records->path, line);
    return rn_fail(err, RN_E_DATA, "%s:%llu: not valid JSON: %s", records->path, line, reason);
}

/* A text that somebody reads must have come whole. */
static rn_result check_losses(const struct rn_records *records, int role, const json_t *value,
                              struct rn_error *err)
{
    const bool lost =
        (records->losses.surrogates || records->losses.bytes) && rn_json_holds_replacement(value);

    RN_ENSURE(!lost, err, RN_E_DATA, "%s:%llu: \"%s\" %s", records->path,
              (unsigned long long)records->first_line, records->names[role],
              records->losses.bytes ? "is not valid UTF-8" : "holds half a surrogate pair");
    return rn_ok();
}

/* null, and what rn_json_load makes of NaN. */
static bool is_unlabelled(const json_t *value)
{
    const char *word = json_string_value(json_array_get(value, 0));

    return json_is_null(value) || (word != NULL && strcmp(word, "NaN") == 0);
}

/* A number or boolean label as text; false for another kind. */
static bool label_text(struct rn_records *records, const json_t *value)
{
    const size_t room = sizeof records->label;

    if (json_is_boolean(value)) {
        return rn_text_format(records->label, room, "%d", json_is_true(value) ? 1 : 0);
    }
    if (json_is_integer(value)) {
        return rn_text_format(records->label, room, "%lld", (long long)json_integer_value(value));
    }
    return json_is_real(value) &&
           rn_text_format(records->label, room, "%.17g", json_real_value(value));
}

/* The names of the fields are no text of the record; a long one may be. */
static rn_result no_field(const struct rn_records *records, int role, struct rn_error *err)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer names = {0};
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach(records->object, key, value)
    {
        const bool fits = strlen(key) <= FIELD_NAME_MAX && names.length < FIELDS_TEXT_MAX;
        rn_buffer_format(&names, "%s%s", names.length == 0 ? "" : ", ", fits ? key : "...");
        if (!fits) {
            break;
        }
    }
    if (records->seen == NULL) {
        return rn_fail(err, RN_E_DATA, "%s:%llu: there is no \"%s\"", records->path,
                       (unsigned long long)records->first_line, records->names[role]);
    }
    return rn_fail(err, RN_E_DATA, "%s:%llu: there is no \"%s\"; it has %s", records->path,
                   (unsigned long long)records->first_line, records->names[role],
                   names.length == 0 ? "no field" : rn_buffer_text(&names));
}

rn_result rn_object_column(struct rn_records *records, int role, struct rn_view *out,
                           struct rn_error *err)
{
    const json_t *value = json_object_get(records->object, records->names[role]);
    const unsigned long long line = records->first_line;

    if (value == NULL) {
        return no_field(records, role, err);
    }
    if (json_is_string(value)) {
        RN_TRY(check_losses(records, role, value, err));
        *out = rn_view_of(json_string_value(value), json_string_length(value));
        return rn_ok();
    }
    RN_ENSURE(role != RN_COLUMN_LABEL || !is_unlabelled(value), err, RN_E_DATA,
              "%s:%llu: \"%s\" is null or NaN: the record has no label", records->path, line,
              records->names[role]);
    RN_ENSURE(role == RN_COLUMN_LABEL && label_text(records, value), err, RN_E_DATA,
              role == RN_COLUMN_LABEL ? "%s:%llu: \"%s\" must be a string, a number or a boolean"
                                      : "%s:%llu: \"%s\" must be a string",
              records->path, line, records->names[role]);
    *out = rn_view_text(records->label);
    return rn_ok();
}
