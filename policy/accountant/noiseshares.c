/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/noiseshares.h"

#include "base/guard.h"

#include <math.h>

#define PI 3.14159265358979323846

double rn_shares_norm1(double norm2, double dimension)
{
    return norm2 * fmin(sqrt(dimension), norm2);
}

double rn_shares_rounded_norm2(double norm2, double dimension, double beta)
{
    const double root = sqrt(dimension);
    const double square = norm2 * norm2 + dimension / 4 + sqrt(-2 * log(beta)) * (norm2 + root / 2);
    return fmin(norm2 + root, sqrt(square));
}

/* ---- Discrete Gaussians ---- */

double rn_shares_deviation(double total, uint32_t honest)
{
    return total / sqrt(honest);
}

double rn_shares_ddgauss_tau(uint32_t shares, double deviation)
{
    double sum = 0;

    for (uint32_t k = 1; k < shares; k++) {
        sum += exp(-2 * PI * PI * deviation * deviation * k / (k + 1.0));
    }
    return 10 * sum;
}

double rn_shares_ddgauss_rdp(const struct rn_shares_query *query, uint32_t shares, double deviation,
                             double order)
{
    const double tau = rn_shares_ddgauss_tau(shares, deviation);
    const double total = sqrt(shares) * deviation;
    const double norm1 = query->norm1 / total;
    const double norm2 = query->norm2 / total;
    const double apart = order / 2 * norm2 * norm2 + tau * query->dimension;
    const double mixed =
        order / 2 * (norm2 * norm2 + 2 * norm1 * tau + tau * tau * query->dimension);
    const double root = norm2 + sqrt(query->dimension) * tau;

    return fmin(fmin(apart, mixed), order / 2 * root * root);
}

/* ---- Skellam ---- */

double rn_shares_skellam_rdp(const struct rn_shares_query *query, double variance, uint32_t order)
{
    const double square = query->norm2 * query->norm2;
    const double far = ((2.0 * order - 1) * square + 6 * query->norm1) / (4 * variance * variance);

    return order * square / (2 * variance) + fmin(far, 3 * query->norm1 / (2 * variance));
}

/* ---- Sampling ---- */

double rn_shares_sampled_rdp(rn_shares_rdp_fn rdp, const void *context, double rate, uint32_t order)
{
    const double whole = rdp(context, order);
    double terms[RN_SHARES_ORDER_MAX + 1];
    double choose = log(order);
    double sum = 0;

    RN_BUG_IF(order < 2 || order > RN_SHARES_ORDER_MAX);
    if (rate >= 1) {
        return whole;
    }
    terms[1] = (order - 1) * log1p(-rate) + log1p((order - 1) * rate);
    double top = terms[1];
    for (uint32_t l = 2; l <= order; l++) {
        choose += log((order - l + 1.0) / l);
        terms[l] = choose + l * log(rate) + (double)(order - l) * log1p(-rate) +
                   (l - 1) * rdp(context, l) + (l > 2 ? log(3) : 0);
        top = fmax(top, terms[l]);
    }
    if (!(top < INFINITY)) {
        return whole;
    }
    for (uint32_t l = 1; l <= order; l++) {
        sum += exp(terms[l] - top);
    }
    return fmin(whole, fmax(0, top + log(sum)) / (order - 1));
}

/* ---- XNoise ---- */

double rn_shares_xnoise_component(double variance, uint32_t parties, uint32_t k)
{
    RN_BUG_IF(k >= parties);
    const double left = (double)parties - k;
    return k == 0 ? variance / parties : variance / ((left + 1) * left);
}
