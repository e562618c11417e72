/* SPDX-License-Identifier: Apache-2.0
 *
 * An Ed25519 key for one role in a format that others specified (signed notes and cosignatures of
 * C2SP). There the signed bytes begin with what the format prescribes and not with a domain tag of
 * Rondo's, so the identity key must never sign them: each role has a key of its own, made of the
 * identity's seed by HKDF under the role's label. There is nothing else to keep, and whoever lost
 * the machine but not the identity has the same key again.
 */
#ifndef RN_CRYPTO_ROLEKEY_H
#define RN_CRYPTO_ROLEKEY_H

#include "crypto/identity.h"

/* Opaque; lies in secret memory. */
struct rn_rolekey;

/* context: what else the key belongs to (a federation's name), so that one identity in two
 * federations has two keys. label: 1 to 32 characters. The owner frees. */
struct rn_rolekey *rn_rolekey_derive(const struct rn_identity *identity, struct rn_view context,
                                     const char *label);
/* Wipes and frees; NULL is fine. */
void rn_rolekey_free(struct rn_rolekey *key);
/* For RN_CLEANUP(rn_rolekey_free_cleanup) struct rn_rolekey *x. */
void rn_rolekey_free_cleanup(struct rn_rolekey **key);

const struct rn_identity_public *rn_rolekey_public_of(const struct rn_rolekey *key);
/* RFC 8032 over exactly these bytes. A message longer than RN_SIGN_MESSAGE_MAX is a bug. */
void rn_rolekey_sign(const struct rn_rolekey *key, struct rn_view message,
                     uint8_t out_signature[static RN_SIGNATURE_BYTES]);
/* False for a wrong signature, a non-canonical one, and a key of small order. */
RN_MUST bool rn_rolekey_verify(const struct rn_identity_public *key, struct rn_view message,
                               const uint8_t signature[static RN_SIGNATURE_BYTES]);

#endif
