/* SPDX-License-Identifier: Apache-2.0
 *
 * A record as a JSON line with the columns "text", "pair" (where the data have one) and "label":
 * what a part of a divided file is made of.
 */
#ifndef RN_TRAINER_RECORDWRITE_H
#define RN_TRAINER_RECORDWRITE_H

#include "trainer/data/recordfile.h"

#define RN_SPLIT_PART_BYTES_MAX ((size_t)1 << 30)

/* Appends to a part, whose buffer has RN_SPLIT_PART_BYTES_MAX as its maximum: RN_E_DATA beyond. */
RN_MUST rn_result rn_record_write(const struct rn_data_spec *data, const struct rn_record *record,
                                  struct rn_buffer *out, struct rn_error *err);

#endif
