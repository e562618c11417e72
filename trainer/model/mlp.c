/* SPDX-License-Identifier: Apache-2.0
 *
 * rondo-mlp: the network that papers on federated LoRA try their methods on before a language model
 * (RoLoRA, section 4.2: MNIST). For rows x [T, d] of d numbers, without any bias:
 *
 *   g      = relu(scale x A^T B^T)    [T, d]    A [r, d], B [d, r]: the adapter of `linear`
 *   logits = g W^T                    [T, classes]
 *
 * The adapter is the whole of `linear`: its base weight is zero and stands in no file. B cannot
 * start at zero then, so A and B are uniform within 1/sqrt(r) and 1/sqrt(d), what torch's
 * kaiming_uniform_(a=sqrt(5)) makes of the papers' x A B, whose A is stored [d, r] and B [r, d];
 * W is `classifier.weight` of model.safetensors, or uniform within 1/sqrt(classes).
 */
#include "trainer/model/family.h"

#include "base/guard.h"

static const struct rn_slot_row slots[RN_SLOT_FIRST] = {
    [RN_SLOT_IN] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
    [RN_SLOT_OUT] = {RN_ROLE_RESIDUAL, RN_DIM_HIDDEN},
};

static const struct rn_module_row modules[] = {
    {"linear", RN_DIM_HIDDEN, RN_DIM_HIDDEN, .zero = true},
};

static const struct rn_step steps[] = {
    {RN_OP_LINEAR, .out = RN_SLOT_OUT, .in = RN_SLOT_IN, .activation = RN_ACTIVATION_RELU},
};

static const struct rn_block layer = {
    .slots = slots,
    .modules = modules,
    .steps = steps,
    .slot_count = RN_SLOT_FIRST,
    .module_count = RN_ARRAY_LENGTH(modules),
    .step_count = RN_ARRAY_LENGTH(steps),
};

/* input_size, and how a number of a data file enters: input_divisor, input_mean, input_deviation.
 */
static rn_result read_config(const json_t *root, const char *name, struct rn_model_config *out,
                             struct rn_error *err)
{
    struct rn_row_scale *row = &out->row;

    *row = (struct rn_row_scale){1.0, 0.0, 1.0};
    RN_TRY(rn_json_get_count(root, name, "input_size", 1, RN_CONFIG_HIDDEN_MAX, &out->hidden, err));
    RN_ENSURE(out->hidden > 0, err, RN_E_DATA, "%s: input_size is missing", name);
    RN_TRY(rn_json_get_number(root, name, "input_divisor", 1e-9, 1e9, &row->divisor, err));
    RN_TRY(rn_json_get_number(root, name, "input_mean", -1e9, 1e9, &row->mean, err));
    RN_TRY(rn_json_get_number(root, name, "input_deviation", 1e-9, 1e9, &row->deviation, err));
    out->layers = 1;
    out->heads = 1;
    return rn_ok();
}

const struct rn_family rn_family_mlp = {
    .model_type = "rondo-mlp",
    .number = 3,
    .read_config = read_config,
    .rows = true,
    .layers = "layer",
    .layer = &layer,
    .head = RN_HEAD_PLAIN,
};
