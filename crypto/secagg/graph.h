/* SPDX-License-Identifier: Apache-2.0
 *
 * Who shares with whom. PROTOCOL.md, "Sparse graph", has the lemmas.
 *
 * Up to RN_SA_GRAPH_COMPLETE_MAX members everybody is linked with everybody. In a larger roster the
 * members sit on a ring in the order of a permutation that nobody chose (crypto/secagg/epoch.h),
 * and each is linked with those at most degree / 2 positions away, on either side: its neighbours.
 * Members that are absent keep their position.
 *
 *     holders of member i's shares   its neighbours and i itself: degree + 1
 *     pair masks of i                with those of its neighbours that are in U2
 *     threshold t                    shares of one secret, i's own among them, that open it
 *
 * Degree and threshold follow from roster size, n_c and D alone: each member computes them from its
 * own plan. Everything here is public.
 *
 * Life: rn_sa_graph_plan (when a plan is checked), rn_sa_graph_init (when the permutation is
 * there), then only questions. Plain data, no ownership.
 */
#ifndef RN_CRYPTO_SECAGG_GRAPH_H
#define RN_CRYPTO_SECAGG_GRAPH_H

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define RN_SA_GRAPH_MEMBERS_MAX 1024u
/* Rosters up to this size take the complete graph. */
#define RN_SA_GRAPH_COMPLETE_MAX 128u
/* Failures that are accepted: a sum of a part of the survivors opens, over all members and all
 * seeds of a plan (2^-40); a member is left with fewer than t holders although D members at random
 * are lost, over all members (2^-20). */
#define RN_SA_GRAPH_SECURITY_BITS 40u
#define RN_SA_GRAPH_CORRECTNESS_BITS 20u

struct rn_sa_graph_sizes {
    bool complete;
    uint32_t degree;    /* k: neighbours of each member; even unless complete (then n - 1) */
    uint32_t threshold; /* t; Q if complete */
    /* a_max: most corrupt members in any degree / 2 consecutive positions, but for 2^-40. 0 if
     * complete, where it means nothing. */
    uint32_t corrupt_max;
};

/* Sizes for a roster of members, of whom colluding (n_c) may be corrupt and losses (D) get lost.
 * The smallest degree that satisfies both inequalities of PROTOCOL.md, "Sparse graph", or complete.
 * RN_E_CONFIG unless 3 <= members <= RN_SA_GRAPH_MEMBERS_MAX, 1 <= colluding < members and losses <
 * members. About 10 ms at 1000 members. */
RN_MUST rn_result rn_sa_graph_plan(uint32_t members, uint32_t colluding, uint32_t losses,
                                   struct rn_sa_graph_sizes *out, struct rn_error *err);

/* The sparse sizes of a roster of any size; false where no degree <= members / 2 will do. For
 * rn_sa_graph_plan, which has checked the numbers, and for tests. */
bool rn_sa_graph_find(uint32_t members, uint32_t colluding, uint32_t losses,
                      struct rn_sa_graph_sizes *out);

struct rn_sa_graph {
    struct rn_sa_graph_sizes sizes;
    uint32_t members;
    uint32_t position[RN_SA_GRAPH_MEMBERS_MAX]; /* on the ring, by member; 0 if complete */
};

/* permutation[p] is the member at position p of the ring, for all members; NULL if the graph is
 * complete. What is no permutation is a bug: it comes from rn_sa_epoch_permutation. */
void rn_sa_graph_init(struct rn_sa_graph *graph, const struct rn_sa_graph_sizes *sizes,
                      uint32_t members, const uint32_t *permutation);

/* Are a and b neighbours? Nobody is its own. */
bool rn_sa_graph_linked(const struct rn_sa_graph *graph, uint32_t a, uint32_t b);
/* Does holder keep shares of dealer's secrets: a neighbour, or the dealer itself? */
bool rn_sa_graph_holds(const struct rn_sa_graph *graph, uint32_t holder, uint32_t dealer);
/* The neighbours of member in roster order; returns how many: the degree. out has room for it. */
uint32_t rn_sa_graph_neighbours(const struct rn_sa_graph *graph, uint32_t member, uint32_t out[]);

#endif
