/* SPDX-License-Identifier: Apache-2.0
 *
 * The nearest name to a mistyped one.
 */
#include "services/cli/kit/options.h"

#include <string.h>

#define NAME_BYTES_MAX 64

/* Levenshtein distance of names shorter than NAME_BYTES_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_BYTES_MAX + 1];
    const size_t columns = strlen(b);

    for (size_t j = 0; j <= columns; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < columns; j++) {
            const size_t change = diagonal + (a[i] != b[j]);
            const size_t left = row[j] + 1;
            diagonal = row[j + 1];
            const size_t up = diagonal + 1;
            row[j + 1] = change < left ? change : left;
            row[j + 1] = up < row[j + 1] ? up : row[j + 1];
        }
    }
    return row[columns];
}

const char *rn_nearest_name(const char *wrong, const char *const *names, size_t count)
{
    const size_t length = strlen(wrong);
    const char *best = NULL;
    size_t best_distance = length / 3 < 2 ? 3 : length / 3 + 1;

    if (length >= NAME_BYTES_MAX || length == 0) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) >= NAME_BYTES_MAX) {
            continue;
        }
        const size_t d = strncmp(names[i], wrong, length) == 0 ? 0 : distance(wrong, names[i]);
        if (d < best_distance && d < strlen(names[i])) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
