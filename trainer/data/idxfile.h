/* SPDX-License-Identifier: Apache-2.0
 *
 * IDX files, the form of MNIST and its relatives (yann.lecun.com/exdb/mnist): two zero bytes, the
 * type (8: bytes; no other is read), the number of dimensions, each size as 4 bytes from the
 * greatest, then the elements. Plain or gzip. The first dimension counts the records.
 *
 * Images and labels are two files: train-images-idx3-ubyte and train-labels-idx1-ubyte. The second
 * is found by the first one's name: "labels" for "images", and "idx1" for "idx" with its number.
 *
 * A record's text is its bytes as numbers between commas (rows.h), its label a number. Private to
 * record*.c.
 */
#ifndef RN_TRAINER_IDXFILE_H
#define RN_TRAINER_IDXFILE_H

#include "base/bytes.h"
#include "base/result.h"

#define RN_IDX_WIDTH_MAX 65536u                /* bytes of a record */
#define RN_IDX_RECORDS_MAX ((uint32_t)1 << 28) /* as RN_DATASET_RECORDS_MAX */

struct rn_idx;

/* path is borrowed. RN_E_NO_INPUT for a missing file; RN_E_DATA for one that is no IDX file of
 * bytes, or whose labels are not as many. */
RN_MUST rn_result rn_idx_open(const char *path, bool labelled, struct rn_idx **out,
                              struct rn_error *err);
void rn_idx_close(struct rn_idx *idx); /* accepts NULL */
/* The next record's text, after what stands in out, and its label (empty without); *out_any false
 * after the last. A file that is cut, or goes on after its last record, is RN_E_DATA. */
RN_MUST rn_result rn_idx_next(struct rn_idx *idx, struct rn_buffer *out, char out_label[static 4],
                              bool *out_any, struct rn_error *err);

#endif
