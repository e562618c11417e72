/* SPDX-License-Identifier: Apache-2.0
 *
 * Unicode as `tokenizers` sees it: code points, character classes, normal forms, BERT's cleaning.
 * All texts are valid UTF-8 here; rn_utf8_valid is the gate.
 */
#ifndef RN_TRAINER_UNICODETEXT_H
#define RN_TRAINER_UNICODETEXT_H

#include "base/bytes.h"

/* Strict: no overlong forms, no surrogates, nothing above U+10FFFF. *out_bad is the offset of the
 * first wrong byte (may be NULL). */
bool rn_utf8_valid(struct rn_view text, size_t *out_bad);

/* The code point at *position of a valid text; advances *position. */
uint32_t rn_utf8_next(struct rn_view text, size_t *position);
/* Bytes written to out, 1..4. */
size_t rn_utf8_encode(uint32_t point, uint8_t out[static 4]);
/* The code point that ends right before end (end > 0); *out_start is where it starts. */
uint32_t rn_utf8_before(struct rn_view text, size_t end, size_t *out_start);

/* White_Space, as Rust's char::is_whitespace. */
bool rn_unicode_is_space(uint32_t point);
/* \w of Rust's regex: alphabetic, mark, decimal digit, connector, join control. */
bool rn_unicode_is_word(uint32_t point);
/* Category N, as Rust's char::is_numeric. */
bool rn_unicode_is_numeric(uint32_t point);
/* ASCII punctuation (symbols such as $ and + included), or category P. */
bool rn_unicode_is_punctuation(uint32_t point);

/* Moves *position, which is before the end of text, behind the extended grapheme cluster (UAX 29)
 * that starts there. */
void rn_unicode_next_cluster(struct rn_view text, size_t *position);

/* One step of a normalizer. */
enum rn_normal_step {
    RN_NORMAL_BERT_CLEAN,    /* drop NUL, U+FFFD and category C; any white space becomes ' ' */
    RN_NORMAL_BERT_CJK,      /* ' ' on both sides of a CJK ideograph */
    RN_NORMAL_BERT_ACCENTS,  /* NFD, then drop category Mn */
    RN_NORMAL_LOWERCASE,     /* full lower-case mapping, character by character */
    RN_NORMAL_STRIP_ACCENTS, /* drop category M */
    RN_NORMAL_NFC,
    RN_NORMAL_NFD,
    RN_NORMAL_NFKC,
    RN_NORMAL_NFKD,
};

/* Replaces out by the transformed text. RN_E_DATA when it grows beyond out's maximum. */
RN_MUST rn_result rn_unicode_transform(enum rn_normal_step step, struct rn_view text,
                                       struct rn_buffer *out, struct rn_error *err);

#endif
