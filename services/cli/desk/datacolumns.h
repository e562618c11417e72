/* SPDX-License-Identifier: Apache-2.0
 *
 * The options with which every command names its data: --data, --text, --label, --data-format,
 * --encoding, --no-header.
 */
#ifndef RN_SERVICES_CLI_DESK_DATACOLUMNS_H
#define RN_SERVICES_CLI_DESK_DATACOLUMNS_H

#include "services/cli/kit/options.h"
#include "trainer/trainer.h"

#define RN_COLUMN_BYTES_MAX 256

/* The note about quotes in a TSV file: path, line, number of cells. */
#define RN_DESK_QUOTED_NOTE                                                                     \
    "%s:%llu: cells that look quoted (%llu of them) are read with their quotes; --data-format " \
    "tsv-quoted undoes quoting"

/* What the options fill. */
struct rn_data_columns {
    const char *path;
    const char *format;
    const char *encoding;
    const char *text; /* COL or COL,COL */
    const char *label;
    bool no_header;
    char first[RN_COLUMN_BYTES_MAX + 1];
    char second[RN_COLUMN_BYTES_MAX + 1];
};

/* Tables bound to a struct rn_data_columns: without --label, and with it. */
extern const struct rn_option rn_data_options[];
extern const struct rn_option rn_labelled_data_options[];

/* Splits --text. The result borrows from columns. A column whose name holds a comma cannot be named
 * here. */
RN_MUST rn_result rn_data_columns_spec(struct rn_data_columns *columns, struct rn_data_spec *out,
                                       struct rn_error *err);

#endif
