/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of an identity's private key: PKCS#8 (RFC 8410) in PEM, exactly one byte string for one
 * key. Used by crypto/identity.c alone; the key never passes through plain memory.
 */
#ifndef RN_CRYPTO_KEYFILE_H
#define RN_CRYPTO_KEYFILE_H

#include "base/result.h"
#include "crypto/secret.h"

/* RN_E_NO_INPUT, RN_E_PERMISSION or RN_E_IDENTITY as in rn_identity_load. */
RN_MUST rn_result rn_keyfile_read(const char *path, struct rn_secret32 *out_seed,
                                  struct rn_error *err);
RN_MUST rn_result rn_keyfile_write(const char *path, const struct rn_secret32 *seed,
                                   struct rn_error *err);

#endif
