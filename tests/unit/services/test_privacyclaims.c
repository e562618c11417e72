/* SPDX-License-Identifier: Apache-2.0
 *
 * The claims page and `rondo ledger show`: from the ledger alone, and nothing of what is not
 * private. privacy case 35.
 */
#include "../policy/privacyworld.h"
#include "services/cli/privacy/claimstext.h"
#include "services/cli/privacy/ledgershow.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_identity *owner;
static struct rn_privacy_ledger *ledger;
static struct rn_error error;

static void add(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    size_t taken = 0;
    assert_int_equal(rn_privacy_ledger_append(ledger, owner, &record, &line, &error).code, RN_OK);
    assert_int_equal(rn_privacy_ledger_replay(ledger, rn_buffer_view(&line),
                                              RN_PRIVACY_SIGNATURES_LAST, &taken, &error)
                         .code,
                     RN_OK);
}

static void start(void)
{
    rn_privacy_ledger_free(ledger);
    ledger = rn_privacy_ledger_new();
    add(privacy_header(owner));
    add(privacy_plan_record(1));
    add(privacy_intent_record(1, 1));
}

static void expect(const char *page, const char *text)
{
    if (strstr(page, text) == NULL) {
        fail_msg("the page does not say: %s", text);
    }
}

static void numbers_come_from_the_ledger(void **state)
{
    (void)state;
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer page = {0};
    struct rn_claims claims;
    char number[RN_PRIVACY_NUMBER_TEXT];
    start();
    assert_int_equal(rn_claims_take(ledger, &claims, &error).code, RN_OK);
    rn_claims_text(&claims, &page);
    expect(rn_buffer_text(&page), "(epsilon, delta) = (8, 1e-05)");
    expect(rn_buffer_text(&page), "exact here, since there was one plan, charged whole");
    expect(rn_buffer_text(&page), "Plan autumn is open");
    expect(rn_buffer_text(&page), "Zero-out");
    expect(rn_buffer_text(&page), "| 1 of 25 | 40 | 0.0078125 | 1 | 0.5 | 256 |");
    rn_privacy_number_up(claims.summary.pld, number);
    expect(rn_buffer_text(&page), number);
    rn_privacy_number_up(100 * claims.reading[0], number);
    expect(rn_buffer_text(&page), number);
    assert_true(claims.reading[0] > 0.01 && claims.reading[0] < claims.bound[0]);
    assert_true(claims.reading[1] > 0.001 && claims.reading[1] < claims.bound[1]);
    add(privacy_close_record(1));
    add(privacy_plan_record(2));
    rn_buffer_clear(&page);
    assert_int_equal(rn_claims_take(ledger, &claims, &error).code, RN_OK);
    rn_claims_text(&claims, &page);
    expect(rn_buffer_text(&page), "only if the plans had been fixed in advance");
    assert_null(strstr(rn_buffer_text(&page), "exact here"));
}

static void json_has_the_same(void **state)
{
    (void)state;
    struct rn_claims claims;
    start();
    assert_int_equal(rn_claims_take(ledger, &claims, &error).code, RN_OK);
    json_t *value = rn_claims_json(&claims);
    assert_non_null(value);
    const json_t *filter = json_object_get(json_object_get(value, "ledger"), "filter");
    assert_true(json_real_value(json_object_get(filter, "reserved")) ==
                claims.summary.filter_reserved);
    assert_int_equal(json_array_size(json_object_get(value, "attack")), 2);
    json_decref(value);
    claims.summary.pld = NAN; /* where PLD cannot say */
    value = rn_ledgershow_json(ledger, &claims.summary);
    assert_true(json_is_null(json_object_get(json_object_get(value, "readings"), "pld")));
    json_decref(value);
}

static void nothing_is_said_of_what_is_not_private(void **state)
{
    (void)state;
    struct rn_claims claims;
    start();
    struct rn_privacy_record record = privacy_intent_record(1, 2);
    record.as.intent.rng = RN_PRIVACY_RNG_TEST_SEED;
    add(record);
    assert_int_equal(rn_claims_take(ledger, &claims, &error).code, RN_E_REFUSED);
    expect(error.text, "seed");
    start();
    add(privacy_close_record(1));
    assert_int_equal(rn_claims_take(ledger, &claims, &error).code, RN_OK);
    add(privacy_nonprivate_record(2));
    assert_int_equal(rn_claims_take(ledger, &claims, &error).code, RN_E_REFUSED);
    expect(error.text, "NOT PRIVATE");
}

static void an_empty_ledger_costs_nothing(void **state)
{
    (void)state;
    struct rn_privacy_summary summary;
    rn_privacy_ledger_free(ledger);
    ledger = rn_privacy_ledger_new();
    assert_int_equal(rn_privacy_summarise(ledger, &summary, &error).code, RN_E_DATA);
    add(privacy_header(owner));
    assert_int_equal(rn_privacy_summarise(ledger, &summary, &error).code, RN_OK);
    assert_true(summary.filter_epsilon <= 0 && summary.pld <= 0 && summary.rdp <= 0);
}

static int setup(void **state)
{
    (void)state;
    owner = privacy_identity(3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rn_privacy_ledger_free(ledger);
    rn_identity_free(owner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_from_the_ledger),
        cmocka_unit_test(json_has_the_same),
        cmocka_unit_test(nothing_is_said_of_what_is_not_private),
        cmocka_unit_test(an_empty_ledger_costs_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
