/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing of a block, and its way to the device.
 */
#include "trainer/pass/passparts.h"

#include "base/guard.h"
#include "trainer/kernels/host.h"

#define TOKEN_PARTS_MAX 3

/* Position ids as in transformers: from 0 on; or, where the family counts from pad_id, the tokens
 * that are not padding from pad_id + 1 on, and a padding token inside a text keeps pad_id. */
static void put_positions(const struct rn_model_config *config, const struct rn_example *example,
                          int32_t *out)
{
    const bool from_pad = config->family->positions_from_pad;
    int32_t next = from_pad ? (int32_t)config->pad_id + 1 : 0;
    for (uint32_t t = 0; t < example->length; t++) {
        const bool padding = from_pad && example->ids[t] == config->pad_id;
        out[t] = padding ? (int32_t)config->pad_id : next++;
    }
}

/* A record's numbers in the type of the stream between layers. */
static void put_row(const struct rn_pass *pass, const struct rn_example *example, uint32_t token)
{
    const struct rn_mat x = pass->layers[0].slot[RN_SLOT_IN];
    const struct rn_mat to = {pass->host_rows, x.rows, x.cols, x.cols, x.type};
    RN_BUG_IF(example->row == NULL || example->length != 1);
    for (uint32_t i = 0; i < x.cols; i++) {
        if (x.type == RN_F64) {
            rn_row_f64(to, token)[i] = (double)example->row[i];
        } else if (x.type == RN_F32) {
            rn_row_f32(to, token)[i] = example->row[i];
        } else {
            ((uint16_t *)rn_row(to, token))[i] = rn_bf16_of(example->row[i]);
        }
    }
}

static void put_ids(const struct rn_pass *pass, const struct rn_example *example, uint32_t token)
{
    const struct rn_model_config *config = &pass->adapter->encoder->config;
    put_positions(config, example, pass->host_positions + token);
    for (uint32_t t = 0; t < example->length; t++) {
        pass->host_ids[token + t] = (int32_t)example->ids[t];
        pass->host_types[token + t] =
            config->family->reads_types ? (int32_t)example->type_ids[t] : 0;
    }
}

/* What the first layer begins with: ids for the embedding, or the rows themselves. Returns the
 * number of parts. */
static size_t list_tokens(const struct rn_pass *pass, uint32_t tokens,
                          struct rn_upload out[static TOKEN_PARTS_MAX])
{
    if (pass->adapter->encoder->config.family->rows) {
        const struct rn_mat x = pass->layers[0].slot[RN_SLOT_IN];
        out[0] = (struct rn_upload){x.data, pass->host_rows,
                                    (size_t)tokens * x.cols * rn_element_size(x.type)};
        return 1;
    }
    out[0] = (struct rn_upload){pass->ids, pass->host_ids, tokens * sizeof(int32_t)};
    out[1] = (struct rn_upload){pass->types, pass->host_types, tokens * sizeof(int32_t)};
    out[2] = (struct rn_upload){pass->positions, pass->host_positions, tokens * sizeof(int32_t)};
    return 3;
}

/* The loaded block to the device. */
static void upload(struct rn_pass *pass, uint32_t count, uint32_t tokens)
{
    const struct rn_upload rest[] = {
        {pass->cu, pass->host_cu, (count + 1) * sizeof(int32_t)},
        {pass->first, pass->host_first, count * sizeof(int32_t)},
        {pass->labels, pass->host_labels, count * sizeof(int32_t)},
        {pass->targets, pass->host_targets, count * sizeof(float)},
    };
    struct rn_upload parts[TOKEN_PARTS_MAX + RN_ARRAY_LENGTH(rest)];
    const size_t first = list_tokens(pass, tokens, parts);
    memcpy(parts + first, rest, sizeof(rest));
    rn_kernels_upload(pass->kernels, pass->lane, parts, first + RN_ARRAY_LENGTH(rest));
}

static uint32_t up_to(uint32_t value, uint32_t multiple, uint32_t most)
{
    const uint32_t up = multiple == 0 ? value : (value + multiple - 1) / multiple * multiple;
    return up > most ? most : up;
}

/* Tokens and longest of the block as the backend likes them: rows beyond the last sequence belong
 * to none. */
static void round_up(struct rn_pass *pass)
{
    const struct rn_kernels *k = pass->kernels;
    struct rn_sequences *s = &pass->sequences;
    s->tokens = up_to(s->tokens, k->graph_tokens, pass->options.tokens);
    s->longest = up_to(s->longest, k->graph_length, pass->options.length);
}

void rn_pass_load_rows(struct rn_pass *pass, const struct rn_example *examples, uint32_t count)
{
    RN_BUG_IF(count == 0 || count > pass->options.sequences);
    uint32_t tokens = 0;
    uint32_t longest = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct rn_example *example = &examples[i];
        RN_BUG_IF(example->length > pass->options.length ||
                  example->length > pass->options.tokens - tokens);
        pass->host_cu[i] = (int32_t)tokens;
        pass->host_first[i] = (int32_t)tokens;
        pass->host_labels[i] = example->label;
        pass->host_targets[i] = example->target;
        if (pass->adapter->encoder->config.family->rows) {
            put_row(pass, example, tokens);
        } else {
            put_ids(pass, example, tokens);
        }
        tokens += example->length;
        longest = example->length > longest ? example->length : longest;
    }
    pass->host_cu[count] = (int32_t)tokens;
    pass->examples = examples;
    pass->sequences = (struct rn_sequences){.count = count,
                                            .tokens = tokens,
                                            .longest = longest,
                                            .cu = pass->cu,
                                            .cu_host = pass->host_cu};
    round_up(pass);
    upload(pass, count, tokens);
}

void rn_pass_load(struct rn_pass *pass, const struct rn_example *examples, uint32_t count)
{
    rn_pass_load_rows(pass, examples, count);
    const struct rn_piece whole = {.count = count};
    rn_pass_split(pass, &whole, 1);
}
