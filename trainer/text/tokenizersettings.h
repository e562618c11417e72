/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands beside tokenizer.json and changes ids in transformers: tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json. Applied as transformers 5 applies it, or refused
 * by the field's name; a directory without these files has no settings.
 *
 *   truncation_side            (or the direction in tokenizer.json's truncation) the end that is
 * cut model_max_length           the longest input where nobody asks for another length
 *   model_input_names          without token_type_ids (or by tokenizer_class) every type is 0
 *   *_token, extra_special_tokens, additional_special_tokens, added_tokens_decoder,
 * added_tokens.json a token that tokenizer.json has in its vocabulary becomes an added one; one
 * that it lacks is refused do_lower_case, strip_accents, tokenize_chinese_chars, add_prefix_space,
 * cls_token, sep_token, unk_token                  refused where they contradict tokenizer.json
 *   split_special_tokens       refused
 */
#ifndef RN_TRAINER_TOKENIZERSETTINGS_H
#define RN_TRAINER_TOKENIZERSETTINGS_H

#include "base/bytes.h"

#include <jansson.h>

struct rn_tokenizer_settings {
    json_t *config; /* tokenizer_config.json; NULL when it is not there */
    char config_path[RN_PATH_MAX];
    bool truncate_left;
    bool plain_types;
    uint32_t length_max; /* 0: not stated, or more than 2^32 - 1 */
};

/* Reads what does not need tokenizer.json (truncate_left: tokenizer_config.json alone). Clear it in
 * any case. */
RN_MUST rn_result rn_tokenizer_settings_read(const char *dir, struct rn_tokenizer_settings *out,
                                             struct rn_error *err);
void rn_tokenizer_settings_clear(struct rn_tokenizer_settings *settings);

/* Holds the settings against tokenizer.json (root), and puts added tokens into root. */
RN_MUST rn_result rn_tokenizer_settings_apply(const char *dir,
                                              struct rn_tokenizer_settings *settings, json_t *root,
                                              struct rn_error *err);

/* The part about added tokens (tokenizertokens.c). */
RN_MUST rn_result rn_tokenizer_tokens_apply(const char *dir,
                                            const struct rn_tokenizer_settings *settings,
                                            json_t *root, struct rn_error *err);

/* The text of a token that is written as a string or as {"content": ...}; NULL otherwise. */
const char *rn_token_content(const json_t *token);

#endif
