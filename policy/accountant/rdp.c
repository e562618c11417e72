/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/rdp.h"

#include "policy/accountant/allocgauss.h"
#include "policy/accountant/sampledgauss.h"
#include "policy/accountant/sharednoise.h"

#include <math.h>
#include <stddef.h>

struct list {
    const struct rn_privacy_event *events;
    size_t count;
    double target; /* delta or epsilon */
};

/* Randomised response, which dominates every epsilon-mechanism:
 * cosh((order - 1/2) epsilon) / cosh(epsilon / 2), less 1 by a product where it is close to 1. */
static double response_rdp(double epsilon, double order)
{
    const double more = order * epsilon;
    const double less = (order - 1) * epsilon;

    if (more > 1) {
        /* ln cosh x = x + log1p(e^(-2 x)) - ln 2 */
        return epsilon + (log1p(exp(-more - less)) - log1p(exp(-epsilon))) / (order - 1);
    }
    return log1p(2 * sinh(more / 2) * sinh(less / 2) / cosh(epsilon / 2)) / (order - 1);
}

bool rn_rdp_event(const struct rn_privacy_event *event, double order, double *out)
{
    double once;

    switch (event->kind) {
    case RN_PRIVACY_GAUSSIAN:
        once = rn_sampled_gauss_rdp(1, event->noise, 1, order);
        break;
    case RN_PRIVACY_POISSON:
        once = rn_sampled_gauss_rdp(event->rate, event->noise, 1, order);
        break;
    case RN_PRIVACY_GROUP:
        once = rn_sampled_gauss_rdp(event->rate, event->noise, event->group, order);
        break;
    case RN_PRIVACY_ALLOCATION:
        once = rn_allocation_gauss_rdp(event->noise, event->picks, event->slots, order);
        break;
    case RN_PRIVACY_EPSILON_DELTA:
        if (event->delta > 0) {
            return false;
        }
        once = response_rdp(event->epsilon, order);
        break;
    case RN_PRIVACY_SHARED:
        once = rn_shared_noise_rdp(event, order);
        break;
    default:
        return false;
    }
    *out = (double)event->count * once;
    return true;
}

bool rn_rdp_events(const struct rn_privacy_event *events, size_t count, double order, double *out)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        double one;
        if (!rn_rdp_event(&events[i], order, &one)) {
            return false;
        }
        sum += one;
    }
    *out = sum;
    return true;
}

/* ---- One order ---- */

/* What the conversion adds whatever delta is; negative, and grows with the order. */
static double order_term(double order)
{
    return log1p(-1 / order) - log(order) / (order - 1);
}

double rn_rdp_to_epsilon(double rdp, double order, double delta)
{
    if (delta * delta > -expm1(-rdp)) {
        return 0; /* Bretagnolle-Huber: the total variation is below delta */
    }
    return fmax(0, rdp + order_term(order) - log(delta) / (order - 1));
}

double rn_rdp_to_epsilon_old(double rdp, double order, double delta)
{
    return rdp - log(delta) / (order - 1);
}

static double log_delta(double rdp, double order, double epsilon)
{
    return (order - 1) * (rdp - epsilon + order_term(order));
}

double rn_rdp_to_delta(double rdp, double order, double epsilon)
{
    return fmin(exp(fmin(log_delta(rdp, order, epsilon), 0)), sqrt(-expm1(-rdp)));
}

/* ---- The best order ---- */

static double epsilon_of(const void *context, double order, double best, bool *out_last)
{
    const struct list *list = context;
    double rdp;

    if (!rn_rdp_events(list->events, list->count, order, &rdp)) {
        return INFINITY; /* looked at before the search */
    }
    /* Both terms grow with the order, and -ln(delta) / (order - 1) stays positive. */
    *out_last = rdp + order_term(order) > best;
    return rn_rdp_to_epsilon(rdp, order, list->target);
}

static double delta_of(const void *context, double order, double best, bool *out_last)
{
    const struct list *list = context;
    double rdp;

    (void)best;
    if (!rn_rdp_events(list->events, list->count, order, &rdp)) {
        return INFINITY;
    }
    /* From here on the conversion says nothing; Bretagnolle-Huber is best at the least order. */
    *out_last = log_delta(rdp, order, list->target) > 0;
    return rn_rdp_to_delta(rdp, order, list->target);
}

static bool search(const struct list *list, rn_order_fn objective, struct rn_order_best *out)
{
    double rdp;

    if (!rn_rdp_events(list->events, list->count, RN_RDP_ORDER_MIN, &rdp)) {
        return false;
    }
    *out = rn_order_search(objective, list);
    return true;
}

bool rn_rdp_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                    struct rn_order_best *out)
{
    return search(&(struct list){events, count, delta}, epsilon_of, out);
}

bool rn_rdp_delta(const struct rn_privacy_event *events, size_t count, double epsilon,
                  struct rn_order_best *out)
{
    return search(&(struct list){events, count, epsilon}, delta_of, out);
}
