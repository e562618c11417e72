/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of label names: from a command line, from a data file.
 */
#include "trainer/trainertext.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/dataset.h"

#include <stdlib.h>
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

/* The class number that a cell spells, or -1. */
static long class_number(struct rn_view cell)
{
    long value = 0;

    if (cell.length == 0 || cell.length > 5) {
        return -1;
    }
    for (size_t i = 0; i < cell.length; i++) {
        if (cell.data[i] < '0' || cell.data[i] > '9') {
            return -1;
        }
        value = value * 10 + (cell.data[i] - '0');
    }
    return value < RN_TRAINER_LABELS_MAX ? value : -1;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static rn_result collect(const struct rn_data_spec *spec, struct rn_label_list *list,
                         long *out_largest, struct rn_error *err)
{
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    struct rn_record record;
    bool any = true;
    bool numbers = true;
    long largest = -1;

    RN_TRY(rn_records_open(spec, &records, err));
    for (;;) {
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            break;
        }
        const unsigned long long line = record.line;
        RN_ENSURE(record.label.length > 0 && record.label.length <= RN_LABEL_BYTES_MAX &&
                      memchr(record.label.data, 0, record.label.length) == NULL,
                  err, RN_E_DATA, "%s:%llu: column \"%s\" must hold a label of 1 to %d bytes",
                  spec->path, line, spec->label_column, RN_LABEL_BYTES_MAX);
        const long number = class_number(record.label);
        numbers = numbers && number >= 0;
        largest = number > largest ? number : largest;
        RN_ENSURE(holds(list, record.label) || append(list, record.label), err, RN_E_DATA,
                  "%s:%llu: more than %d different labels in column \"%s\"", spec->path, line,
                  RN_TRAINER_LABELS_MAX, spec->label_column);
    }
    *out_largest = numbers ? largest : -1;
    return rn_ok();
}

static void name_by_number(struct rn_label_list *list, long largest)
{
    char name[16];

    rn_label_list_clear(list);
    for (long i = 0; i <= largest; i++) {
        (void)rn_text_format(name, sizeof name, "%ld", i);
        (void)append(list, rn_view_text(name));
    }
}

rn_result rn_label_list_discover(const struct rn_data_spec *spec, struct rn_label_list *out,
                                 struct rn_error *err)
{
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list list = {0};
    long largest = -1;

    RN_ENSURE(spec->label_column != NULL, err, RN_E_USAGE, "%s: no label column is given",
              spec->path);
    RN_TRY(collect(spec, &list, &largest, err));
    if (largest >= 0) {
        name_by_number(&list, largest);
    } else if (list.count > 1) {
        qsort(list.names, list.count, sizeof *list.names, compare_names);
    }
    RN_ENSURE(list.count >= 2, err, RN_E_DATA,
              "%s: column \"%s\" holds %zu different labels; at least two are needed", spec->path,
              spec->label_column, list.count);
    *out = list;
    list = (struct rn_label_list){0};
    return rn_ok();
}
