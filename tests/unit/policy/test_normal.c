/* SPDX-License-Identifier: Apache-2.0
 *
 * Tails of the normal distribution against mpmath (60 digits), and the Gaussian mechanism.
 */
#include "policy/accountant/normal.h"

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

static void scaled_tails_are_exact(void **state)
{
    static const double rows[][3] = {
        {-20.1, 5.7589542626497851e+175, 2.3150996135852138e+177},
        {-3, 16205.988853999587, 97237.061503164615},
        {-0.5, 1.9523604891825571, 3.0807396562780697},
        {0, 1.0, 1.1283791670955126},
        {0.5, 0.61569034419292587, 0.5126888229025867},
        {1.9, 0.26650937366167266, 0.11564354718115651},
        {2.1, 0.24511912334517234, 0.098878849045788711},
        {4.9, 0.11287909055975875, 0.02216407960987677},
        {5.1, 0.1086110263139328, 0.020546698693398073},
        {8, 0.069985166200880928, 0.0086165078814177303},
        {26, 0.021683584850562907, 0.00083275486624142986},
        {100, 0.0056416137829894329, 5.6410497625993185e-5},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        assert_near(rn_erfcx(rows[i][0]), rows[i][1], 2e-15);
        assert_near(rn_erfcx_slope(rows[i][0]), rows[i][2], 1e-14);
    }
    assert_true(rn_erfcx(-30) == INFINITY);
    assert_true(rn_erfcx(INFINITY) == 0);
}

static void logarithms_of_tails_are_exact(void **state)
{
    static const double rows[][2] = {
        {-9, -1.1285884059538406e-19}, {-1, -0.17275377902344989}, {0, -0.69314718055994531},
        {1, -1.8410216450092635},      {3, -6.6077262215103495},   {7, -27.384307498811075},
        {7.1, -28.102971524787559},    {38, -726.55721601882013},  {1e4, -50000010.129278915},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        /* x / sqrt 2 is rounded: 1e-16 x^2 of a tail that is itself the logarithm */
        assert_near(rn_normal_log_upper(rows[i][0]), rows[i][1], 2e-14);
        assert_near(rn_normal_log_cdf(-rows[i][0]), rows[i][1], 2e-14);
    }
    assert_true(rn_normal_log_upper(INFINITY) == -INFINITY);
    assert_true(rn_normal_log_cdf(INFINITY) == 0);
}

/* Small and large mu, both sides of every change of formula, losses far in the tail, negative eps.
 */
static void gaussian_delta_is_exact(void **state)
{
    static const double rows[][3] = {
        {1, 0, -0.95991633369562232},        {1, 8, -33.243824132810368},
        {1, 40, -788.42341277399171},        {1e-3, 0, -7.8266938538534757},
        {1e-3, 0.004, -18.75481697028009},   {1e-6, 5e-6, -30.559809220625385},
        {1e-6, 1e-4, -5023.9450393582151},   {0.25, 3, -77.803103835560606},
        {0.3535, 1, -7.831225646656762},     {0.36, 1, -7.6418244073137179},
        {20, 1, -2.5095237742049363e-23},    {20, 190, -0.39533418912842772},
        {20, 350, -31.400308294211487},      {0.1, -0.5, -0.93275211899780735},
        {1, -2, -0.14214389057760393},       {5, -30, -9.3563940671096297e-14},
        {1e-3, -0.002, -6.2113715676473042},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(rows); i++) {
        const double got = rn_gauss_log_delta(rows[i][0], rows[i][1]);
        /* of delta 2e-13 where it is not below 1e-13, or of its complement 1e-14 */
        assert_near(got, rows[i][2], i == 15 ? 3e-3 : 1e-13);
        assert_near(rn_gauss_delta(rows[i][0], rows[i][1]), exp(rows[i][2]), 1e-12);
    }
    assert_true(rn_gauss_delta(0, 0) == 0);
    assert_true(rn_gauss_delta(0, 1) == 0);
    assert_near(rn_gauss_delta(0, -1), 1 - exp(-1), 1e-15);
    assert_true(rn_gauss_delta(INFINITY, 5) == 1);
    assert_true(rn_gauss_delta(40, 0) == 1);
    assert_true(rn_gauss_delta(1, INFINITY) == 0);
    assert_true(rn_gauss_delta(1, -INFINITY) == 1);
}

/* Sigma 30, 1000 steps, deltas down to 8e-29. */
static void small_deltas_are_exact(void **state)
{
    const double mu = sqrt(1000) / 30;

    (void)state;
    assert_near(rn_gauss_delta(mu, 8), 1.030488506e-13, 1e-9);
    assert_near(rn_gauss_delta(mu, 10), 1.677819927e-20, 1e-9);
    assert_near(rn_gauss_delta(mu, 12), 8.043406631e-29, 1e-9);
}

/* privacy case 2 */
static void calibration_is_analytic(void **state)
{
    static const double noises[][3] = {
        {1, 1e-5, 3.730631635}, {0.5, 1e-5, 7.031826676}, {2, 1e-5, 1.993812446},
        {4, 1e-5, 1.081161850}, {8, 1e-5, 0.600229072},   {10, 1e-5, 0.499888620},
        {1, 1e-6, 4.224678889},
    };
    static const double epsilons[][3] = {
        {1, 1e-5, 4.377178096},
        {0.5, 1e-5, 9.997256146},
        {2, 1e-5, 1.993091404},
        {10, 1e-6, 0.396857378},
    };

    (void)state;
    for (size_t i = 0; i < RN_ARRAY_LENGTH(noises); i++) {
        assert_near(rn_gauss_noise(noises[i][0], noises[i][1]), noises[i][2], 1e-9);
    }
    for (size_t i = 0; i < RN_ARRAY_LENGTH(epsilons); i++) {
        assert_near(rn_gauss_epsilon(1 / epsilons[i][0], epsilons[i][1]), epsilons[i][2], 2e-9);
    }
}

/* privacy case 4, of the Gaussian: there and back, never below. */
static void round_trips_never_overshoot(void **state)
{
    (void)state;
    for (double noise = 1e-3; noise < 1e6; noise *= 3) {
        for (double delta = 0.5; delta > 1e-300; delta *= delta) {
            const double eps = rn_gauss_epsilon(1 / noise, delta);
            assert_true(eps >= 0 && rn_gauss_delta(1 / noise, eps) <= delta * (1 + 1e-12));
            if (eps > 0) {
                assert_true(rn_gauss_delta(1 / noise, eps * (1 - 1e-9)) > delta);
                assert_near(rn_gauss_noise(eps, delta), noise, 1e-9);
            }
        }
    }
    assert_true(rn_gauss_epsilon(1e-3, 0.01) == 0);
    assert_true(rn_gauss_epsilon(INFINITY, 1e-5) == INFINITY);
    assert_true(rn_gauss_epsilon(0, 1e-5) == 0);
    assert_true(rn_gauss_noise(INFINITY, 1e-5) == 0);
    assert_true(rn_gauss_epsilon(1e9, 1e-5) > 4e17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scaled_tails_are_exact),  cmocka_unit_test(logarithms_of_tails_are_exact),
        cmocka_unit_test(gaussian_delta_is_exact), cmocka_unit_test(small_deltas_are_exact),
        cmocka_unit_test(calibration_is_analytic), cmocka_unit_test(round_trips_never_overshoot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
