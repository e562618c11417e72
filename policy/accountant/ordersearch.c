/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/accountant/ordersearch.h"

#include "policy/accountant/rdp.h"

#include <math.h>
#include <stddef.h>

#define GRID 128u
#define GOLDEN 0.61803398874989484820

struct search {
    rn_order_fn objective;
    const void *context;
    struct rn_order_best best;
};

static double order_at(double place)
{
    const double low = log(RN_RDP_ORDER_MIN - 1);
    const double high = log(RN_RDP_ORDER_MAX - 1);
    const double order = 1 + exp(low + (high - low) * place);
    return fmin(fmax(order, RN_RDP_ORDER_MIN), RN_RDP_ORDER_MAX);
}

/* The objective at a place 0 .. 1 of the range; remembers the best. */
static double look(struct search *search, double place, bool *out_last)
{
    const double order = order_at(place);
    const double value = search->objective(search->context, order, search->best.value, out_last);
    if (value < search->best.value) {
        search->best = (struct rn_order_best){order, value, place <= 0 || place >= 1};
    }
    return value;
}

/* Golden section between two places, until values can no longer differ by more than 1e-12. */
static void settle(struct search *search, double low, double high)
{
    bool last = false;
    double left = high - GOLDEN * (high - low);
    double right = low + GOLDEN * (high - low);
    double at_left = look(search, left, &last);
    double at_right = look(search, right, &last);

    while (high - low > 1e-8) {
        if (at_left <= at_right) {
            high = right;
            right = left;
            at_right = at_left;
            left = high - GOLDEN * (high - low);
            at_left = look(search, left, &last);
        } else {
            low = left;
            left = right;
            at_left = at_right;
            right = low + GOLDEN * (high - low);
            at_right = look(search, right, &last);
        }
    }
}

struct rn_order_best rn_order_search(rn_order_fn objective, const void *context)
{
    struct search search = {objective, context, {RN_RDP_ORDER_MIN, INFINITY, true}};
    double values[GRID + 1];
    size_t count = 0;
    bool last = false;

    while (count <= GRID && !last) {
        values[count] = look(&search, (double)count / GRID, &last);
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        const double before = i > 0 ? values[i - 1] : INFINITY;
        const double after = i + 1 < count ? values[i + 1] : INFINITY;
        if (values[i] < INFINITY && values[i] < before && values[i] <= after) {
            settle(&search, fmax((double)i - 1, 0) / GRID, fmin((double)i + 1, GRID) / GRID);
        }
    }
    return search.best;
}
