/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/graph.h"

#include "base/guard.h"
#include "crypto/secagg/epoch.h"
#include "crypto/secagg/graphtail.h"
#include "crypto/secagg/params.h"

#include <string.h>

_Static_assert(RN_SA_GRAPH_MEMBERS_MAX <= RN_SA_TAIL_TOTAL_MAX, "tails of every roster");
_Static_assert(RN_SA_EPOCH_ATTEMPTS_MAX == 1u << 4, "seeds that the tails are divided by");

/* ---- Sizes */

/* a_max: n arcs of degree / 2 positions, in each of the graphs that the attempts may give. */
static uint32_t corrupt_in_an_arc(uint32_t members, uint32_t colluding, uint32_t degree)
{
    const struct rn_sa_rarity rarity = {RN_SA_GRAPH_SECURITY_BITS + 4, members};
    return rn_sa_tail_quantile(members, colluding, degree / 2, rarity);
}

/* Do t of a member's neighbours remain? Its own share is not counted: a lost member does not give
 * it, and its secret has to open too. */
static bool enough_remain(uint32_t members, uint32_t losses, uint32_t degree, uint32_t threshold)
{
    const struct rn_sa_rarity rarity = {RN_SA_GRAPH_CORRECTNESS_BITS, members};
    return threshold <= degree &&
           rn_sa_tail_quantile(members - 1, losses, degree, rarity) <= degree - threshold;
}

bool rn_sa_graph_find(uint32_t members, uint32_t colluding, uint32_t losses,
                      struct rn_sa_graph_sizes *out)
{
    for (uint32_t degree = 2; degree <= members / 2; degree += 2) {
        const uint32_t corrupt = corrupt_in_an_arc(members, colluding, degree);
        const uint32_t threshold = degree / 2 + 2 + corrupt;
        if (enough_remain(members, losses, degree, threshold)) {
            *out = (struct rn_sa_graph_sizes){
                .degree = degree, .threshold = threshold, .corrupt_max = corrupt};
            return true;
        }
    }
    return false;
}

rn_result rn_sa_graph_plan(uint32_t members, uint32_t colluding, uint32_t losses,
                           struct rn_sa_graph_sizes *out, struct rn_error *err)
{
    RN_ENSURE(members >= RN_SA_MEMBERS_MIN && members <= RN_SA_GRAPH_MEMBERS_MAX, err, RN_E_CONFIG,
              "secagg: a graph of %u members; it takes %u to %u", members, RN_SA_MEMBERS_MIN,
              RN_SA_GRAPH_MEMBERS_MAX);
    RN_ENSURE(colluding >= 1 && colluding < members && losses < members, err, RN_E_CONFIG,
              "secagg: a graph of %u members, of whom %u collude and %u are lost", members,
              colluding, losses);
    if (members > RN_SA_GRAPH_COMPLETE_MAX && rn_sa_graph_find(members, colluding, losses, out)) {
        return rn_ok();
    }
    const struct rn_sa_params params = {.members = members, .colluding = colluding};
    *out = (struct rn_sa_graph_sizes){
        .complete = true, .degree = members - 1, .threshold = rn_sa_quorum(&params)};
    return rn_ok();
}

/* ---- Graph */

void rn_sa_graph_init(struct rn_sa_graph *graph, const struct rn_sa_graph_sizes *sizes,
                      uint32_t members, const uint32_t *permutation)
{
    RN_BUG_IF(members > RN_SA_GRAPH_MEMBERS_MAX || (permutation == NULL) != sizes->complete);
    memset(graph, 0, sizeof *graph);
    graph->sizes = *sizes;
    graph->members = members;
    if (sizes->complete) {
        return;
    }
    RN_BUG_IF(sizes->degree > members / 2);
    bool seated[RN_SA_GRAPH_MEMBERS_MAX] = {false};
    for (uint32_t p = 0; p < members; p++) {
        RN_BUG_IF(permutation[p] >= members || seated[permutation[p]]);
        seated[permutation[p]] = true;
        graph->position[permutation[p]] = p;
    }
}

bool rn_sa_graph_linked(const struct rn_sa_graph *graph, uint32_t a, uint32_t b)
{
    RN_BUG_IF(a >= graph->members || b >= graph->members);
    if (a == b || graph->sizes.complete) {
        return a != b;
    }
    const uint32_t p = graph->position[a];
    const uint32_t q = graph->position[b];
    const uint32_t apart = p < q ? q - p : p - q;
    const uint32_t other_way = graph->members - apart;
    return (apart < other_way ? apart : other_way) <= graph->sizes.degree / 2;
}

bool rn_sa_graph_holds(const struct rn_sa_graph *graph, uint32_t holder, uint32_t dealer)
{
    return holder == dealer || rn_sa_graph_linked(graph, holder, dealer);
}

uint32_t rn_sa_graph_neighbours(const struct rn_sa_graph *graph, uint32_t member, uint32_t out[])
{
    uint32_t count = 0;
    for (uint32_t other = 0; other < graph->members; other++) {
        if (rn_sa_graph_linked(graph, member, other)) {
            out[count++] = other;
        }
    }
    return count;
}
