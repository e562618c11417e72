/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenised, labelled examples of one file.
 */
#include "trainer/data/dataset.h"

#include "base/alloc.h"
#include "base/guard.h"
#include "trainer/data/labellist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_TEXT_MAX 160 /* of the class names in an error sentence */

struct stored {
    size_t start; /* in ids and type_ids; rows: number of the row */
    uint32_t length;
    int32_t label;
    float target;
};

struct rn_dataset {
    struct stored *examples;
    size_t count, capacity;
    uint32_t *ids;
    uint8_t *type_ids;
    size_t tokens, token_capacity;
    float *rows; /* [row_capacity][width] */
    uint32_t width;
    size_t row_capacity;
    uint32_t longest;
    size_t label_count;
    struct rn_dataset_range range;
};

/* ---- Labels */

static bool parse_target(struct rn_view cell, float *out)
{
    char text[64];
    char *end = NULL;

    if (cell.length == 0 || cell.length >= sizeof text || memchr(cell.data, 0, cell.length)) {
        return false;
    }
    memcpy(text, cell.data, cell.length);
    text[cell.length] = '\0';
    *out = strtof(text, &end);
    return *end == '\0' && isfinite(*out);
}

/* The classes are the model's or the plan's, not the record's: they may be named. */
static rn_result no_class(const struct rn_data_spec *spec, const struct rn_label_spec *labels,
                          const struct rn_record *record, struct rn_error *err)
{
    const unsigned long long line = record->line;
    char names[NAMES_TEXT_MAX];

    RN_ENSURE(!rn_view_equal(record->label, rn_view_text("-1")), err, RN_E_DATA,
              "%s:%llu: column \"%s\" holds -1, the mark of a record without a label", spec->path,
              line, spec->label_column);
    if (labels->names == NULL) {
        return rn_fail(err, RN_E_DATA,
                       "%s:%llu: column \"%s\" must hold a class number from 0 to %zu; name the "
                       "labels if they are words",
                       spec->path, line, spec->label_column,
                       (labels->count > 0 ? labels->count : (size_t)RN_TRAINER_LABELS_MAX) - 1);
    }
    const struct rn_label_list list = {(char **)(uintptr_t)labels->names, labels->count};
    rn_label_list_text(&list, names, sizeof names);
    return rn_fail(err, RN_E_DATA, "%s:%llu: column \"%s\" holds none of the %zu labels %s",
                   spec->path, line, spec->label_column, labels->count, names);
}

static rn_result set_label(const struct rn_data_spec *spec, const struct rn_label_spec *labels,
                           const struct rn_record *record, struct stored *out, struct rn_error *err)
{
    const unsigned long long line = record->line;

    out->label = -1;
    if (spec->label_column == NULL) {
        return rn_ok();
    }
    if (labels->task == RN_TASK_REGRESSION) {
        RN_ENSURE(parse_target(record->label, &out->target), err, RN_E_DATA,
                  "%s:%llu: column \"%s\" must hold a finite number", spec->path, line,
                  spec->label_column);
        return rn_ok();
    }
    out->label = rn_label_class(labels, record->label);
    return out->label >= 0 ? rn_ok() : no_class(spec, labels, record, err);
}

/* ---- Loading */

/* What a text becomes: its ids; or its numbers. */
struct reader {
    const struct rn_tokenizer *tokenizer; /* NULL: rows */
    size_t max_length;
    const struct rn_row_scale *scale;
    struct rn_encoding encoding; /* of the present record */
};

static void reader_clear(struct reader *reader)
{
    rn_encoding_clear(&reader->encoding);
}

static void append_ids(struct rn_dataset *set, const struct rn_encoding *encoding)
{
    const size_t needed = set->tokens + encoding->length;

    if (needed > set->token_capacity) {
        const size_t more = needed < 65536 ? 65536 : needed + needed / 2;
        set->ids = rn_realloc(set->ids, set->token_capacity, more, sizeof *set->ids);
        set->type_ids = rn_realloc(set->type_ids, set->token_capacity, more, sizeof *set->type_ids);
        set->token_capacity = more;
    }
    memcpy(set->ids + set->tokens, encoding->ids, encoding->length * sizeof *set->ids);
    memcpy(set->type_ids + set->tokens, encoding->type_ids, encoding->length);
    set->tokens = needed;
}

static void append_example(struct rn_dataset *set, struct stored example)
{
    if (set->count == set->capacity) {
        const size_t more = set->capacity == 0 ? 1024 : set->capacity + set->capacity / 2;
        set->examples = rn_realloc(set->examples, set->capacity, more, sizeof *set->examples);
        set->capacity = more;
    }
    set->examples[set->count++] = example;
    if (example.length > set->longest) {
        set->longest = example.length;
    }
    if (example.label >= 0 && (size_t)example.label >= set->label_count) {
        set->label_count = (size_t)example.label + 1;
    }
}

static void widen_ids(struct rn_dataset_range *range, const struct rn_encoding *encoding)
{
    for (size_t i = 0; i < encoding->length; i++) {
        range->ids = encoding->ids[i] >= range->ids ? encoding->ids[i] + 1 : range->ids;
        range->types =
            encoding->type_ids[i] >= range->types ? encoding->type_ids[i] + 1u : range->types;
    }
}

static void widen_labels(struct rn_dataset_range *range, int32_t label, bool first)
{
    range->label_least = first || label < range->label_least ? label : range->label_least;
    range->label_most = first || label > range->label_most ? label : range->label_most;
}

/* The record's ids, behind those of the set. */
static rn_result read_text(struct rn_dataset *set, struct reader *reader,
                           const struct rn_data_spec *spec, const struct rn_record *record,
                           struct stored *out, struct rn_error *err)
{
    struct rn_encoding *encoding = &reader->encoding;
    const unsigned long long line = record->line;

    const rn_result encoded = rn_tokenizer_encode(reader->tokenizer, record->text,
                                                  spec->pair_column == NULL ? NULL : &record->pair,
                                                  reader->max_length, encoding, err);
    if (!rn_is_ok(encoded)) {
        return rn_fail_context(err, encoded, "%s:%llu", spec->path, line);
    }
    RN_ENSURE(encoding->length > 0, err, RN_E_DATA,
              "%s:%llu: the text has no token, and the tokenizer adds none", spec->path, line);
    RN_ENSURE(set->tokens + encoding->length <= RN_DATASET_TOKENS_MAX, err, RN_E_DATA,
              "%s: more than %zu tokens", spec->path, RN_DATASET_TOKENS_MAX);
    out->start = set->tokens;
    out->length = (uint32_t)encoding->length;
    widen_ids(&set->range, encoding);
    append_ids(set, encoding);
    return rn_ok();
}

/* The record's numbers, behind those of the set. */
static rn_result read_row(struct rn_dataset *set, const struct reader *reader,
                          const struct rn_data_spec *spec, const struct rn_record *record,
                          struct stored *out, struct rn_error *err)
{
    const size_t at = set->count * set->width;

    RN_ENSURE(at + set->width <= RN_DATASET_TOKENS_MAX, err, RN_E_DATA, "%s: more than %zu numbers",
              spec->path, RN_DATASET_TOKENS_MAX);
    if (set->count == set->row_capacity) {
        const size_t more = set->row_capacity == 0 ? 256 : 2 * set->row_capacity;
        set->rows = rn_realloc(set->rows, set->row_capacity * set->width, more * set->width,
                               sizeof *set->rows);
        set->row_capacity = more;
    }
    const rn_result parsed =
        rn_row_parse(record->text, reader->scale, set->width, set->rows + at, err);
    if (!rn_is_ok(parsed)) {
        return rn_fail_context(err, parsed, "%s:%llu", spec->path,
                               (unsigned long long)record->line);
    }
    out->start = set->count;
    out->length = 1;
    set->tokens++;
    return rn_ok();
}

static rn_result add_record(struct rn_dataset *set, struct reader *reader,
                            const struct rn_data_spec *spec, const struct rn_label_spec *labels,
                            const struct rn_record *record, struct rn_error *err)
{
    struct stored example = {0};

    RN_TRY(set_label(spec, labels, record, &example, err));
    RN_ENSURE(set->count < RN_DATASET_RECORDS_MAX, err, RN_E_DATA, "%s: more than %zu records",
              spec->path, RN_DATASET_RECORDS_MAX);
    RN_TRY(reader->tokenizer != NULL ? read_text(set, reader, spec, record, &example, err)
                                     : read_row(set, reader, spec, record, &example, err));
    widen_labels(&set->range, example.label, set->count == 0);
    append_example(set, example);
    return rn_ok();
}

/* Texts for a model that reads texts; a row may stand in a text column. */
static rn_result check_kind(const struct reader *reader, const struct rn_data_spec *spec,
                            const struct rn_records *records, struct rn_error *err)
{
    RN_ENSURE(reader->tokenizer == NULL || !rn_records_are_rows(records), err, RN_E_USAGE,
              "%s: its records are rows of numbers, and the model reads texts: name the column of "
              "the text",
              spec->path);
    RN_ENSURE(reader->tokenizer != NULL || spec->pair_column == NULL, err, RN_E_USAGE,
              "%s: the model reads one row of numbers a record, and no pair of columns",
              spec->path);
    return rn_ok();
}

static rn_result load_all(struct rn_dataset *set, struct reader *reader,
                          const struct rn_data_spec *spec, const struct rn_label_spec *labels,
                          struct rn_error *err)
{
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    struct rn_record record;

    RN_TRY(rn_records_open(spec, &records, err));
    RN_TRY(check_kind(reader, spec, records, err));
    for (;;) {
        bool any = false;
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            break;
        }
        RN_TRY(add_record(set, reader, spec, labels, &record, err));
    }
    RN_ENSURE(set->count > 0, err, RN_E_DATA, "%s: the file holds no record", spec->path);
    return rn_ok();
}

static rn_result load(struct rn_dataset *set, struct reader *reader,
                      const struct rn_data_spec *spec, const struct rn_label_spec *labels,
                      struct rn_dataset **out, struct rn_error *err)
{
    const rn_result result = load_all(set, reader, spec, labels, err);
    if (!rn_is_ok(result)) {
        rn_dataset_free(set);
        return result;
    }
    if (spec->label_column != NULL) {
        set->label_count = labels->task == RN_TASK_REGRESSION ? 1
                           : labels->count > 0                ? labels->count
                                                              : set->label_count;
    }
    *out = set;
    return rn_ok();
}

rn_result rn_dataset_load(const struct rn_tokenizer *tokenizer, const struct rn_data_spec *spec,
                          const struct rn_label_spec *labels, size_t max_length,
                          struct rn_dataset **out, struct rn_error *err)
{
    RN_CLEANUP(reader_clear)
    struct reader reader = {.tokenizer = tokenizer, .max_length = max_length};
    return load(rn_alloc(1, sizeof(struct rn_dataset)), &reader, spec, labels, out, err);
}

rn_result rn_dataset_load_rows(const struct rn_row_scale *scale, uint32_t width,
                               const struct rn_data_spec *spec, const struct rn_label_spec *labels,
                               struct rn_dataset **out, struct rn_error *err)
{
    struct reader reader = {.scale = scale};
    struct rn_dataset *set = rn_alloc(1, sizeof *set);
    set->width = width;
    set->range.width = width;
    return load(set, &reader, spec, labels, out, err);
}

void rn_dataset_free(struct rn_dataset *set)
{
    if (set == NULL) {
        return;
    }
    rn_free(set->examples);
    rn_free(set->ids);
    rn_free(set->type_ids);
    rn_free(set->rows);
    rn_free(set);
}

size_t rn_dataset_count(const struct rn_dataset *set)
{
    return set->count;
}

struct rn_example rn_dataset_at(const struct rn_dataset *set, size_t index)
{
    RN_BUG_IF(index >= set->count);
    const struct stored *example = &set->examples[index];
    const bool rows = set->width > 0;
    return (struct rn_example){
        .ids = rows ? NULL : set->ids + example->start,
        .type_ids = rows ? NULL : set->type_ids + example->start,
        .row = rows ? set->rows + example->start * set->width : NULL,
        .length = example->length,
        .label = example->label,
        .target = example->target,
    };
}

size_t rn_dataset_label_count(const struct rn_dataset *set)
{
    return set->label_count;
}

struct rn_dataset_range rn_dataset_range(const struct rn_dataset *set)
{
    return set->range;
}

size_t rn_dataset_tokens(const struct rn_dataset *set)
{
    return set->tokens;
}

uint32_t rn_dataset_longest(const struct rn_dataset *set)
{
    return set->longest;
}
