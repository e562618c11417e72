/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML under a closed schema: libcyaml loads, and what it lets pass is refused here.
 *
 * Before libcyaml sees the text, one pass over the events refuses what a signed configuration has
 * no use for (anchors, aliases, tags, more than one document, control characters, deep nesting) and
 * notes the line of every field. Afterwards numbers are checked to be written plainly (no octal,
 * hex or trailing text) and within their range. Every failure is RN_E_CONFIG, "source:line: field:
 * what".
 */
#ifndef RN_POLICY_YAMLFILE_H
#define RN_POLICY_YAMLFILE_H

#include "base/bytes.h"
#include "base/result.h"
#include "policy/limits.h"

#include <cyaml/cyaml.h>

#define RN_YAML_BYTES_MAX ((size_t)64 * 1024)
#define RN_YAML_FIELDS_MAX 2048 /* scalars in one file */
#define RN_YAML_DEPTH_MAX 4     /* nested mappings and sequences */
#define RN_YAML_PATH_MAX 96
#define RN_YAML_VALUE_MAX 32 /* noted of a value; only numbers need it */

struct rn_yaml_field {
    char path[RN_YAML_PATH_MAX]; /* "lora.rank"; entries of a sequence share its path */
    char value[RN_YAML_VALUE_MAX];
    uint32_t line; /* from 1 */
    bool quoted;   /* a text, whatever it looks like */
};

/* Where each field stood. */
struct rn_yaml_index {
    char source[128]; /* how errors name the file */
    struct rn_yaml_field *fields;
    size_t count;
};

void rn_yaml_index_clear(struct rn_yaml_index *index);

/* The first pass alone: fills index->fields (RN_YAML_FIELDS_MAX allocated by the caller) and count.
 * index->source is set. */
RN_MUST rn_result rn_yaml_scan(struct rn_view text, struct rn_yaml_index *index,
                               struct rn_error *err);

/* Loads text into *out_data (size bytes, a mapping struct without pointers, zeroed first). schema
 * is the top-level mapping with CYAML_FLAG_POINTER. The index is filled for later checks; clear it
 * in every case. */
RN_MUST rn_result rn_yaml_load(struct rn_view text, const char *source,
                               const struct cyaml_schema_value *schema, void *out_data, size_t size,
                               struct rn_yaml_index *out_index, struct rn_error *err);

/* Checks every row against data, which rn_yaml_load filled. A field that is absent from the file is
 * skipped (the schema says which may be). */
RN_MUST rn_result rn_yaml_check_limits(const struct rn_yaml_index *index, const void *data,
                                       const struct rn_limit *limits, size_t count,
                                       struct rn_error *err);

/* Checks that every entry of the sequence at path is a plain whole number. */
RN_MUST rn_result rn_yaml_check_whole(const struct rn_yaml_index *index, const char *path,
                                      struct rn_error *err);

/* RN_E_CONFIG with place and field before the sentence. */
rn_result rn_yaml_fail(const struct rn_yaml_index *index, const char *path, struct rn_error *err,
                       const char *format, ...) RN_PRINTF(4, 5);

/* True when the file held the field. */
bool rn_yaml_has(const struct rn_yaml_index *index, const char *path);

#endif
