/* SPDX-License-Identifier: Apache-2.0
 *
 * Classes of cells.
 */
#include "trainer/data/labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_BYTES_MAX 64

bool rn_label_number(struct rn_view cell, double *out)
{
    char text[NUMBER_BYTES_MAX];
    char *end = NULL;

    if (cell.length == 0 || cell.length >= sizeof text ||
        memchr("0123456789+-.", cell.data[0], 13) == NULL) {
        return false;
    }
    memcpy(text, cell.data, cell.length);
    text[cell.length] = '\0';
    if (strspn(text, "0123456789+-.eE") != cell.length) {
        return false; /* strtod would also take "nan", "inf" and hexadecimal digits */
    }
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

int32_t rn_label_whole(struct rn_view cell)
{
    double value = 0;

    if (!rn_label_number(cell, &value) || value < 0 || value >= RN_TRAINER_LABELS_MAX ||
        value != floor(value)) {
        return -1;
    }
    return (int32_t)value;
}

/* The number of "LABEL_7"; cell otherwise. */
static struct rn_view without_placeholder(struct rn_view cell)
{
    static const char mark[] = "LABEL_";
    const size_t length = sizeof mark - 1;

    return cell.length > length && memcmp(cell.data, mark, length) == 0
               ? rn_view_of(cell.data + length, cell.length - length)
               : cell;
}

static int32_t class_by_number(const struct rn_label_spec *labels, struct rn_view cell)
{
    const struct rn_view spelled = without_placeholder(cell);
    double value = 0;
    double name = 0;
    bool numbers = false;

    if (!rn_label_number(spelled, &value)) {
        return -1;
    }
    for (size_t i = 0; labels->names != NULL && i < labels->count; i++) {
        if (rn_label_number(rn_view_text(labels->names[i]), &name)) {
            numbers = true;
            if (name == value) {
                return (int32_t)i;
            }
        }
    }
    const int32_t whole = numbers ? -1 : rn_label_whole(spelled);
    const size_t limit = labels->count > 0 ? labels->count : RN_TRAINER_LABELS_MAX;
    return whole >= 0 && (size_t)whole < limit ? whole : -1;
}

int32_t rn_label_class(const struct rn_label_spec *labels, struct rn_view cell)
{
    for (size_t i = 0; labels->names != NULL && i < labels->count; i++) {
        if (rn_view_equal(cell, rn_view_text(labels->names[i]))) {
            return (int32_t)i;
        }
    }
    return class_by_number(labels, cell);
}
