/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldcompose.h"

#include <math.h>

/* From the greatest loss down: sums over the places passed, relative to the last one's loss l, so
 * that neither exp(epsilon) nor exp(-l) is ever formed. */
struct scan {
    const struct rn_pld_composed *composed;
    bool above;
    double loss;             /* of the last place passed */
    double mass, below;      /* sum w p, and sum w p exp(l - l_m), w = exp(K - lambda l_m) */
    double noise, low_noise; /* the same with the bound on p's error for p */
};

static double loss_at(const struct rn_pld_composed *composed, size_t m)
{
    return composed->offset + (composed->first + (double)m) * composed->h;
}

static struct scan scan_start(const struct rn_pld_composed *composed, bool above)
{
    return (struct scan){
        .composed = composed, .above = above, .loss = loss_at(composed, composed->n)};
}

static void scan_pass(struct scan *scan, size_t m)
{
    const struct rn_pld_composed *composed = scan->composed;
    const double p = composed->mass[m], noise = composed->noise;
    scan->loss = loss_at(composed, m);
    const double weight = exp(composed->cumulant - composed->lambda * scan->loss);
    const double term = weight * (scan->above ? fmax(p, 0) + noise : fmax(p - noise, 0));
    const double decay = exp(-composed->h);
    scan->mass += term;
    scan->below = scan->below * decay + term;
    scan->noise += weight * noise;
    scan->low_noise = scan->low_noise * decay + weight * noise;
}

/* What tilted mass beyond the window is worth at epsilon, at most: the greatest
 * exp(K - lambda l) (1 - exp(epsilon - l)) over l > epsilon. */
static double beyond(const struct rn_pld_composed *composed, double epsilon)
{
    const double lambda = composed->lambda;
    const double most = lambda > 0 ? lambda * log(lambda) - (1 + lambda) * log1p(lambda) : 0;
    return composed->beyond * exp(composed->cumulant - lambda * epsilon + most);
}

/* Off the finite sum: from above what lies beyond the top, and below the bottom if that is above
 * epsilon; from below what came in from either side. */
static double correction(const struct scan *scan, double epsilon)
{
    const double one = beyond(scan->composed, epsilon);
    if (scan->above) {
        return epsilon < loss_at(scan->composed, 0) ? 2 * one : one;
    }
    return -2 * one;
}

static double factor(const struct scan *scan)
{
    return scan->above ? 1 + scan->composed->relative : fmax(1 - scan->composed->relative, 0);
}

/* delta(epsilon), epsilon at most the last loss passed and no less than the next one. */
static struct rn_pld_reading scan_delta(const struct scan *scan, double epsilon)
{
    const double ratio = exp(epsilon - scan->loss);
    const double finite = fmax(scan->mass - ratio * scan->below, 0) + correction(scan, epsilon);
    return (struct rn_pld_reading){
        .value = fmin(scan->composed->infinity + fmax(finite, 0) * factor(scan), 1),
        .error = fmax(scan->noise - ratio * scan->low_noise, 0) + fabs(correction(scan, epsilon)),
        .inside = true};
}

struct rn_pld_reading rn_pld_read_delta(const struct rn_pld_composed *composed, double epsilon,
                                        bool above)
{
    struct scan scan = scan_start(composed, above);
    size_t m = composed->n;
    while (m > 0 && loss_at(composed, m - 1) > epsilon) {
        scan_pass(&scan, --m);
    }
    if (m == composed->n) { /* nothing is greater than epsilon */
        scan.loss = epsilon;
    }
    return scan_delta(&scan, epsilon);
}

/* delta(epsilon) is `delta` between `least` and the last loss passed. */
static double crossing(const struct scan *scan, double delta, double least)
{
    const double finite = (delta - scan->composed->infinity) / factor(scan);
    const double target = finite - correction(scan, least);
    const double epsilon = scan->loss + log((scan->mass - target) / scan->below);
    return isfinite(epsilon) ? fmin(fmax(epsilon, least), scan->loss)
           : scan->above     ? scan->loss
                             : least;
}

struct rn_pld_reading rn_pld_read_epsilon(const struct rn_pld_composed *composed, double delta,
                                          bool above)
{
    struct scan scan = scan_start(composed, above);
    struct rn_pld_reading at = scan_delta(&scan, fmax(scan.loss, 0));
    if (at.value > delta) {
        at.value = INFINITY;
        return at;
    }
    double least = fmax(scan.loss, 0);
    for (size_t m = composed->n; m > 0 && least > 0;) {
        scan_pass(&scan, --m);
        least = fmax(scan.loss - composed->h, 0);
        at = scan_delta(&scan, least);
        if (at.value > delta) {
            at.value = crossing(&scan, delta, least);
            return at;
        }
    }
    at.inside = least <= 0;
    at.value = at.inside || !above ? 0 : scan.loss;
    return at;
}

struct rn_pld_least rn_pld_read_least(const struct rn_pld_composed *composed, rn_pld_bound *bound,
                                      double fpr)
{
    struct scan scan = scan_start(composed, true);
    struct rn_pld_least least = {INFINITY, 0};
    double epsilon = fmax(scan.loss, 0);
    for (size_t m = composed->n;;) {
        const double value = bound(epsilon, scan_delta(&scan, epsilon).value, fpr);
        if (value < least.value) {
            least = (struct rn_pld_least){value, epsilon};
        }
        if (m == 0 || epsilon <= 0) {
            return least;
        }
        scan_pass(&scan, --m);
        epsilon = fmax(scan.loss - composed->h, 0);
    }
}
