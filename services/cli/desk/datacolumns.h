/* SPDX-License-Identifier: Apache-2.0
 *
 * The options with which every command names its data: --data, --text, --label, --data-format,
 * --no-header.
 */
#ifndef RN_SERVICES_CLI_DESK_DATACOLUMNS_H
#define RN_SERVICES_CLI_DESK_DATACOLUMNS_H

#include "services/cli/kit/options.h"
#include "trainer/trainer.h"

#define RN_COLUMN_BYTES_MAX 256

/* What the options fill. */
struct rn_data_columns {
    const char *path;
    const char *format;
    const char *text; /* COL or COL,COL */
    const char *label;
    bool no_header;
    char first[RN_COLUMN_BYTES_MAX + 1];
    char second[RN_COLUMN_BYTES_MAX + 1];
};

/* Rows for an option table; columns is a struct rn_data_columns that outlives it. */
#define RN_DATA_OPTIONS(columns)                                                         \
    {"data",          "FILE",           RN_OPTION_TEXT,                                  \
     &(columns).path, .required = true, .help = "TSV, CSV or JSONL, plain or gzip"},     \
        {"text",           "COL[,COL]",                                                  \
         RN_OPTION_TEXT,   &(columns).text,                                              \
         .required = true, .help = "column of the text, or of the two texts of a pair"}, \
        {"data-format",                                                                  \
         NULL,                                                                           \
         RN_OPTION_CHOICE,                                                               \
         &(columns).format,                                                              \
         .choices = "tsv|csv|jsonl",                                                     \
         .help = "when the file's name does not tell"},                                  \
    {                                                                                    \
        "no-header", NULL, RN_OPTION_FLAG, &(columns).no_header,                         \
            .help = "the file has no header: columns are numbers from 0"                 \
    }
#define RN_LABEL_OPTION(columns, required_)                                                       \
    {                                                                                             \
        "label", "COL", RN_OPTION_TEXT, &(columns).label, .required = (required_),                \
                                                          .help = "column of the label or target" \
    }

/* Splits --text. The result borrows from columns. A column whose name holds a comma cannot be named
 * here. */
RN_MUST rn_result rn_data_columns_spec(struct rn_data_columns *columns, struct rn_data_spec *out,
                                       struct rn_error *err);

#endif
