/* SPDX-License-Identifier: Apache-2.0
 *
 * Records that are rows of numbers: how the text of a record becomes the row that a model reads.
 *
 * The text is the row's numbers, as strtod reads them, between commas, blanks or tabs: the cells of
 * a CSV file (recordfile.h joins them so), a text column that holds such a list, the bytes of an
 * IDX image.
 */
#ifndef RN_TRAINER_ROWS_H
#define RN_TRAINER_ROWS_H

#include "base/bytes.h"
#include "base/result.h"

#define RN_ROW_NUMBER_BYTES_MAX 63 /* of one number */

/* How a number of a data file enters a model that reads rows: (x / divisor - mean) / deviation, in
 * float64, rounded to float32 at the end. */
struct rn_row_scale {
    double divisor, mean, deviation;
};

/* Exactly `width` finite numbers, before and after the scale; RN_E_DATA says which number of the
 * row is none, never what stands there. */
RN_MUST rn_result rn_row_parse(struct rn_view text, const struct rn_row_scale *scale,
                               uint32_t width, float *out, struct rn_error *err);

#endif
