/* SPDX-License-Identifier: Apache-2.0
 *
 * A tokenizer that was saved without tokenizer.json: vocab.txt of a BERT, vocab.json and merges.txt
 * of a RoBERTa. They become the tokenizer.json that transformers makes of them.
 */
#ifndef RN_TRAINER_VOCABFILES_H
#define RN_TRAINER_VOCABFILES_H

#include "trainer/text/tokenizersettings.h"

bool rn_vocabfiles_exist(const char *dir);

/* The tokenizer.json, without added tokens. Free with json_decref. */
RN_MUST rn_result rn_vocabfiles_read(const char *dir, const struct rn_tokenizer_settings *settings,
                                     json_t **out, struct rn_error *err);

/* The special tokens that nothing has named yet and that the vocabulary holds. */
void rn_vocabfiles_add_specials(const struct rn_tokenizer_settings *settings, json_t *root);

#endif
