/* SPDX-License-Identifier: Apache-2.0
 *
 * The prime-order group ristretto255 (RFC 9496) and its scalars, the integers modulo
 * L = 2^252 + 27742317777372353535851937790883648493.
 *
 * Mask keys live here because a mask secret must at once be a Shamir secret (a field element) and
 * be checkable after reconstruction (secret * G = advertised point). X25519 clamps its secrets and
 * offers neither.
 *
 * Scalars are secret unless said otherwise and are treated in constant time; keep them in secret
 * memory or clean them up with RN_CLEANUP(rn_scalar_clear). Encodings are little-endian, 32 bytes,
 * and canonical; parsing refuses every other.
 */
#ifndef RN_CRYPTO_GROUP_H
#define RN_CRYPTO_GROUP_H

#include "base/bytes.h"
#include "crypto/random.h"

#define RN_SCALAR_BYTES 32
#define RN_POINT_BYTES 32

struct rn_scalar {
    uint8_t bytes[RN_SCALAR_BYTES];
};
struct rn_point {
    uint8_t bytes[RN_POINT_BYTES];
};

/* Uniform: 64 bytes of the stream reduced modulo L. Zero has chance 2^-252; nothing looks for it,
 * so that no branch depends on the result. */
void rn_scalar_draw(struct rn_stream *stream, struct rn_scalar *out);
/* Canonical (< L). Zero is allowed when allow_zero (a share may be zero, a key or seed may not).
 * RN_E_PEER_FORMAT otherwise; *out is zeroed then. Constant time except for the verdict. */
RN_MUST rn_result rn_scalar_parse(const uint8_t bytes[static RN_SCALAR_BYTES], bool allow_zero,
                                  struct rn_scalar *out, struct rn_error *err);
void rn_scalar_from_u64(uint64_t value, struct rn_scalar *out);
/* For RN_CLEANUP(rn_scalar_clear) struct rn_scalar x. Wipes. */
void rn_scalar_clear(struct rn_scalar *scalar);

RN_MUST bool rn_scalar_equal(const struct rn_scalar *a, const struct rn_scalar *b);
RN_MUST bool rn_scalar_is_zero(const struct rn_scalar *a);

/* Modulo L; out may be one of the inputs. */
void rn_scalar_add(const struct rn_scalar *a, const struct rn_scalar *b, struct rn_scalar *out);
void rn_scalar_sub(const struct rn_scalar *a, const struct rn_scalar *b, struct rn_scalar *out);
void rn_scalar_mul(const struct rn_scalar *a, const struct rn_scalar *b, struct rn_scalar *out);
/* 1/a; a == 0 is a bug. */
void rn_scalar_invert(const struct rn_scalar *a, struct rn_scalar *out);

/* A canonical encoding of a point other than the identity element; RN_E_PEER_FORMAT otherwise. */
RN_MUST rn_result rn_point_parse(const uint8_t bytes[static RN_POINT_BYTES], struct rn_point *out,
                                 struct rn_error *err);
/* Points are public. */
bool rn_point_equal(const struct rn_point *a, const struct rn_point *b);
/* scalar * G; a zero scalar is a bug. */
void rn_point_of_scalar(const struct rn_scalar *scalar, struct rn_point *out);
/* scalar * G, where zero gives the identity element, 32 zero bytes: for commitments to shares. */
void rn_point_commit(const struct rn_scalar *scalar, struct rn_point *out);
/* Sum of two public points, each of which may be the identity element; out may be one of them.
 * RN_E_PEER_FORMAT when one is no canonical encoding. */
RN_MUST rn_result rn_point_add(const struct rn_point *a, const struct rn_point *b,
                               struct rn_point *out, struct rn_error *err);
/* scalar * point, both public, the scalar not zero; the identity element stays itself. As above. */
RN_MUST rn_result rn_point_multiply(const struct rn_scalar *scalar, const struct rn_point *point,
                                    struct rn_point *out, struct rn_error *err);
/* True when scalar is not zero and scalar * G == point: the check after reconstruction. */
RN_MUST bool rn_point_matches(const struct rn_point *point, const struct rn_scalar *scalar);
/* Diffie-Hellman: the encoding of scalar * point. RN_E_PEER_FORMAT when the point is invalid or
 * the result is the identity element. */
RN_MUST rn_result rn_point_agree(const struct rn_scalar *own, const struct rn_point *peer,
                                 struct rn_secret32 *out_shared, struct rn_error *err);

#endif
