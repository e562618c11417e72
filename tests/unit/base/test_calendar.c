/* SPDX-License-Identifier: Apache-2.0
 *
 * Days of the calendar: known ones, every one of a century, those that are none.
 */
#include "base/calendar.h"
#include "base/guard.h"
#include "tests/unit/aborts.h"

#include <string.h>

static void known_days(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t days;
    } known[] = {
        {"1970-01-01", 0},     {"1970-12-31", 364},   {"2000-02-29", 11016},
        {"2001-09-09", 11574}, {"2026-01-01", 20454}, {"2038-01-19", 24855},
        {"2100-02-28", 47540}, {"2100-03-01", 47541}, {"9999-12-31", RN_DATE_MAX},
    };
    for (size_t k = 0; k < RN_ARRAY_LENGTH(known); k++) {
        uint32_t days = 0;
        char text[11];
        assert_true(rn_date_parse(known[k].text, &days));
        assert_int_equal(days, known[k].days);
        rn_date_format(text, days);
        assert_string_equal(text, known[k].text);
    }
}

static void every_day_of_a_century(void **state)
{
    (void)state;
    char last[11] = "";
    for (uint32_t days = 10957; days < 10957 + 36525; days++) {
        char text[11];
        uint32_t again = 0;
        rn_date_format(text, days);
        assert_true(strcmp(text, last) > 0);
        assert_true(rn_date_parse(text, &again));
        assert_int_equal(again, days);
        memcpy(last, text, sizeof(last));
    }
}

static void no_such_days(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "2026-01-1",  "2026-1-001",  "1969-12-31", "2026-00-10",
        "2026-13-01", "2026-01-00", "2026-01-32",  "2026-04-31", "2026-02-29",
        "2100-02-29", "2026/01/01", "2026-01-01 ", "+026-01-01", "2026-01-0x",
        "20260-01-01"};
    for (size_t k = 0; k < RN_ARRAY_LENGTH(bad); k++) {
        uint32_t days = 0;
        assert_false(rn_date_parse(bad[k], &days));
    }
}

static void day_beyond_the_calendar(void)
{
    char text[11];
    rn_date_format(text, RN_DATE_MAX + 1);
}

static void misuse_aborts(void **state)
{
    (void)state;
    assert_aborts(day_beyond_the_calendar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_days),
        cmocka_unit_test(every_day_of_a_century),
        cmocka_unit_test(no_such_days),
        cmocka_unit_test(misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
