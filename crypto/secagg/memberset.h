/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of members, by their place in the roster. A plain value: copy it, zero-initialise it.
 */
#ifndef RN_CRYPTO_SECAGG_MEMBERSET_H
#define RN_CRYPTO_SECAGG_MEMBERSET_H

#include <stdbool.h>
#include <stdint.h>

/* Most members of one session (PROTOCOL.md, limits). A set of them is 128 bytes. */
#define RN_SA_MEMBERS_MAX 1024u
#define RN_SA_SET_WORDS (RN_SA_MEMBERS_MAX / 64u)

struct rn_sa_set {
    uint64_t word[RN_SA_SET_WORDS]; /* member i is bit i % 64 of word i / 64 */
};

/* {0, 1, ... count - 1}; count <= RN_SA_MEMBERS_MAX. */
struct rn_sa_set rn_sa_set_first(uint32_t count);
struct rn_sa_set rn_sa_set_only(uint32_t member);

/* False for members out of range. */
bool rn_sa_set_has(const struct rn_sa_set *set, uint32_t member);
void rn_sa_set_add(struct rn_sa_set *set, uint32_t member);
void rn_sa_set_remove(struct rn_sa_set *set, uint32_t member);

uint32_t rn_sa_set_count(const struct rn_sa_set *set);
bool rn_sa_set_empty(const struct rn_sa_set *set);
bool rn_sa_set_equal(const struct rn_sa_set *a, const struct rn_sa_set *b);
/* Is every member of inner in outer? */
bool rn_sa_set_within(const struct rn_sa_set *inner, const struct rn_sa_set *outer);
struct rn_sa_set rn_sa_set_minus(const struct rn_sa_set *a, const struct rn_sa_set *b);
struct rn_sa_set rn_sa_set_either(const struct rn_sa_set *a, const struct rn_sa_set *b);
struct rn_sa_set rn_sa_set_both(const struct rn_sa_set *a, const struct rn_sa_set *b);

/* The smallest member >= from, or RN_SA_MEMBERS_MAX. Loop over a set in roster order:
 * for (i = rn_sa_set_next(&s, 0); i < RN_SA_MEMBERS_MAX; i = rn_sa_set_next(&s, i + 1)) */
uint32_t rn_sa_set_next(const struct rn_sa_set *set, uint32_t from);
/* Members of the set below this one: its place in a list of them. */
uint32_t rn_sa_set_rank(const struct rn_sa_set *set, uint32_t member);

#endif
