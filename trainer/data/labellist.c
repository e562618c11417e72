/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of label names.
 */
#include "trainer/data/labellist.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/labels.h"

#include <string.h>

void rn_label_list_clear(struct rn_label_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        rn_free(list->names[i]);
    }
    rn_free(list->names);
    *list = (struct rn_label_list){0};
}

static bool holds(const struct rn_label_list *list, struct rn_view name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (rn_view_equal(rn_view_text(list->names[i]), name)) {
            return true;
        }
    }
    return false;
}

bool rn_label_list_append(struct rn_label_list *list, const char *name, size_t length)
{
    if (list->count == RN_TRAINER_LABELS_MAX) {
        return false;
    }
    list->names = rn_realloc(list->names, list->count, list->count + 1, sizeof *list->names);
    list->names[list->count++] = rn_text_copy(name, length);
    return true;
}

static bool append(struct rn_label_list *list, struct rn_view name)
{
    return rn_label_list_append(list, (const char *)name.data, name.length);
}

static rn_result parse(const char *text, struct rn_label_list *list, struct rn_error *err)
{
    for (const char *start = text; start != NULL;) {
        const char *comma = strchr(start, ',');
        const size_t length = comma == NULL ? strlen(start) : (size_t)(comma - start);
        const struct rn_view name = rn_view_of(start, length);
        RN_ENSURE(length > 0 && length <= RN_LABEL_BYTES_MAX && start[0] != ' ' &&
                      start[length - 1] != ' ',
                  err, RN_E_USAGE, "a label must have 1 to %d bytes and no space around it",
                  RN_LABEL_BYTES_MAX);
        RN_ENSURE(!holds(list, name), err, RN_E_USAGE, "a label is named twice");
        RN_ENSURE(append(list, name), err, RN_E_USAGE, "more than %d labels",
                  RN_TRAINER_LABELS_MAX);
        start = comma == NULL ? NULL : comma + 1;
    }
    RN_ENSURE(list->count >= 2, err, RN_E_USAGE, "at least two labels are needed");
    return rn_ok();
}

rn_result rn_label_list_parse(const char *text, struct rn_label_list *out, struct rn_error *err)
{
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list list = {0};

    RN_TRY(parse(text, &list, err));
    *out = list;
    list = (struct rn_label_list){0};
    return rn_ok();
}

void rn_label_list_number(struct rn_label_list *list, size_t count)
{
    char name[16];

    rn_label_list_clear(list);
    for (size_t i = 0; i < count; i++) {
        (void)rn_text_format(name, sizeof name, "%zu", i);
        (void)append(list, rn_view_text(name));
    }
}

void rn_label_list_text(const struct rn_label_list *list, char *out, size_t capacity)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const size_t length = strlen(list->names[i]);
        if (at + length + sizeof ", ..." > capacity) {
            (void)rn_text_format(out + at, capacity - at, "...");
            return;
        }
        (void)rn_text_format(out + at, capacity - at, "%s%s", list->names[i],
                             i + 1 < list->count ? ", " : "");
        at += strlen(out + at);
    }
}
