/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a plan whose noise is shared: its ranges, its price, lies about it, and what a
 * verifier says. The other records are test_privacyledger.c's.
 */
#include "policy/ledger/privacyledger.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "policy/ledger/privacychain.h"
#include "policy/ledger/privacyverify.h"
#include "tests/unit/policy/privacyworld.h"

static struct rn_identity *owner;
static struct rn_privacy_ledger *ledger;
static struct rn_buffer text; /* of ledger */
static struct rn_privacy_report report;
static struct rn_error error;

static rn_result take(struct rn_privacy_ledger *into, struct rn_view bytes)
{
    size_t taken = 0;
    return rn_privacy_ledger_replay(into, bytes, RN_PRIVACY_SIGNATURES_EACH, &taken, &error);
}

static enum rn_code add(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    const rn_result result = rn_privacy_ledger_append(ledger, owner, &record, &line, &error);
    if (rn_is_ok(result)) {
        assert_int_equal(take(ledger, rn_buffer_view(&line)).code, RN_OK);
        rn_buffer_append(&text, line.data, line.length);
    }
    return result.code;
}

static void start(void)
{
    rn_privacy_ledger_free(ledger);
    ledger = rn_privacy_ledger_new();
    rn_buffer_clear(&text);
    assert_int_equal(add(privacy_header(owner)), RN_OK);
}

static struct rn_privacy_record derived(struct rn_privacy_record record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer line = {0};
    assert_int_equal(rn_privacy_ledger_append(ledger, owner, &record, &line, &error).code, RN_OK);
    return record;
}

/* By somebody who has the key and keeps to no rule. */
static enum rn_privacy_check forged(const struct rn_privacy_record *record)
{
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer body = {0};
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer whole = {0};
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *other = rn_privacy_ledger_new();
    rn_privacy_record_write(record, &body);
    rn_buffer_append(&whole, text.data, text.length);
    rn_privacy_line_write(ledger->chain, rn_buffer_view(&body), owner, &whole);
    assert_int_equal(take(other, rn_buffer_view(&whole)).code, RN_E_DATA);
    assert_int_equal(other->lines, ledger->lines);
    return other->failed;
}

#define LIE(record_, change_, check_)             \
    do {                                          \
        struct rn_privacy_record lie = (record_); \
        change_;                                  \
        assert_int_equal(forged(&lie), (check_)); \
    } while (0)

static void verify(void)
{
    RN_CLEANUP(rn_privacy_ledger_free_cleanup)
    struct rn_privacy_ledger *other = rn_privacy_ledger_new();
    struct rn_error said = {{0}};
    const rn_result result = take(other, rn_buffer_view(&text));
    assert_int_equal(rn_privacy_verify(other, result, &said, false, NULL, &report, &error).code,
                     RN_OK);
}

static void a_shared_plan_is_one_of_its_kind(void **state)
{
    (void)state;
    static const struct {
        uint32_t honest, steps;
        uint64_t dimension;
        double noise;
        enum rn_code code;
    } cases[] = {
        {3, 1, 294912, 1, RN_OK},
        {1, 1, 294912, 1, RN_OK},
        {RN_PRIVACY_SHARES_MAX, 1, 294912, 1, RN_OK},
        {RN_PRIVACY_SHARES_MAX + 1, 1, 294912, 1, RN_E_CONFIG},
        {0, 1, 294912, 1, RN_E_CONFIG},
        {3, 2, 294912, 1, RN_E_CONFIG},
        {3, 1, 0, 1, RN_E_CONFIG},
        {1, 1, 294912, 1024, RN_OK}, /* a share of 2^30 */
        {1, 1, 294912, 1025, RN_E_CONFIG},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        start();
        struct rn_privacy_record record = privacy_shared_record(1);
        record.as.plan.honest = cases[i].honest;
        record.as.plan.steps = cases[i].steps;
        record.as.plan.dimension = cases[i].dimension;
        record.as.plan.noise = cases[i].noise;
        assert_int_equal(add(record), cases[i].code);
        record.kind = RN_PRIVACY_RECORD_PLAN; /* which has no shares */
        assert_int_equal(add(record), cases[i].honest > 0 ? RN_E_CONFIG : RN_OK);
    }
    start();
    struct rn_privacy_record allocated = privacy_shared_record(1);
    allocated.as.plan.sampler = RN_PRIVACY_SAMPLER_ALLOCATION;
    allocated.as.plan.threshold = 1;
    assert_int_equal(add(allocated), RN_E_CONFIG);
}

/* Charged at the intent, by the share that is added; the accountants read it from the ledger. */
static void a_shared_sum_is_charged(void **state)
{
    (void)state;
    start();
    assert_int_equal(add(privacy_shared_record(1)), RN_OK);
    const struct rn_privacy_planstate *open = rn_privacy_ledger_open(ledger);
    assert_true(open->plan.deviation == ceil(0x1p20 / sqrt(3)));
    const struct rn_privacy_event event =
        rn_privacy_plan_event(&ledger->terms, &open->plan, open->plan.trainings);
    assert_true(event.kind == RN_PRIVACY_SHARED && event.shares == 3 && event.share > 605395);
    const double once = open->divergence;
    assert_true(once > 0 && rn_privacy_ledger_filter(ledger, false) == 0);
    struct rn_privacy_record intent = privacy_intent_record(1, 1);
    assert_int_equal(add(intent), RN_E_REFUSED); /* 40 steps */
    intent.as.intent.steps = 1;
    assert_int_equal(add(intent), RN_OK);
    assert_true(rn_privacy_ledger_filter(ledger, false) == once);
    assert_true(fabs(rn_privacy_ledger_filter(ledger, true) - 25 * once) <= 1e-12 * once);
    const struct rn_privacy_record second = derived(privacy_close_record(1));
    assert_int_equal(add(second), RN_OK);
    struct rn_privacy_record more = privacy_shared_record(2);
    more.as.plan.honest = 2; /* another mechanism, which stands by itself */
    assert_int_equal(add(more), RN_OK);
    struct rn_privacy_event events[8];
    assert_int_equal(rn_privacy_ledger_events(ledger, true, events), 2);
    const struct rn_privacy_record shared = derived(privacy_close_record(2));
    assert_int_equal(add(shared), RN_OK);
    const struct rn_privacy_record plan = derived(privacy_shared_record(3));
    LIE(plan, lie.as.plan.deviation -= 1, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.honest = 4, RN_PRIVACY_CHECK_DERIVED);
    LIE(plan, lie.as.plan.filter_after = lie.as.plan.filter_before, RN_PRIVACY_CHECK_DERIVED);
}

/* Its epsilon is by RDP, which a verifier computes again; PLD says nothing. */
static void a_shared_plans_epsilon_is_checked(void **state)
{
    (void)state;
    for (int low = 0; low <= 1; low++) {
        start();
        struct rn_privacy_record plan = privacy_shared_record(1);
        plan.as.plan.epsilon = low != 0 ? 0.01 : 100;
        assert_int_equal(add(plan), RN_OK);
        verify();
        assert_int_equal(report.passed, low == 0);
        assert_true(isnan(report.summary.pld) && report.summary.rdp > 0.01);
    }
}

static int set_up(void **state)
{
    (void)state;
    owner = privacy_identity(3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rn_privacy_ledger_free(ledger);
    rn_buffer_clear(&text);
    rn_identity_free(owner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_plan_is_one_of_its_kind),
        cmocka_unit_test(a_shared_sum_is_charged),
        cmocka_unit_test(a_shared_plans_epsilon_is_checked),
    };
    return cmocka_run_group_tests_name("ledgers of shared noise", tests, set_up, tear_down);
}
