/* SPDX-License-Identifier: Apache-2.0 */
#include "services/cli/setup/enrolproof.h"

#include "crypto/kdf.h"
#include "crypto/sha256.h"

const char *const rn_invite_items[RN_INVITE_ITEMS] = {
    [RN_INVITE_FEDERATION] = "federation", [RN_INVITE_MEMBER] = "member",
    [RN_INVITE_ADDRESS] = "address",       [RN_INVITE_COORDINATOR] = "coordinator",
    [RN_INVITE_EXPIRES] = "expires",       [RN_INVITE_TOKEN] = "token",
    [RN_INVITE_AUTHORITY] = "+ca.crt",     [RN_INVITE_PLAN] = "+plan.yaml",
};
const char *const rn_request_items[RN_REQUEST_ITEMS] = {
    [RN_REQUEST_FEDERATION] = "federation", [RN_REQUEST_MEMBER] = "member",
    [RN_REQUEST_ADDRESS] = "address",       [RN_REQUEST_KEY] = "key",
    [RN_REQUEST_CSR] = "+tls.csr",          [RN_REQUEST_PROOF] = "proof",
    [RN_REQUEST_SIGNATURE] = "signature",
};
const char *const rn_welcome_items[RN_WELCOME_ITEMS] = {
    [RN_WELCOME_FEDERATION] = "federation", [RN_WELCOME_MEMBER] = "member",
    [RN_WELCOME_CERTIFICATE] = "+tls.crt",  [RN_WELCOME_ROSTER] = "+roster",
    [RN_WELCOME_PLAN] = "+plan.yaml",       [RN_WELCOME_SIGNATURES] = "+plan.yaml.sigs",
};
const char *const rn_renewal_items[RN_RENEWAL_ITEMS] = {
    [RN_RENEWAL_FEDERATION] = "federation",
    [RN_RENEWAL_MEMBER] = "member",
    [RN_RENEWAL_CERTIFICATE] = "+tls.crt",
};

void rn_join_proof(struct rn_secret32 *out_proof, const struct rn_secret32 *token,
                   struct rn_view before)
{
    uint8_t salt[RN_HASH_BYTES];
    rn_sha256(salt, RN_JOIN_REQUEST_TAG, &before, 1);
    rn_kdf_sha256(out_proof, rn_view_of(token->bytes, sizeof token->bytes),
                  rn_view_of(salt, sizeof salt), "rondo/v1 join proof", rn_view_of(NULL, 0));
}
