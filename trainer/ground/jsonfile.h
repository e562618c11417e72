/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON that a file holds: parse with a limit, as Python does (jsonmend.h), fetch typed
 * fields with errors that name file and field. What is no JSON is said to be what it is
 * (filekind.h).
 */
#ifndef RN_TRAINER_JSONFILE_H
#define RN_TRAINER_JSONFILE_H

#include "base/bytes.h"

#include <jansson.h>

/* Parses an object. name is the file's name for errors. Of a key that stands twice the last counts.
 * Free with json_decref. */
RN_MUST rn_result rn_json_parse(struct rn_view text, const char *name, json_t **out,
                                struct rn_error *err);
/* The same, but nothing is mended and no key may stand twice: where every byte must have one
 * meaning. */
RN_MUST rn_result rn_json_parse_strict(struct rn_view text, const char *name, json_t **out,
                                       struct rn_error *err);
/* Reads at most max bytes of a file and parses them. */
RN_MUST rn_result rn_json_read(const char *path, size_t max, json_t **out, struct rn_error *err);
void rn_json_cleanup(json_t **root);

/* A field that is absent or null counts as absent: *out is left as it was, so a default stands
 * there. Wrong type or out of bounds: RN_E_DATA. */
RN_MUST rn_result rn_json_get_count(const json_t *object, const char *name, const char *key,
                                    uint64_t least, uint64_t most, uint32_t *out,
                                    struct rn_error *err);
RN_MUST rn_result rn_json_get_number(const json_t *object, const char *name, const char *key,
                                     double least, double most, double *out, struct rn_error *err);
RN_MUST rn_result rn_json_get_flag(const json_t *object, const char *name, const char *key,
                                   bool *out, struct rn_error *err);
/* Borrowed text; one that holds a NUL is RN_E_DATA. */
RN_MUST rn_result rn_json_get_text(const json_t *object, const char *name, const char *key,
                                   const char **out, struct rn_error *err);

/* True for a key that is absent, null, false, 0, "" or an empty list or object. */
bool rn_json_is_off(const json_t *object, const char *key);

#endif
