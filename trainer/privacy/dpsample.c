/* SPDX-License-Identifier: Apache-2.0
 *
 * Poisson sampling with whole-number thresholds, and random allocation.
 */
#include "trainer/privacy/dp.h"

#include "base/alloc.h"
#include "base/guard.h"

#include <math.h>
#include <string.h>

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

/* Leaves a uniform subset of `most` in front, when there are more. */
static void cut_to(const struct rn_dp_spec *spec, size_t count, uint32_t most, uint32_t *chosen)
{
    for (uint32_t i = 0; i < most && count > most; i++) {
        const size_t other = i + (size_t)below(spec, count - i);
        const uint32_t taken = chosen[other];
        chosen[other] = chosen[i];
        chosen[i] = taken;
    }
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
    cut_to(spec, count, most, chosen);
    return count;
}

/* Floyd's way (Bentley and Floyd 1987) to `picks` different steps, every set as likely. taken[s] is
 * the last record (from 1) that took step s. */
static void pick_steps(const struct rn_dp_spec *spec, uint32_t steps, uint32_t record,
                       uint32_t *taken, uint32_t *picked)
{
    for (uint32_t i = 0; i < spec->picks; i++) {
        const uint32_t newest = steps - spec->picks + i;
        const uint32_t drawn = (uint32_t)below(spec, (uint64_t)newest + 1);
        picked[i] = taken[drawn] == record + 1 ? newest : drawn;
        taken[picked[i]] = record + 1;
    }
}

/* The records in the order of their steps: a counting sort. */
static void sort_by_step(const uint32_t *picked, size_t records, uint32_t picks,
                         struct rn_dp_allocation *out)
{
    for (size_t i = 0; i < records * picks; i++) {
        out->first[picked[i] + 1]++;
    }
    for (uint32_t s = 0; s < out->steps; s++) {
        out->first[s + 1] += out->first[s];
    }
    for (size_t i = records * picks; i-- > 0;) { /* backwards: first[s + 1] goes down to first[s] */
        out->records[--out->first[picked[i] + 1]] = (uint32_t)(i / picks);
    }
    memmove(out->first, out->first + 1, out->steps * sizeof(*out->first));
    out->first[out->steps] = records * picks;
}

rn_result rn_dp_allocation_draw(const struct rn_dp_spec *spec, size_t records, uint32_t steps,
                                struct rn_dp_allocation *out, struct rn_error *err)
{
    *out = (struct rn_dp_allocation){.steps = steps};
    RN_BUG_IF(spec->picks == 0 || spec->picks > steps);
    RN_ENSURE(records < UINT32_MAX && records <= RN_DP_ALLOCATION_PICKS_MAX / spec->picks, err,
              RN_E_CONFIG, "training: dp allocation takes at most %llu records times picks",
              (unsigned long long)RN_DP_ALLOCATION_PICKS_MAX);
    uint32_t *taken = rn_alloc(steps, sizeof(*taken));
    uint32_t *picked = rn_alloc(records * spec->picks, sizeof(*picked));
    for (size_t i = 0; i < records; i++) {
        pick_steps(spec, steps, (uint32_t)i, taken, picked + i * spec->picks);
    }
    out->first = rn_alloc((size_t)steps + 1, sizeof(*out->first));
    out->records = rn_alloc(records * spec->picks, sizeof(*out->records));
    sort_by_step(picked, records, spec->picks, out);
    explicit_bzero(picked, records * spec->picks * sizeof(*picked));
    rn_free(picked);
    rn_free(taken);
    return rn_ok();
}

void rn_dp_allocation_clear(struct rn_dp_allocation *allocation)
{
    if (allocation->records != NULL) {
        explicit_bzero(allocation->records,
                       allocation->first[allocation->steps] * sizeof(*allocation->records));
    }
    rn_free(allocation->first);
    rn_free(allocation->records);
    *allocation = (struct rn_dp_allocation){0};
}

size_t rn_dp_allocation_choose(const struct rn_dp_spec *spec,
                               const struct rn_dp_allocation *allocation, uint32_t step,
                               uint32_t most, uint32_t *chosen)
{
    RN_BUG_IF(step >= allocation->steps);
    const size_t first = allocation->first[step];
    const size_t count = allocation->first[step + 1] - first;
    memcpy(chosen, allocation->records + first, count * sizeof(*chosen));
    cut_to(spec, count, most, chosen);
    return count;
}
