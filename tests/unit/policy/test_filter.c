/* SPDX-License-Identifier: Apache-2.0
 *
 * The Renyi filter: its bound is the conversion turned round, and nobody who chooses what comes
 * next from what came before passes it.
 */
#include "policy/accountant/filter.h"

#include "base/guard.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_near(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want))) {
        print_error("%.17g is not %.17g\n", got, want);
        fail();
    }
}

static struct rn_privacy_event steps_of(double rate, double noise, uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_POISSON, .rate = rate, .noise = noise, .count = count};
}

static void the_bound_is_the_conversion(void **state)
{
    static const double deltas[] = {1e-3, 1e-5, 1e-12};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(deltas); i++) {
        for (double order = 1.01; order < 3e4; order *= 1.2) {
            for (double epsilon = 0.01; epsilon < 100; epsilon *= 3) {
                const double bound = rn_filter_bound(epsilon, deltas[i], order);
                if (bound > 2 * deltas[i] * deltas[i]) { /* beyond Bretagnolle-Huber */
                    assert_near(rn_rdp_to_epsilon(bound, order, deltas[i]), epsilon, 1e-9);
                    assert_true(rn_rdp_to_epsilon(bound * 1.001, order, deltas[i]) > epsilon);
                }
            }
        }
    }
    assert_true(rn_filter_bound(0.5, 1e-5, 1.01) < 0);
}

/* What a fixed order costs a programme that ends early. */
static void an_order_is_for_a_programme(void **state)
{
    const struct rn_privacy_event whole = steps_of(.02, 1, 1000);
    const struct rn_privacy_event quarter = steps_of(.02, 1, 250);
    const double order = rn_filter_order(&whole, 1, 4.324, 1e-5);
    struct rn_order_best best;
    double rdp;

    (void)state;
    assert_near(order, 5.06, 2e-3);
    assert_true(rn_rdp_event(&whole, order, &rdp));
    assert_near(rn_rdp_to_epsilon(rdp, order, 1e-5), 4.324, 2e-4);
    assert_near(rdp, rn_filter_bound(4.324, 1e-5, order), 2e-4);
    assert_true(rn_rdp_event(&quarter, order, &rdp));
    assert_near(rn_rdp_to_epsilon(rdp, order, 1e-5), 2.745, 2e-4);
    assert_true(rn_rdp_epsilon(&quarter, 1, 1e-5, &best));
    assert_near(best.value, 2.401, 3e-4);
}

/* No other order of a grid leaves the programme a smaller share, with and without one. */
static void the_order_is_the_best(void **state)
{
    const struct rn_privacy_event list[] = {steps_of(.02, 1, 500), steps_of(.1, 3, 100)};

    (void)state;
    for (double epsilon = 0.2; epsilon < 30; epsilon *= 2) {
        const double plain = rn_filter_order(NULL, 0, epsilon, 1e-6);
        const double planned = rn_filter_order(list, 2, epsilon, 1e-6);
        double least;
        assert_true(rn_rdp_events(list, 2, planned, &least));
        for (double order = 1.02; order < 1e3; order *= 1.01) {
            const double bound = rn_filter_bound(epsilon, 1e-6, order);
            double rdp;
            assert_true(rn_rdp_events(list, 2, order, &rdp));
            assert_true(bound <= 0 || order / bound >= plain /
                                                           rn_filter_bound(epsilon, 1e-6, plain) *
                                                           (1 - 1e-12));
            assert_true(bound <= 0 || rdp / bound >= least /
                                                         rn_filter_bound(epsilon, 1e-6, planned) *
                                                         (1 - 1e-12));
        }
    }
    /* epsilon 0 with a small delta leaves nothing at any order but the largest */
    assert_true(rn_filter_bound(0, 1e-6, rn_filter_order(NULL, 0, 0, 1e-6)) <= 0);
}

static void nothing_strange_is_charged(void **state)
{
    double spent = 1;

    (void)state;
    assert_false(rn_filter_charge(&spent, NAN, 10));
    assert_false(rn_filter_charge(&spent, -1e-300, 10));
    assert_false(rn_filter_charge(&spent, INFINITY, 10));
    assert_false(rn_filter_charge(&spent, 1, NAN));
    assert_false(rn_filter_charge(&spent, 9.0001, 10));
    assert_true(spent == 1);
    assert_true(rn_filter_charge(&spent, 0, 1) && spent == 1);
    assert_true(rn_filter_charge(&spent, 8.9999, 10) && spent > 9.9999 && spent <= 10);
}

/* Costs below the last bit of the sum are not free. */
static void small_costs_add_up(void **state)
{
    double spent = 1;
    int charged = 0;

    (void)state;
    while (charged < 1000 && rn_filter_charge(&spent, 1e-20, 1 + 0x1p-50)) {
        charged++;
    }
    assert_int_equal(charged, 4);
}

/* ---- The adversary ---- */

static uint64_t seed;

/* Steele, Lea, Flood 2014 (splitmix64): outputs of a mechanism that an adversary sees. */
static double output(void)
{
    uint64_t mixed = (seed += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return (double)((mixed ^ (mixed >> 31)) >> 11) * 0x1p-53;
}

/* The next event, from all that was seen: sometimes one huge step, sometimes the most steps that
 * still fit. */
static struct rn_privacy_event chosen(double mood, double order, double left)
{
    struct rn_privacy_event event =
        steps_of(exp(-12 * output()), exp(3 * output() - 1), 1 + (uint64_t)(1000 * output()));
    double once;

    if (mood < 0.1) {
        event.kind = RN_PRIVACY_GAUSSIAN;
    } else if (mood < 0.4) {
        event.count = 1;
        assert_true(rn_rdp_event(&event, order, &once));
        event.count = 1 + (uint64_t)fmin(left / once, 1e9);
    }
    return event;
}

/* privacy case 28: q, sigma, T and the end are chosen from outputs; the sum is what is bounded, and
 * its conversion. What was refused is not spent. */
static void an_adversary_never_passes_the_bound(void **state)
{
    (void)state;
    for (uint64_t life = 1; life <= 30; life++) {
        seed = life;
        const double epsilon = 0.5 + 8 * output();
        const double order = rn_filter_order(NULL, 0, epsilon, 1e-5);
        const double bound = rn_filter_bound(epsilon, 1e-5, order);
        long double sum = 0;
        double spent = 0;
        int refused = 0;
        for (int i = 0; i < 100; i++) {
            const struct rn_privacy_event event = chosen(output(), order, bound - spent);
            double cost;
            assert_true(rn_rdp_event(&event, order, &cost));
            if (rn_filter_charge(&spent, cost, bound)) {
                sum += cost;
            } else {
                assert_true(spent + cost >= bound);
                refused++;
            }
            assert_true(sum <= bound && spent >= (double)sum);
            assert_true(rn_rdp_to_epsilon((double)sum, order, 1e-5) <= epsilon * (1 + 1e-12));
        }
        assert_true(refused > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_is_the_conversion),
        cmocka_unit_test(an_order_is_for_a_programme),
        cmocka_unit_test(the_order_is_the_best),
        cmocka_unit_test(nothing_strange_is_charged),
        cmocka_unit_test(small_costs_add_up),
        cmocka_unit_test(an_adversary_never_passes_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
