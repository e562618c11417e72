/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/filter.h"

#include <math.h>
#include <stddef.h>

struct programme {
    const struct rn_privacy_event *events;
    size_t count;
    double epsilon, delta;
};

double rn_filter_bound(double epsilon, double delta, double order)
{
    return epsilon + (log(delta) + log(order)) / (order - 1) - log1p(-1 / order);
}

bool rn_filter_charge(double *spent, double cost, double bound)
{
    const double sum = cost == 0 ? *spent : nextafter(*spent + cost, INFINITY);

    if (!(cost >= 0 && sum <= bound)) {
        return false;
    }
    *spent = sum;
    return true;
}

static double cost_of(const struct programme *programme, double order)
{
    double sum = 0;

    if (programme->count == 0) {
        return order; /* Gaussian noise: order / (2 noise^2) */
    }
    for (size_t i = 0; i < programme->count; i++) {
        double one;
        if (rn_rdp_event(&programme->events[i], order, &one)) {
            sum += one;
        }
    }
    return sum;
}

static double share_of(const void *context, double order, double best, bool *out_last)
{
    const struct programme *programme = context;
    const double bound = rn_filter_bound(programme->epsilon, programme->delta, order);
    const double cost = cost_of(programme, order);

    /* The bound stays below epsilon + 1 / order + ln(order) / (order - 1), which falls; cost grows.
     */
    *out_last = cost > best * (programme->epsilon - log1p(-1 / order) + log(order) / (order - 1));
    return bound > 0 ? cost / bound : INFINITY;
}

double rn_filter_order(const struct rn_privacy_event *events, size_t count, double epsilon,
                       double delta)
{
    const struct programme programme = {events, count, epsilon, delta};
    return rn_order_search(share_of, &programme).order;
}
