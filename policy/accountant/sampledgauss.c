/* SPDX-License-Identifier: Apache-2.0
 *
 * The variable of integration is z = x / noise, so the density is standard.
 */
#include "policy/accountant/sampledgauss.h"

#include "policy/accountant/privacyevent.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define LOG_SQRT_2PI 0.91893853320467274178

/* Standard deviations beyond the outermost hump: e^-98. */
#define REACH 14.0

struct mixture {
    uint32_t group;
    double noise;
    double weight[RN_PRIVACY_GROUP_MAX + 1]; /* of N(j, noise^2) */
    double log_weight[RN_PRIVACY_GROUP_MAX + 1];
};

struct ratio {
    double u;   /* may be +inf */
    double log; /* ln(1 + u) */
};

/* Sum of terms of any size, given by their logarithms, with Kahan's compensation. */
struct log_sum {
    double top; /* the largest so far */
    double sum; /* of the terms over e^top */
    double lost;
};

static void mixture_init(struct mixture *mix, double rate, double noise, uint32_t group)
{
    mix->group = group;
    mix->noise = noise;
    mix->log_weight[0] = group * log1p(-rate);
    for (uint32_t j = 0; j < group; j++) {
        mix->log_weight[j + 1] =
            mix->log_weight[j] + log((double)(group - j) / (j + 1)) + log(rate) - log1p(-rate);
    }
    for (uint32_t j = 0; j <= group; j++) {
        mix->weight[j] = exp(mix->log_weight[j]);
    }
}

/* ln of the likelihood ratio of N(j, noise^2) and N(0, noise^2) at z. */
static double log_ratio(const struct mixture *mix, uint32_t j, double z)
{
    const double mean = j / mix->noise;
    return mean * (z - mean / 2);
}

/* ln(1 + u), every term positive. */
static double log_of_sum(const struct mixture *mix, double z)
{
    double part[RN_PRIVACY_GROUP_MAX + 1];
    double top = -INFINITY;
    double sum = 0;

    for (uint32_t j = 0; j <= mix->group; j++) {
        part[j] = mix->log_weight[j] + log_ratio(mix, j, z);
        top = fmax(top, part[j]);
    }
    for (uint32_t j = 0; j <= mix->group; j++) {
        sum += exp(part[j] - top);
    }
    return top + log(sum);
}

static struct ratio ratio_at(const struct mixture *mix, double z)
{
    double u = 0;

    for (uint32_t j = 1; j <= mix->group; j++) {
        const double loss = log_ratio(mix, j, z);
        /* Small losses must keep their sign and digits; large ones meet weights that underflow. */
        u += loss < 1 ? mix->weight[j] * expm1(loss)
                      : exp(mix->log_weight[j] + loss) - mix->weight[j];
    }
    /* Near -1 the digits of 1 + u are not in u. */
    return (struct ratio){u, fabs(u) > 0.5 ? log_of_sum(mix, z) : log1p(u)};
}

/* The binomial series of (1 + u)^power from its third term on. */
static double excess_series(double u, double power)
{
    double term = power * (power - 1) / 2 * u * u;
    double sum = 0;

    for (int k = 3; fabs(term) > 1e-18 * sum; k++) {
        sum += term;
        term *= (power - k + 1) / k * u;
    }
    return sum;
}

/* ln((1 + u)^power - 1 - power u) for power > 1 or < 0, where it is not negative. Each form below
 * keeps at least a tenth of its larger term. */
static double log_excess(struct ratio ratio, double power)
{
    const double u = ratio.u;
    const double rest = (power - 1) * ratio.log;

    if (fabs(u) <= 0.25 && fabs(power * u) <= 1) {
        return log(excess_series(u, power));
    }
    if (ratio.log > 0) { /* over 1 + u, which may be too large */
        return ratio.log + (rest > 50 ? rest : log(expm1(rest) + (power - 1) * expm1(-ratio.log)));
    }
    if (power > 1) {
        return log(exp(ratio.log) * expm1(rest) - (power - 1) * u);
    }
    const double raised = power * ratio.log;
    return raised > 50 ? raised : log(expm1(raised) - power * u);
}

static void log_sum_add(struct log_sum *total, double term)
{
    if (term > total->top) {
        const double scale = exp(total->top - term);
        total->sum *= scale;
        total->lost *= scale;
        total->top = term;
    }
    const double part = exp(term - total->top) - total->lost;
    const double sum = total->sum + part;
    total->lost = (sum - total->sum) - part;
    total->sum = sum;
}

/* ln of exp((order - 1) D), D in one direction: the mixture first has power order, N(0) first
 * power 1 - order. False: too many nodes. */
static bool log_moment(const struct mixture *mix, double power, double *out)
{
    struct log_sum total = {.top = -INFINITY};
    const double step = fmin(1, mix->noise) / 4;
    /* Humps: e^(power loss) far out; u^2 where u is small; u itself against a negative power. */
    const double end = mix->group * fmax(power, 2) / mix->noise + REACH;
    const double nodes = ceil((end + REACH) / step);

    if (!(nodes <= RN_SAMPLED_GAUSS_NODES_MAX)) {
        return false;
    }
    for (uint32_t i = 0; i <= (uint32_t)nodes; i++) {
        const double z = i * step - REACH;
        log_sum_add(&total, log_excess(ratio_at(mix, z), power) - z * z / 2);
    }
    if (!(total.sum > 0)) {
        return false;
    }
    const double excess = total.top + log(total.sum * step) - LOG_SQRT_2PI;
    *out = excess > 0 ? excess + log1p(exp(-excess)) : log1p(exp(excess));
    return true;
}

double rn_sampled_gauss_rdp(double rate, double noise, uint32_t group, double order)
{
    const double distance = group / noise;
    const double unsampled = order / 2 * distance * distance;
    struct mixture mix;
    double forward = 0;
    double backward = 0;

    if (rate == 1) {
        return unsampled;
    }
    mixture_init(&mix, rate, noise, group);
    if (!log_moment(&mix, order, &forward) ||
        (group > 1 && !log_moment(&mix, 1 - order, &backward))) {
        return unsampled;
    }
    return fmin(fmax(forward, backward) / (order - 1), unsampled);
}
