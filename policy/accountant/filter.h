/* SPDX-License-Identifier: Apache-2.0
 *
 * The Renyi filter (Feldman and Zrnic 2021): a whole life of events whose rates, noise, number and
 * end may be chosen by somebody who saw everything before keeps (epsilon, delta), as long as the
 * sum of their divergences of ONE order, fixed before the first event, stays within the bound. What
 * was never begun costs nothing.
 *
 *     bound = rn_filter_bound(epsilon, delta, order)          once, in the policy
 *     rn_rdp_events(plan, ..., order, &cost)                  of every event that is to begin
 *     rn_filter_charge(&spent, cost, bound) or refuse         before data is touched
 */
#ifndef RN_POLICY_FILTER_H
#define RN_POLICY_FILTER_H

#include "policy/accountant/rdp.h"

/* B = epsilon + (ln delta + ln order) / (order - 1) - ln(1 - 1 / order), the largest sum whose
 * conversion (rdp.h) is at most epsilon; <= 0: this order allows nothing. */
double rn_filter_bound(double epsilon, double delta, double order);

/* Adds a cost to what is spent, rounding up, so that no number of additions loses anything. False,
 * and *spent untouched: the bound would be passed, or cost is negative or NaN. */
bool rn_filter_charge(double *spent, double cost, double bound);

/* The order at which the expected programme (checked events, may be NULL with 0: one for which the
 * bound is largest per unit of Gaussian noise) costs the least share of the bound. Events without a
 * divergence cost nothing here. Where no order allows anything, RN_RDP_ORDER_MIN. */
double rn_filter_order(const struct rn_privacy_event *events, size_t count, double epsilon,
                       double delta);

#endif
