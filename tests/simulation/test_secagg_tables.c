/* SPDX-License-Identifier: Apache-2.0
 *
 * The state tables of the code are the tables of crypto/secagg/PROTOCOL.md, row by row.
 */
#include "base/file.h"
#include "base/guard.h"
#include "crypto/secagg/aggregator_state.h"
#include "crypto/secagg/member_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The rows between a heading and the end of its first table, without the table's head. */
static const char *find_table(struct rn_buffer *document, const char *heading)
{
    const char *text = rn_buffer_text(document);
    const char *section = strstr(text, heading);
    assert_non_null(section);
    const char *rule = strstr(section, "|---|---|---|\n");
    assert_non_null(rule);
    return strchr(rule, '\n') + 1;
}

static const char *expect_row(const char *at, const char *state, enum rn_sa_type type,
                              const char *next)
{
    char row[128];
    assert_true(
        rn_text_format(row, sizeof row, "| %s | %s | %s |\n", state, rn_sa_type_name(type), next));
    if (strncmp(at, row, strlen(row)) != 0) {
        fail_msg("PROTOCOL.md should have here: %s", row);
    }
    return at + strlen(row);
}

static void load(struct rn_buffer *out)
{
    assert_true(
        rn_is_ok(rn_file_read(RN_SOURCE_DIR "/crypto/secagg/PROTOCOL.md", 1 << 20, out, NULL)));
}

static void test_member_table(void **state)
{
    (void)state;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    load(&document);
    const char *at = find_table(&document, "## States of a member\n");
    const struct rn_sa_member_rule *rule = rn_sa_member_rules;
    /* The first row differs from the others in that nothing was sent yet. */
    for (; rule->handle != NULL; rule++) {
        at = expect_row(at, rn_sa_member_state_name(rule->state), rule->type,
                        rn_sa_member_state_name(rule->next));
    }
    assert_int_equal(*at, '\n');
}

static void test_coordinator_table(void **state)
{
    (void)state;
    struct rn_buffer RN_CLEANUP(rn_buffer_clear) document = {0};
    load(&document);
    const char *at = find_table(&document, "## Stages of the coordinator\n");
    const struct rn_sa_aggregator_rule *rule = rn_sa_aggregator_rules;
    for (; rule->handle != NULL; rule++) {
        at =
            expect_row(at, rn_sa_stage_name(rule->stage), rule->type, rn_sa_stage_name(rule->next));
    }
    assert_int_equal(*at, '\n');
}

/* A pair of state and message has one row. */
static void test_no_double_rows(void **state)
{
    (void)state;
    for (const struct rn_sa_member_rule *a = rn_sa_member_rules; a->handle != NULL; a++) {
        for (const struct rn_sa_member_rule *b = a + 1; b->handle != NULL; b++) {
            assert_false(a->state == b->state && a->type == b->type);
        }
        /* uploads of others come for the replay */
        assert_true(rn_sa_type_from_coordinator(a->type) ||
                    (a->state == RN_SA_M_AUDITING && a->type == RN_SA_CHUNK));
    }
    for (const struct rn_sa_aggregator_rule *a = rn_sa_aggregator_rules; a->handle != NULL; a++) {
        for (const struct rn_sa_aggregator_rule *b = a + 1; b->handle != NULL; b++) {
            assert_false(a->stage == b->stage && a->type == b->type);
        }
        assert_false(rn_sa_type_from_coordinator(a->type));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_member_table),
        cmocka_unit_test(test_coordinator_table),
        cmocka_unit_test(test_no_double_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
