/* SPDX-License-Identifier: Apache-2.0
 *
 * The quantiser, two elements at a time in the compiler's vectors and without a branch on a value.
 * Every operation is exact except where the header says so, and the whole project is compiled
 * without contraction to FMA, so all builds give the same integers.
 */
#include "crypto/quantise.h"

#include "base/guard.h"
#include "crypto/random.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define BLOCK 512 /* elements between reads of the random stream; 4 KiB of random words */
#define WORD_BYTES 8
#define LOOKED_AT 16
#define ELEMENTS_MAX ((uint64_t)1 << 60)

static bool valid(const struct rn_quantiser *quantiser)
{
    return quantiser->bits >= RN_QUANTISE_BITS_MIN && quantiser->bits <= RN_QUANTISE_BITS_MAX &&
           quantiser->scale_exponent >= RN_QUANTISE_EXPONENT_MIN &&
           quantiser->scale_exponent <= RN_QUANTISE_EXPONENT_MAX;
}

rn_result rn_quantiser_check(const struct rn_quantiser *quantiser, struct rn_error *err)
{
    RN_ENSURE(valid(quantiser), err, RN_E_CONFIG,
              "quantiser of %u bits and scale 2^%d; allowed are %u to %u bits, 2^%d to 2^%d",
              quantiser->bits, quantiser->scale_exponent, RN_QUANTISE_BITS_MIN,
              RN_QUANTISE_BITS_MAX, RN_QUANTISE_EXPONENT_MIN, RN_QUANTISE_EXPONENT_MAX);
    return rn_ok();
}

rn_result rn_quantiser_exponent(double scale, int32_t *out_exponent, struct rn_error *err)
{
    int exponent = 0;
    const bool power = isfinite(scale) && scale > 0.0 && frexp(scale, &exponent) == 0.5;
    RN_ENSURE(power, err, RN_E_CONFIG, "scale %g is not a power of two", scale);
    exponent -= 1; /* frexp's mantissa is one half */
    RN_ENSURE(exponent >= RN_QUANTISE_EXPONENT_MIN && exponent <= RN_QUANTISE_EXPONENT_MAX, err,
              RN_E_CONFIG, "scale 2^%d is not between 2^%d and 2^%d", exponent,
              RN_QUANTISE_EXPONENT_MIN, RN_QUANTISE_EXPONENT_MAX);
    *out_exponent = exponent;
    return rn_ok();
}

double rn_quantiser_scale(const struct rn_quantiser *quantiser)
{
    RN_BUG_IF(!valid(quantiser));
    return ldexp(1.0, quantiser->scale_exponent);
}

double rn_quantiser_step(const struct rn_quantiser *quantiser)
{
    return rn_quantiser_scale(quantiser) / (double)rn_quantiser_zero(quantiser);
}

uint32_t rn_quantiser_zero(const struct rn_quantiser *quantiser)
{
    RN_BUG_IF(!valid(quantiser));
    return ((uint32_t)1 << (quantiser->bits - 1)) - 1;
}

uint32_t rn_quantiser_largest(const struct rn_quantiser *quantiser)
{
    return 2 * rn_quantiser_zero(quantiser);
}

typedef float float2 __attribute__((vector_size(8)));
typedef double double2 __attribute__((vector_size(16)));
typedef int64_t int2 __attribute__((vector_size(16)));
typedef uint64_t uint2 __attribute__((vector_size(16)));
#define GROUP 2

/* Added to a double below 2^51 in magnitude, the first leaves its nearest integer in the low bits;
 * the second holds an integer below 2^52 there as it is. */
#define ROUNDER 0x1.8p52
#define HOLDER 0x1p52
#define HOLDER_BITS UINT64_C(0x4330000000000000)

/* What does not change from element to element. */
struct rule {
    double factor; /* Z / c, exact: a small integer times a power of two */
    double limit;  /* Z */
};

static struct rule rule_of(const struct rn_quantiser *quantiser)
{
    const uint32_t zero = rn_quantiser_zero(quantiser);
    return (struct rule){ldexp((double)zero, -quantiser->scale_exponent), (double)zero};
}

/* where ? yes : no, by bits; where is all ones or all zeros. */
static inline __attribute__((always_inline)) double2 chosen(int2 where, double2 yes, double2 no)
{
    return (double2)((where & (int2)yes) | (~where & (int2)no));
}

static inline __attribute__((always_inline)) double2 all(double value)
{
    return (double2){value, value};
}

/* (word >> 11) * 2^-53, exact: 32 and 21 bits become doubles one after the other. */
static inline __attribute__((always_inline)) double2 uniform_of(uint2 word)
{
    const double2 high = (double2)(word >> 32 | HOLDER_BITS) - HOLDER;
    const double2 low = (double2)((word >> 11 & 0x1fffff) | HOLDER_BITS) - HOLDER;
    return (high * 0x1p21 + low) * 0x1p-53;
}

/* count is a multiple of GROUP; the return value counts what was clipped. */
static uint64_t quantise_groups(const struct rule *rule, const float *values, const uint64_t *words,
                                size_t count, uint32_t *out)
{
    const double2 limit = all(rule->limit);
    const double2 one = all(1.0);
    int2 clipped = {0};
    for (size_t k = 0; k < count; k += GROUP) {
        float2 x;
        uint2 word;
        memcpy(&x, values + k, sizeof x);
        memcpy(&word, words + k, sizeof word);
        double2 y = __builtin_convertvector(x, double2) * rule->factor;
        const int2 above = y > limit;
        const int2 below = y < -limit;
        clipped -= above | below;
        y = chosen(below, -limit, chosen(above, limit, y));
        double2 whole = (y + ROUNDER) - ROUNDER;
        whole -= chosen(whole > y, one, all(0.0)); /* nearest to floor */
        whole += chosen(uniform_of(word) < y - whole, one, all(0.0));
        const uint2 bits = (uint2)(whole + limit + HOLDER);
        for (unsigned i = 0; i < GROUP; i++) {
            out[k + i] = (uint32_t)bits[i];
        }
    }
    return (uint64_t)(clipped[0] + clipped[1]);
}

static uint64_t quantise_block(const struct rule *rule, const float *values, const uint64_t *words,
                               size_t count, uint32_t out[static BLOCK])
{
    const size_t whole = count - count % GROUP;
    uint64_t clipped = quantise_groups(rule, values, words, whole, out);
    if (whole < count) {
        float last[GROUP] = {0};
        memcpy(last, values + whole, (count - whole) * sizeof *last);
        clipped += quantise_groups(rule, last, words + whole, GROUP, out + whole);
        rn_secret_wipe(last, sizeof(last));
    }
    return clipped;
}

/* All of them first, without a branch on a value; which one it is matters only when there is one.
 */
static rn_result refuse_non_finite(const float *values, uint64_t first, size_t count,
                                   struct rn_error *err)
{
    int32_t bad = 0;
    size_t seen = 0;
    for (; seen + LOOKED_AT <= count; seen += LOOKED_AT) {
        for (size_t i = 0; i < LOOKED_AT; i++) { /* a fixed count, for the vectoriser */
            bad |= -(int32_t) !(fabsf(values[seen + i]) <= FLT_MAX);
        }
    }
    for (; seen < count; seen++) {
        bad |= -(int32_t) !(fabsf(values[seen]) <= FLT_MAX);
    }
    for (size_t k = 0; bad != 0 && k < count; k++) {
        RN_ENSURE(fabsf(values[k]) <= FLT_MAX, err, RN_E_ROUND_NUMERIC,
                  "element %llu of the update is not a finite number",
                  (unsigned long long)(first + k));
    }
    return rn_ok();
}

/* One of the two outputs is given. */
struct output {
    uint32_t *u32;
    uint64_t *u64;
};

static rn_result quantise(const struct rn_quantiser *quantiser, const struct rn_secret32 *key,
                          const float *values, uint64_t first, size_t count, struct output out,
                          uint64_t *out_clipped, struct rn_error *err)
{
    RN_BUG_IF(first > ELEMENTS_MAX || count > ELEMENTS_MAX - first);
    const struct rule rule = rule_of(quantiser);
    RN_TRY(refuse_non_finite(values, first, count, err));
    RN_CLEANUP(rn_stream_clear) struct rn_stream stream;
    rn_stream_init(&stream, key);
    rn_stream_seek(&stream, first * WORD_BYTES);
    uint64_t words[BLOCK] = {0};
    uint32_t block[BLOCK];
    uint64_t clipped = 0;
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t now = count - at < BLOCK ? count - at : BLOCK;
        rn_stream_words(&stream, words, now);
        clipped += quantise_block(&rule, values + at, words, now, block);
        for (size_t k = 0; k < now && out.u64 != NULL; k++) {
            out.u64[at + k] = block[k];
        }
        if (out.u32 != NULL) {
            memcpy(out.u32 + at, block, now * sizeof(*block));
        }
    }
    rn_secret_wipe(words, sizeof(words));
    rn_secret_wipe(block, sizeof(block));
    if (out_clipped != NULL) {
        *out_clipped += clipped;
    }
    return rn_ok();
}

rn_result rn_quantise_look(const struct rn_quantiser *quantiser, const float *values,
                           uint64_t first, size_t count, uint64_t *out_clipped,
                           struct rn_error *err)
{
    const double scale = rn_quantiser_scale(quantiser);
    RN_TRY(refuse_non_finite(values, first, count, err));
    uint64_t clipped = 0;
    for (size_t k = 0; k < count; k++) {
        clipped += fabs((double)values[k]) > scale; /* a flag is added, no branch taken */
    }
    *out_clipped += clipped;
    return rn_ok();
}

rn_result rn_quantise_u32(const struct rn_quantiser *quantiser, const struct rn_secret32 *key,
                          const float *values, uint64_t first, size_t count, uint32_t *out,
                          uint64_t *out_clipped, struct rn_error *err)
{
    return quantise(quantiser, key, values, first, count, (struct output){out, NULL}, out_clipped,
                    err);
}

rn_result rn_quantise_u64(const struct rn_quantiser *quantiser, const struct rn_secret32 *key,
                          const float *values, uint64_t first, size_t count, uint64_t *out,
                          uint64_t *out_clipped, struct rn_error *err)
{
    return quantise(quantiser, key, values, first, count, (struct output){NULL, out}, out_clipped,
                    err);
}

rn_result rn_quantise_mean(const struct rn_quantiser *quantiser, const uint64_t *sums, size_t count,
                           uint64_t total_weight, float *out, struct rn_error *err)
{
    const uint64_t zero = rn_quantiser_zero(quantiser);
    const double scale = rn_quantiser_scale(quantiser);
    RN_ENSURE(total_weight > 0, err, RN_E_ROUND_NUMERIC,
              "the total weight of the round is 0: there is no mean");
    RN_ENSURE(total_weight <= (RN_QUANTISE_SUM_MAX - 1) / (2 * zero + 1), err, RN_E_CONFIG,
              "total weight %llu with %u bits exceeds sums of 53 bits",
              (unsigned long long)total_weight, quantiser->bits);
    const uint64_t largest = total_weight * 2 * zero;
    for (size_t k = 0; k < count; k++) {
        RN_ENSURE(sums[k] <= largest, err, RN_E_ROUND_SUM,
                  "element %zu of the sum is larger than the members' updates can add up to", k);
    }
    const int64_t offset = (int64_t)(total_weight * zero);
    const double divisor = (double)offset; /* Z * N, exact */
    for (size_t k = 0; k < count; k++) {
        const int64_t centred = (int64_t)sums[k] - offset;
        out[k] = (float)(((double)centred * scale) / divisor);
    }
    return rn_ok();
}
