/* SPDX-License-Identifier: Apache-2.0
 *
 * Random allocation: its law from above and below against quadrature in 25 digits (two slots, both
 * directions) and against the intervals of another library; its Renyi divergences against
 * quadrature; what it is at the ends; what it costs beside Poisson sampling.
 */
#include "base/guard.h"
#include "policy/accountant/accountant.h"
#include "policy/accountant/allocgauss.h"
#include "policy/accountant/pldallocation.h"
#include "policy/accountant/pldlaw.h"

#include "tests/unit/policy/pldcases.h"

static struct rn_error error;

static struct rn_privacy_event allocation(uint32_t picks, uint32_t slots, double noise,
                                          uint64_t count)
{
    return (struct rn_privacy_event){.kind = RN_PRIVACY_ALLOCATION,
                                     .picks = picks,
                                     .slots = slots,
                                     .noise = noise,
                                     .count = count};
}

static double loss_at(const struct rn_pld_step *step, uint32_t i)
{
    return step->offset + (step->first + i) * step->h;
}

static double delta_at(const struct rn_pld_step *step, double epsilon)
{
    double sum = step->infinity;
    for (uint32_t i = step->count; i-- > 0 && loss_at(step, i) > epsilon;) {
        sum += exp(step->log_mass[i]) * -expm1(epsilon - loss_at(step, i));
    }
    return sum;
}

static double step_delta(struct rn_privacy_event event, enum rn_pld_direction direction, bool above,
                         double epsilon, double h)
{
    struct rn_pld_mix mix;
    struct rn_pld_step step;
    assert_true(rn_is_ok(rn_pld_mix_init(&mix, &event, direction, &error)));
    assert_true(rn_is_ok(above
                             ? rn_pld_step_above(&step, &mix, h, 1e-50, RN_PLD_BINS_MAX, &error)
                             : rn_pld_step_below(&step, &mix, h, 1e-50, RN_PLD_BINS_MAX, &error)));
    const double delta = delta_at(&step, epsilon);
    rn_pld_step_free(&step);
    return delta;
}

/* privacy case 7: E (S - e^epsilon)+ and E (1 - e^epsilon S)+ for S of two slots: one integral is
 * in closed form, the other one by mpmath. */
static void two_slots_are_exact(void **state)
{
    (void)state;
    static const struct {
        double noise, epsilon, remove, add;
    } cases[] = {
        {0.5, 0.5, 0.502098090376819, 0.491247988603246},
        {0.5, 2, 0.232321343459064, 0.186449148388192},
        {0.5, 4, 0.0448251179110256, 0.0166118602072792},
        {1, 0.5, 0.14917752313552, 0.142686965823743},
        {1, 2, 0.00474577763324832, 0.0020559245296645},
        {1, 4, 2.57799896689927e-6, 2.03434489477333e-8},
        {3, 0.5, 0.00206990492901859, 0.00196504902601777},
        {3, 2, 3.4429180644848e-16, 1.2423265673184e-18},
        {3, 4, 9.12991119806584e-46, 2.54662762324967e-65},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const struct rn_privacy_event event = allocation(1, 2, cases[i].noise, 1);
        for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
            const double exact = d == RN_PLD_REMOVE ? cases[i].remove : cases[i].add;
            const double h = 0.01 / cases[i].noise, epsilon = cases[i].epsilon;
            /* far out the error of a lattice is that of the density's slope, (z h)^2 */
            const double slack = exact > 1e-3 ? 2e-3 : exact > 1e-10 ? 1e-2 : 0.1;
            assert_within(step_delta(event, d, true, epsilon, h), exact * (1 - 1e-9),
                          exact * (1 + slack) + 1e-49);
            assert_within(step_delta(event, d, false, epsilon, h), exact * (1 - 2 * slack) - 1e-49,
                          exact * (1 + 1e-9));
        }
    }
}

/* Nothing is lost, however much lies beyond the lattice: P's mass is 1 with the infinite one. */
static void masses_sum_to_one(void **state)
{
    (void)state;
    const struct rn_privacy_event event = allocation(1, 5, 1, 1);
    for (unsigned d = 0; d < RN_PLD_DIRECTIONS; d++) {
        struct rn_pld_mix mix;
        struct rn_pld_step step;
        assert_true(rn_is_ok(rn_pld_mix_init(&mix, &event, d, &error)));
        assert_true(rn_is_ok(rn_pld_step_above(&step, &mix, 0.01, 1e-9, RN_PLD_BINS_MAX, &error)));
        double sum = step.infinity;
        for (uint32_t i = 0; i < step.count; i++) {
            sum += exp(step.log_mass[i]);
        }
        assert_within(sum, 1 - 1e-12, 1 + 1e-12);
        assert_within(step.infinity, 1e-14, 1e-9);
        rn_pld_step_free(&step);
    }
}

static struct rn_privacy_value epsilon_of(struct rn_privacy_event event, double delta,
                                          enum rn_accountant accountant)
{
    struct rn_privacy_value value;
    const rn_result result = rn_account_epsilon(&event, 1, delta, accountant, &value, &error);
    if (!rn_is_ok(result)) {
        fail_msg("%s", error.text);
    }
    return value;
}

/* The whole of one law: no fixed interval is narrower than what is said here. */
static void bounds_stand_in_their_order(void **state)
{
    (void)state;
    static const struct {
        uint32_t picks, slots;
        double noise;
        uint64_t count;
        double delta, gap;
    } cases[] = {{1, 100, 1, 1, 1e-5, 6e-4},   {1, 2, 1, 1, 1e-5, 6e-4},
                 {1, 1000, 1, 10, 1e-6, 1e-3}, {3, 7, 1.5, 4, 1e-6, 5e-3},
                 {4, 100, 2, 20, 1e-5, 5e-3},  {1, 100000, 1, 1, 1e-6, 6e-4}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const struct rn_privacy_event event =
            allocation(cases[i].picks, cases[i].slots, cases[i].noise, cases[i].count);
        const struct rn_privacy_value pld = epsilon_of(event, cases[i].delta, RN_ACCOUNTANT_PLD);
        const struct rn_privacy_value rdp = epsilon_of(event, cases[i].delta, RN_ACCOUNTANT_RDP);
        assert_true(pld.lower > 0 && pld.lower <= pld.upper && pld.upper <= rdp.upper);
        assert_within(pld.upper - pld.lower, 0, cases[i].gap);
        assert_within(rdp.upper, 0, 1.6 * pld.upper + 0.6);
    }
}

/* All slots picked is the Gaussian mechanism; groups of slots are one pick each. */
static void picks_are_split(void **state)
{
    (void)state;
    const struct rn_privacy_value all =
        epsilon_of(allocation(10, 10, 5, 3), 1e-6, RN_ACCOUNTANT_PLD);
    const struct rn_privacy_value steps = epsilon_of(gaussian(5, 30), 1e-6, RN_ACCOUNTANT_PLD);
    assert_true(all.upper == steps.upper && all.lower == steps.lower);
    const struct rn_privacy_value four =
        epsilon_of(allocation(4, 80, 1, 5), 1e-6, RN_ACCOUNTANT_PLD);
    const struct rn_privacy_value one =
        epsilon_of(allocation(1, 20, 1, 20), 1e-6, RN_ACCOUNTANT_PLD);
    assert_true(four.upper == one.upper && four.lower == one.lower);
    /* 2 of 5: a group of 2 slots and one of 3 */
    const struct rn_privacy_event parts[] = {allocation(1, 2, 1, 1), allocation(1, 3, 1, 1)};
    struct rn_privacy_value both;
    assert_true(rn_is_ok(rn_account_epsilon(parts, 2, 1e-6, RN_ACCOUNTANT_PLD, &both, &error)));
    const struct rn_privacy_value odd = epsilon_of(allocation(2, 5, 1, 1), 1e-6, RN_ACCOUNTANT_PLD);
    assert_true(odd.upper == both.upper && odd.lower == both.lower);
}

/* Less than the same number of records by Poisson sampling, and more than nothing. */
static void it_costs_about_what_poisson_does(void **state)
{
    (void)state;
    const struct rn_privacy_value fixed =
        epsilon_of(allocation(1, 100, 1, 10), 1e-6, RN_ACCOUNTANT_PLD);
    const struct rn_privacy_value drawn =
        epsilon_of(poisson(.01, 1, 1000), 1e-6, RN_ACCOUNTANT_PLD);
    assert_within(fixed.upper, 0.9 * drawn.upper, drawn.upper);
    double tpr;
    const struct rn_privacy_event event = allocation(1, 100, 1, 10);
    assert_true(rn_is_ok(rn_account_attack(&event, 1, 0.01, &tpr, &error)));
    assert_within(tpr, 0.01, exp(fixed.upper) * 0.01 + 1e-6);
}

/* ln E S^n and, at n - 1, ln E S^-(n-1) of two slots, by a trapezoid in two dimensions; the greater
 * one over n - 1. */
static void divergences_are_exact(void **state)
{
    (void)state;
    static const struct {
        double noise, order, log_moment;
    } cases[] = {
        {.5, 2, 3.3250027473576456}, {.5, 3, 10.614711520695113}, {1, 2, 0.6201145069584371},
        {1, 3, 1.9544585927935536},  {1, 8, 23.155430001898907},  {2, 8, 3.8958244415286654},
        {5, 2, 0.02019998666829892}, {5, 32, 10.089900800421429}, {2, 32, 102.52627846242169},
    };
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const double exact = cases[i].log_moment / (cases[i].order - 1);
        const double got = rn_allocation_gauss_rdp(cases[i].noise, 1, 2, cases[i].order);
        assert_within(got, exact * (1 - 1e-11), exact * (1 + 1e-10) + 1e-11);
    }
    /* Between whole orders a straight line of (order - 1) R; all slots, or far out, unsampled. */
    const double two = rn_allocation_gauss_rdp(1, 1, 2, 2);
    const double three = rn_allocation_gauss_rdp(1, 1, 2, 3);
    const double middle = rn_allocation_gauss_rdp(1, 1, 2, 2.5);
    assert_within(middle * 1.5, (two + 2 * three) / 2 - 1e-12, (two + 2 * three) / 2 + 1e-12);
    assert_true(rn_allocation_gauss_rdp(2, 3, 3, 8) == 3 * 1.0);
    assert_true(rn_allocation_gauss_rdp(2, 1, 3, 1000) == 125);
    assert_true(rn_allocation_gauss_rdp(0.2, 1, 100, 2) == 25);
}

static void limits_are_checked(void **state)
{
    (void)state;
    struct rn_privacy_value value;
    struct rn_privacy_event event = allocation(1, 10, RN_PLD_LAW_NOISE_MIN, 1);
    assert_true(rn_is_ok(rn_account_epsilon(&event, 1, 1e-5, RN_ACCOUNTANT_PLD, &value, &error)));
    event.noise = nextafter(event.noise, 0);
    assert_int_equal(rn_account_epsilon(&event, 1, 1e-5, RN_ACCOUNTANT_PLD, &value, &error).code,
                     RN_E_UNSUPPORTED);
    event = allocation(11, 10, 1, 1);
    assert_int_equal(rn_privacy_events_check(&event, 1, &error).code, RN_E_CONFIG);
    event = allocation(0, 10, 1, 1);
    assert_int_equal(rn_privacy_events_check(&event, 1, &error).code, RN_E_CONFIG);
    event = allocation(4, 10, 1, RN_PRIVACY_COUNT_MAX / 4);
    assert_true(rn_is_ok(rn_privacy_events_check(&event, 1, &error)));
    event.count++;
    assert_int_equal(rn_privacy_events_check(&event, 1, &error).code, RN_E_CONFIG);
}

/* Intervals that PLD_accounting 2.0 certifies. */
static void another_librarys_intervals_meet(void **state)
{
    (void)state;
    static const struct {
        uint32_t picks, slots;
        double noise, delta, least, most;
    } cases[] = {{1, 2, 1, 1e-5, 3.6960851039296387, 3.6983696837640565}};
    for (size_t i = 0; i < RN_ARRAY_LENGTH(cases); i++) {
        const struct rn_privacy_value value =
            epsilon_of(allocation(cases[i].picks, cases[i].slots, cases[i].noise, 1),
                       cases[i].delta, RN_ACCOUNTANT_PLD);
        assert_within(value.upper, cases[i].least, cases[i].most + 1e-3);
        assert_true(value.lower <= cases[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_slots_are_exact),
        cmocka_unit_test(masses_sum_to_one),
        cmocka_unit_test(bounds_stand_in_their_order),
        cmocka_unit_test(picks_are_split),
        cmocka_unit_test(it_costs_about_what_poisson_does),
        cmocka_unit_test(divergences_are_exact),
        cmocka_unit_test(limits_are_checked),
        cmocka_unit_test(another_librarys_intervals_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
