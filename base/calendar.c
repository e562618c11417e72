/* SPDX-License-Identifier: Apache-2.0
 *
 * Calendar days, counted year by year: one command reads few of them.
 */
#include "base/calendar.h"

#include "base/bytes.h"
#include "base/guard.h"

#include <string.h>

#define FIRST_YEAR 1970u

static bool leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_of_year(unsigned year)
{
    return leap(year) ? 366 : 365;
}

/* month counts from 1 */
static unsigned days_of_month(unsigned year, unsigned month)
{
    static const unsigned days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && leap(year) ? 1 : 0);
}

/* The number in count digits at text; false when one of them is no digit. */
static bool digits(const char *text, unsigned count, unsigned *out)
{
    unsigned value = 0;
    for (unsigned k = 0; k < count; k++) {
        if (text[k] < '0' || text[k] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text[k] - '0');
    }
    *out = value;
    return true;
}

bool rn_date_parse(const char *text, uint32_t *out_days)
{
    unsigned year = 0;
    unsigned month = 0;
    unsigned day = 0;
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-' || !digits(text, 4, &year) ||
        !digits(text + 5, 2, &month) || !digits(text + 8, 2, &day)) {
        return false;
    }
    if (year < FIRST_YEAR || month < 1 || month > 12 || day < 1 ||
        day > days_of_month(year, month)) {
        return false;
    }
    uint32_t days = day - 1;
    for (unsigned y = FIRST_YEAR; y < year; y++) {
        days += days_of_year(y);
    }
    for (unsigned m = 1; m < month; m++) {
        days += days_of_month(year, m);
    }
    *out_days = days;
    return true;
}

void rn_date_format(char out[static 11], uint32_t days)
{
    RN_BUG_IF(days > RN_DATE_MAX);
    unsigned year = FIRST_YEAR;
    while (days >= days_of_year(year)) {
        days -= days_of_year(year);
        year++;
    }
    unsigned month = 1;
    while (days >= days_of_month(year, month)) {
        days -= days_of_month(year, month);
        month++;
    }
    (void)rn_text_format(out, 11, "%04u-%02u-%02u", year, month, (unsigned)days + 1);
}
