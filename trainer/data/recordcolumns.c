/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats of data files, and the columns of a header.
 */
#include "base/bytes.h"
#include "base/guard.h"
#include "trainer/data/recordparts.h"
#include "trainer/text/unicodetext.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_TEXT_MAX 240 /* of a header in an error sentence */
#define HEADER_NAME_MAX 48  /* what is longer is more likely a record's text than a name */

/* ---- Formats ------------------------------------------------------------------------------- */

static const struct rn_record_format formats[] = {
    {"tsv", ".tsv .tab ", '\t', false, false},
    {"tsv-quoted", "", '\t', true, false},
    {"csv", ".csv ", ',', true, false},
    {"csv-semicolon", "", ';', true, false},
    {"jsonl", ".jsonl .ndjson .jsonlines .json ", 0, false, false},
    {"idx", "-ubyte .idx ", 0, false, true},
};

/* Whether a file's name ends, in whatever case, with one of the endings. */
static bool has_ending(const char *name, size_t length, const char *endings)
{
    for (const char *at = endings; *at != '\0'; at = strchr(at, ' ') + 1) {
        const size_t ending = strcspn(at, " ");
        if (length >= ending && strncasecmp(name + length - ending, at, ending) == 0) {
            return true;
        }
    }
    return false;
}

rn_result rn_record_format_find(const struct rn_data_spec *spec,
                                const struct rn_record_format **out, struct rn_error *err)
{
    size_t length = strlen(spec->path);

    length -= has_ending(spec->path, length, ".gz ") ? 3 : 0;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(formats); i++) {
        const bool found = spec->format != NULL
                               ? strcmp(spec->format, formats[i].name) == 0
                               : has_ending(spec->path, length, formats[i].endings);
        if (found) {
            *out = &formats[i];
            return rn_ok();
        }
    }
    if (spec->format != NULL) {
        return rn_fail(err, RN_E_USAGE,
                       "data format \"%.20s\" is not known (tsv, tsv-quoted, csv, csv-semicolon, "
                       "jsonl, "
                       "idx are)",
                       spec->format);
    }
    return rn_fail(err, RN_E_USAGE,
                   "%s: the name does not tell the format; name it .tsv, .csv or .jsonl (or .gz of "
                   "these), or give the data format",
                   spec->path);
}

/* ---- Columns ------------------------------------------------------------------------------- */

static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text) && strlen(text) <= 4;
}

rn_result rn_column_number(const struct rn_records *records, const char *name, size_t *out,
                           struct rn_error *err)
{
    RN_ENSURE(is_number(name), err, RN_E_USAGE,
              "%s: without a header a column is given as its number from 0, not \"%s\"",
              records->path, name);
    *out = (size_t)strtoul(name, NULL, 10);
    RN_ENSURE(*out < RN_DATASET_COLUMNS_MAX, err, RN_E_USAGE,
              "%s: column %s is beyond the limit of %d", records->path, name,
              RN_DATASET_COLUMNS_MAX);
    return rn_ok();
}

rn_result rn_columns_number(struct rn_records *records, struct rn_error *err)
{
    for (int role = 0; role < RN_COLUMN_ROLES; role++) {
        const char *name = records->names[role];
        if (name == NULL) {
            continue;
        }
        if (role == RN_COLUMN_TEXT && rn_range_spelled(name)) {
            RN_TRY(rn_range_find(records, err));
        } else {
            RN_TRY(rn_column_number(records, name, &records->columns[role], err));
        }
    }
    return rn_ok();
}

/* The header's names between commas, as many as fit. */
static void list_header(const struct rn_records *records, char *out, size_t capacity)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < records->fields.count; i++) {
        const struct rn_field field = records->fields.list[i];
        const struct rn_view name = rn_view_of(records->record.data + field.start, field.length);
        const bool fits = name.length <= HEADER_NAME_MAX && rn_utf8_valid(name, NULL) &&
                          rn_text_format(out + at, capacity - at, "%s%.*s", i == 0 ? "" : ", ",
                                         (int)name.length, (const char *)name.data);
        if (!fits) {
            (void)rn_text_format(out + at, capacity - at, "...");
            return;
        }
        at += strlen(out + at);
    }
}

/* What may be wrong with a header that lacks a column. */
static const char *header_hint(const struct rn_records *records, const char *name,
                               const char *columns)
{
    if (records->fields.count == 1 && strchr(columns, ';') != NULL) {
        return "; it is one column with semicolons in it: give the data format csv-semicolon";
    }
    if (records->fields.count == 1 && strchr(columns, '\t') != NULL) {
        return "; it is one column with tabs in it: give the data format tsv";
    }
    if (records->fields.count == 1 && strchr(columns, ',') != NULL) {
        return "; it is one column with commas in it: give the data format csv";
    }
    if (!records->format->quoting && columns[0] == '"') {
        return "; quotes belong to the names: give the data format tsv-quoted to undo quoting";
    }
    return is_number(name) ? "; for a file without a header say so" : "";
}

/* The first line of a file without a header is a record: its cells are shown to a person alone. */
static rn_result no_column(const struct rn_records *records, const char *name, struct rn_error *err)
{
    char columns[HEADER_TEXT_MAX];

    list_header(records, columns, sizeof columns);
    const char *hint = header_hint(records, name, columns);
    return records->seen == NULL
               ? rn_fail(err, RN_E_USAGE, "%s:1: the header has no column \"%s\"%s", records->path,
                         name, hint)
               : rn_fail(err, RN_E_USAGE, "%s:1: the header has no column \"%s\"; it has %s%s",
                         records->path, name, columns, hint);
}

/* How many columns of the header have the name; *out: the last. */
static size_t count_named(const struct rn_records *records, const char *name, size_t *out)
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
    return found;
}

rn_result rn_column_find(const struct rn_records *records, const char *name, size_t *out,
                         struct rn_error *err)
{
    const size_t found = count_named(records, name, out);

    RN_ENSURE(found <= 1, err, RN_E_DATA, "%s:1: column \"%s\" occurs twice in the header",
              records->path, name);
    return found == 1 ? rn_ok() : no_column(records, name, err);
}

rn_result rn_columns_find(struct rn_records *records, struct rn_error *err)
{
    for (int role = 0; role < RN_COLUMN_ROLES; role++) {
        const char *name = records->names[role];
        if (name == NULL) {
            continue;
        }
        if (role == RN_COLUMN_TEXT && rn_range_spelled(name) &&
            count_named(records, name, &records->columns[role]) == 0) {
            RN_TRY(rn_range_find(records, err));
        } else {
            RN_TRY(rn_column_find(records, name, &records->columns[role], err));
        }
    }
    return rn_ok();
}

rn_result rn_columns_check_count(const struct rn_records *records, struct rn_error *err)
{
    const size_t count = records->fields.count;
    const unsigned long long line = records->first_line;

    if (records->column_count > 0) {
        RN_ENSURE(count == records->column_count, err, RN_E_DATA,
                  "%s:%llu: %zu columns, but the header has %zu", records->path, line, count,
                  records->column_count);
        return rn_ok();
    }
    for (int role = 0; role < RN_COLUMN_ROLES && !records->has_header; role++) {
        RN_ENSURE(records->names[role] == NULL || records->columns[role] < count, err, RN_E_DATA,
                  "%s:%llu: %zu columns, so there is no column %s", records->path, line, count,
                  records->names[role]);
    }
    return rn_ok();
}
