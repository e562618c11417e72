/* SPDX-License-Identifier: Apache-2.0
 *
 * Every way to divide a file: each record goes to one client, in the proportions that were asked
 * for, and to the same one again.
 */
#include "trainer/data/datapartition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"

#define RECORDS 600
#define CLASSES 3
#define PARTS_MAX 16

static char folder[] = "/tmp/rondo-partition-XXXXXX";
static char source[RN_PATH_MAX];
static char paths[PARTS_MAX][RN_PATH_MAX];
static const char *list[PARTS_MAX];
static const char *const labels[CLASSES] = {"red", "green", "blue"};
static struct rn_error error;

/* Record i is "text i", of class i mod 3, from site i mod 5. */
static int set_up(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    assert_non_null(mkdtemp(folder));
    (void)rn_text_format(source, sizeof(source), "%s/all.tsv", folder);
    rn_buffer_format(&text, "text\tlabel\tsite\n");
    for (unsigned i = 0; i < RECORDS; i++) {
        rn_buffer_format(&text, "text %u\t%s\tsite-%u\n", i, labels[i % CLASSES], i % 5);
    }
    for (size_t p = 0; p < PARTS_MAX; p++) {
        (void)rn_text_format(paths[p], RN_PATH_MAX, "%s/part-%zu.jsonl", folder, p);
        list[p] = paths[p];
    }
    return rn_is_ok(rn_file_write(source, rn_buffer_view(&text), 0600, &error)) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t p = 0; p < PARTS_MAX; p++) {
        (void)unlink(paths[p]);
    }
    (void)unlink(source);
    return rmdir(folder);
}

static struct rn_partition_spec spec_of(enum rn_partition_kind kind, size_t parts)
{
    return (struct rn_partition_spec){
        .kind = kind,
        .alpha = 0.5,
        .classes = 1,
        .column = "site",
        .data = {.path = source, .text_column = "text", .label_column = "label"},
        .labels = labels,
        .label_count = CLASSES,
        .out_paths = list,
        .parts = parts,
        .seed = 3};
}

/* Times that `word` stands in a part. */
static size_t count_of(size_t part, const char *word)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
    size_t count = 0;
    assert_true(rn_is_ok(rn_file_read(paths[part], 1 << 20, &text, &error)));
    for (const char *at = rn_buffer_text(&text); (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Divides, and looks that every record stands in exactly one part. */
static void divide(const struct rn_partition_spec *spec, size_t *counts)
{
    size_t records = 0;
    unsigned seen[RECORDS] = {0};
    if (!rn_is_ok(rn_data_partition(spec, counts, &error))) {
        fail_msg("%s", error.text);
    }
    for (size_t p = 0; p < spec->parts; p++) {
        RN_CLEANUP(rn_buffer_clear) struct rn_buffer text = {0};
        assert_true(rn_is_ok(rn_file_read(paths[p], 1 << 20, &text, &error)));
        for (const char *at = rn_buffer_text(&text); (at = strstr(at, "text ")) != NULL; at++) {
            seen[strtoul(at + 5, NULL, 10)]++;
        }
        records += counts[p];
        assert_int_equal(count_of(p, "\"label\""), counts[p]);
    }
    assert_int_equal(records, RECORDS);
    for (size_t i = 0; i < RECORDS; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void uniform_parts_are_equal(void **state)
{
    (void)state;
    size_t counts[PARTS_MAX];
    const struct rn_partition_spec spec = spec_of(RN_PARTITION_UNIFORM, 8);
    divide(&spec, counts);
    for (size_t p = 0; p < 8; p++) {
        assert_int_equal(counts[p], RECORDS / 8);
        assert_true(count_of(p, "red") > 0 && count_of(p, "red") < counts[p]);
    }
}

static void the_seed_decides(void **state)
{
    (void)state;
    size_t counts[PARTS_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer first = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer again = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer other = {0};
    struct rn_partition_spec spec = spec_of(RN_PARTITION_UNIFORM, 4);
    divide(&spec, counts);
    assert_true(rn_is_ok(rn_file_read(paths[0], 1 << 20, &first, &error)));
    divide(&spec, counts);
    assert_true(rn_is_ok(rn_file_read(paths[0], 1 << 20, &again, &error)));
    spec.seed++;
    divide(&spec, counts);
    assert_true(rn_is_ok(rn_file_read(paths[0], 1 << 20, &other, &error)));
    assert_true(rn_view_equal(rn_buffer_view(&first), rn_buffer_view(&again)));
    assert_false(rn_view_equal(rn_buffer_view(&first), rn_buffer_view(&other)));
}

static void clients_have_k_classes(void **state)
{
    (void)state;
    size_t counts[PARTS_MAX];
    struct rn_partition_spec spec = spec_of(RN_PARTITION_LABELS, 6);
    divide(&spec, counts);
    for (size_t p = 0; p < 6; p++) { /* one class, that two clients share */
        assert_int_equal(counts[p], RECORDS / CLASSES / 2);
        assert_int_equal(count_of(p, labels[p % CLASSES]), counts[p]);
    }
    spec.classes = 2;
    spec.parts = 3;
    divide(&spec, counts);
    for (size_t p = 0; p < 3; p++) { /* classes 2p and 2p + 1; each has two owners */
        assert_int_equal(counts[p], RECORDS / 3);
        assert_int_equal(count_of(p, labels[2 * p % CLASSES]), RECORDS / 6);
        assert_int_equal(count_of(p, labels[(2 * p + 1) % CLASSES]), RECORDS / 6);
    }
}

static void a_column_makes_a_client_a_value(void **state)
{
    (void)state;
    size_t counts[PARTS_MAX];
    size_t values = 0;
    struct rn_partition_spec spec = spec_of(RN_PARTITION_COLUMN, 5);
    assert_true(rn_is_ok(rn_data_partition_values(&spec.data, "site", &values, &error)));
    assert_int_equal(values, 5);
    divide(&spec, counts);
    for (size_t p = 0; p < 5; p++) { /* in order of appearance: record p is the first of site p */
        char first[16];
        (void)rn_text_format(first, sizeof(first), "text %zu\"", p);
        assert_int_equal(counts[p], RECORDS / 5);
        assert_int_equal(count_of(p, first), 1);
    }
    spec.parts = 4;
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_USAGE);
    assert_non_null(strstr(error.text, "holds 5 values"));
}

/* The largest part over the mean part. */
static double skew(enum rn_partition_kind kind, double alpha)
{
    size_t counts[PARTS_MAX];
    size_t largest = 0;
    struct rn_partition_spec spec = spec_of(kind, 6);
    spec.alpha = alpha;
    divide(&spec, counts);
    for (size_t p = 0; p < 6; p++) {
        largest = counts[p] > largest ? counts[p] : largest;
    }
    return (double)largest * 6 / RECORDS;
}

static void a_smaller_alpha_is_more_skewed(void **state)
{
    (void)state;
    /* A Dirichlet part of 6 with alpha 1e5 has mean 1/6 and deviation below 1/4900. */
    assert_true(skew(RN_PARTITION_QUANTITY, 1e5) < 1.02);
    assert_true(skew(RN_PARTITION_DIRICHLET, 1e5) < 1.04);
    assert_true(skew(RN_PARTITION_QUANTITY, 0.5) > 1.2);
    assert_true(skew(RN_PARTITION_DIRICHLET, 0.1) > 1.2);
}

static void nobody_stays_empty(void **state)
{
    (void)state;
    size_t counts[PARTS_MAX];
    struct rn_partition_spec spec = spec_of(RN_PARTITION_QUANTITY, PARTS_MAX);
    spec.alpha = 0.001; /* nearly all to one: no draw of a hundred gives everybody a record */
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_DATA);
    assert_non_null(strstr(error.text, "larger alpha"));
    spec.alpha = 1; /* some draw does */
    divide(&spec, counts);
    for (size_t p = 0; p < PARTS_MAX; p++) {
        assert_true(counts[p] > 0);
    }
}

static void limits(void **state)
{
    (void)state;
    size_t counts[PARTS_MAX];
    struct rn_partition_spec spec = spec_of(RN_PARTITION_UNIFORM, 0);
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_USAGE);
    spec.parts = RN_PARTITION_PARTS_MAX + 1;
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_USAGE);
    spec = spec_of(RN_PARTITION_DIRICHLET, 2);
    spec.alpha = RN_PARTITION_ALPHA_MIN / 2;
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_USAGE);
    spec.alpha = RN_PARTITION_ALPHA_MAX * 2;
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_USAGE);
    spec = spec_of(RN_PARTITION_LABELS, 3);
    spec.classes = CLASSES + 1;
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_USAGE);
    spec.classes = CLASSES;
    divide(&spec, counts);
    spec.label_count = 2; /* blue is none */
    spec.classes = 1;
    assert_int_equal(rn_data_partition(&spec, counts, &error).code, RN_E_DATA);
    assert_non_null(strstr(error.text, ":4: the label is not one of the 2 classes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniform_parts_are_equal),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(clients_have_k_classes),
        cmocka_unit_test(a_column_makes_a_client_a_value),
        cmocka_unit_test(a_smaller_alpha_is_more_skewed),
        cmocka_unit_test(nobody_stays_empty),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
