/* SPDX-License-Identifier: Apache-2.0
 *
 * Renyi divergences (Mironov 2017; Mironov, Talwar, Zhang 2019) by quadrature, and the improved
 * conversion to (epsilon, delta) (Canonne, Kamath, Steinke 2020, proposition 12;
 * Bretagnolle-Huber). Every function is total over checked events: +inf where there is no bound,
 * never NaN.
 */
#ifndef RN_POLICY_RDP_H
#define RN_POLICY_RDP_H

#include "base/result.h"
#include "policy/accountant/ordersearch.h"
#include "policy/accountant/privacyevent.h"

#include <stdbool.h>

#define RN_RDP_ORDER_MIN 1.01
#define RN_RDP_ORDER_MAX 3e4

/* Divergence of order `order` > 1 of all repetitions of a checked event; +inf where there is none.
 * False: a kind that has no Renyi bound here (TRUNCATED; EPSILON_DELTA with delta > 0
 * is kept apart by the callers). */
bool rn_rdp_event(const struct rn_privacy_event *event, double order, double *out);
/* Sum over a list. */
bool rn_rdp_events(const struct rn_privacy_event *events, size_t count, double order, double *out);

/* What a divergence rdp of this order says. */
double rn_rdp_to_epsilon(double rdp, double order, double delta);
double rn_rdp_to_delta(double rdp, double order, double epsilon);
/* Mironov 2017's conversion, which older reports use. */
double rn_rdp_to_epsilon_old(double rdp, double order, double delta);

/* The same at the best order for a list of checked events; false as above. epsilon: 0 < delta < 1;
 * delta: epsilon >= 0. */
bool rn_rdp_epsilon(const struct rn_privacy_event *events, size_t count, double delta,
                    struct rn_order_best *out);
bool rn_rdp_delta(const struct rn_privacy_event *events, size_t count, double epsilon,
                  struct rn_order_best *out);

#endif
