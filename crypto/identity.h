/* SPDX-License-Identifier: Apache-2.0
 *
 * The long-term identity of an organisation or coordinator: an Ed25519 key pair (RFC 8032). The key
 * signs and does nothing else: it is never converted to a key-agreement key and never used by TLS.
 * Other keys that this identity has to have again after a loss come from its seed by HKDF
 * (rn_identity_derive), so that there is nothing else to keep.
 *
 * What is signed is always  tag padded to 32 bytes || message  (crypto/tag.h).
 *
 * Verification refuses non-canonical signatures. Public keys that are non-canonical, of small order
 * or outside the prime-order subgroup are refused once, where a key comes in: a roster's when it is
 * parsed, a join request's when it is read.
 *
 * On disk an identity is a PKCS#8 PEM file ("BEGIN PRIVATE KEY", RFC 8410), mode 0600, which
 * `openssl pkey -in FILE -text` can read.
 */
#ifndef RN_CRYPTO_IDENTITY_H
#define RN_CRYPTO_IDENTITY_H

#include "base/bytes.h"
#include "crypto/secret.h"

#define RN_SIGNATURE_BYTES 64
#define RN_IDENTITY_PUBLIC_BYTES 32
/* Longest message that is signed at once; larger things are hashed first. */
#define RN_SIGN_MESSAGE_MAX ((size_t)64 << 20)

/* Opaque; the key lies in secret memory. */
struct rn_identity;

struct rn_identity_public {
    uint8_t bytes[RN_IDENTITY_PUBLIC_BYTES];
};

/* A new key pair from the operating system's randomness. The owner frees. */
RN_MUST rn_result rn_identity_generate(struct rn_identity **out_identity, struct rn_error *err);
/* The key pair of a 32-byte seed (RFC 8032's private key); for tests and simulators. */
struct rn_identity *rn_identity_from_seed(const struct rn_secret32 *seed);
/* RN_E_NO_INPUT when missing, RN_E_PERMISSION when group or others have any access to the file,
 * RN_E_IDENTITY when it is not exactly what rn_identity_save writes. */
RN_MUST rn_result rn_identity_load(const char *path, struct rn_identity **out_identity,
                                   struct rn_error *err);
/* Writes the file with mode 0600, atomically; replaces an existing one. */
RN_MUST rn_result rn_identity_save(const struct rn_identity *identity, const char *path,
                                   struct rn_error *err);
/* Wipes and frees; NULL is fine. */
void rn_identity_free(struct rn_identity *identity);
/* For RN_CLEANUP(rn_identity_free_cleanup) struct rn_identity *x. */
void rn_identity_free_cleanup(struct rn_identity **identity);

const struct rn_identity_public *rn_identity_public_of(const struct rn_identity *identity);
/* Public keys are compared as bytes: parsing admits only one encoding of each key. */
bool rn_identity_public_equal(const struct rn_identity_public *a,
                              const struct rn_identity_public *b);
/* True when the bytes encode, canonically, a point of the prime-order subgroup other than the
 * identity element. Every public key from a file or a peer passes here first. */
RN_MUST bool rn_identity_public_valid(const struct rn_identity_public *public_key);

/* HKDF(ikm = the seed, salt, info = "rondo/v1 derived key" padded to 32 || label). Ed25519 takes
 * the seed through SHA-512 alone, so what is derived here says nothing about the signing key, nor
 * about what another label gives. The label names the purpose and is never empty. */
void rn_identity_derive(const struct rn_identity *identity, struct rn_view salt, const char *label,
                        struct rn_secret32 *out);

/* Deterministic. A message longer than RN_SIGN_MESSAGE_MAX is a bug. */
void rn_identity_sign(const struct rn_identity *identity, const char *tag, struct rn_view message,
                      uint8_t out_signature[static RN_SIGNATURE_BYTES]);
/* RN_E_PEER_AUTH when the signature does not hold, RN_E_PEER_LIMIT when the message is too long.
 *
 * The key has passed rn_identity_public_valid, as those of a parsed roster have: the subgroup is
 * not checked again, which would take as long as the signature. Keys of small order and
 * non-canonical ones are refused here too. */
RN_MUST rn_result rn_identity_verify(const struct rn_identity_public *public_key, const char *tag,
                                     struct rn_view message,
                                     const uint8_t signature[static RN_SIGNATURE_BYTES],
                                     struct rn_error *err);

#endif
