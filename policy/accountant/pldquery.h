/* SPDX-License-Identifier: Apache-2.0
 *
 * What the queries of pld.h share: how coarse the first lattice is, how much may be lost at the
 * ends of a step's range.
 */
#ifndef RN_POLICY_PLDQUERY_H
#define RN_POLICY_PLDQUERY_H

#include "policy/accountant/pldcompose.h"
#include "policy/accountant/pldevents.h"

/* What a step may lose for a question about numbers of the size of delta. */
double rn_pld_tail(const struct rn_pld_events *events, double delta);

/* The first lattice to try; and h, or a little less so that a loss of an EPSILON_DELTA event falls
 * on a place. */
double rn_pld_first_lattice(const struct rn_pld_events *events);
double rn_pld_lattice(const struct rn_pld_events *events, double h);

#endif
