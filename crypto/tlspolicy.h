/* SPDX-License-Identifier: Apache-2.0
 *
 * What TLS may do in this process, and whether a key, chain and CA are fit for it, before the
 * transport sees them: the transport accepts bad ones silently and tells a refused client nothing.
 */
#ifndef RN_CRYPTO_TLSPOLICY_H
#define RN_CRYPTO_TLSPOLICY_H

#include "base/bytes.h"

#include <stdint.h>

#define RN_TLS_HASH_BYTES 32
#define RN_TLS_URI_MAX 255
/* Certificates in one chain or CA file. */
#define RN_TLS_CERTIFICATES_MAX 16

/* Of a leaf certificate. */
struct rn_tls_leaf {
    uint8_t hash[RN_TLS_HASH_BYTES]; /* SHA-256 of the DER */
    uint64_t not_before_ms;          /* wall time */
    uint64_t not_after_ms;
    char uri[RN_TLS_URI_MAX + 1]; /* the only URI of the subject alternative name; "" when there is
                                     not exactly one */
};

/* TLS 1.3 only and no session tickets for every TLS context of this process, whatever the machine's
 * openssl.cnf says. First thing in main. RN_E_SYSTEM when it does not take effect. */
RN_MUST rn_result rn_tls_policy_apply(struct rn_error *err);

/* Facts of the first certificate in pem. RN_E_DATA when there is none. */
RN_MUST rn_result rn_tls_leaf_read(struct rn_view pem, struct rn_tls_leaf *out,
                                   struct rn_error *err);

/* The key fits the first certificate of the chain, the chain leads to a certificate of the CA file,
 * which holds CA certificates alone, now lies within all dates, the leaf may serve and dial (both
 * extended key usages, or none) and has exactly one URI. RN_E_IDENTITY names the first fault. */
RN_MUST rn_result rn_tls_material_check(struct rn_view key_pem, struct rn_view chain_pem,
                                        struct rn_view ca_pem, uint64_t now_wall_ms,
                                        struct rn_tls_leaf *out, struct rn_error *err);

#endif
