/* SPDX-License-Identifier: Apache-2.0
 *
 * RoBERTa: BERT's layer; positions count on from pad_id, there are no token types, and the head
 * has a dense layer of its own instead of a pooler.
 */
#include "trainer/model/family.h"

#include "base/guard.h"

static rn_result read_config(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    out->pad_id = 1;
    RN_TRY(rn_bert_read_config(root, name, out, err));
    RN_ENSURE(out->positions > out->pad_id + 2, err, RN_E_DATA,
              "%s: max_position_embeddings %u leaves no position beside pad_token_id %u", name,
              out->positions, out->pad_id);
    return rn_ok();
}

const struct rn_family rn_family_roberta = {
    .model_type = "roberta",
    .number = 2,
    .read_config = read_config,
    .positions_from_pad = true,
    .words = "embeddings.word_embeddings",
    .positions = "embeddings.position_embeddings",
    .types = "embeddings.token_type_embeddings",
    .embedding_norm = "embeddings.LayerNorm",
    .layers = "encoder.layer",
    .layer = &rn_bert_layer,
    .head = RN_HEAD_DENSE,
};
