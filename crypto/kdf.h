/* SPDX-License-Identifier: Apache-2.0
 *
 * HKDF-SHA256 (RFC 5869): one secret in, keys for named purposes out.
 */
#ifndef RN_CRYPTO_KDF_H
#define RN_CRYPTO_KDF_H

#include "base/bytes.h"
#include "crypto/secret.h"

#define RN_KDF_LENGTH_MAX (255 * 32) /* RFC 5869, section 2.3 */

/* 32 bytes. ikm is the input keying material, salt is public and may be empty, info begins with a
 * text that names the purpose and continues with fixed-width fields; an empty info is a bug. */
void rn_kdf_sha256(struct rn_secret32 *out_key, struct rn_view ikm, struct rn_view salt,
                   struct rn_view info);

/* The plain RFC 5869 function of any length up to RN_KDF_LENGTH_MAX, info may be empty. */
void rn_kdf_sha256_long(uint8_t *out, size_t length, struct rn_view ikm, struct rn_view salt,
                        struct rn_view info);

#endif
