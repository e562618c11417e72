/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows from a lineage's terms: ranges, rates, events, tails, and numbers for people.
 */
#include "policy/accountant/rdp.h"
#include "policy/ledger/privacysummary.h"
#include "privacyworld.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct rn_identity *owner;
static struct rn_error error;

static enum rn_code terms_of(const struct rn_privacy_terms *terms)
{
    struct rn_privacy_terms copy = *terms;
    return rn_privacy_terms_derive(&copy, &error).code;
}

#define TERMS(change_, code_)                                 \
    do {                                                      \
        struct rn_privacy_terms terms = privacy_terms(owner); \
        change_;                                              \
        assert_int_equal(terms_of(&terms), (code_));          \
    } while (0)

static void terms_have_limits(void **state)
{
    (void)state;
    TERMS(terms.group = 2, RN_E_CONFIG);
    TERMS((terms.unit = RN_PRIVACY_UNIT_PERSON, terms.group = 2), RN_OK);
    TERMS((terms.unit = RN_PRIVACY_UNIT_PERSON, terms.group = 64), RN_OK);
    TERMS((terms.unit = RN_PRIVACY_UNIT_PERSON, terms.group = 65), RN_E_CONFIG);
    TERMS(terms.group = 0, RN_E_CONFIG);
    TERMS(terms.records_max = 0, RN_E_CONFIG);
    TERMS((terms.records_max = RN_PRIVACY_RECORDS_MAX, terms.delta = 1e-10, terms.order = 9),
          RN_OK);
    TERMS((terms.records_max = RN_PRIVACY_RECORDS_MAX + 1, terms.delta = 1e-10, terms.order = 9),
          RN_E_CONFIG);
    TERMS(terms.delta = 1.01 * pow(10000, -1.1), RN_E_CONFIG);
    TERMS(terms.delta = 0.99 * pow(10000, -1.1), RN_OK);
    TERMS(terms.delta = 0, RN_E_CONFIG);
    TERMS(terms.delta = NAN, RN_E_CONFIG);
    TERMS(terms.epsilon = 0, RN_E_CONFIG);
    TERMS(terms.epsilon = 100, RN_OK);
    TERMS(terms.epsilon = 101, RN_E_CONFIG);
    TERMS(terms.epsilon = NAN, RN_E_CONFIG);
    TERMS(terms.order = 1, RN_E_CONFIG);
    TERMS(terms.order = 1.5, RN_E_CONFIG); /* allows nothing */
    TERMS(terms.order = NAN, RN_E_CONFIG);
    TERMS(terms.lineage[0] = 'W', RN_E_CONFIG);
    TERMS(terms.lineage[0] = '\0', RN_E_CONFIG);
}

static void rates_are_rounded_up(void **state)
{
    (void)state;
    assert_true(rn_privacy_rate((uint64_t)1 << 63) == 0.5);
    assert_true(rn_privacy_rate(((uint64_t)1 << 63) + 1) > 0.5);
    assert_true(rn_privacy_rate(((uint64_t)1 << 63) + 1) - 0.5 < 0x1p-52);
    assert_true(rn_privacy_rate(1) == 0x1p-64);
    assert_true(rn_privacy_rate(UINT64_MAX) == 1);
    assert_true(rn_privacy_rate(((uint64_t)1 << 53) + 1) * 0x1p64 > 0x1p53);
}

static void persons_have_records(void **state)
{
    (void)state;
    struct rn_privacy_terms terms = privacy_terms(owner);
    struct rn_privacy_plan plan = privacy_plan(1);
    assert_int_equal(rn_privacy_plan_event(&terms, &plan, 1).kind, RN_PRIVACY_POISSON);
    terms.unit = RN_PRIVACY_UNIT_PERSON;
    terms.group = 4;
    const struct rn_privacy_event event = rn_privacy_plan_event(&terms, &plan, 7);
    assert_true(event.kind == RN_PRIVACY_GROUP && event.group == 4 && event.count == 7);
    plan.sampler = RN_PRIVACY_SAMPLER_ALL;
    assert_int_equal(rn_privacy_plan_event(&terms, &plan, 1).kind, RN_PRIVACY_GAUSSIAN);
    assert_true(rn_privacy_plan_event(&terms, &plan, 1).noise == 0.25);
}

/* A training of 10 steps, each record in 3 of them. */
static void allocations_are_whole_trainings(void **state)
{
    (void)state;
    struct rn_privacy_terms terms = privacy_terms(owner);
    struct rn_privacy_plan plan = privacy_plan(1);
    plan.sampler = RN_PRIVACY_SAMPLER_ALLOCATION;
    plan.steps = 10;
    plan.threshold = 3;
    const struct rn_privacy_event event = rn_privacy_plan_event(&terms, &plan, 40);
    assert_true(event.kind == RN_PRIVACY_ALLOCATION && event.count == 4);
    assert_true(event.picks == 3 && event.slots == 10 && !(event.noise < 1 || event.noise > 1));
    assert_true(rn_privacy_plan_rate(&plan) > 0.3 && rn_privacy_plan_rate(&plan) < 0.3 + 1e-15);
    double whole;
    assert_true(rn_rdp_event(&event, terms.order, &whole));
    const double step = rn_privacy_plan_divergence(&terms, &plan);
    assert_true(fabs(40 * step - whole) <= 1e-12 * whole);
    assert_true(rn_is_ok(rn_privacy_plan_check(&terms, &plan, &error)));
    plan.threshold = 10;
    assert_true(rn_is_ok(rn_privacy_plan_check(&terms, &plan, &error)));
    plan.threshold = 11;
    assert_int_equal(rn_privacy_plan_check(&terms, &plan, &error).code, RN_E_CONFIG);
    plan.threshold = 0;
    assert_int_equal(rn_privacy_plan_check(&terms, &plan, &error).code, RN_E_CONFIG);
    plan.threshold = 3;
    terms.unit = RN_PRIVACY_UNIT_PERSON;
    terms.group = 2;
    assert_int_equal(rn_privacy_plan_check(&terms, &plan, &error).code, RN_E_CONFIG);
}

/* P[Bin(n, q) > cap] by its recurrence. */
static double exact_tail(unsigned n, double q, unsigned cap)
{
    long double term = powl(1 - (long double)q, n);
    long double above = 0;
    for (unsigned k = 0; k <= n; k++) {
        above += k > cap ? term : 0;
        term *= (long double)(n - k) / (k + 1) * q / (1 - (long double)q);
    }
    return (double)above;
}

static void tails_from_above(void **state)
{
    (void)state;
    static const double rates[] = {0.001, 0.02, 0.3, 0.7};
    for (unsigned n = 1; n <= 2000; n = n * 3 + 1) {
        for (size_t i = 0; i < RN_ARRAY_LENGTH(rates); i++) {
            for (unsigned cap = 1; cap <= n; cap += 1 + n / 17) {
                const double exact = exact_tail(n, rates[i], cap);
                const double above = rn_privacy_tail(n, rates[i], cap);
                assert_true(above >= exact * (1 - 1e-9) && above <= 1);
                if (cap > 1.5 * n * rates[i] + 3) {
                    assert_true(above <= 2.0 * exact + 1e-300);
                }
            }
        }
    }
    assert_true(rn_privacy_tail(100, 1, 99) >= 1 && rn_privacy_tail(100, 1, 100) <= 0);
}

static void numbers_are_rounded_up(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } each[] = {{0, "0.0000"},    {1e-9, "0.0001"},    {2.9981, "2.9981"}, {2.99811, "2.9982"},
                {0.25, "0.2500"}, {7.99999, "8.0000"}, {NAN, "none"},      {INFINITY, "none"}};
    char out[RN_PRIVACY_NUMBER_TEXT];
    for (size_t i = 0; i < RN_ARRAY_LENGTH(each); i++) {
        rn_privacy_number_up(each[i].value, out);
        assert_string_equal(out, each[i].text);
    }
}

static void an_attacker_has_a_bound(void **state)
{
    (void)state;
    assert_true(fabs(rn_privacy_attack_bound(1, 0, 0.01) - 0.0271828182845904) < 1e-12);
    assert_true(fabs(rn_privacy_attack_bound(8, 0, 0.01) - (1 - exp(-8) * 0.99)) < 1e-12);
    assert_true(rn_privacy_attack_bound(0, 0, 0.01) <= 0.01 + 1e-15);
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
    rn_identity_free(owner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tails_from_above),
        cmocka_unit_test(terms_have_limits),
        cmocka_unit_test(rates_are_rounded_up),
        cmocka_unit_test(persons_have_records),
        cmocka_unit_test(allocations_are_whole_trainings),
        cmocka_unit_test(numbers_are_rounded_up),
        cmocka_unit_test(an_attacker_has_a_bound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
