/* SPDX-License-Identifier: Apache-2.0
 *
 * The pre-tokenizer of tokenizer.json: steps that cut a normalised text into words. Each step cuts
 * every word of the one before it: into stretches that match and stretches between them, of which
 * its behavior drops or joins some.
 *
 *   BertPreTokenizer     at white space, which goes; then each punctuation mark is a word
 *   Whitespace           runs of word characters and runs of other marks (\w+|[^\w\s]+)
 *   WhitespaceSplit      at white space, which goes
 *   Digits               runs of numeric characters, or each one a word (individual_digits)
 *   Punctuation          punctuation marks match; any behavior
 *   CharDelimiterSplit   at one character, which goes
 *   Split                a String or Regex matches (textpattern.h), or with invert what lies
 *                        between; any behavior
 *   ByteLevel            the last step of byte-level BPE, which cuts words itself (bpe.c)
 *
 * Behaviors: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous, as in `tokenizers`
 * (NormalizedString::split).
 */
#ifndef RN_TRAINER_PRESPLIT_H
#define RN_TRAINER_PRESPLIT_H

#include "base/bytes.h"
#include "trainer/text/textpattern.h"

#include <jansson.h>

#define RN_PRESPLIT_STEPS_MAX 8 /* BertPreTokenizer is two */

enum rn_presplit_kind {
    RN_PRESPLIT_SPACES,
    RN_PRESPLIT_WORDS,
    RN_PRESPLIT_DIGITS,
    RN_PRESPLIT_PUNCTUATION,
    RN_PRESPLIT_CHARACTER,
    RN_PRESPLIT_PATTERN,
};

enum rn_presplit_behavior {
    RN_PRESPLIT_REMOVED,
    RN_PRESPLIT_ISOLATED,
    RN_PRESPLIT_MERGED_WITH_PREVIOUS,
    RN_PRESPLIT_MERGED_WITH_NEXT,
    RN_PRESPLIT_CONTIGUOUS,
};

struct rn_presplit_step {
    enum rn_presplit_kind kind;
    enum rn_presplit_behavior behavior;
    bool invert;
    uint32_t character;        /* of CHARACTER */
    struct rn_pattern pattern; /* of PATTERN */
};

struct rn_presplit {
    struct rn_presplit_step steps[RN_PRESPLIT_STEPS_MAX];
    size_t count; /* 0: the text is one word */
};

/* value may be NULL or null. *out_byte_level: the step ByteLevel, borrowed, or NULL. Clear it in
 * any case. */
RN_MUST rn_result rn_presplit_read(const json_t *value, const char *name, struct rn_presplit *out,
                                   const json_t **out_byte_level, struct rn_error *err);
void rn_presplit_clear(struct rn_presplit *presplit);

/* Hands out the words in order; none is empty. */
typedef rn_result (*rn_word_fn)(void *context, struct rn_view word, struct rn_error *err);
RN_MUST rn_result rn_presplit_walk(const struct rn_presplit *presplit, struct rn_view text,
                                   rn_word_fn take_word, void *context, struct rn_error *err);

#endif
