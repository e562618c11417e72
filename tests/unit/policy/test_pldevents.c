/* SPDX-License-Identifier: Apache-2.0
 *
 * Kinds of events under privacy-loss distributions: reference values of lists, of groups, of
 * truncated batches, of mechanisms of which no more is known; and the bound on membership tests.
 */
#include "policy/accountant/pld.h"

#include "base/guard.h"
#include "policy/accountant/normal.h"
#include "policy/accountant/pldmix.h"

#include "tests/unit/policy/pldcases.h"

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

/* Both bounds around a value that was rounded by `half`. */
static void assert_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                           double want, double half)
{
    const struct rn_pld_value value = epsilon_of(events, count, delta);
    assert_within(value.upper, want - half, want + half + 1e-3);
    assert_within(value.lower, want - half - 1e-3, want + half);
}

static struct rn_privacy_event truncated(uint64_t records, uint32_t cap, double rate, double noise,
                                         uint64_t count)
{
    return (struct rn_privacy_event){.kind = RN_PRIVACY_TRUNCATED,
                                     .rate = rate,
                                     .noise = noise,
                                     .count = count,
                                     .records = records,
                                     .cap = cap};
}

/* privacy case 7: groups (1.2, Ganesh 2024). */
static void groups_cost_more_than_their_share(void **state)
{
    (void)state;
    static const double want[][2] = {{1, .622}, {2, 1.333}, {4, 2.893}, {8, 6.460}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(want); i++) {
        const struct rn_privacy_event event = group_of((unsigned)want[i][0], .01, 2, 1000);
        assert_epsilon(&event, 1, 1e-5, want[i][1], 6e-4);
    }
    /* One record: to the bit what POISSON says, which is another code path of the list. */
    const struct rn_privacy_event one = group_of(1, .01, 2, 1000), same = poisson(.01, 2, 1000);
    assert_true(epsilon_of(&one, 1, 1e-5).upper == epsilon_of(&same, 1, 1e-5).upper);
}

/* privacy case 7: slot-keeping truncation (1.2). */
static void truncation_costs_what_it_shifts(void **state)
{
    (void)state;
    static const double want[][2] = {{110, 3.264}, {120, 2.121}, {130, 1.847}, {140, 1.8288}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(want); i++) {
        const struct rn_privacy_event event = truncated(10000, (uint32_t)want[i][0], .01, 1, 1000);
        assert_epsilon(&event, 1, 1e-5, want[i][1], 6e-4);
    }
    const struct rn_privacy_event wide = truncated(10000, 10000, .01, 1, 1000);
    assert_epsilon(&wide, 1, 1e-5, 1.8282, 6e-5);
}

/* Small numbers by hand. Three records at rate 1/2, cap 1: the others drawn are 0, 1, 2 with 1/4,
 * 1/2, 1/4. No mate in the batch: w = 1/4 + 1/2 (1/2 1/2 + 1/4 1/3) = 5/12, and the record is in
 * with (1/8 + 1/8 + 1/24) / w = 7/10. */
static void the_mixture_is_that_of_the_mates(void **state)
{
    (void)state;
    const struct rn_privacy_event event = truncated(3, 1, .5, 1, 1);
    struct rn_pld_mix mix;
    assert_true(rn_is_ok(rn_pld_mix_init(&mix, &event, RN_PLD_REMOVE, &error)));
    assert_int_equal(mix.parts, 1);
    assert_within(mix.part[0].share, 5. / 12 - 1e-15, 5. / 12 + 1e-15);
    assert_within(mix.part[0].pair.weight[1], .7 - 1e-15, .7 + 1e-15);
    assert_int_equal(mix.atoms, 1);
    assert_within(mix.atom[0].mass, 7. / 12 - 1e-15, 7. / 12 + 1e-15);
    /* The record is in the batch as often as any other: E[min(drawn, 1)] / 3 = 7 / 24. */
    assert_within(mix.part[0].share * mix.part[0].pair.weight[1], 7. / 24 - 1e-15, 7. / 24 + 1e-15);
}

static void a_binomial_too_wide_is_refused(void **state)
{
    (void)state;
    const struct rn_privacy_event wide = truncated(UINT64_MAX, 1000, .5, 1, 1);
    struct rn_pld_value value;
    assert_int_equal(rn_pld_epsilon(&wide, 1, 1e-5, &value, &error).code, RN_E_UNSUPPORTED);
    const struct rn_privacy_event all = truncated(10, 4, 1, 1, 1); /* every mate is drawn always */
    assert_true(epsilon_of(&all, 1, 1e-5).upper > 0);
}

/* privacy case 7: joint releases of one batch and adaptive clipping (1.8) are one event of the
 * noise that both have together; and two events of the same mechanism are not. */
static void releases_of_one_batch_are_one_event(void **state)
{
    (void)state;
    const struct rn_privacy_event joint = poisson(.02, 1.5 / sqrt(2), 500);
    assert_epsilon(&joint, 1, 1e-5, 2.461, 6e-4);
    const struct rn_privacy_event single = poisson(.02, 1.5, 500);
    assert_epsilon(&single, 1, 1e-5, 1.370, 6e-4);
    /* Counts with deviation 1 of centred bits, gradients so that the whole has noise 1. */
    const double gradient = pow(1 - pow(2, -2), -.5);
    const struct rn_privacy_event clip =
        poisson(.01, pow(pow(gradient, -2) + pow(2, -2), -.5), 1000);
    assert_epsilon(&clip, 1, 1e-5, 1.8282, 6e-5);
    const struct rn_privacy_event raised = poisson(.01, gradient, 1000);
    assert_true(epsilon_of(&raised, 1, 1e-5).upper < 1.5);
}

/* Randomised response by its binomial: exactly. */
static double responses_delta(unsigned count, double epsilon0, double epsilon)
{
    double sum = 0;
    for (unsigned k = 0; k <= count; k++) {
        const double ways = lgamma(count + 1.) - lgamma(k + 1.) - lgamma(count - k + 1.);
        const double loss = (2. * k - count) * epsilon0;
        const double mass = exp(ways + k * epsilon0 - count * log1p(exp(epsilon0)));
        sum += loss > epsilon ? mass * -expm1(epsilon - loss) : 0;
    }
    return sum;
}

static void pure_mechanisms_compose_like_responses(void **state)
{
    (void)state;
    static const double epsilons[] = {0, .3, 1, 1.95};
    const struct rn_privacy_event event = epsilon_delta(.1, 0, 20);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(epsilons); i++) {
        struct rn_pld_value value;
        assert_true(rn_is_ok(rn_pld_delta(&event, 1, epsilons[i], &value, &error)));
        const double truth = responses_delta(20, .1, epsilons[i]);
        assert_within(value.upper, truth * (1 - 1e-10), truth * (1 + 1e-3));
        assert_within(value.lower, truth * (1 - 1e-3), truth * (1 + 1e-10));
    }
}

static void what_is_lost_for_sure_stays_lost(void **state)
{
    (void)state;
    const struct rn_privacy_event event = epsilon_delta(.5, 1e-6, 2);
    struct rn_pld_value value = epsilon_of(&event, 1, 1e-6);
    assert_true(isinf(value.upper) && isinf(value.lower));
    value = epsilon_of(&event, 1, 1e-5);
    /* 2e-6 + 0.62246^2 (1 - exp(epsilon - 1)) = 1e-5. */
    assert_within(value.upper, 1 - 2.07e-5, 1 - 1.9e-5);
    assert_within(value.lower, 1 - 2.2e-5, 1 - 2.06e-5);
    /* Beyond the sum of the epsilons all that is left is infinity. */
    assert_true(rn_is_ok(rn_pld_delta(&event, 1, 1.1, &value, &error)));
    assert_within(value.upper, 2e-6 - 1e-12, 2e-6 * (1 + 1e-6));
    assert_within(value.lower, 2e-6 * (1 - 1e-6), 2e-6);
    /* In a list with others. */
    const struct rn_privacy_event list[] = {event, gaussian(20, 5), poisson(.01, 1, 100)};
    const struct rn_privacy_event rest[] = {gaussian(20, 5), poisson(.01, 1, 100)};
    const struct rn_pld_value mixed = epsilon_of(list, 3, 1e-5),
                              without = epsilon_of(rest, 2, 1e-5);
    assert_true(mixed.lower > without.upper && mixed.upper <= without.upper + 1.1);
}

static double attack(const struct rn_privacy_event *event, double fpr)
{
    double tpr;
    assert_true(rn_is_ok(rn_pld_attack(event, 1, fpr, &tpr, &error)));
    return tpr;
}

/* The best test of a Gaussian mechanism has Phi(Phi^-1(fpr) + mu): z of the rate, and it back. */
static void the_best_test_of_a_gaussian(void **state)
{
    (void)state;
    static const double cases[][3] = {/* mu, z, repetitions */
                                      {1, 2.3263478740408408, 1},
                                      {.5, 3.0902323061678132, 4},
                                      {3, 1.2815515655446004, 9},
                                      {.1, -1, 1},
                                      {2, 6, 1}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const double repeats = cases[i][2], mu = cases[i][0], z = cases[i][1];
        const struct rn_privacy_event event = gaussian(sqrt(repeats) / mu, (uint64_t)repeats);
        const double truth = exp(rn_normal_log_cdf(mu - z));
        const double tpr = attack(&event, exp(rn_normal_log_cdf(-z)));
        assert_within(tpr, truth * (1 - 1e-9), truth * (1 + 2e-3));
    }
}

/* With sampling: between the rate itself and what one epsilon says, and rising in both. */
static void a_test_of_a_sampled_record_is_bounded(void **state)
{
    (void)state;
    const struct rn_privacy_event event = poisson(.02, 1, 1000);
    const double epsilon = epsilon_of(&event, 1, 1e-5).upper;
    const double few = attack(&event, 1e-3), more = attack(&event, 1e-2);
    assert_true(few > 1e-3 && more > few && more < 1);
    assert_true(few <= 1e-3 * exp(epsilon) + 1e-5);
    const struct rn_privacy_event longer = poisson(.02, 1, 2000);
    assert_true(attack(&longer, 1e-3) > few);
    const struct rn_privacy_event nothing = epsilon_delta(0, 0, 10);
    assert_within(attack(&nothing, .25), .25, .25 * (1 + 1e-9));
    /* One response: exp(epsilon) fpr, up to where the line turns. */
    const struct rn_privacy_event response = epsilon_delta(1, 0, 1);
    assert_within(attack(&response, .1), .1 * exp(1) * (1 - 1e-9), .1 * exp(1) * (1 + 1e-3));
    assert_within(attack(&response, .5), 1 - .5 / exp(1) - 1e-9, (1 - .5 / exp(1)) * (1 + 1e-3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_cost_more_than_their_share),
        cmocka_unit_test(truncation_costs_what_it_shifts),
        cmocka_unit_test(the_mixture_is_that_of_the_mates),
        cmocka_unit_test(a_binomial_too_wide_is_refused),
        cmocka_unit_test(releases_of_one_batch_are_one_event),
        cmocka_unit_test(pure_mechanisms_compose_like_responses),
        cmocka_unit_test(what_is_lost_for_sure_stays_lost),
        cmocka_unit_test(the_best_test_of_a_gaussian),
        cmocka_unit_test(a_test_of_a_sampled_record_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
