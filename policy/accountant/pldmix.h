/* SPDX-License-Identifier: Apache-2.0
 *
 * One repetition of an event as a mixture of dominating pairs: which of them it is, is drawn alike
 * in both worlds and seen by the observer, so the privacy-loss distribution is the weighted sum.
 *
 * TRUNCATED is the slot-keeping zero-out of privacyevent.h: the neighbour's record is emptied and
 * keeps its place among the `records` n, so no batch mate is ever swapped and the sensitivity stays
 * that of one record. With B = cap, q = rate, b_k = P[Bin(n - 1, q) = k] (the others drawn), what
 * tells the worlds apart is, given the mates in the batch:
 *
 *     fewer than B - 1 mates:  the record is in with probability q
 *     exactly B - 1:           w   = b_(B-1) + sum_(k >= B) q b_k B / (k + 1)
 *                              q_B = (q b_(B-1) + sum_(k >= B) q b_k B / (k + 1)) / w
 *     B mates:                 it is out: loss 0
 */
#ifndef RN_POLICY_PLDMIX_H
#define RN_POLICY_PLDMIX_H

#include "base/result.h"
#include "policy/accountant/pldpair.h"

/* ALLOCATION with one pick is kept as noise and slots: its pair is many-dimensional, and its
 * likelihood ratio's law stands in pldlaw.h (pldallocation.h). */
#define RN_PLD_PARTS_MAX 2
#define RN_PLD_ATOMS_MAX 2
/* Terms of the binomial sum of a TRUNCATED event. */
#define RN_PLD_BINOMIAL_MAX (1u << 22)

struct rn_pld_mix {
    double repeats; /* of the event */
    unsigned parts, atoms;
    struct {
        double share;
        struct rn_pld_pair pair;
    } part[RN_PLD_PARTS_MAX];
    struct {
        double mass, loss; /* mass under P */
    } atom[RN_PLD_ATOMS_MAX];
    double infinity; /* P-mass that Q does not have at all */
    uint32_t slots;  /* ALLOCATION: at least 2, and nothing above; else 0 */
    double noise;    /* likewise, with the direction */
    enum rn_pld_direction direction;
};

/* Of a checked event. An ALLOCATION has one pick of two slots or more (pldevents.h).
 * RN_E_UNSUPPORTED: a TRUNCATED event whose binomial is too wide to be summed. */
RN_MUST rn_result rn_pld_mix_init(struct rn_pld_mix *mix, const struct rn_privacy_event *event,
                                  enum rn_pld_direction direction, struct rn_error *err);

/* Mean and variance of the loss under P, infinity apart; for choosing a lattice only. */
void rn_pld_mix_moments(const struct rn_pld_mix *mix, double *mean, double *variance);

#endif
