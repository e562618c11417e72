/* SPDX-License-Identifier: Apache-2.0
 *
 * epsilon and delta from privacy-loss distributions: the field's reference values, the Gaussian
 * mechanism exactly, and what must hold for every plan.
 */
#include "policy/accountant/pld.h"

#include "base/guard.h"
#include "policy/accountant/accountant.h"
#include "policy/accountant/normal.h"
#include "policy/accountant/pldquery.h"

#include "tests/unit/policy/pldcases.h"

#include <string.h>

static struct rn_error error;

static struct rn_pld_value epsilon_of(const struct rn_privacy_event *events, size_t count,
                                      double delta)
{
    struct rn_pld_value value;
    if (!rn_is_ok(rn_pld_epsilon(events, count, delta, &value, &error))) {
        fail_msg("%s", error.text);
    }
    assert_true(value.lower >= 0 && value.upper >= value.lower);
    return value;
}

static struct rn_pld_value delta_of(const struct rn_privacy_event *events, size_t count,
                                    double epsilon)
{
    struct rn_pld_value value;
    if (!rn_is_ok(rn_pld_delta(events, count, epsilon, &value, &error))) {
        fail_msg("%s", error.text);
    }
    assert_true(value.lower >= 0 && value.upper >= value.lower && value.upper <= 1);
    return value;
}

struct row {
    double rate, noise;
    uint64_t steps;
    double delta, tight;
};

/* dp.md test 1: the middle of certified intervals, agreeing with other accountants. */
static const struct row rows[] = {
    {256.0 / 60000, 1.1, 14062, 1e-5, 2.38160},
    {256.0 / 60000, 1.3, 3515, 1e-5, .86441},
    {256.0 / 60000, .7, 10546, 1e-5, 5.63941},
    {256.0 / 60000, 1.1, 234, 1e-5, .30647},
    {256.0 / 60000, 1.1, 468, 1e-5, .41688},
    {150.0 / 60000, 1.3, 6000, 1e-5, .64000},
    {1e-3, 1, 30000, 1e-7, 1.09768},
    {.01, .7, 120, 1e-5, 2.46124},
    {.04, 1.5, 2250, 1e-5, 6.76878},
    {.04, 1.5, 2249, 1e-5, 6.76705},
    {.01, 4, 10000, 1e-5, .94687},
    {5e-3, .8, 1000, 1e-6, 2.00411},
    {.1, 3, 512, 1e-6, 3.76969},
    {.1, 9.66, 512, 1e-6, 1.00020},
    {.1, 3, 155, 1e-6, 1.99626},
    {1, 4.530877117, 1, 1e-6, .92739},
    {1, 10, 100, 1e-5, 4.377178},
    {.01, .67379294682, 1, 1e-5, 1.00000},
    {.001, 3.20956502598 / 6, 25, 1e-5, .99999},
    {.05, 1, 200, 1e-5, 4.76592},
    {.02, 1, 1000, 1e-5, 3.89909},
    {.02, .8, 600, 1e-5, 5.05713},
    {.05, 2, 600, 1e-5, 2.79453},
    {.1, 1, 100, 1e-5, 7.04660},
    {.5, 2, 100, 1e-5, 14.28448},
    {1e-3, 1, 1000, 1e-5, .14890},
    {.0064, 1, 782, 1e-6, 1.19864},
    {1, 1, 5, 1e-6, 12.595247},
    /* Opacus's tests of its own PRV accountant, which assert values .010 above these. */
    {.001, .8, 100, 1e-6, .260337},
    {.001, 1.5, 100, 1e-6, .029239},
    {.05, .8, 100, 1e-6, 6.730629},
    {.05, 1.5, 100, 1e-6, 1.943736},
    {.05, 3, 100, 1e-6, .757882},
    {.2, .8, 100, 1e-6, 24.32262},
    {.2, 2, 100, 1e-6, 5.66179},
    {.001, .8, 1000, 1e-6, .467683},
    {.05, .8, 1000, 1e-6, 19.51503},
    {.05, 1.5, 1000, 1e-6, 6.199692},
    {.05, 3, 1000, 1e-6, 2.517450},
    {.001, .8, 20000, 1e-6, 1.285923},
    {.05, 1.5, 20000, 1e-6, 38.29552},
    {.05, 3, 20000, 1e-6, 13.95061},
    {.001, 1.5, 50000, 1e-6, .694171},
    {.05, 3, 50000, 1e-6, 24.93122},
    {.001, 3, 100000, 1e-6, .433633},
};

/* dp.md test 1: tight - 1e-5 <= eps <= tight + 1e-3 from above, and from below no more than the
 * tight value's own half-width (1.4e-5) beyond it. */
static void reference_values_are_met(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        const struct rn_privacy_event event = poisson(rows[i].rate, rows[i].noise, rows[i].steps);
        const struct rn_pld_value value = epsilon_of(&event, 1, rows[i].delta);
        assert_within(value.upper, rows[i].tight - 1.5e-5, rows[i].tight + 1e-3);
        assert_within(value.lower, rows[i].tight - 1e-3, rows[i].tight + 1.5e-5);
        assert_true(value.upper - value.lower <= 1e-3 * value.upper);
    }
}

/* dp.md test 1, rows 17 and 27: a delta; and a rate far below the lattice's first guess. */
static void far_rows_are_met(void **state)
{
    (void)state;
    const struct rn_privacy_event coarse = poisson(.2, .5, 3), rare = poisson(1e-5, .8, 100000);
    const struct rn_pld_value delta = delta_of(&coarse, 1, 1);
    assert_within(delta.upper, .1559328 - 1e-6, .1559328 + 1e-4);
    const struct rn_pld_value epsilon = epsilon_of(&rare, 1, 1e-8);
    assert_within(epsilon.upper, .02782, .02796);
    assert_within(epsilon.lower, .02782, .02796);
}

/* dp.md test 2: rate 1 is the analytic Gaussian. */
static void rate_one_is_the_gaussian_mechanism(void **state)
{
    (void)state;
    static const double cases[][3] = {/* noise, repetitions, delta */
                                      {1, 1, 1e-5},   {.5, 1, 1e-5},  {2, 1, 1e-5},
                                      {10, 1, 1e-6},  {50, 1000, .3}, {1, 20, 1e-12},
                                      {.01, 1, 1e-5}, {300, 1, 1e-9}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const struct rn_privacy_event event = gaussian(cases[i][0], (uint64_t)cases[i][1]);
        const struct rn_pld_value value = epsilon_of(&event, 1, cases[i][2]);
        const double truth = rn_gauss_epsilon(sqrt(cases[i][1]) / cases[i][0], cases[i][2]);
        assert_within(value.upper, truth * (1 - 1e-9), truth + 3e-4 * fmin(truth, 1));
        assert_within(value.lower, truth - 1e-3 * fmin(truth, 1), truth * (1 + 1e-9));
    }
}

/* dp.md test 5: never below, and less than 1e-3 above, down to 1e-29. */
static void small_deltas_are_exact(void **state)
{
    (void)state;
    static const double cases[][3] = {/* noise, repetitions, epsilon */
                                      {30, 1000, 2},  {30, 1000, 4},  {30, 1000, 8}, {30, 1000, 10},
                                      {30, 1000, 12}, {50, 5000, 11}, {1, 1, 1},     {1, 1, 12},
                                      {100, 1, 0},    {3, 9, 0}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const struct rn_privacy_event event = gaussian(cases[i][0], (uint64_t)cases[i][1]);
        const struct rn_pld_value value = delta_of(&event, 1, cases[i][2]);
        const double truth = rn_gauss_delta(sqrt(cases[i][1]) / cases[i][0], cases[i][2]);
        assert_within(value.upper, truth * (1 - 1e-9), truth * (1 + 1e-3));
        assert_within(value.lower, truth * (1 - 1e-3), truth * (1 + 1e-9));
    }
    assert_within(rn_gauss_delta(sqrt(1000) / 30, 12), 8.0434e-29, 8.0435e-29);
}

/* dp.md test 5, end: at 1e5 steps and delta 1e-10 the interval holds whatever tilt, transform's
 * length and lattice. */
static void bounds_hold_wherever_the_tilt_is(void **state)
{
    (void)state;
    static const double tight[] = {3.0463, 3.0464}; /* certified, dp.md 1.3 */
    const struct rn_privacy_event event = poisson(1e-4, .6, 100000);
    RN_CLEANUP(rn_pld_events_free) struct rn_pld_events all;
    assert_true(rn_is_ok(rn_pld_events_init(&all, &event, 1, &error)));
    for (unsigned k = 0; k < 16; k++) {
        const bool above = k % 2 == 0;
        const double h = k / 2 % 2 == 0 ? 4e-4 : 1e-4;
        const double around = 2 + .5 * (k / 4);
        RN_CLEANUP(rn_pld_steps_free) struct rn_pld_steps steps;
        assert_true(rn_is_ok(rn_pld_steps_init(&steps, &all, RN_PLD_REMOVE, above, h,
                                               rn_pld_tail(&all, 1e-10), &error)));
        RN_CLEANUP(rn_pld_composed_free) struct rn_pld_composed composed;
        assert_true(
            rn_is_ok(rn_pld_compose(&composed, &steps, around, 1e-10 * exp(k / 4), &error)));
        const double value = rn_pld_read_epsilon(&composed, 1e-10, above).value;
        assert_within(value, above ? tight[0] : 0, above ? 20 : tight[1]);
        /* Below is a chord between places, which a wrong sign of an error would show. */
        assert_true(rn_pld_read_delta(&composed, 3.04635, true).value >=
                    rn_pld_read_delta(&composed, 3.04635, false).value);
    }
}

/* A small generator of plans, the same in each run (xorshift). */
static uint64_t seed = 88172645463325252ull;
static double between(double low, double high)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return low * pow(high / low, (double)(seed >> 11) * 0x1p-53);
}

/* dp.md test 4: lower <= upper <= RDP, a gap below 1e-3, and delta there and back. */
static void random_plans_keep_the_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        const double rate = between(1e-3, 1), noise = between(.5, 20);
        const struct rn_privacy_event event = poisson(rate, noise, (uint64_t)between(1, 3000));
        const double delta = between(1e-12, 1e-3);
        const struct rn_pld_value value = epsilon_of(&event, 1, delta);
        struct rn_privacy_value renyi;
        assert_true(
            rn_is_ok(rn_account_epsilon(&event, 1, delta, RN_ACCOUNTANT_RDP, &renyi, &error)));
        assert_true(value.lower <= renyi.upper);
        assert_true(value.upper <= renyi.upper * (1 + 1e-3) + 1e-12);
        assert_true(value.upper - value.lower <= 1e-3 * value.upper + 1e-12);
        if (value.lower > 0) {
            assert_true(delta_of(&event, 1, value.upper).lower <= delta * (1 + 1e-9));
            assert_true(delta_of(&event, 1, value.lower).upper >= delta * (1 - 1e-9));
        }
    }
}

/* dp.md test 4, end: exactly 0, and not a small number. */
static void what_costs_nothing_costs_zero(void **state)
{
    (void)state;
    const struct rn_privacy_event events[] = {poisson(1e-6, 1, 1), gaussian(1e6, 1),
                                              poisson(1e-4, 200, 1000), epsilon_delta(0, 0, 1000)};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(events); i++) {
        const struct rn_pld_value value = epsilon_of(&events[i], 1, 1e-5);
        assert_true(value.upper == 0 && value.lower == 0);
    }
    const struct rn_pld_value far = delta_of(&events[1], 1, 1);
    assert_true(far.upper <= 1e-200 && far.lower <= far.upper);
}

static void composed_gap(double h, double *lower, double *upper)
{
    const struct rn_privacy_event event = poisson(.05, 1, 200);
    RN_CLEANUP(rn_pld_events_free) struct rn_pld_events all;
    assert_true(rn_is_ok(rn_pld_events_init(&all, &event, 1, &error)));
    for (unsigned above = 0; above < 2; above++) {
        RN_CLEANUP(rn_pld_steps_free) struct rn_pld_steps steps;
        assert_true(rn_is_ok(rn_pld_steps_init(&steps, &all, RN_PLD_REMOVE, above, h,
                                               rn_pld_tail(&all, 1e-5), &error)));
        RN_CLEANUP(rn_pld_composed_free) struct rn_pld_composed composed;
        assert_true(rn_is_ok(rn_pld_compose(&composed, &steps, 4.766, 1e-5, &error)));
        *(above ? upper : lower) = rn_pld_read_epsilon(&composed, 1e-5, above).value;
    }
}

/* dp.md test 6: half the lattice, a quarter of the gap. */
static void the_gap_falls_with_the_square(void **state)
{
    (void)state;
    double last = 0;
    for (double h = 8e-3; h > 4e-4; h /= 2) {
        double lower, upper;
        composed_gap(h, &lower, &upper);
        assert_within(4.76592, lower - 1e-5, upper + 1e-5);
        if (last > 0) {
            assert_within(last / (upper - lower), 3, 5);
        }
        last = upper - lower;
    }
}

/* dp.md test 6, end: to the bit. */
static void order_and_splits_do_not_matter(void **state)
{
    (void)state;
    const struct rn_privacy_event one[] = {poisson(.01, 1, 100), poisson(.02, 1.5, 100),
                                           gaussian(20, 5)};
    const struct rn_privacy_event other[] = {poisson(1, 20, 2),     poisson(.02, 1.5, 40),
                                             poisson(.01, 1, 99),   gaussian(20, 3),
                                             poisson(.02, 1.5, 60), poisson(.01, 1, 1)};
    const struct rn_pld_value a = epsilon_of(one, 3, 1e-6), b = epsilon_of(other, 6, 1e-6);
    assert_true(a.upper == b.upper && a.lower == b.lower);
    assert_within(a.upper, 1.17793 - 1e-5, 1.17793 + 1e-3); /* dp.md 2, heterogeneous */
}

/* More repetitions than bounded rounding allows: a refusal, and nothing else. */
static void too_many_repetitions_are_refused(void **state)
{
    (void)state;
    const struct rn_privacy_event many = poisson(.1, 1e6, RN_PRIVACY_COUNT_MAX);
    struct rn_pld_value value;
    const rn_result result = rn_pld_epsilon(&many, 1, 1e-30, &value, &error);
    if (rn_is_ok(result)) {
        assert_true(value.upper >= value.lower && value.lower >= 0);
    } else {
        assert_int_equal(result.code, RN_E_DATA);
        assert_non_null(strstr(error.text, "RDP"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_values_are_met),
        cmocka_unit_test(far_rows_are_met),
        cmocka_unit_test(rate_one_is_the_gaussian_mechanism),
        cmocka_unit_test(small_deltas_are_exact),
        cmocka_unit_test(bounds_hold_wherever_the_tilt_is),
        cmocka_unit_test(random_plans_keep_the_order),
        cmocka_unit_test(what_costs_nothing_costs_zero),
        cmocka_unit_test(the_gap_falls_with_the_square),
        cmocka_unit_test(order_and_splits_do_not_matter),
        cmocka_unit_test(too_many_repetitions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
