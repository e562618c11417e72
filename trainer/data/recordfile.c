/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a data file.
 */
#include "trainer/data/recordfile.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/recordparts.h"
#include "trainer/text/unicodetext.h"

#include <string.h>

/* ---- Raw records --------------------------------------------------------------------------- */

/* An empty line, and a JSONL file's line of blanks, which are no record. */
static bool is_blank(const struct rn_records *records)
{
    static const char blanks[] = " \t\r";
    const struct rn_buffer *record = &records->record;
    size_t at = 0;

    while (records->format->separator == 0 && at < record->length &&
           memchr(blanks, record->data[at], sizeof blanks - 1) != NULL) {
        at++;
    }
    return at == record->length;
}

/* The next line that is not empty, into record. */
static rn_result next_line(struct rn_records *records, bool *out_any, struct rn_error *err)
{
    do {
        records->record.length = 0;
        RN_TRY(rn_lines_next(&records->lines, &records->record, out_any, err));
    } while (*out_any && is_blank(records));
    records->first_line = records->lines.line;
    return rn_ok();
}

static rn_result next_quoted(struct rn_records *records, struct rn_error *err)
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
    return rn_fields_split_quoted(&records->record, records->format->separator, &records->lines,
                                  records->first_line, &records->fields, err);
}

/* Counts what looks quoted in a file without quoting. */
static void note_quotes(struct rn_records *records)
{
    for (size_t i = 0; records->seen != NULL && i < records->fields.count; i++) {
        const struct rn_field field = records->fields.list[i];
        if (!rn_field_is_quoted(rn_view_of(records->record.data + field.start, field.length))) {
            continue;
        }
        if (records->seen->quoted == 0) {
            records->seen->quoted_line = records->first_line;
        }
        records->seen->quoted++;
    }
}

/* record and fields of the next record; *out_any false at the end. */
static rn_result next_raw(struct rn_records *records, bool *out_any, struct rn_error *err)
{
    RN_TRY(next_line(records, out_any, err));
    if (!*out_any || records->format->separator == 0) {
        return rn_ok();
    }
    if (records->format->quoting) {
        RN_TRY(next_quoted(records, err));
    } else {
        RN_TRY(rn_fields_split_tabs(rn_buffer_view(&records->record), &records->lines,
                                    &records->fields, err));
        note_quotes(records);
    }
    return rn_columns_check_count(records, err);
}

static rn_result read_header(struct rn_records *records, struct rn_error *err)
{
    bool any = false;

    RN_TRY(next_raw(records, &any, err));
    RN_ENSURE(any, err, RN_E_DATA, "%s: the file is empty", records->path);
    RN_TRY(rn_columns_find(records, err));
    records->column_count = records->fields.count;
    return rn_ok();
}

/* ---- Opening */

static rn_result set_names(struct rn_records *records, const struct rn_data_spec *spec,
                           struct rn_error *err)
{
    const char *names[RN_COLUMN_ROLES] = {spec->text_column, spec->pair_column, spec->label_column};

    RN_ENSURE(spec->text_column != NULL, err, RN_E_USAGE, "%s: no text column is given",
              spec->path);
    for (int role = 0; role < RN_COLUMN_ROLES; role++) {
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
    enum rn_charset charset = RN_CHARSET_UTF8;
    const struct rn_record_format *format = NULL;

    RN_ENSURE(spec->path != NULL, err, RN_E_USAGE, "no data file is given");
    RN_TRY(rn_record_format_find(spec, &format, err));
    RN_TRY(rn_charset_find(spec->encoding, &charset, err));
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = rn_alloc(1, sizeof *records);
    records->path = rn_text_copy(spec->path, strlen(spec->path));
    records->format = format;
    records->seen = spec->seen;
    rn_buffer_init(&records->record, RN_DATASET_LINE_BYTES_MAX + 16);
    rn_buffer_init(&records->joined, RN_DATASET_LINE_BYTES_MAX + 16);
    records->fields.list = rn_alloc(RN_DATASET_COLUMNS_MAX, sizeof *records->fields.list);
    RN_TRY(set_names(records, spec, err));
    if (format->idx) {
        RN_ENSURE(spec->pair_column == NULL, err, RN_E_USAGE, "%s: an IDX file has no pairs",
                  spec->path);
        RN_TRY(rn_idx_open(records->path, spec->label_column != NULL, &records->idx, err));
        *out = RN_TAKE(records);
        return rn_ok();
    }
    RN_TRY(rn_lines_open(records->path, charset, &records->lines, err));
    records->has_header = format->separator != 0 && !spec->no_header;
    if (records->has_header) {
        RN_TRY(read_header(records, err));
    } else if (format->separator != 0) {
        RN_TRY(rn_columns_number(records, err));
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
    rn_idx_close(records->idx);
    rn_buffer_clear(&records->record);
    rn_buffer_clear(&records->joined);
    rn_free(records->fields.list);
    json_decref(records->object);
    for (int role = 0; role < RN_COLUMN_ROLES; role++) {
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

static rn_result field_column(const struct rn_records *records, int role, struct rn_view *out,
                              struct rn_error *err)
{
    const struct rn_field field = records->fields.list[records->columns[role]];

    *out = rn_view_of(records->record.data + field.start, field.length);
    RN_ENSURE(rn_utf8_valid(*out, NULL), err, RN_E_DATA,
              "%s:%llu: column \"%s\" is not valid UTF-8; --encoding (encoding in "
              "site.yaml) says what else it is",
              records->path, (unsigned long long)records->first_line, records->names[role]);
    return rn_ok();
}

static rn_result next_idx(struct rn_records *records, struct rn_record *out, bool *out_any,
                          struct rn_error *err)
{
    records->record.length = 0;
    RN_TRY(rn_idx_next(records->idx, &records->record, records->label, out_any, err));
    records->first_line += *out_any ? 1 : 0;
    *out = (struct rn_record){.text = rn_buffer_view(&records->record),
                              .label = rn_view_text(records->label),
                              .line = records->first_line};
    return rn_ok();
}

bool rn_records_are_rows(const struct rn_records *records)
{
    return records->is_range || records->idx != NULL;
}

/* One column of the record that was read. */
static rn_result take_column(struct rn_records *records, int role, struct rn_view *out,
                             struct rn_error *err)
{
    if (records->format->separator == 0) {
        return rn_object_column(records, role, out, err);
    }
    return role == RN_COLUMN_TEXT && records->is_range ? rn_range_text(records, out, err)
                                                       : field_column(records, role, out, err);
}

rn_result rn_records_next(struct rn_records *records, struct rn_record *out, bool *out_any,
                          struct rn_error *err)
{
    if (records->idx != NULL) {
        return next_idx(records, out, out_any, err);
    }
    RN_TRY(next_raw(records, out_any, err));
    if (!*out_any) {
        return rn_ok();
    }
    if (records->format->separator == 0) {
        RN_TRY(rn_object_parse(records, err));
    }
    *out = (struct rn_record){.line = records->first_line};
    struct rn_view *const views[RN_COLUMN_ROLES] = {&out->text, &out->pair, &out->label};
    for (int role = 0; role < RN_COLUMN_ROLES; role++) {
        if (records->names[role] != NULL) {
            RN_TRY(take_column(records, role, views[role], err));
        }
    }
    return rn_ok();
}
