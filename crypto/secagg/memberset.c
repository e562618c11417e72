/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secagg/memberset.h"

struct rn_sa_set rn_sa_set_first(uint32_t count)
{
    struct rn_sa_set set = {{0}};
    for (uint32_t i = 0; i < count && i < RN_SA_MEMBERS_MAX; i++) {
        rn_sa_set_add(&set, i);
    }
    return set;
}

struct rn_sa_set rn_sa_set_only(uint32_t member)
{
    struct rn_sa_set set = {{0}};
    rn_sa_set_add(&set, member);
    return set;
}

bool rn_sa_set_has(const struct rn_sa_set *set, uint32_t member)
{
    return member < RN_SA_MEMBERS_MAX && ((set->word[member / 64] >> (member % 64)) & 1) != 0;
}

void rn_sa_set_add(struct rn_sa_set *set, uint32_t member)
{
    if (member < RN_SA_MEMBERS_MAX) {
        set->word[member / 64] |= (uint64_t)1 << (member % 64);
    }
}

void rn_sa_set_remove(struct rn_sa_set *set, uint32_t member)
{
    if (member < RN_SA_MEMBERS_MAX) {
        set->word[member / 64] &= ~((uint64_t)1 << (member % 64));
    }
}

uint32_t rn_sa_set_count(const struct rn_sa_set *set)
{
    uint32_t count = 0;
    for (uint32_t w = 0; w < RN_SA_SET_WORDS; w++) {
        count += (uint32_t)__builtin_popcountll(set->word[w]);
    }
    return count;
}

bool rn_sa_set_empty(const struct rn_sa_set *set)
{
    return rn_sa_set_count(set) == 0;
}

bool rn_sa_set_equal(const struct rn_sa_set *a, const struct rn_sa_set *b)
{
    return rn_sa_set_within(a, b) && rn_sa_set_within(b, a);
}

bool rn_sa_set_within(const struct rn_sa_set *inner, const struct rn_sa_set *outer)
{
    const struct rn_sa_set rest = rn_sa_set_minus(inner, outer);
    return rn_sa_set_empty(&rest);
}

struct rn_sa_set rn_sa_set_minus(const struct rn_sa_set *a, const struct rn_sa_set *b)
{
    struct rn_sa_set out;
    for (uint32_t w = 0; w < RN_SA_SET_WORDS; w++) {
        out.word[w] = a->word[w] & ~b->word[w];
    }
    return out;
}

struct rn_sa_set rn_sa_set_either(const struct rn_sa_set *a, const struct rn_sa_set *b)
{
    struct rn_sa_set out;
    for (uint32_t w = 0; w < RN_SA_SET_WORDS; w++) {
        out.word[w] = a->word[w] | b->word[w];
    }
    return out;
}

struct rn_sa_set rn_sa_set_both(const struct rn_sa_set *a, const struct rn_sa_set *b)
{
    struct rn_sa_set out;
    for (uint32_t w = 0; w < RN_SA_SET_WORDS; w++) {
        out.word[w] = a->word[w] & b->word[w];
    }
    return out;
}

uint32_t rn_sa_set_next(const struct rn_sa_set *set, uint32_t from)
{
    for (uint32_t w = from / 64; w < RN_SA_SET_WORDS; w++) {
        const uint64_t rest =
            w == from / 64 ? set->word[w] >> (from % 64) << (from % 64) : set->word[w];
        if (rest != 0) {
            return w * 64 + (uint32_t)__builtin_ctzll(rest);
        }
    }
    return RN_SA_MEMBERS_MAX;
}

uint32_t rn_sa_set_rank(const struct rn_sa_set *set, uint32_t member)
{
    uint32_t rank = 0;
    for (uint32_t w = 0; w < member / 64 && w < RN_SA_SET_WORDS; w++) {
        rank += (uint32_t)__builtin_popcountll(set->word[w]);
    }
    if (member < RN_SA_MEMBERS_MAX && member % 64 != 0) {
        rank += (uint32_t)__builtin_popcountll(set->word[member / 64] << (64 - member % 64));
    }
    return rank;
}
