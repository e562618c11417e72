/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of `rondo-bench`: names of settings, operations of a token, bars.
 */
#include "services/bench/benchsetting.h"
#include "services/cli/kit/svgbars.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static size_t parse(const char *names, const char *shape, struct rn_bench_setting *out)
{
    struct rn_error err = {{0}};
    size_t count = 0;
    const rn_result result =
        rn_bench_settings_parse(names, rn_bench_shape_find(shape), out, &count, &err);
    assert_string_equal(err.text, "");
    assert_true(rn_is_ok(result));
    return count;
}

static void names_with_and_without_shape(void **state)
{
    struct rn_bench_setting found[RN_BENCH_SETTINGS_MAX];
    (void)state;
    assert_int_equal(parse("base-all-128,all-glue", "large", found), 2);
    assert_string_equal(found[0].name, "base-all-128");
    assert_string_equal(found[1].name, "large-all-glue");
    assert_false(found[0].glue);
    assert_true(found[1].glue);
    assert_int_equal(found[1].first_layer, 0);
}

static void standard_settings(void **state)
{
    struct rn_bench_setting all[RN_BENCH_SETTINGS_MAX];
    struct rn_bench_setting found[RN_BENCH_SETTINGS_MAX];
    size_t standard = 0;
    (void)state;
    const size_t count = rn_bench_settings_of(rn_bench_shape_find("large"), all);
    for (size_t i = 0; i < count; i++) {
        standard += all[i].standard;
    }
    assert_int_equal(parse(NULL, "large", found), standard);
    assert_true(standard > 0 && standard < count);
}

static void upper_layers(void **state)
{
    struct rn_bench_setting found[RN_BENCH_SETTINGS_MAX];
    (void)state;
    (void)parse("large-p2-glue,large-top2-128,small-top2-glue", "large", found);
    assert_int_equal(found[0].first_layer, 15);
    assert_int_equal(found[1].first_layer, 22);
    assert_int_equal(found[2].first_layer, 2);
    assert_true(found[0].later_epochs);
}

static void unknown_names(void **state)
{
    struct rn_bench_setting found[RN_BENCH_SETTINGS_MAX];
    struct rn_error err = {{0}};
    size_t count = 0;
    const struct rn_bench_shape *large = rn_bench_shape_find("large");
    (void)state;
    assert_null(rn_bench_shape_find("huge"));
    assert_int_equal(rn_bench_settings_parse("large-all-18", large, found, &count, &err).code,
                     RN_E_USAGE);
    assert_non_null(strstr(err.text, "did you mean \"large-all-128\""));
    assert_int_equal(rn_bench_settings_parse("all-128,", large, found, &count, &err).code, RN_OK);
    assert_int_equal(rn_bench_settings_parse(",all-128", large, found, &count, &err).code,
                     RN_E_USAGE);
    assert_int_equal(rn_bench_settings_parse("", large, found, &count, &err).code, RN_E_USAGE);
}

/* At and beyond the most that one list may name. */
static void most_names(void **state)
{
    struct rn_bench_setting found[RN_BENCH_SETTINGS_MAX];
    char names[(RN_BENCH_SETTINGS_MAX + 1) * 8 + 1] = "";
    struct rn_error err = {{0}};
    size_t count = 0;
    (void)state;
    for (int i = 0; i < RN_BENCH_SETTINGS_MAX; i++) {
        memcpy(names + (size_t)i * 8, "all-128,", 9);
    }
    assert_int_equal(parse(names, "small", found), RN_BENCH_SETTINGS_MAX);
    memcpy(names + (size_t)RN_BENCH_SETTINGS_MAX * 8, "all-128,", 9);
    assert_int_equal(
        rn_bench_settings_parse(names, rn_bench_shape_find("small"), found, &count, &err).code,
        RN_E_USAGE);
}

/* RoBERTa-large has 302 M parameters in its products: 4 P a token when every layer is adapted. */
static void operations(void **state)
{
    struct rn_bench_setting found[RN_BENCH_SETTINGS_MAX];
    const double parameters = 24.0 * (4.0 * 1024 * 1024 + 2.0 * 1024 * 4096);
    (void)state;
    (void)parse("large-all-128,large-p2-128", "large", found);
    assert_true(fabs(rn_bench_token_operations(&found[0]) - 4.0 * parameters) < 1.0);
    assert_true(fabs(rn_bench_token_operations(&found[1]) - 2.0 * parameters * 33 / 24) < 1.0);
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

static void bars(void **state)
{
    const struct rn_bar list[] = {
        {"a < b & c", 1.364, 0, 1.0, 2.0}, {"later", 28.07, 1, 0, 0}, {"none", 0.0, 7, 0, 0}};
    struct rn_bars bars = {.title = "speed", .unit = "x", .line = 1.0, .bars = list, .count = 3};
    struct rn_buffer out = {0};
    struct rn_error err = {{0}};
    (void)state;
    assert_true(rn_is_ok(rn_bars_write(&bars, &out, &err)));
    const char *text = rn_buffer_text(&out);
    assert_int_equal(occurrences(text, "<rect"), 4); /* the page and three bars */
    assert_non_null(strstr(text, "a &#60; b &#38; c"));
    assert_int_equal(occurrences(text, "stroke=\"#000\""), 1); /* one interval */
    assert_non_null(strstr(text, ">1.36x<"));
    assert_non_null(strstr(text, ">28.1x<"));
    assert_int_equal(occurrences(text, "stroke-dasharray"), 1);
    assert_null(strstr(text, "nan"));
    bars.count = 0;
    assert_int_equal(rn_bars_write(&bars, &out, &err).code, RN_E_DATA);
    rn_buffer_clear(&out);
}

static void most_bars(void **state)
{
    static struct rn_bar list[RN_BARS_MAX + 1];
    struct rn_bars bars = {.title = "", .unit = "", .bars = list, .count = RN_BARS_MAX};
    struct rn_buffer out = {0};
    struct rn_error err = {{0}};
    (void)state;
    assert_true(rn_is_ok(rn_bars_write(&bars, &out, &err)));
    bars.count = RN_BARS_MAX + 1;
    assert_int_equal(rn_bars_write(&bars, &out, &err).code, RN_E_DATA);
    rn_buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_and_without_shape),
        cmocka_unit_test(standard_settings),
        cmocka_unit_test(upper_layers),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(most_names),
        cmocka_unit_test(operations),
        cmocka_unit_test(bars),
        cmocka_unit_test(most_bars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
