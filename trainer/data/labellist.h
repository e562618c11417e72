/* SPDX-License-Identifier: Apache-2.0
 *
 * Label names in class order: of a command line, of a plan, or found in a data file. Part of
 * trainer/trainer.h.
 */
#ifndef RN_TRAINER_LABELLIST_H
#define RN_TRAINER_LABELLIST_H

#include "base/result.h"
#include "trainer/words.h"

/* Free with rn_label_list_clear. */
struct rn_label_list {
    char **names;
    size_t count;
};
void rn_label_list_clear(struct rn_label_list *list);
/* Appends a copy; false when the list holds RN_TRAINER_LABELS_MAX. */
bool rn_label_list_append(struct rn_label_list *list, const char *name, size_t length);
/* "negative,positive": at least two distinct names without spaces around; RN_E_USAGE otherwise. */
RN_MUST rn_result rn_label_list_parse(const char *text, struct rn_label_list *out,
                                      struct rn_error *err);

/* The distinct labels of a data file: "0", "1", ... up to the largest when all are integers from 0,
 * else the texts in byte order. For an engineer at a desk; in a federation the plan lists the
 * labels. At most RN_TRAINER_LABELS_MAX, at least 2 (RN_E_DATA otherwise). */
RN_MUST rn_result rn_label_list_discover(const struct rn_data_spec *spec, struct rn_label_list *out,
                                         struct rn_error *err);

#endif
