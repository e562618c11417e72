/* SPDX-License-Identifier: Apache-2.0
 *
 * The labels that a data file holds, and those that a model does not know.
 */
#include "trainer/data/labellist.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/labels.h"
#include "trainer/data/recordfile.h"

#include <stdlib.h>
#include <string.h>

#define UNKNOWN_MAX 6        /* labels listed in an error sentence */
#define UNKNOWN_BYTES_MAX 32 /* a longer one is more likely a text than a label */
#define LIST_TEXT_MAX 160

/* ---- All labels ---------------------------------------------------------------------------- */

static bool holds(const struct rn_label_list *list, struct rn_view name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (rn_view_equal(rn_view_text(list->names[i]), name)) {
            return true;
        }
    }
    return false;
}

static rn_result check_cell(const struct rn_data_spec *spec, const struct rn_record *record,
                            struct rn_error *err)
{
    const struct rn_view label = record->label;

    RN_ENSURE(label.length > 0 && label.length <= RN_LABEL_BYTES_MAX &&
                  memchr(label.data, 0, label.length) == NULL,
              err, RN_E_DATA, "%s:%llu: column \"%s\" must hold a label of 1 to %d bytes",
              spec->path, (unsigned long long)record->line, spec->label_column, RN_LABEL_BYTES_MAX);
    return rn_ok();
}

static rn_result collect(const struct rn_data_spec *spec, struct rn_label_list *list,
                         struct rn_error *err)
{
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    struct rn_record record;
    bool any = true;

    RN_TRY(rn_records_open(spec, &records, err));
    for (;;) {
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            return rn_ok();
        }
        RN_TRY(check_cell(spec, &record, err));
        const char *label = (const char *)record.label.data;
        RN_ENSURE(
            holds(list, record.label) || rn_label_list_append(list, label, record.label.length),
            err, RN_E_DATA, "%s:%llu: more than %d different labels in column \"%s\"", spec->path,
            (unsigned long long)record.line, RN_TRAINER_LABELS_MAX, spec->label_column);
    }
}

/* Numbers by value, before texts by bytes. */
static int compare_labels(const void *left, const void *right)
{
    const char *a = *(char *const *)left;
    const char *b = *(char *const *)right;
    double x = 0;
    double y = 0;
    const bool a_number = rn_label_number(rn_view_text(a), &x);
    const bool b_number = rn_label_number(rn_view_text(b), &y);

    if (a_number != b_number) {
        return a_number ? -1 : 1;
    }
    if (a_number && x != y) {
        return x < y ? -1 : 1;
    }
    return strcmp(a, b);
}

/* The largest whole number from 0 when all are such, but for one kind of -1; else -1. */
static int32_t largest_whole(const struct rn_label_list *list, bool *out_unlabelled)
{
    int32_t largest = -1;
    double value = 0;

    *out_unlabelled = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct rn_view name = rn_view_text(list->names[i]);
        const int32_t whole = rn_label_whole(name);
        if (whole < 0 && (!rn_label_number(name, &value) || value != -1.0)) {
            return -1;
        }
        *out_unlabelled = *out_unlabelled || whole < 0;
        largest = whole > largest ? whole : largest;
    }
    return largest;
}

/* 1 and 1.0 are one class: the name that sorts first stays. */
static void drop_equal_numbers(struct rn_label_list *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        double now = 0;
        double before = 0;
        if (kept > 0 && rn_label_number(rn_view_text(list->names[i]), &now) &&
            rn_label_number(rn_view_text(list->names[kept - 1]), &before) && now == before) {
            rn_free(list->names[i]);
            continue;
        }
        list->names[kept++] = list->names[i];
    }
    list->count = kept;
}

static rn_result order(const struct rn_data_spec *spec, struct rn_label_list *list,
                       struct rn_error *err)
{
    bool unlabelled = false;
    const int32_t largest = largest_whole(list, &unlabelled);
    const bool zero = holds(list, rn_view_text("0")) || holds(list, rn_view_text("0.0"));

    RN_ENSURE(!unlabelled || (list->count > 1 && !zero), err, RN_E_DATA,
              "%s: column \"%s\" holds -1, which beside class numbers from 0 marks records without "
              "a label (GLUE's test files): leave them out, or give --labels if -1 is a class",
              spec->path, spec->label_column);
    if (largest >= 0 && !unlabelled) {
        rn_label_list_number(list, (size_t)largest + 1);
    } else if (list->count > 1) {
        qsort(list->names, list->count, sizeof *list->names, compare_labels);
        drop_equal_numbers(list);
    }
    return rn_ok();
}

rn_result rn_label_list_discover(const struct rn_data_spec *spec, struct rn_label_list *out,
                                 struct rn_error *err)
{
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list list = {0};

    RN_ENSURE(spec->label_column != NULL, err, RN_E_USAGE, "%s: no label column is given",
              spec->path);
    RN_TRY(collect(spec, &list, err));
    RN_TRY(order(spec, &list, err));
    RN_ENSURE(list.count >= 2, err, RN_E_DATA,
              "%s: column \"%s\" holds %zu different labels; at least two are needed: --labels "
              "names the classes that this file lacks",
              spec->path, spec->label_column, list.count);
    *out = list;
    list = (struct rn_label_list){0};
    return rn_ok();
}

/* ---- Labels that nobody knows -------------------------------------------------------------- */

struct unknown {
    struct rn_label_list labels;
    unsigned long long line; /* of the first */
};

static void note_unknown(struct unknown *found, const struct rn_record *record)
{
    static const char long_text[] = "(a long text)";
    const bool short_text = record->label.length <= UNKNOWN_BYTES_MAX;
    const struct rn_view name = short_text ? record->label : rn_view_text(long_text);

    if (found->line == 0) {
        found->line = (unsigned long long)record->line;
    }
    if (found->labels.count < UNKNOWN_MAX && !holds(&found->labels, name)) {
        (void)rn_label_list_append(&found->labels, (const char *)name.data, name.length);
    }
}

static rn_result find_unknown(const struct rn_data_spec *spec, const struct rn_label_list *names,
                              struct unknown *found, struct rn_error *err)
{
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    const struct rn_label_spec labels = {.names = (const char *const *)names->names,
                                         .count = names->count};
    struct rn_record record;
    bool any = true;

    RN_TRY(rn_records_open(spec, &records, err));
    for (;;) {
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            return rn_ok();
        }
        if (rn_label_class(&labels, record.label) < 0) {
            RN_TRY(check_cell(spec, &record, err));
            note_unknown(found, &record);
        }
    }
}

rn_result rn_label_list_check(const struct rn_data_spec *spec, const struct rn_label_list *names,
                              struct rn_error *err)
{
    struct unknown found = {0};
    char known_text[LIST_TEXT_MAX];
    char found_text[LIST_TEXT_MAX];

    const rn_result result = find_unknown(spec, names, &found, err);
    rn_label_list_text(names, known_text, sizeof known_text);
    rn_label_list_text(&found.labels, found_text, sizeof found_text);
    rn_label_list_clear(&found.labels);
    RN_TRY(result);
    RN_ENSURE(found.line == 0, err, RN_E_DATA,
              "%s:%llu: column \"%s\" holds labels that are no class here: %s; the classes are %s",
              spec->path, found.line, spec->label_column, found_text, known_text);
    return rn_ok();
}
