/* SPDX-License-Identifier: Apache-2.0
 *
 * The roof of the accountants: what it refuses, that PLD's two bounds and RDP's stand in their
 * order, and that calibration never overshoots. With RONDO_LONG set, 1,000 of each.
 */
#include "policy/accountant/accountant.h"

#include "base/guard.h"
#include "policy/accountant/normal.h"
#include "policy/accountant/rdp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rn_error error;

static void assert_near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        print_error("%.17g is not %.17g\n", got, want);
        fail();
    }
}

static int trials(int few)
{
    return getenv("RONDO_LONG") != NULL ? 1000 : few;
}

/* Steele, Lea, Flood 2014 (splitmix64): 0 to 1. */
static uint64_t seed;
static double uniform(void)
{
    uint64_t mixed = (seed += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (double)((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53;
}

static double between(double low, double high)
{
    return low * pow(high / low, uniform());
}

static struct rn_privacy_event poisson(double rate, double noise, uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_POISSON, .rate = rate, .noise = noise, .count = count};
}

static struct rn_privacy_value epsilon_of(const struct rn_privacy_event *events, size_t count,
                                          double delta, enum rn_accountant accountant)
{
    struct rn_privacy_value value;
    const rn_result result = rn_account_epsilon(events, count, delta, accountant, &value, &error);
    if (!rn_is_ok(result)) {
        print_error("%s\n", error.text);
    }
    assert_int_equal(result.code, RN_OK);
    return value;
}

/* ---- What is refused ---- */

static const struct rn_privacy_event good[] = {
    {.kind = RN_PRIVACY_GAUSSIAN, .noise = 2, .count = 1},
    {.kind = RN_PRIVACY_POISSON, .rate = .1, .noise = 2, .count = 1},
    {.kind = RN_PRIVACY_TRUNCATED, .rate = .1, .noise = 2, .records = 50, .cap = 9, .count = 1},
    {.kind = RN_PRIVACY_GROUP, .rate = .1, .noise = 2, .group = 3, .count = 1},
    {.kind = RN_PRIVACY_ALLOCATION, .noise = 2, .picks = 1, .slots = 5, .count = 1},
    {.kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = .5, .delta = 1e-7, .count = 1},
};

static enum rn_code check(struct rn_privacy_event event)
{
    return rn_privacy_events_check(&event, 1, &error).code;
}

#define WITH(kind_, field_, value_)                     \
    __extension__({                                     \
        struct rn_privacy_event with = good[(kind_)-1]; \
        with.field_ = (value_);                         \
        check(with);                                    \
    })

static void every_field_has_its_limits(void **state)
{
    (void)state;
    assert_int_equal(rn_privacy_events_check(good, RN_ARRAY_LENGTH(good), &error).code, RN_OK);
    for (int kind = RN_PRIVACY_GAUSSIAN; kind <= RN_PRIVACY_EPSILON_DELTA; kind++) {
        const bool noisy = kind != RN_PRIVACY_EPSILON_DELTA;
        const bool sampled = kind >= RN_PRIVACY_POISSON && kind <= RN_PRIVACY_GROUP;
        assert_int_equal(WITH(kind, count, 0), RN_E_CONFIG);
        assert_int_equal(WITH(kind, count, RN_PRIVACY_COUNT_MAX), RN_OK);
        assert_int_equal(WITH(kind, count, RN_PRIVACY_COUNT_MAX + 1), RN_E_CONFIG);
        assert_int_equal(WITH(kind, noise, NAN), noisy ? RN_E_CONFIG : RN_OK);
        assert_int_equal(WITH(kind, noise, -1), noisy ? RN_E_CONFIG : RN_OK);
        assert_int_equal(WITH(kind, noise, RN_PRIVACY_NOISE_MIN), RN_OK);
        assert_int_equal(WITH(kind, noise, RN_PRIVACY_NOISE_MIN * .999),
                         noisy ? RN_E_CONFIG : RN_OK);
        assert_int_equal(WITH(kind, noise, RN_PRIVACY_NOISE_MAX), RN_OK);
        assert_int_equal(WITH(kind, noise, RN_PRIVACY_NOISE_MAX * 1.001),
                         noisy ? RN_E_CONFIG : RN_OK);
        assert_int_equal(WITH(kind, rate, NAN), sampled ? RN_E_CONFIG : RN_OK);
        assert_int_equal(WITH(kind, rate, RN_PRIVACY_RATE_MIN), RN_OK);
        assert_int_equal(WITH(kind, rate, RN_PRIVACY_RATE_MIN / 2), sampled ? RN_E_CONFIG : RN_OK);
        assert_int_equal(WITH(kind, rate, 1), RN_OK);
        assert_int_equal(WITH(kind, rate, 1 + 1e-15), sampled ? RN_E_CONFIG : RN_OK);
    }
    assert_int_equal(check((struct rn_privacy_event){.kind = 0, .count = 1}), RN_E_CONFIG);
    assert_int_equal(check((struct rn_privacy_event){.kind = 7, .count = 1}), RN_E_CONFIG);
}

static void fields_of_one_kind_have_limits(void **state)
{
    (void)state;
    assert_int_equal(WITH(RN_PRIVACY_TRUNCATED, cap, 0), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_TRUNCATED, records, 0), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_GROUP, group, 0), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_GROUP, group, RN_PRIVACY_GROUP_MAX), RN_OK);
    assert_int_equal(WITH(RN_PRIVACY_GROUP, group, RN_PRIVACY_GROUP_MAX + 1), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_ALLOCATION, picks, 0), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_ALLOCATION, picks, 5), RN_OK);
    assert_int_equal(WITH(RN_PRIVACY_ALLOCATION, picks, 6), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_EPSILON_DELTA, epsilon, -1e-9), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_EPSILON_DELTA, epsilon, NAN), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_EPSILON_DELTA, epsilon, INFINITY), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_EPSILON_DELTA, delta, 1), RN_E_CONFIG);
    assert_int_equal(WITH(RN_PRIVACY_EPSILON_DELTA, delta, -1e-9), RN_E_CONFIG);
}

static void a_list_names_its_bad_event(void **state)
{
    static struct rn_privacy_event many[RN_PRIVACY_EVENTS_MAX + 1];

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(many); i++) {
        many[i] = good[0];
    }
    assert_int_equal(rn_privacy_events_check(many, RN_PRIVACY_EVENTS_MAX, &error).code, RN_OK);
    assert_int_equal(rn_privacy_events_check(many, RN_PRIVACY_EVENTS_MAX + 1, &error).code,
                     RN_E_CONFIG);
    many[41].noise = 0;
    assert_int_equal(rn_privacy_events_check(many, 100, &error).code, RN_E_CONFIG);
    assert_non_null(strstr(error.text, "privacy event 42: its noise multiplier"));
}

/* privacy case 2: NaN and what is out of range is refused before any accountant sees it. */
static void questions_are_checked(void **state)
{
    struct rn_privacy_value value;
    struct rn_privacy_event bad = good[1];
    double number;
    uint64_t steps;

    (void)state;
    bad.noise = NAN;
    for (int a = RN_ACCOUNTANT_PLD; a <= RN_ACCOUNTANT_RDP; a++) {
        static const double deltas[] = {0, 1, -1e-5, NAN};
        for (size_t i = 0; i < RN_ARRAY_LENGTH(deltas); i++) {
            const double d = deltas[i];
            assert_int_equal(rn_account_epsilon(good, 2, d, a, &value, &error).code, RN_E_CONFIG);
            assert_int_equal(rn_account_sigma(.1, 9, d, 1, a, &number, &error).code, RN_E_CONFIG);
            assert_int_equal(rn_account_steps(.1, 9, d, 1, a, &steps, &error).code, RN_E_CONFIG);
        }
        assert_int_equal(rn_account_delta(good, 2, -1, a, &value, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_delta(good, 2, NAN, a, &value, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_epsilon(&bad, 1, 1e-5, a, &value, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_delta(&bad, 1, 1, a, &value, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_sigma(NAN, 9, 1e-5, 1, a, &number, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_sigma(.1, 0, 1e-5, 1, a, &number, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_sigma(.1, 9, 1e-5, NAN, a, &number, &error).code, RN_E_CONFIG);
        assert_int_equal(rn_account_steps(.1, 0, 1e-5, 1, a, &steps, &error).code, RN_E_CONFIG);
    }
    assert_int_equal(rn_account_epsilon(good, 1, 1e-5, 2, &value, &error).code, RN_E_CONFIG);
    assert_int_equal(rn_account_attack(&bad, 1, .01, &number, &error).code, RN_E_CONFIG);
    assert_int_equal(rn_account_attack(good, 1, 0, &number, &error).code, RN_E_CONFIG);
    assert_int_equal(rn_account_attack(good, 1, NAN, &number, &error).code, RN_E_CONFIG);
    /* TRUNCATED */
    assert_int_equal(rn_account_epsilon(&good[2], 1, 1e-5, RN_ACCOUNTANT_RDP, &value, &error).code,
                     RN_E_UNSUPPORTED);
    assert_int_equal(rn_account_delta(&good[2], 1, 1, RN_ACCOUNTANT_RDP, &value, &error).code,
                     RN_E_UNSUPPORTED);
}

static void no_events_cost_nothing(void **state)
{
    struct rn_privacy_value value = epsilon_of(NULL, 0, 1e-9, RN_ACCOUNTANT_PLD);
    double tpr;

    (void)state;
    assert_true(value.upper == 0 && value.lower == 0 && isnan(value.order));
    value = epsilon_of(NULL, 0, 1e-9, RN_ACCOUNTANT_RDP);
    assert_true(value.upper == 0 && isnan(value.lower));
    assert_int_equal(rn_account_delta(NULL, 0, 0, RN_ACCOUNTANT_PLD, &value, &error).code, RN_OK);
    assert_true(value.upper == 0);
    assert_int_equal(rn_account_attack(NULL, 0, .01, &tpr, &error).code, RN_OK);
    assert_true(tpr == .01);
}

/* ---- Lists with deltas of their own ---- */

static void deltas_compose_apart(void **state)
{
    const struct rn_privacy_event list[] = {
        poisson(.01, 1, 100),
        {.kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = .1, .delta = 1e-7, .count = 30}};
    const struct rn_privacy_event pure[] = {
        list[0], {.kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = .1, .count = 30}};
    const double extra = 1 - pow(1 - 1e-7, 30);
    struct rn_privacy_value value;
    struct rn_order_best best;

    (void)state;
    value = epsilon_of(list, 2, 1e-5, RN_ACCOUNTANT_RDP);
    assert_true(rn_rdp_epsilon(pure, 2, (1e-5 - extra) / (1 - extra), &best));
    assert_near(value.upper, best.value, 1e-9);
    assert_int_equal(rn_account_delta(list, 2, value.upper, RN_ACCOUNTANT_RDP, &value, &error).code,
                     RN_OK);
    assert_near(value.upper, 1e-5, 1e-9);
    value = epsilon_of(list, 2, extra * .999, RN_ACCOUNTANT_RDP);
    assert_true(value.upper == INFINITY && isnan(value.order));
}

/* ---- The order of the bounds ---- */

static struct rn_privacy_event random_plan(void)
{
    struct rn_privacy_event event =
        poisson(between(1e-4, 1), between(.5, 20), (uint64_t)between(1, 3000));
    if (uniform() < .15) {
        event.kind = RN_PRIVACY_GAUSSIAN;
    }
    return event;
}

/* privacy case 4: certified lower <= upper <= RDP, the gap below 1e-3; delta(epsilon) comes back.
 */
static void bounds_stand_in_their_order(void **state)
{
    struct rn_privacy_value back;

    (void)state;
    seed = 4;
    for (int i = 0; i < trials(8); i++) {
        const struct rn_privacy_event event = random_plan();
        const double delta = between(1e-9, 1e-3);
        const struct rn_privacy_value pld = epsilon_of(&event, 1, delta, RN_ACCOUNTANT_PLD);
        const struct rn_privacy_value rdp = epsilon_of(&event, 1, delta, RN_ACCOUNTANT_RDP);
        assert_true(pld.lower >= 0 && pld.lower <= pld.upper && pld.upper <= rdp.upper);
        assert_true(pld.upper - pld.lower <= 1e-3 * pld.upper);
        assert_int_equal(
            rn_account_delta(&event, 1, pld.upper, RN_ACCOUNTANT_PLD, &back, &error).code, RN_OK);
        assert_true(back.lower <= delta);
        assert_true(pld.upper == 0 || back.upper >= delta * .99);
    }
}

/* privacy case 2. */
static void without_sampling_pld_is_the_analytic_gaussian(void **state)
{
    const struct rn_privacy_event list[] = {{.kind = RN_PRIVACY_GAUSSIAN, .noise = 10, .count = 60},
                                            {.kind = RN_PRIVACY_GAUSSIAN, .noise = 5, .count = 10}};
    const double exact = rn_gauss_epsilon(1, 1e-5);
    const struct rn_privacy_value value = epsilon_of(list, 2, 1e-5, RN_ACCOUNTANT_PLD);

    (void)state;
    assert_true(value.lower <= exact * (1 + 1e-12) && exact <= value.upper * (1 + 1e-12));
    assert_near(value.upper, exact, 1e-4);
}

/* privacy case 7: several kinds in one list; persons with several records (1.2). */
static void lists_and_groups_are_met(void **state)
{
    static const double groups[][2] = {{1, 0.622}, {2, 1.333}, {4, 2.893}, {8, 6.460}};
    const struct rn_privacy_event mixed[] = {
        poisson(.01, 1, 100),
        poisson(.02, 1.5, 100),
        {.kind = RN_PRIVACY_GAUSSIAN, .noise = 20, .count = 5}};
    struct rn_privacy_value value = epsilon_of(mixed, 3, 1e-6, RN_ACCOUNTANT_PLD);

    (void)state;
    assert_true(value.lower <= 1.17793 + 1e-4 && value.upper >= 1.17793 - 1e-5);
    assert_near(value.upper, 1.17793, 1e-3);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(groups); i++) {
        const struct rn_privacy_event event = {.kind = RN_PRIVACY_GROUP,
                                               .rate = .01,
                                               .noise = 2,
                                               .group = (uint32_t)groups[i][0],
                                               .count = 1000};
        value = epsilon_of(&event, 1, 1e-5, RN_ACCOUNTANT_PLD);
        assert_near(value.upper, groups[i][1], 1.5e-3);
        assert_true(epsilon_of(&event, 1, 1e-5, RN_ACCOUNTANT_RDP).upper >= value.upper);
    }
}

/* A test for membership under one Gaussian: Phi(mu + Phi^-1(fpr)) is exact. */
static void attackers_are_bounded(void **state)
{
    const struct rn_privacy_event event = good[0]; /* mu 1 / 2 */
    const double quantile = -2.3263478740408408;   /* Phi^-1(0.01) */
    const double exact = exp(rn_normal_log_cdf(.5 + quantile));
    double tpr;

    (void)state;
    assert_int_equal(rn_account_attack(&event, 1, .01, &tpr, &error).code, RN_OK);
    assert_true(tpr >= exact);
    assert_near(tpr, exact, 1e-2);
}

/* ---- Calibration ---- */

/* The next smaller number of 6 digits. */
static double smaller(double noise)
{
    const double unit = pow(10, floor(log10(noise * (1 - 1e-9))) - 5);
    return noise - unit;
}

static void noise_is_least(double rate, uint64_t steps, double delta, double epsilon,
                           enum rn_accountant accountant)
{
    struct rn_privacy_event event = poisson(rate, 1, steps);
    double noise;

    assert_int_equal(rn_account_sigma(rate, steps, delta, epsilon, accountant, &noise, &error).code,
                     RN_OK);
    event.kind = rate == 1 ? RN_PRIVACY_GAUSSIAN : RN_PRIVACY_POISSON;
    event.noise = noise;
    assert_true(epsilon_of(&event, 1, delta, accountant).upper <= epsilon);
    if (noise > RN_PRIVACY_NOISE_MIN) {
        event.noise = smaller(noise);
        /* one place below was computed, or one beside it by a rounding of `smaller` */
        event.noise *= 1 - 1e-9;
        assert_true(epsilon_of(&event, 1, delta, accountant).upper > epsilon * (1 - 1e-12));
    }
}

/* privacy case 8: never above the target, and one place less is. */
static void calibrated_noise_never_overshoots(void **state)
{
    static const double targets[] = {1e-6, .01, 100, 1e6};

    (void)state;
    seed = 8;
    for (int i = 0; i < trials(40); i++) {
        noise_is_least(uniform() < .1 ? 1 : between(1e-5, 1), (uint64_t)between(1, 1e5),
                       between(1e-10, .1), between(1e-3, 100), RN_ACCOUNTANT_RDP);
    }
    for (int i = 0; i < trials(8) / 8; i++) {
        noise_is_least(between(1e-3, .3), (uint64_t)between(10, 2000), between(1e-8, 1e-4),
                       between(.5, 10), RN_ACCOUNTANT_PLD);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(targets); i++) {
        noise_is_least(.01, 100, 1e-5, targets[i], RN_ACCOUNTANT_RDP);
    }
}

/* Targets that no noise meets, or any. */
static void impossible_targets_are_refused(void **state)
{
    double noise;
    uint64_t steps;

    (void)state;
    assert_int_equal(
        rn_account_sigma(1, RN_PRIVACY_COUNT_MAX, 1e-30, 1e-3, RN_ACCOUNTANT_RDP, &noise, &error)
            .code,
        RN_E_REFUSED);
    assert_non_null(strstr(error.text, "fewer steps"));
    assert_int_equal(rn_account_sigma(1, 1, .5, 0, RN_ACCOUNTANT_RDP, &noise, &error).code, RN_OK);
    assert_true(noise > .7 && noise < 4); /* total variation at most 1/2 */
    assert_int_equal(rn_account_sigma(.5, 1, 1e-5, 1e9, RN_ACCOUNTANT_RDP, &noise, &error).code,
                     RN_OK);
    assert_true(noise == RN_PRIVACY_NOISE_MIN);
    assert_int_equal(rn_account_steps(1, .1, 1e-5, 1, RN_ACCOUNTANT_RDP, &steps, &error).code,
                     RN_OK);
    assert_true(steps == 0);
    assert_int_equal(rn_account_steps(1e-9, 1e6, 1e-5, 1, RN_ACCOUNTANT_RDP, &steps, &error).code,
                     RN_OK);
    assert_true(steps == RN_PRIVACY_COUNT_MAX);
}

/* The planner: PLD, q .064, 100 steps, epsilon 3 and 8; row 18. */
static void calibration_meets_the_references(void **state)
{
    double noise;

    (void)state;
    assert_int_equal(rn_account_sigma(.064, 100, 1e-5, 3, RN_ACCOUNTANT_PLD, &noise, &error).code,
                     RN_OK);
    assert_near(noise, 1.238, 1e-3);
    assert_int_equal(rn_account_sigma(.064, 100, 1e-5, 8, RN_ACCOUNTANT_PLD, &noise, &error).code,
                     RN_OK);
    assert_near(noise, .763, 1e-3);
    assert_int_equal(rn_account_sigma(.01, 1, 1e-5, 1, RN_ACCOUNTANT_PLD, &noise, &error).code,
                     RN_OK);
    assert_near(noise, .67379294682, 2e-4);
}

/* The most steps: one more is too many. */
static void calibrated_steps_never_overshoot(void **state)
{
    uint64_t steps;

    (void)state;
    seed = 9;
    for (int i = 0; i < trials(40); i++) {
        struct rn_privacy_event event = poisson(between(1e-4, .5), between(.6, 10), 1);
        const double delta = between(1e-9, 1e-3);
        const double epsilon = between(.1, 20);
        assert_int_equal(rn_account_steps(event.rate, event.noise, delta, epsilon,
                                          RN_ACCOUNTANT_RDP, &steps, &error)
                             .code,
                         RN_OK);
        event.count = steps;
        assert_true(steps == 0 || epsilon_of(&event, 1, delta, RN_ACCOUNTANT_RDP).upper <= epsilon);
        event.count = steps + 1;
        assert_true(epsilon_of(&event, 1, delta, RN_ACCOUNTANT_RDP).upper > epsilon);
    }
    /* reference row 14 */
    assert_int_equal(rn_account_steps(.1, 3, 1e-6, 2, RN_ACCOUNTANT_PLD, &steps, &error).code,
                     RN_OK);
    assert_int_equal(steps, 155);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_its_limits),
        cmocka_unit_test(fields_of_one_kind_have_limits),
        cmocka_unit_test(a_list_names_its_bad_event),
        cmocka_unit_test(questions_are_checked),
        cmocka_unit_test(no_events_cost_nothing),
        cmocka_unit_test(deltas_compose_apart),
        cmocka_unit_test(bounds_stand_in_their_order),
        cmocka_unit_test(without_sampling_pld_is_the_analytic_gaussian),
        cmocka_unit_test(lists_and_groups_are_met),
        cmocka_unit_test(attackers_are_bounded),
        cmocka_unit_test(calibrated_noise_never_overshoots),
        cmocka_unit_test(impossible_targets_are_refused),
        cmocka_unit_test(calibration_meets_the_references),
        cmocka_unit_test(calibrated_steps_never_overshoot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
