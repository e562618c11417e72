/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/FORMATS.md says what the tables say: every field of each file, and every reason code.
 */
#include "base/file.h"
#include "base/guard.h"
#include "policy/plan.h"
#include "policy/rules.h"
#include "policy/site.h"

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

/* One row of the document: `path` | range | meaning. */
static void row_put(const struct rn_field *field, struct rn_buffer *out)
{
    out->length = 0;
    rn_buffer_format(out, "| `%s` | ", field->path);
    rn_field_put_range(field, out);
    rn_buffer_format(out, " | %s", field->meaning);
    if (field->optional) {
        rn_buffer_format(out, field->absent == NULL ? ". Optional" : ". Optional, `%s`",
                         field->absent);
    }
    rn_buffer_format(out, " |\n");
}

/* The whole table under the heading, row by row in the table's order. */
static void check_table(const char *heading, const struct rn_field_table *table)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer row = {0};
    const char *at = strstr(rn_buffer_text(&document), heading);
    assert_non_null(at);
    at = strstr(at, "|---|\n");
    assert_non_null(at);
    at += strlen("|---|\n");
    for (size_t i = 0; i < table->count; i++) {
        if (table->fields[i].kind == RN_FIELD_SECTION) {
            continue;
        }
        row_put(&table->fields[i], &row);
        if (strncmp(at, rn_buffer_text(&row), row.length) != 0) {
            fail_msg("policy/FORMATS.md, %s: expected the row:\n%s\nbut there is:\n%.200s",
                     heading + 1, rn_buffer_text(&row), at);
        }
        at += row.length;
    }
    assert_int_equal(*at, '\n'); /* and no further row */
}

static void fields_are_as_the_tables_say(void **state)
{
    (void)state;
    check_table("\n## plan.yaml\n", rn_plan_fields());
    check_table("\n## policy.yaml\n", rn_policy_fields());
    check_table("\n## site.yaml\n", rn_site_fields());
}

/* A meaning names every word that its field may hold. */
static void words_are_explained(void **state)
{
    (void)state;
    const struct rn_field_table *tables[] = {rn_plan_fields(), rn_site_fields()};
    for (size_t t = 0; t < RN_ARRAY_LENGTH(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct rn_field *field = &tables[t]->fields[i];
            for (size_t w = 0; w < field->word_count; w++) {
                char word[64];
                (void)rn_text_format(word, sizeof word, "`%s`", field->words[w].text);
                if (strstr(field->meaning, word) == NULL) {
                    fail_msg("%s: the meaning does not name %s", field->path, word);
                }
            }
        }
    }
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
        cmocka_unit_test(fields_are_as_the_tables_say),
        cmocka_unit_test(words_are_explained),
        cmocka_unit_test(reason_codes),
    };
    return cmocka_run_group_tests(tests, read_document, clear_document);
}
