/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of events as steps on one lattice. Events that are the same mechanism are put together and
 * brought into an order of their own first, so that neither their order nor how a count is split
 * over them changes a bit of any answer.
 */
#ifndef RN_POLICY_PLDEVENTS_H
#define RN_POLICY_PLDEVENTS_H

#include "policy/accountant/pldtilt.h"

/* Of a list of checked events, both directions. The owner calls rn_pld_events_free. */
struct rn_pld_events {
    size_t count;
    double repeats; /* of all events together */
    double width;   /* deviation of the composed loss, the greater of the directions */
    bool allocated; /* one of them is a random allocation */
    double atom;    /* an epsilon of an EPSILON_DELTA event that lattices should meet; 0: none */
    struct rn_pld_mix *mix[RN_PLD_DIRECTIONS];
};

RN_MUST rn_result rn_pld_events_init(struct rn_pld_events *out,
                                     const struct rn_privacy_event *events, size_t count,
                                     struct rn_error *err);
void rn_pld_events_free(struct rn_pld_events *events);

/* The steps at lattice h, of which each may lose `tail` (rn_pld_step_above). The owner calls
 * rn_pld_steps_free, after a failure too. RN_E_DATA: more than RN_PLD_BINS_MAX places. */
RN_MUST rn_result rn_pld_steps_init(struct rn_pld_steps *out, const struct rn_pld_events *events,
                                    enum rn_pld_direction direction, bool above, double h,
                                    double tail, struct rn_error *err);
void rn_pld_steps_free(struct rn_pld_steps *steps);

#endif
