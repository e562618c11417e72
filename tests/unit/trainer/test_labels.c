/* SPDX-License-Identifier: Apache-2.0
 *
 * Classes: how cells, files and models name them.
 */
#include "tests/unit/base/textfixture.h"

#include "trainer/data/labellist.h"
#include "trainer/data/labels.h"

static struct rn_data_spec labelled(const char *content)
{
    return (struct rn_data_spec){
        .path = fixture_text("l.tsv", content), .text_column = "t", .label_column = "l"};
}

/* Names found in a file, "a|b|". */
static void finds(const char *content, const char *expected)
{
    RN_CLEANUP(rn_label_list_clear) struct rn_label_list list = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer got = {0};
    struct rn_error err = {{0}};
    const struct rn_data_spec spec = labelled(content);

    assert_ok(rn_label_list_discover(&spec, &list, &err), &err);
    for (size_t i = 0; i < list.count; i++) {
        rn_buffer_format(&got, "%s|", list.names[i]);
    }
    assert_string_equal(rn_buffer_text(&got), expected);
}

static void finds_nothing(const char *content, const char *part)
{
    struct rn_label_list list = {0};
    struct rn_error err = {{0}};
    const struct rn_data_spec spec = labelled(content);

    assert_failure(rn_label_list_discover(&spec, &list, &err), RN_E_DATA, &err, part);
}

static void numbers_sort_as_numbers(void **state)
{
    (void)state;
    finds("t\tl\nx\t2\nx\t0\n", "0|1|2|");
    finds("t\tl\nx\t10.0\nx\t0.0\nx\t9.0\n", "0|1|2|3|4|5|6|7|8|9|10|");
    finds("t\tl\nx\t10\nx\t-2\nx\t9.5\nx\t-2.0\n", "-2|9.5|10|");
    finds("t\tl\nx\t-1\nx\t1\n", "-1|1|");
    finds("t\tl\nx\tb\nx\ta\nx\tB\n", "B|a|b|");
    finds("t\tl\nx\tnone\nx\t10\nx\t9\n", "9|10|none|");
    finds("t\tl\nx\tnan\nx\tinf\nx\t0x1\n", "0x1|inf|nan|");
}

static void minus_one_marks_a_record_without_a_label(void **state)
{
    (void)state;
    finds_nothing("t\tl\nx\t-1\nx\t0\nx\t1\n", "-1");
    finds_nothing("t\tl\nx\t-1\nx\t-1\n", "-1");
    finds_nothing("t\tl\nx\t-1.0\nx\t0.0\n", "-1");
    finds_nothing("t\tl\nx\ta\nx\ta\n", "--labels");
}

static int32_t class_in(const char *const *names, size_t count, const char *cell)
{
    const struct rn_label_spec labels = {.names = names, .count = count};
    return rn_label_class(&labels, rn_view_text(cell));
}

static void a_cell_is_a_name_or_a_number(void **state)
{
    static const char *const words[] = {"positive", "negative", "neutral"};
    static const char *const numbers[] = {"0", "10", "2"};

    (void)state;
    assert_int_equal(class_in(words, 3, "negative"), 1);
    assert_int_equal(class_in(words, 3, "1"), 1);
    assert_int_equal(class_in(words, 3, "1.0"), 1);
    assert_int_equal(class_in(words, 3, "LABEL_2"), 2);
    assert_int_equal(class_in(words, 3, "3"), -1);
    assert_int_equal(class_in(words, 3, "-1"), -1);
    assert_int_equal(class_in(words, 3, "0.5"), -1);
    assert_int_equal(class_in(words, 3, "Negative"), -1);
    assert_int_equal(class_in(words, 3, ""), -1);
    assert_int_equal(class_in(numbers, 3, "10"), 1); /* a name, not the place */
    assert_int_equal(class_in(numbers, 3, "10.0"), 1);
    assert_int_equal(class_in(numbers, 3, "1"), -1);
    assert_int_equal(class_in(NULL, 3, "2.0"), 2);
    assert_int_equal(class_in(NULL, 3, "3"), -1);
    assert_int_equal(class_in(NULL, 0, "4095"), RN_TRAINER_LABELS_MAX - 1);
    assert_int_equal(class_in(NULL, 0, "4096"), -1);
}

static void what_is_no_class_is_listed_with_the_classes(void **state)
{
    static char yes[] = "yes";
    static char no[] = "no";
    char *names[] = {yes, no};
    const struct rn_label_list list = {names, 2};
    struct rn_error err = {{0}};
    struct rn_data_spec spec = labelled("t\tl\nx\tyes\nx\tno\nx\t1\n");

    (void)state;
    assert_ok(rn_label_list_check(&spec, &list, &err), &err);
    spec = labelled("t\tl\nx\tyes\nx\tmaybe\nx\t2\nx\tmaybe\n");
    assert_failure(rn_label_list_check(&spec, &list, &err), RN_E_DATA, &err,
                   "l.tsv:3: column \"l\" holds labels that are no class here: maybe, 2; the "
                   "classes are yes, no");
    spec = labelled("t\tl\nx\tthis cell is far too long for a label SECRET\n");
    assert_failure(rn_label_list_check(&spec, &list, &err), RN_E_DATA, &err, "(a long text)");
    assert_null(strstr(err.text, "SECRET"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_sort_as_numbers),
        cmocka_unit_test(minus_one_marks_a_record_without_a_label),
        cmocka_unit_test(a_cell_is_a_name_or_a_number),
        cmocka_unit_test(what_is_no_class_is_listed_with_the_classes),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_remove);
}
