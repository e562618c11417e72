/* SPDX-License-Identifier: Apache-2.0
 *
 * Five limbs of 51 bits: products of two limbs are added in 128 bits, and carried once at the end.
 */
#include "crypto/curvefield.h"

#include <string.h>

typedef unsigned __int128 wide;

#define LIMB_BITS 51
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t out = 0;
    for (unsigned k = 0; k < 8; k++) {
        out |= (uint64_t)bytes[k] << (8 * k);
    }
    return out;
}

void rn_field_parse(const uint8_t bytes[static RN_FIELD_BYTES], struct rn_field *out)
{
    const uint64_t a = load64(bytes);
    const uint64_t b = load64(bytes + 8);
    const uint64_t c = load64(bytes + 16);
    const uint64_t d = load64(bytes + 24);
    out->v[0] = a & LIMB_MASK;
    out->v[1] = (a >> 51 | b << 13) & LIMB_MASK;
    out->v[2] = (b >> 38 | c << 26) & LIMB_MASK;
    out->v[3] = (c >> 25 | d << 39) & LIMB_MASK;
    out->v[4] = d >> 12 & LIMB_MASK;
}

/* 2^255 is 19. */
static void carry(struct rn_field *a)
{
    for (unsigned k = 0; k < 4; k++) {
        a->v[k + 1] += a->v[k] >> LIMB_BITS;
        a->v[k] &= LIMB_MASK;
    }
    a->v[0] += 19 * (a->v[4] >> LIMB_BITS);
    a->v[4] &= LIMB_MASK;
}

void rn_field_write(const struct rn_field *a, uint8_t out[static RN_FIELD_BYTES])
{
    struct rn_field r = *a;
    carry(&r);
    /* Below 2^255 + 2^9 now, hence below 2p. */
    uint64_t over = (r.v[0] + 19) >> LIMB_BITS; /* is r >= p, that is r + 19 >= 2^255? */
    for (unsigned k = 1; k < 5; k++) {
        over = (r.v[k] + over) >> LIMB_BITS;
    }
    r.v[0] += 19 * over;
    for (unsigned k = 0; k < 4; k++) {
        r.v[k + 1] += r.v[k] >> LIMB_BITS;
        r.v[k] &= LIMB_MASK;
    }
    r.v[4] &= LIMB_MASK; /* r + 19 - 2^255 is r - p */
    const uint64_t words[4] = {r.v[0] | r.v[1] << 51, r.v[1] >> 13 | r.v[2] << 38,
                               r.v[2] >> 26 | r.v[3] << 25, r.v[3] >> 39 | r.v[4] << 12};
    for (unsigned k = 0; k < RN_FIELD_BYTES; k++) {
        out[k] = (uint8_t)(words[k / 8] >> (8 * (k % 8)));
    }
}

void rn_field_add(const struct rn_field *a, const struct rn_field *b, struct rn_field *out)
{
    for (unsigned k = 0; k < 5; k++) {
        out->v[k] = a->v[k] + b->v[k];
    }
}

/* a + 4p - b: no limb goes below 0. */
void rn_field_sub(const struct rn_field *a, const struct rn_field *b, struct rn_field *out)
{
    static const uint64_t four_p[5] = {(UINT64_C(1) << 53) - 76, (UINT64_C(1) << 53) - 4,
                                       (UINT64_C(1) << 53) - 4, (UINT64_C(1) << 53) - 4,
                                       (UINT64_C(1) << 53) - 4};
    for (unsigned k = 0; k < 5; k++) {
        out->v[k] = a->v[k] + four_p[k] - b->v[k];
    }
}

/* Loose limbs: each sum is below 5 * 19 * 2^110 < 2^117. */
static inline void reduce(wide r[static 5], struct rn_field *out)
{
    for (unsigned k = 0; k < 4; k++) {
        r[k + 1] += r[k] >> LIMB_BITS; /* cppcheck-suppress shiftTooManyBits; of 128 */
        out->v[k] = (uint64_t)r[k] & LIMB_MASK;
    }
    /* Below 2^72: r[4] has no factor 19. */
    const wide first =
        out->v[0] + 19 * (r[4] >> LIMB_BITS); /* cppcheck-suppress shiftTooManyBits */
    out->v[4] = (uint64_t)r[4] & LIMB_MASK;
    out->v[0] = (uint64_t)first & LIMB_MASK;
    const uint64_t second = out->v[1] + (uint64_t)(first >> LIMB_BITS);
    out->v[1] = second & LIMB_MASK;
    out->v[2] += second >> LIMB_BITS;
}

void rn_field_mul(const struct rn_field *a, const struct rn_field *b, struct rn_field *out)
{
    const uint64_t *x = a->v;
    const uint64_t *y = b->v;
    const uint64_t y1 = 19 * y[1];
    const uint64_t y2 = 19 * y[2];
    const uint64_t y3 = 19 * y[3];
    const uint64_t y4 = 19 * y[4];
    wide r[5] = {
        (wide)x[0] * y[0] + (wide)x[1] * y4 + (wide)x[2] * y3 + (wide)x[3] * y2 + (wide)x[4] * y1,
        (wide)x[0] * y[1] + (wide)x[1] * y[0] + (wide)x[2] * y4 + (wide)x[3] * y3 + (wide)x[4] * y2,
        (wide)x[0] * y[2] + (wide)x[1] * y[1] + (wide)x[2] * y[0] + (wide)x[3] * y4 +
            (wide)x[4] * y3,
        (wide)x[0] * y[3] + (wide)x[1] * y[2] + (wide)x[2] * y[1] + (wide)x[3] * y[0] +
            (wide)x[4] * y4,
        (wide)x[0] * y[4] + (wide)x[1] * y[3] + (wide)x[2] * y[2] + (wide)x[3] * y[1] +
            (wide)x[4] * y[0]};
    reduce(r, out);
}

static inline void square(const struct rn_field *a, struct rn_field *out)
{
    const uint64_t *x = a->v;
    const uint64_t x0 = 2 * x[0];
    const uint64_t x1 = 2 * x[1];
    const uint64_t x3 = 19 * x[3];
    const uint64_t x4 = 19 * x[4];
    wide r[5] = {(wide)x[0] * x[0] + (wide)x1 * x4 + 2 * ((wide)x[2] * x3),
                 (wide)x0 * x[1] + 2 * ((wide)x[2] * x4) + (wide)x[3] * x3,
                 (wide)x0 * x[2] + (wide)x[1] * x[1] + 2 * ((wide)x[3] * x4),
                 (wide)x0 * x[3] + (wide)x1 * x[2] + (wide)x[4] * x4,
                 (wide)x0 * x[4] + (wide)x1 * x[3] + (wide)x[2] * x[2]};
    reduce(r, out);
}

void rn_field_square(const struct rn_field *a, struct rn_field *out)
{
    square(a, out);
}

bool rn_field_equal(const struct rn_field *a, const struct rn_field *b)
{
    uint8_t left[RN_FIELD_BYTES];
    uint8_t right[RN_FIELD_BYTES];
    rn_field_write(a, left);
    rn_field_write(b, right);
    return memcmp(left, right, sizeof left) == 0;
}

bool rn_field_is_zero(const struct rn_field *a)
{
    return rn_field_equal(a, &(struct rn_field){{0}});
}

bool rn_field_is_negative(const struct rn_field *a)
{
    uint8_t bytes[RN_FIELD_BYTES];
    rn_field_write(a, bytes);
    return (bytes[0] & 1) != 0;
}

void rn_field_absolute(struct rn_field *a)
{
    if (rn_field_is_negative(a)) {
        const struct rn_field zero = {{0}};
        carry(a);
        rn_field_sub(&zero, a, a);
        carry(a);
    }
}

static void square_times(const struct rn_field *a, unsigned times, struct rn_field *out)
{
    struct rn_field t = *a; /* stays in registers */
    for (unsigned k = 0; k < times; k++) {
        square(&t, &t);
    }
    *out = t;
}

/* a^((p - 5) / 8) = a^(2^252 - 3). Names say the exponent: ones_n is a^(2^n - 1). */
static void power_p58(const struct rn_field *a, struct rn_field *out)
{
    struct rn_field ones_5, ones_10, ones_20, ones_50, ones_100, t;
    rn_field_square(a, &t);
    rn_field_mul(&t, a, &t); /* a^3 */
    square_times(&t, 2, &ones_5);
    rn_field_mul(&ones_5, &t, &t); /* ones_4 */
    rn_field_square(&t, &t);
    rn_field_mul(&t, a, &ones_5);
    square_times(&ones_5, 5, &t);
    rn_field_mul(&t, &ones_5, &ones_10);
    square_times(&ones_10, 10, &t);
    rn_field_mul(&t, &ones_10, &ones_20);
    square_times(&ones_20, 20, &t);
    rn_field_mul(&t, &ones_20, &t); /* ones_40 */
    square_times(&t, 10, &t);
    rn_field_mul(&t, &ones_10, &ones_50);
    square_times(&ones_50, 50, &t);
    rn_field_mul(&t, &ones_50, &ones_100);
    square_times(&ones_100, 100, &t);
    rn_field_mul(&t, &ones_100, &t); /* ones_200 */
    square_times(&t, 50, &t);
    rn_field_mul(&t, &ones_50, &t); /* ones_250 */
    square_times(&t, 2, &t);
    rn_field_mul(&t, a, out);
}

/* sqrt(-1), RFC 9496, 4.1. */
static const struct rn_field root_of_minus_one = {
    {UINT64_C(0x61b274a0ea0b0), UINT64_C(0x0d5a5fc8f189d), UINT64_C(0x7ef5e9cbd0c60),
     UINT64_C(0x78595a6804c9e), UINT64_C(0x2b8324804fc1d)}};

/* With u = 1: r = a^3 (a^7)^((p - 5) / 8), and a r^2 is 1, -1, or one of their roots. */
bool rn_field_inverse_root(const struct rn_field *a, struct rn_field *out)
{
    static const struct rn_field one = {{1}};
    const struct rn_field in = *a;
    struct rn_field a3, t, check, minus_one, minus_root;
    rn_field_square(&in, &t);
    rn_field_mul(&t, &in, &a3);
    rn_field_square(&a3, &t);
    rn_field_mul(&t, &in, &t);
    power_p58(&t, &t);
    rn_field_mul(&t, &a3, out);
    rn_field_square(out, &t);
    rn_field_mul(&t, &in, &check);
    rn_field_sub(&(struct rn_field){{0}}, &one, &minus_one);
    rn_field_sub(&(struct rn_field){{0}}, &root_of_minus_one, &minus_root);
    const bool flipped = rn_field_equal(&check, &minus_one);
    if (flipped || rn_field_equal(&check, &minus_root)) {
        rn_field_mul(out, &root_of_minus_one, out);
    }
    const bool is_square = flipped || rn_field_equal(&check, &one);
    rn_field_absolute(out);
    return is_square;
}
