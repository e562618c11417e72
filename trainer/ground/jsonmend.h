/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as Python's json module reads it: what jansson refuses and Python takes is rewritten, so
 * that a field which nobody reads breaks no file.
 *
 *   an integer beyond 64 bits            the same number as a real
 *   NaN, Infinity, -Infinity, 1e999      ["NaN"] and so on: a list, which no reader of a number, a
 *                                        text or a flag takes for one
 *   half a surrogate pair (\ud83d)       U+FFFD, counted
 *   a byte that is not UTF-8             U+FFFD, counted
 *
 * A key that stands twice needs no mending: the last one counts, there and here.
 */
#ifndef RN_TRAINER_JSONMEND_H
#define RN_TRAINER_JSONMEND_H

#include "base/bytes.h"

#include <jansson.h>

/* What was replaced by U+FFFD in a text: a reader of a field that holds U+FFFD asks. */
struct rn_json_losses {
    bool surrogates; /* half a surrogate pair */
    bool bytes;      /* what is not UTF-8 */
};

/* Parses like Python; NULL with a reason in *out_reason (static: never a piece of the text) and the
 * place in *where. losses may be NULL. Free with json_decref. */
json_t *rn_json_load(struct rn_view text, struct rn_json_losses *losses, json_error_t *where,
                     const char **out_reason);

/* Whether a string value holds U+FFFD. */
bool rn_json_holds_replacement(const json_t *value);

#endif
