/* SPDX-License-Identifier: Apache-2.0
 *
 * The quantiser in plain scalar code. Every operation is exact except where the header says so, and
 * the whole project is compiled without contraction to FMA, so all builds give the same integers.
 */
#include "crypto/quantise.h"

#include "base/guard.h"
#include "crypto/random.h"

#include <float.h>
#include <math.h>

#define BLOCK 512 /* elements between reads of the random stream; 4 KiB of random words */
#define WORD_BYTES 8
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

/* What does not change from element to element. */
struct rule {
    double factor; /* Z / c, exact: a small integer times a power of two */
    double limit;  /* Z */
    int32_t zero;  /* Z */
};

static struct rule rule_of(const struct rn_quantiser *quantiser)
{
    const uint32_t zero = rn_quantiser_zero(quantiser);
    return (struct rule){ldexp((double)zero, -quantiser->scale_exponent), (double)zero,
                         (int32_t)zero};
}

static uint32_t quantise_one(const struct rule *rule, float x, uint64_t word, uint64_t *clipped)
{
    double y = (double)x * rule->factor;
    *clipped += fabs(y) > rule->limit;
    y = y > rule->limit ? rule->limit : y;
    y = y < -rule->limit ? -rule->limit : y;
    int32_t whole = (int32_t)y;
    whole -= (double)whole > y; /* the cast rounds towards zero, floor downwards */
    const double fraction = y - (double)whole;
    const double u = (double)(int64_t)(word >> 11) * 0x1p-53;
    whole += u < fraction;
    return (uint32_t)(whole + rule->zero);
}

static rn_result refuse_non_finite(const float *values, uint64_t first, size_t count,
                                   struct rn_error *err)
{
    for (size_t k = 0; k < count; k++) {
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
    uint64_t words[BLOCK];
    uint64_t clipped = 0;
    for (size_t at = 0; at < count; at += BLOCK) {
        const size_t now = count - at < BLOCK ? count - at : BLOCK;
        rn_stream_words(&stream, words, now);
        if (out.u32 != NULL) {
            for (size_t k = 0; k < now; k++) {
                out.u32[at + k] = quantise_one(&rule, values[at + k], words[k], &clipped);
            }
        } else {
            for (size_t k = 0; k < now; k++) {
                out.u64[at + k] = quantise_one(&rule, values[at + k], words[k], &clipped);
            }
        }
    }
    rn_secret_wipe(words, sizeof(words));
    if (out_clipped != NULL) {
        *out_clipped += clipped;
    }
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
