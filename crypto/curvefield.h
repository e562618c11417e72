/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers modulo p = 2^255 - 19, for public values alone: branches and time may depend on them.
 * What libsodium offers works on encoded group elements, and decodes and encodes at every sum;
 * crypto/curvesum.h stays in these between them.
 *
 * A value is v[0] + v[1] 2^51 + ... + v[4] 2^204. A limb is *tight* below 2^51 + 2^16 and *loose*
 * below 2^55. Parsed values, products and squares are tight. A sum of two tight values is below
 * 2^53 - 76, and so may be taken off; a difference is less than 2^53 above its first value. Every
 * function takes loose values, but for what rn_field_sub takes off.
 */
#ifndef RN_CRYPTO_CURVEFIELD_H
#define RN_CRYPTO_CURVEFIELD_H

#include <stdbool.h>
#include <stdint.h>

#define RN_FIELD_BYTES 32

struct rn_field {
    uint64_t v[5];
};

/* The lowest 255 bits, little-endian; the top bit is dropped, p and above are taken modulo p. */
void rn_field_parse(const uint8_t bytes[static RN_FIELD_BYTES], struct rn_field *out);
/* The canonical encoding: below p. */
void rn_field_write(const struct rn_field *a, uint8_t out[static RN_FIELD_BYTES]);

/* out may be one of the inputs everywhere. */
void rn_field_add(const struct rn_field *a, const struct rn_field *b, struct rn_field *out);
void rn_field_sub(const struct rn_field *a, const struct rn_field *b, struct rn_field *out);
void rn_field_mul(const struct rn_field *a, const struct rn_field *b, struct rn_field *out);
void rn_field_square(const struct rn_field *a, struct rn_field *out);

bool rn_field_equal(const struct rn_field *a, const struct rn_field *b);
bool rn_field_is_zero(const struct rn_field *a);
/* RFC 9496, 3: is the canonical encoding odd? */
bool rn_field_is_negative(const struct rn_field *a);
/* Makes it non-negative. */
void rn_field_absolute(struct rn_field *a);

/* RFC 9496, 4.2, SQRT_RATIO_M1(1, a): the non-negative root of 1/a, and true, when a is a square
 * other than 0; else a root of sqrt(-1)/a (0 for 0), and false. */
bool rn_field_inverse_root(const struct rn_field *a, struct rn_field *out);

#endif
