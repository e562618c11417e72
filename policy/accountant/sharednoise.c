/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/sharednoise.h"

#include "policy/accountant/noiseshares.h"

#include <math.h>

/* Without sampling. */
static double whole_rdp(const struct rn_privacy_event *event, double order)
{
    const struct rn_shares_query query = {.norm1 = rn_shares_norm1(event->grid, event->dimension),
                                          .norm2 = event->grid,
                                          .dimension = event->dimension};
    return rn_shares_ddgauss_rdp(&query, event->shares, event->share, order);
}

static double whole_rdp_at(const void *context, uint32_t order)
{
    return whole_rdp(context, order);
}

/* (order - 1) D(order) at a whole order. */
static double moment(const struct rn_privacy_event *event, uint32_t order)
{
    return order < 2 ? 0
                     : (order - 1) * rn_shares_sampled_rdp(whole_rdp_at, event, event->rate, order);
}

double rn_shared_noise_rdp(const struct rn_privacy_event *event, double order)
{
    const double whole = whole_rdp(event, order);
    if (event->rate >= 1 || order > RN_SHARES_ORDER_MAX) {
        return whole;
    }
    const uint32_t below = (uint32_t)order;
    const double part = order - below;
    const double chord = part > 0
                             ? (1 - part) * moment(event, below) + part * moment(event, below + 1)
                             : moment(event, below);
    return fmin(whole, chord / (order - 1));
}
