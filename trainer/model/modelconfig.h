/* SPDX-License-Identifier: Apache-2.0
 *
 * config.json of a Hugging Face encoder: which family, which shapes, which arithmetic.
 *
 * Families: those of family.c, whose rows read what is theirs. A field that would change the
 * arithmetic to something Rondo does not compute (another activation, relative positions, a
 * decoder, pruned heads, a quantised base, ...) is refused by name with RN_E_UNSUPPORTED; a field
 * that is missing, of a wrong type or outside its limit is RN_E_DATA. All other fields are ignored.
 */
#ifndef RN_TRAINER_MODELCONFIG_H
#define RN_TRAINER_MODELCONFIG_H

#include "base/bytes.h"
#include "trainer/data/rows.h"
#include "trainer/model/block.h"

#define RN_CONFIG_BYTES_MAX ((size_t)4 << 20)
#define RN_CONFIG_LAYERS_MAX 128
#define RN_CONFIG_HEADS_MAX 256
#define RN_CONFIG_HIDDEN_MAX 16384
#define RN_CONFIG_INTERMEDIATE_MAX 65536
#define RN_CONFIG_VOCABULARY_MAX 1048576
#define RN_CONFIG_POSITIONS_MAX 65536
#define RN_CONFIG_TYPES_MAX 16
#define RN_CONFIG_LABELS_MAX 1024

struct rn_family; /* family.h */

struct rn_model_config {
    const struct rn_family *family;
    uint32_t layers;
    uint32_t heads; /* divides hidden */
    uint32_t hidden;
    uint32_t intermediate;
    uint32_t vocabulary;
    uint32_t positions; /* rows of position_embeddings, RoBERTa's two unused ones included */
    uint32_t types;     /* rows of token_type_embeddings, at least 1 */
    uint32_t pad_id;    /* RoBERTa: the first token has position pad_id + 1 */
    float layer_norm_epsilon;
    /* Stated by the file; Rondo trains without dropout, so this is for
     * information. */
    float hidden_dropout;
    float attention_dropout;
    struct rn_row_scale row; /* of a family that reads rows */
    /* Labels that the base model's own classifier knows: 0 when the file names none. */
    uint32_t label_count;
    /* What problem_type, or a single label, says of the task. */
    bool regression;
    bool multi_label;
};

/* Reads dir/config.json. */
RN_MUST rn_result rn_modelconfig_read(const char *dir, struct rn_model_config *out,
                                      struct rn_error *err);

/* The same from bytes; name is the file's name for error sentences. */
RN_MUST rn_result rn_modelconfig_parse(struct rn_view json, const char *name,
                                       struct rn_model_config *out, struct rn_error *err);

/* Whether the directory's config.json is there, sound, and of a family that reads rows of numbers.
 */
bool rn_modelconfig_reads_rows(const char *dir);

/* The longest sequence, special tokens included, that the position table can hold: positions for
 * BERT, positions - pad_id - 1 for RoBERTa; 0 where a record is no text. */
uint32_t rn_modelconfig_length_max(const struct rn_model_config *config);

/* Columns of a slot, inputs or outputs of a module. */
uint32_t rn_modelconfig_dim(const struct rn_model_config *config, enum rn_dim dim);

#endif
