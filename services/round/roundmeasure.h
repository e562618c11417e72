/* SPDX-License-Identifier: Apache-2.0
 *
 * Federated evaluation: what the members' development sets say of an adapter, and what follows for
 * the job. A round's vector holds each member's metric and loss of the adapter that the round
 * starts from, so the sum of round r measures the adapter after round r - 1; a last round, which
 * trains nothing, measures the adapter after the plan's last. Every site reads the same sums and so
 * arrives at the same best round and the same early end. Pure.
 *
 * One adapter is measured in one round alone, the one right after it (services/PROTOCOL.md,
 * section 7).
 */
#ifndef RN_SERVICES_ROUND_ROUNDMEASURE_H
#define RN_SERVICES_ROUND_ROUNDMEASURE_H

#include <stdbool.h>
#include <stdint.h>

struct rn_plan;

/* Means over the members of one sum. */
struct rn_round_measure {
    bool valid;
    double metric; /* the plan's, -1 .. 1; larger is better */
    double loss;   /* mean per example */
};

/* Zero-initialise. */
struct rn_round_judgement {
    bool measured;       /* something was */
    uint32_t best_round; /* the best adapter is the one after this round; 0: the start */
    double best_metric;
    uint32_t since;         /* measured adapters since then */
    bool stopped;           /* `evaluation.early_stop`: no further round */
    uint32_t stopped_round; /* whose sum said so */
};

/* Is the adapter that `round` starts from measured in its sum? start_round: the round whose sum
 * made it, 0 for the start; a sum that changed nothing made none. */
bool rn_round_is_measured(const struct rn_plan *plan, uint32_t round, uint32_t start_round);

/* Takes in what the sum of `round` says; sums come in the order of rounds. True when the adapter
 * that the round started from is the best so far: by more than `min_delta`, or the first. */
bool rn_round_judgement_take(struct rn_round_judgement *judgement, const struct rn_plan *plan,
                             uint32_t round, const struct rn_round_measure *measure);

#endif
