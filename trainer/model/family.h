/* SPDX-License-Identifier: Apache-2.0
 *
 * A model family as one row of facts: what its config.json says, how its tensors and modules are
 * called, what enters its layers, what a layer computes, what stands above them. One file a family
 * (bert.c, roberta.c), whose row stands in the list of family.c.
 */
#ifndef RN_TRAINER_FAMILY_H
#define RN_TRAINER_FAMILY_H

#include "trainer/ground/jsonfile.h"
#include "trainer/model/block.h"
#include "trainer/model/modelconfig.h"

/* What reads the last layer's asked rows [S, d] (all end in `classifier`):
 *   POOLER  tanh(linear), frozen weights of the checkpoint ("pooler.dense"), may be adapted
 *   DENSE   tanh(linear), trained with the head ("classifier.dense", "classifier.out_proj")
 *   PLAIN   nothing: `classifier` has no bias, and reads the layer's activation itself */
enum rn_head_kind { RN_HEAD_POOLER, RN_HEAD_DENSE, RN_HEAD_PLAIN };

struct rn_family {
    const char
        *model_type; /* of config.json; also the prefix of the names of tensors and modules */
    uint32_t number; /* in keys of kept prefix caches: never another one's, never changed */
    /* Fills the shapes; family is set, the rest zeros. name: of the file, for error sentences. */
    rn_result (*read_config)(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err);
    /* Position ids: from 0 on (false), or from pad_id + 1 on, a padding token inside a text
     * keeping pad_id (true). */
    bool positions_from_pad;
    bool reads_types; /* token types as the tokenizer gives them; else every token has type 0 */
    /* A record is a row of `hidden` numbers, one token: no tokenizer, no embedding. Such a family
     * has one layer, and nothing of the four below. */
    bool rows;
    /* Tables of the embedding and the LayerNorm after them, below the prefix. */
    const char *words, *positions, *types, *embedding_norm;
    const char *layers; /* path of the list of layers: "encoder.layer" */
    const struct rn_block *layer;
    enum rn_head_kind head;
};

/* One row each. */
extern const struct rn_family rn_family_bert;
extern const struct rn_family rn_family_roberta;
extern const struct rn_family rn_family_mlp;

/* NULL when no family has this model_type; number: in the order of the list, NULL behind it. */
const struct rn_family *rn_family_find(const char *model_type);
const struct rn_family *rn_family_at(size_t number);

/* What BERT and RoBERTa share: the keys of config.json, and a layer. The caller has set the default
 * of pad_id. */
RN_MUST rn_result rn_bert_read_config(const json_t *root, const char *name,
                                      struct rn_model_config *out, struct rn_error *err);
extern const struct rn_block rn_bert_layer;

#endif
