/* SPDX-License-Identifier: Apache-2.0
 *
 * Tails of the hypergeometric distribution, exact: m places drawn without repetition from N of
 * which K are marked hold more than a marked ones with probability
 *
 *     sum over i > a of C(K, i) C(N - K, m - i) / C(N, m).
 *
 * Whether that is at most 1 / (2^bits * times) is decided in whole numbers, with the denominators
 * multiplied out, so that every member of a federation decides alike whatever its processor.
 */
#ifndef RN_CRYPTO_SECAGG_GRAPHTAIL_H
#define RN_CRYPTO_SECAGG_GRAPHTAIL_H

#include <stdint.h>

/* N; a binomial coefficient of it has at most as many bits. */
#define RN_SA_TAIL_TOTAL_MAX 1024u
#define RN_SA_TAIL_BITS_MAX 64u
#define RN_SA_TAIL_TIMES_MAX 1024u

/* How rare a tail has to be: probability <= 1 / (2^bits * times). */
struct rn_sa_rarity {
    uint32_t bits;  /* 1 to RN_SA_TAIL_BITS_MAX */
    uint32_t times; /* 1 to RN_SA_TAIL_TIMES_MAX */
};

/* The least a >= 0 such that more than a marked places are that rare; at most min(marked, drawn).
 * marked and drawn <= total <= RN_SA_TAIL_TOTAL_MAX, and rarity within its limits, or it is a bug.
 * Microseconds at small totals, 0.1 ms at 1000. */
uint32_t rn_sa_tail_quantile(uint32_t total, uint32_t marked, uint32_t drawn,
                             struct rn_sa_rarity rarity);

#endif
