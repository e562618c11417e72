/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a data file.
 */
#include "trainer/data/recordfile.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/recordparts.h"
#include "trainer/text/unicodetext.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_TEXT, COLUMN_PAIR, COLUMN_LABEL, COLUMN_ROLES };
enum format { FORMAT_TSV, FORMAT_CSV, FORMAT_JSONL };

struct rn_records {
    char *path;
    enum format format;
    bool has_header;
    char *names[COLUMN_ROLES]; /* NULL: not wanted */
    size_t columns[COLUMN_ROLES];
    size_t column_count; /* of the header; 0 without one */
    struct rn_lines lines;
    struct rn_buffer record;
    struct rn_fields fields;
    uint64_t first_line; /* of the record */
    json_t *object;
    char label[64]; /* a JSON number as text */
};

static bool ends_with(const char *text, size_t length, const char *end)
{
    const size_t end_length = strlen(end);

    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static rn_result find_format(const struct rn_data_spec *spec, enum format *out,
                             struct rn_error *err)
{
    static const struct {
        const char *name;
        const char *ending;
        enum format format;
    } formats[] = {{"tsv", ".tsv", FORMAT_TSV},
                   {"csv", ".csv", FORMAT_CSV},
                   {"jsonl", ".jsonl", FORMAT_JSONL}};
    size_t length = strlen(spec->path);

    if (ends_with(spec->path, length, ".gz")) {
        length -= 3;
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(formats); i++) {
        const bool found = spec->format != NULL ? strcmp(spec->format, formats[i].name) == 0
                                                : ends_with(spec->path, length, formats[i].ending);
        if (found) {
            *out = formats[i].format;
            return rn_ok();
        }
    }
    if (spec->format != NULL) {
        return rn_fail(err, RN_E_USAGE, "data format \"%.20s\" is not known (tsv, csv, jsonl are)",
                       spec->format);
    }
    return rn_fail(err, RN_E_USAGE,
                   "%s: the name does not tell the format; name it .tsv, .csv or .jsonl (or .gz of "
                   "these), or give the data format",
                   spec->path);
}

/* ---- Columns */

static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 4;
}

static rn_result number_columns(struct rn_records *records, struct rn_error *err)
{
    for (int role = 0; role < COLUMN_ROLES; role++) {
        const char *name = records->names[role];
        if (name == NULL) {
            continue;
        }
        RN_ENSURE(is_number(name), err, RN_E_USAGE,
                  "%s: without a header a column is given as its number from 0, not \"%s\"",
                  records->path, name);
        records->columns[role] = (size_t)strtoul(name, NULL, 10);
        RN_ENSURE(records->columns[role] < RN_DATASET_COLUMNS_MAX, err, RN_E_USAGE,
                  "%s: column %s is beyond the limit of %d", records->path, name,
                  RN_DATASET_COLUMNS_MAX);
    }
    return rn_ok();
}

static rn_result find_column(const struct rn_records *records, const char *name, size_t *out,
                             struct rn_error *err)
{
    const struct rn_view wanted = rn_view_text(name);
    size_t found = 0;

    for (size_t i = 0; i < records->fields.count; i++) {
        const struct rn_field field = records->fields.list[i];
        if (rn_view_equal(wanted, rn_view_of(records->record.data + field.start, field.length))) {
            *out = i;
            found++;
        }
    }
    RN_ENSURE(found <= 1, err, RN_E_DATA, "%s:1: column \"%s\" occurs twice in the header",
              records->path, name);
    RN_ENSURE(found == 1, err, RN_E_USAGE,
              is_number(name)
                  ? "%s:1: the header has no column \"%s\"; for a file without a header say so"
                  : "%s:1: the header has no column \"%s\"",
              records->path, name);
    return rn_ok();
}

/* ---- Raw records */

static rn_result check_column_count(const struct rn_records *records, struct rn_error *err)
{
    const size_t count = records->fields.count;
    const unsigned long long line = records->first_line;

    if (records->column_count > 0) {
        RN_ENSURE(count == records->column_count, err, RN_E_DATA,
                  "%s:%llu: %zu columns, but the header has %zu", records->path, line, count,
                  records->column_count);
        return rn_ok();
    }
    for (int role = 0; role < COLUMN_ROLES && !records->has_header; role++) {
        RN_ENSURE(records->names[role] == NULL || records->columns[role] < count, err, RN_E_DATA,
                  "%s:%llu: %zu columns, so there is no column %s", records->path, line, count,
                  records->names[role]);
    }
    return rn_ok();
}

/* The next line that is not empty, into record. */
static rn_result next_line(struct rn_records *records, bool *out_any, struct rn_error *err)
{
    do {
        records->record.length = 0;
        RN_TRY(rn_lines_next(&records->lines, &records->record, out_any, err));
    } while (*out_any && records->record.length == 0);
    records->first_line = records->lines.line;
    return rn_ok();
}

static rn_result next_csv(struct rn_records *records, struct rn_error *err)
{
    size_t quotes = 0;

    for (size_t counted = 0;;) {
        const struct rn_view bytes = rn_buffer_view(&records->record);
        bool any = false;
        quotes += rn_fields_count_quotes(rn_view_of(bytes.data + counted, bytes.length - counted));
        counted = bytes.length;
        if (quotes % 2 == 0) {
            break;
        }
        rn_buffer_u8(&records->record, '\n');
        RN_TRY(rn_lines_next(&records->lines, &records->record, &any, err));
        RN_ENSURE(any, err, RN_E_DATA, "%s:%llu: a quoted field never ends", records->path,
                  (unsigned long long)records->first_line);
    }
    return rn_fields_split_csv(&records->record, &records->lines, records->first_line,
                               &records->fields, err);
}

/* record and fields of the next record; *out_any false at the end. */
static rn_result next_raw(struct rn_records *records, bool *out_any, struct rn_error *err)
{
    RN_TRY(next_line(records, out_any, err));
    if (!*out_any || records->format == FORMAT_JSONL) {
        return rn_ok();
    }
    if (records->format == FORMAT_CSV) {
        RN_TRY(next_csv(records, err));
    } else {
        RN_TRY(rn_fields_split_tabs(rn_buffer_view(&records->record), &records->lines,
                                    &records->fields, err));
    }
    return check_column_count(records, err);
}

static rn_result read_header(struct rn_records *records, struct rn_error *err)
{
    bool any = false;

    RN_TRY(next_raw(records, &any, err));
    RN_ENSURE(any, err, RN_E_DATA, "%s: the file is empty", records->path);
    for (int role = 0; role < COLUMN_ROLES; role++) {
        if (records->names[role] != NULL) {
            RN_TRY(find_column(records, records->names[role], &records->columns[role], err));
        }
    }
    records->column_count = records->fields.count;
    return rn_ok();
}

/* ---- Opening */

static rn_result set_names(struct rn_records *records, const struct rn_data_spec *spec,
                           struct rn_error *err)
{
    const char *names[COLUMN_ROLES] = {spec->text_column, spec->pair_column, spec->label_column};

    RN_ENSURE(spec->text_column != NULL, err, RN_E_USAGE, "%s: no text column is given",
              spec->path);
    for (int role = 0; role < COLUMN_ROLES; role++) {
        if (names[role] == NULL) {
            continue;
        }
        const size_t length = strlen(names[role]);
        RN_ENSURE(length > 0 && length <= RN_DATASET_COLUMN_BYTES_MAX, err, RN_E_USAGE,
                  "%s: a column name must have 1 to %d bytes", spec->path,
                  RN_DATASET_COLUMN_BYTES_MAX);
        records->names[role] = rn_text_copy(names[role], length);
    }
    return rn_ok();
}

rn_result rn_records_open(const struct rn_data_spec *spec, struct rn_records **out,
                          struct rn_error *err)
{
    enum format format = FORMAT_TSV;

    RN_ENSURE(spec->path != NULL, err, RN_E_USAGE, "no data file is given");
    RN_TRY(find_format(spec, &format, err));
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = rn_alloc(1, sizeof *records);
    records->path = rn_text_copy(spec->path, strlen(spec->path));
    records->format = format;
    rn_buffer_init(&records->record, RN_DATASET_LINE_BYTES_MAX + 16);
    records->fields.list = rn_alloc(RN_DATASET_COLUMNS_MAX, sizeof *records->fields.list);
    RN_TRY(set_names(records, spec, err));
    RN_TRY(rn_lines_open(records->path, &records->lines, err));
    records->has_header = format != FORMAT_JSONL && !spec->no_header;
    if (records->has_header) {
        RN_TRY(read_header(records, err));
    } else if (format != FORMAT_JSONL) {
        RN_TRY(number_columns(records, err));
    }
    *out = RN_TAKE(records);
    return rn_ok();
}

void rn_records_free(struct rn_records *records)
{
    if (records == NULL) {
        return;
    }
    rn_lines_close(&records->lines);
    rn_buffer_clear(&records->record);
    rn_free(records->fields.list);
    json_decref(records->object);
    for (int role = 0; role < COLUMN_ROLES; role++) {
        rn_free(records->names[role]);
    }
    rn_free(records->path);
    rn_free(records);
}

void rn_records_cleanup(struct rn_records **records)
{
    rn_records_free(*records);
    *records = NULL;
}

/* ---- Next record */

static rn_result parse_object(struct rn_records *records, struct rn_error *err)
{
    json_error_t where;

    json_decref(records->object);
    records->object = json_loadb((const char *)records->record.data, records->record.length,
                                 JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    RN_ENSURE(records->object != NULL && json_is_object(records->object), err, RN_E_DATA,
              "%s:%llu: the line is not one JSON object", records->path,
              (unsigned long long)records->first_line);
    return rn_ok();
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

static rn_result object_column(struct rn_records *records, int role, struct rn_view *out,
                               struct rn_error *err)
{
    const json_t *value = json_object_get(records->object, records->names[role]);
    const unsigned long long line = records->first_line;

    RN_ENSURE(value != NULL, err, RN_E_DATA, "%s:%llu: there is no \"%s\"", records->path, line,
              records->names[role]);
    if (json_is_string(value)) {
        *out = rn_view_of(json_string_value(value), json_string_length(value));
        return rn_ok();
    }
    RN_ENSURE(role == COLUMN_LABEL && label_text(records, value), err, RN_E_DATA,
              role == COLUMN_LABEL ? "%s:%llu: \"%s\" must be a string, a number or a boolean"
                                   : "%s:%llu: \"%s\" must be a string",
              records->path, line, records->names[role]);
    *out = rn_view_text(records->label);
    return rn_ok();
}

static rn_result field_column(const struct rn_records *records, int role, struct rn_view *out,
                              struct rn_error *err)
{
    const struct rn_field field = records->fields.list[records->columns[role]];

    *out = rn_view_of(records->record.data + field.start, field.length);
    RN_ENSURE(rn_utf8_valid(*out, NULL), err, RN_E_DATA,
              "%s:%llu: column \"%s\" is not valid UTF-8", records->path,
              (unsigned long long)records->first_line, records->names[role]);
    return rn_ok();
}

rn_result rn_records_next(struct rn_records *records, struct rn_record *out, bool *out_any,
                          struct rn_error *err)
{
    RN_TRY(next_raw(records, out_any, err));
    if (!*out_any) {
        return rn_ok();
    }
    if (records->format == FORMAT_JSONL) {
        RN_TRY(parse_object(records, err));
    }
    *out = (struct rn_record){.line = records->first_line};
    struct rn_view *const views[COLUMN_ROLES] = {&out->text, &out->pair, &out->label};
    for (int role = 0; role < COLUMN_ROLES; role++) {
        if (records->names[role] == NULL) {
            continue;
        }
        RN_TRY(records->format == FORMAT_JSONL ? object_column(records, role, views[role], err)
                                               : field_column(records, role, views[role], err));
    }
    return rn_ok();
}
