/* SPDX-License-Identifier: Apache-2.0
 *
 * One sealed message from member i to member j of a session: X25519 between ephemeral keys,
 * HKDF-SHA256, XChaCha20-Poly1305.
 *
 *     key(i -> j) = HKDF(ikm  = X25519(c_i, C_j),
 *                        salt = session id,
 *                        info = "rondo/v1 channel key" padded to 32 || u32 i || u32 j
 *                               || transcript hash)
 *     AAD         = "rondo/v1 channel" padded to 32 || session id || transcript hash || u32 i ||
 * u32 j sealed      = ciphertext || 16-byte tag, under the zero nonce
 *
 * Keys are directional and used for ONE message, which is why the nonce may be zero: seal one plain
 * text per (key pair, context) only. Sealing the same plain text again gives the same bytes, so a
 * message can be resent. A message turned round, sent to another member or moved to another session
 * does not open.
 */
#ifndef RN_CRYPTO_CHANNEL_H
#define RN_CRYPTO_CHANNEL_H

#include "base/bytes.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

#define RN_CHANNEL_PUBLIC_BYTES 32
#define RN_CHANNEL_OVERHEAD 16                 /* sealed length = plain length + this */
#define RN_CHANNEL_PLAIN_MAX ((size_t)1 << 20) /* plain text of one message */

struct rn_channel_public {
    uint8_t bytes[RN_CHANNEL_PUBLIC_BYTES];
};

/* Everything that a sealed message is bound to besides the two keys. */
struct rn_channel_context {
    uint8_t session[RN_HASH_BYTES];
    uint8_t transcript[RN_HASH_BYTES]; /* T0 */
    uint32_t from;                     /* roster place of the author */
    uint32_t to;                       /* roster place of the recipient */
};

/* A fresh key pair from 32 bytes of the stream. */
void rn_channel_generate(struct rn_stream *stream, struct rn_secret32 *out_secret,
                         struct rn_channel_public *out_public);
/* The public half of a stored secret. */
void rn_channel_public_of(const struct rn_secret32 *secret, struct rn_channel_public *out_public);
/* False for keys of low order and for encodings of numbers >= 2^255 - 19 or with the top bit set
 * (RFC 7748 would accept those; one key, one encoding). Check every peer's key when it arrives. */
RN_MUST bool rn_channel_public_valid(const struct rn_channel_public *public_key);

/* Called by the author (context->from is ours). out holds plain.length + RN_CHANNEL_OVERHEAD bytes.
 * RN_E_PEER_FORMAT when the peer's key is invalid. A plain text above RN_CHANNEL_PLAIN_MAX is a
 * bug. */
RN_MUST rn_result rn_channel_seal(const struct rn_secret32 *own_secret,
                                  const struct rn_channel_public *peer,
                                  const struct rn_channel_context *context, struct rn_view plain,
                                  uint8_t *out, struct rn_error *err);
/* Called by the recipient (context->to is ours). out holds sealed.length - RN_CHANNEL_OVERHEAD
 * bytes, which are secret; they are zeroed unless RN_OK. RN_E_PEER_AUTH when the message does not
 * open, RN_E_PEER_FORMAT when the key is invalid or the message too short, RN_E_PEER_LIMIT when it
 * is too long. */
RN_MUST rn_result rn_channel_open(const struct rn_secret32 *own_secret,
                                  const struct rn_channel_public *peer,
                                  const struct rn_channel_context *context, struct rn_view sealed,
                                  uint8_t *out, struct rn_error *err);

/* The AEAD alone, under a key that serves this one message (crypto/hybrid.h). A sealed message
 * shorter than its tag is a bug here. */
void rn_channel_seal_under(const struct rn_secret32 *key, const struct rn_channel_context *context,
                           struct rn_view plain, uint8_t *out);
RN_MUST rn_result rn_channel_open_under(const struct rn_secret32 *key,
                                        const struct rn_channel_context *context,
                                        struct rn_view sealed, uint8_t *out, struct rn_error *err);

#endif
