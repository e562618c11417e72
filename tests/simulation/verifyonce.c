/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of verifyonce.h for the programs that do not include it, and one more: what was
 * signed in this process is known to hold, and is not computed even once. That a signature holds
 * is what tests/unit/crypto is about.
 */
#include "tests/simulation/verifyonce.h"

void __real_rn_identity_sign(const struct rn_identity *identity, const char *tag,
                             struct rn_view message,
                             uint8_t out_signature[static RN_SIGNATURE_BYTES]);
void __wrap_rn_identity_sign(const struct rn_identity *identity, const char *tag,
                             struct rn_view message,
                             uint8_t out_signature[static RN_SIGNATURE_BYTES]);
void __wrap_rn_identity_sign(const struct rn_identity *identity, const char *tag,
                             struct rn_view message,
                             uint8_t out_signature[static RN_SIGNATURE_BYTES])
{
    uint8_t hash[RN_HASH_BYTES];
    const struct rn_identity_public *key = rn_identity_public_of(identity);
    const struct rn_view parts[] = {rn_view_of(key->bytes, sizeof key->bytes),
                                    rn_view_of(out_signature, RN_SIGNATURE_BYTES), message};
    __real_rn_identity_sign(identity, tag, message, out_signature);
    memcpy(verified_place(tag, parts, 3, hash), hash, RN_HASH_BYTES);
}
