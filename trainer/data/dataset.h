/* SPDX-License-Identifier: Apache-2.0
 *
 * Labelled texts of a file, tokenised once and held as ids, or labelled rows of numbers (rows.h):
 * the form that the training loop reads. The texts themselves are not kept. Examples stand in file
 * order; example i is record i.
 *
 * Errors name file and line and the column, never the record's text.
 */
#ifndef RN_TRAINER_DATASET_H
#define RN_TRAINER_DATASET_H

#include "trainer/data/labels.h"
#include "trainer/data/recordfile.h"
#include "trainer/data/rows.h"
#include "trainer/text/tokenizer.h"
#include "trainer/words.h"

#define RN_DATASET_RECORDS_MAX ((size_t)1 << 28)
#define RN_DATASET_TOKENS_MAX ((size_t)1 << 34)

/* One example; ids are borrowed from the set. */
struct rn_example {
    const uint32_t *ids; /* NULL for a row, whose length is 1 */
    const uint8_t *type_ids;
    uint32_t length;  /* tokens, special ones included; at least 1 */
    int32_t label;    /* class from 0; -1 when unlabelled or regression */
    float target;     /* regression target; 0 otherwise */
    const float *row; /* numbers; NULL for a text */
};

/* struct rn_dataset is declared in trainer/words.h. */

/* Reads and tokenises the whole file. max_length includes the special tokens.
 * RN_E_DATA for an empty file (no record), a wrong line, a label outside the list; RN_E_NO_INPUT
 * for a missing file; RN_E_USAGE for a column that the header lacks. */
RN_MUST rn_result rn_dataset_load(const struct rn_tokenizer *tokenizer,
                                  const struct rn_data_spec *spec,
                                  const struct rn_label_spec *labels, size_t max_length,
                                  struct rn_dataset **out, struct rn_error *err);
/* The same for rows of `width` numbers; RN_DATASET_TOKENS_MAX numbers at most. */
RN_MUST rn_result rn_dataset_load_rows(const struct rn_row_scale *scale, uint32_t width,
                                       const struct rn_data_spec *spec,
                                       const struct rn_label_spec *labels, struct rn_dataset **out,
                                       struct rn_error *err);
void rn_dataset_free(struct rn_dataset *set);

size_t rn_dataset_count(const struct rn_dataset *set);
struct rn_example rn_dataset_at(const struct rn_dataset *set, size_t index);
/* The given labels' count, or the largest label + 1; 1 for regression; 0 when unlabelled. */
size_t rn_dataset_label_count(const struct rn_dataset *set);
/* What a model must know to take the examples: ids below, type ids below, and labels from least to
 * most, which is 0 and 0 when the set has none. A set of a regression has the label -1 everywhere.
 */
struct rn_dataset_range {
    uint32_t ids;
    uint32_t types;
    uint32_t width; /* of rows; 0: texts */
    int32_t label_least, label_most;
};
struct rn_dataset_range rn_dataset_range(const struct rn_dataset *set);
/* Tokens over all examples, and of the longest one. */
size_t rn_dataset_tokens(const struct rn_dataset *set);
uint32_t rn_dataset_longest(const struct rn_dataset *set);

#endif
