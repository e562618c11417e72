/* SPDX-License-Identifier: Apache-2.0
 *
 * Binomial coefficients are running products: after each factor and its divisor the value is a
 * binomial coefficient again, so every division is exact and nothing outgrows the width below.
 */
#include "crypto/secagg/graphtail.h"

#include "base/guard.h"

#include <stdbool.h>
#include <string.h>

/* Every term and sum is at most C(N, m) < 2^1024; 20 bits more for the factors of one step before
 * the division, 64 + 10 for the rarity. */
#define LIMBS 18

struct whole {
    uint64_t limb[LIMBS]; /* least first */
    uint32_t used;        /* limbs above are 0 */
};

static struct whole whole_of(uint64_t value)
{
    return (struct whole){.limb = {value}, .used = value != 0};
}

static void push(struct whole *a, uint64_t limb)
{
    if (limb != 0) {
        RN_BUG_IF(a->used == LIMBS);
        a->limb[a->used++] = limb;
    }
}

static void multiply(struct whole *a, uint64_t factor)
{
    uint64_t carry = 0;
    for (uint32_t k = 0; k < a->used; k++) {
        const unsigned __int128 product = (unsigned __int128)a->limb[k] * factor + carry;
        a->limb[k] = (uint64_t)product;
        carry = (uint64_t)(product >> 64);
    }
    push(a, carry);
    while (a->used > 0 && a->limb[a->used - 1] == 0) { /* factor 0 */
        a->used--;
    }
}

/* A remainder is a bug. */
static void divide(struct whole *a, uint64_t divisor)
{
    uint64_t rest = 0;
    for (uint32_t k = a->used; k-- > 0;) {
        const unsigned __int128 value = (unsigned __int128)rest << 64 | a->limb[k];
        a->limb[k] = (uint64_t)(value / divisor);
        rest = (uint64_t)(value % divisor);
    }
    RN_BUG_IF(rest != 0);
    if (a->used > 0 && a->limb[a->used - 1] == 0) {
        a->used--;
    }
}

static void add(struct whole *a, const struct whole *b)
{
    uint64_t carry = 0;
    const uint32_t used = a->used > b->used ? a->used : b->used;
    for (uint32_t k = 0; k < used; k++) {
        const unsigned __int128 sum = (unsigned __int128)a->limb[k] + b->limb[k] + carry;
        a->limb[k] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    a->used = used;
    push(a, carry);
}

static bool exceeds(const struct whole *a, const struct whole *b)
{
    if (a->used != b->used) {
        return a->used > b->used;
    }
    for (uint32_t k = a->used; k-- > 0;) {
        if (a->limb[k] != b->limb[k]) {
            return a->limb[k] > b->limb[k];
        }
    }
    return false;
}

/* a * C(n, k) */
static void multiply_binomial(struct whole *a, uint32_t n, uint32_t k)
{
    const uint32_t steps = k < n - k ? k : n - k;
    for (uint32_t j = 0; j < steps; j++) {
        multiply(a, n - j);
        divide(a, j + 1);
    }
}

static void scale(struct whole *a, struct rn_sa_rarity rarity)
{
    multiply(a, rarity.times);
    multiply(a, (uint64_t)1 << (rarity.bits / 2));
    multiply(a, (uint64_t)1 << (rarity.bits - rarity.bits / 2));
}

uint32_t rn_sa_tail_quantile(uint32_t total, uint32_t marked, uint32_t drawn,
                             struct rn_sa_rarity rarity)
{
    RN_BUG_IF(total > RN_SA_TAIL_TOTAL_MAX || marked > total || drawn > total);
    RN_BUG_IF(rarity.bits == 0 || rarity.bits > RN_SA_TAIL_BITS_MAX || rarity.times == 0 ||
              rarity.times > RN_SA_TAIL_TIMES_MAX);
    const uint32_t plain = total - marked;
    uint32_t i = marked < drawn ? marked : drawn;
    struct whole all = whole_of(1);
    multiply_binomial(&all, total, drawn);
    struct whole term = whole_of(1); /* C(marked, i) C(plain, drawn - i) */
    multiply_binomial(&term, marked, i);
    multiply_binomial(&term, plain, drawn - i);
    struct whole tail = term; /* the terms from i on */
    for (;; i--) {            /* ends: the sum of all terms is C(total, drawn) and not rare */
        struct whole scaled = tail;
        scale(&scaled, rarity);
        if (i == 0 || exceeds(&scaled, &all)) { /* all terms together are not rare */
            return i;
        }
        multiply(&term, (uint64_t)i * (plain + i - drawn));
        divide(&term, (uint64_t)(marked - i + 1) * (drawn - i + 1));
        add(&tail, &term);
    }
}
