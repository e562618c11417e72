/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/allocgauss.h"

#include <math.h>

#define INV_SQRT_2PI 0.39894228040143267794
#define ROUNDING 1e-12 /* of a logarithm of a moment */
/* Quadrature in z, of exp(-u X), and in ln u: ranges and steps at which what is left out is far
 * below rounding (both integrands are analytic in a strip). */
#define Z_REACH 14.0
#define Z_STEP 0.125
#define NEAR_ZERO -1.0 /* of ln E u X */
#define Y_STEP 0.1
#define Y_STEP_PEAK 0.35 /* of 1 / sqrt(b), which no peak is narrower than */
#define Y_NEGLIGIBLE 45.0

/* ---- REMOVE ---- */

/* Logarithms of a series' first coefficients. */
struct series {
    uint32_t last;
    double log[RN_ALLOCATION_ORDER_MAX + 1];
};

static double log_product(const struct series *a, const struct series *b, uint32_t m)
{
    double top = -INFINITY, sum = 0;
    for (uint32_t k = 0; k <= m; k++) {
        top = fmax(top, a->log[k] + b->log[m - k]);
    }
    for (uint32_t k = 0; k <= m; k++) {
        sum += exp(a->log[k] + b->log[m - k] - top);
    }
    return top + log(sum);
}

/* a b, into a. */
static void multiply(struct series *a, const struct series *b)
{
    struct series out = {.last = a->last};
    for (uint32_t m = 0; m <= a->last; m++) {
        out.log[m] = log_product(a, b, m);
    }
    *a = out;
}

/* ln E S^n */
static double log_moment_remove(double shift, uint32_t slots, uint32_t n)
{
    struct series one = {.last = n}, all;
    for (uint32_t k = 0; k <= n; k++) {
        one.log[k] = shift * shift * k * (k - 1.0) / 2 - lgamma(k + 1.0);
    }
    one.log[0] = 0;
    all = one;
    uint32_t bit = 31;
    while ((slots >> bit) == 0) {
        bit--;
    }
    while (bit-- > 0) {
        multiply(&all, &all);
        if ((slots >> bit & 1) != 0) {
            multiply(&all, &one);
        }
    }
    return all.log[n] + lgamma(n + 1.0) - n * log(slots);
}

/* ---- ADD ---- */

/* A sum of terms given by their logarithms. */
struct log_sum {
    double top, sum; /* of the terms over e^top */
};

static void add_log(struct log_sum *all, double term)
{
    if (term > all->top) {
        all->sum *= exp(all->top - term);
        all->top = term;
    }
    all->sum += exp(term - all->top);
}

/* ln E exp(-u X), u = exp(scale + shift^2 / 2): near 0 by what is missing to 1, else by a sum that
 * reaches to where u X is small. */
static double log_laplace(double shift, double scale)
{
    const double step = fmin(Z_STEP, Z_STEP / shift);
    if (scale + shift * shift / 2 < NEAR_ZERO) {
        double sum = 0;
        for (double z = -Z_REACH; z <= Z_REACH; z += step) {
            sum += INV_SQRT_2PI * exp(-z * z / 2) * expm1(-exp(scale + shift * z));
        }
        return log1p(sum * step);
    }
    struct log_sum all = {-INFINITY, 0};
    for (double z = fmin(0, -scale / shift) - Z_REACH; z <= Z_REACH; z += step) {
        add_log(&all, -z * z / 2 - exp(scale + shift * z));
    }
    return all.top + log(all.sum * step * INV_SQRT_2PI);
}

struct walk {
    double shift, slots, power, step;
    struct log_sum all;
};

static double take(struct walk *walk, double y)
{
    const double scale = y - log(walk->slots) - walk->shift * walk->shift / 2;
    const double term = walk->power * y + walk->slots * log_laplace(walk->shift, scale);
    add_log(&walk->all, term);
    return term;
}

/* From y on until terms no longer count, past the peak. */
static void go(struct walk *walk, double y, double step)
{
    double last = -INFINITY;
    for (double term = take(walk, y); term > walk->all.top - Y_NEGLIGIBLE || term > last;
         term = take(walk, y)) {
        last = term;
        y += step;
    }
}

/* ln E S^-power, power at least 1 */
static double log_moment_add(double shift, uint32_t slots, double power)
{
    struct walk walk = {
        shift, slots, power, fmin(Y_STEP, Y_STEP_PEAK / sqrt(power)), {-INFINITY, 0}};
    const double start = log(power);
    go(&walk, start, walk.step);
    go(&walk, start - walk.step, -walk.step);
    return walk.all.top + log(walk.all.sum * walk.step) - lgamma(power);
}

/* ---- Both ---- */

/* ln of exp((n - 1) D) at a whole order, the greater direction. */
static double log_moment(double shift, uint32_t slots, uint32_t n)
{
    if (n < 2) {
        return 0;
    }
    const double most =
        fmax(log_moment_remove(shift, slots, n), log_moment_add(shift, slots, n - 1.0));
    return fmax(most, 0) + ROUNDING;
}

static double one_pick(double noise, uint32_t slots, double order)
{
    const double shift = 1 / noise, unsampled = order * shift * shift / 2;
    const double n = floor(order), part = order - n;
    if (slots == 1 || n + 1 > RN_ALLOCATION_ORDER_MAX || noise < RN_ALLOCATION_NOISE_MIN) {
        return unsampled;
    }
    const double low = part < 1 ? log_moment(shift, slots, (uint32_t)n) : 0;
    const double high = part > 0 ? log_moment(shift, slots, (uint32_t)n + 1) : 0;
    return fmin(((1 - part) * low + part * high) / (order - 1), unsampled);
}

double rn_allocation_gauss_rdp(double noise, uint32_t picks, uint32_t slots, double order)
{
    const uint32_t few = slots / picks, more = slots % picks;
    const double first = (picks - more) * one_pick(noise, few, order);
    return more > 0 ? first + more * one_pick(noise, few + 1, order) : first;
}
