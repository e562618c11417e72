/* SPDX-License-Identifier: Apache-2.0
 *
 * The slow reference of crypto/secagg/graphtail.h: subsets of a small set, counted one by one.
 */
#ifndef RN_TESTS_UNIT_CRYPTO_COUNTEDTAIL_H
#define RN_TESTS_UNIT_CRYPTO_COUNTEDTAIL_H

#include "crypto/secagg/graphtail.h"
#include "tests/unit/crypto/vectors.h"

#define SMALL 16

/* hits[m][i]: subsets of m of total places of which exactly i are among the first marked. */
struct counted {
    uint32_t hits[SMALL + 1][SMALL + 1];
};

static void count_subsets(uint32_t total, uint32_t marked, struct counted *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t subset = 0; subset < 1u << total; subset++) {
        out->hits[__builtin_popcount(subset)][__builtin_popcount(subset & ((1u << marked) - 1))]++;
    }
}

static uint32_t counted_quantile(const struct counted *counted, uint32_t drawn,
                                 struct rn_sa_rarity rarity)
{
    unsigned __int128 all = 0;
    for (uint32_t i = 0; i <= SMALL; i++) {
        all += counted->hits[drawn][i];
    }
    for (uint32_t a = 0;; a++) {
        unsigned __int128 tail = 0;
        for (uint32_t i = a + 1; i <= SMALL; i++) {
            tail += counted->hits[drawn][i];
        }
        if ((tail << rarity.bits) * rarity.times <= all) {
            return a;
        }
    }
}

#endif
