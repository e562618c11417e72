/* SPDX-License-Identifier: Apache-2.0
 *
 * HKDF-SHA256 (RFC 5869): one secret in, keys for named purposes out.
 */
#ifndef RN_CRYPTO_KDF_H
#define RN_CRYPTO_KDF_H

#include "base/bytes.h"
#include "crypto/secret.h"
#include "crypto/tag.h"

#define RN_KDF_LENGTH_MAX (255 * 32) /* RFC 5869, section 2.3 */

/* The key of one purpose, 32 bytes. ikm is the input keying material, salt is public and may be
 * empty; info = tag padded to 32 bytes (crypto/tag.h) || fields, which have fixed widths and are at
 * most RN_KDF_FIELDS_MAX bytes. A tag that does not begin with "rondo/v1 " is a bug. */
#define RN_KDF_FIELDS_MAX 64
void rn_kdf_sha256(struct rn_secret32 *out_key, struct rn_view ikm, struct rn_view salt,
                   const char *tag, struct rn_view fields);

/* The plain RFC 5869 function of any length up to RN_KDF_LENGTH_MAX, info may be empty. */
void rn_kdf_sha256_long(uint8_t *out, size_t length, struct rn_view ikm, struct rn_view salt,
                        struct rn_view info);

#endif
