/* SPDX-License-Identifier: Apache-2.0
 *
 * What a user says about a data file. Plain data, part of the trainer's public face.
 */
#ifndef RN_TRAINER_DATASPEC_H
#define RN_TRAINER_DATASPEC_H

#include "base/bytes.h"

enum rn_data_format {
    RN_DATA_AUTO = 0, /* by the name: .tsv .csv .jsonl, each also with .gz */
    RN_DATA_TSV,      /* tabs, no quoting, as GLUE */
    RN_DATA_CSV,      /* RFC 4180 */
    RN_DATA_JSONL,    /* one object a line */
};

enum rn_data_header {
    RN_HEADER_AUTO = 0, /* absent when every column is given as a number, else present */
    RN_HEADER_PRESENT,
    RN_HEADER_ABSENT,
};

enum rn_task_kind { RN_TASK_CLASSIFICATION = 0, RN_TASK_REGRESSION };

/* Columns are names of the header (JSONL: keys), or 0-based numbers in a file without a header. */
struct rn_data_spec {
    const char *path;
    enum rn_data_format format;
    enum rn_data_header header;
    const char *text;
    const char *text_pair; /* NULL: single sentences */
    const char *label;     /* NULL: unlabelled */
    size_t limit;          /* read only the first records; 0 = all */
};

/* How a label cell becomes a class. With names: the cell equals a name, or, when no name is an
 * integer, is the index of one. Without: it is an integer from 0 to RN_DATA_LABELS_MAX - 1. */
#define RN_DATA_LABELS_MAX 1024
#define RN_DATA_LABEL_BYTES_MAX 256
struct rn_label_spec {
    enum rn_task_kind task;
    const char *const *names;
    size_t count; /* 0: integers, the largest + 1 is found in the data */
};

/* The distinct labels of a file: "0", "1", ... up to the largest when all are integers, else the
 * texts in byte order. For a person at a desk; in a federation the plan lists the labels.
 * Free with rn_data_labels_free. */
struct rn_label_list {
    char **names;
    size_t count;
};
RN_MUST rn_result rn_data_labels_discover(const struct rn_data_spec *spec,
                                          struct rn_label_list *out, struct rn_error *err);
void rn_data_labels_free(struct rn_label_list *list);

/* Tokenises a whole file with the tokenizer of a model directory, in file order, without labels:
 * `rondo tokenize`. The callback's ids are borrowed for the call. */
typedef rn_result rn_data_ids_callback(void *context, const uint32_t *ids, size_t count,
                                       struct rn_error *err);
RN_MUST rn_result rn_data_tokenize(const char *model_dir, const struct rn_data_spec *spec,
                                   size_t max_length, rn_data_ids_callback *callback, void *context,
                                   struct rn_error *err);

#endif
