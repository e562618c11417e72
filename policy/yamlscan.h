/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a YAML file and where: one pass over libyaml's events refuses what a signed
 * configuration has no use for (anchors, aliases, tags, more than one document, control characters,
 * deep nesting, any encoding but plain UTF-8) and notes every value with its line. Every failure is
 * RN_E_CONFIG, "source:line: field: what". No text aborts the process. Sans-I/O.
 */
#ifndef RN_POLICY_YAMLSCAN_H
#define RN_POLICY_YAMLSCAN_H

#include "base/bytes.h"
#include "base/result.h"

#define RN_YAML_BYTES_MAX ((size_t)512 * 1024) /* a file's own limit: field.h, bytes_max */
#define RN_YAML_FIELDS_MAX 4096 /* values in one file: 1024 rows of two, and the rest */
#define RN_YAML_DEPTH_MAX 4     /* nested mappings and sequences */
#define RN_YAML_PATH_MAX 96

enum rn_yaml_kind { RN_YAML_SCALAR, RN_YAML_MAPPING, RN_YAML_SEQUENCE };

struct rn_yaml_field {
    char path[RN_YAML_PATH_MAX]; /* "lora.rank"; entries of a sequence share its path */
    enum rn_yaml_kind kind;
    const char *value; /* a scalar's text, "" for the others */
    uint32_t line;     /* from 1 */
    bool quoted;       /* a text, whatever it looks like */
};

/* What stood where, in the order of the file. */
struct rn_yaml_index {
    char source[128]; /* how errors name the file */
    struct rn_yaml_field *fields;
    size_t count;
    char *values; /* the scalars' texts, each with its NUL */
    size_t values_used;
};

void rn_yaml_index_clear(struct rn_yaml_index *index);

/* Clear the index in every case. */
RN_MUST rn_result rn_yaml_scan(struct rn_view text, const char *source,
                               struct rn_yaml_index *out_index, struct rn_error *err);

/* Puts place and field before the sentence in err: "plan.yaml:7: lora.rank: ...". */
rn_result rn_yaml_place(const struct rn_yaml_index *index, const char *path, rn_result result,
                        struct rn_error *err);

/* RN_E_CONFIG with place and field before the sentence. */
#define rn_yaml_fail(index, path, err, ...) \
    rn_yaml_place(index, path, rn_fail(err, RN_E_CONFIG, __VA_ARGS__), err)

/* True when the file held the field. */
bool rn_yaml_has(const struct rn_yaml_index *index, const char *path);

#endif
