/* SPDX-License-Identifier: Apache-2.0
 *
 * The quantiser: float32 updates to unsigned integers and the sum of integers back to the mean.
 *
 * Public constants: bits q, and a scale c = 2^scale_exponent. Then Z = 2^(q-1) - 1, the step is
 * c / Z, and
 *
 *     y = clip(x, -c, c) * (Z / c)                exact in double: 24 bits times q - 1 bits
 *     u = floor(y) + [U < y - floor(y)] + Z       in 0 .. 2Z = 2^q - 2
 *
 * with U = (w >> 11) * 2^-53, w the 64-bit word e of the local random stream (crypto/random.h),
 * e the element's index in the whole vector. This is floor(y + U) without its rounding error: the
 * expectation of u - Z is y within 2^-53 of a step, 0 and +-c (and every multiple of the step) are
 * exact, and the same key gives the same bytes for any split into ranges, so that a resend needs no
 * spool. The key is drawn for one session, kept with its secrets, and NEVER derived from anything a
 * peer knows: who knows U knows more than the rounded value. New roundings under old masks would
 * show the roundings' difference; so the key lives exactly as long as the masks.
 *
 * The mean of N updates (or of total weight N) whose integers sum to S:
 *
 *     k = S - N * Z;   mean = (float)(((double)k * c) / ((double)Z * N))
 *
 * k * c and Z * N are exact, so only the division and the conversion round, in the same way on
 * every machine with IEEE 754 arithmetic. Its error is below one step, with standard deviation at
 * most step / (2 sqrt N).
 *
 * NaN and infinity are refused, never mapped to a number.
 */
#ifndef RN_CRYPTO_QUANTISE_H
#define RN_CRYPTO_QUANTISE_H

#include "base/result.h"
#include "crypto/secret.h"

#include <stddef.h>
#include <stdint.h>

#define RN_QUANTISE_BITS_MIN 2u
#define RN_QUANTISE_BITS_MAX 30u /* so that y is exact: 24 + 29 = 53 bits */
#define RN_QUANTISE_EXPONENT_MIN (-64)
#define RN_QUANTISE_EXPONENT_MAX 64
/* Exclusive bound of N * (2^q - 1): sums are exact in double. */
#define RN_QUANTISE_SUM_MAX ((uint64_t)1 << 53)

struct rn_quantiser {
    uint32_t bits;          /* q */
    int32_t scale_exponent; /* c = 2^scale_exponent */
};

/* RN_E_CONFIG when bits or scale_exponent are out of range. The other functions treat an invalid
 * quantiser as a bug. */
RN_MUST rn_result rn_quantiser_check(const struct rn_quantiser *quantiser, struct rn_error *err);
/* The exponent of a scale written as a number, such as 0.125; RN_E_CONFIG unless it is a power of
 * two within the range. */
RN_MUST rn_result rn_quantiser_exponent(double scale, int32_t *out_exponent, struct rn_error *err);
double rn_quantiser_scale(const struct rn_quantiser *quantiser);
/* c / Z. */
double rn_quantiser_step(const struct rn_quantiser *quantiser);
/* Z: the integer that stands for 0. */
uint32_t rn_quantiser_zero(const struct rn_quantiser *quantiser);
/* 2Z = 2^q - 2: the largest integer that an update's element may have. */
uint32_t rn_quantiser_largest(const struct rn_quantiser *quantiser);

/* Elements first .. first + count - 1 of the vector: values[k] to out[k]. first is the index in the
 * whole concatenated vector, whatever tensor values belongs to. *out_clipped (may be NULL) is
 * increased by the number of elements with |x| > c, which saturate.
 *
 * RN_E_ROUND_NUMERIC when a value is NaN or infinite: nothing is written, and the sentence names
 * the element's index, not its value. */
RN_MUST rn_result rn_quantise_u32(const struct rn_quantiser *quantiser,
                                  const struct rn_secret32 *key, const float *values,
                                  uint64_t first, size_t count, uint32_t *out,
                                  uint64_t *out_clipped, struct rn_error *err);
RN_MUST rn_result rn_quantise_u64(const struct rn_quantiser *quantiser,
                                  const struct rn_secret32 *key, const float *values,
                                  uint64_t first, size_t count, uint64_t *out,
                                  uint64_t *out_clipped, struct rn_error *err);

/* What quantising would say of these elements, without doing it: RN_E_ROUND_NUMERIC as above, and
 * *out_clipped increased as above. For a vector that is then quantised range by range. */
RN_MUST rn_result rn_quantise_look(const struct rn_quantiser *quantiser, const float *values,
                                   uint64_t first, size_t count, uint64_t *out_clipped,
                                   struct rn_error *err);

/* count sums to count means. total_weight is N: the number of members, or the sum of their integer
 * weights when each multiplied its integers by its weight.
 *
 * RN_E_ROUND_SUM when a sum exceeds total_weight * 2Z (a wrong mask or a wrong upload); nothing is
 * written then. RN_E_ROUND_NUMERIC when total_weight is 0. RN_E_CONFIG when total_weight *
 * (2^q - 1) is RN_QUANTISE_SUM_MAX or more. */
RN_MUST rn_result rn_quantise_mean(const struct rn_quantiser *quantiser, const uint64_t *sums,
                                   size_t count, uint64_t total_weight, float *out,
                                   struct rn_error *err);

#endif
