/* SPDX-License-Identifier: Apache-2.0
 *
 * A pattern of tokenizer.json, {"String": "..."} or {"Regex": "..."}, and its matches in a text.
 *
 * `tokenizers` runs expressions of Oniguruma (Ruby's syntax). textregex.c rewrites one for PCRE2,
 * sign by sign, where both give the same matches, and refuses every other:
 *
 *   read      literals; . ^ $ | ( ) (?: (?= (?! (?<= (?<! (?> (?i: and (?i) in front;
 *             * + ? with ? or + behind; {n} {n,} {n,m} {,m}; [...] [^...] with ranges;
 *             \s \S \w \W \d \D \h \b \B \A \z \n \r \t \f \v \e \a \xHH (below 80) \x{H..} \uHHHH;
 *             \p{..} \P{..} of general categories and scripts
 *   refused   back references, classes in classes and &&, [:posix:], \S \W inside a class (except
 *             [\s\S]), {..} with ? or + behind, other groups and escapes; under (?i) letters beyond
 *             ASCII and pairs that one character folds to (ss, st, ff, fi, fl)
 */
#ifndef RN_TRAINER_TEXTPATTERN_H
#define RN_TRAINER_TEXTPATTERN_H

#include "base/bytes.h"

#include <jansson.h>

#define RN_PATTERN_BYTES_MAX 1024 /* of a String or a Regex */
/* Enough for any sensible expression; stops one that would search for ever. */
#define RN_PATTERN_STEPS_MAX 1000000

struct pcre2_real_code_8;

/* Exactly one of the two is set. Several threads may search with one. */
struct rn_pattern {
    char *literal;
    struct pcre2_real_code_8 *code;
};

/* what: the place in the file, for error sentences. RN_E_UNSUPPORTED for an expression that is not
 * read, RN_E_DATA for no pattern at all. Clear it in any case. */
RN_MUST rn_result rn_pattern_read(const json_t *value, const char *name, const char *what,
                                  struct rn_pattern *out, struct rn_error *err);
void rn_pattern_clear(struct rn_pattern *pattern);
/* Whether it may match an empty stretch. */
bool rn_pattern_may_be_empty(const struct rn_pattern *pattern);

/* Hands out the whole text in order, as stretches that match and (match false) what lies between
 * them. An expression may match nothing (start = end); such a match right behind another is left
 * out. RN_E_DATA when a search takes more than RN_PATTERN_STEPS_MAX steps from
 * one place of the text. */
typedef rn_result (*rn_stretch_fn)(void *context, struct rn_view stretch, bool match,
                                   struct rn_error *err);
RN_MUST rn_result rn_pattern_walk(const struct rn_pattern *pattern, struct rn_view text,
                                  rn_stretch_fn take, void *context, struct rn_error *err);

/* The expression for PCRE2 (with PCRE2_UTF), appended to out; RN_E_UNSUPPORTED with the place
 * (character, from 1) of what is not read. text is valid UTF-8. */
RN_MUST rn_result rn_regex_translate(struct rn_view text, struct rn_buffer *out,
                                     struct rn_error *err);

#endif
