/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldmix.h"

#include "base/guard.h"
#include "policy/accountant/pldlaw.h"

#include <math.h>

static void add_part(struct rn_pld_mix *mix, double share, double noise, double rate,
                     unsigned group, enum rn_pld_direction direction)
{
    if (share > 0 && rate > 0) {
        mix->part[mix->parts].share = share;
        rn_pld_pair_init(&mix->part[mix->parts++].pair, noise, rate, group, direction);
    } else if (share > 0) {
        mix->atom[mix->atoms].mass = share;
        mix->atom[mix->atoms++].loss = 0;
    }
}

static void epsilon_delta(struct rn_pld_mix *mix, double epsilon, double delta)
{
    mix->infinity = delta;
    mix->atoms = 2;
    mix->atom[0].mass = (1 - delta) / (1 + exp(-epsilon));
    mix->atom[0].loss = epsilon;
    mix->atom[1].mass = (1 - delta) / (1 + exp(epsilon));
    mix->atom[1].loss = -epsilon;
}

/* Sums over k of b_k = P[Bin(n, q) = k], by their ratios from the mode; what 1e-40 of the mode's
 * terms leave out is nothing. */
struct truncated {
    double n, q, cap;
    double all, few, last, kept; /* sum b_k; k < B - 1; k = B - 1; sum_(k >= B) b_k B / (k + 1) */
};

static void take(struct truncated *sums, double k, double b)
{
    sums->all += b;
    sums->few += k < sums->cap - 1 ? b : 0;
    sums->last += k == sums->cap - 1 ? b : 0;
    sums->kept += k >= sums->cap ? b * sums->cap / (k + 1) : 0;
}

static bool sum_truncated(struct truncated *sums)
{
    const double odds = sums->q / (1 - sums->q);
    const double mode = fmin(floor((sums->n + 1) * sums->q), sums->n);
    unsigned terms = 0;
    double b = 1;
    for (double k = mode; k <= sums->n && b > 1e-40 && terms < RN_PLD_BINOMIAL_MAX; k++, terms++) {
        take(sums, k, b);
        b *= (sums->n - k) / (k + 1) * odds;
    }
    b = 1;
    for (double k = mode; k > 0 && b > 1e-40 && terms < RN_PLD_BINOMIAL_MAX; k--, terms++) {
        b *= k / (sums->n - k + 1) / odds;
        take(sums, k - 1, b);
    }
    return terms < RN_PLD_BINOMIAL_MAX;
}

static rn_result truncated(struct rn_pld_mix *mix, const struct rn_privacy_event *event,
                           enum rn_pld_direction direction, struct rn_error *err)
{
    struct truncated sums = {.n = (double)event->records - 1, .q = event->rate, .cap = event->cap};
    if (event->rate >= 1) { /* all others are drawn always */
        take(&sums, sums.n, 1);
    } else {
        RN_ENSURE(
            sum_truncated(&sums), err, RN_E_UNSUPPORTED,
            "a truncated sampling of %llu records at rate %g is too wide to be summed: account "
            "for it as Poisson sampling, and for the truncation in delta",
            (unsigned long long)event->records, event->rate);
    }
    const double in = event->rate * (sums.last + sums.kept) / sums.all;
    const double mates = (sums.last + event->rate * sums.kept) / sums.all;
    const double few = sums.few / sums.all;
    const double rate = mates > 0 ? fmin(in / mates, 1) : 0;
    add_part(mix, few, event->noise, event->rate, 1, direction);
    add_part(mix, mates, event->noise, rate, 1, direction);
    add_part(mix, fmax(1 - few - mates, 0), event->noise, 0, 1, direction);
    return rn_ok();
}

rn_result rn_pld_mix_init(struct rn_pld_mix *mix, const struct rn_privacy_event *event,
                          enum rn_pld_direction direction, struct rn_error *err)
{
    *mix = (struct rn_pld_mix){.repeats = (double)event->count};
    switch (event->kind) {
    case RN_PRIVACY_GAUSSIAN:
        add_part(mix, 1, event->noise, 1, 1, direction);
        return rn_ok();
    case RN_PRIVACY_POISSON:
        add_part(mix, 1, event->noise, event->rate, 1, direction);
        return rn_ok();
    case RN_PRIVACY_GROUP:
        add_part(mix, 1, event->noise, event->rate, event->group, direction);
        return rn_ok();
    case RN_PRIVACY_TRUNCATED:
        return truncated(mix, event, direction, err);
    case RN_PRIVACY_EPSILON_DELTA:
        epsilon_delta(mix, event->epsilon, event->delta);
        return rn_ok();
    case RN_PRIVACY_SHARED:
        return rn_fail(err, RN_E_UNSUPPORTED,
                       "noise in shares has no certified privacy-loss distribution: account for "
                       "it with RDP");
    case RN_PRIVACY_ALLOCATION:
        RN_BUG_IF(event->picks != 1 || event->slots < 2);
        mix->slots = event->slots;
        mix->noise = event->noise;
        mix->direction = direction;
        return rn_ok();
    }
    RN_BUG_IF(true);
    return rn_ok();
}

struct moments {
    double share, sum, square;
};

static void moment_node(void *context, double mass, double loss)
{
    struct moments *moments = context;
    moments->sum += moments->share * mass * loss;
    moments->square += moments->share * mass * loss * loss;
}

void rn_pld_mix_moments(const struct rn_pld_mix *mix, double *mean, double *variance)
{
    struct moments moments = {.share = 1};
    if (mix->slots > 0) {
        const double width = rn_pld_law_width(mix->noise, mix->slots);
        *mean = width * width / 2;
        *variance = width * width;
        return;
    }
    for (unsigned i = 0; i < mix->atoms; i++) {
        moment_node(&moments, mix->atom[i].mass, mix->atom[i].loss);
    }
    for (unsigned i = 0; i < mix->parts; i++) {
        double low, high;
        rn_pld_pair_range(&mix->part[i].pair, 1e-20, &low, &high);
        moments.share = mix->part[i].share;
        rn_pld_pair_walk(&mix->part[i].pair, low, high, 0, moment_node, &moments);
    }
    *mean = moments.sum;
    *variance = fmax(moments.square - moments.sum * moments.sum, 0);
}
