/* SPDX-License-Identifier: Apache-2.0
 *
 * Data options to a data specification.
 */
#include "services/cli/desk/datacolumns.h"

#include "base/bytes.h"
#include "base/guard.h"
#include "services/cli/kit/bounds.h"

#include <string.h>

#define DATA_ROW                                                              \
    {                                                                         \
        "data", RN_OPT_FILE(struct rn_data_columns, path),                    \
            .required = true, .help = "TSV, CSV, JSONL or IDX, plain or gzip" \
    }
#define TEXT_ROW                                                                  \
    {                                                                             \
        "text", RN_OPT_TEXT(struct rn_data_columns, text, "COL[,COL]"),           \
            .required = true,                                                     \
            .help = "column of the text, or of the two texts of a pair; rows of " \
                    "numbers: *, or FIRST:LAST"                                   \
    }
#define LABEL_ROW                                                     \
    {                                                                 \
        "label", RN_OPT_TEXT(struct rn_data_columns, label, "COL"),   \
            .required = true, .help = "column of the label or target" \
    }
#define FORMAT_ROW                                                                            \
    {                                                                                         \
        "data-format", RN_OPT_CHOICE(struct rn_data_columns, format, RN_CHOICES_DATA_FORMAT), \
            .help = "when the file's name does not tell; tsv-quoted: tabs, but cells quoted " \
                    "as in CSV"                                                               \
    }
#define ENCODING_ROW                                                                      \
    {                                                                                     \
        "encoding", RN_OPT_CHOICE(struct rn_data_columns, encoding, RN_CHOICES_ENCODING), \
            .help = "of the file; without: utf-8"                                         \
    }
#define HEADER_ROW                                                       \
    {                                                                    \
        "no-header", RN_OPT_FLAG(struct rn_data_columns, no_header),     \
            .help = "the file has no header: columns are numbers from 0" \
    }

const struct rn_option rn_data_options[] = {DATA_ROW,     TEXT_ROW,   FORMAT_ROW,
                                            ENCODING_ROW, HEADER_ROW, {NULL}};
const struct rn_option rn_labelled_data_options[] = {
    DATA_ROW, TEXT_ROW, LABEL_ROW, FORMAT_ROW, ENCODING_ROW, HEADER_ROW, {NULL}};

rn_result rn_data_columns_spec(struct rn_data_columns *columns, struct rn_data_spec *out,
                               struct rn_error *err)
{
    const char *comma = strchr(columns->text, ',');
    const size_t length = comma == NULL ? strlen(columns->text) : (size_t)(comma - columns->text);

    RN_ENSURE(
        rn_text_format(columns->first, sizeof columns->first, "%.*s", (int)length, columns->text) &&
            length > 0,
        err, RN_E_USAGE, "--text: a column name must have 1 to %d bytes", RN_COLUMN_BYTES_MAX);
    if (comma != NULL) {
        RN_ENSURE(comma[1] != '\0' && strchr(comma + 1, ',') == NULL &&
                      rn_text_format(columns->second, sizeof columns->second, "%s", comma + 1),
                  err, RN_E_USAGE, "--text takes one column or two, as COL,COL");
    }
    *out = (struct rn_data_spec){
        .path = columns->path,
        .format = columns->format,
        .encoding = columns->encoding,
        .text_column = columns->first,
        .pair_column = comma == NULL ? NULL : columns->second,
        .label_column = columns->label,
        .no_header = columns->no_header,
    };
    return rn_ok();
}
