/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenizer.json of Hugging Face `tokenizers`: the same ids as the library gives, or a refusal.
 *
 * Supported:
 *
 *   model           WordPiece; BPE on bytes (with ByteLevel) or characters: merges as "a b" or
 *                   ["a", "b"], fuse_unk, byte_fallback, ignore_merges, dropout null or 0
 *   normalizer      none, BertNormalizer, NFC, NFD, NFKC, NFKD, StripAccents, Lowercase, Strip,
 *                   Replace, Prepend, Precompiled, Sequence of these (normalizer.h)
 *   pre_tokenizer   none, BertPreTokenizer, Whitespace, WhitespaceSplit, Digits, Punctuation,
 *                   CharDelimiterSplit, Split, Sequence of these (presplit.h); for BPE ByteLevel
 *                   alone or last
 *   post_processor  none, BertProcessing, RobertaProcessing, TemplateProcessing, ByteLevel
 *   added_tokens    special and plain ones, with lstrip, rstrip, single_word, normalized
 *
 * Anything else is refused by its name with RN_E_UNSUPPORTED. Of "truncation" only the direction
 * counts, and "padding" does not: the caller's max_length rules, as in transformers. What stands
 * beside the file: tokenizersettings.h.
 *
 * A tokenizer does not change after it was opened; several threads may encode with one, each with
 * its own struct rn_encoding.
 */
#ifndef RN_TRAINER_TOKENIZER_H
#define RN_TRAINER_TOKENIZER_H

#include "base/bytes.h"

#define RN_TOKENIZER_BYTES_MAX ((size_t)64 << 20)
#define RN_TOKENIZER_VOCABULARY_MAX 1048576
#define RN_TOKENIZER_MERGES_MAX 1048576
#define RN_TOKENIZER_ADDED_MAX 16384
#define RN_TOKENIZER_TOKEN_BYTES_MAX 1024
#define RN_TOKENIZER_TEMPLATE_MAX 64
/* Longest text that encode takes. */
#define RN_TOKENIZER_TEXT_MAX ((size_t)16 << 20)

struct rn_tokenizer;
struct rn_tokenizer_scratch;

/* Reusable output. Zero-initialise; rn_encoding_clear when done. */
struct rn_encoding {
    uint32_t *ids;
    uint8_t *type_ids;
    size_t length;
    size_t capacity;
    struct rn_tokenizer_scratch *scratch;
};
void rn_encoding_clear(struct rn_encoding *encoding);

/* Reads dir/tokenizer.json, or where there is none vocab.txt (BERT) or vocab.json and merges.txt
 * (RoBERTa), and the settings beside it; RN_E_DATA where they contradict each other.
 */
RN_MUST rn_result rn_tokenizer_open(const char *dir, struct rn_tokenizer **out,
                                    struct rn_error *err);
/* model_max_length of dir/tokenizer_config.json; 0 when it states no limit. */
RN_MUST rn_result rn_tokenizer_length_max(const char *dir, uint32_t *out, struct rn_error *err);
/* The same from bytes, without settings; name is the file's name for error sentences. */
RN_MUST rn_result rn_tokenizer_parse(struct rn_view json, const char *name,
                                     struct rn_tokenizer **out, struct rn_error *err);
void rn_tokenizer_free(struct rn_tokenizer *tokenizer);
void rn_tokenizer_cleanup(struct rn_tokenizer **tokenizer);

/* One past the largest id, added tokens included: must not exceed the model's vocabulary. */
uint32_t rn_tokenizer_vocabulary(const struct rn_tokenizer *tokenizer);

/* How many special tokens the post-processor adds to one text, or to a pair. */
size_t rn_tokenizer_specials(const struct rn_tokenizer *tokenizer, bool pair);

/* ids of first, or of the pair when second is not NULL, with the special tokens of the
 * post-processor. Longer than max_length: tokens are cut at the right end (or the left, as the
 * settings say), of the longer text first (transformers' "longest_first"). max_length 0 means no
 * limit. RN_E_DATA for invalid UTF-8 or too long a text (without naming the text), RN_E_USAGE when
 * max_length cannot hold the special tokens. */
RN_MUST rn_result rn_tokenizer_encode(const struct rn_tokenizer *tokenizer, struct rn_view first,
                                      const struct rn_view *second, size_t max_length,
                                      struct rn_encoding *out, struct rn_error *err);

#endif
