/* SPDX-License-Identifier: Apache-2.0
 *
 * How a cell becomes a class.
 */
#ifndef RN_TRAINER_LABELS_H
#define RN_TRAINER_LABELS_H

#include "base/bytes.h"
#include "trainer/words.h"

/* With names: the cell equals a name, or has the value of one that is a number, or, when no name is
 * a number, is the number of one. Without: it is a whole number below count, or, when count is 0,
 * below RN_TRAINER_LABELS_MAX. 2.0 and LABEL_2 are the number 2: so pandas and transformers write
 * it. */
struct rn_label_spec {
    enum rn_task task;
    const char *const *names;
    size_t count;
};

/* The class of a cell, or -1. */
int32_t rn_label_class(const struct rn_label_spec *labels, struct rn_view cell);

/* The number that a cell spells: digits, a sign, a point, an exponent. */
bool rn_label_number(struct rn_view cell, double *out);

/* The class that a whole number from 0 spells, "3" or "3.0"; -1 for another cell, or one at
 * RN_TRAINER_LABELS_MAX. */
int32_t rn_label_whole(struct rn_view cell);

#endif
