/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding and encoding: RFC 9496, 4.3.1 and 4.3.2. Addition: Hisil, Wong, Carter, Dawson 2008,
 * section 3.1 ("add-2008-hwcd-3") and 3.3 for doubling, with a = -1.
 */
#include "crypto/curvesum.h"

#include <string.h>

static const struct rn_field zero = {{0}};
static const struct rn_field one = {{1}};
static const struct rn_field curve_d = {{UINT64_C(0x34dca135978a3), UINT64_C(0x1a8283b156ebd),
                                         UINT64_C(0x5e7a26001c029), UINT64_C(0x739c663a03cbb),
                                         UINT64_C(0x52036cee2b6ff)}};
static const struct rn_field twice_d = {{UINT64_C(0x69b9426b2f159), UINT64_C(0x35050762add7a),
                                         UINT64_C(0x3cf44c0038052), UINT64_C(0x6738cc7407977),
                                         UINT64_C(0x2406d9dc56dff)}};
static const struct rn_field root_of_minus_one = {
    {UINT64_C(0x61b274a0ea0b0), UINT64_C(0x0d5a5fc8f189d), UINT64_C(0x7ef5e9cbd0c60),
     UINT64_C(0x78595a6804c9e), UINT64_C(0x2b8324804fc1d)}};
/* 1 / sqrt(-1 - d) */
static const struct rn_field inverse_root_a_minus_d = {
    {UINT64_C(0x0fdaa805d40ea), UINT64_C(0x2eb482e57d339), UINT64_C(0x007610274bc58),
     UINT64_C(0x6510b613dc8ff), UINT64_C(0x786c8905cfaff)}};

/* Below p, and not negative. */
static bool parse_canonical(const uint8_t bytes[static RN_POINT_BYTES], struct rn_field *out)
{
    uint8_t again[RN_FIELD_BYTES];
    rn_field_parse(bytes, out);
    rn_field_write(out, again);
    return memcmp(bytes, again, sizeof again) == 0 && (bytes[0] & 1) == 0;
}

bool rn_curve_decode(const uint8_t bytes[static RN_POINT_BYTES], struct rn_curve_point *out)
{
    struct rn_field s, ss, u1, u2, u2_squared, v, root, den_x, den_y;
    if (!parse_canonical(bytes, &s)) {
        return false;
    }
    rn_field_square(&s, &ss);
    rn_field_sub(&one, &ss, &u1);
    rn_field_add(&one, &ss, &u2);
    rn_field_square(&u2, &u2_squared);
    rn_field_square(&u1, &v); /* v = -(d u1^2) - u2^2 */
    rn_field_mul(&v, &curve_d, &v);
    rn_field_add(&v, &u2_squared, &v);
    rn_field_sub(&zero, &v, &v);
    rn_field_mul(&v, &u2_squared, &root);
    const bool square = rn_field_inverse_root(&root, &root);
    rn_field_mul(&root, &u2, &den_x);
    rn_field_mul(&root, &den_x, &den_y);
    rn_field_mul(&den_y, &v, &den_y);
    rn_field_add(&s, &s, &out->x);
    rn_field_mul(&out->x, &den_x, &out->x);
    rn_field_absolute(&out->x);
    rn_field_mul(&u1, &den_y, &out->y);
    out->z = one;
    rn_field_mul(&out->x, &out->y, &out->t);
    return square && !rn_field_is_negative(&out->t) && !rn_field_is_zero(&out->y);
}

void rn_curve_encode(const struct rn_curve_point *a, struct rn_point *out)
{
    struct rn_field u1, u2, root, den1, den2, inverse_z, x, y, t;
    rn_field_add(&a->z, &a->y, &u1);
    rn_field_sub(&a->z, &a->y, &t);
    rn_field_mul(&u1, &t, &u1);
    rn_field_mul(&a->x, &a->y, &u2);
    rn_field_square(&u2, &root);
    rn_field_mul(&root, &u1, &root);
    (void)rn_field_inverse_root(&root, &root); /* the argument is a square, or 0 */
    rn_field_mul(&root, &u1, &den1);
    rn_field_mul(&root, &u2, &den2);
    rn_field_mul(&den1, &den2, &inverse_z);
    rn_field_mul(&inverse_z, &a->t, &inverse_z);
    x = a->x;
    y = a->y;
    rn_field_mul(&a->t, &inverse_z, &t);
    if (rn_field_is_negative(&t)) { /* turn by a point of order 4 */
        rn_field_mul(&a->y, &root_of_minus_one, &x);
        rn_field_mul(&a->x, &root_of_minus_one, &y);
        rn_field_mul(&den1, &inverse_root_a_minus_d, &den2);
    }
    rn_field_mul(&x, &inverse_z, &t);
    if (rn_field_is_negative(&t)) {
        rn_field_add(&a->z, &y, &t); /* z - (-y) */
    } else {
        rn_field_sub(&a->z, &y, &t);
    }
    rn_field_mul(&den2, &t, &t);
    rn_field_absolute(&t);
    rn_field_write(&t, out->bytes);
}

void rn_curve_identity(struct rn_curve_point *out)
{
    *out = (struct rn_curve_point){.y = one, .z = one};
}

/* (E F : G H : F G : E H) */
static void finish(const struct rn_field *e, const struct rn_field *f, const struct rn_field *g,
                   const struct rn_field *h, struct rn_curve_point *out)
{
    rn_field_mul(e, f, &out->x);
    rn_field_mul(g, h, &out->y);
    rn_field_mul(f, g, &out->z);
    rn_field_mul(e, h, &out->t);
}

void rn_curve_add(const struct rn_curve_point *a, const struct rn_curve_point *b,
                  struct rn_curve_point *out)
{
    struct rn_field p, q, minus, plus, t, z, e, f, g, h;
    rn_field_sub(&a->y, &a->x, &p);
    rn_field_sub(&b->y, &b->x, &q);
    rn_field_mul(&p, &q, &minus);
    rn_field_add(&a->y, &a->x, &p);
    rn_field_add(&b->y, &b->x, &q);
    rn_field_mul(&p, &q, &plus);
    rn_field_mul(&a->t, &twice_d, &t);
    rn_field_mul(&t, &b->t, &t);
    rn_field_mul(&a->z, &b->z, &z);
    rn_field_add(&z, &z, &z);
    rn_field_sub(&plus, &minus, &e);
    rn_field_sub(&z, &t, &f);
    rn_field_add(&z, &t, &g);
    rn_field_add(&plus, &minus, &h);
    finish(&e, &f, &g, &h, out);
}

static void twice(const struct rn_curve_point *a, struct rn_curve_point *out)
{
    struct rn_field xx, yy, zz, both, e, f, g, h;
    rn_field_square(&a->x, &xx);
    rn_field_square(&a->y, &yy);
    rn_field_square(&a->z, &zz);
    rn_field_add(&zz, &zz, &zz);
    rn_field_add(&a->x, &a->y, &both);
    rn_field_square(&both, &both);
    rn_field_add(&xx, &yy, &h);
    rn_field_sub(&both, &h, &e);
    rn_field_sub(&yy, &xx, &g);
    rn_field_sub(&g, &zz, &f);
    rn_field_sub(&zero, &h, &h);
    finish(&e, &f, &g, &h, out);
}

void rn_curve_times(const struct rn_curve_point *a, uint32_t factor, struct rn_curve_point *out)
{
    const struct rn_curve_point base = *a;
    if (factor == 0) {
        rn_curve_identity(out);
        return;
    }
    *out = base;
    for (int bit = 30 - __builtin_clz(factor); bit >= 0; bit--) {
        twice(out, out);
        if ((factor >> bit & 1) != 0) {
            rn_curve_add(out, &base, out);
        }
    }
}
