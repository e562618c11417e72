/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups, proportions, cuts; then the file once more, each record to its part.
 */
#include "trainer/data/datapartition.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "trainer/data/labellist.h"
#include "trainer/data/labels.h"
#include "trainer/data/recordwrite.h"
#include "trainer/ground/generator.h"

#include <math.h>
#include <string.h>

#define GAMMA_TRIES 1000u /* one accepts at least 95 of 100 (Marsaglia and Tsang 2000) */

struct division {
    const struct rn_partition_spec *spec;
    uint32_t *group; /* [records] */
    uint32_t *part;  /* [records] */
    size_t records, capacity;
    size_t groups;
    double *weights; /* [groups * parts], sum 1 over the parts of a group */
};

static void division_clear(struct division *division)
{
    rn_free(division->group);
    rn_free(division->part);
    rn_free(division->weights);
}

/* ---- Groups */

static rn_result value_group(struct rn_label_list *values, const char *path, struct rn_view value,
                             size_t *out, struct rn_error *err)
{
    for (*out = 0; *out < values->count; (*out)++) {
        if (rn_view_equal(value, rn_view_text(values->names[*out]))) {
            return rn_ok();
        }
    }
    RN_ENSURE(
        values->count < RN_PARTITION_PARTS_MAX && memchr(value.data, 0, value.length) == NULL &&
            rn_label_list_append(values, (const char *)value.data, value.length),
        err, RN_E_DATA, "%s: the column holds more than %d values", path, RN_PARTITION_PARTS_MAX);
    return rn_ok();
}

static rn_result group_of(const struct rn_partition_spec *spec, const struct rn_record *record,
                          struct rn_label_list *values, size_t *out, struct rn_error *err)
{
    *out = 0;
    if (spec->kind == RN_PARTITION_UNIFORM || spec->kind == RN_PARTITION_QUANTITY) {
        return rn_ok();
    }
    if (spec->kind == RN_PARTITION_COLUMN) {
        return value_group(values, spec->data.path, record->label, out, err);
    }
    const struct rn_label_spec labels = {
        .task = RN_TASK_CLASSIFICATION, .names = spec->labels, .count = spec->label_count};
    const int32_t found = rn_label_class(&labels, record->label);
    RN_ENSURE(found >= 0, err, RN_E_DATA, "%s:%llu: the label is not one of the %zu classes",
              spec->data.path, (unsigned long long)record->line, spec->label_count);
    *out = (size_t)found;
    return rn_ok();
}

static void add_record(struct division *division, size_t group)
{
    if (division->records == division->capacity) {
        const size_t more = division->capacity == 0 ? 1024 : 2 * division->capacity;
        division->group =
            rn_realloc(division->group, division->capacity, more, sizeof(*division->group));
        division->capacity = more;
    }
    division->group[division->records++] = (uint32_t)group;
    division->groups = group >= division->groups ? group + 1 : division->groups;
}

static rn_result read_groups(struct division *division, struct rn_error *err)
{
    struct rn_data_spec data = division->spec->data;
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list values = {0};
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    struct rn_record record;
    data.label_column =
        division->spec->kind == RN_PARTITION_COLUMN ? division->spec->column : data.label_column;
    RN_TRY(rn_records_open(&data, &records, err));
    for (bool any = true;;) {
        size_t group = 0;
        RN_TRY(rn_records_next(records, &record, &any, err));
        if (!any) {
            break;
        }
        RN_ENSURE(division->records < UINT32_MAX, err, RN_E_DATA, "%s: too many records",
                  data.path);
        RN_TRY(group_of(division->spec, &record, &values, &group, err));
        add_record(division, group);
    }
    RN_ENSURE(division->records > 0, err, RN_E_DATA, "%s: the file holds no record", data.path);
    return rn_ok();
}

/* ---- Proportions */

static double uniform_of(const struct rn_generator *generator, uint64_t index, uint32_t attempt)
{
    uint32_t words[4];
    rn_generator_words(generator, index, attempt, words);
    return ((double)words[0] + 0.5) / 4294967296.0;
}

static double normal_of(const struct rn_generator *generator, uint64_t index, uint32_t attempt)
{
    uint32_t words[4];
    rn_generator_words(generator, index, attempt, words);
    const double radius = sqrt(-2.0 * log(((double)words[1] + 0.5) / 4294967296.0));
    return radius * cos(6.283185307179586 * ((double)words[2] + 0.5) / 4294967296.0);
}

/* Logarithm of a Gamma(alpha, 1) draw, by Marsaglia and Tsang's method for alpha + 1 and the boost
 * u^(1/alpha): as a logarithm, because a small alpha would make it underflow. */
static double log_gamma_of(const struct rn_generator *generator, double alpha, uint64_t index)
{
    const double d = alpha + 1.0 - 1.0 / 3.0;
    const double boost = log(uniform_of(generator, index, UINT32_MAX)) / alpha;
    for (uint32_t attempt = 0; attempt < GAMMA_TRIES; attempt++) {
        const double x = normal_of(generator, index, attempt);
        const double root = 1.0 + x / sqrt(9.0 * d);
        const double v = root * root * root;
        if (root > 0.0 &&
            log(uniform_of(generator, index, attempt)) < 0.5 * x * x + d - d * v + d * log(v)) {
            return log(d) + log(v) + boost;
        }
    }
    return log(d) + boost;
}

static void draw_dirichlet(const struct rn_generator *generator, double alpha, size_t group,
                           size_t parts, double *out)
{
    double most = -INFINITY;
    double total = 0.0;
    for (size_t p = 0; p < parts; p++) {
        out[p] = log_gamma_of(generator, alpha, (uint64_t)group * RN_PARTITION_PARTS_MAX + p);
        most = fmax(most, out[p]);
    }
    for (size_t p = 0; p < parts; p++) {
        out[p] = exp(out[p] - most);
        total += out[p];
    }
    for (size_t p = 0; p < parts; p++) {
        out[p] /= total;
    }
}

static bool owns(const struct rn_partition_spec *spec, size_t part, size_t class_)
{
    const size_t first = part * spec->classes % spec->label_count;
    return (class_ + spec->label_count - first) % spec->label_count < spec->classes;
}

static void share_class(const struct rn_partition_spec *spec, size_t class_, double *out)
{
    size_t owners = 0;
    for (size_t p = 0; p < spec->parts; p++) {
        owners += owns(spec, p, class_);
    }
    for (size_t p = 0; p < spec->parts; p++) { /* a class of nobody goes unused */
        out[p] = owns(spec, p, class_) ? 1.0 / (double)owners : 0.0;
    }
}

static void fill_weights(struct division *division, const struct rn_generator *generator)
{
    const struct rn_partition_spec *spec = division->spec;
    for (size_t g = 0; g < division->groups; g++) {
        double *weights = division->weights + g * spec->parts;
        switch (spec->kind) {
        case RN_PARTITION_UNIFORM:
            for (size_t p = 0; p < spec->parts; p++) {
                weights[p] = 1.0 / (double)spec->parts;
            }
            break;
        case RN_PARTITION_QUANTITY:
        case RN_PARTITION_DIRICHLET:
            draw_dirichlet(generator, spec->alpha, g, spec->parts, weights);
            break;
        case RN_PARTITION_LABELS:
            share_class(spec, g, weights);
            break;
        case RN_PARTITION_COLUMN:
            weights[g] = 1.0;
            break;
        }
    }
}

/* ---- Cuts */

/* Deals count shuffled records of a group. A group that no part owns keeps the mark `parts`. */
static void deal(struct division *division, const double *weights, const uint32_t *members,
                 size_t count)
{
    const size_t parts = division->spec->parts;
    double sum = 0.0;
    size_t first = 0;
    for (size_t p = 0; p < parts; p++) {
        sum += weights[p];
        const double cut = floor(sum * (double)count + 0.5);
        const size_t end = cut < (double)count ? (size_t)cut : count;
        for (; first < end; first++) {
            division->part[members[first]] = (uint32_t)p;
        }
    }
}

static void deal_all(struct division *division, const struct rn_generator *generator)
{
    const size_t records = division->records;
    RN_CLEANUP(rn_free_cleanup) uint32_t *order = rn_alloc(records, sizeof(*order));
    RN_CLEANUP(rn_free_cleanup) uint32_t *members = rn_alloc(records, sizeof(*members));
    rn_generator_permutation(generator, records, order);
    for (size_t i = 0; i < records; i++) {
        division->part[i] = (uint32_t)division->spec->parts;
    }
    for (size_t g = 0; g < division->groups; g++) {
        size_t count = 0;
        for (size_t i = 0; i < records; i++) {
            if (division->group[order[i]] == g) {
                members[count++] = order[i];
            }
        }
        deal(division, division->weights + g * division->spec->parts, members, count);
    }
}

static size_t first_empty(const struct division *division, size_t *counts)
{
    const size_t parts = division->spec->parts;
    memset(counts, 0, parts * sizeof(*counts));
    for (size_t i = 0; i < division->records; i++) {
        if (division->part[i] < parts) {
            counts[division->part[i]]++;
        }
    }
    for (size_t p = 0; p < parts; p++) {
        if (counts[p] == 0) {
            return p;
        }
    }
    return parts;
}

static rn_result divide(struct division *division, size_t *out_counts, struct rn_error *err)
{
    const struct rn_partition_spec *spec = division->spec;
    const bool drawn = spec->kind == RN_PARTITION_QUANTITY || spec->kind == RN_PARTITION_DIRICHLET;
    size_t empty = 0;
    division->part = rn_alloc(division->records, sizeof(*division->part));
    division->weights = rn_alloc(division->groups * spec->parts, sizeof(double));
    for (uint64_t attempt = 0; attempt < (drawn ? RN_PARTITION_ATTEMPTS : 1); attempt++) {
        const struct rn_generator generator =
            rn_generator_of(spec->seed + attempt * UINT64_C(0x9e3779b97f4a7c15), "data partition");
        fill_weights(division, &generator);
        deal_all(division, &generator);
        empty = first_empty(division, out_counts);
        if (empty == spec->parts) {
            return rn_ok();
        }
    }
    return rn_fail(err, RN_E_DATA,
                   "%s: client %zu of %zu stays without a record%s; take fewer clients",
                   spec->data.path, empty + 1, spec->parts, drawn ? ", or a larger alpha" : "");
}

/* ---- Parts */

static rn_result fill_parts(const struct division *division, struct rn_buffer *parts,
                            struct rn_error *err)
{
    const struct rn_partition_spec *spec = division->spec;
    RN_CLEANUP(rn_records_cleanup) struct rn_records *records = NULL;
    struct rn_record record;
    RN_TRY(rn_records_open(&spec->data, &records, err));
    for (size_t i = 0; i < division->records; i++) {
        bool any = false;
        RN_TRY(rn_records_next(records, &record, &any, err));
        RN_ENSURE(any, err, RN_E_DATA, "%s: the file has become shorter while it was read",
                  spec->data.path);
        if (division->part[i] < spec->parts) {
            RN_TRY(rn_record_write(&spec->data, &record, &parts[division->part[i]], err));
        }
    }
    return rn_ok();
}

static rn_result write_parts(const struct division *division, struct rn_error *err)
{
    const struct rn_partition_spec *spec = division->spec;
    struct rn_buffer *parts = rn_alloc(spec->parts, sizeof(*parts));
    for (size_t p = 0; p < spec->parts; p++) {
        rn_buffer_init(&parts[p], RN_SPLIT_PART_BYTES_MAX);
    }
    rn_result result = fill_parts(division, parts, err);
    for (size_t p = 0; p < spec->parts; p++) {
        if (rn_is_ok(result)) {
            result = rn_file_write(spec->out_paths[p], rn_buffer_view(&parts[p]), 0600, err);
        }
        rn_buffer_clear(&parts[p]);
    }
    rn_free(parts);
    return result;
}

/* ---- Face */

static rn_result check(const struct rn_partition_spec *spec, struct rn_error *err)
{
    const bool drawn = spec->kind == RN_PARTITION_QUANTITY || spec->kind == RN_PARTITION_DIRICHLET;
    const bool classes = spec->kind == RN_PARTITION_DIRICHLET || spec->kind == RN_PARTITION_LABELS;
    RN_ENSURE(spec->parts >= 1 && spec->parts <= RN_PARTITION_PARTS_MAX, err, RN_E_USAGE,
              "clients must be 1 to %d", RN_PARTITION_PARTS_MAX);
    RN_ENSURE(
        !drawn || (spec->alpha >= RN_PARTITION_ALPHA_MIN && spec->alpha <= RN_PARTITION_ALPHA_MAX),
        err, RN_E_USAGE, "alpha must be %g to %g", RN_PARTITION_ALPHA_MIN, RN_PARTITION_ALPHA_MAX);
    RN_ENSURE(!classes || spec->label_count > 0, err, RN_E_USAGE,
              "a partition by classes needs a classification");
    RN_ENSURE(spec->kind != RN_PARTITION_LABELS ||
                  (spec->classes >= 1 && spec->classes <= spec->label_count),
              err, RN_E_USAGE, "a client may have 1 to %zu classes", spec->label_count);
    return rn_ok();
}

rn_result rn_data_partition(const struct rn_partition_spec *spec, size_t *out_counts,
                            struct rn_error *err)
{
    RN_TRY(check(spec, err));
    RN_CLEANUP(division_clear) struct division division = {.spec = spec};
    RN_TRY(read_groups(&division, err));
    RN_ENSURE(spec->kind != RN_PARTITION_COLUMN || division.groups == spec->parts, err, RN_E_USAGE,
              "column \"%s\" holds %zu values: as many clients, not %zu", spec->column,
              division.groups, spec->parts);
    RN_TRY(divide(&division, out_counts, err));
    return write_parts(&division, err);
}

rn_result rn_data_partition_values(const struct rn_data_spec *data, const char *column,
                                   size_t *out_count, struct rn_error *err)
{
    const struct rn_partition_spec spec = {
        .kind = RN_PARTITION_COLUMN, .column = column, .data = *data};
    RN_CLEANUP(division_clear) struct division division = {.spec = &spec};
    RN_TRY(read_groups(&division, err));
    *out_count = division.groups;
    return rn_ok();
}
