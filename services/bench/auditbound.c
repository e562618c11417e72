/* SPDX-License-Identifier: Apache-2.0
 *
 * Binomial tails by logarithms of factorials; Gaussian trade-offs.
 */
#include "services/bench/auditbound.h"

#include "base/guard.h"

#include <math.h>

#define EPSILON_MOST 64.0
#define MU_MOST 16.0

/* P[Bin(n, 1 / (1 + e^-epsilon)) = k] */
static double mass(uint32_t n, uint32_t k, double epsilon)
{
    const double right = -log1p(exp(-epsilon)); /* logarithms of both probabilities */
    const double wrong = right - epsilon;
    return exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma((double)(n - k) + 1.0) +
               (double)k * right + (double)(n - k) * wrong);
}

double rn_audit_p_value(uint32_t canaries, uint32_t guesses, uint32_t right, double epsilon,
                        double delta)
{
    double tail = 0.0;
    double below = 0.0; /* P[right - i <= Bin < right] */
    double most = 0.0;
    RN_BUG_IF(right > guesses || guesses > canaries);
    for (uint32_t k = guesses + 1; k-- > right;) { /* small ones first */
        tail += mass(guesses, k, epsilon);
    }
    for (uint32_t i = 1; i <= right; i++) {
        below += mass(guesses, right - i, epsilon);
        most = fmax(most, below / i);
    }
    return fmin(1.0, tail + 2.0 * canaries * delta * most);
}

double rn_audit_epsilon(uint32_t canaries, uint32_t guesses, uint32_t right, double delta, double p)
{
    double low = 0.0;
    double high = EPSILON_MOST;
    if (rn_audit_p_value(canaries, guesses, right, 0.0, delta) > p) {
        return 0.0;
    }
    while (high - low > 1e-6) {
        const double middle = 0.5 * (low + high);
        if (rn_audit_p_value(canaries, guesses, right, middle, delta) <= p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static double below_z(double z)
{
    return 0.5 * erfc(-z * sqrt(0.5));
}

/* Phi^-1(p) for 0 < p <= 1/2: Abramowitz and Stegun 26.2.23, then two steps of Halley's method. */
static double lower_quantile(double p)
{
    const double t = sqrt(-2.0 * log(p));
    double z = (2.515517 + t * (0.802853 + t * 0.010328)) /
                   (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))) -
               t;
    for (int i = 0; i < 2; i++) {
        const double e = (below_z(z) - p) * sqrt(2.0 * M_PI) * exp(0.5 * z * z);
        z -= e / (1.0 + 0.5 * z * e);
    }
    return z;
}

/* Phi(Phi^-1(y) - mu): the least false positives for true positives y. */
static double least_false(double y, double mu)
{
    if (y <= 1e-300) {
        return 0.0;
    }
    if (y >= 1.0) {
        return 1.0;
    }
    return below_z((y <= 0.5 ? lower_quantile(y) : -lower_quantile(1.0 - y)) - mu);
}

static bool mu_is_refused(uint32_t canaries, uint32_t guesses, uint32_t right, double mu, double p)
{
    const double m = canaries;
    double r = p * (double)right / m;
    double h = p * (double)(guesses - right) / m;
    for (uint32_t i = right; i-- > 0;) {
        const double least = fmax(h, least_false(r, mu));
        r += (double)i / (double)(guesses - i) * (least - h);
        h = least;
    }
    return r + h > (double)guesses / m;
}

double rn_audit_mu(uint32_t canaries, uint32_t guesses, uint32_t right, double p)
{
    double low = 0.0;
    double high = MU_MOST;
    RN_BUG_IF(right > guesses || guesses > canaries);
    if (!mu_is_refused(canaries, guesses, right, 0.0, p)) {
        return 0.0;
    }
    while (high - low > 1e-6) {
        const double middle = 0.5 * (low + high);
        if (mu_is_refused(canaries, guesses, right, middle, p)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

double rn_audit_gaussian_epsilon(double mu, double delta)
{
    double low = 0.0;
    double high = 0.5 * mu * mu + 40.0 * mu;                   /* delta below Phi(-40) there */
    if (mu <= 0.0 || 2.0 * below_z(0.5 * mu) - 1.0 <= delta) { /* delta at epsilon 0 */
        return 0.0;
    }
    while (high - low > 1e-9) {
        const double e = 0.5 * (low + high);
        if (below_z(0.5 * mu - e / mu) - exp(e) * below_z(-0.5 * mu - e / mu) > delta) {
            low = e;
        } else {
            high = e;
        }
    }
    return high;
}
