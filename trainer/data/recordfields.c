/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of a TSV or CSV record.
 */
#include "base/guard.h"
#include "trainer/data/recordparts.h"

#include <string.h>

static rn_result add_field(const char *path, uint64_t line, size_t start, size_t length,
                           struct rn_fields *out, struct rn_error *err)
{
    RN_ENSURE(out->count < RN_DATASET_COLUMNS_MAX, err, RN_E_DATA, "%s:%llu: more than %d columns",
              path, (unsigned long long)line, RN_DATASET_COLUMNS_MAX);
    out->list[out->count++] = (struct rn_field){start, length};
    return rn_ok();
}

rn_result rn_fields_split_tabs(struct rn_view record, const struct rn_lines *at,
                               struct rn_fields *out, struct rn_error *err)
{
    size_t start = 0;

    out->count = 0;
    for (size_t i = 0; i <= record.length; i++) {
        if (i == record.length || record.data[i] == '\t') {
            RN_TRY(add_field(at->path, at->line, start, i - start, out, err));
            start = i + 1;
        }
    }
    return rn_ok();
}

size_t rn_fields_count_quotes(struct rn_view bytes)
{
    size_t quotes = 0;

    for (size_t i = 0; i < bytes.length; i++) {
        quotes += bytes.data[i] == '"' ? 1 : 0;
    }
    return quotes;
}

bool rn_field_is_quoted(struct rn_view field)
{
    size_t at = 1;

    if (field.length < 2 || field.data[0] != '"' || field.data[field.length - 1] != '"') {
        return false;
    }
    while (at + 1 < field.length) {
        const bool quote = field.data[at] == '"';
        if (quote && (at + 2 >= field.length || field.data[at + 1] != '"')) {
            return false;
        }
        at += quote ? 2 : 1;
    }
    return true;
}

/* The quoted field whose opening quote is at *at; its text is moved to *to. */
static bool take_quoted(struct rn_buffer *record, char separator, size_t *at, size_t *to)
{
    size_t i = *at + 1;

    for (; i < record->length; i++) {
        if (record->data[i] == '"') {
            if (i + 1 >= record->length || record->data[i + 1] != '"') {
                break;
            }
            i++;
        }
        record->data[(*to)++] = record->data[i];
    }
    *at = i + 1;
    return i < record->length && (*at == record->length || record->data[*at] == (uint8_t)separator);
}

static bool take_bare(struct rn_buffer *record, char separator, size_t *at, size_t *to)
{
    for (; *at < record->length && record->data[*at] != (uint8_t)separator; (*at)++) {
        if (record->data[*at] == '"') {
            return false;
        }
        record->data[(*to)++] = record->data[*at];
    }
    return true;
}

rn_result rn_fields_split_quoted(struct rn_buffer *record, char separator,
                                 const struct rn_lines *at, uint64_t first_line,
                                 struct rn_fields *out, struct rn_error *err)
{
    size_t to = 0;
    size_t from = 0;

    out->count = 0;
    for (bool more = true; more;) {
        const size_t start = to;
        const bool quoted = from < record->length && record->data[from] == '"';
        const bool good = quoted ? take_quoted(record, separator, &from, &to)
                                 : take_bare(record, separator, &from, &to);
        RN_ENSURE(good, err, RN_E_DATA,
                  "%s:%llu: column %zu: a quote where none may stand (a field with quotes is "
                  "written \"...\" with every quote doubled)",
                  at->path, (unsigned long long)first_line, out->count);
        RN_TRY(add_field(at->path, first_line, start, to - start, out, err));
        more = from < record->length;
        from++; /* the separator */
        to++;   /* keep the written text behind the reading place, fields apart */
    }
    return rn_ok();
}
