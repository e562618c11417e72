/* SPDX-License-Identifier: Apache-2.0
 *
 * What one round is, by the plan and the global round number alone: which matrices move, how their
 * deltas become integers, how members weigh. Every site derives it for itself and gets the same;
 * rn_round_spec_hash makes that checkable. Pure: no file, clock or network.
 */
#ifndef RN_SERVICES_ROUND_ROUNDSPEC_H
#define RN_SERVICES_ROUND_ROUNDSPEC_H

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

struct rn_plan;

/* Same bits as enum rn_matrix of trainer/trainer.h. */
#define RN_ROUND_A 1u
#define RN_ROUND_B 2u
/* In rn_round_parts alone. */
#define RN_ROUND_HEAD 4u
#define RN_ROUND_MEASURE 8u

struct rn_round_spec {
    uint32_t round;      /* from 1 */
    unsigned active;     /* RN_ROUND_A, RN_ROUND_B or both; 0: the round only measures */
    bool with_head;      /* a federated head is summed in every round that trains */
    uint32_t bits;       /* q of one quantised value */
    int32_t exponent[3]; /* scale 2^exponent by enum rn_segment_kind: A, B, head */
    bool weighted;       /* weights are example counts; else every member weighs 1 */
    uint64_t weight_max; /* 1 unless weighted */
    bool metrics;        /* examples, loss and clipped count are summed inside the vector */
    bool evaluation;     /* so are metric and loss of the adapter that the round starts from:
                            rn_round_is_measured */
    /* The vector holds noisy sums of clipped gradients, whole numbers from -reach to reach, and
     * the adapter moves by -step times their mean (policy/sharedplan.h); bits and exponent count
     * for nothing then. */
    bool shared;
    uint64_t reach; /* 0 unless shared */
    double step[3]; /* by enum rn_segment_kind */
};

/* start_round as in rn_round_is_measured. RN_E_CONFIG when the plan's numbers cannot be quantised
 * (a scale that is no power of two) or the round is not one of the plan's. */
RN_MUST rn_result rn_round_spec_derive(const struct rn_plan *plan, uint32_t round,
                                       uint32_t start_round, struct rn_round_spec *out_spec,
                                       struct rn_error *err);

/* Largest value of one element of a member's vector: weight_max * (2^q - 2); shared: 2 reach. */
uint64_t rn_round_value_max(const struct rn_round_spec *spec);

/* What the round's vector holds a change of: RN_ROUND_A, RN_ROUND_B, RN_ROUND_HEAD. By these parts
 * the ledger of spent updates tells one update from another (PROTOCOL.md, A9): a head that is
 * summed in every round is a part of all of them, and what a member measured of the start is one
 * too (RN_ROUND_MEASURE). */
uint32_t rn_round_parts(const struct rn_round_spec *spec);

/* "B", "A", "AB", or "-" for none, for logs and tables. */
const char *rn_round_phase_name(unsigned active);

/* Hash of everything above except the round number's own value: the "scales hash" of a session. */
void rn_round_spec_hash(const struct rn_round_spec *spec, uint8_t out_hash[static 32]);

#endif
