/* SPDX-License-Identifier: Apache-2.0
 *
 * ristretto255 through libsodium, with the canonical checks that it leaves to the caller.
 */
#include "crypto/group.h"

#include "base/guard.h"

#include <sodium.h>
#include <string.h>

#define WIDE_BYTES crypto_core_ristretto255_NONREDUCEDSCALARBYTES

_Static_assert(RN_SCALAR_BYTES == crypto_core_ristretto255_SCALARBYTES, "scalar size");
_Static_assert(RN_POINT_BYTES == crypto_core_ristretto255_BYTES, "point size");

void rn_scalar_draw(struct rn_stream *stream, struct rn_scalar *out)
{
    uint8_t wide[WIDE_BYTES];
    rn_stream_read(stream, wide, sizeof(wide));
    crypto_core_ristretto255_scalar_reduce(out->bytes, wide);
    rn_secret_wipe(wide, sizeof(wide));
}

rn_result rn_scalar_parse(const uint8_t bytes[static RN_SCALAR_BYTES], bool allow_zero,
                          struct rn_scalar *out, struct rn_error *err)
{
    uint8_t wide[WIDE_BYTES] = {0};
    struct rn_scalar reduced;
    memcpy(wide, bytes, RN_SCALAR_BYTES);
    crypto_core_ristretto255_scalar_reduce(reduced.bytes, wide);
    const bool canonical = rn_secret_equal(reduced.bytes, bytes, RN_SCALAR_BYTES);
    const bool zero = rn_scalar_is_zero(&reduced);
    rn_scalar_clear(out);
    if (canonical && (allow_zero || !zero)) {
        *out = reduced;
    }
    rn_scalar_clear(&reduced);
    rn_secret_wipe(wide, sizeof(wide));
    RN_ENSURE(canonical, err, RN_E_PEER_FORMAT, "scalar is not canonical");
    RN_ENSURE(allow_zero || !zero, err, RN_E_PEER_FORMAT, "scalar is zero");
    return rn_ok();
}

void rn_scalar_from_u64(uint64_t value, struct rn_scalar *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned k = 0; k < 8; k++) {
        out->bytes[k] = (uint8_t)(value >> (8 * k));
    }
}

void rn_scalar_clear(struct rn_scalar *scalar)
{
    rn_secret_wipe(scalar, sizeof(*scalar));
}

bool rn_scalar_equal(const struct rn_scalar *a, const struct rn_scalar *b)
{
    return rn_secret_equal(a->bytes, b->bytes, RN_SCALAR_BYTES);
}

bool rn_scalar_is_zero(const struct rn_scalar *a)
{
    return rn_secret_is_zero(a->bytes, RN_SCALAR_BYTES);
}

void rn_scalar_add(const struct rn_scalar *a, const struct rn_scalar *b, struct rn_scalar *out)
{
    crypto_core_ristretto255_scalar_add(out->bytes, a->bytes, b->bytes);
}

void rn_scalar_sub(const struct rn_scalar *a, const struct rn_scalar *b, struct rn_scalar *out)
{
    crypto_core_ristretto255_scalar_sub(out->bytes, a->bytes, b->bytes);
}

void rn_scalar_mul(const struct rn_scalar *a, const struct rn_scalar *b, struct rn_scalar *out)
{
    crypto_core_ristretto255_scalar_mul(out->bytes, a->bytes, b->bytes);
}

void rn_scalar_invert(const struct rn_scalar *a, struct rn_scalar *out)
{
    RN_BUG_IF(crypto_core_ristretto255_scalar_invert(out->bytes, a->bytes) != 0);
}

/* RFC 9496, 4.3.1: a canonical encoding has no top bit. libsodium 1.0.18 does not look at it, and
 * would take two encodings of each point, which are one key to it and two to whoever compares. */
static bool has_top_bit(const uint8_t bytes[static RN_POINT_BYTES])
{
    return bytes[RN_POINT_BYTES - 1] >> 7 != 0;
}

rn_result rn_point_parse(const uint8_t bytes[static RN_POINT_BYTES], struct rn_point *out,
                         struct rn_error *err)
{
    RN_ENSURE(!has_top_bit(bytes) && crypto_core_ristretto255_is_valid_point(bytes) == 1, err,
              RN_E_PEER_FORMAT, "group element is not a canonical encoding");
    RN_ENSURE(sodium_is_zero(bytes, RN_POINT_BYTES) == 0, err, RN_E_PEER_FORMAT,
              "group element is the identity");
    memcpy(out->bytes, bytes, RN_POINT_BYTES);
    return rn_ok();
}

bool rn_point_equal(const struct rn_point *a, const struct rn_point *b)
{
    return memcmp(a->bytes, b->bytes, RN_POINT_BYTES) == 0;
}

void rn_point_of_scalar(const struct rn_scalar *scalar, struct rn_point *out)
{
    RN_BUG_IF(crypto_scalarmult_ristretto255_base(out->bytes, scalar->bytes) != 0);
}

void rn_point_commit(const struct rn_scalar *scalar, struct rn_point *out)
{
    /* The one failure is the identity, which is written out and is what we want. */
    (void)!crypto_scalarmult_ristretto255_base(out->bytes, scalar->bytes);
}

rn_result rn_point_add(const struct rn_point *a, const struct rn_point *b, struct rn_point *out,
                       struct rn_error *err)
{
    RN_ENSURE(!has_top_bit(a->bytes) && !has_top_bit(b->bytes) &&
                  crypto_core_ristretto255_add(out->bytes, a->bytes, b->bytes) == 0,
              err, RN_E_PEER_FORMAT, "group element is not a canonical encoding");
    return rn_ok();
}

rn_result rn_point_multiply(const struct rn_scalar *scalar, const struct rn_point *point,
                            struct rn_point *out, struct rn_error *err)
{
    if (sodium_is_zero(point->bytes, RN_POINT_BYTES) == 1) {
        memset(out->bytes, 0, RN_POINT_BYTES);
        return rn_ok();
    }
    const struct rn_point in = *point;
    RN_ENSURE(!has_top_bit(in.bytes) &&
                  crypto_scalarmult_ristretto255(out->bytes, scalar->bytes, in.bytes) == 0,
              err, RN_E_PEER_FORMAT, "group element is not a canonical encoding");
    return rn_ok();
}

bool rn_point_matches(const struct rn_point *point, const struct rn_scalar *scalar)
{
    struct rn_point computed;
    return crypto_scalarmult_ristretto255_base(computed.bytes, scalar->bytes) == 0 &&
           rn_point_equal(&computed, point);
}

rn_result rn_point_agree(const struct rn_scalar *own, const struct rn_point *peer,
                         struct rn_secret32 *out_shared, struct rn_error *err)
{
    if (!has_top_bit(peer->bytes) &&
        crypto_scalarmult_ristretto255(out_shared->bytes, own->bytes, peer->bytes) == 0) {
        return rn_ok();
    }
    rn_secret32_clear(out_shared);
    return rn_fail(err, RN_E_PEER_FORMAT, "mask key of the peer is not a valid group element");
}
