/* SPDX-License-Identifier: Apache-2.0
 *
 * Words that every room of the trainer shares with its face: tasks, matrices, the columns of a data
 * file, the tensors of the flat vector, and the limits of all of them. Part of trainer/trainer.h.
 */
#ifndef RN_TRAINER_WORDS_H
#define RN_TRAINER_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_TRAINER_RANK_MAX 1024
#define RN_TRAINER_TARGETS_MAX 64
#define RN_TRAINER_LAYERS_MAX 256
#define RN_TRAINER_LABELS_MAX 4096
#define RN_TRAINER_THREADS_MAX 64
#define RN_TRAINER_BATCH_MAX 4096
#define RN_SEGMENT_NAME_MAX 192

/* Which LoRA matrices a call means. */
enum rn_matrix { RN_MATRIX_NONE = 0, RN_MATRIX_A = 1, RN_MATRIX_B = 2, RN_MATRIX_AB = 3 };

/* FROZEN: never trained, from the seed or the checkpoint. FEDERATED and LOCAL: trained with every
 * call of rn_trainer_train; the two differ only in whether the caller asks for the head with
 * with_head. */
enum rn_head_mode { RN_HEAD_FROZEN, RN_HEAD_FEDERATED, RN_HEAD_LOCAL };

enum rn_lora_init { RN_LORA_KAIMING, RN_LORA_ORTHONORMAL };

enum rn_task { RN_TASK_CLASSIFICATION, RN_TASK_REGRESSION };

/* Exact savings that a comparison can switch off; all false = all savings on. The logits, each
 * example's gradient and the trained adapter keep their bits, whichever are set (plain_batches: the
 * batch's sum of gradients is then associated differently and may differ in its last bits;
 * whole_examples: the elements that are products are then rounded before they are clipped, not
 * after, so a whole number may be another by a unit). */
struct rn_trainer_switches {
    bool plain_last_layer; /* compute all rows of the last layer, not the head's token alone */
    bool full_backward;    /* go down to the embedding though nothing below is adapted */
    bool all_gradients;    /* form the gradients of the frozen LoRA matrices too */
    bool plain_batches;    /* fill blocks in order, without balancing them */
    bool whole_examples;   /* dp: store every element of an example's gradient, those of the head's
                              matrices too, rounded to float32, before it is clipped */
};

/* Cells of a TSV file that look as if a program had quoted them, read as they stand. */
struct rn_data_seen {
    uint64_t quoted;
    uint64_t quoted_line; /* of the first */
};

/* The columns of a data file. */
struct rn_data_spec {
    const char *path;     /* TSV, CSV, JSONL or IDX; plain or gzip (recognised by content) */
    const char *format;   /* "tsv", "tsv-quoted", "csv", "csv-semicolon", "jsonl", "idx"; NULL = by
                             the file name (recordfile.h) */
    const char *encoding; /* "utf-8" (NULL means it), "latin-1", "windows-1252" */
    const char *text_column;  /* column name, or its number from 0 in a file without header.
                                 Rows of numbers: "*", or FIRST:LAST */
    const char *pair_column;  /* second text; NULL for single sentences */
    const char *label_column; /* NULL = no labels: only for prediction */
    bool no_header;           /* TSV and CSV only */
    /* NULL, or what a person should know of the file: counted up. With it an error may list what
     * the first line holds; without, as in a service, no cell of the file stands in one. */
    struct rn_data_seen *seen;
};

struct rn_dataset; /* tokenised examples; independent of the adapter */

enum rn_segment_kind { RN_SEGMENT_A, RN_SEGMENT_B, RN_SEGMENT_HEAD };

/* One tensor of the flat vector, row-major float32. Order: by layer, within a layer by the model's
 * module order (query, key, value, attention.output.dense, intermediate.dense, output.dense), A
 * before B; a BERT pooler's after the layers; then the head's tensors (weight before bias). Names
 * are peft's without "base_model.model.", such as
 * "roberta.encoder.layer.0.attention.self.query.lora_A.weight". */
struct rn_segment {
    char name[RN_SEGMENT_NAME_MAX];
    uint32_t rows; /* A: rank; B: outputs; bias: 1 */
    uint32_t cols; /* A: inputs; B: rank */
    enum rn_segment_kind kind;
    size_t offset; /* first element in the flat vector of this selection */
    size_t count;  /* rows * cols */
};

#endif
