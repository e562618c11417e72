/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/FORMATS.md says what the tables say: the range of every number, and every reason code.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"
#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/site.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct rn_buffer document;
static struct rn_error error;

static int read_document(void **state)
{
    (void)state;
    return rn_is_ok(rn_file_read(RN_SOURCE_DIR "/policy/FORMATS.md", 1 << 20, &document, &error))
               ? 0
               : -1;
}

static int clear_document(void **state)
{
    (void)state;
    rn_buffer_clear(&document);
    return 0;
}

/* Large and small powers of two are written as such. */
static void number_text(double value, char out[static 40])
{
    int exponent = 0;
    const bool power = frexp(value, &exponent) == 0.5;
    if (power && (exponent - 1 >= 31 || exponent - 1 <= -4)) {
        (void)rn_text_format(out, 40, "2^%d", exponent - 1);
    } else {
        (void)rn_text_format(out, 40, "%.10g", value);
    }
}

/* Each row, in the part of the document that describes this file. */
static void check_table(const char *heading, const struct rn_limit *limits, size_t count)
{
    const char *part = strstr(rn_buffer_text(&document), heading);
    assert_non_null(part);
    const char *end = strstr(part + 1, "\n## ");
    const size_t length = end == NULL ? strlen(part) : (size_t)(end - part);
    char *text = rn_text_copy(part, length);
    for (size_t i = 0; i < count; i++) {
        char row[160];
        char least[40];
        char most[40];
        number_text(limits[i].least, least);
        number_text(limits[i].most, most);
        (void)rn_text_format(row, sizeof row, "| `%s` | %s to %s |", limits[i].field, least, most);
        if (limits[i].least == limits[i].most) {
            (void)rn_text_format(row, sizeof row, "| `%s` | %s |", limits[i].field, least);
        }
        if (strstr(text, row) == NULL) {
            fail_msg("policy/FORMATS.md, %s: expected the row: %s", heading, row);
        }
    }
    rn_free(text);
}

static void ranges(void **state)
{
    (void)state;
    size_t count = 0;
    const struct rn_limit *limits = rn_plan_limits(&count);
    check_table("\n## plan.yaml", limits, count);
    limits = rn_policy_limits(&count);
    check_table("\n## policy.yaml", limits, count);
    limits = rn_site_limits(&count);
    check_table("\n## site.yaml", limits, count);
}

static void reason_codes(void **state)
{
    (void)state;
    for (int i = 1; i < RN_POLICY_REASON_COUNT_; i++) {
        char row[80];
        (void)rn_text_format(row, sizeof row, "| `%s` |",
                             rn_policy_reason_name((enum rn_policy_reason)i));
        if (strstr(rn_buffer_text(&document), row) == NULL) {
            fail_msg("policy/FORMATS.md lacks the reason %s", row);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(reason_codes),
    };
    return cmocka_run_group_tests(tests, read_document, clear_document);
}
