/* SPDX-License-Identifier: Apache-2.0
 *
 * Drawing a part for each record, writing JSON lines.
 */
#include "trainer/data/datasplit.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/data/recordwrite.h"
#include "trainer/ground/generator.h"

#include <string.h>

static bool prefers(size_t part, size_t class_, size_t classes, size_t parts)
{
    return classes <= parts ? part % classes == class_ : class_ % parts == part;
}

/* Uniform in [0, 1) for record `index`. */
static double draw(const struct rn_generator *generator, uint64_t index)
{
    uint32_t words[4];
    rn_generator_words(generator, index, 0, words);
    return (double)words[0] / 4294967296.0;
}

static size_t choose_part(const struct rn_split_spec *spec, size_t class_, double u)
{
    double weights[RN_SPLIT_PARTS_MAX];
    double total = 0.0;
    for (size_t p = 0; p < spec->parts; p++) {
        const double away = 1.0 - spec->skew * (double)(p + 1) / (double)spec->parts;
        weights[p] = prefers(p, class_, spec->label_count, spec->parts) ? 1.0 : away;
        total += weights[p];
    }
    for (size_t p = 0; p + 1 < spec->parts; p++) {
        u -= weights[p] / total;
        if (u < 0.0) {
            return p;
        }
    }
    return spec->parts - 1;
}

static rn_result class_of(const struct rn_split_spec *spec, const struct rn_record *record,
                          size_t *out, struct rn_error *err)
{
    for (size_t c = 0; c < spec->label_count; c++) {
        if (rn_view_equal(record->label, rn_view_text(spec->labels[c]))) {
            *out = c;
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_DATA, "%s:%llu: the label is not one of the %zu classes",
                   spec->data.path, (unsigned long long)record->line, spec->label_count);
}

static rn_result split_records(const struct rn_split_spec *spec, struct rn_records *records,
                               struct rn_buffer *parts, size_t *out_counts, struct rn_error *err)
{
    const struct rn_generator generator = rn_generator_of(spec->seed, "data split");
    struct rn_record record;
    bool any = true;
    for (uint64_t index = 0;; index++) {
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            return rn_ok();
        }
        size_t class_ = 0;
        RN_TRY(class_of(spec, &record, &class_, err));
        const size_t part = choose_part(spec, class_, draw(&generator, index));
        RN_TRY(rn_record_write(&spec->data, &record, &parts[part], err));
        out_counts[part * spec->label_count + class_]++;
    }
}

static rn_result write_parts(const struct rn_split_spec *spec, struct rn_buffer *parts,
                             const size_t *counts, struct rn_error *err)
{
    for (size_t p = 0; p < spec->parts; p++) {
        size_t records = 0;
        for (size_t c = 0; c < spec->label_count; c++) {
            records += counts[p * spec->label_count + c];
        }
        RN_ENSURE(records > 0, err, RN_E_DATA,
                  "%s: too few records for %zu parts: part %zu stays empty", spec->data.path,
                  spec->parts, p);
    }
    for (size_t p = 0; p < spec->parts; p++) {
        RN_TRY(rn_file_write(spec->out_paths[p], rn_buffer_view(&parts[p]), 0600, err));
    }
    return rn_ok();
}

rn_result rn_data_split(const struct rn_split_spec *spec, size_t *out_counts, struct rn_error *err)
{
    RN_ENSURE(spec->parts >= 1 && spec->parts <= RN_SPLIT_PARTS_MAX, err, RN_E_USAGE,
              "parts must be 1 to %d", RN_SPLIT_PARTS_MAX);
    RN_ENSURE(spec->skew >= 0.0 && spec->skew <= 1.0, err, RN_E_USAGE, "skew must be 0 to 1");
    RN_ENSURE(spec->label_count >= 1, err, RN_E_USAGE, "a split needs the classes");
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    RN_TRY(rn_records_open(&spec->data, &records, err));
    struct rn_buffer *parts = rn_alloc(spec->parts, sizeof(*parts));
    memset(out_counts, 0, spec->parts * spec->label_count * sizeof(*out_counts));
    for (size_t p = 0; p < spec->parts; p++) {
        rn_buffer_init(&parts[p], RN_SPLIT_PART_BYTES_MAX);
    }
    rn_result result = split_records(spec, records, parts, out_counts, err);
    if (rn_is_ok(result)) {
        result = write_parts(spec, parts, out_counts, err);
    }
    for (size_t p = 0; p < spec->parts; p++) {
        rn_buffer_clear(&parts[p]);
    }
    rn_free(parts);
    return result;
}
