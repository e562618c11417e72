/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings of any size, for sessions with few members: the program that includes this is linked with
 * --wrap=rn_sa_graph_plan.
 */
#ifndef RN_TESTS_SMALLRING_H
#define RN_TESTS_SMALLRING_H

#include "crypto/secagg/graph.h"

/* What every plan gets; degree 0: what it is. */
static struct rn_sa_graph_sizes planted;

rn_result __real_rn_sa_graph_plan(uint32_t members, uint32_t colluding, uint32_t losses,
                                  struct rn_sa_graph_sizes *out, struct rn_error *err);
rn_result __wrap_rn_sa_graph_plan(uint32_t members, uint32_t colluding, uint32_t losses,
                                  struct rn_sa_graph_sizes *out, struct rn_error *err);
rn_result __wrap_rn_sa_graph_plan(uint32_t members, uint32_t colluding, uint32_t losses,
                                  struct rn_sa_graph_sizes *out, struct rn_error *err)
{
    if (planted.degree == 0) {
        return __real_rn_sa_graph_plan(members, colluding, losses, out, err);
    }
    *out = planted;
    return (rn_result){RN_OK};
}

/* The rule: t = k/2 + 2 + a. */
static inline void plant(uint32_t degree, uint32_t corrupt_max)
{
    planted = (struct rn_sa_graph_sizes){
        .degree = degree, .threshold = degree / 2 + 2 + corrupt_max, .corrupt_max = corrupt_max};
}

#endif
