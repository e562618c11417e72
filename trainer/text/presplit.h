/* SPDX-License-Identifier: Apache-2.0
 *
 * The pre-tokenizer of tokenizer.json: steps that cut a normalised text into words. Each step cuts
 * every word of the one before it.
 *
 *   BertPreTokenizer   at white space, which goes; each punctuation mark is a word
 *   Whitespace         runs of word characters and runs of other marks (\w+|[^\w\s]+)
 *   WhitespaceSplit    at white space, which goes
 *   Digits             runs of numeric characters, or each one a word (individual_digits)
 *   Punctuation        each punctuation mark is a word (behavior Isolated alone)
 *   ByteLevel          the last step of byte-level BPE, which cuts words itself (bytebpe.c)
 */
#ifndef RN_TRAINER_PRESPLIT_H
#define RN_TRAINER_PRESPLIT_H

#include "base/bytes.h"

#include <jansson.h>

#define RN_PRESPLIT_STEPS_MAX 8

enum rn_presplit_kind {
    RN_PRESPLIT_BERT,
    RN_PRESPLIT_WORDS,
    RN_PRESPLIT_SPACES,
    RN_PRESPLIT_DIGITS,
    RN_PRESPLIT_EACH_DIGIT,
    RN_PRESPLIT_PUNCTUATION,
};

struct rn_presplit {
    enum rn_presplit_kind steps[RN_PRESPLIT_STEPS_MAX];
    size_t count; /* 0: the text is one word */
};

/* value may be NULL or null. *out_byte_level: the step ByteLevel, borrowed, or NULL. */
RN_MUST rn_result rn_presplit_read(const json_t *value, const char *name, struct rn_presplit *out,
                                   const json_t **out_byte_level, struct rn_error *err);

/* Hands out the words in order; none is empty. */
typedef rn_result (*rn_word_fn)(void *context, struct rn_view word, struct rn_error *err);
RN_MUST rn_result rn_presplit_walk(const struct rn_presplit *presplit, struct rn_view text,
                                   rn_word_fn each, void *context, struct rn_error *err);

#endif
