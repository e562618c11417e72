/* SPDX-License-Identifier: Apache-2.0
 *
 * Data options to a data specification.
 */
#include "services/cli/desk/datacolumns.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <string.h>

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
        .text_column = columns->first,
        .pair_column = comma == NULL ? NULL : columns->second,
        .label_column = columns->label,
        .no_header = columns->no_header,
    };
    return rn_ok();
}
