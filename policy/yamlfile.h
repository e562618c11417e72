/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML under a closed table of fields (field.h): what the scan noted (yamlscan.h) fills a struct
 * from the table. Failures as there. Sans-I/O.
 */
#ifndef RN_POLICY_YAMLFILE_H
#define RN_POLICY_YAMLFILE_H

#include "policy/field.h"
#include "policy/yamlscan.h"

/* Loads text into *out_data (size bytes, a struct without pointers, zeroed first). The index is
 * filled for later checks; clear it in every case. */
RN_MUST rn_result rn_yaml_load(struct rn_view text, const char *source,
                               const struct rn_field_table *table, void *out_data, size_t size,
                               struct rn_yaml_index *out_index, struct rn_error *err);

#endif
