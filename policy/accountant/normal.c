/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/normal.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

#define SQRT1_2 0.70710678118654752440
#define TWO_OVER_SQRT_PI 1.12837916709551257390

/* From here on e^(x^2) erfc(x) by its continued fraction; below, by its factors. */
#define ERFCX_FRACTION_FROM 5.0
#define SLOPE_FRACTION_FROM 2.0

/* r_1 = ierfc(x) / erfc(x), x >= 2. The repeated integrals of erfc obey
 * i^(n-1) = 2 x i^n + 2 (n + 1) i^(n+1); their ratios r_n = i^n / i^(n-1) are found downward
 * (Gautschi 1961), every term positive. What the start gets wrong shrinks as exp(-2 x sqrt(2 n)).
 */
static double integral_ratio(double x)
{
    int n = 8 + (int)(180 / (x * x));
    double ratio = 1 / (x + sqrt(x * x + 2.0 * n));

    for (; n > 1; n--) {
        ratio = 1 / (2 * x + 2 * n * ratio);
    }
    return ratio;
}

double rn_erfcx(double x)
{
    if (x >= ERFCX_FRACTION_FROM) {
        /* i^(-1)erfc = 2 / sqrt(pi) e^(-x^2) */
        return TWO_OVER_SQRT_PI / (2 * x + 2 * integral_ratio(x));
    }
    const double square = x * x;
    return exp(square) * erfc(x) * (1 + fma(x, x, -square));
}

double rn_erfcx_slope(double x)
{
    if (x >= SLOPE_FRACTION_FROM) {
        return 2 * integral_ratio(x) * rn_erfcx(x);
    }
    return TWO_OVER_SQRT_PI - 2 * x * rn_erfcx(x);
}

double rn_normal_log_upper(double x)
{
    const double scaled = x * SQRT1_2;

    if (scaled >= ERFCX_FRACTION_FROM) {
        return log(rn_erfcx(scaled) / 2) - x * (x / 2);
    }
    return x > 0 ? log(erfc(scaled) / 2) : log1p(-erfc(-scaled) / 2);
}

double rn_normal_log_cdf(double x)
{
    return rn_normal_log_upper(-x);
}

/* ---- The Gaussian mechanism ---- */

/* Integral of the slope from a to a + gap, gap at most a quarter of max(1, a): Gauss-Legendre, 8
 * nodes. */
static double slope_integral(double a, double gap)
{
    static const double nodes[] = {0.18343464249564980494, 0.52553240991632898582,
                                   0.79666647741362673959, 0.96028985649753623168};
    static const double weights[] = {0.36268378337836198297, 0.31370664587788728734,
                                     0.22238103445337447054, 0.10122853629037625915};
    const double half = gap / 2;
    double sum = 0;

    for (size_t i = 0; i < 4; i++) {
        sum += weights[i] * (rn_erfcx_slope(a + half - half * nodes[i]) +
                             rn_erfcx_slope(a + half + half * nodes[i]));
    }
    return half * sum;
}

/* ln H for eps >= 0, 0 < mu < inf. With a = (eps / mu - mu / 2) / sqrt 2 and b = a + mu / sqrt 2,
 * e^eps = e^(b^2 - a^2), so H = e^(-a^2) (erfcx(a) - erfcx(b)) / 2. Close to 1 the complement is
 * what is known well. */
static double log_delta_upper(double mu, double eps)
{
    const double a = (eps / mu - mu / 2) * SQRT1_2;
    const double gap = mu * SQRT1_2;

    if (a < -5) {
        return log1p(-erfc(-a) / 2 - exp(-a * a) * rn_erfcx(a + gap) / 2);
    }
    const double scaled =
        gap <= fmax(1, a) / 4 ? slope_integral(a, gap) : rn_erfcx(a) - rn_erfcx(a + gap);
    return log(scaled / 2) - a * a;
}

double rn_gauss_log_delta(double mu, double eps)
{
    if (mu == 0 || eps == INFINITY) {
        return eps < 0 ? log(-expm1(eps)) : -INFINITY;
    }
    if (mu == INFINITY || eps == -INFINITY) {
        return 0;
    }
    if (eps >= 0) {
        return log_delta_upper(mu, eps);
    }
    /* The pair is symmetric: H(eps) = 1 - e^eps + e^eps H(-eps). */
    return log(-expm1(eps) + exp(eps + log_delta_upper(mu, -eps)));
}

double rn_gauss_delta(double mu, double eps)
{
    return exp(rn_gauss_log_delta(mu, eps));
}

double rn_gauss_epsilon(double mu, double delta)
{
    const double target = log(delta);
    double low = 0;
    /* P[loss > eps] <= exp(-(eps - mu^2 / 2)^2 / (2 mu^2)), and delta is less. */
    double high = mu * (mu / 2 + sqrt(-2 * target)) * (1 + 1e-9);

    if (rn_gauss_log_delta(mu, 0) <= target) {
        return 0;
    }
    if (!(high < INFINITY)) {
        return INFINITY;
    }
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) {
            return high;
        }
        if (rn_gauss_log_delta(mu, middle) <= target) {
            high = middle;
        } else {
            low = middle;
        }
    }
}

double rn_gauss_noise(double eps, double delta)
{
    const double target = log(delta);
    double low = 1;
    double high = 1;

    if (eps == INFINITY) {
        return 0;
    }
    while (rn_gauss_log_delta(1 / high, eps) > target) {
        high *= 2;
    }
    while (rn_gauss_log_delta(1 / low, eps) <= target) {
        low /= 2;
    }
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high) {
            return high;
        }
        if (rn_gauss_log_delta(1 / middle, eps) <= target) {
            high = middle;
        } else {
            low = middle;
        }
    }
}
