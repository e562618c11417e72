/* SPDX-License-Identifier: Apache-2.0
 *
 * Renyi divergences against mpmath, against the sum over integer orders, and against themselves;
 * conversions to (epsilon, delta) at the orders of the field's reference values.
 */
#include "policy/accountant/rdp.h"

#include "base/guard.h"
#include "policy/accountant/sampledgauss.h"

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

static struct rn_privacy_event poisson(double rate, double noise, uint64_t count)
{
    return (struct rn_privacy_event){
        .kind = RN_PRIVACY_POISSON, .rate = rate, .noise = noise, .count = count};
}

/* ---- One divergence ---- */

/* Rates, noise, records of a person, orders; mpmath's quadrature with 40 digits. */
static const double truth[][5] = {
    {.04, 1.5, 1, 3.9, 1.83320219958386e-3},
    {.04, 1.5, 1, 4, 1.88534006444578e-3},
    {.01, 2.5, 1, 1.5, 1.30014179437608e-5},
    {.01, 2.5, 1, 2.5, 2.17083611383625e-5},
    {.01, 2.5, 1, 5, 4.36151312461576e-5},
    {.1, 1, 1, 1.1, 8.09856846807384e-3},
    {.1, 1, 1, 1.5, 1.17345921966852e-2},
    {.1, 1, 1, 3.2, 3.5695054268047e-2},
    {256.0 / 60000, 1.1, 1, 8.1, 9.96597276193e-5},
    {.001, 1, 1, 13, 1.22037566475559e-5},
    {.5, 2, 1, 2.7, 9.70173045873718e-2},
    {.4, 12, 1, 58.5, 3.60311143128153e-2},
    {.02, 1, 1, 5.1, 2.13175193598591e-3},
    {.01, .5, 1, 2.5, 1.47712782117204e-2},
    {.1, 1, 1, 1.01, 0.0073406995927825021},
    {.999, .3, 1, 1.1, 6.1038957598018788},
    {1e-5, .8, 1, 14.53, 8.6100670550023427e-8},
    {.5, .1, 1, 1.05, 39.342633320749686},
    {.01, 2, 4, 3, 0.00069618137286266594},
    {.01, 2, 4, 2.5, 0.0005764860853543296},
    {.3, 1, 3, 1.5, 1.0966147739144337},
    {.9, 3, 5, 6.5, 8.4362974299455706},
    {.3, .2, 1, 1.3, 11.109113911528435},
    {.96, 2, 16, 1.27, 38.634277745170691},
    {.9561, 4.8, 64, 1.01, 82.166406504663748}, /* ratios down to 1e-87 */
};

/* privacy case 1. */
static void quadrature_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(truth); i++) {
        const double *row = truth[i];
        assert_near(rn_sampled_gauss_rdp(row[0], row[1], (uint32_t)row[2], row[3]), row[4], 1e-12);
    }
    /* dp_accounting's test: 50 steps */
    assert_near(50 * rn_sampled_gauss_rdp(.01, 2.5, 1, 50), 2.38460375e-2, 3e-9);
    assert_near(50 * rn_sampled_gauss_rdp(.01, 2.5, 1, 100), 167.416308, 3e-9);
}

/* ln of the sum over binomial terms, less 1 term by term: integer orders (Mironov, Talwar, Zhang
 * 2019, 3.3). */
static double integer_order(double rate, double noise, int order)
{
    double excess = 0;
    double choose = log(order);

    for (int k = 2; k <= order; k++) {
        choose += log((double)(order - k + 1) / k);
        const double loss = (double)k * (k - 1) / (2 * noise * noise);
        const double log_gain = loss > 1 ? loss + log1p(-exp(-loss)) : log(expm1(loss));
        excess += exp(choose + k * log(rate) + (order - k) * log1p(-rate) + log_gain);
    }
    return log1p(excess) / (order - 1);
}

/* privacy case 3. */
static void quadrature_is_the_sum_of_integer_orders(void **state)
{
    static const double rates[] = {0x1p-64, 1e-6, 1e-3, .02, .3, .9, .999};
    static const double noises[] = {.3, .6, 1, 1.7, 5, 40, 3000};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rates); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(noises); j++) {
            for (int order = 2; order <= 64; order++) {
                const double want = integer_order(rates[i], noises[j], order);
                if (want < INFINITY) {
                    assert_near(rn_sampled_gauss_rdp(rates[i], noises[j], 1, order), want, 1e-12);
                }
            }
        }
    }
}

/* privacy case 3: larger with the order, the rate, the group and less noise; (order - 1) D is
 * convex.
 */
static void divergence_is_monotone(void **state)
{
    double before = 0;
    double two_before = 0;

    (void)state;
    for (int i = 1; i <= 400; i++) {
        const double order = 1 + i / 8.0;
        const double now = rn_sampled_gauss_rdp(.03, 1.2, 1, order);
        const double scaled = (order - 1) * now;
        assert_true(now < rn_sampled_gauss_rdp(.031, 1.2, 1, order));
        assert_true(now < rn_sampled_gauss_rdp(.03, 1.19, 1, order));
        assert_true(now < rn_sampled_gauss_rdp(.03, 1.2, 2, order));
        assert_true(now < rn_sampled_gauss_rdp(.03, 1.2, 1, order + .125));
        assert_true(i == 1 || scaled - before >= before - two_before - 1e-12);
        two_before = before;
        before = scaled;
    }
}

/* privacy case 2: rate 1. */
static void without_sampling_it_is_the_gaussian(void **state)
{
    (void)state;
    for (double order = 1.01; order < 3e4; order *= 1.5) {
        assert_near(rn_sampled_gauss_rdp(1, 3, 1, order), order / 18, 1e-15);
        assert_near(rn_sampled_gauss_rdp(1, 3, 4, order), order / 18 * 16, 1e-15);
        assert_near(rn_sampled_gauss_rdp(1 - 0x1p-53, 3, 1, order), order / 18, 1e-9);
    }
}

/* Every corner of what an event may say: a number, not negative, at most that without sampling. */
static void corners_are_numbers(void **state)
{
    static const double rates[] = {RN_PRIVACY_RATE_MIN, 1e-9, .5, .96, 1 - 0x1p-53, 1};
    static const double noises[] = {RN_PRIVACY_NOISE_MIN, .05, .3, 2, 20, 1e3,
                                    RN_PRIVACY_NOISE_MAX};
    static const uint32_t groups[] = {1, 2, 16, RN_PRIVACY_GROUP_MAX};
    static const double orders[] = {RN_RDP_ORDER_MIN, 1.1, 3.4, 40, RN_RDP_ORDER_MAX};

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rates); i++) {
        for (size_t j = 0; j < RN_ARRAY_LENGTH(noises); j++) {
            for (size_t k = 0; k < RN_ARRAY_LENGTH(groups); k++) {
                for (size_t m = 0; m < RN_ARRAY_LENGTH(orders); m++) {
                    const double got =
                        rn_sampled_gauss_rdp(rates[i], noises[j], groups[k], orders[m]);
                    const double distance = groups[k] / noises[j];
                    assert_true(got > 0 && got <= orders[m] / 2 * distance * distance);
                }
            }
        }
    }
}

/* A quadrature that would be too long gives the bound without sampling, never less. */
static void long_quadratures_are_bounded(void **state)
{
    const double order = 20000; /* noise 0.5: 320,000 nodes */

    (void)state;
    assert_true(rn_sampled_gauss_rdp(.01, .5, 1, order) == order / 2 * 4);
    assert_true(rn_sampled_gauss_rdp(.01, .5, 1, 8000) < 8000 / 2 * 4 - 4); /* 128,000 */
}

/* ---- Events ---- */

/* privacy case 1: a sum of events is one event with their number; every kind. */
static void sums_are_compositions(void **state)
{
    const struct rn_privacy_event kinds[] = {
        {.kind = RN_PRIVACY_GAUSSIAN, .noise = 3, .count = 7},
        {.kind = RN_PRIVACY_POISSON, .rate = .01, .noise = 1, .count = 7},
        {.kind = RN_PRIVACY_GROUP, .rate = .01, .noise = 1, .group = 3, .count = 7},
        {.kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = .3, .count = 7},
    };
    double all = 0;

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(kinds); i++) {
        struct rn_privacy_event one[7];
        double whole;
        double sum;
        for (size_t j = 0; j < 7; j++) {
            one[j] = kinds[i];
            one[j].count = 1;
        }
        assert_true(rn_rdp_event(&kinds[i], 4.5, &whole) && rn_rdp_events(one, 7, 4.5, &sum));
        assert_near(sum, whole, 1e-14);
        all += whole;
    }
    double sum;
    assert_true(rn_rdp_events(kinds, RN_ARRAY_LENGTH(kinds), 4.5, &sum));
    assert_near(sum, all, 1e-14);
    const double each = rn_sampled_gauss_rdp(1, 3, 1, 4.5) + rn_sampled_gauss_rdp(.01, 1, 1, 4.5) +
                        rn_sampled_gauss_rdp(.01, 1, 3, 4.5);
    assert_true(rn_rdp_events(kinds, 3, 4.5, &sum));
    assert_near(sum, 7 * each, 1e-14);
}

static void kinds_without_a_bound_are_said(void **state)
{
    const struct rn_privacy_event bad[] = {
        {.kind = RN_PRIVACY_TRUNCATED, .rate = .1, .noise = 1, .records = 9, .cap = 3, .count = 1},
        {.kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = 1, .delta = 1e-9, .count = 1},
    };
    struct rn_order_best best;
    double rdp;

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(bad); i++) {
        assert_false(rn_rdp_event(&bad[i], 2, &rdp));
        assert_false(rn_rdp_epsilon(&bad[i], 1, 1e-5, &best));
        assert_false(rn_rdp_delta(&bad[i], 1, 1, &best));
    }
}

/* Randomised response by its two outcomes; small and large epsilon. */
static void an_epsilon_is_randomised_response(void **state)
{
    double got;

    (void)state;
    for (double eps = 1e-3; eps < 30; eps *= 2) {
        for (double order = 1.01; order < 20; order *= 1.7) {
            const struct rn_privacy_event event = {
                .kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = eps, .count = 1};
            const double p = 1 / (1 + exp(-eps));
            const double n = 1 / (1 + exp(eps));
            const double sum =
                pow(p, order) * pow(n, 1 - order) + pow(n, order) * pow(p, 1 - order);
            assert_true(rn_rdp_event(&event, order, &got));
            assert_true(fabs(got - log(sum) / (order - 1)) <= 1e-12 + 1e-13 / (order - 1));
            assert_true(got <= eps && got <= order * eps * eps / 2);
        }
    }
    const struct rn_privacy_event tiny = {
        .kind = RN_PRIVACY_EPSILON_DELTA, .epsilon = 1e-9, .count = 1};
    assert_true(rn_rdp_event(&tiny, 3, &got));
    assert_near(got, 3 * 1e-18 / 2, 1e-8); /* order epsilon^2 / 2, to first order */
}

/* ---- epsilon at the field's reference values ---- */

struct reference {
    double rate, noise;
    uint64_t steps;
    double delta;
    double grid, order; /* Opacus's orders, improved conversion */
    double free, free_order;
    double old; /* Mironov's conversion on the grid */
};

/* Opacus's grid loses up to 4 percent. */
static const struct reference references[] = {
    {256.0 / 60000, 1.1, 14062, 1e-5, 2.596555869, 8.1, 2.596542, 8.1218, 3.0082721},
    {256.0 / 60000, 1.3, 3515, 1e-5, 0.9544295087, 17, 0.95435318, 16.921, 1.19213},
    {256.0 / 60000, 0.7, 10546, 1e-5, 6.3181005866, 3.8, 6.3169525, 3.7657, 7.1002683},
    {256.0 / 60000, 1.1, 234, 1e-5, 0.7402343196, 13, 0.73108482, 12.792, 1.0340228},
    {256.0 / 60000, 1.1, 468, 1e-5, 0.8066040021, 12, 0.77895514, 12.636, 1.1086352},
    {150.0 / 60000, 1.3, 6000, 1e-5, 0.7242234026, 19, 0.72405901, 19.086, 0.94187057},
    {1e-3, 1.0, 30000, 1e-7, 1.4154988495, 13, 1.413717, 12.912, 1.7092873},
    {.01, 0.7, 120, 1e-5, 3.2391921939, 4.4, 3.2371673, 4.3654, 3.9327873},
    {.04, 1.5, 2250, 1e-5, 7.3291111715, 3.9, 7.3283499, 3.941, 8.0738483},
    {.04, 1.5, 2249, 1e-5, 7.3272779693, 3.9, 7.3264952, 3.9416, 8.0719105},
    {.01, 4.0, 10000, 1e-5, 1.035490066, 17, 1.035384, 17.22, 1.2585747},
    {5e-3, 0.8, 1000, 1e-6, 2.6265362425, 6.2, 2.6259015, 6.1711, 3.1533018},
    {.1, 3.0, 512, 1e-6, 4.0509699746, 6.9, 4.0509445, 6.8801, 4.5245006},
    {.1, 9.66, 512, 1e-6, 1.0796412736, 20, 1.0793689, 20.412, 1.2756161},
    {.1, 3.0, 155, 1e-6, 2.1602482575, 10.9, 2.1602224, 10.943, 2.4870789},
    {1, 4.530877117, 1, 1e-6, 1.0000002896, 22, 1, 21.985, 1.1845455},
    {1, 10, 100, 1e-5, 4.7285070672, 5.4, 4.728387, 5.4318, 5.2985261},
    {.01, .67379294682, 1, 1e-5, 2.3201307975, 5.1, 2.318092, 5.1445, 2.9274622},
    {.001, 3.20956502598 / 6, 25, 1e-5, 2.8016158264, 4.4, 2.7981949, 4.4339, 3.495211},
    {.05, 1.0, 200, 1e-5, 5.3676408416, 4.1, 5.3672968, 4.0769, 6.09745},
    {.02, 1.0, 1000, 1e-5, 4.3241532298, 5.1, 4.323712, 5.0562, 4.9341669},
    {.02, .8, 600, 1e-5, 5.7744178444, 3.7, 5.7731585, 3.7334, 6.5604149},
    {.05, 2.0, 600, 1e-5, 3.0511584419, 7.1, 3.0511497, 7.0866, 3.5114734},
    {.1, 1.0, 100, 1e-5, 7.8992550024, 3.2, 7.8991851, 3.2065, 8.7937781},
    {.5, 2.0, 100, 1e-5, 15.392464193, 2.6, 15.392054, 2.5882, 16.47404},
    {1e-3, 1.0, 1000, 1e-5, 0.6778257246, 13, 0.65934065, 13.465, 0.97161421},
    {1e-5, .8, 100000, 1e-8, 1.1401707549, 14, 1.1009748, 14.53, 1.4172831},
    {.0064, 1.0, 782, 1e-6, 1.6163940513, 9.3, 1.6160527, 9.3378, 1.9963234},
    {1, 1.0, 5, 1e-6, 13.3763791634, 3.2, 13.373652, 3.2483, 14.256463},
};

/* Opacus: 1.1, 1.2 ... 10.9, then 12 ... 63. */
static double grid_order(size_t i)
{
    return i < 99 ? 1 + (double)(i + 1) / 10 : 12 + (double)(i - 99);
}

static void least_of_grid(const struct reference *row, double *out_new, double *out_old)
{
    const struct rn_privacy_event event = poisson(row->rate, row->noise, row->steps);

    *out_new = INFINITY;
    *out_old = INFINITY;
    for (size_t i = 0; i < 99 + 52; i++) {
        double rdp;
        assert_true(rn_rdp_event(&event, grid_order(i), &rdp));
        *out_new = fmin(*out_new, rn_rdp_to_epsilon(rdp, grid_order(i), row->delta));
        *out_old = fmin(*out_old, rn_rdp_to_epsilon_old(rdp, grid_order(i), row->delta));
    }
}

/* privacy case 1. */
static void references_are_met(void **state)
{
    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(references); i++) {
        const struct reference *row = &references[i];
        const struct rn_privacy_event event = poisson(row->rate, row->noise, row->steps);
        struct rn_order_best best;
        double rdp;
        double least;
        double old;
        assert_true(rn_rdp_event(&event, row->order, &rdp));
        assert_near(rn_rdp_to_epsilon(rdp, row->order, row->delta), row->grid, 1e-9);
        least_of_grid(row, &least, &old);
        assert_near(least, row->grid, 1e-9);
        assert_near(old, row->old, 5e-6);
        assert_true(rn_rdp_epsilon(&event, 1, row->delta, &best));
        assert_true(best.value <= row->grid * (1 + 1e-12));
        assert_near(best.value, row->free, 5e-7);
        assert_near(best.order, row->free_order, 1e-4);
        assert_false(best.at_end);
    }
}

/* privacy case 7: lists of several events (section 2). */
static void lists_are_met(void **state)
{
    const struct rn_privacy_event opacus[] = {poisson(1e-5, 1, 10), poisson(1e-4, 3, 4)};
    const struct rn_privacy_event mixed[] = {
        poisson(.01, 1, 100),
        poisson(.02, 1.5, 100),
        {.kind = RN_PRIVACY_GAUSSIAN, .noise = 20, .count = 5}};
    struct rn_order_best best;
    double rdp;

    (void)state;
    assert_true(rn_rdp_events(opacus, 2, 23, &rdp));
    assert_near(rn_rdp_to_epsilon(rdp, 23, 1e-5), .336344, 2e-6);
    assert_true(rn_rdp_events(mixed, 3, 8.8, &rdp));
    assert_near(rn_rdp_to_epsilon(rdp, 8.8, 1e-6), 1.67277, 3e-6);
    assert_true(rn_rdp_epsilon(mixed, 3, 1e-6, &best));
    assert_near(best.value, 1.67206, 3e-6);
}

/* privacy case 4: there and back; plans that cost nothing give exactly 0. */
static void conversions_go_both_ways(void **state)
{
    struct rn_order_best eps;
    struct rn_order_best delta;

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(references); i++) {
        const struct reference *row = &references[i];
        const struct rn_privacy_event event = poisson(row->rate, row->noise, row->steps);
        assert_true(rn_rdp_epsilon(&event, 1, row->delta, &eps));
        assert_true(rn_rdp_delta(&event, 1, eps.value, &delta));
        assert_near(delta.value, row->delta, 1e-9);
    }
    const struct rn_privacy_event faint = poisson(1e-6, 1e3, 1);
    assert_true(rn_rdp_epsilon(&faint, 1, 1e-5, &eps) && eps.value == 0);
    assert_true(rn_rdp_delta(&faint, 1, 0, &delta) && delta.value > 0 && delta.value < 1e-8);
    assert_true(rn_rdp_to_epsilon(INFINITY, 2, 1e-5) == INFINITY);
    assert_true(rn_rdp_to_delta(INFINITY, 2, 1) == 1);
    assert_true(rn_rdp_to_delta(0, 2, 0) == 0);
}

/* Noise so small or so large that an end of the range is best. */
static void ends_of_the_range_are_said(void **state)
{
    const struct rn_privacy_event loud = poisson(.1, 1e-3, 1);
    const struct rn_privacy_event faint = poisson(1e-7, 1e4, 1);
    struct rn_order_best best;

    (void)state;
    assert_true(rn_rdp_epsilon(&loud, 1, 1e-5, &best));
    assert_true(best.at_end && best.order == RN_RDP_ORDER_MIN && best.value < 1.01e6);
    assert_true(rn_rdp_epsilon(&faint, 1, 1e-30, &best));
    assert_true(best.at_end && best.order == RN_RDP_ORDER_MAX && best.value < 3e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quadrature_is_exact),
        cmocka_unit_test(quadrature_is_the_sum_of_integer_orders),
        cmocka_unit_test(divergence_is_monotone),
        cmocka_unit_test(without_sampling_it_is_the_gaussian),
        cmocka_unit_test(corners_are_numbers),
        cmocka_unit_test(long_quadratures_are_bounded),
        cmocka_unit_test(sums_are_compositions),
        cmocka_unit_test(kinds_without_a_bound_are_said),
        cmocka_unit_test(an_epsilon_is_randomised_response),
        cmocka_unit_test(references_are_met),
        cmocka_unit_test(lists_are_met),
        cmocka_unit_test(conversions_go_both_ways),
        cmocka_unit_test(ends_of_the_range_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
