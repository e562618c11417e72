/* SPDX-License-Identifier: Apache-2.0
 *
 * The best Renyi order: any order gives a valid bound, so the search need not be exact to be right,
 * only to be tight. The objectives may have two minima; a grid in ln(order - 1) sees them, golden
 * sections settle each.
 */
#ifndef RN_POLICY_ORDERSEARCH_H
#define RN_POLICY_ORDERSEARCH_H

#include <stdbool.h>

struct rn_order_best {
    double order;
    double value;
    bool at_end; /* the best order is an end of the range: beyond it might be better */
};

/* What to make small; +inf is allowed, NaN is not. Sets *out_last where every larger order gives
 * more than the best so far (`best`, +inf at first). */
typedef double (*rn_order_fn)(const void *context, double order, double best, bool *out_last);

/* Least value over RN_RDP_ORDER_MIN .. RN_RDP_ORDER_MAX, and its order; of equal ones the lowest
 * order of the grid. About 150 calls, fewer where *out_last comes early. */
struct rn_order_best rn_order_search(rn_order_fn objective, const void *context);

#endif
