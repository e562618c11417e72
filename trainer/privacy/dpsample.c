/* SPDX-License-Identifier: Apache-2.0
 *
 * Poisson sampling with whole-number thresholds.
 */
#include "trainer/privacy/dp.h"

#include "base/guard.h"

#include <math.h>

#define RN_DP_WORDS 512

uint64_t rn_dp_threshold(double rate)
{
    RN_BUG_IF(!(rate > 0.0 && rate <= 1.0));
    const double scaled = ldexp(rate, 64); /* exact */
    if (scaled >= 0x1p64) {
        return UINT64_MAX;
    }
    return scaled < 1.0 ? 1 : (uint64_t)scaled;
}

/* Uniform in 0 .. bound - 1, by rejection. */
static uint64_t below(const struct rn_dp_spec *spec, uint64_t bound)
{
    const uint64_t rejected = (UINT64_MAX - bound + 1) % bound;
    uint64_t word = 0;
    do {
        spec->uniform(spec->context, 1, &word);
    } while (word < rejected);
    return word % bound;
}

size_t rn_dp_choose(const struct rn_dp_spec *spec, size_t records, uint32_t most, uint32_t *chosen)
{
    uint64_t words[RN_DP_WORDS];
    size_t count = 0;
    for (size_t first = 0; first < records; first += RN_DP_WORDS) {
        const size_t now = records - first < RN_DP_WORDS ? records - first : RN_DP_WORDS;
        spec->uniform(spec->context, now, words);
        for (size_t i = 0; i < now; i++) {
            if (spec->threshold == UINT64_MAX || words[i] < spec->threshold) {
                chosen[count++] = (uint32_t)(first + i);
            }
        }
    }
    for (uint32_t i = 0; i < most && count > most; i++) {
        const size_t other = i + (size_t)below(spec, count - i);
        const uint32_t taken = chosen[other];
        chosen[other] = chosen[i];
        chosen[i] = taken;
    }
    return count;
}
