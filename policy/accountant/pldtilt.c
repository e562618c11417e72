/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/pldtilt.h"

#include <math.h>

#define SEARCH_MAX 80
#define LAMBDA_MAX 1e12

static double loss_at(const struct rn_pld_step *step, uint32_t i)
{
    return step->offset + (step->first + i) * step->h;
}

uint32_t rn_pld_peak(const struct rn_pld_step *step, double mu)
{
    uint32_t best = 0;
    double largest = -INFINITY;
    for (uint32_t i = 0; i < step->count; i++) {
        const double term = step->log_mass[i] + mu * loss_at(step, i);
        if (term > largest) {
            largest = term;
            best = i;
        }
    }
    return best;
}

static void add_step(const struct rn_pld_step *step, double mu, struct rn_pld_cumulant *sum)
{
    const uint32_t top = rn_pld_peak(step, mu);
    const double at = loss_at(step, top), largest = step->log_mass[top] + mu * at;
    double mass = 0, first = 0, second = 0;
    for (uint32_t i = 0; i < step->count; i++) {
        const double away = ((double)i - top) * step->h;
        const double exponent = step->log_mass[i] + mu * (at + away) - largest;
        if (exponent > -700) {
            const double term = exp(exponent);
            mass += term;
            first += term * away;
            second += term * away * away;
        }
    }
    first /= mass;
    sum->value += step->repeats * (largest + log(mass));
    sum->first += step->repeats * (at + first);
    sum->second += step->repeats * fmax(second / mass - first * first, 0);
}

struct rn_pld_cumulant rn_pld_cumulant(const struct rn_pld_steps *steps, double mu)
{
    struct rn_pld_cumulant sum = {0};
    for (size_t j = 0; j < steps->count; j++) {
        add_step(&steps->step[j], mu, &sum);
    }
    return sum;
}

double rn_pld_log_moment(const struct rn_pld_step *step, double mu)
{
    struct rn_pld_cumulant sum = {0};
    add_step(step, mu, &sum);
    return sum.value / step->repeats;
}

double rn_pld_least(const struct rn_pld_steps *steps)
{
    double sum = 0;
    for (size_t j = 0; j < steps->count; j++) {
        uint32_t i = 0;
        while (i + 1 < steps->step[j].count && steps->step[j].log_mass[i] == -INFINITY) {
            i++;
        }
        sum += steps->step[j].repeats * loss_at(&steps->step[j], i);
    }
    return sum;
}

double rn_pld_most(const struct rn_pld_steps *steps)
{
    double sum = 0;
    for (size_t j = 0; j < steps->count; j++) {
        uint32_t i = steps->step[j].count - 1;
        while (i > 0 && steps->step[j].log_mass[i] == -INFINITY) {
            i--;
        }
        sum += steps->step[j].repeats * loss_at(&steps->step[j], i);
    }
    return sum;
}

/* Newton on a function of mu that rises in |mu - from|, kept between `inside` (too small) and
 * `outside` (too large, or as far as one looks). */
struct search {
    double inside, outside;
};

static double next_mu(struct search *search, double mu, double over, double slope)
{
    if (over < 0) {
        search->inside = mu;
    } else {
        search->outside = mu;
    }
    const double newton = mu - over / slope;
    const double least = fmin(search->inside, search->outside);
    const double most = fmax(search->inside, search->outside);
    return newton > least && newton < most ? newton : least + (most - least) / 2;
}

double rn_pld_tilt(const struct rn_pld_steps *steps, double loss)
{
    const struct rn_pld_cumulant start = rn_pld_cumulant(steps, 0);
    if (start.first >= loss || !(start.second > 0)) {
        return 0;
    }
    struct search search = {0, LAMBDA_MAX};
    double mu = fmin((loss - start.first) / start.second, LAMBDA_MAX);
    for (unsigned i = 0; i < SEARCH_MAX; i++) {
        const struct rn_pld_cumulant k = rn_pld_cumulant(steps, mu);
        if (fabs(k.first - loss) <= 1e-3 * sqrt(k.second)) {
            return mu;
        }
        mu = next_mu(&search, mu, k.first - loss, k.second);
    }
    return mu;
}

/* (mu - lambda) K'(mu) - (K(mu) - K(lambda)) = cost is where the bound on the tail beyond K'(mu)
 * is exp(-cost). It is used as it comes out, so the search need not end exactly. */
double rn_pld_edge(const struct rn_pld_steps *steps, double lambda, double cost, bool above)
{
    const struct rn_pld_cumulant at = rn_pld_cumulant(steps, lambda);
    const double limit = above ? rn_pld_most(steps) : rn_pld_least(steps);
    if (!(at.second > 0)) {
        return limit;
    }
    const double way = above ? 1 : -1;
    struct search search = {lambda, lambda + way * LAMBDA_MAX};
    double mu = lambda + way * sqrt(2 * cost / at.second), best = limit;
    for (unsigned i = 0; i < SEARCH_MAX; i++) {
        const struct rn_pld_cumulant k = rn_pld_cumulant(steps, mu);
        const double away = mu - lambda, edge = (k.value - at.value + cost) / away;
        best = above ? fmin(best, edge) : fmax(best, edge);
        const double over = away * k.first - (k.value - at.value) - cost;
        if (fabs(over) <= 1e-3 * cost) {
            break;
        }
        mu = next_mu(&search, mu, over, away * k.second);
    }
    return best;
}
