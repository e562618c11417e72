/* SPDX-License-Identifier: Apache-2.0
 *
 * BERT: an encoder with LayerNorm after each half of a layer, erf-GELU and learned absolute
 * positions. For the tokens x [T, d] (f = intermediate):
 *
 *   q, k, v = x Wq^T + bq, ...        [T, d]
 *   o  = attention(q, k, v)           [T, d]
 *   y1 = o Wo^T + bo + x              [T, d]
 *   x1 = LayerNorm(y1)                [T, d]
 *   g  = gelu(x1 Wi^T + bi)           [T, f]
 *   y2 = g Wf^T + bf + x1             [T, d]
 *   x' = LayerNorm(y2)                [T, d]
 */
#include "trainer/model/family.h"

#include "base/guard.h"

#include <string.h>

/* ---- The layer ---- */

enum { Q = RN_SLOT_FIRST, K, V, O, Y1, X1, G, Y2, SLOTS };
enum { QUERY, KEY, VALUE, ATTENTION_OUTPUT, INTERMEDIATE, OUTPUT };
enum { ATTENTION_NORM, OUTPUT_NORM };

static const struct rn_slot_row slots[SLOTS] = {
    [RN_SLOT_IN] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
    [RN_SLOT_OUT] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
    [Q] = {RN_ROLE_ACTIVATION, RN_DIM_HIDDEN},
    [K] = {RN_ROLE_ACTIVATION, RN_DIM_HIDDEN},
    [V] = {RN_ROLE_ACTIVATION, RN_DIM_HIDDEN},
    [O] = {RN_ROLE_ACTIVATION, RN_DIM_HIDDEN},
    [Y1] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
    [X1] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
    [G] = {RN_ROLE_ACTIVATION, RN_DIM_INTERMEDIATE},
    [Y2] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
};

static const struct rn_module_row modules[] = {
    [QUERY] = {"attention.self.query", RN_DIM_HIDDEN, RN_DIM_HIDDEN, true},
    [KEY] = {"attention.self.key", RN_DIM_HIDDEN, RN_DIM_HIDDEN, true},
    [VALUE] = {"attention.self.value", RN_DIM_HIDDEN, RN_DIM_HIDDEN, true},
    [ATTENTION_OUTPUT] = {"attention.output.dense", RN_DIM_HIDDEN, RN_DIM_HIDDEN, true},
    [INTERMEDIATE] = {"intermediate.dense", RN_DIM_INTERMEDIATE, RN_DIM_HIDDEN, true},
    [OUTPUT] = {"output.dense", RN_DIM_HIDDEN, RN_DIM_INTERMEDIATE, true},
};

static const char *const norms[] = {
    [ATTENTION_NORM] = "attention.output.LayerNorm",
    [OUTPUT_NORM] = "output.LayerNorm",
};

/* The query last of the three: in the last layer it reads asked rows, and its share of x's gradient
 * is then the first on both ways (rn_program_fault). */
static const struct rn_step steps[] = {
    {RN_OP_LINEAR, .out = V, .in = RN_SLOT_IN, .module = VALUE},
    {RN_OP_LINEAR, .out = K, .in = RN_SLOT_IN, .module = KEY},
    {RN_OP_LINEAR, .out = Q, .in = RN_SLOT_IN, .module = QUERY},
    {RN_OP_ATTEND, .out = O, .in = Q, .with = K, .also = V},
    {RN_OP_LINEAR, .out = Y1, .in = O, .with = RN_SLOT_IN, .module = ATTENTION_OUTPUT},
    {RN_OP_NORM, .out = X1, .in = Y1, .module = ATTENTION_NORM},
    {RN_OP_LINEAR, .out = G, .in = X1, .module = INTERMEDIATE, .activation = RN_ACTIVATION_GELU},
    {RN_OP_LINEAR, .out = Y2, .in = G, .with = X1, .module = OUTPUT},
    {RN_OP_NORM, .out = RN_SLOT_OUT, .in = Y2, .module = OUTPUT_NORM},
};

const struct rn_block rn_bert_layer = {
    .slots = slots,
    .modules = modules,
    .norms = norms,
    .steps = steps,
    .slot_count = SLOTS,
    .module_count = RN_ARRAY_LENGTH(modules),
    .norm_count = RN_ARRAY_LENGTH(norms),
    .step_count = RN_ARRAY_LENGTH(steps),
};

/* ---- config.json ---- */

/* Fields that must be off, because Rondo computes no such thing. */
static const char *const must_be_off[] = {
    "is_decoder",          "add_cross_attention", "is_encoder_decoder", "pruned_heads",
    "quantization_config", "embedding_size",      "embedding_shared",
};

/* A text field that may only have one value; absent means that value. */
static rn_result check_text(const json_t *root, const char *name, const char *key,
                            const char *wanted, struct rn_error *err)
{
    const char *value = wanted;

    RN_TRY(rn_json_get_text(root, name, key, &value, err));
    RN_ENSURE(strcmp(value, wanted) == 0, err, RN_E_UNSUPPORTED,
              "%s: %s %.40s is not supported (%s is)", name, key, value, wanted);
    return rn_ok();
}

static rn_result check_arithmetic(const json_t *root, const char *name, struct rn_error *err)
{
    const char *activation = "gelu";
    RN_TRY(rn_json_get_text(root, name, "hidden_act", &activation, err));
    /* gelu_python is the same function, written out in Python. */
    RN_ENSURE(strcmp(activation, "gelu") == 0 || strcmp(activation, "gelu_python") == 0, err,
              RN_E_UNSUPPORTED, "%s: hidden_act %.40s is not supported (gelu is)", name,
              activation);
    RN_TRY(check_text(root, name, "position_embedding_type", "absolute", err));
    for (size_t i = 0; i < RN_ARRAY_LENGTH(must_be_off); i++) {
        RN_ENSURE(rn_json_is_off(root, must_be_off[i]), err, RN_E_UNSUPPORTED,
                  "%s: a model with %s is not supported", name, must_be_off[i]);
    }
    return rn_ok();
}

static rn_result read_shapes(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    const struct {
        const char *key;
        uint64_t most;
        uint32_t *value;
    } shapes[] = {
        {"num_hidden_layers", RN_CONFIG_LAYERS_MAX, &out->layers},
        {"num_attention_heads", RN_CONFIG_HEADS_MAX, &out->heads},
        {"hidden_size", RN_CONFIG_HIDDEN_MAX, &out->hidden},
        {"intermediate_size", RN_CONFIG_INTERMEDIATE_MAX, &out->intermediate},
        {"vocab_size", RN_CONFIG_VOCABULARY_MAX, &out->vocabulary},
        {"max_position_embeddings", RN_CONFIG_POSITIONS_MAX, &out->positions},
        {"type_vocab_size", RN_CONFIG_TYPES_MAX, &out->types},
    };

    out->types = 2;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(shapes); i++) {
        RN_TRY(
            rn_json_get_count(root, name, shapes[i].key, 1, shapes[i].most, shapes[i].value, err));
        RN_ENSURE(*shapes[i].value > 0, err, RN_E_DATA, "%s: %s is missing", name, shapes[i].key);
    }
    RN_ENSURE(out->hidden % out->heads == 0, err, RN_E_DATA,
              "%s: hidden_size %u is not a multiple of num_attention_heads %u", name, out->hidden,
              out->heads);
    RN_TRY(rn_json_get_count(root, name, "pad_token_id", 0, RN_CONFIG_VOCABULARY_MAX - 1,
                             &out->pad_id, err));
    RN_ENSURE(out->pad_id < out->vocabulary, err, RN_E_DATA,
              "%s: pad_token_id %u is not below vocab_size %u", name, out->pad_id, out->vocabulary);
    return rn_ok();
}

static rn_result read_numbers(const json_t *root, const char *name, struct rn_model_config *out,
                              struct rn_error *err)
{
    double epsilon = 1e-12;
    double hidden = 0.1;
    double attention = 0.1;

    RN_TRY(rn_json_get_number(root, name, "layer_norm_eps", 1e-30, 1.0, &epsilon, err));
    RN_TRY(rn_json_get_number(root, name, "hidden_dropout_prob", 0, 1, &hidden, err));
    RN_TRY(rn_json_get_number(root, name, "attention_probs_dropout_prob", 0, 1, &attention, err));
    out->layer_norm_epsilon = (float)epsilon;
    out->hidden_dropout = (float)hidden;
    out->attention_dropout = (float)attention;
    return rn_ok();
}

rn_result rn_bert_read_config(const json_t *root, const char *name, struct rn_model_config *out,
                              struct rn_error *err)
{
    RN_TRY(check_arithmetic(root, name, err));
    RN_TRY(read_shapes(root, name, out, err));
    return read_numbers(root, name, out, err);
}

const struct rn_family rn_family_bert = {
    .model_type = "bert",
    .number = 1,
    .read_config = rn_bert_read_config,
    .reads_types = true,
    .words = "embeddings.word_embeddings",
    .positions = "embeddings.position_embeddings",
    .types = "embeddings.token_type_embeddings",
    .embedding_norm = "embeddings.LayerNorm",
    .layers = "encoder.layer",
    .layer = &rn_bert_layer,
    .head = RN_HEAD_POOLER,
};
