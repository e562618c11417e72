/* SPDX-License-Identifier: Apache-2.0
 *
 * Label names in class order: of a command line, of a plan, or found in a data file. Part of
 * trainer/trainer.h.
 */
#ifndef RN_TRAINER_LABELLIST_H
#define RN_TRAINER_LABELLIST_H

#include "base/result.h"
#include "trainer/words.h"

#define RN_LABEL_BYTES_MAX 256

/* Free with rn_label_list_clear. */
struct rn_label_list {
    char **names;
    size_t count;
};
void rn_label_list_clear(struct rn_label_list *list);
/* Appends a copy; false when the list holds RN_TRAINER_LABELS_MAX. */
bool rn_label_list_append(struct rn_label_list *list, const char *name, size_t length);
/* Names "0", "1", ... of so many classes. */
void rn_label_list_number(struct rn_label_list *list, size_t count);
/* "negative,positive": at least two distinct names without spaces around; RN_E_USAGE otherwise. */
RN_MUST rn_result rn_label_list_parse(const char *text, struct rn_label_list *out,
                                      struct rn_error *err);

/* The distinct labels of a data file: "0", "1", ... up to the largest when all are whole numbers
 * from 0 (2.0 is one: pandas writes so), else numbers by value before texts in byte order. -1
 * beside whole numbers from 0 marks records without a label: RN_E_DATA. For an engineer at a desk;
 * in a federation the plan lists the labels. At most RN_TRAINER_LABELS_MAX, at least 2 (RN_E_DATA
 * otherwise). */
RN_MUST rn_result rn_label_list_discover(const struct rn_data_spec *spec, struct rn_label_list *out,
                                         struct rn_error *err);

/* RN_E_DATA with the line where the label column first holds none of the names: the sentence lists
 * such labels, a few of them, and the names. A label is a name, the number of a class where no name
 * is a number, or "LABEL_" and that number. */
RN_MUST rn_result rn_label_list_check(const struct rn_data_spec *spec,
                                      const struct rn_label_list *names, struct rn_error *err);
/* The names between commas, as many as fit. */
void rn_label_list_text(const struct rn_label_list *list, char *out, size_t capacity);

#endif
