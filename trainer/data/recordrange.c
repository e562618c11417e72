/* SPDX-License-Identifier: Apache-2.0
 *
 * A text column that is a range of columns: their cells, between commas, are the record's text.
 */
#include "base/guard.h"
#include "trainer/data/recordparts.h"
#include "trainer/text/unicodetext.h"

#include <stdlib.h>
#include <string.h>

bool rn_range_spelled(const char *name)
{
    return strcmp(name, "*") == 0 || strchr(name, ':') != NULL;
}

/* One end of FIRST:LAST, by the header or by number. */
static rn_result find_end(const struct rn_records *records, const char *name, size_t *out,
                          struct rn_error *err)
{
    return records->has_header ? rn_column_find(records, name, out, err)
                               : rn_column_number(records, name, out, err);
}

rn_result rn_range_find(struct rn_records *records, struct rn_error *err)
{
    const char *name = records->names[RN_COLUMN_TEXT];
    const char *colon = strchr(name, ':');
    char first[RN_DATASET_COLUMN_BYTES_MAX + 1];

    records->is_range = true;
    records->range_last = SIZE_MAX; /* "*": all there are */
    if (colon == NULL) {
        return rn_ok();
    }
    const bool fits = rn_text_format(first, sizeof first, "%.*s", (int)(colon - name), name);
    RN_BUG_IF(!fits);
    RN_TRY(find_end(records, first, &records->range_first, err));
    RN_TRY(find_end(records, colon + 1, &records->range_last, err));
    RN_ENSURE(records->range_first <= records->range_last, err, RN_E_USAGE,
              "%s: the columns %s are in the wrong order", records->path, name);
    return rn_ok();
}

rn_result rn_range_text(struct rn_records *records, struct rn_view *out, struct rn_error *err)
{
    const struct rn_fields *fields = &records->fields;
    const bool labelled = records->names[RN_COLUMN_LABEL] != NULL;
    const size_t last =
        records->range_last < fields->count ? records->range_last : fields->count - 1;

    RN_ENSURE(records->range_last == SIZE_MAX || last == records->range_last, err, RN_E_DATA,
              "%s:%llu: %zu columns, so there is no column %zu", records->path,
              (unsigned long long)records->first_line, fields->count, records->range_last);
    records->joined.length = 0;
    for (size_t i = records->range_first; i <= last; i++) {
        const struct rn_field field = fields->list[i];
        if (labelled && i == records->columns[RN_COLUMN_LABEL]) {
            continue;
        }
        if (records->joined.length > 0) {
            rn_buffer_u8(&records->joined, ',');
        }
        rn_buffer_append(&records->joined, records->record.data + field.start, field.length);
    }
    *out = rn_buffer_view(&records->joined);
    RN_ENSURE(!records->joined.failed && rn_utf8_valid(*out, NULL), err, RN_E_DATA,
              "%s:%llu: the columns \"%s\" are not valid UTF-8", records->path,
              (unsigned long long)records->first_line, records->names[RN_COLUMN_TEXT]);
    return rn_ok();
}
