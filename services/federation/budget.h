/* SPDX-License-Identifier: Apache-2.0
 *
 * How often a peer may cause something: a bucket of `burst` units that fills up again by one every
 * `every_ms`. Zeroed, it is full.
 */
#ifndef RN_SERVICES_FEDERATION_BUDGET_H
#define RN_SERVICES_FEDERATION_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct rn_budget_rate {
    uint32_t burst;
    uint32_t every_ms; /* at least 1 */
};

struct rn_budget {
    uint64_t used_us; /* time until it is full again, at at_ms */
    uint64_t at_ms;
};

/* One unit. False: it is not left, and nothing was taken. */
bool rn_budget_take(struct rn_budget *budget, const struct rn_budget_rate *rate, uint64_t now_ms);
/* part/whole of a unit; part is at most whole. */
bool rn_budget_take_part(struct rn_budget *budget, const struct rn_budget_rate *rate, uint32_t part,
                         uint32_t whole, uint64_t now_ms);

#endif
