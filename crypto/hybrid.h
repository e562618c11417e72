/* SPDX-License-Identifier: Apache-2.0
 *
 * One sealed message to one recipient that is closed to whoever breaks either X25519 or ML-KEM-768,
 * but not both: X-Wing (draft-connolly-cfrg-xwing-kem), HKDF-SHA256, XChaCha20-Poly1305. It is in
 * libsodium from 1.0.22 on, found when this is built; elsewhere rn_hybrid_here says no, and calling
 * anything else here is a bug.
 *
 *     (ct, ss) = Encapsulate(recipient's key)
 *     key      = HKDF(ikm = ss, salt = session, info = "rondo/v1 hybrid channel key" padded to 32
 *                     || u32 from || u32 to || transcript)
 *     sealed   = ct || as in crypto/channel.h under this key
 *
 * Who sealed it is not proven by it: sign what it stands in. A ciphertext that was changed gives
 * another ss, silently; the AEAD then refuses.
 */
#ifndef RN_CRYPTO_HYBRID_H
#define RN_CRYPTO_HYBRID_H

#include "crypto/channel.h"

#define RN_HYBRID_LATTICE_BYTES 1184
#define RN_HYBRID_CIPHERTEXT_BYTES 1120
#define RN_HYBRID_OVERHEAD (RN_HYBRID_CIPHERTEXT_BYTES + RN_CHANNEL_OVERHEAD)

/* ML-KEM-768's half. */
struct rn_hybrid_lattice {
    uint8_t bytes[RN_HYBRID_LATTICE_BYTES];
};
/* X-Wing's public key, its bytes in its order. */
struct rn_hybrid_public {
    struct rn_hybrid_lattice lattice;
    struct rn_channel_public curve;
};

bool rn_hybrid_here(void);
/* The public key of a secret of 32 uniform bytes. */
void rn_hybrid_public_of(const struct rn_secret32 *secret, struct rn_hybrid_public *out_public);
/* Does FIPS 203 let one encapsulate to it, and X25519 agree with it? Check every peer's. */
RN_MUST bool rn_hybrid_public_valid(const struct rn_hybrid_public *public_key);

/* To a key that is valid. All randomness follows from coins, which serve one (context, key) alone,
 * so that the same call gives the same bytes. out holds plain.length + RN_HYBRID_OVERHEAD bytes. */
void rn_hybrid_seal(const struct rn_hybrid_public *peer, const struct rn_secret32 *coins,
                    const struct rn_channel_context *context, struct rn_view plain, uint8_t *out);
/* As rn_channel_open; out holds sealed.length - RN_HYBRID_OVERHEAD bytes. */
RN_MUST rn_result rn_hybrid_open(const struct rn_secret32 *own_secret,
                                 const struct rn_channel_context *context, struct rn_view sealed,
                                 uint8_t *out, struct rn_error *err);

#endif
